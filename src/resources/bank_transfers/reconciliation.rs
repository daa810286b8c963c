//! What of a transfer doesn't match: between the bank's answer and the lines, and between the lines and the books.

use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Nullable, Text};
use serde::Serialize;
use utoipa::ToSchema;

use super::{BankTransfers, TransferResults, TransferState};
use crate::auth::Caller;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::policy::{Action, Area};
use crate::types::{Id, TextEnum, sql, text_enum};
use crate::web::Resource;
use crate::web::handlers::{id_of, no_parameters};

/// Items that are told; more are counted.
const TOLD: i64 = 200;

text_enum! {
    /// What doesn't match, and what there is to do.
    Discrepancy {
        Waiting = "waiting", "银行尚无回执；请向银行查询", "the bank has not said anything yet: ask it";
        Bounced = "bounced", "银行已退回，账上仍为已支付；请核对账户后重新转账，或冲销", "the bank sent it back and the books say paid: send it again to the right account, or reverse it";
        ReversedThoughPaid = "reversed_though_paid", "银行已付，账上已冲销；请核实款项是否收回", "the bank paid it and the books undid it: see whether the money came back";
        UnknownLine = "unknown_line", "回执中的参考号不属于本转账；请核对文件，或向银行查询", "the bank names a reference that no line has: see whether the file is another's, or ask the bank";
        AmountDiffers = "amount_differs", "回执金额与转账不符；请向银行查询", "the bank's amount is not the line's: ask the bank";
        Contradicts = "contradicts", "已退回的又报成功；请向银行查询，勿重复转账", "what had bounced is said to be paid: ask the bank before sending it again";
    }
}

/// One thing that doesn't match.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReconciliationItem {
    kind: Discrepancy,
    says_zh: &'static str,
    says_en: &'static str,
    #[schema(example = "ZZ-2022-07-0001")]
    reference: String,
    /// Null where no line has the reference.
    disbursement_id: Option<Id>,
    disbursement_code: Option<String>,
    /// In fen: the bank's, where its answer is what doesn't match, or else the line's.
    amount_fen: i64,
    /// In the bank's words.
    bank_reason: Option<String>,
    settled_on: Option<NaiveDate>,
}

/// What of a transfer doesn't match.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Reconciliation {
    transfer_id: Id,
    state: TransferState,
    results: TransferResults,
    /// Whether everything matches: all that was sent has arrived, and the books say so.
    matches: bool,
    /// How many things don't.
    total: i64,
    /// The first two hundred of them.
    items: Vec<ReconciliationItem>,
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    reference: String,
    #[diesel(sql_type = Nullable<sql::Uuid>)]
    disbursement_id: Option<Id>,
    #[diesel(sql_type = Nullable<Text>)]
    disbursement_code: Option<String>,
    #[diesel(sql_type = BigInt)]
    amount_fen: i64,
    #[diesel(sql_type = Nullable<Text>)]
    bank_reason: Option<String>,
    #[diesel(sql_type = Nullable<Date>)]
    settled_on: Option<NaiveDate>,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// All of it in one statement, so that it is of one moment. What bounced is done with once it was sent again or reversed;
/// an amount that differed and a contradiction once the line has another result.
macro_rules! mismatches {
    ($select:literal, $end:literal) => {
        concat!(
            $select,
            " FROM (SELECT CASE WHEN l.state = 'waiting' THEN 'waiting' WHEN l.state = 'bounced' THEN 'bounced' ELSE 'reversed_though_paid' END AS kind, ",
            "l.code AS reference, d.id AS disbursement_id, d.code AS disbursement_code, l.amount_fen AS amount_fen, l.bank_reason AS bank_reason, ",
            "l.settled_on AS settled_on FROM bank_transfer_lines l JOIN disbursements d ON d.id = l.disbursement_id WHERE l.transfer_id = $1 AND (",
            "l.state = 'waiting' OR (l.state = 'paid' AND d.state = 'reversed') OR (l.state = 'bounced' AND d.state <> 'reversed' ",
            "AND NOT EXISTS (SELECT 1 FROM bank_transfer_lines a WHERE a.disbursement_id = l.disbursement_id AND a.state IN ('waiting', 'paid')))) ",
            "UNION ALL SELECT m.mismatch AS kind, m.reference AS reference, l.disbursement_id AS disbursement_id, d.code AS disbursement_code, ",
            "m.amount_fen AS amount_fen, m.bank_reason AS bank_reason, m.settled_on AS settled_on FROM bank_result_mismatches m ",
            "LEFT JOIN bank_transfer_lines l ON l.code = m.reference AND l.transfer_id = m.transfer_id LEFT JOIN disbursements d ON d.id = l.disbursement_id ",
            "WHERE m.transfer_id = $2 AND (l.id IS NULL OR l.updated_at <= m.created_at)) AS found",
            $end
        )
    };
}

/// What of a transfer doesn't match, and what there is to do about it.
#[utoipa::path(operation_id = "bank_transfers_reconciliation", tag = "bank-transfers", summary = "转账对账 / What of a transfer doesn't match",
    params(("id" = Id, Path, description = "Id of the transfer.")),
    responses((status = 200, description = "What doesn't match.", body = Reconciliation)))]
#[get("/bank-transfers/{id}/reconciliation")]
pub async fn reconciliation(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    let scope = caller.actor.may(Area::Ledger, Action::Read)?;
    no_parameters(&request)?;
    let id = id_of(&request)?;
    let found = db
        .read(move |conn| {
            let transfer = BankTransfers::find(conn, &scope, id)?;
            let count = diesel::sql_query(mismatches!("SELECT count(*) AS count", ""));
            let total = count.bind::<sql::Uuid, _>(id).bind::<sql::Uuid, _>(id).get_result::<Count>(conn)?.count;
            let all = diesel::sql_query(mismatches!("SELECT *", " ORDER BY reference, kind LIMIT $3"));
            let rows: Vec<Found> = all.bind::<sql::Uuid, _>(id).bind::<sql::Uuid, _>(id).bind::<BigInt, _>(TOLD).load(conn)?;
            let items = rows.into_iter().map(|row| {
                let kind = Discrepancy::from_code(&row.kind).ok_or_else(|| Error::internal("a discrepancy of an unknown kind"))?;
                let (says_zh, says_en) = kind.label();
                Ok(ReconciliationItem {
                    kind,
                    says_zh,
                    says_en,
                    reference: row.reference,
                    disbursement_id: row.disbursement_id,
                    disbursement_code: row.disbursement_code,
                    amount_fen: row.amount_fen,
                    bank_reason: row.bank_reason,
                    settled_on: row.settled_on,
                })
            });
            Ok(Reconciliation {
                transfer_id: transfer.id,
                state: transfer.state,
                results: transfer.results,
                matches: total == 0,
                total,
                items: items.collect::<Result<_>>()?,
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(found))
}
