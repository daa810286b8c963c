//! Circulars (通报): what an association made known to those below it, and on which subject.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::rules;
use crate::db::{Any, AnyConnection, Tx, grams, insert_all};
use crate::error::{Error, Fault, Result};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::circulars as t;
use crate::types::{Id, Instant, code_or_new};
use crate::web::{Measure, Measured, Reference, Resource, measured, reads, save, viewed};

/// A circular.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Circular {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that issued it.
    pub organization_id: Id,
    /// Document number.
    pub number: Option<String>,
    pub title: Option<String>,
    /// What it is about, as a short key.
    #[schema(example = "four_ones")]
    pub subject: String,
    /// The year that it counts in.
    pub year: i32,
    pub issued_on: Option<NaiveDate>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Circular);

/// What may be written of a circular.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "subject": "four_ones", "title": "关于四个一建设情况的通报", "issued_on": "2022-06-17"}))]
pub struct CircularDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association that issued it.
    pub organization_id: Id,
    /// Document number.
    #[schema(min_length = 1, max_length = 100)]
    pub number: Option<String>,
    #[schema(min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// What it is about, as a short key by which circulars are counted.
    #[schema(min_length = 1, max_length = 50, example = "four_ones")]
    pub subject: String,
    /// That of `issued_on` when absent.
    #[schema(minimum = 1949, maximum = 2100)]
    pub year: Option<i32>,
    pub issued_on: Option<NaiveDate>,
}

fn whole(draft: &CircularDraft) -> Result<(), ValidationError> {
    rules::year_known(draft.year, draft.issued_on, "issued_on")
}

/// Which circulars.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CircularFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the title, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    pub year: Option<i32>,
    pub subject: Option<String>,
    /// Issued on this day or later.
    pub from: Option<NaiveDate>,
    /// Issued on this day or earlier.
    pub to: Option<NaiveDate>,
}

pub struct Circulars;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &CircularFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(Circulars::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(year) = filter.year {
        query = query.filter(t::year.eq(year));
    }
    if let Some(subject) = &filter.subject {
        query = query.filter(t::subject.eq(subject.clone()));
    }
    if let Some(from) = filter.from {
        query = query.filter(t::issued_on.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(t::issued_on.le(to));
    }

    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: CircularDraft) -> Result<Circular> {
    Ok(Circular {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        number: draft.number,
        title: draft.title,
        subject: draft.subject,
        year: rules::year_of(draft.year, draft.issued_on)?,
        issued_on: draft.issued_on,
        version,
        created_at,
        updated_at: now,
    })
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[CircularDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&CircularDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;

    Error::unless_empty(faults)
}

impl Resource for Circulars {
    const NAME: &'static str = "circulars";
    const LABEL: (&'static str, &'static str) = ("通报", "circular");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];

    type View = Circular;
    type Draft = CircularDraft;
    type Filter = CircularFilter;

    reads!(t, Circular);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Circular> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect::<Result<_>>()?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        grams::add(tx.conn, Self::NAME, rows.iter().filter_map(|circular| Some((circular.id, circular.title.as_deref()?))))?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let circular = view.clone();
        Ok(CircularDraft {
            code: Some(circular.code),
            organization_id: circular.organization_id,
            number: circular.number,
            title: circular.title,
            subject: circular.subject,
            year: Some(circular.year),
            issued_on: circular.issued_on,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft)?;
        save!(tx, t, before, &after)?;
        if before.title != after.title {
            grams::replace(tx.conn, Self::NAME, after.id, after.title.as_deref())?;
        }
        Ok(after)
    }

    fn delete(tx: &mut Tx<'_>, _: &Scope, before: &Self::View) -> Result<()> {
        grams::replace(tx.conn, Self::NAME, before.id, None)?;
        diesel::delete(t::table.filter(t::id.eq(before.id))).execute(tx.conn)?;
        Ok(())
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}
