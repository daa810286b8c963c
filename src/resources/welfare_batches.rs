//! Batches (发放批次): a programme carried out once, by one association, with control totals.
//!
//! A batch has no state of its own: it moves its disbursements together, and offers what some of them allow.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::disbursements::{self, BatchTotals, DisbursementState, batch_body_of, batch_sources, take_all};
use super::rules;
use super::welfare_programmes::{self, BenefitForm, ProgrammeKind};
use crate::db::{Any, AnyConnection, Tx, grams, insert_all};
use crate::error::{Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::welfare_batches as t;
use crate::types::{Id, Instant, code_or_new};
use crate::web::resource::{Run, Step};
use crate::web::{Measure, Measured, Reference, Resource, Window, deletes, measured, page, reads, save, viewed};

/// A batch's own row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    programme_id: Id,
    name: String,
    year: i32,
    starts_on: Option<NaiveDate>,
    ends_on: Option<NaiveDate>,
    place: Option<String>,
    control_people: Option<i64>,
    control_fen: Option<i64>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// A batch, with what its disbursements come to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WelfareBatch {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that carries the programme out.
    pub organization_id: Id,
    pub programme_id: Id,
    pub name: String,
    /// The year that it counts in.
    pub year: i32,
    pub starts_on: Option<NaiveDate>,
    pub ends_on: Option<NaiveDate>,
    pub place: Option<String>,
    /// How many people the disbursements should come to; null is not checked.
    pub control_people: Option<i64>,
    /// How many fen the disbursements should come to; null is not checked.
    pub control_fen: Option<i64>,
    /// The programme's.
    pub form: BenefitForm,
    pub totals: BatchTotals,
    /// Counts the changes of the batch and of its disbursements; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(WelfareBatch {
    fn searched(&self) -> Option<String> {
        Some(self.name.clone())
    }
});

/// What may be written of a batch.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "programme_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "name": "2022 年春节慰问", "year": 2022, "control_people": 30, "control_fen": 3000000}))]
pub struct WelfareBatchDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association that carries the programme out. Stays once there is a disbursement.
    pub organization_id: Id,
    /// Stays once there is a disbursement.
    pub programme_id: Id,
    #[schema(min_length = 1, max_length = 100, example = "2022 年春节慰问")]
    pub name: String,
    /// That of `starts_on` when absent.
    #[schema(minimum = 1949, maximum = 2100)]
    pub year: Option<i32>,
    pub starts_on: Option<NaiveDate>,
    pub ends_on: Option<NaiveDate>,
    #[schema(min_length = 1, max_length = 200)]
    pub place: Option<String>,
    /// How many people the disbursements should come to; null is not checked.
    #[schema(minimum = 0, maximum = 100_000_000)]
    pub control_people: Option<i64>,
    /// How many fen the disbursements should come to, of a cash programme; null is not checked.
    #[schema(minimum = 0, maximum = 10_000_000_000_000_i64)]
    pub control_fen: Option<i64>,
}

fn whole(draft: &WelfareBatchDraft) -> Result<(), ValidationError> {
    rules::year_known(draft.year, draft.starts_on, "starts_on")?;
    rules::in_order(draft.starts_on, draft.ends_on, "ends_on")
}

/// Which batches.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct WelfareBatchFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    pub programme_id: Option<Id>,
    /// Kinds of the programme: one or several, separated by commas.
    #[param(inline)]
    pub programme_kind: Option<Vec<ProgrammeKind>>,
    pub year: Option<i32>,
    /// Begun on this day or later.
    pub from: Option<NaiveDate>,
    /// Begun on this day or earlier.
    pub to: Option<NaiveDate>,
}

/// What a disbursement needs to know of its batch.
pub struct BatchBrief {
    pub programme_id: Id,
    pub organization_id: Id,
    pub year: i32,
}

/// Batches in brief, by id.
pub fn briefs(conn: &mut AnyConnection, ids: impl IntoIterator<Item = Id>) -> Result<HashMap<Id, BatchBrief>> {
    let ids: HashSet<Id> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<(Id, Id, Id, i32)> =
        t::table.filter(t::id.eq_any(ids)).select((t::id, t::programme_id, t::organization_id, t::year)).load(conn)?;
    Ok(found
        .into_iter()
        .map(|(id, programme_id, organization_id, year)| (id, BatchBrief { programme_id, organization_id, year }))
        .collect())
}

pub struct WelfareBatches;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &WelfareBatchFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(WelfareBatches::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(id) = filter.programme_id {
        query = query.filter(t::programme_id.eq(id));
    }
    if let Some(kinds) = &filter.programme_kind {
        query = query.filter(welfare_programmes::of_kinds(kinds).holds(t::programme_id));
    }
    if let Some(year) = filter.year {
        query = query.filter(t::year.eq(year));
    }
    if let Some(from) = filter.from {
        query = query.filter(t::starts_on.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(t::starts_on.le(to));
    }
    query
}

/// Rows as they are shown: one query for the totals of all of them, one for the programmes.
fn shown(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<WelfareBatch>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut totals = disbursements::sums(conn, &rows.iter().map(|row| row.id).collect::<Vec<_>>())?;
    let programmes = welfare_programmes::briefs(conn, rows.iter().map(|row| row.programme_id))?;
    rows.into_iter()
        .map(|row| {
            Ok(WelfareBatch {
                id: row.id,
                code: row.code,
                organization_id: row.organization_id,
                programme_id: row.programme_id,
                name: row.name,
                year: row.year,
                starts_on: row.starts_on,
                ends_on: row.ends_on,
                place: row.place,
                control_people: row.control_people,
                control_fen: row.control_fen,
                form: programmes.get(&row.programme_id).ok_or_else(|| Error::internal("a batch without a programme"))?.form,
                totals: totals.remove(&row.id).unwrap_or_else(BatchTotals::none),
                version: row.version,
                created_at: row.created_at,
                updated_at: row.updated_at,
            })
        })
        .collect()
}

/// A single row as it is shown: with what takes longer to tell.
fn shown_alone(conn: &mut AnyConnection, row: Row) -> Result<WelfareBatch> {
    let id = row.id;
    let mut batch = shown(conn, vec![row])?.pop().ok_or_else(Error::not_found)?;
    batch.totals.doubled = Some(disbursements::doubled(conn, id)?);
    Ok(batch)
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: WelfareBatchDraft) -> Result<Row> {
    Ok(Row {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        programme_id: draft.programme_id,
        name: draft.name,
        year: rules::year_of(draft.year, draft.starts_on)?,
        starts_on: draft.starts_on,
        ends_on: draft.ends_on,
        place: draft.place,
        control_people: draft.control_people,
        control_fen: draft.control_fen,
        version,
        created_at,
        updated_at: now,
    })
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[WelfareBatchDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&WelfareBatchDraft) -> Id| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), Some(id(draft))));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| draft.organization_id)?;
    check("welfare_programmes", "programme_id", |draft| draft.programme_id)?;
    let programmes = welfare_programmes::briefs(tx.conn, drafts.iter().map(|draft| draft.programme_id))?;
    for (i, draft) in drafts.iter().enumerate() {
        if draft.control_fen.is_some() && programmes.get(&draft.programme_id).is_some_and(|programme| programme.form == BenefitForm::InKind)
        {
            faults.push(Fault::new(
                at(i, "control_fen"),
                "amount_in_kind",
                Says::new(
                    "实物或服务项目没有金额，不填控制金额；可填控制人数",
                    "a programme in kind has no amounts to check; use control_people",
                ),
            ));
        }
    }
    Error::unless_empty(faults)
}

/// The state out of which a step takes the batch's disbursements; `None` where it has nothing to take.
fn source(batch: &WelfareBatch, action: Action) -> Option<DisbursementState> {
    let stands =
        |from: &DisbursementState| batch.totals.in_state(*from) > 0 && disbursements::next(*from, action, batch.form, false).is_some();
    batch_sources(action).iter().copied().find(stands)
}

fn submit(tx: &mut Tx<'_>, scope: &Scope, before: WelfareBatch, body: &Value) -> Result<WelfareBatch> {
    step(tx, scope, &before, Action::Submit, body)
}

fn send_back(tx: &mut Tx<'_>, scope: &Scope, before: WelfareBatch, body: &Value) -> Result<WelfareBatch> {
    step(tx, scope, &before, Action::Return, body)
}

fn approve(tx: &mut Tx<'_>, scope: &Scope, before: WelfareBatch, body: &Value) -> Result<WelfareBatch> {
    step(tx, scope, &before, Action::Approve, body)
}

fn pay(tx: &mut Tx<'_>, scope: &Scope, before: WelfareBatch, body: &Value) -> Result<WelfareBatch> {
    step(tx, scope, &before, Action::Pay, body)
}

fn deliver(tx: &mut Tx<'_>, scope: &Scope, before: WelfareBatch, body: &Value) -> Result<WelfareBatch> {
    step(tx, scope, &before, Action::Deliver, body)
}

fn step(tx: &mut Tx<'_>, scope: &Scope, before: &WelfareBatch, action: Action, body: &Value) -> Result<WelfareBatch> {
    let from = source(before, action).ok_or_else(|| Error::internal("a batch offered a step that it hasn't"))?;
    take_all(tx, scope, (before.id, before.version), (action, from), body)?;
    WelfareBatches::find(tx.conn, scope, before.id)
}

impl Resource for WelfareBatches {
    const NAME: &'static str = "welfare_batches";
    const LABEL: (&'static str, &'static str) = ("发放批次", "welfare batch");
    const AREA: Area = Area::Welfare;
    const REFERENCES: &'static [Reference] =
        &[Reference::ORGANIZATION, Reference { field: "programme_id", column: "programme_code", of: "welfare_programmes" }];

    type View = WelfareBatch;
    type Draft = WelfareBatchDraft;
    type Filter = WelfareBatchFilter;

    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>> {
        let rows = page!(conn, scope, query(scope, filter), t, window, rows => rows.select(Row::as_select()));
        shown(conn, rows)
    }

    reads!(t);

    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View> {
        let row = query(scope, &Self::Filter::default()).filter(t::id.eq(id)).select(Row::as_select()).first(conn)?;
        shown_alone(conn, row)
    }

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Row> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect::<Result<_>>()?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        shown(tx.conn, rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let batch = view.clone();
        Ok(WelfareBatchDraft {
            code: Some(batch.code),
            organization_id: batch.organization_id,
            programme_id: batch.programme_id,
            name: batch.name,
            year: Some(batch.year),
            starts_on: batch.starts_on,
            ends_on: batch.ends_on,
            place: batch.place,
            control_people: batch.control_people,
            control_fen: batch.control_fen,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft)?;
        save!(tx, t, before, &after)?;
        // The version stood, so the disbursements are those that `before` counted.
        let held: i64 = before.totals.by_state.values().sum();
        let mut faults = Vec::new();
        for (field, changed) in [
            ("/programme_id", before.programme_id != after.programme_id),
            ("/organization_id", before.organization_id != after.organization_id),
        ] {
            if changed && held > 0 {
                faults.push(Fault::new(
                    field,
                    "batch_in_use",
                    Says::new(
                        format!("批次已有 {held} 笔发放，此项不能再改；请另建批次"),
                        format!("the batch has {held} disbursements, so this can't change; make another batch"),
                    ),
                ));
            }
        }
        Error::unless_empty(faults)?;
        shown_alone(tx.conn, after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        let steps: [(Action, &'static str, bool, Run<Self>); 5] = [
            (Action::Submit, "整批提交，核对控制数 / Submit all drafts, when they come to the control totals", true, submit),
            (Action::Return, "整批退回修改 / Return all that were submitted", false, send_back),
            (
                Action::Approve,
                "整批批准（不得为编制人） / Approve all that were submitted: by another than who prepared them",
                true,
                approve,
            ),
            (
                Action::Pay,
                "整批支付（不得为编制人或批准人） / Pay all that were approved: by another than who prepared or approved them",
                true,
                pay,
            ),
            (
                Action::Deliver,
                "整批交付，未参加的逐一列明（不得为编制人或批准人） / Deliver all that were approved but those who didn't come: by another than who prepared or approved them",
                true,
                deliver,
            ),
        ];
        steps
            .into_iter()
            .map(|(action, summary, needs_key, run)| Step { action, summary, body: batch_body_of(action), needs_key, run })
            .collect()
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        let moves = [Action::Submit, Action::Return, Action::Approve, Action::Pay, Action::Deliver];
        let moves = moves.into_iter().filter(|action| source(view, *action).is_some());
        [Action::Update, Action::Delete].into_iter().chain(moves).collect()
    }
}
