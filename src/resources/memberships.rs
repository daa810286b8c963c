//! Memberships (队员关系): a volunteer in a team, from the day they joined to the day they left.
//!
//! A volunteer may be in several teams, so heads and memberships count apart; in one team they are once at a time. A
//! membership lies in its team's organization and follows it.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::rules;
use super::volunteer_teams::TeamBrief;
use super::volunteers::VolunteerBrief;
use crate::db::{Any, AnyConnection, Part, Subset, Tx, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::{memberships as t, persons, volunteer_teams, volunteers};
use crate::types::{DatePrecision, Id, Instant, code_or_new};
use crate::web::{Measure, Measured, Reference, Resource, Window, deletes, measured, page, reads, save, viewed};

/// A volunteer's membership of a team.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Membership {
    pub id: Id,
    pub code: String,
    /// The team's.
    pub organization_id: Id,
    pub volunteer_id: Id,
    #[diesel(embed, skip_insertion, skip_update)]
    pub volunteer: VolunteerBrief,
    pub team_id: Id,
    #[diesel(embed, skip_insertion, skip_update)]
    pub team: TeamBrief,
    pub joined_on: NaiveDate,
    pub joined_on_precision: DatePrecision,
    /// Since when they are no member any more; null for a present member.
    pub left_on: Option<NaiveDate>,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Membership {
    fn shown_version(&self) -> String {
        format!("{}-{}-{}-{}", self.version, self.volunteer.version, self.volunteer.person_version, self.team.version)
    }
    fn person_id(&self) -> Option<Id> {
        Some(self.volunteer.person_id)
    }
});

/// What may be written of a membership.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
pub struct MembershipDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// Fixed once written.
    pub volunteer_id: Id,
    /// Fixed once written: who goes to another team leaves this one.
    pub team_id: Id,
    pub joined_on: NaiveDate,
    /// `exact` when absent.
    pub joined_on_precision: Option<DatePrecision>,
    pub left_on: Option<NaiveDate>,
}

fn whole(draft: &MembershipDraft) -> Result<(), ValidationError> {
    rules::in_order(Some(draft.joined_on), draft.left_on, "left_on")
}

/// Which memberships.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct MembershipFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub volunteer_id: Option<Id>,
    pub team_id: Option<Id>,
    /// `true` for those that have not ended, `false` for those that have.
    pub current: Option<bool>,
    /// Those that stood on this day.
    pub as_at: Option<NaiveDate>,
}

pub struct Memberships;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &MembershipFilter) -> t::BoxedQuery<'static, Any> {
    let reach = scope.within(filter.organization_id, filter.organization_level);
    let mut query = match scope.own() {
        // What the filter asks for narrows one's own memberships too.
        Some(own) => {
            let asked = Scope::asked(filter.organization_id, filter.organization_level);
            let own = Subset(vec![Part::Sql("SELECT id FROM volunteers WHERE person_id = "), Part::Id(own)]);
            let mine = own.holds(t::volunteer_id).and(asked.holds(t::organization_id));
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
    match filter.current {
        Some(true) => query = query.filter(t::left_on.is_null()),
        Some(false) => query = query.filter(t::left_on.is_not_null()),
        None => {}
    }
    if let Some(day) = filter.as_at {
        query = query.filter(t::joined_on.le(day)).filter(t::left_on.is_null().or(t::left_on.gt(day)));
    }
    query
}

/// The volunteers and teams in scope to which new memberships refer.
struct Ends {
    volunteers: HashMap<Id, VolunteerBrief>,
    /// With the organization of each.
    teams: HashMap<Id, (Id, TeamBrief)>,
}

fn ends(tx: &mut Tx<'_>, scope: &Scope, drafts: &[MembershipDraft]) -> Result<Ends> {
    let mut faults = Vec::new();
    let mut check = |of, field: &str, id: fn(&MembershipDraft) -> Id| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (format!("/{i}/{field}"), Some(id(draft))));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("volunteers", "volunteer_id", |draft| draft.volunteer_id)?;
    check("volunteer_teams", "team_id", |draft| draft.team_id)?;
    Error::unless_empty(faults)?;
    let wanted: HashSet<Id> = drafts.iter().map(|draft| draft.volunteer_id).collect();
    let members: Vec<VolunteerBrief> = volunteers::table
        .inner_join(persons::table)
        .filter(volunteers::id.eq_any(wanted.into_iter().collect::<Vec<_>>()))
        .select(VolunteerBrief::as_select())
        .load(tx.conn)?;
    let wanted: HashSet<Id> = drafts.iter().map(|draft| draft.team_id).collect();
    let teams: Vec<(Id, TeamBrief)> = volunteer_teams::table
        .filter(volunteer_teams::id.eq_any(wanted.into_iter().collect::<Vec<_>>()))
        .select((volunteer_teams::organization_id, TeamBrief::as_select()))
        .load(tx.conn)?;
    Ok(Ends {
        volunteers: members.into_iter().map(|volunteer| (volunteer.id, volunteer)).collect(),
        teams: teams.into_iter().map(|(organization_id, team)| (team.id, (organization_id, team))).collect(),
    })
}

/// A volunteer is in a team once at a time.
fn refuse_second(tx: &mut Tx<'_>, rows: &[Membership], at: impl Fn(usize) -> String) -> Result<()> {
    let current = || rows.iter().filter(|row| row.left_on.is_none());
    let mut volunteers: Vec<Id> = current().map(|row| row.volunteer_id).collect();
    if volunteers.is_empty() {
        return Ok(());
    }
    volunteers.sort_unstable();
    volunteers.dedup();
    let own: Vec<Id> = current().map(|row| row.id).collect();
    let standing: Vec<(Id, Id, String)> = t::table
        .filter(t::volunteer_id.eq_any(volunteers))
        .filter(t::left_on.is_null())
        .filter(t::id.ne_all(own))
        .select((t::volunteer_id, t::team_id, t::code))
        .load(tx.conn)?;
    let mut standing: HashMap<(Id, Id), String> = standing.into_iter().map(|(v, team, code)| ((v, team), code)).collect();
    let mut faults = Vec::new();
    for (i, row) in rows.iter().enumerate().filter(|(_, row)| row.left_on.is_none()) {
        if let Some(code) = standing.insert((row.volunteer_id, row.team_id), row.code.clone()) {
            let says = Says::new(
                format!("该志愿者已是此队队员（{code}）；请先填写其离队日期"),
                format!("the volunteer is in this team already ({code}); give the day on which that ended first"),
            );
            faults.push(Fault::new(format!("{}/team_id", at(i)), "already_a_member", says));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    let mut error =
        Error::because(Code::AlreadyExists, "同一志愿者在同一队伍中只能有一条在队记录", "a volunteer is in a team once at a time");
    error.faults = faults;
    Err(error)
}

/// A team belongs to another organization now: so do its memberships.
pub fn follow(tx: &mut Tx<'_>, team_id: Id, organization_id: Id) -> Result<()> {
    let those = t::table.filter(t::team_id.eq(team_id));
    let rows: Vec<(Id, Id)> = those.order(t::id).select((t::id, t::organization_id)).load(tx.conn)?;
    diesel::update(those)
        .set((t::organization_id.eq(organization_id), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
        .execute(tx.conn)?;
    rules::followed(tx, Memberships::NAME, rows, organization_id);
    Ok(())
}

/// With the volunteer's name and the team's: three joins on primary keys.
macro_rules! with_ends {
    ($query:expr) => {
        $query.inner_join(volunteers::table.inner_join(persons::table)).inner_join(volunteer_teams::table).select(Membership::as_select())
    };
}

impl Resource for Memberships {
    const NAME: &'static str = "memberships";
    const LABEL: (&'static str, &'static str) = ("队员关系", "membership");
    const AREA: Area = Area::People;
    const REFERENCES: &'static [Reference] = &[
        Reference { field: "volunteer_id", column: "volunteer_code", of: "volunteers" },
        Reference { field: "team_id", column: "team_code", of: "volunteer_teams" },
    ];

    type View = Membership;
    type Draft = MembershipDraft;
    type Filter = MembershipFilter;

    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>> {
        Ok(page!(conn, scope, query(scope, filter), t, window, rows => with_ends!(rows)))
    }

    reads!(t);

    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View> {
        Ok(with_ends!(query(scope, &Self::Filter::default()).filter(t::id.eq(id))).first(conn)?)
    }

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let ends = ends(tx, scope, &drafts)?;
        let now = tx.now;
        let rows: Vec<Membership> = drafts
            .into_iter()
            .map(|draft| {
                let volunteer = ends.volunteers.get(&draft.volunteer_id).cloned();
                let (organization_id, team) = ends.teams.get(&draft.team_id).cloned().unzip();
                Some(Membership {
                    id: Id::new(),
                    code: code_or_new(draft.code.as_deref()),
                    organization_id: organization_id?,
                    volunteer_id: draft.volunteer_id,
                    volunteer: volunteer?,
                    team_id: draft.team_id,
                    team: team?,
                    joined_on: draft.joined_on,
                    joined_on_precision: draft.joined_on_precision.unwrap_or(DatePrecision::Exact),
                    left_on: draft.left_on,
                    version: 1,
                    created_at: now,
                    updated_at: now,
                })
            })
            .collect::<Option<_>>()
            .ok_or_else(|| Error::internal("a record that was just seen is gone"))?;
        refuse_second(tx, &rows, |i| format!("/{i}"))?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let record = view.clone();
        Ok(MembershipDraft {
            code: Some(record.code),
            volunteer_id: record.volunteer_id,
            team_id: record.team_id,
            joined_on: record.joined_on,
            joined_on_precision: Some(record.joined_on_precision),
            left_on: record.left_on,
        })
    }

    fn update(tx: &mut Tx<'_>, _: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        let says = || {
            Says::new(
                "队员关系的志愿者和队伍不能更改；请填写离队日期，另建一条",
                "the volunteer and the team of a membership do not change; give the day on which it ended and register another",
            )
        };
        let mut faults = Vec::new();
        if draft.volunteer_id != before.volunteer_id {
            faults.push(Fault::new("/volunteer_id", "fixed", says()));
        }
        if draft.team_id != before.team_id {
            faults.push(Fault::new("/team_id", "fixed", says()));
        }
        Error::unless_empty(faults)?;
        let after = Membership {
            code: code_or_new(draft.code.as_deref()),
            joined_on: draft.joined_on,
            joined_on_precision: draft.joined_on_precision.unwrap_or(DatePrecision::Exact),
            left_on: draft.left_on,
            version: before.version + 1,
            updated_at: tx.now,
            ..before.clone()
        };
        refuse_second(tx, std::slice::from_ref(&after), |_| String::new())?;
        save!(tx, t, before, &after)?;
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}
