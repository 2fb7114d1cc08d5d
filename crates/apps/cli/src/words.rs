//! The command line as types. `--help` is generated from the texts here.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Self-hosted product analytics: PostHog's SDKs and API, your data in open tables.
#[derive(Debug, Parser)]
#[command(name = "tenrec", version, about, max_term_width = 100)]
pub struct Words {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub shared: Shared,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Shared {
    /// Folder that holds everything: log, tables, settings of projects.
    #[arg(long, global = true, value_name = "DIR", default_value = "tenrec-data", env = "TENREC_DATA")]
    pub data: PathBuf,
    /// Settings file (TOML). See `tenrec settings` for every key.
    #[arg(long, global = true, value_name = "FILE", env = "TENREC_CONFIG")]
    pub config: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server. The first start makes a project and prints its keys and a snippet.
    Serve {
        /// Address to listen on; port 0 picks a free one.
        #[arg(long, value_name = "ADDR")]
        listen: Option<String>,
        /// Which part of the work to do: all, capture, writer or query.
        #[arg(long, value_name = "ROLE")]
        role: Option<String>,
    },
    /// Ask a question in SQL.
    Query(Query),
    /// Print every setting in force and where it comes from; secrets are masked.
    Settings,
    /// Look for what could be wrong: settings, data folder, disk, log, tables, a running server.
    Check {
        /// URL of a running server to check too.
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
    /// Look after the tables: sizes, merging, expiry, retention, erasure. A running server does what is regular by itself
    /// (settings `[care]`); it is asked for more with --url. Without it the folder of a stopped server is worked on.
    Table {
        /// What to do.
        #[command(subcommand)]
        command: Table,
        /// Ask a running server at this URL instead of a data folder at rest.
        #[arg(long, global = true, value_name = "URL", env = "TENREC_URL")]
        url: Option<String>,
        /// Personal API key (`phx_...`) for the running server: of all projects, or to erase, of the person's.
        #[arg(long, global = true, value_name = "KEY", env = "TENREC_PERSONAL_KEY", hide_env_values = true)]
        key: Option<String>,
    },
    /// Write a backup of the data folder, which a server may be using: a folder, or `s3://BUCKET/PREFIX` with the
    /// credentials that AWS tools read (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, ...). Only what is not there yet is copied.
    Backup(Backup),
    /// Make a data folder of a backup, or of another data folder at rest (which moves it).
    Restore(Restore),
    /// List or create projects.
    Projects {
        /// What to do.
        #[command(subcommand)]
        command: Projects,
    },
    /// List, create or revoke personal and secret API keys.
    Keys {
        /// What to do.
        #[command(subcommand)]
        command: Keys,
    },
    /// Print generated reference documentation.
    #[command(hide = true)]
    Reference {
        /// Which part.
        part: Reference,
    },
}

/// `tenrec backup`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Backup {
    /// What to do with backups that are there.
    #[command(subcommand)]
    pub command: Option<Backups>,
    /// Where backups are kept.
    #[arg(required = true)]
    pub target: Option<String>,
    /// Take it of the running server at this URL, which may be on another machine, instead of a data folder here.
    #[arg(long, value_name = "URL", env = "TENREC_URL")]
    pub url: Option<String>,
    /// Personal API key (`phx_...`) of all projects for the running server.
    #[arg(long, value_name = "KEY", env = "TENREC_PERSONAL_KEY", hide_env_values = true)]
    pub key: Option<String>,
}

/// `tenrec backup COMMAND`.
#[derive(Debug, Subcommand)]
pub enum Backups {
    /// Print the backups, oldest first.
    List {
        /// Where they are kept.
        target: String,
    },
    /// Read everything, compare checksums, follow what names what, check the metastore; one line per fault.
    Verify {
        /// Where they are kept.
        target: String,
    },
    /// Remove old backups and what only they need.
    Prune {
        /// Where they are kept.
        target: String,
        /// How many of the newest stay.
        #[arg(long, value_name = "N")]
        keep: usize,
    },
}

/// `tenrec restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// Where backups are kept, or a data folder that no server is using.
    pub source: String,
    /// The new data folder, missing or empty; `--data` if not given.
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// Name of the backup; the newest if not given.
    #[arg(long, value_name = "ID")]
    pub backup: Option<String>,
}

/// `tenrec query`.
#[derive(Debug, Args)]
pub struct Query {
    /// One SELECT statement; `-` reads it from standard input.
    pub sql: String,
    /// How to print the rows.
    #[arg(long, short, default_value = "table")]
    pub format: Format,
    /// Project to ask.
    #[arg(long, default_value_t = 1)]
    pub project: i64,
    /// Ask a running server at this URL instead of a data folder at rest.
    #[arg(long, value_name = "URL", env = "TENREC_URL")]
    pub url: Option<String>,
    /// Personal API key (`phx_...`) for the running server.
    #[arg(long, value_name = "KEY", env = "TENREC_PERSONAL_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Rows at most.
    #[arg(long, default_value_t = 50_000)]
    pub limit: usize,
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns, for people.
    Table,
    /// One JSON document in the shape of the query API.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header.
    Csv,
    /// A Parquet file.
    Parquet,
}

/// `tenrec table`.
#[derive(Debug, Subcommand)]
pub enum Table {
    /// Print files, rows, bytes and snapshots.
    Stats {
        /// Only this table.
        table: Option<String>,
    },
    /// Merge small files into sorted ones of good size.
    Compact {
        /// Only this table.
        table: Option<String>,
        /// Merge everything that is small, not only what the server would.
        #[arg(long)]
        all: bool,
    },
    /// Let old snapshots go and remove the files only they need.
    Expire {
        /// Only this table.
        table: Option<String>,
        /// Snapshots to keep; the setting if not given.
        #[arg(long)]
        keep: Option<usize>,
        /// Seconds a snapshot stays after another took its place; the setting if not given. Use 0 only when no other
        /// program is reading the tables.
        #[arg(long)]
        grace_seconds: Option<u64>,
    },
    /// Remove files that nothing refers to.
    Orphans {
        /// Only this table.
        table: Option<String>,
        /// Only files older than this; the setting if not given.
        #[arg(long)]
        hours: Option<u64>,
        /// Only say what would be removed.
        #[arg(long)]
        dry_run: bool,
    },
    /// Drop whole days of a table that are older than this. Their bytes are free after `tenrec table expire`.
    Retain {
        /// The table.
        table: String,
        /// Days to keep, today included.
        #[arg(long)]
        days: u32,
        /// Only this project.
        #[arg(long)]
        project: Option<i64>,
    },
    /// Forget a person everywhere: rows of every table, recordings, and what the server remembers. One id is enough: the
    /// others that belong to the person are found. What comes with these ids later is a new person. Files with the old
    /// rows are gone when their snapshots have expired; the answer says when.
    Erase {
        /// Project of the person.
        #[arg(long)]
        project: i64,
        /// A distinct id; may be repeated.
        #[arg(long, value_name = "ID")]
        distinct_id: Vec<String>,
        /// A person id (UUID); may be repeated.
        #[arg(long, value_name = "UUID")]
        person_id: Vec<String>,
    },
}

/// `tenrec projects`.
#[derive(Debug, Subcommand)]
pub enum Projects {
    /// Print all projects with their keys.
    List,
    /// Make a project and print its key.
    Create {
        /// Its name.
        name: String,
        /// A fixed project key instead of a random one.
        #[arg(long)]
        key: Option<String>,
    },
    /// Print everything of a project that can be set.
    Show {
        /// Its number.
        id: i64,
    },
    /// Change a project: time zone, switches, used-up quotas, restrictions.
    ///
    /// Values are JSON or plain text: `anonymize_ips=true`, `timezone=Europe/Berlin`, `exhausted=["events"]`,
    /// `restrictions=[{"action":"drop_event","distinct_ids":["bot"]}]` (actions: drop_event, redirect_to_dlq,
    /// skip_person_processing; filters: tokens, distinct_ids, session_ids, events, uuids). A running server follows
    /// within a second.
    Set {
        /// Its number.
        id: i64,
        /// What to change; `projects show` prints the names.
        #[arg(required = true, value_name = "NAME=VALUE")]
        changes: Vec<String>,
    },
}

/// `tenrec keys`.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Print all keys, masked.
    List,
    /// Make a key and print it, once.
    Create {
        /// What it is for.
        label: String,
        /// A secret key of this project (`phs_...`) instead of a personal key.
        #[arg(long, value_name = "PROJECT")]
        project: Option<i64>,
    },
    /// Make a key useless.
    Revoke {
        /// Its id, as `keys list` prints it.
        id: String,
    },
}

/// Parts of the reference.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Reference {
    /// Tables and columns.
    Columns,
    /// Metrics.
    Metrics,
    /// Settings.
    Settings,
    /// This command line.
    Cli,
    /// Refusals of the door.
    Errors,
}
