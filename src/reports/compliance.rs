//! How each county association stands (达标情况): its people, its head, its budget, its capacity, and what of its stations, units and teams is
//! assessed. A page of counties, each count made for all of them in one statement, with the address of the records behind it.

use std::collections::{HashMap, HashSet};

use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::api::year_of;
use crate::auth::Caller;
use crate::db::{AnyConnection, Db, Part, Rows, Subset, Tree};
use crate::error::{Error, Result};
use crate::figures::{Ground, OrganizationBrief};
use crate::policy::{Action, Area, Scope};
use crate::resources::appointments::Post;
use crate::resources::assessments::{self, AssessmentState};
use crate::resources::demonstration_units;
use crate::resources::organizations::{OrganizationKind, OrganizationStatus};
use crate::resources::standards::Subject;
use crate::resources::workstations::WorkstationStatus;
use crate::schema::{assessments as a, budgets, organization_closure as closure, organizations as o, targets};
use crate::types::{Id, Instant, Precision, TextEnum, business_today, sql};
use crate::web::Window;
use crate::web::contract::filter_shape;
use crate::web::query::{Pairs, list_of};

/// The figure whose target says how many people each county should have.
const STAFF_TARGET: &str = "organizations.staff_target_per_county";
/// The key of the standard by which the capacity of a county association is assessed (有人管事，有钱办事).
pub const COUNTY_CAPACITY: &str = "county-capacity";
/// Those who count as staff: 专职 and 兼职.
const STAFF: [Post; 2] = [Post::FullTimeStaff, Post::PartTimeStaff];

/// How many, and the list of the records.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ComplianceCount {
    pub value: i64,
    pub records_url: String,
}

/// How many for sure, and the list of the records.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ComplianceQuantity {
    /// Null where of none of them it is known.
    pub value: Option<i64>,
    /// `at_least` where of some of them it is not known.
    pub precision: Precision,
    pub records_url: String,
}

/// A county's staff.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StaffCompliance {
    /// Full-time and part-time staff in post on the day, by their appointments.
    pub in_post: ComplianceCount,
    /// How many there should be: the county's own target for the year, or that of the next association above; null where none is set.
    pub target: Option<i64>,
}

/// Whether a county has a head.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HeadCompliance {
    /// Whether a president (会长) was in post on the day.
    pub in_post: bool,
    pub records_url: String,
}

/// Whether a county has a budget for the year.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BudgetCompliance {
    /// Null where the caller may not read the county's books.
    pub stands: Option<bool>,
    /// Null likewise.
    pub records_url: Option<String>,
}

/// The assessment of a county's capacity that holds on the day.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CapacityCompliance {
    pub assessment_id: Id,
    /// The version of the standard.
    pub standard_id: Id,
    /// In hundredths of a point.
    #[schema(example = 8650)]
    pub total: i64,
    /// What all items of the standard come to, in hundredths of a point.
    #[schema(example = 10000)]
    pub maximum_total: i64,
    /// Null where the total reaches no level.
    #[schema(example = "达标")]
    pub level: Option<String>,
    pub assessed_on: NaiveDate,
    /// The first day on which it holds no more; null: it holds for ever.
    pub expires_on: Option<NaiveDate>,
}

/// A county's workstations: those that work at present.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WorkstationCompliance {
    pub all: ComplianceCount,
    /// Those that had a head (站长) on the day; the records are the appointments.
    pub with_head: ComplianceCount,
    /// Those with an accepted assessment that holds on the day; the records are the assessments.
    pub assessed: ComplianceCount,
    pub commended: ComplianceQuantity,
}

/// A county's demonstration units.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UnitCompliance {
    /// Those that were completed on the day.
    pub completed: ComplianceCount,
    /// Those of them with an accepted assessment that holds on the day; the records are the assessments.
    pub assessed: ComplianceCount,
}

/// How one county association stands, with all that lies below it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CountyCompliance {
    pub organization: OrganizationBrief,
    pub staff: StaffCompliance,
    pub head: HeadCompliance,
    pub budget: BudgetCompliance,
    /// The newest assessment by the standard `county-capacity` that holds on the day; null where none does.
    pub capacity: Option<CapacityCompliance>,
    pub workstations: WorkstationCompliance,
    pub demonstration_units: UnitCompliance,
    /// Those that were there on the day.
    pub volunteer_teams: ComplianceCount,
}

/// How the county associations stand.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ComplianceReport {
    pub year: i32,
    /// The day that is looked at: the last of the year, or today where the year isn't over.
    pub as_at: NaiveDate,
    /// Whose counties these are.
    pub organization: OrganizationBrief,
    /// In the order of their codes.
    pub items: Vec<CountyCompliance>,
    /// Give it as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// Whose counties.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ComplianceQuery {
    /// The city association in the caller's reach when absent, or else the highest organization.
    pub organization_id: Option<Id>,
}

/// The day at which a year is looked at.
fn day_of(year: i32, today: NaiveDate) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, 12, 31).map_or(today, |last| last.min(today))
}

/// Counts of what lies in each of the counties and below it: one statement. Conditions are of the table as `r`.
fn counted(conn: &mut AnyConnection, counties: &[Id], table: &'static str, conditions: Vec<Part>) -> Result<HashMap<Id, i64>> {
    let mut parts = vec![
        Part::Sql("SELECT c.ancestor_id, COUNT(*) FROM organization_closure AS c INNER JOIN "),
        Part::Sql(table),
        Part::Sql(" AS r ON r.organization_id = c.descendant_id WHERE c.ancestor_id IN "),
        Part::Ids(counties.to_vec()),
    ];
    parts.extend(conditions);
    parts.push(Part::Sql(" GROUP BY c.ancestor_id"));
    Ok(Rows::<(sql::Uuid, BigInt)>::of(parts).load::<(Id, i64)>(conn)?.into_iter().collect())
}

/// The condition that one of the posts was held on a day, of appointments as `r`.
fn in_post(posts: &[Post], day: NaiveDate) -> Vec<Part> {
    let mut parts = Vec::new();
    for (i, post) in posts.iter().enumerate() {
        parts.extend([Part::Sql(if i == 0 { " AND r.post IN (" } else { ", " }), Part::Text(post.code().to_owned())]);
    }
    parts.extend([
        Part::Sql(") AND r.from_on <= "),
        Part::Date(day),
        Part::Sql(" AND (r.to_on IS NULL OR r.to_on > "),
        Part::Date(day),
        Part::Sql(")"),
    ]);
    parts
}

/// The condition that the id of `r` is among those of a subquery.
fn among(subquery: Vec<Part>) -> Vec<Part> {
    let mut parts = vec![Part::Sql(" AND r.id IN (")];
    parts.extend(subquery);
    parts.push(Part::Sql(")"));
    parts
}

/// All that is counted of the counties of a page.
struct Counts {
    staff: HashMap<Id, i64>,
    presidents: HashMap<Id, i64>,
    stations: HashMap<Id, i64>,
    headed: HashMap<Id, i64>,
    stations_assessed: HashMap<Id, i64>,
    commended: HashMap<Id, i64>,
    commended_told: HashMap<Id, i64>,
    units: HashMap<Id, i64>,
    units_assessed: HashMap<Id, i64>,
    teams: HashMap<Id, i64>,
}

impl Counts {
    fn of(conn: &mut AnyConnection, counties: &[Id], day: NaiveDate) -> Result<Self> {
        let mut staff = |posts: &[Post]| counted(conn, counties, "appointments", in_post(posts, day));
        let (in_posts, presidents) = (staff(&STAFF)?, staff(&[Post::President])?);

        let mut stations = |conditions: Vec<Part>| {
            let working = vec![Part::Sql(" AND r.status = "), Part::Text(WorkstationStatus::Active.code().to_owned())];
            counted(conn, counties, "workstations", [working, conditions].concat())
        };
        let mut heads = vec![Part::Sql("SELECT r.workstation_id FROM appointments AS r WHERE r.workstation_id IS NOT NULL")];
        heads.extend(in_post(&[Post::StationHead], day));
        let all_stations = stations(Vec::new())?;
        let headed = stations(among(heads))?;
        let stations_assessed = stations(among(assessments::valid(Subject::Workstation, day)))?;
        let commended = stations(vec![Part::Sql(" AND r.commended")])?;
        let commended_told = stations(vec![Part::Sql(" AND r.commended IS NOT NULL")])?;

        let completed = among(demonstration_units::completed_on(day).0);
        let units = counted(conn, counties, "demonstration_units", completed.clone())?;
        let assessed = among(assessments::valid(Subject::DemonstrationUnit, day));
        let units_assessed = counted(conn, counties, "demonstration_units", [completed, assessed].concat())?;

        let there = vec![
            Part::Sql(" AND r.established_on <= "),
            Part::Date(day),
            Part::Sql(" AND (r.disbanded_on IS NULL OR r.disbanded_on > "),
            Part::Date(day),
            Part::Sql(")"),
        ];
        let teams = counted(conn, counties, "volunteer_teams", there)?;
        Ok(Self {
            staff: in_posts,
            presidents,
            stations: all_stations,
            headed,
            stations_assessed,
            commended,
            commended_told,
            units,
            units_assessed,
            teams,
        })
    }
}

/// The target of each county for a year: its own, or that of the nearest association above that has one. What those above ask of their
/// counties is told to these.
fn staff_targets(conn: &mut AnyConnection, counties: &[Id], year: i32) -> Result<HashMap<Id, i64>> {
    let mut found: Vec<(Id, i32, i64)> = closure::table
        .inner_join(targets::table.on(targets::organization_id.eq(closure::ancestor_id)))
        .filter(closure::descendant_id.eq_any(counties))
        .filter(targets::indicator.eq(STAFF_TARGET))
        .filter(targets::year.eq(year))
        .select((closure::descendant_id, closure::depth, targets::value))
        .load(conn)?;
    // The nearest comes last and stays.
    found.sort_unstable_by_key(|(_, depth, _)| std::cmp::Reverse(*depth));
    Ok(found.into_iter().map(|(county, _, value)| (county, value)).collect())
}

/// Those of the counties whose books the caller may read, and those of these with a budget for a year.
fn budgets_of(conn: &mut AnyConnection, ledger: Option<&Scope>, counties: &[Id], year: i32) -> Result<(HashSet<Id>, HashSet<Id>)> {
    let Some(ledger) = ledger else { return Ok((HashSet::new(), HashSet::new())) };
    let hidden = ledger.lacks(conn, counties.to_vec())?;
    let open: HashSet<Id> = counties.iter().copied().filter(|id| !hidden.contains(id)).collect();
    let standing: Vec<Id> = budgets::table
        .filter(ledger.organizations().holds(budgets::organization_id))
        .filter(budgets::organization_id.eq_any(open.iter().copied().collect::<Vec<_>>()))
        .filter(budgets::year.eq(year))
        .select(budgets::organization_id)
        .distinct()
        .load(conn)?;
    Ok((open, standing.into_iter().collect()))
}

/// The newest assessment of each county's capacity that holds on a day.
fn capacities(conn: &mut AnyConnection, counties: &[Id], day: NaiveDate) -> Result<HashMap<Id, CapacityCompliance>> {
    type Found = (Option<Id>, Id, Id, Option<i64>, i64, Option<String>, NaiveDate, Option<NaiveDate>);
    let versions = Subset(vec![Part::Sql("SELECT id FROM standards WHERE key = "), Part::Text(COUNTY_CAPACITY.to_owned())]);
    let found: Vec<Found> = a::table
        .filter(a::subject_organization_id.eq_any(counties))
        .filter(a::state.eq(AssessmentState::Accepted))
        .filter(a::assessed_on.le(day))
        .filter(a::expires_on.is_null().or(a::expires_on.gt(day)))
        .filter(versions.holds(a::standard_id))
        .order((a::assessed_on, a::id))
        .select((a::subject_organization_id, a::id, a::standard_id, a::total, a::maximum_total, a::level, a::assessed_on, a::expires_on))
        .load(conn)?;
    // The newest comes last and stays.
    let of = |(county, assessment_id, standard_id, total, maximum_total, level, assessed_on, expires_on): Found| {
        Some((county?, CapacityCompliance { assessment_id, standard_id, total: total?, maximum_total, level, assessed_on, expires_on }))
    };
    Ok(found.into_iter().filter_map(of).collect())
}

/// The view: the same number of statements whatever the length of the page.
fn compute(
    conn: &mut AnyConnection,
    scope: &Scope,
    ledger: Option<&Scope>,
    tree: &Tree,
    asked: Option<Id>,
    year: i32,
    window: &Window,
) -> Result<ComplianceReport> {
    let day = day_of(year, business_today(Instant::now()));
    let organization = Ground::of(conn, scope, tree, asked)?.organization;
    let mut page = o::table
        .filter(scope.within(Some(organization.id), None).holds(o::id))
        .filter(o::kind.eq(OrganizationKind::CountyAssociation))
        .filter(o::status.eq(OrganizationStatus::Active))
        .into_boxed::<crate::db::Any>();
    if let Some(after) = &window.after {
        page = page.filter(o::code.gt(after.code.clone()));
    }
    let mut counties: Vec<OrganizationBrief> =
        page.order(o::code).limit(window.fetch()).select((o::id, o::code, o::name, o::short_name)).load(conn)?;
    let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
    let more = counties.len() > limit;
    counties.truncate(limit);
    let next_cursor = counties.last().filter(|_| more).map(|last| window.cursor_after(last.id, &last.code));

    let ids: Vec<Id> = counties.iter().map(|county| county.id).collect();
    let counts = Counts::of(conn, &ids, day)?;
    let targets = staff_targets(conn, &ids, year)?;
    let (open, standing) = budgets_of(conn, ledger, &ids, year)?;
    let mut capacities = capacities(conn, &ids, day)?;
    let items = counties
        .into_iter()
        .map(|county| {
            let target = targets.get(&county.id).copied();
            let stands = open.contains(&county.id).then(|| standing.contains(&county.id));
            let capacity = capacities.remove(&county.id);
            row(county, &counts, (target, stands, capacity), year, day)
        })
        .collect::<Result<_>>()?;
    Ok(ComplianceReport { year, as_at: day, organization, items, next_cursor })
}

fn row(
    organization: OrganizationBrief,
    counts: &Counts,
    (target, stands, capacity): (Option<i64>, Option<bool>, Option<CapacityCompliance>),
    year: i32,
    day: NaiveDate,
) -> Result<CountyCompliance> {
    let (id, day, year) = (organization.id, day.to_string(), year.to_string());
    let here = id.to_string();
    let of = |counts: &HashMap<Id, i64>| counts.get(&id).copied().unwrap_or_default();
    let list = |resource: &str, more: &[(&str, &str)]| list_of(resource, &[&[("organization_id", here.as_str())], more].concat());
    let count = |counts: &HashMap<Id, i64>, resource: &str, more: &[(&str, &str)]| -> Result<ComplianceCount> {
        Ok(ComplianceCount { value: of(counts), records_url: list(resource, more)? })
    };
    let posts = |posts: &[Post]| posts.iter().map(|post| post.code()).collect::<Vec<_>>().join(",");
    let (staff, president, station_head) = (posts(&STAFF), posts(&[Post::President]), posts(&[Post::StationHead]));
    let active = ("status", WorkstationStatus::Active.code());
    let (all, told) = (of(&counts.stations), of(&counts.commended_told));
    let appointments = |posts: &str| list("appointments", &[("post", posts), ("as_at", day.as_str())]);
    Ok(CountyCompliance {
        staff: StaffCompliance { in_post: ComplianceCount { value: of(&counts.staff), records_url: appointments(&staff)? }, target },
        head: HeadCompliance { in_post: of(&counts.presidents) > 0, records_url: appointments(&president)? },
        budget: BudgetCompliance { stands, records_url: stands.map(|_| list("budgets", &[("year", year.as_str())])).transpose()? },
        capacity,
        workstations: WorkstationCompliance {
            all: count(&counts.stations, "workstations", &[active])?,
            with_head: ComplianceCount { value: of(&counts.headed), records_url: appointments(&station_head)? },
            assessed: count(
                &counts.stations_assessed,
                "assessments",
                &[("subject", Subject::Workstation.code()), ("valid_on", day.as_str())],
            )?,
            commended: ComplianceQuantity {
                value: (all == 0 || told > 0).then(|| of(&counts.commended)),
                precision: if told < all && told > 0 { Precision::AtLeast } else { Precision::Exact },
                records_url: list("workstations", &[active, ("commended", "true")])?,
            },
        },
        demonstration_units: UnitCompliance {
            completed: count(&counts.units, "demonstration-units", &[("stage", "completed"), ("as_at", day.as_str())])?,
            assessed: count(
                &counts.units_assessed,
                "assessments",
                &[("subject", Subject::DemonstrationUnit.code()), ("valid_on", day.as_str())],
            )?,
        },
        volunteer_teams: count(&counts.teams, "volunteer-teams", &[("as_at", day.as_str())])?,
        organization,
    })
}

/// How the county associations in an organization's part of the tree stand at the end of a year, or today where it isn't over: people, head,
/// budget, capacity, and what of their stations, units and teams is assessed.
#[utoipa::path(operation_id = "reports_compliance", tag = "figures", summary = "县市区达标情况 / How the county associations stand",
    params(("year" = i32, Path, description = "The year, 2000 to 2100.", minimum = 2000, maximum = 2100, example = 2022), ComplianceQuery,
        ("limit" = Option<i64>, Query, description = "Counties a page.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.")),
    responses((status = 200, description = "A page of counties.", body = ComplianceReport)))]
#[get("/reports/compliance/{year}")]
pub async fn compliance_report(request: HttpRequest, caller: Caller, db: web::Data<Db>, year: web::Path<String>) -> Result<HttpResponse> {
    let scope = caller.actor.may(Area::Figures, Action::Read)?;
    // Whoever may not read books anywhere is told nothing of them.
    let ledger = caller.actor.may(Area::Ledger, Action::Read).ok();
    let year = year_of(&year)?;
    let mut pairs = Pairs::parse(request.query_string())?;
    let window = Window::take(&mut pairs, &[])?;
    let query = pairs.into_json(&filter_shape::<ComplianceQuery>())?;
    let query: ComplianceQuery = serde_json::from_value(query).map_err(Error::internal)?;
    let tree = db.tree().clone();
    let report = db.read(move |conn| compute(conn, &scope, ledger.as_ref(), &tree, query.organization_id, year, &window)).await?;
    Ok(HttpResponse::Ok().json(report))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_is_looked_at_on_its_last_day_or_today() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a day");
        assert_eq!(day_of(2022, day("2026-11-29")), day("2022-12-31"));
        assert_eq!(day_of(2026, day("2026-11-29")), day("2026-11-29"));
        assert_eq!(day_of(2027, day("2026-11-29")), day("2026-11-29"));
    }
}
