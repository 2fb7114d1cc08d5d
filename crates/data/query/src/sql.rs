//! The SQL front: text in, one checked and rewritten statement out.

mod build;
mod dialect;
mod guard;
mod limit;
#[cfg(any(test, feature = "fuzzing"))]
mod oracle;
mod property;
mod spelling;

use datafusion::sql::sqlparser::{
    ast::{Statement, VisitMut},
    parser::Parser,
    tokenizer::{Token, Tokenizer},
};

use crate::{Error, Limits};
use dialect::Posthog;
pub(crate) use limit::Window;
#[cfg(feature = "fuzzing")]
pub use oracle::examine;

/// Tokens of one statement at most. Together with the parser's depth limit it bounds every
/// recursion over the tree.
const TOKENS: usize = 20_000;
/// Nesting the parser follows before it gives up.
const NESTING: usize = 64;

/// One statement, ready to plan.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// What to plan.
    pub(crate) statement: Statement,
    /// Which rows of the answer to keep.
    pub(crate) window: Window,
    /// Whether only the plan is asked for.
    pub(crate) explain: bool,
}

/// Reads a user's statement: one, reading only, of bounded size.
pub(crate) fn prepare(text: &str, limits: &Limits, asked: Option<usize>) -> Result<Prepared, Error> {
    let mut statement = parse(text, limits.text_bytes)?;
    guard::check(&statement)?;
    let (inner, explain) = guard::readable(&mut statement)?;
    let window = match inner {
        Statement::Query(query) => {
            rewrite(query)?;
            limit::apply(query, limits, asked)?
        }
        _ => Window { limit: limits.rows, offset: 0 },
    };
    Ok(Prepared { statement, window, explain })
}

/// Reads one of our own view texts.
pub(crate) fn view(text: &str) -> Result<Statement, Error> {
    let mut statement = parse(text, usize::MAX)?;
    if let Statement::Query(query) = &mut statement {
        rewrite(query)?;
    }
    Ok(statement)
}

fn rewrite<N: VisitMut>(node: &mut N) -> Result<(), Error> {
    property::name(node);
    spelling::rewrite(node)?;
    property::rewrite(node)
}

fn parse(text: &str, most: usize) -> Result<Statement, Error> {
    if text.len() > most {
        return Err(Error::invalid(format!(
            "The query is {} bytes long; at most {most} bytes are accepted.",
            text.len()
        )));
    }
    let dialect = Posthog;
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|cause| syntax(&format!("{cause}")))?;
    let words = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).count();
    if words > TOKENS {
        return Err(Error::invalid(format!(
            "The query has {words} words and signs; at most {TOKENS} are accepted."
        )));
    }
    let placeholder = tokens.iter().any(|token| token.token == Token::LBrace);
    let mut statements = Parser::new(&dialect)
        .with_recursion_limit(NESTING)
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(|cause| if placeholder { no_placeholders() } else { syntax(&cause.to_string()) })?;
    match (statements.pop(), statements.len()) {
        (Some(statement), 0) => Ok(statement),
        (None, _) => Err(Error::invalid("The query is empty.")),
        (Some(_), more) => {
            Err(Error::refused(format!("Exactly one statement is accepted, this text has {}.", more + 1)))
        }
    }
}

fn no_placeholders() -> Error {
    let text =
        "Placeholders such as {filters} or {variables.x} are not supported yet: write the value itself.";
    Error::new(crate::Kind::Invalid, "not_implemented", text)
}

fn syntax(cause: &str) -> Error {
    let cause = cause.trim_start_matches("sql parser error: ");
    Error::new(crate::Kind::Invalid, "syntax_error", format!("The SQL cannot be read: {cause}"))
}
