//! `tenrec table`: looking after the tables of a running server, or of a folder that no server has open.

use super::{paper, wait_for};
use crate::settings;
use crate::words::{Shared, Table};
use anyhow::{Context, bail};
use event::ProjectId;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use server::care::command::{Command, Line};
use server::care::{command, erase};
use std::io::{BufRead, BufReader, IsTerminal};
use std::time::Duration;
use uuid::Uuid;

/// A server and the key to it.
pub struct Place {
    url: String,
    key: String,
}

/// The server that is meant, if any.
///
/// # Errors
/// When it has a URL and no key.
pub fn place(url: Option<String>, key: Option<String>) -> anyhow::Result<Option<Place>> {
    let Some(url) = url else { return Ok(None) };
    let key = key.context(
        "a running server asks for a personal API key: give --key or TENREC_PERSONAL_KEY (see `tenrec keys create`)",
    )?;
    Ok(Some(Place { url: url.trim_end_matches('/').to_owned(), key }))
}

/// What the words ask for.
enum Task {
    Command(Command),
    Erase { project: i64, distinct_ids: Vec<String>, person_ids: Vec<Uuid> },
}

fn task(words: Table) -> anyhow::Result<Task> {
    Ok(Task::Command(match words {
        Table::Stats { table } => Command::Stats { table },
        Table::Compact { table, all } => Command::Compact { table, all },
        Table::Expire { table, keep, grace_seconds } => Command::Expire { table, keep, grace_seconds },
        Table::Orphans { table, hours, dry_run } => Command::Orphans { table, hours, dry_run },
        Table::Retain { table, days, project } => Command::Retain { table, days, project },
        Table::Erase { project, distinct_id, person_id } => {
            anyhow::ensure!(
                !distinct_id.is_empty() || !person_id.is_empty(),
                "say whose rows: --distinct-id or --person-id"
            );
            let uuid = |id: &String| id.parse().with_context(|| format!("{id} is no UUID"));
            let person_ids = person_id.iter().map(uuid).collect::<anyhow::Result<_>>()?;
            return Ok(Task::Erase { project, distinct_ids: distinct_id, person_ids });
        }
    }))
}

/// Runs the command.
pub fn run(shared: &Shared, words: Table, place: Option<Place>) -> anyhow::Result<()> {
    let task = task(words)?;
    let mut screen = Screen::default();
    match place {
        Some(place) => ask(&place, &task, &mut screen)?,
        None => at_rest(shared, task, &mut screen)?,
    }
    screen.print();
    Ok(())
}

/// Works on a folder that no server has open.
fn at_rest(shared: &Shared, task: Task, screen: &mut Screen) -> anyhow::Result<()> {
    anyhow::ensure!(
        server::metastore_path(&shared.data).exists(),
        "there is no Tenrec data in {}: run `tenrec serve` first, or point --data at it",
        shared.data.display()
    );
    let settings = settings::resolve(shared.config.as_deref(), &[])?.settings;
    wait_for(async {
        let opened = server::start::tables_at_rest(&settings, &shared.data).await;
        let resting = opened.map_err(|error| {
            anyhow::Error::from_boxed(error)
                .context("cannot open the data folder; if a running server holds it, ask that one with --url")
        })?;
        let hands = &resting.hands;
        let mut tell = |line| screen.take(line);
        match task {
            Task::Command(command) => command::run(hands, &command, &mut tell).await?,
            Task::Erase { project, distinct_ids, person_ids } => {
                let (ids, persons) = (distinct_ids.into_iter().collect(), person_ids.into_iter().collect());
                let asked = erase::ask(hands, ProjectId(project), &ids, &persons).await?;
                erase::carry_out(hands, asked.id, &mut tell).await?;
            }
        }
        Ok(())
    })
}

/// Asks a running server and follows its answer.
fn ask(place: &Place, task: &Task, screen: &mut Screen) -> anyhow::Result<()> {
    let (path, body) = match task {
        Task::Command(command) => ("/api/care".to_owned(), serde_json::to_value(command)?),
        Task::Erase { project, distinct_ids, person_ids } => (
            format!("/api/projects/{project}/erasures/"),
            json!({"distinct_ids": distinct_ids, "person_ids": person_ids}),
        ),
    };
    let target = format!("{}{path}", place.url);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = agent
        .post(&target)
        .header("Authorization", &format!("Bearer {}", place.key))
        .send_json(&body)
        .with_context(|| format!("cannot reach {target}"))?;
    let status = response.status();
    if !status.is_success() {
        let said: Value = response.body_mut().read_json().unwrap_or_default();
        bail!("{target} answered {status}: {}", said["detail"].as_str().unwrap_or("no reason was given"));
    }
    for line in BufReader::new(response.body_mut().as_reader()).lines() {
        let line = line.with_context(|| format!("{target} broke off"))?;
        match serde_json::from_str(&line).with_context(|| format!("{target} answered {line:?}"))? {
            Line::Done => return Ok(()),
            Line::Failed { detail } => bail!("{detail}"),
            line => screen.take(line),
        }
    }
    bail!(
        "{target} broke off; an erasure goes on at the next start of the server, anything else is to be asked again"
    )
}

/// What a person sees: a bar while it works when looking at a terminal, then one table of figures.
#[derive(Default)]
struct Screen {
    bar: Option<(String, ProgressBar)>,
    names: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Screen {
    fn take(&mut self, line: Line) {
        match line {
            Line::Progress { table, done, total, rows } => self.progress(table, (done, total), rows),
            Line::Table { table, figures } => {
                self.end_bar();
                if self.names.is_empty() {
                    self.names = ["table".to_owned()].into_iter().chain(figures.keys().cloned()).collect();
                }
                self.rows.push(
                    std::iter::once(table).chain(figures.values().map(ToString::to_string)).collect(),
                );
            }
            Line::Note { text } => self.notes.push(text),
            Line::Erasure { state } => match state["bytes_remain_until"].as_str() {
                Some(until) => self.notes.push(format!(
                    "erasure {}: no current table has the person; files that had the rows are gone by {until}, and \
                     the log's segments that had them when they are full and committed",
                    state["id"]
                )),
                None => self.notes.push(format!("erasure {} is kept and will be done", state["id"])),
            },
            Line::Done | Line::Failed { .. } => {}
        }
    }

    /// A bar per table on a terminal; elsewhere a line per table when it is done.
    fn progress(&mut self, table: String, (done, total): (usize, usize), rows: u64) {
        if !std::io::stderr().is_terminal() {
            if done >= total {
                eprintln!("{table}: {done} of {total}, {rows} rows");
            }
            return;
        }
        if self.bar.as_ref().is_none_or(|(name, _)| *name != table) {
            self.end_bar();
            let bar = ProgressBar::new(total as u64);
            let style = "{prefix} {bar:30} {pos} of {len}, {msg} rows, {elapsed}";
            bar.set_style(
                ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_prefix(table.clone());
            bar.enable_steady_tick(Duration::from_millis(200));
            self.bar = Some((table, bar));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            bar.set_message(rows.to_string());
        }
    }

    fn end_bar(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.abandon();
        }
    }

    fn print(mut self) {
        self.end_bar();
        if !self.rows.is_empty() {
            let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
            paper::print(&names, &self.rows);
        }
        self.notes.iter().for_each(|note| println!("{note}"));
    }
}
