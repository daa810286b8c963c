//! The annual report as a workbook: a sheet for each chapter, whose numbers can be reckoned with, and one of definitions.

use rust_xlsxwriter::{Color, DocProperties, ExcelDateTime, Format, FormatAlign, Url, Workbook, Worksheet, XlsxError};

use super::annual::{AnnualReport, ReportedFigure, Section};
use super::words;
use crate::error::{Error, Language, Result};
use crate::figures::{self, Figure};
use crate::types::{TextEnum, business_today};

struct Formats {
    title: Format,
    head: Format,
    text: Format,
    whole: Format,
    money: Format,
    link: Format,
}

impl Formats {
    fn new() -> Self {
        let cell = || Format::new().set_align(FormatAlign::Top).set_text_wrap();
        Self {
            title: Format::new().set_bold().set_font_size(14),
            head: Format::new().set_bold().set_background_color(Color::RGB(0xD9_E2_F3)).set_align(FormatAlign::Center).set_text_wrap(),
            text: cell(),
            whole: cell().set_num_format("#,##0"),
            money: cell().set_num_format("#,##0.00"),
            link: cell().set_font_color(Color::RGB(0x1F_4E_79)).set_underline(rust_xlsxwriter::FormatUnderline::Single),
        }
    }
}

/// The whole workbook. `base` is the address that callers use, so that links work wherever the file is read.
pub fn render(report: &AnnualReport, base: &str, language: Language) -> Result<Vec<u8>> {
    workbook(report, base, language == Language::Zh).map_err(Error::internal)
}

fn workbook(report: &AnnualReport, base: &str, zh: bool) -> Result<Vec<u8>, XlsxError> {
    let formats = Formats::new();
    let mut book = Workbook::new();
    // A frozen report is the same file whenever it is fetched.
    let made = ExcelDateTime::from_timestamp(report.computed_at.0.timestamp())?;
    book.set_properties(&DocProperties::new().set_creation_datetime(&made));
    for section in &report.sections {
        let sheet = book.add_worksheet();
        sheet.set_name(sheet_name(section, zh))?;
        chapter(sheet, report, section, base, zh, &formats)?;
    }
    let sheet = book.add_worksheet();
    sheet.set_name(if zh { "上报对照" } else { "Differences" })?;
    differences(sheet, report, zh, &formats)?;
    let sheet = book.add_worksheet();
    sheet.set_name(if zh { "指标定义" } else { "Definitions" })?;
    definitions(sheet, report, zh, &formats)?;
    book.save_to_buffer()
}

/// The chapter's title, without the marks that no sheet may have in its name, and no longer than those may be.
fn sheet_name(section: &Section, zh: bool) -> String {
    let title = format!("{}{}", words::numbered(section.number, zh), if zh { &section.title_zh } else { &section.title_en });
    title.chars().filter(|c| !"[]:*?/\\'".contains(*c)).take(31).collect()
}

fn headed(sheet: &mut Worksheet, row: u32, heads: &[(&str, f64)], formats: &Formats) -> Result<(), XlsxError> {
    for (column, (head, width)) in (0_u16..).zip(heads) {
        sheet.write_string_with_format(row, column, *head, &formats.head)?;
        sheet.set_column_width(column, *width)?;
    }
    sheet.set_freeze_panes(row + 1, 1)?;
    Ok(())
}

/// A number in the unit that stands beside it; nothing where nothing is known: a formula over it passes it over.
fn number(sheet: &mut Worksheet, row: u32, column: u16, value: Option<i64>, figure: &Figure, formats: &Formats) -> Result<(), XlsxError> {
    // Whole numbers below 2^53, and amounts in yuan to the fen, are what a cell can hold.
    let Some(value) = value else { return Ok(()) };
    match figure.unit.as_ref() {
        "fen" => sheet.write_number_with_format(row, column, value as f64 / 100.0, &formats.money)?,
        _ => sheet.write_number_with_format(row, column, value as f64, &formats.whole)?,
    };
    Ok(())
}

fn chapter(
    sheet: &mut Worksheet,
    report: &AnnualReport,
    section: &Section,
    base: &str,
    zh: bool,
    formats: &Formats,
) -> Result<(), XlsxError> {
    let title = if zh { &report.title_zh } else { &report.title_en };
    sheet.write_string_with_format(0, 0, title, &formats.title)?;
    let (year, before) = (report.year.to_string(), (report.year - 1).to_string());
    let heads: [(&str, f64); 8] = if zh {
        [
            ("指标", 36.0),
            (&year, 16.0),
            (&before, 16.0),
            ("单位", 10.0),
            ("精确度", 14.0),
            ("记录", 10.0),
            ("填报单位", 36.0),
            ("代码", 44.0),
        ]
    } else {
        [
            ("Figure", 44.0),
            (&year, 16.0),
            (&before, 16.0),
            ("Unit", 14.0),
            ("Precision", 14.0),
            ("Records", 10.0),
            ("Held by", 36.0),
            ("Code", 44.0),
        ]
    };
    headed(sheet, 2, &heads, formats)?;
    for (row, reported) in (3_u32..).zip(&section.figures) {
        let ReportedFigure { figure, year_before, .. } = reported;
        let unit = match (figure.unit.as_ref(), zh) {
            ("fen", true) => "元",
            ("fen", false) => "yuan",
            (_, true) => &figure.unit_zh,
            (code, false) => figures::unit(code).1,
        };
        sheet.write_string_with_format(row, 0, if zh { &*figure.label_zh } else { &*figure.label_en }, &formats.text)?;
        number(sheet, row, 1, figure.value, figure, formats)?;
        number(sheet, row, 2, year_before.value, figure, formats)?;
        sheet.write_string_with_format(row, 3, unit, &formats.text)?;
        let (precision_zh, precision_en) = figure.precision.label();
        sheet.write_string_with_format(row, 4, if zh { precision_zh } else { precision_en }, &formats.text)?;
        let link = Url::new(format!("{base}{}", figure.records_url)).set_text(figure.records.to_string());
        sheet.write_url_with_format(row, 5, link, &formats.link)?;
        sheet.write_string_with_format(row, 6, held_by(figure, zh), &formats.text)?;
        sheet.write_string_with_format(row, 7, figure.code.as_ref(), &formats.text)?;
    }
    Ok(())
}

fn held_by(figure: &Figure, zh: bool) -> String {
    let names: Vec<&str> = figure.holders.iter().map(|holder| holder.short_name.as_deref().unwrap_or(&holder.name)).collect();
    let more = figure.holders_total.saturating_sub(names.len());
    let names = names.join(words::between(zh));
    match (more, zh) {
        (0, _) => names,
        (more, true) => format!("{names}，另 {more} 个"),
        (more, false) => format!("{names} and {more} more"),
    }
}

/// What each figure counts: that its number can be told anew.
fn definitions(sheet: &mut Worksheet, report: &AnnualReport, zh: bool, formats: &Formats) -> Result<(), XlsxError> {
    let day = business_today(report.computed_at);
    sheet.write_string_with_format(0, 0, words::preface(Some(report.year - 1), day, zh), &formats.text)?;
    sheet.merge_range(0, 0, 0, 5, &words::preface(Some(report.year - 1), day, zh), &formats.text)?;
    sheet.set_row_height(0, 48)?;
    let heads: [(&str, f64); 6] = if zh {
        [("代码", 44.0), ("指标", 36.0), ("类别", 12.0), ("记录", 20.0), ("筛选", 48.0), ("口径", 30.0)]
    } else {
        [("Code", 44.0), ("Figure", 44.0), ("Kind", 12.0), ("Records", 20.0), ("Filter", 48.0), ("Of whom", 30.0)]
    };
    headed(sheet, 2, &heads, formats)?;
    for (row, defined) in (3_u32..).zip(&report.definitions) {
        let (kind_zh, kind_en) = defined.kind.label();
        let texts = if zh {
            [&*defined.code, &defined.label_zh, kind_zh, &defined.resource_zh, &defined.filter, &defined.holder_zh]
        } else {
            [&*defined.code, &defined.label_en, kind_en, &defined.resource_en, &defined.filter, &defined.holder_en]
        };
        for (column, text) in (0_u16..).zip(texts) {
            sheet.write_string_with_format(row, column, text, &formats.text)?;
        }
    }
    Ok(())
}

/// Where the counties have declared another number than the records say, and why.
fn differences(sheet: &mut Worksheet, report: &AnnualReport, zh: bool, formats: &Formats) -> Result<(), XlsxError> {
    let said = if zh {
        "各县市区协会每月上报并经审核通过的数字，与由记录算得的数字对照：时点数取最后一个已上报的月份，时期数为各月之和。只列上报过的指标。"
    } else {
        "What the counties have declared every month and was accepted, beside what the records say: of a stock the last month declared, of a \
         flow the sum of the months. Only figures that were declared."
    };
    sheet.write_string_with_format(0, 0, said, &formats.text)?;
    sheet.merge_range(0, 0, 0, 6, said, &formats.text)?;
    sheet.set_row_height(0, 48)?;
    let heads: [(&str, f64); 7] = if zh {
        [("指标", 36.0), ("上报", 16.0), ("记录算得", 16.0), ("相差", 16.0), ("上报份数", 12.0), ("说明", 60.0), ("代码", 44.0)]
    } else {
        [
            ("Figure", 44.0),
            ("Declared", 16.0),
            ("Computed", 16.0),
            ("Difference", 16.0),
            ("Returns", 12.0),
            ("Reasons", 60.0),
            ("Code", 44.0),
        ]
    };
    headed(sheet, 2, &heads, formats)?;
    let declared = report.sections.iter().flat_map(|section| &section.figures).filter(|reported| reported.declared.is_some());
    for (row, reported) in (3_u32..).zip(declared) {
        let figure = &reported.figure;
        sheet.write_string_with_format(row, 0, if zh { &*figure.label_zh } else { &*figure.label_en }, &formats.text)?;
        number(sheet, row, 1, reported.declared, figure, formats)?;
        number(sheet, row, 2, figure.value, figure, formats)?;
        let apart = reported.declared.zip(figure.value).map(|(declared, computed)| declared.saturating_sub(computed));
        number(sheet, row, 3, apart, figure, formats)?;
        number(sheet, row, 4, Some(reported.declared_returns), &Figure { unit: "unit".into(), ..figure.clone() }, formats)?;
        sheet.write_string_with_format(row, 5, reported.difference_reason.as_deref().unwrap_or_default(), &formats.text)?;
        sheet.write_string_with_format(row, 6, figure.code.as_ref(), &formats.text)?;
    }
    Ok(())
}
