//! Volunteer teams (志愿者队伍): what base they stand on, under which team, since when.
//!
//! A team counts as at a day when it was established by then and not yet disbanded. Where only "by the end of the
//! year" is known, `established_on_precision` says `at_latest`.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::standards::Subject;
use super::{assessments, memberships, rules};
use crate::db::{Any, AnyConnection, Tx, grams, insert_all};
use crate::error::{Error, Fault, Result, Says};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::volunteer_teams as t;
use crate::types::{DatePrecision, Id, Instant, code_or_new, text_enum};
use crate::web::verbs::refusal;
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// Where a team's members come from.
    BaseKind {
        VillageCommunity = "village_community", "村社区", "village or community";
        Enterprise = "enterprise", "企业", "enterprise";
        Workstation = "workstation", "工作站", "workstation";
        School = "school", "学校", "school";
        ShopMarket = "shop_market", "商户市场", "shops or market";
        LawEnforcement = "law_enforcement", "行政执法", "law enforcement";
        Security = "security", "保安", "security";
        Rescue = "rescue", "救援", "rescue";
        Other = "other", "其他", "other";
    }
}

text_enum! {
    /// Whether a team works.
    TeamStatus {
        Active = "active", "正常", "active";
        Suspended = "suspended", "暂停", "suspended";
        Disbanded = "disbanded", "解散", "disbanded";
    }
}

/// A volunteer team.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct VolunteerTeam {
    pub id: Id,
    /// Unique code that people use.
    #[schema(example = "zz-dengfeng-team-01")]
    pub code: String,
    /// The association that the team belongs to.
    pub organization_id: Id,
    pub name: Option<String>,
    pub base_kind: BaseKind,
    /// The team above it.
    pub parent_id: Option<Id>,
    pub workstation_id: Option<Id>,
    /// The person who leads it.
    pub leader_id: Option<Id>,
    pub established_on: NaiveDate,
    pub established_on_precision: DatePrecision,
    /// When the flag was handed over.
    pub flag_ceremony_on: Option<NaiveDate>,
    pub status: TeamStatus,
    pub disbanded_on: Option<NaiveDate>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(VolunteerTeam {
    fn searched(&self) -> Option<String> {
        self.name.clone()
    }
});

/// The team that another record is about, as that record shows it.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = t)]
pub struct TeamBrief {
    pub id: Id,
    pub code: String,
    pub name: Option<String>,
    #[serde(skip)]
    pub version: i32,
}

/// What may be written of a volunteer team.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
pub struct VolunteerTeamDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    pub base_kind: BaseKind,
    pub parent_id: Option<Id>,
    pub workstation_id: Option<Id>,
    pub leader_id: Option<Id>,
    pub established_on: NaiveDate,
    /// `exact` when absent.
    pub established_on_precision: Option<DatePrecision>,
    pub flag_ceremony_on: Option<NaiveDate>,
    /// `active` when absent.
    pub status: Option<TeamStatus>,
    pub disbanded_on: Option<NaiveDate>,
}

fn whole(draft: &VolunteerTeamDraft) -> Result<(), ValidationError> {
    rules::in_order(Some(draft.established_on), draft.disbanded_on, "disbanded_on")?;
    if (draft.status == Some(TeamStatus::Disbanded)) != draft.disbanded_on.is_some() {
        return Err(refusal(
            Some("disbanded_on"),
            "status_and_date_disagree",
            &Says::new("解散日期与解散状态须同时填写", "a disbanded team, and no other, has the day on which it was disbanded"),
        ));
    }
    Ok(())
}

/// Which volunteer teams.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct VolunteerTeamFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub base_kind: Option<Vec<BaseKind>>,
    #[param(inline)]
    pub status: Option<TeamStatus>,
    pub parent_id: Option<Id>,
    pub workstation_id: Option<Id>,
    /// Those that existed on this day.
    pub as_at: Option<NaiveDate>,
}

pub struct VolunteerTeams;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &VolunteerTeamFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(VolunteerTeams::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(kinds) = &filter.base_kind {
        query = query.filter(t::base_kind.eq_any(kinds.clone()));
    }
    if let Some(status) = filter.status {
        query = query.filter(t::status.eq(status));
    }
    if let Some(id) = filter.parent_id {
        query = query.filter(t::parent_id.eq(id));
    }
    if let Some(id) = filter.workstation_id {
        query = query.filter(t::workstation_id.eq(id));
    }
    if let Some(day) = filter.as_at {
        query = query.filter(t::established_on.le(day)).filter(t::disbanded_on.is_null().or(t::disbanded_on.gt(day)));
    }
    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: VolunteerTeamDraft) -> VolunteerTeam {
    VolunteerTeam {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        name: draft.name,
        base_kind: draft.base_kind,
        parent_id: draft.parent_id,
        workstation_id: draft.workstation_id,
        leader_id: draft.leader_id,
        established_on: draft.established_on,
        established_on_precision: draft.established_on_precision.unwrap_or(DatePrecision::Exact),
        flag_ceremony_on: draft.flag_ceremony_on,
        status: draft.status.unwrap_or(TeamStatus::Active),
        disbanded_on: draft.disbanded_on,
        version,
        created_at,
        updated_at: now,
    }
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[VolunteerTeamDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&VolunteerTeamDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    check("volunteer_teams", "parent_id", |draft| draft.parent_id)?;
    check("workstations", "workstation_id", |draft| draft.workstation_id)?;
    check("persons", "leader_id", |draft| draft.leader_id)?;
    Error::unless_empty(faults)
}

impl Resource for VolunteerTeams {
    const NAME: &'static str = "volunteer_teams";
    const LABEL: (&'static str, &'static str) = ("志愿者队伍", "volunteer team");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[
        Reference::ORGANIZATION,
        Reference { field: "parent_id", column: "parent_code", of: "volunteer_teams" },
        Reference { field: "workstation_id", column: "workstation_code", of: "workstations" },
        Reference { field: "leader_id", column: "leader_code", of: "persons" },
    ];

    type View = VolunteerTeam;
    type Draft = VolunteerTeamDraft;
    type Filter = VolunteerTeamFilter;

    reads!(t, VolunteerTeam);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<VolunteerTeam> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let team = view.clone();
        Ok(VolunteerTeamDraft {
            code: Some(team.code),
            organization_id: team.organization_id,
            name: team.name,
            base_kind: team.base_kind,
            parent_id: team.parent_id,
            workstation_id: team.workstation_id,
            leader_id: team.leader_id,
            established_on: team.established_on,
            established_on_precision: Some(team.established_on_precision),
            flag_ceremony_on: team.flag_ceremony_on,
            status: Some(team.status),
            disbanded_on: team.disbanded_on,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        if draft.parent_id == Some(before.id) {
            return Err(Error::field("/parent_id", "own_parent", "队伍不能以自己为上级", "a team can't be above itself"));
        }
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft);
        save!(tx, t, before, &after)?;
        if before.organization_id != after.organization_id {
            memberships::follow(tx, after.id, after.organization_id)?;
            assessments::follow(tx, Subject::VolunteerTeam, after.id, after.organization_id)?;
        }
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}
