//! Monthly returns (每月上报): what a county declares for a month, beside what its records say.
//!
//! `open → submitted → accepted`, or `returned` with a reason and objections to single figures, and then submitted again. What was accepted is
//! locked; who has found an error amends it, which keeps the accepted numbers as a revision and opens the next.
//!
//! A return begins with the figures of its form, computed as of the month's end, which are declared as they are unless the county says otherwise
//! and why. They are computed once more when it is submitted, so what is judged is what the records say then. Whoever has
//! submitted a return doesn't accept it, and whoever does answers for the association that asked.
//!
//! `cells` are the figures of a return, `checks` the pure rules, `steps` the way, `opening` makes them by the thousand and `calendar` in time.

pub mod accepted;
pub mod calendar;
pub mod cells;
mod checks;
mod opening;
mod steps;

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::return_rounds::{self, RoundState};
use super::{return_forms, rules};
use crate::db::{Any, AnyConnection, Part, Tx, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Actor, Area, OrganizationLevel, Scope};
use crate::schema::{monthly_return_revisions as r, monthly_returns as t};
use crate::types::{Id, Instant, Month, Precision, TextEnum, business_today, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::{Measure, Measured, Reference, Resource, Window, measured, page, reads, save, viewed};

pub use cells::{CellRow, ReturnCell};
pub use checks::ReturnWarning;
pub use opening::{failed, run};

/// How many accepted revisions of a return are shown, the newest first.
const REVISIONS_SHOWN: i64 = 20;

text_enum! {
    /// Where a return stands.
    ReturnState {
        Open = "open", "填报中", "being filled in";
        Submitted = "submitted", "待审核", "waiting for a decision";
        Returned = "returned", "已退回", "sent back";
        Accepted = "accepted", "已通过", "accepted";
    }
}

text_enum! {
    /// Whether a return came in time, by the day on which it was first submitted.
    Timeliness {
        OnTime = "on_time", "按时", "on time";
        Late = "late", "逾期", "late";
        Pending = "pending", "未到期", "not due yet";
        Missing = "missing", "缺报", "missing";
    }
}

/// A return's own row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Row {
    pub id: Id,
    code: String,
    pub organization_id: Id,
    pub round_id: Id,
    form_id: Id,
    form_key: String,
    pub month: Month,
    due_on: NaiveDate,
    state: ReturnState,
    revision: i32,
    note: Option<String>,
    reason: Option<String>,
    computed_at: Instant,
    first_submitted_on: Option<NaiveDate>,
    submitted_at: Option<Instant>,
    submitted_by: Option<Id>,
    accepted_at: Option<Instant>,
    accepted_by: Option<Id>,
    reminded_on: Option<NaiveDate>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// An accepted revision as it is kept.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = r, treat_none_as_default_value = false)]
struct RevisionRow {
    return_id: Id,
    revision: i32,
    cells: String,
    submitted_at: Instant,
    submitted_by: Id,
    accepted_at: Instant,
    accepted_by: Id,
    amended_at: Instant,
    amended_by: Id,
    reason: String,
}

/// What was accepted, and amended since.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReturnRevision {
    /// From 1 on.
    pub revision: i32,
    /// The figures as they were accepted.
    pub cells: Vec<cells::KeptCell>,
    pub submitted_at: Instant,
    pub submitted_by: Id,
    pub accepted_at: Instant,
    pub accepted_by: Id,
    pub amended_at: Instant,
    pub amended_by: Id,
    /// Why it was amended.
    pub reason: String,
}

/// A county's return for a month.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MonthlyReturn {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The county association.
    pub organization_id: Id,
    pub round_id: Id,
    /// The version of the form.
    pub form_id: Id,
    #[schema(example = "four-ones")]
    pub form_key: String,
    pub month: Month,
    /// The last day on which it is on time.
    pub due_on: NaiveDate,
    pub state: ReturnState,
    pub timeliness: Timeliness,
    /// Whether its round is closed, so that nothing is submitted any more.
    pub closed: bool,
    /// Counts what was accepted and amended, from 1 on.
    pub revision: i32,
    /// What the county adds in words.
    pub note: Option<String>,
    /// Why it was sent back, or is amended.
    pub reason: Option<String>,
    /// How many figures it asks for.
    pub figures: i64,
    /// For how many of them a number is declared.
    pub declared: i64,
    /// For how many another number is declared than the records say.
    pub differing: i64,
    /// The figures in the order of the form; null in lists.
    pub cells: Option<Vec<ReturnCell>>,
    /// What a reader should look at; null in lists.
    pub warnings: Option<Vec<ReturnWarning>>,
    /// What was accepted before, the newest first: twenty at most; null in lists.
    pub revisions: Option<Vec<ReturnRevision>>,
    /// When the records were last asked.
    pub computed_at: Instant,
    /// The day on which it was first submitted.
    pub first_submitted_on: Option<NaiveDate>,
    pub submitted_at: Option<Instant>,
    pub submitted_by: Option<Id>,
    pub accepted_at: Option<Instant>,
    pub accepted_by: Option<Id>,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(MonthlyReturn {
    fn shown_version(&self) -> String {
        // Nobody writes when a day goes by.
        format!("{}-{}{}", self.version, self.timeliness.code(), if self.closed { "-closed" } else { "" })
    }
});

/// What may be written of a figure in a return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReturnCellDraft {
    /// Code of a figure of the form.
    #[schema(min_length = 1, max_length = 100, example = "four_ones.volunteers")]
    pub figure: String,
    /// What the county declares, in the figure's unit; null: not reported (未填报).
    #[schema(minimum = 0, maximum = 1000000000000_i64)]
    pub declared: Option<i64>,
    /// `exact` when absent.
    pub declared_precision: Option<Precision>,
    /// Why it is another number than the records say.
    #[schema(min_length = 1, max_length = 500, example = "两支新队伍已成立，档案下月补录。")]
    pub reason: Option<String>,
}

/// What may be written of a return.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct MonthlyReturnDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The county association. Its return is made when the round is opened; by hand for one that came later.
    pub organization_id: Id,
    pub round_id: Id,
    /// What the county adds in words.
    #[schema(min_length = 1, max_length = 2000)]
    pub note: Option<String>,
    /// The figures that are declared. Those that aren't named stay as they are.
    #[schema(max_items = 60)]
    pub cells: Option<Vec<ReturnCellDraft>>,
}

/// Which returns.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct MonthlyReturnFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub round_id: Option<Id>,
    pub form_id: Option<Id>,
    pub form_key: Option<String>,
    #[param(inline)]
    pub month: Option<Month>,
    /// Of this year's months.
    #[param(minimum = 2000, maximum = 2100)]
    pub year: Option<i32>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<ReturnState>>,
    /// As of today in China.
    #[param(inline)]
    pub timeliness: Option<Timeliness>,
}

pub struct MonthlyReturns;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &MonthlyReturnFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(round_id) = filter.round_id {
        query = query.filter(t::round_id.eq(round_id));
    }
    if let Some(form_id) = filter.form_id {
        query = query.filter(t::form_id.eq(form_id));
    }
    if let Some(key) = &filter.form_key {
        query = query.filter(t::form_key.eq(key.clone()));
    }
    if let Some(month) = filter.month {
        query = query.filter(t::month.eq(month));
    }
    if let Some((first, last)) = filter.year.and_then(|year| Month::new(year, 1).zip(Month::new(year, 12))) {
        query = query.filter(t::month.between(first, last));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    let today = business_today(Instant::now());
    match filter.timeliness {
        None => query,
        Some(Timeliness::OnTime) => query.filter(t::first_submitted_on.le(t::due_on.nullable())),
        Some(Timeliness::Late) => query.filter(t::first_submitted_on.gt(t::due_on.nullable())),
        Some(Timeliness::Pending) => query.filter(t::first_submitted_on.is_null()).filter(t::due_on.ge(today)),
        Some(Timeliness::Missing) => query.filter(t::first_submitted_on.is_null()).filter(t::due_on.lt(today)),
    }
}

/// The timeliness of a row, as SQL that a count groups by: what [`checks::timeliness`] says, told by the database.
pub fn timeliness_told(today: NaiveDate) -> Vec<Part> {
    vec![
        Part::Sql("CASE WHEN first_submitted_on <= due_on THEN 'on_time' WHEN first_submitted_on > due_on THEN 'late' WHEN due_on < "),
        Part::Date(today),
        Part::Sql(" THEN 'missing' ELSE 'pending' END"),
    ]
}

/// Rows as lists show them: one query for all their rounds, and one for what their figures come to.
fn shown(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<MonthlyReturn>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let today = business_today(Instant::now());
    let mut rounds: Vec<Id> = rows.iter().map(|row| row.round_id).collect();
    rounds.sort_unstable();
    rounds.dedup();
    let rounds = return_rounds::known(conn, &rounds)?;
    let counts: HashMap<Id, cells::Counts> = cells::counts(conn, &rows.iter().map(|row| row.id).collect::<Vec<_>>())?;
    let view = |row: Row| {
        let counts = counts.get(&row.id).copied().unwrap_or_default();
        MonthlyReturn {
            timeliness: checks::timeliness(row.first_submitted_on, row.due_on, today),
            closed: rounds.get(&row.round_id).is_some_and(|round| round.state == RoundState::Closed),
            id: row.id,
            code: row.code,
            organization_id: row.organization_id,
            round_id: row.round_id,
            form_id: row.form_id,
            form_key: row.form_key,
            month: row.month,
            due_on: row.due_on,
            state: row.state,
            revision: row.revision,
            note: row.note,
            reason: row.reason,
            figures: counts.figures,
            declared: counts.declared,
            differing: counts.differing,
            cells: None,
            warnings: None,
            revisions: None,
            computed_at: row.computed_at,
            first_submitted_on: row.first_submitted_on,
            submitted_at: row.submitted_at,
            submitted_by: row.submitted_by,
            accepted_at: row.accepted_at,
            accepted_by: row.accepted_by,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    };
    Ok(rows.into_iter().map(view).collect())
}

fn revisions(conn: &mut AnyConnection, id: Id) -> Result<Vec<ReturnRevision>> {
    let rows: Vec<RevisionRow> = r::table
        .filter(r::return_id.eq(id))
        .order(r::revision.desc())
        .limit(REVISIONS_SHOWN)
        .select(RevisionRow::as_select())
        .load(conn)?;
    rows.into_iter()
        .map(|row| {
            Ok(ReturnRevision {
                revision: row.revision,
                cells: serde_json::from_str(&row.cells).map_err(Error::internal)?,
                submitted_at: row.submitted_at,
                submitted_by: row.submitted_by,
                accepted_at: row.accepted_at,
                accepted_by: row.accepted_by,
                amended_at: row.amended_at,
                amended_by: row.amended_by,
                reason: row.reason,
            })
        })
        .collect()
}

/// A return with all that is told of a single one.
fn whole(conn: &mut AnyConnection, row: Row) -> Result<MonthlyReturn> {
    let (id, form_id) = (row.id, row.form_id);
    let before = match row.month.before() {
        None => None,
        Some(month) => t::table
            .filter(t::organization_id.eq(row.organization_id))
            .filter(t::form_key.eq(&row.form_key))
            .filter(t::month.eq(month))
            .select(t::id)
            .first::<Id>(conn)
            .optional()?,
    };
    let mut view = shown(conn, vec![row])?.pop().ok_or_else(Error::not_found)?;
    let mut cells = cells::of_returns(conn, &[Some(id), before].into_iter().flatten().collect::<Vec<_>>())?;
    let form = return_forms::known(conn, form_id)?;
    let own = cells.remove(&id).unwrap_or_default();
    let earlier = before.and_then(|id| cells.remove(&id)).unwrap_or_default();
    view.warnings = Some(checks::warnings(&own, &earlier, &form.sums, form.jump_percent));
    view.cells = Some(own.into_iter().map(|cell| cells::view(cell, view.organization_id, view.month)).collect::<Result<_>>()?);
    view.revisions = Some(revisions(conn, id)?);
    Ok(view)
}

/// The day until which the returns of a round are on time was changed.
pub fn put_off(tx: &mut Tx<'_>, round_id: Id, due_on: NaiveDate) -> Result<()> {
    let others = t::table.filter(t::round_id.eq(round_id)).filter(t::due_on.ne(due_on));
    let changed: Vec<(Id, Id, NaiveDate)> = others.select((t::id, t::organization_id, t::due_on)).load(tx.conn)?;
    // They may be reminded again of the new day.
    diesel::update(t::table.filter(t::round_id.eq(round_id)).filter(t::due_on.ne(due_on)))
        .set((t::due_on.eq(due_on), t::reminded_on.eq(None::<NaiveDate>), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
        .execute(tx.conn)?;
    for (id, organization_id, before) in changed {
        let detail = serde_json::json!({"due_on": [before, due_on]});
        tx.audit(Action::Update.code(), MonthlyReturns::NAME, Some(id), Some(organization_id), Some(&detail));
    }
    Ok(())
}

impl Resource for MonthlyReturns {
    const NAME: &'static str = "monthly_returns";
    const LABEL: (&'static str, &'static str) = ("每月上报", "monthly return");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] =
        &[Reference::ORGANIZATION, Reference { field: "round_id", column: "round_code", of: "return_rounds" }];
    // Its figures stand in no row of a file.
    const IMPORTABLE: bool = false;

    type View = MonthlyReturn;
    type Draft = MonthlyReturnDraft;
    type Filter = MonthlyReturnFilter;

    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>> {
        let rows = page!(conn, scope, query(scope, filter), t, window, rows => rows.select(Row::as_select()));
        shown(conn, rows)
    }

    reads!(t);

    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View> {
        let row = query(scope, &MonthlyReturnFilter::default()).filter(t::id.eq(id)).select(Row::as_select()).first(conn)?;
        whole(conn, row)
    }

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        opening::by_hand(tx, scope, drafts)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let cells = view.cells.iter().flatten().map(|cell| ReturnCellDraft {
            figure: cell.figure.clone(),
            declared: cell.declared,
            declared_precision: Some(cell.declared_precision),
            reason: cell.reason.clone(),
        });
        Ok(MonthlyReturnDraft {
            code: Some(view.code.clone()),
            organization_id: view.organization_id,
            round_id: view.round_id,
            note: view.note.clone(),
            cells: Some(cells.collect()),
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        let mut faults = Vec::new();
        for (field, changed) in
            [("organization_id", draft.organization_id != before.organization_id), ("round_id", draft.round_id != before.round_id)]
        {
            if changed {
                let says = Says::new("上报的单位和批次不能修改", "a return keeps its county and its round");
                faults.push(Fault::new(format!("/{field}"), "fixed", says));
            }
        }
        let row = steps::take(tx, before)?;
        let mut own = cells::of_returns(tx.conn, &[before.id])?.remove(&before.id).unwrap_or_default();
        cells::declare(&mut own, draft.cells.unwrap_or_default(), "/cells", &mut faults);
        Error::unless_empty(faults)?;
        let after = Row { code: code_or_new(draft.code.as_deref()), note: draft.note, ..steps::next(tx, &row) };
        save!(tx, t, row, &after)?;
        cells::replace(tx.conn, before.id, own)?;
        Self::find(tx.conn, scope, before.id)
    }

    fn delete(tx: &mut Tx<'_>, _: &Scope, before: &Self::View) -> Result<()> {
        let row = steps::take(tx, before)?;
        cells::replace(tx.conn, row.id, Vec::new())?;
        diesel::delete(t::table.filter(t::id.eq(row.id))).execute(tx.conn)?;
        Ok(())
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        steps::all()
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        match (view.state, view.closed) {
            (ReturnState::Open | ReturnState::Returned, false) => vec![Action::Update, Action::Prefill, Action::Submit],
            (ReturnState::Submitted, false) => vec![Action::Return, Action::Accept],
            // What came in time is still decided upon.
            (ReturnState::Submitted, true) => vec![Action::Accept],
            (ReturnState::Accepted, false) => vec![Action::Amend],
            (ReturnState::Open | ReturnState::Returned | ReturnState::Accepted, true) => Vec::new(),
        }
    }

    /// Who decides upon a return answers for the association that asked for it, and has not submitted it.
    fn objections(conn: &mut AnyConnection, actor: &Actor, asked: &[(&Self::View, Action)]) -> Result<Vec<Option<Error>>> {
        let decided = |action: Action| matches!(action, Action::Return | Action::Accept);
        let rounds: Vec<Id> = asked.iter().filter(|(_, action)| decided(*action)).map(|(view, _)| view.round_id).collect();
        if rounds.is_empty() {
            return Ok(Vec::new());
        }
        let rounds = return_rounds::known(conn, &rounds)?;
        let asking = asked.iter().filter(|(_, action)| decided(*action));
        let asking = asking.filter_map(|(view, action)| Some((*action, rounds.get(&view.round_id)?.organization_id)));
        let elsewhere = actor.lacks(conn, Self::AREA, asking)?;
        let objection = |view: &MonthlyReturn, action| {
            let asker = rounds.get(&view.round_id).map(|round| round.organization_id);
            if decided(action) && asker.is_none_or(|asker| elsewhere.contains(&(action, asker))) {
                return Some(Error::because(
                    Code::Forbidden,
                    "上报由下发上报表的上级协会审核",
                    "a return is decided upon by the association that asked for it",
                ));
            }
            (action == Action::Accept && view.submitted_by == Some(actor.id)).then(|| {
                Error::because(
                    Code::Forbidden,
                    format!("上报 {} 由您提交，须由另一人审核", view.code),
                    format!("you submitted the return {}, so somebody else has to accept it", view.code),
                )
            })
        };
        Ok(asked.iter().map(|(view, action)| objection(view, *action)).collect())
    }
}

fn insert_rows(conn: &mut AnyConnection, rows: &[Row]) -> QueryResult<()> {
    insert_all!(&mut *conn, t::table, rows)
}
