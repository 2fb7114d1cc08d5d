//! Pointers to table metadata, in the layout of JDBC catalogs and pyiceberg's SQL catalog.
//!
//! They lie in the schema `public`, where programs that are given the database's URL look for them; everything else of
//! ours lies in a schema of its own.

use super::Postgres;
use super::value::{change, row, rows, text};
use crate::{Kind, Result};

const LAYOUT: &str = "
CREATE TABLE IF NOT EXISTS public.iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL,
    table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000),
    previous_metadata_location VARCHAR(1000),
    iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name)
);
CREATE TABLE IF NOT EXISTS public.iceberg_namespace_properties (
    catalog_name VARCHAR(255) NOT NULL,
    namespace VARCHAR(255) NOT NULL,
    property_key VARCHAR(255) NOT NULL,
    property_value VARCHAR(1000),
    PRIMARY KEY (catalog_name, namespace, property_key)
);";

/// A table's name: catalog, namespace with dots, table.
pub type TableName<'a> = [&'a str; 3];

impl Postgres {
    /// Makes the tables of the layout where they are missing.
    ///
    /// # Errors
    /// As every call: `Unavailable`, `Busy`, `Bug`.
    pub async fn make_pointers(&self) -> Result<()> {
        self.finish("make a catalog", async {
            let mut desk = self.desk().await?;
            let tx = desk.begin().await?;
            tx.batch_execute(LAYOUT).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Every namespace that has properties or tables, as written.
    ///
    /// # Errors
    /// As every call.
    pub async fn pointed_namespaces(&self, catalog: &str) -> Result<Vec<String>> {
        let sql = "SELECT namespace FROM public.iceberg_namespace_properties WHERE catalog_name = $1
                   UNION SELECT table_namespace FROM public.iceberg_tables WHERE catalog_name = $1";
        self.finish("list namespaces", async {
            let client = self.client().await?;
            rows(&client, sql, &[&catalog]).await?.iter().map(|row| text(row, 0)).collect()
        })
        .await
    }

    /// The properties of a namespace.
    ///
    /// # Errors
    /// As every call.
    pub async fn namespace_properties(
        &self,
        catalog: &str,
        namespace: &str,
    ) -> Result<Vec<(String, String)>> {
        let sql = "SELECT property_key, coalesce(property_value, '') FROM public.iceberg_namespace_properties
                   WHERE catalog_name = $1 AND namespace = $2 AND property_key <> 'exists'";
        self.finish("read a namespace", async {
            let client = self.client().await?;
            let found = rows(&client, sql, &[&catalog, &namespace]).await?;
            found.iter().map(|row| Ok((text(row, 0)?, text(row, 1)?))).collect()
        })
        .await
    }

    /// Replaces the properties of a namespace; none forgets it.
    ///
    /// # Errors
    /// As every call.
    pub async fn write_properties(
        &self,
        catalog: &str,
        namespace: &str,
        properties: Option<Vec<(String, String)>>,
    ) -> Result<()> {
        let keeps = properties.is_some();
        self.finish("write a namespace", async {
            let mut desk = self.desk().await?;
            let tx = desk.begin().await?;
            let gone =
                "DELETE FROM public.iceberg_namespace_properties WHERE catalog_name = $1 AND namespace = $2";
            change(&tx, gone, &[&catalog, &namespace]).await?;
            let put = "INSERT INTO public.iceberg_namespace_properties VALUES ($1, $2, $3, $4)";
            let mut all = properties.unwrap_or_default();
            if keeps {
                all.push(("exists".to_owned(), "true".to_owned()));
            }
            for (key, value) in &all {
                change(&tx, put, &[&catalog, &namespace, key, value]).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Names of the tables in a namespace, sorted.
    ///
    /// # Errors
    /// As every call.
    pub async fn pointed_tables(&self, catalog: &str, namespace: &str) -> Result<Vec<String>> {
        let sql =
            "SELECT table_name FROM public.iceberg_tables WHERE catalog_name = $1 AND table_namespace = $2
                   AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL) ORDER BY table_name COLLATE \"C\"";
        self.finish("list tables", async {
            let client = self.client().await?;
            rows(&client, sql, &[&catalog, &namespace]).await?.iter().map(|row| text(row, 0)).collect()
        })
        .await
    }

    /// Where a table's current metadata is.
    ///
    /// # Errors
    /// As every call.
    pub async fn pointer(&self, [catalog, namespace, table]: TableName<'_>) -> Result<Option<String>> {
        let sql = "SELECT metadata_location FROM public.iceberg_tables WHERE catalog_name = $1
                   AND table_namespace = $2 AND table_name = $3 AND metadata_location IS NOT NULL
                   AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)";
        self.finish("find a table", async {
            let client = self.client().await?;
            row(&client, sql, &[&catalog, &namespace, &table]).await?.map(|row| text(&row, 0)).transpose()
        })
        .await
    }

    /// Adds a table.
    ///
    /// # Errors
    /// `Conflict` when there is one of this name; as every call.
    pub async fn add_pointer(
        &self,
        [catalog, namespace, table]: TableName<'_>,
        location: &str,
    ) -> Result<()> {
        let sql = "INSERT INTO public.iceberg_tables
                   (catalog_name, table_namespace, table_name, metadata_location, iceberg_type)
                   VALUES ($1, $2, $3, $4, 'TABLE')";
        self.finish("add a table", async {
            let client = self.client().await?;
            change(&client, sql, &[&catalog, &namespace, &table, &location]).await.map(drop)
        })
        .await
    }

    /// Forgets a table.
    ///
    /// # Errors
    /// `NotFound` when there is none; as every call.
    pub async fn remove_pointer(&self, [catalog, namespace, table]: TableName<'_>) -> Result<()> {
        let sql = "DELETE FROM public.iceberg_tables
                   WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3";
        self.finish("remove a table", async {
            let client = self.client().await?;
            match change(&client, sql, &[&catalog, &namespace, &table]).await? {
                0 => Err(Kind::NotFound.error(format!("no table {namespace}.{table}")).into()),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Gives a table another name in the same catalog.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Conflict` when the name is taken; as every call.
    pub async fn rename_pointer(
        &self,
        [catalog, namespace, table]: TableName<'_>,
        [to, name]: [&str; 2],
    ) -> Result<()> {
        let sql = "UPDATE public.iceberg_tables SET table_namespace = $1, table_name = $2
                   WHERE catalog_name = $3 AND table_namespace = $4 AND table_name = $5";
        self.finish("rename a table", async {
            let client = self.client().await?;
            match change(&client, sql, &[&to, &name, &catalog, &namespace, &table]).await? {
                0 => Err(Kind::NotFound.error(format!("no table {namespace}.{table}")).into()),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Moves a pointer unless it points elsewhere; says whether.
    ///
    /// # Durability
    /// When it says so the pointer is on the server's disk. After an error it may be, now or later.
    ///
    /// # Errors
    /// As every call.
    pub async fn move_pointer(
        &self,
        [catalog, namespace, table]: TableName<'_>,
        [old, new]: [&str; 2],
    ) -> Result<bool> {
        let sql = "UPDATE public.iceberg_tables SET metadata_location = $1, previous_metadata_location = $2
                   WHERE catalog_name = $3 AND table_namespace = $4 AND table_name = $5
                   AND metadata_location = $2";
        self.finish("move a table's pointer", async {
            let client = self.client().await?;
            Ok(change(&client, sql, &[&new, &old, &catalog, &namespace, &table]).await? > 0)
        })
        .await
    }
}
