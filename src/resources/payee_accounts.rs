//! Payee accounts (收款账户): where a person's money is sent.
//!
//! The number is sealed like an ID number and shown masked; it stands whole in the file that goes to the bank, and nowhere
//! else. A person has one account at a time: a new number is a new account, and the old one is closed, so that what was
//! once sent can always be told from where it went. Whoever keeps these accounts doesn't pay, and whoever pays doesn't
//! write them.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::persons::{self, PersonBrief};
use super::rules;
use crate::db::reseal::{self, Resealed};
use crate::db::{Any, AnyConnection, Db, Tx, grams, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::{bank_transfer_lines, payee_accounts as t, persons as p};
use crate::types::{Id, Instant, TextEnum as _, card_checks, code_or_new, mask_account_number, normalize_account_number, text_enum};
use crate::web::resource::Step;
use crate::web::verbs::refusal;
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// Whether money may still be sent there.
    PayeeAccountStatus {
        Active = "active", "使用中", "in use";
        Closed = "closed", "已停用", "closed";
    }
}

/// A payee account.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = t)]
pub struct PayeeAccount {
    pub id: Id,
    pub code: String,
    /// The association that keeps the record.
    pub organization_id: Id,
    pub person_id: Id,
    #[diesel(embed)]
    pub person: PersonBrief,
    /// In whose name the account is, as the bank knows them.
    pub holder_name: String,
    /// What the holder is to the person; null is the person themself.
    pub holder_relation: Option<String>,
    #[schema(example = "中国工商银行郑州二七支行")]
    pub bank_name: String,
    #[schema(example = "6222***********0006")]
    pub number_masked: String,
    /// Whether the card's check digit fits; some cards in use don't keep to it, so `false` is to be looked at and isn't wrong.
    /// Null of what isn't as long as a card's number.
    pub card_checks: Option<bool>,
    pub status: PayeeAccountStatus,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(PayeeAccount {
    fn shown_version(&self) -> String {
        format!("{}-{}", self.version, self.person.version)
    }
    fn person_id(&self) -> Option<Id> {
        Some(self.person_id)
    }
});

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    person_id: Id,
    holder_name: String,
    holder_relation: Option<String>,
    bank_name: String,
    number_sealed: Vec<u8>,
    number_hash: Vec<u8>,
    number_masked: String,
    card_checks: Option<bool>,
    status: PayeeAccountStatus,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

impl Row {
    fn of(tx: &Tx<'_>, id: Id, version: i32, created_at: Instant, draft: PayeeAccountDraft) -> Result<Self> {
        let flawed = |(code, says): (&'static str, Says)| Error::invalid(vec![Fault::new("", code, says)]);
        let number = normalize_account_number(&draft.number).map_err(flawed)?;
        Ok(Self {
            id,
            code: code_or_new(draft.code.as_deref()),
            organization_id: draft.organization_id,
            person_id: draft.person_id,
            holder_name: draft.holder_name,
            holder_relation: draft.holder_relation,
            bank_name: draft.bank_name,
            number_sealed: tx.vault.seal(PayeeAccounts::NAME, "number", id, &number)?,
            number_hash: tx.vault.hash("account_number", &number),
            number_masked: mask_account_number(&number),
            card_checks: card_checks(&number),
            status: PayeeAccountStatus::Active,
            version,
            created_at,
            updated_at: tx.now,
        })
    }

    fn view(self, person: PersonBrief) -> PayeeAccount {
        PayeeAccount {
            id: self.id,
            code: self.code,
            organization_id: self.organization_id,
            person_id: self.person_id,
            person,
            holder_name: self.holder_name,
            holder_relation: self.holder_relation,
            bank_name: self.bank_name,
            number_masked: self.number_masked,
            card_checks: self.card_checks,
            status: self.status,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

/// What may be written of a payee account. Once a transfer has gone there only the code and who keeps it change: another
/// number, name or bank is another account.
#[derive(Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "person_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "holder_name": "王大山", "holder_relation": "父亲", "number": "6222021702012345678", "bank_name": "中国工商银行郑州二七支行"}))]
pub struct PayeeAccountDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    /// Whose money it is. They have one account in use at a time.
    pub person_id: Id,
    /// In whose name the account is, as the bank knows them.
    #[schema(min_length = 1, max_length = 50, example = "王大山")]
    pub holder_name: String,
    /// What the holder is to the person, where it isn't themself.
    #[schema(min_length = 1, max_length = 50, example = "父亲")]
    pub holder_relation: Option<String>,
    #[schema(min_length = 1, max_length = 100, example = "中国工商银行郑州二七支行")]
    pub bank_name: String,
    /// 9 to 32 digits, a card 16 to 19; spaces and dashes are left out.
    #[schema(max_length = 60, format = "bank-account-number")]
    #[validate(custom(function = "number"))]
    pub number: String,
}

fn number(text: &str) -> Result<(), ValidationError> {
    normalize_account_number(text).map(|_| ()).map_err(|(code, says)| refusal(None, code, &says))
}

/// Which payee accounts.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PayeeAccountFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the person's name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    pub person_id: Option<Id>,
    #[param(inline)]
    pub status: Option<PayeeAccountStatus>,
    /// Whether another person's account has the same number: of a family that may be right.
    pub shared: Option<bool>,
}

/// That somebody else's account has the same number.
const SHARED: &str = "EXISTS (SELECT 1 FROM payee_accounts AS other WHERE other.number_hash = payee_accounts.number_hash \
    AND other.person_id <> payee_accounts.person_id)";

pub struct PayeeAccounts;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &PayeeAccountFilter) -> t::BoxedQuery<'static, Any> {
    let mut query = match scope.own() {
        Some(own) => t::table.filter(scope.organizations().holds(t::organization_id).or(t::person_id.eq(own))).into_boxed::<Any>(),
        None => t::table.filter(scope.organizations().holds(t::organization_id)).into_boxed::<Any>(),
    };
    if filter.organization_id.is_some() || filter.organization_level.is_some() {
        query = query.filter(Scope::asked(filter.organization_id, filter.organization_level).holds(t::organization_id));
    }
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching("persons", q)) {
        query = query.filter(found.holds(t::person_id));
    }
    if let Some(id) = filter.person_id {
        query = query.filter(t::person_id.eq(id));
    }
    if let Some(status) = filter.status {
        query = query.filter(t::status.eq(status));
    }
    if let Some(wanted) = filter.shared {
        query = query.filter(sql::<Bool>(SHARED).eq(wanted));
    }
    query
}

fn check_references(
    tx: &mut Tx<'_>,
    scope: &Scope,
    drafts: &[PayeeAccountDraft],
    at: impl Fn(usize, &str) -> String,
) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), Some(draft.organization_id)));
    rules::all_in_scope(tx.conn, scope, "organizations", wanted.collect::<Vec<_>>(), &mut faults)?;
    Ok(faults)
}

/// A person has one account in use: the faults of those who have one already, or twice in what was sent.
fn refuse_second(tx: &mut Tx<'_>, drafts: &[PayeeAccountDraft], at: impl Fn(usize, &str) -> String) -> Result<Vec<Fault>> {
    let people: Vec<Id> = drafts.iter().map(|draft| draft.person_id).collect();
    let known: Vec<(Id, String)> = t::table
        .filter(t::person_id.eq_any(people))
        .filter(t::status.eq(PayeeAccountStatus::Active))
        .select((t::person_id, t::code))
        .load(tx.conn)?;
    let mut faults = Vec::new();
    for (i, draft) in drafts.iter().enumerate() {
        if let Some((_, code)) = known.iter().find(|(person, _)| *person == draft.person_id) {
            let says = Says::new(
                format!("此人已有使用中的收款账户 {code}；请先停用它"),
                format!("this person's account {code} is in use; close that one first"),
            );
            faults.push(Fault::new(at(i, "person_id"), "account_in_use", says));
        } else if drafts[..i].iter().any(|other| other.person_id == draft.person_id) {
            let says = Says::new("此人在本次提交中有两个收款账户", "this person has two accounts in what was sent");
            faults.push(Fault::new(at(i, "person_id"), "account_in_use", says));
        }
    }
    Ok(faults)
}

/// Whether a transfer has named the account.
fn sent_to(tx: &mut Tx<'_>, id: Id) -> Result<bool> {
    let lines = bank_transfer_lines::table.filter(bank_transfer_lines::payee_account_id.eq(id)).select(bank_transfer_lines::id);
    Ok(lines.first::<Id>(tx.conn).optional()?.is_some())
}

fn close(tx: &mut Tx<'_>, _: &Scope, before: PayeeAccount, _: &Value) -> Result<PayeeAccount> {
    set_status(tx, &before, PayeeAccountStatus::Closed)
}

fn enable(tx: &mut Tx<'_>, _: &Scope, before: PayeeAccount, _: &Value) -> Result<PayeeAccount> {
    let other: Option<String> = t::table
        .filter(t::person_id.eq(before.person_id))
        .filter(t::status.eq(PayeeAccountStatus::Active))
        .select(t::code)
        .first(tx.conn)
        .optional()?;
    if let Some(code) = other {
        return Err(Error::because(
            Code::Conflict,
            format!("此人已有使用中的收款账户 {code}；请先停用它"),
            format!("this person's account {code} is in use; close that one first"),
        ));
    }
    set_status(tx, &before, PayeeAccountStatus::Active)
}

fn set_status(tx: &mut Tx<'_>, before: &PayeeAccount, status: PayeeAccountStatus) -> Result<PayeeAccount> {
    save!(tx, t, before, (t::status.eq(status), t::version.eq(before.version + 1), t::updated_at.eq(tx.now)))?;
    Ok(PayeeAccount { status, version: before.version + 1, updated_at: tx.now, ..before.clone() })
}

/// Closes the account in use of somebody who turns out to be another, where that one has an account in use, too: money for
/// one person goes to one place. Undoing the merge leaves it closed.
pub fn give_way(tx: &mut Tx<'_>, person: Id, into: Id) -> Result<()> {
    let in_use = |id: Id| t::table.filter(t::person_id.eq(id)).filter(t::status.eq(PayeeAccountStatus::Active));
    if in_use(into).select(t::id).first::<Id>(tx.conn).optional()?.is_none() {
        return Ok(());
    }
    let closed: Vec<(Id, Id)> = in_use(person).select((t::id, t::organization_id)).load(tx.conn)?;
    diesel::update(in_use(person)).set((t::status.eq(PayeeAccountStatus::Closed), t::version.eq(t::version + 1))).execute(tx.conn)?;
    for (id, organization_id) in closed {
        let detail = json!({"status": [PayeeAccountStatus::Active, PayeeAccountStatus::Closed]});
        tx.audit(Action::Disable.code(), PayeeAccounts::NAME, Some(id), Some(organization_id), Some(&detail)).about(Some(person));
    }
    Ok(())
}

/// The whole numbers of accounts, for the file that goes to the bank.
pub fn numbers(tx: &mut Tx<'_>, ids: &[Id]) -> Result<Vec<(Id, String)>> {
    let sealed: Vec<(Id, Vec<u8>)> = t::table.filter(t::id.eq_any(ids.to_vec())).select((t::id, t::number_sealed)).load(tx.conn)?;
    sealed.into_iter().map(|(id, sealed)| Ok((id, tx.vault.open(PayeeAccounts::NAME, "number", id, &sealed)?))).collect()
}

/// Seals the numbers of all accounts with the present data key, wherever another has sealed them.
pub fn reseal(db: &Db) -> Result<Resealed> {
    reseal::all(db, PayeeAccounts::NAME, reseal_after)
}

/// The next accounts in the order of their ids.
fn reseal_after(tx: &mut Tx<'_>, after: Option<Id>) -> Result<(Resealed, Option<Id>)> {
    let mut next = t::table.order(t::id).limit(reseal::LOT).into_boxed::<Any>();
    if let Some(after) = after {
        next = next.filter(t::id.gt(after));
    }
    let rows: Vec<(Id, Vec<u8>)> = next.select((t::id, t::number_sealed)).load(tx.conn)?;
    let (mut part, last) = (Resealed { seen: rows.len(), resealed: 0 }, rows.last().map(|(id, _)| *id));
    let vault = tx.vault;
    for (id, sealed) in rows.into_iter().filter(|(_, sealed)| !vault.is_present(sealed)) {
        let number = vault.open(PayeeAccounts::NAME, "number", id, &sealed)?;
        // Who writes the account in between seals it with the present key, too.
        part.resealed += diesel::update(t::table.filter(t::id.eq(id)).filter(t::number_sealed.eq(sealed)))
            .set((
                t::number_sealed.eq(vault.seal(PayeeAccounts::NAME, "number", id, &number)?),
                t::number_hash.eq(vault.hash("account_number", &number)),
            ))
            .execute(tx.conn)?;
    }
    Ok((part, last))
}

impl Resource for PayeeAccounts {
    const NAME: &'static str = "payee_accounts";
    const LABEL: (&'static str, &'static str) = ("收款账户", "payee account");
    const AREA: Area = Area::Heroes;
    const REFERENCES: &'static [Reference] =
        &[Reference::ORGANIZATION, Reference { field: "person_id", column: "person_code", of: "persons" }];

    type View = PayeeAccount;
    type Draft = PayeeAccountDraft;
    type Filter = PayeeAccountFilter;

    reads!(t, PayeeAccount, with p);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let at = |i: usize, field: &str| format!("/{i}/{field}");
        let mut faults = check_references(tx, scope, &drafts, at)?;
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, "person_id"), draft.person_id));
        let people = persons::briefs(tx.conn, scope, wanted, &mut faults)?;
        Error::unless_empty(faults)?;
        Error::unless_empty(refuse_second(tx, &drafts, at)?)?;
        let now = tx.now;
        let rows: Vec<Row> = drafts.into_iter().map(|draft| Row::of(tx, Id::new(), 1, now, draft)).collect::<Result<_>>()?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows.into_iter().filter_map(|row| people.get(&row.person_id).cloned().map(|person| row.view(person))).collect())
    }

    fn draft(tx: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let number = numbers(tx, &[view.id])?.pop().ok_or_else(Error::not_found)?.1;
        let account = view.clone();
        Ok(PayeeAccountDraft {
            code: Some(account.code),
            organization_id: account.organization_id,
            person_id: account.person_id,
            holder_name: account.holder_name,
            holder_relation: account.holder_relation,
            bank_name: account.bank_name,
            number,
        })
    }

    fn settled(mut draft: Self::Draft) -> Self::Draft {
        if let Ok(number) = normalize_account_number(&draft.number) {
            draft.number = number;
        }
        draft
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        Error::unless_empty(check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?)?;
        if draft.person_id != before.person_id {
            return Err(persons::fixed());
        }
        let present = Self::draft(tx, before)?;
        let changed = [
            ("/number", draft.number != present.number),
            ("/holder_name", draft.holder_name != present.holder_name),
            ("/holder_relation", draft.holder_relation != present.holder_relation),
            ("/bank_name", draft.bank_name != present.bank_name),
        ];
        if changed.iter().any(|(_, changed)| *changed) && sent_to(tx, before.id)? {
            let says = || {
                Says::new(
                    "已有转账汇往此账户，不能再改；请停用后另行登记",
                    "a transfer has gone to this account, so it stays as it is; close it and register another",
                )
            };
            let faults = changed.iter().filter(|(_, changed)| *changed).map(|(at, _)| Fault::new(*at, "account_sent_to", says()));
            return Err(Error::invalid(faults.collect()));
        }
        let mut after = Row::of(tx, before.id, before.version + 1, before.created_at, draft)?;
        after.status = before.status;
        save!(tx, t, before, &after)?;
        Ok(after.view(before.person.clone()))
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step {
                action: Action::Disable,
                summary: "停用，不再汇往此账户 / Close it: nothing more is sent there",
                body: None,
                needs_key: false,
                run: close,
            },
            Step { action: Action::Enable, summary: "重新启用 / Use it again", body: None, needs_key: false, run: enable },
        ]
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        let turn = if view.status == PayeeAccountStatus::Active { Action::Disable } else { Action::Enable };
        vec![Action::Update, Action::Delete, turn]
    }
}
