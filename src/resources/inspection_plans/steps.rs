//! The way of a plan: published, then concluded or cancelled.

use diesel::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use validator::Validate;

use super::{InspectionPlan, InspectionPlans, PlanState, Row};
use crate::db::{Tx, held};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Scope};
use crate::resources::rules::{self, ReasonBody};
use crate::schema::inspection_plans as t;
use crate::web::resource::{Run, Step};
use crate::web::shape::Shape;
use crate::web::verbs::{stale, step_body};
use crate::web::{Resource, save};

/// How many of those not visited a refusal names.
const NAMED: usize = 10;

/// Why a plan is concluded, where some were not visited.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ConcludePlanBody {
    /// Needed where an organization was not visited.
    #[schema(min_length = 1, max_length = 500, example = "该县因防汛改为书面检查")]
    #[validate(custom(function = "rules::reason"))]
    reason: Option<String>,
}

pub fn all() -> Vec<Step<InspectionPlans>> {
    type Taken = (Action, &'static str, Option<fn() -> Shape>, Run<InspectionPlans>);
    let steps: [Taken; 3] = [
        (Action::Publish, "公布计划，开始检查 / Publish: inspections count for it from now on", None, publish),
        (
            Action::Conclude,
            "办结：受检单位均已检查，否则须说明原因 / Conclude: with all of them visited, or a reason",
            Some(Shape::of::<ConcludePlanBody>),
            conclude,
        ),
        (Action::Withdraw, "取消计划 / Cancel the plan", Some(Shape::of::<ReasonBody>), cancel),
    ];
    steps.into_iter().map(|(action, summary, body, run)| Step { action, summary, body, needs_key: false, run }).collect()
}

/// Takes a plan's row for this transaction, as it was when it was read.
fn take(tx: &mut Tx<'_>, before: &InspectionPlan) -> Result<Row> {
    let one = t::table.filter(t::id.eq(before.id));
    held!(tx.conn, one.select(t::id))?;
    let row: Row = one.select(Row::as_select()).first(tx.conn)?;
    if row.version == before.version { Ok(row) } else { Err(stale(row.version)) }
}

fn move_on(tx: &mut Tx<'_>, scope: &Scope, before: &Row, state: PlanState, reason: Option<String>) -> Result<InspectionPlan> {
    let after = Row { state, reason, version: before.version + 1, updated_at: tx.now, ..before.clone() };
    save!(tx, t, before, &after)?;
    InspectionPlans::find(tx.conn, scope, after.id)
}

fn publish(tx: &mut Tx<'_>, scope: &Scope, before: InspectionPlan, _: &Value) -> Result<InspectionPlan> {
    let row = take(tx, &before)?;
    move_on(tx, scope, &row, PlanState::Published, None)
}

fn conclude(tx: &mut Tx<'_>, scope: &Scope, before: InspectionPlan, body: &Value) -> Result<InspectionPlan> {
    let reason = step_body::<ConcludePlanBody>(body)?.reason;
    let row = take(tx, &before)?;
    // Read again: a visit may have come in between.
    let coverage = InspectionPlans::find(tx.conn, scope, before.id)?.coverage;
    let left = coverage.planned - coverage.visited;
    if left > 0 && reason.is_none() {
        let named: Vec<&str> = coverage.missing.iter().take(NAMED).map(|organization| organization.name.as_str()).collect();
        let more = if left > i64::try_from(NAMED).unwrap_or(i64::MAX) { "等" } else { "" };
        let says = Says::new(
            format!("还有 {left} 个单位没有检查：{}{more}；请先检查，或说明原因", named.join("、")),
            format!("{left} organizations were not visited: {}; visit them, or say why not", named.join(", ")),
        );
        return Err(Error::with_faults(Code::Conflict, vec![Fault::new("/reason", "subjects_not_visited", says)]));
    }
    move_on(tx, scope, &row, PlanState::Concluded, reason.filter(|_| left > 0))
}

fn cancel(tx: &mut Tx<'_>, scope: &Scope, before: InspectionPlan, body: &Value) -> Result<InspectionPlan> {
    let reason = step_body::<ReasonBody>(body)?.reason;
    let row = take(tx, &before)?;
    move_on(tx, scope, &row, PlanState::Cancelled, Some(reason))
}
