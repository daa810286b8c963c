//! Return rounds (上报批次): a form, asked for of all counties below an association, for one month. Opening one makes a return for each of them,
//! filled in from the records: a job, for there may be thousands.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::monthly_returns::{self, ReturnState, Timeliness};
use super::return_forms;
use super::rules;
use super::versions::VersionState;
use crate::db::{Any, AnyConnection, Part, Rows, Tx, insert_all};
use crate::error::{Code, Error, Fault, Language, Result, Says};
use crate::jobs::{self, JobKind};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::return_rounds as t;
use crate::types::{Id, Instant, Month, TextEnum, business_today, code_or_new, sql, text_enum};
use crate::web::resource::Step;
use crate::web::{Measure, Measured, Reference, Resource, measured, reads, save, viewed};

text_enum! {
    /// Where a round stands.
    RoundState {
        Opening = "opening", "下发中", "being opened";
        Open = "open", "上报中", "open";
        Closed = "closed", "已截止", "closed";
    }
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Row {
    pub id: Id,
    code: String,
    pub organization_id: Id,
    pub form_id: Id,
    pub form_key: String,
    pub month: Month,
    pub due_on: NaiveDate,
    pub state: RoundState,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// How the returns of a round stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RoundCounts {
    /// All returns that there are.
    pub returns: i64,
    /// Not submitted yet.
    pub open: i64,
    /// Waiting for a decision.
    pub submitted: i64,
    /// Sent back.
    pub returned: i64,
    pub accepted: i64,
    /// First submitted on the due day or before.
    pub on_time: i64,
    /// First submitted after it.
    pub late: i64,
    /// Never submitted, and not due yet.
    pub pending: i64,
    /// Never submitted, and overdue.
    pub missing: i64,
}

/// A form, asked for for a month.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReturnRound {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that asks; the counties below it see it.
    pub organization_id: Id,
    /// The version of the form.
    pub form_id: Id,
    #[schema(example = "four-ones")]
    pub form_key: String,
    pub month: Month,
    /// Returns are due on this day at the latest.
    pub due_on: NaiveDate,
    pub state: RoundState,
    /// While it is being opened, `returns` grows.
    pub counts: RoundCounts,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(ReturnRound {
    fn shown_version(&self) -> String {
        let c = &self.counts;
        format!("{}-{}-{}-{}-{}-{}", self.version, c.returns, c.submitted, c.returned, c.accepted, c.missing)
    }
});

/// What may be written of a round: all of it when it is made, later the due day alone.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ReturnRoundDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// A published form.
    pub form_id: Id,
    /// One that is over. A form is asked for for a month once.
    pub month: Month,
    /// What the form says when absent.
    pub due_on: Option<NaiveDate>,
}

/// Which rounds.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ReturnRoundFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub form_id: Option<Id>,
    pub form_key: Option<String>,
    #[param(inline)]
    pub month: Option<Month>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<RoundState>>,
}

pub struct ReturnRounds;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &ReturnRoundFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
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
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    query
}

/// How the returns of some rounds stand today: one query.
fn counts(conn: &mut AnyConnection, rounds: &[Id], today: NaiveDate) -> Result<HashMap<Id, RoundCounts>> {
    let mut parts = vec![Part::Sql("SELECT round_id, state, ")];
    parts.extend(monthly_returns::timeliness_told(today));
    parts.extend([
        Part::Sql(" AS timeliness, COUNT(*) FROM monthly_returns WHERE round_id IN "),
        Part::Ids(rounds.to_vec()),
        Part::Sql(" GROUP BY 1, 2, 3"),
    ]);
    let groups: Vec<(Id, String, String, i64)> = Rows::<(sql::Uuid, Text, Text, BigInt)>::of(parts).load(conn)?;
    let mut all: HashMap<Id, RoundCounts> = HashMap::new();
    for (round_id, state, timeliness, n) in groups {
        let counts = all.entry(round_id).or_default();
        counts.returns += n;
        match ReturnState::from_code(&state) {
            Some(ReturnState::Open) => counts.open += n,
            Some(ReturnState::Submitted) => counts.submitted += n,
            Some(ReturnState::Returned) => counts.returned += n,
            Some(ReturnState::Accepted) => counts.accepted += n,
            None => {}
        }
        match Timeliness::from_code(&timeliness) {
            Some(Timeliness::OnTime) => counts.on_time += n,
            Some(Timeliness::Late) => counts.late += n,
            Some(Timeliness::Pending) => counts.pending += n,
            Some(Timeliness::Missing) => counts.missing += n,
            None => {}
        }
    }
    Ok(all)
}

fn shown(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<ReturnRound>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Id> = rows.iter().map(|row| row.id).collect();
    let mut counts = counts(conn, &ids, business_today(Instant::now()))?;
    let view = |row: Row| ReturnRound {
        counts: counts.remove(&row.id).unwrap_or_default(),
        id: row.id,
        code: row.code,
        organization_id: row.organization_id,
        form_id: row.form_id,
        form_key: row.form_key,
        month: row.month,
        due_on: row.due_on,
        state: row.state,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    Ok(rows.into_iter().map(view).collect())
}

/// A round, for what is made of it: whoever asks has decided that.
pub fn known(conn: &mut AnyConnection, ids: &[Id]) -> Result<HashMap<Id, Row>> {
    let rows: Vec<Row> = t::table.filter(t::id.eq_any(ids.to_vec())).select(Row::as_select()).load(conn)?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// A new round of a form, with the job that opens it.
pub fn open(tx: &mut Tx<'_>, form: &return_forms::ReturnForm, month: Month, due_on: NaiveDate, code: Option<&str>) -> Result<Row> {
    let row = Row {
        id: Id::new(),
        code: code_or_new(code),
        organization_id: form.organization_id,
        form_id: form.id,
        form_key: form.key.clone(),
        month,
        due_on,
        state: RoundState::Opening,
        version: 1,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let rows = [row.clone()];
    insert_all!(&mut *tx.conn, t::table, rows).map_err(asked_once)?;
    jobs::place(tx, JobKind::OpenReturns, row.id, Language::Zh)?;
    Ok(row)
}

/// The rounds of forms that there are for a month.
pub fn asked_for(conn: &mut AnyConnection, month: Month) -> Result<Vec<(Id, String)>> {
    Ok(t::table.filter(t::month.eq(month)).select((t::organization_id, t::form_key)).load(conn)?)
}

/// Says that all returns of a round are there.
pub fn opened(tx: &mut Tx<'_>, id: Id) -> Result<()> {
    let opening = t::table.filter(t::id.eq(id)).filter(t::state.eq(RoundState::Opening));
    diesel::update(opening)
        .set((t::state.eq(RoundState::Open), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
        .execute(tx.conn)?;
    let organization_id: Id = t::table.find(id).select(t::organization_id).first(tx.conn)?;
    tx.touch(ReturnRounds::NAME, id, Some(organization_id));
    Ok(())
}

/// Says what stands in the way when a month is asked for a second time.
fn asked_once(error: diesel::result::Error) -> Error {
    let mut error = Error::from(error);
    if error.code == Code::AlreadyExists && error.faults.is_empty() {
        error.detail = Some(Says::new("该上报表的这个月已经下发", "the form was asked for for this month already"));
    }
    error
}

impl Resource for ReturnRounds {
    const NAME: &'static str = "return_rounds";
    const LABEL: (&'static str, &'static str) = ("上报批次", "return round");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[Reference { field: "form_id", column: "form_code", of: "return_forms" }];
    // Each asks all counties for something: that is no row of a file.
    const IMPORTABLE: bool = false;
    const SHARED_BELOW: bool = true;

    type View = ReturnRound;
    type Draft = ReturnRoundDraft;
    type Filter = ReturnRoundFilter;

    reads!(t, Row => shown);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let today = business_today(tx.now);
        let mut faults = Vec::new();
        let wanted: Vec<_> = drafts.iter().enumerate().map(|(i, draft)| (format!("/{i}/form_id"), Some(draft.form_id))).collect();
        rules::all_in_scope(tx.conn, scope, "return_forms", wanted, &mut faults)?;
        Error::unless_empty(std::mem::take(&mut faults))?;
        let mut forms = Vec::with_capacity(drafts.len());
        for (i, draft) in drafts.iter().enumerate() {
            let form = return_forms::known(tx.conn, draft.form_id)?;
            let mut fault = |field: &str, code, says| faults.push(Fault::new(format!("/{i}/{field}"), code, says));
            if form.state != VersionState::Published {
                let says = Says::new("只有已发布的上报表可以下发", "only a published form can be asked for");
                fault("form_id", "not_published", says);
            }
            if draft.month.last_day() >= today {
                let says = Says::new(
                    format!(
                        "{} 还没有结束，{} 起才能下发",
                        draft.month,
                        draft.month.after().map_or(String::new(), |next| next.first_day().to_string())
                    ),
                    format!("{} is not over yet", draft.month),
                );
                fault("month", "month_not_over", says);
            }
            let due_on = draft.due_on.or_else(|| form.due_on(draft.month)).unwrap_or(today);
            if due_on <= draft.month.last_day() {
                let says = Says::new("上报期限应在该月结束之后", "a return is due after its month");
                fault("due_on", "before_the_end", says);
            }
            forms.push((form, draft.month, due_on, draft.code.clone()));
        }
        Error::unless_empty(faults)?;
        // A county sees the form of the city, and doesn't ask for it.
        if !scope.lacks(tx.conn, forms.iter().map(|(form, ..)| form.organization_id).collect())?.is_empty() {
            return Err(Error::because(
                Code::Forbidden,
                "上报表属于上级单位，由其下发",
                "the form belongs to an organization above, which asks for it",
            ));
        }
        let mut rows = Vec::with_capacity(forms.len());
        for (form, month, due_on, code) in forms {
            rows.push(open(tx, &form, month, due_on, code.as_deref())?);
        }
        shown(tx.conn, rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        Ok(ReturnRoundDraft { code: Some(view.code.clone()), form_id: view.form_id, month: view.month, due_on: Some(view.due_on) })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        let mut faults = Vec::new();
        for (field, changed) in [("form_id", draft.form_id != before.form_id), ("month", draft.month != before.month)] {
            if changed {
                let says = Says::new("下发之后不能修改", "this can't be changed once counties are asked");
                faults.push(Fault::new(format!("/{field}"), "fixed", says));
            }
        }
        let due_on = draft.due_on.unwrap_or(before.due_on);
        if due_on <= before.month.last_day() {
            let says = Says::new("上报期限应在该月结束之后", "a return is due after its month");
            faults.push(Fault::new("/due_on", "before_the_end", says));
        }
        Error::unless_empty(faults)?;
        let code = draft.code.unwrap_or_else(|| before.code.clone());
        let after = Row { code, due_on, ..moved(tx, before, before.state) };
        save!(tx, t, before, &after)?;
        monthly_returns::put_off(tx, before.id, due_on)?;
        Self::find(tx.conn, scope, before.id)
    }

    fn delete(_: &mut Tx<'_>, _: &Scope, _: &Self::View) -> Result<()> {
        Err(Error::new(Code::MethodNotAllowed))
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        let step = |action, summary, run| Step { action, summary, body: None, needs_key: false, run };
        vec![
            step(Action::Close, "截止：不再接受上报，未报的记为缺报 / Close: nothing is submitted any more", close),
            step(Action::Reopen, "重新开放上报 / Open it again", reopen),
        ]
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        match view.state {
            RoundState::Opening => Vec::new(),
            RoundState::Open => vec![Action::Update, Action::Close],
            RoundState::Closed => vec![Action::Reopen],
        }
    }
}

fn moved(tx: &Tx<'_>, before: &ReturnRound, state: RoundState) -> Row {
    Row {
        id: before.id,
        code: before.code.clone(),
        organization_id: before.organization_id,
        form_id: before.form_id,
        form_key: before.form_key.clone(),
        month: before.month,
        due_on: before.due_on,
        state,
        version: before.version + 1,
        created_at: before.created_at,
        updated_at: tx.now,
    }
}

fn close(tx: &mut Tx<'_>, scope: &Scope, before: ReturnRound, _: &Value) -> Result<ReturnRound> {
    let after = moved(tx, &before, RoundState::Closed);
    save!(tx, t, before, &after)?;
    ReturnRounds::find(tx.conn, scope, before.id)
}

fn reopen(tx: &mut Tx<'_>, scope: &Scope, before: ReturnRound, _: &Value) -> Result<ReturnRound> {
    let after = moved(tx, &before, RoundState::Open);
    save!(tx, t, before, &after)?;
    ReturnRounds::find(tx.conn, scope, before.id)
}
