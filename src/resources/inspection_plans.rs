//! Inspection plans (督导检查计划): which associations are to be inspected, by whom and on what, from a day to a day.
//!
//! `draft → published → concluded`, or `cancelled` with a reason. The visits are [`super::inspections`] that name the plan. Which of the
//! planned were visited is computed from these each time ([`coverage`]) and kept nowhere. A plan that has left somebody out is
//! concluded only with a reason.

mod coverage;
mod steps;

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::rules;
use crate::db::{Any, AnyConnection, Tx, held, insert_all};
use crate::error::{Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::{inspection_plan_subjects as s, inspection_plans as t, organization_closure as closure};
use crate::types::{Id, Instant, business_today, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::verbs::refusal;
use crate::web::{Measure, Measured, Reference, Resource, measured, reads, remove, save, viewed};

pub use coverage::PlanCoverage;

/// How many may inspect.
const MEMBERS: usize = 50;
/// How many associations may be inspected by one plan.
const SUBJECTS: usize = 500;

text_enum! {
    /// Where a plan stands.
    PlanState {
        Draft = "draft", "草稿", "draft";
        Published = "published", "检查中", "under way";
        Concluded = "concluded", "已办结", "concluded";
        Cancelled = "cancelled", "已取消", "cancelled";
    }
}

/// Somebody who inspects: of the association, or of a government or the police.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct InspectionMember {
    #[schema(min_length = 1, max_length = 50, example = "李明")]
    pub name: String,
    /// Where they come from.
    #[schema(min_length = 1, max_length = 100, example = "郑州市公安局")]
    pub unit: String,
}

/// A plan's own row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    title: String,
    from_on: NaiveDate,
    to_on: NaiveDate,
    topics: String,
    members: String,
    state: PlanState,
    reason: Option<String>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = s, treat_none_as_default_value = false)]
struct SubjectRow {
    plan_id: Id,
    organization_id: Id,
}

/// A plan of inspections.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct InspectionPlan {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that inspects.
    pub organization_id: Id,
    #[schema(example = "2022 年度“四个一工程”督导检查")]
    pub title: String,
    pub from_on: NaiveDate,
    /// The last day.
    pub to_on: NaiveDate,
    /// What is looked into.
    pub topics: String,
    /// Who inspects.
    pub members: Vec<InspectionMember>,
    /// The organizations to inspect, in the order of their ids.
    pub subjects: Vec<Id>,
    pub coverage: PlanCoverage,
    pub state: PlanState,
    /// Why it was cancelled, or concluded before all were visited.
    pub reason: Option<String>,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(InspectionPlan {
    /// Visits don't change the plan's version, and change what it shows.
    fn shown_version(&self) -> String {
        format!("{}-{:x}", self.version, self.coverage.mark)
    }
});

/// What may be written of a plan, while it is a draft.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "title": "2022 年度“四个一工程”督导检查", "from_on": "2022-06-01",
    "to_on": "2022-06-30", "topics": "四个一建设", "members": [{"name": "李明", "unit": "郑州市公安局"}],
    "subjects": ["01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08"]}))]
pub struct InspectionPlanDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association that inspects.
    pub organization_id: Id,
    #[schema(min_length = 1, max_length = 200)]
    pub title: String,
    pub from_on: NaiveDate,
    /// The last day.
    pub to_on: NaiveDate,
    /// What is looked into.
    #[schema(min_length = 1, max_length = 1000)]
    pub topics: String,
    /// Who inspects, one's own people and outsiders.
    #[schema(min_items = 1, max_items = 50)]
    #[validate(custom(function = "some_members"))]
    pub members: Vec<InspectionMember>,
    /// The organizations to inspect: the association's own, or below it.
    #[schema(min_items = 1, max_items = 500)]
    #[validate(custom(function = "some_subjects"))]
    pub subjects: Vec<Id>,
}

fn whole(draft: &InspectionPlanDraft) -> Result<(), ValidationError> {
    rules::in_order(Some(draft.from_on), Some(draft.to_on), "to_on")
}

fn some_members(members: &[InspectionMember]) -> Result<(), ValidationError> {
    let nameless = members.iter().any(|member| member.name.trim().is_empty() || member.unit.trim().is_empty());
    if members.is_empty() || members.len() > MEMBERS || nameless {
        let says = Says::new(
            format!("检查人员应有 1 至 {MEMBERS} 人，各写明姓名和单位"),
            format!("1 to {MEMBERS} people inspect, each with a name and a unit"),
        );
        return Err(refusal(None, "wrong_members", &says));
    }
    Ok(())
}

fn some_subjects(subjects: &[Id]) -> Result<(), ValidationError> {
    if subjects.is_empty() || subjects.len() > SUBJECTS {
        let says = Says::new(format!("受检单位应有 1 至 {SUBJECTS} 个"), format!("1 to {SUBJECTS} organizations are inspected"));
        return Err(refusal(None, "wrong_number", &says));
    }
    Ok(())
}

/// Which plans.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct InspectionPlanFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<PlanState>>,
    /// Those that end on this day or later.
    pub from: Option<NaiveDate>,
    /// Those that begin on this day or earlier.
    pub to: Option<NaiveDate>,
}

pub struct InspectionPlans;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &InspectionPlanFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    if let Some(day) = filter.from {
        query = query.filter(t::to_on.ge(day));
    }
    if let Some(day) = filter.to {
        query = query.filter(t::from_on.le(day));
    }
    query
}

/// Rows as they are shown: one query for the coverage of all of them.
fn shown(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<InspectionPlan>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut known = coverage::of(conn, &rows.iter().map(|row| row.id).collect::<Vec<_>>(), business_today(Instant::now()))?;
    rows.into_iter()
        .map(|row| {
            let (subjects, coverage) = known.remove(&row.id).unwrap_or_default();
            Ok(InspectionPlan {
                id: row.id,
                code: row.code,
                organization_id: row.organization_id,
                title: row.title,
                from_on: row.from_on,
                to_on: row.to_on,
                topics: row.topics,
                members: serde_json::from_str(&row.members).map_err(Error::internal)?,
                subjects,
                coverage,
                state: row.state,
                reason: row.reason,
                version: row.version,
                created_at: row.created_at,
                updated_at: row.updated_at,
            })
        })
        .collect()
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: InspectionPlanDraft) -> Result<Row> {
    Ok(Row {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        title: draft.title,
        from_on: draft.from_on,
        to_on: draft.to_on,
        topics: draft.topics,
        members: serde_json::to_string(&draft.members).map_err(Error::internal)?,
        state: PlanState::Draft,
        reason: None,
        version,
        created_at,
        updated_at: now,
    })
}

fn in_order(mut subjects: Vec<Id>) -> Vec<Id> {
    subjects.sort_unstable();
    subjects.dedup();
    subjects
}

fn subject_rows(plan_id: Id, draft: &InspectionPlanDraft) -> Vec<SubjectRow> {
    in_order(draft.subjects.clone()).into_iter().map(|organization_id| SubjectRow { plan_id, organization_id }).collect()
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check(tx: &mut Tx<'_>, scope: &Scope, drafts: &[InspectionPlanDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let subjects = drafts.iter().enumerate().flat_map(|(i, draft)| draft.subjects.iter().enumerate().map(move |(j, id)| (i, j, *id)));
    let subjects: Vec<(usize, usize, Id)> = subjects.collect();
    let of_plans = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), Some(draft.organization_id)));
    let of_subjects = subjects.iter().map(|(i, j, id)| (at(*i, &format!("subjects/{j}")), Some(*id)));
    rules::all_in_scope(tx.conn, scope, "organizations", of_plans.chain(of_subjects).collect::<Vec<_>>(), &mut faults)?;
    Error::unless_empty(std::mem::take(&mut faults))?;
    let below =
        rules::lying_below(tx.conn, drafts.iter().map(|draft| draft.organization_id), subjects.iter().map(|(.., subject)| *subject))?;
    for (i, j, subject) in subjects {
        if !below.contains(&(drafts[i].organization_id, subject)) {
            let says = Says::new("受检单位应为本单位或其下级单位", "who is inspected is the association itself or one below it");
            faults.push(Fault::new(at(i, &format!("subjects/{j}")), "not_below", says));
        }
    }
    Error::unless_empty(faults)
}

/// What is wrong with visits that are to count for plans: each with its pointer, its plan, and the organization that was visited. The plans
/// stay as they are until the transaction ends.
pub fn check_visits(tx: &mut Tx<'_>, visits: &[(String, Id, Id)], faults: &mut Vec<Fault>) -> Result<()> {
    if visits.is_empty() {
        return Ok(());
    }
    let ids = in_order(visits.iter().map(|(_, plan_id, _)| *plan_id).collect());
    held!(tx.conn, t::table.filter(t::id.eq_any(ids.clone())).order(t::id).select(t::id), for_share)?;
    let states: Vec<(Id, PlanState)> = t::table.filter(t::id.eq_any(ids.clone())).select((t::id, t::state)).load(tx.conn)?;
    let states: HashMap<Id, PlanState> = states.into_iter().collect();
    let visited: Vec<Id> = visits.iter().map(|(.., organization_id)| *organization_id).collect();
    let planned: Vec<(Id, Id)> = s::table
        .inner_join(closure::table.on(closure::ancestor_id.eq(s::organization_id)))
        .filter(s::plan_id.eq_any(ids))
        .filter(closure::descendant_id.eq_any(visited))
        .select((s::plan_id, closure::descendant_id))
        .load(tx.conn)?;
    for (pointer, plan_id, organization_id) in visits {
        let mut fault = |code, zh: &str, en: &str| faults.push(Fault::new(pointer.clone(), code, Says::new(zh, en)));
        if states.get(plan_id) != Some(&PlanState::Published) {
            fault("plan_not_under_way", "该检查计划不在检查中，不能再登记检查", "the plan is not under way, so no visit counts for it");
        } else if !planned.contains(&(*plan_id, *organization_id)) {
            fault(
                "not_a_subject",
                "被检查单位不在该计划的受检单位之内",
                "the organization is none that the plan inspects, and lies below none of them",
            );
        }
    }
    Ok(())
}

impl Resource for InspectionPlans {
    const NAME: &'static str = "inspection_plans";
    const LABEL: (&'static str, &'static str) = ("督导检查计划", "inspection plan");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];
    // A list within a record stands in no row of a file.
    const IMPORTABLE: bool = false;

    type View = InspectionPlan;
    type Draft = InspectionPlanDraft;
    type Filter = InspectionPlanFilter;

    reads!(t, Row => shown);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let mut subjects = Vec::new();
        let mut rows = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let id = Id::new();
            subjects.extend(subject_rows(id, &draft));
            rows.push(row(id, 1, now, now, draft)?);
        }
        insert_all!(&mut *tx.conn, t::table, rows)?;
        insert_all!(&mut *tx.conn, s::table, subjects)?;
        shown(tx.conn, rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let plan = view.clone();
        Ok(InspectionPlanDraft {
            code: Some(plan.code),
            organization_id: plan.organization_id,
            title: plan.title,
            from_on: plan.from_on,
            to_on: plan.to_on,
            topics: plan.topics,
            members: plan.members,
            subjects: plan.subjects,
        })
    }

    fn settled(mut draft: Self::Draft) -> Self::Draft {
        draft.subjects = in_order(draft.subjects);
        draft
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let subjects = subject_rows(before.id, &draft);
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft)?;
        save!(tx, t, before, &after)?;
        diesel::delete(s::table.filter(s::plan_id.eq(before.id))).execute(tx.conn)?;
        insert_all!(&mut *tx.conn, s::table, subjects)?;
        Self::find(tx.conn, scope, before.id)
    }

    fn delete(tx: &mut Tx<'_>, _: &Scope, before: &Self::View) -> Result<()> {
        diesel::delete(s::table.filter(s::plan_id.eq(before.id))).execute(tx.conn)?;
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
            PlanState::Draft => vec![Action::Update, Action::Delete, Action::Publish],
            PlanState::Published => vec![Action::Conclude, Action::Withdraw],
            PlanState::Concluded | PlanState::Cancelled => Vec::new(),
        }
    }
}
