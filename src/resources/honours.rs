//! Honours (称号、奖励): what a hero was given for the deed, by whom and under which document.
//!
//! A hero may have several, also of several levels. What the money of an award did to a fund is told by its disbursement.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::rules;
use crate::db::{Any, AnyConnection, Part, Subset, Tx, insert_all};
use crate::error::{Error, Fault, Result};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::honours as t;
use crate::types::{Id, Instant, code_or_new, text_enum};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// The kinds of award of the Henan regulation, article 19.
    HonourKind {
        Title = "title", "荣誉称号", "title of honour";
        Citation = "citation", "通报嘉奖", "citation";
        Bonus = "bonus", "奖金", "money";
        Other = "other", "其他奖励", "other";
    }
}

text_enum! {
    /// How high the one stands who awards it.
    AwardLevel {
        National = "national", "国家级", "national";
        Provincial = "provincial", "省级", "provincial";
        City = "city", "市级", "city";
        County = "county", "县级", "county";
    }
}

/// An honour.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Honour {
    pub id: Id,
    pub code: String,
    pub organization_id: Id,
    pub hero_id: Id,
    pub kind: HonourKind,
    #[schema(example = "郑州市见义勇为模范")]
    pub title: String,
    pub level: AwardLevel,
    pub awarded_by: Option<String>,
    #[schema(example = "郑义〔2022〕8号")]
    pub document_number: Option<String>,
    pub awarded_on: Option<NaiveDate>,
    /// The money that came with it, in fen (1/100 yuan).
    pub amount_fen: Option<i64>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Honour);

/// What may be written of an honour.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct HonourDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    pub hero_id: Id,
    pub kind: HonourKind,
    #[schema(min_length = 1, max_length = 100, example = "郑州市见义勇为模范")]
    pub title: String,
    pub level: AwardLevel,
    #[schema(min_length = 1, max_length = 100, example = "郑州市人民政府")]
    pub awarded_by: Option<String>,
    /// Issuer, year in 〔〕 and number.
    #[schema(min_length = 1, max_length = 50, example = "郑义〔2022〕8号")]
    #[validate(custom(function = "rules::document_number"))]
    pub document_number: Option<String>,
    /// Not later than today.
    pub awarded_on: Option<NaiveDate>,
    /// The money that came with it, in fen (1/100 yuan).
    #[schema(minimum = 1, maximum = 10_000_000_000_000_i64, example = 10_000_000)]
    pub amount_fen: Option<i64>,
}

/// Which honours.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct HonourFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub hero_id: Option<Id>,
    #[param(inline)]
    pub kind: Option<HonourKind>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub level: Option<Vec<AwardLevel>>,
    /// Awarded on this day or later.
    pub awarded_from: Option<NaiveDate>,
    /// Awarded on this day or earlier.
    pub awarded_to: Option<NaiveDate>,
}

pub struct Honours;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &HonourFilter) -> t::BoxedQuery<'static, Any> {
    let mut query = match scope.own() {
        // Those of the hero that one is, and of the hero whose dependant one is.
        Some(own) => {
            let of_hero = Subset(vec![
                Part::Sql("SELECT id FROM heroes WHERE person_id = "),
                Part::Id(own),
                Part::Sql(" UNION ALL SELECT hero_id FROM dependants WHERE person_id = "),
                Part::Id(own),
            ]);
            let mine = of_hero.holds(t::hero_id);
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
    if let Some(id) = filter.hero_id {
        query = query.filter(t::hero_id.eq(id));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(t::kind.eq(kind));
    }
    if let Some(levels) = &filter.level {
        query = query.filter(t::level.eq_any(levels.clone()));
    }
    if let Some(day) = filter.awarded_from {
        query = query.filter(t::awarded_on.ge(day));
    }
    if let Some(day) = filter.awarded_to {
        query = query.filter(t::awarded_on.le(day));
    }
    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: HonourDraft) -> Honour {
    Honour {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        hero_id: draft.hero_id,
        kind: draft.kind,
        title: draft.title,
        level: draft.level,
        awarded_by: draft.awarded_by,
        document_number: draft.document_number,
        awarded_on: draft.awarded_on,
        amount_fen: draft.amount_fen,
        version,
        created_at,
        updated_at: now,
    }
}

fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[HonourDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&HonourDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    check("heroes", "hero_id", |draft| Some(draft.hero_id))?;
    faults.extend(drafts.iter().enumerate().filter_map(|(i, draft)| rules::not_ahead(draft.awarded_on, tx.now, at(i, "awarded_on"))));
    Error::unless_empty(faults)
}

impl Resource for Honours {
    const NAME: &'static str = "honours";
    const LABEL: (&'static str, &'static str) = ("称号奖励", "honour");
    const AREA: Area = Area::Heroes;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION, Reference { field: "hero_id", column: "hero_code", of: "heroes" }];

    type View = Honour;
    type Draft = HonourDraft;
    type Filter = HonourFilter;

    reads!(t, Honour);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Honour> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let record = view.clone();
        Ok(HonourDraft {
            code: Some(record.code),
            organization_id: record.organization_id,
            hero_id: record.hero_id,
            kind: record.kind,
            title: record.title,
            level: record.level,
            awarded_by: record.awarded_by,
            document_number: record.document_number,
            awarded_on: record.awarded_on,
            amount_fen: record.amount_fen,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft);
        save!(tx, t, before, &after)?;
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(match measure {
            Measure::Fen => measured!(exact conn, query(scope, filter), t, amount_fen),
            _ => measured!(conn, query(scope, filter), t, measure),
        })
    }
}
