//! The embedded catalog's pointers: one SQLite file.

use super::NAME;
use super::pointer::{Pointers, Swap, dotted, with_parents};
use async_trait::async_trait;
use iceberg::{Error, ErrorKind, NamespaceIdent, Result, TableIdent};
use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

/// How long to wait for another program's lock.
const BUSY: Duration = Duration::from_secs(10);

const LAYOUT: &str = "
CREATE TABLE IF NOT EXISTS iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL,
    table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000),
    previous_metadata_location VARCHAR(1000),
    iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name)
);
CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
    catalog_name VARCHAR(255) NOT NULL,
    namespace VARCHAR(255) NOT NULL,
    property_key VARCHAR(255) NOT NULL,
    property_value VARCHAR(1000) NOT NULL,
    PRIMARY KEY (catalog_name, namespace, property_key)
);";

/// Rows that are tables; the column is null in files of catalogs older than views.
const IS_TABLE: &str = "(iceberg_type = 'TABLE' OR iceberg_type IS NULL)";

/// See the module.
#[derive(Debug)]
pub(super) struct Sqlite(Mutex<Connection>);

fn failed(verb: &str, error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::DataInvalid,
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, format!("cannot {verb} in catalog.db")).with_source(error)
}

/// Reads the whole file, which is small. Names are in it twice, in a row and in an index: a table whose name lost a bit
/// would otherwise be missing, and be made anew, empty.
fn check(connection: &Connection) -> Result<()> {
    let found: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| failed("check pages", error))?;
    match found.as_str() {
        "ok" => Ok(()),
        _ => Err(Error::new(ErrorKind::DataInvalid, format!("catalog.db is damaged: {found}"))),
    }
}

impl Sqlite {
    /// Opens or creates the file. Write-ahead journal with full syncs: a pointer that moved stays moved.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(path)?;
            connection.busy_timeout(BUSY)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.execute_batch(LAYOUT)?;
            Ok(connection)
        };
        let checked = || -> Result<Connection> {
            let connection = open().map_err(|error| failed("open", error))?;
            check(&connection)?;
            Ok(connection)
        };
        checked().map(|connection| Self(Mutex::new(connection))).map_err(|found| {
            Error::new(found.kind(), format!("cannot open the catalog {}", path.display())).with_source(found)
        })
    }

    fn run<T>(&self, verb: &str, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        work(&self.0.lock()).map_err(|error| failed(verb, error))
    }
}

#[async_trait]
impl Pointers for Sqlite {
    async fn namespaces(&self) -> Result<BTreeSet<NamespaceIdent>> {
        let names = self.run("list namespaces", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT namespace FROM iceberg_namespace_properties WHERE catalog_name = ?1
                 UNION SELECT table_namespace FROM iceberg_tables WHERE catalog_name = ?1",
            )?;
            let rows = statement.query_map([NAME], |row| row.get::<_, String>(0))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        with_parents(names)
    }

    async fn properties(&self, namespace: &NamespaceIdent) -> Result<HashMap<String, String>> {
        self.run("read a namespace", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT property_key, property_value FROM iceberg_namespace_properties
                 WHERE catalog_name = ?1 AND namespace = ?2 AND property_key <> 'exists'",
            )?;
            let rows =
                statement.query_map([NAME, &dotted(namespace)], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })
    }

    async fn write_namespace(
        &self,
        name: &NamespaceIdent,
        properties: &HashMap<String, String>,
    ) -> Result<()> {
        let name = dotted(name);
        let mut connection = self.0.lock();
        let mut write = || -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            let delete =
                "DELETE FROM iceberg_namespace_properties WHERE catalog_name = ?1 AND namespace = ?2";
            transaction.execute(delete, [NAME, &name])?;
            let insert = "INSERT OR REPLACE INTO iceberg_namespace_properties VALUES (?1, ?2, ?3, ?4)";
            transaction.execute(insert, [NAME, &name, "exists", "true"])?;
            for (key, value) in properties {
                transaction.execute(insert, [NAME, &name, key, value])?;
            }
            transaction.commit()
        };
        write().map_err(|error| failed("write a namespace", error))
    }

    async fn remove_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        let sql = "DELETE FROM iceberg_namespace_properties WHERE catalog_name = ?1 AND namespace = ?2";
        self.run("remove a namespace", |connection| connection.execute(sql, [NAME, &dotted(namespace)]))
            .map(drop)
    }

    async fn tables(&self, namespace: &NamespaceIdent) -> Result<Vec<String>> {
        let sql = format!(
            "SELECT table_name FROM iceberg_tables
             WHERE catalog_name = ?1 AND table_namespace = ?2 AND {IS_TABLE} ORDER BY table_name"
        );
        self.run("list tables", |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([NAME, &dotted(namespace)], |row| row.get(0))?;
            rows.collect()
        })
    }

    async fn find(&self, ident: &TableIdent) -> Result<Option<String>> {
        let sql = format!(
            "SELECT metadata_location FROM iceberg_tables WHERE catalog_name = ?1 AND table_namespace = ?2
             AND table_name = ?3 AND metadata_location IS NOT NULL AND {IS_TABLE}"
        );
        self.run("find a table", |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_row([NAME, &dotted(&ident.namespace), &ident.name], |row| row.get(0)).optional()
        })
    }

    async fn insert(&self, ident: &TableIdent, location: &str) -> Result<()> {
        let sql = "INSERT INTO iceberg_tables
                   (catalog_name, table_namespace, table_name, metadata_location, iceberg_type)
                   VALUES (?1, ?2, ?3, ?4, 'TABLE')";
        let values = params![NAME, dotted(&ident.namespace), ident.name, location];
        self.0.lock().execute(sql, values).map(drop).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => {
                Error::new(ErrorKind::TableAlreadyExists, ident.to_string()).with_source(error)
            }
            _ => failed("add a table", error),
        })
    }

    async fn remove(&self, ident: &TableIdent) -> Result<()> {
        let sql = "DELETE FROM iceberg_tables
                   WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3";
        let values = params![NAME, dotted(&ident.namespace), ident.name];
        match self.run("remove a table", |connection| connection.execute(sql, values))? {
            0 => Err(Error::new(ErrorKind::TableNotFound, format!("no table {ident}"))),
            _ => Ok(()),
        }
    }

    async fn rename(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        let sql = "UPDATE iceberg_tables SET table_namespace = ?1, table_name = ?2
                   WHERE catalog_name = ?3 AND table_namespace = ?4 AND table_name = ?5";
        let values = params![dotted(&to.namespace), to.name, NAME, dotted(&from.namespace), from.name];
        match self.0.lock().execute(sql, values) {
            Ok(0) => Err(Error::new(ErrorKind::TableNotFound, format!("no table {from}"))),
            Ok(_) => Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(Error::new(ErrorKind::TableAlreadyExists, to.to_string()).with_source(error))
            }
            Err(error) => Err(failed("rename a table", error)),
        }
    }

    async fn swap(&self, ident: &TableIdent, old: &str, new: &str) -> Swap {
        let sql = "UPDATE iceberg_tables SET metadata_location = ?1, previous_metadata_location = ?2
                   WHERE catalog_name = ?3 AND table_namespace = ?4 AND table_name = ?5
                   AND metadata_location = ?2";
        let values = (new, old, NAME, dotted(&ident.namespace), &ident.name);
        let moved = self.0.lock().execute(sql, values);
        let error = match moved {
            Ok(0) => return Swap::Refused,
            Ok(_) => return Swap::Done,
            Err(error) => failed("move a table's pointer", error),
        };
        match self.find(ident).await {
            Ok(Some(now)) if now == new => Swap::Done,
            Ok(_) => Swap::Failed(error),
            Err(_) => Swap::Unknown(error),
        }
    }
}
