//! The open findings that a circular tells: of each county how many, how grave, how many of them overdue, and the gravest.

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::facts::{COUNTIES_NAMED, CountyBrief};
use crate::db::{AnyConnection, Part, Rows};
use crate::error::Result;
use crate::resources::inspection_findings::{FindingSeverity, FindingState, InspectionFindings};
use crate::types::{Id, TextEnum, sql};
use crate::web::{Resource, query};

/// How much of a description is told, in characters.
const SHORT: usize = 60;

/// What inspections found and nobody has reported as remedied, as of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenFindings {
    /// What was due before this day is overdue.
    pub as_at: NaiveDate,
    /// How many are open in the county associations and below them.
    pub open: i64,
    pub overdue: i64,
    pub critical: i64,
    pub serious: i64,
    pub minor: i64,
    /// How many counties have any.
    pub counties: i64,
    /// The first hundred of these, those with the most overdue first.
    pub rows: Vec<CountyFindings>,
}

/// What is open in a county.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountyFindings {
    pub county: CountyBrief,
    pub open: i64,
    pub overdue: i64,
    pub critical: i64,
    pub serious: i64,
    pub minor: i64,
    /// The five gravest, those due first before the others.
    pub gravest: Vec<FindingBrief>,
    /// All of them, as they are now.
    #[schema(example = "/api/v1/inspection-findings?organization_id=01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08&state=open")]
    pub records_url: String,
}

/// A finding, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingBrief {
    pub code: String,
    /// The association that was inspected; its short name where it has one.
    pub organization_name: String,
    pub severity: FindingSeverity,
    /// Its first 60 characters.
    #[schema(example = "两个工作站没有值班记录")]
    pub description: String,
    pub due_on: NaiveDate,
    pub overdue: bool,
}

impl CountyFindings {
    fn of(id: Id, county: CountyBrief) -> Result<Self> {
        let parameters = [("organization_id", id.to_string()), ("state", FindingState::Open.code().to_owned())];
        let records_url = query::list_of(InspectionFindings::NAME, &parameters)?;
        Ok(Self { county, open: 0, overdue: 0, critical: 0, serious: 0, minor: 0, gravest: Vec::new(), records_url })
    }
}

/// What is open below an organization: two statements, whatever the number of counties. Whoever asks has decided that they may.
pub fn read(conn: &mut AnyConnection, root: Id, today: NaiveDate) -> Result<OpenFindings> {
    let mut counties = counted(conn, root, today)?;
    let sum = |of: fn(&CountyFindings) -> i64| counties.iter().map(|(_, county)| of(county)).sum();
    let mut told = OpenFindings {
        as_at: today,
        open: sum(|county| county.open),
        overdue: sum(|county| county.overdue),
        critical: sum(|county| county.critical),
        serious: sum(|county| county.serious),
        minor: sum(|county| county.minor),
        counties: i64::try_from(counties.len()).unwrap_or(i64::MAX),
        rows: Vec::new(),
    };
    counties
        .sort_by(|(_, one), (_, other)| (other.overdue, other.open, &one.county.code).cmp(&(one.overdue, one.open, &other.county.code)));
    counties.truncate(COUNTIES_NAMED);
    for (id, finding) in gravest(conn, counties.iter().map(|(id, _)| *id).collect(), today)? {
        if let Some((_, county)) = counties.iter_mut().find(|(county, _)| *county == id) {
            county.gravest.push(finding);
        }
    }
    told.rows = counties.into_iter().map(|(_, county)| county).collect();
    Ok(told)
}

/// The counties below an organization in which something is open, and how much.
fn counted(conn: &mut AnyConnection, root: Id, today: NaiveDate) -> Result<Vec<(Id, CountyFindings)>> {
    type Found = (Id, String, String, FindingSeverity, i64, i64);
    let statement = vec![
        Part::Sql("SELECT o.id, o.code, COALESCE(o.short_name, o.name), r.severity, COUNT(*), CAST(SUM(CASE WHEN r.due_on < "),
        Part::Date(today),
        Part::Sql(
            " THEN 1 ELSE 0 END) AS BIGINT) FROM inspection_findings AS r
              INNER JOIN organization_closure AS c ON c.descendant_id = r.organization_id
              INNER JOIN organizations AS o ON o.id = c.ancestor_id AND o.kind = 'county_association'
              INNER JOIN organization_closure AS below ON below.descendant_id = o.id
              WHERE r.state = 'open' AND below.ancestor_id = ",
        ),
        Part::Id(root),
        Part::Sql(" GROUP BY o.id, o.code, o.short_name, o.name, r.severity ORDER BY o.code"),
    ];
    let found: Vec<Found> = Rows::<(sql::Uuid, Text, Text, Text, BigInt, BigInt)>::of(statement).load(conn)?;
    let mut counties: Vec<(Id, CountyFindings)> = Vec::new();
    for (id, code, name, severity, open, overdue) in found {
        if counties.last().is_none_or(|(last, _)| *last != id) {
            counties.push((id, CountyFindings::of(id, CountyBrief { code, name })?));
        }
        let Some((_, county)) = counties.last_mut() else { continue };
        county.open += open;
        county.overdue += overdue;
        match severity {
            FindingSeverity::Critical => county.critical += open,
            FindingSeverity::Serious => county.serious += open,
            FindingSeverity::Minor => county.minor += open,
        }
    }
    Ok(counties)
}

/// The five gravest open findings of each of some counties.
fn gravest(conn: &mut AnyConnection, counties: Vec<Id>, today: NaiveDate) -> Result<Vec<(Id, FindingBrief)>> {
    type Found = (Id, String, String, FindingSeverity, String, NaiveDate);
    let statement = vec![
        Part::Sql(
            "SELECT county, code, name, severity, description, due_on FROM (
              SELECT c.ancestor_id AS county, r.code, COALESCE(o.short_name, o.name) AS name, r.severity, r.description, r.due_on,
              ROW_NUMBER() OVER (PARTITION BY c.ancestor_id ORDER BY
                CASE r.severity WHEN 'critical' THEN 0 WHEN 'serious' THEN 1 ELSE 2 END, r.due_on, r.id) AS place
              FROM inspection_findings AS r
              INNER JOIN organization_closure AS c ON c.descendant_id = r.organization_id
              INNER JOIN organizations AS o ON o.id = r.organization_id
              WHERE r.state = 'open' AND c.ancestor_id IN ",
        ),
        Part::Ids(counties),
        Part::Sql(") AS placed WHERE place <= 5 ORDER BY county, place"),
    ];
    let found: Vec<Found> = Rows::<(sql::Uuid, Text, Text, Text, Text, Date)>::of(statement).load(conn)?;
    let brief = |(county, code, organization_name, severity, description, due_on): Found| {
        (county, FindingBrief { code, organization_name, severity, description: short(&description), due_on, overdue: due_on < today })
    };
    Ok(found.into_iter().map(brief).collect())
}

/// A description on one line, and no longer than it has to be to be known.
fn short(description: &str) -> String {
    let line: String = description.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SHORT { line } else { line.chars().take(SHORT - 1).chain(['…']).collect() }
}
