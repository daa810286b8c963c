//! The annual report as a Word document, laid out as [`official`] has it.

use docx_rs::{Docx, Hyperlink, HyperlinkType, Paragraph};

use super::annual::{AnnualReport, ReportedFigure};
use super::official::{self, heading, indented, paragraph, run, signature, subheading};
use super::{pictures, words};
use crate::error::{Language, Result};
use crate::figures::FigureValue;
use crate::types::business_today;

/// The whole document. `base` is the address that callers use, so that links work wherever the file is read.
pub fn render(report: &AnnualReport, base: &str, language: Language) -> Result<Vec<u8>> {
    let zh = language == Language::Zh;
    let day = business_today(report.computed_at);
    let (title, signed) =
        if zh { (&report.title_zh, day.format("%Y年%-m月%-d日")) } else { (&report.title_en, day.format("%-d %B %Y")) };
    let mut document = official::page()
        .add_paragraph(official::title(title))
        .add_paragraph(paragraph())
        .add_paragraph(indented().add_run(run(words::preface(Some(report.year - 1), day, zh))));
    for section in &report.sections {
        let title = if zh { &section.title_zh } else { &section.title_en };
        document = document.add_paragraph(heading(format!("{}{title}", words::numbered(section.number, zh))));
        for ((title, figures), part) in words::parts(section, zh).into_iter().zip(1..) {
            if let Some(title) = title {
                document = document.add_paragraph(subheading(format!("{}{title}", words::part_numbered(part, zh))));
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
        document = document.add_paragraph(heading(title));
        for (n, item) in (1..).zip(items) {
            document = document.add_paragraph(indented().add_run(run(format!("{n}. {}", item.content))));
        }
    }
    document = document
        .add_paragraph(paragraph())
        .add_paragraph(signature(report.organization.name.clone()).keep_next(true))
        .add_paragraph(signature(signed.to_string()));
    official::packed(pictured(document, report, zh)?)
}

/// The charts, behind the text, on pages of their own.
fn pictured(mut document: Docx, report: &AnnualReport, zh: bool) -> Result<Docx> {
    for (n, chart) in (1..).zip(&report.charts) {
        let size = (pictures::WIDTH, pictures::height(chart));
        let png = pictures::png(&pictures::chart(chart, zh)?, size.0)?;
        let caption = if zh { format!("图 {n}　{}", chart.title_zh) } else { format!("Figure {n}: {}", chart.title_en) };
        let [picture, caption] = official::picture(n, png, size, caption);
        document = document.add_paragraph(picture.page_break_before(n == 1)).add_paragraph(caption);
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
