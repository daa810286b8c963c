//! What a payment takes from the ledger, and what its reversal gives back.
//!
//! Money that an enterprise pays directly touches no fund of ours, and of a collective nobody knows whose purse it was:
//! these are recorded and reported, and post nothing.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use diesel::prelude::*;

use super::{Channel, Disbursement};
use crate::db::{AnyConnection, Tx};
use crate::error::{Error, Fault, Result, Says};
use crate::ledger::{self, Posting, Source, TransactionKind};
use crate::policy::Scope;
use crate::resources::accounts::{AccountKind, Accounts};
use crate::resources::organizations::COLLECTIVES;
use crate::resources::welfare_programmes::ProgrammeKind;
use crate::schema::{accounts, organization_closure, organizations, welfare_programmes};
use crate::types::{Id, TextEnum};
use crate::web::Resource;

/// Out of what it is paid.
#[derive(Debug, Clone, Copy, Default)]
pub struct Purse {
    pub fund_id: Option<Id>,
    pub account_id: Option<Id>,
}

/// The funds that a channel may be paid from.
fn fits(channel: Channel, fund: AccountKind) -> bool {
    match channel {
        Channel::Own => matches!(fund, AccountKind::Unrestricted | AccountKind::Restricted),
        Channel::Fiscal => fund == AccountKind::Fiscal,
        Channel::Donation => matches!(fund, AccountKind::Donation | AccountKind::Restricted),
        Channel::EnterpriseDirect => false,
    }
}

struct Account {
    code: String,
    name: String,
    kind: AccountKind,
    organization_id: Id,
    purposes: Option<String>,
}

/// Posts the payment of disbursements out of one purse.
pub fn post(tx: &mut Tx<'_>, scope: &Scope, given: &[Disbursement], purse: Purse, on: NaiveDate) -> Result<()> {
    let ours = of_ours(tx.conn, given)?;
    if ours.is_empty() {
        return Error::unless_empty(none_needed(purse));
    }
    let mut faults: Vec<Fault> = Vec::new();
    let (Some(fund_id), Some(account_id)) = (purse.fund_id, purse.account_id) else {
        let missing = [
            (purse.fund_id, "/fund_id", "请选择从哪项资金支出", "say out of which fund it is paid"),
            (purse.account_id, "/account_id", "请选择从哪个银行或现金账户支付", "say from which bank or cash account it is paid"),
        ];
        faults.extend(
            missing.into_iter().filter(|(id, ..)| id.is_none()).map(|(_, at, zh, en)| Fault::new(at, "required", Says::new(zh, en))),
        );
        return Error::unless_empty(faults);
    };
    let known = Accounts::known_ids(tx.conn, scope, &[fund_id, account_id])?;
    for (id, pointer) in [(fund_id, "/fund_id"), (account_id, "/account_id")] {
        if !known.contains(&id) {
            faults.push(Fault::unknown_reference(pointer));
        }
    }
    Error::unless_empty(std::mem::take(&mut faults))?;

    let found = read(tx.conn, &[fund_id, account_id])?;
    let both = || Error::internal("an account that was in scope is gone");
    let (fund, account) = (found.get(&fund_id).ok_or_else(both)?, found.get(&account_id).ok_or_else(both)?);
    let mut wrong = |pointer: &str, code, zh: String, en: String| faults.push(Fault::new(pointer, code, Says::new(zh, en)));
    if fund.kind.is_money() {
        wrong(
            "/fund_id",
            "not_a_fund",
            format!("“{}”说明钱在哪里，不是资金；请选择一项资金", fund.name),
            format!("{} says where money lies; name a fund", fund.code),
        );
    }
    if !account.kind.is_money() {
        wrong(
            "/account_id",
            "not_a_money_account",
            format!("“{}”是资金，不是银行或现金账户；请选择支付所用的银行或现金账户", account.name),
            format!("{} is a fund; name the bank or cash account that is paid from", account.code),
        );
    }
    if fund.organization_id != account.organization_id {
        wrong(
            "/account_id",
            "account_of_another_organization",
            "资金与支付账户应属于同一单位".into(),
            "the fund and the account that is paid from belong to one organization".into(),
        );
    }
    if out_of_line(tx.conn, fund.organization_id, &ours)? {
        wrong(
            "/fund_id",
            "fund_of_another_organization",
            "资金应属于发放单位，或其上级单位".into(),
            "the fund belongs to the organization that gives, or to one above it".into(),
        );
    }
    if !fund.kind.is_money() {
        judge_fund(tx.conn, fund, &ours, &mut faults)?;
    }
    Error::unless_empty(faults)?;

    let postings: Vec<Posting> = ours
        .iter()
        .map(|given| Posting {
            kind: TransactionKind::Payment,
            organization_id: fund.organization_id,
            occurred_on: on,
            summary: format!("支付发放 {}", given.code),
            source: Source::Disbursement(given.id),
            reverses_id: None,
            debit_account_id: fund_id,
            credit_account_id: account_id,
            amount_fen: given.amount_fen.unwrap_or_default(),
        })
        .collect();
    ledger::post(tx, &postings, |kind| if kind.is_money() { "/account_id" } else { "/fund_id" }.to_owned())?;
    Ok(())
}

/// Gives back what a payment took. What touched no fund has nothing to give back.
pub fn undo(tx: &mut Tx<'_>, given: &Disbursement, on: NaiveDate, reason: &str) -> Result<()> {
    let source = Source::Disbursement(given.id);
    match ledger::standing_for(tx.conn, &[source])?.remove(&given.id) {
        Some(posted) => ledger::reverse(tx, &posted, source, on, reason).map(|_| ()),
        None => Ok(()),
    }
}

/// Those that are paid out of a fund of ours.
fn of_ours<'a>(conn: &mut AnyConnection, given: &'a [Disbursement]) -> Result<Vec<&'a Disbursement>> {
    let givers: Vec<Id> = given.iter().map(|d| d.organization_id).collect::<HashSet<_>>().into_iter().collect();
    let collective: Vec<Id> = organizations::table
        .filter(organizations::id.eq_any(givers))
        .filter(organizations::kind.eq_any(COLLECTIVES))
        .select(organizations::id)
        .load(conn)?;
    Ok(given.iter().filter(|d| d.channel != Channel::EnterpriseDirect && !collective.contains(&d.organization_id)).collect())
}

fn none_needed(purse: Purse) -> Vec<Fault> {
    [(purse.fund_id, "/fund_id"), (purse.account_id, "/account_id")]
        .into_iter()
        .filter(|(id, _)| id.is_some())
        .map(|(_, pointer)| {
            Fault::new(
                pointer,
                "no_fund_touched",
                Says::new(
                    "此款由企业直接支付，或只是各单位的合计，不动用本会资金；请不要填写",
                    "this is paid by an enterprise directly, or is a total of several organizations, and touches no fund; leave it out",
                ),
            )
        })
        .collect()
}

fn read(conn: &mut AnyConnection, ids: &[Id]) -> Result<HashMap<Id, Account>> {
    let rows: Vec<(Id, String, String, AccountKind, Id, Option<String>)> = accounts::table
        .filter(accounts::id.eq_any(ids.to_vec()))
        .select((accounts::id, accounts::code, accounts::name, accounts::kind, accounts::organization_id, accounts::purposes))
        .load(conn)?;
    Ok(rows
        .into_iter()
        .map(|(id, code, name, kind, organization_id, purposes)| (id, Account { code, name, kind, organization_id, purposes }))
        .collect())
}

/// Whether one of those who give neither holds the fund nor lies below who does.
fn out_of_line(conn: &mut AnyConnection, holder: Id, ours: &[&Disbursement]) -> Result<bool> {
    let givers: HashSet<Id> = ours.iter().map(|d| d.organization_id).collect();
    let below: i64 = organization_closure::table
        .filter(organization_closure::ancestor_id.eq(holder))
        .filter(organization_closure::descendant_id.eq_any(givers.iter().copied().collect::<Vec<_>>()))
        .count()
        .get_result(conn)?;
    Ok(usize::try_from(below).ok() != Some(givers.len()))
}

/// A fund is spent on what it is for.
fn judge_fund(conn: &mut AnyConnection, fund: &Account, ours: &[&Disbursement], faults: &mut Vec<Fault>) -> Result<()> {
    let channels: HashSet<Channel> = ours.iter().map(|d| d.channel).filter(|channel| !fits(*channel, fund.kind)).collect();
    for channel in channels {
        let (zh, en) = channel.label();
        let (fund_zh, fund_en) = fund.kind.label();
        faults.push(Fault::new(
            "/fund_id",
            "fund_of_another_channel",
            Says::new(
                format!("发放的资金来源为“{zh}”，不能从“{}”（{fund_zh}）支出；请换一项资金", fund.name),
                format!("the money comes from '{en}' and can't be spent from {} ({fund_en}); choose another fund", fund.code),
            ),
        ));
    }
    let Some(purposes) = &fund.purposes else { return Ok(()) };
    let allowed: Vec<ProgrammeKind> = purposes.split(',').filter_map(ProgrammeKind::from_code).collect();
    let programmes: Vec<Id> = ours.iter().map(|d| d.programme_id).collect::<HashSet<_>>().into_iter().collect();
    let kinds: Vec<ProgrammeKind> = welfare_programmes::table
        .filter(welfare_programmes::id.eq_any(programmes))
        .select(welfare_programmes::kind)
        .distinct()
        .load(conn)?;
    let said = |kinds: &[ProgrammeKind], english: bool| {
        let texts = kinds.iter().map(|kind| if english { kind.label().1 } else { kind.label().0 });
        texts.collect::<Vec<_>>().join(if english { ", " } else { "、" })
    };
    let off: Vec<ProgrammeKind> = kinds.into_iter().filter(|kind| !allowed.contains(kind)).collect();
    if !off.is_empty() {
        faults.push(Fault::new(
            "/fund_id",
            "off_purpose",
            Says::new(
                format!("“{}”只能用于{}，不能用于{}；请换一项资金", fund.name, said(&allowed, false), said(&off, false)),
                format!("{} may be spent on {} and not on {}; choose another fund", fund.code, said(&allowed, true), said(&off, true)),
            ),
        ));
    }
    Ok(())
}
