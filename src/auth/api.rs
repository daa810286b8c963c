//! Signing in and out, and what one may do.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

use super::session::{self, Refreshed};
use super::{Auth, Caller, UserKind, UserStatus, password, throttle, token};
use crate::db::{Db, Deed};
use crate::error::{Code, Error, Result};
use crate::policy::{Action, Area, Role, allows};
use crate::schema::users;
use crate::types::{Id, Instant, TextEnum};
use crate::web::contract::{Contract, DictionaryEntry};
use crate::web::{body, frame};

pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(login)
        .service(client_token)
        .service(refresh)
        .service(logout)
        .service(revoke)
        .service(me)
        .service(change_password)
        .service(roles)
        .service(dictionaries);
}

/// A username and a password.
#[derive(Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    #[schema(max_length = 64, example = "clerk")]
    username: String,
    #[schema(max_length = 200, format = Password)]
    password: String,
}

/// Tokens of a session.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds.
    #[schema(example = 600)]
    expires_in: i64,
    /// Works once: its successor comes with the answer. Machine clients have none.
    refresh_token: Option<String>,
    /// Until the password is changed, nothing else is allowed.
    must_change_password: bool,
}

/// Who has come in, by whichever way.
pub(crate) struct SignedIn {
    pub user_id: Id,
    pub username: String,
    pub session_id: Id,
    pub refresh_token: Option<String>,
    pub must_change_password: bool,
}

/// The deed of a request whose caller holds no token.
pub(crate) fn deed(request: &HttpRequest, actor_id: Option<Id>) -> Deed {
    use actix_web::HttpMessage;
    let facts = request.extensions().get::<frame::RequestFacts>().cloned();
    let (request_id, address) = facts.map(|facts| (facts.request_id, facts.address)).unwrap_or_default();
    Deed { actor_id, request_id, address, once: None, rolled_back: false }
}

/// The way in, for people and programs alike: the same answer for whatever is wrong.
async fn sign_in(request: &HttpRequest, auth: &Auth, db: &Db, credentials: Credentials, kind: UserKind) -> Result<SignedIn> {
    type Row = (Id, String, UserStatus, UserKind, bool, i32, Option<Instant>, Option<Id>);
    let wait = |seconds: u32| Error::new(Code::TooManyRequests).retry_after(seconds);
    let address = auth.throttle.address(request);
    auth.refuse_waiting(request)?;
    let username = credentials.username.clone();
    let user: Option<Row> = db
        .read(move |conn| {
            Ok(users::table
                .filter(users::username.eq(&username))
                .select((
                    users::id,
                    users::password_hash,
                    users::status,
                    users::kind,
                    users::must_change_password,
                    users::failed_attempts,
                    users::locked_until,
                    users::organization_id,
                ))
                .first(conn)
                .optional()?)
        })
        .await?;
    let now = Instant::now();
    // Where the owner has signed in from before, only failures from there count.
    let familiar = address.filter(|_| user.is_some()).and_then(|address| auth.throttle.familiar_wait(&credentials.username, address));
    let waits = match (familiar, &user) {
        (Some(waits), _) => waits,
        (None, Some(user)) => user.6.filter(|until| *until > now).map(|until| u32::try_from(until.seconds_since(now).max(1)).unwrap_or(1)),
        (None, None) => auth.throttle.unknown_wait(&credentials.username),
    };
    if let Some(seconds) = waits {
        return Err(wait(seconds));
    }
    let turn = password::turn().await?;
    let hash = user.as_ref().map(|user| user.1.clone());
    let password = zeroize::Zeroizing::new(credentials.password);
    let (right, renewed) = db
        .block_long(move || {
            let right = password::verify(&password, hash.as_deref())?;
            let outdated = right && hash.as_deref().is_some_and(password::is_outdated);
            Ok((right, if outdated { Some(password::hash(&password)?) } else { None }))
        })
        .await?;
    drop(turn);
    let known = user.as_ref().map(|user| (user.0, user.5));
    let organization_id = user.as_ref().and_then(|user| user.7);
    let admitted = user.filter(|(_, _, status, user_kind, ..)| right && *status == UserStatus::Active && *user_kind == kind);
    let Some((user_id, _, _, _, must_change_password, ..)) = admitted else {
        if let Some(address) = address {
            auth.throttle.address_failed(address);
        }
        match (known, familiar, address) {
            (None, ..) => auth.throttle.unknown_failed(&credentials.username),
            (Some(_), Some(_), Some(address)) => auth.throttle.familiar_failed(&credentials.username, address),
            _ => {}
        }
        // An unknown name costs a write as well, so that time doesn't tell it either. What was typed isn't noted: it
        // may have been the password. Nor is the account's owner said to have done it.
        let named = known.map(|(user_id, _)| (user_id, json!({"username": credentials.username})));
        let counted = known.filter(|_| familiar.is_none());
        db.write_value(deed(request, None), move |tx| {
            if let Some((user_id, failures)) = counted {
                let until = throttle::wait_seconds(failures + 1).map(|seconds| tx.now.plus_seconds(seconds));
                diesel::update(users::table.filter(users::id.eq(user_id)))
                    .set((users::failed_attempts.eq(users::failed_attempts + 1), users::locked_until.eq(until)))
                    .execute(tx.conn)?;
            }
            let (user_id, detail) = named.as_ref().map(|(user_id, detail)| (*user_id, detail)).unzip();
            tx.audit("login_failed", "users", user_id, organization_id, detail).refused();
            Ok(())
        })
        .await?;
        return Err(Error::new(Code::InvalidCredentials));
    };
    let (session_id, refresh_token) = db
        .write_value(deed(request, Some(user_id)), move |tx| {
            diesel::update(users::table.filter(users::id.eq(user_id)))
                .set((users::failed_attempts.eq(0), users::locked_until.eq(None::<Instant>)))
                .execute(tx.conn)?;
            if let Some(hash) = &renewed {
                diesel::update(users::table.filter(users::id.eq(user_id))).set(users::password_hash.eq(hash)).execute(tx.conn)?;
            }
            let begun = session::begin(tx, user_id, kind == UserKind::Person, None)?;
            tx.audit("login", "users", Some(user_id), organization_id, None);
            Ok(begun)
        })
        .await?;
    if let Some(address) = address {
        auth.throttle.signed_in(&credentials.username, address);
    }
    Ok(SignedIn { user_id, username: credentials.username, session_id, refresh_token, must_change_password })
}

pub(crate) fn tokens(auth: &Auth, signed_in: SignedIn) -> Result<HttpResponse> {
    let access_token = auth.keys().issue(signed_in.user_id, &signed_in.username, signed_in.session_id, Instant::now())?;
    Ok(HttpResponse::Ok().json(Tokens {
        access_token,
        token_type: "Bearer",
        expires_in: token::LIFETIME_SECONDS,
        refresh_token: signed_in.refresh_token,
        must_change_password: signed_in.must_change_password,
    }))
}

/// Signs a person in. After several failures in a row the account waits a little longer each time (429), but not where
/// it has been signed in to before; an address that fails very often waits as well.
#[utoipa::path(operation_id = "auth_login", tag = "auth", summary = "登录 / Sign in", security(()),
    request_body(content = Credentials),
    responses((status = 200, description = "Signed in.", body = Tokens)))]
#[post("/auth/login")]
pub async fn login(request: HttpRequest, auth: web::Data<Auth>, db: web::Data<Db>, mut payload: web::Payload) -> Result<HttpResponse> {
    let credentials: Credentials = body::typed(&request, &mut payload).await?;
    tokens(&auth, sign_in(&request, &auth, &db, credentials, UserKind::Person).await?)
}

/// A client's id and secret.
#[derive(Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    #[schema(max_length = 32, example = "client_credentials")]
    grant_type: String,
    #[schema(max_length = 64, example = "importer")]
    client_id: String,
    #[schema(max_length = 200, format = Password)]
    client_secret: String,
}

/// Signs a machine client in (client credentials).
#[utoipa::path(operation_id = "auth_token", tag = "auth", summary = "系统对接登录 / Sign a machine client in", security(()),
    request_body(content = ClientCredentials),
    responses((status = 200, description = "Signed in.", body = Tokens)))]
#[post("/auth/token")]
pub async fn client_token(
    request: HttpRequest,
    auth: web::Data<Auth>,
    db: web::Data<Db>,
    mut payload: web::Payload,
) -> Result<HttpResponse> {
    let client: ClientCredentials = body::typed(&request, &mut payload).await?;
    if client.grant_type != "client_credentials" {
        return Err(Error::field("/grant_type", "unknown_entry", "应为 client_credentials", "this should be client_credentials"));
    }
    let credentials = Credentials { username: client.client_id, password: client.client_secret };
    tokens(&auth, sign_in(&request, &auth, &db, credentials, UserKind::Service).await?)
}

/// A refresh token.
#[derive(Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct RefreshToken {
    #[schema(max_length = 200)]
    refresh_token: String,
}

/// New tokens for old. A refresh token works once; its reuse ends the session.
#[utoipa::path(operation_id = "auth_refresh", tag = "auth", summary = "续期 / Renew the tokens", security(()),
    request_body(content = RefreshToken),
    responses((status = 200, description = "Renewed.", body = Tokens)))]
#[post("/auth/refresh")]
pub async fn refresh(request: HttpRequest, auth: web::Data<Auth>, db: web::Data<Db>, mut payload: web::Payload) -> Result<HttpResponse> {
    let given: RefreshToken = body::typed(&request, &mut payload).await?;
    match db.write_value(deed(&request, None), move |tx| session::refresh(tx, &given.refresh_token)).await? {
        Refreshed::Refused => Err(session::refused()),
        Refreshed::Renewed { user_id, username, session_id, refresh_token, must_change_password } => {
            tokens(&auth, SignedIn { user_id, username, session_id, refresh_token: Some(refresh_token), must_change_password })
        }
    }
}

/// Ends the session, everywhere at once.
#[utoipa::path(operation_id = "auth_logout", tag = "auth", summary = "退出 / Sign out", responses((status = 204, description = "Signed out.")))]
#[post("/auth/logout")]
pub async fn logout(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    let session_id = caller.actor.session_id;
    db.write_value(deed(&request, Some(caller.actor.id)), move |tx| {
        tx.audit("logout", "sessions", Some(session_id), None, None);
        session::end(tx, session_id, "logout")
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ends the session of a refresh token; an unknown token is no error (RFC 7009).
#[utoipa::path(operation_id = "auth_revoke", tag = "auth", summary = "吊销续期凭证 / Revoke a refresh token", security(()),
    request_body(content = RefreshToken), responses((status = 200, description = "It does not work any more.")))]
#[post("/auth/revoke")]
pub async fn revoke(request: HttpRequest, db: web::Data<Db>, mut payload: web::Payload) -> Result<HttpResponse> {
    let given: RefreshToken = body::typed(&request, &mut payload).await?;
    db.write_value(deed(&request, None), move |tx| match session::of_token(tx, &given.refresh_token)? {
        Some(session_id) => {
            tx.audit("logout", "sessions", Some(session_id), None, None);
            session::end(tx, session_id, "revoked")
        }
        None => Ok(()),
    })
    .await?;
    Ok(HttpResponse::new(StatusCode::OK))
}

/// The signed-in user and what they may do.
#[derive(Serialize, ToSchema)]
pub struct Me {
    id: Id,
    username: String,
    name: String,
    person_id: Option<Id>,
    must_change_password: bool,
    grants: Vec<MyGrant>,
}

/// A role that holds today.
#[derive(Serialize, ToSchema)]
pub struct MyGrant {
    role: Role,
    label_zh: &'static str,
    /// Null reaches the whole tree.
    organization_id: Option<Id>,
    permissions: Vec<Permission>,
}

/// What a role may do in one area.
#[derive(Serialize, ToSchema)]
pub struct Permission {
    #[schema(example = "publicity")]
    area: &'static str,
    actions: Vec<Action>,
}

fn permissions(role: Role) -> Vec<Permission> {
    Area::all()
        .map(|area| Permission { area: area.code(), actions: Action::all().filter(|action| allows(role, area, *action)).collect() })
        .filter(|permission| !permission.actions.is_empty())
        .collect()
}

/// Who I am and what I may do.
#[utoipa::path(operation_id = "auth_me", tag = "auth", summary = "当前用户及权限 / Who I am, and what I may do", responses((status = 200, description = "The caller.", body = Me)))]
#[get("/auth/me")]
pub async fn me(caller: Caller) -> HttpResponse {
    let actor = caller.actor;
    HttpResponse::Ok().json(Me {
        id: actor.id,
        username: actor.username.clone(),
        name: actor.name.clone(),
        person_id: actor.person_id,
        must_change_password: actor.must_change_password,
        grants: actor
            .grants
            .iter()
            .map(|grant| MyGrant {
                role: grant.role,
                label_zh: grant.role.label().0,
                organization_id: grant.organization_id,
                permissions: permissions(grant.role),
            })
            .collect(),
    })
}

/// The present password and a new one.
#[derive(Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    #[schema(max_length = 200, format = Password)]
    current_password: String,
    #[schema(max_length = 200, format = Password)]
    new_password: String,
}

/// Changes one's own password and ends one's other sessions.
#[utoipa::path(operation_id = "auth_password", tag = "auth", summary = "修改密码 / Change the password",
    request_body(content = PasswordChange), responses((status = 204, description = "Changed.")))]
#[post("/auth/password")]
pub async fn change_password(request: HttpRequest, caller: Caller, db: web::Data<Db>, mut payload: web::Payload) -> Result<HttpResponse> {
    let change: PasswordChange = body::typed(&request, &mut payload).await?;
    let (id, session_id) = (caller.actor.id, caller.actor.session_id);
    let (kept, kind): (String, UserKind) =
        db.read(move |conn| Ok(users::table.filter(users::id.eq(id)).select((users::password_hash, users::kind)).first(conn)?)).await?;
    if let Some(flaw) = password::flaw(kind, &change.new_password, &caller.actor.username) {
        return Err(Error::field("/new_password", "weak_password", flaw.zh, flaw.en));
    }
    let turn = password::turn().await?;
    let hash = db
        .block_long(move || {
            if !password::verify(&change.current_password, Some(&kept))? {
                return Err(Error::field("/current_password", "wrong_password", "当前密码不正确", "the present password is wrong"));
            }
            password::hash(&change.new_password)
        })
        .await?;
    drop(turn);
    db.write_value(deed(&request, Some(id)), move |tx| {
        diesel::update(users::table.filter(users::id.eq(id)))
            .set((
                users::password_hash.eq(&hash),
                users::must_change_password.eq(false),
                users::version.eq(users::version + 1),
                users::updated_at.eq(tx.now),
            ))
            .execute(tx.conn)?;
        tx.audit("change_password", "users", Some(id), None, None);
        session::end_others(tx, id, Some(session_id), "password changed")
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A role and what it permits.
#[derive(Serialize, ToSchema)]
pub struct RoleFacts {
    role: Role,
    label_zh: &'static str,
    permissions: Vec<Permission>,
}

/// The role table: who may do what.
#[utoipa::path(operation_id = "roles_list", tag = "auth", summary = "角色权限表 / The role table", responses((status = 200, description = "All roles.", body = [RoleFacts])))]
#[get("/roles")]
pub async fn roles(_caller: Caller) -> HttpResponse {
    let roles: Vec<RoleFacts> =
        Role::all().map(|role| RoleFacts { role, label_zh: role.label().0, permissions: permissions(role) }).collect();
    HttpResponse::Ok().json(roles)
}

/// Every code with its labels, by the name of its dictionary.
#[utoipa::path(operation_id = "dictionaries_list", tag = "auth", summary = "字典 / The dictionaries", responses((status = 200, description = "All dictionaries.", body = BTreeMap<String, Vec<DictionaryEntry>>)))]
#[get("/dictionaries")]
pub async fn dictionaries(_caller: Caller, contract: web::Data<Contract>) -> HttpResponse {
    HttpResponse::Ok().json(contract.dictionaries())
}

/// The public keys that verify access tokens.
#[utoipa::path(operation_id = "jwks", tag = "auth", summary = "公钥 / Public keys", security(()), responses((status = 200, description = "A JSON Web Key Set.", body = Value)))]
#[get("/.well-known/jwks.json")]
pub async fn jwks(auth: web::Data<Auth>) -> HttpResponse {
    HttpResponse::Ok().json(auth.keys().jwks())
}
