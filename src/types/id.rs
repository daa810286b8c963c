//! Ids are UUIDv7: made by the service, ordered by time, so that the newest record has the greatest id.

use std::fmt;
use std::str::FromStr;

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sqlite::Sqlite;
use rand::Rng;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sql;
use crate::db::Any;

/// The id of a record (UUIDv7, as text).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, AsExpression, FromSqlRow, ToSchema)]
#[serde(transparent)]
#[diesel(sql_type = sql::Uuid)]
#[schema(value_type = uuid::Uuid, example = "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08")]
pub struct Id(pub uuid::Uuid);

impl Id {
    #[allow(clippy::new_without_default)] // Every call gives another id.
    pub fn new() -> Self {
        Self(uuid::Uuid::now_v7())
    }

    /// The smallest that could have been made at an instant.
    pub fn earliest(at: super::Instant) -> Self {
        let milliseconds = u128::try_from(at.0.timestamp_millis()).unwrap_or(0);
        Self(uuid::Uuid::from_u128(milliseconds << 80))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for Id {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        uuid::Uuid::try_parse(text).map(Self)
    }
}

impl ToSql<sql::Uuid, Pg> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        std::io::Write::write_all(out, self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}

impl ToSql<sql::Uuid, Sqlite> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_bytes().as_slice());
        Ok(IsNull::No)
    }
}

impl ToSql<sql::Uuid, Any> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Any>) -> serialize::Result {
        out.set_value((sql::Uuid, self));
        Ok(IsNull::No)
    }
}

impl FromSql<sql::Uuid, Pg> for Id {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(uuid::Uuid::from_slice(value.as_bytes())?))
    }
}

impl FromSql<sql::Uuid, Sqlite> for Id {
    fn from_sql(value: <Sqlite as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let bytes = <Vec<u8> as FromSql<diesel::sql_types::Binary, Sqlite>>::from_sql(value)?;
        Ok(Self(uuid::Uuid::from_slice(&bytes)?))
    }
}

impl FromSql<sql::Uuid, Any> for Id {
    fn from_sql(value: <Any as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        value.from_sql::<Id, sql::Uuid>()
    }
}

/// Crockford's alphabet: no letter that a person would read as a digit.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A code for a record whose writer gave none: ten characters of fifty random bits.
pub fn new_code() -> String {
    let mut bits: u64 = rand::rng().random();
    let mut code = String::with_capacity(10);
    for _ in 0..10 {
        code.push(char::from(ALPHABET[(bits & 31) as usize]));
        bits >>= 5;
    }
    code
}

/// The code that a writer gave, or a new one.
pub fn code_or_new(given: Option<&str>) -> String {
    given.map_or_else(new_code, str::to_owned)
}
