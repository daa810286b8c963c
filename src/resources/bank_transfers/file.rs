//! The file for the bank: CSV, one payment a line. It holds whole account numbers, so each time it is written is in the
//! audit, and once it has been written the transfer counts as sent.

use std::collections::HashMap;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, post, web};
use diesel::prelude::*;
use serde_json::json;

use super::{BankTransfers, TransferState, lines, t, take};
use crate::auth::Caller;
use crate::db::{Db, Tx};
use crate::error::{Code, Error, Result};
use crate::files::guarded;
use crate::ledger::yuan;
use crate::policy::{Action, Area, Scope};
use crate::resources::payee_accounts;
use crate::schema::{disbursements, payee_accounts as payees, welfare_programmes};
use crate::types::{Id, TextEnum};
use crate::web::Resource;
use crate::web::handlers::{deed_of, id_of, no_parameters};

/// The columns, as the banks' upload forms call them.
const HEADER: [&str; 7] = ["序号", "业务参考号", "收款人户名", "收款账号", "开户银行", "金额（元）", "附言"];

/// Writes the file for the bank. From the first time on the transfer counts as sent.
#[utoipa::path(operation_id = "bank_transfers_export", tag = "bank-transfers", summary = "生成银行转账文件 / Write the file for the bank",
    description = "CSV in UTF-8 with a byte order mark: number, reference, holder, account number, bank, amount in yuan, purpose. It holds whole account numbers: each writing is audited.",
    params(("id" = Id, Path, description = "Id of the transfer.")),
    responses((status = 200, description = "The file.", content((String = "text/csv")))))]
#[post("/bank-transfers/{id}/export")]
pub async fn file(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    let scope = caller.actor.may(Area::Ledger, Action::Export)?;
    no_parameters(&request)?;
    let id = id_of(&request)?;
    // A key would keep the numbers among the replies.
    let mut deed = deed_of(&request, &caller, &[], false)?;
    deed.once = None;
    let (code, bytes) = db.write_value(deed, move |tx| write(tx, &scope, id)).await?;
    // A code may hold any character but spaces; a header only some.
    let name: String = code.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"transfer-{name}.csv\"")))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(bytes))
}

fn write(tx: &mut Tx<'_>, scope: &Scope, id: Id) -> Result<(String, Vec<u8>)> {
    let transfer = take(tx, scope, id)?;
    if transfer.state == TransferState::Cancelled {
        return Err(Error::because(
            Code::StepNotAllowed,
            "转账已取消，不能再生成文件；请重新编制",
            "the transfer is cancelled and has no file; prepare another",
        ));
    }
    type Line = (i32, String, Id, i64, String, String, String);
    let rows: Vec<Line> = lines::table
        .inner_join(payees::table.on(payees::id.eq(lines::payee_account_id)))
        .inner_join(disbursements::table.on(disbursements::id.eq(lines::disbursement_id)))
        .inner_join(welfare_programmes::table.on(welfare_programmes::id.eq(disbursements::programme_id)))
        .filter(lines::transfer_id.eq(id))
        .order(lines::position)
        .select((
            lines::position,
            lines::code,
            payees::id,
            lines::amount_fen,
            payees::holder_name,
            payees::bank_name,
            welfare_programmes::name,
        ))
        .load(tx.conn)?;
    let accounts: Vec<Id> = rows.iter().map(|row| row.2).collect();
    let numbers: HashMap<Id, String> = payee_accounts::numbers(tx, &accounts)?.into_iter().collect();

    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(vec![0xEF, 0xBB, 0xBF]);
    writer.write_record(HEADER).map_err(Error::internal)?;
    for (position, reference, account, amount_fen, holder, bank, purpose) in rows {
        let number = numbers.get(&account).ok_or_else(|| Error::internal("a line without an account"))?;
        let cells = [position.to_string(), reference, holder, number.clone(), bank, yuan(amount_fen), purpose];
        writer.write_record(cells.each_ref().map(|cell| guarded(cell).into_owned())).map_err(Error::internal)?;
    }
    let bytes = writer.into_inner().map_err(|_| Error::internal("the file could not be written"))?;

    let first = transfer.state == TransferState::Prepared;
    if first {
        diesel::update(t::table.filter(t::id.eq(id)))
            .set((t::state.eq(TransferState::Sent), t::sent_at.eq(Some(tx.now)), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
            .execute(tx.conn)?;
    }
    let detail = json!({"lines": transfer.lines, "amount_fen": transfer.amount_fen, "first": first});
    tx.audit(Action::Export.code(), BankTransfers::NAME, Some(id), Some(transfer.organization_id), Some(&detail));
    Ok((transfer.code, bytes))
}
