//! The connection that folds: while it lives, no other process writes what the log folds into.

use super::fault::{Fault, refused_by_lock};
use super::schema::{FOLD, LOCKS};
use super::session::Connector;
use crate::{Kind, Result};
use deadpool_postgres::ClientWrapper;

/// Finds who holds the lock; the number of a lock is an `oid` there, which is unsigned.
const HOLDER: &str = "SELECT a.pid, a.application_name, host(a.client_addr)
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
      AND l.classid::bigint = $1 AND l.objid::bigint = $2
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Where the one who folds sits.
#[derive(Default)]
pub(super) struct Seat {
    session: Option<ClientWrapper>,
    /// The server's number for the last connection of this process that held the lock.
    last: Option<i32>,
}

impl Seat {
    /// The connection that holds the lock, taken from the seat: it is put back when it is still good.
    ///
    /// A lost connection is replaced, unless another process took the lock meanwhile.
    pub(super) async fn take(&mut self, connector: &Connector) -> Result<ClientWrapper, Fault> {
        if let Some(session) = self.session.take().filter(|session| !session.is_closed()) {
            return Ok(session);
        }
        let session = connector.open().await?;
        self.end_last(&session).await?;
        match session.query("SELECT pg_advisory_lock($1, $2)", &[&LOCKS, &FOLD]).await {
            Ok(_) => {}
            Err(error) if error.as_db_error().is_some_and(refused_by_lock) => {
                return Err(self.taken(&session).await?.into());
            }
            Err(error) => return Err(error.into()),
        }
        self.last = Some(session.query_one("SELECT pg_backend_pid()", &[]).await?.try_get(0)?);
        Ok(session)
    }

    /// Keeps the connection, and with it the lock, for the next time.
    pub(super) fn put(&mut self, session: ClientWrapper) {
        self.session = Some(session);
    }

    /// Ends what the server still does for a connection that this process gave up, so that it does not stand in the
    /// way of its successor: its transaction was never answered, so it may end either way.
    async fn end_last(&self, session: &ClientWrapper) -> Result<(), Fault> {
        if let Some(last) = self.last {
            let sql = format!("SELECT pg_terminate_backend(pid) FROM ({HOLDER}) holder WHERE pid = $3");
            session.query(&sql, &[&i64::from(LOCKS), &i64::from(FOLD), &last]).await?;
        }
        Ok(())
    }

    async fn taken(&self, session: &ClientWrapper) -> Result<crate::Error, Fault> {
        let found = session.query_opt(HOLDER, &[&i64::from(LOCKS), &i64::from(FOLD)]).await?;
        let Some(row) = found else {
            return Ok(
                Kind::Busy.error("the process that folded into this database has just ended; try again")
            );
        };
        let (pid, name, host): (i32, Option<String>, Option<String>) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if self.last == Some(pid) {
            return Ok(Kind::Busy.error("an earlier connection of this process is still ending; try again"));
        }
        Ok(Kind::Conflict.error(format!(
            "another process folds its log into this database: {} from {} (backend {pid}). Stop it, or give each \
             server a database of its own",
            name.filter(|name| !name.is_empty()).as_deref().unwrap_or("an unnamed program"),
            host.as_deref().unwrap_or("this machine"),
        )))
    }
}
