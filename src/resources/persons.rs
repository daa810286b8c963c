//! Persons: one human being in many parts. The ID number and the phone are sealed; lists show their masks, and the
//! whole numbers come only by `reveal`, with a reason that the audit keeps.
//!
//! The same ID number is the same person, wherever it was registered first. The birth date that the number tells is kept
//! beside it, for ages and for finding doubles, and is shown no more than the number is.
//!
//! Who turns out to be somebody else is merged into them ([`super::person_merges`]): nothing refers to them any more, and
//! they are shown only to who asks for them.

use std::collections::{HashMap, HashSet};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, post, web};
use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::person_merges::{self, MergeBody};
use super::{rules, volunteers};
use crate::auth::Caller;
use crate::db::{Any, AnyConnection, Db, Reply, Tx, grams, held, insert_all, reseal};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::{audit_events, persons as t, users};
use crate::types::{
    Id, Instant, TextEnum, born_on, business_today, code_or_new, gender_of, mask_id_number, mask_phone, normalize_id_number,
    normalize_phone, text_enum,
};
use crate::vault::Vault;
use crate::web::handlers::{deed_of, id_of, respond};
use crate::web::resource::Step;
use crate::web::shape::Shape;
use crate::web::verbs::{note_changed, refusal};
use crate::web::{Measure, Measured, Reference, Resource, Viewed, Window, body, deletes, measured, page, save};

/// Reveals that one user may make in a minute.
const REVEALS_A_MINUTE: i64 = 30;

text_enum! {
    /// As in the papers.
    Gender {
        Male = "male", "男", "male";
        Female = "female", "女", "female";
    }
}

/// A person, with masked numbers.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = t)]
pub struct Person {
    pub id: Id,
    pub code: String,
    /// The association that keeps the record.
    pub organization_id: Id,
    pub name: String,
    pub gender: Option<Gender>,
    #[schema(example = "410***********018X")]
    pub id_number_masked: Option<String>,
    #[schema(example = "138****8000")]
    pub phone_masked: Option<String>,
    /// The person who they turned out to be.
    pub merged_into_id: Option<Id>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

impl Viewed for Person {
    fn id(&self) -> Id {
        self.id
    }
    fn code(&self) -> &str {
        &self.code
    }
    fn version(&self) -> i32 {
        self.version
    }
    fn organization_id(&self) -> Option<Id> {
        Some(self.organization_id)
    }
    fn person_id(&self) -> Option<Id> {
        Some(self.id)
    }
    fn searched(&self) -> Option<String> {
        Some(self.name.clone())
    }
}

/// The person whom another record is about, as that record shows them.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = t)]
pub struct PersonBrief {
    pub id: Id,
    pub code: String,
    pub name: String,
    pub gender: Option<Gender>,
    #[schema(example = "410***********018X")]
    pub id_number_masked: Option<String>,
    #[schema(example = "138****8000")]
    pub phone_masked: Option<String>,
    /// Told to nobody.
    #[serde(skip)]
    pub born_on: Option<NaiveDate>,
    /// Part of the ETag of the record that shows the person.
    #[serde(skip)]
    pub version: i32,
}

impl From<Person> for PersonBrief {
    /// Without the birth date, which a person doesn't show.
    fn from(person: Person) -> Self {
        Self {
            born_on: None,
            id: person.id,
            code: person.code,
            name: person.name,
            gender: person.gender,
            id_number_masked: person.id_number_masked,
            phone_masked: person.phone_masked,
            version: person.version,
        }
    }
}

/// What may be written of a person.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
pub struct PersonDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    #[schema(min_length = 1, max_length = 50, example = "王小明")]
    pub name: String,
    /// Taken from the ID number when absent.
    pub gender: Option<Gender>,
    /// 18 characters (GB 11643); 15 digits are extended.
    #[schema(max_length = 30, format = "resident-id-number")]
    pub id_number: Option<String>,
    /// A mobile number of 11 digits.
    #[schema(max_length = 30, format = "mobile-number")]
    pub phone: Option<String>,
}

/// What may be written of a person along with the record that is about them.
#[derive(Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole_part"))]
pub struct PersonPart {
    #[schema(min_length = 1, max_length = 50, example = "王小明")]
    pub name: String,
    /// Taken from the ID number when absent.
    pub gender: Option<Gender>,
    /// 18 characters (GB 11643); 15 digits are extended.
    #[schema(max_length = 30, format = "resident-id-number")]
    pub id_number: Option<String>,
    /// A mobile number of 11 digits.
    #[schema(max_length = 30, format = "mobile-number")]
    pub phone: Option<String>,
}

impl PersonPart {
    /// A new person of an organization.
    pub fn in_organization(self, organization_id: Id) -> PersonDraft {
        PersonDraft { code: None, organization_id, name: self.name, gender: self.gender, id_number: self.id_number, phone: self.phone }
    }

    /// See [`Resource::settled`].
    pub fn settled(mut self) -> Self {
        settle(&mut self.gender, &mut self.id_number, &mut self.phone);
        self
    }
}

fn whole(draft: &PersonDraft) -> Result<(), ValidationError> {
    gender_fits(draft.gender, draft.id_number.as_deref())
}

fn whole_part(part: &PersonPart) -> Result<(), ValidationError> {
    gender_fits(part.gender, part.id_number.as_deref())
}

fn gender_fits(gender: Option<Gender>, id_number: Option<&str>) -> Result<(), ValidationError> {
    let today = business_today(Instant::now());
    let told = id_number.and_then(|text| normalize_id_number(text, today).ok()).and_then(|number| gender_of(&number));
    match (gender, told) {
        (Some(gender), Some(told)) if gender.code() != told => Err(refusal(
            Some("gender"),
            "gender_mismatch",
            &Says::new("性别与身份证号第 17 位不符", "the gender does not fit the ID number's 17th digit"),
        )),
        _ => Ok(()),
    }
}

/// Numbers as they are kept, and the gender that the ID number tells. What isn't right is left for the rules to name.
fn settle(gender: &mut Option<Gender>, id_number: &mut Option<String>, phone: &mut Option<String>) {
    let today = business_today(Instant::now());
    if let Some(number) = id_number.as_deref().and_then(|text| normalize_id_number(text, today).ok()) {
        *gender = gender.or_else(|| gender_of(&number).and_then(Gender::from_code));
        *id_number = Some(number);
    }
    if let Some(number) = phone.as_deref().and_then(|text| normalize_phone(text).ok()) {
        *phone = Some(number);
    }
}

/// Which persons.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PersonFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    #[param(inline)]
    pub gender: Option<Gender>,
    /// Those who turned out to be somebody else; `false` when absent.
    pub merged: Option<bool>,
}

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    name: String,
    gender: Option<Gender>,
    id_number_sealed: Option<Vec<u8>>,
    id_number_hash: Option<Vec<u8>>,
    /// The same under each data key: how the number may be known already.
    #[diesel(skip_insertion, skip_update)]
    id_number_hashes: Vec<Vec<u8>>,
    id_number_masked: Option<String>,
    phone_sealed: Option<Vec<u8>>,
    phone_hash: Option<Vec<u8>>,
    phone_masked: Option<String>,
    born_on: Option<NaiveDate>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

impl Row {
    fn of(tx: &Tx<'_>, id: Id, version: i32, created_at: Instant, draft: PersonDraft) -> Result<Self> {
        let flawed = |(code, says): (&'static str, Says)| Error::invalid(vec![Fault::new("", code, says)]);
        let number = draft.id_number.map(|text| normalize_id_number(&text, business_today(tx.now)).map_err(flawed)).transpose()?;
        let phone = draft.phone.map(|text| normalize_phone(&text).map_err(flawed)).transpose()?;
        let seal =
            |column: &str, value: &Option<String>| value.as_ref().map(|plain| tx.vault.seal("persons", column, id, plain)).transpose();
        Ok(Self {
            id,
            code: code_or_new(draft.code.as_deref()),
            organization_id: draft.organization_id,
            name: draft.name,
            gender: draft.gender.or_else(|| number.as_deref().and_then(gender_of).and_then(Gender::from_code)),
            id_number_sealed: seal("id_number", &number)?,
            id_number_hash: number.as_ref().map(|plain| tx.vault.hash("id_number", plain)),
            id_number_hashes: number.as_ref().map(|plain| tx.vault.hashes("id_number", plain)).unwrap_or_default(),
            id_number_masked: number.as_deref().map(mask_id_number),
            phone_sealed: seal("phone", &phone)?,
            phone_hash: phone.as_ref().map(|plain| tx.vault.hash("phone", plain)),
            phone_masked: phone.as_deref().map(mask_phone),
            born_on: number.as_deref().and_then(born_on),
            version,
            created_at,
            updated_at: tx.now,
        })
    }

    fn view(&self) -> Person {
        Person {
            id: self.id,
            code: self.code.clone(),
            organization_id: self.organization_id,
            name: self.name.clone(),
            gender: self.gender,
            id_number_masked: self.id_number_masked.clone(),
            phone_masked: self.phone_masked.clone(),
            merged_into_id: None,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

pub struct Persons;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &PersonFilter) -> t::BoxedQuery<'static, Any> {
    let reach = scope.within(filter.organization_id, filter.organization_level);
    let mut query = match scope.own() {
        // What the filter asks for narrows one's own record too.
        Some(own) => {
            let asked = Scope::asked(filter.organization_id, filter.organization_level);
            let mine = t::id.eq(own).and(asked.holds(t::organization_id));
            t::table.filter(reach.holds(t::organization_id).or(mine)).into_boxed::<Any>()
        }
        None => t::table.filter(reach.holds(t::organization_id)).into_boxed::<Any>(),
    };
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(Persons::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(gender) = filter.gender {
        query = query.filter(t::gender.eq(gender));
    }
    query
}

/// Those whom a list shows: who has been merged into another is asked for by name.
fn listed(scope: &Scope, filter: &PersonFilter) -> t::BoxedQuery<'static, Any> {
    match filter.merged {
        Some(true) => query(scope, filter).filter(t::merged_into_id.is_not_null()),
        _ => present(query(scope, filter)),
    }
}

/// Those whom records may refer to.
fn present(query: t::BoxedQuery<'static, Any>) -> t::BoxedQuery<'static, Any> {
    query.filter(t::merged_into_id.is_null())
}

/// Refuses ID numbers that are known already: one query for all. Its own record doesn't stand in a person's way.
fn refuse_known(tx: &mut Tx<'_>, scope: &Scope, rows: &[Row], at: impl Fn(usize) -> String) -> Result<()> {
    let hashes: Vec<Vec<u8>> = rows.iter().flat_map(|row| row.id_number_hashes.clone()).collect();
    if hashes.is_empty() {
        return Ok(());
    }
    let own: Vec<Id> = rows.iter().map(|row| row.id).collect();
    let known: Vec<(Option<Vec<u8>>, Id)> =
        t::table.filter(t::id_number_hash.eq_any(hashes)).filter(t::id.ne_all(own)).select((t::id_number_hash, t::id)).load(tx.conn)?;
    let ids: Vec<Id> = known.iter().map(|(_, id)| *id).collect();
    let visible: Vec<(Id, String)> = if ids.is_empty() {
        Vec::new()
    } else {
        query(scope, &PersonFilter::default()).filter(t::id.eq_any(ids)).select((t::id, t::code)).load(tx.conn)?
    };
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    let mut hit = None;
    for (i, row) in rows.iter().enumerate() {
        let Some(hash) = &row.id_number_hash else { continue };
        let found =
            known.iter().find(|(known, _)| known.as_ref().is_some_and(|known| row.id_number_hashes.contains(known))).map(|(_, id)| *id);
        if found.is_some() || !seen.insert(hash) {
            let says = match found.map(|id| visible.iter().find(|(visible, _)| *visible == id)) {
                Some(Some((id, code))) => {
                    hit = Some(*id);
                    Says::new(
                        format!("该身份证号已登记，人员编码为 {code}，id 为 {id}"),
                        format!("this ID number is registered, as the person with the code {code} and the id {id}"),
                    )
                }
                Some(None) => Says::new(
                    "该身份证号已在其他协会登记，请联系市协会",
                    "this ID number is registered with another association; ask the city's",
                ),
                None => Says::new("该身份证号在本次提交中重复", "this ID number stands twice in what was sent"),
            };
            faults.push(Fault::new(format!("{}/id_number", at(i)), "person_exists", says));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    let mut error = Error::because(Code::AlreadyExists, "身份证号相同即为同一人", "the same ID number is the same person");
    if let Some(id) = hit.filter(|_| rows.len() == 1) {
        error = error.with("person_id", id.to_string());
    }
    error.faults = faults;
    Err(error)
}

fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[PersonDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults = Vec::new();
    let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), Some(draft.organization_id)));
    rules::all_in_scope(tx.conn, scope, "organizations", wanted.collect::<Vec<_>>(), &mut faults)?;
    Error::unless_empty(faults)
}

/// The sealed numbers of a person in scope, opened.
pub(super) fn opened(tx: &mut Tx<'_>, scope: Option<&Scope>, id: Id) -> Result<(Option<String>, Option<String>)> {
    let sealed = match scope {
        Some(scope) => query(scope, &PersonFilter::default()),
        None => t::table.into_boxed::<Any>(),
    };
    let (number, phone): (Option<Vec<u8>>, Option<Vec<u8>>) =
        sealed.filter(t::id.eq(id)).select((t::id_number_sealed, t::phone_sealed)).first(tx.conn)?;
    let open = |column: &str, bytes: Option<Vec<u8>>| bytes.map(|bytes| tx.vault.open("persons", column, id, &bytes)).transpose();
    Ok((open("id_number", number)?, open("phone", phone)?))
}

/// A person's whole ID number and phone.
pub type Numbers = (Option<String>, Option<String>);

/// The whole numbers of those persons who are in scope.
pub fn numbers(conn: &mut AnyConnection, vault: &Vault, scope: &Scope, ids: &[Id]) -> Result<HashMap<Id, Numbers>> {
    type Sealed = (Id, Option<Vec<u8>>, Option<Vec<u8>>);
    let rows: Vec<Sealed> = query(scope, &PersonFilter::default())
        .filter(t::id.eq_any(ids.to_vec()))
        .select((t::id, t::id_number_sealed, t::phone_sealed))
        .load(conn)?;
    let mut found = HashMap::with_capacity(rows.len());
    for (id, number, phone) in rows {
        let open = |column: &str, sealed: Option<Vec<u8>>| sealed.map(|sealed| vault.open("persons", column, id, &sealed)).transpose();
        found.insert(id, (open("id_number", number)?, open("phone", phone)?));
    }
    Ok(found)
}

/// What a reseal came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Persons that were there.
    pub seen: usize,
    /// Those whose numbers the present key had not sealed, and now has.
    pub resealed: usize,
    /// Those whose birth date was not kept beside their ID number, and now is.
    pub dated: usize,
    /// Those of the resealed whose ID number another person has too: two servers with different data keys were told of it in
    /// the same moment. The other is found by it, these keep the hash that they have.
    pub doubles: Vec<Id>,
}

/// Seals the numbers of all persons with the present data key, wherever another has sealed them, while the service runs;
/// and keeps the birth dates of those who were registered before these were kept.
pub fn reseal(db: &Db) -> Result<Resealed> {
    let mut all = Resealed::default();
    reseal::in_lots(db, reseal_after, |part| {
        all.seen += part.seen;
        all.resealed += part.resealed;
        all.dated += part.dated;
        all.doubles.extend(part.doubles);
    })?;
    Ok(all)
}

/// The next persons in the order of their ids.
fn reseal_after(tx: &mut Tx<'_>, after: Option<Id>) -> Result<(Resealed, Option<Id>)> {
    type Sealed = (Id, i32, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>, Option<NaiveDate>);
    let mut next = t::table.order(t::id).limit(reseal::LOT).into_boxed::<Any>();
    if let Some(after) = after {
        next = next.filter(t::id.gt(after));
    }
    let rows: Vec<Sealed> =
        next.select((t::id, t::version, t::id_number_sealed, t::phone_sealed, t::id_number_hash, t::born_on)).load(tx.conn)?;
    let (mut part, last) = (Resealed { seen: rows.len(), ..Resealed::default() }, rows.last().map(|row| row.0));

    let vault = tx.vault;
    let former = |sealed: &Option<Vec<u8>>| sealed.as_ref().is_some_and(|sealed| !vault.is_present(sealed));
    let opened = |column: &str, id: Id, sealed: Option<Vec<u8>>| {
        sealed.map(|sealed| vault.open("persons", column, id, &sealed)).transpose().map_err(|_| {
            Error::because(
                Code::Internal,
                format!("人员 {id} 的号码由未给出的数据密钥加密"),
                format!("the numbers of person {id} are sealed with a data key that is not given"),
            )
        })
    };
    let mut stale = Vec::new();
    for (id, version, number, phone, hash, born) in rows {
        if former(&number) || former(&phone) {
            stale.push((id, version, opened("id_number", id, number)?, opened("phone", id, phone)?, hash));
        } else if number.is_some() && born.is_none() {
            let told = opened("id_number", id, number)?.as_deref().and_then(born_on);
            let one = t::table.filter(t::id.eq(id)).filter(t::version.eq(version));
            part.dated += diesel::update(one).set(t::born_on.eq(told)).execute(tx.conn)?;
        }
    }

    let hash_of = |number: &Option<String>| number.as_ref().map(|plain| vault.hash("id_number", plain));
    let hashes: Vec<Vec<u8>> = stale.iter().filter_map(|(_, _, number, ..)| hash_of(number)).collect();
    let holders: Vec<(Option<Vec<u8>>, Id)> =
        t::table.filter(t::id_number_hash.eq_any(hashes)).select((t::id_number_hash, t::id)).load(tx.conn)?;
    let mut holders: HashMap<Option<Vec<u8>>, Id> = holders.into_iter().collect();

    for (id, version, number, phone, present_hash) in stale {
        let hash = hash_of(&number);
        let double = hash.is_some() && *holders.entry(hash.clone()).or_insert(id) != id;
        let seal = |column: &str, value: &Option<String>| value.as_ref().map(|plain| vault.seal("persons", column, id, plain)).transpose();
        // Who has written the person in between has sealed it, too. The version tells; it doesn't count this, since
        // nothing that anybody sees changes.
        let saved = diesel::update(t::table.filter(t::id.eq(id)).filter(t::version.eq(version)))
            .set((
                t::id_number_sealed.eq(seal("id_number", &number)?),
                t::id_number_hash.eq(if double { present_hash } else { hash }),
                t::phone_sealed.eq(seal("phone", &phone)?),
                t::phone_hash.eq(phone.as_ref().map(|plain| vault.hash("phone", plain))),
                t::born_on.eq(number.as_deref().and_then(born_on)),
            ))
            .execute(tx.conn)?;
        part.resealed += saved;
        if double {
            part.doubles.push(id);
        }
    }
    if part.resealed > 0 || part.dated > 0 {
        let detail = json!({"persons": part.resealed, "dated": part.dated, "doubles": part.doubles, "last": last});
        tx.audit("reseal", Persons::NAME, None, None, Some(&detail));
    }
    Ok((part, last))
}

/// Somebody as a file writes them, who may be registered already.
#[derive(Debug, Clone)]
pub struct Sought {
    pub name: String,
    pub gender: Option<String>,
    pub id_number: Option<String>,
    pub phone: Option<String>,
}

/// Who that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recognised {
    /// Nobody who is registered where the caller may see.
    Nobody,
    /// By ID number and name.
    Person(Id),
    /// By both too, but something else is registered otherwise: at a pointer into the record.
    Otherwise { code: String, field: &'static str },
    /// By name and phone alone: these have both.
    Perhaps(Vec<String>),
}

/// Looks for persons by what a file says of them: two queries for all.
pub fn recognise<'a>(tx: &mut Tx<'_>, scope: &Scope, sought: impl Iterator<Item = &'a Sought>) -> Result<Vec<Recognised>> {
    let today = business_today(tx.now);
    let plain: Vec<(&Sought, Option<String>, Option<String>)> = sought
        .map(|one| {
            // What is no number is told of where it is written.
            let number = one.id_number.as_deref().and_then(|text| normalize_id_number(text, today).ok());
            (one, number, one.phone.as_deref().and_then(|text| normalize_phone(text).ok()))
        })
        .collect();
    let hashed = |kind: &str, plain: &Option<String>| plain.as_ref().map(|plain| tx.vault.hashes(kind, plain)).unwrap_or_default();
    let numbers: Vec<Vec<Vec<u8>>> = plain.iter().map(|(_, number, _)| hashed("id_number", number)).collect();
    let phones: Vec<Vec<Vec<u8>>> = plain.iter().map(|(_, _, phone)| hashed("phone", phone)).collect();
    type Known = (Id, String, String, Option<Gender>, Option<Vec<u8>>, Option<Vec<u8>>);
    let columns = (t::id, t::code, t::name, t::gender, t::id_number_hash, t::phone_hash);
    let visible = || present(query(scope, &PersonFilter::default())).select(columns);
    let wanted: Vec<Vec<u8>> = numbers.iter().flatten().cloned().collect();
    let by_number: Vec<Known> =
        if wanted.is_empty() { Vec::new() } else { visible().filter(t::id_number_hash.eq_any(wanted)).load(tx.conn)? };
    let unnumbered = plain.iter().zip(&phones).filter(|((_, number, _), _)| number.is_none());
    let wanted: Vec<Vec<u8>> = unnumbered.flat_map(|(_, hashes)| hashes.clone()).collect();
    let by_phone: Vec<Known> = if wanted.is_empty() { Vec::new() } else { visible().filter(t::phone_hash.eq_any(wanted)).load(tx.conn)? };
    let holds = |hash: &Option<Vec<u8>>, hashes: &[Vec<u8>]| hash.as_ref().is_some_and(|hash| hashes.contains(hash));
    let found = plain.iter().zip(numbers.iter().zip(&phones)).map(|((sought, number, phone), (numbers, phones))| {
        if number.is_some() {
            let same = by_number.iter().find(|(_, _, name, _, hash, _)| holds(hash, numbers) && *name == sought.name);
            let Some((id, code, _, gender, _, phone_hash)) = same else { return Recognised::Nobody };
            let differs = |field| Recognised::Otherwise { code: code.clone(), field };
            if phone.is_some() && !holds(phone_hash, phones) {
                return differs("/person/phone");
            }
            let said = sought.gender.as_deref().and_then(Gender::from_code);
            return if said.is_some() && *gender != said { differs("/person/gender") } else { Recognised::Person(*id) };
        }
        let alike = by_phone.iter().filter(|(_, _, name, _, _, hash)| holds(hash, phones) && *name == sought.name);
        let mut codes: Vec<String> = alike.map(|(_, code, ..)| code.clone()).collect();
        codes.sort_unstable();
        codes.truncate(5);
        if codes.is_empty() { Recognised::Nobody } else { Recognised::Perhaps(codes) }
    });
    Ok(found.collect())
}

/// Writes new persons, in organizations that the caller has checked. `at` makes the pointer of each.
pub fn register(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<PersonDraft>, at: impl Fn(usize) -> String) -> Result<Vec<Person>> {
    let now = tx.now;
    let rows: Vec<Row> = drafts.into_iter().map(|draft| Row::of(tx, Id::new(), 1, now, draft)).collect::<Result<_>>()?;
    refuse_known(tx, scope, &rows, at)?;
    insert_all!(&mut *tx.conn, t::table, rows)?;
    Ok(rows.iter().map(Row::view).collect())
}

/// The part of a person that is written along with another record: what a merge patch of that record is merged into.
pub fn part(tx: &mut Tx<'_>, person: &PersonBrief) -> Result<PersonPart> {
    let (id_number, phone) = opened(tx, None, person.id)?;
    Ok(PersonPart { name: person.name.clone(), gender: person.gender, id_number, phone })
}

/// Writes what another record's draft says of its person: the person after it. Pointers begin with the field.
///
/// Who may write the record may not write a person outside their scope: that is refused unless nothing changes.
pub fn rewrite(tx: &mut Tx<'_>, scope: &Scope, id: Id, part: PersonPart) -> Result<Person> {
    let before: Person = t::table.filter(t::id.eq(id)).select(Person::as_select()).first(tx.conn)?;
    let present = Persons::draft(tx, &before)?;
    let PersonPart { name, gender, id_number, phone } = part.settled();
    let wanted = PersonDraft { name, gender, id_number, phone, ..present.clone() };
    if wanted == present {
        return Ok(before);
    }
    if Persons::known_ids(tx.conn, scope, &[id])?.is_empty() {
        return Err(Error::field(
            "",
            "person_of_another_association",
            "此人由其他协会登记，请由该协会或市协会修改",
            "another association keeps this person; that one or the city's has to make the change",
        ));
    }
    let after = Persons::update(tx, scope, &before, wanted)?;
    note_changed::<Persons>(tx, &before, &after)?;
    Ok(after)
}

/// The persons in scope to whom new records refer: one query for all. Who isn't there is a fault at their pointer.
pub fn briefs(
    conn: &mut AnyConnection,
    scope: &Scope,
    wanted: impl IntoIterator<Item = (String, Id)>,
    faults: &mut Vec<Fault>,
) -> Result<HashMap<Id, PersonBrief>> {
    let wanted: Vec<(String, Id)> = wanted.into_iter().collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let mut ids: Vec<Id> = wanted.iter().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let found: Vec<PersonBrief> =
        present(query(scope, &PersonFilter::default())).filter(t::id.eq_any(ids)).select(PersonBrief::as_select()).load(conn)?;
    let found: HashMap<Id, PersonBrief> = found.into_iter().map(|person| (person.id, person)).collect();
    faults.extend(wanted.into_iter().filter(|(_, id)| !found.contains_key(id)).map(|(pointer, _)| Fault::unknown_reference(pointer)));
    Ok(found)
}

/// When a person was born, as far as their ID number tells; for whom it isn't kept yet, the number is opened.
pub fn birth_dates(conn: &mut AnyConnection, vault: &Vault, ids: Vec<Id>) -> Result<HashMap<Id, NaiveDate>> {
    type Told = (Id, Option<NaiveDate>, Option<Vec<u8>>);
    let rows: Vec<Told> = t::table.filter(t::id.eq_any(ids)).select((t::id, t::born_on, t::id_number_sealed)).load(conn)?;
    let mut found = HashMap::with_capacity(rows.len());
    for (id, born, sealed) in rows {
        let born = match (born, sealed) {
            (None, Some(sealed)) => born_on(&vault.open("persons", "id_number", id, &sealed)?),
            (known, _) => known,
        };
        found.extend(born.map(|born| (id, born)));
    }
    Ok(found)
}

/// A record stays with the person that it is about.
pub fn fixed() -> Error {
    Error::field(
        "/person_id",
        "fixed",
        "记录所属的人不能更改；请删除后重新登记",
        "the person of a record does not change; delete the record and register it anew",
    )
}

impl Resource for Persons {
    const NAME: &'static str = "persons";
    const LABEL: (&'static str, &'static str) = ("人员", "person");
    const AREA: Area = Area::People;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];

    type View = Person;
    type Draft = PersonDraft;
    type Filter = PersonFilter;

    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>> {
        Ok(page!(conn, scope, listed(scope, filter), t, window, rows => rows.select(Person::as_select())))
    }

    fn count(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter) -> Result<i64> {
        Ok(listed(scope, filter).count().get_result(conn)?)
    }

    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View> {
        Ok(query(scope, &Self::Filter::default()).filter(t::id.eq(id)).select(Person::as_select()).first(conn)?)
    }

    fn ids_by_code(conn: &mut AnyConnection, scope: &Scope, codes: &[String]) -> Result<Vec<(String, Id)>> {
        Ok(query(scope, &Self::Filter::default()).filter(t::code.eq_any(codes.to_vec())).select((t::code, t::id)).load(conn)?)
    }

    fn versions(conn: &mut AnyConnection, ids: &[Id]) -> Result<Vec<(Id, i32)>> {
        Ok(t::table.filter(t::id.eq_any(ids.to_vec())).select((t::id, t::version)).load(conn)?)
    }

    fn known_ids(conn: &mut AnyConnection, scope: &Scope, ids: &[Id]) -> Result<Vec<Id>> {
        Ok(present(query(scope, &Self::Filter::default())).filter(t::id.eq_any(ids.to_vec())).select(t::id).load(conn)?)
    }

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        register(tx, scope, drafts, |i| format!("/{i}"))
    }

    fn draft(tx: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let (id_number, phone) = opened(tx, None, view.id)?;
        let person = view.clone();
        Ok(PersonDraft {
            code: Some(person.code),
            organization_id: person.organization_id,
            name: person.name,
            gender: person.gender,
            id_number,
            phone,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = Row::of(tx, before.id, before.version + 1, before.created_at, draft)?;
        refuse_known(tx, scope, std::slice::from_ref(&after), |_| String::new())?;
        save!(tx, t, before, &after)?;
        if before.name != after.name {
            volunteers::renamed(tx, after.id, &before.name, &after.name)?;
        }
        Ok(after.view())
    }

    fn settled(mut draft: Self::Draft) -> Self::Draft {
        settle(&mut draft.gender, &mut draft.id_number, &mut draft.phone);
        draft
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, listed(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step {
            action: Action::Merge,
            summary: "合并到另一人（可撤销） / Merge into another person; it can be undone",
            body: Some(Shape::of::<MergeBody>),
            needs_key: false,
            run: person_merges::merge,
        }]
    }

    /// Who has been merged into another stays as they were.
    fn offers(view: &Self::View) -> Vec<Action> {
        match view.merged_into_id {
            None => vec![Action::Update, Action::Delete, Action::Reveal, Action::Merge],
            Some(_) => vec![Action::Reveal],
        }
    }
}

/// Why the numbers are needed.
#[derive(Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct RevealReason {
    #[schema(min_length = 5, max_length = 200, example = "核对慰问金收款人身份")]
    reason: String,
}

/// A person's whole numbers.
#[derive(Serialize, ToSchema)]
pub struct Revealed {
    id_number: Option<String>,
    phone: Option<String>,
}

/// Shows the whole numbers, for a reason that the audit keeps; at most thirty a minute.
#[utoipa::path(operation_id = "persons_reveal", tag = "persons", summary = "查看完整号码 / Show the whole numbers",
    params(("id" = Id, Path, description = "Id of the person.")),
    request_body(content = RevealReason), responses((status = 200, description = "The numbers.", body = Revealed)))]
#[post("/persons/{id}/reveal")]
pub async fn reveal(request: HttpRequest, caller: Caller, db: web::Data<Db>, mut payload: web::Payload) -> Result<HttpResponse> {
    let scope = caller.actor.may(Area::People, Action::Reveal)?;
    let id = id_of(&request)?;
    let given: RevealReason = body::typed(&request, &mut payload).await?;
    // A key would keep the numbers among the replies.
    let mut deed = deed_of(&request, &caller, &[], false)?;
    deed.once = None;
    let reply = db
        .write(deed, move |tx| {
            let actor = tx.actor()?;
            // One after the other, so that two at once don't both count the other out.
            held!(tx.conn, users::table.find(actor).select(users::id))?;
            let recent: i64 = audit_events::table
                .filter(audit_events::actor_id.eq(actor))
                .filter(audit_events::action.eq(Action::Reveal.code()))
                .filter(audit_events::at.gt(tx.now.plus_seconds(-60)))
                .count()
                .get_result(tx.conn)?;
            if recent >= REVEALS_A_MINUTE {
                return Err(Error::new(Code::TooManyRequests).retry_after(60));
            }
            let person = Persons::find(tx.conn, &scope, id)?;
            let (id_number, phone) = opened(tx, Some(&scope), id)?;
            let detail = json!({"reason": given.reason});
            tx.audit(Action::Reveal.code(), Persons::NAME, Some(id), Some(person.organization_id), Some(&detail)).about(Some(id));
            let body = serde_json::to_vec(&Revealed { id_number, phone }).map_err(Error::internal)?;
            Ok(Reply { status: 200, location: None, etag: None, body, kept: None, replayed: false })
        })
        .await?;
    let mut response = respond(reply);
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(response)
}
