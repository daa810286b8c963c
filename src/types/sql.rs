//! SQL types that both databases have under different names, and the bridge to diesel's multi-connection.

use diesel::query_builder::QueryId;
use diesel::sql_types::{HasSqlType, SqlType};

use crate::db::Any;

/// `uuid` on PostgreSQL, a 16-byte `BLOB` on SQLite.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 2950, array_oid = 2951))]
#[diesel(sqlite_type(name = "Binary"))]
pub struct Uuid;

/// `timestamptz` on PostgreSQL, RFC 3339 text in UTC with microseconds on SQLite (which sorts as it reads).
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185))]
#[diesel(sqlite_type(name = "Text"))]
pub struct Instant;

impl HasSqlType<Uuid> for Any {
    fn metadata(lookup: &mut Self::MetadataLookup) -> Self::TypeMetadata {
        Any::lookup_sql_type::<Uuid>(lookup)
    }
}

impl HasSqlType<Instant> for Any {
    fn metadata(lookup: &mut Self::MetadataLookup) -> Self::TypeMetadata {
        Any::lookup_sql_type::<Instant>(lookup)
    }
}
