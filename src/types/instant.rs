//! Instants are UTC with microseconds, the finest that PostgreSQL keeps; days are of Asia/Shanghai.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, SecondsFormat, SubsecRound, Timelike, Utc};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Text, Timestamptz};
use diesel::sqlite::Sqlite;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::sql;
use crate::db::Any;

/// A point in time, RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, AsExpression, FromSqlRow, ToSchema)]
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

/// How many characters a point in time takes in SQLite, `2022-06-17T01:00:00.000000Z`: there texts of one length stand in the order of time.
const WRITTEN: usize = 27;
/// Where its numbers stand: year, month, day, hour, minute, second, microsecond.
const NUMBERS: [std::ops::Range<usize>; 7] = [0..4, 5..7, 8..10, 11..13, 14..16, 17..19, 20..26];

impl Instant {
    /// As it is written in SQLite; `None` outside the years of four digits. A list has some hundred of these, and chrono writes and
    /// reads them through forms of any kind.
    fn written(self) -> Option<[u8; WRITTEN]> {
        let year = u32::try_from(self.0.year()).ok().filter(|year| *year <= 9_999)?;
        let time = self.0.time();
        let numbers = [year, self.0.month(), self.0.day(), time.hour(), time.minute(), time.second(), self.0.timestamp_subsec_micros()];
        // A leap second is more than there are digits for.
        if numbers[6] > 999_999 {
            return None;
        }
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        for (mut number, place) in numbers.into_iter().zip(NUMBERS) {
            for digit in text[place].iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        Some(text)
    }

    /// What [`Self::written`] wrote; `None` for what it didn't.
    fn read(text: &[u8]) -> Option<Self> {
        let text: &[u8; WRITTEN] = text.try_into().ok()?;
        let between = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (26, b'Z')];
        if between.iter().any(|(place, sign)| text[*place] != *sign) {
            return None;
        }
        let mut numbers = [0; 7];
        for (number, place) in numbers.iter_mut().zip(NUMBERS) {
            for digit in &text[place] {
                *number = *number * 10 + u32::from(digit.is_ascii_digit().then(|| digit - b'0')?);
            }
        }
        let [year, month, day, hour, minute, second, micro] = numbers;
        let day = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
        Some(Self(day.and_hms_micro_opt(hour, minute, second, micro)?.and_utc()))
    }
}

/// RFC 3339 with as many digits of a second as it has thousands of: none, three or six.
impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let whole_micros = self.0.timestamp_subsec_nanos().is_multiple_of(1_000);
        let Some(mut text) = self.written().filter(|_| whole_micros) else { return self.0.serialize(serializer) };
        let end = match &text[20..26] {
            b"000000" => 19,
            [.., b'0', b'0', b'0'] => 23,
            _ => 26,
        };
        text[end] = b'Z';
        serializer.serialize_str(std::str::from_utf8(&text[..=end]).map_err(serde::ser::Error::custom)?)
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
        let written = self.written().and_then(|text| String::from_utf8(text.to_vec()).ok());
        out.set_value(written.unwrap_or_else(|| self.0.to_rfc3339_opts(SecondsFormat::Micros, true)));
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
        match Self::read(text.as_bytes()) {
            Some(at) => Ok(at),
            None => Ok(Self(DateTime::parse_from_rfc3339(&text)?.to_utc())),
        }
    }
}

impl FromSql<sql::Instant, Any> for Instant {
    fn from_sql(value: <Any as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        value.from_sql::<Instant, sql::Instant>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is written by hand is what chrono writes, and is read as what it was.
        #[test]
        fn written_as_chrono_writes(seconds in -62_200_000_000_i64..253_500_000_000, nanos in prop_oneof![Just(0), (0..1_000_u32).prop_map(|n| n * 1_000_000), (0..1_000_000_u32).prop_map(|n| n * 1_000), 0..1_999_999_999_u32]) {
            let Some(at) = DateTime::from_timestamp(seconds, nanos).map(Instant) else { return Ok(()) };
            prop_assert_eq!(serde_json::to_string(&at).ok(), serde_json::to_string(&at.0).ok());
            if let Some(text) = at.written() {
                let text = String::from_utf8(text.to_vec()).expect("ASCII");
                prop_assert_eq!(&text, &at.0.to_rfc3339_opts(SecondsFormat::Micros, true));
                prop_assert_eq!(Instant::read(text.as_bytes()), Some(Instant(at.0.trunc_subsecs(6))));
            }
        }

        /// What is read by hand is what chrono reads.
        #[test]
        fn read_as_chrono_reads(text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{6}Z|.{27}") {
            if let Some(at) = Instant::read(text.as_bytes()) {
                prop_assert_eq!(DateTime::parse_from_rfc3339(&text).ok().map(|at| at.to_utc()), Some(at.0));
            }
        }
    }
}
