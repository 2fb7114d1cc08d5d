//! Cursors in SQLite.

use super::Sqlite;
use crate::Result;
use crate::cursor::Store;
use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};

#[async_trait]
impl Store for Sqlite {
    async fn cursor(&self, name: &str) -> Result<Option<String>> {
        let name = name.to_owned();
        self.read("read a cursor", move |tx| {
            let sql = "SELECT value FROM cursors WHERE name = ?1";
            Ok(tx.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()?)
        })
        .await
    }

    async fn advance_cursor(&self, name: &str, value: &str) -> Result<()> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.write("advance a cursor", move |tx| {
            tx.execute(
                "INSERT INTO cursors (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                params![name, value],
            )?;
            Ok(())
        })
        .await
    }
}
