//! Consents (同意): what a person has agreed to, who spoke for them, and whether they have taken it back.
//!
//! Publishing somebody's deed takes a consent of its own (个人信息保护法, article 25); for a child under fourteen a parent or
//! guardian gives it (article 31), for who has fallen the close relatives (article 49). A consent is withdrawn and never
//! deleted, since something once stood on it; withdrawing the last one to publication takes what was published back.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::heroes::{self, DeedOutcome};
use super::persons::{self, PersonBrief};
use super::public_notices;
use super::rules;
use crate::db::{Any, AnyConnection, Tx, grams, held, insert_all};
use crate::error::{Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::{consents as t, heroes as h, persons as p};
use crate::types::{Id, Instant, age, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::shape::Shape;
use crate::web::verbs::{refusal, step_body};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

/// From this age on a person speaks for themself.
const SPEAKS_FROM: i32 = 14;

text_enum! {
    /// What a consent is to.
    ConsentPurpose {
        Publication = "publication", "公开事迹和姓名", "publication of name and deed";
        DataProcessing = "data_processing", "处理个人信息", "processing of personal data";
        Photograph = "photograph", "使用照片", "use of photographs";
        MediaInterview = "media_interview", "媒体采访", "interviews by the media";
    }
}

text_enum! {
    /// Who gives a consent.
    ConsentGiver {
        Oneself = "self", "本人", "the person themself";
        Guardian = "guardian", "监护人", "a guardian";
        Relative = "relative", "近亲属（本人已牺牲）", "a close relative of the fallen";
    }
}

/// A consent.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Consent {
    pub id: Id,
    pub code: String,
    pub organization_id: Id,
    pub person_id: Id,
    #[diesel(embed, skip_insertion, skip_update)]
    pub person: PersonBrief,
    pub purpose: ConsentPurpose,
    pub given_by: ConsentGiver,
    /// Who spoke for the person.
    pub giver_name: Option<String>,
    /// What they are to the person.
    pub giver_relation: Option<String>,
    pub given_on: NaiveDate,
    /// Since when it holds no more.
    pub withdrawn_on: Option<NaiveDate>,
    pub withdrawal_reason: Option<String>,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Consent {
    fn shown_version(&self) -> String {
        format!("{}-{}", self.version, self.person.version)
    }
});

/// What may be written of a consent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "person_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "purpose": "publication", "given_by": "guardian", "giver_name": "王大山", "giver_relation": "父亲", "given_on": "2022-06-17"}))]
pub struct ConsentDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    /// Who it is; fixed once written.
    pub person_id: Id,
    /// Fixed once written: another purpose is another consent.
    pub purpose: ConsentPurpose,
    /// A guardian, where the person is under fourteen on the day.
    pub given_by: ConsentGiver,
    /// Who speaks for the person: needed of a guardian or a relative.
    #[schema(min_length = 1, max_length = 50, example = "王大山")]
    pub giver_name: Option<String>,
    /// What they are to the person: needed of a guardian or a relative.
    #[schema(min_length = 1, max_length = 50, example = "父亲")]
    pub giver_relation: Option<String>,
    /// Not later than today.
    pub given_on: NaiveDate,
}

fn whole(draft: &ConsentDraft) -> Result<(), ValidationError> {
    let oneself = draft.given_by == ConsentGiver::Oneself;
    for (field, told) in [("giver_name", draft.giver_name.is_some()), ("giver_relation", draft.giver_relation.is_some())] {
        if told == oneself {
            let says = if oneself {
                Says::new("本人同意时不填代为同意人", "a person who consents themself needs nobody to speak for them: leave this out")
            } else {
                Says::new("请填写代为同意人的姓名和与本人的关系", "say who speaks for the person, and what they are to them")
            };
            return Err(refusal(Some(field), if oneself { "not_needed" } else { "required" }, &says));
        }
    }
    Ok(())
}

/// Why a consent is taken back.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct WithdrawBody {
    #[schema(min_length = 1, max_length = 500)]
    #[validate(custom(function = "rules::reason"))]
    reason: String,
    /// Not later than today.
    withdrawn_on: NaiveDate,
}

/// Which consents.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ConsentFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the person's name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    pub person_id: Option<Id>,
    #[param(inline)]
    pub purpose: Option<ConsentPurpose>,
    #[param(inline)]
    pub given_by: Option<ConsentGiver>,
    /// Those that held on this day.
    pub as_at: Option<NaiveDate>,
}

pub struct Consents;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &ConsentFilter) -> t::BoxedQuery<'static, Any> {
    let mut query = match scope.own() {
        // What one has agreed to oneself.
        Some(own) => t::table.filter(scope.organizations().holds(t::organization_id).or(t::person_id.eq(own))).into_boxed::<Any>(),
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
    if let Some(purpose) = filter.purpose {
        query = query.filter(t::purpose.eq(purpose));
    }
    if let Some(giver) = filter.given_by {
        query = query.filter(t::given_by.eq(giver));
    }
    if let Some(day) = filter.as_at {
        query = query.filter(t::given_on.le(day)).filter(t::withdrawn_on.is_null().or(t::withdrawn_on.gt(day)));
    }
    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: ConsentDraft, person: PersonBrief) -> Consent {
    Consent {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        person_id: person.id,
        person,
        purpose: draft.purpose,
        given_by: draft.given_by,
        giver_name: draft.giver_name,
        giver_relation: draft.giver_relation,
        given_on: draft.given_on,
        withdrawn_on: None,
        withdrawal_reason: None,
        version,
        created_at,
        updated_at: now,
    }
}

fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[ConsentDraft], at: impl Fn(usize, &str) -> String) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    let mut check = |of, field: &str, id: fn(&ConsentDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    faults.extend(drafts.iter().enumerate().filter_map(|(i, draft)| rules::not_ahead(Some(draft.given_on), tx.now, at(i, "given_on"))));
    Ok(faults)
}

/// The faults of who spoke for whom, of persons in scope: two queries for all.
fn speakers(tx: &mut Tx<'_>, drafts: &[(String, &ConsentDraft)]) -> Result<Vec<Fault>> {
    let drafts_of = || drafts.iter().map(|(_, draft)| *draft);
    let born = persons::birth_dates(tx.conn, tx.vault, drafts_of().map(|draft| draft.person_id).collect())?;
    let mourned = drafts_of().filter(|draft| draft.given_by == ConsentGiver::Relative).map(|draft| draft.person_id);
    let fallen: Vec<Id> = h::table
        .filter(h::person_id.eq_any(mourned.collect::<Vec<_>>()))
        .filter(h::outcome.eq(DeedOutcome::Fallen))
        .select(h::person_id)
        .load(tx.conn)?;
    let fault = |(pointer, draft): &(String, &ConsentDraft)| {
        let years = born.get(&draft.person_id).map(|born| age(*born, draft.given_on));
        let (code, says) = match (draft.given_by, years) {
            (ConsentGiver::Relative, _) if !fallen.contains(&draft.person_id) => {
                let says = Says::new(
                    "近亲属只能代牺牲的见义勇为人员表示同意；在世的由本人或监护人同意",
                    "relatives speak only for a hero who has fallen; the living consent themselves, or by a guardian",
                );
                ("not_fallen", says)
            }
            (ConsentGiver::Oneself, Some(years)) if years < SPEAKS_FROM => {
                let says = Says::new(
                    format!("该人在 {} 未满 14 周岁，须由监护人同意", draft.given_on),
                    format!("on {} the person was under fourteen: a guardian has to consent", draft.given_on),
                );
                ("guardian_required", says)
            }
            _ => return None,
        };
        Some(Fault::new(pointer, code, says))
    };
    Ok(drafts.iter().filter_map(fault).collect())
}

/// Writes a consent over itself at its version.
fn save(tx: &mut Tx<'_>, before: &Consent, after: Consent) -> Result<Consent> {
    save!(tx, t, before, &after)?;
    Ok(after)
}

/// `withdraw`: it holds no more, and what was published on it is taken back.
fn withdraw(tx: &mut Tx<'_>, _: &Scope, before: Consent, body: &Value) -> Result<Consent> {
    let body: WithdrawBody = step_body(body)?;
    let mut faults: Vec<Fault> = rules::not_ahead(Some(body.withdrawn_on), tx.now, "/withdrawn_on").into_iter().collect();
    if body.withdrawn_on < before.given_on {
        let given = before.given_on;
        let says = Says::new(format!("撤回日期不能早于同意日期 {given}"), format!("it was given on {given} and can't be withdrawn before"));
        faults.push(Fault::new("/withdrawn_on", "ends_before_it_begins", says));
    }
    Error::unless_empty(faults)?;
    let after = Consent {
        withdrawn_on: Some(body.withdrawn_on),
        withdrawal_reason: Some(body.reason.trim().to_owned()),
        version: before.version + 1,
        updated_at: tx.now,
        ..before.clone()
    };
    let after = save(tx, &before, after)?;
    if after.purpose == ConsentPurpose::Publication && !publication_holds(tx, after.person_id)? {
        heroes::take_back(tx, after.person_id)?;
        public_notices::take_back(tx, after.person_id)?;
    }
    Ok(after)
}

/// Whether a person has agreed to publication and not taken it back. It stays so until the transaction ends.
pub fn publication_holds(tx: &mut Tx<'_>, person_id: Id) -> Result<bool> {
    let holding = || {
        t::table
            .filter(t::person_id.eq(person_id))
            .filter(t::purpose.eq(ConsentPurpose::Publication))
            .filter(t::withdrawn_on.is_null())
            .select(t::id)
    };
    held!(tx.conn, holding())?;
    Ok(holding().first::<Id>(tx.conn).optional()?.is_some())
}

impl Resource for Consents {
    const NAME: &'static str = "consents";
    const LABEL: (&'static str, &'static str) = ("同意记录", "consent");
    const AREA: Area = Area::Heroes;
    const REFERENCES: &'static [Reference] =
        &[Reference::ORGANIZATION, Reference { field: "person_id", column: "person_code", of: "persons" }];

    type View = Consent;
    type Draft = ConsentDraft;
    type Filter = ConsentFilter;

    reads!(t, Consent, with p);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let mut faults = check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (format!("/{i}/person_id"), draft.person_id));
        let people = persons::briefs(tx.conn, scope, wanted, &mut faults)?;
        let told = drafts.iter().enumerate().filter(|(_, draft)| people.contains_key(&draft.person_id));
        let told: Vec<(String, &ConsentDraft)> = told.map(|(i, draft)| (format!("/{i}/given_by"), draft)).collect();
        faults.extend(speakers(tx, &told)?);
        Error::unless_empty(faults)?;
        let now = tx.now;
        let rows: Vec<Consent> = drafts
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
        Ok(ConsentDraft {
            code: Some(record.code),
            organization_id: record.organization_id,
            person_id: record.person_id,
            purpose: record.purpose,
            given_by: record.given_by,
            giver_name: record.giver_name,
            giver_relation: record.giver_relation,
            given_on: record.given_on,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        Error::unless_empty(check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?)?;
        if draft.person_id != before.person_id {
            return Err(persons::fixed());
        }
        Error::unless_empty(speakers(tx, &[("/given_by".into(), &draft)])?)?;
        if draft.purpose != before.purpose {
            return Err(Error::field(
                "/purpose",
                "fixed",
                "同意事项不能更改；请撤回后另行登记",
                "what a consent is to does not change; withdraw it and record another",
            ));
        }
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft, before.person.clone());
        save(tx, before, after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step {
            action: Action::Withdraw,
            summary: "撤回同意（已公开的随之停止公开） / Withdraw; what was published on it is taken back",
            body: Some(Shape::of::<WithdrawBody>),
            needs_key: false,
            run: withdraw,
        }]
    }

    /// A consent that was withdrawn is kept as it was.
    fn offers(view: &Self::View) -> Vec<Action> {
        if view.withdrawn_on.is_none() { vec![Action::Update, Action::Withdraw] } else { Vec::new() }
    }
}
