//! A calendar month of Asia/Shanghai, written `2022-06`.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, NaiveDate};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::db::Any;

/// A month of the years 2000 to 2100. Held as its first day; as text it sorts as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub struct Month(NaiveDate);

impl Month {
    /// The month of a year, by its number from 1 on.
    pub fn new(year: i32, number: u32) -> Option<Self> {
        (2000..=2100).contains(&year).then(|| NaiveDate::from_ymd_opt(year, number, 1)).flatten().map(Self)
    }

    /// The month that a day lies in.
    pub fn of(day: NaiveDate) -> Option<Self> {
        Self::new(day.year(), day.month())
    }

    pub fn year(self) -> i32 {
        self.0.year()
    }

    /// From 1 on.
    pub fn number(self) -> u32 {
        self.0.month()
    }

    pub fn first_day(self) -> NaiveDate {
        self.0
    }

    pub fn last_day(self) -> NaiveDate {
        let next = NaiveDate::from_ymd_opt(self.year() + i32::from(self.number() == 12), self.number() % 12 + 1, 1);
        next.and_then(|next| next.checked_sub_days(Days::new(1))).unwrap_or(self.0)
    }

    pub fn before(self) -> Option<Self> {
        if self.number() == 1 { Self::new(self.year() - 1, 12) } else { Self::new(self.year(), self.number() - 1) }
    }

    pub fn after(self) -> Option<Self> {
        if self.number() == 12 { Self::new(self.year() + 1, 1) } else { Self::new(self.year(), self.number() + 1) }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m"))
    }
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |text: &str, n| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
        let parts = text.split_once('-').filter(|(year, month)| digits(year, 4) && digits(month, 2));
        let month = parts.and_then(|(year, month)| Self::new(year.parse().ok()?, month.parse().ok()?));
        month.ok_or_else(|| format!("'{text}' is no month like 2022-06"))
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl ToSql<Text, Pg> for Month {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        std::io::Write::write_all(out, self.to_string().as_bytes())?;
        Ok(IsNull::No)
    }
}

impl ToSql<Text, Sqlite> for Month {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.to_string());
        Ok(IsNull::No)
    }
}

impl ToSql<Text, Any> for Month {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Any>) -> serialize::Result {
        out.set_value((Text, self));
        Ok(IsNull::No)
    }
}

impl<DB: Backend> FromSql<Text, DB> for Month
where
    String: FromSql<Text, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(String::from_sql(value)?.parse()?)
    }
}

impl PartialSchema for Month {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::Custom("month".into())))
            .description(Some("A month of Asia/Shanghai, from 2000-01 to 2100-12."))
            .pattern(Some(r"^(20\d\d|2100)-(0[1-9]|1[0-2])$"))
            .examples(["2022-06"])
            .into()
    }
}

impl ToSchema for Month {
    fn name() -> std::borrow::Cow<'static, str> {
        "Month".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months() {
        let month = |text: &str| text.parse::<Month>().expect("a month");
        for (text, last, before, after) in [
            ("2022-01", "2022-01-31", "2021-12", "2022-02"),
            ("2024-02", "2024-02-29", "2024-01", "2024-03"),
            ("2022-12", "2022-12-31", "2022-11", "2023-01"),
        ] {
            let it = month(text);
            assert_eq!(it.to_string(), text);
            assert_eq!(it.last_day().to_string(), last);
            assert_eq!((it.before(), it.after()), (Some(month(before)), Some(month(after))));
            assert_eq!(Month::of(it.last_day()), Some(it));
        }
        for wrong in ["2022-13", "2022-00", "2022-6", "22-06", "1999-12", "2101-01", "2022-06-01", "2022/06", "+022-06", ""] {
            assert!(wrong.parse::<Month>().is_err(), "{wrong}");
        }
        assert_eq!((month("2100-12").after(), month("2000-01").before()), (None, None));
    }
}
