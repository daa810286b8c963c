//! Who is submitted meets the rules of the programme: see [`crate::eligibility`].

use std::collections::HashSet;

use chrono::NaiveDate;
use diesel::prelude::*;

use super::Disbursement;
use crate::db::Tx;
use crate::eligibility::{Beneficiary, EligibilityFact, People, judge};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::resources::eligibility_rules;
use crate::schema::{welfare_batches, welfare_programmes};
use crate::types::business_today;

/// How many refusals are told one by one.
const TOLD: usize = 20;

/// The day by which somebody is judged: the batch's first; else the last of the year that it counts in, once that is past; else
/// today.
fn judged_on(batch_starts_on: Option<NaiveDate>, year: i32, today: NaiveDate) -> NaiveDate {
    batch_starts_on.or_else(|| NaiveDate::from_ymd_opt(year, 12, 31).filter(|last| *last < today)).unwrap_or(today)
}

/// Refuses disbursements of one programme whose beneficiaries don't meet its rules, or of whom it isn't known. A group that is
/// known only as a whole can't be judged, and passes.
pub fn refuse_ineligible(tx: &mut Tx<'_>, given: &[Disbursement]) -> Result<()> {
    let named: Vec<(&Disbursement, Beneficiary)> =
        given.iter().filter_map(|one| Some((one, Beneficiary::named(one.hero_id, one.dependant_id)?))).collect();
    let Some((first, _)) = named.first() else { return Ok(()) };
    let rules = eligibility_rules::of_programme(tx.conn, first.programme_id)?;
    if rules.is_empty() {
        return Ok(());
    }
    let starts_on: Option<NaiveDate> = match first.batch_id {
        Some(id) => welfare_batches::table.filter(welfare_batches::id.eq(id)).select(welfare_batches::starts_on).first(tx.conn)?,
        None => None,
    };
    let kind = welfare_programmes::table.filter(welfare_programmes::id.eq(first.programme_id));
    let kind = kind.select(welfare_programmes::kind).first(tx.conn)?;
    let today = business_today(tx.now);
    let days: Vec<NaiveDate> = named.iter().map(|(one, _)| judged_on(starts_on, one.year, today)).collect();
    let asked: HashSet<EligibilityFact> =
        rules.iter().filter(|rule| days.iter().any(|day| rule.in_force(*day))).map(|rule| rule.fact).collect();
    let whom: Vec<Beneficiary> = named.iter().map(|(_, beneficiary)| *beneficiary).collect();
    let people = People::load(tx.conn, whom.iter().copied())?;
    if asked.contains(&EligibilityFact::OnceAYear) {
        people.hold(tx, &whom)?;
    }
    let in_years: Vec<(Beneficiary, i32)> = named.iter().map(|(one, beneficiary)| (*beneficiary, one.year)).collect();
    let facts = people.facts(tx.conn, tx.vault, &asked, kind, &in_years)?;

    let mut faults: Vec<Fault> = Vec::new();
    let mut refused: Vec<&str> = Vec::new();
    for (((one, beneficiary), day), facts) in named.iter().zip(&days).zip(&facts) {
        let before = faults.len();
        for rule in rules.iter().filter(|rule| rule.in_force(*day)) {
            let judged = judge(rule.demand(), facts, *day);
            let code = match judged.met {
                Some(true) => continue,
                Some(false) => "not_eligible",
                None => "fact_unknown",
            };
            let pointer = if matches!(beneficiary, Beneficiary::Hero(_)) { "/hero_id" } else { "/dependant_id" };
            let says = Says::new(
                format!("发放 {}：条件 {} 要求“{}”，{day} 实为：{}", one.code, rule.code, judged.wanted.zh, judged.found.zh),
                format!("{}: rule {} wants '{}', on {day} there was: {}", one.code, rule.code, judged.wanted.en, judged.found.en),
            );
            faults.push(Fault::new(pointer, code, says));
        }
        if faults.len() > before {
            refused.push(&one.code);
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    let (n, named) = (refused.len(), refused.iter().take(5).copied().collect::<Vec<_>>());
    let mut error = Error::because(
        Code::NotEligible,
        format!("{n} 笔发放的受益人不符合享受条件或情况未登记：{}{}；请核对人员、补登情况，或移出名单", named.join("、"), if n > named.len() { " 等" } else { "" }),
        format!(
            "the beneficiaries of {n} disbursements don't meet the rules, or their facts aren't recorded: {}{}; check them, record the facts, or take them off",
            named.join(", "),
            if n > named.len() { " and more" } else { "" }
        ),
    )
    .with("disbursement_codes", refused.into_iter().take(TOLD).collect::<Vec<_>>());
    faults.truncate(TOLD);
    error.faults = faults;
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_that_counts() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a day");
        let today = day("2026-11-25");
        assert_eq!(judged_on(Some(day("2022-07-10")), 2022, today), day("2022-07-10"));
        assert_eq!(judged_on(None, 2025, today), day("2025-12-31"));
        assert_eq!(judged_on(None, 2026, today), today);
        assert_eq!(judged_on(None, 2026, day("2026-12-31")), day("2026-12-31"));
        assert_eq!(judged_on(None, 2027, today), today);
    }
}
