//! A certificate on paper: a PDF page that says what is certified, and a code to scan by which anybody sees whether it still stands.

use std::sync::OnceLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::{Datelike, NaiveDate};
use diesel::prelude::*;
use krilla::Document;
use krilla::color::rgb;
use krilla::geom::{Path, PathBuilder, Point, Rect};
use krilla::metadata::{DateTime, Metadata};
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;
use krilla::text::{Font, TextDirection};
use qrcode::{Color, QrCode};

use super::{Certificate, CertificateState, Certificates};
use crate::app::Facts;
use crate::auth::Caller;
use crate::db::Db;
use crate::error::{Code, Error, Language, Result};
use crate::files::attached;
use crate::font;
use crate::policy::Action;
use crate::schema::organizations;
use crate::types::Id;
use crate::web::Resource;
use crate::web::handlers::{id_of, no_parameters};

/// A4, in points of 1/72 inch.
const PAGE: (f32, f32) = (595.3, 841.9);
const MARGIN: f32 = 84.0;
const TITLE: f32 = 30.0;
const TEXT: f32 = 16.0;
const SMALL: f32 = 10.0;
/// From one line of the text to the next.
const LEADING: f32 = 32.0;
/// A side of the code to scan.
const SCANNED: f32 = 96.0;
const RED: (u8, u8, u8) = (0x9c, 0x2a, 0x2a);
const INK: (u8, u8, u8) = (0x22, 0x22, 0x22);
const FAINT: (u8, u8, u8) = (0x77, 0x72, 0x68);
/// What doesn't begin a line (避头尾).
const CLOSING: &str = "，。；：、！？）〕》”’,.;:!?)";

/// A certificate as a PDF file, to print and hand over. By the code on it anybody reads `/public/certificates/{code}`.
#[utoipa::path(operation_id = "certificates_document", tag = "certificates", summary = "服务证明的文件 / A certificate as a PDF file",
    params(("id" = Id, Path, description = "Id of the certificate.")),
    responses((status = 200, description = "A page of A4.", content_type = "application/pdf", body = String)))]
#[get("/certificates/{id}/document")]
pub async fn certificate_document(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    facts: web::Data<Facts>,
) -> Result<HttpResponse> {
    let scope = caller.actor.may(Certificates::AREA, Action::Read)?;
    no_parameters(&request)?;
    let id = id_of(&request)?;
    let (certificate, association) = db
        .read(move |conn| {
            let certificate = Certificates::find(conn, &scope, id)?;
            let association: String = organizations::table.find(certificate.organization_id).select(organizations::name).first(conn)?;
            Ok((certificate, association))
        })
        .await?;
    if certificate.state == CertificateState::Withdrawn {
        return Err(Error::because(
            Code::StepNotAllowed,
            "证明已撤回，不再提供文件；如需证明请重新出具",
            "the certificate was withdrawn and has no document any more; issue another",
        ));
    }
    let name = format!("志愿服务证明 {}.pdf", certificate.code);
    let address = format!("{}/api/v1/public/certificates/{}", facts.public_url, certificate.verification_code);
    let zh = caller.language == Language::Zh;
    let pdf = db.block_long(move || render(&certificate, &association, &address, zh)).await?;
    Ok(HttpResponse::Ok()
        .content_type("application/pdf")
        .insert_header(attached(&name))
        .insert_header((header::VARY, "Accept-Language"))
        .body(pdf))
}

/// The words of a certificate, paragraph by paragraph.
fn words(certificate: &Certificate, zh: bool) -> [String; 2] {
    let Certificate { volunteer, from_on, to_on, minutes, records, .. } = certificate;
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let (from, to) = (day(*from_on, zh), day(*to_on, zh));
    let name = &volunteer.name;
    if zh {
        let rest = if minutes == 0 { String::new() } else { format!("{minutes}分钟") };
        let told = format!("兹证明{name}于{from}至{to}参加见义勇为志愿服务{records}次，经确认的服务时长共计{hours}小时{rest}。");
        [told, "特此证明。".to_owned()]
    } else {
        let told = format!(
            "This is to certify that {name} has served as a volunteer for courageous acts from {from} to {to}: {hours} h {minutes} min of confirmed service on {records} occasions."
        );
        [told, String::new()]
    }
}

fn day(day: NaiveDate, zh: bool) -> String {
    day.format(if zh { "%Y年%-m月%-d日" } else { "%-d %B %Y" }).to_string()
}

/// Lines no wider than that, broken between characters, or between the words of a text that has words.
fn lines(text: &str, size: f32, first_indent: f32, width: f32) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut joins = false;
    for c in text.chars() {
        let goes_on = CLOSING.contains(c) || (joins && c.is_ascii() && c != ' ');
        match pieces.last_mut().filter(|_| goes_on) {
            Some(piece) => piece.push(c),
            None => pieces.push(c.to_string()),
        }
        joins = c.is_ascii() && c != ' ';
    }
    let mut lines = vec![String::new()];
    for piece in pieces {
        let room = if lines.len() == 1 { width - first_indent } else { width };
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && font::width(line, size) + font::width(piece.trim_end(), size) > room {
            lines.push(piece.trim_start().to_owned());
        } else {
            line.push_str(&piece);
        }
    }
    lines
}

/// The typeface, read once.
fn typeface() -> Result<Font> {
    static READ: OnceLock<Option<Font>> = OnceLock::new();
    let read = READ.get_or_init(|| Font::new(font::BYTES.to_vec().into(), 0));
    read.clone().ok_or_else(|| Error::internal("the typeface can't be read"))
}

fn fill((red, green, blue): (u8, u8, u8)) -> Fill {
    Fill { paint: rgb::Color::new(red, green, blue).into(), opacity: NormalizedF32::ONE, ..Fill::default() }
}

fn stroke((red, green, blue): (u8, u8, u8), width: f32) -> Stroke {
    Stroke { paint: rgb::Color::new(red, green, blue).into(), width, ..Stroke::default() }
}

fn rectangle(x: f32, y: f32, width: f32, height: f32) -> Option<Path> {
    let mut path = PathBuilder::new();
    path.push_rect(Rect::from_xywh(x, y, width, height)?);
    path.finish()
}

/// Where a text stands of a point.
#[derive(Clone, Copy)]
enum At {
    Left(f32),
    Middle,
    Right(f32),
}

struct Page<'a, 'b> {
    surface: &'a mut Surface<'b>,
    font: Font,
}

impl Page<'_, '_> {
    fn text(&mut self, text: &str, at: At, y: f32, size: f32, colour: (u8, u8, u8)) {
        let text = font::drawable(text);
        let wide = font::width(&text, size);
        let x = match at {
            At::Left(x) => x,
            At::Middle => (PAGE.0 - wide) / 2.0,
            At::Right(x) => x - wide,
        };
        self.surface.set_stroke(None);
        self.surface.set_fill(Some(fill(colour)));
        self.surface.draw_text(Point::from_xy(x, y), self.font.clone(), size, &text, false, TextDirection::LeftToRight);
    }

    fn frame(&mut self, inset: f32, width: f32) {
        self.surface.set_fill(None);
        self.surface.set_stroke(Some(stroke(RED, width)));
        if let Some(path) = rectangle(inset, inset, PAGE.0 - 2.0 * inset, PAGE.1 - 2.0 * inset) {
            self.surface.draw_path(&path);
        }
    }

    /// A code to scan: one path of all its dark squares.
    fn scanned(&mut self, text: &str, x: f32, y: f32) -> Result<()> {
        let code = QrCode::new(text).map_err(Error::internal)?;
        let squares = code.width();
        let side = SCANNED / squares as f32;
        let mut path = PathBuilder::new();
        for (i, _) in code.to_colors().iter().enumerate().filter(|(_, colour)| **colour == Color::Dark) {
            let (column, row) = ((i % squares) as f32, (i / squares) as f32);
            if let Some(square) = Rect::from_xywh(x + column * side, y + row * side, side, side) {
                path.push_rect(square);
            }
        }
        self.surface.set_stroke(None);
        self.surface.set_fill(Some(fill(INK)));
        if let Some(path) = path.finish() {
            self.surface.draw_path(&path);
        }
        Ok(())
    }
}

/// The page. The same certificate is the same file whenever it is fetched.
fn render(certificate: &Certificate, association: &str, address: &str, zh: bool) -> Result<Vec<u8>> {
    let title = if zh { "志愿服务证明" } else { "Certificate of volunteer service" };
    let issued = certificate.issued_on;
    let date = DateTime::new(u16::try_from(issued.year()).unwrap_or_default())
        .month(u8::try_from(issued.month()).unwrap_or(1))
        .day(u8::try_from(issued.day()).unwrap_or(1));
    let mut document = Document::new();
    document.set_metadata(
        Metadata::new()
            .title(format!("{title} {}", certificate.code))
            .authors(vec![association.to_owned()])
            .language(if zh { "zh-CN" } else { "en" }.to_owned())
            .document_id(certificate.id.to_string())
            .creation_date(date),
    );
    let settings = PageSettings::from_wh(PAGE.0, PAGE.1).ok_or_else(|| Error::internal("a page without a size"))?;
    let mut sheet = document.start_page_with(settings);
    let mut surface = sheet.surface();
    let mut page = Page { surface: &mut surface, font: typeface()? };
    page.frame(36.0, 1.6);
    page.frame(42.0, 0.5);
    page.text(title, At::Middle, 180.0, TITLE, RED);
    let number = if zh { format!("编号：{}", certificate.code) } else { format!("No. {}", certificate.code) };
    page.text(&number, At::Middle, 212.0, SMALL + 1.0, FAINT);
    let (indent, width) = (if zh { 2.0 * TEXT } else { 0.0 }, PAGE.0 - 2.0 * MARGIN);
    let mut y = 290.0;
    for paragraph in words(certificate, zh).iter().filter(|text| !text.is_empty()) {
        for (i, line) in lines(paragraph, TEXT, indent, width).iter().enumerate() {
            let x = MARGIN + if i == 0 { indent } else { 0.0 };
            page.text(line, At::Left(x), y, TEXT, INK);
            y += LEADING;
        }
    }
    y += 2.0 * LEADING;
    page.text(association, At::Right(PAGE.0 - MARGIN), y, TEXT, INK);
    page.text(&day(issued, zh), At::Right(PAGE.0 - MARGIN), y + LEADING, TEXT, INK);
    let top = PAGE.1 - 74.0 - SCANNED;
    page.scanned(address, MARGIN, top)?;
    let beside = At::Left(MARGIN + SCANNED + 18.0);
    let code = &certificate.verification_code;
    let told = if zh {
        ["扫描左侧二维码，可核验本证明是否有效。".to_owned(), format!("核验码：{code}")]
    } else {
        ["Scan the code to see whether this certificate still stands.".to_owned(), format!("Verification code: {code}")]
    };
    for (i, line) in told.iter().enumerate() {
        page.text(line, beside, top + 36.0 + 20.0 * i as f32, SMALL, FAINT);
    }
    surface.finish();
    sheet.finish();
    document.finish().map_err(|why| Error::internal(format!("{why:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_where_they_may_be() {
        let text = "兹证明张三于2022年1月1日至2022年12月31日参加见义勇为志愿服务，共计十二小时。";
        let broken = lines(text, 16.0, 32.0, 160.0);
        assert_eq!(broken.concat(), text);
        assert!(broken.len() > 3, "{broken:?}");
        // Whatever closes may hang over the edge by itself.
        assert!(broken.iter().all(|line| font::width(line, 16.0) <= 160.0 + 16.0), "{broken:?}");
        assert!(broken.iter().all(|line| !line.starts_with(|c| CLOSING.contains(c))), "{broken:?}");
        assert!(broken.iter().any(|line| line.contains("2022")), "a number stays whole: {broken:?}");
        let words = lines("This is to certify that somebody has served", 16.0, 0.0, 160.0);
        assert!(words.len() > 1 && words.iter().all(|line| !line.starts_with(' ')), "{words:?}");
    }
}
