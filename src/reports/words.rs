//! How a figure is put into words, the same in every form of a report.

use super::annual::{ReportedFigure, Section};
use crate::figures::{Figure, FigureValue, unit};
use crate::types::Precision;

const NUMERALS: [&str; 10] = ["一", "二", "三", "四", "五", "六", "七", "八", "九", "十"];
/// Holders that are named in the text; of more only the number is told.
const HOLDERS_NAMED: usize = 5;

/// The number of a chapter, with what follows it: `一、` or `1. `.
pub fn numbered(number: u8, zh: bool) -> String {
    match NUMERALS.get(usize::from(number).wrapping_sub(1)).filter(|_| zh) {
        Some(numeral) => format!("{numeral}、"),
        None => format!("{number}. "),
    }
}

/// The number of a part of a chapter, with what follows it: `（一）` or `(1) `.
pub fn part_numbered(number: usize, zh: bool) -> String {
    match NUMERALS.get(number.wrapping_sub(1)).filter(|_| zh) {
        Some(numeral) => format!("（{numeral}）"),
        None => format!("({number}) "),
    }
}

/// The figures of a chapter by its parts, in their order: one part without a title where it has none.
pub fn parts(section: &Section, zh: bool) -> Vec<(Option<&str>, &[ReportedFigure])> {
    let parts = section.figures.chunk_by(|one, next| part(one, zh) == part(next, zh));
    parts.map(|figures| (figures.first().and_then(|first| part(first, zh)), figures)).collect()
}

fn part(figure: &ReportedFigure, zh: bool) -> Option<&str> {
    if zh { figure.part_zh.as_deref() } else { figure.part_en.as_deref() }
}

/// What the report is, and how its numbers are read; with the year that stands in brackets, where one does.
pub fn preface(in_brackets: Option<i32>, day: chrono::NaiveDate, zh: bool) -> String {
    let day = day.format(if zh { "%Y年%-m月%-d日" } else { "%-d %B %Y" });
    match (in_brackets.map(|year| year.to_string()), zh) {
        (year, true) => {
            let brackets = year.map(|year| format!("；括号内为 {year} 年的数字")).unwrap_or_default();
            format!(
                "本报告由记录计算得出：每个数字都链接到它所依据的记录。“余”表示不少于，“约”表示约数，“未填报”表示没有记录说明{brackets}。计算日期：{day}。"
            )
        }
        (year, false) => {
            let brackets = year.map(|year| format!(" In brackets the number of {year};")).unwrap_or_default();
            format!(
                "Computed from the records: every number links to those behind it.{brackets} “not reported” where no record tells. Computed on {day}."
            )
        }
    }
}

/// Names of who holds the records, where these are others than the one that reports, and few.
pub fn holders(figure: &Figure) -> Vec<&str> {
    let others = figure.holders.iter().any(|holder| holder.id != figure.organization.id);
    if !others || figure.holders_total > HOLDERS_NAMED {
        return Vec::new();
    }
    figure.holders.iter().map(|holder| holder.short_name.as_deref().unwrap_or(&holder.name)).collect()
}

/// What the counties have declared, where that is another number than the records say.
pub fn declared(reported: &ReportedFigure, zh: bool) -> Option<String> {
    let value = FigureValue { value: reported.declared, precision: reported.declared_precision.unwrap_or(Precision::Exact) };
    reported.differs().then(|| {
        let said = written(value, &reported.figure, zh);
        if zh { format!("；上报 {said}") } else { format!("; declared: {said}") }
    })
}

/// The titles of what stands after the chapters.
pub fn problems(zh: bool) -> &'static str {
    if zh { "存在的问题" } else { "Problems" }
}

pub fn plans(zh: bool) -> &'static str {
    if zh { "下一步工作" } else { "What comes next" }
}

/// What stands between names.
pub fn between(zh: bool) -> &'static str {
    if zh { "、" } else { ", " }
}

/// A number as people write it: `162 支`, `1,200 余人次`, `约 18,000 块`, `322.4 万元`.
pub fn written(value: FigureValue, figure: &Figure, zh: bool) -> String {
    let Some(number) = value.value else { return if zh { "未填报".into() } else { "not reported".into() } };
    let (digits, unit) = match (figure.unit.as_ref(), zh) {
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
    fn chapters_have_numerals() {
        assert_eq!((numbered(1, true), numbered(5, false), numbered(11, true)), ("一、".into(), "5. ".into(), "11. ".into()));
    }
}
