//! Many reads that see one state of the database.

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::pool::PATIENCE;
use super::{AnyConnection, Db, each};
use crate::error::{Code, Error, Result};

/// Of PostgreSQL.
const BEGIN: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
const CUSTOM_PLANS: &str = "SET LOCAL plan_cache_mode = force_custom_plan";

/// A planner whose statistics are from before an import takes a page of what came with it for the end of the table, and
/// gathers, joins and sorts all that is left, page after page.
const ALONG_THE_ORDER: &str = "SET LOCAL enable_sort = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

/// Says that what follows in this snapshot are pages that are found by going along their order.
pub fn along_the_order(conn: &mut AnyConnection) -> Result<()> {
    if let AnyConnection::Pg(c) = conn {
        c.batch_execute(ALONG_THE_ORDER)?;
    }
    Ok(())
}

/// The name by which other connections can see what a snapshot sees; SQLite has none.
pub fn name(conn: &mut AnyConnection) -> Result<Option<String>> {
    match conn {
        AnyConnection::Pg(c) => Ok(Some(diesel::select(sql::<Text>("pg_export_snapshot()")).get_result(c)?)),
        AnyConnection::Sqlite(_) => Ok(None),
    }
}

impl Db {
    /// Reads pages along their order of what the snapshot of this name sees, on another connection, if one is free right now.
    pub fn beside<T>(&self, snapshot: &str, work: impl FnOnce(&mut AnyConnection) -> Result<T>) -> Result<Option<T>> {
        let Some(_turn) = self.free_turn() else { return Ok(None) };
        let begin = format!("{BEGIN}; SET TRANSACTION SNAPSHOT '{snapshot}'; {CUSTOM_PLANS}; {ALONG_THE_ORDER}");
        let mut work = Some(work);
        self.run_until(std::time::Instant::now() + PATIENCE, false, |conn| {
            // Where the snapshot has gone, the transaction is begun all the same, unknown to diesel: such a connection is given up.
            each!(&mut *conn, c => AnsiTransactionManager::begin_transaction_sql(c, &begin)).map_err(|_| Error::database_away())?;
            let work = work.take().ok_or_else(|| Error::internal("a snapshot was read twice"))?;
            let result = work(conn);
            let _ = each!(&mut *conn, c => AnsiTransactionManager::rollback_transaction(c));
            result
        })
        .map(Some)
    }

    /// Reads the database as it stands now, on this thread and for as long as that takes. Nobody who writes waits for it.
    ///
    /// On PostgreSQL each statement is planned for its own values: one that brings thousands of rows is worth a plan.
    pub fn snapshot<T>(&self, work: impl FnOnce(&mut AnyConnection) -> Result<T>) -> Result<T> {
        let mut work = Some(work);
        loop {
            let mut begun = false;
            let done = self.run_until(std::time::Instant::now() + PATIENCE, false, |conn| {
                let begin = match conn {
                    AnyConnection::Pg(_) => format!("{BEGIN}; {CUSTOM_PLANS}"),
                    AnyConnection::Sqlite(_) => "BEGIN".to_owned(),
                };
                each!(&mut *conn, c => AnsiTransactionManager::begin_transaction_sql(c, &begin))?;
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
