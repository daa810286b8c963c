//! Volunteers (志愿者): a person with a volunteer number, the sector they come from, and whether they serve.
//!
//! One person is one volunteer, however many teams they are in. A volunteer counts as at a day when they were registered
//! by then and had not left. The person is named, or written along with the volunteer.

use std::collections::HashSet;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::persons::{self, PersonBrief, PersonPart, Persons};
use super::rules;
use crate::db::{Any, AnyConnection, Part, Subset, Tx, grams, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::{persons as p, volunteers as t};
use crate::types::{DatePrecision, Id, Instant, code_or_new, text_enum};
use crate::web::verbs::{note_created, refusal};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// Where a volunteer works.
    Sector {
        Government = "government", "机关", "government";
        PublicInstitution = "public_institution", "事业单位", "public institution";
        Enterprise = "enterprise", "企业", "enterprise";
        Sanitation = "sanitation", "环卫", "sanitation";
        Delivery = "delivery", "快递", "delivery";
        Taxi = "taxi", "出租", "taxi";
        Security = "security", "保安", "security";
        Community = "community", "社区", "community";
        Other = "other", "其他", "other";
    }
}

text_enum! {
    /// Whether a volunteer serves.
    VolunteerStatus {
        Active = "active", "正常", "active";
        Suspended = "suspended", "暂停", "suspended";
        Left = "left", "退出", "left";
    }
}

/// A volunteer.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Volunteer {
    pub id: Id,
    /// The volunteer number (志愿者编号).
    #[schema(example = "ZZ-DF-000123")]
    pub code: String,
    /// The association that the volunteer is registered with.
    pub organization_id: Id,
    pub person_id: Id,
    #[diesel(embed, skip_insertion, skip_update)]
    pub person: PersonBrief,
    pub sector: Sector,
    pub status: VolunteerStatus,
    pub registered_on: NaiveDate,
    pub registered_on_precision: DatePrecision,
    /// Since when they are no volunteer any more.
    pub left_on: Option<NaiveDate>,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Volunteer {
    fn shown_version(&self) -> String {
        format!("{}-{}", self.version, self.person.version)
    }
    fn person_id(&self) -> Option<Id> {
        Some(self.person_id)
    }
    fn searched(&self) -> Option<String> {
        Some(self.person.name.clone())
    }
});

/// The volunteer whom another record is about, as that record shows them.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = t)]
pub struct VolunteerBrief {
    pub id: Id,
    /// The volunteer number.
    pub code: String,
    #[diesel(select_expression = p::name, select_expression_type = p::name)]
    pub name: String,
    #[serde(skip)]
    pub person_id: Id,
    #[serde(skip)]
    pub version: i32,
    /// Of the person, whose name this is.
    #[serde(skip)]
    #[diesel(select_expression = p::version, select_expression_type = p::version)]
    pub person_version: i32,
}

/// What may be written of a volunteer. On creation the person is either named by `person_id` or written in `person`.
#[derive(Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "person_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "sector": "community", "registered_on": "2022-06-17"}))]
pub struct VolunteerDraft {
    /// The volunteer number; made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    /// A person who is registered already; fixed once written.
    pub person_id: Option<Id>,
    /// On creation a new person, of the volunteer's organization; in a patch what changes of the person.
    #[validate(nested)]
    pub person: Option<PersonPart>,
    pub sector: Sector,
    /// `active` when absent.
    pub status: Option<VolunteerStatus>,
    pub registered_on: NaiveDate,
    /// `exact` when absent.
    pub registered_on_precision: Option<DatePrecision>,
    pub left_on: Option<NaiveDate>,
}

fn whole(draft: &VolunteerDraft) -> Result<(), ValidationError> {
    rules::in_order(Some(draft.registered_on), draft.left_on, "left_on")?;
    if (draft.status == Some(VolunteerStatus::Left)) != draft.left_on.is_some() {
        return Err(refusal(
            Some("left_on"),
            "status_and_date_disagree",
            &Says::new("退出日期与退出状态须同时填写", "a volunteer who left, and no other, has the day on which they left"),
        ));
    }
    Ok(())
}

/// Which volunteers.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct VolunteerFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    /// The volunteer number.
    pub code: Option<String>,
    /// Part of the name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub sector: Option<Vec<Sector>>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub status: Option<Vec<VolunteerStatus>>,
    /// The present members of this team.
    pub team_id: Option<Id>,
    pub person_id: Option<Id>,
    /// Those who were volunteers on this day.
    pub as_at: Option<NaiveDate>,
    /// Registered on this day or later.
    pub registered_from: Option<NaiveDate>,
    /// Registered on this day or earlier.
    pub registered_to: Option<NaiveDate>,
}

pub struct Volunteers;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &VolunteerFilter) -> t::BoxedQuery<'static, Any> {
    let reach = scope.within(filter.organization_id, filter.organization_level);
    let mut query = match scope.own() {
        // What the filter asks for narrows one's own record too.
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
    // The pieces of the person's name are kept under the volunteer's id, so that they stand in the order of the list.
    for found in filter.q.iter().flat_map(|q| grams::matching(Volunteers::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(sectors) = &filter.sector {
        query = query.filter(t::sector.eq_any(sectors.clone()));
    }
    if let Some(statuses) = &filter.status {
        query = query.filter(t::status.eq_any(statuses.clone()));
    }
    if let Some(id) = filter.team_id {
        let members = "SELECT volunteer_id FROM memberships WHERE left_on IS NULL AND team_id = ";
        query = query.filter(Subset(vec![Part::Sql(members), Part::Id(id)]).holds(t::id));
    }
    if let Some(id) = filter.person_id {
        query = query.filter(t::person_id.eq(id));
    }
    if let Some(day) = filter.as_at {
        query = query.filter(t::registered_on.le(day)).filter(t::left_on.is_null().or(t::left_on.gt(day)));
    }
    if let Some(day) = filter.registered_from {
        query = query.filter(t::registered_on.ge(day));
    }
    if let Some(day) = filter.registered_to {
        query = query.filter(t::registered_on.le(day));
    }
    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: VolunteerDraft, person: PersonBrief) -> Volunteer {
    Volunteer {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        person_id: person.id,
        person,
        sector: draft.sector,
        status: draft.status.unwrap_or(VolunteerStatus::Active),
        registered_on: draft.registered_on,
        registered_on_precision: draft.registered_on_precision.unwrap_or(DatePrecision::Exact),
        left_on: draft.left_on,
        version,
        created_at,
        updated_at: now,
    }
}

fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[VolunteerDraft], at: impl Fn(usize, &str) -> String) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), Some(draft.organization_id)));
    rules::all_in_scope(tx.conn, scope, "organizations", wanted.collect::<Vec<_>>(), &mut faults)?;
    Ok(faults)
}

/// The person of each new volunteer: found where it is named, `None` where it is to be written.
fn named_persons(tx: &mut Tx<'_>, scope: &Scope, drafts: &[VolunteerDraft], faults: &mut Vec<Fault>) -> Result<Vec<Option<PersonBrief>>> {
    for (i, draft) in drafts.iter().enumerate() {
        match (draft.person_id, &draft.person) {
            (Some(_), None) | (None, Some(_)) => {}
            (Some(_), Some(_)) => faults.push(Fault::new(
                format!("/{i}/person"),
                "named_and_written",
                Says::new(
                    "已用 person_id（人员编码）指明人员时，不要再填写 person（姓名、证件等）",
                    "where person_id names the person, leave person (name, numbers) out",
                ),
            )),
            (None, None) => faults.push(Fault::new(
                format!("/{i}/person"),
                "required",
                Says::new(
                    "请用 person_id（人员编码）指明已登记的人员，或填写 person（姓名、证件等）新登记",
                    "name a registered person by person_id, or write a new one in person",
                ),
            )),
        }
    }
    let wanted = drafts.iter().enumerate().filter_map(|(i, draft)| Some((format!("/{i}/person_id"), draft.person_id?)));
    let found = persons::briefs(tx.conn, scope, wanted, faults)?;
    Ok(drafts.iter().map(|draft| found.get(&draft.person_id?).cloned()).collect())
}

/// One person is one volunteer.
fn refuse_volunteers(tx: &mut Tx<'_>, scope: &Scope, people: &[Option<PersonBrief>]) -> Result<()> {
    let ids: Vec<Id> = people.iter().flatten().map(|person| person.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let taken: HashSet<Id> = t::table.filter(t::person_id.eq_any(ids.clone())).select(t::person_id).load(tx.conn)?.into_iter().collect();
    let visible: Vec<(Id, String)> = if taken.is_empty() {
        Vec::new()
    } else {
        query(scope, &VolunteerFilter::default()).filter(t::person_id.eq_any(ids)).select((t::person_id, t::code)).load(tx.conn)?
    };
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    for (i, person) in people.iter().enumerate() {
        let Some(person) = person else { continue };
        let says = match visible.iter().find(|(id, _)| *id == person.id) {
            Some((_, code)) => {
                Says::new(format!("此人已是志愿者，编号为 {code}"), format!("this person is a volunteer already, with the number {code}"))
            }
            None if taken.contains(&person.id) => {
                Says::new("此人已在其他协会登记为志愿者，请联系市协会", "this person is a volunteer of another association; ask the city's")
            }
            None if !seen.insert(person.id) => Says::new("此人在本次提交中重复", "this person stands twice in what was sent"),
            None => continue,
        };
        faults.push(Fault::new(format!("/{i}/person_id"), "person_is_volunteer", says));
    }
    if faults.is_empty() {
        return Ok(());
    }
    let mut error = Error::because(Code::AlreadyExists, "一个人只能登记为一名志愿者", "one person is one volunteer");
    error.faults = faults;
    Err(error)
}

/// A person has another name: so has the volunteer that they are.
pub fn renamed(tx: &mut Tx<'_>, person_id: Id, before: &str, after: &str) -> Result<()> {
    let volunteer: Option<Id> = t::table.filter(t::person_id.eq(person_id)).select(t::id).first(tx.conn).optional()?;
    if let Some(id) = volunteer {
        tx.index(Volunteers::NAME, id, Some(before.to_owned()), Some(after.to_owned()));
    }
    Ok(())
}

impl Resource for Volunteers {
    const NAME: &'static str = "volunteers";
    const LABEL: (&'static str, &'static str) = ("志愿者", "volunteer");
    const AREA: Area = Area::People;
    const REFERENCES: &'static [Reference] =
        &[Reference::ORGANIZATION, Reference { field: "person_id", column: "person_code", of: "persons" }];

    type View = Volunteer;
    type Draft = VolunteerDraft;
    type Filter = VolunteerFilter;

    reads!(t, Volunteer, with p);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, mut drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let mut faults = check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let mut people = named_persons(tx, scope, &drafts, &mut faults)?;
        Error::unless_empty(faults)?;
        refuse_volunteers(tx, scope, &people)?;
        let (places, new): (Vec<usize>, Vec<_>) = drafts
            .iter_mut()
            .enumerate()
            .filter_map(|(i, draft)| Some((i, draft.person.take()?.in_organization(draft.organization_id))))
            .unzip();
        let registered = persons::register(tx, scope, new, |n| format!("/{}/person", places[n]))?;
        for (place, person) in places.iter().zip(registered) {
            note_created::<Persons>(tx, &person)?;
            people[*place] = Some(person.into());
        }
        let now = tx.now;
        let rows: Vec<Volunteer> = drafts
            .into_iter()
            .zip(people.into_iter().flatten())
            .map(|(draft, person)| row(Id::new(), 1, now, now, draft, person))
            .collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(tx: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let person = persons::part(tx, &view.person)?;
        let record = view.clone();
        Ok(VolunteerDraft {
            code: Some(record.code),
            organization_id: record.organization_id,
            person_id: Some(record.person_id),
            person: Some(person),
            sector: record.sector,
            status: Some(record.status),
            registered_on: record.registered_on,
            registered_on_precision: Some(record.registered_on_precision),
            left_on: record.left_on,
        })
    }

    fn settled(mut draft: Self::Draft) -> Self::Draft {
        draft.person = draft.person.map(PersonPart::settled);
        draft
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, mut draft: Self::Draft) -> Result<Self::View> {
        Error::unless_empty(check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?)?;
        if draft.person_id != Some(before.person_id) {
            return Err(persons::fixed());
        }
        let part = draft.person.take().ok_or_else(|| {
            Error::field("/person", "required", "志愿者必有其人，不能清空", "a volunteer is a person, who can't be taken out")
        })?;
        let person = persons::rewrite(tx, scope, before.person_id, part).map_err(|error| error.under("/person"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft, person.into());
        save!(tx, t, before, &after)?;
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}
