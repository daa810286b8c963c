//! Users (用户): who signs in, a person or a program, and with which association they are registered.
//!
//! What a user may do stands in their grants. An administrator changes only a user all of whose grants they could
//! have given: otherwise a county's administrator could set a new password for a city's officer who is registered
//! with the county, and act as that officer.

use std::collections::HashSet;

use actix_web::{HttpRequest, HttpResponse, post, web};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::{notifications, role_grants, rules};
use crate::auth::{self, Caller, UserKind, UserStatus, password, session};
use crate::db::{Any, AnyConnection, Db, Grouped, Tx, each, grams};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Actor, Area, OrganizationLevel, Role, Scope};
use crate::schema::users as t;
use crate::types::{Id, Instant, business_today, code_or_new};
use crate::web::handlers::{deed_of, id_of, no_parameters};
use crate::web::resource::{Counted, Step, aggregate};
use crate::web::shape::Shape;
use crate::web::verbs::refusal;
use crate::web::{Measure, Measured, Reference, Resource, Viewed, reads, remove, save};
use crate::wechat::bindings::{self, BindingCode};

/// Hashing is slow by design: more at once would hold up other writes.
const MOST_AT_ONCE: usize = 20;

/// A user: a person or a program that signs in.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct User {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that the user is registered with; null for who administers the whole platform.
    pub organization_id: Option<Id>,
    pub kind: UserKind,
    pub username: String,
    pub name: String,
    /// The person that the user is.
    pub person_id: Option<Id>,
    /// Changed by `disable` and `enable` only.
    pub status: UserStatus,
    /// Until the password is changed, nothing else is allowed.
    pub must_change_password: bool,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

impl Viewed for User {
    fn searched(&self) -> Option<String> {
        Some(self.name.clone())
    }
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
    fn person_id(&self) -> Option<Id> {
        self.person_id
    }
}

/// What may be written of a user. A new person must change the initial password at the first sign-in; a program keeps
/// its secret.
#[derive(Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "kind": "person", "username": "li.na", "name": "李娜", "initial_password": "四月的风吹过金水河边的柳树"}))]
pub struct UserDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// Null only by who reaches the whole tree.
    pub organization_id: Option<Id>,
    /// Fixed after creation.
    pub kind: UserKind,
    /// 3 to 64 lower-case letters, digits, or `. _ -`; fixed after creation.
    #[schema(min_length = 3, max_length = 64, example = "li.na")]
    #[validate(custom(function = "valid_username"))]
    pub username: String,
    #[schema(min_length = 1, max_length = 50, example = "李娜")]
    pub name: String,
    pub person_id: Option<Id>,
    /// Needed on creation and only then: 12 characters or more, of a machine client 32 or more; none that is common.
    #[schema(max_length = 200, format = Password, write_only)]
    pub initial_password: Option<String>,
}

fn valid_username(username: &str) -> Result<(), ValidationError> {
    auth::username_flaw(username).map_or(Ok(()), |flaw| Err(refusal(None, "invalid_username", &flaw)))
}

fn whole(draft: &UserDraft) -> Result<(), ValidationError> {
    let flaw = draft.initial_password.as_deref().and_then(|password| password::flaw(draft.kind, password, &draft.username));
    flaw.map_or(Ok(()), |flaw| Err(refusal(Some("initial_password"), "weak_password", &flaw)))
}

/// The new password of a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// 12 characters or more, of a machine client 32 or more; none that is common.
    #[schema(max_length = 200, format = Password, write_only)]
    new_password: String,
}

/// Which users.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct UserFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    pub username: Option<String>,
    #[param(inline)]
    pub kind: Option<UserKind>,
    #[param(inline)]
    pub status: Option<UserStatus>,
    /// Those who hold this role today, within the caller's reach.
    #[param(inline)]
    pub role: Option<Role>,
}

/// A new user as it is kept.
#[derive(Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
struct Row {
    #[diesel(embed)]
    view: User,
    password_hash: String,
    failed_attempts: i32,
    locked_until: Option<Instant>,
}

pub struct Users;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &UserFilter) -> t::BoxedQuery<'static, Any> {
    // Who administers the whole platform is registered with no association.
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(Users::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(username) = &filter.username {
        query = query.filter(t::username.eq(username.clone()));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(t::kind.eq(kind));
    }
    if let Some(status) = filter.status {
        query = query.filter(t::status.eq(status));
    }
    if let Some(role) = filter.role {
        query = query.filter(role_grants::holders(scope, role, business_today(Instant::now())).holds(t::id));
    }
    query
}

fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[UserDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&UserDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| draft.organization_id)?;
    check("persons", "person_id", |draft| draft.person_id)?;
    if !scope.is_whole() {
        faults.extend(drafts.iter().enumerate().filter(|(_, draft)| draft.organization_id.is_none()).map(|(i, _)| {
            Fault::new(
                at(i, "organization_id"),
                "required",
                Says::new(
                    "请填写用户所属协会；只有平台管理员可以留空",
                    "give the association that the user is registered with; only a platform administrator may leave it out",
                ),
            )
        }));
    }
    Error::unless_empty(faults)
}

/// Refuses to change a user who holds, today or later, what the caller could not have given.
fn only_in_hand(tx: &mut Tx<'_>, scope: &Scope, user: &User) -> Result<()> {
    let beyond = role_grants::beyond(tx.conn, scope, &[user.id], business_today(tx.now))?;
    if beyond.is_empty() { Ok(()) } else { Err(out_of_hand()) }
}

fn out_of_hand() -> Error {
    Error::because(
        Code::Forbidden,
        "该用户还持有您无权授予的角色（在您的管辖范围之外，或属平台级角色），请由上级协会或平台管理员办理",
        "the user also holds a role that you could not grant: outside your scope, or one of the platform; ask the administrator above",
    )
}

fn only_others(tx: &Tx<'_>, user: &User) -> Result<()> {
    if tx.actor_id == Some(user.id) { Err(own_account()) } else { Ok(()) }
}

fn own_account() -> Error {
    Error::because(
        Code::Forbidden,
        "不能对自己的账号执行此操作，请由其他管理员办理；修改自己的密码请用 /auth/password",
        "this can't be done to one's own account; ask another administrator, and change your own password at /auth/password",
    )
}

/// Writes a user over the version that was read.
fn save(tx: &mut Tx<'_>, before: &User, mut after: User) -> Result<User> {
    after.version = before.version + 1;
    after.updated_at = tx.now;
    save!(tx, t, before, &after)?;
    Ok(after)
}

/// What every step begins with.
fn begin(tx: &mut Tx<'_>, scope: &Scope, user: &User) -> Result<()> {
    only_others(tx, user)?;
    auth::take_turn(tx)?;
    only_in_hand(tx, scope, user)
}

/// `disable`: no way in any more, and all sessions end at once.
fn disable(tx: &mut Tx<'_>, scope: &Scope, before: User, _: &Value) -> Result<User> {
    begin(tx, scope, &before)?;
    let were = auth::administrators(tx)?;
    let after = save(tx, &before, User { status: UserStatus::Disabled, ..before.clone() })?;
    session::end_others(tx, after.id, None, "disabled")?;
    role_grants::keep_an_administrator(tx, were)?;
    Ok(after)
}

/// `unbind`: no WeChat account is theirs any more, and the sessions that began by one end.
fn unbind(tx: &mut Tx<'_>, scope: &Scope, before: User, _: &Value) -> Result<User> {
    begin(tx, scope, &before)?;
    let after = save(tx, &before, before.clone())?;
    bindings::end_all(tx, after.id)?;
    Ok(after)
}

/// Gives a code by which a user binds a WeChat account; good once, for a day. One that was given before doesn't count any more.
#[utoipa::path(operation_id = "users_binding_code", tag = "users", summary = "发放微信绑定码 / Give a binding code for WeChat",
    params(("id" = Id, Path, description = "Id of the user.")),
    responses((status = 201, description = "The code: it is told once.", body = BindingCode)))]
#[post("/users/{id}/binding-code")]
pub async fn binding_code(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    let scope = caller.actor.may(Area::Access, Action::BindingCode)?;
    let id = id_of(&request)?;
    no_parameters(&request)?;
    // A key would keep the code among the replies.
    let mut deed = deed_of(&request, &caller, &[], false)?;
    deed.once = None;
    let issued = db
        .write_value(deed, move |tx| {
            let user = Users::find(tx.conn, &scope, id)?;
            if !Users::offers(&user).contains(&Action::BindingCode) {
                return Err(Error::because(
                    Code::StepNotAllowed,
                    "只有启用的人员账号可以绑定微信",
                    "only a person's account that is active is bound to WeChat",
                ));
            }
            begin(tx, &scope, &user)?;
            bindings::issue(tx, user.id)
        })
        .await?;
    Ok(HttpResponse::Created().json(issued))
}

/// `enable`: the way in is open again.
fn enable(tx: &mut Tx<'_>, scope: &Scope, before: User, _: &Value) -> Result<User> {
    begin(tx, scope, &before)?;
    save(tx, &before, User { status: UserStatus::Active, ..before.clone() })
}

/// `reset-password`: a new password, to be changed by its person; all sessions end, and no wait is left.
fn reset_password(tx: &mut Tx<'_>, scope: &Scope, before: User, body: &Value) -> Result<User> {
    let NewPassword { new_password } = serde_json::from_value(body.clone()).map_err(Error::internal)?;
    let new_password = zeroize::Zeroizing::new(new_password);
    if let Some(flaw) = password::flaw(before.kind, &new_password, &before.username) {
        return Err(Error::field("/new_password", "weak_password", flaw.zh, flaw.en));
    }
    begin(tx, scope, &before)?;
    let hash = password::hash(&new_password)?;
    let after = save(tx, &before, User { must_change_password: before.kind == UserKind::Person, ..before.clone() })?;
    diesel::update(t::table.filter(t::id.eq(after.id)))
        .set((t::password_hash.eq(hash), t::failed_attempts.eq(0), t::locked_until.eq(None::<Instant>)))
        .execute(tx.conn)?;
    session::end_others(tx, after.id, None, "password reset")?;
    Ok(after)
}

fn fixed(field: &'static str, zh: &str, en: &str) -> Fault {
    Fault::new(field, "fixed", Says::new(zh, en))
}

impl Resource for Users {
    const NAME: &'static str = "users";
    const LABEL: (&'static str, &'static str) = ("用户", "user");
    const AREA: Area = Area::Access;
    /// Accounts are made one by one, by hand: a password would stand in a file.
    const IMPORTABLE: bool = false;
    const REFERENCES: &'static [Reference] =
        &[Reference::ORGANIZATION, Reference { field: "person_id", column: "person_code", of: "persons" }];

    type View = User;
    type Draft = UserDraft;
    type Filter = UserFilter;

    reads!(t, User);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        if drafts.len() > MOST_AT_ONCE {
            return Err(Error::field(
                "",
                "too_many_items",
                format!("一次最多建立 {MOST_AT_ONCE} 个用户"),
                format!("at most {MOST_AT_ONCE} users at once"),
            ));
        }
        let missing = drafts.iter().enumerate().filter(|(_, draft)| draft.initial_password.is_none());
        let says = || Says::new("请填写初始密码", "give an initial password");
        Error::unless_empty(missing.map(|(i, _)| Fault::new(format!("/{i}/initial_password"), "required", says())).collect())?;
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let usernames: Vec<String> = drafts.iter().map(|draft| draft.username.clone()).collect();
        let taken: Vec<String> = t::table.filter(t::username.eq_any(usernames.clone())).select(t::username).load(tx.conn)?;
        let again = |i: usize| taken.contains(&usernames[i]) || usernames[..i].contains(&usernames[i]);
        let faults: Vec<Fault> = (0..usernames.len()).filter(|i| again(*i)).map(|i| username_taken(format!("/{i}/username"))).collect();
        if !faults.is_empty() {
            return Err(Error::with_faults(Code::AlreadyExists, faults));
        }
        let mut rows = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let view = User {
                id: Id::new(),
                code: code_or_new(draft.code.as_deref()),
                organization_id: draft.organization_id,
                kind: draft.kind,
                username: draft.username,
                name: draft.name,
                person_id: draft.person_id,
                status: UserStatus::Active,
                must_change_password: draft.kind == UserKind::Person,
                version: 1,
                created_at: tx.now,
                updated_at: tx.now,
            };
            let password = zeroize::Zeroizing::new(draft.initial_password.unwrap_or_default());
            rows.push(Row { view, password_hash: password::hash(&password)?, failed_attempts: 0, locked_until: None });
        }
        for chunk in rows.chunks(500) {
            each!(&mut *tx.conn, c => diesel::insert_into(t::table).values(chunk).execute(c))?;
        }
        Ok(rows.into_iter().map(|row| row.view).collect())
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let user = view.clone();
        Ok(UserDraft {
            code: Some(user.code),
            organization_id: user.organization_id,
            kind: user.kind,
            username: user.username,
            name: user.name,
            person_id: user.person_id,
            initial_password: None,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        let mut faults = Vec::new();
        if draft.kind != before.kind {
            faults.push(fixed("/kind", "建立后不能更改；请另建用户", "this can't be changed; create another user"));
        }
        if draft.username != before.username {
            faults.push(fixed("/username", "用户名建立后不能更改", "a username can't be changed"));
        }
        if draft.initial_password.is_some() {
            faults.push(fixed(
                "/initial_password",
                "只能在建立时填写；重置密码请用 reset-password",
                "only given on creation; use reset-password for a new one",
            ));
        }
        Error::unless_empty(faults)?;
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        // Whose own records a user sees is for others to say.
        if draft.person_id != before.person_id {
            only_others(tx, before)?;
        }
        auth::take_turn(tx)?;
        only_in_hand(tx, scope, before)?;
        let after = User {
            code: code_or_new(draft.code.as_deref()),
            organization_id: draft.organization_id,
            name: draft.name,
            person_id: draft.person_id,
            ..before.clone()
        };
        let after = save(tx, before, after)?;
        Ok(after)
    }

    fn delete(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View) -> Result<()> {
        begin(tx, scope, before)?;
        notifications::forget(tx, before.id)?;
        remove!(tx, t, before)
    }

    /// Of those who are registered with an association.
    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        let query = query(scope, filter).select((t::organization_id, aggregate!("COUNT(*)")));
        let groups: Vec<(Option<Id>, i64)> = Grouped { query, by: "organization_id" }.load(conn)?;
        let groups: Vec<Counted> = groups.into_iter().filter_map(|(holder, users)| Some((holder?, users))).collect();
        Ok(Measured::counted(measure, groups))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step { action: Action::Disable, summary: "停用用户 / Disable a user", body: None, needs_key: false, run: disable },
            Step { action: Action::Enable, summary: "启用用户 / Enable a user", body: None, needs_key: false, run: enable },
            Step {
                action: Action::Unbind,
                summary: "解除微信绑定（退出由微信登录的会话） / End the bindings to WeChat, and the sessions that began by them",
                body: None,
                needs_key: false,
                run: unbind,
            },
            Step {
                action: Action::ResetPassword,
                summary: "重置密码 / Give a user a new password",
                body: Some(Shape::of::<NewPassword>),
                needs_key: false,
                run: reset_password,
            },
        ]
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        let turn = match view.status {
            UserStatus::Active => Action::Disable,
            UserStatus::Disabled => Action::Enable,
        };
        let mut offered = vec![Action::Update, Action::Delete, turn, Action::ResetPassword];
        // A program holds no telephone.
        if view.kind == UserKind::Person {
            offered.push(Action::Unbind);
            offered.extend((view.status == UserStatus::Active).then_some(Action::BindingCode));
        }
        offered
    }

    /// Of one's own account a name may be mended. Asked again when it is done, in turn: by then a user may hold another role.
    fn objections(conn: &mut AnyConnection, actor: &Actor, asked: &[(&Self::View, Action)]) -> Result<Vec<Option<Error>>> {
        let Ok(scope) = actor.may(Self::AREA, Action::Update) else { return Ok(Vec::new()) };
        let users: Vec<Id> = asked.iter().map(|(user, _)| user.id).collect::<HashSet<_>>().into_iter().collect();
        let beyond = role_grants::beyond(conn, &scope, &users, business_today(Instant::now()))?;
        let objection = |user: &User, action| {
            if action != Action::Update && user.id == actor.id {
                return Some(own_account());
            }
            beyond.contains(&user.id).then(out_of_hand)
        };
        Ok(asked.iter().map(|(user, action)| objection(user, *action)).collect())
    }
}

fn username_taken(pointer: String) -> Fault {
    Fault::new(pointer, "already_exists", Says::new("用户名已被使用，请换一个", "the username is in use; choose another"))
}
