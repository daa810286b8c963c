//! What a circular tells, as the service knows it: who handed in and when, who has how much of what, what has moved most, and what inspections
//! found that is still to be seen to.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::findings::{self, OpenFindings};
use crate::db::AnyConnection;
use crate::error::Result;
use crate::figures::{self, FigureKind};
use crate::resources::monthly_returns::accepted::{Handed, handed_in};
use crate::resources::monthly_returns::{ReturnState, Timeliness};
use crate::resources::return_forms::ReturnForm;
use crate::schema::organizations;
use crate::types::{Id, Month, Precision};

/// How many counties a ranking names, and how many are named with what is open there.
pub const COUNTIES_NAMED: usize = 100;
/// How many movements are told of each figure.
const MOVEMENTS_TOLD: usize = 3;

/// A county, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountyBrief {
    pub code: String,
    /// Its short name where it has one.
    pub name: String,
}

/// What the service tells in a circular. It stays as it was when it was generated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CircularFacts {
    /// Of the form.
    pub form_title: String,
    pub from_month: Month,
    pub to_month: Month,
    /// How many counties were asked.
    pub counties: i64,
    /// How the returns of these months came in: the counties in the order of how many were in time.
    pub handed_in: Vec<CountyTimeliness>,
    /// For each figure of the form, who declares how much.
    pub rankings: Vec<Ranking>,
    /// What has changed most against the month before the last.
    pub movements: Vec<Movement>,
    /// What inspections found and is still open; null in circulars that were generated before it was told.
    pub open_findings: Option<OpenFindings>,
}

/// How a county's returns came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountyTimeliness {
    pub county: CountyBrief,
    pub on_time: i64,
    pub late: i64,
    pub missing: i64,
    /// Not due yet.
    pub pending: i64,
    /// How many were accepted.
    pub accepted: i64,
}

/// Who declares how much of a figure: a stock at the end of the last month, a flow in all months together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ranking {
    pub figure: String,
    pub label_zh: String,
    pub label_en: String,
    pub unit_zh: String,
    /// The first hundred.
    pub rows: Vec<RankedCounty>,
    /// How many counties have no accepted number.
    pub unreported: i64,
}

/// A county's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RankedCounty {
    /// From 1 on; who has as much has the same.
    pub rank: i64,
    pub county: CountyBrief,
    pub value: i64,
    pub precision: Precision,
}

/// What has changed in a county in the last month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Movement {
    pub figure: String,
    pub label_zh: String,
    pub label_en: String,
    pub unit_zh: String,
    pub county: CountyBrief,
    pub before: i64,
    pub after: i64,
}

/// Reads what there is to tell.
pub fn read(conn: &mut AnyConnection, root: Id, form: &ReturnForm, from: Month, to: Month, today: NaiveDate) -> Result<CircularFacts> {
    // The month before the last is what the last is held against.
    let earliest = to.before().map_or(from, |before| before.min(from));
    let handed = handed_in(conn, root, &form.key, earliest, to, today)?;
    let mut ids: Vec<Id> = handed.iter().map(|one| one.organization_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut named: HashMap<Id, CountyBrief> = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(5_000) {
        let found: Vec<(Id, String, String, Option<String>)> = organizations::table
            .filter(organizations::id.eq_any(chunk))
            .select((organizations::id, organizations::code, organizations::name, organizations::short_name))
            .load(conn)?;
        named.extend(found.into_iter().map(|(id, code, name, short)| (id, CountyBrief { code, name: short.unwrap_or(name) })));
    }
    let open_findings = Some(findings::read(conn, root, today)?);
    Ok(CircularFacts { open_findings, ..told(form, from, to, &handed, &named) })
}

/// What returns come to, and nothing else: pure.
fn told(form: &ReturnForm, from: Month, to: Month, handed: &[Handed], named: &HashMap<Id, CountyBrief>) -> CircularFacts {
    let within: Vec<&Handed> = handed.iter().filter(|one| one.month >= from).collect();
    let mut counties: HashMap<Id, CountyTimeliness> = HashMap::new();
    for one in &within {
        let Some(county) = named.get(&one.organization_id) else { continue };
        let of = counties.entry(one.organization_id).or_insert_with(|| CountyTimeliness {
            county: county.clone(),
            on_time: 0,
            late: 0,
            missing: 0,
            pending: 0,
            accepted: 0,
        });
        match one.timeliness {
            Timeliness::OnTime => of.on_time += 1,
            Timeliness::Late => of.late += 1,
            Timeliness::Missing => of.missing += 1,
            Timeliness::Pending => of.pending += 1,
        }
        of.accepted += i64::from(one.state == ReturnState::Accepted);
    }
    let counted = i64::try_from(counties.len()).unwrap_or(i64::MAX);
    let mut handed_in: Vec<CountyTimeliness> = counties.into_values().collect();
    handed_in.sort_by(|one, other| {
        (other.on_time, one.missing, one.late, &one.county.code).cmp(&(one.on_time, other.missing, other.late, &other.county.code))
    });
    let definitions = form.definitions();
    let rankings = definitions.iter().map(|definition| ranking(definition, to, &within, named, counted)).collect();
    let movements = definitions.iter().flat_map(|definition| movements(definition, to, handed, named)).collect();
    CircularFacts {
        form_title: form.title.clone(),
        from_month: from,
        to_month: to,
        counties: counted,
        handed_in,
        rankings,
        movements,
        open_findings: None,
    }
}

/// The accepted numbers of a figure by county: of the last month, or the sum of all.
fn values(definition: &figures::Definition, to: Month, handed: &[&Handed]) -> HashMap<Id, (i64, Precision)> {
    let mut values: HashMap<Id, (i64, Precision)> = HashMap::new();
    for one in handed.iter().filter(|one| definition.kind == FigureKind::Flow || one.month == to) {
        let cell = one.cells.iter().find(|cell| cell.figure == definition.code);
        if let Some((declared, precision)) = cell.and_then(|cell| Some((cell.declared?, cell.declared_precision))) {
            let sum = values.entry(one.organization_id).or_insert((0, Precision::Exact));
            *sum = (sum.0.saturating_add(declared), sum.1.weakest(precision));
        }
    }
    values
}

fn ranking(definition: &figures::Definition, to: Month, handed: &[&Handed], named: &HashMap<Id, CountyBrief>, counties: i64) -> Ranking {
    let values = values(definition, to, handed);
    let told = i64::try_from(values.len()).unwrap_or(i64::MAX);
    let mut rows: Vec<(&CountyBrief, i64, Precision)> =
        values.into_iter().filter_map(|(id, (value, precision))| Some((named.get(&id)?, value, precision))).collect();
    rows.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.code.cmp(&other.0.code)));
    let mut ranked: Vec<RankedCounty> = Vec::with_capacity(rows.len().min(COUNTIES_NAMED));
    for ((county, value, precision), place) in rows.into_iter().zip(1_i64..).take(COUNTIES_NAMED) {
        let rank = ranked.last().filter(|last| last.value == value).map_or(place, |last| last.rank);
        ranked.push(RankedCounty { rank, county: county.clone(), value, precision });
    }
    Ranking {
        figure: definition.code.to_owned(),
        label_zh: definition.label_zh.to_owned(),
        label_en: definition.label_en.to_owned(),
        unit_zh: figures::unit(definition.unit).0.to_owned(),
        rows: ranked,
        unreported: counties - told,
    }
}

fn movements(definition: &figures::Definition, to: Month, handed: &[Handed], named: &HashMap<Id, CountyBrief>) -> Vec<Movement> {
    let of = |month: Month| -> HashMap<Id, i64> {
        let of_month = handed.iter().filter(|one| one.month == month);
        let declared = |one: &Handed| one.cells.iter().find(|cell| cell.figure == definition.code).and_then(|cell| cell.declared);
        of_month.filter_map(|one| Some((one.organization_id, declared(one)?))).collect()
    };
    let before = to.before().map(of).unwrap_or_default();
    let mut moved: Vec<Movement> = of(to)
        .into_iter()
        .filter_map(|(id, after)| {
            let before = before.get(&id).copied().filter(|before| *before != after)?;
            Some(Movement {
                figure: definition.code.to_owned(),
                label_zh: definition.label_zh.to_owned(),
                label_en: definition.label_en.to_owned(),
                unit_zh: figures::unit(definition.unit).0.to_owned(),
                county: named.get(&id)?.clone(),
                before,
                after,
            })
        })
        .collect();
    moved.sort_by(|one, other| {
        let change = |movement: &Movement| movement.after.abs_diff(movement.before);
        change(other).cmp(&change(one)).then_with(|| one.county.code.cmp(&other.county.code))
    });
    moved.truncate(MOVEMENTS_TOLD);
    moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::monthly_returns::cells::KeptCell;
    use crate::resources::versions::VersionState;
    use crate::types::Instant;

    fn form(figures: &[&str]) -> ReturnForm {
        ReturnForm {
            id: Id::new(),
            code: "f".into(),
            organization_id: Id::new(),
            key: "k".into(),
            number: 1,
            title: "月报".into(),
            figures: figures.iter().map(|code| (*code).to_owned()).collect(),
            sums: vec![],
            jump_percent: None,
            due_day: 5,
            remind_days: 2,
            opens_itself: false,
            state: VersionState::Published,
            published_by: None,
            version: 1,
            created_at: Instant::now(),
            updated_at: Instant::now(),
        }
    }

    fn handed(county: Id, month: &str, timeliness: Timeliness, values: &[(&str, Option<i64>)]) -> Handed {
        let cell = |(figure, declared): &(&str, Option<i64>)| KeptCell {
            figure: (*figure).to_owned(),
            computed: None,
            computed_precision: Precision::Exact,
            declared: *declared,
            declared_precision: Precision::Exact,
            reason: None,
        };
        Handed {
            organization_id: county,
            month: month.parse().expect("a month"),
            timeliness,
            state: ReturnState::Accepted,
            cells: values.iter().map(cell).collect(),
        }
    }

    #[test]
    fn stocks_are_of_the_last_month_and_flows_of_all() {
        let (stock, flow) = ("four_ones.volunteers", "publicity.media.news_story");
        let ids = [Id::new(), Id::new(), Id::new()];
        let named: HashMap<Id, CountyBrief> =
            ids.iter().zip(["a", "b", "c"]).map(|(id, code)| (*id, CountyBrief { code: code.into(), name: code.into() })).collect();
        let all = [
            handed(ids[0], "2022-05", Timeliness::OnTime, &[(stock, Some(10)), (flow, Some(1))]),
            handed(ids[1], "2022-05", Timeliness::Late, &[(stock, Some(10)), (flow, Some(2))]),
            handed(ids[0], "2022-06", Timeliness::OnTime, &[(stock, Some(30)), (flow, Some(4))]),
            handed(ids[1], "2022-06", Timeliness::OnTime, &[(stock, Some(30)), (flow, None)]),
            handed(ids[2], "2022-06", Timeliness::Missing, &[]),
        ];
        let month = |text: &str| text.parse::<Month>().expect("a month");
        let facts = told(&form(&[stock, flow]), month("2022-05"), month("2022-06"), &all, &named);
        let rows = |n: usize| -> Vec<(i64, &str, i64)> {
            facts.rankings[n].rows.iter().map(|row| (row.rank, row.county.code.as_str(), row.value)).collect()
        };
        assert_eq!(rows(0), [(1, "a", 30), (1, "b", 30)]);
        assert_eq!(rows(1), [(1, "a", 5), (2, "b", 2)]);
        assert_eq!((facts.counties, facts.rankings[0].unreported, facts.rankings[1].unreported), (3, 1, 1));
        let order: Vec<(&str, i64, i64)> = facts.handed_in.iter().map(|of| (of.county.code.as_str(), of.on_time, of.missing)).collect();
        assert_eq!(order, [("a", 2, 0), ("b", 1, 0), ("c", 0, 1)]);
        let moved: Vec<(&str, &str, i64, i64)> =
            facts.movements.iter().map(|m| (m.figure.as_str(), m.county.code.as_str(), m.before, m.after)).collect();
        assert_eq!(moved, [(stock, "a", 10, 30), (stock, "b", 10, 30), (flow, "a", 1, 4)]);
        // Of one month only that month counts, and it is still held against the one before.
        let facts = told(&form(&[flow]), month("2022-06"), month("2022-06"), &all, &named);
        assert_eq!(facts.rankings[0].rows.iter().map(|row| row.value).collect::<Vec<_>>(), [4]);
        assert_eq!(facts.movements.len(), 1);
    }
}
