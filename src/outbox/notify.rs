//! Who is told of what happened, in the service itself.
//!
//! Who can take the next step is told that it waits; who prepared something is told what became of it; who is given something, that it was
//! given. Nobody is told of what they may not see, of what they did themselves, or while they are disabled, and no program is.
//!
//! What else follows a notification, such as a message to somebody's phone, begins with the rows that [`told`] makes.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::Happened;
use crate::audit::AuditOutcome;
use crate::auth::{UserKind, UserStatus};
use crate::db::AnyConnection;
use crate::error::Result;
use crate::policy::{Action, Area, Grant, Role, may_in};
use crate::resources::disbursements::DisbursementState;
use crate::resources::monthly_returns::calendar::REMINDED;
use crate::resources::notifications::{NotificationKind as Kind, Row};
use crate::schema::{
    audit_events as e, dependants, disbursements, heroes, monthly_returns, organization_closure as closure, return_rounds,
    role_grants as g, trainings, users as u, vouchers,
};
use crate::types::{Id, TextEnum, business_today};
use crate::web::verbs;

const BATCHES: &str = "welfare_batches";
const DISBURSEMENTS: &str = "disbursements";
const VOUCHERS: &str = "vouchers";
const TRAININGS: &str = "trainings";
const NOTICES: &str = "public_notices";
const IMPORTS: &str = "imports";
const RETURNS: &str = "monthly_returns";

/// Of the association's own work: whom an association tells what concerns all of it.
const OFFICERS: [Role; 6] = [Role::OrgAdmin, Role::Leader, Role::Clerk, Role::PublicityOfficer, Role::WelfareOfficer, Role::Finance];

/// An event, and what it means to somebody.
struct News<'a> {
    event: &'a Happened,
    kind: Kind,
    record_id: Id,
}

/// What an event means, where it means something to somebody.
fn kind_of(resource: &str, action: &str) -> Option<Kind> {
    let paper = [BATCHES, DISBURSEMENTS, VOUCHERS, RETURNS].contains(&resource);
    match (resource, Action::from_code(action)) {
        (IMPORTS, Some(Action::Import)) => Some(Kind::ImportFinished),
        (IMPORTS, None) if action == crate::imports::FAILED => Some(Kind::ImportFailed),
        (NOTICES, Some(Action::Publish)) => Some(Kind::NoticePublished),
        (TRAININGS, Some(Action::Create)) => Some(Kind::TrainingPlanned),
        (RETURNS, Some(Action::Create)) => Some(Kind::ReturnOpened),
        (RETURNS, None) if action == REMINDED => Some(Kind::ReturnDue),
        (_, Some(Action::Submit)) if paper => Some(Kind::WaitsForApproval),
        (_, Some(Action::Approve | Action::Post | Action::Accept)) if paper => Some(Kind::Approved),
        (_, Some(Action::Return)) if paper => Some(Kind::Returned),
        (_, Some(Action::Reject)) if paper => Some(Kind::Rejected),
        (_, Some(Action::Reverse)) if paper => Some(Kind::Reversed),
        (_, Some(Action::Pay)) if paper => Some(Kind::Paid),
        (_, Some(Action::Deliver)) if paper => Some(Kind::Delivered),
        _ => None,
    }
}

/// What is known of a paper that goes from hand to hand.
#[derive(Debug, Default)]
struct Paper {
    batch_id: Option<Id>,
    prepared_by: HashSet<Id>,
    /// By whom, where another is still to approve it.
    first_approved_by: HashSet<Id>,
    /// Whom it goes to.
    person_id: Option<Id>,
    /// The organization that decides upon it, where that is another than its own.
    decided_in: Option<Id>,
}

/// The papers and the trainings of some news.
#[derive(Default)]
struct Known {
    papers: HashMap<Id, Paper>,
    /// Steps of batches: what happened to each of their disbursements is told of the batch.
    batch_steps: HashSet<(Id, String, String)>,
    planned: HashSet<Id>,
}

/// Somebody, with what they hold today.
#[derive(Default)]
struct Standing {
    person_id: Option<Id>,
    grants: Vec<Grant>,
}

/// The notifications that events make.
pub fn told(conn: &mut AnyConnection, events: &[(i64, Happened)]) -> Result<Vec<Row>> {
    let news = events
        .iter()
        .filter_map(|(_, event)| Some(News { event, kind: kind_of(&event.resource, &event.action)?, record_id: event.record_id? }));
    let news: Vec<News<'_>> = news.collect();
    if news.is_empty() {
        return Ok(Vec::new());
    }
    let known = known(conn, &news)?;
    let above = above(conn, &news, &known)?;
    let people = people(conn, &news, &known, &above)?;
    let mut rows = Vec::new();
    for one in &news {
        for (user_id, kind) in whom(one, &known, &above, &people) {
            rows.push(Row {
                id: Id::new(),
                user_id,
                kind,
                resource: one.event.resource.clone(),
                record_id: one.record_id,
                event_id: one.event.id,
                at: one.event.at,
                read_at: None,
            });
        }
    }
    Ok(rows)
}

/// Who is told, each once.
fn whom(news: &News<'_>, known: &Known, above: &HashMap<Id, Vec<Id>>, people: &HashMap<Id, Standing>) -> Vec<(Id, Kind)> {
    let event = news.event;
    if event.resource == IMPORTS {
        let asked = event.actor_id.filter(|id| people.contains_key(id));
        return asked.map(|id| (id, news.kind)).into_iter().collect();
    }
    let (Some(home), Some(area)) = (event.organization_id, verbs::named(&event.resource).map(verbs::Verbs::area)) else {
        return Vec::new();
    };
    let all_above = above;
    let above = all_above.get(&home).map(Vec::as_slice).unwrap_or_default();
    let nobody = Paper::default();
    let paper = known.papers.get(&news.record_id).unwrap_or(&nobody);
    let of_batch = paper.batch_id.is_some_and(|batch| known.batch_steps.contains(&(batch, event.request_id.clone(), event.action.clone())));
    // What one of two has approved waits for the other.
    let waits = news.kind == Kind::WaitsForApproval || (news.kind == Kind::Approved && !paper.first_approved_by.is_empty());
    let kind = if waits { Kind::WaitsForApproval } else { news.kind };
    let next = match event.resource.as_str() {
        VOUCHERS => Action::Post,
        RETURNS => Action::Accept,
        _ => Action::Approve,
    };
    let deciding = paper.decided_in.and_then(|id| all_above.get(&id)).map_or(above, Vec::as_slice);
    let holds = |standing: &Standing, roles: &[Role]| {
        standing.grants.iter().any(|grant| grant.organization_id == Some(home) && roles.contains(&grant.role))
    };
    let told = |(id, standing): &(&Id, &Standing)| {
        let given = matches!(kind, Kind::Paid | Kind::Delivered);
        let to_them = given && standing.person_id.is_some() && standing.person_id == paper.person_id;
        let of_their_own = to_them && sees_own(standing, area);
        let wanted = match kind {
            _ if of_batch => of_their_own,
            Kind::WaitsForApproval => {
                may_in(&standing.grants, deciding, area, next) && !paper.prepared_by.contains(id) && !paper.first_approved_by.contains(id)
            }
            Kind::Paid | Kind::Delivered => of_their_own || paper.prepared_by.contains(id),
            Kind::NoticePublished => holds(standing, &OFFICERS),
            // Who can hand it in, where it is to be filled in.
            Kind::ReturnOpened | Kind::ReturnDue => holds(standing, &[Role::OrgAdmin, Role::Clerk]),
            Kind::TrainingPlanned => {
                known.planned.contains(&news.record_id) && (holds(standing, &OFFICERS) || holds(standing, &[Role::StationHead]))
            }
            _ => paper.prepared_by.contains(id),
        };
        wanted && Some(**id) != event.actor_id && (of_their_own || may_in(&standing.grants, above, area, Action::Read))
    };
    people.iter().filter(told).map(|(id, _)| (*id, kind)).collect()
}

/// Whether somebody sees, by a role of theirs, what is about themselves.
fn sees_own(standing: &Standing, area: Area) -> bool {
    standing.grants.iter().any(|grant| grant.role.is_of_own() && crate::policy::allows(grant.role, area, Action::Read))
}

/// The organizations that each organization lies below, itself among them.
fn above(conn: &mut AnyConnection, news: &[News<'_>], known: &Known) -> Result<HashMap<Id, Vec<Id>>> {
    let mut homes: HashSet<Id> = news.iter().filter_map(|one| one.event.organization_id).collect();
    homes.extend(known.papers.values().filter_map(|paper| paper.decided_in));
    let mut above: HashMap<Id, Vec<Id>> = HashMap::new();
    let pairs: Vec<(Id, Id)> =
        closure::table.filter(closure::descendant_id.eq_any(homes)).select((closure::descendant_id, closure::ancestor_id)).load(conn)?;
    for (home, ancestor) in pairs {
        above.entry(home).or_default().push(ancestor);
    }
    Ok(above)
}

/// What has to be known of the records: a few queries, whatever the number of events.
fn known(conn: &mut AnyConnection, news: &[News<'_>]) -> Result<Known> {
    let ids =
        |resource: &str| -> HashSet<Id> { news.iter().filter(|one| one.event.resource == resource).map(|one| one.record_id).collect() };
    let (batches, single, of_vouchers, of_trainings) = (ids(BATCHES), ids(DISBURSEMENTS), ids(VOUCHERS), ids(TRAININGS));
    let of_returns = ids(RETURNS);
    let mut known = Known::default();
    if !single.is_empty() {
        let given: HashSet<Id> =
            news.iter().filter(|one| matches!(one.kind, Kind::Paid | Kind::Delivered)).map(|one| one.record_id).collect();
        read_disbursements(conn, &single, &given, &mut known)?;
    }
    if !batches.is_empty() {
        type Part = (Option<Id>, Id, Option<Id>, DisbursementState);
        let parts: Vec<Part> = disbursements::table
            .filter(disbursements::batch_id.eq_any(batches))
            .select((disbursements::batch_id, disbursements::prepared_by, disbursements::approved_by, disbursements::state))
            .distinct()
            .load(conn)?;
        for (batch_id, prepared_by, approved_by, state) in parts {
            let Some(batch_id) = batch_id else { continue };
            let paper = known.papers.entry(batch_id).or_default();
            paper.prepared_by.insert(prepared_by);
            paper.first_approved_by.extend(approved_by.filter(|_| state == DisbursementState::FirstApproved));
        }
    }
    if !of_vouchers.is_empty() {
        let found: Vec<(Id, Id)> =
            vouchers::table.filter(vouchers::id.eq_any(of_vouchers)).select((vouchers::id, vouchers::prepared_by)).load(conn)?;
        known.papers.extend(found.into_iter().map(|(id, by)| (id, Paper { prepared_by: HashSet::from([by]), ..Paper::default() })));
    }
    if !of_returns.is_empty() {
        let found: Vec<(Id, Option<Id>, Id)> = monthly_returns::table
            .inner_join(return_rounds::table.on(return_rounds::id.eq(monthly_returns::round_id)))
            .filter(monthly_returns::id.eq_any(of_returns))
            .select((monthly_returns::id, monthly_returns::submitted_by, return_rounds::organization_id))
            .load(conn)?;
        known.papers.extend(found.into_iter().map(|(id, submitted_by, decided_in)| {
            (id, Paper { prepared_by: submitted_by.into_iter().collect(), decided_in: Some(decided_in), ..Paper::default() })
        }));
    }
    if !of_trainings.is_empty() {
        // What is entered of the past is no plan.
        let days: HashMap<Id, _> = news.iter().map(|one| (one.record_id, business_today(one.event.at))).collect();
        let held = trainings::table.filter(trainings::id.eq_any(of_trainings)).filter(trainings::held_on.is_not_null());
        let held: Vec<(Id, Option<chrono::NaiveDate>)> = held.select((trainings::id, trainings::held_on)).load(conn)?;
        known.planned = held.into_iter().filter(|(id, day)| *day >= days.get(id).copied()).map(|(id, _)| id).collect();
    }
    Ok(known)
}

fn read_disbursements(conn: &mut AnyConnection, ids: &HashSet<Id>, given: &HashSet<Id>, known: &mut Known) -> Result<()> {
    type Found = (Id, Option<Id>, Id, Option<Id>, DisbursementState, Option<Id>, Option<Id>);
    let found: Vec<Found> = disbursements::table
        .filter(disbursements::id.eq_any(ids))
        .select((
            disbursements::id,
            disbursements::batch_id,
            disbursements::prepared_by,
            disbursements::approved_by,
            disbursements::state,
            disbursements::hero_id,
            disbursements::dependant_id,
        ))
        .load(conn)?;
    let of =
        |pick: fn(&Found) -> Option<Id>| -> HashSet<Id> { found.iter().filter(|one| given.contains(&one.0)).filter_map(pick).collect() };
    let (of_heroes, of_dependants, batches) =
        (of(|one| one.5), of(|one| one.6), found.iter().filter_map(|one| one.1).collect::<HashSet<Id>>());
    let mut persons: HashMap<Id, Id> = HashMap::new();
    if !of_heroes.is_empty() {
        let found = heroes::table.filter(heroes::id.eq_any(of_heroes)).select((heroes::id, heroes::person_id));
        persons.extend(found.load::<(Id, Id)>(conn)?);
    }
    if !of_dependants.is_empty() {
        let found = dependants::table.filter(dependants::id.eq_any(of_dependants)).select((dependants::id, dependants::person_id));
        persons.extend(found.load::<(Id, Id)>(conn)?);
    }
    if !batches.is_empty() {
        let steps: Vec<(Option<Id>, String, String)> = e::table
            .filter(e::record_id.eq_any(batches))
            .filter(e::resource.eq(BATCHES))
            .filter(e::outcome.eq(AuditOutcome::Done))
            .select((e::record_id, e::request_id, e::action))
            .load(conn)?;
        known.batch_steps.extend(steps.into_iter().filter_map(|(id, request_id, action)| Some((id?, request_id, action))));
    }
    known.papers.extend(found.into_iter().map(|(id, batch_id, prepared_by, approved_by, state, hero_id, dependant_id)| {
        let person_id = [hero_id, dependant_id].into_iter().flatten().find_map(|id| persons.get(&id).copied());
        let first_approved_by = approved_by.filter(|_| state == DisbursementState::FirstApproved).into_iter().collect();
        (id, Paper { batch_id, prepared_by: HashSet::from([prepared_by]), first_approved_by, person_id, decided_in: None })
    }));
    Ok(())
}

/// Everybody who may come into question: those who hold something where it happened or above, those who prepared it, and those whom it
/// goes to.
fn people(conn: &mut AnyConnection, news: &[News<'_>], known: &Known, above: &HashMap<Id, Vec<Id>>) -> Result<HashMap<Id, Standing>> {
    let today = business_today(crate::types::Instant::now());
    let papers = news.iter().filter_map(|one| known.papers.get(&one.record_id));
    let mut named: HashSet<Id> = papers.clone().flat_map(|paper| paper.prepared_by.iter().copied()).collect();
    named.extend(news.iter().filter(|one| one.event.resource == IMPORTS).filter_map(|one| one.event.actor_id));
    let persons: HashSet<Id> = papers.filter_map(|paper| paper.person_id).collect();
    let organizations: HashSet<Id> = above.values().flatten().copied().collect();
    if !organizations.is_empty() {
        // Only the roles that are asked for below: a city has many volunteers.
        let asked = Role::all().filter(|role| {
            OFFICERS.contains(role)
                || *role == Role::StationHead
                || crate::policy::allows(*role, Area::Welfare, Action::Approve)
                || crate::policy::allows(*role, Area::Ledger, Action::Post)
        });
        let holders = g::table.filter(g::organization_id.eq_any(organizations)).filter(g::role.eq_any(asked.collect::<Vec<_>>()));
        named.extend(holders.select(g::user_id).distinct().load::<Id>(conn)?);
    }
    let active = || u::table.filter(u::status.eq(UserStatus::Active)).filter(u::kind.eq(UserKind::Person));
    let mut people: HashMap<Id, Standing> = HashMap::new();
    let mut add = |found: Vec<(Id, Option<Id>)>| {
        people.extend(found.into_iter().map(|(id, person_id)| (id, Standing { person_id, grants: Vec::new() })));
    };
    if !named.is_empty() {
        add(active().filter(u::id.eq_any(named)).select((u::id, u::person_id)).load(conn)?);
    }
    if !persons.is_empty() {
        add(active().filter(u::person_id.eq_any(persons)).select((u::id, u::person_id)).load(conn)?);
    }
    type Held = (Id, Role, Option<Id>, chrono::NaiveDate, Option<chrono::NaiveDate>);
    let held: Vec<Held> = g::table
        .filter(g::user_id.eq_any(people.keys().copied().collect::<Vec<_>>()))
        .select((g::user_id, g::role, g::organization_id, g::from_on, g::to_on))
        .load(conn)?;
    for (user_id, role, organization_id, from_on, to_on) in held {
        let grant = Grant { role, organization_id, from_on, to_on };
        if let Some(standing) = people.get_mut(&user_id).filter(|_| grant.holds_on(today)) {
            standing.grants.push(grant);
        }
    }
    Ok(people)
}
