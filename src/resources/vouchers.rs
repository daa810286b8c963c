//! Vouchers (记账凭证): money that moves otherwise than by a disbursement, such as an appropriation or a transfer.
//!
//! `draft → submitted → posted`, and `reversed` after it: who wrote any version of a voucher doesn't post it, and who
//! posted it doesn't reverse it. Posting makes the transaction in [`crate::ledger`]; until then nothing has moved.

use std::collections::HashMap;

use chrono::{Datelike, NaiveDate};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::accounts::AccountKind;
use super::rules::{self, ReasonBody};
use crate::db::{Any, AnyConnection, Tx, held, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::ledger::{self, Posting, Source, TransactionKind};
use crate::policy::{Action, Actor, Area, OrganizationLevel, Scope};
use crate::schema::{accounts, organizations, vouchers as t};
use crate::types::{Id, Instant, business_today, code_or_new, text_enum};
use crate::web::resource::{Run, Step};
use crate::web::shape::Shape;
use crate::web::verbs::{refusal, stale, step_body};
use crate::web::{Measure, Measured, Reference, Resource, measured, reads, remove, save, viewed};

text_enum! {
    /// What a voucher is for.
    VoucherKind {
        Opening = "opening", "期初余额", "opening balance";
        Appropriation = "appropriation", "财政拨款", "appropriation from the public budget";
        Donation = "donation", "捐赠收入", "donation";
        Income = "income", "其他收入", "other income";
        Transfer = "transfer", "内部调拨", "transfer between accounts";
        Expense = "expense", "其他支出", "other expense";
    }
}

impl VoucherKind {
    fn transaction(self) -> TransactionKind {
        match self {
            Self::Opening => TransactionKind::Opening,
            Self::Appropriation => TransactionKind::Appropriation,
            Self::Donation => TransactionKind::Donation,
            Self::Income => TransactionKind::Income,
            Self::Transfer => TransactionKind::Transfer,
            Self::Expense => TransactionKind::Expense,
        }
    }
}

text_enum! {
    /// Where a voucher stands.
    VoucherState {
        Draft = "draft", "草稿", "draft";
        Submitted = "submitted", "已提交", "submitted";
        Posted = "posted", "已过账", "posted";
        Reversed = "reversed", "已冲销", "reversed";
        Cancelled = "cancelled", "已作废", "cancelled";
    }
}

/// Where a step leads from a state; `None` where it can't be taken.
fn next(state: VoucherState, action: Action) -> Option<VoucherState> {
    use VoucherState as State;
    match (state, action) {
        (State::Draft, Action::Submit) => Some(State::Submitted),
        (State::Submitted, Action::Return) => Some(State::Draft),
        (State::Submitted, Action::Post) => Some(State::Posted),
        (State::Draft | State::Submitted, Action::Cancel) => Some(State::Cancelled),
        (State::Posted, Action::Reverse) => Some(State::Reversed),
        _ => None,
    }
}

const STEPS: [Action; 5] = [Action::Submit, Action::Return, Action::Post, Action::Cancel, Action::Reverse];

/// A voucher.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Voucher {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// Whose money it is.
    pub organization_id: Id,
    pub kind: VoucherKind,
    /// 借方.
    pub debit_account_id: Id,
    /// 贷方.
    pub credit_account_id: Id,
    /// In fen (1/100 yuan).
    pub amount_fen: i64,
    pub occurred_on: NaiveDate,
    pub summary: String,
    /// Of a donation: who gave it, as it stands on the receipt.
    pub donor: Option<String>,
    /// Of a donation that is posted: the year of its receipt.
    pub receipt_year: Option<i32>,
    /// And the receipt's number: from 1 on, without gaps, in each organization and year. A reversed donation keeps its own.
    pub receipt_number: Option<i32>,
    pub state: VoucherState,
    /// Why it was returned, cancelled or reversed.
    pub reason: Option<String>,
    /// The user who wrote the draft last; nobody who wrote a version of it posts it.
    pub prepared_by: Id,
    /// Another user, who posted it.
    pub posted_by: Option<Id>,
    /// Not the one who posted it.
    pub reversed_by: Option<Id>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Voucher);

/// What may be written of a voucher, while it is a draft.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "kind": "opening", "debit_account_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "credit_account_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c09", "amount_fen": 7000000, "occurred_on": "2022-01-01", "summary": "2022 年初余额"}))]
pub struct VoucherDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// Whose money it is: both accounts are this organization's.
    pub organization_id: Id,
    pub kind: VoucherKind,
    /// 借方: of what comes in a bank or cash account, of what goes out a fund.
    pub debit_account_id: Id,
    /// 贷方: of what comes in a fund, of what goes out a bank or cash account.
    pub credit_account_id: Id,
    /// In fen (1/100 yuan).
    #[schema(minimum = 1, maximum = 10_000_000_000_000_i64, example = 7_000_000)]
    pub amount_fen: i64,
    /// Not later than today.
    pub occurred_on: NaiveDate,
    #[schema(min_length = 1, max_length = 200, example = "2022 年度财政拨款")]
    pub summary: String,
    /// Of a donation who gave it, or how they wish to be called; refused of anything else.
    #[schema(min_length = 1, max_length = 100, example = "爱心市民")]
    pub donor: Option<String>,
}

fn whole(draft: &VoucherDraft) -> Result<(), ValidationError> {
    if draft.debit_account_id == draft.credit_account_id {
        return Err(refusal(
            Some("credit_account_id"),
            "same_account",
            &Says::new("借方与贷方不能是同一个账户", "the debit and the credit are two accounts"),
        ));
    }
    if draft.donor.is_some() != (draft.kind == VoucherKind::Donation) {
        return Err(refusal(
            Some("donor"),
            "donor_and_kind_disagree",
            &Says::new(
                "捐赠收入须填写捐赠人（不愿具名的填“爱心市民”等），其他凭证不填",
                "a donation, and nothing else, says who gave it, or how they wish to be called",
            ),
        ));
    }
    Ok(())
}

/// Which vouchers.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct VoucherFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub kind: Option<Vec<VoucherKind>>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<VoucherState>>,
    /// On this day or later.
    pub occurred_from: Option<NaiveDate>,
    /// On this day or earlier.
    pub occurred_to: Option<NaiveDate>,
    /// Donations with a receipt of this year.
    pub receipt_year: Option<i32>,
    pub receipt_number: Option<i32>,
}

pub struct Vouchers;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &VoucherFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(kinds) = &filter.kind {
        query = query.filter(t::kind.eq_any(kinds.clone()));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    if let Some(day) = filter.occurred_from {
        query = query.filter(t::occurred_on.ge(day));
    }
    if let Some(day) = filter.occurred_to {
        query = query.filter(t::occurred_on.le(day));
    }
    if let Some(year) = filter.receipt_year {
        query = query.filter(t::receipt_year.eq(year));
    }
    if let Some(number) = filter.receipt_number {
        query = query.filter(t::receipt_number.eq(number));
    }
    query
}

/// Whether a voucher of this kind may debit the one and credit the other: what comes in is debited where it lies and
/// credited to what it is for, what goes out the other way round, and a transfer stays on its side.
fn sides_agree(kind: VoucherKind, debit: AccountKind, credit: AccountKind) -> bool {
    match kind {
        VoucherKind::Transfer => debit.is_money() == credit.is_money(),
        VoucherKind::Expense => !debit.is_money() && credit.is_money(),
        VoucherKind::Appropriation => debit.is_money() && credit == AccountKind::Fiscal,
        VoucherKind::Donation => debit.is_money() && matches!(credit, AccountKind::Donation | AccountKind::Restricted),
        VoucherKind::Opening | VoucherKind::Income => debit.is_money() && !credit.is_money(),
    }
}

/// What is for some purposes stays for them, whichever voucher takes it: moved, it goes to a fund that is for no others.
fn stays_bound(kind: VoucherKind, bound: &str, of_credit: Option<&str>) -> bool {
    let within = |purposes: &str| purposes.split(',').all(|purpose| bound.split(',').any(|allowed| allowed == purpose));
    kind == VoucherKind::Transfer && of_credit.is_some_and(within)
}

fn check(tx: &mut Tx<'_>, scope: &Scope, drafts: &[VoucherDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut known = |of, field: &str, id: fn(&VoucherDraft) -> Id| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), Some(id(draft))));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    known("organizations", "organization_id", |draft| draft.organization_id)?;
    known("accounts", "debit_account_id", |draft| draft.debit_account_id)?;
    known("accounts", "credit_account_id", |draft| draft.credit_account_id)?;
    let today = business_today(tx.now);
    for (i, _) in drafts.iter().enumerate().filter(|(_, draft)| draft.occurred_on > today) {
        faults.push(Fault::new(
            at(i, "occurred_on"),
            "in_the_future",
            Says::new(format!("日期不能晚于今天（{today}）"), format!("the day must not be later than today ({today})")),
        ));
    }
    // The rest is judged of accounts that are there.
    Error::unless_empty(std::mem::take(&mut faults))?;

    let ids: Vec<Id> = drafts.iter().flat_map(|draft| [draft.debit_account_id, draft.credit_account_id]).collect();
    let found: Vec<(Id, AccountKind, Id, Option<String>)> = accounts::table
        .filter(accounts::id.eq_any(ids))
        .select((accounts::id, accounts::kind, accounts::organization_id, accounts::purposes))
        .load(tx.conn)?;
    let purposes: HashMap<Id, String> = found.iter().filter_map(|(id, _, _, purposes)| Some((*id, purposes.clone()?))).collect();
    let found: HashMap<Id, (AccountKind, Id)> = found.into_iter().map(|(id, kind, organization, _)| (id, (kind, organization))).collect();
    for (i, draft) in drafts.iter().enumerate() {
        let sides = [("debit_account_id", draft.debit_account_id), ("credit_account_id", draft.credit_account_id)];
        for (field, id) in sides {
            if found.get(&id).is_some_and(|(_, organization)| *organization != draft.organization_id) {
                faults.push(Fault::new(
                    at(i, field),
                    "account_of_another_organization",
                    Says::new(
                        "账户属于另一单位；凭证的两个账户都应属于凭证所属单位",
                        "the account is another organization's; both accounts of a voucher are its own organization's",
                    ),
                ));
            }
        }
        let kinds = sides.map(|(_, id)| found.get(&id).map(|(kind, _)| *kind));
        if let [Some(debit), Some(credit)] = kinds
            && !sides_agree(draft.kind, debit, credit)
        {
            let (zh, en) = wanted_sides(draft.kind);
            faults.push(Fault::new(at(i, "credit_account_id"), "sides_disagree", Says::new(zh, en)));
        } else if let Some(bound) = purposes.get(&draft.debit_account_id)
            && !stays_bound(draft.kind, bound, purposes.get(&draft.credit_account_id).map(String::as_str))
        {
            faults.push(Fault::new(
                at(i, "debit_account_id"),
                "off_purpose",
                Says::new(
                    "限定用途的资金只能通过发放支出，或转入用途相同、更窄的资金；请改用其他资金",
                    "a fund with purposes is spent by disbursements alone, or moved to a fund with the same purposes or fewer; choose another",
                ),
            ));
        }
    }
    Error::unless_empty(faults)
}

fn wanted_sides(kind: VoucherKind) -> (&'static str, &'static str) {
    match kind {
        VoucherKind::Transfer => {
            ("内部调拨应在银行存款、库存现金之间，或在各项资金之间进行", "a transfer goes between bank and cash, or between funds")
        }
        VoucherKind::Expense => ("支出应借记资金账户，贷记银行存款或库存现金", "an expense debits a fund and credits bank or cash"),
        VoucherKind::Appropriation => {
            ("财政拨款应借记银行存款或库存现金，贷记财政资金", "an appropriation debits bank or cash and credits a fiscal fund")
        }
        VoucherKind::Donation => (
            "捐赠收入应借记银行存款或库存现金，贷记捐赠资金或限定性资金",
            "a donation debits bank or cash and credits a donation fund or a restricted one",
        ),
        VoucherKind::Opening | VoucherKind::Income => {
            ("收入应借记银行存款或库存现金，贷记资金账户", "what comes in debits bank or cash and credits a fund")
        }
    }
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, by: Id, draft: VoucherDraft) -> Voucher {
    Voucher {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        kind: draft.kind,
        debit_account_id: draft.debit_account_id,
        credit_account_id: draft.credit_account_id,
        amount_fen: draft.amount_fen,
        occurred_on: draft.occurred_on,
        summary: draft.summary,
        donor: draft.donor,
        receipt_year: None,
        receipt_number: None,
        state: VoucherState::Draft,
        reason: None,
        prepared_by: by,
        posted_by: None,
        reversed_by: None,
        version,
        created_at,
        updated_at: now,
    }
}

/// Takes a voucher's row for this transaction, as it was when it was read.
fn take(tx: &mut Tx<'_>, before: &Voucher) -> Result<()> {
    let one = t::table.filter(t::id.eq(before.id));
    held!(tx.conn, one.select(t::id))?;
    let version: i32 = one.select(t::version).first(tx.conn)?;
    if version == before.version { Ok(()) } else { Err(stale(version)) }
}

fn save(tx: &mut Tx<'_>, before: &Voucher, after: Voucher) -> Result<Voucher> {
    save!(tx, t, before, &after)?;
    Ok(after)
}

/// The number of the next receipt. Receipts of an organization are given out one after the other, and the number is kept
/// with the deed or not at all: so none is left out.
fn next_receipt(tx: &mut Tx<'_>, organization_id: Id, year: i32) -> Result<i32> {
    held!(tx.conn, organizations::table.filter(organizations::id.eq(organization_id)).select(organizations::id))?;
    let last: Option<Option<i32>> = t::table
        .filter(t::organization_id.eq(organization_id))
        .filter(t::receipt_year.eq(year))
        .order(t::receipt_number.desc())
        .select(t::receipt_number)
        .first(tx.conn)
        .optional()?;
    Ok(last.flatten().unwrap_or_default() + 1)
}

fn step(tx: &mut Tx<'_>, before: Voucher, action: Action, reason: Option<String>) -> Result<Voucher> {
    let actor = tx.actor()?;
    take(tx, &before)?;
    let state = next(before.state, action).ok_or_else(|| stale(before.version))?;
    let mut after = Voucher { state, version: before.version + 1, updated_at: tx.now, ..before.clone() };
    after.reason = reason.or(if action == Action::Submit { None } else { before.reason.clone() });
    match action {
        Action::Post => {
            let posting = Posting {
                kind: before.kind.transaction(),
                organization_id: before.organization_id,
                occurred_on: before.occurred_on,
                summary: before.summary.clone(),
                source: Source::Voucher(before.id),
                reverses_id: None,
                debit_account_id: before.debit_account_id,
                credit_account_id: before.credit_account_id,
                amount_fen: before.amount_fen,
            };
            ledger::post(tx, &[posting], |_| String::new())?;
            after.posted_by = Some(actor);
            if before.kind == VoucherKind::Donation {
                let year = before.occurred_on.year();
                after.receipt_year = Some(year);
                after.receipt_number = Some(next_receipt(tx, before.organization_id, year)?);
            }
        }
        Action::Reverse => {
            let source = Source::Voucher(before.id);
            let posted = ledger::standing_for(tx.conn, &[source])?.remove(&before.id);
            let posted = posted.ok_or_else(|| Error::internal("a posted voucher without a transaction"))?;
            let today = business_today(tx.now);
            ledger::reverse(tx, &posted, source, today, after.reason.as_deref().unwrap_or_default())?;
            after.reversed_by = Some(actor);
        }
        _ => {}
    }
    save(tx, &before, after)
}

impl Resource for Vouchers {
    const NAME: &'static str = "vouchers";
    const LABEL: (&'static str, &'static str) = ("记账凭证", "voucher");
    const AREA: Area = Area::Ledger;
    const REFERENCES: &'static [Reference] = &[
        Reference::ORGANIZATION,
        Reference { field: "debit_account_id", column: "debit_account_code", of: "accounts" },
        Reference { field: "credit_account_id", column: "credit_account_code", of: "accounts" },
    ];

    type View = Voucher;
    type Draft = VoucherDraft;
    type Filter = VoucherFilter;

    reads!(t, Voucher);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let actor = tx.actor()?;
        check(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Voucher> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, actor, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let voucher = view.clone();
        Ok(VoucherDraft {
            code: Some(voucher.code),
            organization_id: voucher.organization_id,
            kind: voucher.kind,
            debit_account_id: voucher.debit_account_id,
            credit_account_id: voucher.credit_account_id,
            amount_fen: voucher.amount_fen,
            occurred_on: voucher.occurred_on,
            summary: voucher.summary,
            donor: voucher.donor,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        let actor = tx.actor()?;
        check(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        take(tx, before)?;
        // Why it was returned stands until it is submitted again.
        let after =
            Voucher { reason: before.reason.clone(), ..row(before.id, before.version + 1, before.created_at, tx.now, actor, draft) };
        save(tx, before, after)
    }

    fn delete(tx: &mut Tx<'_>, _: &Scope, before: &Self::View) -> Result<()> {
        take(tx, before)?;
        remove!(tx, t, before)
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(match measure {
            Measure::Fen => measured!(exact conn, query(scope, filter), t, amount_fen),
            _ => measured!(conn, query(scope, filter), t, measure),
        })
    }

    fn steps() -> Vec<Step<Self>> {
        let steps: [(Action, &'static str, bool, Run<Self>); 5] = [
            (Action::Submit, "提交过账 / Submit to be posted", false, |tx, _, before, _| step(tx, before, Action::Submit, None)),
            (Action::Return, "退回修改 / Return to be mended", false, |tx, _, before, body| {
                let reason = step_body::<ReasonBody>(body)?.reason;
                step(tx, before, Action::Return, Some(reason))
            }),
            (Action::Post, "过账（不得为编制人） / Post: by another than who prepared it", true, |tx, _, before, _| {
                step(tx, before, Action::Post, None)
            }),
            (Action::Cancel, "作废（过账前） / Cancel before it is posted", false, |tx, _, before, body| {
                let reason = step_body::<ReasonBody>(body)?.reason;
                step(tx, before, Action::Cancel, Some(reason))
            }),
            (Action::Reverse, "冲销（不得为过账人） / Reverse: by another than who posted it", true, |tx, _, before, body| {
                let reason = step_body::<ReasonBody>(body)?.reason;
                step(tx, before, Action::Reverse, Some(reason))
            }),
        ];
        let with_reason = |action| matches!(action, Action::Return | Action::Cancel | Action::Reverse);
        steps
            .into_iter()
            .map(|(action, summary, needs_key, run)| Step {
                action,
                summary,
                body: if with_reason(action) { Some(Shape::of::<ReasonBody>) } else { None },
                needs_key,
                run,
            })
            .collect()
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        let written = [Action::Update, Action::Delete].into_iter().filter(|_| view.state == VoucherState::Draft);
        written.chain(STEPS.into_iter().filter(|action| next(view.state, *action).is_some())).collect()
    }

    /// Who posts a voucher has not prepared it, and who reverses it has not posted it.
    fn objections(conn: &mut AnyConnection, actor: &Actor, asked: &[(&Self::View, Action)]) -> Result<Vec<Option<Error>>> {
        let wrote = rules::wrote::<Self>(conn, actor, asked, &[Action::Post])?;
        let objection = |view: &Voucher, action| match action {
            Action::Post if view.prepared_by == actor.id || wrote.contains(&view.id) => Some(Error::because(
                Code::Forbidden,
                format!("凭证 {} 由您编制，须由另一人过账", view.code),
                format!("you prepared the voucher {}, so somebody else has to post it", view.code),
            )),
            Action::Reverse if view.posted_by == Some(actor.id) => Some(ledger::posted_by_you()),
            _ => None,
        };
        Ok(asked.iter().map(|(view, action)| objection(view, *action)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TextEnum;

    /// What comes in grows both sides alike, what goes out shrinks both, and a transfer leaves the sum of its side.
    #[test]
    fn both_sides_stay_alike() {
        let kinds = AccountKind::all;
        for kind in VoucherKind::all() {
            let mut any = false;
            for (debit, credit) in kinds().flat_map(|debit| kinds().map(move |credit| (debit, credit))) {
                if !sides_agree(kind, debit, credit) {
                    continue;
                }
                any = true;
                let change = |money: bool| {
                    [(debit, 1), (credit, -1)].iter().filter(|(of, _)| of.is_money() == money).map(|(of, fen)| of.effect(*fen)).sum::<i64>()
                };
                let expected = match kind {
                    VoucherKind::Transfer => 0,
                    VoucherKind::Expense => -1,
                    _ => 1,
                };
                assert_eq!((change(true), change(false)), (expected, expected), "{kind:?} {debit:?} {credit:?}");
            }
            assert!(any, "{kind:?}");
        }
    }

    #[test]
    fn the_way_of_a_voucher() {
        let mut found: Vec<(&str, &str, &str)> = Vec::new();
        for state in VoucherState::all() {
            found.extend(STEPS.iter().filter_map(|action| Some((state.code(), action.code(), next(state, *action)?.code()))));
        }
        assert_eq!(
            found,
            [
                ("draft", "submit", "submitted"),
                ("draft", "cancel", "cancelled"),
                ("submitted", "return", "draft"),
                ("submitted", "post", "posted"),
                ("submitted", "cancel", "cancelled"),
                ("posted", "reverse", "reversed"),
            ]
        );
    }
}
