//! The way in by WeChat: a code of `wx.login` tells who holds the telephone. Whose account that is they say once, by their phone number
//! or by a code that the office gave them; a ticket stands for them meanwhile.
//!
//! A phone number in the records is written by clerks, so it opens no account that holds an office: whoever may write a person's number
//! could give an officer's record their own and come in as the officer. It opens those of volunteers and families; an office takes a code
//! from an administrator, and whoever is given one later binds anew.

use actix_web::{HttpRequest, HttpResponse, post, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::bindings::{self, BoundBy};
use super::client::Holder;
use super::errors::{Failure, Meaning};
use super::{WeChat, token};
use crate::auth::{Auth, SignedIn, Tokens, UserKind, UserStatus, deed, session, take_turn, tokens};
use crate::db::{Db, Tx, held};
use crate::error::{Code, Error, Result, Says};
use crate::policy::Role;
use crate::schema::{persons, role_grants, users, wechat_tickets as t};
use crate::types::{Id, Instant, business_today, normalize_phone};
use crate::web::body;
use crate::web::verbs::refusal;

/// How long a ticket is good, and how often it may be tried.
const TICKET_SECONDS: i64 = 600;
const TICKET_TRIES: i32 = 5;
/// An answer may get lost: within this, a ticket that has done its work lets in again.
const GRACE_SECONDS: i64 = 30;

/// A code of `wx.login`.
#[derive(Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct WechatCode {
    #[schema(min_length = 1, max_length = 200)]
    code: String,
}

/// WeChat has told who it is, and no account is theirs yet.
#[derive(Serialize, ToSchema)]
pub struct BindingRequired {
    /// Always true.
    #[schema(example = true)]
    binding_required: bool,
    /// Stands for the WeChat account at `/auth/wechat/bind`.
    binding_ticket: String,
    /// Seconds.
    #[schema(example = 600)]
    expires_in: i64,
}

/// The tokens of a session, or what is needed first.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // The contract's: the answer is made of its parts.
pub enum WechatSignIn {
    Tokens(Tokens),
    BindingRequired(BindingRequired),
}

/// Which account is whose WeChat account: a ticket, and one of the two codes.
#[derive(Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "one_way", skip_on_field_errors = false))]
pub struct WechatBind {
    #[schema(min_length = 1, max_length = 200)]
    binding_ticket: String,
    /// A code of `getPhoneNumber`: the account of the volunteer, or of the family, with this number.
    #[schema(min_length = 1, max_length = 200)]
    phone_code: Option<String>,
    /// A code from the office.
    #[schema(min_length = 1, max_length = 40, example = "7KQ4M-X2V9D")]
    binding_code: Option<String>,
}

fn one_way(body: &WechatBind) -> Result<(), ValidationError> {
    if body.phone_code.is_some() == body.binding_code.is_some() {
        let says = Says::new("手机号授权码与绑定码应填且只填一个", "give either the code of the phone number or the binding code");
        return Err(refusal(Some("phone_code"), "one_of_two", &says));
    }
    Ok(())
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
struct Ticket {
    id: Id,
    ticket_hash: Vec<u8>,
    app_id: String,
    openid_sealed: Vec<u8>,
    unionid_sealed: Option<Vec<u8>>,
    tries: i32,
    created_at: Instant,
    expires_at: Instant,
    used_at: Option<Instant>,
    binding_id: Option<Id>,
}

impl Ticket {
    fn holder(&self, tx: &Tx<'_>) -> Result<Holder> {
        let open = |column: &str, sealed: &[u8]| tx.vault.open("wechat_tickets", column, self.id, sealed);
        let unionid = self.unionid_sealed.as_deref().map(|sealed| open("unionid", sealed)).transpose()?;
        Ok(Holder { openid: open("openid", &self.openid_sealed)?, unionid })
    }
}

/// Expired tickets that one sign-in clears away.
const CLEARED: i64 = 20;

/// A ticket for a WeChat account that is nobody's.
fn ticket(tx: &mut Tx<'_>, app_id: &str, holder: &Holder) -> Result<String> {
    let old: Vec<Id> = t::table.filter(t::expires_at.lt(tx.now)).order(t::expires_at).limit(CLEARED).select(t::id).load(tx.conn)?;
    diesel::delete(t::table.filter(t::id.eq_any(old))).execute(tx.conn)?;
    let secret: [u8; 32] = rand::random();
    let text = URL_SAFE_NO_PAD.encode(secret);
    let id = Id::new();
    let seal = |column: &str, plain: &str| tx.vault.seal("wechat_tickets", column, id, plain);
    let row = Ticket {
        id,
        ticket_hash: hash(&text),
        app_id: app_id.to_owned(),
        openid_sealed: seal("openid", &holder.openid)?,
        unionid_sealed: holder.unionid.as_deref().map(|union| seal("unionid", union)).transpose()?,
        tries: 0,
        created_at: tx.now,
        expires_at: tx.now.plus_seconds(TICKET_SECONDS),
        used_at: None,
        binding_id: None,
    };
    diesel::insert_into(t::table).values(&row).execute(tx.conn)?;
    Ok(text)
}

fn hash(ticket: &str) -> Vec<u8> {
    Sha256::digest(ticket).to_vec()
}

/// What a sign-in comes to. A refusal is no error of the transaction: that it was tried must be kept.
enum Entered {
    In(SignedIn),
    Unbound(String),
    Refused(Error),
}

/// Begins a session of a user by a WeChat account that is theirs.
fn enter(tx: &mut Tx<'_>, binding_id: Id, user_id: Id) -> Result<Entered> {
    type Row = (String, UserStatus, UserKind, Option<Id>);
    let (username, status, kind, organization_id): Row =
        users::table.find(user_id).select((users::username, users::status, users::kind, users::organization_id)).first(tx.conn)?;
    let detail = json!({"way": "wechat", "binding_id": binding_id});
    if status != UserStatus::Active || kind != UserKind::Person {
        tx.audit("login_failed", "users", Some(user_id), organization_id, Some(&detail)).refused();
        return Ok(Entered::Refused(Error::because(
            Code::AccountDisabled,
            "该账号已停用，请联系所属协会",
            "the account is disabled; ask the association",
        )));
    }
    tx.actor_id = Some(user_id);
    let (session_id, refresh_token) = session::begin(tx, user_id, true, Some(binding_id))?;
    tx.audit("login", "users", Some(user_id), organization_id, Some(&detail));
    Ok(Entered::In(SignedIn { user_id, username, session_id, refresh_token, must_change_password: false }))
}

/// Signs a person in by WeChat. Whose WeChat account is nobody's yet gets a ticket, to say at `/auth/wechat/bind` which account is theirs.
#[utoipa::path(operation_id = "auth_wechat_login", tag = "auth", summary = "微信登录 / Sign in by WeChat", security(()),
    request_body(content = WechatCode),
    responses((status = 200, description = "Signed in, or what is needed first.", body = WechatSignIn)))]
#[post("/auth/wechat/login")]
pub async fn login(
    request: HttpRequest,
    auth: web::Data<Auth>,
    db: web::Data<Db>,
    wechat: web::Data<WeChat>,
    mut payload: web::Payload,
) -> Result<HttpResponse> {
    let given: WechatCode = body::typed(&request, &mut payload).await?;
    auth.refuse_waiting(&request)?;
    let app_id = wechat.api()?.settings.app_id.clone();
    let holder = wechat.ask(&db, move |api, _| api.holder_of(&given.code).map_err(|failure| failure.told(Instant::now()))).await;
    let holder = holder.inspect_err(|error| {
        if error.code == Code::InvalidWechatCode {
            auth.failed(&request);
        }
    })?;
    let entered = db
        .write_value(deed(&request, None), move |tx| match bindings::of_openid(tx.conn, tx.vault, &app_id, &holder.openid)? {
            Some((binding_id, user_id)) => enter(tx, binding_id, user_id),
            None => Ok(Entered::Unbound(ticket(tx, &app_id, &holder)?)),
        })
        .await?;
    answer(&auth, entered)
}

fn answer(auth: &Auth, entered: Entered) -> Result<HttpResponse> {
    match entered {
        Entered::In(signed_in) => tokens(auth, signed_in),
        Entered::Unbound(binding_ticket) => {
            Ok(HttpResponse::Ok().json(BindingRequired { binding_required: true, binding_ticket, expires_in: TICKET_SECONDS }))
        }
        Entered::Refused(error) => Err(error),
    }
}

/// What a caller at the second step claims to be the owner of.
enum Claim {
    /// A phone number that WeChat vouches for; `None` for one of another country.
    Phone(Option<String>),
    Code(String),
    /// The ticket has done its work a moment ago.
    Again,
}

/// Binds a WeChat account to the account of its holder, and signs in.
#[utoipa::path(operation_id = "auth_wechat_bind", tag = "auth", summary = "绑定微信并登录 / Bind a WeChat account and sign in", security(()),
    request_body(content = WechatBind),
    responses((status = 200, description = "Bound, and signed in.", body = Tokens)))]
#[post("/auth/wechat/bind")]
pub async fn bind(
    request: HttpRequest,
    auth: web::Data<Auth>,
    db: web::Data<Db>,
    wechat: web::Data<WeChat>,
    mut payload: web::Payload,
) -> Result<HttpResponse> {
    let WechatBind { binding_ticket, phone_code, binding_code } = body::typed(&request, &mut payload).await?;
    auth.refuse_waiting(&request)?;
    wechat.api()?;
    let ticket_hash = hash(&binding_ticket);
    // Taken before WeChat is asked, so that a ticket can't ask it without end.
    let looked = ticket_hash.clone();
    let again = db.write_value(deed(&request, None), move |tx| try_ticket(tx, &looked)).await?;
    let Some(again) = again else {
        auth.failed(&request);
        return Err(spent());
    };
    let claim = match (again, phone_code, binding_code) {
        (true, ..) => Claim::Again,
        (false, Some(code), _) => Claim::Phone(phone(&wechat, &db, code).await.inspect_err(|error| {
            if error.code == Code::ValidationFailed {
                auth.failed(&request);
            }
        })?),
        (false, None, code) => Claim::Code(code.unwrap_or_default()),
    };
    let entered = db.write_value(deed(&request, None), move |tx| settle(tx, &ticket_hash, &claim)).await?;
    if matches!(entered, Entered::Refused(_)) {
        auth.failed(&request);
    }
    answer(&auth, entered)
}

fn spent() -> Error {
    Error::because(
        Code::InvalidWechatCode,
        "绑定凭证无效、已过期或尝试次数过多，请重新用微信登录",
        "the ticket is wrong, too old, or was tried too often; sign in by WeChat again",
    )
}

/// Counts a try of a ticket; tells whether it has done its work already. `None` for one that doesn't count.
fn try_ticket(tx: &mut Tx<'_>, ticket_hash: &[u8]) -> Result<Option<bool>> {
    let Some(ticket) = held_ticket(tx, ticket_hash)? else { return Ok(None) };
    if let Some(used_at) = ticket.used_at {
        return Ok((tx.now.seconds_since(used_at) <= GRACE_SECONDS).then_some(true));
    }
    if ticket.tries >= TICKET_TRIES {
        return Ok(None);
    }
    diesel::update(t::table.find(ticket.id)).set(t::tries.eq(t::tries + 1)).execute(tx.conn)?;
    Ok(Some(false))
}

fn held_ticket(tx: &mut Tx<'_>, ticket_hash: &[u8]) -> Result<Option<Ticket>> {
    let now = tx.now;
    let one = || t::table.filter(t::ticket_hash.eq(ticket_hash.to_vec())).filter(t::expires_at.gt(now));
    held!(tx.conn, one().select(t::id))?;
    Ok(one().select(Ticket::as_select()).first(tx.conn).optional()?)
}

/// The phone number that a code stands for.
async fn phone(wechat: &WeChat, db: &Db, code: String) -> Result<Option<String>> {
    wechat
        .ask(db, move |api, db| {
            token::with(api, db, |token| api.phone_of(token, &code)).map_err(|failure| match failure.meaning() {
                Some(Meaning::Spent) => Error::field(
                    "/phone_code",
                    "invalid_phone_code",
                    "手机号授权码无效、已使用或已过期，请重新授权",
                    "the code of the phone number is wrong, used or too old; ask for it again",
                ),
                _ => Failure::told(failure, Instant::now()),
            })
        })
        .await
}

/// Finds the account, binds it, and signs in.
fn settle(tx: &mut Tx<'_>, ticket_hash: &[u8], claim: &Claim) -> Result<Entered> {
    let Some(ticket) = held_ticket(tx, ticket_hash)? else { return Ok(Entered::Refused(spent())) };
    let holder = ticket.holder(tx)?;
    let bound = bindings::of_openid(tx.conn, tx.vault, &ticket.app_id, &holder.openid)?;
    if let (Some(_), Some((binding_id, user_id))) = (ticket.used_at, bound) {
        return if ticket.binding_id == Some(binding_id) { enter(tx, binding_id, user_id) } else { Ok(Entered::Refused(spent())) };
    }
    if ticket.used_at.is_some() || matches!(claim, Claim::Again) {
        return Ok(Entered::Refused(spent()));
    }
    if bound.is_some() {
        return Ok(Entered::Refused(Error::field(
            "/binding_ticket",
            "already_bound",
            "此微信已绑定账号，请重新用微信登录",
            "this WeChat account is bound already; sign in by WeChat again",
        )));
    }
    let (found, bound_by) = match claim {
        Claim::Phone(number) => (by_phone(tx, number.as_deref())?, BoundBy::Phone),
        Claim::Code(code) => (by_code(tx, code)?, BoundBy::Code),
        Claim::Again => (Err(spent()), BoundBy::Code),
    };
    let user_id = match found {
        Ok(user_id) => user_id,
        Err(error) => {
            let detail = json!({"way": "wechat", "code": error.faults.first().map(|fault| fault.code)});
            tx.audit("login_failed", "users", None, None, Some(&detail)).refused();
            return Ok(Entered::Refused(error));
        }
    };
    tx.actor_id = Some(user_id);
    let binding_id = bindings::bind(tx, &ticket.app_id, &holder, user_id, bound_by)?;
    diesel::update(t::table.find(ticket.id)).set((t::used_at.eq(Some(tx.now)), t::binding_id.eq(Some(binding_id)))).execute(tx.conn)?;
    enter(tx, binding_id, user_id)
}

/// The account whose code this is.
fn by_code(tx: &mut Tx<'_>, code: &str) -> Result<Result<Id, Error>> {
    let active = |tx: &mut Tx<'_>, id: Id| -> Result<bool> {
        let (status, kind): (UserStatus, UserKind) = users::table.find(id).select((users::status, users::kind)).first(tx.conn)?;
        Ok(status == UserStatus::Active && kind == UserKind::Person)
    };
    if let Some(user_id) = bindings::redeem(tx, code)?
        && active(tx, user_id)?
    {
        return Ok(Ok(user_id));
    }
    Ok(Err(Error::field(
        "/binding_code",
        "invalid_binding_code",
        "绑定码不正确、已使用或已过期；请向所属协会索取新的绑定码",
        "the binding code is wrong, used or too old; ask the association for another",
    )))
}

/// The one account of a person with this number that holds no office.
fn by_phone(tx: &mut Tx<'_>, number: Option<&str>) -> Result<Result<Id, Error>> {
    let refused = |code, zh: &str, en: &str| Ok(Err(Error::field("/phone_code", code, zh, en)));
    let Some(number) = number.and_then(|number| normalize_phone(number).ok()) else {
        return refused(
            "foreign_phone",
            "只支持中国大陆手机号；请向所属协会索取绑定码",
            "only mobile numbers of mainland China are known; ask the association for a binding code",
        );
    };
    // So that nobody is given an office between the look and the binding.
    take_turn(tx)?;
    let hashes = tx.vault.hashes("phone", &number);
    let found: Vec<Id> = users::table
        .inner_join(persons::table.on(persons::id.nullable().eq(users::person_id)))
        .filter(persons::phone_hash.eq_any(hashes))
        .filter(users::status.eq(UserStatus::Active))
        .filter(users::kind.eq(UserKind::Person))
        .order(users::id)
        .limit(20)
        .select(users::id)
        .load(tx.conn)?;
    let officers: Vec<Id> = role_grants::table
        .filter(role_grants::user_id.eq_any(found.clone()))
        .filter(role_grants::role.ne_all([Role::Volunteer, Role::HeroFamily]))
        .filter(role_grants::to_on.is_null().or(role_grants::to_on.ge(business_today(tx.now))))
        .select(role_grants::user_id)
        .distinct()
        .load(tx.conn)?;
    let own: Vec<Id> = found.iter().copied().filter(|id| !officers.contains(id)).collect();
    match (own.as_slice(), found.is_empty()) {
        ([one], _) => Ok(Ok(*one)),
        ([], true) => refused(
            "no_account",
            "没有登记此手机号的账号；请联系所属协会核对手机号，或索取绑定码",
            "no account has this number; ask the association to check the number, or for a binding code",
        ),
        ([], false) => refused(
            "office_account",
            "工作人员账号不能用手机号绑定；请向管理员索取绑定码",
            "an officer's account is not bound by phone number; ask an administrator for a binding code",
        ),
        _ => refused(
            "several_accounts",
            "有多个账号登记了此手机号；请向所属协会索取绑定码",
            "several accounts have this number; ask the association for a binding code",
        ),
    }
}
