//! Welfare programmes (保障项目): what is given, in which form. Batches and disbursements carry them out.
//!
//! The form decides how a disbursement goes: cash is paid, a benefit in kind is delivered. So it stays once anything was
//! given.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::{budgets, eligibility_rules, rules};
use crate::db::{Any, AnyConnection, Part, Subset, Tx, grams, insert_all};
use crate::error::{Error, Fault, Result};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::{disbursements, welfare_programmes as t};
use crate::types::{Id, Instant, TextEnum, code_or_new, text_enum};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// What a programme gives.
    ProgrammeKind {
        Condolence = "condolence", "慰问", "condolence";
        Hardship = "hardship", "困难救助", "hardship aid";
        StudentAid = "student_aid", "助学", "student aid";
        Insurance = "insurance", "保险", "insurance";
        Recuperation = "recuperation", "休假疗养", "recuperation";
        SummerCamp = "summer_camp", "夏令营", "summer camp";
        AdmissionBonus = "admission_bonus", "升学加分", "bonus points on admission";
        SchoolPlacement = "school_placement", "协调入学", "school placement";
    }
}

text_enum! {
    /// Whether money or something else is given.
    BenefitForm {
        Cash = "cash", "现金", "cash";
        InKind = "in_kind", "实物或服务", "goods or services";
    }
}

/// A welfare programme.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct WelfareProgramme {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association whose programme it is.
    pub organization_id: Id,
    pub name: String,
    pub kind: ProgrammeKind,
    /// Cash is paid, a benefit in kind is delivered.
    pub form: BenefitForm,
    pub starts_on: Option<NaiveDate>,
    pub ends_on: Option<NaiveDate>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(WelfareProgramme {
    fn searched(&self) -> Option<String> {
        Some(self.name.clone())
    }
});

/// What may be written of a welfare programme.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
pub struct WelfareProgrammeDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association whose programme it is.
    pub organization_id: Id,
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    pub kind: ProgrammeKind,
    /// Cash is paid, a benefit in kind is delivered. Stays once there is a disbursement.
    pub form: BenefitForm,
    pub starts_on: Option<NaiveDate>,
    pub ends_on: Option<NaiveDate>,
}

fn whole(draft: &WelfareProgrammeDraft) -> Result<(), ValidationError> {
    rules::in_order(draft.starts_on, draft.ends_on, "ends_on")
}

/// Which welfare programmes.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct WelfareProgrammeFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub kind: Option<Vec<ProgrammeKind>>,
    #[param(inline)]
    pub form: Option<BenefitForm>,
}

pub struct WelfareProgrammes;

/// What those need to know of a programme who give out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgrammeBrief {
    pub kind: ProgrammeKind,
    pub form: BenefitForm,
}

/// Programmes in brief, whoever's they are: for what refers to them already.
pub fn briefs(conn: &mut AnyConnection, ids: impl IntoIterator<Item = Id>) -> Result<HashMap<Id, ProgrammeBrief>> {
    let ids: HashSet<Id> = ids.into_iter().collect();
    let found: Vec<(Id, ProgrammeKind, BenefitForm)> = t::table.filter(t::id.eq_any(ids)).select((t::id, t::kind, t::form)).load(conn)?;
    Ok(found.into_iter().map(|(id, kind, form)| (id, ProgrammeBrief { kind, form })).collect())
}

/// The programmes of these kinds: a filter of what refers to programmes.
pub fn of_kinds(kinds: &[ProgrammeKind]) -> Subset {
    let mut parts = vec![Part::Sql("SELECT id FROM welfare_programmes WHERE kind IN (")];
    for (i, kind) in kinds.iter().enumerate() {
        parts.extend([Part::Sql(if i == 0 { "" } else { ", " }), Part::Text(kind.code().to_owned())]);
    }
    // Of no kinds there are none; the empty text is the kind of no programme.
    parts.extend(kinds.is_empty().then(|| Part::Text(String::new())));
    parts.push(Part::Sql(")"));
    Subset(parts)
}

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &WelfareProgrammeFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(WelfareProgrammes::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(kind) = &filter.kind {
        query = query.filter(t::kind.eq_any(kind.clone()));
    }
    if let Some(form) = filter.form {
        query = query.filter(t::form.eq(form));
    }

    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: WelfareProgrammeDraft) -> WelfareProgramme {
    WelfareProgramme {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        name: draft.name,
        kind: draft.kind,
        form: draft.form,
        starts_on: draft.starts_on,
        ends_on: draft.ends_on,
        version,
        created_at,
        updated_at: now,
    }
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[WelfareProgrammeDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&WelfareProgrammeDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;

    Error::unless_empty(faults)
}

impl Resource for WelfareProgrammes {
    const NAME: &'static str = "welfare_programmes";
    const LABEL: (&'static str, &'static str) = ("保障项目", "welfare programme");
    const AREA: Area = Area::Welfare;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];
    const SHARED_BELOW: bool = true;

    type View = WelfareProgramme;
    type Draft = WelfareProgrammeDraft;
    type Filter = WelfareProgrammeFilter;

    reads!(t, WelfareProgramme);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<WelfareProgramme> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let programme = view.clone();
        Ok(WelfareProgrammeDraft {
            code: Some(programme.code),
            organization_id: programme.organization_id,
            name: programme.name,
            kind: programme.kind,
            form: programme.form,
            starts_on: programme.starts_on,
            ends_on: programme.ends_on,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        if draft.form != before.form {
            let given: i64 = disbursements::table.filter(disbursements::programme_id.eq(before.id)).count().get_result(tx.conn)?;
            if given > 0 {
                return Err(Error::field(
                    "/form",
                    "form_in_use",
                    format!("已有 {given} 笔发放按“{}”登记，发放形式不能再改；请另建项目", before.form.label().0),
                    format!("{given} disbursements stand as '{}', so the form can't change; make another programme", before.form.label().1),
                ));
            }
        }
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft);
        save!(tx, t, before, &after)?;
        if before.kind != after.kind {
            budgets::refuse_kind(tx, after.id, after.kind)?;
        }
        if before.organization_id != after.organization_id {
            eligibility_rules::follow(tx, after.id, after.organization_id)?;
        }
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}
