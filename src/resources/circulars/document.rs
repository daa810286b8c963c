//! A circular as a Word document, laid out as [`official`] has it: title, number, what people have written, who signs and when; the rankings
//! follow as an annex.

use actix_web::{HttpRequest, HttpResponse, get, web};
use diesel::prelude::*;
use docx_rs::{Docx, Paragraph};

use super::facts::Ranking;
use super::{Circular, CircularState, Circulars, text};
use crate::auth::Caller;
use crate::db::Db;
use crate::error::Result;
use crate::files::attached;
use crate::policy::Action;
use crate::reports::{DOCX, official};
use crate::schema::organizations as o;
use crate::types::Id;
use crate::web::Resource;
use crate::web::handlers::{id_of, no_parameters};

/// The annex, as the text refers to it and as it is headed.
const ANNEX: &str = "各县市区协会进展排名";
/// What numbers headings.
const NUMERALS: &str = "一二三四五六七八九十百";

/// A circular as a Word document, laid out after GB/T 9704-2012, with the rankings of its facts as an annex. A draft is marked as one where
/// the number will stand.
#[utoipa::path(operation_id = "circulars_document", tag = "circulars", summary = "通报的 Word 文件 / A circular as a Word document",
    params(("id" = Id, Path, description = "Id of the circular.")),
    responses((status = 200, description = "The document.",
        content((String = "application/vnd.openxmlformats-officedocument.wordprocessingml.document")))))]
#[get("/circulars/{id}/document")]
pub async fn document(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    let scope = caller.actor.may(Circulars::AREA, Action::Read)?;
    let id = id_of(&request)?;
    no_parameters(&request)?;
    let (circular, issuer) = db
        .read(move |conn| {
            let circular = Circulars::find(conn, &scope, id)?;
            let issuer: String = o::table.find(circular.organization_id).select(o::name).first(conn)?;
            Ok((circular, issuer))
        })
        .await?;
    let name = attached(&format!("{}.docx", title(&circular)));
    let bytes = db.block_long(move || render(&circular, issuer)).await?;
    Ok(HttpResponse::Ok().content_type(DOCX).insert_header(name).body(bytes))
}

fn title(circular: &Circular) -> &str {
    circular.title.as_deref().unwrap_or("通报")
}

fn render(circular: &Circular, issuer: String) -> Result<Vec<u8>> {
    let mut sheet = official::page().add_paragraph(official::title(title(circular)));
    let number = if circular.state == CircularState::Draft { Some("草稿") } else { circular.number.as_deref() };
    if let Some(number) = number {
        sheet = sheet.add_paragraph(official::centred(number));
    }
    sheet = sheet.add_paragraph(official::paragraph());
    let lines = circular.text.as_deref().unwrap_or_default().lines().map(str::trim).filter(|line| !line.is_empty());
    for (n, line) in lines.enumerate() {
        sheet = sheet.add_paragraph(laid_out(line, n == 0));
    }
    let ranked: Vec<_> = circular.facts.iter().flat_map(|facts| &facts.rankings).filter(|ranking| !ranking.rows.is_empty()).collect();
    if !ranked.is_empty() {
        let named = official::indented().add_run(official::run(format!("附件：{ANNEX}")));
        sheet = sheet.add_paragraph(official::paragraph()).add_paragraph(named);
    }
    sheet = sheet.add_paragraph(official::paragraph()).add_paragraph(official::signature(issuer).keep_next(circular.issued_on.is_some()));
    if let Some(day) = circular.issued_on {
        sheet = sheet.add_paragraph(official::signature(day.format("%Y年%-m月%-d日").to_string()));
    }
    if !ranked.is_empty() {
        sheet = sheet.add_paragraph(official::annex("附件")).add_paragraph(official::title(ANNEX));
    }
    for (n, ranking) in (1..).zip(ranked) {
        sheet = with_ranking(sheet, n, ranking);
    }
    official::packed(sheet)
}

/// A line of the text. Whom it is sent to stands at the edge, `一、` and `（一）` begin headings, all else is a paragraph: a heading that goes
/// on as a sentence too.
fn laid_out(line: &str, is_first: bool) -> Paragraph {
    if is_first && line.ends_with('：') {
        return official::paragraph().add_run(official::run(line));
    }
    if !line.contains('。') {
        if is_numbered(line, '、') {
            return official::heading(line);
        }
        if line.strip_prefix('（').is_some_and(|inner| is_numbered(inner, '）')) {
            return official::subheading(line);
        }
    }
    official::indented().add_run(official::run(line))
}

/// Whether a line begins with a Chinese number and what ends it.
fn is_numbered(line: &str, end: char) -> bool {
    let rest = line.trim_start_matches(|c| NUMERALS.contains(c));
    rest.len() < line.len() && rest.starts_with(end)
}

/// Who has how much of a figure, as a table below its name.
fn with_ranking(sheet: Docx, n: usize, ranking: &Ranking) -> Docx {
    let columns = [("名次", 1_500), ("协会", official::TEXT_WIDTH - 4_000), ("数量", 2_500)];
    let columns = columns.map(|(heading, width)| official::Column { heading, width });
    let rows = ranking
        .rows
        .iter()
        .map(|row| [row.rank.to_string(), row.county.name.clone(), text::number(row.value, row.precision, &ranking.unit_zh)]);
    let mut sheet = sheet
        .add_paragraph(official::paragraph())
        .add_paragraph(official::indented().keep_next(true).add_run(official::run(format!("{n}. {}", ranking.label_zh))))
        .add_table(official::table(columns, rows));
    if ranking.unreported > 0 {
        let others = format!("另有 {} 个协会尚无审核通过的数字。", ranking.unreported);
        sheet = sheet.add_paragraph(official::indented().add_run(official::run(others)));
    }
    sheet
}
