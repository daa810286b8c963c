//! Standards (标准): the checklists by which workstations, demonstration units, teams and associations are assessed. What is asked for is
//! data: 七个统一, the five 有 of a demonstration unit, the four-ones standards are entered by the association and stand in no code.
//!
//! A standard stands in versions ([`super::versions`]): an assessment is bound to the one by which it was made, whatever is published later.

use std::collections::HashSet;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::rules;
use super::versions::{self, VersionState, Versioned};
use crate::db::{Any, AnyConnection, Tx, grams, held, insert_all};
use crate::error::{Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::standards as t;
use crate::types::{Id, Instant, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

/// How many items a standard may have.
const ITEMS: usize = 100;
/// How many levels it may tell apart.
const LEVELS: usize = 20;

text_enum! {
    /// What is assessed.
    Subject {
        Workstation = "workstation", "工作站", "workstation";
        DemonstrationUnit = "demonstration_unit", "示范单位", "demonstration unit";
        VolunteerTeam = "volunteer_team", "志愿者队伍", "volunteer team";
        Organization = "organization", "协会组织", "organization";
    }
}

text_enum! {
    /// How an item is answered.
    ItemKind {
        YesNo = "yes_no", "是否达到", "yes or no";
        Score = "score", "评分", "score";
        Count = "count", "计数", "count";
    }
}

/// What a standard asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StandardItem {
    /// By which an assessment answers it; once in a standard.
    #[schema(min_length = 1, max_length = 50, example = "office")]
    pub key: String,
    #[schema(min_length = 1, max_length = 200, example = "有固定办公场所")]
    pub name: String,
    /// Points for it, when it is wholly there.
    #[schema(minimum = 0, maximum = 10000, example = 20)]
    pub weight: i32,
    pub kind: ItemKind,
    /// Of a score the most that can be given, of a count how many are required; null of yes or no.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub maximum: Option<i32>,
    /// Whether an attachment has to prove it.
    pub evidence_required: bool,
}

/// From which total on a subject has a level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StandardLevel {
    #[schema(min_length = 1, max_length = 50, example = "达标")]
    pub name: String,
    /// In points, as the weights of the items are: 60 of 100.
    #[schema(minimum = 0, maximum = 1_000_000, example = 60)]
    pub least_points: i32,
}

/// A version's own row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    key: String,
    number: i32,
    title: String,
    subject: Subject,
    items: String,
    levels: String,
    valid_months: Option<i32>,
    state: VersionState,
    published_by: Option<Id>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// A version of a standard.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Standard {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association whose standard it is; those below it see it and assess by it.
    pub organization_id: Id,
    /// What stays the same through all versions.
    #[schema(example = "seven-unities")]
    pub key: String,
    /// Number of this version, from 1 on.
    pub number: i32,
    pub title: String,
    /// What is assessed by it.
    pub subject: Subject,
    /// In the order in which they are asked for.
    pub items: Vec<StandardItem>,
    /// None: the total says it all.
    pub levels: Vec<StandardLevel>,
    /// After how many months an assessment holds no more; null: it holds for ever.
    pub valid_months: Option<i32>,
    pub state: VersionState,
    pub published_by: Option<Id>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Standard {
    fn searched(&self) -> Option<String> {
        Some(self.title.clone())
    }
});

/// What may be written of a standard, while it is a draft.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "key": "five-haves", "title": "示范单位标准",
    "subject": "demonstration_unit", "valid_months": 24, "levels": [{"name": "达标", "least_points": 60}],
    "items": [{"key": "office", "name": "有固定场所", "weight": 60, "kind": "yes_no", "evidence_required": true},
        {"key": "volunteers", "name": "有志愿者队伍（10 人）", "weight": 40, "kind": "count", "maximum": 10, "evidence_required": false}]}))]
pub struct StandardDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association whose standard it is; those below it see it and assess by it.
    pub organization_id: Id,
    /// What stays the same through all versions. One version is a draft, and one published, at a time.
    #[schema(min_length = 1, max_length = 50, example = "five-haves")]
    #[validate(custom(function = "rules::code"))]
    pub key: String,
    #[schema(min_length = 1, max_length = 100)]
    pub title: String,
    /// What is assessed by it.
    pub subject: Subject,
    /// In the order in which they are asked for.
    #[schema(min_items = 1, max_items = 100)]
    pub items: Vec<StandardItem>,
    /// From the total on that each begins with; none when absent.
    #[schema(max_items = 20)]
    pub levels: Option<Vec<StandardLevel>>,
    /// After how many months an assessment holds no more; for ever when absent.
    #[schema(minimum = 1, maximum = 600)]
    pub valid_months: Option<i32>,
}

/// Which standards.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct StandardFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the title, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    pub key: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub subject: Option<Vec<Subject>>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<VersionState>>,
}

pub struct Standards;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &StandardFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(Standards::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(key) = &filter.key {
        query = query.filter(t::key.eq(key.clone()));
    }
    if let Some(subjects) = &filter.subject {
        query = query.filter(t::subject.eq_any(subjects.clone()));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    query
}

fn shown(_: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<Standard>> {
    rows.into_iter()
        .map(|row| {
            Ok(Standard {
                id: row.id,
                code: row.code,
                organization_id: row.organization_id,
                key: row.key,
                number: row.number,
                title: row.title,
                subject: row.subject,
                items: serde_json::from_str(&row.items).map_err(Error::internal)?,
                levels: serde_json::from_str(&row.levels).map_err(Error::internal)?,
                valid_months: row.valid_months,
                state: row.state,
                published_by: row.published_by,
                version: row.version,
                created_at: row.created_at,
                updated_at: row.updated_at,
            })
        })
        .collect()
}

/// Some versions, for what is assessed by them: whoever asks has decided that.
pub fn known(conn: &mut AnyConnection, mut ids: Vec<Id>) -> Result<Vec<Standard>> {
    ids.sort_unstable();
    ids.dedup();
    let rows = t::table.filter(t::id.eq_any(ids)).select(Row::as_select()).load(conn)?;
    shown(conn, rows)
}

/// Holds versions until the transaction ends, so that what is published now is published when something is bound to it.
pub fn hold(tx: &mut Tx<'_>, mut ids: Vec<Id>) -> Result<()> {
    ids.sort_unstable();
    ids.dedup();
    Ok(held!(tx.conn, t::table.filter(t::id.eq_any(ids)).order(t::id).select(t::id), for_share)?)
}

fn row(id: Id, number: i32, version: i32, created_at: Instant, now: Instant, draft: StandardDraft) -> Result<Row> {
    Ok(Row {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        key: draft.key,
        number,
        title: draft.title,
        subject: draft.subject,
        items: serde_json::to_string(&draft.items).map_err(Error::internal)?,
        levels: serde_json::to_string(&draft.levels.unwrap_or_default()).map_err(Error::internal)?,
        valid_months: draft.valid_months,
        state: VersionState::Draft,
        published_by: None,
        version,
        created_at,
        updated_at: now,
    })
}

/// The faults of a draft's items and levels: pure.
fn faults_of(draft: &StandardDraft, at: &impl Fn(&str) -> String) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |pointer: String, code, zh: String, en: String| faults.push(Fault::new(at(&pointer), code, Says::new(zh, en)));
    if draft.items.is_empty() || draft.items.len() > ITEMS {
        let (zh, en) = (format!("项目应有 1 至 {ITEMS} 项"), format!("a standard has 1 to {ITEMS} items"));
        fault("items".into(), "wrong_number", zh, en);
    }
    let mut seen = HashSet::new();
    for (i, item) in draft.items.iter().enumerate() {
        if rules::code(&item.key).is_err() {
            let (zh, en) = ("项目标识不能为空或含空格", "the key of an item has no spaces and is not empty");
            fault(format!("items/{i}/key"), "invalid_code", zh.into(), en.into());
        } else if !seen.insert(item.key.as_str()) {
            let (zh, en) = (format!("标识“{}”已用于前面的项目", item.key), format!("an item before has the key '{}'", item.key));
            fault(format!("items/{i}/key"), "twice", zh, en);
        }
        match (item.kind, item.maximum) {
            (ItemKind::YesNo, Some(_)) => fault(
                format!("items/{i}/maximum"),
                "not_for_yes_no",
                "“是否达到”的项目没有满分或数量，请留空".into(),
                "what is answered by yes or no has no maximum; leave it out".into(),
            ),
            (ItemKind::Score, None) => {
                fault(format!("items/{i}/maximum"), "required", "请填写满分".into(), "say how much can be given at most".into());
            }
            (ItemKind::Count, None) => {
                fault(format!("items/{i}/maximum"), "required", "请填写要求的数量".into(), "say how many are required".into());
            }
            _ => {}
        }
    }
    let levels = draft.levels.as_deref().unwrap_or_default();
    if levels.len() > LEVELS {
        fault("levels".into(), "too_many", format!("最多 {LEVELS} 个等次"), format!("at most {LEVELS} levels"));
    }
    let most: i64 = draft.items.iter().map(|item| i64::from(item.weight)).sum();
    for (i, level) in levels.iter().enumerate() {
        if levels[..i].iter().any(|earlier| earlier.name == level.name) {
            fault(format!("levels/{i}/name"), "twice", "等次名称重复".into(), "a level before has this name".into());
        }
        if levels[..i].iter().any(|earlier| earlier.least_points == level.least_points) {
            fault(format!("levels/{i}/least_points"), "twice", "分数线重复".into(), "a level before begins with as many points".into());
        }
        if i64::from(level.least_points) > most {
            fault(
                format!("levels/{i}/least_points"),
                "beyond_the_maximum",
                format!("分数线不能高于满分 {most} 分"),
                format!("nobody can reach it: all items come to {most} points"),
            );
        }
    }
    faults
}

fn check(tx: &mut Tx<'_>, scope: &Scope, drafts: &[StandardDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = drafts.iter().enumerate().flat_map(|(i, draft)| faults_of(draft, &|field: &str| at(i, field))).collect();
    let wanted: Vec<_> = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), Some(draft.organization_id))).collect();
    rules::all_in_scope(tx.conn, scope, "organizations", wanted, &mut faults)?;
    Error::unless_empty(faults)
}

versions::versioned!(Standards, t);

impl Resource for Standards {
    const NAME: &'static str = "standards";
    const LABEL: (&'static str, &'static str) = ("标准", "standard");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];
    // A list within a record stands in no row of a file.
    const IMPORTABLE: bool = false;
    const SHARED_BELOW: bool = true;

    type View = Standard;
    type Draft = StandardDraft;
    type Filter = StandardFilter;

    reads!(t, Row => shown);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let numbers = Self::numbers(tx, drafts.iter().map(|draft| draft.key.clone()).collect())?;
        let rows: Vec<Row> = drafts
            .into_iter()
            .map(|draft| row(Id::new(), numbers.next(draft.organization_id, &draft.key), 1, now, now, draft))
            .collect::<Result<_>>()?;
        insert_all!(&mut *tx.conn, t::table, rows).map_err(versions::one_draft::<Self>)?;
        shown(tx.conn, rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let standard = view.clone();
        Ok(StandardDraft {
            code: Some(standard.code),
            organization_id: standard.organization_id,
            key: standard.key,
            title: standard.title,
            subject: standard.subject,
            items: standard.items,
            levels: Some(standard.levels),
            valid_months: standard.valid_months,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        versions::stays::<Self>((before.organization_id, &before.key), (draft.organization_id, &draft.key))?;
        let after = row(before.id, before.number, before.version + 1, before.created_at, tx.now, draft)?;
        save!(tx, t, before, &after)?;
        Self::find(tx.conn, scope, before.id)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        versions::steps("发布本版本，同一标识的上一版本随即废止 / Publish: the version before it is retired")
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        versions::offered(view.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: &str, kind: ItemKind, maximum: Option<i32>) -> StandardItem {
        StandardItem { key: key.into(), name: "有".into(), weight: 50, kind, maximum, evidence_required: false }
    }

    fn told(items: Vec<StandardItem>, levels: &[(&str, i32)]) -> Vec<(String, &'static str)> {
        let draft = StandardDraft {
            code: None,
            organization_id: Id::new(),
            key: "five-haves".into(),
            title: "标准".into(),
            subject: Subject::DemonstrationUnit,
            items,
            levels: Some(levels.iter().map(|(name, least)| StandardLevel { name: (*name).into(), least_points: *least }).collect()),
            valid_months: None,
        };
        faults_of(&draft, &|field: &str| format!("/{field}")).into_iter().map(|fault| (fault.pointer, fault.code)).collect()
    }

    #[test]
    fn a_standard_can_be_answered_and_its_levels_reached() {
        let fine = || vec![item("a", ItemKind::YesNo, None), item("b", ItemKind::Score, Some(10))];
        assert_eq!(told(fine(), &[("达标", 60), ("优秀", 100)]), vec![]);
        let wrong = vec![
            item("a", ItemKind::YesNo, Some(1)),
            item("b", ItemKind::Score, None),
            item("a", ItemKind::Count, None),
            item("d e", ItemKind::YesNo, None),
        ];
        let expected = [
            ("/items/0/maximum", "not_for_yes_no"),
            ("/items/1/maximum", "required"),
            ("/items/2/key", "twice"),
            ("/items/2/maximum", "required"),
            ("/items/3/key", "invalid_code"),
        ];
        assert_eq!(told(wrong, &[]), expected.map(|(pointer, code)| (pointer.to_owned(), code)));
        let expected = [("/levels/1/name", "twice"), ("/levels/1/least_points", "twice"), ("/levels/2/least_points", "beyond_the_maximum")];
        assert_eq!(told(fine(), &[("达标", 60), ("达标", 60), ("优秀", 101)]), expected.map(|(pointer, code)| (pointer.to_owned(), code)));
        assert_eq!(told(vec![], &[]), vec![("/items".to_owned(), "wrong_number")]);
    }
}
