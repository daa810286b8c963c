//! A definition over the records: the filter, the aggregate, and the address of the records behind it.

use std::borrow::Cow;
use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::catalogue::{self, Definition, FIGURES, FigureKind, Holder, Span};
use crate::db::{AnyConnection, Tree};
use crate::error::{Error, Result};
use crate::policy::{OrganizationLevel, Purpose, Scope};
use crate::resources::organizations::{COLLECTIVES, OrganizationKind};
use crate::schema::{organization_closure, organizations};
use crate::types::{Id, Month, Precision, TextEnum};
use crate::web::Measured;
use crate::web::query::{Pairs, list_of};
use crate::web::verbs::named;

/// The most holders that a figure names; it tells how many there are.
pub const HOLDERS_NAMED: usize = 50;

/// An organization, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Queryable, ToSchema)]
pub struct OrganizationBrief {
    pub id: Id,
    pub code: String,
    pub name: String,
    pub short_name: Option<String>,
}

/// Days from the first to the last, both of them in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Period {
    pub from_on: NaiveDate,
    pub to_on: NaiveDate,
}

/// A figure, as it was computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Figure {
    #[schema(example = "four_ones.volunteer_teams")]
    pub code: Cow<'static, str>,
    pub label_zh: Cow<'static, str>,
    pub label_en: Cow<'static, str>,
    /// Null where nothing is known.
    pub value: Option<i64>,
    #[schema(example = "team")]
    pub unit: Cow<'static, str>,
    /// The unit as it is written after the number.
    #[schema(example = "支")]
    pub unit_zh: Cow<'static, str>,
    pub precision: Precision,
    pub kind: FigureKind,
    /// The day, of a stock.
    pub as_at: Option<NaiveDate>,
    /// The days, of a flow or a standard.
    pub period: Option<Period>,
    pub year: i32,
    /// Of a figure of one month.
    pub month: Option<Month>,
    /// For which organization and all below it.
    pub organization: OrganizationBrief,
    /// The organizations that hold the records, in the order of their codes: the first fifty.
    pub holders: Vec<OrganizationBrief>,
    pub holders_total: usize,
    /// How many records are behind it.
    pub records: i64,
    /// The list of these records: the very filter that was computed over.
    pub records_url: String,
}

/// Whose figures are asked for, resolved once for all of them.
#[derive(Debug)]
pub struct Ground {
    /// What the caller may see, fitted to the organization.
    scope: Scope,
    pub organization: OrganizationBrief,
    kind: OrganizationKind,
    /// Of the organizations that definitions name, those that lie here, by code.
    parts: HashMap<String, OrganizationBrief>,
}

fn brief() -> (organizations::id, organizations::code, organizations::name, organizations::short_name) {
    (organizations::id, organizations::code, organizations::name, organizations::short_name)
}

impl Ground {
    /// An organization in scope; when none is named the city association, or else the highest in reach.
    pub fn of(conn: &mut AnyConnection, scope: &Scope, tree: &Tree, asked: Option<Id>) -> Result<Self> {
        let in_reach = || organizations::table.filter(scope.organizations().holds(organizations::id));
        let shown = (brief(), organizations::kind);
        let (organization, kind): (OrganizationBrief, OrganizationKind) = match asked {
            Some(id) => in_reach().filter(organizations::id.eq(id)).select(shown).first(conn)?,
            None => {
                let city = in_reach()
                    .filter(organizations::kind.eq(OrganizationKind::CityAssociation))
                    .order(organizations::code)
                    .select(shown)
                    .first(conn);
                match city.optional()? {
                    Some(city) => city,
                    None => in_reach().order(organizations::id).select(shown).first(conn)?,
                }
            }
        };
        let named: Vec<&str> = FIGURES.iter().filter_map(|d| if let Holder::Part(code) = d.holder { Some(code) } else { None }).collect();
        let parts: Vec<OrganizationBrief> = in_reach()
            .inner_join(organization_closure::table.on(organization_closure::descendant_id.eq(organizations::id)))
            .filter(organization_closure::ancestor_id.eq(organization.id))
            .filter(organizations::code.eq_any(named))
            .select(brief())
            .load(conn)?;
        let scope = scope.fitted(conn, tree, Some(organization.id), Purpose::Sum)?;
        Ok(Self { scope, organization, kind, parts: parts.into_iter().map(|part| (part.code.clone(), part)).collect() })
    }

    /// Whose records a definition is about here; nobody's, where the part that it names lies elsewhere.
    fn subject(&self, definition: &Definition) -> Option<&OrganizationBrief> {
        match definition.holder {
            Holder::Part(code) => self.parts.get(code),
            Holder::All | Holder::City | Holder::Counties => Some(&self.organization),
        }
    }

    /// Whether it is one county, or what the counties have told together.
    pub fn is_county(&self) -> bool {
        matches!(self.kind, OrganizationKind::CountyAssociation | OrganizationKind::CountyCollective)
    }

    /// Whether a definition belongs into a report on this organization: a county has no figures of the city's own.
    pub fn reports(&self, definition: &Definition) -> bool {
        self.subject(definition).is_some() && (definition.holder != Holder::City || !self.is_county())
    }
}

/// The filter of a definition for one organization and year, as the parameters of its resource's list.
pub fn parameters(definition: &Definition, organization: Id, span: Span) -> Vec<(String, String)> {
    let mut parameters: Vec<(String, String)> = definition.filter.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    parameters.push(("organization_id".into(), organization.to_string()));
    let level = match definition.holder {
        Holder::City => Some(OrganizationLevel::City),
        Holder::Counties => Some(OrganizationLevel::County),
        Holder::All | Holder::Part(_) => None,
    };
    parameters.extend(level.map(|level| ("organization_level".to_owned(), level.code().to_owned())));
    parameters.extend(definition.time(span).into_iter().map(|(name, value)| (name.to_owned(), value)));
    parameters
}

fn measured(conn: &mut AnyConnection, scope: &Scope, definition: &Definition, parameters: &[(String, String)]) -> Result<Measured> {
    let verbs = named(definition.resource).ok_or_else(|| Error::internal("a figure without a resource"))?;
    let filter = Pairs(parameters.to_vec()).into_json(verbs.filter_shape())?;
    verbs.measure(conn, scope, filter, definition.measure)
}

/// The records behind a figure: how many they are, and a hash over their ids and versions, by which it is told whether they are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordsMark {
    /// Code of the figure.
    #[schema(example = "four_ones.volunteer_teams")]
    pub figure: String,
    pub records: i64,
    /// SHA-256 over id and version of each in the order of their ids, in hexadecimal digits.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub hash: String,
}

/// Marks the records behind a figure.
pub fn mark(conn: &mut AnyConnection, ground: &Ground, definition: &Definition, span: Span) -> Result<RecordsMark> {
    let subject = ground.subject(definition).ok_or_else(Error::not_found)?;
    let verbs = named(definition.resource).ok_or_else(|| Error::internal("a figure without a resource"))?;
    let filter = Pairs(parameters(definition, subject.id, span)).into_json(verbs.filter_shape())?;
    let mut marks = verbs.marks(conn, &ground.scope, filter)?;
    marks.sort_unstable();
    let mut digest = Sha256::new();
    for (id, version) in &marks {
        digest.update(id.to_string());
        digest.update(version.to_be_bytes());
    }
    let hash = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(RecordsMark { figure: definition.code.to_owned(), records: i64::try_from(marks.len()).unwrap_or(i64::MAX), hash })
}

/// A value and how well it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FigureValue {
    pub value: Option<i64>,
    pub precision: Precision,
}

/// The value alone, for a time to compare with; one statement.
pub fn value(conn: &mut AnyConnection, ground: &Ground, definition: &Definition, span: Span) -> Result<FigureValue> {
    let subject = ground.subject(definition).ok_or_else(Error::not_found)?;
    let measured = measured(conn, &ground.scope, definition, &parameters(definition, subject.id, span))?;
    Ok(FigureValue { value: measured.value, precision: measured.precision })
}

/// Figures of one time: one statement each, and one for the names of all their holders.
pub fn figures(
    conn: &mut AnyConnection,
    ground: &Ground,
    definitions: impl IntoIterator<Item = &'static Definition>,
    span: Span,
) -> Result<Vec<Figure>> {
    let mut all = Vec::new();
    for definition in definitions {
        let subject = ground.subject(definition).ok_or_else(Error::not_found)?;
        let parameters = parameters(definition, subject.id, span);
        let measured = measured(conn, &ground.scope, definition, &parameters)?;
        all.push((definition, subject.clone(), parameters, measured));
    }
    let mut ids: Vec<Id> = all.iter().flat_map(|(.., measured)| measured.holders.iter().copied()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut names: HashMap<Id, OrganizationBrief> = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(5_000) {
        let found: Vec<OrganizationBrief> = organizations::table.filter(organizations::id.eq_any(chunk)).select(brief()).load(conn)?;
        names.extend(found.into_iter().map(|brief| (brief.id, brief)));
    }
    all.into_iter()
        .map(|(definition, subject, parameters, measured)| figure(definition, subject, &parameters, measured, &names, span))
        .collect()
}

fn figure(
    definition: &'static Definition,
    organization: OrganizationBrief,
    parameters: &[(String, String)],
    measured: Measured,
    names: &HashMap<Id, OrganizationBrief>,
    span: Span,
) -> Result<Figure> {
    let mut holders: Vec<&OrganizationBrief> = measured.holders.iter().filter_map(|id| names.get(id)).collect();
    holders.sort_unstable_by(|one, other| one.code.cmp(&other.code));
    let stock = definition.kind == FigureKind::Stock;
    let days = span.days();
    Ok(Figure {
        code: definition.code.into(),
        label_zh: definition.label_zh.into(),
        label_en: definition.label_en.into(),
        value: measured.value,
        unit: definition.unit.into(),
        unit_zh: catalogue::unit(definition.unit).0.into(),
        precision: measured.precision,
        kind: definition.kind,
        as_at: days.filter(|_| stock).map(|(_, last)| last),
        period: days.filter(|_| !stock).map(|(from_on, to_on)| Period { from_on, to_on }),
        year: span.year(),
        month: if let Span::Month(month) = span { Some(month) } else { None },
        organization,
        holders_total: holders.len(),
        holders: holders.into_iter().take(HOLDERS_NAMED).cloned().collect(),
        records: measured.records,
        records_url: records_url(definition, parameters)?,
    })
}

/// The list of the records behind a figure.
pub fn records_url(definition: &Definition, parameters: &[(String, String)]) -> Result<String> {
    list_of(definition.resource, parameters)
}

/// Figures of each of some organizations and of all below it: a statement for each definition, whatever the number of organizations. One may
/// lie below another. `root` is above them all; who asks has decided that these sums may be told.
///
/// What comes out for an organization is what [`figures`] computes for it alone.
pub fn of_each(
    conn: &mut AnyConnection,
    scope: &Scope,
    root: Id,
    organizations: &[Id],
    definitions: &[&'static Definition],
    span: Span,
) -> Result<HashMap<Id, Vec<FigureOfOne>>> {
    let mut above: HashMap<Id, Vec<Id>> = HashMap::new();
    for chunk in organizations.chunks(5_000) {
        let below: Vec<(Id, Id)> = organization_closure::table
            .filter(organization_closure::ancestor_id.eq_any(chunk))
            .select((organization_closure::descendant_id, organization_closure::ancestor_id))
            .load(conn)?;
        for (holder, id) in below {
            above.entry(holder).or_default().push(id);
        }
    }
    let mut all: HashMap<Id, Vec<FigureOfOne>> = organizations.iter().map(|id| (*id, Vec::with_capacity(definitions.len()))).collect();
    for definition in definitions {
        let measured = measured(conn, scope, definition, &parameters(definition, root, span))?;
        let nobody = measured.groups.none();
        let mut parts = measured.groups.split(&above);
        for (id, figures) in &mut all {
            let measured = Measured::of(parts.remove(id).unwrap_or_else(|| nobody.clone()));
            let value = FigureValue { value: measured.value, precision: measured.precision };
            figures.push(FigureOfOne { definition, value, records: measured.records });
        }
    }
    Ok(all)
}

/// The measure of a definition over a part of its records: `more` narrows its filter by parameters of the same list. With the address of
/// those very records.
pub fn of_part(
    conn: &mut AnyConnection,
    ground: &Ground,
    definition: &Definition,
    more: &[(&str, &str)],
    span: Span,
) -> Result<(FigureValue, String)> {
    let subject = ground.subject(definition).ok_or_else(Error::not_found)?;
    let mut parameters = parameters(definition, subject.id, span);
    parameters.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let measured = measured(conn, &ground.scope, definition, &parameters)?;
    Ok((FigureValue { value: measured.value, precision: measured.precision }, records_url(definition, &parameters)?))
}

/// The figures of each organization right below the one that is asked about, by their codes: a statement for each definition, and two.
/// Who only sums up others is left out where it holds nothing.
pub fn of_those_below(
    conn: &mut AnyConnection,
    ground: &Ground,
    definitions: &[&'static Definition],
    span: Span,
) -> Result<Vec<(OrganizationBrief, Vec<FigureOfOne>)>> {
    let below: Vec<(OrganizationBrief, OrganizationKind)> = organizations::table
        .filter(organizations::parent_id.eq(ground.organization.id))
        .order(organizations::code)
        .select((brief(), organizations::kind))
        .load(conn)?;
    let ids: Vec<Id> = below.iter().map(|(one, _)| one.id).collect();
    let mut figures = of_each(conn, &ground.scope, ground.organization.id, &ids, definitions, span)?;
    let told = below.into_iter().filter_map(|(one, kind)| {
        let own = figures.remove(&one.id).unwrap_or_default();
        (!COLLECTIVES.contains(&kind) || own.iter().any(|figure| figure.records > 0)).then_some((one, own))
    });
    Ok(told.collect())
}

/// A figure of one among many organizations.
#[derive(Debug, Clone)]
pub struct FigureOfOne {
    pub definition: &'static Definition,
    pub value: FigureValue,
    pub records: i64,
}
