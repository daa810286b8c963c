//! The facts of a circular put into words, for people to go on with.

use std::fmt::Write;

use chrono::NaiveDate;

use super::facts::{CircularFacts, CountyBrief, CountyTimeliness, Ranking};
use super::findings::{CountyFindings, FindingBrief, OpenFindings};
use crate::types::{Month, Precision, TextEnum};

/// Places that the text names; the facts hold more.
const NAMED: usize = 5;
/// Open findings of a county that it tells.
const FINDINGS_TOLD: usize = 3;

fn month(month: Month) -> String {
    format!("{} 年 {} 月", month.year(), month.number())
}

fn day(day: NaiveDate) -> String {
    day.format("%Y 年 %-m 月 %-d 日").to_string()
}

fn names<'a>(counties: impl Iterator<Item = &'a CountyBrief>) -> String {
    let all: Vec<&str> = counties.map(|county| county.name.as_str()).collect();
    let named = all.iter().take(2 * NAMED).copied().collect::<Vec<_>>().join("、");
    if all.len() > 2 * NAMED { format!("{named}等 {} 个协会", all.len()) } else { named }
}

/// A number with its unit, as people write it; money in yuan.
pub fn number(value: i64, precision: Precision, unit: &str) -> String {
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
    if let Some(open) = facts.open_findings.as_ref().filter(|open| open.open > 0) {
        let number = if facts.movements.is_empty() { "三" } else { "四" };
        let _ = write!(text, "\n{number}、检查发现问题整改情况\n{}", still_open(open));
    }
    text
}

/// What is still to be seen to: how much in all, and the first counties each on a line of its own.
fn still_open(findings: &OpenFindings) -> String {
    let graded = [("严重", findings.critical), ("较重", findings.serious), ("一般", findings.minor)].into_iter().filter(|(_, n)| *n > 0);
    let graded: Vec<String> = graded.map(|(grade, n)| format!("{grade} {n} 个")).collect();
    let mut text = format!(
        "截至 {}，{} 个协会尚有 {} 个问题待整改，其中{}{}。\n",
        day(findings.as_at),
        findings.counties,
        findings.open,
        graded.join("、"),
        overdue(findings.overdue)
    );
    for county in findings.rows.iter().take(NAMED) {
        text.push_str(&still_open_in(county));
    }
    text
}

fn still_open_in(county: &CountyFindings) -> String {
    let told: Vec<String> = county.gravest.iter().take(FINDINGS_TOLD).map(finding).collect();
    let others = if usize::try_from(county.open).is_ok_and(|open| open > told.len()) { "等" } else { "" };
    format!("{}：待整改 {} 个{}：{}{others}。\n", county.county.name, county.open, overdue(county.overdue), told.join("；"))
}

fn overdue(findings: i64) -> String {
    if findings > 0 { format!("，已超过整改期限 {findings} 个") } else { String::new() }
}

fn finding(finding: &FindingBrief) -> String {
    let description = finding.description.trim_end_matches(['。', '；', '.', ';']);
    let late = if finding.overdue { "，已超期" } else { "" };
    format!("{description}（{}，整改期限 {}{late}）", finding.severity.label().0, day(finding.due_on))
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
    use crate::resources::inspection_findings::FindingSeverity;

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
            open_findings: None,
        };
        assert_eq!(
            write(&facts),
            "根据《四个一工程月报表》，现将2022 年 5 月至2022 年 6 月各县市区协会上报情况通报如下。\n\n一、上报情况\n\
             应报 3 个协会，其中全部按时上报的 1 个。\n逾期上报的有：高新区。\n未上报的有：上街区。\n\n二、进展排名\n\
             1. 助学金：依次为登封市（3500.50余元）；2 个协会尚无审核通过的数字。\n\n三、较上月变化\n\
             高新区：志愿者由 9人 减至 7人。\n"
        );
        let on = |text: &str| text.parse::<NaiveDate>().expect("a day");
        let due = |description: &str, severity, due_on: &str, overdue| FindingBrief {
            code: "f".into(),
            organization_name: "登封市".into(),
            severity,
            description: description.into(),
            due_on: on(due_on),
            overdue,
        };
        let dengfeng = CountyFindings {
            county: county("登封市"),
            open: 4,
            overdue: 1,
            critical: 0,
            serious: 2,
            minor: 2,
            gravest: vec![
                due("没有值班记录。", FindingSeverity::Serious, "2022-06-30", true),
                due("台账不全", FindingSeverity::Serious, "2022-07-31", false),
                due("标牌破损", FindingSeverity::Minor, "2022-07-31", false),
                due("未更新名单", FindingSeverity::Minor, "2022-07-31", false),
            ],
            records_url: String::new(),
        };
        let open = OpenFindings {
            as_at: on("2022-07-20"),
            open: 4,
            overdue: 1,
            critical: 0,
            serious: 2,
            minor: 2,
            counties: 1,
            rows: vec![dengfeng],
        };
        let told = write(&CircularFacts { movements: vec![], open_findings: Some(open), ..facts.clone() });
        assert!(
            told.ends_with(
                "\n\n三、检查发现问题整改情况\n截至 2022 年 7 月 20 日，1 个协会尚有 4 个问题待整改，其中较重 2 个、一般 2 个，已超过整改期限 1 个。\n\
                 登封市：待整改 4 个，已超过整改期限 1 个：没有值班记录（较重，整改期限 2022 年 6 月 30 日，已超期）；\
                 台账不全（较重，整改期限 2022 年 7 月 31 日）；标牌破损（一般，整改期限 2022 年 7 月 31 日）等。\n"
            ),
            "{told}"
        );
        // Nothing is said where nothing is open.
        let nothing =
            OpenFindings { as_at: on("2022-07-20"), open: 0, overdue: 0, critical: 0, serious: 0, minor: 0, counties: 0, rows: vec![] };
        assert_eq!(write(&CircularFacts { open_findings: Some(nothing), ..facts.clone() }), write(&facts));
    }
}
