//! The way of a finding: reported as remedied, closed by another, opened again.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use validator::Validate;

use super::{FindingState, InspectionFinding, InspectionFindings, visits};
use crate::db::{Tx, held};
use crate::error::{Error, Fault, Result, Says};
use crate::policy::{Action, Scope};
use crate::resources::rules::{self, ReasonBody};
use crate::schema::{attachments, inspection_findings as t};
use crate::types::business_today;
use crate::web::resource::{Run, Step};
use crate::web::shape::Shape;
use crate::web::verbs::{stale, step_body};
use crate::web::{Resource, save};

/// What was done, and when.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct RemedyBody {
    /// Needed where the finding has no attachment that shows it.
    #[schema(min_length = 1, max_length = 2000, example = "已补齐值班记录并明确专人")]
    #[validate(custom(function = "rules::reason"))]
    note: Option<String>,
    remedied_on: NaiveDate,
}

pub fn all() -> Vec<Step<InspectionFindings>> {
    type Taken = (Action, &'static str, Option<fn() -> Shape>, Run<InspectionFindings>);
    let steps: [Taken; 3] = [
        (
            Action::Remedy,
            "登记整改情况，佐证材料作为附件 / Report as remedied, with a note or attachments as evidence",
            Some(Shape::of::<RemedyBody>),
            remedy,
        ),
        (
            Action::Close,
            "销号（不得为责任人或登记整改的人） / Close: by another than the owner and than who reported the remedy",
            None,
            close,
        ),
        (Action::Reopen, "重新打开，须再次整改 / Open it again", Some(Shape::of::<ReasonBody>), reopen),
    ];
    steps.into_iter().map(|(action, summary, body, run)| Step { action, summary, body, needs_key: false, run }).collect()
}

/// Takes a finding for this transaction, as it was when it was read.
fn take(tx: &mut Tx<'_>, before: &InspectionFinding) -> Result<()> {
    let one = t::table.filter(t::id.eq(before.id));
    held!(tx.conn, one.select(t::id))?;
    let version: i32 = one.select(t::version).first(tx.conn)?;
    if version == before.version { Ok(()) } else { Err(stale(version)) }
}

fn save(tx: &mut Tx<'_>, before: &InspectionFinding, after: InspectionFinding) -> Result<InspectionFinding> {
    let after = InspectionFinding { version: before.version + 1, updated_at: tx.now, ..after };
    save!(tx, t, before, &after)?;
    Ok(after)
}

fn remedy(tx: &mut Tx<'_>, _: &Scope, before: InspectionFinding, body: &Value) -> Result<InspectionFinding> {
    let RemedyBody { note, remedied_on } = step_body(body)?;
    let actor = tx.actor()?;
    take(tx, &before)?;
    let mut faults: Vec<Fault> = rules::not_ahead(Some(remedied_on), tx.now, "/remedied_on").into_iter().collect();
    let inspected_on = visits(tx.conn, [before.inspection_id])?.get(&before.inspection_id).and_then(|visit| visit.inspected_on);
    if let Some(inspected_on) = inspected_on.filter(|day| remedied_on < *day) {
        let says = Says::new(
            format!("整改日期不能早于检查日期 {inspected_on}"),
            format!("it can't have been remedied before the inspection on {inspected_on}"),
        );
        faults.push(Fault::new("/remedied_on", "before_the_inspection", says));
    }
    if note.is_none() {
        let shown: i64 = attachments::table
            .filter(attachments::resource.eq(InspectionFindings::NAME))
            .filter(attachments::record_id.eq(before.id))
            .count()
            .get_result(tx.conn)?;
        if shown == 0 {
            let says = Says::new("请说明整改情况，或先上传佐证附件", "say what was done, or attach what shows it first");
            faults.push(Fault::new("/note", "no_evidence", says));
        }
    }
    Error::unless_empty(faults)?;
    let after = InspectionFinding {
        state: FindingState::Remedied,
        remedy_note: note,
        remedied_on: Some(remedied_on),
        remedied_by: Some(actor),
        ..before.clone()
    };
    save(tx, &before, after)
}

fn close(tx: &mut Tx<'_>, _: &Scope, before: InspectionFinding, _: &Value) -> Result<InspectionFinding> {
    let actor = tx.actor()?;
    take(tx, &before)?;
    let after = InspectionFinding {
        state: FindingState::Closed,
        closed_on: Some(business_today(tx.now)),
        closed_by: Some(actor),
        ..before.clone()
    };
    save(tx, &before, after)
}

/// What was reported before stands in the audit log: the finding waits for another remedy.
fn reopen(tx: &mut Tx<'_>, _: &Scope, before: InspectionFinding, body: &Value) -> Result<InspectionFinding> {
    let reason = step_body::<ReasonBody>(body)?.reason;
    take(tx, &before)?;
    let after = InspectionFinding {
        state: FindingState::Open,
        remedy_note: None,
        remedied_on: None,
        remedied_by: None,
        closed_on: None,
        closed_by: None,
        reason: Some(reason),
        ..before.clone()
    };
    save(tx, &before, after)
}
