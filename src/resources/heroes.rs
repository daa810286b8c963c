//! Heroes (见义勇为人员): the person, the deed, and the confirmation that a government's committee gave. The association
//! holds a confirmation; it does not decide it.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::persons::{self, PersonBrief};
use super::rules;
use crate::db::{Any, AnyConnection, Part, Subset, Tx, grams, insert_all};
use crate::error::{Error, Fault, Result, Says};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::{heroes as t, persons as p};
use crate::types::{Id, Instant, code_or_new, text_enum};
use crate::web::verbs::{refusal, stale};
use crate::web::{Measure, Measured, Reference, Resource, Viewed, Window, measured, page};

text_enum! {
    /// The honour that was given.
    HonourLevel {
        ProvincialHero = "provincial_hero", "省见义勇为英雄", "provincial hero";
        ProvincialModel = "provincial_model", "省见义勇为模范", "provincial model";
        CityModel = "city_model", "市见义勇为模范", "city model";
        CountyAdvanced = "county_advanced", "县级先进个人", "county's advanced individual";
    }
}

text_enum! {
    /// What the deed cost the one who did it.
    DeedOutcome {
        Unharmed = "unharmed", "未受伤", "unharmed";
        Injured = "injured", "受伤", "injured";
        Disabled = "disabled", "致残", "disabled";
        Fallen = "fallen", "牺牲", "fallen";
    }
}

text_enum! {
    /// The kinds of deed of the Henan regulation, article 8.
    DeedKind {
        StopCrime = "stop_crime", "制止危害公共安全或秩序的犯罪", "stopped a crime against public order";
        StopHarm = "stop_harm", "制止侵害人身财产的行为", "stopped harm to person or property";
        CatchSuspect = "catch_suspect", "协助抓获嫌疑人", "helped to catch a suspect";
        RescueDisaster = "rescue_disaster", "抢险救灾救人", "rescue or disaster relief";
        Other = "other", "其他", "other";
    }
}

text_enum! {
    /// Whether the title stands.
    HeroStatus {
        Active = "active", "有效", "active";
        Revoked = "revoked", "已撤销", "revoked";
    }
}

/// A hero.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Hero {
    pub id: Id,
    pub code: String,
    /// The association that looks after the hero.
    pub organization_id: Id,
    pub person_id: Id,
    #[diesel(embed, skip_insertion, skip_update)]
    pub person: PersonBrief,
    pub level: Option<HonourLevel>,
    pub outcome: Option<DeedOutcome>,
    pub deed_kind: Option<DeedKind>,
    pub deed_on: Option<NaiveDate>,
    pub deed_place: Option<String>,
    pub deed_summary: Option<String>,
    /// The authority that confirmed the deed.
    pub confirmed_by: Option<String>,
    /// Number of the confirming document.
    #[schema(example = "郑义〔2022〕8号")]
    pub confirmation_number: Option<String>,
    pub confirmed_on: Option<NaiveDate>,
    pub status: HeroStatus,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

impl Viewed for Hero {
    fn id(&self) -> Id {
        self.id
    }
    fn code(&self) -> &str {
        &self.code
    }
    fn version(&self) -> i32 {
        self.version
    }
    fn shown_version(&self) -> String {
        format!("{}-{}", self.version, self.person.version)
    }
    fn organization_id(&self) -> Option<Id> {
        Some(self.organization_id)
    }
    fn person_id(&self) -> Option<Id> {
        Some(self.person_id)
    }
}

/// What may be written of a hero.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
pub struct HeroDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    /// Who it is; fixed once written.
    pub person_id: Id,
    pub level: Option<HonourLevel>,
    pub outcome: Option<DeedOutcome>,
    pub deed_kind: Option<DeedKind>,
    pub deed_on: Option<NaiveDate>,
    #[schema(min_length = 1, max_length = 200)]
    pub deed_place: Option<String>,
    #[schema(min_length = 1, max_length = 2000)]
    pub deed_summary: Option<String>,
    #[schema(min_length = 1, max_length = 100)]
    pub confirmed_by: Option<String>,
    /// Issuer, year in 〔〕 and number; other brackets are taken for these.
    #[schema(min_length = 1, max_length = 50)]
    #[validate(custom(function = "document_number"))]
    pub confirmation_number: Option<String>,
    pub confirmed_on: Option<NaiveDate>,
    /// `active` when absent.
    pub status: Option<HeroStatus>,
}

/// A document number with the brackets of official documents. Nothing else of it is touched.
fn with_official_brackets(number: &str) -> String {
    number
        .chars()
        .map(|c| match c {
            '[' | '（' | '(' | '﹝' | '【' => '〔',
            ']' | '）' | ')' | '﹞' | '】' => '〕',
            other => other,
        })
        .collect()
}

/// `郑义〔2022〕8号`: an issuer in Chinese characters, four digits of a year, a number without a leading zero.
fn document_number(text: &str) -> Result<(), ValidationError> {
    let number = with_official_brackets(text);
    let fits = number.strip_suffix('号').and_then(|rest| rest.split_once('〔')).is_some_and(|(issuer, rest)| {
        let issued = !issuer.is_empty() && issuer.chars().all(|c| ('\u{4E00}'..='\u{9FFF}').contains(&c));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        issued && rest.split_once('〕').is_some_and(|(year, n)| year.len() == 4 && digits(year) && digits(n) && !n.starts_with('0'))
    });
    if fits {
        return Ok(());
    }
    Err(refusal(None, "invalid_document_number", &Says::new("文号应写作 郑义〔2022〕8号", "a document number is written 郑义〔2022〕8号")))
}

fn whole(draft: &HeroDraft) -> Result<(), ValidationError> {
    rules::in_order(draft.deed_on, draft.confirmed_on, "confirmed_on")
}

/// Which heroes.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct HeroFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the person's name.
    pub q: Option<String>,
    pub person_id: Option<Id>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub level: Option<Vec<HonourLevel>>,
    #[param(inline)]
    pub outcome: Option<DeedOutcome>,
    #[param(inline)]
    pub deed_kind: Option<DeedKind>,
    #[param(inline)]
    pub status: Option<HeroStatus>,
    /// Deeds on this day or later.
    pub deed_from: Option<NaiveDate>,
    /// Deeds on this day or earlier.
    pub deed_to: Option<NaiveDate>,
}

pub struct Heroes;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &HeroFilter) -> t::BoxedQuery<'static, Any> {
    let mut query = match scope.own() {
        // One's own record, and the hero's whose dependant one is.
        Some(own) => {
            let of_family = Subset(vec![Part::Sql("SELECT hero_id FROM dependants WHERE person_id = "), Part::Id(own)]);
            let mine = t::person_id.eq(own).or(of_family.holds(t::id));
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
    if let Some(levels) = &filter.level {
        query = query.filter(t::level.eq_any(levels.clone()));
    }
    if let Some(outcome) = filter.outcome {
        query = query.filter(t::outcome.eq(outcome));
    }
    if let Some(kind) = filter.deed_kind {
        query = query.filter(t::deed_kind.eq(kind));
    }
    if let Some(status) = filter.status {
        query = query.filter(t::status.eq(status));
    }
    if let Some(day) = filter.deed_from {
        query = query.filter(t::deed_on.ge(day));
    }
    if let Some(day) = filter.deed_to {
        query = query.filter(t::deed_on.le(day));
    }
    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: HeroDraft, person: PersonBrief) -> Hero {
    Hero {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        person_id: person.id,
        person,
        level: draft.level,
        outcome: draft.outcome,
        deed_kind: draft.deed_kind,
        deed_on: draft.deed_on,
        deed_place: draft.deed_place,
        deed_summary: draft.deed_summary,
        confirmed_by: draft.confirmed_by,
        confirmation_number: draft.confirmation_number.as_deref().map(with_official_brackets),
        confirmed_on: draft.confirmed_on,
        status: draft.status.unwrap_or(HeroStatus::Active),
        version,
        created_at,
        updated_at: now,
    }
}

fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[HeroDraft], at: impl Fn(usize, &str) -> String) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    let mut check = |of, field: &str, id: fn(&HeroDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    Ok(faults)
}

impl Resource for Heroes {
    const NAME: &'static str = "heroes";
    const LABEL: (&'static str, &'static str) = ("见义勇为人员", "hero");
    const AREA: Area = Area::Heroes;
    const REFERENCES: &'static [Reference] =
        &[Reference::ORGANIZATION, Reference { field: "person_id", column: "person_code", of: "persons" }];

    type View = Hero;
    type Draft = HeroDraft;
    type Filter = HeroFilter;

    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>> {
        Ok(page!(conn, scope, query(scope, filter), t, window, rows => rows.inner_join(p::table).select(Hero::as_select())))
    }

    fn count(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter) -> Result<i64> {
        Ok(query(scope, filter).count().get_result(conn)?)
    }

    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View> {
        let one = query(scope, &Self::Filter::default()).filter(t::id.eq(id));
        Ok(one.inner_join(p::table).select(Hero::as_select()).first(conn)?)
    }

    fn ids_by_code(conn: &mut AnyConnection, scope: &Scope, codes: &[String]) -> Result<Vec<(String, Id)>> {
        Ok(query(scope, &Self::Filter::default()).filter(t::code.eq_any(codes.to_vec())).select((t::code, t::id)).load(conn)?)
    }

    fn known_ids(conn: &mut AnyConnection, scope: &Scope, ids: &[Id]) -> Result<Vec<Id>> {
        Ok(query(scope, &Self::Filter::default()).filter(t::id.eq_any(ids.to_vec())).select(t::id).load(conn)?)
    }

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let mut faults = check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (format!("/{i}/person_id"), draft.person_id));
        let people = persons::briefs(tx.conn, scope, wanted, &mut faults)?;
        Error::unless_empty(faults)?;
        let now = tx.now;
        let rows: Vec<Hero> = drafts
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
        Ok(HeroDraft {
            code: Some(record.code),
            organization_id: record.organization_id,
            person_id: record.person_id,
            level: record.level,
            outcome: record.outcome,
            deed_kind: record.deed_kind,
            deed_on: record.deed_on,
            deed_place: record.deed_place,
            deed_summary: record.deed_summary,
            confirmed_by: record.confirmed_by,
            confirmation_number: record.confirmation_number,
            confirmed_on: record.confirmed_on,
            status: Some(record.status),
        })
    }

    fn settled(mut draft: Self::Draft) -> Self::Draft {
        draft.confirmation_number = draft.confirmation_number.as_deref().map(with_official_brackets);
        draft
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        Error::unless_empty(check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?)?;
        if draft.person_id != before.person_id {
            return Err(persons::fixed());
        }
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft, before.person.clone());
        let saved =
            diesel::update(t::table.filter(t::id.eq(before.id)).filter(t::version.eq(before.version))).set(&after).execute(tx.conn)?;
        if saved == 0 {
            return Err(stale(before.version + 1));
        }
        Ok(after)
    }

    fn delete(tx: &mut Tx<'_>, _: &Scope, before: &Self::View) -> Result<()> {
        diesel::delete(t::table.filter(t::id.eq(before.id))).execute(tx.conn)?;
        Ok(())
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_numbers() {
        for fine in ["郑义〔2022〕8号", "豫政办[2013]90号", "民发﹝2015﹞149号", "郑义（2022）8号"] {
            assert!(document_number(fine).is_ok(), "{fine}");
        }
        assert_eq!(with_official_brackets("民发﹝2015﹞149号"), "民发〔2015〕149号");
        for wrong in ["郑义〔2022〕08号", "郑义〔2022〕第8号", "〔2022〕8号", "郑义2022-8号", "郑义〔22〕8号", ""] {
            assert!(document_number(wrong).is_err(), "{wrong}");
        }
    }
}
