//! Service records (服务记录): when a volunteer served, from checking in by the code of a team or an event to checking out, and confirmed
//! by another: the team's leader, or an officer.
//!
//! A volunteer has one record open at a time. Two that overlap are flagged and not refused: who confirms decides which of them was so. What
//! was confirmed stays, since certificates count it.

use std::collections::{HashMap, HashSet};

use actix_web::{HttpRequest, HttpResponse, post, web};
use chrono::{NaiveDate, NaiveTime, TimeDelta};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::rules::ReasonBody;
use super::volunteer_teams::TeamStatus;
use super::volunteers::{VolunteerBrief, VolunteerStatus};
use crate::auth::{Caller, UserStatus};
use crate::db::{Any, AnyConnection, Db, Grouped, Part, Subset, Tx, held};
use crate::error::{Code, Error, Result};
use crate::policy::{Action, Actor, Area, OrganizationLevel, Scope};
use crate::schema::{campaign_events, memberships, persons, service_records as t, users, volunteer_teams, volunteers};
use crate::types::{Id, Instant, TextEnum, business_today, new_code, text_enum};
use crate::web::handlers::{deed_of, no_parameters, respond};
use crate::web::resource::{Step, aggregate, sum_of};
use crate::web::shape::Shape;
use crate::web::verbs::{created, step_body};
use crate::web::{Measure, Measured, Reference, Resource, Window, body, measured, page, read_only, reads, save, viewed};
use crate::wechat::{WeChat, qr, subscribe, text};

/// Nobody serves longer without going home.
const LONGEST_HOURS: i64 = 24;

text_enum! {
    /// Where a service record stands.
    ServiceState {
        CheckedIn = "checked_in", "服务中", "checked in";
        CheckedOut = "checked_out", "待确认", "checked out";
        Confirmed = "confirmed", "已确认", "confirmed";
        Rejected = "rejected", "未认可", "rejected";
    }
}

/// A service record as it is kept.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    volunteer_id: Id,
    team_id: Option<Id>,
    campaign_event_id: Option<Id>,
    note: Option<String>,
    started_at: Instant,
    ended_at: Option<Instant>,
    minutes: Option<i64>,
    state: ServiceState,
    confirmed_by: Option<Id>,
    reason: Option<String>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// A volunteer's service.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ServiceRecord {
    pub id: Id,
    pub code: String,
    /// The team's, or the event's.
    pub organization_id: Id,
    pub volunteer_id: Id,
    pub volunteer: VolunteerBrief,
    /// The team with which they served: this or `campaign_event_id`.
    pub team_id: Option<Id>,
    pub campaign_event_id: Option<Id>,
    /// What they did, in the volunteer's words.
    pub note: Option<String>,
    pub started_at: Instant,
    pub ended_at: Option<Instant>,
    /// Whole ones, without the way there.
    pub minutes: Option<i64>,
    pub state: ServiceState,
    /// The user who confirmed or rejected it; never the volunteer.
    pub confirmed_by: Option<Id>,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// Whether another of the volunteer's records is of the same time.
    pub overlapping: bool,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(ServiceRecord {
    fn shown_version(&self) -> String {
        format!("{}-{}-{}", self.version, self.volunteer.version, self.volunteer.person_version)
    }
    fn person_id(&self) -> Option<Id> {
        Some(self.volunteer.person_id)
    }
});

impl ServiceRecord {
    fn row(&self) -> Row {
        let record = self.clone();
        Row {
            id: record.id,
            code: record.code,
            organization_id: record.organization_id,
            volunteer_id: record.volunteer_id,
            team_id: record.team_id,
            campaign_event_id: record.campaign_event_id,
            note: record.note,
            started_at: record.started_at,
            ended_at: record.ended_at,
            minutes: record.minutes,
            state: record.state,
            confirmed_by: record.confirmed_by,
            reason: record.reason,
            version: record.version,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

/// Where somebody begins to serve.
#[derive(Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CheckIn {
    /// What the code of the team or the event says.
    #[schema(min_length = 1, max_length = 32, example = "t02JRbFqdBXQ4GHmFCaVOpU")]
    scene: String,
    /// What they do there.
    #[schema(min_length = 1, max_length = 200, example = "校园周边巡逻")]
    note: Option<String>,
}

/// When it was over.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CheckOutBody {
    /// Now when absent; earlier where somebody has forgotten.
    ended_at: Option<Instant>,
}

/// Which service records.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ServiceRecordFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub volunteer_id: Option<Id>,
    pub team_id: Option<Id>,
    pub campaign_event_id: Option<Id>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<ServiceState>>,
    /// Begun on this day or later.
    pub started_from: Option<NaiveDate>,
    /// Begun on this day or earlier.
    pub started_to: Option<NaiveDate>,
    /// Whether another of the volunteer's records is of the same time.
    pub overlapping: Option<bool>,
}

/// That the volunteer has another record of the same time; one that goes on goes on.
const OVERLAPPING: &str = "(service_records.state <> 'rejected' AND EXISTS (SELECT 1 FROM service_records AS other \
    WHERE other.volunteer_id = service_records.volunteer_id AND other.id <> service_records.id AND other.state <> 'rejected' \
    AND (other.ended_at IS NULL OR other.ended_at > service_records.started_at) \
    AND (service_records.ended_at IS NULL OR other.started_at < service_records.ended_at)))";

pub struct ServiceRecords;

/// When a day begins in China.
pub fn day_begins(day: NaiveDate) -> Instant {
    Instant(day.and_time(NaiveTime::MIN).and_utc() - TimeDelta::hours(8))
}

/// Scope and filter as a query: list, count and figure all start here.
///
/// A volunteer sees their own, and those of the teams that they lead.
fn query(scope: &Scope, filter: &ServiceRecordFilter) -> t::BoxedQuery<'static, Any> {
    let reach = scope.within(filter.organization_id, filter.organization_level);
    let mut query = match scope.own() {
        Some(person) => {
            let asked = Scope::asked(filter.organization_id, filter.organization_level);
            let own = Subset(vec![Part::Sql("SELECT id FROM volunteers WHERE person_id = "), Part::Id(person)]);
            let led = Subset(vec![Part::Sql("SELECT id FROM volunteer_teams WHERE leader_id = "), Part::Id(person)]);
            let mine = own.holds(t::volunteer_id).or(led.holds(t::team_id)).and(asked.holds(t::organization_id));
            t::table.filter(reach.holds(t::organization_id).or(mine)).into_boxed::<Any>()
        }
        None => t::table.filter(reach.holds(t::organization_id)).into_boxed::<Any>(),
    };
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.volunteer_id {
        query = query.filter(t::volunteer_id.eq(id));
    }
    if let Some(id) = filter.team_id {
        query = query.filter(t::team_id.eq(id));
    }
    if let Some(id) = filter.campaign_event_id {
        query = query.filter(t::campaign_event_id.eq(id));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    if let Some(day) = filter.started_from {
        query = query.filter(t::started_at.ge(day_begins(day)));
    }
    if let Some(next) = filter.started_to.and_then(|day| day.succ_opt()) {
        query = query.filter(t::started_at.lt(day_begins(next)));
    }
    match filter.overlapping {
        Some(true) => query = query.filter(sql::<Bool>(OVERLAPPING)),
        Some(false) => query = query.filter(diesel::dsl::not(sql::<Bool>(OVERLAPPING))),
        None => {}
    }
    query
}

/// With the volunteer's name: two joins on primary keys.
macro_rules! with_volunteer {
    ($query:expr) => {
        $query.inner_join(volunteers::table.inner_join(persons::table)).select((Row::as_select(), VolunteerBrief::as_select()))
    };
}

/// Views of rows: one query for which of them overlap.
fn shown(conn: &mut AnyConnection, rows: Vec<(Row, VolunteerBrief)>) -> Result<Vec<ServiceRecord>> {
    let ids: Vec<Id> = rows.iter().map(|(row, _)| row.id).collect();
    let overlapping: Vec<Id> = t::table.filter(t::id.eq_any(ids)).filter(sql::<Bool>(OVERLAPPING)).select(t::id).load(conn)?;
    let overlapping: HashSet<Id> = overlapping.into_iter().collect();
    Ok(rows.into_iter().map(|(row, volunteer)| view(row, volunteer, &overlapping)).collect())
}

fn view(row: Row, volunteer: VolunteerBrief, overlapping: &HashSet<Id>) -> ServiceRecord {
    ServiceRecord {
        overlapping: overlapping.contains(&row.id),
        id: row.id,
        code: row.code,
        organization_id: row.organization_id,
        volunteer_id: row.volunteer_id,
        volunteer,
        team_id: row.team_id,
        campaign_event_id: row.campaign_event_id,
        note: row.note,
        started_at: row.started_at,
        ended_at: row.ended_at,
        minutes: row.minutes,
        state: row.state,
        confirmed_by: row.confirmed_by,
        reason: row.reason,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// Checks the caller in, as the volunteer that they are, where the code that they scanned is.
#[utoipa::path(operation_id = "service_records_check_in", tag = "service-records", summary = "扫码签到 / Check in by a code",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe: the same key and body get the stored answer.")),
    request_body = CheckIn,
    responses((status = 201, description = "Checked in.", body = ServiceRecord)))]
#[post("/service-records/check-in")]
pub async fn check_in(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    wechat: web::Data<WeChat>,
    mut payload: web::Payload,
) -> Result<HttpResponse> {
    caller.actor.may(Area::People, Action::CheckIn)?;
    no_parameters(&request)?;
    let given: CheckIn = body::typed(&request, &mut payload).await?;
    let raw = serde_json::to_vec(&given).map_err(Error::internal)?;
    let deed = deed_of(&request, &caller, &raw, false)?;
    text::check(&wechat, &db, &caller, &[("/note", given.note.as_deref())]).await?;
    let actor = caller.actor;
    let reply = db
        .write(deed, move |tx| {
            let person_id = actor.person()?;
            let record = begin(tx, person_id, &given)?;
            let detail = serde_json::to_value(&record).map_err(Error::internal)?;
            let (id, organization_id) = (Some(record.id), Some(record.organization_id));
            tx.audit(Action::CheckIn.code(), ServiceRecords::NAME, id, organization_id, Some(&detail)).about(Some(person_id));
            created::<ServiceRecords>(tx, &actor, &record)
        })
        .await?;
    Ok(respond(reply))
}

fn unknown_scene() -> Error {
    Error::field(
        "/scene",
        "unknown_scene",
        "此码不是本服务的签到码，或已失效；请扫描队伍或活动现场的码",
        "this is no code to check in by; scan that of the team or the event",
    )
}

/// A new record of the volunteer that somebody is.
fn begin(tx: &mut Tx<'_>, person_id: Id, given: &CheckIn) -> Result<ServiceRecord> {
    let (resource, place_id) = qr::place(&given.scene).ok_or_else(unknown_scene)?;
    let volunteer: Option<(VolunteerBrief, VolunteerStatus)> = volunteers::table
        .inner_join(persons::table)
        .filter(volunteers::person_id.eq(person_id))
        .select((VolunteerBrief::as_select(), volunteers::status))
        .first(tx.conn)
        .optional()?;
    let volunteer =
        volunteer.filter(|(_, status)| *status == VolunteerStatus::Active).map(|(volunteer, _)| volunteer).ok_or_else(|| {
            Error::because(Code::Conflict, "您不是在册的志愿者，请联系所属协会", "you are no registered volunteer; ask the association")
        })?;
    // One after the other, so that two check-ins at once don't both find none that is open.
    held!(tx.conn, volunteers::table.find(volunteer.id).select(volunteers::id))?;
    let (organization_id, team_id, campaign_event_id) = match resource {
        "volunteer_teams" => (of_team(tx, place_id, volunteer.id)?, Some(place_id), None),
        "campaign_events" => {
            let found = campaign_events::table.find(place_id).select(campaign_events::organization_id).first(tx.conn).optional()?;
            (found.ok_or_else(unknown_scene)?, None, Some(place_id))
        }
        _ => return Err(unknown_scene()),
    };
    let open: Option<Id> = t::table
        .filter(t::volunteer_id.eq(volunteer.id))
        .filter(t::state.eq(ServiceState::CheckedIn))
        .select(t::id)
        .first(tx.conn)
        .optional()?;
    if let Some(open) = open {
        return Err(Error::because(Code::Conflict, "您还有一次服务没有签退，请先签退", "you are checked in already: check out first")
            .with("service_record_id", open.to_string()));
    }
    let row = Row {
        id: Id::new(),
        code: new_code(),
        organization_id,
        volunteer_id: volunteer.id,
        team_id,
        campaign_event_id,
        note: given.note.clone(),
        started_at: tx.now,
        ended_at: None,
        minutes: None,
        state: ServiceState::CheckedIn,
        confirmed_by: None,
        reason: None,
        version: 1,
        created_at: tx.now,
        updated_at: tx.now,
    };
    diesel::insert_into(t::table).values(&row).execute(tx.conn)?;
    shown(tx.conn, vec![(row, volunteer)])?.pop().ok_or_else(|| Error::internal("a record that was just written is gone"))
}

/// The organization of a team that a volunteer is in and that works.
fn of_team(tx: &mut Tx<'_>, team_id: Id, volunteer_id: Id) -> Result<Id> {
    let team: Option<(Id, TeamStatus)> = volunteer_teams::table
        .find(team_id)
        .select((volunteer_teams::organization_id, volunteer_teams::status))
        .first(tx.conn)
        .optional()?;
    let (organization_id, status) = team.ok_or_else(unknown_scene)?;
    if status != TeamStatus::Active {
        return Err(Error::because(Code::Conflict, "该队伍已暂停或解散，不能签到", "the team does not work any more, or for now"));
    }
    let today = business_today(tx.now);
    let member: i64 = memberships::table
        .filter(memberships::team_id.eq(team_id))
        .filter(memberships::volunteer_id.eq(volunteer_id))
        .filter(memberships::joined_on.le(today))
        .filter(memberships::left_on.is_null().or(memberships::left_on.gt(today)))
        .count()
        .get_result(tx.conn)?;
    if member == 0 {
        return Err(Error::because(Code::Conflict, "您不是该队伍的队员，不能签到", "you are no member of this team"));
    }
    Ok(organization_id)
}

/// Writes a record over itself at its version.
fn save(tx: &mut Tx<'_>, before: &ServiceRecord, after: Row) -> Result<ServiceRecord> {
    let after = Row { version: before.version + 1, updated_at: tx.now, ..after };
    save!(tx, t, before, &after)?;
    shown(tx.conn, vec![(after, before.volunteer.clone())])?.pop().ok_or_else(|| Error::internal("a record that was just written is gone"))
}

/// `check-out`: by the volunteer, or by who would confirm it where they have forgotten.
fn check_out(tx: &mut Tx<'_>, _: &Scope, before: ServiceRecord, body: &Value) -> Result<ServiceRecord> {
    let CheckOutBody { ended_at } = step_body(body)?;
    let ended_at = ended_at.unwrap_or(tx.now);
    if ended_at < before.started_at || ended_at > tx.now {
        return Err(Error::field(
            "/ended_at",
            "outside_the_service",
            "签退时间应在签到之后、现在之前",
            "the end lies after the beginning, and not ahead",
        ));
    }
    let minutes = ended_at.seconds_since(before.started_at) / 60;
    if minutes > LONGEST_HOURS * 60 {
        return Err(Error::field(
            "/ended_at",
            "too_long",
            format!("一次服务最长 {LONGEST_HOURS} 小时；如忘记签退，请填写实际结束时间"),
            format!("nobody serves longer than {LONGEST_HOURS} hours; where checking out was forgotten, give the time when it was over"),
        ));
    }
    save(tx, &before, Row { ended_at: Some(ended_at), minutes: Some(minutes), state: ServiceState::CheckedOut, ..before.row() })
}

/// Tells the volunteer on their telephone, where they have agreed to be told.
fn tell(tx: &mut Tx<'_>, record: &ServiceRecord, kind: &str, result: &str) -> Result<()> {
    let place: Option<String> = match (record.team_id, record.campaign_event_id) {
        (Some(id), _) => volunteer_teams::table.find(id).select(volunteer_teams::name).first(tx.conn)?,
        (None, Some(id)) => campaign_events::table.find(id).select(campaign_events::name).first(tx.conn)?,
        (None, None) => None,
    };
    let of_person = users::table.filter(users::person_id.eq(record.volunteer.person_id)).filter(users::status.eq(UserStatus::Active));
    let those: Vec<Id> = of_person.order(users::id).limit(20).select(users::id).load(tx.conn)?;
    let (began, minutes) = (subscribe::clock(record.started_at), record.minutes.unwrap_or_default().to_string());
    let told = [
        ("title", "志愿服务记录"),
        ("place", place.as_deref().unwrap_or("志愿服务")),
        ("at", began.as_str()),
        ("minutes", minutes.as_str()),
        ("result", result),
        ("reason", record.reason.as_deref().unwrap_or("无")),
    ];
    for user_id in those {
        subscribe::send(tx, user_id, kind, &told)?;
    }
    Ok(())
}

/// `confirm`: by the team's leader, or an officer.
fn confirm(tx: &mut Tx<'_>, _: &Scope, before: ServiceRecord, _: &Value) -> Result<ServiceRecord> {
    let actor = tx.actor()?;
    let after = save(tx, &before, Row { state: ServiceState::Confirmed, confirmed_by: Some(actor), ..before.row() })?;
    tell(tx, &after, "service_confirmed", "已确认")?;
    Ok(after)
}

/// `reject`: it doesn't count.
fn reject(tx: &mut Tx<'_>, _: &Scope, before: ServiceRecord, body: &Value) -> Result<ServiceRecord> {
    let ReasonBody { reason } = step_body(body)?;
    let actor = tx.actor()?;
    let reason = Some(reason.trim().to_owned());
    let after = save(tx, &before, Row { state: ServiceState::Rejected, confirmed_by: Some(actor), reason, ..before.row() })?;
    tell(tx, &after, "service_rejected", "未认可")?;
    Ok(after)
}

/// What a volunteer has served: minutes that are confirmed, minutes that wait to be, and how many times.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ServiceTotals {
    pub confirmed_minutes: i64,
    pub confirmed_records: i64,
    /// Checked out, and not yet confirmed.
    pub waiting_minutes: i64,
    pub waiting_records: i64,
}

/// The totals of volunteers between two days, of all time where none are given: one query for all. Who has served nothing has none.
pub fn totals(conn: &mut AnyConnection, volunteers: &[Id], days: Option<(NaiveDate, NaiveDate)>) -> Result<HashMap<Id, ServiceTotals>> {
    let mut counted = t::table.filter(t::volunteer_id.eq_any(volunteers.to_vec())).into_boxed::<Any>();
    if let Some((from, to)) = days {
        counted = counted.filter(t::started_at.ge(day_begins(from)));
        if let Some(next) = to.succ_opt() {
            counted = counted.filter(t::started_at.lt(day_begins(next)));
        }
    }
    let query = counted.filter(t::state.eq_any([ServiceState::Confirmed, ServiceState::CheckedOut])).select((
        t::volunteer_id,
        t::state,
        aggregate!("COUNT(*)"),
        sum_of!(minutes),
    ));
    let groups: Vec<(Id, ServiceState, i64, Option<i64>)> = Grouped { query, by: "volunteer_id, state" }.load(conn)?;
    let mut all: HashMap<Id, ServiceTotals> = HashMap::new();
    for (volunteer_id, state, records, minutes) in groups {
        let (totals, minutes) = (all.entry(volunteer_id).or_default(), minutes.unwrap_or_default());
        if state == ServiceState::Confirmed {
            (totals.confirmed_records, totals.confirmed_minutes) = (records, minutes);
        } else {
            (totals.waiting_records, totals.waiting_minutes) = (records, minutes);
        }
    }
    Ok(all)
}

impl Resource for ServiceRecords {
    const NAME: &'static str = "service_records";
    const LABEL: (&'static str, &'static str) = ("服务记录", "service record");
    const AREA: Area = Area::People;
    const REFERENCES: &'static [Reference] = &[];

    type View = ServiceRecord;
    type Filter = ServiceRecordFilter;

    read_only!();
    reads!(t);

    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>> {
        let rows: Vec<(Row, VolunteerBrief)> = page!(conn, scope, query(scope, filter), t, window, rows => with_volunteer!(rows));
        shown(conn, rows)
    }

    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View> {
        let row = with_volunteer!(query(scope, &Self::Filter::default()).filter(t::id.eq(id))).first(conn)?;
        shown(conn, vec![row])?.pop().ok_or_else(Error::not_found)
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step {
                action: Action::CheckOut,
                summary: "签退 / Check out",
                body: Some(Shape::of::<CheckOutBody>),
                needs_key: false,
                run: check_out,
            },
            Step {
                action: Action::Confirm,
                summary: "确认服务（队长或工作人员，不得为本人） / Confirm: the team's leader or an officer, never the volunteer",
                body: None,
                needs_key: false,
                run: confirm,
            },
            Step {
                action: Action::Reject,
                summary: "不予认可（队长或工作人员，不得为本人） / Reject: the team's leader or an officer, never the volunteer",
                body: Some(Shape::of::<ReasonBody>),
                needs_key: false,
                run: reject,
            },
        ]
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        match view.state {
            ServiceState::CheckedIn => vec![Action::CheckOut],
            ServiceState::CheckedOut => vec![Action::Confirm, Action::Reject],
            ServiceState::Confirmed | ServiceState::Rejected => Vec::new(),
        }
    }

    /// Who decides over a record is another than who served.
    fn objections(_: &mut AnyConnection, actor: &Actor, asked: &[(&Self::View, Action)]) -> Result<Vec<Option<Error>>> {
        let own = |record: &ServiceRecord, action| {
            let decides = matches!(action, Action::Confirm | Action::Reject);
            (decides && actor.person_id == Some(record.volunteer.person_id)).then(|| {
                Error::because(
                    Code::Forbidden,
                    "不能确认自己的服务；请由队长或协会工作人员办理",
                    "nobody decides over their own service; ask the team's leader, or an officer",
                )
            })
        };
        Ok(asked.iter().map(|(record, action)| own(record, *action)).collect())
    }
}
