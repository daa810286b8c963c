//! How long workstations had nobody at their head: the gaps between appointments of heads, in a year up to today.
//!
//! A station is counted from the day of its establishment on, where that is known, and only while it is in use: when one was closed is not
//! kept. Nobody is named.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::{Days, NaiveDate};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::db::{Any, AnyConnection, Db};
use crate::error::{Code, Error, Result};
use crate::policy::{Action, Area, Scope};
use crate::resources::appointments::Post;
use crate::resources::workstations::WorkstationStatus;
use crate::schema::{appointments as a, workstations as w};
use crate::types::{Id, Instant, business_today};
use crate::web::Window;
use crate::web::contract::filter_shape;
use crate::web::query::Pairs;

/// Whose workstations.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VacancyQuery {
    /// This organization and all below it; all in reach when absent.
    pub organization_id: Option<Id>,
}

/// A workstation, and how long it had no head.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StationVacancy {
    pub workstation_id: Id,
    #[schema(example = "zz-jinshui-huayuanlu")]
    pub code: String,
    pub name: String,
    pub organization_id: Id,
    /// Days of the year that are counted: up to today, and from the station's establishment on.
    pub days: i64,
    /// On how many of these nobody was its head.
    pub vacant_days: i64,
    /// Whether it has no head today.
    pub vacant_now: bool,
    /// The first day without one, where it has none today; null where nobody is known to have been its head.
    pub vacant_since: Option<NaiveDate>,
}

/// A page of workstations, in the order of their codes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StationVacancyPage {
    pub year: i32,
    /// The last day that is counted; null of a year that is yet to come.
    pub counted_to: Option<NaiveDate>,
    pub items: Vec<StationVacancy>,
    /// Give it as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// From a day on, until the first day after it.
type Tenure = (NaiveDate, Option<NaiveDate>);

/// Days from `from` until before `end` on which none of the tenures runs, whatever their order and however they overlap: pure.
fn vacant_days(tenures: &[Tenure], from: NaiveDate, end: NaiveDate) -> i64 {
    let mut held: Vec<(NaiveDate, NaiveDate)> = tenures
        .iter()
        .map(|(begun, ended)| ((*begun).max(from), ended.unwrap_or(end).min(end)))
        .filter(|(begun, ended)| begun < ended)
        .collect();
    held.sort_unstable();
    let (mut vacant, mut covered) = (0, from);
    for (begun, ended) in held {
        if begun > covered {
            vacant += (begun - covered).num_days();
        }
        covered = covered.max(ended);
    }
    vacant + (end - covered).num_days().max(0)
}

/// Whether nobody holds the post on a day, and since when: the end of what ended last before it.
fn vacancy_on(tenures: &[Tenure], day: NaiveDate) -> (bool, Option<NaiveDate>) {
    let holds = |(begun, ended): &Tenure| *begun <= day && ended.is_none_or(|ended| day < ended);
    if tenures.iter().any(holds) {
        return (false, None);
    }
    (true, tenures.iter().filter(|(begun, _)| *begun <= day).filter_map(|(_, ended)| *ended).max())
}

/// A workstation's row.
type Station = (Id, String, String, Id, Option<NaiveDate>);

/// The stations of a page and one more, in the order of their codes.
fn stations(conn: &mut AnyConnection, scope: &Scope, asked: Option<Id>, window: &Window) -> Result<Vec<Station>> {
    let mut query = w::table
        .filter(scope.within(asked, None).holds(w::organization_id))
        .filter(w::status.eq(WorkstationStatus::Active))
        .into_boxed::<Any>();
    if let Some(after) = &window.after {
        query = query.filter(w::code.gt(after.code.clone()));
    }
    let columns = (w::id, w::code, w::name, w::organization_id, w::established_on);
    Ok(query.order(w::code.asc()).limit(window.fetch()).select(columns).load(conn)?)
}

/// A page: a query for the stations, and one for all of their heads.
fn page(
    conn: &mut AnyConnection,
    scope: &Scope,
    asked: Option<Id>,
    year: i32,
    window: &Window,
    today: NaiveDate,
) -> Result<StationVacancyPage> {
    let (first, last) = NaiveDate::from_ymd_opt(year, 1, 1)
        .zip(NaiveDate::from_ymd_opt(year, 12, 31))
        .ok_or_else(|| Error::internal("a year without its days was let through"))?;
    let last = last.min(today);
    let end = last.checked_add_days(Days::new(1)).ok_or_else(|| Error::internal("there is no day after"))?;
    let mut stations = stations(conn, scope, asked, window)?;
    let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
    let more = stations.len() > limit;
    stations.truncate(limit);
    let heads: Vec<(Option<Id>, NaiveDate, Option<NaiveDate>)> = a::table
        .filter(a::workstation_id.eq_any(stations.iter().map(|station| station.0).collect::<Vec<_>>()))
        .filter(a::post.eq(Post::StationHead))
        .select((a::workstation_id, a::from_on, a::to_on))
        .load(conn)?;
    let mut tenures: HashMap<Id, Vec<Tenure>> = HashMap::new();
    for (station, begun, ended) in heads {
        if let Some(station) = station {
            tenures.entry(station).or_default().push((begun, ended));
        }
    }
    let next_cursor = stations.last().filter(|_| more).map(|station| window.cursor_after(station.0, &station.1));
    let items = stations
        .into_iter()
        .map(|(id, code, name, organization_id, established_on)| {
            let tenures = tenures.get(&id).map(Vec::as_slice).unwrap_or_default();
            let from = established_on.map_or(first, |day| day.max(first));
            let days = (end - from).num_days().max(0);
            let (vacant_now, vacant_since) = vacancy_on(tenures, today);
            let vacant_days = if days > 0 { vacant_days(tenures, from, end) } else { 0 };
            StationVacancy { workstation_id: id, code, name, organization_id, days, vacant_days, vacant_now, vacant_since }
        })
        .collect();
    Ok(StationVacancyPage { year, counted_to: (first <= last).then_some(last), items, next_cursor })
}

/// How long workstations had nobody at their head.
#[utoipa::path(operation_id = "reports_vacancies", tag = "figures", summary = "站长空缺天数 / Days on which workstations had no head",
    params(("year" = i32, Path, description = "The year, 2000 to 2100.", minimum = 2000, maximum = 2100, example = 2022), VacancyQuery,
        ("limit" = Option<i64>, Query, description = "Workstations a page.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.")),
    responses((status = 200, description = "A page, in the order of the codes.", body = StationVacancyPage)))]
#[get("/reports/vacancies/{year}")]
pub async fn vacancies(request: HttpRequest, caller: Caller, db: web::Data<Db>, year: web::Path<String>) -> Result<HttpResponse> {
    let scope = caller.actor.may(Area::Figures, Action::Read)?;
    let year: i32 = year.parse().ok().filter(|year| (2000..=2100).contains(year)).ok_or_else(|| {
        Error::because(
            Code::InvalidParameter,
            "年度应为 2000 到 2100 的整数，如 2022",
            "the year is a whole number from 2000 to 2100, as 2022",
        )
    })?;
    let mut pairs = Pairs::parse(request.query_string())?;
    let window = Window::take(&mut pairs, &[])?;
    let query = pairs.into_json(&filter_shape::<VacancyQuery>())?;
    let query: VacancyQuery = serde_json::from_value(query).map_err(Error::internal)?;
    let page = db
        .read(move |conn| {
            if !scope.lacks(conn, query.organization_id.into_iter().collect())?.is_empty() {
                return Err(Error::not_found());
            }
            page(conn, &scope, query.organization_id, year, &window, business_today(Instant::now()))
        })
        .await?;
    Ok(HttpResponse::Ok().json(page))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn nth(n: u64) -> NaiveDate {
        day("2022-01-01") + Days::new(n)
    }

    #[test]
    fn the_day_on_which_one_leaves_is_vacant_unless_another_comes() {
        let year = |tenures: &[Tenure]| vacant_days(tenures, day("2022-01-01"), day("2023-01-01"));
        assert_eq!(year(&[]), 365);
        assert_eq!(year(&[(day("2020-05-01"), None)]), 0);
        assert_eq!(year(&[(day("2020-05-01"), Some(day("2022-03-01"))), (day("2022-03-01"), None)]), 0);
        assert_eq!(year(&[(day("2022-03-11"), None), (day("2020-05-01"), Some(day("2022-03-01")))]), 10);
        // One within the other leaves no gap behind it.
        assert_eq!(year(&[(day("2022-01-01"), Some(day("2022-12-01"))), (day("2022-02-01"), Some(day("2022-03-01")))]), 31);
        assert_eq!(year(&[(day("2023-01-01"), None)]), 365);
        assert_eq!(vacant_days(&[], day("2022-01-01"), day("2022-01-01")), 0);
    }

    #[test]
    fn a_vacancy_began_when_the_last_one_left() {
        let gone = [(day("2021-01-01"), Some(day("2022-03-01"))), (day("2020-01-01"), Some(day("2021-01-01")))];
        assert_eq!(vacancy_on(&gone, day("2022-03-01")), (true, Some(day("2022-03-01"))));
        assert_eq!(vacancy_on(&gone, day("2022-02-28")), (false, None));
        assert_eq!(vacancy_on(&[], day("2022-02-28")), (true, None));
        // One who is yet to come has not left.
        assert_eq!(vacancy_on(&[(day("2022-05-01"), Some(day("2022-06-01")))], day("2022-02-28")), (true, None));
    }

    proptest! {
        /// What is computed from intervals is what counting day by day gives.
        #[test]
        fn days_are_counted_once(spans in prop::collection::vec((0_u64..120, prop::option::of(0_u64..60)), 0..8), from in 0_u64..60, length in 0_u64..80) {
            let tenures: Vec<Tenure> = spans.iter().map(|(begun, lasted)| (nth(*begun), lasted.map(|lasted| nth(begun + lasted)))).collect();
            let counted = (from..from + length)
                .filter(|n| !tenures.iter().any(|(begun, ended)| *begun <= nth(*n) && ended.is_none_or(|ended| nth(*n) < ended)))
                .count();
            prop_assert_eq!(vacant_days(&tenures, nth(from), nth(from + length)), i64::try_from(counted).expect("a number"));
        }
    }
}
