//! What an assessment comes to: pure, in whole hundredths of a point.
//!
//! An item that is wholly there gives its weight. A score gives the part of it that was scored, a count the part of what is required that
//! is there, and no more than all. Each item is rounded down to a hundredth, so that only who has everything has the whole total.

use chrono::{Months, NaiveDate};

use crate::resources::standards::{ItemKind, StandardItem, StandardLevel};

/// Hundredths of a point.
pub const POINT: i64 = 100;

/// What was found of one item; null is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Finding {
    pub met: Option<bool>,
    pub score: Option<i32>,
    pub count: Option<i32>,
}

/// What an item gives, in hundredths of a point; nothing is known while it is not answered.
pub fn achieved(item: &StandardItem, finding: Finding) -> Option<i64> {
    let whole = i64::from(item.weight) * POINT;
    let part = |of: i32| {
        // A standard has a maximum of each of these: see its draft's rules.
        let maximum = i64::from(item.maximum.unwrap_or(1).max(1));
        whole * i64::from(of).clamp(0, maximum) / maximum
    };
    match item.kind {
        ItemKind::YesNo => finding.met.map(|met| if met { whole } else { 0 }),
        ItemKind::Score => finding.score.map(part),
        ItemKind::Count => finding.count.map(part),
    }
}

/// The sum over all items, in hundredths of a point: unknown while one of them is.
pub fn total<'a>(found: impl IntoIterator<Item = (&'a StandardItem, Finding)>) -> Option<i64> {
    found.into_iter().map(|(item, finding)| achieved(item, finding)).sum()
}

/// What all items come to, in hundredths of a point.
pub fn maximum(items: &[StandardItem]) -> i64 {
    items.iter().map(|item| i64::from(item.weight) * POINT).sum()
}

/// The highest level that a total reaches; none below the lowest.
pub fn level(levels: &[StandardLevel], total: i64) -> Option<&str> {
    let reached = levels.iter().filter(|level| i64::from(level.least_points) * POINT <= total);
    reached.max_by_key(|level| level.least_points).map(|level| level.name.as_str())
}

/// The first day on which an assessment holds no more; `None` where it holds for ever. A month ends where it is too short for the day.
pub fn expires_on(assessed_on: NaiveDate, valid_months: Option<i32>) -> Option<NaiveDate> {
    let months = u32::try_from(valid_months?).ok()?;
    assessed_on.checked_add_months(Months::new(months))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(weight: i32, kind: ItemKind, maximum: Option<i32>) -> StandardItem {
        StandardItem { key: "k".into(), name: "项".into(), weight, kind, maximum, evidence_required: false }
    }

    #[test]
    fn what_items_give() {
        let met = |met: bool| Finding { met: Some(met), ..Finding::default() };
        let score = |score: i32| Finding { score: Some(score), ..Finding::default() };
        let count = |count: i32| Finding { count: Some(count), ..Finding::default() };
        let yes_no = item(20, ItemKind::YesNo, None);
        assert_eq!((achieved(&yes_no, met(true)), achieved(&yes_no, met(false))), (Some(2_000), Some(0)));
        assert_eq!(achieved(&yes_no, Finding::default()), None);
        // A third of ten points is 3.33, rounded down; all of it is all of it.
        let of_three = item(10, ItemKind::Score, Some(3));
        assert_eq!(
            (achieved(&of_three, score(1)), achieved(&of_three, score(2)), achieved(&of_three, score(3))),
            (Some(333), Some(666), Some(1_000))
        );
        // More than is required gives no more.
        let five = item(10, ItemKind::Count, Some(5));
        assert_eq!(
            (achieved(&five, count(4)), achieved(&five, count(5)), achieved(&five, count(50))),
            (Some(800), Some(1_000), Some(1_000))
        );
        assert_eq!(total([(&yes_no, met(true)), (&five, count(4))]), Some(2_800));
        assert_eq!(total([(&yes_no, met(true)), (&five, Finding::default())]), None, "what is unknown is not zero");
        assert_eq!(maximum(&[yes_no, of_three, five]), 4_000);
    }

    #[test]
    fn levels_and_days() {
        let levels = [("优秀", 90), ("达标", 60)].map(|(name, least_points)| StandardLevel { name: name.into(), least_points });
        assert_eq!((level(&levels, 5_999), level(&levels, 6_000), level(&levels, 9_000)), (None, Some("达标"), Some("优秀")));
        assert_eq!(level(&[], 9_000), None);
        let day = |text: &str| text.parse::<NaiveDate>().expect("a day");
        assert_eq!(expires_on(day("2022-06-17"), Some(24)), Some(day("2024-06-17")));
        assert_eq!(expires_on(day("2022-01-31"), Some(1)), Some(day("2022-02-28")));
        assert_eq!(expires_on(day("2022-06-17"), None), None);
    }

    fn items() -> impl Strategy<Value = Vec<(StandardItem, Finding)>> {
        let kinds = prop_oneof![Just(ItemKind::YesNo), Just(ItemKind::Score), Just(ItemKind::Count)];
        let one = (0..=10_000_i32, kinds, 1..=1_000_000_i32, 0..=1_000_000_i32).prop_map(|(weight, kind, maximum, found)| {
            let of = item(weight, kind, (kind != ItemKind::YesNo).then_some(maximum));
            (of, Finding { met: Some(found % 2 == 1), score: Some(found), count: Some(found) })
        });
        proptest::collection::vec(one, 1..=100)
    }

    proptest! {
        /// Whatever was found, the total is no less than nothing and no more than all items come to; all of everything is all.
        #[test]
        fn a_total_lies_between_nothing_and_all(found in items()) {
            let of: Vec<StandardItem> = found.iter().map(|(item, _)| item.clone()).collect();
            let sum = total(found.iter().map(|(item, finding)| (item, *finding))).expect("all is answered");
            prop_assert!((0..=maximum(&of)).contains(&sum));
            let all = |item: &StandardItem| Finding { met: Some(true), score: item.maximum, count: item.maximum };
            prop_assert_eq!(total(of.iter().map(|item| (item, all(item)))), Some(maximum(&of)));
        }

        /// Where more of one item is found, the total is no less.
        #[test]
        fn more_is_never_less(found in items(), which in any::<prop::sample::Index>(), more in 0..=1_000_000_i32) {
            let sum = |found: &[(StandardItem, Finding)]| total(found.iter().map(|(item, finding)| (item, *finding)));
            let mut better = found.clone();
            let (_, finding) = &mut better[which.index(found.len())];
            finding.met = Some(true);
            finding.score = finding.score.map(|score| score.saturating_add(more));
            finding.count = finding.count.map(|count| count.saturating_add(more));
            prop_assert!(sum(&better) >= sum(&found));
            // And where one is not answered, nothing is known.
            let (_, finding) = &mut better[which.index(found.len())];
            *finding = Finding::default();
            prop_assert_eq!(sum(&better), None);
        }
    }
}
