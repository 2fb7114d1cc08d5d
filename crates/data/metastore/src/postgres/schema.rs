//! The tables, and how an older schema becomes a current one.

use super::fault::Fault;
use crate::{Kind, Result};
use deadpool_postgres::{ClientWrapper, Transaction};

/// Everything lies in this schema, so that the database may hold other things too.
pub(super) const SCHEMA: &str = "tenrec";

/// First half of the numbers of our advisory locks: "TNRC". They are per database.
pub(super) const LOCKS: i32 = 0x544E_5243;
/// Held while the schema changes.
const MIGRATION: i32 = 1;
/// Held by the connection that folds the log.
pub(super) const FOLD: i32 = 2;
/// Held while projects, keys, cursors or salts are written.
pub(super) const FACTS: i32 = 3;

/// Entry N brings a schema from version N to N + 1. Entries are never edited, only added.
const MIGRATIONS: &[&str] = &[include_str!("schema/0001.sql"), include_str!("schema/0002.sql")];

/// Brings the schema up to date, all steps in one transaction.
pub(super) async fn migrate(client: &mut ClientWrapper) -> Result<(), Fault> {
    let tx = client.transaction().await?;
    // Of two processes that open the database at once, the second waits and then finds it done.
    tx.query("SELECT pg_advisory_xact_lock($1, $2)", &[&LOCKS, &MIGRATION]).await?;
    refuse_encoding(&tx).await?;
    let newest = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    let version = version(&tx).await?;
    if version > newest {
        let why = format!(
            "the metadata database has schema version {version}, this program knows up to {newest}: \
             start the newer version of Tenrec that wrote it"
        );
        return Err(Kind::Invalid.error(why).into());
    }
    for (number, step) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > version) {
        tx.batch_execute(step).await?;
        tx.execute("INSERT INTO migrations (version) VALUES ($1)", &[&number]).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// The version of the schema, which is made when it is not there.
async fn version(tx: &Transaction<'_>) -> Result<i32, Fault> {
    let found = tx
        .query_one(
            "SELECT to_regnamespace($1) IS NOT NULL,
                    EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'migrations'),
                    EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace($1))",
            &[&SCHEMA],
        )
        .await?;
    let (exists, is_ours, is_used): (bool, bool, bool) =
        (found.try_get(0)?, found.try_get(1)?, found.try_get(2)?);
    if is_used && !is_ours {
        let why = format!(
            "the schema {SCHEMA} of this database belongs to another program: give Tenrec a database of its own"
        );
        return Err(Kind::Invalid.error(why).into());
    }
    if !exists {
        tx.batch_execute(&format!("CREATE SCHEMA {SCHEMA}")).await?;
    }
    if !is_ours {
        tx.batch_execute(
            "CREATE TABLE migrations (version INTEGER PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())",
        )
        .await?;
    }
    Ok(tx.query_one("SELECT coalesce(max(version), 0) FROM migrations", &[]).await?.try_get(0)?)
}

/// Refuses a database that cannot hold every text.
async fn refuse_encoding(tx: &Transaction<'_>) -> Result<(), Fault> {
    let encoding: String = tx.query_one("SHOW server_encoding", &[]).await?.try_get(0)?;
    if encoding == "UTF8" {
        return Ok(());
    }
    let why = format!("the metadata database is encoded in {encoding}: create it with ENCODING 'UTF8'");
    Err(Kind::Invalid.error(why).into())
}
