//! The database: SQLite or PostgreSQL, chosen by the scheme of the address, spoken to through one set of queries.

mod connection;
mod pool;
mod write;

pub mod grams;
mod grouped;
pub mod migrations;
mod subset;

pub use connection::{Any, AnyConnection, Target};
pub use grouped::Grouped;
pub use pool::{Connection, Db, is_connection_loss};
pub use subset::{Holds, Part, Subset};
pub use write::{Deed, Once, Reply, Tx};

/// Runs one statement that diesel can't build for both databases at once: the same text, once per variant.
/// A batch insert is such a statement.
macro_rules! each {
    ($connection:expr, $c:ident => $body:expr) => {
        match $connection {
            $crate::db::AnyConnection::Pg($c) => $body,
            $crate::db::AnyConnection::Sqlite($c) => $body,
        }
    };
}
pub(crate) use each;

/// Holds the rows of a query until the transaction ends, so that what is decided upon them stays true. SQLite needs
/// no such thing: a transaction that writes is alone.
macro_rules! held {
    ($connection:expr, $query:expr) => {
        match &mut *$connection {
            $crate::db::AnyConnection::Pg(c) => diesel::RunQueryDsl::execute(diesel::QueryDsl::for_update($query), c).map(|_| ()),
            $crate::db::AnyConnection::Sqlite(_) => Ok::<(), diesel::result::Error>(()),
        }
    };
}
pub(crate) use held;

/// Inserts a slice of rows in chunks that stay below both databases' limit on bound values.
macro_rules! insert_all {
    ($connection:expr, $table:expr, $rows:expr) => {{
        let mut result: diesel::QueryResult<()> = Ok(());
        for chunk in $rows.chunks(500) {
            result = $crate::db::each!($connection, c => {
                diesel::RunQueryDsl::execute(diesel::insert_into($table).values(chunk), c).map(|_| ())
            });
            if result.is_err() {
                break;
            }
        }
        result
    }};
}
pub(crate) use insert_all;
