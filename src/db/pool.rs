//! The pool, and the way from an async handler to a blocking query and back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix_web::web;
use diesel::connection::SimpleConnection;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use tokio::sync::Semaphore;

use super::{AnyConnection, Target};
use crate::config::SecondApproval;
use crate::error::{Code, Error, Result};
use crate::outbox::Networks;
use crate::vault::Vault;

/// A pooled connection that remembers whether the database went away under it.
pub struct Connection {
    inner: AnyConnection,
    lost: bool,
    /// How many losses there had been when this connection was last known to work.
    proven_at: u64,
}

struct Connector {
    target: Target,
    statement_timeout: Duration,
    losses: Arc<AtomicU64>,
}

impl r2d2::ManageConnection for Connector {
    type Connection = Connection;
    type Error = diesel::ConnectionError;

    fn connect(&self) -> Result<Connection, Self::Error> {
        let proven_at = self.losses.load(Ordering::Acquire);
        Ok(Connection { inner: self.target.connect(self.statement_timeout)?, lost: false, proven_at })
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
                "could not send data",
                "SSL connection has been closed",
            ]
            .iter()
            .any(|sign| message.contains(sign))
        }
        _ => false,
    }
}

/// The right to one of the connections: held by work on a thread of its own until that is done.
pub struct Turn(#[allow(dead_code)] tokio::sync::OwnedSemaphorePermit);

/// How long work that nobody waits for, such as the command line's, waits for a connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The service's database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pool: Arc<r2d2::Pool<Connector>>,
    /// One permit for each connection, waited for before a thread is taken: when the database hangs, as many threads
    /// hang as there are connections, and who waits in vain leaves nothing behind.
    turns: Arc<Semaphore>,
    /// Held by who writes to SQLite.
    pen: Arc<Semaphore>,
    /// How many connections have been found dead: one tells that the others may be, too.
    losses: Arc<AtomicU64>,
    target: Target,
    vault: Arc<Vault>,
    second_approval: SecondApproval,
    networks: Networks,
    answer_within: Duration,
    running: super::write::Running,
    tree: super::tree::Tree,
    standing: Arc<AtomicU64>,
    workers: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
}

impl Db {
    /// A pool that opens its connections when they are first needed.
    pub fn new(
        target: Target,
        connections: u32,
        answer_within: Duration,
        vault: Arc<Vault>,
        second_approval: SecondApproval,
        networks: Networks,
    ) -> Self {
        let losses = Arc::new(AtomicU64::new(0));
        let connector = Connector { target: target.clone(), statement_timeout: Duration::from_secs(30), losses: losses.clone() };
        let pool = r2d2::Pool::builder()
            .max_size(connections)
            .min_idle(Some(0))
            .test_on_check_out(false)
            // Also the longest pause between two attempts to connect, and so how soon a returned database is noticed.
            .connection_timeout(PATIENCE)
            .error_handler(Box::new(QuietHandler))
            .build_unchecked(connector);
        Self {
            pool: Arc::new(pool),
            turns: Arc::new(Semaphore::new(connections as usize)),
            pen: Arc::new(Semaphore::new(1)),
            losses,
            target,
            vault,
            second_approval,
            networks,
            answer_within,
            running: super::write::Running::default(),
            tree: super::tree::Tree::default(),
            standing: Arc::default(),
            workers: Arc::default(),
        }
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    pub fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    pub(super) fn second_approval(&self) -> SecondApproval {
        self.second_approval
    }

    pub(super) fn networks(&self) -> &Networks {
        &self.networks
    }

    /// How much of the tree lies below whom.
    pub fn tree(&self) -> &super::tree::Tree {
        &self.tree
    }

    /// Changes whenever this server has changed who may do what: what was read of a caller before doesn't count.
    pub fn standing(&self) -> u64 {
        self.standing.load(Ordering::Acquire)
    }

    /// Who is to be told when a job was placed: this server's workers.
    pub fn when_work_is_placed(&self, tell: impl Fn() + Send + Sync + 'static) {
        // Set once, when the service is put together.
        let _ = self.workers.set(Box::new(tell));
    }

    pub(super) fn work_was_placed(&self) {
        if let Some(tell) = self.workers.get() {
            tell();
        }
    }

    pub(super) fn standing_has_changed(&self) {
        self.standing.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn running(&self) -> &super::write::Running {
        &self.running
    }

    /// A connection; after a loss, one that has answered since.
    fn connection(&self, until: Instant) -> Result<r2d2::PooledConnection<Connector>> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let mut pooled = self.pool.get_timeout(left).map_err(|_| Error::database_away())?;
            let losses = self.losses.load(Ordering::Acquire);
            if pooled.proven_at == losses || pooled.inner.batch_execute("SELECT 1").is_ok() {
                pooled.proven_at = losses;
                return Ok(pooled);
            }
            pooled.lost = true;
        }
    }

    /// Runs blocking work with a connection on this thread. A query that finds the connection dead is tried once
    /// more on a fresh one where `again` allows it.
    pub fn run<T>(&self, again: bool, work: impl FnMut(&mut AnyConnection) -> Result<T>) -> Result<T> {
        self.run_until(Instant::now() + PATIENCE, again, work)
    }

    /// The same; a connection is waited for until then.
    pub(super) fn run_until<T>(&self, until: Instant, again: bool, mut work: impl FnMut(&mut AnyConnection) -> Result<T>) -> Result<T> {
        let mut tried = false;
        loop {
            let mut pooled = self.connection(until)?;
            match work(&mut pooled.inner) {
                Err(error) if error.code == Code::DatabaseUnavailable => {
                    pooled.lost = true;
                    self.losses.fetch_add(1, Ordering::AcqRel);
                    if tried || !again {
                        return Err(error);
                    }
                    tried = true;
                }
                other => return other,
            }
        }
    }

    /// Reads off the event loop. Answers 503 when the database does not answer in time.
    pub async fn read<T: Send + 'static>(&self, work: impl FnMut(&mut AnyConnection) -> Result<T> + Send + 'static) -> Result<T> {
        let db = self.clone();
        self.block(false, move |until| db.run_until(until, true, work)).await
    }

    /// Reads that together may take as long as they need, such as a walk through a whole table: one turn for all of them,
    /// and a connection for each by [`Db::run`].
    pub async fn read_long<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> Result<T> + Send + 'static) -> Result<T> {
        let db = self.clone();
        self.block_in_turn(false, move |_| work(&db)).await
    }

    /// Runs work that takes a connection, in its turn. It is told until when it is waited for.
    pub(super) async fn block<T: Send + 'static>(
        &self,
        writes: bool,
        work: impl FnOnce(Instant) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let until = Instant::now() + self.answer_within;
        let answer = async {
            let pen = self.pen(writes).await?;
            let turn = self.turn().await?;
            let result = web::block(move || {
                let result = work(until);
                drop((pen, turn));
                result
            });
            result.await.map_err(|_| Error::internal("a database task ended without a result"))?
        };
        tokio::time::timeout_at(until.into(), answer).await.unwrap_or_else(|_| Err(Error::database_away()))
    }

    /// Like [`Db::block`] of a write, but once its turn has come the work may take as long as it needs: an import.
    pub(super) async fn block_in_turn<T: Send + 'static>(
        &self,
        writes: bool,
        work: impl FnOnce(Instant) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let until = Instant::now() + self.answer_within;
        let both = async { Ok((self.pen(writes).await?, self.turn().await?)) };
        let held = tokio::time::timeout_at(until.into(), both).await.unwrap_or_else(|_| Err(Error::database_away()))?;
        self.block_long(move || {
            let result = work(until);
            drop(held);
            result
        })
        .await
    }

    /// Blocking work that takes no connection and as long as it needs: hashing.
    pub async fn block_long<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        web::block(work).await.map_err(|_| Error::internal("a long task ended without a result"))?
    }

    /// SQLite has one writer. Those that wait for it here are served as soon as it is free; those that ask SQLite
    /// itself sleep and ask again, and the longer they have waited the longer they sleep.
    async fn pen(&self, writes: bool) -> Result<Option<tokio::sync::OwnedSemaphorePermit>> {
        if !writes || self.target.is_postgres() {
            return Ok(None);
        }
        self.pen.clone().acquire_owned().await.map(Some).map_err(Error::internal)
    }

    /// Pen and turn for a thread that isn't the event loop's.
    pub(super) fn turn_of_thread(&self) -> Result<impl Sized + use<>> {
        let waiting = tokio::runtime::Builder::new_current_thread().build().map_err(Error::internal)?;
        waiting.block_on(async { Ok((self.pen(true).await?, self.turn().await?)) })
    }

    /// A turn, where nobody has to wait for it.
    pub(super) fn free_turn(&self) -> Option<Turn> {
        self.turns.clone().try_acquire_owned().ok().map(Turn)
    }

    /// The same for a thread that isn't the event loop's.
    pub fn long_turn_of_thread(&self) -> Result<Turn> {
        let waiting = tokio::runtime::Builder::new_current_thread().build().map_err(Error::internal)?;
        waiting.block_on(self.turn()).map(Turn)
    }

    /// A turn for work on a thread of its own, which goes on for as long as somebody reads what it finds.
    pub async fn long_turn(&self) -> Result<Turn> {
        let until = Instant::now() + self.answer_within;
        let turn = tokio::time::timeout_at(until.into(), self.turn()).await.unwrap_or_else(|_| Err(Error::database_away()))?;
        Ok(Turn(turn))
    }

    async fn turn(&self) -> Result<tokio::sync::OwnedSemaphorePermit> {
        self.turns.clone().acquire_owned().await.map_err(Error::internal)
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
