//! Salts in PostgreSQL.

use super::Postgres;
use super::fault::Fault;
use super::value::{change, column, row};
use crate::Result;
use crate::salt::Store;
use async_trait::async_trait;
use deadpool_postgres::GenericClient;
use jiff::civil::Date;

#[async_trait]
impl Store for Postgres {
    async fn salt(&self, day: Date, fresh: [u8; 16]) -> Result<[u8; 16]> {
        let day = day.to_string();
        self.finish("read or store a salt", async {
            if let Some(salt) = known(&self.client().await?, &day).await? {
                return Ok(salt);
            }
            let mut desk = self.desk().await?;
            let tx = desk.begin().await?;
            let sql = "INSERT INTO cookieless_salts (day, salt) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            change(&tx, sql, &[&day, &fresh.as_slice()]).await?;
            let salt = known(&tx, &day).await?;
            tx.commit().await?;
            salt.ok_or_else(|| Fault::Damaged("a salt that was just stored is not there".to_owned()))
        })
        .await
    }

    async fn forget_salts(&self, day: Date) -> Result<()> {
        let day = day.to_string();
        self.finish("forget salts", async {
            let mut desk = self.desk().await?;
            let tx = desk.begin().await?;
            change(&tx, "DELETE FROM cookieless_salts WHERE day < $1", &[&day]).await?;
            Ok(tx.commit().await?)
        })
        .await
    }
}

async fn known(client: &impl GenericClient, day: &str) -> Result<Option<[u8; 16]>, Fault> {
    let sql = "SELECT salt FROM cookieless_salts WHERE day = $1";
    let Some(row) = row(client, sql, &[&day]).await? else { return Ok(None) };
    let bytes: &[u8] = column(&row, 0)?;
    let salt = bytes.try_into().map(Some);
    salt.map_err(|_| Fault::Damaged(format!("the salt of {day} has {} bytes, not 16", bytes.len())))
}
