//! Workstations (见义勇为工作站): at which host they stand, where, and since when.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::assessments::{self, Assessed};
use super::standards::Subject;
use super::{appointments, rules};
use crate::db::{Any, AnyConnection, Tx, grams, insert_all};
use crate::error::{Error, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::workstations as t;
use crate::types::{CoordinateSystem, Id, Instant, TextEnum, business_today, code_or_new, text_enum};
use crate::web::verbs::refusal;
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// What a workstation stands at.
    HostKind {
        PoliceStation = "police_station", "派出所", "police station";
        SubDistrict = "sub_district", "街道", "sub-district";
        Township = "township", "乡镇", "township";
        VillageCommunity = "village_community", "村社区", "village or community";
        Enterprise = "enterprise", "企业", "enterprise";
        School = "school", "学校", "school";
        Other = "other", "其他", "other";
    }
}

text_enum! {
    /// Whether a workstation works.
    WorkstationStatus {
        Active = "active", "正常", "active";
        Closed = "closed", "撤销", "closed";
    }
}

/// A workstation.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Workstation {
    pub id: Id,
    /// Unique code that people use.
    #[schema(example = "zz-jinshui-huayuanlu")]
    pub code: String,
    pub organization_id: Id,
    pub name: String,
    pub host_kind: HostKind,
    pub host_name: Option<String>,
    pub address: Option<String>,
    /// Degrees east, in `coordinate_system`.
    pub longitude: Option<f64>,
    /// Degrees north, in `coordinate_system`.
    pub latitude: Option<f64>,
    pub coordinate_system: Option<CoordinateSystem>,
    /// Whether it was commended as a model; null where unknown.
    pub commended: Option<bool>,
    pub established_on: Option<NaiveDate>,
    pub status: WorkstationStatus,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Workstation {
    fn searched(&self) -> Option<String> {
        Some(self.name.clone())
    }
});

/// What may be written of a workstation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
pub struct WorkstationDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    pub host_kind: HostKind,
    #[schema(min_length = 1, max_length = 100)]
    pub host_name: Option<String>,
    #[schema(min_length = 1, max_length = 200)]
    pub address: Option<String>,
    #[schema(minimum = -180, maximum = 180)]
    pub longitude: Option<f64>,
    #[schema(minimum = -90, maximum = 90)]
    pub latitude: Option<f64>,
    /// `gcj02` when absent and there are coordinates.
    pub coordinate_system: Option<CoordinateSystem>,
    pub commended: Option<bool>,
    pub established_on: Option<NaiveDate>,
    /// `active` when absent.
    pub status: Option<WorkstationStatus>,
}

fn whole(draft: &WorkstationDraft) -> Result<(), ValidationError> {
    if draft.longitude.is_some() != draft.latitude.is_some() || (draft.coordinate_system.is_some() && draft.longitude.is_none()) {
        return Err(refusal(
            Some("longitude"),
            "incomplete_coordinates",
            &Says::new("经度与纬度须同时填写", "longitude and latitude come together"),
        ));
    }
    Ok(())
}

/// Which workstations.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct WorkstationFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub host_kind: Option<Vec<HostKind>>,
    #[param(inline)]
    pub status: Option<WorkstationStatus>,
    pub commended: Option<bool>,
    /// Whether it is assessed by a standard, as of today in China.
    #[param(inline)]
    pub assessed: Option<Assessed>,
}

pub struct Workstations;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &WorkstationFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(Workstations::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(kinds) = &filter.host_kind {
        query = query.filter(t::host_kind.eq_any(kinds.clone()));
    }
    if let Some(status) = filter.status {
        query = query.filter(t::status.eq(status));
    }
    if let Some(commended) = filter.commended {
        query = query.filter(t::commended.eq(commended));
    }
    if let Some(assessed) = filter.assessed {
        query = query.filter(assessments::standing(Subject::Workstation, assessed, business_today(Instant::now())).holds(t::id));
    }
    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: WorkstationDraft) -> Workstation {
    Workstation {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        name: draft.name,
        host_kind: draft.host_kind,
        host_name: draft.host_name,
        address: draft.address,
        coordinate_system: draft.coordinate_system.or(draft.longitude.map(|_| CoordinateSystem::Gcj02)),
        longitude: draft.longitude,
        latitude: draft.latitude,
        commended: draft.commended,
        established_on: draft.established_on,
        status: draft.status.unwrap_or(WorkstationStatus::Active),
        version,
        created_at,
        updated_at: now,
    }
}

/// Workstations that were commended: those that were not known as such are now.
pub fn commend(tx: &mut Tx<'_>, ids: Vec<Id>) -> Result<()> {
    let those = t::table.filter(t::id.eq_any(ids)).filter(t::commended.is_null().or(t::commended.eq(false)));
    let rows: Vec<(Id, Id, Option<bool>)> = those.clone().order(t::id).select((t::id, t::organization_id, t::commended)).load(tx.conn)?;
    diesel::update(those).set((t::commended.eq(Some(true)), t::version.eq(t::version + 1), t::updated_at.eq(tx.now))).execute(tx.conn)?;
    for (id, organization_id, before) in rows {
        let detail = json!({"commended": [before, true]});
        tx.audit(Action::Update.code(), Workstations::NAME, Some(id), Some(organization_id), Some(&detail));
    }
    Ok(())
}

fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[WorkstationDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults = Vec::new();
    let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), Some(draft.organization_id)));
    rules::all_in_scope(tx.conn, scope, "organizations", wanted.collect::<Vec<_>>(), &mut faults)?;
    Error::unless_empty(faults)
}

impl Resource for Workstations {
    const NAME: &'static str = "workstations";
    const LABEL: (&'static str, &'static str) = ("工作站", "workstation");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];

    type View = Workstation;
    type Draft = WorkstationDraft;
    type Filter = WorkstationFilter;

    reads!(t, Workstation);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Workstation> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let station = view.clone();
        Ok(WorkstationDraft {
            code: Some(station.code),
            organization_id: station.organization_id,
            name: station.name,
            host_kind: station.host_kind,
            host_name: station.host_name,
            address: station.address,
            longitude: station.longitude,
            latitude: station.latitude,
            coordinate_system: station.coordinate_system,
            commended: station.commended,
            established_on: station.established_on,
            status: Some(station.status),
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft);
        save!(tx, t, before, &after)?;
        if before.organization_id != after.organization_id {
            appointments::follow(tx, after.id, after.organization_id)?;
            assessments::follow(tx, Subject::Workstation, after.id, after.organization_id)?;
        }
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}
