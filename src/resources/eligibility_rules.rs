//! Eligibility rules (享受条件): what a programme demands of whoever is given something out of it, from a day on.
//!
//! Each asks one fact of [`crate::eligibility`], and all that are in force on the day have to be met. They are the programme's:
//! who may change it changes them, and the organizations below see and meet them.
//!
//! A rule changes only forward. Once it has begun and the programme has disbursements, what it demanded stays as it was on every
//! day before today: it is ended, and another takes its place.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use diesel::dsl::count_star;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::rules;
use crate::db::{Any, AnyConnection, Tx, insert_all};
use crate::eligibility::{Bounds, Demand, EligibilityFact};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::{disbursements, eligibility_rules as t, welfare_programmes};
use crate::types::{Id, Instant, TextEnum, business_today, code_or_new};
use crate::web::verbs::difference;
use crate::web::{Measure, Measured, Reference, Resource, measured, reads, remove, save, viewed};

/// How many rules a programme has at most, the ended ones among them: all of them are read to judge by.
const MOST_RULES: i64 = 100;

/// A rule's own row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    programme_id: Id,
    fact: EligibilityFact,
    min: Option<i32>,
    max: Option<i32>,
    one_of: Option<String>,
    effective_from: NaiveDate,
    effective_to: Option<NaiveDate>,
    note: Option<String>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// An eligibility rule.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EligibilityRule {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association whose programme it is.
    pub organization_id: Id,
    pub programme_id: Id,
    pub fact: EligibilityFact,
    /// In whole years, itself included; null is open.
    pub min: Option<i32>,
    /// In whole years, itself included; null is open.
    pub max: Option<i32>,
    /// Codes of the dictionary of the fact, of which one has to be found.
    #[schema(example = json!(["hero"]))]
    pub one_of: Option<Vec<String>>,
    /// The first day on which it holds.
    pub effective_from: NaiveDate,
    /// The last day on which it holds; null is open.
    pub effective_to: Option<NaiveDate>,
    /// Where the rule comes from.
    pub note: Option<String>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(EligibilityRule);

impl EligibilityRule {
    pub fn in_force(&self, day: NaiveDate) -> bool {
        self.effective_from <= day && self.effective_to.is_none_or(|last| day <= last)
    }

    pub fn demand(&self) -> Demand<'_> {
        Demand { fact: self.fact, min: self.min, max: self.max, one_of: self.one_of.as_deref().unwrap_or_default() }
    }
}

/// What may be written of an eligibility rule.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"programme_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "fact": "age", "min": 6, "max": 22, "effective_from": "2022-01-01", "note": "郑州市见义勇为人员子女助学办法第五条"}))]
pub struct EligibilityRuleDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// A programme of the caller's own: its organization is the rule's.
    pub programme_id: Id,
    /// `age` and `years_since_confirmation` take `min`, `max` or both; `beneficiary`, `relation`, `outcome`, `title` and
    /// `honour_level` take `one_of`; the others take nothing.
    pub fact: EligibilityFact,
    /// In whole years, itself included.
    #[schema(minimum = 0, maximum = 150, example = 6)]
    pub min: Option<i32>,
    /// In whole years, itself included.
    #[schema(minimum = 0, maximum = 150, example = 22)]
    pub max: Option<i32>,
    /// Codes of which one has to be found: `hero` or `dependant` (of `beneficiary`), or those of the dictionaries Relation,
    /// DeedOutcome, HonourLevel (of `title`) and AwardLevel (of `honour_level`).
    #[schema(max_items = 20)]
    pub one_of: Option<Vec<String>>,
    /// The first day on which it holds.
    pub effective_from: NaiveDate,
    /// The last day on which it holds; null is open.
    pub effective_to: Option<NaiveDate>,
    /// Where the rule comes from.
    #[schema(min_length = 1, max_length = 500, example = "郑州市见义勇为人员子女助学办法第五条")]
    pub note: Option<String>,
}

fn whole(draft: &EligibilityRuleDraft) -> Result<(), ValidationError> {
    rules::in_order(Some(draft.effective_from), draft.effective_to, "effective_to")
}

/// Which eligibility rules.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct EligibilityRuleFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub programme_id: Option<Id>,
    #[param(inline)]
    pub fact: Option<EligibilityFact>,
    /// Those that hold on this day.
    pub in_force_on: Option<NaiveDate>,
}

pub struct EligibilityRules;

/// All rules of a programme, whoever's it is: for judging by them.
pub fn of_programme(conn: &mut AnyConnection, programme_id: Id) -> Result<Vec<EligibilityRule>> {
    let rows: Vec<Row> = t::table.filter(t::programme_id.eq(programme_id)).order(t::code).select(Row::as_select()).load(conn)?;
    shown(conn, rows)
}

/// The rules of a programme go with it to another organization.
pub fn follow(tx: &mut Tx<'_>, programme_id: Id, organization_id: Id) -> Result<()> {
    for before in of_programme(tx.conn, programme_id)? {
        let after = EligibilityRule { organization_id, version: before.version + 1, updated_at: tx.now, ..before.clone() };
        diesel::update(t::table.filter(t::id.eq(after.id)))
            .set((t::organization_id.eq(organization_id), t::version.eq(after.version), t::updated_at.eq(tx.now)))
            .execute(tx.conn)?;
        let changes = difference(&before, &after)?;
        tx.audit(Action::Update.code(), EligibilityRules::NAME, Some(after.id), Some(organization_id), Some(&changes));
    }
    Ok(())
}

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &EligibilityRuleFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.programme_id {
        query = query.filter(t::programme_id.eq(id));
    }
    if let Some(fact) = filter.fact {
        query = query.filter(t::fact.eq(fact));
    }
    if let Some(day) = filter.in_force_on {
        query = query.filter(t::effective_from.le(day)).filter(t::effective_to.is_null().or(t::effective_to.ge(day)));
    }
    query
}

/// Rows as they are shown.
fn shown(_: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<EligibilityRule>> {
    Ok(rows.into_iter().map(view).collect())
}

fn view(row: Row) -> EligibilityRule {
    EligibilityRule {
        id: row.id,
        code: row.code,
        organization_id: row.organization_id,
        programme_id: row.programme_id,
        fact: row.fact,
        min: row.min,
        max: row.max,
        one_of: row.one_of.map(|codes| codes.split(',').map(str::to_owned).collect()),
        effective_from: row.effective_from,
        effective_to: row.effective_to,
        note: row.note,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// Codes in the order of their dictionary, each once; what isn't in it is left to be refused.
fn in_order(fact: EligibilityFact, codes: Vec<String>) -> Vec<String> {
    match fact.bounds() {
        Bounds::OneOf(entries) if codes.iter().all(|code| entries.iter().any(|(known, ..)| known == code)) => {
            entries.iter().filter_map(|(known, ..)| codes.iter().find(|code| code == known)).cloned().collect()
        }
        _ => codes,
    }
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, organization_id: Id, draft: EligibilityRuleDraft) -> Row {
    Row {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id,
        programme_id: draft.programme_id,
        fact: draft.fact,
        min: draft.min,
        max: draft.max,
        one_of: draft.one_of.map(|codes| in_order(draft.fact, codes).join(",")),
        effective_from: draft.effective_from,
        effective_to: draft.effective_to,
        note: draft.note,
        version,
        created_at,
        updated_at: now,
    }
}

/// The faults of bounds that a fact doesn't take, or of those that it lacks.
fn bounds(draft: &EligibilityRuleDraft, at: impl Fn(&str) -> String, faults: &mut Vec<Fault>) {
    let (zh, en) = draft.fact.label();
    let (takes_zh, takes_en) = match draft.fact.bounds() {
        Bounds::Nothing => ("不填取值".to_owned(), "takes no bounds".to_owned()),
        Bounds::Years => ("填 min、max（周岁或年数）或其中之一".to_owned(), "takes min, max or both, in whole years".to_owned()),
        Bounds::OneOf(entries) => {
            let codes: Vec<&str> = entries.iter().map(|(code, ..)| *code).collect();
            let named: Vec<String> = entries.iter().map(|(code, zh, _)| format!("{code}（{zh}）")).collect();
            (format!("填 one_of，可填：{}", named.join("、")), format!("takes one_of: {}", codes.join(", ")))
        }
    };
    let says = || Says::new(format!("条件“{zh}”{takes_zh}"), format!("the fact '{en}' {takes_en}"));
    let (years, list) = match draft.fact.bounds() {
        Bounds::Nothing => (false, false),
        Bounds::Years => (true, false),
        Bounds::OneOf(_) => (false, true),
    };
    let chosen = draft.one_of.as_deref();
    for (field, told, taken) in
        [("min", draft.min.is_some(), years), ("max", draft.max.is_some(), years), ("one_of", chosen.is_some(), list)]
    {
        if told && !taken {
            faults.push(Fault::new(at(field), "not_taken", says()));
        }
    }
    if years && draft.min.is_none() && draft.max.is_none() {
        faults.push(Fault::new(at("min"), "required", says()));
    }
    if let (Some(min), Some(max)) = (draft.min, draft.max)
        && years
        && max < min
    {
        let says = Says::new(format!("上限不能小于下限 {min}"), format!("max must not be less than min, which is {min}"));
        faults.push(Fault::new(at("max"), "max_below_min", says));
    }
    if let Bounds::OneOf(entries) = draft.fact.bounds() {
        if chosen.is_none_or(<[String]>::is_empty) {
            faults.push(Fault::new(at("one_of"), "required", says()));
        }
        for (i, code) in chosen.unwrap_or_default().iter().enumerate() {
            if !entries.iter().any(|(known, ..)| known == code) {
                faults.push(Fault::new(format!("{}/{i}", at("one_of")), "unknown_entry", says()));
            }
        }
    }
}

/// The organization of each draft's programme; faults with pointers that `at` makes from a draft's index and a field.
fn settle(tx: &mut Tx<'_>, scope: &Scope, drafts: &[EligibilityRuleDraft], at: impl Fn(usize, &str) -> String) -> Result<HashMap<Id, Id>> {
    let mut faults: Vec<Fault> = Vec::new();
    let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, "programme_id"), Some(draft.programme_id)));
    rules::all_in_scope(tx.conn, scope, "welfare_programmes", wanted.collect::<Vec<_>>(), &mut faults)?;
    for (i, draft) in drafts.iter().enumerate() {
        bounds(draft, |field| at(i, field), &mut faults);
    }
    let ids: HashSet<Id> = drafts.iter().map(|draft| draft.programme_id).collect();
    let owners = welfare_programmes::table.filter(welfare_programmes::id.eq_any(ids));
    let owners: Vec<(Id, Id)> = owners.select((welfare_programmes::id, welfare_programmes::organization_id)).load(tx.conn)?;
    let owners: HashMap<Id, Id> = owners.into_iter().collect();
    // A programme of those above may be named, and not be ruled over.
    let above = scope.lacks(tx.conn, owners.values().copied().collect())?;
    let unknown: HashSet<String> = faults.iter().map(|fault| fault.pointer.clone()).collect();
    for (i, draft) in drafts.iter().enumerate() {
        let pointer = at(i, "programme_id");
        if owners.get(&draft.programme_id).is_some_and(|owner| above.contains(owner)) && !unknown.contains(&pointer) {
            let says = Says::new(
                "项目属于上级单位，享受条件由该单位制定；如需另定条件，请另建本单位的项目",
                "the programme is of an organization above, which makes its rules; make a programme of your own for rules of your own",
            );
            faults.push(Fault::new(pointer, "belongs_above", says));
        }
    }
    Error::unless_empty(faults)?;
    Ok(owners)
}

fn owner(owners: &HashMap<Id, Id>, draft: &EligibilityRuleDraft) -> Result<Id> {
    owners.get(&draft.programme_id).copied().ok_or_else(|| Error::internal("a rule without a programme was let through"))
}

/// That no programme has more rules than can be judged by.
fn few_enough(tx: &mut Tx<'_>, drafts: &[EligibilityRuleDraft]) -> Result<()> {
    let ids: HashSet<Id> = drafts.iter().map(|draft| draft.programme_id).collect();
    let there = t::table.filter(t::programme_id.eq_any(ids)).group_by(t::programme_id).select((t::programme_id, count_star()));
    let mut counts: HashMap<Id, i64> = there.load::<(Id, i64)>(tx.conn)?.into_iter().collect();
    let mut faults = Vec::new();
    for (i, draft) in drafts.iter().enumerate() {
        let count = counts.entry(draft.programme_id).or_default();
        *count += 1;
        if *count > MOST_RULES {
            let says = Says::new(format!("一个项目最多 {MOST_RULES} 条享受条件"), format!("a programme has {MOST_RULES} rules at most"));
            faults.push(Fault::new(format!("/{i}/programme_id"), "too_many", says));
        }
    }
    Error::unless_empty(faults)
}

/// How many disbursements a rule may have decided over: none, before its first day is past.
fn used(tx: &mut Tx<'_>, rule: &EligibilityRule) -> Result<i64> {
    if rule.effective_from >= business_today(tx.now) {
        return Ok(0);
    }
    Ok(disbursements::table.filter(disbursements::programme_id.eq(rule.programme_id)).count().get_result(tx.conn)?)
}

/// What a used rule demanded until yesterday stays.
fn only_forward(tx: &mut Tx<'_>, before: &EligibilityRule, after: &EligibilityRule) -> Result<()> {
    let yesterday = business_today(tx.now).pred_opt().unwrap_or(NaiveDate::MIN);
    let until = |rule: &EligibilityRule| rule.effective_to.map_or(yesterday, |last| last.min(yesterday));
    let changed: Vec<&str> = [
        ("/programme_id", before.programme_id != after.programme_id),
        ("/fact", before.fact != after.fact),
        ("/min", before.min != after.min),
        ("/max", before.max != after.max),
        ("/one_of", before.one_of != after.one_of),
        ("/effective_from", before.effective_from != after.effective_from),
        ("/effective_to", until(before) != until(after)),
    ]
    .into_iter()
    .filter_map(|(field, changed)| changed.then_some(field))
    .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let used = used(tx, before)?;
    if used == 0 {
        return Ok(());
    }
    let fault = |field: &str| {
        let says = if field == "/effective_to" {
            Says::new(
                format!("此条件已生效且项目已有 {used} 笔发放，今天以前的效力不能再改：最早可于 {yesterday} 结束，已结束的不能重新延长"),
                format!(
                    "the rule has begun and the programme has {used} disbursements, so what held before today stays: it ends on {yesterday} at the earliest, and what has ended is not prolonged"
                ),
            )
        } else {
            Says::new(
                format!(
                    "此条件自 {} 起生效且项目已有 {used} 笔发放，不能再改；请填写 effective_to 结束此条件，另建新条件",
                    before.effective_from
                ),
                format!(
                    "the rule is in force since {} and the programme has {used} disbursements, so this stays; end it by effective_to and make another rule",
                    before.effective_from
                ),
            )
        };
        Fault::new(field, "rule_in_use", says)
    };
    Err(Error::invalid(changed.into_iter().map(fault).collect()))
}

impl Resource for EligibilityRules {
    const NAME: &'static str = "eligibility_rules";
    const LABEL: (&'static str, &'static str) = ("享受条件", "eligibility rule");
    const AREA: Area = Area::Welfare;
    const REFERENCES: &'static [Reference] = &[Reference { field: "programme_id", column: "programme_code", of: "welfare_programmes" }];
    const SHARED_BELOW: bool = true;

    type View = EligibilityRule;
    type Draft = EligibilityRuleDraft;
    type Filter = EligibilityRuleFilter;

    reads!(t, Row => shown);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let owners = settle(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        few_enough(tx, &drafts)?;
        let now = tx.now;
        let rows: Vec<Row> =
            drafts.into_iter().map(|draft| Ok(row(Id::new(), 1, now, now, owner(&owners, &draft)?, draft))).collect::<Result<_>>()?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        shown(tx.conn, rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let rule = view.clone();
        Ok(EligibilityRuleDraft {
            code: Some(rule.code),
            programme_id: rule.programme_id,
            fact: rule.fact,
            min: rule.min,
            max: rule.max,
            one_of: rule.one_of,
            effective_from: rule.effective_from,
            effective_to: rule.effective_to,
            note: rule.note,
        })
    }

    fn settled(draft: Self::Draft) -> Self::Draft {
        Self::Draft { one_of: draft.one_of.map(|codes| in_order(draft.fact, codes)), ..draft }
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        let owners = settle(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, owner(&owners, &draft)?, draft);
        save!(tx, t, before, &after)?;
        let after = view(after);
        only_forward(tx, before, &after)?;
        Ok(after)
    }

    fn delete(tx: &mut Tx<'_>, _: &Scope, before: &Self::View) -> Result<()> {
        let used = used(tx, before)?;
        if used > 0 {
            return Err(Error::because(
                Code::Conflict,
                format!("此条件自 {} 起生效且项目已有 {used} 笔发放，不能删除；请填写 effective_to 结束它", before.effective_from),
                format!(
                    "the rule is in force since {} and the programme has {used} disbursements; end it by effective_to",
                    before.effective_from
                ),
            ));
        }
        remove!(tx, t, before)
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}
