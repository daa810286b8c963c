//! Dependants (家属): who belongs to a hero's family, how, and since when.
//!
//! Their age decides what they may be given, such as aid to students or a place in the summer camp. It is shown in whole
//! years as of today, where the ID number tells it; the birth date is not.

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::{Date, Nullable};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::persons::{self, PersonBrief};
use super::rules;
use crate::db::{Any, AnyConnection, Part, Subset, Tx, grams, insert_all};
use crate::error::{Error, Fault, Result};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::{dependants as t, persons as p};
use crate::types::{Id, Instant, age, born_by, business_today, code_or_new, text_enum};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// What a dependant is to the hero.
    Relation {
        Spouse = "spouse", "配偶", "spouse";
        Child = "child", "子女", "child";
        Parent = "parent", "父母", "parent";
        Sibling = "sibling", "兄弟姐妹", "sibling";
        Other = "other", "其他", "other";
    }
}

/// The age that a birth date gives today: what is kept is the date, what is shown are the years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = Option<i32>)]
pub struct Age(Option<NaiveDate>);

impl Age {
    fn today(self) -> Option<i32> {
        self.0.map(|born| age(born, business_today(Instant::now())))
    }
}

impl Serialize for Age {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.today().serialize(serializer)
    }
}

impl Queryable<Nullable<Date>, Any> for Age {
    type Row = Option<NaiveDate>;
    fn build(row: Self::Row) -> diesel::deserialize::Result<Self> {
        Ok(Self(row))
    }
}

/// A dependant.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Dependant {
    pub id: Id,
    pub code: String,
    pub organization_id: Id,
    pub person_id: Id,
    #[diesel(embed, skip_insertion, skip_update)]
    pub person: PersonBrief,
    pub hero_id: Id,
    pub relation: Relation,
    /// Since when; null where unknown.
    pub from_on: Option<NaiveDate>,
    pub to_on: Option<NaiveDate>,
    /// In whole years, today; null where the person's ID number is not known.
    #[diesel(select_expression = p::born_on, select_expression_type = p::born_on, skip_insertion, skip_update)]
    pub age: Age,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Dependant {
    fn shown_version(&self) -> String {
        let age = self.age.today().map(|years| format!("-{years}")).unwrap_or_default();
        format!("{}-{}{age}", self.version, self.person.version)
    }
    fn person_id(&self) -> Option<Id> {
        Some(self.person_id)
    }
});

/// What may be written of a dependant.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
pub struct DependantDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    /// Who it is; fixed once written.
    pub person_id: Id,
    pub hero_id: Id,
    pub relation: Relation,
    pub from_on: Option<NaiveDate>,
    pub to_on: Option<NaiveDate>,
}

fn whole(draft: &DependantDraft) -> Result<(), ValidationError> {
    rules::in_order(draft.from_on, draft.to_on, "to_on")
}

/// Which dependants.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DependantFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the person's name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    pub person_id: Option<Id>,
    pub hero_id: Option<Id>,
    #[param(inline)]
    pub relation: Option<Relation>,
    /// Those who were dependants on this day, as far as is known.
    pub as_at: Option<NaiveDate>,
    /// Of this age today, or older; whose age is not known is left out.
    #[param(minimum = 0, maximum = 150)]
    pub age_from: Option<i32>,
    /// Of this age today, or younger; whose age is not known is left out.
    #[param(minimum = 0, maximum = 150)]
    pub age_to: Option<i32>,
}

pub struct Dependants;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &DependantFilter) -> t::BoxedQuery<'static, Any> {
    let mut query = match scope.own() {
        // One's own record, and the family of the hero that one is.
        Some(own) => {
            let of_hero = Subset(vec![Part::Sql("SELECT id FROM heroes WHERE person_id = "), Part::Id(own)]);
            let mine = t::person_id.eq(own).or(of_hero.holds(t::hero_id));
            t::table.filter(scope.organizations().holds(t::organization_id).or(mine)).into_boxed::<Any>()
        }
        None => t::table.filter(scope.organizations().holds(t::organization_id)).into_boxed::<Any>(),
    };
    if filter.organization_id.is_some() || filter.organization_level.is_some() {
        query = query.filter(Scope::asked(filter.organization_id, filter.organization_level).holds(t::organization_id));
    }
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching("persons", q)) {
        query = query.filter(found.holds(t::person_id));
    }
    if let Some(id) = filter.person_id {
        query = query.filter(t::person_id.eq(id));
    }
    if let Some(id) = filter.hero_id {
        query = query.filter(t::hero_id.eq(id));
    }
    if let Some(relation) = filter.relation {
        query = query.filter(t::relation.eq(relation));
    }
    if let Some(day) = filter.as_at {
        query = query.filter(t::from_on.is_null().or(t::from_on.le(day))).filter(t::to_on.is_null().or(t::to_on.gt(day)));
    }
    // Ages are asked for as birthdays, which an index holds.
    let today = business_today(Instant::now());
    let born = |condition, day| Subset(vec![Part::Sql(condition), Part::Date(day)]);
    if let Some(years) = filter.age_from {
        query = query.filter(born("SELECT id FROM persons WHERE born_on <= ", born_by(years, today)).holds(t::person_id));
    }
    if let Some(years) = filter.age_to {
        query = query.filter(born("SELECT id FROM persons WHERE born_on > ", born_by(years + 1, today)).holds(t::person_id));
    }
    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: DependantDraft, person: PersonBrief) -> Dependant {
    Dependant {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        person_id: person.id,
        age: Age(person.born_on),
        person,
        hero_id: draft.hero_id,
        relation: draft.relation,
        from_on: draft.from_on,
        to_on: draft.to_on,
        version,
        created_at,
        updated_at: now,
    }
}

fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[DependantDraft], at: impl Fn(usize, &str) -> String) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    let mut check = |of, field: &str, id: fn(&DependantDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    check("heroes", "hero_id", |draft| Some(draft.hero_id))?;
    Ok(faults)
}

impl Resource for Dependants {
    const NAME: &'static str = "dependants";
    const LABEL: (&'static str, &'static str) = ("家属", "dependant");
    const AREA: Area = Area::Heroes;
    const REFERENCES: &'static [Reference] = &[
        Reference::ORGANIZATION,
        Reference { field: "person_id", column: "person_code", of: "persons" },
        Reference { field: "hero_id", column: "hero_code", of: "heroes" },
    ];

    type View = Dependant;
    type Draft = DependantDraft;
    type Filter = DependantFilter;

    reads!(t, Dependant, with p);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let mut faults = check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (format!("/{i}/person_id"), draft.person_id));
        let people = persons::briefs(tx.conn, scope, wanted, &mut faults)?;
        Error::unless_empty(faults)?;
        let now = tx.now;
        let rows: Vec<Dependant> = drafts
            .into_iter()
            .filter_map(|draft| {
                let person = people.get(&draft.person_id)?.clone();
                Some(row(Id::new(), 1, now, now, draft, person))
            })
            .collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let record = view.clone();
        Ok(DependantDraft {
            code: Some(record.code),
            organization_id: record.organization_id,
            person_id: record.person_id,
            hero_id: record.hero_id,
            relation: record.relation,
            from_on: record.from_on,
            to_on: record.to_on,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        Error::unless_empty(check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?)?;
        if draft.person_id != before.person_id {
            return Err(persons::fixed());
        }
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft, before.person.clone());
        save!(tx, t, before, &after)?;
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}
