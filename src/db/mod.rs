//! The database: SQLite or PostgreSQL, chosen by the scheme of the address, spoken to through one set of queries.

mod connection;
mod pool;
pub mod snapshot;
mod write;

pub mod grams;
mod grouped;
pub mod migrations;
pub(crate) mod pieces;
mod pinyin;
pub mod reseal;
mod subset;
mod tree;

pub use connection::{Any, AnyConnection, Target};
pub use grouped::Grouped;
pub use pool::{Connection, Db, Turn, is_connection_loss};
pub use subset::{Fit, Holds, Part, Reach, Rows, Subset};
pub use tree::Tree;
pub use write::{Deed, Once, Replies, Reply, Tx};

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
        $crate::db::held!($connection, $query, for_update)
    };
    ($connection:expr, $query:expr, $how:ident) => {
        match &mut *$connection {
            $crate::db::AnyConnection::Pg(c) => diesel::RunQueryDsl::execute(diesel::QueryDsl::$how($query), c).map(|_| ()),
            $crate::db::AnyConnection::Sqlite(_) => Ok::<(), diesel::result::Error>(()),
        }
    };
}
pub(crate) use held;

/// Inserts a slice of rows. One row, and on PostgreSQL two, are a statement that is prepared once and kept. There, many
/// go by COPY, which takes them three times as fast as statements do; SQLite has nothing faster than statements of many
/// rows, in chunks that stay below its limit on bound values.
macro_rules! insert_all {
    ($connection:expr, $table:expr, $rows:expr) => {{
        match (&mut *$connection, &$rows[..]) {
            (_, []) => Ok(()),
            (connection, [row]) => $crate::db::each!(connection, c => {
                diesel::RunQueryDsl::execute(diesel::insert_into($table).values(row), c).map(|_| ())
            }),
            // diesel keeps a statement prepared when its type tells the number of rows.
            ($crate::db::AnyConnection::Pg(c), rows @ [_, _]) => {
                rows.first_chunk::<2>().map_or(Ok(()), |two| diesel::RunQueryDsl::execute(diesel::insert_into($table).values(two), c).map(|_| ()))
            }
            ($crate::db::AnyConnection::Pg(c), rows) if rows.len() >= 100 => {
                diesel::ExecuteCopyFromDsl::execute(diesel::copy_from($table).from_insertable(rows), c).map(|_| ())
            }
            (connection, rows) => {
                let mut result: diesel::QueryResult<()> = Ok(());
                for chunk in rows.chunks(500) {
                    result = $crate::db::each!(&mut *connection, c => {
                        diesel::RunQueryDsl::execute(diesel::insert_into($table).values(chunk), c).map(|_| ())
                    });
                    if result.is_err() {
                        break;
                    }
                }
                result
            }
        }
    }};
}
pub(crate) use insert_all;
