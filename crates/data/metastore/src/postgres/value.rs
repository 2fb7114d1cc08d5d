//! How values look in columns: microseconds, uuids, JSON text; text without NUL; and rows for one statement.

use super::fault::Fault;
use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hash;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

/// Stands before an escaped character. It is the last code point there is and means nothing, so nobody sends it.
const ESCAPE: char = '\u{10FFFF}';

/// Text as it is stored. PostgreSQL holds no NUL character in text, so NUL becomes two others, and comes back.
///
/// Names that differ stay different; replacing NUL by one fixed character, as PostHog's ingestion does, would let two
/// distinct ids become one row.
pub(super) fn stored(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => escaped.extend([ESCAPE, '0']),
            ESCAPE => escaped.extend([ESCAPE, '1']),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// Text as it was before [`stored`].
fn original(text: &str) -> String {
    if !text.contains(ESCAPE) {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ESCAPE => plain.push(if characters.next() == Some('0') { '\0' } else { ESCAPE }),
            other => plain.push(other),
        }
    }
    plain
}

pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A column as it is; what it holds must be of that type.
pub(super) fn column<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, Fault> {
    row.try_get(at).map_err(|error| Fault::Damaged(format!("column {at} is not of its type: {error}")))
}

pub(super) fn text(row: &Row, at: usize) -> Result<String, Fault> {
    Ok(original(column(row, at)?))
}

pub(super) fn time(row: &Row, at: usize) -> Result<Timestamp, Fault> {
    let micros: i64 = column(row, at)?;
    Timestamp::from_microsecond(micros).map_err(|_| {
        Fault::Damaged(format!("{micros} microseconds is no time between the years -9999 and 9999"))
    })
}

pub(super) fn maybe_time(row: &Row, at: usize) -> Result<Option<Timestamp>, Fault> {
    let stored: Option<i64> = column(row, at)?;
    stored.map(|_| time(row, at)).transpose()
}

/// A slot of group types, 0-4.
pub(super) fn slot(row: &Row, at: usize) -> Result<u8, Fault> {
    let stored: i16 = column(row, at)?;
    u8::try_from(stored).map_err(|_| Fault::Damaged(format!("{stored} is no slot of a group type")))
}

pub(super) fn json<T: DeserializeOwned>(row: &Row, at: usize) -> Result<T, Fault> {
    serde_json::from_str(column(row, at)?)
        .map_err(|error| Fault::Damaged(format!("a JSON column does not parse: {error}")))
}

/// JSON text. It holds no NUL: JSON writes that as six ASCII characters.
pub(super) fn written(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::Known(crate::Kind::Bug.because("write JSON", error)))
}

/// Asks for rows with a statement that is prepared once per connection.
pub(super) async fn rows(
    client: &impl GenericClient,
    sql: &str,
    with: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, Fault> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query(&statement, with).await?)
}

/// Asks for at most one row.
pub(super) async fn row(
    client: &impl GenericClient,
    sql: &str,
    with: &[&(dyn ToSql + Sync)],
) -> Result<Option<Row>, Fault> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query_opt(&statement, with).await?)
}

/// Changes rows and tells how many.
pub(super) async fn change(
    client: &impl GenericClient,
    sql: &str,
    with: &[&(dyn ToSql + Sync)],
) -> Result<u64, Fault> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.execute(&statement, with).await?)
}

/// The last item of each key. One statement writes a row once; written one by one, the last would stay.
pub(super) fn last_of_each<'a, T, K: Eq + Hash>(items: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<&'a T> {
    let mut last = HashMap::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        last.insert(key(item), at);
    }
    if last.len() == items.len() {
        return items.iter().collect();
    }
    items
        .iter()
        .enumerate()
        .filter(|(at, item)| last.get(&key(item)) == Some(at))
        .map(|(_, item)| item)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_comes_back() {
        for text in ["", "plain", "\0", "a\0b\0", "\u{10FFFF}", "\u{10FFFF}0", "\0\u{10FFFF}1\u{fffd}"] {
            let stored = stored(text);
            assert!(!stored.contains('\0'));
            assert_eq!(original(&stored), text);
        }
        assert!(matches!(stored("plain"), Cow::Borrowed("plain")));
        assert_ne!(stored("\u{10FFFF}0"), stored("\0"));
    }

    #[test]
    fn the_last_of_each_stays_in_order() {
        let pairs = [(1, 'a'), (2, 'b'), (1, 'c'), (3, 'd')];
        assert_eq!(last_of_each(&pairs, |pair| pair.0), [&(2, 'b'), &(1, 'c'), &(3, 'd')]);
        assert_eq!(last_of_each(&pairs, |pair| pair.1).len(), 4);
    }
}
