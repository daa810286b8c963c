//! The facts of a circular put into words, for people to go on with.

use std::fmt::Write;

use super::facts::{CircularFacts, CountyBrief, CountyTimeliness, Ranking};
use crate::types::{Month, Precision};

/// Places that the text names; the facts hold more.
const NAMED: usize = 5;

fn month(month: Month) -> String {
    format!("{} 年 {} 月", month.year(), month.number())
}

fn names<'a>(counties: impl Iterator<Item = &'a CountyBrief>) -> String {
    let all: Vec<&str> = counties.map(|county| county.name.as_str()).collect();
    let named = all.iter().take(2 * NAMED).copied().collect::<Vec<_>>().join("、");
    if all.len() > 2 * NAMED { format!("{named}等 {} 个协会", all.len()) } else { named }
}

fn number(value: i64, precision: Precision, unit: &str) -> String {
    match (precision, unit) {
        (precision, "分") => {
            let yuan = format!("{}.{:02}", value / 100, value % 100);
            let yuan = yuan.strip_suffix(".00").unwrap_or(&yuan);
            number_of(yuan, precision, "元")
        }
        (precision, unit) => number_of(&value.to_string(), precision, unit),
    }
}

fn number_of(digits: &str, precision: Precision, unit: &str) -> String {
    match precision {
        Precision::Exact => format!("{digits}{unit}"),
        Precision::AtLeast => format!("{digits}余{unit}"),
        Precision::About => format!("约{digits}{unit}"),
    }
}

/// The text that a circular begins with: paragraphs, each on a line of its own.
pub fn write(facts: &CircularFacts) -> String {
    let period = if facts.from_month == facts.to_month {
        month(facts.to_month)
    } else {
        format!("{}至{}", month(facts.from_month), month(facts.to_month))
    };
    let mut text = format!("根据《{}》，现将{period}各县市区协会上报情况通报如下。\n\n一、上报情况\n", facts.form_title);
    let with = |pick: fn(&CountyTimeliness) -> bool| facts.handed_in.iter().filter(move |of| pick(of)).map(|of| &of.county);
    let all_on_time = with(|of| of.late + of.missing == 0);
    // A String takes whatever is written to it.
    let _ = writeln!(text, "应报 {} 个协会，其中全部按时上报的 {} 个。", facts.counties, all_on_time.count());
    for (said, counties) in [("逾期上报", names(with(|of| of.late > 0))), ("未上报", names(with(|of| of.missing > 0)))] {
        if !counties.is_empty() {
            let _ = writeln!(text, "{said}的有：{counties}。");
        }
    }
    text.push_str("\n二、进展排名\n");
    for (n, ranking) in (1..).zip(&facts.rankings) {
        let _ = writeln!(text, "{n}. {}", ranked(ranking));
    }
    if !facts.movements.is_empty() {
        text.push_str("\n三、较上月变化\n");
        for moved in &facts.movements {
            let exact = |value| number(value, Precision::Exact, &moved.unit_zh);
            let way = if moved.after > moved.before { "增至" } else { "减至" };
            let _ = writeln!(text, "{}：{}由 {} {way} {}。", moved.county.name, moved.label_zh, exact(moved.before), exact(moved.after));
        }
    }
    text
}

fn ranked(ranking: &Ranking) -> String {
    if ranking.rows.is_empty() {
        return format!("{}：尚无审核通过的数字。", ranking.label_zh);
    }
    let first = ranking.rows.iter().take(NAMED);
    let first: Vec<String> =
        first.map(|row| format!("{}（{}）", row.county.name, number(row.value, row.precision, &ranking.unit_zh))).collect();
    let unreported =
        if ranking.unreported > 0 { format!("；{} 个协会尚无审核通过的数字", ranking.unreported) } else { String::new() };
    let order = if ranking.rows.len() > NAMED { format!("居前 {NAMED} 位的是") } else { "依次为".to_owned() };
    format!("{}：{order}{}{unreported}。", ranking.label_zh, first.join("、"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::circulars::facts::{Movement, RankedCounty};

    #[test]
    fn a_circular_reads_like_one() {
        let county = |name: &str| CountyBrief { code: name.into(), name: name.into() };
        let of =
            |name: &str, on_time, late, missing| CountyTimeliness { county: county(name), on_time, late, missing, pending: 0, accepted: 0 };
        let facts = CircularFacts {
            form_title: "四个一工程月报表".into(),
            from_month: "2022-05".parse().expect("a month"),
            to_month: "2022-06".parse().expect("a month"),
            counties: 3,
            handed_in: vec![of("登封市", 2, 0, 0), of("高新区", 1, 1, 0), of("上街区", 0, 0, 2)],
            rankings: vec![Ranking {
                figure: "f".into(),
                label_zh: "助学金".into(),
                label_en: "student aid".into(),
                unit_zh: "分".into(),
                rows: vec![RankedCounty { rank: 1, county: county("登封市"), value: 350_050, precision: Precision::AtLeast }],
                unreported: 2,
            }],
            movements: vec![Movement {
                figure: "g".into(),
                label_zh: "志愿者".into(),
                label_en: "volunteers".into(),
                unit_zh: "人".into(),
                county: county("高新区"),
                before: 9,
                after: 7,
            }],
        };
        assert_eq!(
            write(&facts),
            "根据《四个一工程月报表》，现将2022 年 5 月至2022 年 6 月各县市区协会上报情况通报如下。\n\n一、上报情况\n\
             应报 3 个协会，其中全部按时上报的 1 个。\n逾期上报的有：高新区。\n未上报的有：上街区。\n\n二、进展排名\n\
             1. 助学金：依次为登封市（3500.50余元）；2 个协会尚无审核通过的数字。\n\n三、较上月变化\n\
             高新区：志愿者由 9人 减至 7人。\n"
        );
    }
}
