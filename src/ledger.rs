//! The ledger (账): what has happened to money, in entries that are only ever added.
//!
//! A transaction (凭证分录) has a debit and a credit entry that come to zero; the database closes it with its own row and
//! refuses an unbalanced one, an entry too many, and any change of what is posted. What was wrong is reversed by a
//! transaction of its own, linked to the first.
//!
//! An entry carries the balance of its account after it, and the next entry of an account has the next sequence. So a
//! balance is read from one row and recomputed from all (`yiyong check`); two payments can't begin at the same balance,
//! whatever a server forgets to lock; and none ends below zero, because the database doesn't take such a row.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use diesel::prelude::*;

use crate::db::{AnyConnection, Tx, held, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::resources::accounts::{AccountKind, AccountStatus};
use crate::schema::{accounts, ledger_entries, ledger_transactions};
use crate::types::{Id, Instant, new_code, text_enum};

text_enum! {
    /// What a transaction is.
    TransactionKind {
        Opening = "opening", "期初余额", "opening balance";
        Appropriation = "appropriation", "财政拨款", "appropriation from the public budget";
        Donation = "donation", "捐赠收入", "donation";
        Income = "income", "其他收入", "other income";
        Transfer = "transfer", "内部调拨", "transfer between accounts";
        Expense = "expense", "其他支出", "other expense";
        Payment = "payment", "发放支付", "payment of a disbursement";
        Reversal = "reversal", "冲销", "reversal";
    }
}

/// An amount as people write it: `1234.50`.
pub fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", fen.unsigned_abs() / 100, fen.unsigned_abs() % 100)
}

/// What a transaction is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Voucher(Id),
    Disbursement(Id),
}

/// A transaction to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    pub kind: TransactionKind,
    pub organization_id: Id,
    pub occurred_on: NaiveDate,
    pub summary: String,
    pub source: Source,
    /// The transaction that this one undoes.
    pub reverses_id: Option<Id>,
    pub debit_account_id: Id,
    pub credit_account_id: Id,
    /// Above zero.
    pub amount_fen: i64,
}

#[derive(Debug, Insertable)]
#[diesel(table_name = ledger_transactions, treat_none_as_default_value = false)]
struct TransactionRow {
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

#[derive(Debug, Clone, PartialEq, Eq, Insertable)]
#[diesel(table_name = ledger_entries, treat_none_as_default_value = false)]
struct EntryRow {
    transaction_id: Id,
    line: i32,
    account_id: Id,
    sequence: i64,
    amount_fen: i64,
    balance_fen: i64,
}

/// Where an account stands: its last entry's sequence and the balance after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub code: String,
    pub name: String,
    pub kind: AccountKind,
    pub status: AccountStatus,
    pub sequence: i64,
    pub balance_fen: i64,
}

/// Takes accounts for this transaction, in the order of their ids, and tells where they stand.
fn take(tx: &mut Tx<'_>, ids: impl IntoIterator<Item = Id>) -> Result<BTreeMap<Id, Standing>> {
    let mut ids: Vec<Id> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    held!(tx.conn, accounts::table.filter(accounts::id.eq_any(ids.clone())).order(accounts::id).select(accounts::id))?;
    let rows: Vec<(Id, String, String, AccountKind, AccountStatus)> = accounts::table
        .filter(accounts::id.eq_any(ids))
        .select((accounts::id, accounts::code, accounts::name, accounts::kind, accounts::status))
        .load(tx.conn)?;
    let mut standings = BTreeMap::new();
    // A transaction has two accounts, and a batch is paid from two: a lookup at the end of the index for each.
    for (id, code, name, kind, status) in rows {
        let last: Option<(i64, i64)> = ledger_entries::table
            .filter(ledger_entries::account_id.eq(id))
            .order(ledger_entries::sequence.desc())
            .select((ledger_entries::sequence, ledger_entries::balance_fen))
            .first(tx.conn)
            .optional()?;
        let (sequence, balance_fen) = last.unwrap_or_default();
        standings.insert(id, Standing { code, name, kind, status, sequence, balance_fen });
    }
    Ok(standings)
}

/// The entries of postings, one after the other, and where the accounts stand then; or the accounts that would end below
/// zero, each with what it lacks at the end.
fn entries(standings: &mut BTreeMap<Id, Standing>, postings: &[(Id, &Posting)]) -> std::result::Result<Vec<EntryRow>, BTreeMap<Id, i64>> {
    let mut rows = Vec::with_capacity(postings.len() * 2);
    let mut lowest: BTreeMap<Id, i64> = BTreeMap::new();
    for (transaction_id, posting) in postings {
        let legs = [(posting.debit_account_id, posting.amount_fen), (posting.credit_account_id, -posting.amount_fen)];
        for (line, (account_id, amount_fen)) in (1..).zip(legs) {
            let Some(standing) = standings.get_mut(&account_id) else { continue };
            standing.sequence += 1;
            standing.balance_fen += standing.kind.effect(amount_fen);
            if standing.balance_fen < 0 {
                lowest.insert(account_id, standing.balance_fen);
            }
            rows.push(EntryRow {
                transaction_id: *transaction_id,
                line,
                account_id,
                sequence: standing.sequence,
                amount_fen,
                balance_fen: standing.balance_fen,
            });
        }
    }
    if lowest.is_empty() { Ok(rows) } else { Err(lowest) }
}

/// Posts transactions, all of them or none. A refusal points with `at` at what names the account.
pub fn post(tx: &mut Tx<'_>, postings: &[Posting], at: impl Fn(AccountKind) -> String) -> Result<Vec<Id>> {
    if postings.is_empty() {
        return Ok(Vec::new());
    }
    let actor = tx.actor()?;
    let named = postings.iter().flat_map(|posting| [posting.debit_account_id, posting.credit_account_id]);
    let before = take(tx, named)?;
    let mut faults: Vec<Fault> = Vec::new();
    // A reversal may go back into an account that is archived by now: the money is there again.
    let closed = before.iter().filter(|(id, standing)| {
        let used = |posting: &Posting| posting.reverses_id.is_none() && [posting.debit_account_id, posting.credit_account_id].contains(id);
        standing.status == AccountStatus::Archived && postings.iter().any(used)
    });
    faults.extend(closed.map(|(_, standing)| {
        Fault::new(
            at(standing.kind),
            "account_archived",
            Says::new(
                format!("账户“{}”（{}）已停用；请换一个账户，或重新启用", standing.name, standing.code),
                format!("the account {} is archived; choose another, or enable it again", standing.code),
            ),
        )
    }));
    if !faults.is_empty() {
        let mut error = Error::because(Code::Conflict, "账户已停用，未作任何变动", "an account is archived, and nothing was moved");
        error.faults = faults;
        return Err(error);
    }

    let ids: Vec<Id> = postings.iter().map(|_| Id::new()).collect();
    let numbered: Vec<(Id, &Posting)> = ids.iter().copied().zip(postings).collect();
    let mut after = before.clone();
    let rows = entries(&mut after, &numbered).map_err(|short| overdrawn(&before, &after, &short, &at))?;
    insert_all!(&mut *tx.conn, ledger_entries::table, rows)?;
    let transactions: Vec<TransactionRow> = numbered
        .into_iter()
        .map(|(id, posting)| {
            let (voucher_id, disbursement_id) = match posting.source {
                Source::Voucher(id) => (Some(id), None),
                Source::Disbursement(id) => (None, Some(id)),
            };
            TransactionRow {
                id,
                code: new_code(),
                organization_id: posting.organization_id,
                kind: posting.kind,
                occurred_on: posting.occurred_on,
                amount_fen: posting.amount_fen,
                summary: posting.summary.clone(),
                voucher_id,
                disbursement_id,
                reverses_id: posting.reverses_id,
                posted_by: actor,
                created_at: tx.now,
            }
        })
        .collect();
    insert_all!(&mut *tx.conn, ledger_transactions::table, transactions)?;
    Ok(ids)
}

/// The refusal to spend what isn't there, with both figures of each account.
fn overdrawn(
    before: &BTreeMap<Id, Standing>,
    after: &BTreeMap<Id, Standing>,
    short: &BTreeMap<Id, i64>,
    at: impl Fn(AccountKind) -> String,
) -> Error {
    let mut faults = Vec::new();
    let mut figures = Vec::new();
    for id in short.keys() {
        let (Some(was), Some(is)) = (before.get(id), after.get(id)) else { continue };
        let (balance, needed) = (was.balance_fen, was.balance_fen - is.balance_fen);
        figures.push(serde_json::json!({"account_id": id, "account_code": was.code, "balance_fen": balance, "needed_fen": needed}));
        faults.push(Fault::new(
            at(was.kind),
            "insufficient_funds",
            Says::new(
                format!(
                    "账户“{}”（{}）余额 {} 元，本次需支出 {} 元，差 {} 元；请先补足，或改用其他账户",
                    was.name,
                    was.code,
                    yuan(balance),
                    yuan(needed),
                    yuan(needed - balance)
                ),
                format!(
                    "the account {} holds {} yuan and {} yuan are needed; fill it up first, or use another",
                    was.code,
                    yuan(balance),
                    yuan(needed)
                ),
            ),
        ));
    }
    let mut error = Error::because(Code::Conflict, "余额不足，未作任何变动", "there is not enough money, and nothing was moved");
    error.faults = faults;
    error.with("accounts", figures)
}

/// A transaction as it stands, to be reversed.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = ledger_transactions)]
pub struct Posted {
    pub id: Id,
    pub code: String,
    pub organization_id: Id,
    pub amount_fen: i64,
    pub posted_by: Id,
}

/// What was posted for sources and not undone, by the id of the source.
pub fn standing_for(conn: &mut AnyConnection, sources: &[Source]) -> Result<HashMap<Id, Posted>> {
    let mut vouchers = Vec::new();
    let mut disbursements = Vec::new();
    for source in sources {
        match source {
            Source::Voucher(id) => vouchers.push(*id),
            Source::Disbursement(id) => disbursements.push(*id),
        }
    }
    use ledger_transactions as t;
    let mut found = HashMap::new();
    if !vouchers.is_empty() {
        let rows: Vec<(Option<Id>, Posted)> = t::table
            .filter(t::voucher_id.eq_any(vouchers))
            .filter(t::reverses_id.is_null())
            .select((t::voucher_id, Posted::as_select()))
            .load(conn)?;
        found.extend(rows.into_iter().filter_map(|(id, posted)| Some((id?, posted))));
    }
    if !disbursements.is_empty() {
        let rows: Vec<(Option<Id>, Posted)> = t::table
            .filter(t::disbursement_id.eq_any(disbursements))
            .filter(t::reverses_id.is_null())
            .select((t::disbursement_id, Posted::as_select()))
            .load(conn)?;
        found.extend(rows.into_iter().filter_map(|(id, posted)| Some((id?, posted))));
    }
    Ok(found)
}

/// The refusal to let one person post and undo.
pub fn posted_by_you() -> Error {
    Error::because(Code::Forbidden, "这笔账由您过账或支付，须由另一人冲销", "you posted or paid this, so somebody else has to reverse it")
}

/// Undoes a transaction by its opposite. Who posted it doesn't undo it.
pub fn reverse(tx: &mut Tx<'_>, posted: &Posted, source: Source, on: NaiveDate, reason: &str) -> Result<Id> {
    if tx.actor()? == posted.posted_by {
        return Err(posted_by_you());
    }
    let legs: Vec<(Id, i64)> = ledger_entries::table
        .filter(ledger_entries::transaction_id.eq(posted.id))
        .order(ledger_entries::line)
        .select((ledger_entries::account_id, ledger_entries::amount_fen))
        .load(tx.conn)?;
    let side = |debit: bool| legs.iter().find(|(_, amount)| (*amount > 0) == debit).map(|(account, _)| *account);
    let (Some(debit), Some(credit)) = (side(true), side(false)) else {
        return Err(Error::internal("a transaction without a debit and a credit"));
    };
    let opposite = Posting {
        kind: TransactionKind::Reversal,
        organization_id: posted.organization_id,
        occurred_on: on,
        summary: format!("冲销 {}：{reason}", posted.code),
        source,
        reverses_id: Some(posted.id),
        debit_account_id: credit,
        credit_account_id: debit,
        amount_fen: posted.amount_fen,
    };
    let ids = post(tx, &[opposite], |_| String::new())?;
    ids.first().copied().ok_or_else(|| Error::internal("a reversal was not posted"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn standing(kind: AccountKind) -> Standing {
        Standing { code: "c".into(), name: "n".into(), kind, status: AccountStatus::Active, sequence: 0, balance_fen: 0 }
    }

    fn posting(debit: Id, credit: Id, amount_fen: i64) -> Posting {
        Posting {
            kind: TransactionKind::Transfer,
            organization_id: debit,
            occurred_on: NaiveDate::MIN,
            summary: String::new(),
            source: Source::Voucher(debit),
            reverses_id: None,
            debit_account_id: debit,
            credit_account_id: credit,
            amount_fen,
        }
    }

    #[test]
    fn amounts() {
        assert_eq!([yuan(0), yuan(5), yuan(123_450), yuan(-1)], ["0.00", "0.05", "1234.50", "-0.01"]);
    }

    proptest! {
        /// However money is moved: entries come to zero, what lies somewhere is what is meant for something, each
        /// account's entries are numbered without gaps, and balances are the running sums of the entries.
        #[test]
        fn nothing_comes_from_nowhere(moves in proptest::collection::vec((0..4_usize, 0..4_usize, 1..1_000_i64), 0..30)) {
            let kinds = [AccountKind::Bank, AccountKind::Cash, AccountKind::Unrestricted, AccountKind::Restricted];
            let ids: Vec<Id> = kinds.iter().map(|_| Id::new()).collect();
            let mut standings: BTreeMap<Id, Standing> = ids.iter().copied().zip(kinds.map(standing)).collect();
            let mut kept: Vec<EntryRow> = Vec::new();
            for (debit, credit, amount) in moves {
                if debit == credit {
                    continue;
                }
                let posting = posting(ids[debit], ids[credit], amount);
                let mut after = standings.clone();
                match entries(&mut after, &[(Id::new(), &posting)]) {
                    Ok(rows) => {
                        kept.extend(rows);
                        standings = after;
                    }
                    Err(short) => prop_assert!(short.values().all(|lowest| *lowest < 0)),
                }
            }
            prop_assert_eq!(kept.iter().map(|entry| entry.amount_fen).sum::<i64>(), 0);
            let total = |money: bool| standings.values().filter(|s| s.kind.is_money() == money).map(|s| s.balance_fen).sum::<i64>();
            prop_assert_eq!(total(true), total(false));
            for (id, standing) in &standings {
                let own: Vec<&EntryRow> = kept.iter().filter(|entry| entry.account_id == *id).collect();
                let mut sum = 0;
                for (place, entry) in (1..).zip(&own) {
                    sum += standing.kind.effect(entry.amount_fen);
                    prop_assert_eq!((entry.sequence, entry.balance_fen), (place, sum));
                    prop_assert!(entry.balance_fen >= 0);
                }
                prop_assert_eq!(standing.balance_fen, sum);
            }
        }
    }
}
