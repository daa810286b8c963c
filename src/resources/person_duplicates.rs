//! Doubles (疑似重复人员): persons who may be another that was registered before them, as a queue to be worked off.
//!
//! It is no table but a question put to the persons: whoever is mended, merged or told apart is in it no more. Both of a
//! pair lie in the caller's reach; whom a county can't see it is not told of.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::Text;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::persons::PersonBrief;
use crate::db::{Any, AnyConnection, Part, Rows, Subset, Tx};
use crate::error::{Error, Result};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::{person_distinctions, persons as t};
use crate::types::{Id, Instant, TextEnum, sql, text_enum};
use crate::web::resource::Step;
use crate::web::shape::Shape;
use crate::web::verbs::step_body;
use crate::web::{Measure, Measured, Reference, Resource, Window, measured, page, read_only, reads, viewed};

text_enum! {
    /// Why two persons may be one.
    DuplicateReason {
        SameBirth = "same_birth", "姓名和出生日期相同", "the same name and date of birth";
        SamePhone = "same_phone", "手机号相同，至少一人无身份证号", "the same phone, and an ID number of one at most";
        SameName = "same_name", "同一协会内姓名相同，至少一人无身份证号", "the same name in one association, and an ID number of one at most";
    }
}

impl DuplicateReason {
    const ALL: [Self; 3] = [Self::SameBirth, Self::SamePhone, Self::SameName];

    /// Two ID numbers are two people, unless all else agrees: then one may be a slip.
    fn alike(self) -> &'static str {
        match self {
            Self::SameBirth => "earlier.name = later.name AND earlier.born_on = later.born_on",
            Self::SamePhone => "earlier.phone_hash = later.phone_hash AND (earlier.id_number_hash IS NULL OR later.id_number_hash IS NULL)",
            Self::SameName => {
                "earlier.name = later.name AND earlier.organization_id = later.organization_id \
                 AND (earlier.id_number_hash IS NULL OR later.id_number_hash IS NULL)"
            }
        }
    }
}

/// What holds of every pair: each is there once, both are there still, and nobody has told them apart.
const EACH: &str = " AND earlier.id < later.id AND earlier.merged_into_id IS NULL AND later.merged_into_id IS NULL \
     AND NOT EXISTS (SELECT 1 FROM person_distinctions d WHERE d.earlier_id = earlier.id AND d.later_id = later.id)";

/// How many candidates of each reason a person shows; the others follow when these are dealt with.
const SHOWN: &str = ") AS pairs) AS ranked WHERE place <= 10 ORDER BY later_id, earlier_id, reason";

/// Somebody who was registered before, and why the two may be one.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Candidate {
    /// The association that keeps the record.
    pub organization_id: Id,
    pub person: PersonBrief,
    pub reasons: Vec<DuplicateReason>,
}

/// A person who may be one of some others.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PersonDuplicate {
    /// The person's.
    pub id: Id,
    /// The person's.
    pub code: String,
    /// The association that keeps the record.
    pub organization_id: Id,
    pub person: PersonBrief,
    /// Those who were registered before: of each reason the first ten.
    pub candidates: Vec<Candidate>,
    /// The person's.
    pub version: i32,
    pub created_at: Instant,
}

viewed!(PersonDuplicate {
    fn shown_version(&self) -> String {
        let of_candidates = self.candidates.iter().map(|candidate| format!("-{}.{}", candidate.person.id, candidate.person.version));
        std::iter::once(self.version.to_string()).chain(of_candidates).collect()
    }
});

#[derive(Queryable, Selectable)]
#[diesel(table_name = t)]
struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    #[diesel(embed)]
    person: PersonBrief,
    version: i32,
    created_at: Instant,
}

/// Whom a person is not.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct DismissBody {
    /// One of the candidates.
    other_id: Id,
}

/// Which persons.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PersonDuplicateFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    #[param(inline)]
    pub reason: Option<DuplicateReason>,
}

pub struct PersonDuplicates;

/// The condition that two persons are a pair for a reason, the earlier of whom is in reach.
fn paired(scope: &Scope, reason: DuplicateReason) -> Vec<Part> {
    let mut parts = vec![Part::Sql(reason.alike()), Part::Sql(EACH)];
    if !scope.is_whole() {
        parts.push(Part::Sql(" AND earlier.organization_id IN ("));
        parts.extend(scope.organizations().subset.0);
        parts.push(Part::Sql(")"));
    }
    parts
}

/// One statement of several, each for a reason.
fn for_each(reasons: &[DuplicateReason], statement: impl Fn(DuplicateReason) -> Vec<Part>) -> Vec<Part> {
    let mut parts = Vec::new();
    for (i, reason) in reasons.iter().enumerate() {
        parts.extend((i > 0).then_some(Part::Sql(" UNION ALL ")));
        parts.extend(statement(*reason));
    }
    parts
}

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &PersonDuplicateFilter) -> t::BoxedQuery<'static, Any> {
    let reach = scope.within(filter.organization_id, filter.organization_level);
    let reasons = filter.reason.map_or(DuplicateReason::ALL.to_vec(), |reason| vec![reason]);
    // One earlier person is enough, however many have the name.
    let later = for_each(&reasons, |reason| {
        let mut parts = vec![Part::Sql("SELECT later.id FROM persons later WHERE EXISTS (SELECT 1 FROM persons earlier WHERE ")];
        parts.extend(paired(scope, reason));
        parts.push(Part::Sql(")"));
        parts
    });
    let mut query = t::table.filter(reach.holds(t::organization_id)).filter(Subset(later).holds(t::id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    query
}

/// The candidates of all of these, in two queries.
fn candidates(conn: &mut AnyConnection, scope: &Scope, ids: Vec<Id>) -> Result<HashMap<Id, Vec<Candidate>>> {
    let mut parts = vec![Part::Sql(
        "SELECT later_id, earlier_id, reason FROM (SELECT later_id, earlier_id, reason, \
         ROW_NUMBER() OVER (PARTITION BY later_id, reason ORDER BY earlier_id) AS place FROM (",
    )];
    parts.extend(for_each(&DuplicateReason::ALL, |reason| {
        let mut parts = vec![
            Part::Sql("SELECT later.id AS later_id, earlier.id AS earlier_id, CAST("),
            Part::Text(reason.code().to_owned()),
            Part::Sql(" AS TEXT) AS reason FROM persons later JOIN persons earlier ON "),
        ];
        parts.extend(paired(scope, reason));
        parts.extend([Part::Sql(" WHERE later.id IN "), Part::Ids(ids.clone())]);
        parts
    }));
    parts.push(Part::Sql(SHOWN));
    let found: Vec<(Id, Id, DuplicateReason)> = Rows::<(sql::Uuid, sql::Uuid, Text)>::of(parts).load(conn)?;
    let earlier: Vec<Id> = found.iter().map(|(_, earlier, _)| *earlier).collect();
    let people: Vec<(Id, PersonBrief)> =
        t::table.filter(t::id.eq_any(earlier)).select((t::organization_id, PersonBrief::as_select())).load(conn)?;
    let people: HashMap<Id, (Id, PersonBrief)> = people.into_iter().map(|(home, person)| (person.id, (home, person))).collect();
    let mut all: HashMap<Id, Vec<Candidate>> = HashMap::new();
    for (later, earlier, reason) in found {
        let of_one = all.entry(later).or_default();
        match of_one.iter_mut().find(|candidate| candidate.person.id == earlier) {
            Some(candidate) => candidate.reasons.push(reason),
            None => of_one.extend(people.get(&earlier).map(|(home, person)| Candidate {
                organization_id: *home,
                person: person.clone(),
                reasons: vec![reason],
            })),
        }
    }
    Ok(all)
}

fn views(conn: &mut AnyConnection, scope: &Scope, rows: Vec<Row>) -> Result<Vec<PersonDuplicate>> {
    let mut found = candidates(conn, scope, rows.iter().map(|row| row.id).collect())?;
    Ok(rows
        .into_iter()
        .map(|row| PersonDuplicate {
            id: row.id,
            code: row.code,
            organization_id: row.organization_id,
            person: row.person,
            candidates: found.remove(&row.id).unwrap_or_default(),
            version: row.version,
            created_at: row.created_at,
        })
        .collect())
}

/// `dismiss`: the two are two, and stay out of the queue as a pair.
fn dismiss(tx: &mut Tx<'_>, scope: &Scope, before: PersonDuplicate, body: &Value) -> Result<PersonDuplicate> {
    let DismissBody { other_id } = step_body(body)?;
    if !before.candidates.iter().any(|candidate| candidate.person.id == other_id) {
        return Err(Error::field(
            "/other_id",
            "no_such_candidate",
            "应为 candidates 中某个人的 id",
            "this should be the id of a person among the candidates",
        ));
    }
    diesel::insert_into(person_distinctions::table)
        .values((person_distinctions::earlier_id.eq(other_id), person_distinctions::later_id.eq(before.id)))
        .execute(tx.conn)?;
    let rest = candidates(tx.conn, scope, vec![before.id])?.remove(&before.id).unwrap_or_default();
    Ok(PersonDuplicate { candidates: rest, ..before })
}

impl Resource for PersonDuplicates {
    const NAME: &'static str = "person_duplicates";
    const LABEL: (&'static str, &'static str) = ("疑似重复人员", "person duplicate");
    const AREA: Area = Area::People;
    const REFERENCES: &'static [Reference] = &[];

    type View = PersonDuplicate;
    type Filter = PersonDuplicateFilter;
    read_only!();

    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>> {
        let rows: Vec<Row> = page!(conn, scope, query(scope, filter), t, window, rows => rows.select(Row::as_select()));
        views(conn, scope, rows)
    }

    reads!(t);

    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View> {
        let row = query(scope, &Self::Filter::default()).filter(t::id.eq(id)).select(Row::as_select()).first(conn)?;
        views(conn, scope, vec![row])?.pop().ok_or_else(Error::not_found)
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step {
            action: Action::Dismiss,
            summary: "排除（不是同一人） / Dismiss: they are two",
            body: Some(Shape::of::<DismissBody>),
            needs_key: false,
            run: dismiss,
        }]
    }

    fn offers(_: &Self::View) -> Vec<Action> {
        vec![Action::Dismiss]
    }
}
