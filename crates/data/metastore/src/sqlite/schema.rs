//! The tables, and how an older file becomes a current one.

use super::fault::Fault;
use crate::Kind;
use rusqlite::{Connection, TransactionBehavior};

/// Marks the file as ours in SQLite's header: "TNRC".
const APPLICATION: i32 = 0x544E_5243;

/// Entry N brings a file from `user_version` N to N + 1. Entries are never edited, only added.
const MIGRATIONS: &[&str] = &[include_str!("schema/0001.sql")];

/// Brings the schema up to date, each step in its own transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    loop {
        // Immediate: of two processes that open the file at once, the second waits and then finds it done.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version = refuse_other(&transaction)?;
        let Some(step) = MIGRATIONS.get(version) else { return Ok(()) };
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", version as i64 + 1)?;
        telemetry::fail_point!("metastore.before_migration");
        transaction.commit()?;
        telemetry::fail_point!("metastore.after_migration");
    }
}

/// The schema version of a file; refuses one of another program or of a newer version of this one.
pub(super) fn refuse_other(connection: &Connection) -> Result<usize, Fault> {
    let newest = MIGRATIONS.len();
    let stored: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && (application != 0 || stored != 0 || tables != 0) {
        return Err(Kind::Invalid
            .error("the metadata file is a SQLite database of another program: point Tenrec at its own file")
            .into());
    }
    let version = usize::try_from(stored).unwrap_or(usize::MAX);
    if version > newest {
        return Err(Kind::Invalid
            .error(format!(
                "the metadata file has schema version {stored}, this program knows up to {newest}: \
                 start the newer version of Tenrec that wrote it"
            ))
            .into());
    }
    Ok(version)
}

/// Reads the whole file once and refuses it when SQLite finds damage: in its pages, or between rows and indexes, so that
/// names, keys and ids that lost a bit are found.
pub(super) fn check(connection: &Connection) -> Result<(), Fault> {
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(Fault::Damaged(found)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut connection = Connection::open_in_memory().expect("memory");
        migrate(&mut connection).expect("first");
        let schema = |connection: &Connection| -> i64 {
            connection.query_row("PRAGMA schema_version", [], |row| row.get(0)).expect("pragma")
        };
        let before = schema(&connection);
        migrate(&mut connection).expect("second");
        assert_eq!(before, schema(&connection));
        check(&connection).expect("sound");
    }
}
