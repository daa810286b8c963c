//! The way of a return: submitted by the county, sent back or accepted by who asked for it, amended in the open.

use diesel::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use validator::Validate;

use super::{MonthlyReturn, MonthlyReturns, ReturnState, RevisionRow, Row, cells, checks, opening};
use crate::db::{Tx, held, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Scope};
use crate::resources::rules::{self, ReasonBody};
use crate::schema::{monthly_return_revisions as r, monthly_returns as t};
use crate::types::business_today;
use crate::web::resource::{Run, Step};
use crate::web::shape::Shape;
use crate::web::verbs::{stale, step_body};
use crate::web::{Resource, save};

/// Why a return is sent back, and what is to be said of single figures.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct SendBackBody {
    /// Told to the county.
    #[schema(min_length = 1, max_length = 500, example = "请核对志愿者人数。")]
    #[validate(custom(function = "rules::reason"))]
    reason: String,
    /// What is to be said of single figures.
    #[schema(max_items = 60)]
    cells: Option<Vec<ObjectionBody>>,
}

/// What is to be said of a figure.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectionBody {
    /// Code of a figure of the form.
    #[schema(min_length = 1, max_length = 100, example = "four_ones.volunteers")]
    figure: String,
    #[schema(min_length = 1, max_length = 500, example = "比上月少了一半，请核对。")]
    objection: String,
}

pub fn all() -> Vec<Step<MonthlyReturns>> {
    type Taken = (Action, &'static str, Option<fn() -> Shape>, Run<MonthlyReturns>);
    let steps: [Taken; 5] = [
        (
            Action::Prefill,
            "重新取数：按记录重新计算，未改动的上报数随之更新 / Compute again: what is declared as the records say it follows them",
            None,
            prefill,
        ),
        (
            Action::Submit,
            "提交：重新计算；上报数与记录不符的应说明原因 / Submit: computed once more; another number than the records say wants a reason",
            None,
            submit,
        ),
        (
            Action::Return,
            "退回，可逐项说明 / Send back, with what is to be said of single figures",
            Some(Shape::of::<SendBackBody>),
            send_back,
        ),
        (Action::Accept, "审核通过并锁定（不得为提交人） / Accept and lock: by another than who submitted it", None, accept),
        (
            Action::Amend,
            "更正：保留已通过的数字，重新填报 / Amend: what was accepted is kept as a revision, and the next is filled in",
            Some(Shape::of::<ReasonBody>),
            amend,
        ),
    ];
    steps.into_iter().map(|(action, summary, body, run)| Step { action, summary, body, needs_key: false, run }).collect()
}

/// Takes a return's row for this transaction, as it was when it was read.
pub fn take(tx: &mut Tx<'_>, before: &MonthlyReturn) -> Result<Row> {
    let one = t::table.filter(t::id.eq(before.id));
    held!(tx.conn, one.select(t::id))?;
    let row: Row = one.select(Row::as_select()).first(tx.conn)?;
    if row.version == before.version { Ok(row) } else { Err(stale(row.version)) }
}

pub fn next(tx: &Tx<'_>, before: &Row) -> Row {
    Row { version: before.version + 1, updated_at: tx.now, ..before.clone() }
}

fn save(tx: &mut Tx<'_>, scope: &Scope, before: &Row, after: &Row) -> Result<MonthlyReturn> {
    save!(tx, t, before, after)?;
    MonthlyReturns::find(tx.conn, scope, after.id)
}

/// What the records say now, in the figures of a return.
fn computed(tx: &mut Tx<'_>, row: &Row) -> Result<Vec<cells::CellRow>> {
    let mut own = cells::of_returns(tx.conn, &[row.id])?.remove(&row.id).unwrap_or_default();
    let definitions: Vec<_> = own.iter().filter_map(|cell| crate::figures::named(&cell.figure)).collect();
    let mut figures = opening::figures_of(
        tx.conn,
        &Scope::of_operator().of_little(),
        row.organization_id,
        &[row.organization_id],
        &definitions,
        row.month,
    )?;
    let figures = figures.remove(&row.organization_id).unwrap_or_default();
    for cell in &mut own {
        if let Some(of) = figures.iter().find(|of| of.definition.code == cell.figure) {
            cell.compute_again(of);
        }
    }
    Ok(own)
}

fn prefill(tx: &mut Tx<'_>, scope: &Scope, before: MonthlyReturn, _: &Value) -> Result<MonthlyReturn> {
    let row = take(tx, &before)?;
    let own = computed(tx, &row)?;
    cells::replace(tx.conn, row.id, own)?;
    let after = Row { computed_at: tx.now, ..next(tx, &row) };
    save(tx, scope, &row, &after)
}

fn submit(tx: &mut Tx<'_>, scope: &Scope, before: MonthlyReturn, _: &Value) -> Result<MonthlyReturn> {
    let actor = tx.actor()?;
    let row = take(tx, &before)?;
    // What was declared stands; what the records say is looked up once more, for nobody to accept a number of last week.
    let was = cells::of_returns(tx.conn, &[row.id])?.remove(&row.id).unwrap_or_default();
    let mut now = computed(tx, &row)?;
    for (cell, was) in now.iter_mut().zip(&was) {
        cell.declared = was.declared;
        cell.declared_precision = was.declared_precision;
        cell.objection = None;
    }
    let faults = checks::obstacles(&now);
    if !faults.is_empty() {
        return Err(Error::with_faults(Code::Conflict, faults));
    }
    cells::replace(tx.conn, row.id, now)?;
    let today = business_today(tx.now);
    let after = Row {
        state: ReturnState::Submitted,
        reason: if row.revision > 1 { row.reason.clone() } else { None },
        computed_at: tx.now,
        first_submitted_on: Some(row.first_submitted_on.unwrap_or(today)),
        submitted_at: Some(tx.now),
        submitted_by: Some(actor),
        ..next(tx, &row)
    };
    save(tx, scope, &row, &after)
}

fn send_back(tx: &mut Tx<'_>, scope: &Scope, before: MonthlyReturn, body: &Value) -> Result<MonthlyReturn> {
    let SendBackBody { reason, cells: objections } = step_body(body)?;
    let row = take(tx, &before)?;
    let mut own = cells::of_returns(tx.conn, &[row.id])?.remove(&row.id).unwrap_or_default();
    let mut faults = Vec::new();
    for (i, said) in objections.unwrap_or_default().into_iter().enumerate() {
        match own.iter_mut().find(|cell| cell.figure == said.figure) {
            Some(cell) => cell.objection = Some(said.objection),
            None => {
                let figure = &said.figure;
                let says = Says::new(format!("本表没有指标“{figure}”"), format!("the form doesn't ask for a figure '{figure}'"));
                faults.push(Fault::new(format!("/cells/{i}/figure"), "not_in_the_form", says));
            }
        }
    }
    Error::unless_empty(faults)?;
    cells::replace(tx.conn, row.id, own)?;
    let after = Row { state: ReturnState::Returned, reason: Some(reason), ..next(tx, &row) };
    save(tx, scope, &row, &after)
}

fn accept(tx: &mut Tx<'_>, scope: &Scope, before: MonthlyReturn, _: &Value) -> Result<MonthlyReturn> {
    let actor = tx.actor()?;
    let row = take(tx, &before)?;
    let after = Row { state: ReturnState::Accepted, reason: None, accepted_at: Some(tx.now), accepted_by: Some(actor), ..next(tx, &row) };
    save(tx, scope, &row, &after)
}

fn amend(tx: &mut Tx<'_>, scope: &Scope, before: MonthlyReturn, body: &Value) -> Result<MonthlyReturn> {
    let actor = tx.actor()?;
    let reason = step_body::<ReasonBody>(body)?.reason;
    let row = take(tx, &before)?;
    let own = cells::of_returns(tx.conn, &[row.id])?.remove(&row.id).unwrap_or_default();
    let kept: Vec<cells::KeptCell> = own.iter().map(cells::KeptCell::from).collect();
    let missing = || Error::internal("an accepted return without who accepted it");
    let revision = RevisionRow {
        return_id: row.id,
        revision: row.revision,
        cells: serde_json::to_string(&kept).map_err(Error::internal)?,
        submitted_at: row.submitted_at.ok_or_else(missing)?,
        submitted_by: row.submitted_by.ok_or_else(missing)?,
        accepted_at: row.accepted_at.ok_or_else(missing)?,
        accepted_by: row.accepted_by.ok_or_else(missing)?,
        amended_at: tx.now,
        amended_by: actor,
        reason: reason.clone(),
    };
    let rows = [revision];
    insert_all!(&mut *tx.conn, r::table, rows)?;
    let after = Row {
        state: ReturnState::Open,
        revision: row.revision + 1,
        reason: Some(reason),
        accepted_at: None,
        accepted_by: None,
        ..next(tx, &row)
    };
    save(tx, scope, &row, &after)
}
