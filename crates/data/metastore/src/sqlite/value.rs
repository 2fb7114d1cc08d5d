//! How values look in columns: microseconds, 16-byte uuids, JSON text; and lists of them in statements.

use super::fault::Fault;
use jiff::Timestamp;
use rusqlite::{Row, ToSql, Transaction, params_from_iter};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// Sizes of `IN` lists. Few sizes keep few prepared statements; a list is filled up with NULL, which matches nothing.
const LISTS: [usize; 3] = [1, 16, 256];

pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

pub(super) fn time(row: &Row<'_>, column: usize) -> Result<Timestamp, Fault> {
    let micros: i64 = row.get(column)?;
    Timestamp::from_microsecond(micros).map_err(|_| {
        Fault::Damaged(format!("{micros} microseconds is no time between the years -9999 and 9999"))
    })
}

pub(super) fn maybe_time(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>, Fault> {
    let stored: Option<i64> = row.get(column)?;
    stored.map(|_| time(row, column)).transpose()
}

pub(super) fn uuid(row: &Row<'_>, column: usize) -> Result<Uuid, Fault> {
    let bytes: [u8; 16] = row.get(column)?;
    Ok(Uuid::from_bytes(bytes))
}

pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, Fault> {
    let text = row
        .get_ref(column)?
        .as_str()
        .map_err(|_| Fault::Damaged("a JSON column holds no text".to_owned()))?;
    serde_json::from_str(text)
        .map_err(|error| Fault::Damaged(format!("a JSON column does not parse: {error}")))
}

pub(super) fn text(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::Known(crate::Kind::Bug.because("write JSON", error)))
}

/// Asks for many rows by one of their columns: `{list}` in `sql` becomes placeholders for a chunk of
/// `items`, after the placeholders of `head`. Every row found is given to `row`.
pub(super) fn each_in<T: ToSql>(
    tx: &Transaction<'_>,
    sql: &str,
    head: &[&dyn ToSql],
    items: &[T],
    mut row: impl FnMut(&Row<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let largest = LISTS[LISTS.len() - 1];
    for chunk in items.chunks(largest) {
        let size = LISTS.into_iter().find(|size| *size >= chunk.len()).unwrap_or(largest);
        let list = vec!["?"; size].join(",");
        let mut statement = tx.prepare_cached(&sql.replace("{list}", &list))?;
        let asked = chunk.iter().map(|item| item as &dyn ToSql);
        let filling = std::iter::repeat_n(&rusqlite::types::Null as &dyn ToSql, size - chunk.len());
        let mut rows = statement.query(params_from_iter(head.iter().copied().chain(asked).chain(filling)))?;
        while let Some(found) = rows.next()? {
            row(found)?;
        }
    }
    Ok(())
}
