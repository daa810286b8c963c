//! Attendances of trainings (培训签到): who came to a training on a day, and how often. Who comes twice counts as two attendances (人次).
//!
//! What a training itself says of its attendances stays what it says: lists of who came are often not whole.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::persons::{self, PersonBrief};
use super::rules;
use crate::db::{Any, AnyConnection, Tx, held, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::{persons as p, training_attendances as t, trainings};
use crate::types::{Id, Instant, code_or_new};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

/// A person's coming to a training.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct TrainingAttendance {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that held the training.
    pub organization_id: Id,
    pub training_id: Id,
    pub person_id: Id,
    #[diesel(embed, skip_insertion, skip_update)]
    pub person: PersonBrief,
    pub attended_on: NaiveDate,
    /// How often they came that day: so many attendances.
    pub times: i64,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(TrainingAttendance {
    fn shown_version(&self) -> String {
        format!("{}-{}", self.version, self.person.version)
    }
    fn person_id(&self) -> Option<Id> {
        Some(self.person_id)
    }
});

/// What may be written of an attendance.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct TrainingAttendanceDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub training_id: Id,
    /// Who it is; fixed once written.
    pub person_id: Id,
    /// Not later than today, and once for each person and training.
    pub attended_on: NaiveDate,
    /// How often they came that day: 1 when absent.
    #[schema(minimum = 1, maximum = 20)]
    pub times: Option<i64>,
}

/// Which attendances.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct TrainingAttendanceFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub training_id: Option<Id>,
    pub person_id: Option<Id>,
    /// Attended on this day or later.
    pub from: Option<NaiveDate>,
    /// Attended on this day or earlier.
    pub to: Option<NaiveDate>,
}

pub struct TrainingAttendances;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &TrainingAttendanceFilter) -> t::BoxedQuery<'static, Any> {
    let reach = scope.within(filter.organization_id, filter.organization_level);
    let mut query = match scope.own() {
        // What the filter asks for narrows one's own attendances too.
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
    if let Some(id) = filter.training_id {
        query = query.filter(t::training_id.eq(id));
    }
    if let Some(id) = filter.person_id {
        query = query.filter(t::person_id.eq(id));
    }
    if let Some(day) = filter.from {
        query = query.filter(t::attended_on.ge(day));
    }
    if let Some(day) = filter.to {
        query = query.filter(t::attended_on.le(day));
    }
    query
}

/// The organizations of the trainings that drafts name, seen to be in scope; the faults found before are told along.
fn trainings_of(
    tx: &mut Tx<'_>,
    scope: &Scope,
    drafts: &[TrainingAttendanceDraft],
    at: impl Fn(usize, &str) -> String,
    mut faults: Vec<Fault>,
) -> Result<HashMap<Id, Id>> {
    let wanted: Vec<_> = drafts.iter().enumerate().map(|(i, draft)| (at(i, "training_id"), Some(draft.training_id))).collect();
    rules::all_in_scope(tx.conn, scope, "trainings", wanted, &mut faults)?;
    for (i, draft) in drafts.iter().enumerate() {
        faults.extend(rules::not_ahead(Some(draft.attended_on), tx.now, at(i, "attended_on")));
    }
    Error::unless_empty(faults)?;
    // Two lists of one training come one after the other, so that nobody stands in both.
    let mut ids: Vec<Id> = drafts.iter().map(|draft| draft.training_id).collect();
    ids.sort_unstable();
    ids.dedup();
    held!(tx.conn, trainings::table.filter(trainings::id.eq_any(ids.clone())).order(trainings::id).select(trainings::id))?;
    let rows: Vec<(Id, Id)> =
        trainings::table.filter(trainings::id.eq_any(ids)).select((trainings::id, trainings::organization_id)).load(tx.conn)?;
    Ok(rows.into_iter().collect())
}

/// Nobody stands twice in the list of one day.
fn refuse_doubles(tx: &mut Tx<'_>, rows: &[TrainingAttendance], at: impl Fn(usize) -> String) -> Result<()> {
    let own: Vec<Id> = rows.iter().map(|row| row.id).collect();
    let ids: HashSet<Id> = rows.iter().map(|row| row.training_id).collect();
    let people: HashSet<Id> = rows.iter().map(|row| row.person_id).collect();
    let standing: Vec<(Id, Id, NaiveDate)> = t::table
        .filter(t::training_id.eq_any(ids))
        .filter(t::person_id.eq_any(people))
        .filter(t::id.ne_all(own))
        .select((t::training_id, t::person_id, t::attended_on))
        .load(tx.conn)?;
    let mut seen: HashSet<(Id, Id, NaiveDate)> = standing.into_iter().collect();
    let mut faults = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        if !seen.insert((row.training_id, row.person_id, row.attended_on)) {
            let says = Says::new(
                format!("此人 {} 的签到已登记；当日多次参加请修改次数", row.attended_on),
                format!("their coming on {} is written already; change its times where they came more often", row.attended_on),
            );
            faults.push(Fault::new(format!("{}/person_id", at(i)), "already_attended", says));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::with_faults(Code::Conflict, faults))
}

/// A training belongs to another organization now: so does who came.
pub fn follow(tx: &mut Tx<'_>, training_id: Id, organization_id: Id) -> Result<()> {
    let those = t::table.filter(t::training_id.eq(training_id));
    let rows: Vec<(Id, Id)> = those.order(t::id).select((t::id, t::organization_id)).load(tx.conn)?;
    diesel::update(those)
        .set((t::organization_id.eq(organization_id), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
        .execute(tx.conn)?;
    rules::followed(tx, TrainingAttendances::NAME, rows, organization_id);
    Ok(())
}

impl Resource for TrainingAttendances {
    const NAME: &'static str = "training_attendances";
    const LABEL: (&'static str, &'static str) = ("培训签到", "training attendance");
    const AREA: Area = Area::People;
    const REFERENCES: &'static [Reference] = &[
        Reference { field: "training_id", column: "training_code", of: "trainings" },
        Reference { field: "person_id", column: "person_code", of: "persons" },
    ];

    type View = TrainingAttendance;
    type Draft = TrainingAttendanceDraft;
    type Filter = TrainingAttendanceFilter;

    reads!(t, TrainingAttendance, with p);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let mut faults = Vec::new();
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (format!("/{i}/person_id"), draft.person_id));
        let people = persons::briefs(tx.conn, scope, wanted, &mut faults)?;
        let places = trainings_of(tx, scope, &drafts, |i, field| format!("/{i}/{field}"), faults)?;
        let now = tx.now;
        let rows: Vec<TrainingAttendance> = drafts
            .into_iter()
            .filter_map(|draft| {
                Some(TrainingAttendance {
                    id: Id::new(),
                    code: code_or_new(draft.code.as_deref()),
                    organization_id: *places.get(&draft.training_id)?,
                    training_id: draft.training_id,
                    person_id: draft.person_id,
                    person: people.get(&draft.person_id)?.clone(),
                    attended_on: draft.attended_on,
                    times: draft.times.unwrap_or(1),
                    version: 1,
                    created_at: now,
                    updated_at: now,
                })
            })
            .collect();
        refuse_doubles(tx, &rows, |i| format!("/{i}"))?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let record = view.clone();
        Ok(TrainingAttendanceDraft {
            code: Some(record.code),
            training_id: record.training_id,
            person_id: record.person_id,
            attended_on: record.attended_on,
            times: Some(record.times),
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        if draft.person_id != before.person_id {
            return Err(persons::fixed());
        }
        let places = trainings_of(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"), Vec::new())?;
        let after = TrainingAttendance {
            code: code_or_new(draft.code.as_deref()),
            organization_id: places
                .get(&draft.training_id)
                .copied()
                .ok_or_else(|| Error::internal("an attendance without a training was let through"))?,
            training_id: draft.training_id,
            attended_on: draft.attended_on,
            times: draft.times.unwrap_or(1),
            version: before.version + 1,
            updated_at: tx.now,
            ..before.clone()
        };
        refuse_doubles(tx, std::slice::from_ref(&after), |_| String::new())?;
        save!(tx, t, before, &after)?;
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(match measure {
            Measure::Attendances => measured!(exact conn, query(scope, filter), t, times),
            _ => measured!(conn, query(scope, filter), t, measure),
        })
    }
}
