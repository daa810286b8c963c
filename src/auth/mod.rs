//! Who is calling: passwords, tokens, sessions, and the extractor without which no handler knows a caller.

mod api;
pub mod operator;
pub(crate) mod password;
pub(crate) mod session;
mod throttle;
mod token;

use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant as Clock};

use actix_web::{HttpMessage, HttpRequest, dev, http::header, web};
use diesel::prelude::*;

pub(crate) use api::{SignedIn, Tokens, deed, tokens};
pub use api::{jwks, mount};
pub use token::Keys;

use crate::config::SigningKeyFiles;
use crate::db::{AnyConnection, Db, Tx};
use crate::error::{Code, Error, Language, Result, Says};
use crate::policy::{Actor, Grant, Role};
use crate::schema::{role_grants, sessions, users};
use crate::types::{Id, Instant, business_today, text_enum};
use crate::web::frame::{CalledBy, RequestFacts};
use crate::web::rates::Rates;

text_enum! {
    /// A person who signs in, or a program.
    UserKind {
        Person = "person", "人员", "person";
        Service = "service", "系统", "machine client";
    }
}

text_enum! {
    /// Whether a user may sign in.
    UserStatus {
        Active = "active", "启用", "active";
        Disabled = "disabled", "停用", "disabled";
    }
}

/// How long what a session may do is remembered: a grant revoked on another server counts here after this at the
/// latest, one revoked on this server at once.
const REMEMBER: Duration = Duration::from_secs(1);
const REMEMBERED: usize = 10_000;

pub struct AuthConfig {
    pub key_files: SigningKeyFiles,
    pub issuer: String,
    pub audience: String,
    pub trusted_proxies: Vec<IpAddr>,
    pub behind_tls: bool,
}

/// A caller as read from the database: when, and at which [`Db::standing`].
#[derive(Clone)]
struct Remembered {
    at: Clock,
    standing: u64,
    actor: Arc<Actor>,
}

/// What authentication needs between requests.
pub struct Auth {
    key_files: SigningKeyFiles,
    issuer: String,
    audience: String,
    keys: RwLock<Arc<Keys>>,
    actors: Mutex<HashMap<Id, Remembered>>,
    throttle: throttle::Throttle,
}

impl Auth {
    pub fn new(config: AuthConfig) -> Result<Self, String> {
        let AuthConfig { key_files, issuer, audience, trusted_proxies, behind_tls } = config;
        let keys = RwLock::new(Arc::new(Keys::read(&key_files, &issuer, &audience)?));
        let throttle = throttle::Throttle::new(trusted_proxies, behind_tls);
        Ok(Self { key_files, issuer, audience, keys, actors: Mutex::default(), throttle })
    }

    /// The keys as last read.
    pub fn keys(&self) -> Arc<Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where a request comes from; `None` where only a proxy is known.
    pub fn address(&self, request: &HttpRequest) -> Option<IpAddr> {
        self.throttle.address(request)
    }

    /// Refuses a request from an address that has failed too often.
    pub(crate) fn refuse_waiting(&self, request: &HttpRequest) -> Result<()> {
        let wait = self.address(request).and_then(|address| self.throttle.address_wait(address));
        wait.map_or(Ok(()), |seconds| Err(Error::new(Code::TooManyRequests).retry_after(seconds)))
    }

    /// A way in was tried in vain.
    pub(crate) fn failed(&self, request: &HttpRequest) {
        if let Some(address) = self.address(request) {
            self.throttle.address_failed(address);
        }
    }

    /// Reads the key files again; tells whether they have changed. Files that can't be read change nothing.
    pub fn reread_keys(&self) -> Result<bool, String> {
        let keys = Keys::read(&self.key_files, &self.issuer, &self.audience)?;
        if keys.are_those_of(&self.keys()) {
            return Ok(false);
        }
        // With the keys goes what they were found to have signed.
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(true)
    }

    async fn actor(&self, db: &Db, token: &str) -> Result<Arc<Actor>> {
        let now = Instant::now();
        let claims = self.keys().verify(token, now)?;
        // Before reading: what changes meanwhile makes what was read count no more.
        let (at, standing) = (Clock::now(), db.standing());
        let counts = |known: &Remembered| known.standing == standing && known.at.elapsed() < REMEMBER;
        let remembered = self.actors.lock().unwrap_or_else(PoisonError::into_inner).get(&claims.sid).cloned();
        if let Some(known) = remembered.filter(counts) {
            return Ok(known.actor);
        }
        let actor = Arc::new(db.read(move |conn| load(conn, claims.sid, claims.sub, now)).await?);
        let mut actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        if actors.len() >= REMEMBERED {
            actors.retain(|_, known| counts(known));
        }
        actors.insert(claims.sid, Remembered { at, standing, actor: actor.clone() });
        Ok(actor)
    }
}

/// What is wrong with a username, if anything.
pub fn username_flaw(username: &str) -> Option<Says> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let fine = (3..=64).contains(&username.len()) && username.chars().all(plain);
    (!fine).then(|| Says::new("用户名应为 3–64 个小写字母、数字或 . _ -", "a username has 3 to 64 lower-case letters, digits, or . _ -"))
}

/// Begins a change of users or grants. They are made one at a time on all servers, so that what one of them counted
/// (what a user holds, which administrators are left) stays so until it is kept.
pub(crate) fn take_turn(tx: &mut Tx<'_>) -> Result<()> {
    if let AnyConnection::Pg(c) = &mut *tx.conn {
        diesel::sql_query("SELECT pg_advisory_xact_lock(7914202202)").execute(c)?;
    }
    tx.change_standing();
    Ok(())
}

/// How many active users administer the whole platform today.
pub(crate) fn administrators(tx: &mut Tx<'_>) -> Result<i64> {
    let today = business_today(tx.now);
    Ok(role_grants::table
        .inner_join(users::table.on(users::id.eq(role_grants::user_id)))
        .filter(role_grants::role.eq(Role::PlatformAdmin))
        .filter(role_grants::organization_id.is_null())
        .filter(role_grants::from_on.le(today))
        .filter(role_grants::to_on.is_null().or(role_grants::to_on.ge(today)))
        .filter(users::status.eq(UserStatus::Active))
        .count()
        .get_result(tx.conn)?)
}

/// Whether nothing is allowed before the password is changed: the initial one is known to whoever made the account. Who has come in
/// by WeChat has come in without it.
fn must_change_password(unchanged: bool, wechat_binding_id: Option<Id>) -> bool {
    unchanged && wechat_binding_id.is_none()
}

/// Who stands behind a living session, with what they hold today.
fn load(conn: &mut AnyConnection, session_id: Id, user_id: Id, now: Instant) -> Result<Actor> {
    type Row = (Option<Instant>, Instant, UserStatus, Option<Id>, String, String, bool, Option<Id>);
    let row: Option<Row> = sessions::table
        .inner_join(users::table.on(users::id.eq(sessions::user_id)))
        .filter(sessions::id.eq(session_id))
        .filter(users::id.eq(user_id))
        .select((
            sessions::ended_at,
            sessions::expires_at,
            users::status,
            users::person_id,
            users::name,
            users::username,
            users::must_change_password,
            sessions::wechat_binding_id,
        ))
        .first(conn)
        .optional()?;
    let Some((None, expires_at, UserStatus::Active, person_id, name, username, unchanged, wechat_binding_id)) = row else {
        return Err(Error::new(Code::InvalidToken));
    };
    if expires_at <= now {
        return Err(Error::new(Code::InvalidToken));
    }
    let grants = grants_of(conn, user_id, now)?;
    let must_change_password = must_change_password(unchanged, wechat_binding_id);
    Ok(Actor { id: user_id, session_id, person_id, name, username, must_change_password, wechat_binding_id, grants })
}

fn grants_of(conn: &mut AnyConnection, user_id: Id, now: Instant) -> Result<Arc<Vec<Grant>>> {
    let today = business_today(now);
    let grants = role_grants::table
        .filter(role_grants::user_id.eq(user_id))
        .select((role_grants::role, role_grants::organization_id, role_grants::from_on, role_grants::to_on))
        .load(conn)?
        .into_iter()
        .map(|(role, organization_id, from_on, to_on)| Grant { role, organization_id, from_on, to_on })
        .filter(|grant| grant.holds_on(today))
        .collect();
    Ok(Arc::new(grants))
}

/// Who asked for work that outlives their session, with what they hold now; refused where they are disabled by now.
pub fn standing_of(conn: &mut AnyConnection, user_id: Id) -> Result<Actor> {
    type Row = (UserStatus, Option<Id>, String, String, bool);
    let (status, person_id, name, username, must_change_password): Row = users::table
        .find(user_id)
        .select((users::status, users::person_id, users::name, users::username, users::must_change_password))
        .first(conn)?;
    if status != UserStatus::Active {
        return Err(Error::forbidden());
    }
    let grants = grants_of(conn, user_id, Instant::now())?;
    // Of no session: the actor is never asked for one.
    Ok(Actor { id: user_id, session_id: user_id, person_id, name, username, must_change_password, wechat_binding_id: None, grants })
}

/// The caller of a request: an extractor, so that a handler that names it can't be reached without a token.
#[derive(Debug, Clone)]
pub struct Caller {
    pub actor: Arc<Actor>,
    pub request_id: String,
    pub language: Language,
    pub address: Option<IpAddr>,
}

impl actix_web::FromRequest for Caller {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let token = request
                .headers()
                .get(header::AUTHORIZATION)
                .and_then(|value| value.to_str().ok())
                .and_then(|value| value.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .map(|(_, token)| token.trim().to_owned())
                .ok_or_else(|| Error::new(Code::Unauthenticated))?;
            let missing = || Error::internal("the service was built without its parts");
            let auth = request.app_data::<web::Data<Auth>>().cloned().ok_or_else(missing)?;
            let db = request.app_data::<web::Data<Db>>().cloned().ok_or_else(missing)?;
            let rates = request.app_data::<web::Data<Rates>>().cloned().ok_or_else(missing)?;
            let actor = match auth.actor(&db, &token).await {
                Ok(actor) => actor,
                // Who shows what is no token is nobody.
                Err(error) if error.code == Code::InvalidToken => {
                    rates.count_nobody(&db, &request).await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            };
            request.extensions_mut().insert(CalledBy(actor.id));
            rates.count_user(&db, &request, actor.id).await?;
            let facts = request.extensions().get::<RequestFacts>().cloned();
            let facts = facts.unwrap_or(RequestFacts { request_id: String::new(), language: Language::Zh, address: None });
            Ok(Self { actor, request_id: facts.request_id, language: facts.language, address: facts.address })
        })
    }
}
