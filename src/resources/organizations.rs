//! The tree of associations (协会组织), and its transitive closure, which every scope is decided by.
//!
//! Whatever changes the shape of the tree takes one lock, so that no two moves can make a cycle between them.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::rules;
use crate::db::{Any, AnyConnection, Part, Subset, Tx, grams, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::{organization_closure as closure, organizations as t};
use crate::types::{Id, Instant, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::shape::Shape;
use crate::web::verbs::refusal;
use crate::web::{Measure, Measured, Reference, Resource, Viewed, reads, remove, save};

text_enum! {
    /// What an organization is. The collectives hold records that a source gives only as one total.
    OrganizationKind {
        ProvincialFoundation = "provincial_foundation", "省基金会", "provincial foundation";
        CityAssociation = "city_association", "市协会", "city association";
        CountyAssociation = "county_association", "县市区协会", "county association";
        CountyCollective = "county_collective", "县市区合计（未分列）", "counties together, not told apart";
        JointCollective = "joint_collective", "市县合计（未分列）", "city and counties together, not told apart";
        Other = "other", "其他", "other";
    }
}

/// Organizations that only sum up others: they hold records that the source doesn't tell apart, and no money.
pub const COLLECTIVES: [OrganizationKind; 2] = [OrganizationKind::CountyCollective, OrganizationKind::JointCollective];

text_enum! {
    /// Whether an organization works.
    OrganizationStatus {
        Active = "active", "正常", "active";
        Archived = "archived", "已归档", "archived";
    }
}

/// An association, or a total of several.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Organization {
    pub id: Id,
    /// Unique code that people use.
    #[schema(example = "zz-dengfeng")]
    pub code: String,
    pub name: String,
    pub short_name: Option<String>,
    pub kind: OrganizationKind,
    /// The organization above it; null for a root. Changed by `move` only.
    pub parent_id: Option<Id>,
    /// GB/T 2260, six digits; functional zones have none.
    pub division_code: Option<String>,
    /// Changed by `archive` only.
    pub status: OrganizationStatus,
    pub established_on: Option<NaiveDate>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

impl Viewed for Organization {
    fn id(&self) -> Id {
        self.id
    }
    fn code(&self) -> &str {
        &self.code
    }
    fn version(&self) -> i32 {
        self.version
    }
    fn organization_id(&self) -> Option<Id> {
        Some(self.id)
    }
    /// The bar keeps the end of the name from pairing with the beginning of the short one.
    fn searched(&self) -> Option<String> {
        Some(format!("{}|{}", self.name, self.short_name.as_deref().unwrap_or_default()))
    }
}

/// What may be written of an organization.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "zz-dengfeng", "name": "登封市见义勇为协会", "short_name": "登封", "kind": "county_association", "parent_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "division_code": "410185"}))]
pub struct OrganizationDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    #[schema(min_length = 1, max_length = 50)]
    pub short_name: Option<String>,
    pub kind: OrganizationKind,
    /// The organization above it. Absent only for a root, which needs a grant on the whole tree; afterwards changed
    /// by `move`, not by a patch.
    pub parent_id: Option<Id>,
    /// GB/T 2260, six digits.
    #[schema(min_length = 6, max_length = 6, example = "410185")]
    #[validate(custom(function = "division"))]
    pub division_code: Option<String>,
    pub established_on: Option<NaiveDate>,
}

fn division(text: &str) -> Result<(), ValidationError> {
    if text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0') {
        return Ok(());
    }
    Err(refusal(
        None,
        "invalid_division_code",
        &Says::new(
            "行政区划代码应为 6 位数字，如 410185；功能区没有代码的请留空",
            "a division code has six digits, as 410185; leave it empty for a zone without one",
        ),
    ))
}

/// Which organizations.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct OrganizationFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the name or the short name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    /// Those directly below this one.
    pub parent_id: Option<Id>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub kind: Option<Vec<OrganizationKind>>,
    #[param(inline)]
    pub status: Option<OrganizationStatus>,
    pub division_code: Option<String>,
}

/// Where an organization is moved to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MoveBody {
    /// The organization that it will stand below, with all that is below itself.
    parent_id: Id,
}

#[derive(Insertable, Queryable)]
#[diesel(table_name = closure, treat_none_as_default_value = false)]
struct Path {
    ancestor_id: Id,
    descendant_id: Id,
    depth: i32,
}

pub struct Organizations;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &OrganizationFilter) -> t::BoxedQuery<'static, Any> {
    let mut query = t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(Organizations::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(id) = filter.parent_id {
        query = query.filter(t::parent_id.eq(id));
    }
    if let Some(kinds) = &filter.kind {
        query = query.filter(t::kind.eq_any(kinds.clone()));
    }
    if let Some(status) = filter.status {
        query = query.filter(t::status.eq(status));
    }
    if let Some(code) = &filter.division_code {
        query = query.filter(t::division_code.eq(code.clone()));
    }
    query
}

/// Any constant will do, as long as every server uses the same.
const TREE_LOCK: i64 = 7_914_202_202;

/// One change to the tree at a time, until this transaction ends. A writing transaction of SQLite is alone anyway.
fn lock_tree(conn: &mut AnyConnection) -> Result<()> {
    if let AnyConnection::Pg(c) = conn {
        diesel::sql_query("SELECT pg_advisory_xact_lock($1)").bind::<diesel::sql_types::BigInt, _>(TREE_LOCK).execute(c)?;
    }
    Ok(())
}

fn archived_parent(pointer: impl Into<String>) -> Fault {
    Fault::new(
        pointer,
        "parent_archived",
        Says::new(
            "上级单位已归档，不能再设下级单位；请选择正常状态的单位",
            "the parent is archived and takes no new children; choose an active one",
        ),
    )
}

/// A parent may be named by who has it in scope, and stands when it is active.
fn check_parents(tx: &mut Tx<'_>, scope: &Scope, drafts: &[OrganizationDraft]) -> Result<()> {
    let ids: Vec<Id> = drafts.iter().filter_map(|draft| draft.parent_id).collect();
    let known: Vec<(Id, OrganizationStatus)> =
        query(scope, &OrganizationFilter::default()).filter(t::id.eq_any(ids)).select((t::id, t::status)).load(tx.conn)?;
    let mut faults = Vec::new();
    for (i, draft) in drafts.iter().enumerate() {
        let pointer = format!("/{i}/parent_id");
        let found = draft.parent_id.map(|id| known.iter().find(|(known, _)| *known == id).map(|(_, status)| *status));
        match found {
            None if scope.is_whole() => {}
            None => faults.push(Fault::new(
                pointer,
                "root_needs_the_whole_tree",
                Says::new(
                    "请填写上级单位；只有管辖整个组织树的平台管理员才能新建顶级单位",
                    "name the organization above it; only a platform administrator of the whole tree plants a root",
                ),
            )),
            Some(None) => faults.push(Fault::unknown_reference(pointer)),
            Some(Some(OrganizationStatus::Archived)) => faults.push(archived_parent(pointer)),
            Some(Some(OrganizationStatus::Active)) => {}
        }
    }
    Error::unless_empty(faults)
}

/// The paths to new organizations: from each to itself, and from all that is above its parent.
fn plant(conn: &mut AnyConnection, rows: &[Organization]) -> Result<()> {
    let parents: Vec<Id> = rows.iter().filter_map(|row| row.parent_id).collect();
    let above: Vec<Path> = closure::table
        .filter(closure::descendant_id.eq_any(parents))
        .select((closure::ancestor_id, closure::descendant_id, closure::depth))
        .load(conn)?;
    let mut paths = Vec::new();
    for row in rows {
        paths.push(Path { ancestor_id: row.id, descendant_id: row.id, depth: 0 });
        paths.extend(above.iter().filter(|path| Some(path.descendant_id) == row.parent_id).map(|path| Path {
            ancestor_id: path.ancestor_id,
            descendant_id: row.id,
            depth: path.depth + 1,
        }));
    }
    insert_all!(&mut *conn, closure::table, paths)?;
    Ok(())
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, status: OrganizationStatus, draft: OrganizationDraft) -> Organization {
    Organization {
        id,
        code: code_or_new(draft.code.as_deref()),
        name: draft.name,
        short_name: draft.short_name,
        kind: draft.kind,
        parent_id: draft.parent_id,
        division_code: draft.division_code,
        status,
        established_on: draft.established_on,
        version,
        created_at,
        updated_at: now,
    }
}

/// Writes the record over itself at its version.
fn save(tx: &mut Tx<'_>, before: &Organization, after: &Organization) -> Result<()> {
    save!(tx, t, before, after)
}

/// `move`: the organization and all below it, under another parent.
fn move_under(tx: &mut Tx<'_>, scope: &Scope, before: Organization, body: &Value) -> Result<Organization> {
    let MoveBody { parent_id } = serde_json::from_value(body.clone()).map_err(Error::internal)?;
    lock_tree(tx.conn)?;
    let target: Option<OrganizationStatus> =
        query(scope, &OrganizationFilter::default()).filter(t::id.eq(parent_id)).select(t::status).first(tx.conn).optional()?;
    match target {
        None => return Err(Error::invalid(vec![Fault::unknown_reference("/parent_id")])),
        Some(OrganizationStatus::Archived) => return Err(Error::invalid(vec![archived_parent("/parent_id")])),
        Some(OrganizationStatus::Active) => {}
    }
    let below: Vec<(Id, i32)> =
        closure::table.filter(closure::ancestor_id.eq(before.id)).select((closure::descendant_id, closure::depth)).load(tx.conn)?;
    if below.iter().any(|(id, _)| *id == parent_id) {
        let mut error = Error::because(
            Code::Conflict,
            "不能将单位移到自身或其下级单位之下，否则组织树会成环；请选择其他上级",
            "an organization can't be moved under itself or what is below it, which would close a circle; choose another parent",
        );
        error.faults.push(Fault::new(
            "/parent_id",
            "organization_cycle",
            Says::new("此单位就是被移动的单位，或是其下级", "this is the organization that is moved, or is below it"),
        ));
        return Err(error);
    }
    let above: Vec<(Id, i32)> =
        closure::table.filter(closure::descendant_id.eq(parent_id)).select((closure::ancestor_id, closure::depth)).load(tx.conn)?;
    // Before the paths, so that a move that lost its race changes nothing.
    let after = Organization { parent_id: Some(parent_id), version: before.version + 1, updated_at: tx.now, ..before.clone() };
    save(tx, &before, &after)?;

    let subtree = || Subset(vec![Part::Sql("SELECT descendant_id FROM organization_closure WHERE ancestor_id = "), Part::Id(before.id)]);
    diesel::delete(
        closure::table.filter(subtree().holds(closure::descendant_id)).filter(diesel::dsl::not(subtree().holds(closure::ancestor_id))),
    )
    .execute(tx.conn)?;
    let paths: Vec<Path> = above
        .iter()
        .flat_map(|(ancestor_id, up)| {
            below.iter().map(move |(descendant_id, down)| Path {
                ancestor_id: *ancestor_id,
                descendant_id: *descendant_id,
                depth: up + down + 1,
            })
        })
        .collect();
    insert_all!(&mut *tx.conn, closure::table, paths)?;
    Ok(after)
}

/// `archive`: kept with all its records, and closed to new children.
fn archive(tx: &mut Tx<'_>, _: &Scope, before: Organization, _: &Value) -> Result<Organization> {
    lock_tree(tx.conn)?;
    let live: i64 =
        t::table.filter(t::parent_id.eq(before.id)).filter(t::status.eq(OrganizationStatus::Active)).count().get_result(tx.conn)?;
    if live > 0 {
        return Err(Error::because(
            Code::Conflict,
            format!("还有 {live} 个正常状态的下级单位，请先归档或移走它们"),
            format!("{live} active organizations are directly below it; archive them or move them away first"),
        )
        .with("active_children", live));
    }
    let after = Organization { status: OrganizationStatus::Archived, version: before.version + 1, updated_at: tx.now, ..before.clone() };
    save(tx, &before, &after)?;
    Ok(after)
}

impl Resource for Organizations {
    const NAME: &'static str = "organizations";
    const LABEL: (&'static str, &'static str) = ("协会组织", "organization");
    const AREA: Area = Area::Organizations;
    const REFERENCES: &'static [Reference] = &[Reference { field: "parent_id", column: "parent_code", of: "organizations" }];

    type View = Organization;
    type Draft = OrganizationDraft;
    type Filter = OrganizationFilter;

    reads!(t, Organization);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        lock_tree(tx.conn)?;
        check_parents(tx, scope, &drafts)?;
        let now = tx.now;
        let rows: Vec<Organization> =
            drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, OrganizationStatus::Active, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        plant(tx.conn, &rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let organization = view.clone();
        Ok(OrganizationDraft {
            code: Some(organization.code),
            name: organization.name,
            short_name: organization.short_name,
            kind: organization.kind,
            parent_id: organization.parent_id,
            division_code: organization.division_code,
            established_on: organization.established_on,
        })
    }

    fn update(tx: &mut Tx<'_>, _: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        // The parent of an actor's own organization is above their reach, so only a change of it is judged.
        if draft.parent_id != before.parent_id {
            return Err(Error::field(
                "/parent_id",
                "use_move",
                "隶属关系不能直接修改，请使用“调整隶属”（POST …/move）",
                "the parent isn't changed by a patch; use POST …/move",
            ));
        }
        let after = row(before.id, before.version + 1, before.created_at, tx.now, before.status, draft);
        save(tx, before, &after)?;
        Ok(after)
    }

    fn delete(tx: &mut Tx<'_>, _: &Scope, before: &Self::View) -> Result<()> {
        lock_tree(tx.conn)?;
        diesel::delete(closure::table.filter(closure::descendant_id.eq(before.id))).execute(tx.conn)?;
        remove!(tx, t, before)
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        let held: Vec<Id> = query(scope, filter).select(t::id).load(conn)?;
        Ok(Measured::counted(measure, held.into_iter().map(|id| (id, 1)).collect()))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step {
                action: Action::Move,
                summary: "调整隶属，连同全部下级 / Move under another organization, with all below it",
                body: Some(Shape::of::<MoveBody>),
                needs_key: false,
                run: move_under,
            },
            Step {
                action: Action::Archive,
                summary: "归档 / Archive: kept with its records, closed to new children",
                body: None,
                needs_key: false,
                run: archive,
            },
        ]
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        match view.status {
            OrganizationStatus::Active => vec![Action::Update, Action::Delete, Action::Move, Action::Archive],
            OrganizationStatus::Archived => vec![Action::Update, Action::Delete],
        }
    }
}
