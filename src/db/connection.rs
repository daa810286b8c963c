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
                let mut connection = PgConnection::establish(&with_limits(url))?;
                // Boxed queries are cached as prepared statements but planned anew at nearly each execution
                // unless told otherwise; measured: a list of 50 runs 1.7 times as often with a generic plan. Its costs
                // are guessed without the values, so they don't tell that a page is found in a third of a
                // millisecond: parallel workers took 20 ms for it, and compiling the plan 11.
                //
                // The last statement makes the server's process let go of a megabyte, after which glibc's allocator keeps
                // up to two free rather than giving back what is above 128 KB. A prepared statement that just crosses
                // that line had the process grow and shrink at each execution: seven calls of `brk` for a get, a quarter
                // of its time.
                connection
                    .batch_execute(&format!(
                        "SET timezone = 'UTC'; SET plan_cache_mode = force_generic_plan; SET max_parallel_workers_per_gather = 0; SET jit = off; SET statement_timeout = {}; SELECT length(repeat(' ', 1048576))",
                        statement_timeout.as_millis()
                    ))
                    .map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(AnyConnection::Pg(connection))
            }
            Self::Sqlite(path) => {
                keep_private(path).map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
                let mut connection = SqliteConnection::establish(path)?;
                connection
                    .batch_execute(
                        "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                         PRAGMA cache_size = -8000; PRAGMA mmap_size = 268435456; \
                         PRAGMA journal_size_limit = 67108864;",
                    )
                    .map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(AnyConnection::Sqlite(connection))
            }
        }
    }
}

/// Makes the database's file, where there is none, for its owner alone, and takes one that others could read from
/// them. SQLite gives the files beside it (`-wal`, `-shm`) the same mode.
#[cfg(unix)]
fn keep_private(path: &str) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    if path.starts_with(":memory:") || path.starts_with("file:") {
        return Ok(());
    }
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for file in ["", "-wal", "-shm"].map(|end| format!("{path}{end}")) {
        match std::fs::metadata(&file) {
            Ok(known) if known.permissions().mode() & 0o077 != 0 => {
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn keep_private(_: &str) -> std::io::Result<()> {
    Ok(())
}

/// How libpq notices that nobody is there any more: it gives up on a server that takes no connection, and on one whose
/// machine no longer answers; left alone, it would wait for hours. What the address itself says, counts.
const LIMITS: &[(&str, &str)] = &[
    ("connect_timeout", "2"),
    ("keepalives_idle", "5"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "20000"),
];

fn with_limits(url: &str) -> String {
    let mut whole = url.to_owned();
    for (name, value) in LIMITS.iter().filter(|(name, _)| !url.contains(&format!("{name}="))) {
        let joint = if whole.contains('?') { '&' } else { '?' };
        whole.push_str(&format!("{joint}{name}={value}"));
    }
    whole
}
