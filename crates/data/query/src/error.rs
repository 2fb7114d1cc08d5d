//! Why a question has no answer.

use datafusion::{common::SchemaError, error::DataFusionError};
use serde::Serialize;

/// Code of a question that took too long.
pub(crate) const TIMEOUT: &str = "timeout_exceeded";
/// Code of a question that needed too much memory.
const MEMORY: &str = "memory_limit_exceeded";

/// What the caller must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The statement is refused or cannot be planned: show the text to its author.
    Invalid,
    /// A table or column does not exist: show the text to its author.
    NotFound,
    /// Too many questions at once: ask again after a moment.
    Busy,
    /// The question ran into a limit of time, memory or size: ask for less.
    Limit,
    /// Storage did not answer: ask again.
    Unavailable,
    /// Stored bytes are damaged: an operator must look at the named file.
    Corrupt,
    /// Our mistake: report it.
    Bug,
}

/// A question without an answer. The text in `context` is safe to show unless the kind is
/// `Unavailable`, `Corrupt` or `Bug`.
#[derive(Debug, thiserror::Error)]
#[error("{context}")]
pub struct Error {
    /// What the caller must do.
    pub kind: Kind,
    /// A stable word for the cause, as PostHog's `code`.
    pub code: &'static str,
    /// What went wrong, in one or two sentences.
    pub context: String,
    /// What it came from.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The body PostHog sends with a status of 400 and above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Family: `validation_error`, `throttled_error` or `server_error`.
    #[serde(rename = "type")]
    pub family: &'static str,
    /// Stable word.
    pub code: &'static str,
    /// Text for people.
    pub detail: String,
    /// The field at fault.
    pub attr: Option<&'static str>,
}

impl Error {
    pub(crate) fn new(kind: Kind, code: &'static str, context: impl Into<String>) -> Self {
        Self { kind, code, context: context.into(), source: None }
    }

    pub(crate) fn invalid(context: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, "invalid_input", context)
    }

    pub(crate) fn refused(context: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, "not_allowed", context)
    }

    /// Names a failure of storage, keeping what it came from.
    pub fn unavailable(
        context: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { source: Some(source.into()), ..Self::new(Kind::Unavailable, "unavailable", context) }
    }

    /// Names damaged bytes, keeping what it came from.
    pub fn corrupt(
        context: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { source: Some(source.into()), ..Self::new(Kind::Corrupt, "corrupt", context) }
    }

    /// The HTTP status PostHog's clients expect for it.
    ///
    /// # Compat
    /// What runs too long or needs too much memory is a gateway timeout, as in PostHog's `posthog/exceptions.py`.
    pub fn status(&self) -> u16 {
        match self.kind {
            Kind::Limit if self.is_exhaustion() => 504,
            Kind::Invalid | Kind::NotFound | Kind::Limit => 400,
            Kind::Busy => 429,
            Kind::Unavailable => 503,
            Kind::Corrupt | Kind::Bug => 500,
        }
    }

    /// Whether the question ran out of time or memory, as opposed to asking for too large an answer.
    fn is_exhaustion(&self) -> bool {
        matches!(self.code, TIMEOUT | MEMORY)
    }

    /// The error body in PostHog's shape. Causes inside the server are not described.
    pub fn problem(&self) -> Problem {
        let (family, code, detail) = match self.kind {
            Kind::Limit if self.is_exhaustion() => ("server_error", self.code, self.context.clone()),
            Kind::Invalid | Kind::NotFound | Kind::Limit => {
                ("validation_error", self.code, self.context.clone())
            }
            Kind::Busy => ("throttled_error", "throttled", self.context.clone()),
            Kind::Unavailable | Kind::Corrupt | Kind::Bug => {
                ("server_error", "error", "A server error occurred.".to_owned())
            }
        };
        let attr = matches!(self.kind, Kind::Invalid | Kind::NotFound).then_some("query");
        Problem { family, code, detail, attr }
    }
}

/// Sorts an engine error into ours; `tables` are the names a misspelt table is compared with.
pub(crate) fn translate(error: DataFusionError, tables: &[String]) -> Error {
    match error.find_root() {
        DataFusionError::SchemaError(cause, _) => schema(cause),
        DataFusionError::SQL(cause, _) => {
            Error::new(Kind::Invalid, "syntax_error", format!("The SQL cannot be read: {cause}"))
        }
        DataFusionError::Plan(text) => planned(text, tables),
        DataFusionError::NotImplemented(text) => {
            Error::new(Kind::Invalid, "not_implemented", format!("Not supported: {}", first_line(text)))
        }
        DataFusionError::ResourcesExhausted(text) => Error::new(
            Kind::Limit,
            MEMORY,
            format!(
                "The query needs more memory than it may use. Narrow the time range, select fewer columns or \
                 group by fewer values. ({})",
                first_line(text)
            ),
        ),
        DataFusionError::Execution(text) => computed(text),
        DataFusionError::ArrowError(cause, _) => computed(&cause.to_string()),
        DataFusionError::ParquetError(cause) => match failed_filter(&cause.to_string()) {
            Some(fault) => fault,
            None => Error::corrupt("A data file cannot be read", error),
        },
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => {
            Error::unavailable("A data file cannot be reached", error)
        }
        DataFusionError::External(_) => external(error),
        _ => {
            let bug = Error::new(Kind::Bug, "error", "The query engine failed");
            Error { source: Some(Box::new(error)), ..bug }
        }
    }
}

/// Gives back an error of ours that travelled through the engine.
fn external(error: DataFusionError) -> Error {
    if let DataFusionError::External(inner) = error.find_root()
        && let Some(ours) = inner.downcast_ref::<Error>()
    {
        return Error { source: None, ..Error::new(ours.kind, ours.code, ours.context.clone()) };
    }
    // Nothing but the tables is read, and their errors are ours: what else comes from outside the
    // engine while it rewrites the statement is about the statement, such as a malformed pattern.
    if let DataFusionError::Context(..) = &error {
        return computed(&error.find_root().to_string());
    }
    Error::unavailable("A table cannot be read", error)
}

/// A computation that failed on a value or on a pattern.
fn computed(text: &str) -> Error {
    if ["regex parse error", "Regular expression did not compile"].iter().any(|word| text.contains(word)) {
        return bad_pattern(text);
    }
    Error::invalid(first_line(text).to_owned())
}

fn bad_pattern(text: &str) -> Error {
    let flat = text.replace("\\n", "\n");
    let why = flat.lines().find_map(|line| line.trim().strip_prefix("error: ")).unwrap_or("it is too large");
    Error::invalid(format!("The regular expression cannot be read: {}.", why.trim_end_matches(['"', ')'])))
}

/// A filter that failed on a value while a file was read: the file is well.
fn failed_filter(text: &str) -> Option<Error> {
    let (_, cause) = text.split_once("Error evaluating filter predicate: ")?;
    if cause.contains("Regular expression did not compile") {
        return Some(bad_pattern(cause));
    }
    let said = cause.rsplit("Error(\"").next().unwrap_or(cause);
    let said = said.split('"').next().unwrap_or(said);
    Some(Error::invalid(format!("A filter fails on a value: {}", first_line(said))))
}

fn schema(cause: &SchemaError) -> Error {
    match cause {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names: Vec<String> = valid_fields.iter().map(|column| column.name.clone()).collect();
            let hint = crate::suggest::nearest(&field.name, &names);
            let detail = match hint {
                Some(name) => format!("Column \"{}\" not found. Did you mean \"{name}\"?", field.flat_name()),
                None if names.is_empty() => format!("Column \"{}\" not found.", field.flat_name()),
                None => format!("Column \"{}\" not found. Columns here: {}.", field.flat_name(), few(&names)),
            };
            Error::new(Kind::NotFound, "column_not_found", detail)
        }
        other => {
            let text = other.to_string();
            Error::invalid(first_line(&text).to_owned())
        }
    }
}

fn planned(text: &str, tables: &[String]) -> Error {
    let line = first_line(text);
    if let Some(rest) = line.strip_prefix("table '")
        && let Some(full) = rest.split('\'').next()
    {
        let name = full.rsplit('.').next().unwrap_or(full);
        return unknown_table(name, tables);
    }
    Error::invalid(line.to_owned())
}

pub(crate) fn unknown_table(name: &str, tables: &[String]) -> Error {
    let detail = match crate::suggest::nearest(name, tables) {
        Some(near) => format!("Table \"{name}\" not found. Did you mean \"{near}\"?"),
        None => format!("Table \"{name}\" not found. Tables: {}.", few(tables)),
    };
    Error::new(Kind::NotFound, "table_not_found", detail)
}

fn few(names: &[String]) -> String {
    let mut text = names.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 20 {
        text.push_str(", ...");
    }
    text
}

/// Engine texts carry back traces after the first line.
fn first_line(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default().trim();
    line.split("\n\nbacktrace").next().unwrap_or(line)
}
