//! Many reads that see one state of the database.

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};

use super::pool::PATIENCE;
use super::{AnyConnection, Db, each};
use crate::error::{Code, Error, Result};

impl Db {
    /// Reads the database as it stands now, on this thread and for as long as that takes. Nobody who writes waits for it.
    ///
    /// On PostgreSQL each statement is planned for its own values: one that brings thousands of rows is worth a plan.
    pub fn snapshot<T>(&self, work: impl FnOnce(&mut AnyConnection) -> Result<T>) -> Result<T> {
        let mut work = Some(work);
        loop {
            let mut begun = false;
            let done = self.run_until(std::time::Instant::now() + PATIENCE, false, |conn| {
                let begin = match conn {
                    AnyConnection::Pg(_) => "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
                    AnyConnection::Sqlite(_) => "BEGIN",
                };
                each!(&mut *conn, c => AnsiTransactionManager::begin_transaction_sql(c, begin))?;
                if let AnyConnection::Pg(c) = conn {
                    c.batch_execute("SET LOCAL plan_cache_mode = force_custom_plan")?;
                }
                begun = true;
                let work = work.take().ok_or_else(|| Error::internal("a snapshot was read twice"))?;
                let result = work(conn);
                // Nothing was written; a rollback that fails breaks the connection, which the pool sees.
                let _ = each!(&mut *conn, c => AnsiTransactionManager::rollback_transaction(c));
                result
            });
            match done {
                // A connection that was dead before anything was read is found dead once.
                Err(error) if error.code == Code::DatabaseUnavailable && !begun && work.is_some() => {
                    work = match self.run(true, |conn| Ok(conn.batch_execute("SELECT 1")?)) {
                        Ok(()) => work,
                        Err(error) => return Err(error),
                    };
                }
                other => return other,
            }
        }
    }
}
