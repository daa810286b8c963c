//! Whether somebody may be given something, explained: which rule, which fact.

use std::collections::HashSet;

use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::facts::{Beneficiary, People};
use super::judge::{EligibilityFact, all_met, judge};
use crate::auth::Caller;
use crate::db::Db;
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Area};
use crate::resources::welfare_programmes::WelfareProgrammes;
use crate::resources::{eligibility_rules, rules};
use crate::types::{Id, Instant, business_today};
use crate::web::Resource;
use crate::web::contract::filter_shape;
use crate::web::handlers::id_of;
use crate::web::query::Pairs;

/// Who is asked about, and for which day.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EligibilityQuery {
    /// The hero who would be given something: this or `dependant_id`.
    pub hero_id: Option<Id>,
    /// The member of a hero's family who would be given something.
    pub dependant_id: Option<Id>,
    /// Today when absent.
    #[param(example = "2026-07-01")]
    pub on: Option<NaiveDate>,
}

/// What a rule comes to. No birth date is told: an age is.
#[derive(Serialize, ToSchema)]
pub struct JudgedRule {
    rule_id: Id,
    code: String,
    fact: EligibilityFact,
    #[schema(example = "年龄 6 至 22 周岁")]
    wanted_zh: String,
    #[schema(example = "age: 6 to 22")]
    wanted_en: String,
    /// Where the fact is unknown, which record would tell it.
    #[schema(example = "23 周岁")]
    found_zh: String,
    #[schema(example = "aged 23")]
    found_en: String,
    /// Null is unknown: the fact is not recorded.
    met: Option<bool>,
}

/// Whether somebody may be given something out of a programme.
#[derive(Serialize, ToSchema)]
pub struct Eligibility {
    programme_id: Id,
    on: NaiveDate,
    /// Whether every rule in force on the day is met, which is so where there is none; null where none fails and one is unknown.
    eligible: Option<bool>,
    rules: Vec<JudgedRule>,
}

fn beneficiary(query: &EligibilityQuery) -> Result<Beneficiary> {
    match (query.hero_id, query.dependant_id) {
        (Some(id), None) => Ok(Beneficiary::Hero(id)),
        (None, Some(id)) => Ok(Beneficiary::Dependant(id)),
        (both, _) => {
            let says = Says::new("hero_id 与 dependant_id 须填且只填一个", "give hero_id or dependant_id, one of the two");
            let at = if both.is_some() { "/dependant_id" } else { "/hero_id" };
            Err(Error::with_faults(Code::InvalidParameter, vec![Fault::new(at, "one_beneficiary", says)]))
        }
    }
}

/// Judges somebody by the rules of a programme that are in force on a day. What is asked of the hero is told to whoever may see
/// the dependant, also where the hero belongs to another association.
#[utoipa::path(operation_id = "welfare_programmes_eligibility", tag = "welfare-programmes",
    summary = "某人是否符合享受条件及原因 / Whether somebody is eligible, and why",
    description = "Judges a hero or a dependant by the rules in force on a day, as `submit` does. Rules that began later or have ended are left out.",
    params(("id" = Id, Path, description = "Id of the programme."), EligibilityQuery),
    responses((status = 200, description = "Each rule, what it wants and what was found.", body = Eligibility)))]
#[get("/welfare-programmes/{id}/eligibility")]
pub async fn explained(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    let programmes = caller.actor.may(Area::Welfare, Action::Read)?.with_above();
    let people = caller.actor.may(Area::Heroes, Action::Read)?;
    let id = id_of(&request)?;
    let value = Pairs::parse(request.query_string())?.into_json(&filter_shape::<EligibilityQuery>())?;
    let query: EligibilityQuery = serde_json::from_value(value).map_err(Error::internal)?;
    let named = beneficiary(&query)?;
    let on = query.on.unwrap_or_else(|| business_today(Instant::now()));
    let vault = db.vault().clone();
    let judged = db.read(move |conn| {
        let programme = WelfareProgrammes::find(conn, &programmes, id)?;
        let mut faults = Vec::new();
        rules::all_in_scope(conn, &people, "heroes", [("/hero_id".into(), query.hero_id)], &mut faults)?;
        rules::all_in_scope(conn, &people, "dependants", [("/dependant_id".into(), query.dependant_id)], &mut faults)?;
        if !faults.is_empty() {
            return Err(Error::with_faults(Code::InvalidParameter, faults));
        }
        let rules = eligibility_rules::of_programme(conn, id)?;
        let rules: Vec<_> = rules.into_iter().filter(|rule| rule.in_force(on)).collect();
        let asked: HashSet<EligibilityFact> = rules.iter().map(|rule| rule.fact).collect();
        let facts = People::load(conn, [named])?.facts(conn, &vault, &asked, programme.kind, &[(named, on.year())])?;
        let facts = facts.first().ok_or_else(|| Error::internal("a beneficiary without facts"))?;
        let judged = rules.into_iter().map(|rule| {
            let judged = judge(rule.demand(), facts, on);
            JudgedRule {
                rule_id: rule.id,
                code: rule.code,
                fact: rule.fact,
                wanted_zh: judged.wanted.zh,
                wanted_en: judged.wanted.en,
                found_zh: judged.found.zh,
                found_en: judged.found.en,
                met: judged.met,
            }
        });
        let rules: Vec<JudgedRule> = judged.collect();
        Ok(Eligibility { programme_id: id, on, eligible: all_met(rules.iter().map(|rule| rule.met)), rules })
    });
    Ok(HttpResponse::Ok().json(judged.await?))
}
