//! Bank transfers (银行转账): payments that go to the bank in one file, and what comes back.
//!
//! A payment is posted when it is paid; the transfer carries it to the bank. `export` writes the file, `import` takes the
//! bank's answer, `reconciliation` lists what doesn't match. Once the file is out nobody here takes it back: only the
//! bank's answer tells what became of it, so nothing is sent twice. What bounced is sent again in another transfer, or
//! reversed in the ledger; until then it stands in the reconciliation, since by the books it has left.

pub mod file;
pub mod reconciliation;
pub mod results;

use std::collections::{HashMap, HashSet};

use diesel::dsl::count_star;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::accounts::AccountKind;
use super::bank_transfer_lines::{BankTransferLine, LineState};
use super::disbursements::{DisbursementState, Disbursements};
use super::payee_accounts::PayeeAccountStatus;
use super::rules::{self, ReasonBody};
use crate::db::{Any, AnyConnection, Tx, held, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::{
    accounts, bank_transfer_lines as lines, bank_transfers as t, dependants, disbursements, heroes, ledger_entries, ledger_transactions,
    payee_accounts,
};
use crate::types::{Id, Instant, TextEnum, code_or_new, text_enum};
use crate::web::resource::{Step, sum_of};
use crate::web::shape::Shape;
use crate::web::verbs::{refusal, step_body};
use crate::web::{Measure, Measured, Reference, Resource, measured, reads, save, viewed};

/// Payments that one file may hold.
const MOST_LINES: usize = 5_000;

text_enum! {
    /// Where a transfer stands.
    TransferState {
        Prepared = "prepared", "待发送", "prepared";
        Sent = "sent", "已发送", "sent";
        Settled = "settled", "已回执", "settled";
        Cancelled = "cancelled", "已取消", "cancelled";
    }
}

/// Lines that came to the same: how many, and how much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct LineSum {
    pub lines: i64,
    /// In fen.
    pub amount_fen: i64,
}

/// What became of a transfer's lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TransferResults {
    /// Without a result yet.
    pub waiting: LineSum,
    pub paid: LineSum,
    pub bounced: LineSum,
}

/// A bank transfer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BankTransfer {
    pub id: Id,
    /// Unique code that people use; the references of its lines begin with it.
    pub code: String,
    /// The association whose account it is.
    pub organization_id: Id,
    /// The bank account that the payments were posted from.
    pub account_id: Id,
    /// The batch whose payments these are; null where they were named one by one.
    pub batch_id: Option<Id>,
    pub lines: i32,
    /// The sum of its lines, in fen.
    pub amount_fen: i64,
    pub results: TransferResults,
    pub state: TransferState,
    /// Why it was cancelled, or sent back whole.
    pub reason: Option<String>,
    /// The user who prepared it.
    pub prepared_by: Id,
    /// When the file was first given out.
    pub sent_at: Option<Instant>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(BankTransfer);

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    account_id: Id,
    batch_id: Option<Id>,
    lines: i32,
    amount_fen: i64,
    state: TransferState,
    reason: Option<String>,
    prepared_by: Id,
    sent_at: Option<Instant>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// What a transfer is made of. It isn't changed afterwards: cancel it and prepare another.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "account_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "batch_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08"}))]
pub struct BankTransferDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association whose account it is.
    pub organization_id: Id,
    /// The bank account that the payments were posted from.
    pub account_id: Id,
    /// All payments of this batch from that account that are not with the bank already, at most 5,000: this or
    /// `disbursement_ids`.
    pub batch_id: Option<Id>,
    /// These payments.
    #[schema(min_items = 1, max_items = 1000)]
    pub disbursement_ids: Option<Vec<Id>>,
}

fn whole(draft: &BankTransferDraft) -> Result<(), ValidationError> {
    if draft.batch_id.is_some() == draft.disbursement_ids.is_some() {
        return Err(refusal(
            Some("batch_id"),
            "one_of_two",
            &Says::new("请填写批次，或列出各笔发放，二者取一", "name a batch or list the disbursements: one of the two"),
        ));
    }
    Ok(())
}

/// Which transfers.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct BankTransferFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub account_id: Option<Id>,
    pub batch_id: Option<Id>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<TransferState>>,
}

pub struct BankTransfers;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &BankTransferFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.account_id {
        query = query.filter(t::account_id.eq(id));
    }
    if let Some(id) = filter.batch_id {
        query = query.filter(t::batch_id.eq(id));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    query
}

/// Rows as they are shown: one query for the results of all of them.
fn shown(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<BankTransfer>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let groups: Vec<(Id, LineState, i64, Option<i64>)> = lines::table
        .filter(lines::transfer_id.eq_any(rows.iter().map(|row| row.id).collect::<Vec<_>>()))
        .group_by((lines::transfer_id, lines::state))
        .select((lines::transfer_id, lines::state, count_star(), sum_of!(amount_fen)))
        .load(conn)?;
    let mut results: HashMap<Id, TransferResults> = HashMap::new();
    for (id, state, lines, amount_fen) in groups {
        let of = results.entry(id).or_default();
        let sum = LineSum { lines, amount_fen: amount_fen.unwrap_or_default() };
        match state {
            LineState::Waiting => of.waiting = sum,
            LineState::Paid => of.paid = sum,
            LineState::Bounced => of.bounced = sum,
            LineState::Cancelled => {}
        }
    }
    Ok(rows
        .into_iter()
        .map(|row| BankTransfer {
            results: results.get(&row.id).copied().unwrap_or_default(),
            id: row.id,
            code: row.code,
            organization_id: row.organization_id,
            account_id: row.account_id,
            batch_id: row.batch_id,
            lines: row.lines,
            amount_fen: row.amount_fen,
            state: row.state,
            reason: row.reason,
            prepared_by: row.prepared_by,
            sent_at: row.sent_at,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
        .collect())
}

/// A payment that may go into a transfer.
struct Candidate {
    id: Id,
    code: String,
    amount_fen: i64,
    state: DisbursementState,
    hero_id: Option<Id>,
    dependant_id: Option<Id>,
}

/// Why a payment can't go into a transfer.
struct Unfit {
    code: &'static str,
    zh: String,
    en: String,
}

/// The payments that a draft asks for, held until the transaction ends. `None` in the place of an id that isn't there.
fn candidates(tx: &mut Tx<'_>, scope: &Scope, draft: &BankTransferDraft) -> Result<Vec<Option<Candidate>>> {
    type Found = (Id, String, Option<i64>, DisbursementState, Option<Id>, Option<Id>);
    let columns = (
        disbursements::id,
        disbursements::code,
        disbursements::amount_fen,
        disbursements::state,
        disbursements::hero_id,
        disbursements::dependant_id,
    );
    let candidate = |(id, code, amount_fen, state, hero_id, dependant_id): Found| Candidate {
        id,
        code,
        amount_fen: amount_fen.unwrap_or_default(),
        state,
        hero_id,
        dependant_id,
    };
    let wanted: Vec<Id> = match (&draft.disbursement_ids, draft.batch_id) {
        (Some(ids), _) => ids.clone(),
        (None, Some(batch_id)) => disbursements::table
            .filter(disbursements::batch_id.eq(batch_id))
            .filter(disbursements::state.eq_any([DisbursementState::Paid, DisbursementState::Acknowledged]))
            .order(disbursements::id)
            .select(disbursements::id)
            .load(tx.conn)?,
        (None, None) => Vec::new(),
    };
    let known = Disbursements::known_ids(tx.conn, scope, &wanted)?;
    held!(
        tx.conn,
        disbursements::table.filter(disbursements::id.eq_any(known.clone())).order(disbursements::id).select(disbursements::id)
    )?;
    let found: Vec<Found> = disbursements::table.filter(disbursements::id.eq_any(known)).select(columns).load(tx.conn)?;
    let mut found: HashMap<Id, Found> = found.into_iter().map(|row| (row.0, row)).collect();
    Ok(wanted.into_iter().map(|id| found.remove(&id).map(candidate)).collect())
}

/// What decides whether payments can go into a transfer, read for all of them at once.
struct Ground {
    /// Posted from the transfer's account and not undone.
    posted: HashSet<Id>,
    /// With the bank already: in which transfer.
    with_bank: HashMap<Id, String>,
    /// The person behind a hero or a dependant.
    people: HashMap<Id, Id>,
    /// The account in use of a person.
    payees: HashMap<Id, Id>,
}

impl Ground {
    fn of(tx: &mut Tx<'_>, account_id: Id, all: &[&Candidate]) -> Result<Self> {
        let ids: Vec<Id> = all.iter().map(|candidate| candidate.id).collect();
        let posted: Vec<Option<Id>> = ledger_transactions::table
            .inner_join(ledger_entries::table.on(ledger_entries::transaction_id.eq(ledger_transactions::id)))
            .filter(ledger_transactions::disbursement_id.eq_any(ids.clone()))
            .filter(ledger_transactions::reverses_id.is_null())
            .filter(ledger_entries::account_id.eq(account_id))
            .filter(ledger_entries::amount_fen.lt(0))
            .select(ledger_transactions::disbursement_id)
            .load(tx.conn)?;
        let with_bank: Vec<(Id, String)> = lines::table
            .filter(lines::disbursement_id.eq_any(ids))
            .filter(lines::state.eq_any([LineState::Waiting, LineState::Paid]))
            .select((lines::disbursement_id, lines::code))
            .load(tx.conn)?;
        let of_heroes: Vec<(Id, Id)> = heroes::table
            .filter(heroes::id.eq_any(all.iter().filter_map(|candidate| candidate.hero_id).collect::<Vec<_>>()))
            .select((heroes::id, heroes::person_id))
            .load(tx.conn)?;
        let of_dependants: Vec<(Id, Id)> = dependants::table
            .filter(dependants::id.eq_any(all.iter().filter_map(|candidate| candidate.dependant_id).collect::<Vec<_>>()))
            .select((dependants::id, dependants::person_id))
            .load(tx.conn)?;
        let people: HashMap<Id, Id> = of_heroes.into_iter().chain(of_dependants).collect();
        let payees: Vec<(Id, Id)> = payee_accounts::table
            .filter(payee_accounts::person_id.eq_any(people.values().copied().collect::<Vec<_>>()))
            .filter(payee_accounts::status.eq(PayeeAccountStatus::Active))
            .select((payee_accounts::person_id, payee_accounts::id))
            .load(tx.conn)?;
        Ok(Self {
            posted: posted.into_iter().flatten().collect(),
            with_bank: with_bank.into_iter().collect(),
            people,
            payees: payees.into_iter().collect(),
        })
    }

    /// Why a payment isn't this account's to send, or already is; `None` where it is.
    fn unsendable(&self, candidate: &Candidate) -> Option<Unfit> {
        let code = &candidate.code;
        if !matches!(candidate.state, DisbursementState::Paid | DisbursementState::Acknowledged) {
            let (zh, en) = candidate.state.label();
            return Some(Unfit {
                code: "not_paid",
                zh: format!("发放 {code} 的状态为“{zh}”；只有已支付的才能转账"),
                en: format!("the disbursement {code} is '{en}'; only what is paid goes to the bank"),
            });
        }
        if !self.posted.contains(&candidate.id) {
            return Some(Unfit {
                code: "paid_from_another_account",
                zh: format!("发放 {code} 不是从此账户支付的；请选择支付所用的银行账户"),
                en: format!("the disbursement {code} was not paid from this account; name the bank account that it was paid from"),
            });
        }
        self.with_bank.get(&candidate.id).map(|reference| Unfit {
            code: "with_the_bank_already",
            zh: format!("发放 {code} 已在转账中（{reference}），不能再次发送"),
            en: format!("the disbursement {code} is with the bank already ({reference})"),
        })
    }

    /// Where a payment goes, or why it can't be told.
    fn payee(&self, candidate: &Candidate) -> std::result::Result<Id, Unfit> {
        let code = &candidate.code;
        let person = candidate.hero_id.or(candidate.dependant_id).and_then(|id| self.people.get(&id));
        let person = person.ok_or_else(|| Unfit {
            code: "nobody_named",
            zh: format!("发放 {code} 没有具体的受益人，无法转账；请逐人登记，或以现金发放"),
            en: format!("the disbursement {code} names nobody, so nothing can be sent; register each person, or pay in cash"),
        })?;
        self.payees.get(person).copied().ok_or_else(|| Unfit {
            code: "no_payee_account",
            zh: format!("发放 {code} 的受益人没有使用中的收款账户；请先登记"),
            en: format!("whoever gets the disbursement {code} has no payee account in use; register it first"),
        })
    }
}

/// The faults of a payment named one by one stand at its place; those of a batch at the batch, twenty at most.
const FAULTS_TOLD: usize = 20;

/// The lines that a draft comes to: each payment with where it goes.
fn chosen(tx: &mut Tx<'_>, scope: &Scope, draft: &BankTransferDraft, at: impl Fn(&str) -> String) -> Result<Vec<(Candidate, Id)>> {
    let named = draft.disbursement_ids.is_some();
    let place = |i: usize| if named { at(&format!("disbursement_ids/{i}")) } else { at("batch_id") };
    let all = candidates(tx, scope, draft)?;
    let ground = Ground::of(tx, draft.account_id, &all.iter().flatten().collect::<Vec<_>>())?;
    let mut faults: Vec<Fault> = Vec::new();
    let mut chosen = Vec::new();
    let mut seen = HashSet::new();
    let fault = |i: usize, unfit: Unfit| Fault::new(place(i), unfit.code, Says::new(unfit.zh, unfit.en));
    for (i, candidate) in all.into_iter().enumerate() {
        let Some(candidate) = candidate else {
            let twice = draft.disbursement_ids.as_ref().is_some_and(|ids| ids.get(i).is_some_and(|id| seen.contains(id)));
            let says = Says::new("此笔发放重复列出", "this disbursement is listed twice");
            faults.push(if twice { Fault::new(place(i), "twice", says) } else { Fault::unknown_reference(place(i)) });
            continue;
        };
        seen.insert(candidate.id);
        match (ground.unsendable(&candidate), ground.payee(&candidate)) {
            (Some(unfit), _) if named => faults.push(fault(i, unfit)),
            // Of a batch what isn't to be sent from here is left out.
            (Some(_), _) => {}
            (None, Err(unfit)) => faults.push(fault(i, unfit)),
            (None, Ok(payee)) => chosen.push((candidate, payee)),
        }
    }
    if !named {
        faults.truncate(FAULTS_TOLD);
        chosen.truncate(MOST_LINES);
    }
    if faults.is_empty() && chosen.is_empty() {
        let says = Says::new("此批次没有从该账户支付而尚未转账的发放", "no payment of this batch from this account is left to be sent");
        faults.push(Fault::new(at("batch_id"), "nothing_to_send", says));
    }
    Error::unless_empty(faults)?;
    Ok(chosen)
}

/// The account is a bank account of the association that the transfer is of.
fn check_account(tx: &mut Tx<'_>, scope: &Scope, draft: &BankTransferDraft, at: impl Fn(&str) -> String) -> Result<()> {
    let mut faults = Vec::new();
    for (of, field, id) in [
        ("organizations", "organization_id", Some(draft.organization_id)),
        ("accounts", "account_id", Some(draft.account_id)),
        ("welfare_batches", "batch_id", draft.batch_id),
    ] {
        rules::all_in_scope(tx.conn, scope, of, [(at(field), id)], &mut faults)?;
    }
    Error::unless_empty(std::mem::take(&mut faults))?;
    let (kind, holder): (AccountKind, Id) =
        accounts::table.find(draft.account_id).select((accounts::kind, accounts::organization_id)).first(tx.conn)?;
    if kind != AccountKind::Bank {
        let says = Says::new("转账须从银行存款账户汇出", "a transfer goes out of a bank account");
        faults.push(Fault::new(at("account_id"), "not_a_bank_account", says));
    }
    if holder != draft.organization_id {
        let says = Says::new(
            "账户属于另一单位；转账应属于账户所属单位",
            "the account is another organization's; a transfer is its account's organization's",
        );
        faults.push(Fault::new(at("account_id"), "account_of_another_organization", says));
    }
    Error::unless_empty(faults)
}

fn prepare(tx: &mut Tx<'_>, scope: &Scope, draft: &BankTransferDraft, at: impl Fn(&str) -> String) -> Result<Row> {
    check_account(tx, scope, draft, &at)?;
    let chosen = chosen(tx, scope, draft, &at)?;
    let (id, code) = (Id::new(), code_or_new(draft.code.as_deref()));
    let row = Row {
        id,
        code: code.clone(),
        organization_id: draft.organization_id,
        account_id: draft.account_id,
        batch_id: draft.batch_id,
        lines: i32::try_from(chosen.len()).map_err(Error::internal)?,
        amount_fen: chosen.iter().map(|(candidate, _)| candidate.amount_fen).sum(),
        state: TransferState::Prepared,
        reason: None,
        prepared_by: tx.actor()?,
        sent_at: None,
        version: 1,
        created_at: tx.now,
        updated_at: tx.now,
    };
    diesel::insert_into(t::table).values(&row).execute(tx.conn)?;
    let rows: Vec<BankTransferLine> = (1..)
        .zip(chosen)
        .map(|(position, (candidate, payee_account_id))| BankTransferLine {
            id: Id::new(),
            code: format!("{code}-{position:04}"),
            organization_id: draft.organization_id,
            transfer_id: id,
            position,
            disbursement_id: candidate.id,
            payee_account_id,
            amount_fen: candidate.amount_fen,
            state: LineState::Waiting,
            settled_on: None,
            bank_reason: None,
            version: 1,
            created_at: tx.now,
            updated_at: tx.now,
        })
        .collect();
    insert_all!(&mut *tx.conn, lines::table, rows)?;
    Ok(row)
}

/// A transfer's row, held for this transaction as it was read.
fn take(tx: &mut Tx<'_>, scope: &Scope, id: Id) -> Result<BankTransfer> {
    held!(tx.conn, t::table.filter(t::id.eq(id)).select(t::id))?;
    BankTransfers::find(tx.conn, scope, id)
}

/// Ends a transfer whole: what waits goes over into `lines_to`.
fn end(tx: &mut Tx<'_>, scope: &Scope, before: BankTransfer, to: TransferState, lines_to: LineState, body: &Value) -> Result<BankTransfer> {
    let reason = step_body::<ReasonBody>(body)?.reason;
    let present = take(tx, scope, before.id)?;
    save!(
        tx,
        t,
        before,
        (t::state.eq(to), t::reason.eq(Some(reason.clone())), t::version.eq(before.version + 1), t::updated_at.eq(tx.now))
    )?;
    let told = (lines_to == LineState::Bounced).then_some(reason);
    diesel::update(lines::table.filter(lines::transfer_id.eq(present.id)).filter(lines::state.eq(LineState::Waiting)))
        .set((lines::state.eq(lines_to), lines::bank_reason.eq(told), lines::version.eq(lines::version + 1), lines::updated_at.eq(tx.now)))
        .execute(tx.conn)?;
    BankTransfers::find(tx.conn, scope, present.id)
}

impl Resource for BankTransfers {
    const NAME: &'static str = "bank_transfers";
    const LABEL: (&'static str, &'static str) = ("银行转账", "bank transfer");
    const AREA: Area = Area::Ledger;
    const REFERENCES: &'static [Reference] = &[
        Reference::ORGANIZATION,
        Reference { field: "account_id", column: "account_code", of: "accounts" },
        Reference { field: "batch_id", column: "batch_code", of: "welfare_batches" },
    ];
    /// They are made of payments, one by one.
    const IMPORTABLE: bool = false;

    type View = BankTransfer;
    type Draft = BankTransferDraft;
    type Filter = BankTransferFilter;

    reads!(t, Row => shown);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let mut rows = Vec::with_capacity(drafts.len());
        for (i, draft) in drafts.iter().enumerate() {
            rows.push(prepare(tx, scope, draft, |field| format!("/{i}/{field}"))?);
        }
        shown(tx.conn, rows)
    }

    fn draft(tx: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let named = match view.batch_id {
            Some(_) => None,
            None => Some(
                lines::table.filter(lines::transfer_id.eq(view.id)).order(lines::position).select(lines::disbursement_id).load(tx.conn)?,
            ),
        };
        Ok(BankTransferDraft {
            code: Some(view.code.clone()),
            organization_id: view.organization_id,
            account_id: view.account_id,
            batch_id: view.batch_id,
            disbursement_ids: named,
        })
    }

    fn update(_: &mut Tx<'_>, _: &Scope, _: &Self::View, _: Self::Draft) -> Result<Self::View> {
        Err(Error::new(Code::StepNotAllowed))
    }

    fn delete(_: &mut Tx<'_>, _: &Scope, _: &Self::View) -> Result<()> {
        Err(Error::new(Code::StepNotAllowed))
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(match measure {
            Measure::Fen => measured!(exact conn, query(scope, filter), t, amount_fen),
            _ => measured!(conn, query(scope, filter), t, measure),
        })
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step {
                action: Action::Cancel,
                summary: "取消尚未发送的转账 / Cancel it while its file is not out",
                body: Some(Shape::of::<ReasonBody>),
                needs_key: false,
                run: |tx, scope, before, body| end(tx, scope, before, TransferState::Cancelled, LineState::Cancelled, body),
            },
            Step {
                action: Action::Return,
                summary: "银行整批退回：未回执的全部记为退回 / The bank sent the file back: all that wait have bounced",
                body: Some(Shape::of::<ReasonBody>),
                needs_key: true,
                run: |tx, scope, before, body| end(tx, scope, before, TransferState::Settled, LineState::Bounced, body),
            },
        ]
    }

    /// A transfer is never rewritten, and its file can be written while it isn't cancelled.
    fn offers(view: &Self::View) -> Vec<Action> {
        match view.state {
            TransferState::Prepared => vec![Action::Export, Action::Cancel],
            TransferState::Sent => vec![Action::Export, Action::Import, Action::Return],
            TransferState::Settled => vec![Action::Export, Action::Import],
            TransferState::Cancelled => Vec::new(),
        }
    }
}
