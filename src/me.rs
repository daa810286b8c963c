//! What somebody is to the association: the person behind the account, as a volunteer, in teams, with what they have served. The lists of
//! the resources say the rest: with the role of a volunteer or a family they hold what is the caller's own.

use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::NaiveDate;
use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::db::{AnyConnection, Db};
use crate::error::Result;
use crate::policy::{Action, Area};
use crate::resources::persons::PersonBrief;
use crate::resources::service_records::{self, ServiceState, ServiceTotals};
use crate::resources::volunteer_teams::TeamBrief;
use crate::resources::volunteers::{Sector, VolunteerStatus};
use crate::schema::{memberships, persons, service_records as records, volunteer_teams, volunteers};
use crate::types::{Id, Instant, business_today};
use crate::web::handlers::no_parameters;

/// Teams that are shown.
const TEAMS: i64 = 100;

/// The caller as a volunteer.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = volunteers)]
pub struct MyVolunteering {
    pub id: Id,
    /// The volunteer number.
    pub code: String,
    pub organization_id: Id,
    pub sector: Sector,
    pub status: VolunteerStatus,
    pub registered_on: NaiveDate,
}

/// A team that the caller is in, or leads.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyTeam {
    #[serde(flatten)]
    pub team: TeamBrief,
    pub joined_on: Option<NaiveDate>,
    /// Whether the caller confirms what its other members serve.
    pub leads: bool,
}

/// The caller, with masked numbers.
#[derive(Debug, Serialize, ToSchema)]
pub struct MyRecord {
    /// Null where the account stands for no person.
    pub person: Option<PersonBrief>,
    pub volunteer: Option<MyVolunteering>,
    /// Those that the caller is in today or leads, a hundred at most.
    pub teams: Vec<MyTeam>,
    pub service: ServiceTotals,
    /// The service record that is open: to be checked out.
    pub open_service_record_id: Option<Id>,
}

/// The caller's own record.
#[utoipa::path(operation_id = "me_get", tag = "me", summary = "我的档案 / My own record", responses((status = 200, description = "The caller.", body = MyRecord)))]
#[get("/me")]
pub async fn me(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    // Asked of the caller's own records alone, so the decision is all that is needed of the scope.
    caller.actor.may(Area::People, Action::Read)?;
    no_parameters(&request)?;
    let person_id = caller.actor.person_id;
    let record = db.read(move |conn| person_id.map_or_else(|| Ok(nobody()), |person_id| of_person(conn, person_id))).await?;
    Ok(HttpResponse::Ok().json(record))
}

fn nobody() -> MyRecord {
    MyRecord { person: None, volunteer: None, teams: Vec::new(), service: ServiceTotals::default(), open_service_record_id: None }
}

fn of_person(conn: &mut AnyConnection, person_id: Id) -> Result<MyRecord> {
    let person = persons::table.find(person_id).select(PersonBrief::as_select()).first(conn).optional()?;
    let volunteer: Option<MyVolunteering> =
        volunteers::table.filter(volunteers::person_id.eq(person_id)).select(MyVolunteering::as_select()).first(conn).optional()?;
    let mut record = MyRecord { person, volunteer, ..nobody() };
    let led: Vec<TeamBrief> = volunteer_teams::table
        .filter(volunteer_teams::leader_id.eq(person_id))
        .order(volunteer_teams::id)
        .limit(TEAMS)
        .select(TeamBrief::as_select())
        .load(conn)?;
    record.teams = led.into_iter().map(|team| MyTeam { team, joined_on: None, leads: true }).collect();
    let Some(volunteer_id) = record.volunteer.as_ref().map(|volunteer| volunteer.id) else { return Ok(record) };
    let today = business_today(Instant::now());
    let joined: Vec<(NaiveDate, TeamBrief)> = memberships::table
        .inner_join(volunteer_teams::table)
        .filter(memberships::volunteer_id.eq(volunteer_id))
        .filter(memberships::joined_on.le(today))
        .filter(memberships::left_on.is_null().or(memberships::left_on.gt(today)))
        .order(memberships::id)
        .limit(TEAMS)
        .select((memberships::joined_on, TeamBrief::as_select()))
        .load(conn)?;
    for (joined_on, team) in joined {
        match record.teams.iter_mut().find(|known| known.team.id == team.id) {
            Some(known) => known.joined_on = Some(joined_on),
            None => record.teams.push(MyTeam { team, joined_on: Some(joined_on), leads: false }),
        }
    }
    record.service = service_records::totals(conn, &[volunteer_id], None)?.remove(&volunteer_id).unwrap_or_default();
    record.open_service_record_id = records::table
        .filter(records::volunteer_id.eq(volunteer_id))
        .filter(records::state.eq(ServiceState::CheckedIn))
        .select(records::id)
        .first(conn)
        .optional()?;
    Ok(record)
}
