//! Certificates of service (志愿服务证明): what an association certifies of a volunteer's confirmed service in a period, with a code by which
//! anybody can see that it did, and whether it still stands by it.

mod document;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use chrono::NaiveDate;
use diesel::prelude::*;
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::rules::{self, ReasonBody};
use super::service_records;
use super::volunteers::VolunteerBrief;
use crate::db::{Any, AnyConnection, Part, Subset, Tx, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::{certificates as t, persons, volunteers};
use crate::types::{Id, Instant, business_today, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::shape::Shape;
use crate::web::verbs::step_body;
use crate::web::{Measure, Measured, Reference, Resource, Window, measured, page, reads, save, viewed};

pub use document::certificate_document;

text_enum! {
    /// Whether an association stands by a certificate.
    CertificateState {
        Valid = "valid", "有效", "valid";
        Withdrawn = "withdrawn", "已撤回", "withdrawn";
    }
}

/// A certificate.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Certificate {
    pub id: Id,
    pub code: String,
    /// The association that certifies: the volunteer's.
    pub organization_id: Id,
    pub volunteer_id: Id,
    #[diesel(embed, skip_insertion, skip_update)]
    pub volunteer: VolunteerBrief,
    pub from_on: NaiveDate,
    pub to_on: NaiveDate,
    /// Of confirmed service that began in these days, as it was when this was issued.
    pub minutes: i64,
    /// In how many service records.
    pub records: i64,
    /// By which anybody reads `/public/certificates/{code}`.
    #[schema(example = "4fGz0ArWq2sT8LmXcVb91K")]
    pub verification_code: String,
    pub state: CertificateState,
    /// Why it was withdrawn.
    pub reason: Option<String>,
    /// The user who issued it.
    pub issued_by: Id,
    pub issued_on: NaiveDate,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Certificate {
    fn shown_version(&self) -> String {
        format!("{}-{}-{}", self.version, self.volunteer.version, self.volunteer.person_version)
    }
    fn person_id(&self) -> Option<Id> {
        Some(self.volunteer.person_id)
    }
});

/// What is certified of whom.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
pub struct CertificateDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub volunteer_id: Id,
    pub from_on: NaiveDate,
    /// Not later than today.
    pub to_on: NaiveDate,
}

fn whole(draft: &CertificateDraft) -> Result<(), ValidationError> {
    rules::in_order(Some(draft.from_on), Some(draft.to_on), "to_on")
}

/// Which certificates.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CertificateFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub volunteer_id: Option<Id>,
    #[param(inline)]
    pub state: Option<CertificateState>,
}

pub struct Certificates;

/// Scope and filter as a query: list, count and figure all start here. A volunteer sees their own.
fn query(scope: &Scope, filter: &CertificateFilter) -> t::BoxedQuery<'static, Any> {
    let reach = scope.within(filter.organization_id, filter.organization_level);
    let mut query = match scope.own() {
        Some(person) => {
            let asked = Scope::asked(filter.organization_id, filter.organization_level);
            let own = Subset(vec![Part::Sql("SELECT id FROM volunteers WHERE person_id = "), Part::Id(person)]);
            let mine = own.holds(t::volunteer_id).and(asked.holds(t::organization_id));
            t::table.filter(reach.holds(t::organization_id).or(mine)).into_boxed::<Any>()
        }
        None => t::table.filter(reach.holds(t::organization_id)).into_boxed::<Any>(),
    };
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.volunteer_id {
        query = query.filter(t::volunteer_id.eq(id));
    }
    if let Some(state) = filter.state {
        query = query.filter(t::state.eq(state));
    }
    query
}

/// With the volunteer's name: two joins on primary keys.
macro_rules! with_volunteer {
    ($query:expr) => {
        $query.inner_join(volunteers::table.inner_join(persons::table)).select(Certificate::as_select())
    };
}

/// A code that nobody guesses: 22 letters and digits, of more than 128 random bits.
fn verification_code() -> String {
    let mut random = rand::rng();
    std::iter::repeat_with(|| char::from(random.sample(rand::distr::Alphanumeric))).take(22).collect()
}

fn fixed() -> Error {
    Error::because(
        Code::StepNotAllowed,
        "证明出具后不能修改；请撤回后重新出具",
        "a certificate stays as it was issued; withdraw it and issue another",
    )
}

/// `withdraw`: whoever asks by its code is told that it doesn't stand any more.
fn withdraw(tx: &mut Tx<'_>, _: &Scope, before: Certificate, body: &Value) -> Result<Certificate> {
    let ReasonBody { reason } = step_body(body)?;
    let after = Certificate {
        state: CertificateState::Withdrawn,
        reason: Some(reason.trim().to_owned()),
        version: before.version + 1,
        updated_at: tx.now,
        ..before.clone()
    };
    save!(tx, t, before, &after)?;
    Ok(after)
}

impl Resource for Certificates {
    const NAME: &'static str = "certificates";
    const LABEL: (&'static str, &'static str) = ("服务证明", "certificate");
    const AREA: Area = Area::People;
    const REFERENCES: &'static [Reference] = &[Reference { field: "volunteer_id", column: "volunteer_code", of: "volunteers" }];
    /// Each is somebody's word.
    const IMPORTABLE: bool = false;

    type View = Certificate;
    type Draft = CertificateDraft;
    type Filter = CertificateFilter;

    reads!(t);

    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>> {
        Ok(page!(conn, scope, query(scope, filter), t, window, rows => with_volunteer!(rows)))
    }

    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View> {
        Ok(with_volunteer!(query(scope, &Self::Filter::default()).filter(t::id.eq(id))).first(conn)?)
    }

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let mut faults: Vec<Fault> = Vec::new();
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (format!("/{i}/volunteer_id"), Some(draft.volunteer_id)));
        rules::all_in_scope(tx.conn, scope, "volunteers", wanted.collect::<Vec<_>>(), &mut faults)?;
        faults
            .extend(drafts.iter().enumerate().filter_map(|(i, draft)| rules::not_ahead(Some(draft.to_on), tx.now, format!("/{i}/to_on"))));
        Error::unless_empty(faults)?;
        let mut ids: Vec<Id> = drafts.iter().map(|draft| draft.volunteer_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let known: Vec<(Id, VolunteerBrief)> = volunteers::table
            .inner_join(persons::table)
            .filter(volunteers::id.eq_any(ids.clone()))
            .select((volunteers::organization_id, VolunteerBrief::as_select()))
            .load(tx.conn)?;
        let known: HashMap<Id, (Id, VolunteerBrief)> = known.into_iter().map(|one| (one.1.id, one)).collect();
        // One query for each period, and many have one.
        let mut served = HashMap::new();
        for period in drafts.iter().map(|draft| (draft.from_on, draft.to_on)) {
            if let Entry::Vacant(unknown) = served.entry(period) {
                unknown.insert(service_records::totals(tx.conn, &ids, Some(period))?);
            }
        }
        let (issued_by, today, now) = (tx.actor()?, business_today(tx.now), tx.now);
        let mut rows = Vec::with_capacity(drafts.len());
        let mut faults = Vec::new();
        for (i, draft) in drafts.into_iter().enumerate() {
            let found = known.get(&draft.volunteer_id).cloned();
            let (organization_id, volunteer) = found.ok_or_else(|| Error::internal("a record that was just seen is gone"))?;
            let of_period = served.get(&(draft.from_on, draft.to_on));
            let served = of_period.and_then(|totals| totals.get(&volunteer.id)).cloned().unwrap_or_default();
            if served.confirmed_minutes == 0 {
                let says = Says::new("该期间没有已确认的服务时长", "no service of these days is confirmed");
                faults.push(Fault::new(format!("/{i}/from_on"), "nothing_to_certify", says));
                continue;
            }
            rows.push(Certificate {
                id: Id::new(),
                code: code_or_new(draft.code.as_deref()),
                organization_id,
                volunteer_id: volunteer.id,
                volunteer,
                from_on: draft.from_on,
                to_on: draft.to_on,
                minutes: served.confirmed_minutes,
                records: served.confirmed_records,
                verification_code: verification_code(),
                state: CertificateState::Valid,
                reason: None,
                issued_by,
                issued_on: today,
                version: 1,
                created_at: now,
                updated_at: now,
            });
        }
        Error::unless_empty(faults)?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, _: &Self::View) -> Result<Self::Draft> {
        Err(fixed())
    }

    fn update(_: &mut Tx<'_>, _: &Scope, _: &Self::View, _: Self::Draft) -> Result<Self::View> {
        Err(fixed())
    }

    fn delete(_: &mut Tx<'_>, _: &Scope, _: &Self::View) -> Result<()> {
        Err(fixed())
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step {
            action: Action::Withdraw,
            summary: "撤回证明 / Withdraw a certificate",
            body: Some(Shape::of::<ReasonBody>),
            needs_key: false,
            run: withdraw,
        }]
    }

    /// It is never changed, and never deleted: who asks by its code must be told something.
    fn offers(view: &Self::View) -> Vec<Action> {
        if view.state == CertificateState::Valid { vec![Action::Withdraw] } else { Vec::new() }
    }
}
