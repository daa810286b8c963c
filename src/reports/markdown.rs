//! The annual report as Markdown: for people to read, with every number a link to its records.

use super::annual::{AnnualReport, ReportedFigure};
use super::words;
use crate::error::Language;
use crate::figures::{Figure, FigureValue};
use crate::types::business_today;

/// The whole document. `base` is the address that callers use, so that links work wherever the file is read.
pub fn render(report: &AnnualReport, base: &str, language: Language) -> String {
    let zh = language == Language::Zh;
    let day = business_today(report.computed_at);
    let title = plain(if zh { &report.title_zh } else { &report.title_en });
    let mut text = format!("# {title}\n\n> {}\n", words::preface(Some(report.year - 1), day, zh));
    for section in &report.sections {
        let title = if zh { &section.title_zh } else { &section.title_en };
        text.push_str(&format!("\n## {}{title}\n\n", words::numbered(section.number, zh)));
        for ((title, figures), part) in words::parts(section, zh).into_iter().zip(1..) {
            if let Some(title) = title {
                let apart = if part == 1 { "" } else { "\n" };
                text.push_str(&format!("{apart}### {}{}\n\n", words::part_numbered(part, zh), plain(title)));
            }
            figures.iter().for_each(|reported| text.push_str(&line(reported, base, zh)));
        }
    }
    let numbers = report.sections.len()..;
    let parts = [(words::problems(zh), &report.problems), (words::plans(zh), &report.plans)];
    for ((title, items), number) in parts.into_iter().filter(|(_, items)| !items.is_empty()).zip(numbers) {
        let number = u8::try_from(number + 1).unwrap_or(u8::MAX);
        text.push_str(&format!("\n## {}{title}\n\n", words::numbered(number, zh)));
        for (n, item) in (1..).zip(items) {
            text.push_str(&format!("{n}. {}\n", plain(&item.content)));
        }
    }
    text
}

fn line(reported: &ReportedFigure, base: &str, zh: bool) -> String {
    let figure = &reported.figure;
    let here = FigureValue { value: figure.value, precision: figure.precision };
    let shown = words::written(here, figure, zh);
    let linked = format!("[{shown}]({base}{})", figure.records_url);
    let before = words::written(reported.year_before, figure, zh);
    let label = plain(if zh { &figure.label_zh } else { &figure.label_en });
    let holders = holders(figure, zh);
    let declared = words::declared(reported, zh).unwrap_or_default();
    if zh {
        format!("- {label}：{linked}（{before}{declared}）{holders}\n")
    } else {
        format!("- {label}: {linked} ({before}{declared}){holders}\n")
    }
}

/// Who holds the records, after a colon.
fn holders(figure: &Figure, zh: bool) -> String {
    let names: Vec<_> = words::holders(figure).into_iter().map(plain).collect();
    match (names.is_empty(), zh) {
        (true, _) => String::new(),
        (false, true) => format!("：{}", names.join(words::between(zh))),
        (false, false) => format!(": {}", names.join(words::between(zh))),
    }
}

/// Text without what Markdown would take for its own: names come from callers.
fn plain(text: &str) -> std::borrow::Cow<'_, str> {
    let special = |c: char| r"\`*_{}[]()<>#+!|~&".contains(c);
    if !text.contains(|c: char| special(c) || c == '\n') {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' | '\r' => escaped.push(' '),
            c if special(c) => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_not_mark_up_the_report() {
        assert_eq!(plain("登封市见义勇为协会"), "登封市见义勇为协会");
        assert_eq!(plain("[点我](http://x)\n# 假标题"), r"\[点我\]\(http://x\) \# 假标题");
    }
}
