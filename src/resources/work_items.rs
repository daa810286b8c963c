//! Work items (工作事项): the problems that a year's report names, and what is planned for the next, each with who sees to it.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::rules;
use crate::db::{Any, AnyConnection, Tx, insert_all};
use crate::error::{Error, Fault, Result};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::work_items as t;
use crate::types::{Id, Instant, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

/// How many of each kind a report tells.
pub const REPORTED: i64 = 100;

text_enum! {
    /// What a work item is.
    WorkItemKind {
        Problem = "problem", "存在问题", "problem";
        Plan = "plan", "工作计划", "plan";
    }
}

text_enum! {
    /// Where a work item stands.
    WorkItemState {
        Open = "open", "进行中", "open";
        Closed = "closed", "已完成", "done";
    }
}

/// A work item.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct WorkItem {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association whose report tells it.
    pub organization_id: Id,
    /// The year of the report.
    pub year: i32,
    pub kind: WorkItemKind,
    /// Its place among those of its kind in the report.
    pub position: i32,
    pub content: String,
    /// The user who sees to it.
    pub owner_id: Option<Id>,
    pub due_on: Option<NaiveDate>,
    pub state: WorkItemState,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(WorkItem);

/// What may be written of a work item.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "year": 2022, "kind": "problem", "content": "个别县市区协会专职人员配备不到位。", "due_on": "2023-06-30"}))]
pub struct WorkItemDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association whose report tells it.
    pub organization_id: Id,
    /// The year of the report.
    #[schema(minimum = 2000, maximum = 2100)]
    pub year: i32,
    pub kind: WorkItemKind,
    /// Its place among those of its kind in the report: 1 when absent; who has the same stands in the order in which they were made.
    #[schema(minimum = 1, maximum = 1000)]
    pub position: Option<i32>,
    #[schema(min_length = 1, max_length = 2000)]
    pub content: String,
    /// The user who sees to it.
    pub owner_id: Option<Id>,
    pub due_on: Option<NaiveDate>,
}

/// Which work items.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct WorkItemFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub year: Option<i32>,
    #[param(inline)]
    pub kind: Option<WorkItemKind>,
    #[param(inline)]
    pub state: Option<WorkItemState>,
    pub owner_id: Option<Id>,
    /// Due on this day or earlier.
    pub due_to: Option<NaiveDate>,
}

pub struct WorkItems;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &WorkItemFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(year) = filter.year {
        query = query.filter(t::year.eq(year));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(t::kind.eq(kind));
    }
    if let Some(state) = filter.state {
        query = query.filter(t::state.eq(state));
    }
    if let Some(owner_id) = filter.owner_id {
        query = query.filter(t::owner_id.eq(owner_id));
    }
    if let Some(day) = filter.due_to {
        query = query.filter(t::due_on.le(day));
    }
    query
}

/// What an association's report of a year tells: whoever asks has decided that they may.
pub fn reported(conn: &mut AnyConnection, organization_id: Id, year: i32, kind: WorkItemKind) -> Result<Vec<WorkItem>> {
    let of = t::table.filter(t::organization_id.eq(organization_id)).filter(t::year.eq(year)).filter(t::kind.eq(kind));
    Ok(of.order((t::position, t::id)).limit(REPORTED).select(WorkItem::as_select()).load(conn)?)
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, state: WorkItemState, draft: WorkItemDraft) -> WorkItem {
    WorkItem {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        year: draft.year,
        kind: draft.kind,
        position: draft.position.unwrap_or(1),
        content: draft.content,
        owner_id: draft.owner_id,
        due_on: draft.due_on,
        state,
        version,
        created_at,
        updated_at: now,
    }
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[WorkItemDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&WorkItemDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    check("users", "owner_id", |draft| draft.owner_id)?;
    Error::unless_empty(faults)
}

impl Resource for WorkItems {
    const NAME: &'static str = "work_items";
    const LABEL: (&'static str, &'static str) = ("工作事项", "work item");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION, Reference { field: "owner_id", column: "owner_code", of: "users" }];

    type View = WorkItem;
    type Draft = WorkItemDraft;
    type Filter = WorkItemFilter;

    reads!(t, WorkItem);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<WorkItem> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, WorkItemState::Open, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let item = view.clone();
        Ok(WorkItemDraft {
            code: Some(item.code),
            organization_id: item.organization_id,
            year: item.year,
            kind: item.kind,
            position: Some(item.position),
            content: item.content,
            owner_id: item.owner_id,
            due_on: item.due_on,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, before.state, draft);
        save!(tx, t, before, &after)?;
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        let step = |action, summary, run| Step { action, summary, body: None, needs_key: false, run };
        vec![step(Action::Close, "办结 / Done", close), step(Action::Reopen, "重新打开 / Open it again", reopen)]
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        match view.state {
            WorkItemState::Open => vec![Action::Update, Action::Delete, Action::Close],
            WorkItemState::Closed => vec![Action::Reopen],
        }
    }
}

fn moved(tx: &mut Tx<'_>, before: WorkItem, state: WorkItemState) -> Result<WorkItem> {
    let after = WorkItem { state, version: before.version + 1, updated_at: tx.now, ..before.clone() };
    save!(tx, t, before, &after)?;
    Ok(after)
}

fn close(tx: &mut Tx<'_>, _: &Scope, before: WorkItem, _: &Value) -> Result<WorkItem> {
    moved(tx, before, WorkItemState::Closed)
}

fn reopen(tx: &mut Tx<'_>, _: &Scope, before: WorkItem, _: &Value) -> Result<WorkItem> {
    moved(tx, before, WorkItemState::Open)
}
