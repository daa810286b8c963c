//! Inspection findings (检查发现的问题): what an inspection found, who has to see to it by when, and what became of it.
//!
//! `open → remedied → closed`; `reopen` leads back with a reason. What was put right on the spot is closed from the start and has no owner.
//! The inspected association sees what was found and reports what it did about it. The inspecting one writes, closes and reopens, and
//! nobody closes what they had to see to, or have themselves reported as remedied.

mod owners;
mod steps;

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::rules;
use crate::db::{Any, AnyConnection, Part, Subset, Tx, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Actor, Area, OrganizationLevel, Scope};
use crate::schema::{inspection_findings as t, inspections};
use crate::types::{Id, Instant, business_today, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::{Measure, Measured, Reference, Resource, measured, reads, remove, save, viewed};

text_enum! {
    /// How grave a finding is.
    FindingSeverity {
        Minor = "minor", "一般", "minor";
        Serious = "serious", "较重", "serious";
        Critical = "critical", "严重", "critical";
    }
}

text_enum! {
    /// Where a finding stands.
    FindingState {
        Open = "open", "待整改", "open";
        Remedied = "remedied", "已整改待销号", "remedied";
        Closed = "closed", "已销号", "closed";
    }
}

/// Something that an inspection found.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct InspectionFinding {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that was inspected: that of the inspection.
    pub organization_id: Id,
    pub inspection_id: Id,
    pub severity: FindingSeverity,
    #[schema(example = "两个工作站没有值班记录")]
    pub description: String,
    pub fixed_on_the_spot: bool,
    /// The user who has to see to it; null where it was fixed on the spot.
    pub owner_id: Option<Id>,
    /// By which day at the latest; null where it was fixed on the spot.
    pub due_on: Option<NaiveDate>,
    pub state: FindingState,
    /// What was done about it. Evidence stands in the attachments of the finding.
    pub remedy_note: Option<String>,
    pub remedied_on: Option<NaiveDate>,
    /// The user who reported that.
    pub remedied_by: Option<Id>,
    /// Null where it was fixed on the spot.
    pub closed_on: Option<NaiveDate>,
    /// Another user than the owner and than who reported the remedy.
    pub closed_by: Option<Id>,
    /// Why it was last opened again.
    pub reason: Option<String>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(InspectionFinding);

/// What may be written of a finding, while it is open.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"inspection_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "severity": "minor", "description": "两个工作站没有值班记录",
    "owner_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "due_on": "2022-07-01"}))]
pub struct InspectionFindingDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// Fixed once written.
    pub inspection_id: Id,
    pub severity: FindingSeverity,
    #[schema(min_length = 1, max_length = 2000)]
    pub description: String,
    /// `false` when absent.
    pub fixed_on_the_spot: Option<bool>,
    /// The user who has to see to it, active and with the inspected association in reach. Needed unless it was fixed on the spot.
    pub owner_id: Option<Id>,
    /// By which day at the latest. Needed unless it was fixed on the spot.
    pub due_on: Option<NaiveDate>,
}

/// The faults of who has to see to it by when: both are told, unless there is nothing left to see to.
fn responsibility(draft: &InspectionFindingDraft, at: impl Fn(&str) -> String, faults: &mut Vec<Fault>) {
    let on_the_spot = draft.fixed_on_the_spot.unwrap_or(false);
    for (field, given) in [("owner_id", draft.owner_id.is_some()), ("due_on", draft.due_on.is_some())] {
        if on_the_spot && given {
            let says = Says::new("当场整改的问题不需要责任人和期限", "what was fixed on the spot has neither an owner nor a due day");
            faults.push(Fault::new(at(field), "not_taken", says));
        } else if !on_the_spot && !given {
            let says =
                Says::new("请填写责任人和整改期限，或注明已当场整改", "give an owner and a due day, or say that it was fixed on the spot");
            faults.push(Fault::new(at(field), "required", says));
        }
    }
}

/// Which findings.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct InspectionFindingFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub inspection_id: Option<Id>,
    /// Of the inspections of this plan.
    pub plan_id: Option<Id>,
    pub owner_id: Option<Id>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<FindingState>>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub severity: Option<Vec<FindingSeverity>>,
    /// Whether it is open although it was due before today (in China).
    pub overdue: Option<bool>,
    /// Due on this day or later.
    pub due_from: Option<NaiveDate>,
    /// Due on this day or earlier.
    pub due_to: Option<NaiveDate>,
}

pub struct InspectionFindings;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &InspectionFindingFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.inspection_id {
        query = query.filter(t::inspection_id.eq(id));
    }
    if let Some(id) = filter.plan_id {
        query = query.filter(Subset(vec![Part::Sql("SELECT id FROM inspections WHERE plan_id = "), Part::Id(id)]).holds(t::inspection_id));
    }
    if let Some(id) = filter.owner_id {
        query = query.filter(t::owner_id.eq(id));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    if let Some(severities) = &filter.severity {
        query = query.filter(t::severity.eq_any(severities.clone()));
    }
    let today = business_today(Instant::now());
    match filter.overdue {
        Some(true) => query = query.filter(t::state.eq(FindingState::Open)).filter(t::due_on.lt(today)),
        Some(false) => query = query.filter(t::state.ne(FindingState::Open).or(t::due_on.ge(today))),
        None => {}
    }
    if let Some(day) = filter.due_from {
        query = query.filter(t::due_on.ge(day));
    }
    if let Some(day) = filter.due_to {
        query = query.filter(t::due_on.le(day));
    }
    query
}

/// Where an inspection was made, and by whom.
#[derive(Debug, Clone, Copy)]
struct Visit {
    organization_id: Id,
    inspector_id: Id,
    inspected_on: Option<NaiveDate>,
}

/// The inspections behind findings: one query.
fn visits(conn: &mut AnyConnection, ids: impl IntoIterator<Item = Id>) -> Result<HashMap<Id, Visit>> {
    type Found = (Id, Id, Id, Option<NaiveDate>);
    let found: Vec<Found> = inspections::table
        .filter(inspections::id.eq_any(ids.into_iter().collect::<Vec<_>>()))
        .select((inspections::id, inspections::organization_id, inspections::inspector_id, inspections::inspected_on))
        .load(conn)?;
    let visit = |(id, organization_id, inspector_id, inspected_on)| (id, Visit { organization_id, inspector_id, inspected_on });
    Ok(found.into_iter().map(visit).collect())
}

/// What was found is for the inspecting side to say: who is inspected reports what was done about it, and no more.
fn inspecting_side(conn: &mut AnyConnection, scope: &Scope, visits: &HashMap<Id, Visit>) -> Result<()> {
    let elsewhere = scope.lacks(conn, visits.values().map(|visit| visit.inspector_id).collect())?;
    if elsewhere.is_empty() { Ok(()) } else { Err(for_the_inspectors()) }
}

fn for_the_inspectors() -> Error {
    Error::because(
        Code::Forbidden,
        "检查发现的问题由检查单位登记和销号；受检单位请登记整改情况",
        "findings are written and closed by the association that inspected; who was inspected reports the remedy",
    )
}

/// The inspections of some drafts, with all of their faults told.
fn check(
    tx: &mut Tx<'_>,
    scope: &Scope,
    drafts: &[InspectionFindingDraft],
    at: impl Fn(usize, &str) -> String,
) -> Result<HashMap<Id, Visit>> {
    let mut faults: Vec<Fault> = Vec::new();
    let wanted: Vec<_> = drafts.iter().enumerate().map(|(i, draft)| (at(i, "inspection_id"), Some(draft.inspection_id))).collect();
    rules::all_in_scope(tx.conn, scope, "inspections", wanted, &mut faults)?;
    for (i, draft) in drafts.iter().enumerate() {
        responsibility(draft, |field| at(i, field), &mut faults);
    }
    Error::unless_empty(std::mem::take(&mut faults))?;
    let visits = visits(tx.conn, drafts.iter().map(|draft| draft.inspection_id))?;
    inspecting_side(tx.conn, scope, &visits)?;
    let mut owned = Vec::new();
    for (i, draft) in drafts.iter().enumerate() {
        let Some(visit) = visits.get(&draft.inspection_id) else { continue };
        owned.extend(draft.owner_id.map(|owner_id| (at(i, "owner_id"), owner_id, visit.organization_id)));
        if let (Some(due_on), Some(inspected_on)) = (draft.due_on, visit.inspected_on)
            && due_on < inspected_on
        {
            let says = Says::new(
                format!("整改期限不能早于检查日期 {inspected_on}"),
                format!("it can't be due before the inspection on {inspected_on}"),
            );
            faults.push(Fault::new(at(i, "due_on"), "before_the_inspection", says));
        }
    }
    owners::check(tx.conn, &owned, business_today(tx.now), &mut faults)?;
    Error::unless_empty(faults)?;
    Ok(visits)
}

fn row(
    id: Id,
    version: i32,
    created_at: Instant,
    now: Instant,
    draft: InspectionFindingDraft,
    visits: &HashMap<Id, Visit>,
) -> Result<InspectionFinding> {
    let visit = visits.get(&draft.inspection_id).ok_or_else(|| Error::internal("a finding without an inspection was let through"))?;
    let fixed_on_the_spot = draft.fixed_on_the_spot.unwrap_or(false);
    Ok(InspectionFinding {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: visit.organization_id,
        inspection_id: draft.inspection_id,
        severity: draft.severity,
        description: draft.description,
        fixed_on_the_spot,
        owner_id: draft.owner_id,
        due_on: draft.due_on,
        state: if fixed_on_the_spot { FindingState::Closed } else { FindingState::Open },
        remedy_note: None,
        remedied_on: None,
        remedied_by: None,
        closed_on: None,
        closed_by: None,
        reason: None,
        version,
        created_at,
        updated_at: now,
    })
}

/// An inspection belongs to another organization now: so does what it found.
pub fn follow(tx: &mut Tx<'_>, inspection_id: Id, organization_id: Id) -> Result<()> {
    let those = t::table.filter(t::inspection_id.eq(inspection_id));
    let rows: Vec<(Id, Id)> = those.order(t::id).select((t::id, t::organization_id)).load(tx.conn)?;
    diesel::update(those)
        .set((t::organization_id.eq(organization_id), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
        .execute(tx.conn)?;
    rules::followed(tx, InspectionFindings::NAME, rows, organization_id);
    Ok(())
}

impl Resource for InspectionFindings {
    const NAME: &'static str = "inspection_findings";
    const LABEL: (&'static str, &'static str) = ("检查发现的问题", "inspection finding");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[
        Reference { field: "inspection_id", column: "inspection_code", of: "inspections" },
        Reference { field: "owner_id", column: "owner_code", of: "users" },
    ];

    type View = InspectionFinding;
    type Draft = InspectionFindingDraft;
    type Filter = InspectionFindingFilter;

    reads!(t, InspectionFinding);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let visits = check(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<InspectionFinding> =
            drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft, &visits)).collect::<Result<_>>()?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let finding = view.clone();
        Ok(InspectionFindingDraft {
            code: Some(finding.code),
            inspection_id: finding.inspection_id,
            severity: finding.severity,
            description: finding.description,
            fixed_on_the_spot: Some(finding.fixed_on_the_spot),
            owner_id: finding.owner_id,
            due_on: finding.due_on,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        if draft.inspection_id != before.inspection_id {
            return Err(Error::field(
                "/inspection_id",
                "fixed",
                "问题所属的检查不能更改；请删除后重新登记",
                "the inspection of a finding doesn't change; delete the finding and write it anew",
            ));
        }
        let visits = check(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let written = row(before.id, before.version + 1, before.created_at, tx.now, draft, &visits)?;
        let after = InspectionFinding { reason: before.reason.clone(), ..written };
        save!(tx, t, before, &after)?;
        Ok(after)
    }

    fn delete(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View) -> Result<()> {
        let visits = visits(tx.conn, [before.inspection_id])?;
        inspecting_side(tx.conn, scope, &visits)?;
        remove!(tx, t, before)
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        steps::all()
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        match view.state {
            FindingState::Open => vec![Action::Update, Action::Delete, Action::Remedy],
            FindingState::Remedied => vec![Action::Close, Action::Reopen],
            // There was nothing to see to: what is written of it may still be put right.
            FindingState::Closed if view.fixed_on_the_spot => vec![Action::Update, Action::Delete],
            FindingState::Closed => vec![Action::Reopen],
        }
    }

    /// The inspecting side writes and closes, by another hand than the one that had to see to it.
    fn objections(conn: &mut AnyConnection, actor: &Actor, asked: &[(&Self::View, Action)]) -> Result<Vec<Option<Error>>> {
        let of_inspectors = |action: Action| action != Action::Remedy;
        let theirs = || asked.iter().filter(|(_, action)| of_inspectors(*action));
        if theirs().next().is_none() {
            return Ok(Vec::new());
        }
        let visits = visits(conn, theirs().map(|(view, _)| view.inspection_id))?;
        let inspecting = theirs().filter_map(|(view, action)| Some((*action, visits.get(&view.inspection_id)?.inspector_id)));
        let elsewhere = actor.lacks(conn, Self::AREA, inspecting)?;
        let objection = |view: &InspectionFinding, action| {
            let inspector = visits.get(&view.inspection_id).map(|visit| visit.inspector_id);
            if of_inspectors(action) && inspector.is_none_or(|inspector| elsewhere.contains(&(action, inspector))) {
                return Some(for_the_inspectors());
            }
            let had_to = view.owner_id == Some(actor.id) || view.remedied_by == Some(actor.id);
            (action == Action::Close && had_to).then(|| {
                Error::because(
                    Code::Forbidden,
                    format!("问题 {} 由您负责或由您登记整改，须由另一人销号", view.code),
                    format!("you had to see to {}, or reported it as remedied: somebody else has to close it", view.code),
                )
            })
        };
        Ok(asked.iter().map(|(view, action)| objection(view, *action)).collect())
    }
}
