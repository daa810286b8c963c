//! Rules that several slices share: pure, with what they judge passed in.

use chrono::{Datelike, NaiveDate};
use validator::ValidationError;

use crate::db::AnyConnection;
use crate::error::{Error, Fault, Result, Says};
use crate::policy::Scope;
use crate::types::Id;
use crate::web::verbs::{named, refusal};

/// A period ends on or after its beginning.
pub fn in_order(from: Option<NaiveDate>, to: Option<NaiveDate>, to_field: &'static str) -> Result<(), ValidationError> {
    match (from, to) {
        (Some(from), Some(to)) if to < from => Err(refusal(
            Some(to_field),
            "ends_before_it_begins",
            &Says::new(format!("结束日期不能早于 {from}"), format!("the end must not be before {from}")),
        )),
        _ => Ok(()),
    }
}

/// The exact day, where it is known, lies in the year that the record is counted in.
pub fn in_year(year: i32, day: Option<NaiveDate>, day_field: &'static str) -> Result<(), ValidationError> {
    match day {
        Some(day) if day.year() != year => Err(refusal(
            Some(day_field),
            "outside_the_year",
            &Says::new(format!("日期应在 {year} 年内"), format!("the day should lie in {year}")),
        )),
        _ => Ok(()),
    }
}

/// The year that a record is counted in is given, or told by its day; where both are known they agree.
pub fn year_known(year: Option<i32>, day: Option<NaiveDate>, day_field: &'static str) -> Result<(), ValidationError> {
    match (year, day) {
        (None, None) => Err(refusal(
            Some("year"),
            "required",
            &Says::new("请填写年度，或填写具体日期", "give the year, or the day from which it can be told"),
        )),
        (Some(year), day) => in_year(year, day, day_field),
        (None, Some(_)) => Ok(()),
    }
}

/// The year that was given, or that of the day; [`year_known`] has made sure of one of them.
pub fn year_of(year: Option<i32>, day: Option<NaiveDate>) -> Result<i32> {
    year.or(day.map(|day| day.year())).ok_or_else(|| Error::internal("a record without a year was let through"))
}

/// A code is what people type: no spaces around or within it.
pub fn code(text: &str) -> Result<(), ValidationError> {
    if text.is_empty() || text.chars().any(char::is_whitespace) {
        return Err(refusal(None, "invalid_code", &Says::new("编码不能为空或含空格", "a code has no spaces and is not empty")));
    }
    Ok(())
}

/// That every record referred to exists and is in scope: one query per kind of record, whatever their number.
///
/// `wanted` holds the pointer of each reference and the id it gives.
pub fn all_in_scope(
    conn: &mut AnyConnection,
    scope: &Scope,
    of: &'static str,
    wanted: impl IntoIterator<Item = (String, Option<Id>)>,
    faults: &mut Vec<Fault>,
) -> Result<()> {
    let wanted: Vec<(String, Id)> = wanted.into_iter().filter_map(|(pointer, id)| Some((pointer, id?))).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut ids: Vec<Id> = wanted.iter().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let verbs = named(of).ok_or_else(|| Error::internal(format_args!("no resource is called {of}")))?;
    let known = verbs.known_ids(conn, scope, &ids)?;
    faults.extend(wanted.into_iter().filter(|(_, id)| !known.contains(id)).map(|(pointer, _)| Fault::unknown_reference(pointer)));
    Ok(())
}
