//! Ledger transactions (账务凭证): what was posted, with its entries. They are read here and written by
//! [`crate::ledger`] alone: a payment by its disbursement, everything else by its voucher.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::db::{Any, AnyConnection, Part, Subset};
use crate::error::Result;
use crate::ledger::TransactionKind;
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::{accounts, ledger_entries, ledger_transactions as t};
use crate::types::{Id, Instant};
use crate::web::{Measure, Measured, Reference, Resource, Viewed, measured, read_only, reads};

/// One side of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LedgerEntry {
    pub account_id: Id,
    pub account_code: String,
    pub account_name: String,
    /// The place among the account's entries, from 1 on.
    pub sequence: i64,
    /// In fen; null on a credit.
    pub debit_fen: Option<i64>,
    /// In fen; null on a debit.
    pub credit_fen: Option<i64>,
    /// The account's balance after this entry, in fen.
    pub balance_fen: i64,
}

/// A transaction.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LedgerTransaction {
    pub id: Id,
    pub code: String,
    /// Whose money moved.
    pub organization_id: Id,
    pub kind: TransactionKind,
    pub occurred_on: NaiveDate,
    /// In fen.
    pub amount_fen: i64,
    pub summary: String,
    /// What it was made of: this or a disbursement.
    pub voucher_id: Option<Id>,
    pub disbursement_id: Option<Id>,
    /// The transaction that this one undoes.
    pub reverses_id: Option<Id>,
    /// The transaction that undoes this one.
    pub reversed_by_id: Option<Id>,
    /// The user who posted or paid it.
    pub posted_by: Id,
    pub created_at: Instant,
    /// The debit first.
    pub entries: Vec<LedgerEntry>,
}

impl Viewed for LedgerTransaction {
    fn id(&self) -> Id {
        self.id
    }
    fn code(&self) -> &str {
        &self.code
    }
    /// A transaction changes once: when it is reversed.
    fn version(&self) -> i32 {
        if self.reversed_by_id.is_some() { 2 } else { 1 }
    }
    fn organization_id(&self) -> Option<Id> {
        Some(self.organization_id)
    }
}

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = t)]
struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    kind: TransactionKind,
    occurred_on: NaiveDate,
    amount_fen: i64,
    summary: String,
    voucher_id: Option<Id>,
    disbursement_id: Option<Id>,
    reverses_id: Option<Id>,
    posted_by: Id,
    created_at: Instant,
}

/// Which transactions.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct LedgerTransactionFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Those with an entry on this account.
    pub account_id: Option<Id>,
    pub voucher_id: Option<Id>,
    pub disbursement_id: Option<Id>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub kind: Option<Vec<TransactionKind>>,
    /// On this day or later.
    pub occurred_from: Option<NaiveDate>,
    /// On this day or earlier.
    pub occurred_to: Option<NaiveDate>,
}

pub struct LedgerTransactions;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &LedgerTransactionFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.account_id {
        let posted = Subset(vec![Part::Sql("SELECT transaction_id FROM ledger_entries WHERE account_id = "), Part::Id(id)]);
        query = query.filter(posted.holds(t::id));
    }
    if let Some(id) = filter.voucher_id {
        query = query.filter(t::voucher_id.eq(id));
    }
    if let Some(id) = filter.disbursement_id {
        query = query.filter(t::disbursement_id.eq(id));
    }
    if let Some(kinds) = &filter.kind {
        query = query.filter(t::kind.eq_any(kinds.clone()));
    }
    if let Some(day) = filter.occurred_from {
        query = query.filter(t::occurred_on.ge(day));
    }
    if let Some(day) = filter.occurred_to {
        query = query.filter(t::occurred_on.le(day));
    }
    query
}

/// Rows as they are shown: one query for the entries of all of them, one for what undid them.
fn shown(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<LedgerTransaction>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Id> = rows.iter().map(|row| row.id).collect();
    type Entry = (Id, i32, Id, String, String, i64, i64, i64);
    let found: Vec<Entry> = ledger_entries::table
        .inner_join(accounts::table)
        .filter(ledger_entries::transaction_id.eq_any(ids.clone()))
        .select((
            ledger_entries::transaction_id,
            ledger_entries::line,
            accounts::id,
            accounts::code,
            accounts::name,
            ledger_entries::sequence,
            ledger_entries::amount_fen,
            ledger_entries::balance_fen,
        ))
        .load(conn)?;
    let mut entries: HashMap<Id, BTreeMap<i32, LedgerEntry>> = HashMap::new();
    for (transaction_id, line, account_id, account_code, account_name, sequence, amount_fen, balance_fen) in found {
        let entry = LedgerEntry {
            account_id,
            account_code,
            account_name,
            sequence,
            debit_fen: (amount_fen > 0).then_some(amount_fen),
            credit_fen: (amount_fen < 0).then_some(-amount_fen),
            balance_fen,
        };
        entries.entry(transaction_id).or_default().insert(line, entry);
    }
    let undone: Vec<(Option<Id>, Id)> = t::table.filter(t::reverses_id.eq_any(ids)).select((t::reverses_id, t::id)).load(conn)?;
    let undone: HashMap<Option<Id>, Id> = undone.into_iter().collect();
    Ok(rows
        .into_iter()
        .map(|row| LedgerTransaction {
            reversed_by_id: undone.get(&Some(row.id)).copied(),
            entries: entries.remove(&row.id).unwrap_or_default().into_values().collect(),
            id: row.id,
            code: row.code,
            organization_id: row.organization_id,
            kind: row.kind,
            occurred_on: row.occurred_on,
            amount_fen: row.amount_fen,
            summary: row.summary,
            voucher_id: row.voucher_id,
            disbursement_id: row.disbursement_id,
            reverses_id: row.reverses_id,
            posted_by: row.posted_by,
            created_at: row.created_at,
        })
        .collect())
}

impl Resource for LedgerTransactions {
    const NAME: &'static str = "ledger_transactions";
    const LABEL: (&'static str, &'static str) = ("账务记录", "ledger transaction");
    const AREA: Area = Area::Ledger;
    const REFERENCES: &'static [Reference] = &[];

    type View = LedgerTransaction;
    type Filter = LedgerTransactionFilter;
    read_only!();

    reads!(t, Row => shown, unversioned);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(match measure {
            Measure::Fen => measured!(exact conn, query(scope, filter), t, amount_fen),
            _ => measured!(conn, query(scope, filter), t, measure),
        })
    }
}
