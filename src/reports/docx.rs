//! The annual report as a Word document, laid out after GB/T 9704-2012 (党政机关公文格式): A4, 22 lines of 28 characters, the title in
//! 小标宋 of 22 pt, the text in 仿宋 of 16 pt, chapters 一、 in 黑体, their parts （一） in 楷体, figures 1., the page's number below. Fonts are named
//! and not embedded: the office's machines have them, and elsewhere another takes their place.

use std::io::Cursor;

use docx_rs::{
    AlignmentType, Docx, Footer, Hyperlink, HyperlinkType, LineSpacing, LineSpacingType, PageMargin, PageNum, Paragraph, Pic, Run,
    RunFonts, SpecialIndentType,
};

use super::annual::{AnnualReport, ReportedFigure};
use super::{pictures, words};
use crate::error::{Error, Language, Result};
use crate::figures::FigureValue;
use crate::types::business_today;

const TITLE: &str = "方正小标宋简体";
const TEXT: &str = "仿宋_GB2312";
const CHAPTER: &str = "黑体";
const PART: &str = "楷体_GB2312";
/// In half points: 2号 is 22 pt, 3号 16 pt, 4号 14 pt.
const NUMBER_2: usize = 44;
const NUMBER_3: usize = 32;
const NUMBER_4: usize = 28;
/// Twentieths of a point: a line of 28 pt, and two characters of 16 pt.
const LINE: i32 = 560;
const TWO_CHARACTERS: i32 = 640;

/// 156 mm, the width of the text, in the units that pictures are measured by: 36,000 to the millimetre.
const TEXT_WIDTH: u32 = 156 * 36_000;

/// Twentieths of a point that are so many millimetres.
const fn mm(millimetres: i32) -> i32 {
    millimetres * 1_440 * 10 / 254
}

fn font(name: &str) -> RunFonts {
    RunFonts::new().east_asia(name).ascii("Times New Roman").hi_ansi("Times New Roman")
}

fn run(text: impl Into<String>) -> Run {
    Run::new().add_text(text).size(NUMBER_3).fonts(font(TEXT))
}

fn paragraph() -> Paragraph {
    let line = LineSpacing::new().line_rule(LineSpacingType::Exact).line(LINE);
    Paragraph::new().line_spacing(line)
}

fn indented() -> Paragraph {
    paragraph().indent(None, Some(SpecialIndentType::FirstLine(TWO_CHARACTERS)), None, None)
}

/// The whole document. `base` is the address that callers use, so that links work wherever the file is read.
pub fn render(report: &AnnualReport, base: &str, language: Language) -> Result<Vec<u8>> {
    let zh = language == Language::Zh;
    let day = business_today(report.computed_at);
    let (title, signed) =
        if zh { (&report.title_zh, day.format("%Y年%-m月%-d日")) } else { (&report.title_en, day.format("%-d %B %Y")) };
    let number = Run::new().add_text("— ").size(NUMBER_4).fonts(font("宋体"));
    let end = Run::new().add_text(" —").size(NUMBER_4).fonts(font("宋体"));
    let mut document = Docx::new()
        // A4.
        .page_size(11_906, 16_838)
        .page_margin(PageMargin { top: mm(37), left: mm(28), bottom: mm(35), right: mm(26), header: mm(15), footer: mm(28), gutter: 0 })
        .default_size(NUMBER_3)
        .default_fonts(font(TEXT))
        .footer(Footer::new().add_paragraph(
            Paragraph::new().align(AlignmentType::Center).size(NUMBER_4).add_run(number).add_page_num(PageNum::new()).add_run(end),
        ))
        .add_paragraph(paragraph().align(AlignmentType::Center).add_run(Run::new().add_text(title).size(NUMBER_2).fonts(font(TITLE))))
        .add_paragraph(paragraph())
        .add_paragraph(indented().add_run(run(words::preface(Some(report.year - 1), day, zh))));
    for section in &report.sections {
        let heading = format!("{}{}", words::numbered(section.number, zh), if zh { &section.title_zh } else { &section.title_en });
        let heading = Run::new().add_text(heading).size(NUMBER_3).fonts(font(CHAPTER));
        document = document.add_paragraph(indented().keep_next(true).outline_lvl(0).add_run(heading));
        for ((title, figures), part) in words::parts(section, zh).into_iter().zip(1..) {
            if let Some(title) = title {
                let title = format!("{}{title}", words::part_numbered(part, zh));
                let title = Run::new().add_text(title).size(NUMBER_3).fonts(font(PART));
                document = document.add_paragraph(indented().keep_next(true).outline_lvl(1).add_run(title));
            }
            for (i, reported) in figures.iter().enumerate() {
                document = document.add_paragraph(line(i + 1, reported, base, zh));
            }
        }
    }
    let parts = [(words::problems(zh), &report.problems), (words::plans(zh), &report.plans)];
    let numbers = report.sections.len() + 1..;
    for ((title, items), number) in parts.into_iter().filter(|(_, items)| !items.is_empty()).zip(numbers) {
        let title = format!("{}{title}", words::numbered(u8::try_from(number).unwrap_or(u8::MAX), zh));
        let title = Run::new().add_text(title).size(NUMBER_3).fonts(font(CHAPTER));
        document = document.add_paragraph(indented().keep_next(true).outline_lvl(0).add_run(title));
        for (n, item) in (1..).zip(items) {
            document = document.add_paragraph(indented().add_run(run(format!("{n}. {}", item.content))));
        }
    }
    // The signature: to the right, four characters from the edge.
    let signature =
        |text: String| paragraph().align(AlignmentType::Right).indent(None, None, Some(2 * TWO_CHARACTERS), None).add_run(run(text));
    document = document
        .add_paragraph(paragraph())
        .add_paragraph(signature(report.organization.name.clone()).keep_next(true))
        .add_paragraph(signature(signed.to_string()));
    document = pictured(document, report, zh)?;
    let mut bytes = Cursor::new(Vec::new());
    document.build().pack(&mut bytes).map_err(Error::internal)?;
    Ok(bytes.into_inner())
}

/// The charts, behind the text: each with its number and title below it.
fn pictured(mut document: Docx, report: &AnnualReport, zh: bool) -> Result<Docx> {
    for (n, chart) in (1..).zip(&report.charts) {
        let (wide, high) = (pictures::WIDTH, pictures::height(chart));
        let png = pictures::png(&pictures::chart(chart, zh)?, wide)?;
        let picture = Pic::new_with_dimensions(png, wide, high).id(format!("rIdImage{n}")).size(TEXT_WIDTH, TEXT_WIDTH / wide * high);
        // Two stand on a page; the first begins one.
        let line = Paragraph::new().align(AlignmentType::Center).keep_next(true).page_break_before(n == 1);
        let title = if zh { format!("图 {n}　{}", chart.title_zh) } else { format!("Figure {n}: {}", chart.title_en) };
        document = document.add_paragraph(line.add_run(Run::new().add_image(picture))).add_paragraph(
            paragraph().align(AlignmentType::Center).add_run(Run::new().add_text(title).size(NUMBER_4).fonts(font(CHAPTER))),
        );
    }
    Ok(document)
}

/// `1. 志愿者队伍：162 支（150 支）：登封、新密。`, the number a link to its records.
fn line(n: usize, reported: &ReportedFigure, base: &str, zh: bool) -> Paragraph {
    let figure = &reported.figure;
    let here = FigureValue { value: figure.value, precision: figure.precision };
    let (label, colon) = if zh { (&figure.label_zh, "：") } else { (&figure.label_en, ": ") };
    let link = Hyperlink::new(format!("{base}{}", figure.records_url), HyperlinkType::External)
        .add_run(run(words::written(here, figure, zh)).color("1F4E79").underline("single"));
    let before = words::written(reported.year_before, figure, zh);
    let declared = words::declared(reported, zh).unwrap_or_default();
    let names = words::holders(figure).join(words::between(zh));
    let names = if names.is_empty() { names } else { format!("{colon}{names}") };
    let (open, close, stop) = if zh { ("（", "）", "。") } else { (" (", ")", ".") };
    indented()
        .add_run(run(format!("{n}. {label}{colon}")))
        .add_hyperlink(link)
        .add_run(run(format!("{open}{before}{declared}{close}{names}{stop}")))
}
