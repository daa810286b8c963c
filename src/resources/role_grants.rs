//! Role grants (角色授权): who holds which role, on an organization and all below it, from when to when.
//!
//! A grant is given, changed and taken back by others than its user, and by nobody beyond their own reach. A user's
//! grants count from the next request on; they are never in a token.

use std::collections::HashSet;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::rules;
use crate::auth::{self, UserKind};
use crate::db::{Any, AnyConnection, Grouped, Part, Subset, Tx, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Actor, Area, OrganizationLevel, Role, Scope};
use crate::schema::{role_grants as t, users};
use crate::types::{Id, Instant, TextEnum, business_today, code_or_new};
use crate::web::resource::{Counted, aggregate};
use crate::web::{Measure, Measured, Reference, Resource, Viewed, reads, remove, save};
use crate::wechat::bindings;

/// A role that a user holds on an organization and all below it.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct RoleGrant {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    pub user_id: Id,
    pub role: Role,
    /// Null reaches the whole tree: platform administrators only.
    pub organization_id: Option<Id>,
    pub from_on: NaiveDate,
    /// The last day.
    pub to_on: Option<NaiveDate>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

impl Viewed for RoleGrant {
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
        self.organization_id
    }
}

/// What may be written of a role grant. Another user or role is another grant: end this one and make that one.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
pub struct RoleGrantDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// Fixed after creation.
    pub user_id: Id,
    /// Fixed after creation.
    pub role: Role,
    /// Null reaches the whole tree: a platform administrator only, and given only by one.
    pub organization_id: Option<Id>,
    /// Today when absent.
    pub from_on: Option<NaiveDate>,
    /// The last day; null until further notice.
    pub to_on: Option<NaiveDate>,
}

fn whole(draft: &RoleGrantDraft) -> Result<(), ValidationError> {
    rules::in_order(draft.from_on.or_else(|| Some(business_today(Instant::now()))), draft.to_on, "to_on")
}

/// Which role grants.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct RoleGrantFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub user_id: Option<Id>,
    #[param(inline)]
    pub role: Option<Role>,
    /// Those that hold on this day.
    pub as_at: Option<NaiveDate>,
}

pub struct RoleGrants;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &RoleGrantFilter) -> t::BoxedQuery<'static, Any> {
    // A platform administrator's grant is on no organization.
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.user_id {
        query = query.filter(t::user_id.eq(id));
    }
    if let Some(role) = filter.role {
        query = query.filter(t::role.eq(role));
    }
    if let Some(day) = filter.as_at {
        query = query.filter(t::from_on.le(day)).filter(t::to_on.is_null().or(t::to_on.ge(day)));
    }
    query
}

/// The users who hold a role on a day within a scope: a filter of users.
pub fn holders(scope: &Scope, role: Role, day: NaiveDate) -> Subset {
    let mut parts = vec![
        Part::Sql("SELECT user_id FROM role_grants WHERE role = "),
        Part::Text(role.code().to_owned()),
        Part::Sql(" AND from_on <= "),
        Part::Date(day),
        Part::Sql(" AND (to_on IS NULL OR to_on >= "),
        Part::Date(day),
        Part::Sql(")"),
    ];
    if !scope.is_whole() {
        parts.push(Part::Sql(" AND organization_id IN ("));
        parts.extend(scope.organizations().subset.0);
        parts.push(Part::Sql(")"));
    }
    Subset(parts)
}

/// Roles that reach beyond an association: given and taken by who administers the whole platform.
fn is_of_platform(role: Role) -> bool {
    matches!(role, Role::PlatformAdmin | Role::ProvinceViewer)
}

/// Those of the users who hold, today or later, what a scope could not have given: outside of it, or one of the platform's roles.
pub fn beyond(conn: &mut AnyConnection, scope: &Scope, user_ids: &[Id], today: NaiveDate) -> Result<HashSet<Id>> {
    if scope.is_whole() || user_ids.is_empty() {
        return Ok(HashSet::new());
    }
    let held: Vec<(Id, Role, Option<Id>)> = t::table
        .filter(t::user_id.eq_any(user_ids.to_vec()))
        .filter(t::to_on.is_null().or(t::to_on.ge(today)))
        .select((t::user_id, t::role, t::organization_id))
        .load(conn)?;
    let outside = scope.lacks(conn, held.iter().filter_map(|(.., organization_id)| *organization_id).collect())?;
    let givable = |role, organization_id: Option<Id>| !is_of_platform(role) && organization_id.is_some_and(|id| !outside.contains(&id));
    Ok(held.into_iter().filter(|(_, role, organization_id)| !givable(*role, *organization_id)).map(|(user_id, ..)| user_id).collect())
}

/// Refuses what has left nobody to administer the platform, where there were some.
pub fn keep_an_administrator(tx: &mut Tx<'_>, were: i64) -> Result<()> {
    if were == 0 || auth::administrators(tx)? > 0 {
        return Ok(());
    }
    Err(Error::because(
        Code::Conflict,
        "这是最后一位平台管理员；请先授权另一位",
        "this is the last platform administrator; grant the role to another first",
    ))
}

/// Refuses who would change their own grants, or give what is the platform's to give.
fn may_give(actor_id: Option<Id>, scope: &Scope, user_id: Id, role: Role) -> Result<()> {
    if actor_id == Some(user_id) {
        return Err(Error::because(
            Code::Forbidden,
            "不能给自己授权，也不能更改或收回自己的授权；请由其他管理员办理",
            "nobody grants to themselves, nor changes or ends their own grants; ask another administrator",
        ));
    }
    if is_of_platform(role) && !scope.is_whole() {
        return Err(Error::because(
            Code::Forbidden,
            "平台管理员和省级查看员只能由平台管理员授权",
            "platform administrators and province viewers are made by a platform administrator",
        ));
    }
    Ok(())
}

/// Faults of what a draft refers to, and of an organization that is missing.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[RoleGrantDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let organizations: Vec<_> = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), draft.organization_id)).collect();
    rules::all_in_scope(tx.conn, scope, "organizations", organizations, &mut faults)?;
    faults.extend(drafts.iter().enumerate().filter(|(_, d)| d.organization_id.is_none() && d.role != Role::PlatformAdmin).map(|(i, _)| {
        Fault::new(at(i, "organization_id"), "required", Says::new("此角色需要指定协会", "this role needs an organization"))
    }));
    Error::unless_empty(faults)
}

/// Faults of users who are not there, and of roles that don't fit them.
fn check_users(tx: &mut Tx<'_>, scope: &Scope, drafts: &[RoleGrantDraft]) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let wanted: Vec<_> = drafts.iter().enumerate().map(|(i, draft)| (format!("/{i}/user_id"), Some(draft.user_id))).collect();
    rules::all_in_scope(tx.conn, scope, "users", wanted, &mut faults)?;
    Error::unless_empty(faults)?;
    let ids: Vec<Id> = drafts.iter().map(|draft| draft.user_id).collect();
    let known: Vec<(Id, UserKind, Option<Id>)> =
        users::table.filter(users::id.eq_any(ids)).select((users::id, users::kind, users::person_id)).load(tx.conn)?;
    let mut faults = Vec::new();
    for (i, draft) in drafts.iter().enumerate() {
        let Some((_, kind, person_id)) = known.iter().find(|(id, ..)| *id == draft.user_id) else { continue };
        if (draft.role == Role::Service) != (*kind == UserKind::Service) {
            faults.push(Fault::new(
                format!("/{i}/role"),
                "kind_mismatch",
                Says::new(
                    "系统对接角色只授予系统用户，其他角色只授予人员用户",
                    "the role service is for machine clients and for nobody else; other roles are for persons",
                ),
            ));
        }
        if matches!(draft.role, Role::Volunteer | Role::HeroFamily) && person_id.is_none() {
            faults.push(Fault::new(
                format!("/{i}/user_id"),
                "person_missing",
                Says::new(
                    "此角色只能查看本人记录，请先在用户上填写 person_id",
                    "this role sees its person's own records; give the user a person_id first",
                ),
            ));
        }
    }
    Error::unless_empty(faults)
}

/// Who is given an office comes in by WeChat no more on the word of a phone number, which clerks write: see [`crate::wechat::login`].
fn leave_the_phone(tx: &mut Tx<'_>, grants: &[RoleGrant]) -> Result<()> {
    let offices = grants.iter().filter(|grant| !matches!(grant.role, Role::Volunteer | Role::HeroFamily));
    let users: Vec<Id> = offices.map(|grant| grant.user_id).collect();
    if users.is_empty() { Ok(()) } else { bindings::end_by_phone(tx, &users) }
}

impl Resource for RoleGrants {
    const NAME: &'static str = "role_grants";
    const LABEL: (&'static str, &'static str) = ("角色授权", "role grant");
    const AREA: Area = Area::Access;
    /// Grants are given one by one, by hand.
    const IMPORTABLE: bool = false;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION, Reference { field: "user_id", column: "user_code", of: "users" }];

    type View = RoleGrant;
    type Draft = RoleGrantDraft;
    type Filter = RoleGrantFilter;

    reads!(t, RoleGrant);

    /// As [`may_give`] says.
    fn objections(_: &mut AnyConnection, actor: &Actor, asked: &[(&Self::View, Action)]) -> Result<Vec<Option<Error>>> {
        let objection = |grant: &RoleGrant, action| {
            let scope = actor.may(Self::AREA, action)?;
            Ok(may_give(Some(actor.id), &scope, grant.user_id, grant.role).err())
        };
        asked.iter().map(|(grant, action)| objection(grant, *action)).collect()
    }

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        auth::take_turn(tx)?;
        for draft in &drafts {
            may_give(tx.actor_id, scope, draft.user_id, draft.role)?;
        }
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        check_users(tx, scope, &drafts)?;
        let (now, today) = (tx.now, business_today(tx.now));
        let rows: Vec<RoleGrant> = drafts
            .into_iter()
            .map(|draft| RoleGrant {
                id: Id::new(),
                code: code_or_new(draft.code.as_deref()),
                user_id: draft.user_id,
                role: draft.role,
                organization_id: draft.organization_id,
                from_on: draft.from_on.unwrap_or(today),
                to_on: draft.to_on,
                version: 1,
                created_at: now,
                updated_at: now,
            })
            .collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        leave_the_phone(tx, &rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let grant = view.clone();
        Ok(RoleGrantDraft {
            code: Some(grant.code),
            user_id: grant.user_id,
            role: grant.role,
            organization_id: grant.organization_id,
            from_on: Some(grant.from_on),
            to_on: grant.to_on,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        auth::take_turn(tx)?;
        may_give(tx.actor_id, scope, before.user_id, before.role)?;
        let were = auth::administrators(tx)?;
        let fixed = |field: &str| {
            let says = Says::new(
                "授权后不能更改；请填写 to_on 结束本授权，再新建",
                "this can't be changed; end this grant with to_on and make a new one",
            );
            Fault::new(field, "fixed", says)
        };
        let changed = [(draft.user_id != before.user_id, "/user_id"), (draft.role != before.role, "/role")];
        Error::unless_empty(changed.iter().filter(|(changed, _)| *changed).map(|(_, field)| fixed(field)).collect())?;
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = RoleGrant {
            code: code_or_new(draft.code.as_deref()),
            organization_id: draft.organization_id,
            from_on: draft.from_on.unwrap_or(before.from_on),
            to_on: draft.to_on,
            version: before.version + 1,
            updated_at: tx.now,
            ..before.clone()
        };
        save!(tx, t, before, &after)?;
        keep_an_administrator(tx, were)?;
        leave_the_phone(tx, std::slice::from_ref(&after))?;
        Ok(after)
    }

    fn delete(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View) -> Result<()> {
        auth::take_turn(tx)?;
        may_give(tx.actor_id, scope, before.user_id, before.role)?;
        let were = auth::administrators(tx)?;
        remove!(tx, t, before)?;
        keep_an_administrator(tx, were)
    }

    /// Of those on an organization.
    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        let query = query(scope, filter).select((t::organization_id, aggregate!("COUNT(*)")));
        let groups: Vec<(Option<Id>, i64)> = Grouped { query, by: "organization_id" }.load(conn)?;
        let groups: Vec<Counted> = groups.into_iter().filter_map(|(holder, grants)| Some((holder?, grants))).collect();
        Ok(Measured::counted(measure, groups))
    }
}
