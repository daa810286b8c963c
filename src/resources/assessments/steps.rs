//! The way of an assessment: submitted when everything is answered and proved, then accepted by another hand or sent back.

use diesel::prelude::*;
use serde_json::Value;

use super::{Assessment, AssessmentState, Assessments, Row, answers, standard_of};
use crate::db::{Tx, held};
use crate::error::{Code, Error, Result};
use crate::policy::{Action, Scope};
use crate::resources::rules::ReasonBody;
use crate::schema::assessments as t;
use crate::types::business_today;
use crate::web::resource::{Run, Step};
use crate::web::shape::Shape;
use crate::web::verbs::{stale, step_body};
use crate::web::{Resource, save};

pub fn all() -> Vec<Step<Assessments>> {
    type Taken = (Action, &'static str, Option<fn() -> Shape>, Run<Assessments>);
    let steps: [Taken; 4] = [
        (
            Action::Submit,
            "提交：各项均已作答，需要佐证的项目均有附件 / Submit: with every item answered, and proved where that is required",
            None,
            submit,
        ),
        (
            Action::Return,
            "退回并说明原因，恢复为草稿 / Send back with the reason: it is a draft again",
            Some(Shape::of::<ReasonBody>),
            send_back,
        ),
        (Action::Accept, "审核通过（不得为编制人或提交人） / Accept: by another than who wrote or submitted it", None, accept),
        (
            Action::Withdraw,
            "撤回并说明原因，评定不再有效 / Withdraw with the reason: it holds no more",
            Some(Shape::of::<ReasonBody>),
            withdraw,
        ),
    ];
    steps.into_iter().map(|(action, summary, body, run)| Step { action, summary, body, needs_key: false, run }).collect()
}

/// Takes an assessment's row for this transaction, as it was when it was read.
fn take(tx: &mut Tx<'_>, before: &Assessment) -> Result<Row> {
    let one = t::table.filter(t::id.eq(before.id));
    held!(tx.conn, one.select(t::id))?;
    let row: Row = one.select(Row::as_select()).first(tx.conn)?;
    if row.version == before.version { Ok(row) } else { Err(stale(row.version)) }
}

fn next(tx: &Tx<'_>, before: &Row) -> Row {
    Row { version: before.version + 1, updated_at: tx.now, ..before.clone() }
}

fn save(tx: &mut Tx<'_>, scope: &Scope, before: &Row, after: &Row) -> Result<Assessment> {
    save!(tx, t, before, after)?;
    Assessments::find(tx.conn, scope, after.id)
}

fn submit(tx: &mut Tx<'_>, scope: &Scope, before: Assessment, _: &Value) -> Result<Assessment> {
    let actor = tx.actor()?;
    let row = take(tx, &before)?;
    let standard = standard_of(tx.conn, row.standard_id)?;
    let faults = answers::missing(&standard.items, &before.items);
    if !faults.is_empty() {
        return Err(Error::with_faults(Code::Conflict, faults));
    }
    let after = Row { state: AssessmentState::Submitted, reason: None, submitted_by: Some(actor), ..next(tx, &row) };
    save(tx, scope, &row, &after)
}

fn send_back(tx: &mut Tx<'_>, scope: &Scope, before: Assessment, body: &Value) -> Result<Assessment> {
    let reason = step_body::<ReasonBody>(body)?.reason;
    let row = take(tx, &before)?;
    let after = Row { state: AssessmentState::Draft, reason: Some(reason), submitted_by: None, ..next(tx, &row) };
    save(tx, scope, &row, &after)
}

fn accept(tx: &mut Tx<'_>, scope: &Scope, before: Assessment, _: &Value) -> Result<Assessment> {
    let actor = tx.actor()?;
    let row = take(tx, &before)?;
    let today = business_today(tx.now);
    let after = Row { state: AssessmentState::Accepted, accepted_by: Some(actor), accepted_on: Some(today), ..next(tx, &row) };
    save(tx, scope, &row, &after)
}

fn withdraw(tx: &mut Tx<'_>, scope: &Scope, before: Assessment, body: &Value) -> Result<Assessment> {
    let reason = step_body::<ReasonBody>(body)?.reason;
    let row = take(tx, &before)?;
    let after = Row { state: AssessmentState::Withdrawn, reason: Some(reason), ..next(tx, &row) };
    save(tx, scope, &row, &after)
}
