//! Trainings (培训): what was taught to whom. Attendances (人次) count each coming, people count once.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::{rules, training_attendances};
use crate::db::{Any, AnyConnection, Tx, grams, insert_all};
use crate::error::{Error, Fault, Result, Says};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::trainings as t;
use crate::types::{Id, Instant, Precision, code_or_new, text_enum};
use crate::web::verbs::refusal;
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// What a training is for.
    TrainingKind {
        LiaisonTraining = "liaison_training", "联络员培训", "liaison officers' training";
        BusinessTraining = "business_training", "业务培训", "business training";
        StationHeadTraining = "station_head_training", "站长培训", "station heads' training";
        Exchange = "exchange", "交流培训", "exchange";
        Other = "other", "其他", "other";
    }
}

text_enum! {
    /// Who is trained.
    TrainingAudience {
        LiaisonOfficers = "liaison_officers", "联络员", "liaison officers";
        StationHeads = "station_heads", "站长", "station heads";
        Presidents = "presidents", "会长", "presidents";
        AssociationStaff = "association_staff", "协会工作人员", "association staff";
        Volunteers = "volunteers", "志愿者", "volunteers";
        Other = "other", "其他", "other";
    }
}

/// A training.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Training {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that held it.
    pub organization_id: Id,
    pub kind: TrainingKind,
    pub topic: String,
    pub audience: TrainingAudience,
    /// The year that it counts in.
    pub year: i32,
    pub held_on: Option<NaiveDate>,
    pub place: Option<String>,
    /// Who came, counted each time (人次); null is unknown.
    pub attendances: Option<i64>,
    pub attendances_precision: Precision,
    /// Who came, each counted once; null is unknown.
    pub distinct_people: Option<i64>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Training {
    fn searched(&self) -> Option<String> {
        Some(self.topic.clone())
    }
});

/// What may be written of a training.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "kind": "liaison_training", "topic": "急救知识", "audience": "liaison_officers", "held_on": "2022-06-17"}))]
pub struct TrainingDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    pub kind: TrainingKind,
    #[schema(min_length = 1, max_length = 200)]
    pub topic: String,
    pub audience: TrainingAudience,
    /// That of `held_on` when absent.
    #[schema(minimum = 1949, maximum = 2100)]
    pub year: Option<i32>,
    pub held_on: Option<NaiveDate>,
    #[schema(min_length = 1, max_length = 200)]
    pub place: Option<String>,
    /// Who came, counted each time (人次); null is unknown.
    #[schema(minimum = 0, maximum = 1000000000)]
    pub attendances: Option<i64>,
    /// `exact` when absent.
    pub attendances_precision: Option<Precision>,
    /// Who came, each counted once; null is unknown.
    #[schema(minimum = 0, maximum = 1000000000)]
    pub distinct_people: Option<i64>,
}

fn whole(draft: &TrainingDraft) -> Result<(), ValidationError> {
    rules::year_known(draft.year, draft.held_on, "held_on")?;
    let exact = draft.attendances_precision.is_none_or(|precision| precision == Precision::Exact);
    match (draft.attendances, draft.distinct_people) {
        (Some(attendances), Some(people)) if exact && people > attendances => Err(refusal(
            Some("distinct_people"),
            "more_people_than_attendances",
            &Says::new(
                format!("人数 {people} 不能多于人次 {attendances}"),
                format!("{people} people can't have made only {attendances} attendances"),
            ),
        )),
        _ => Ok(()),
    }
}

/// Which trainings.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct TrainingFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the topic, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    pub year: Option<i32>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub kind: Option<Vec<TrainingKind>>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub audience: Option<Vec<TrainingAudience>>,
    /// Held on this day or later.
    pub from: Option<NaiveDate>,
    /// Held on this day or earlier.
    pub to: Option<NaiveDate>,
}

pub struct Trainings;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &TrainingFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(Trainings::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(year) = filter.year {
        query = query.filter(t::year.eq(year));
    }
    if let Some(kind) = &filter.kind {
        query = query.filter(t::kind.eq_any(kind.clone()));
    }
    if let Some(audience) = &filter.audience {
        query = query.filter(t::audience.eq_any(audience.clone()));
    }
    if let Some(from) = filter.from {
        query = query.filter(t::held_on.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(t::held_on.le(to));
    }

    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: TrainingDraft) -> Result<Training> {
    Ok(Training {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        kind: draft.kind,
        topic: draft.topic,
        audience: draft.audience,
        year: rules::year_of(draft.year, draft.held_on)?,
        held_on: draft.held_on,
        place: draft.place,
        attendances: draft.attendances,
        attendances_precision: draft.attendances_precision.unwrap_or(Precision::Exact),
        distinct_people: draft.distinct_people,
        version,
        created_at,
        updated_at: now,
    })
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[TrainingDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&TrainingDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;

    Error::unless_empty(faults)
}

impl Resource for Trainings {
    const NAME: &'static str = "trainings";
    const LABEL: (&'static str, &'static str) = ("培训", "training");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];

    type View = Training;
    type Draft = TrainingDraft;
    type Filter = TrainingFilter;

    reads!(t, Training);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Training> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect::<Result<_>>()?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let training = view.clone();
        Ok(TrainingDraft {
            code: Some(training.code),
            organization_id: training.organization_id,
            kind: training.kind,
            topic: training.topic,
            audience: training.audience,
            year: Some(training.year),
            held_on: training.held_on,
            place: training.place,
            attendances: training.attendances,
            attendances_precision: Some(training.attendances_precision),
            distinct_people: training.distinct_people,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft)?;
        save!(tx, t, before, &after)?;
        if before.organization_id != after.organization_id {
            training_attendances::follow(tx, after.id, after.organization_id)?;
        }
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(match measure {
            Measure::Attendances => measured!(sum conn, query(scope, filter), t, attendances, attendances_precision),
            _ => measured!(conn, query(scope, filter), t, measure),
        })
    }
}
