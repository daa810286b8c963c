//! Accounts (账户): where an association's money lies, and what it is for.
//!
//! Bank and cash say where it lies; the funds say what it is for. Every transaction has both sides, so that what lies
//! somewhere is always what is meant for something. A balance is the sum of the entries in [`crate::ledger`] and stands
//! nowhere else: an account's record holds none.

use std::collections::HashMap;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::rules;
use super::welfare_programmes::ProgrammeKind;
use crate::db::{Any, AnyConnection, Tx, grams, held, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::{accounts as t, ledger_entries, organizations};
use crate::types::{Id, Instant, TextEnum, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::verbs::refusal;
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// Where money lies (bank, cash), or what it is for (the funds).
    AccountKind {
        Bank = "bank", "银行存款", "bank";
        Cash = "cash", "库存现金", "cash";
        Unrestricted = "unrestricted", "非限定性资金", "unrestricted fund";
        Restricted = "restricted", "限定性资金", "restricted fund";
        Fiscal = "fiscal", "财政资金", "fiscal budget";
        Donation = "donation", "捐赠资金", "donations";
    }
}

impl AccountKind {
    /// Whether money lies there; the others say what it is for.
    pub fn is_money(self) -> bool {
        matches!(self, Self::Bank | Self::Cash)
    }

    /// What an entry does to the balance: money is an asset and grows by debits, a fund is owed and grows by credits.
    pub fn effect(self, amount_fen: i64) -> i64 {
        if self.is_money() { amount_fen } else { -amount_fen }
    }
}

text_enum! {
    /// Whether an account may still be posted to.
    AccountStatus {
        Active = "active", "启用", "active";
        Archived = "archived", "已停用", "archived";
    }
}

/// An account.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Account {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    pub organization_id: Id,
    pub name: String,
    pub kind: AccountKind,
    /// The kinds of programme that a fund may be spent on; null is any.
    pub purposes: Option<Vec<ProgrammeKind>>,
    pub status: AccountStatus,
    /// The sum of its entries, in fen: of a bank or cash account what lies there, of a fund what is left of it.
    pub balance_fen: i64,
    /// Counts the changes; the ETag. Entries don't change an account.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Account {
    fn searched(&self) -> Option<String> {
        Some(self.name.clone())
    }
    /// The balance is shown along: entries don't change the version, and an equal balance is an equal view.
    fn shown_version(&self) -> String {
        format!("{}-{}", self.version, self.balance_fen)
    }
});

#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    name: String,
    kind: AccountKind,
    purposes: Option<String>,
    status: AccountStatus,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// What may be written of an account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
pub struct AccountDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// Stays once there is an entry.
    pub organization_id: Id,
    #[schema(min_length = 1, max_length = 100, example = "见义勇为基金专户")]
    pub name: String,
    /// Stays once there is an entry.
    pub kind: AccountKind,
    /// The kinds of programme that a fund may be spent on: required of a restricted fund, refused of bank and cash; null
    /// is any. Stays once there is an entry.
    #[schema(min_items = 1, max_items = 8)]
    pub purposes: Option<Vec<ProgrammeKind>>,
}

fn whole(draft: &AccountDraft) -> Result<(), ValidationError> {
    match (&draft.purposes, draft.kind) {
        (None, AccountKind::Restricted) => Err(refusal(
            Some("purposes"),
            "required",
            &Says::new("限定性资金须写明可用于哪些项目类别", "a restricted fund names the kinds of programme that it may be spent on"),
        )),
        (Some(_), kind) if kind.is_money() => Err(refusal(
            Some("purposes"),
            "not_a_fund",
            &Says::new(
                "银行存款、库存现金只说明钱在哪里，用途请在资金账户上填写",
                "bank and cash only say where money lies; what it is for is said on a fund",
            ),
        )),
        _ => Ok(()),
    }
}

/// Which accounts.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AccountFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub kind: Option<Vec<AccountKind>>,
    #[param(inline)]
    pub status: Option<AccountStatus>,
}

pub struct Accounts;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &AccountFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(Accounts::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(kinds) = &filter.kind {
        query = query.filter(t::kind.eq_any(kinds.clone()));
    }
    if let Some(status) = filter.status {
        query = query.filter(t::status.eq(status));
    }
    query
}

/// Rows as they are shown: one query for the balances of all of them.
fn shown(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<Account>> {
    // The last entry of each, found by the end of its index.
    let last =
        sql::<Nullable<BigInt>>("(SELECT balance_fen FROM ledger_entries WHERE account_id = accounts.id ORDER BY sequence DESC LIMIT 1)");
    let ids: Vec<Id> = rows.iter().map(|row| row.id).collect();
    let balances: Vec<(Id, Option<i64>)> =
        if ids.is_empty() { Vec::new() } else { t::table.filter(t::id.eq_any(ids)).select((t::id, last)).load(conn)? };
    let balances: HashMap<Id, Option<i64>> = balances.into_iter().collect();
    rows.into_iter()
        .map(|row| {
            Ok(Account {
                purposes: purposes(row.purposes.as_deref())?,
                balance_fen: balances.get(&row.id).copied().flatten().unwrap_or_default(),
                id: row.id,
                code: row.code,
                organization_id: row.organization_id,
                name: row.name,
                kind: row.kind,
                status: row.status,
                version: row.version,
                created_at: row.created_at,
                updated_at: row.updated_at,
            })
        })
        .collect()
}

/// The purposes as they are kept: codes with commas.
fn purposes(kept: Option<&str>) -> Result<Option<Vec<ProgrammeKind>>> {
    let kind = |code: &str| ProgrammeKind::from_code(code).ok_or_else(|| Error::internal("a fund of an unknown purpose"));
    kept.map(|kept| kept.split(',').map(kind).collect()).transpose()
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, status: AccountStatus, draft: AccountDraft) -> Row {
    let purposes = draft.purposes.map(|mut kinds| {
        kinds.sort_unstable();
        kinds.dedup();
        kinds.into_iter().map(TextEnum::code).collect::<Vec<_>>().join(",")
    });
    Row {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        name: draft.name,
        kind: draft.kind,
        purposes,
        status,
        version,
        created_at,
        updated_at: now,
    }
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[AccountDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), Some(draft.organization_id)));
    rules::all_in_scope(tx.conn, scope, "organizations", wanted.collect::<Vec<_>>(), &mut faults)?;
    Error::unless_empty(std::mem::take(&mut faults))?;
    let collective: Vec<Id> = organizations::table
        .filter(organizations::id.eq_any(drafts.iter().map(|draft| draft.organization_id).collect::<Vec<_>>()))
        .filter(organizations::kind.eq_any(super::organizations::COLLECTIVES))
        .select(organizations::id)
        .load(tx.conn)?;
    faults.extend(drafts.iter().enumerate().filter(|(_, draft)| collective.contains(&draft.organization_id)).map(|(i, _)| {
        Fault::new(
            at(i, "organization_id"),
            "no_accounts_of_its_own",
            Says::new(
                "合计单位只汇总各单位的数字，没有自己的资金；账户应属于具体的协会",
                "a collective only sums up others and has no money of its own; an account belongs to an association",
            ),
        )
    }));
    Error::unless_empty(faults)
}

fn entries(conn: &mut AnyConnection, id: Id) -> Result<i64> {
    Ok(ledger_entries::table.filter(ledger_entries::account_id.eq(id)).count().get_result(conn)?)
}

fn archive(tx: &mut Tx<'_>, _: &Scope, before: Account, _: &Value) -> Result<Account> {
    // Nobody posts to it between the look at its balance and the end of this.
    held!(tx.conn, t::table.filter(t::id.eq(before.id)).select(t::id))?;
    let row: Row = t::table.filter(t::id.eq(before.id)).select(Row::as_select()).first(tx.conn)?;
    let now = shown(tx.conn, vec![row])?.pop().ok_or_else(Error::not_found)?;
    if now.balance_fen != 0 {
        let left = crate::ledger::yuan(now.balance_fen);
        return Err(Error::because(
            Code::Conflict,
            format!("账户还有余额 {left} 元，不能停用；请先用凭证转出"),
            format!("the account still holds {left} yuan; move that to another by a voucher first"),
        )
        .with("balance_fen", now.balance_fen));
    }
    set_status(tx, &now, AccountStatus::Archived)
}

fn enable(tx: &mut Tx<'_>, _: &Scope, before: Account, _: &Value) -> Result<Account> {
    set_status(tx, &before, AccountStatus::Active)
}

fn set_status(tx: &mut Tx<'_>, before: &Account, status: AccountStatus) -> Result<Account> {
    save!(tx, t, before, (t::status.eq(status), t::version.eq(before.version + 1), t::updated_at.eq(tx.now)))?;
    Ok(Account { status, version: before.version + 1, updated_at: tx.now, ..before.clone() })
}

impl Resource for Accounts {
    const NAME: &'static str = "accounts";
    const LABEL: (&'static str, &'static str) = ("账户", "account");
    const AREA: Area = Area::Ledger;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];

    type View = Account;
    type Draft = AccountDraft;
    type Filter = AccountFilter;

    reads!(t, Row => shown);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Row> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, AccountStatus::Active, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        shown(tx.conn, rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let account = view.clone();
        Ok(AccountDraft {
            code: Some(account.code),
            organization_id: account.organization_id,
            name: account.name,
            kind: account.kind,
            purposes: account.purposes,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        held!(tx.conn, t::table.filter(t::id.eq(before.id)).select(t::id))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, before.status, draft);
        let mut faults = Vec::new();
        for (field, changed) in [
            ("/kind", before.kind != after.kind),
            ("/organization_id", before.organization_id != after.organization_id),
            // Or whoever keeps the accounts would free alone what is given for a purpose.
            ("/purposes", before.purposes != purposes(after.purposes.as_deref())?),
        ] {
            let posted = if changed { entries(tx.conn, before.id)? } else { 0 };
            if posted > 0 {
                faults.push(Fault::new(
                    field,
                    "account_in_use",
                    Says::new(
                        format!("账户已有 {posted} 笔分录，此项不能再改；请另建账户"),
                        format!("the account has {posted} entries, so this can't change; make another account"),
                    ),
                ));
            }
        }
        Error::unless_empty(faults)?;
        save!(tx, t, before, &after)?;
        shown(tx.conn, vec![after])?.pop().ok_or_else(Error::not_found)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step {
                action: Action::Archive,
                summary: "停用（余额须为零） / Archive an account that is empty",
                body: None,
                needs_key: false,
                run: archive,
            },
            Step { action: Action::Enable, summary: "重新启用 / Use it again", body: None, needs_key: false, run: enable },
        ]
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        let turn = if view.status == AccountStatus::Active { Action::Archive } else { Action::Enable };
        vec![Action::Update, Action::Delete, turn]
    }
}
