//! Instants are UTC with microseconds, the finest that PostgreSQL keeps; days are of Asia/Shanghai.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, SecondsFormat, SubsecRound, Utc};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Text, Timestamptz};
use diesel::sqlite::Sqlite;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sql;
use crate::db::Any;

/// A point in time, RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, AsExpression, FromSqlRow, ToSchema)]
#[serde(transparent)]
#[diesel(sql_type = sql::Instant)]
#[schema(value_type = DateTime<Utc>, example = "2022-06-17T01:00:00.000000Z")]
pub struct Instant(pub DateTime<Utc>);

impl Instant {
    pub fn now() -> Self {
        Self(Utc::now().trunc_subsecs(6))
    }

    /// Whole seconds from `earlier` to this instant; negative when this one is earlier.
    pub fn seconds_since(self, earlier: Self) -> i64 {
        (self.0 - earlier.0).num_seconds()
    }

    /// Without its part of a second.
    pub fn whole_seconds(self) -> Self {
        Self(self.0.trunc_subsecs(0))
    }

    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0 + chrono::TimeDelta::seconds(seconds))
    }
}

/// Today in Asia/Shanghai, which has had one offset, UTC+8 without summer time, since 1992.
pub fn business_today(now: Instant) -> NaiveDate {
    let shanghai = FixedOffset::east_opt(8 * 3600).expect("eight hours are an offset");
    now.0.with_timezone(&shanghai).date_naive()
}

impl ToSql<sql::Instant, Pg> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<Timestamptz, Pg>::to_sql(&self.0, &mut out.reborrow())
    }
}

impl ToSql<sql::Instant, Sqlite> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.to_rfc3339_opts(SecondsFormat::Micros, true));
        Ok(IsNull::No)
    }
}

impl ToSql<sql::Instant, Any> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Any>) -> serialize::Result {
        out.set_value((sql::Instant, self));
        Ok(IsNull::No)
    }
}

impl FromSql<sql::Instant, Pg> for Instant {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let at = <NaiveDateTime as FromSql<Timestamptz, Pg>>::from_sql(value)?;
        Ok(Self(at.and_utc()))
    }
}

impl FromSql<sql::Instant, Sqlite> for Instant {
    fn from_sql(value: <Sqlite as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
        Ok(Self(DateTime::parse_from_rfc3339(&text)?.to_utc()))
    }
}

impl FromSql<sql::Instant, Any> for Instant {
    fn from_sql(value: <Any as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        value.from_sql::<Instant, sql::Instant>()
    }
}
