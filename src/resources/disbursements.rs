//! Disbursements (发放): what one beneficiary, or a group known only as a whole, is given out of a programme.
//!
//! `states` says which way they go and who may not act twice; `steps` walks it; `eligible` judges whom it is submitted for;
//! `delivery` says what is told of a benefit in kind.
//!
//! Of bonus points on admission the quantity is the points, and the benefit says where; of a school that was found, which.

mod delivery;
mod eligible;
mod payment;
mod states;
mod steps;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::NaiveDate;
use diesel::dsl::{count_star, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::heroes;
use super::rules;
use super::welfare_batches;
use super::welfare_programmes::{self, BenefitForm, ProgrammeKind};
use crate::db::{Any, AnyConnection, Part, Subset, Tx, insert_all};
use crate::error::{Error, Fault, Result, Says};
use crate::policy::{Action, Actor, Area, OrganizationLevel, Scope};
use crate::schema::{disbursements as t, insurance_policies, organization_closure};
use crate::types::{DatePrecision, Id, Instant, Precision, TextEnum, code_or_new, text_enum};
use crate::web::resource::{Step, sum_of};
use crate::web::verbs::{refusal, stale};
use crate::web::{Measure, Measured, Reference, Resource, measured, reads, viewed};

pub use delivery::InsurancePolicy;
pub use states::{DisbursementState, Sums, batch_sources, counts, next};
pub use steps::{batch_body_of, take_all};

text_enum! {
    /// Out of whose purse it comes.
    Channel {
        Own = "own", "自有资金", "own funds";
        Fiscal = "fiscal", "财政", "public budget";
        EnterpriseDirect = "enterprise_direct", "企业直接支付", "paid by an enterprise directly";
        Donation = "donation", "捐赠", "donation";
    }
}

/// A disbursement.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
pub struct Disbursement {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that gives.
    pub organization_id: Id,
    pub programme_id: Id,
    pub batch_id: Option<Id>,
    /// The hero who is given something.
    pub hero_id: Option<Id>,
    /// The member of a hero's family who is given something.
    pub dependant_id: Option<Id>,
    /// For how many people it is; null is unknown.
    pub people: Option<i64>,
    pub people_precision: Precision,
    /// The programme's.
    pub form: BenefitForm,
    /// In fen (1/100 yuan); null in kind.
    pub amount_fen: Option<i64>,
    /// What is given, in kind.
    pub benefit: Option<String>,
    /// How much of it.
    pub quantity: Option<i64>,
    pub quantity_precision: Precision,
    pub channel: Channel,
    /// The year that it counts in.
    pub year: i32,
    pub state: DisbursementState,
    /// Why it was returned, rejected, cancelled or reversed.
    pub reason: Option<String>,
    /// The user who wrote the draft last; nobody who wrote a version of it approves or pays it.
    pub prepared_by: Id,
    /// Another user, who approved it.
    pub approved_by: Option<Id>,
    /// A further one, who approved it too: from some amount on.
    pub second_approved_by: Option<Id>,
    /// None of those: who paid or delivered it.
    pub paid_by: Option<Id>,
    /// When it was paid or delivered; of a delivery null where the day is not known.
    pub paid_on: Option<NaiveDate>,
    /// Whether on that day, or on that day at the latest.
    pub paid_on_precision: DatePrecision,
    /// Who undid the payment; not the one who paid.
    pub reversed_by: Option<Id>,
    pub reversed_on: Option<NaiveDate>,
    /// Of a recuperation or a camp that was delivered: on how many days they came; null where that isn't recorded.
    pub attended_days: Option<i32>,
    /// Of an insurance.
    #[diesel(embed, skip_insertion)]
    pub insurance: Option<InsurancePolicy>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Disbursement);

impl Disbursement {
    fn hands(&self) -> states::Hands {
        states::Hands {
            prepared_by: self.prepared_by,
            approved_by: self.approved_by,
            second_approved_by: self.second_approved_by,
            paid_by: self.paid_by,
        }
    }
}

/// What may be written of a disbursement, while it is a draft.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "programme_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "hero_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "amount_fen": 100000, "channel": "own", "year": 2022}))]
pub struct DisbursementDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association that gives: the batch's, or one below it.
    pub organization_id: Id,
    /// The batch's when absent.
    pub programme_id: Option<Id>,
    pub batch_id: Option<Id>,
    /// The hero who is given something: this or `dependant_id`, or neither for a group known only as a whole.
    pub hero_id: Option<Id>,
    /// The member of a hero's family who is given something.
    pub dependant_id: Option<Id>,
    /// For how many people it is: 1 when absent and a beneficiary is named; else null is unknown.
    #[schema(minimum = 1, maximum = 100_000_000)]
    pub people: Option<i64>,
    /// `exact` when absent.
    pub people_precision: Option<Precision>,
    /// In fen (1/100 yuan): required of a cash programme, refused of one in kind.
    #[schema(minimum = 1, maximum = 10_000_000_000_000_i64, example = 100_000)]
    pub amount_fen: Option<i64>,
    /// What is given: required of a programme in kind.
    #[schema(min_length = 1, max_length = 200, example = "升学加 10 分")]
    pub benefit: Option<String>,
    /// How much of it; null is unknown.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub quantity: Option<i64>,
    /// `exact` when absent.
    pub quantity_precision: Option<Precision>,
    pub channel: Channel,
    /// The batch's when absent.
    #[schema(minimum = 1949, maximum = 2100)]
    pub year: Option<i32>,
    /// Of a programme of the kind `insurance`: as soon as it is known, at the latest on delivery.
    #[validate(nested)]
    pub insurance: Option<InsurancePolicy>,
}

fn whole(draft: &DisbursementDraft) -> Result<(), ValidationError> {
    if draft.hero_id.is_some() && draft.dependant_id.is_some() {
        return Err(refusal(
            Some("dependant_id"),
            "two_beneficiaries",
            &Says::new("见义勇为人员与家属只能填写一个：谁领取填谁", "name the hero or the dependant, not both: whoever is given it"),
        ));
    }
    if draft.programme_id.is_none() && draft.batch_id.is_none() {
        return Err(refusal(
            Some("programme_id"),
            "required",
            &Says::new("请填写保障项目，或填写所属批次", "name the programme, or the batch that carries it out"),
        ));
    }
    Ok(())
}

/// Which disbursements.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DisbursementFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub programme_id: Option<Id>,
    /// Kinds of the programme: one or several, separated by commas.
    #[param(inline)]
    pub programme_kind: Option<Vec<ProgrammeKind>>,
    pub batch_id: Option<Id>,
    pub hero_id: Option<Id>,
    pub dependant_id: Option<Id>,
    /// All help to this hero and to the members of their family, out of whichever programme.
    pub family_of: Option<Id>,
    /// Whether the same person is given the same kind of programme in the same year once more, here or elsewhere.
    pub doubled: Option<bool>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<DisbursementState>>,
    /// Whether it is in a bank transfer that the bank has not sent back: with `state=paid`, `false` finds what still has to
    /// be sent.
    pub with_bank: Option<bool>,
    #[param(inline)]
    pub form: Option<BenefitForm>,
    #[param(inline)]
    pub channel: Option<Channel>,
    pub year: Option<i32>,
    /// Paid or delivered on this day or later.
    pub paid_from: Option<NaiveDate>,
    /// Paid or delivered on this day or earlier.
    pub paid_to: Option<NaiveDate>,
    /// How well the day of payment or delivery is known: of what was paid by a day at the latest the month isn't.
    #[param(inline)]
    pub paid_on_precision: Option<DatePrecision>,
}

/// What the disbursements of a batch come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct BatchTotals {
    /// Neither rejected nor cancelled.
    pub records: i64,
    /// Of these; null where one of them doesn't say how many people it is for.
    pub people: Option<i64>,
    /// Of these, in fen.
    pub fen: i64,
    /// How many disbursements stand in which state, rejected and cancelled ones too.
    pub by_state: BTreeMap<String, i64>,
    /// How many go to somebody who is given the same kind of programme in the same year once more: to be looked at before
    /// approving, by `?doubled=true`. Told of a single batch; in a list null where there are
    /// disbursements.
    pub doubled: Option<i64>,
    #[serde(skip)]
    known_people: i64,
    #[serde(skip)]
    people_unknown: i64,
}

impl BatchTotals {
    /// Of a batch without disbursements: nobody, and that is known.
    pub fn none() -> Self {
        Self { people: Some(0), doubled: Some(0), ..Self::default() }
    }

    pub fn sums(&self) -> Sums {
        Sums { records: self.records, people: self.known_people, people_unknown: self.people_unknown, fen: self.fen }
    }

    /// How many stand in a state.
    pub fn in_state(&self, state: DisbursementState) -> i64 {
        self.by_state.get(state.code()).copied().unwrap_or_default()
    }
}

/// The totals of batches, in one query; a batch without disbursements has none.
pub fn sums(conn: &mut AnyConnection, batches: &[Id]) -> Result<HashMap<Id, BatchTotals>> {
    type Group = (Option<Id>, DisbursementState, i64, i64, Option<i64>, Option<i64>);
    let groups: Vec<Group> = t::table
        .filter(t::batch_id.eq_any(batches.to_vec()))
        .group_by((t::batch_id, t::state))
        .select((t::batch_id, t::state, count_star(), sql::<BigInt>("COUNT(people)"), sum_of!(people), sum_of!(amount_fen)))
        .load(conn)?;
    let mut all: HashMap<Id, BatchTotals> = HashMap::new();
    for (batch_id, state, records, telling, people, fen) in groups {
        let Some(batch_id) = batch_id else { continue };
        let totals = all.entry(batch_id).or_default();
        totals.by_state.insert(state.code().to_owned(), records);
        if counts(state) {
            totals.records += records;
            totals.known_people += people.unwrap_or_default();
            totals.people_unknown += records - telling;
            totals.fen += fen.unwrap_or_default();
        }
    }
    for totals in all.values_mut() {
        totals.people = (totals.people_unknown == 0).then_some(totals.known_people);
    }
    Ok(all)
}

/// That a person is given the same kind of programme in the same year once more, by whichever association: they may be a
/// hero here and of another's family there.
const DOUBLED: &str = "EXISTS (SELECT 1 FROM disbursements AS other \
    JOIN welfare_programmes AS others ON others.id = other.programme_id \
    WHERE other.id <> disbursements.id AND other.year = disbursements.year \
    AND other.state NOT IN ('rejected', 'cancelled', 'reversed') AND disbursements.state NOT IN ('rejected', 'cancelled', 'reversed') \
    AND others.kind = (SELECT kind FROM welfare_programmes WHERE welfare_programmes.id = disbursements.programme_id) \
    AND (other.hero_id IN (SELECT id FROM heroes WHERE person_id = COALESCE( \
        (SELECT person_id FROM heroes WHERE heroes.id = disbursements.hero_id), \
        (SELECT person_id FROM dependants WHERE dependants.id = disbursements.dependant_id))) \
    OR other.dependant_id IN (SELECT id FROM dependants WHERE person_id = COALESCE( \
        (SELECT person_id FROM heroes WHERE heroes.id = disbursements.hero_id), \
        (SELECT person_id FROM dependants WHERE dependants.id = disbursements.dependant_id)))))";

/// That a transfer holds it which the bank has not sent back.
const WITH_BANK: &str = "EXISTS (SELECT 1 FROM bank_transfer_lines AS sent \
    WHERE sent.disbursement_id = disbursements.id AND sent.state IN ('waiting', 'paid'))";

/// How many disbursements of a batch go to somebody who is given the same kind in the same year once more.
pub fn doubled(conn: &mut AnyConnection, batch_id: Id) -> Result<i64> {
    Ok(t::table.filter(t::batch_id.eq(batch_id)).filter(sql::<Bool>(DOUBLED)).count().get_result(conn)?)
}

pub struct Disbursements;

/// Scope and filter as a query: list, count and figure all start here.
///
/// A hero and their family see what they were given themselves, wherever it was given.
fn query(scope: &Scope, filter: &DisbursementFilter) -> t::BoxedQuery<'static, Any> {
    let mut query = t::table.into_boxed::<Any>();
    query = match scope.own() {
        None => query.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)),
        Some(person) => {
            let of_person = |select: &'static str| Subset(vec![Part::Sql(select), Part::Id(person)]);
            let own = of_person("SELECT id FROM heroes WHERE person_id = ")
                .holds(t::hero_id)
                .or(of_person("SELECT id FROM dependants WHERE person_id = ").holds(t::dependant_id));
            query.filter(scope.organizations().holds(t::organization_id).or(own))
        }
    };
    if scope.own().is_some() && (filter.organization_id.is_some() || filter.organization_level.is_some()) {
        // What the filter asks for narrows one's own records too; that they may be seen is decided above.
        query = query.filter(Scope::asked(filter.organization_id, filter.organization_level).holds(t::organization_id));
    }
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.programme_id {
        query = query.filter(t::programme_id.eq(id));
    }
    if let Some(kinds) = &filter.programme_kind {
        query = query.filter(welfare_programmes::of_kinds(kinds).holds(t::programme_id));
    }
    if let Some(id) = filter.batch_id {
        query = query.filter(t::batch_id.eq(id));
    }
    if let Some(id) = filter.hero_id {
        query = query.filter(t::hero_id.eq(id));
    }
    if let Some(id) = filter.dependant_id {
        query = query.filter(t::dependant_id.eq(id));
    }
    if let Some(id) = filter.family_of {
        let of_family = Subset(vec![Part::Sql("SELECT id FROM dependants WHERE hero_id = "), Part::Id(id)]);
        query = query.filter(t::hero_id.eq(id).or(of_family.holds(t::dependant_id)));
    }
    if let Some(wanted) = filter.doubled {
        query = query.filter(sql::<Bool>(DOUBLED).eq(wanted));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    if let Some(wanted) = filter.with_bank {
        query = query.filter(sql::<Bool>(WITH_BANK).eq(wanted));
    }
    if let Some(form) = filter.form {
        query = query.filter(t::form.eq(form));
    }
    if let Some(channel) = filter.channel {
        query = query.filter(t::channel.eq(channel));
    }
    if let Some(year) = filter.year {
        query = query.filter(t::year.eq(year));
    }
    if let Some(day) = filter.paid_from {
        query = query.filter(t::paid_on.ge(day));
    }
    if let Some(day) = filter.paid_to {
        query = query.filter(t::paid_on.le(day));
    }
    if let Some(precision) = filter.paid_on_precision {
        query = query.filter(t::paid_on_precision.eq(precision));
    }
    query
}

/// What a draft takes from its batch and its programme.
struct Settled {
    programme_id: Id,
    form: BenefitForm,
    year: i32,
}

/// Faults of references and of what depends on them, with pointers that `at` makes from a draft's index and a field.
fn settle(tx: &mut Tx<'_>, scope: &Scope, drafts: &[DisbursementDraft], at: impl Fn(usize, &str) -> String) -> Result<Vec<Settled>> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&DisbursementDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    check("welfare_batches", "batch_id", |draft| draft.batch_id)?;
    check("welfare_programmes", "programme_id", |draft| draft.programme_id)?;
    check("heroes", "hero_id", |draft| draft.hero_id)?;
    check("dependants", "dependant_id", |draft| draft.dependant_id)?;
    // The rest is judged against records that are there.
    Error::unless_empty(faults)?;

    let batches = welfare_batches::briefs(tx.conn, drafts.iter().filter_map(|draft| draft.batch_id))?;
    let programmes = drafts.iter().filter_map(|draft| draft.programme_id).chain(batches.values().map(|batch| batch.programme_id));
    let programmes = welfare_programmes::briefs(tx.conn, programmes)?;
    let above: HashSet<(Id, Id)> = organization_closure::table
        .filter(organization_closure::ancestor_id.eq_any(batches.values().map(|batch| batch.organization_id).collect::<Vec<_>>()))
        .filter(organization_closure::descendant_id.eq_any(drafts.iter().map(|draft| draft.organization_id).collect::<Vec<_>>()))
        .select((organization_closure::ancestor_id, organization_closure::descendant_id))
        .load::<(Id, Id)>(tx.conn)?
        .into_iter()
        .collect();

    let revoked = heroes::revoked(tx.conn, drafts.iter().map(|draft| (draft.hero_id, draft.dependant_id)))?;

    let mut faults: Vec<Fault> = Vec::new();
    let mut settled = Vec::with_capacity(drafts.len());
    for (i, draft) in drafts.iter().enumerate() {
        let mut wrong = |field: &str, code, zh: String, en: String| faults.push(Fault::new(at(i, field), code, Says::new(zh, en)));
        let batch = draft.batch_id.and_then(|id| batches.get(&id));
        if batch.is_some_and(|batch| !above.contains(&(batch.organization_id, draft.organization_id))) {
            wrong(
                "batch_id",
                "batch_of_another_organization",
                "批次属于另一单位；发放单位应为批次所属单位或其下级单位".into(),
                "the batch is another organization's; the one that gives is the batch's own or one below it".into(),
            );
        }
        for (field, id) in [("hero_id", draft.hero_id), ("dependant_id", draft.dependant_id)] {
            if let Some(code) = id.and_then(|id| revoked.get(&id)) {
                wrong(
                    field,
                    "hero_revoked",
                    format!("见义勇为人员 {code} 的称号已被撤销，本人及家属不能再列入发放；请核对人员"),
                    format!("the title of hero {code} is revoked: neither they nor their family can be given anything more"),
                );
            }
        }
        let programme_id = match (draft.programme_id, batch) {
            (Some(own), Some(batch)) if own != batch.programme_id => {
                wrong(
                    "programme_id",
                    "programme_disagrees_with_batch",
                    "保障项目与批次的项目不一致；可不填，由批次带出".into(),
                    "the programme is not the batch's; leave it out to take the batch's".into(),
                );
                None
            }
            (own, batch) => own.or(batch.map(|batch| batch.programme_id)),
        };
        let programme = programme_id.and_then(|id| programmes.get(&id).copied());
        let form = programme.map(|programme| programme.form);
        if let Some(programme) = programme.filter(|programme| draft.insurance.is_some() && programme.kind != ProgrammeKind::Insurance) {
            faults.push(delivery::not_an_insurance(at(i, "insurance"), programme.kind));
        }
        let mut wrong = |field: &str, code, zh: String, en: String| faults.push(Fault::new(at(i, field), code, Says::new(zh, en)));
        match form {
            Some(BenefitForm::Cash) if draft.amount_fen.is_none() => wrong(
                "amount_fen",
                "amount_required",
                "现金项目须填写金额（单位：分，大于 0）".into(),
                "a cash programme needs an amount, in fen and above 0".into(),
            ),
            Some(BenefitForm::InKind) => {
                if draft.amount_fen.is_some() {
                    wrong(
                        "amount_fen",
                        "amount_in_kind",
                        "实物或服务项目不填金额；请用“待遇内容”和“数量”说明".into(),
                        "a programme in kind has no amount; say what is given in benefit and quantity".into(),
                    );
                }
                if draft.benefit.is_none() {
                    wrong(
                        "benefit",
                        "benefit_required",
                        "实物或服务项目须填写待遇内容，如“升学加 10 分”".into(),
                        "a programme in kind says what is given, as in '10 bonus points'".into(),
                    );
                }
            }
            _ => {}
        }
        let year = draft.year.or(batch.map(|batch| batch.year));
        if year.is_none() {
            wrong("year", "required", "请填写年度，或填写所属批次".into(), "give the year, or the batch from which it can be told".into());
        }
        if let (Some(programme_id), Some(form), Some(year)) = (programme_id, form, year) {
            settled.push(Settled { programme_id, form, year });
        }
    }
    Error::unless_empty(faults)?;
    if settled.len() != drafts.len() {
        return Err(Error::internal("a disbursement without a programme was let through"));
    }
    Ok(settled)
}

/// A draft as its record. Who writes it prepares it.
fn row(id: Id, version: i32, created_at: Instant, now: Instant, by: Id, draft: DisbursementDraft, settled: &Settled) -> Disbursement {
    let named = draft.hero_id.or(draft.dependant_id);
    Disbursement {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        programme_id: settled.programme_id,
        batch_id: draft.batch_id,
        hero_id: draft.hero_id,
        dependant_id: draft.dependant_id,
        people: draft.people.or(named.map(|_| 1)),
        people_precision: draft.people_precision.unwrap_or(Precision::Exact),
        form: settled.form,
        amount_fen: draft.amount_fen,
        benefit: draft.benefit,
        quantity: draft.quantity,
        quantity_precision: draft.quantity_precision.unwrap_or(Precision::Exact),
        channel: draft.channel,
        year: settled.year,
        state: DisbursementState::Draft,
        reason: None,
        prepared_by: by,
        approved_by: None,
        second_approved_by: None,
        paid_by: None,
        paid_on: None,
        paid_on_precision: DatePrecision::Exact,
        reversed_by: None,
        reversed_on: None,
        attended_days: None,
        insurance: draft.insurance,
        version,
        created_at,
        updated_at: now,
    }
}

/// What a patch of a draft writes: everything but what the steps write.
#[derive(AsChangeset)]
#[diesel(table_name = t, treat_none_as_null = true)]
struct Edited {
    code: String,
    organization_id: Id,
    programme_id: Id,
    batch_id: Option<Id>,
    hero_id: Option<Id>,
    dependant_id: Option<Id>,
    people: Option<i64>,
    people_precision: Precision,
    form: BenefitForm,
    amount_fen: Option<i64>,
    benefit: Option<String>,
    quantity: Option<i64>,
    quantity_precision: Precision,
    channel: Channel,
    year: i32,
    prepared_by: Id,
    version: i32,
    updated_at: Instant,
}

impl From<&Disbursement> for Edited {
    fn from(after: &Disbursement) -> Self {
        Self {
            code: after.code.clone(),
            organization_id: after.organization_id,
            programme_id: after.programme_id,
            batch_id: after.batch_id,
            hero_id: after.hero_id,
            dependant_id: after.dependant_id,
            people: after.people,
            people_precision: after.people_precision,
            form: after.form,
            amount_fen: after.amount_fen,
            benefit: after.benefit.clone(),
            quantity: after.quantity,
            quantity_precision: after.quantity_precision,
            channel: after.channel,
            year: after.year,
            prepared_by: after.prepared_by,
            version: after.version,
            updated_at: after.updated_at,
        }
    }
}

impl Resource for Disbursements {
    const NAME: &'static str = "disbursements";
    const LABEL: (&'static str, &'static str) = ("发放", "disbursement");
    const AREA: Area = Area::Welfare;
    const REFERENCES: &'static [Reference] = &[
        Reference::ORGANIZATION,
        Reference { field: "programme_id", column: "programme_code", of: "welfare_programmes" },
        Reference { field: "batch_id", column: "batch_code", of: "welfare_batches" },
        Reference { field: "hero_id", column: "hero_code", of: "heroes" },
        Reference { field: "dependant_id", column: "dependant_code", of: "dependants" },
    ];

    type View = Disbursement;
    type Draft = DisbursementDraft;
    type Filter = DisbursementFilter;

    reads!(t, Disbursement, beside insurance_policies);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let actor = tx.actor()?;
        let batches = batches_in_scope(tx.conn, scope, &drafts)?;
        steps::take_batches(tx, batches)?;
        let settled = settle(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Disbursement> =
            drafts.into_iter().zip(&settled).map(|(draft, settled)| row(Id::new(), 1, now, now, actor, draft, settled)).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        delivery::insure(tx, rows.iter().filter_map(|one| Some((one.id, one.insurance.clone()?))))?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let disbursement = view.clone();
        Ok(DisbursementDraft {
            code: Some(disbursement.code),
            organization_id: disbursement.organization_id,
            programme_id: Some(disbursement.programme_id),
            batch_id: disbursement.batch_id,
            hero_id: disbursement.hero_id,
            dependant_id: disbursement.dependant_id,
            people: disbursement.people,
            people_precision: Some(disbursement.people_precision),
            amount_fen: disbursement.amount_fen,
            benefit: disbursement.benefit,
            quantity: disbursement.quantity,
            quantity_precision: Some(disbursement.quantity_precision),
            channel: disbursement.channel,
            year: Some(disbursement.year),
            insurance: disbursement.insurance,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        let actor = tx.actor()?;
        let there = batches_in_scope(tx.conn, scope, std::slice::from_ref(&draft))?;
        steps::take_batches(tx, there.into_iter().chain([before.batch_id]))?;
        let settled = settle(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let settled = settled.first().ok_or_else(|| Error::internal("a draft was not settled"))?;
        // Why it was returned stands until it is submitted again.
        let after = Disbursement {
            reason: before.reason.clone(),
            ..row(before.id, before.version + 1, before.created_at, tx.now, actor, draft, settled)
        };
        let one = t::table.filter(t::id.eq(before.id)).filter(t::version.eq(before.version)).filter(t::state.eq(DisbursementState::Draft));
        let saved = diesel::update(one).set(Edited::from(&after)).execute(tx.conn)?;
        if saved == 0 {
            return Err(stale(before.version + 1));
        }
        if before.insurance != after.insurance {
            diesel::delete(insurance_policies::table.find(before.id)).execute(tx.conn)?;
            delivery::insure(tx, after.insurance.clone().map(|insurance| (after.id, insurance)))?;
        }
        Ok(after)
    }

    fn delete(tx: &mut Tx<'_>, _: &Scope, before: &Self::View) -> Result<()> {
        steps::take_batches(tx, [before.batch_id])?;
        let one = t::table.filter(t::id.eq(before.id)).filter(t::version.eq(before.version)).filter(t::state.eq(DisbursementState::Draft));
        if diesel::delete(one).execute(tx.conn)? == 0 {
            return Err(stale(before.version + 1));
        }
        Ok(())
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(match measure {
            Measure::People => measured!(sum conn, query(scope, filter), t, people, people_precision),
            Measure::Fen => measured!(exact conn, query(scope, filter), t, amount_fen),
            _ => measured!(conn, query(scope, filter), t, measure),
        })
    }

    fn steps() -> Vec<Step<Self>> {
        steps::all()
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        states::offered(view.state, view.form)
    }

    /// Preparing, approving and paying take three hands.
    fn objections(conn: &mut AnyConnection, actor: &Actor, asked: &[(&Self::View, Action)]) -> Result<Vec<Option<Error>>> {
        let wrote = rules::wrote::<Self>(conn, actor, asked, &steps::OF_ANOTHER)?;
        let objection = |view: &Disbursement, action| {
            let prepared = steps::OF_ANOTHER.contains(&action) && wrote.contains(&view.id);
            let hand = states::earlier_hand(action, actor.id, view.hands()).or(prepared.then_some(states::Hand::Prepared))?;
            Some(states::needs_another_person(action, hand, std::slice::from_ref(&view.code)))
        };
        Ok(asked.iter().map(|(view, action)| objection(view, *action)).collect())
    }
}

/// The batches that drafts name and their writer may write to: others are refused later, and not touched before.
fn batches_in_scope(conn: &mut AnyConnection, scope: &Scope, drafts: &[DisbursementDraft]) -> Result<Vec<Option<Id>>> {
    let named: Vec<Id> = drafts.iter().filter_map(|draft| draft.batch_id).collect::<HashSet<_>>().into_iter().collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    Ok(welfare_batches::WelfareBatches::known_ids(conn, scope, &named)?.into_iter().map(Some).collect())
}
