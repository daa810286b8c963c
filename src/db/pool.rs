//! The pool, and the way from an async handler to a blocking query and back.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::{AnyConnection, Target};
use crate::error::{Code, Error, Result};
use crate::vault::Vault;

/// A pooled connection that remembers whether the database went away under it.
pub struct Connection {
    inner: AnyConnection,
    lost: bool,
}

struct Connector {
    target: Target,
    statement_timeout: Duration,
}

impl r2d2::ManageConnection for Connector {
    type Connection = Connection;
    type Error = diesel::ConnectionError;

    fn connect(&self) -> Result<Connection, Self::Error> {
        Ok(Connection { inner: self.target.connect(self.statement_timeout)?, lost: false })
    }

    fn is_valid(&self, _: &mut Connection) -> Result<(), Self::Error> {
        Ok(())
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        use diesel::connection::TransactionManager;
        connection.lost
            || std::thread::panicking()
            || <AnyConnection as diesel::Connection>::TransactionManager::is_broken_transaction_manager(&mut connection.inner)
    }
}

/// Whether an error means that the connection, not the statement, failed.
pub fn is_connection_loss(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, _) | DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            let message = information.message();
            [
                "server closed the connection",
                "no connection to the server",
                "terminating connection",
                "connection to server",
                "canceling statement due to statement timeout",
                "shutting down",
                "starting up",
                "could not receive data",
                "SSL connection has been closed",
            ]
            .iter()
            .any(|sign| message.contains(sign))
        }
        _ => false,
    }
}

/// The service's database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pool: Arc<r2d2::Pool<Connector>>,
    target: Target,
    vault: Arc<Vault>,
    answer_within: Duration,
    running: super::write::Running,
    tree: super::tree::Tree,
}

impl Db {
    /// A pool that opens its connections when they are first needed.
    pub fn new(target: Target, connections: u32, answer_within: Duration, vault: Arc<Vault>) -> Self {
        let pool = r2d2::Pool::builder()
            .max_size(connections)
            .min_idle(Some(0))
            .test_on_check_out(false)
            .connection_timeout(Duration::from_secs(2))
            .error_handler(Box::new(QuietHandler))
            .build_unchecked(Connector { target: target.clone(), statement_timeout: Duration::from_secs(30) });
        Self {
            pool: Arc::new(pool),
            target,
            vault,
            answer_within,
            running: super::write::Running::default(),
            tree: super::tree::Tree::default(),
        }
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    pub fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// How much of the tree lies below whom.
    pub fn tree(&self) -> &super::tree::Tree {
        &self.tree
    }

    pub(super) fn running(&self) -> &super::write::Running {
        &self.running
    }

    /// Runs blocking work with a connection on this thread. A query that finds the connection dead is tried once
    /// more on a fresh one where `again` allows it.
    pub fn run<T>(&self, again: bool, mut work: impl FnMut(&mut AnyConnection) -> Result<T>) -> Result<T> {
        let mut pooled = self.pool.get().map_err(|_| Error::database_away())?;
        let result = work(&mut pooled.inner);
        match result {
            Err(error) if error.code == Code::DatabaseUnavailable => {
                pooled.lost = true;
                drop(pooled);
                if !again {
                    return Err(error);
                }
                let mut fresh = self.pool.get().map_err(|_| Error::database_away())?;
                let second = work(&mut fresh.inner);
                fresh.lost = matches!(&second, Err(e) if e.code == Code::DatabaseUnavailable);
                second
            }
            other => other,
        }
    }

    /// Reads off the event loop. Answers 503 when the database does not answer in time.
    pub async fn read<T: Send + 'static>(&self, work: impl FnMut(&mut AnyConnection) -> Result<T> + Send + 'static) -> Result<T> {
        let db = self.clone();
        self.block(move || db.run(true, work)).await
    }

    pub(super) async fn block<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        match tokio::time::timeout(self.answer_within, web::block(work)).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::internal("a database task ended without a result")),
            Err(_) => Err(Error::database_away()),
        }
    }

    /// Blocking work that may take as long as it needs: imports, hashing.
    pub async fn block_long<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        web::block(work).await.map_err(|_| Error::internal("a long task ended without a result"))?
    }
}

/// The pool tells of each failed connection attempt; one line without the address is enough.
#[derive(Debug)]
struct QuietHandler;

impl<E: std::fmt::Display> r2d2::HandleError<E> for QuietHandler {
    fn handle_error(&self, _: E) {
        log::warn!("the database does not accept a connection");
    }
}
