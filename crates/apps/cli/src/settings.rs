//! Where settings come from: defaults, a file, the environment, flags. The only file that reads the environment.

#[cfg(feature = "failpoints")]
pub mod fault;

use anyhow::{Context, anyhow, bail};
use metastore::postgres::masked;
use server::settings::{CatalogKind, Settings};
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// Every setting with its default and its comment.
pub const DEFAULT: &str = include_str!("../../../../config/default.toml");

/// Names of Hogflare, and what they mean here.
const ALIASES: [(&str, &str); 3] = [
    ("APP_ADDR", "server.listen"),
    ("POSTHOG_SIGNING_SECRET", "server.signing_secret"),
    ("POSTHOG_API_KEY", "bootstrap.project_key"),
];

/// Names of Hogflare that belong to things this version does not do.
const NOT_YET: [&str; 5] = [
    "CLOUDFLARE_PIPELINE_ENDPOINT",
    "CLOUDFLARE_PIPELINE_AUTH_TOKEN",
    "CLOUDFLARE_PIPELINE_TIMEOUT_SECS",
    "HOGFLARE_FEATURE_FLAGS",
    "POSTHOG_SESSION_RECORDING_ENDPOINT",
];

/// Secrets in their middle only.
const URL: &str = "metastore.url";
const CATALOG: &str = "catalog.uri";

const SECRETS: [&str; 7] = [
    "server.signing_secret",
    "bootstrap.personal_key",
    "catalog.token",
    "catalog.credential",
    "kafka.password",
    "s3.secret_access_key",
    "s3.session_token",
];

/// Some of its entries may hold secrets.
const PROPERTIES: &str = "kafka.properties";

/// Settings in force, and where each came from.
pub struct Resolved {
    /// The values.
    pub settings: Settings,
    /// Origin per dotted key: `default`, a file, an environment name or `flag`.
    pub origins: BTreeMap<String, String>,
    /// Things the operator should know but that do not stop the start.
    pub notes: Vec<String>,
    table: Table,
}

/// Resolves settings for this process: its file, its environment, its flags.
pub fn resolve(file: Option<&Path>, flags: &[(&str, String)]) -> anyhow::Result<Resolved> {
    resolve_from(file, std::env::vars(), flags)
}

/// What AWS tools read of the environment, for object stores that backups go to.
pub fn store_options() -> Vec<(String, String)> {
    std::env::vars().filter(|(name, _)| name.starts_with("AWS_")).collect()
}

/// The defaults alone.
pub fn defaults() -> anyhow::Result<Resolved> {
    resolve_from(None, std::iter::empty(), &[])
}

/// Resolves settings. All problems are reported at once.
fn resolve_from(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    flags: &[(&str, String)],
) -> anyhow::Result<Resolved> {
    let defaults: Table = DEFAULT.parse().context("config/default.toml is broken")?;
    let table = defaults.clone();
    let origins = keys(&table).into_iter().map(|key| (key, "default".to_owned())).collect();
    let mut layers = Layers { table, origins, problems: Vec::new() };
    if let Some(path) = file {
        layers.read_file(path)?;
    }
    let environment: BTreeMap<String, String> = environment.collect();
    for (name, key) in ALIASES {
        if let Some(text) = environment.get(name) {
            layers.put_text(key, text, name);
        }
    }
    for (name, text) in &environment {
        if let Some(path) = name.strip_prefix("TENREC__") {
            layers.put_text(&path.to_lowercase().replace("__", "."), text, name);
        }
    }
    for (key, text) in flags {
        layers.put_text(key, text, "flag");
    }
    let notes = NOT_YET
        .iter()
        .filter(|name| environment.contains_key(**name))
        .map(|name| format!("{name} is set, but this version does not use it yet"))
        .collect();
    let Layers { table, origins, mut problems } = layers;
    // Each value that was given is also tried alone, so that one that cannot be read does not hide the next.
    for (key, origin) in origins.iter().filter(|(_, origin)| *origin != "default") {
        let mut alone = defaults.clone();
        if let (Some(slot), Some(value)) = (slot(&mut alone, key), look_up(&table, key)) {
            *slot = value.clone();
        }
        problems.extend(faults(&alone).1.into_iter().map(|fault| format!("{origin}: {fault}")));
    }
    let (settings, together) = faults(&table);
    if problems.is_empty() {
        problems = together;
        problems.extend(settings.iter().flat_map(Settings::contradictions));
    }
    match settings {
        Some(settings) if problems.is_empty() => Ok(Resolved { settings, origins, notes, table }),
        _ => bail!("the settings have {} problem(s):\n  {}", problems.len(), problems.join("\n  ")),
    }
}

/// The settings a table spells, and what is wrong with them.
fn faults(table: &Table) -> (Option<Settings>, Vec<String>) {
    match Settings::deserialize_from(table) {
        Ok(settings) => {
            let problems = settings.problems();
            (Some(settings), problems)
        }
        Err(error) => (None, vec![error]),
    }
}

/// Where the value of a dotted key lies.
fn slot<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    let (section, name) = key.split_once('.')?;
    table.get_mut(section)?.as_table_mut()?.get_mut(name)
}

/// The values gathered so far.
struct Layers {
    table: Table,
    origins: BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Layers {
    fn read_file(&mut self, path: &Path) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the settings file {}", path.display()))?;
        // Not with the line itself, which the error would quote: it may hold a password.
        let given: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| 1 + before.matches('\n').count());
            anyhow!("{} is not valid TOML: line {line}: {}", path.display(), error.message())
        })?;
        for key in keys(&given) {
            if let Some(value) = look_up(&given, &key) {
                self.put(&key, value.clone(), &path.display().to_string());
            }
        }
        Ok(())
    }

    fn put(&mut self, key: &str, value: Value, origin: &str) {
        match slot(&mut self.table, key) {
            Some(slot) => {
                *slot = value;
                self.origins.insert(key.to_owned(), origin.to_owned());
            }
            None => self.problems.push(format!("{origin}: there is no setting `{key}`")),
        }
    }

    /// Sets a value given as text, read as the type the default has.
    fn put_text(&mut self, key: &str, text: &str, origin: &str) {
        let value = match look_up(&self.table, key) {
            Some(Value::Integer(_)) => text.trim().parse().map(Value::Integer).ok(),
            Some(Value::Boolean(_)) => text.trim().parse().map(Value::Boolean).ok(),
            Some(Value::Array(_)) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
            }
            _ => Some(Value::String(text.to_owned())),
        };
        match value {
            Some(value) => self.put(key, value, origin),
            None => self.problems.push(format!("{origin}: `{text}` cannot be read as the value of {key}")),
        }
    }
}

/// Reads settings from a table, naming the key at fault.
trait FromTable: Sized {
    fn deserialize_from(table: &Table) -> Result<Self, String>;
}

impl FromTable for Settings {
    fn deserialize_from(table: &Table) -> Result<Self, String> {
        table.clone().try_into().map_err(|e: toml::de::Error| e.to_string().trim().replace('\n', " "))
    }
}

impl Resolved {
    /// One line per setting: key, value (secrets masked), origin.
    pub fn lines(&self) -> Vec<[String; 3]> {
        self.origins
            .iter()
            .map(|(key, origin)| {
                let value = look_up(&self.table, key).map(ToString::to_string).unwrap_or_default();
                let shown = match key.as_str() {
                    PROPERTIES => Value::from(self.settings.kafka.masked()).to_string(),
                    URL => Value::String(masked(&self.settings.metastore.url)).to_string(),
                    CATALOG if self.settings.catalog.kind == CatalogKind::Postgres => {
                        Value::String(masked(&self.settings.catalog.uri)).to_string()
                    }
                    secret if SECRETS.contains(&secret) && value != "\"\"" => "\"***\"".to_owned(),
                    _ => value,
                };
                [key.clone(), shown, origin.clone()]
            })
            .collect()
    }
}

fn keys(table: &Table) -> Vec<String> {
    let mut found = Vec::new();
    for (section, value) in table {
        match value {
            Value::Table(inner) => found.extend(inner.keys().map(|key| format!("{section}.{key}"))),
            _ => found.push(section.clone()),
        }
    }
    found
}

fn look_up<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        Some((section, name)) => table.get(section)?.as_table()?.get(name),
        None => table.get(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> + use<> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn defaults_alone_are_valid() {
        let resolved = resolve_from(None, env(&[]), &[]).expect("defaults");
        assert!(resolved.origins.values().all(|origin| origin == "default"));
    }

    #[test]
    fn flag_beats_environment_beats_alias_beats_file() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("t.toml");
        std::fs::write(&path, "[server]\nlisten = \"127.0.0.1:1\"\n[query]\nmax_rows = 7\n").expect("write");
        let from_file = resolve_from(Some(&path), env(&[]), &[]).expect("file");
        assert_eq!(from_file.settings.server.listen.port(), 1);
        assert_eq!(from_file.settings.query.max_rows, 7);
        let all = env(&[("APP_ADDR", "127.0.0.1:2"), ("TENREC__SERVER__LISTEN", "127.0.0.1:3")]);
        let from_env = resolve_from(Some(&path), all, &[]).expect("env");
        assert_eq!(from_env.settings.server.listen.port(), 3);
        let flags = [("server.listen", "127.0.0.1:4".to_owned())];
        let from_flag = resolve_from(Some(&path), env(&[("APP_ADDR", "127.0.0.1:2")]), &flags).expect("flag");
        assert_eq!(from_flag.settings.server.listen.port(), 4);
        assert_eq!(from_flag.origins["server.listen"], "flag");
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let all = env(&[
            ("TENREC__SERVER__LISTENN", "x"),
            ("TENREC__QUERY__MAX_ROWS", "many"),
            ("TENREC__CLOCK__FIXED", "noon"),
            ("TENREC__CAPTURE__TOKEN_MODE", "maybe"),
            ("TENREC__SERVER__LISTEN", "here"),
            ("TENREC__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, nonsense"),
        ]);
        let text = resolve_from(None, all, &[]).err().expect("problems").to_string();
        for expected in
            ["server.listenn", "query.max_rows", "clock.fixed", "nonsense", "token_mode", "server.listen`"]
        {
            assert!(text.contains(expected), "{expected} is missing in: {text}");
        }
    }

    #[test]
    fn values_that_need_each_other_are_judged_together() {
        let keys = [
            ("TENREC__S3__ENDPOINT", "http://127.0.0.1:9000"),
            ("TENREC__S3__ACCESS_KEY_ID", "id"),
            ("TENREC__CATALOG__KIND", "rest"),
        ];
        let text = resolve_from(None, env(&keys), &[]).err().expect("problems").to_string();
        for expected in ["s3.allow_http", "s3.secret_access_key", "catalog.uri", "3 problem(s)"] {
            assert!(text.contains(expected), "{expected} is missing in: {text}");
        }
        let rest = [
            ("TENREC__S3__ALLOW_HTTP", "true"),
            ("TENREC__S3__SECRET_ACCESS_KEY", "secret"),
            ("TENREC__CATALOG__URI", "http://127.0.0.1:8181"),
        ];
        let all: Vec<(&str, &str)> = keys.into_iter().chain(rest).collect();
        resolve_from(None, env(&all), &[]).expect("together they are good");
    }

    #[test]
    fn secrets_are_masked() {
        let all = env(&[
            ("POSTHOG_SIGNING_SECRET", "canary"),
            ("TENREC__BOOTSTRAP__PERSONAL_KEY", "phx_canary"),
            ("TENREC__METASTORE__URL", "postgres://tenrec:canary@db/tenrec"),
            ("TENREC__CATALOG__KIND", "postgres"),
            ("TENREC__CATALOG__URI", "postgres://tenrec:canary@db/tenrec"),
            ("TENREC__CATALOG__TOKEN", "canary"),
            ("TENREC__CATALOG__CREDENTIAL", "id:canary"),
            ("TENREC__S3__ACCESS_KEY_ID", "AKIA"),
            ("TENREC__S3__SECRET_ACCESS_KEY", "canary"),
            ("TENREC__S3__SESSION_TOKEN", "canary"),
        ]);
        let resolved = resolve_from(None, all, &[]).expect("settings");
        let settings = &resolved.settings;
        let shown = format!("{:?} {:?} {:?}", settings.metastore, settings.catalog, settings.s3);
        assert!(!shown.contains("canary"));
        let url = resolved.lines().into_iter().find(|[key, ..]| key == URL).expect("listed");
        assert_eq!(url[1], "\"postgres://tenrec:***@db/tenrec\"");
        assert!(!format!("{:?}", resolved.lines()).contains("canary"));
        assert_eq!(resolved.settings.server.signing_secret, "canary");

        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("t.toml");
        for text in ["\n[metastore]\nurl = \"postgres://u:canary", "[metastore]\nurl = [\"canary\"]"] {
            std::fs::write(&path, text).expect("write");
            let error = resolve_from(Some(&path), env(&[]), &[]).err().expect("a fault");
            assert!(!format!("{error:#} {error:?}").contains("canary"), "{error:#}");
        }
        let wrong = env(&[("TENREC__METASTORE__URL", "mysql://u:canary@db/tenrec")]);
        let error = resolve_from(None, wrong, &[]).err().expect("a fault").to_string();
        assert!(error.contains("metastore.url") && !error.contains("canary"), "{error}");
    }
}
