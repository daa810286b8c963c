//! Questioning of liaison officers (抽查询问): what one of them knew when they were asked, on an inspection or besides.
//!
//! Who it was is told by the appointment alone: no name stands here. The record stays where the officer was then.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::appointments::Post;
use super::rules;
use crate::db::{Any, AnyConnection, Tx, insert_all};
use crate::error::{Error, Fault, Result, Says};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::{appointments, inspections, liaison_questionings as t};
use crate::types::{Id, Instant, code_or_new, text_enum};
use crate::web::verbs::refusal;
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// What came of the questions.
    QuestioningResult {
        Passed = "passed", "合格", "passed";
        Failed = "failed", "不合格", "failed";
        Unclear = "unclear", "回答不清", "unclear";
    }
}

/// A liaison officer, questioned.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct LiaisonQuestioning {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// Where the officer was appointed when they were asked.
    pub organization_id: Id,
    pub inspection_id: Option<Id>,
    /// The officer's appointment.
    pub appointment_id: Id,
    pub asked_on: NaiveDate,
    /// What was asked.
    #[schema(example = "见义勇为人员的确认由谁负责；发现线索后如何上报")]
    pub questions: String,
    /// How many questions there were.
    pub asked: i32,
    /// How many of these were answered rightly.
    pub correct: i32,
    pub result: QuestioningResult,
    pub note: Option<String>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(LiaisonQuestioning);

/// What may be written of a questioning. Without names: the appointment tells who it was.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"appointment_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "asked_on": "2022-06-17",
    "questions": "见义勇为人员的确认由谁负责；发现线索后如何上报", "asked": 2, "correct": 2, "result": "passed"}))]
pub struct LiaisonQuestioningDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The inspection of the officer's association, or of one above it.
    pub inspection_id: Option<Id>,
    /// An appointment as liaison officer.
    pub appointment_id: Id,
    /// Not later than today.
    pub asked_on: NaiveDate,
    /// What was asked.
    #[schema(min_length = 1, max_length = 4000)]
    pub questions: String,
    /// How many questions there were.
    #[schema(minimum = 1, maximum = 1000)]
    pub asked: i32,
    /// How many of these were answered rightly.
    #[schema(minimum = 0, maximum = 1000)]
    pub correct: i32,
    pub result: QuestioningResult,
    #[schema(min_length = 1, max_length = 1000)]
    pub note: Option<String>,
}

fn whole(draft: &LiaisonQuestioningDraft) -> Result<(), ValidationError> {
    if draft.correct > draft.asked {
        let says = Says::new(
            format!("答对 {} 题，不能多于所问的 {} 题", draft.correct, draft.asked),
            format!("{} of {} questions can't have been answered rightly", draft.correct, draft.asked),
        );
        return Err(refusal(Some("correct"), "more_correct_than_asked", &says));
    }
    Ok(())
}

/// Which questionings.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct LiaisonQuestioningFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub inspection_id: Option<Id>,
    pub appointment_id: Option<Id>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub result: Option<Vec<QuestioningResult>>,
    /// Asked on this day or later.
    pub from: Option<NaiveDate>,
    /// Asked on this day or earlier.
    pub to: Option<NaiveDate>,
}

pub struct LiaisonQuestionings;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &LiaisonQuestioningFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.inspection_id {
        query = query.filter(t::inspection_id.eq(id));
    }
    if let Some(id) = filter.appointment_id {
        query = query.filter(t::appointment_id.eq(id));
    }
    if let Some(results) = &filter.result {
        query = query.filter(t::result.eq_any(results.clone()));
    }
    if let Some(day) = filter.from {
        query = query.filter(t::asked_on.ge(day));
    }
    if let Some(day) = filter.to {
        query = query.filter(t::asked_on.le(day));
    }
    query
}

/// The organization of each draft's officer, by the appointment, with all faults told.
fn check(
    tx: &mut Tx<'_>,
    scope: &Scope,
    drafts: &[LiaisonQuestioningDraft],
    at: impl Fn(usize, &str) -> String,
) -> Result<HashMap<Id, Id>> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut known = |of, field: &str, id: fn(&LiaisonQuestioningDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    known("appointments", "appointment_id", |draft| Some(draft.appointment_id))?;
    known("inspections", "inspection_id", |draft| draft.inspection_id)?;
    faults.extend(drafts.iter().enumerate().filter_map(|(i, draft)| rules::not_ahead(Some(draft.asked_on), tx.now, at(i, "asked_on"))));
    Error::unless_empty(std::mem::take(&mut faults))?;
    let officers: Vec<(Id, Id, Post)> = appointments::table
        .filter(appointments::id.eq_any(drafts.iter().map(|draft| draft.appointment_id).collect::<Vec<_>>()))
        .select((appointments::id, appointments::organization_id, appointments::post))
        .load(tx.conn)?;
    let inspected: Vec<(Id, Id)> = inspections::table
        .filter(inspections::id.eq_any(drafts.iter().filter_map(|draft| draft.inspection_id).collect::<Vec<_>>()))
        .select((inspections::id, inspections::organization_id))
        .load(tx.conn)?;
    let below = rules::lying_below(tx.conn, inspected.iter().map(|(_, place)| *place), officers.iter().map(|(_, place, _)| *place))?;
    let officers: HashMap<Id, (Id, Post)> = officers.into_iter().map(|(id, place, post)| (id, (place, post))).collect();
    let inspected: HashMap<Id, Id> = inspected.into_iter().collect();
    for (i, draft) in drafts.iter().enumerate() {
        let Some((place, post)) = officers.get(&draft.appointment_id) else { continue };
        if *post != Post::LiaisonOfficer {
            let says = Says::new("该任职不是联络员", "the appointment is not that of a liaison officer");
            faults.push(Fault::new(at(i, "appointment_id"), "not_a_liaison_officer", says));
        }
        let visited = draft.inspection_id.and_then(|id| inspected.get(&id));
        if visited.is_some_and(|visited| !below.contains(&(*visited, *place))) {
            let says = Says::new("该联络员不在被检查单位任职", "the officer belongs to no organization that was inspected then");
            faults.push(Fault::new(at(i, "inspection_id"), "inspected_elsewhere", says));
        }
    }
    Error::unless_empty(faults)?;
    Ok(officers.into_iter().map(|(id, (place, _))| (id, place)).collect())
}

fn row(
    id: Id,
    version: i32,
    created_at: Instant,
    now: Instant,
    organization_id: Option<Id>,
    draft: LiaisonQuestioningDraft,
) -> Result<LiaisonQuestioning> {
    Ok(LiaisonQuestioning {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: organization_id.ok_or_else(|| Error::internal("a questioning without an officer was let through"))?,
        inspection_id: draft.inspection_id,
        appointment_id: draft.appointment_id,
        asked_on: draft.asked_on,
        questions: draft.questions,
        asked: draft.asked,
        correct: draft.correct,
        result: draft.result,
        note: draft.note,
        version,
        created_at,
        updated_at: now,
    })
}

impl Resource for LiaisonQuestionings {
    const NAME: &'static str = "liaison_questionings";
    const LABEL: (&'static str, &'static str) = ("联络员抽查询问", "questioning of a liaison officer");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[
        Reference { field: "inspection_id", column: "inspection_code", of: "inspections" },
        Reference { field: "appointment_id", column: "appointment_code", of: "appointments" },
    ];

    type View = LiaisonQuestioning;
    type Draft = LiaisonQuestioningDraft;
    type Filter = LiaisonQuestioningFilter;

    reads!(t, LiaisonQuestioning);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let places = check(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<LiaisonQuestioning> = drafts
            .into_iter()
            .map(|draft| row(Id::new(), 1, now, now, places.get(&draft.appointment_id).copied(), draft))
            .collect::<Result<_>>()?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let record = view.clone();
        Ok(LiaisonQuestioningDraft {
            code: Some(record.code),
            inspection_id: record.inspection_id,
            appointment_id: record.appointment_id,
            asked_on: record.asked_on,
            questions: record.questions,
            asked: record.asked,
            correct: record.correct,
            result: record.result,
            note: record.note,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        let places = check(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        // Another appointment is of another officer; the same one may have moved since they were asked.
        let same = draft.appointment_id == before.appointment_id;
        let place = if same { Some(before.organization_id) } else { places.get(&draft.appointment_id).copied() };
        let after = row(before.id, before.version + 1, before.created_at, tx.now, place, draft)?;
        save!(tx, t, before, &after)?;
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}
