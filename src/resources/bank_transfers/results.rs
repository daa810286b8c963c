//! The bank's result file: what arrived, what bounced, and what fits no line.

use std::collections::{BTreeMap, HashMap, HashSet};

use actix_web::{HttpRequest, HttpResponse, post, web};
use chrono::NaiveDate;
use diesel::prelude::*;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{BankTransfers, TransferState, lines, t, take};
use crate::auth::Caller;
use crate::db::{Db, Reply, Tx, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::ledger::yuan;
use crate::policy::{Action, Area, Scope};
use crate::resources::bank_transfer_lines::{BankTransferLine, BankTransferLines, LineState};
use crate::schema::bank_result_mismatches as m;
use crate::types::{Id, Instant, TextEnum, business_today, text_enum};
use crate::web::handlers::{deed_of, id_of, no_parameters, respond};
use crate::web::{Resource, body};

/// The largest file, in bytes.
const FILE_LIMIT: usize = 4 * 1024 * 1024;
/// Faults and mismatches that are told; more are counted.
const TOLD: usize = 200;

text_enum! {
    /// What the bank says of a payment.
    Outcome {
        Paid = "paid", "成功", "paid";
        Bounced = "bounced", "失败", "bounced";
    }
}

text_enum! {
    /// Why a row of the bank's file changes nothing.
    Mismatch {
        UnknownLine = "unknown_line", "本转账中没有此参考号", "no line of this transfer has this reference";
        AmountDiffers = "amount_differs", "金额与转账不符", "the amount is not the line's";
        Contradicts = "contradicts", "与先前的回执矛盾（已退回的又报成功）", "contradicts an earlier result: what had bounced is said to be paid";
    }
}

/// A row of the bank's file that changed nothing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MismatchedRow {
    /// Row of the file, as a spreadsheet counts: the header is row 1.
    row: u64,
    reference: String,
    /// In fen.
    amount_fen: i64,
    /// In fen; null where there is no such line.
    line_amount_fen: Option<i64>,
    mismatch: Mismatch,
    message: String,
}

/// What a result file did.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ResultReport {
    rows_read: i64,
    /// Lines that have arrived now.
    paid: i64,
    /// Lines that have bounced now.
    bounced: i64,
    /// Rows that said what was known already.
    unchanged: i64,
    /// Rows that changed nothing because they don't fit; they stand in the reconciliation.
    mismatched: i64,
    /// The first two hundred of them.
    mismatches: Vec<MismatchedRow>,
    /// Where the transfer stands now: `settled` when no line waits any more.
    state: TransferState,
}

/// What a file says of one payment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    row: u64,
    reference: String,
    amount_fen: i64,
    outcome: Outcome,
    reason: Option<String>,
    settled_on: Option<NaiveDate>,
}

#[derive(Insertable)]
#[diesel(table_name = m, treat_none_as_default_value = false)]
struct MismatchRow {
    id: Id,
    transfer_id: Id,
    reference: String,
    amount_fen: i64,
    outcome: Outcome,
    mismatch: Mismatch,
    bank_reason: Option<String>,
    settled_on: Option<NaiveDate>,
    created_at: Instant,
}

/// Takes the bank's result file: what arrived, what bounced. Rows that fit no line are kept and change nothing. The same
/// file twice changes nothing the second time.
#[utoipa::path(operation_id = "bank_transfers_import", tag = "bank-transfers", summary = "导入银行回执 / Bring in the bank's results",
    description = "CSV in UTF-8, with or without a byte order mark, with the columns 业务参考号 (reference), 金额（元） (amount_yuan) and 处理结果 (result: 成功/失败, paid/bounced), and if the bank gives them 失败原因 (reason) and 处理日期 (settled_on); other columns are left alone. A file that can't be read whole changes nothing.",
    params(("id" = Id, Path, description = "Id of the transfer."),
        ("Idempotency-Key" = String, Header, description = "Makes a retry safe: the same file gets the stored answer.")),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, description = "What it did.", body = ResultReport)))]
#[post("/bank-transfers/{id}/import")]
pub async fn results(request: HttpRequest, caller: Caller, db: web::Data<Db>, mut payload: web::Payload) -> Result<HttpResponse> {
    let scope = caller.actor.may(Area::Ledger, Action::Import)?;
    no_parameters(&request)?;
    let id = id_of(&request)?;
    let bytes = body::file(&request, &mut payload, &["text/csv"], FILE_LIMIT).await?;
    let deed = deed_of(&request, &caller, &bytes, true)?;
    let language = caller.language;
    let reply = db
        .write(deed, move |tx| {
            let told = read(&bytes, business_today(tx.now))?;
            let report = apply(tx, &scope, id, told, |says| says.in_language(language).to_owned())?;
            let body = serde_json::to_vec(&report).map_err(Error::internal)?;
            Ok(Reply { status: 200, location: None, etag: None, body, kept: None, replayed: false })
        })
        .await?;
    Ok(respond(reply))
}

/// What a column is called.
const COLUMNS: [(&str, &[&str]); 5] = [
    ("reference", &["业务参考号", "参考号", "reference"]),
    ("amount_yuan", &["金额（元）", "金额(元)", "金额", "amount_yuan"]),
    ("result", &["处理结果", "交易结果", "结果", "状态", "result"]),
    ("reason", &["失败原因", "退汇原因", "原因", "reason"]),
    ("settled_on", &["处理日期", "交易日期", "日期", "settled_on"]),
];
const REQUIRED: usize = 3;

fn outcome(text: &str) -> Option<Outcome> {
    match text {
        "成功" | "交易成功" | "已到账" | "paid" => Some(Outcome::Paid),
        "失败" | "交易失败" | "退汇" | "已退回" | "bounced" => Some(Outcome::Bounced),
        _ => None,
    }
}

/// Yuan as banks write them, `3,500.00`, in fen; never rounded.
fn fen(text: &str) -> Option<i64> {
    let text = text.trim_start_matches(['¥', '￥']).replace(',', "");
    let (yuan, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if yuan.is_empty() || !digits(yuan) || !digits(fraction) || fraction.len() > 2 {
        return None;
    }
    format!("{yuan}{fraction:0<2}").parse().ok().filter(|fen| *fen > 0)
}

/// A day as banks write it.
fn day(text: &str) -> Option<NaiveDate> {
    ["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d"].iter().find_map(|form| NaiveDate::parse_from_str(text, form).ok())
}

/// The rows of a file, or all its faults.
fn read(bytes: &[u8], today: NaiveDate) -> Result<Vec<Told>> {
    let bytes = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| {
        Error::because(
            Code::ValidationFailed,
            "文件不是 UTF-8 编码；请在银行系统或 Excel 中另存为“CSV UTF-8”",
            "the file is not UTF-8; save it as 'CSV UTF-8'",
        )
    })?;
    let mut faults: Vec<Fault> = Vec::new();
    let mut reader = csv::ReaderBuilder::new().has_headers(true).trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|_| Error::field("", "unreadable", "文件不是 CSV", "this is not CSV"))?.clone();
    let places = COLUMNS.map(|(_, names)| header.iter().position(|cell| names.iter().any(|name| name.eq_ignore_ascii_case(cell))));
    for ((name, names), place) in COLUMNS.iter().zip(&places).take(REQUIRED) {
        if place.is_none() {
            let says = Says::new(
                format!("第 1 行缺少列“{}”；也可写作 {}", names[0], names[1..].join("、")),
                format!("row 1 lacks the column {name}; it may also be called {}", names.join(", ")),
            );
            faults.push(Fault::new(format!("/1/{name}"), "missing_column", says));
        }
    }
    Error::unless_empty(std::mem::take(&mut faults))?;

    let mut all = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    for (row, record) in (2_u64..).zip(reader.records()) {
        let Ok(record) = record else {
            faults.push(Fault::new(
                format!("/{row}"),
                "unreadable",
                Says::new(format!("第 {row} 行无法读取"), format!("row {row} can't be read")),
            ));
            break;
        };
        let cell = |i: usize| places[i].and_then(|place| record.get(place)).filter(|text| !text.is_empty());
        let mut wrong = |name: &str, code, zh: String, en: String| {
            faults.push(Fault::new(format!("/{row}/{name}"), code, Says::new(format!("第 {row} 行：{zh}"), format!("row {row}: {en}"))));
        };
        let reference = cell(0).map(str::to_owned);
        if reference.is_none() {
            wrong("reference", "required", "业务参考号不能为空".into(), "the reference is missing".into());
        } else if reference.as_ref().is_some_and(|reference| reference.chars().count() > 80) {
            wrong("reference", "too_long", "业务参考号最多 80 个字".into(), "a reference has at most 80 characters".into());
        } else if reference.as_ref().is_some_and(|reference| !seen.insert(reference.clone())) {
            wrong("reference", "twice", "业务参考号在文件中重复".into(), "the reference stands twice in the file".into());
        }
        let amount_fen = cell(1).and_then(fen);
        if amount_fen.is_none() {
            wrong(
                "amount_yuan",
                "invalid_amount",
                "金额应为元，最多两位小数，如 3,500.00".into(),
                "the amount is in yuan, as 3,500.00".into(),
            );
        }
        let outcome = cell(2).and_then(outcome);
        if outcome.is_none() {
            wrong("result", "unknown_entry", "处理结果应为“成功”或“失败”".into(), "the result is 'paid' or 'bounced'".into());
        }
        let settled_on = cell(4).map(day);
        if settled_on.is_some_and(|day| day.is_none_or(|day| day > today)) {
            wrong(
                "settled_on",
                "invalid_date",
                format!("日期应为 2022-06-17 的形式，且不晚于今天（{today}）"),
                format!("a day is written 2022-06-17 and is not later than today ({today})"),
            );
        }
        if let (Some(reference), Some(amount_fen), Some(outcome)) = (reference, amount_fen, outcome) {
            let reason = cell(3).map(|text| text.chars().take(200).collect());
            all.push(Told { row, reference, amount_fen, outcome, reason, settled_on: settled_on.flatten() });
        }
    }
    if all.is_empty() && faults.is_empty() {
        let says = Says::new("文件里没有任何一行回执", "the file holds no result");
        faults.push(Fault::new("", "empty_file", says));
    }
    faults.truncate(TOLD);
    Error::unless_empty(faults)?;
    Ok(all)
}

fn apply(tx: &mut Tx<'_>, scope: &Scope, id: Id, told: Vec<Told>, say: impl Fn(&Says) -> String) -> Result<ResultReport> {
    let transfer = take(tx, scope, id)?;
    if !matches!(transfer.state, TransferState::Sent | TransferState::Settled) {
        return Err(Error::because(
            Code::StepNotAllowed,
            "此转账的文件尚未发出，不会有回执；请核对是哪一次转账",
            "this transfer's file is not out, so there is no result of it; see which transfer it is",
        ));
    }
    let known: Vec<BankTransferLine> =
        lines::table.filter(lines::transfer_id.eq(id)).select(BankTransferLine::as_select()).load(tx.conn)?;
    let known: HashMap<String, BankTransferLine> = known.into_iter().map(|line| (line.code.clone(), line)).collect();
    let mut report =
        ResultReport { rows_read: 0, paid: 0, bounced: 0, unchanged: 0, mismatched: 0, mismatches: Vec::new(), state: transfer.state };
    // What says the same of many lines is written once for all of them.
    type News = (LineState, Option<NaiveDate>, Option<String>);
    let mut news: BTreeMap<News, Vec<Id>> = BTreeMap::new();
    let mut misfits: Vec<MismatchRow> = Vec::new();
    for told in told {
        report.rows_read += 1;
        let line = known.get(&told.reference);
        let (mismatch, to) = match (line.map(|line| (line.state, line.amount_fen)), told.outcome) {
            (None, _) => (Some(Mismatch::UnknownLine), None),
            (Some((_, amount_fen)), _) if amount_fen != told.amount_fen => (Some(Mismatch::AmountDiffers), None),
            (Some((LineState::Paid, _)), Outcome::Paid) | (Some((LineState::Bounced, _)), Outcome::Bounced) => (None, None),
            // Banks send back days later what they first took.
            (Some((LineState::Waiting | LineState::Paid, _)), Outcome::Bounced) => (None, Some(LineState::Bounced)),
            (Some((LineState::Waiting, _)), Outcome::Paid) => (None, Some(LineState::Paid)),
            (Some((LineState::Bounced | LineState::Cancelled, _)), _) => (Some(Mismatch::Contradicts), None),
        };
        match (mismatch, to, line) {
            (Some(mismatch), ..) => {
                report.mismatched += 1;
                if report.mismatches.len() < TOLD {
                    let (zh, en) = mismatch.label();
                    let ours = line.map(|line| yuan(line.amount_fen));
                    let says = match (&ours, mismatch) {
                        (Some(ours), Mismatch::AmountDiffers) => Says::new(
                            format!("{zh}：文件为 {} 元，转账为 {ours} 元", yuan(told.amount_fen)),
                            format!("{en}: {} yuan in the file, {ours} in the transfer", yuan(told.amount_fen)),
                        ),
                        _ => Says::new(zh, en),
                    };
                    report.mismatches.push(MismatchedRow {
                        row: told.row,
                        reference: told.reference.clone(),
                        amount_fen: told.amount_fen,
                        line_amount_fen: line.map(|line| line.amount_fen),
                        mismatch,
                        message: say(&says),
                    });
                }
                misfits.push(MismatchRow {
                    id: Id::new(),
                    transfer_id: id,
                    reference: told.reference,
                    amount_fen: told.amount_fen,
                    outcome: told.outcome,
                    mismatch,
                    bank_reason: told.reason,
                    settled_on: told.settled_on,
                    created_at: tx.now,
                });
            }
            (None, Some(to), Some(line)) => {
                if to == LineState::Paid {
                    report.paid += 1
                } else {
                    report.bounced += 1
                }
                let reason = told.reason.filter(|_| to == LineState::Bounced);
                news.entry((to, told.settled_on, reason)).or_default().push(line.id);
                let detail = json!({"state": [line.state, to], "settled_on": [line.settled_on, told.settled_on]});
                tx.audit(Action::Import.code(), BankTransferLines::NAME, Some(line.id), Some(line.organization_id), Some(&detail));
            }
            _ => report.unchanged += 1,
        }
    }
    for ((state, settled_on, reason), ids) in news {
        diesel::update(lines::table.filter(lines::id.eq_any(ids)))
            .set((
                lines::state.eq(state),
                lines::settled_on.eq(settled_on),
                lines::bank_reason.eq(reason),
                lines::version.eq(lines::version + 1),
                lines::updated_at.eq(tx.now),
            ))
            .execute(tx.conn)?;
    }
    keep(tx, id, misfits)?;
    let waiting = lines::table.filter(lines::transfer_id.eq(id)).filter(lines::state.eq(LineState::Waiting)).select(lines::id);
    if waiting.first::<Id>(tx.conn).optional()?.is_none() {
        report.state = TransferState::Settled;
    }
    if report.paid + report.bounced + report.mismatched > 0 {
        diesel::update(t::table.filter(t::id.eq(id)))
            .set((t::state.eq(report.state), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
            .execute(tx.conn)?;
        let detail = json!({
            "rows_read": report.rows_read, "paid": report.paid, "bounced": report.bounced, "mismatched": report.mismatched,
            "state": [transfer.state, report.state],
        });
        tx.audit(Action::Import.code(), BankTransfers::NAME, Some(id), Some(transfer.organization_id), Some(&detail));
    }
    Ok(report)
}

/// Keeps what doesn't fit, each once.
fn keep(tx: &mut Tx<'_>, id: Id, mut misfits: Vec<MismatchRow>) -> Result<()> {
    if misfits.is_empty() {
        return Ok(());
    }
    let kept: Vec<(String, i64, Outcome, Mismatch)> =
        m::table.filter(m::transfer_id.eq(id)).select((m::reference, m::amount_fen, m::outcome, m::mismatch)).load(tx.conn)?;
    misfits.retain(|row| !kept.contains(&(row.reference.clone(), row.amount_fen, row.outcome, row.mismatch)));
    Ok(insert_all!(&mut *tx.conn, m::table, misfits)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_days() {
        for (text, right) in [("3,500.00", Some(350_000)), ("￥3500", Some(350_000)), ("0.5", Some(50)), ("0.05", Some(5))] {
            assert_eq!(fen(text), right, "{text}");
        }
        for text in ["", "0", "0.00", "-1", "1.234", "1e3", "3500元", "99999999999999999999"] {
            assert_eq!(fen(text), None, "{text}");
        }
        let right = NaiveDate::from_ymd_opt(2022, 6, 17);
        assert_eq!(["2022-06-17", "20220617", "2022/6/17", "17.6.2022"].map(day), [right, right, right, None]);
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let today = NaiveDate::from_ymd_opt(2022, 7, 1).expect("a day");
        let fine = "\u{FEFF}业务参考号,户名,金额(元),处理结果,失败原因,处理日期\r\nA-0001,王某,\"3,500.00\",成功,,20220617\r\nA-0002,李某,20,失败,账号不存在,\r\n";
        let told = read(fine.as_bytes(), today).expect("a file");
        assert_eq!(
            told.iter().map(|t| (t.amount_fen, t.outcome)).collect::<Vec<_>>(),
            [(350_000, Outcome::Paid), (2_000, Outcome::Bounced)]
        );
        assert_eq!(told[1].reason.as_deref(), Some("账号不存在"));
        let bad = "reference,amount_yuan,result,settled_on\nA,1.005,maybe,2022-08-01\n,1,paid,\nA,1,paid,\n";
        let faults = read(bad.as_bytes(), today).expect_err("faults").faults;
        let mut at: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        at.sort_unstable();
        assert_eq!(at, ["/2/amount_yuan", "/2/result", "/2/settled_on", "/3/reference", "/4/reference"]);
        assert_eq!(read(b"reference,result\nA,paid\n", today).expect_err("a column").faults.len(), 1);
        assert!(read(&[0xD0, 0xF2, 0xBA, 0xC5], today).is_err());
    }
}
