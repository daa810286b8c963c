//! The way of a round: opened, ended, announced, awarded.

use chrono::{Days, NaiveDate};
use diesel::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use validator::Validate;

use super::{CommendationRound, CommendationRounds, CommendationState, Row, hold};
use crate::db::Tx;
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Scope};
use crate::resources::nominations::{self, NominationState};
use crate::resources::rules;
use crate::schema::{commendation_rounds as t, nominations as n};
use crate::types::business_today;
use crate::web::resource::{Run, Step};
use crate::web::shape::Shape;
use crate::web::verbs::{stale, step_body};
use crate::web::{Resource, save};

/// An announcement stands so many days at least.
const LEAST_DAYS: i32 = 7;

/// For how long what was approved is told to the public.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct AnnounceBody {
    /// Days, today not counted: 7 when absent.
    #[schema(minimum = 7, maximum = 365, example = 7)]
    announced_days: Option<i32>,
}

/// Under which number it is awarded, and when.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct AwardBody {
    #[schema(min_length = 1, max_length = 50, example = "郑义〔2022〕8号")]
    #[validate(custom(function = "rules::document_number"))]
    document_number: String,
    /// Today when absent; after the announcement's last day.
    awarded_on: Option<NaiveDate>,
}

pub fn all() -> Vec<Step<CommendationRounds>> {
    type Taken = (Action, &'static str, Option<fn() -> Shape>, Run<CommendationRounds>);
    let steps: [Taken; 4] = [
        (Action::Publish, "开始申报 / Open the round for nominations", None, publish),
        (Action::Conclude, "结束申报，进入评审 / End the nominations and begin the review", None, conclude),
        (
            Action::Issue,
            "公示评选结果，至少 7 天 / Announce what was approved to the public, for seven days or more",
            Some(Shape::of::<AnnounceBody>),
            announce,
        ),
        (
            Action::Award,
            "公示期满后编号表彰 / Award under a document's number, once the announcement has stood",
            Some(Shape::of::<AwardBody>),
            award,
        ),
    ];
    steps.into_iter().map(|(action, summary, body, run)| Step { action, summary, body, needs_key: false, run }).collect()
}

/// Takes a round's row for this transaction, as it was when it was read.
fn take(tx: &mut Tx<'_>, before: &CommendationRound) -> Result<Row> {
    let row = hold(tx, before.id)?;
    if row.version == before.version { Ok(row) } else { Err(stale(row.version)) }
}

fn next(tx: &Tx<'_>, before: &Row, state: CommendationState) -> Row {
    Row { state, version: before.version + 1, updated_at: tx.now, ..before.clone() }
}

fn save(tx: &mut Tx<'_>, scope: &Scope, before: &Row, after: &Row) -> Result<CommendationRound> {
    save!(tx, t, before, after)?;
    CommendationRounds::find(tx.conn, scope, after.id)
}

fn conflict(pointer: &str, code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Error {
    Error::with_faults(Code::Conflict, vec![Fault::new(pointer, code, Says::new(zh, en))])
}

fn publish(tx: &mut Tx<'_>, scope: &Scope, before: CommendationRound, _: &Value) -> Result<CommendationRound> {
    let row = take(tx, &before)?;
    if row.closes_on < business_today(tx.now) {
        return Err(conflict(
            "/closes_on",
            "over_already",
            format!("申报截止日期 {} 已过，请先修改", row.closes_on),
            format!("nominations would have ended on {}; change that first", row.closes_on),
        ));
    }
    let after = next(tx, &row, CommendationState::Open);
    save(tx, scope, &row, &after)
}

fn conclude(tx: &mut Tx<'_>, scope: &Scope, before: CommendationRound, _: &Value) -> Result<CommendationRound> {
    let row = take(tx, &before)?;
    let after = next(tx, &row, CommendationState::Reviewing);
    save(tx, scope, &row, &after)
}

/// `issue`: what is told to the public is decided, and there is something to tell.
fn announce(tx: &mut Tx<'_>, scope: &Scope, before: CommendationRound, body: &Value) -> Result<CommendationRound> {
    let days = step_body::<AnnounceBody>(body)?.announced_days.unwrap_or(LEAST_DAYS);
    let row = take(tx, &before)?;
    let counts = CommendationRounds::find(tx.conn, scope, row.id)?.nominations;
    if counts.undecided > 0 {
        return Err(conflict(
            "/nominations",
            "undecided_nominations",
            format!("还有 {} 份申报没有审定", counts.undecided),
            format!("{} nominations are not decided yet", counts.undecided),
        ));
    }
    if counts.approved == 0 {
        return Err(conflict(
            "/nominations",
            "nothing_to_announce",
            "没有通过评审的申报，无可公示",
            "nothing was approved, so there is nothing to announce",
        ));
    }
    let today = business_today(tx.now);
    let until = u64::try_from(days).ok().and_then(|days| today.checked_add_days(Days::new(days)));
    let after = Row {
        announced_on: Some(today),
        announced_days: Some(days),
        announced_until: Some(until.ok_or_else(|| Error::internal("an announcement without an end was let through"))?),
        ..next(tx, &row, CommendationState::Announced)
    };
    save(tx, scope, &row, &after)
}

/// `award`: what is approved becomes awarded, and a workstation is a commended one.
fn award(tx: &mut Tx<'_>, scope: &Scope, before: CommendationRound, body: &Value) -> Result<CommendationRound> {
    let AwardBody { document_number, awarded_on } = step_body(body)?;
    let row = take(tx, &before)?;
    let today = business_today(tx.now);
    let until = row.announced_until.ok_or_else(|| Error::internal("an announced round without its days"))?;
    if today <= until {
        return Err(conflict(
            "/announced_until",
            "period_not_over",
            format!("公示到 {until} 为止，次日起才能表彰"),
            format!("the announcement stands until {until}; it is awarded from the day after"),
        ));
    }
    let awarded_on = awarded_on.unwrap_or(today);
    let mut faults: Vec<Fault> = rules::not_ahead(Some(awarded_on), tx.now, "/awarded_on").into_iter().collect();
    if awarded_on <= until {
        let says = Says::new(
            format!("表彰日期应在公示期满（{until}）之后"),
            format!("it can't have been awarded before the announcement ended on {until}"),
        );
        faults.push(Fault::new("/awarded_on", "period_not_over", says));
    }
    Error::unless_empty(faults)?;
    let left: i64 = n::table.filter(n::round_id.eq(row.id)).filter(n::state.eq(NominationState::Approved)).count().get_result(tx.conn)?;
    if left == 0 {
        return Err(conflict(
            "/nominations",
            "nothing_to_award",
            "公示的申报均已驳回，无可表彰",
            "all that was announced has been rejected since",
        ));
    }
    nominations::award(tx, row.id)?;
    let after = Row { document_number: Some(document_number), awarded_on: Some(awarded_on), ..next(tx, &row, CommendationState::Awarded) };
    save(tx, scope, &row, &after)
}
