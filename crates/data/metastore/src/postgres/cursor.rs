//! Cursors in PostgreSQL.

use super::Postgres;
use super::value::{change, row, stored, text};
use crate::Result;
use crate::cursor::Store;
use async_trait::async_trait;

#[async_trait]
impl Store for Postgres {
    async fn cursor(&self, name: &str) -> Result<Option<String>> {
        self.finish("read a cursor", async {
            let client = self.client().await?;
            let sql = "SELECT value FROM cursors WHERE name = $1";
            row(&client, sql, &[&stored(name)]).await?.map(|row| text(&row, 0)).transpose()
        })
        .await
    }

    async fn advance_cursor(&self, name: &str, value: &str) -> Result<()> {
        self.finish("advance a cursor", async {
            let mut desk = self.desk().await?;
            let tx = desk.begin().await?;
            let sql = "INSERT INTO cursors (name, value) VALUES ($1, $2)
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            change(&tx, sql, &[&stored(name), &stored(value)]).await?;
            Ok(tx.commit().await?)
        })
        .await
    }
}
