//! Budgets (预算): what an association means to spend in a year on each kind of programme, with what the ledger says was
//! spent beside it.

use std::collections::HashMap;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::rules;
use super::welfare_programmes::ProgrammeKind;
use crate::db::{Any, AnyConnection, Tx, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::ledger::TransactionKind;
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::{budgets as t, disbursements, ledger_transactions, welfare_programmes};
use crate::types::{Id, Instant, code_or_new};
use crate::web::resource::sum_of;
use crate::web::{Measure, Measured, Reference, Resource, measured, reads, save, viewed};

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
    /// What was paid out of the organization's funds and not reversed, of disbursements that count in the year, in fen.
    pub spent_fen: i64,
    /// What is left, in fen; below zero where more was spent than planned.
    pub left_fen: i64,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Budget {
    /// What was spent is shown along: payments don't change the version.
    fn shown_version(&self) -> String {
        format!("{}-{}", self.version, self.spent_fen)
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

/// Rows as they are shown: one query for what was spent on all of them.
fn shown(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<Budget>> {
    type Spent = (Id, i32, ProgrammeKind, TransactionKind, Option<i64>);
    use ledger_transactions as l;
    let spent: Vec<Spent> = if rows.is_empty() {
        Vec::new()
    } else {
        l::table
            .inner_join(disbursements::table.on(l::disbursement_id.eq(disbursements::id.nullable())))
            .inner_join(welfare_programmes::table.on(welfare_programmes::id.eq(disbursements::programme_id)))
            .filter(l::organization_id.eq_any(rows.iter().map(|row| row.organization_id).collect::<Vec<_>>()))
            .filter(disbursements::year.eq_any(rows.iter().map(|row| row.year).collect::<Vec<_>>()))
            .group_by((l::organization_id, disbursements::year, welfare_programmes::kind, l::kind))
            .select((l::organization_id, disbursements::year, welfare_programmes::kind, l::kind, sum_of!(ledger_transactions.amount_fen)))
            .load(conn)?
    };
    let mut sums: HashMap<(Id, i32, ProgrammeKind), i64> = HashMap::new();
    for (organization_id, year, programme_kind, kind, fen) in spent {
        let fen = fen.unwrap_or_default();
        *sums.entry((organization_id, year, programme_kind)).or_default() += if kind == TransactionKind::Reversal { -fen } else { fen };
    }
    let shown = rows.into_iter().map(|row| {
        let spent_fen = sums.get(&(row.organization_id, row.year, row.programme_kind)).copied().unwrap_or_default();
        Budget {
            id: row.id,
            code: row.code,
            organization_id: row.organization_id,
            year: row.year,
            programme_kind: row.programme_kind,
            planned_fen: row.planned_fen,
            spent_fen,
            left_fen: row.planned_fen - spent_fen,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    });
    Ok(shown.collect())
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
        check(tx, scope, &drafts, None, |i, field| format!("/{i}/{field}"))?;
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
        check(tx, scope, std::slice::from_ref(&draft), Some(before.id), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft);
        save!(tx, t, before, &after)?;
        shown(tx.conn, vec![after])?.pop().ok_or_else(Error::not_found)
    }

    fn delete(tx: &mut Tx<'_>, _: &Scope, before: &Self::View) -> Result<()> {
        diesel::delete(t::table.filter(t::id.eq(before.id))).execute(tx.conn)?;
        Ok(())
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(match measure {
            Measure::Fen => measured!(exact conn, query(scope, filter), t, planned_fen),
            _ => measured!(conn, query(scope, filter), t, measure),
        })
    }
}
