//! Budgets (预算): what an association means to give in a year in each kind of programme, with what it has given and what is
//! approved beside it. A budget binds: what is approved and what is paid never come to more than is planned. Where an
//! association has no budget for a kind, nothing is bound; what an enterprise pays directly is nobody's budget.

use std::collections::{BTreeMap, HashMap, HashSet};

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::disbursements::{Channel, Disbursement, DisbursementState};
use super::rules;
use super::welfare_programmes::ProgrammeKind;
use crate::db::{Any, AnyConnection, Tx, held, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::ledger::yuan;
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::{budgets as t, disbursements, organizations, welfare_programmes};
use crate::types::{Id, Instant, TextEnum, code_or_new};
use crate::web::resource::sum_of;
use crate::web::{Measure, Measured, Reference, Resource, measured, reads, remove, save, viewed};

/// A budget.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Budget {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    pub organization_id: Id,
    pub year: i32,
    pub programme_kind: ProgrammeKind,
    /// In fen.
    pub planned_fen: i64,
    /// What the organization has paid or delivered and not reversed, of disbursements that count in the year, in fen.
    pub spent_fen: i64,
    /// What is approved and not yet given, in fen.
    pub reserved_fen: i64,
    /// What may still be approved, in fen.
    pub left_fen: i64,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Budget {
    /// What is given is shown along: approvals and payments don't change the version.
    fn shown_version(&self) -> String {
        format!("{}-{}-{}", self.version, self.spent_fen, self.reserved_fen)
    }
});

#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    year: i32,
    programme_kind: ProgrammeKind,
    planned_fen: i64,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// What may be written of a budget.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct BudgetDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    #[schema(minimum = 1949, maximum = 2100)]
    pub year: i32,
    /// One budget for each kind, organization and year.
    pub programme_kind: ProgrammeKind,
    /// In fen (1/100 yuan).
    #[schema(minimum = 0, maximum = 10_000_000_000_000_i64, example = 5_000_000)]
    pub planned_fen: i64,
}

/// Which budgets.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct BudgetFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub year: Option<i32>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub programme_kind: Option<Vec<ProgrammeKind>>,
}

pub struct Budgets;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &BudgetFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(year) = filter.year {
        query = query.filter(t::year.eq(year));
    }
    if let Some(kinds) = &filter.programme_kind {
        query = query.filter(t::programme_kind.eq_any(kinds.clone()));
    }
    query
}

/// Whose budget, of which year, for which kind.
type Line = (Id, i32, ProgrammeKind);

/// What a budget has to cover, in fen.
#[derive(Debug, Clone, Copy, Default)]
struct Given {
    reserved_fen: i64,
    spent_fen: i64,
}

impl Given {
    fn fen(self) -> i64 {
        self.reserved_fen + self.spent_fen
    }
}

/// What was given and approved, in one query for all the lines of these organizations and years.
fn given(conn: &mut AnyConnection, lines: impl Iterator<Item = Line>) -> Result<HashMap<Line, Given>> {
    use disbursements as d;
    let (organizations, years): (HashSet<Id>, HashSet<i32>) = lines.map(|(organization, year, _)| (organization, year)).unzip();
    if organizations.is_empty() {
        return Ok(HashMap::new());
    }
    type Sum = (Id, i32, ProgrammeKind, DisbursementState, Option<i64>);
    let sums: Vec<Sum> = d::table
        .inner_join(welfare_programmes::table.on(welfare_programmes::id.eq(d::programme_id)))
        .filter(d::organization_id.eq_any(organizations))
        .filter(d::year.eq_any(years))
        .filter(d::channel.ne(Channel::EnterpriseDirect))
        .filter(d::state.eq_any([
            DisbursementState::Approved,
            DisbursementState::Paid,
            DisbursementState::Delivered,
            DisbursementState::Acknowledged,
        ]))
        .group_by((d::organization_id, d::year, welfare_programmes::kind, d::state))
        .select((d::organization_id, d::year, welfare_programmes::kind, d::state, sum_of!(disbursements.amount_fen)))
        .load(conn)?;
    let mut all: HashMap<Line, Given> = HashMap::new();
    for (organization, year, kind, state, fen) in sums {
        let line = all.entry((organization, year, kind)).or_default();
        let place = if state == DisbursementState::Approved { &mut line.reserved_fen } else { &mut line.spent_fen };
        *place += fen.unwrap_or_default();
    }
    Ok(all)
}

/// Refuses to approve what the budgets of those who give don't cover, with the figures of each.
///
/// Approvals of one budget wait for each other, and for whoever makes or changes it.
pub fn refuse_beyond(tx: &mut Tx<'_>, approved: &[Disbursement]) -> Result<()> {
    let counted: Vec<&Disbursement> = approved.iter().filter(|d| d.channel != Channel::EnterpriseDirect).collect();
    let programmes = || {
        let ids: HashSet<Id> = counted.iter().map(|d| d.programme_id).collect();
        welfare_programmes::table.filter(welfare_programmes::id.eq_any(ids))
    };
    // A programme doesn't become of another kind meanwhile.
    held!(tx.conn, programmes().order(welfare_programmes::id).select(welfare_programmes::id), for_share)?;
    let kinds: HashMap<Id, ProgrammeKind> =
        programmes().select((welfare_programmes::id, welfare_programmes::kind)).load(tx.conn)?.into_iter().collect();
    let mut wanted: BTreeMap<Line, i64> = BTreeMap::new();
    for one in &counted {
        if let (Some(kind), Some(fen)) = (kinds.get(&one.programme_id), one.amount_fen) {
            *wanted.entry((one.organization_id, one.year, *kind)).or_default() += fen;
        }
    }
    keep(tx, &wanted)
}

/// Refuses that a programme becomes of another kind where the budgets for that kind don't cover what was given in it.
pub fn refuse_kind(tx: &mut Tx<'_>, programme_id: Id, kind: ProgrammeKind) -> Result<()> {
    let lines: Vec<(Id, i32)> = disbursements::table
        .filter(disbursements::programme_id.eq(programme_id))
        .select((disbursements::organization_id, disbursements::year))
        .distinct()
        .load(tx.conn)?;
    keep(tx, &lines.into_iter().map(|(organization, year)| ((organization, year, kind), 0)).collect())
}

/// Refuses what goes beyond budgets: what they cover by now and what is wanted of each besides, in fen.
fn keep(tx: &mut Tx<'_>, wanted: &BTreeMap<Line, i64>) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let (organizations, years): (HashSet<Id>, HashSet<i32>) = wanted.keys().map(|(organization, year, _)| (*organization, *year)).unzip();
    // Whoever makes a budget takes these rows for themselves: no approval slips by a budget that is just being made.
    let givers = organizations::table.filter(organizations::id.eq_any(organizations.clone()));
    held!(tx.conn, givers.order(organizations::id).select(organizations::id), for_share)?;
    let budgets = || t::table.filter(t::organization_id.eq_any(organizations.clone())).filter(t::year.eq_any(years.clone()));
    held!(tx.conn, budgets().order(t::id).select(t::id))?;
    let rows: Vec<Row> = budgets().order(t::id).select(Row::as_select()).load(tx.conn)?;
    let rows: Vec<Row> = rows.into_iter().filter(|row| wanted.contains_key(&row.line())).collect();
    let covered = given(tx.conn, rows.iter().map(Row::line))?;
    let (mut figures, mut zh, mut en) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let given_fen = covered.get(&row.line()).copied().unwrap_or_default().fen();
        let wanted_fen = wanted.get(&row.line()).copied().unwrap_or_default();
        if given_fen + wanted_fen <= row.planned_fen {
            continue;
        }
        let ((kind_zh, kind_en), planned, given) = (row.programme_kind.label(), yuan(row.planned_fen), yuan(given_fen));
        zh.push(format!(
            "{} 年{kind_zh}预算（{}）{planned} 元，已批准和支付 {given} 元，本次需 {} 元",
            row.year,
            row.code,
            yuan(wanted_fen)
        ));
        en.push(format!(
            "the budget {} for {kind_en} in {} is {planned} yuan, of which {given} are approved or paid, and {} are wanted",
            row.code,
            row.year,
            yuan(wanted_fen)
        ));
        figures.push(serde_json::json!({
            "budget_id": row.id, "budget_code": row.code, "planned_fen": row.planned_fen, "given_fen": given_fen, "wanted_fen": wanted_fen,
        }));
    }
    if figures.is_empty() {
        return Ok(());
    }
    Err(Error::because(
        Code::Conflict,
        format!("超出预算，未作任何变动：{}；请先调整预算，或减少金额", zh.join("；")),
        format!("this goes beyond the budget, and nothing was moved: {}; change the budget first, or give less", en.join("; ")),
    )
    .with("budgets", figures))
}

/// Rows as they are shown: one query for what was given of all of them.
fn shown(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<Budget>> {
    let given = given(conn, rows.iter().map(Row::line))?;
    let shown = rows.into_iter().map(|row| {
        let given = given.get(&row.line()).copied().unwrap_or_default();
        Budget {
            id: row.id,
            code: row.code,
            organization_id: row.organization_id,
            year: row.year,
            programme_kind: row.programme_kind,
            planned_fen: row.planned_fen,
            spent_fen: given.spent_fen,
            reserved_fen: given.reserved_fen,
            left_fen: row.planned_fen - given.fen(),
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    });
    Ok(shown.collect())
}

impl Row {
    fn line(&self) -> Line {
        (self.organization_id, self.year, self.programme_kind)
    }
}

/// Takes the rows that say whose budgets these are: approvals of these organizations wait until the budgets stand.
fn take(tx: &mut Tx<'_>, organizations: impl Iterator<Item = Id>) -> Result<()> {
    let givers = organizations::table.filter(organizations::id.eq_any(organizations.collect::<HashSet<_>>()));
    held!(tx.conn, givers.order(organizations::id).select(organizations::id), for_no_key_update)?;
    Ok(())
}

/// Refuses to plan less than is approved or paid already.
fn covers(tx: &mut Tx<'_>, drafts: &[BudgetDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let line = |draft: &BudgetDraft| (draft.organization_id, draft.year, draft.programme_kind);
    let given = given(tx.conn, drafts.iter().map(line))?;
    let mut faults = Vec::new();
    for (i, draft) in drafts.iter().enumerate() {
        let fen = given.get(&line(draft)).copied().unwrap_or_default().fen();
        if fen > draft.planned_fen {
            faults.push(Fault::new(
                at(i, "planned_fen"),
                "below_what_is_given",
                Says::new(
                    format!("已批准和支付 {} 元，预算不能少于此数", yuan(fen)),
                    format!("{} yuan are approved or paid already, and a budget can't be less", yuan(fen)),
                ),
            ));
        }
    }
    Error::unless_empty(faults)
}

/// A budget out of which something is given goes on binding: it is neither deleted nor made another's.
fn refuse_in_use(tx: &mut Tx<'_>, before: &Budget) -> Result<()> {
    let line = (before.organization_id, before.year, before.programme_kind);
    let fen = given(tx.conn, std::iter::once(line))?.get(&line).copied().unwrap_or_default().fen();
    if fen == 0 {
        return Ok(());
    }
    Err(Error::because(
        Code::Conflict,
        format!("此预算内已批准和支付 {} 元，不能删除，也不能改为其他单位、年度或类别；可以调整金额", yuan(fen)),
        format!("{} yuan are approved or paid out of this budget, so it can only be made larger or smaller", yuan(fen)),
    ))
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: BudgetDraft) -> Row {
    Row {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        year: draft.year,
        programme_kind: draft.programme_kind,
        planned_fen: draft.planned_fen,
        version,
        created_at,
        updated_at: now,
    }
}

/// Faults with pointers that `at` makes from a draft's index and a field; `own` is the record that is changed.
fn check(tx: &mut Tx<'_>, scope: &Scope, drafts: &[BudgetDraft], own: Option<Id>, at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), Some(draft.organization_id)));
    rules::all_in_scope(tx.conn, scope, "organizations", wanted.collect::<Vec<_>>(), &mut faults)?;
    Error::unless_empty(std::mem::take(&mut faults))?;
    let known: Vec<(Id, Id, i32, ProgrammeKind)> = t::table
        .filter(t::organization_id.eq_any(drafts.iter().map(|draft| draft.organization_id).collect::<Vec<_>>()))
        .filter(t::year.eq_any(drafts.iter().map(|draft| draft.year).collect::<Vec<_>>()))
        .select((t::id, t::organization_id, t::year, t::programme_kind))
        .load(tx.conn)?;
    let mut taken: Vec<(Id, i32, ProgrammeKind)> =
        known.into_iter().filter(|(id, ..)| Some(*id) != own).map(|(_, organization, year, kind)| (organization, year, kind)).collect();
    for (i, draft) in drafts.iter().enumerate() {
        let this = (draft.organization_id, draft.year, draft.programme_kind);
        if taken.contains(&this) {
            faults.push(Fault::new(
                at(i, "programme_kind"),
                "budget_exists",
                Says::new(
                    format!("该单位 {} 年此类项目已有预算；请修改已有的预算", draft.year),
                    format!("the organization has a budget for this kind in {}; change that one", draft.year),
                ),
            ));
        }
        taken.push(this);
    }
    if faults.is_empty() {
        return Ok(());
    }
    let mut error =
        Error::because(Code::AlreadyExists, "每个单位每年每类项目只有一项预算", "there is one budget for each organization, year and kind");
    error.faults = faults;
    Err(error)
}

impl Resource for Budgets {
    const NAME: &'static str = "budgets";
    const LABEL: (&'static str, &'static str) = ("预算", "budget");
    const AREA: Area = Area::Ledger;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];

    type View = Budget;
    type Draft = BudgetDraft;
    type Filter = BudgetFilter;

    reads!(t, Row => shown);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        take(tx, drafts.iter().map(|draft| draft.organization_id))?;
        check(tx, scope, &drafts, None, |i, field| format!("/{i}/{field}"))?;
        covers(tx, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Row> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        shown(tx.conn, rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let budget = view.clone();
        Ok(BudgetDraft {
            code: Some(budget.code),
            organization_id: budget.organization_id,
            year: budget.year,
            programme_kind: budget.programme_kind,
            planned_fen: budget.planned_fen,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        take(tx, [before.organization_id, draft.organization_id].into_iter())?;
        check(tx, scope, std::slice::from_ref(&draft), Some(before.id), |_, field| format!("/{field}"))?;
        if (draft.organization_id, draft.year, draft.programme_kind) != (before.organization_id, before.year, before.programme_kind) {
            refuse_in_use(tx, before)?;
        }
        covers(tx, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft);
        save!(tx, t, before, &after)?;
        shown(tx.conn, vec![after])?.pop().ok_or_else(Error::not_found)
    }

    fn delete(tx: &mut Tx<'_>, _: &Scope, before: &Self::View) -> Result<()> {
        take(tx, std::iter::once(before.organization_id))?;
        refuse_in_use(tx, before)?;
        remove!(tx, t, before)
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(match measure {
            Measure::Fen => measured!(exact conn, query(scope, filter), t, planned_fen),
            _ => measured!(conn, query(scope, filter), t, measure),
        })
    }
}
