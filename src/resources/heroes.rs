//! Heroes (见义勇为人员): the person, the deed, and the confirmation that a government's committee gave. The association
//! holds a confirmation; it does not decide it.
//!
//! A file is proposed, confirmed, and in rare cases revoked. Whoever is revoked keeps their history: they count as at the
//! days before, and are given nothing more. Publishing a file takes a confirmation with its papers and the person's consent.
//!
//! Articles are those of the Henan regulation on rewarding and protecting such people (河南省见义勇为人员奖励和保障条例).

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::consents;
use super::persons::{self, PersonBrief};
use super::rules;
use crate::db::{Any, AnyConnection, Part, Subset, Tx, grams, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::{dependants, heroes as t, persons as p};
use crate::types::{Id, Instant, TextEnum, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::shape::Shape;
use crate::web::verbs::{difference, step_body};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

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
    /// The kinds of deed of article 8.
    DeedKind {
        StopCrime = "stop_crime", "制止危害公共安全或秩序的犯罪", "stopped a crime against public order";
        StopHarm = "stop_harm", "制止侵害人身财产的行为", "stopped harm to person or property";
        CatchSuspect = "catch_suspect", "协助抓获嫌疑人", "helped to catch a suspect";
        RescueDisaster = "rescue_disaster", "抢险救灾救人", "rescue or disaster relief";
        Other = "other", "其他", "other";
    }
}

text_enum! {
    /// Who brought the deed before the committee: those who may apply or nominate by article 10, and the media.
    ApplicationSource {
        Oneself = "self", "本人", "the person themself";
        Family = "family", "近亲属", "close relatives";
        Witness = "witness", "知情人", "somebody who knows of it";
        Beneficiary = "beneficiary", "受益人", "who was helped";
        Workplace = "workplace", "所在单位", "the workplace";
        Township = "township", "乡镇政府、街道办事处", "the township or sub-district";
        Community = "community", "村（居）民委员会", "the village or residents' committee";
        Police = "police", "公安机关", "the police";
        MediaReport = "media_report", "媒体报道", "a report of the media";
        Other = "other", "其他", "other";
    }
}

text_enum! {
    /// How far the confirmation has come.
    HeroStatus {
        Proposed = "proposed", "申报中", "proposed";
        Confirmed = "confirmed", "已确认", "confirmed";
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
    /// Who brought the deed before the committee.
    pub application_source: Option<ApplicationSource>,
    /// Those whom the hero acted with.
    pub group_id: Option<Id>,
    /// Since when the title is revoked.
    pub revoked_on: Option<NaiveDate>,
    /// Number of the revoking document.
    #[schema(example = "郑义〔2024〕3号")]
    pub revocation_number: Option<String>,
    pub revocation_reason: Option<String>,
    /// Whether the public may read the file.
    pub published: bool,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Hero {
    fn shown_version(&self) -> String {
        format!("{}-{}", self.version, self.person.version)
    }
    fn person_id(&self) -> Option<Id> {
        Some(self.person_id)
    }
});

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
    /// Issuer, year in 〔〕 and number.
    #[schema(min_length = 1, max_length = 50, example = "郑义〔2022〕8号")]
    #[validate(custom(function = "rules::document_number"))]
    pub confirmation_number: Option<String>,
    pub confirmed_on: Option<NaiveDate>,
    /// On creation `proposed`, or `confirmed` when absent; afterwards it goes by the steps.
    pub status: Option<HeroStatus>,
    pub application_source: Option<ApplicationSource>,
    /// Those whom the hero acted with.
    pub group_id: Option<Id>,
}

fn whole(draft: &HeroDraft) -> Result<(), ValidationError> {
    rules::in_order(draft.deed_on, draft.confirmed_on, "confirmed_on")
}

/// The confirmation that a committee has given.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ConfirmBody {
    /// The authority that confirmed the deed.
    #[schema(min_length = 1, max_length = 100, example = "郑州市见义勇为评定委员会")]
    confirmed_by: String,
    #[schema(min_length = 1, max_length = 50, example = "郑义〔2022〕8号")]
    #[validate(custom(function = "rules::document_number"))]
    confirmation_number: String,
    /// Not later than today.
    confirmed_on: NaiveDate,
    /// Stays as it is when absent.
    level: Option<HonourLevel>,
}

/// Why a title is taken away (article 33), and by which document.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct RevokeBody {
    #[schema(min_length = 1, max_length = 500)]
    #[validate(custom(function = "rules::reason"))]
    reason: String,
    #[schema(min_length = 1, max_length = 50, example = "郑义〔2024〕3号")]
    #[validate(custom(function = "rules::document_number"))]
    document_number: String,
    /// Not later than today.
    revoked_on: NaiveDate,
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
    /// Part of the person's name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
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
    #[param(inline)]
    pub application_source: Option<ApplicationSource>,
    pub group_id: Option<Id>,
    pub published: Option<bool>,
    /// Those who were confirmed and not revoked on this day, as far as is known.
    pub as_at: Option<NaiveDate>,
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
    if let Some(source) = filter.application_source {
        query = query.filter(t::application_source.eq(source));
    }
    if let Some(id) = filter.group_id {
        query = query.filter(t::group_id.eq(id));
    }
    if let Some(published) = filter.published {
        query = query.filter(t::published.eq(published));
    }
    if let Some(day) = filter.as_at {
        // Whose revocation has no known day does not count on any.
        let not_revoked = t::status.eq(HeroStatus::Confirmed).or(t::revoked_on.gt(day));
        query = query.filter(not_revoked).filter(t::confirmed_on.is_null().or(t::confirmed_on.le(day)));
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
        confirmation_number: draft.confirmation_number,
        confirmed_on: draft.confirmed_on,
        status: draft.status.unwrap_or(HeroStatus::Confirmed),
        application_source: draft.application_source,
        group_id: draft.group_id,
        revoked_on: None,
        revocation_number: None,
        revocation_reason: None,
        published: false,
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
    check("hero_groups", "group_id", |draft| draft.group_id)?;
    faults.extend(drafts.iter().enumerate().filter_map(|(i, draft)| rules::not_ahead(draft.deed_on, tx.now, at(i, "deed_on"))));
    faults.extend(drafts.iter().enumerate().filter_map(|(i, draft)| rules::not_ahead(draft.confirmed_on, tx.now, at(i, "confirmed_on"))));
    Ok(faults)
}

/// The fault of a status that only a step gives.
fn by_a_step(pointer: String) -> Fault {
    let says = Says::new(
        "状态由“确认”“撤销称号”步骤改变：新登记的人员只能是 proposed（申报中）或 confirmed（已确认）",
        "the status goes by the steps 'confirm' and 'revoke': a new file is 'proposed' or 'confirmed'",
    );
    Fault::new(pointer, "changes_by_step", says)
}

/// The codes of the revoked heroes among those who are to be given something, or whose dependants are: by the id that
/// names them.
pub fn revoked(conn: &mut AnyConnection, named: impl Iterator<Item = (Option<Id>, Option<Id>)>) -> Result<HashMap<Id, String>> {
    let (own, of_family): (Vec<Option<Id>>, Vec<Option<Id>>) = named.unzip();
    let own: Vec<Id> = own.into_iter().flatten().collect();
    let of_family: Vec<Id> = of_family.into_iter().flatten().collect();
    let mut found: HashMap<Id, String> = HashMap::new();
    if !own.is_empty() {
        let heroes = t::table.filter(t::id.eq_any(own)).filter(t::status.eq(HeroStatus::Revoked));
        found.extend(heroes.select((t::id, t::code)).load::<(Id, String)>(conn)?);
    }
    if !of_family.is_empty() {
        let heroes = dependants::table.inner_join(t::table.on(t::id.eq(dependants::hero_id)));
        let heroes = heroes.filter(dependants::id.eq_any(of_family)).filter(t::status.eq(HeroStatus::Revoked));
        found.extend(heroes.select((dependants::id, t::code)).load::<(Id, String)>(conn)?);
    }
    Ok(found)
}

/// Writes a hero over themself at their version.
fn save(tx: &mut Tx<'_>, before: &Hero, after: Hero) -> Result<Hero> {
    save!(tx, t, before, &after)?;
    Ok(after)
}

/// The hero at the next version, otherwise unchanged.
fn next(tx: &Tx<'_>, before: &Hero) -> Hero {
    Hero { version: before.version + 1, updated_at: tx.now, ..before.clone() }
}

fn not_before(day: NaiveDate, earlier: Option<NaiveDate>, pointer: &str) -> Option<Fault> {
    earlier.filter(|earlier| day < *earlier).map(|earlier| {
        let says = Says::new(format!("日期不能早于 {earlier}"), format!("the day must not be before {earlier}"));
        Fault::new(pointer, "ends_before_it_begins", says)
    })
}

/// `confirm`: what the committee's document says.
fn confirm(tx: &mut Tx<'_>, _: &Scope, before: Hero, body: &Value) -> Result<Hero> {
    let body: ConfirmBody = step_body(body)?;
    let ahead = rules::not_ahead(Some(body.confirmed_on), tx.now, "/confirmed_on");
    let faults = ahead.into_iter().chain(not_before(body.confirmed_on, before.deed_on, "/confirmed_on"));
    Error::unless_empty(faults.collect())?;
    let after = Hero {
        status: HeroStatus::Confirmed,
        confirmed_by: Some(body.confirmed_by),
        confirmation_number: Some(body.confirmation_number),
        confirmed_on: Some(body.confirmed_on),
        level: body.level.or(before.level),
        ..next(tx, &before)
    };
    save(tx, &before, after)
}

/// `revoke`: the title ends, and with it what the public may read. All that was stays on file.
fn revoke(tx: &mut Tx<'_>, _: &Scope, before: Hero, body: &Value) -> Result<Hero> {
    let body: RevokeBody = step_body(body)?;
    let ahead = rules::not_ahead(Some(body.revoked_on), tx.now, "/revoked_on");
    let faults = ahead.into_iter().chain(not_before(body.revoked_on, before.confirmed_on, "/revoked_on"));
    Error::unless_empty(faults.collect())?;
    let after = Hero {
        status: HeroStatus::Revoked,
        revoked_on: Some(body.revoked_on),
        revocation_number: Some(body.document_number),
        revocation_reason: Some(body.reason.trim().to_owned()),
        published: false,
        ..next(tx, &before)
    };
    save(tx, &before, after)
}

/// What is not told of the confirmation.
fn papers_missing(hero: &Hero) -> impl Iterator<Item = &'static str> {
    let papers = [
        ("/confirmed_by", hero.confirmed_by.is_some()),
        ("/confirmation_number", hero.confirmation_number.is_some()),
        ("/confirmed_on", hero.confirmed_on.is_some()),
    ];
    papers.into_iter().filter(|(_, known)| !known).map(|(pointer, _)| pointer)
}

/// `publish`: what was confirmed, with its papers, and what the person has agreed to.
fn publish(tx: &mut Tx<'_>, _: &Scope, before: Hero, _: &Value) -> Result<Hero> {
    let missing = |pointer| {
        let says =
            Says::new("公开前请补全确认机关、文号和日期", "who confirmed it, by which document and when, is told before publication");
        Fault::new(pointer, "confirmation_incomplete", says)
    };
    let mut faults: Vec<Fault> = papers_missing(&before).map(missing).collect();
    if !consents::publication_holds(tx, before.person_id)? {
        let says = Says::new(
            "本人（或监护人、牺牲者的近亲属）尚未同意公开，或已撤回；请先登记事项为 publication（公开事迹和姓名）的同意",
            "nobody has consented to publication, or not any more; record a consent with the purpose 'publication' first",
        );
        faults.push(Fault::new("/person_id", "consent_required", says));
    }
    if !faults.is_empty() {
        return Err(Error::with_faults(Code::Conflict, faults));
    }
    let after = Hero { published: true, ..next(tx, &before) };
    save(tx, &before, after)
}

fn unpublish(tx: &mut Tx<'_>, _: &Scope, before: Hero, _: &Value) -> Result<Hero> {
    let after = Hero { published: false, ..next(tx, &before) };
    save(tx, &before, after)
}

/// Takes back what is published of a person, who has withdrawn their consent to it.
pub fn take_back(tx: &mut Tx<'_>, person_id: Id) -> Result<()> {
    let published: Vec<Hero> = t::table
        .inner_join(p::table)
        .filter(t::person_id.eq(person_id))
        .filter(t::published.eq(true))
        .select(Hero::as_select())
        .load(tx.conn)?;
    diesel::update(t::table.filter(t::person_id.eq(person_id)).filter(t::published.eq(true)))
        .set((t::published.eq(false), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
        .execute(tx.conn)?;
    for before in published {
        let after = Hero { published: false, ..next(tx, &before) };
        tx.audit(
            Action::Unpublish.code(),
            Heroes::NAME,
            Some(before.id),
            Some(before.organization_id),
            Some(&difference(&before, &after)?),
        );
    }
    Ok(())
}

impl Resource for Heroes {
    const NAME: &'static str = "heroes";
    const LABEL: (&'static str, &'static str) = ("见义勇为人员", "hero");
    const AREA: Area = Area::Heroes;
    const REFERENCES: &'static [Reference] = &[
        Reference::ORGANIZATION,
        Reference { field: "person_id", column: "person_code", of: "persons" },
        Reference { field: "group_id", column: "group_code", of: "hero_groups" },
    ];

    type View = Hero;
    type Draft = HeroDraft;
    type Filter = HeroFilter;

    reads!(t, Hero, with p);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let mut faults = check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let ended = drafts.iter().enumerate().filter(|(_, draft)| draft.status == Some(HeroStatus::Revoked));
        faults.extend(ended.map(|(i, _)| by_a_step(format!("/{i}/status"))));
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
            application_source: record.application_source,
            group_id: record.group_id,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        let mut faults = check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        faults.extend((draft.status != Some(before.status)).then(|| by_a_step("/status".into())));
        Error::unless_empty(faults)?;
        if draft.person_id != before.person_id {
            return Err(persons::fixed());
        }
        let written = row(before.id, before.version + 1, before.created_at, tx.now, draft, before.person.clone());
        // What the steps have written stays.
        let after = Hero {
            revoked_on: before.revoked_on,
            revocation_number: before.revocation_number.clone(),
            revocation_reason: before.revocation_reason.clone(),
            // Without its papers a file is not for the public any more.
            published: before.published && papers_missing(&written).next().is_none(),
            ..written
        };
        save(tx, before, after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
    fn steps() -> Vec<Step<Self>> {
        vec![
            Step {
                action: Action::Confirm,
                summary: "登记确认 / Record the confirmation",
                body: Some(Shape::of::<ConfirmBody>),
                needs_key: false,
                run: confirm,
            },
            Step {
                action: Action::Revoke,
                summary: "撤销称号（保留历史） / Revoke the title; its history stays",
                body: Some(Shape::of::<RevokeBody>),
                needs_key: false,
                run: revoke,
            },
            Step {
                action: Action::Publish,
                summary: "公开（须有确认文件和本人同意） / Publish: confirmed with its papers, and consented to",
                body: None,
                needs_key: false,
                run: publish,
            },
            Step {
                action: Action::Unpublish,
                summary: "停止公开 / Take back what is published",
                body: None,
                needs_key: false,
                run: unpublish,
            },
        ]
    }

    /// A revoked file can be corrected, and is kept.
    fn offers(view: &Self::View) -> Vec<Action> {
        match view.status {
            HeroStatus::Proposed => vec![Action::Update, Action::Delete, Action::Confirm],
            HeroStatus::Confirmed => {
                let shown = if view.published { Action::Unpublish } else { Action::Publish };
                vec![Action::Update, Action::Delete, Action::Revoke, shown]
            }
            HeroStatus::Revoked => vec![Action::Update],
        }
    }
}
