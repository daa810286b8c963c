//! Rules that several slices share: pure, with what they judge passed in.

use std::collections::HashSet;

use chrono::{Datelike, NaiveDate};
use diesel::prelude::*;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use crate::audit;
use crate::db::{AnyConnection, Tx};
use crate::error::{Error, Fault, Result, Says};
use crate::policy::{Action, Actor, Scope};
use crate::schema::organization_closure as closure;
use crate::types::{Id, Instant, NumberFound, TextEnum, business_today, numbers_in};
use crate::web::verbs::{named, refusal};
use crate::web::{Resource, Viewed};

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

/// Says of records that they have gone to another organization along with what they belong to: `rows` are their ids, each with the
/// organization before.
pub fn followed(tx: &mut Tx<'_>, resource: &'static str, rows: Vec<(Id, Id)>, organization_id: Id) {
    for (id, before) in rows {
        let detail = json!({"organization_id": [before, organization_id]});
        tx.audit(Action::Update.code(), resource, Some(id), Some(organization_id), Some(&detail));
    }
}

/// What has happened does not lie ahead.
pub fn not_ahead(day: Option<NaiveDate>, now: Instant, pointer: impl Into<String>) -> Option<Fault> {
    let today = business_today(now);
    day.is_some_and(|day| day > today).then(|| {
        let says = Says::new(format!("日期不能晚于今天（{today}）"), format!("the day must not be later than today ({today})"));
        Fault::new(pointer, "in_the_future", says)
    })
}

/// Why a record is sent back, ended or undone.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ReasonBody {
    /// Told to who prepared it.
    #[schema(min_length = 1, max_length = 500)]
    #[validate(custom(function = "reason"))]
    pub reason: String,
}

/// A reason says something.
pub fn reason(text: &str) -> Result<(), ValidationError> {
    if text.trim().is_empty() { Err(refusal(None, "required", &Says::new("请写明原因", "say why"))) } else { Ok(()) }
}

/// A text that the public reads says something, and holds no number by which somebody is found: of a paper, a mobile phone, a bank
/// card. Which it is and where it stands is told, and never the number.
pub fn public_text(text: &str) -> Result<(), ValidationError> {
    if text.trim().is_empty() {
        return Err(refusal(None, "required", &Says::new("请填写内容", "say something")));
    }
    let found: Vec<Says> = numbers_in(text).into_iter().take(20).map(NumberFound::says).collect();
    if found.is_empty() {
        return Ok(());
    }
    let all = |language: fn(&Says) -> &str, with: &str| found.iter().map(language).collect::<Vec<_>>().join(with);
    Err(refusal(None, "identifier_in_text", &Says::new(all(|says| &says.zh, "；"), all(|says| &says.en, "; "))))
}

/// The number of an official document, `郑义〔2022〕8号`: its issuer in Chinese characters, four digits of a year in 〔〕, a number
/// without a leading zero. What is written otherwise is refused and never rewritten: it is a name.
pub fn document_number(text: &str) -> Result<(), ValidationError> {
    if is_document_number(text) {
        return Ok(());
    }
    let right: String = text
        .chars()
        .map(|c| match c {
            '[' | '（' | '(' | '﹝' | '【' | '［' => '〔',
            ']' | '）' | ')' | '﹞' | '】' | '］' => '〕',
            other => other,
        })
        .collect();
    let says = if is_document_number(&right) {
        Says::new(
            format!("文号的年份应写在六角括号〔〕中：{right}"),
            format!("the year of a document number stands in the brackets 〔〕: {right}"),
        )
    } else {
        Says::new(
            "文号应写作 郑义〔2022〕8号：机关代字、〔四位年份〕、不以 0 开头的序号和“号”",
            "a document number is written 郑义〔2022〕8号: the issuer, a year of four digits in 〔〕, a number without a leading zero, and 号",
        )
    };
    Err(refusal(None, "invalid_document_number", &says))
}

fn is_document_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.strip_suffix('号').and_then(|rest| rest.split_once('〔')).is_some_and(|(issuer, rest)| {
        let issued = !issuer.is_empty() && issuer.chars().all(|c| ('\u{4E00}'..='\u{9FFF}').contains(&c));
        issued && rest.split_once('〕').is_some_and(|(year, n)| year.len() == 4 && digits(year) && digits(n) && !n.starts_with('0'))
    })
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

/// Which of some organizations are, or lie below, which of some others: pairs of the one above and the one below. One query, whatever their
/// number.
pub fn lying_below(
    conn: &mut AnyConnection,
    above: impl IntoIterator<Item = Id>,
    below: impl IntoIterator<Item = Id>,
) -> Result<HashSet<(Id, Id)>> {
    let above: HashSet<Id> = above.into_iter().collect();
    let below: HashSet<Id> = below.into_iter().collect();
    if above.is_empty() || below.is_empty() {
        return Ok(HashSet::new());
    }
    let pairs: Vec<(Id, Id)> = closure::table
        .filter(closure::ancestor_id.eq_any(above))
        .filter(closure::descendant_id.eq_any(below))
        .select((closure::ancestor_id, closure::descendant_id))
        .load(conn)?;
    Ok(pairs.into_iter().collect())
}

/// Those of the records of which the actor has written a version, where what is asked takes another hand: an objection of theirs.
pub fn wrote<R: Resource>(
    conn: &mut AnyConnection,
    actor: &Actor,
    asked: &[(&R::View, Action)],
    of_another: &[Action],
) -> Result<HashSet<Id>> {
    let ids: Vec<Id> = asked.iter().filter(|(_, action)| of_another.contains(action)).map(|(view, _)| view.id()).collect();
    if ids.is_empty() { Ok(HashSet::new()) } else { Ok(audit::written_by(conn, R::NAME, actor.id, &ids)?) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_numbers() {
        for fine in ["郑义〔2022〕8号", "豫政办〔2013〕90号", "民发〔2015〕149号"] {
            assert!(document_number(fine).is_ok(), "{fine}");
        }
        let told = |text: &str| document_number(text).expect_err("refused").params["zh"].as_str().expect("words").to_owned();
        for brackets in ["民发﹝2015﹞149号", "民发[2015]149号", "民发(2015)149号", "民发（2015）149号", "民发【2015】149号"]
        {
            assert!(told(brackets).ends_with("民发〔2015〕149号"), "{brackets}");
        }
        for wrong in ["郑义〔2022〕08号", "郑义〔2022〕第8号", "〔2022〕8号", "郑义2022-8号", "郑义〔22〕8号", "郑义〔2022〕８号", ""]
        {
            assert!(told(wrong).contains("郑义〔2022〕8号"), "{wrong}");
        }
    }
}
