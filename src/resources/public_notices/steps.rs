//! The way of a notice: published by another hand, then concluded or withdrawn, and corrected in the open.

use chrono::{Days, NaiveDate};
use diesel::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use validator::Validate;

use super::lines::{self, LineRow, Source};
use super::{Amounts, CORRECTIONS, NoticeState, PublicNotice, PublicNotices, Row};
use crate::db::{Tx, held, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::Scope;
use crate::resources::disbursements::{self, DisbursementState};
use crate::resources::rules::{self, ReasonBody};
use crate::schema::{notice_objections, public_notice_corrections as c, public_notice_lines as l, public_notices as t, welfare_batches};
use crate::types::{business_today, numbers_in};
use crate::web::verbs::{stale, step_body};
use crate::web::{Resource, save};

/// What was wrong, and what has been put right.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CorrectBody {
    /// Told to the public.
    #[schema(min_length = 1, max_length = 500, example = "第 3 行金额有误，已核实更正。")]
    #[validate(custom(function = "rules::public_text"))]
    note: String,
}

/// The last day of a notice of `days` days that is published on a day, which itself doesn't count (民法典, article 201).
pub fn last_day(published_on: NaiveDate, days: i32) -> Option<NaiveDate> {
    published_on.checked_add_days(Days::new(u64::try_from(days).ok()?))
}

/// Takes a notice's row for this transaction, as it was when it was read.
fn take(tx: &mut Tx<'_>, before: &PublicNotice) -> Result<Row> {
    let one = t::table.filter(t::id.eq(before.id));
    held!(tx.conn, one.select(t::id))?;
    let row: Row = one.select(Row::as_select()).first(tx.conn)?;
    if row.version == before.version { Ok(row) } else { Err(stale(row.version)) }
}

fn next(tx: &Tx<'_>, before: &Row) -> Row {
    Row { version: before.version + 1, updated_at: tx.now, ..before.clone() }
}

fn save(tx: &mut Tx<'_>, scope: &Scope, before: &Row, after: &Row) -> Result<PublicNotice> {
    save!(tx, t, before, after)?;
    PublicNotices::find(tx.conn, scope, after.id)
}

fn conflict(pointer: &str, code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Fault {
    Fault::new(pointer, code, Says::new(zh, en))
}

/// The first few of many codes.
fn some_of<'a>(codes: impl Iterator<Item = &'a str>) -> String {
    let codes: Vec<&str> = codes.collect();
    let rest = if codes.len() > 10 { format!(" …（{}）", codes.len()) } else { String::new() };
    codes.iter().take(10).copied().collect::<Vec<_>>().join("、") + &rest
}

/// The faults of a text that the public is to see, by whom the notice tells of: their whole names are not for it.
pub fn names_in(sources: &[Source], pointer: &str, text: &str) -> Option<Fault> {
    let named = sources.iter().filter(|source| source.name.as_deref().is_some_and(|name| name.chars().count() > 1 && text.contains(name)));
    let codes = some_of(named.map(|source| source.code.as_str()));
    (!codes.is_empty()).then(|| {
        conflict(
            pointer,
            "name_in_text",
            format!("含有名单中人员的全名（{codes}）；公示只写隐去部分文字的姓名，请修改"),
            format!("the whole name of somebody on the list stands in it ({codes}); a notice tells masked names alone"),
        )
    })
}

/// What stands in the way of telling these to the public.
fn obstacles(tx: &mut Tx<'_>, notice: &Row, sources: &[Source], texts: &[(&str, Option<&str>)]) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    if let Some(batch_id) = notice.batch_id {
        let totals = disbursements::sums(tx.conn, &[batch_id])?.remove(&batch_id);
        let drafts = totals.map_or(0, |totals| totals.in_state(DisbursementState::Draft));
        if drafts > 0 {
            faults.push(conflict(
                "/batch_id",
                "drafts_in_batch",
                format!("批次中还有 {drafts} 笔草稿；请先提交或取消"),
                format!("{drafts} disbursements of the batch are drafts; submit or cancel them first"),
            ));
        }
    }
    for source in sources {
        if source.what.as_deref().is_some_and(|what| !numbers_in(what).is_empty()) {
            let code = &source.code;
            faults.push(conflict(
                if notice.batch_id.is_some() { "/batch_id" } else { "/document_number" },
                "identifier_in_text",
                format!("记录 {code} 的待遇内容或称号中有像证件、手机、银行卡的号码；请先修改该记录"),
                format!("what record {code} gives seems to hold the number of a paper, a phone or a card; change that record first"),
            ));
        }
    }
    faults.extend(texts.iter().filter_map(|(pointer, text)| names_in(sources, pointer, (*text)?)));
    Ok(faults)
}

/// What a notice's lines come to: how many they are, for how many people where each of them says it, and the sum where it is told.
/// The sum of one amount is that amount, so it is told only where each is.
fn sums(notice: &mut Row, sources: &[&Source]) {
    notice.line_count = i64::try_from(sources.len()).ok();
    notice.people = sources.iter().map(|source| source.people).sum();
    let amounts: Vec<i64> = sources.iter().filter_map(|source| source.amount_fen).collect();
    let told = match notice.amounts {
        Amounts::Each => !amounts.is_empty(),
        Amounts::Total => amounts.len() > 1,
        Amounts::None => false,
    };
    notice.total_fen = told.then(|| amounts.iter().sum());
}

/// Nothing is added to the batch, or taken out of it, while it is read.
fn hold_batch(tx: &mut Tx<'_>, notice: &Row) -> Result<()> {
    if let Some(batch_id) = notice.batch_id {
        held!(tx.conn, welfare_batches::table.filter(welfare_batches::id.eq(batch_id)).select(welfare_batches::id))?;
    }
    Ok(())
}

/// `publish`: by another than who wrote it, of a whole batch or award, from today on.
pub fn publish(tx: &mut Tx<'_>, scope: &Scope, before: PublicNotice, _: &Value) -> Result<PublicNotice> {
    let actor = tx.actor()?;
    let before = take(tx, &before)?;
    hold_batch(tx, &before)?;
    let sources = lines::sources(tx.conn, &before, None, None)?;
    let texts = [("/title", Some(before.title.as_str())), ("/introduction", before.introduction.as_deref())];
    let mut faults = obstacles(tx, &before, &sources, &texts)?;
    let source = if before.batch_id.is_some() { "/batch_id" } else { "/document_number" };
    if sources.is_empty() {
        let (zh, en) = if before.batch_id.is_some() {
            ("批次中没有发放记录，无可公示", "the batch has no disbursements to tell of")
        } else {
            ("本单位及下级单位没有此文号的称号奖励，无可公示", "no honour here or below has this document number")
        };
        faults.push(conflict(source, "nothing_to_publish", zh, en));
    }
    let revoked = some_of(sources.iter().filter(|source| source.is_revoked()).filter_map(|source| source.hero_code.as_deref()));
    if !revoked.is_empty() {
        faults.push(conflict(
            source,
            "hero_revoked",
            format!("见义勇为人员 {revoked} 的称号已被撤销，不能公示；请先处理其记录"),
            format!("the title of hero {revoked} is revoked, so they can't be published; deal with their records first"),
        ));
    }
    if !faults.is_empty() {
        return Err(Error::with_faults(Code::Conflict, faults));
    }

    let today = business_today(tx.now);
    let rows: Vec<LineRow> = sources.iter().zip(1..).map(|(source, position)| source.line(&before, position, today)).collect();
    insert_all!(&mut *tx.conn, l::table, rows)?;
    let mut after = Row {
        state: NoticeState::Published,
        starts_on: Some(today),
        ends_on: last_day(today, before.days),
        published_by: Some(actor),
        ..next(tx, &before)
    };
    sums(&mut after, &sources.iter().collect::<Vec<_>>());
    save(tx, scope, &before, &after)
}

/// `withdraw`: it is no longer there for the public.
pub fn withdraw(tx: &mut Tx<'_>, scope: &Scope, before: PublicNotice, body: &Value) -> Result<PublicNotice> {
    let reason = step_body::<ReasonBody>(body)?.reason;
    let before = take(tx, &before)?;
    let after = Row { state: NoticeState::Withdrawn, reason: Some(reason), ..next(tx, &before) };
    save(tx, scope, &before, &after)
}

/// `conclude`: when its time is over and every objection has its answer.
pub fn conclude(tx: &mut Tx<'_>, scope: &Scope, before: PublicNotice, _: &Value) -> Result<PublicNotice> {
    let before = take(tx, &before)?;
    let today = business_today(tx.now);
    let mut faults = Vec::new();
    if let Some(ends_on) = before.ends_on.filter(|ends_on| today <= *ends_on) {
        faults.push(conflict(
            "/ends_on",
            "period_not_over",
            format!("公示期到 {ends_on} 为止，期满次日起才能办结"),
            format!("the notice runs until {ends_on}; it can be concluded from the day after"),
        ));
    }
    let unanswered: i64 = notice_objections::table
        .filter(notice_objections::notice_id.eq(before.id))
        .filter(notice_objections::answered_on.is_null())
        .count()
        .get_result(tx.conn)?;
    if unanswered > 0 {
        faults.push(conflict(
            "/objections",
            "objections_unanswered",
            format!("还有 {unanswered} 件异议没有答复"),
            format!("{unanswered} objections are not answered yet"),
        ));
    }
    if !faults.is_empty() {
        return Err(Error::with_faults(Code::Conflict, faults));
    }
    let after = Row { state: NoticeState::Concluded, ..next(tx, &before) };
    save(tx, scope, &before, &after)
}

/// `correct`: the lines are taken again from the records as they now are, and what changed is told with the reason.
///
/// Whose title has been revoked since is left out: that may be what is put right. Who was a minor when the notice was published
/// stays unnamed in it.
pub fn correct(tx: &mut Tx<'_>, scope: &Scope, before: PublicNotice, body: &Value) -> Result<PublicNotice> {
    let actor = tx.actor()?;
    let note = step_body::<CorrectBody>(body)?.note;
    let before = take(tx, &before)?;
    let published_on = before.starts_on.ok_or_else(|| Error::internal("a published notice without its day"))?;
    hold_batch(tx, &before)?;
    let mut sources = lines::sources(tx.conn, &before, None, None)?;
    let mut faults = obstacles(tx, &before, &sources, &[("/note", Some(&note))])?;
    let last: Option<i32> =
        c::table.filter(c::notice_id.eq(before.id)).order(c::number.desc()).select(c::number).first(tx.conn).optional()?;
    let number = last.unwrap_or_default() + 1;
    if number > CORRECTIONS {
        faults.push(conflict(
            "/note",
            "too_many_corrections",
            format!("一份公示最多更正 {CORRECTIONS} 次；请撤回后另行公示"),
            format!("a notice is corrected {CORRECTIONS} times at most; withdraw it and publish another"),
        ));
    }
    if !faults.is_empty() {
        return Err(Error::with_faults(Code::Conflict, faults));
    }
    sources.retain(|source| !source.is_revoked());

    let was = lines::kept(tx.conn, before.id, 0, None)?;
    let now = lines::taken_again(&before, &was, &sources, published_on);
    let changes = lines::changes(&was, &now);
    diesel::delete(l::table.filter(l::notice_id.eq(before.id))).execute(tx.conn)?;
    insert_all!(&mut *tx.conn, l::table, now)?;
    let mut after = next(tx, &before);
    sums(&mut after, &sources.iter().collect::<Vec<_>>());
    let correction = super::CorrectionRow {
        notice_id: before.id,
        number,
        note,
        corrected_on: business_today(tx.now),
        corrected_by: actor,
        changed_lines: i64::try_from(changes.len()).unwrap_or(i64::MAX),
        changes: serde_json::to_string(&changes).map_err(Error::internal)?,
        total_fen_before: before.total_fen,
        total_fen_after: after.total_fen,
    };
    let rows = [correction];
    insert_all!(&mut *tx.conn, c::table, rows)?;
    save(tx, scope, &before, &after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_day_does_not_count() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a day");
        assert_eq!(last_day(day("2026-11-17"), 7), Some(day("2026-11-24")));
        assert_eq!(last_day(day("2026-12-28"), 7), Some(day("2027-01-04")));
    }
}
