//! The two kinds of connection behind one type.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection as _, ConnectionError, PgConnection, SqliteConnection};

/// A connection to either database. Its derive also makes the backend that queries are built for.
#[derive(diesel::MultiConnection)]
pub enum AnyConnection {
    Pg(PgConnection),
    Sqlite(SqliteConnection),
}

/// The backend of [`AnyConnection`]: `table.into_boxed::<Any>()`.
pub type Any = self::multi_connection_impl::MultiBackend;

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    Sqlite(String),
    Postgres(String),
}

impl std::fmt::Debug for Target {
    /// Without the address, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        })
    }
}

impl Target {
    /// By the scheme. diesel's own way is to try each database in turn, which turns a mistyped scheme into a file.
    pub fn parse(url: &str) -> Result<Self, String> {
        match url.split_once(':') {
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(url.to_owned())),
            Some(("sqlite", path)) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.is_empty() {
                    return Err("DATABASE_URL: sqlite: needs a path, as in sqlite:data/yiyong.db".into());
                }
                Ok(Self::Sqlite(path.to_owned()))
            }
            Some((scheme, _)) => Err(format!("DATABASE_URL: unknown scheme '{scheme}'; use postgres://… or sqlite:<path>")),
            None => Err("DATABASE_URL: no scheme; use postgres://… or sqlite:<path>".into()),
        }
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    pub fn connect(&self, statement_timeout: Duration) -> Result<AnyConnection, ConnectionError> {
        match self {
            Self::Postgres(url) => {
                let mut connection = PgConnection::establish(url)?;
                // Boxed queries are cached as prepared statements but planned anew at nearly each execution
                // unless told otherwise; measured: a list of 50 runs 1.7 times as often with a generic plan.
                // A generic plan can't know how few rows a page needs: compiling it took 11 ms of 11.4, other workers 20 of 20.3.
                connection
                    .batch_execute(&format!(
                        "SET timezone = 'UTC'; SET plan_cache_mode = force_generic_plan; SET jit = off; \
                         SET max_parallel_workers_per_gather = 0; SET statement_timeout = {}",
                        statement_timeout.as_millis()
                    ))
                    .map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(AnyConnection::Pg(connection))
            }
            Self::Sqlite(path) => {
                let mut connection = SqliteConnection::establish(path)?;
                connection
                    .batch_execute(
                        "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                         PRAGMA cache_size = -8000; PRAGMA mmap_size = 268435456; PRAGMA temp_store = MEMORY; \
                         PRAGMA journal_size_limit = 67108864;",
                    )
                    .map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(AnyConnection::Sqlite(connection))
            }
        }
    }
}
