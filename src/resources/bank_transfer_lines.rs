//! Lines of bank transfers (转账明细): one payment to one account, and what the bank said of it. They are made with their
//! transfer and settled by its results; here they are read.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::db::{Any, AnyConnection, Tx};
use crate::error::{Code, Error, Result};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::bank_transfer_lines as t;
use crate::types::{Id, Instant, text_enum};
use crate::web::{Measure, Measured, Reference, Resource, measured, read_only, reads, viewed};

text_enum! {
    /// What became of a payment at the bank.
    LineState {
        Waiting = "waiting", "待回执", "no result yet";
        Paid = "paid", "已到账", "arrived";
        Bounced = "bounced", "已退回", "bounced";
        Cancelled = "cancelled", "未发送", "never sent";
    }
}

/// A line of a bank transfer.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
pub struct BankTransferLine {
    pub id: Id,
    /// The reference that goes to the bank and comes back with its result.
    #[schema(example = "ZZ-2022-07-0001")]
    pub code: String,
    pub organization_id: Id,
    pub transfer_id: Id,
    /// Its place in the file, from 1 on.
    pub position: i32,
    pub disbursement_id: Id,
    pub payee_account_id: Id,
    /// In fen.
    pub amount_fen: i64,
    pub state: LineState,
    /// The bank's day of payment or return; null where it doesn't tell.
    pub settled_on: Option<NaiveDate>,
    /// Why the bank sent it back, in its words.
    pub bank_reason: Option<String>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(BankTransferLine);

/// Which lines.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct BankTransferLineFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    /// The reference.
    pub code: Option<String>,
    pub transfer_id: Option<Id>,
    pub disbursement_id: Option<Id>,
    pub payee_account_id: Option<Id>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<LineState>>,
}

pub struct BankTransferLines;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &BankTransferLineFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.transfer_id {
        query = query.filter(t::transfer_id.eq(id));
    }
    if let Some(id) = filter.disbursement_id {
        query = query.filter(t::disbursement_id.eq(id));
    }
    if let Some(id) = filter.payee_account_id {
        query = query.filter(t::payee_account_id.eq(id));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    query
}

/// While the bank has not said what became of a payment, it isn't undone here: it may still arrive.
pub fn refuse_waiting(tx: &mut Tx<'_>, disbursement_id: Id) -> Result<()> {
    let waiting = t::table.filter(t::disbursement_id.eq(disbursement_id)).filter(t::state.eq(LineState::Waiting));
    match waiting.select(t::code).first::<String>(tx.conn).optional()? {
        None => Ok(()),
        Some(reference) => Err(Error::because(
            Code::Conflict,
            format!("这笔款已列入银行转账（{reference}），银行尚未回执，不能冲销；请先导入回执，或取消尚未发送的转账"),
            format!(
                "this is in a bank transfer ({reference}) without a result yet: bring in the result, or cancel the transfer if its file is not out"
            ),
        )),
    }
}

impl Resource for BankTransferLines {
    const NAME: &'static str = "bank_transfer_lines";
    const LABEL: (&'static str, &'static str) = ("转账明细", "bank transfer line");
    const AREA: Area = Area::Ledger;
    const REFERENCES: &'static [Reference] = &[];

    type View = BankTransferLine;
    type Filter = BankTransferLineFilter;
    read_only!();

    reads!(t, BankTransferLine);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(match measure {
            Measure::Fen => measured!(exact conn, query(scope, filter), t, amount_fen),
            _ => measured!(conn, query(scope, filter), t, measure),
        })
    }
}
