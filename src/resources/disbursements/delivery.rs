//! What is told of a benefit in kind when it is delivered: the policy of an insurance, who came to a recuperation or a camp.
//!
//! The roster is the batch's disbursements. Who didn't come is named when it is delivered, and cancelled with that reason;
//! the others are delivered. So the totals and the figures count who came.

use std::collections::HashSet;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::Disbursement;
use crate::db::{Tx, insert_all};
use crate::error::{Error, Fault, Result, Says};
use crate::resources::rules;
use crate::resources::welfare_programmes::{self, ProgrammeKind};
use crate::schema::insurance_policies as i;
use crate::types::{Id, TextEnum};

/// Why the disbursement of somebody absent is cancelled.
pub const DID_NOT_COME: &str = "未参加";

/// The kinds that are held on days, to which people come.
const EVENTS: [ProgrammeKind; 2] = [ProgrammeKind::Recuperation, ProgrammeKind::SummerCamp];

/// A policy of insurance: all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Serialize, Deserialize, ToSchema, Validate)]
#[diesel(table_name = i)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "in_order", skip_on_field_errors = false))]
pub struct InsurancePolicy {
    /// Who insures.
    #[schema(min_length = 1, max_length = 100, example = "中国人民财产保险股份有限公司郑州分公司")]
    pub insurer: String,
    #[schema(min_length = 1, max_length = 64, example = "PEAC20224101000012")]
    #[validate(custom(function = "rules::code"))]
    pub policy_number: String,
    /// The first day of the term.
    pub insured_from: NaiveDate,
    /// The last day of the term.
    pub insured_to: NaiveDate,
}

fn in_order(policy: &InsurancePolicy) -> Result<(), ValidationError> {
    rules::in_order(Some(policy.insured_from), Some(policy.insured_to), "insured_to")
}

#[derive(Insertable)]
#[diesel(table_name = i, treat_none_as_default_value = false)]
struct Insured {
    disbursement_id: Id,
    insurer: String,
    policy_number: String,
    insured_from: NaiveDate,
    insured_to: NaiveDate,
}

/// Keeps the policies of disbursements that have none.
pub fn insure(tx: &mut Tx<'_>, policies: impl IntoIterator<Item = (Id, InsurancePolicy)>) -> Result<()> {
    let row = |(disbursement_id, policy): (Id, InsurancePolicy)| Insured {
        disbursement_id,
        insurer: policy.insurer,
        policy_number: policy.policy_number,
        insured_from: policy.insured_from,
        insured_to: policy.insured_to,
    };
    let rows: Vec<Insured> = policies.into_iter().map(row).collect();
    insert_all!(&mut *tx.conn, i::table, rows)?;
    Ok(())
}

/// When a benefit in kind was handed over, and what is told of it then.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct DeliveredBody {
    /// Not later than today; null where the day is not known.
    delivered_on: Option<NaiveDate>,
    /// The policy, where the draft didn't tell it: required of an insurance for a named person.
    #[validate(nested)]
    insurance: Option<InsurancePolicy>,
    /// On how many days they came, of a recuperation or a camp.
    #[schema(minimum = 1, maximum = 366)]
    attended_days: Option<i32>,
}

/// When a batch in kind was handed over, and what is told of it then.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct BatchDeliveredBody {
    /// Not later than today; null where the day is not known.
    delivered_on: Option<NaiveDate>,
    /// The policy of all whose draft didn't tell one: required of an insurance where one of them is a named person.
    #[validate(nested)]
    insurance: Option<InsurancePolicy>,
    /// On how many days all came who came, of a recuperation or a camp; deliver alone before who came on fewer.
    #[schema(minimum = 1, maximum = 366)]
    attended_days: Option<i32>,
    /// The disbursements of those who didn't come to a recuperation or a camp: they are cancelled, with the reason 未参加.
    #[schema(max_items = 1000)]
    absent_ids: Option<Vec<Id>>,
}

/// What a delivery tells beside its day.
#[derive(Debug, Clone, Default)]
pub struct Told {
    pub insurance: Option<InsurancePolicy>,
    pub attended_days: Option<i32>,
    pub absent_ids: Vec<Id>,
}

impl DeliveredBody {
    pub fn told(self) -> (Option<NaiveDate>, Told) {
        (self.delivered_on, Told { insurance: self.insurance, attended_days: self.attended_days, absent_ids: Vec::new() })
    }
}

impl BatchDeliveredBody {
    pub fn told(self) -> (Option<NaiveDate>, Told) {
        let absent_ids = self.absent_ids.unwrap_or_default();
        (self.delivered_on, Told { insurance: self.insurance, attended_days: self.attended_days, absent_ids })
    }
}

/// A policy of what isn't insured.
pub fn not_an_insurance(pointer: impl Into<String>, kind: ProgrammeKind) -> Fault {
    let (zh, en) = kind.label();
    let says = Says::new(
        format!("只有“保险”类项目填写保单，此项目为“{zh}”"),
        format!("a policy is told of programmes of the kind 'insurance', and this one is '{en}'"),
    );
    Fault::new(pointer, "not_an_insurance", says)
}

/// Judges what is told of disbursements of one programme, all of which are to be delivered but those absent.
pub fn check(tx: &mut Tx<'_>, given: &[Disbursement], told: &Told) -> Result<()> {
    let Some(first) = given.first() else { return Ok(()) };
    let programmes = welfare_programmes::briefs(tx.conn, [first.programme_id])?;
    let programme = programmes.get(&first.programme_id).ok_or_else(|| Error::internal("a disbursement without a programme"))?;
    Error::unless_empty(faults(programme.kind, given, told))
}

fn faults(kind: ProgrammeKind, given: &[Disbursement], told: &Told) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (zh, en) = kind.label();
    let uninsured: Vec<&Disbursement> = given.iter().filter(|one| one.insurance.is_none()).collect();
    match &told.insurance {
        Some(_) if kind != ProgrammeKind::Insurance => faults.push(not_an_insurance("/insurance", kind)),
        Some(_) if uninsured.is_empty() => {
            let says = Says::new("保单已经登记，此处不再填写", "the policy is told already: leave this out");
            faults.push(Fault::new("/insurance", "not_needed", says));
        }
        None if kind == ProgrammeKind::Insurance => {
            // A group that is known only as a whole has no policy of its own.
            let named = uninsured.iter().filter(|one| one.hero_id.or(one.dependant_id).is_some());
            let codes: Vec<&str> = named.map(|one| one.code.as_str()).collect();
            if !codes.is_empty() {
                let (n, first) = (codes.len(), codes.iter().take(5).copied().collect::<Vec<_>>());
                let says = Says::new(
                    format!("{n} 笔发放还没有保单（{}）：请填写承保单位、保单号和保险起止日期", first.join("、")),
                    format!("{n} disbursements have no policy yet ({}): tell the insurer, the number and the term", first.join(", ")),
                );
                faults.push(Fault::new("/insurance", "required", says));
            }
        }
        _ => {}
    }
    let not_an_event = |field: &str| {
        let says = Says::new(
            format!("只有“休假疗养”“夏令营”登记参加情况，此项目为“{zh}”"),
            format!("who came is told of recuperations and camps, and this programme is '{en}'"),
        );
        Fault::new(field, "not_an_event", says)
    };
    let is_event = EVENTS.contains(&kind);
    if told.attended_days.is_some() && !is_event {
        faults.push(not_an_event("/attended_days"));
    }
    if !told.absent_ids.is_empty() && !is_event {
        faults.push(not_an_event("/absent_ids"));
        return faults;
    }
    let roster: HashSet<Id> = given.iter().map(|one| one.id).collect();
    for (i, id) in told.absent_ids.iter().enumerate() {
        if !roster.contains(id) {
            let says = Says::new("不在本批次待交付的名单中", "not one of those of the batch who are to be delivered to");
            faults.push(Fault::new(format!("/absent_ids/{i}"), "not_of_the_batch", says));
        }
    }
    if !told.absent_ids.is_empty() && roster.iter().all(|id| told.absent_ids.contains(id)) {
        let says = Says::new(
            "名单中的人均未参加，没有可交付的；请逐笔取消",
            "nobody of the roster came, so there is nothing to deliver: cancel the disbursements",
        );
        faults.push(Fault::new("/absent_ids", "nobody_came", says));
    }
    faults
}
