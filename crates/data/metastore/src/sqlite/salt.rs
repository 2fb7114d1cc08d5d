//! Salts in SQLite.

use super::Sqlite;
use crate::Result;
use crate::salt::Store;
use async_trait::async_trait;
use jiff::civil::Date;
use rusqlite::{OptionalExtension, params};

const SELECT: &str = "SELECT salt FROM cookieless_salts WHERE day = ?1";

#[async_trait]
impl Store for Sqlite {
    async fn salt(&self, day: Date, fresh: [u8; 16]) -> Result<[u8; 16]> {
        let day = day.to_string();
        let wanted = day.clone();
        let known = self.read("read a salt", move |tx| {
            Ok(tx.prepare_cached(SELECT)?.query_row([wanted], |row| row.get(0)).optional()?)
        });
        if let Some(salt) = known.await? {
            return Ok(salt);
        }
        self.write("store a salt", move |tx| {
            tx.execute(
                "INSERT INTO cookieless_salts (day, salt) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![day, fresh],
            )?;
            Ok(tx.query_row(SELECT, [day], |row| row.get(0))?)
        })
        .await
    }

    async fn forget_salts(&self, day: Date) -> Result<()> {
        let day = day.to_string();
        self.write("forget salts", move |tx| {
            tx.execute("DELETE FROM cookieless_salts WHERE day < ?1", [day])?;
            Ok(())
        })
        .await
    }
}
