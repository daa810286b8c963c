//! The annual report as Markdown: for people to read, with every number a link to its records.

use super::annual::{AnnualReport, ReportedFigure};
use crate::error::Language;
use crate::figures::{Figure, FigureValue, unit};
use crate::types::{Precision, business_today};

const NUMERALS: [&str; 10] = ["一", "二", "三", "四", "五", "六", "七", "八", "九", "十"];
/// Holders that are named in the text; of more only the number is told.
const HOLDERS_NAMED: usize = 5;

/// The whole document. `base` is the address that callers use, so that links work wherever the file is read.
pub fn render(report: &AnnualReport, base: &str, language: Language) -> String {
    let zh = language == Language::Zh;
    let day = business_today(report.computed_at);
    let before = report.year - 1;
    let mut text = if zh {
        format!(
            "# {}\n\n> 本报告由记录计算得出：每个数字都链接到它所依据的记录。“余”表示不少于，“约”表示约数，“未掌握”表示没有记录说明；括号内为 {before} 年的数字。计算日期：{day}。\n",
            plain(&report.title_zh)
        )
    } else {
        format!(
            "# {}\n\n> Computed from the records: every number links to those behind it. In brackets the number of {before}; “not known” where no record tells. Computed on {day}.\n",
            plain(&report.title_en)
        )
    };
    for section in &report.sections {
        let number = usize::from(section.number);
        match NUMERALS.get(number.wrapping_sub(1)).filter(|_| zh) {
            Some(numeral) => text.push_str(&format!("\n## {numeral}、{}\n\n", section.title_zh)),
            None => text.push_str(&format!("\n## {number}. {}\n\n", section.title_en)),
        }
        for reported in &section.figures {
            text.push_str(&line(reported, base, zh));
        }
    }
    text
}

fn line(reported: &ReportedFigure, base: &str, zh: bool) -> String {
    let figure = &reported.figure;
    let here = FigureValue { value: figure.value, precision: figure.precision };
    let shown = written(here, figure, zh);
    let linked = format!("[{shown}]({base}{})", figure.records_url);
    let before = written(reported.year_before, figure, zh);
    let label = plain(if zh { figure.label_zh } else { figure.label_en });
    let holders = holders(figure, zh);
    if zh { format!("- {label}：{linked}（{before}）{holders}\n") } else { format!("- {label}: {linked} ({before}){holders}\n") }
}

/// Who holds the records, where these are others than the one that reports, and few.
fn holders(figure: &Figure, zh: bool) -> String {
    let others = figure.holders.iter().any(|holder| holder.id != figure.organization.id);
    if !others || figure.holders_total > HOLDERS_NAMED {
        return String::new();
    }
    let names: Vec<String> =
        figure.holders.iter().map(|holder| plain(holder.short_name.as_deref().unwrap_or(&holder.name)).into_owned()).collect();
    if zh { format!("：{}", names.join("、")) } else { format!(": {}", names.join(", ")) }
}

/// A number as people write it: `162 支`, `1,200 余人次`, `约 18,000 块`, `322.4 万元`.
fn written(value: FigureValue, figure: &Figure, zh: bool) -> String {
    let Some(number) = value.value else { return if zh { "未掌握".into() } else { "not known".into() } };
    let (digits, unit) = match (figure.unit, zh) {
        ("fen", true) if number >= 1_000_000 => (scaled(number, 6), "万元"),
        ("fen", true) => (scaled(number, 2), "元"),
        ("fen", false) => (scaled(number, 2), "yuan"),
        (code, true) => (grouped(number), unit(code).0),
        (code, false) => (grouped(number), unit(code).1),
    };
    match (value.precision, zh) {
        (Precision::Exact, _) => format!("{digits} {unit}"),
        (Precision::AtLeast, true) => format!("{digits} 余{unit}"),
        (Precision::About, true) => format!("约 {digits} {unit}"),
        (Precision::AtLeast, false) => format!("over {digits} {unit}"),
        (Precision::About, false) => format!("about {digits} {unit}"),
    }
}

/// A whole number divided by a power of ten, without trailing noughts; never through a float.
fn scaled(number: i64, places: u32) -> String {
    let by = 10_i64.pow(places);
    let fraction = format!("{:0width$}", (number % by).abs(), width = places as usize);
    let fraction = fraction.trim_end_matches('0');
    let whole = grouped(number / by);
    if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") }
}

fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
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
    fn numbers_as_people_write_them() {
        assert_eq!(scaled(322_400_000, 6), "322.4");
        assert_eq!(scaled(7_000_000, 6), "7");
        assert_eq!(scaled(1, 2), "0.01");
        assert_eq!(scaled(123_456_789_012, 6), "123,456.789012");
        assert_eq!(grouped(5708), "5,708");
        assert_eq!(grouped(100), "100");
        assert_eq!(grouped(-1_000_000), "-1,000,000");
    }

    #[test]
    fn names_can_not_mark_up_the_report() {
        assert_eq!(plain("登封市见义勇为协会"), "登封市见义勇为协会");
        assert_eq!(plain("[点我](http://x)\n# 假标题"), r"\[点我\]\(http://x\) \# 假标题");
    }
}
