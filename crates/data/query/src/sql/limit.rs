//! Bounds the rows of a statement and learns whether there were more.

use datafusion::sql::sqlparser::ast::{Expr, LimitClause, Offset, OffsetRows, Query, Value};

use crate::{Error, Limits};

/// The rows of the answer: one more than `limit` is fetched to know whether more exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Rows kept.
    pub(crate) limit: usize,
    /// Rows skipped first.
    pub(crate) offset: usize,
}

/// Replaces the outermost LIMIT by the effective one plus one row. `asked` bounds the answer from
/// outside the SQL text.
pub(crate) fn apply(query: &mut Query, limits: &Limits, asked: Option<usize>) -> Result<Window, Error> {
    if query.fetch.is_some() {
        return Err(Error::invalid("FETCH is not accepted: write LIMIT."));
    }
    let (limit, offset) = match query.limit_clause.take() {
        None => (None, None),
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
            if !limit_by.is_empty() {
                return Err(Error::invalid("LIMIT BY is not supported."));
            }
            (limit, offset.map(|offset| offset.value))
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
    };
    let most = asked.unwrap_or(limits.rows).min(limits.rows);
    let limit = match limit {
        Some(expr) => count(&expr, "LIMIT")?.min(most),
        None => limits.default_rows.max(asked.unwrap_or(0)).min(most),
    };
    let offset = offset.as_ref().map_or(Ok(0), |expr| count(expr, "OFFSET"))?;
    let skip = (offset > 0).then(|| Offset { value: number(offset), rows: OffsetRows::None });
    query.limit_clause =
        Some(LimitClause::LimitOffset { limit: Some(number(limit + 1)), offset: skip, limit_by: Vec::new() });
    Ok(Window { limit, offset })
}

fn number(value: usize) -> Expr {
    Expr::Value(Value::Number(value.to_string(), false).into())
}

fn count(expr: &Expr, word: &str) -> Result<usize, Error> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.parse().ok(),
            _ => None,
        },
        _ => None,
    }
    .ok_or_else(|| Error::invalid(format!("{word} takes a whole number.")))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{ast::Statement, dialect::GenericDialect, parser::Parser};

    use super::*;

    fn window(text: &str, asked: Option<usize>) -> (Window, String) {
        let mut all = Parser::parse_sql(&GenericDialect {}, text).expect("test SQL parses");
        let Some(Statement::Query(mut query)) = all.pop() else { panic!("a query") };
        let window = apply(&mut query, &Limits::default(), asked).expect("a window");
        (window, query.to_string())
    }

    #[test]
    fn the_limit_is_bounded_and_one_row_is_fetched_beyond() {
        let cases = [
            ("SELECT 1", None, 100, 0, "SELECT 1 LIMIT 101"),
            ("SELECT 1 LIMIT 5", None, 5, 0, "SELECT 1 LIMIT 6"),
            ("SELECT 1 LIMIT 5 OFFSET 7", None, 5, 7, "SELECT 1 LIMIT 6 OFFSET 7"),
            ("SELECT 1 LIMIT 99999999", None, 50_000, 0, "SELECT 1 LIMIT 50001"),
            ("SELECT 1", Some(1_000), 1_000, 0, "SELECT 1 LIMIT 1001"),
            ("SELECT 1 LIMIT 50", Some(10), 10, 0, "SELECT 1 LIMIT 11"),
        ];
        for (text, asked, limit, offset, shown) in cases {
            let (window, rewritten) = window(text, asked);
            assert_eq!((window, rewritten.as_str()), (Window { limit, offset }, shown), "{text}");
        }
    }
}
