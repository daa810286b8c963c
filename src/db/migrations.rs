//! Schema changes: one tree per database with the same folder names, compiled into the binary.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{AnyConnection, grams};
use crate::schema::name_index;

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Any constant will do, as long as every server uses the same.
const ADVISORY_LOCK: i64 = 7_914_202_201;

#[derive(QueryableByName)]
struct File {
    #[diesel(sql_type = diesel::sql_types::Text)]
    file: String,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Brings the database up to date; returns the names of the steps taken. Servers that start together take turns.
pub fn up(conn: &mut AnyConnection) -> Result<Vec<String>, Failure> {
    locked(conn, |conn| {
        let steps = match conn {
            AnyConnection::Pg(c) => c.run_pending_migrations(POSTGRES)?.iter().map(ToString::to_string).collect(),
            AnyConnection::Sqlite(c) => c.run_pending_migrations(SQLITE)?.iter().map(ToString::to_string).collect(),
        };
        index_names(conn)?;
        Ok(steps)
    })
}

/// Indexes names anew where the database has them in an earlier way: SQL knows no pinyin.
fn index_names(conn: &mut AnyConnection) -> Result<(), Failure> {
    conn.transaction(|conn| {
        let held: i32 = name_index::table.select(name_index::version).first(conn)?;
        if held < grams::VERSION {
            grams::rebuild(conn)?;
            diesel::update(name_index::table).set(name_index::version.eq(grams::VERSION)).execute(conn)?;
        }
        Ok(())
    })
}

/// Takes every step back: for tests of the migrations themselves, and for nothing else.
pub fn down_to_nothing(conn: &mut AnyConnection) -> Result<(), Failure> {
    locked(conn, |conn| {
        match conn {
            AnyConnection::Pg(c) => c.revert_all_migrations(POSTGRES)?,
            AnyConnection::Sqlite(c) => c.revert_all_migrations(SQLITE)?,
        };
        Ok(())
    })
}

/// Whether steps are missing.
pub fn pending(conn: &mut AnyConnection) -> Result<bool, Failure> {
    let steps = match &mut *conn {
        AnyConnection::Pg(c) => c.has_pending_migration(POSTGRES)?,
        AnyConnection::Sqlite(c) => c.has_pending_migration(SQLITE)?,
    };
    Ok(steps || name_index::table.select(name_index::version).first::<i32>(conn)? < grams::VERSION)
}

fn locked<T>(conn: &mut AnyConnection, work: impl FnOnce(&mut AnyConnection) -> Result<T, Failure>) -> Result<T, Failure> {
    match conn {
        AnyConnection::Pg(c) => {
            c.batch_execute(&format!("SET statement_timeout = 0; SELECT pg_advisory_lock({ADVISORY_LOCK})"))?;
            let result = work(conn);
            conn.batch_execute(&format!("SELECT pg_advisory_unlock({ADVISORY_LOCK})"))?;
            result
        }
        // SQLite decides which steps are missing before it locks: a lock on a file beside it makes processes take turns.
        AnyConnection::Sqlite(c) => {
            let file: File = diesel::sql_query("SELECT file FROM pragma_database_list WHERE name = 'main'").get_result(c)?;
            let turn = std::fs::File::create(format!("{}.migrating", file.file))?;
            turn.lock()?;
            work(conn)
        }
    }
}
