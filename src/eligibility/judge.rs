//! A rule and what is known of a person on a day: met, not met or unknown, with the words for it. Pure.

use chrono::NaiveDate;

use crate::error::Says;
use crate::resources::dependants::Relation;
use crate::resources::heroes::{DeedOutcome, HeroStatus, HonourLevel};
use crate::resources::honours::AwardLevel;
use crate::types::{TextEnum, age, text_enum};

text_enum! {
    /// What a rule asks of whoever is given something. What is asked of the hero is, of a dependant, asked of the hero whose
    /// dependant they are.
    EligibilityFact {
        Confirmed = "confirmed", "见义勇为已确认且未撤销", "the hero is confirmed and not revoked";
        Age = "age", "年龄", "age";
        Beneficiary = "beneficiary", "受益人", "who is given it";
        Relation = "relation", "与见义勇为人员的关系", "relation to the hero";
        DependantInForce = "dependant_in_force", "家属关系有效", "a dependant on the day";
        Outcome = "outcome", "伤亡情况", "what the deed cost the hero";
        Title = "title", "荣誉级别", "title of the hero";
        HonourLevel = "honour_level", "称号奖励级别", "level of the hero's honours";
        YearsSinceConfirmation = "years_since_confirmation", "确认后年数", "years since the confirmation";
        OnceAYear = "once_a_year", "同类保障每年一次", "the same kind once a year";
    }
}

text_enum! {
    /// Who is given something.
    BeneficiaryKind {
        Hero = "hero", "见义勇为人员", "hero";
        Dependant = "dependant", "家属", "dependant";
    }
}

/// Code, Chinese label, English label.
type Entries = &'static [(&'static str, &'static str, &'static str)];

/// What a rule says of its fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// Nothing: the fact holds or doesn't.
    Nothing,
    /// `min` and `max` in whole years, or one of them.
    Years,
    /// `one_of`, out of a dictionary.
    OneOf(Entries),
}

impl EligibilityFact {
    pub fn bounds(self) -> Bounds {
        match self {
            Self::Age | Self::YearsSinceConfirmation => Bounds::Years,
            Self::Beneficiary => Bounds::OneOf(BeneficiaryKind::ENTRIES),
            Self::Relation => Bounds::OneOf(Relation::ENTRIES),
            Self::Outcome => Bounds::OneOf(DeedOutcome::ENTRIES),
            Self::Title => Bounds::OneOf(HonourLevel::ENTRIES),
            Self::HonourLevel => Bounds::OneOf(AwardLevel::ENTRIES),
            Self::Confirmed | Self::DependantInForce | Self::OnceAYear => Bounds::Nothing,
        }
    }
}

/// What a rule demands.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    pub fact: EligibilityFact,
    pub min: Option<i32>,
    pub max: Option<i32>,
    pub one_of: &'a [String],
}

/// What ties a dependant to the hero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tie {
    pub relation: Relation,
    /// Since when; `None` is unknown.
    pub from_on: Option<NaiveDate>,
    /// The first day on which they are it no more; `None` is open.
    pub to_on: Option<NaiveDate>,
}

/// What is known of the hero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeroFacts {
    pub status: HeroStatus,
    pub outcome: Option<DeedOutcome>,
    pub title: Option<HonourLevel>,
    pub confirmed_on: Option<NaiveDate>,
    pub revoked_on: Option<NaiveDate>,
    /// Level and day of each honour.
    pub honours: Vec<(AwardLevel, Option<NaiveDate>)>,
}

/// What is known of a beneficiary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub born_on: Option<NaiveDate>,
    /// `None` of the hero themself.
    pub tie: Option<Tie>,
    pub hero: HeroFacts,
    /// How often the same kind of programme is given to them in the year already, or about to be.
    pub given: i64,
}

/// What came of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// `None` is unknown.
    pub met: Option<bool>,
    pub wanted: Says,
    pub found: Says,
}

/// Whether all are met: one that fails decides, and otherwise one that is unknown.
pub fn all_met(judged: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for one in judged {
        match one {
            Some(false) => return Some(false),
            None => all = None,
            Some(true) => {}
        }
    }
    all
}

/// What the facts of a person come to by a rule, on a day.
pub fn judge(demand: Demand<'_>, facts: &Facts, day: NaiveDate) -> Judgement {
    let (met, found) = match demand.fact {
        EligibilityFact::Confirmed => confirmed(&facts.hero, day),
        EligibilityFact::Age => of_age(demand, facts.born_on, day),
        EligibilityFact::Beneficiary => {
            listed(demand, if facts.tie.is_some() { BeneficiaryKind::Dependant } else { BeneficiaryKind::Hero })
        }
        EligibilityFact::Relation => facts.tie.map_or_else(no_tie, |tie| listed(demand, tie.relation)),
        EligibilityFact::DependantInForce => facts.tie.map_or_else(no_tie, |tie| in_force(tie, day)),
        EligibilityFact::Outcome => facts.hero.outcome.map_or_else(
            || unknown("伤亡情况未登记，请在见义勇为人员档案中补登", "not recorded: 'outcome' of the hero"),
            |outcome| listed(demand, outcome),
        ),
        EligibilityFact::Title => facts.hero.title.map_or_else(
            || unknown("荣誉级别未登记，请在见义勇为人员档案中补登", "not recorded: 'level' of the hero"),
            |title| listed(demand, title),
        ),
        EligibilityFact::HonourLevel => honoured(demand, &facts.hero.honours, day),
        EligibilityFact::YearsSinceConfirmation => since_confirmation(demand, &facts.hero, day),
        EligibilityFact::OnceAYear => {
            let n = facts.given;
            let found = if n == 0 {
                Says::new("本年度尚未享受同类保障", "nothing of this kind in the year yet")
            } else {
                Says::new(format!("本年度已另有 {n} 笔同类保障"), format!("{n} of this kind in the year already"))
            };
            (Some(n == 0), found)
        }
    };
    Judgement { met, wanted: wanted(demand), found }
}

/// What a rule demands, in words.
fn wanted(demand: Demand<'_>) -> Says {
    let (zh, en) = demand.fact.label();
    match demand.fact.bounds() {
        Bounds::Nothing => Says::new(zh, en),
        Bounds::Years => {
            let unit = if demand.fact == EligibilityFact::Age { "周岁" } else { "年" };
            match (demand.min, demand.max) {
                (Some(min), Some(max)) => Says::new(format!("{zh} {min} 至 {max} {unit}"), format!("{en}: {min} to {max}")),
                (Some(min), None) => Says::new(format!("{zh}不小于 {min} {unit}"), format!("{en}: at least {min}")),
                (None, Some(max)) => Says::new(format!("{zh}不大于 {max} {unit}"), format!("{en}: at most {max}")),
                (None, None) => Says::new(zh, en),
            }
        }
        Bounds::OneOf(entries) => {
            let chosen = || entries.iter().filter(|(code, ..)| demand.one_of.iter().any(|wanted| wanted == code));
            let labels_zh: Vec<&str> = chosen().map(|(_, zh, _)| *zh).collect();
            let labels_en: Vec<&str> = chosen().map(|(_, _, en)| *en).collect();
            Says::new(format!("{zh}：{}", labels_zh.join("或")), format!("{en}: {}", labels_en.join(" or ")))
        }
    }
}

type Found = (Option<bool>, Says);

fn unknown(zh: impl Into<String>, en: impl Into<String>) -> Found {
    (None, Says::new(zh, en))
}

fn no_tie() -> Found {
    (Some(false), Says::new("是见义勇为人员本人，不是家属", "the hero, who is nobody's dependant here"))
}

fn listed<T: TextEnum>(demand: Demand<'_>, value: T) -> Found {
    let (zh, en) = value.label();
    (Some(demand.one_of.iter().any(|code| code == value.code())), Says::new(zh, en))
}

fn within(demand: Demand<'_>, years: i32) -> bool {
    demand.min.is_none_or(|min| years >= min) && demand.max.is_none_or(|max| years <= max)
}

fn of_age(demand: Demand<'_>, born_on: Option<NaiveDate>, day: NaiveDate) -> Found {
    match born_on {
        None => unknown("年龄未知，请在人员档案中补登身份证号", "not recorded: 'id_number' of the person, which tells the age"),
        Some(born) if born > day => (Some(false), Says::new("当日尚未出生", "not born yet on the day")),
        Some(born) => {
            let years = age(born, day);
            (Some(within(demand, years)), Says::new(format!("{years} 周岁"), format!("aged {years}")))
        }
    }
}

fn in_force(tie: Tie, day: NaiveDate) -> Found {
    match (tie.from_on, tie.to_on) {
        (_, Some(to)) if to <= day => (Some(false), Says::new(format!("家属关系已于 {to} 截止"), format!("a dependant until {to}"))),
        (Some(from), _) if from > day => (Some(false), Says::new(format!("家属关系自 {from} 起"), format!("a dependant from {from} on"))),
        (Some(from), None) => (Some(true), Says::new(format!("自 {from} 起，未截止"), format!("since {from}"))),
        (Some(from), Some(to)) => (Some(true), Says::new(format!("自 {from} 起，至 {to} 截止"), format!("since {from}, until {to}"))),
        (None, _) => unknown("家属关系的起始日期未登记，请在家属档案中补登", "not recorded: 'from_on' of the dependant"),
    }
}

fn confirmed(hero: &HeroFacts, day: NaiveDate) -> Found {
    match (hero.status, hero.confirmed_on, hero.revoked_on) {
        (HeroStatus::Proposed, ..) => (Some(false), Says::new("申报中，尚未确认", "proposed, and not confirmed yet")),
        (HeroStatus::Revoked, _, None) => (Some(false), Says::new("称号已撤销", "the title is revoked")),
        (HeroStatus::Revoked, _, Some(on)) if on <= day => {
            (Some(false), Says::new(format!("称号已于 {on} 撤销"), format!("the title is revoked since {on}")))
        }
        (_, Some(on), _) if on > day => (Some(false), Says::new(format!("{on} 才确认"), format!("confirmed only on {on}"))),
        (_, Some(on), _) => (Some(true), Says::new(format!("已于 {on} 确认"), format!("confirmed on {on}"))),
        (_, None, _) => unknown("确认日期未登记，请在见义勇为人员档案中补登", "not recorded: 'confirmed_on' of the hero"),
    }
}

fn since_confirmation(demand: Demand<'_>, hero: &HeroFacts, day: NaiveDate) -> Found {
    match hero.confirmed_on {
        _ if hero.status == HeroStatus::Proposed => confirmed(hero, day),
        Some(on) if on > day => (Some(false), Says::new(format!("{on} 才确认"), format!("confirmed only on {on}"))),
        Some(on) => {
            let years = age(on, day);
            (Some(within(demand, years)), Says::new(format!("已于 {on} 确认，满 {years} 年"), format!("{years}, confirmed on {on}")))
        }
        None => unknown("确认日期未登记，请在见义勇为人员档案中补登", "not recorded: 'confirmed_on' of the hero"),
    }
}

/// One honour is enough. One without a day counts on none until its day is recorded.
fn honoured(demand: Demand<'_>, honours: &[(AwardLevel, Option<NaiveDate>)], day: NaiveDate) -> Found {
    let asked = |level: &AwardLevel| demand.one_of.iter().any(|code| code == level.code());
    let held = |level: &AwardLevel, on: &Option<NaiveDate>| on.is_some_and(|on| on <= day).then(|| level.label());
    if let Some((zh, en)) = honours.iter().filter(|(level, _)| asked(level)).find_map(|(level, on)| held(level, on)) {
        return (Some(true), Says::new(zh, en));
    }
    if honours.iter().any(|(level, on)| asked(level) && on.is_none()) {
        return unknown("称号奖励的授予日期未登记，请在称号奖励中补登", "not recorded: 'awarded_on' of the honour");
    }
    let mut levels: Vec<(&str, &str)> = honours.iter().filter_map(|(level, on)| held(level, on)).collect();
    levels.sort_unstable();
    levels.dedup();
    if levels.is_empty() {
        return (Some(false), Says::new("当日没有登记的称号奖励", "no honour is recorded by the day"));
    }
    let (zh, en): (Vec<&str>, Vec<&str>) = levels.into_iter().unzip();
    (Some(false), Says::new(zh.join("、"), en.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn child(born: &str) -> Facts {
        Facts {
            born_on: Some(day(born)),
            tie: Some(Tie { relation: Relation::Child, from_on: Some(day("2015-05-01")), to_on: None }),
            hero: HeroFacts {
                status: HeroStatus::Confirmed,
                outcome: Some(DeedOutcome::Fallen),
                title: Some(HonourLevel::CityModel),
                confirmed_on: Some(day("2020-02-29")),
                revoked_on: None,
                honours: vec![(AwardLevel::City, Some(day("2020-06-01"))), (AwardLevel::National, None)],
            },
            given: 0,
        }
    }

    fn years(fact: EligibilityFact, min: Option<i32>, max: Option<i32>) -> Demand<'static> {
        Demand { fact, min, max, one_of: &[] }
    }

    fn bare(fact: EligibilityFact) -> Demand<'static> {
        years(fact, None, None)
    }

    fn met(demand: Demand<'_>, facts: &Facts, on: &str) -> Option<bool> {
        judge(demand, facts, day(on)).met
    }

    fn among(fact: EligibilityFact, codes: &[&str], facts: &Facts, on: &str) -> Option<bool> {
        let one_of: Vec<String> = codes.iter().map(|code| (*code).to_owned()).collect();
        met(Demand { fact, min: None, max: None, one_of: &one_of }, facts, on)
    }

    #[test]
    fn an_age_changes_on_the_birthday() {
        let school = years(EligibilityFact::Age, Some(6), Some(22));
        let born = child("2010-09-01");
        assert_eq!(met(school, &born, "2016-08-31"), Some(false));
        assert_eq!(met(school, &born, "2016-09-01"), Some(true), "six on the day");
        assert_eq!(met(school, &born, "2033-08-31"), Some(true), "the last day of being 22");
        assert_eq!(met(school, &born, "2033-09-01"), Some(false));
        let old = judge(school, &born, day("2033-09-01"));
        assert_eq!((old.wanted.zh.as_str(), old.found.zh.as_str()), ("年龄 6 至 22 周岁", "23 周岁"));
        assert_eq!((old.wanted.en.as_str(), old.found.en.as_str()), ("age: 6 to 22", "aged 23"));
        // Who was born on 29 February has their birthday on 1 March where there is no such day.
        let leap = child("2012-02-29");
        assert_eq!(met(school, &leap, "2018-02-28"), Some(false));
        assert_eq!(met(school, &leap, "2018-03-01"), Some(true));
        assert_eq!(met(years(EligibilityFact::Age, Some(8), None), &leap, "2020-02-29"), Some(true));
    }

    #[test]
    fn open_ends_and_what_is_not_known() {
        let born = child("2010-09-01");
        assert_eq!(met(years(EligibilityFact::Age, Some(6), None), &born, "2100-01-01"), Some(true));
        assert_eq!(met(years(EligibilityFact::Age, None, Some(22)), &born, "2011-01-01"), Some(true));
        assert_eq!(met(years(EligibilityFact::Age, None, Some(22)), &born, "2010-08-31"), Some(false), "not born yet");
        let unborn = Facts { born_on: None, ..born };
        let judged = judge(years(EligibilityFact::Age, None, Some(22)), &unborn, day("2026-01-01"));
        assert_eq!(judged.met, None);
        assert!(judged.found.zh.contains("身份证号") && judged.found.en.contains("id_number"), "{judged:?}");
        assert_eq!(all_met([Some(true), None]), None);
        assert_eq!(all_met([None, Some(false), Some(true)]), Some(false), "what fails decides over what is unknown");
        assert_eq!(all_met([]), Some(true));
    }

    #[test]
    fn ties_are_in_force_from_their_first_day_and_not_on_the_last() {
        let facts = child("2010-09-01");
        let tie = bare(EligibilityFact::DependantInForce);
        assert_eq!(met(tie, &facts, "2015-04-30"), Some(false));
        assert_eq!(met(tie, &facts, "2015-05-01"), Some(true));
        let of = |from: Option<&str>, to: Option<&str>| {
            let tie = Tie { relation: Relation::Child, from_on: from.map(day), to_on: to.map(day) };
            Facts { tie: Some(tie), ..child("2010-09-01") }
        };
        assert_eq!(met(tie, &of(Some("2015-05-01"), Some("2020-05-01")), "2020-04-30"), Some(true));
        assert_eq!(met(tie, &of(Some("2015-05-01"), Some("2020-05-01")), "2020-05-01"), Some(false));
        assert_eq!(met(tie, &of(None, None), "2020-05-01"), None);
        assert_eq!(met(tie, &of(None, Some("2020-05-01")), "2020-05-01"), Some(false));
        let hero = Facts { tie: None, ..child("1980-01-01") };
        assert_eq!(met(tie, &hero, "2020-05-01"), Some(false));
        assert_eq!(among(EligibilityFact::Relation, &["child", "spouse"], &facts, "2020-05-01"), Some(true));
        assert_eq!(among(EligibilityFact::Relation, &["parent"], &facts, "2020-05-01"), Some(false));
        assert_eq!(among(EligibilityFact::Beneficiary, &["hero"], &hero, "2020-05-01"), Some(true));
        assert_eq!(among(EligibilityFact::Beneficiary, &["hero"], &facts, "2020-05-01"), Some(false));
    }

    #[test]
    fn what_is_asked_of_the_hero() {
        let facts = child("2010-09-01");
        let of = |hero: HeroFacts| Facts { hero, ..child("2010-09-01") };
        let confirmed = bare(EligibilityFact::Confirmed);
        assert_eq!(met(confirmed, &facts, "2020-02-28"), Some(false), "not yet on the day");
        assert_eq!(met(confirmed, &facts, "2020-02-29"), Some(true));
        let revoked = of(HeroFacts { status: HeroStatus::Revoked, revoked_on: Some(day("2024-01-01")), ..facts.hero.clone() });
        assert_eq!(met(confirmed, &revoked, "2023-12-31"), Some(true), "they were one then");
        assert_eq!(met(confirmed, &revoked, "2024-01-01"), Some(false));
        let undated = of(HeroFacts { confirmed_on: None, outcome: None, title: None, ..facts.hero.clone() });
        assert_eq!(met(confirmed, &undated, "2024-01-01"), None);
        assert_eq!(met(confirmed, &of(HeroFacts { status: HeroStatus::Proposed, ..facts.hero.clone() }), "2024-01-01"), Some(false));
        let five = years(EligibilityFact::YearsSinceConfirmation, None, Some(5));
        assert_eq!(met(five, &facts, "2026-02-28"), Some(true), "the sixth year is full on 1 March");
        assert_eq!(met(five, &facts, "2026-03-01"), Some(false));
        assert_eq!(met(five, &undated, "2026-03-01"), None);
        assert_eq!(among(EligibilityFact::Outcome, &["fallen", "disabled"], &facts, "2026-01-01"), Some(true));
        assert_eq!(among(EligibilityFact::Outcome, &["injured"], &facts, "2026-01-01"), Some(false));
        assert_eq!(among(EligibilityFact::Outcome, &["injured"], &undated, "2026-01-01"), None);
        assert_eq!(among(EligibilityFact::Title, &["city_model"], &facts, "2026-01-01"), Some(true));
        assert_eq!(among(EligibilityFact::Title, &["city_model"], &undated, "2026-01-01"), None);
        assert_eq!(among(EligibilityFact::HonourLevel, &["city", "provincial"], &facts, "2020-06-01"), Some(true));
        assert_eq!(among(EligibilityFact::HonourLevel, &["city"], &facts, "2020-05-31"), Some(false), "before it was awarded");
        assert_eq!(among(EligibilityFact::HonourLevel, &["national"], &facts, "2026-01-01"), None, "its day isn't recorded");
        assert_eq!(among(EligibilityFact::HonourLevel, &["county"], &facts, "2026-01-01"), Some(false));
        assert_eq!(met(bare(EligibilityFact::OnceAYear), &facts, "2026-01-01"), Some(true));
        assert_eq!(met(bare(EligibilityFact::OnceAYear), &Facts { given: 1, ..facts }, "2026-01-01"), Some(false));
    }

    /// Every fact has words for what it wants, in both languages.
    #[test]
    fn wants_are_told() {
        for fact in EligibilityFact::all() {
            let all: Vec<String> = match fact.bounds() {
                Bounds::OneOf(entries) => entries.iter().map(|(code, ..)| (*code).to_owned()).collect(),
                _ => Vec::new(),
            };
            let (min, max) = if fact.bounds() == Bounds::Years { (Some(1), Some(2)) } else { (None, None) };
            let says = wanted(Demand { fact, min, max, one_of: &all });
            assert!(!says.zh.is_empty() && !says.en.is_empty());
            assert_eq!(says.zh.matches('或').count(), all.len().saturating_sub(1), "{says:?}");
        }
    }
}
