//! Appointments (任职): a person in a post, at an association or at one of its workstations, from a day to a day.
//!
//! `to_on` is the first day without them. A workstation's appointment lies in the workstation's organization and follows it.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::persons::{self, PersonBrief};
use super::rules;
use crate::db::{Any, AnyConnection, Tx, grams, held, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::{appointments as t, persons as p, workstations};
use crate::types::{DatePrecision, Id, Instant, code_or_new, text_enum};
use crate::web::verbs::refusal;
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// What a person is appointed to.
    Post {
        President = "president", "会长", "president";
        VicePresident = "vice_president", "副会长", "vice president";
        SecretaryGeneral = "secretary_general", "秘书长", "secretary general";
        DepartmentHead = "department_head", "部门负责人", "head of a department";
        FullTimeStaff = "full_time_staff", "专职工作人员", "full-time staff";
        PartTimeStaff = "part_time_staff", "兼职工作人员", "part-time staff";
        StationHead = "station_head", "站长", "head of a workstation";
        LiaisonOfficer = "liaison_officer", "联络员", "liaison officer";
        Other = "other", "其他", "other";
    }
}

/// A person's appointment to a post.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Appointment {
    pub id: Id,
    pub code: String,
    /// The association; of a workstation's appointment the workstation's.
    pub organization_id: Id,
    pub person_id: Id,
    #[diesel(embed, skip_insertion, skip_update)]
    pub person: PersonBrief,
    pub workstation_id: Option<Id>,
    pub post: Post,
    pub from_on: NaiveDate,
    pub from_on_precision: DatePrecision,
    /// The first day without them; null while it lasts.
    pub to_on: Option<NaiveDate>,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Appointment {
    fn shown_version(&self) -> String {
        format!("{}-{}", self.version, self.person.version)
    }
    fn person_id(&self) -> Option<Id> {
        Some(self.person_id)
    }
});

/// What may be written of an appointment.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "person_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "post": "president", "from_on": "2022-06-17"}))]
pub struct AppointmentDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The workstation's when absent.
    pub organization_id: Option<Id>,
    /// Who it is; fixed once written.
    pub person_id: Id,
    /// Needed for a station head.
    pub workstation_id: Option<Id>,
    pub post: Post,
    pub from_on: NaiveDate,
    /// `exact` when absent.
    pub from_on_precision: Option<DatePrecision>,
    /// The first day without them.
    pub to_on: Option<NaiveDate>,
}

fn whole(draft: &AppointmentDraft) -> Result<(), ValidationError> {
    if draft.organization_id.is_none() && draft.workstation_id.is_none() {
        return Err(refusal(
            Some("organization_id"),
            "required",
            &Says::new("请填写协会，或填写工作站", "give the association, or the workstation from which it can be told"),
        ));
    }
    if draft.post == Post::StationHead && draft.workstation_id.is_none() {
        return Err(refusal(
            Some("workstation_id"),
            "required",
            &Says::new("站长须填写所在工作站", "the head of a workstation needs the workstation"),
        ));
    }
    rules::in_order(Some(draft.from_on), draft.to_on, "to_on")
}

/// Which appointments.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AppointmentFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the person's name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub post: Option<Vec<Post>>,
    pub person_id: Option<Id>,
    pub workstation_id: Option<Id>,
    /// Those that stood on this day.
    pub as_at: Option<NaiveDate>,
}

pub struct Appointments;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &AppointmentFilter) -> t::BoxedQuery<'static, Any> {
    let reach = scope.within(filter.organization_id, filter.organization_level);
    let mut query = match scope.own() {
        // What the filter asks for narrows one's own appointments too.
        Some(own) => {
            let asked = Scope::asked(filter.organization_id, filter.organization_level);
            let mine = t::person_id.eq(own).and(asked.holds(t::organization_id));
            t::table.filter(reach.holds(t::organization_id).or(mine)).into_boxed::<Any>()
        }
        None => t::table.filter(reach.holds(t::organization_id)).into_boxed::<Any>(),
    };
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching("persons", q)) {
        query = query.filter(found.holds(t::person_id));
    }
    if let Some(posts) = &filter.post {
        query = query.filter(t::post.eq_any(posts.clone()));
    }
    if let Some(id) = filter.person_id {
        query = query.filter(t::person_id.eq(id));
    }
    if let Some(id) = filter.workstation_id {
        query = query.filter(t::workstation_id.eq(id));
    }
    if let Some(day) = filter.as_at {
        query = query.filter(t::from_on.le(day)).filter(t::to_on.is_null().or(t::to_on.gt(day)));
    }
    query
}

/// The organization of each appointment, seen to be in scope: the one that is given, or the workstation's.
///
/// The faults found before are told along with those of the place.
fn organizations_of(
    tx: &mut Tx<'_>,
    scope: &Scope,
    drafts: &[AppointmentDraft],
    at: impl Fn(usize, &str) -> String,
    mut faults: Vec<Fault>,
) -> Result<Vec<Id>> {
    let mut check = |of, field: &str, id: fn(&AppointmentDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| draft.organization_id)?;
    check("workstations", "workstation_id", |draft| draft.workstation_id)?;
    Error::unless_empty(faults)?;
    let wanted: Vec<Id> = drafts.iter().filter_map(|draft| draft.workstation_id).collect();
    let stations: HashMap<Id, Id> = if wanted.is_empty() {
        HashMap::new()
    } else {
        let rows: Vec<(Id, Id)> = workstations::table
            .filter(workstations::id.eq_any(wanted))
            .select((workstations::id, workstations::organization_id))
            .load(tx.conn)?;
        rows.into_iter().collect()
    };
    let mut faults = Vec::new();
    let mut organizations = Vec::with_capacity(drafts.len());
    for (i, draft) in drafts.iter().enumerate() {
        let of_station = draft.workstation_id.and_then(|id| stations.get(&id).copied());
        if let (Some(given), Some(of_station)) = (draft.organization_id, of_station)
            && given != of_station
        {
            let says = Says::new(
                format!("该工作站属于另一协会（id {of_station}）；请改为该协会，或不填协会"),
                format!("the workstation belongs to another association (id {of_station}); give that one, or none"),
            );
            faults.push(Fault::new(at(i, "organization_id"), "not_the_workstations", says));
        }
        organizations.extend(of_station.or(draft.organization_id));
    }
    Error::unless_empty(faults)?;
    Ok(organizations)
}

/// A person holds a post at a place once at a time.
fn refuse_overlaps(tx: &mut Tx<'_>, rows: &[Appointment], at: impl Fn(usize) -> String) -> Result<()> {
    let mut people: Vec<Id> = rows.iter().map(|row| row.person_id).collect();
    people.sort_unstable();
    people.dedup();
    // Two appointments of one person at once come one after the other.
    held!(tx.conn, p::table.filter(p::id.eq_any(people.clone())).order(p::id).select(p::id))?;
    let own: Vec<Id> = rows.iter().map(|row| row.id).collect();
    let standing: Vec<Appointment> = t::table
        .inner_join(p::table)
        .filter(t::person_id.eq_any(people))
        .filter(t::id.ne_all(own))
        .select(Appointment::as_select())
        .load(tx.conn)?;
    let mut of_person: HashMap<Id, Vec<&Appointment>> = HashMap::new();
    for other in &standing {
        of_person.entry(other.person_id).or_default().push(other);
    }
    let before = |from: NaiveDate, to: Option<NaiveDate>| to.is_none_or(|to| from < to);
    let mut faults = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let others = of_person.entry(row.person_id).or_default();
        let clash = others.iter().find(|other| {
            let same_place = (other.organization_id, other.workstation_id) == (row.organization_id, row.workstation_id);
            same_place && other.post == row.post && before(other.from_on, row.to_on) && before(row.from_on, other.to_on)
        });
        if let Some(other) = clash {
            let until = other.to_on.map_or_else(|| "今".to_owned(), |day| day.to_string());
            let until_en = other.to_on.map_or_else(|| "now".to_owned(), |day| day.to_string());
            let says = Says::new(
                format!("与此人同一职务的任职（{}，{} 至 {until}）时间重叠", other.code, other.from_on),
                format!("it overlaps the person's appointment {} to the same post, from {} to {until_en}", other.code, other.from_on),
            );
            faults.push(Fault::new(format!("{}/from_on", at(i)), "overlaps", says));
        }
        others.push(row);
    }
    if faults.is_empty() {
        return Ok(());
    }
    let mut error =
        Error::because(Code::Conflict, "同一人在同一处的同一职务不能重复任职", "a person holds a post at a place once at a time");
    error.faults = faults;
    Err(error)
}

/// A workstation belongs to another organization now: so do its appointments.
pub fn follow(tx: &mut Tx<'_>, workstation_id: Id, organization_id: Id) -> Result<()> {
    let those = t::table.filter(t::workstation_id.eq(workstation_id));
    let rows: Vec<(Id, Id)> = those.order(t::id).select((t::id, t::organization_id)).load(tx.conn)?;
    diesel::update(those)
        .set((t::organization_id.eq(organization_id), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
        .execute(tx.conn)?;
    rules::followed(tx, Appointments::NAME, rows, organization_id);
    Ok(())
}

impl Resource for Appointments {
    const NAME: &'static str = "appointments";
    const LABEL: (&'static str, &'static str) = ("任职", "appointment");
    const AREA: Area = Area::People;
    const REFERENCES: &'static [Reference] = &[
        Reference::ORGANIZATION,
        Reference { field: "person_id", column: "person_code", of: "persons" },
        Reference { field: "workstation_id", column: "workstation_code", of: "workstations" },
    ];

    type View = Appointment;
    type Draft = AppointmentDraft;
    type Filter = AppointmentFilter;

    reads!(t, Appointment, with p);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let mut faults = Vec::new();
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (format!("/{i}/person_id"), draft.person_id));
        let people = persons::briefs(tx.conn, scope, wanted, &mut faults)?;
        let organizations = organizations_of(tx, scope, &drafts, |i, field| format!("/{i}/{field}"), faults)?;
        let now = tx.now;
        let rows: Vec<Appointment> = drafts
            .into_iter()
            .zip(organizations)
            .filter_map(|(draft, organization_id)| {
                Some(Appointment {
                    id: Id::new(),
                    code: code_or_new(draft.code.as_deref()),
                    organization_id,
                    person_id: draft.person_id,
                    person: people.get(&draft.person_id)?.clone(),
                    workstation_id: draft.workstation_id,
                    post: draft.post,
                    from_on: draft.from_on,
                    from_on_precision: draft.from_on_precision.unwrap_or(DatePrecision::Exact),
                    to_on: draft.to_on,
                    version: 1,
                    created_at: now,
                    updated_at: now,
                })
            })
            .collect();
        refuse_overlaps(tx, &rows, |i| format!("/{i}"))?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let record = view.clone();
        Ok(AppointmentDraft {
            code: Some(record.code),
            organization_id: Some(record.organization_id),
            person_id: record.person_id,
            workstation_id: record.workstation_id,
            post: record.post,
            from_on: record.from_on,
            from_on_precision: Some(record.from_on_precision),
            to_on: record.to_on,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        if draft.person_id != before.person_id {
            return Err(persons::fixed());
        }
        let organizations = organizations_of(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"), Vec::new())?;
        let after = Appointment {
            code: code_or_new(draft.code.as_deref()),
            organization_id: organizations
                .first()
                .copied()
                .ok_or_else(|| Error::internal("an appointment without a place was let through"))?,
            workstation_id: draft.workstation_id,
            post: draft.post,
            from_on: draft.from_on,
            from_on_precision: draft.from_on_precision.unwrap_or(DatePrecision::Exact),
            to_on: draft.to_on,
            version: before.version + 1,
            updated_at: tx.now,
            ..before.clone()
        };
        refuse_overlaps(tx, std::slice::from_ref(&after), |_| String::new())?;
        save!(tx, t, before, &after)?;
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}
