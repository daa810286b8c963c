//! Who is calling: passwords, tokens, sessions, and the extractor without which no handler knows a caller.

mod api;
pub mod operator;
mod password;
mod session;
mod token;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Clock};

use actix_web::{HttpMessage, HttpRequest, dev, http::header, web};
use diesel::prelude::*;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

pub use api::{jwks, mount};
pub use token::Keys;

use crate::db::{AnyConnection, Db};
use crate::error::{Code, Error, Language, Result};
use crate::policy::{Actor, Grant};
use crate::schema::{role_grants, sessions, users};
use crate::types::{Id, Instant, business_today, text_enum};
use crate::web::frame::RequestFacts;

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

/// How long what a session may do is remembered: a revoked grant counts everywhere after this at the latest.
const REMEMBER: Duration = Duration::from_secs(1);
const REMEMBERED: usize = 10_000;

pub struct AuthConfig {
    pub signing_pem: Zeroizing<String>,
    pub previous: Vec<String>,
    pub issuer: String,
    pub audience: String,
}

/// What authentication needs between requests.
pub struct Auth {
    keys: Keys,
    actors: Mutex<HashMap<Id, (Clock, Arc<Actor>)>>,
    /// Hashing takes 19 MiB and tens of milliseconds: two at a time leave the others room.
    hashing: Arc<Semaphore>,
}

impl Auth {
    pub fn new(config: AuthConfig) -> Result<Self, String> {
        let keys = Keys::new(&config.signing_pem, &config.previous, config.issuer, config.audience)?;
        Ok(Self { keys, actors: Mutex::default(), hashing: Arc::new(Semaphore::new(2)) })
    }

    async fn actor(&self, db: &Db, token: &str) -> Result<Actor> {
        let now = Instant::now();
        let claims = self.keys.verify(token, now)?;
        let remembered = self.actors.lock().unwrap_or_else(PoisonError::into_inner).get(&claims.sid).cloned();
        if let Some((at, actor)) = remembered.filter(|(at, _)| at.elapsed() < REMEMBER) {
            let _ = at;
            return Ok(Actor::clone(&actor));
        }
        let read = Clock::now();
        let actor = Arc::new(db.read(move |conn| load(conn, claims.sid, claims.sub, now)).await?);
        let mut actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        if actors.len() >= REMEMBERED {
            actors.retain(|_, (at, _)| at.elapsed() < REMEMBER);
        }
        actors.insert(claims.sid, (read, actor.clone()));
        Ok(Actor::clone(&actor))
    }

    fn forget(&self, session_id: Id) {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner).remove(&session_id);
    }
}

/// Who stands behind a living session, with what they hold today.
fn load(conn: &mut AnyConnection, session_id: Id, user_id: Id, now: Instant) -> Result<Actor> {
    type Row = (Option<Instant>, Instant, UserStatus, Option<Id>, String, String, bool);
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
        ))
        .first(conn)
        .optional()?;
    let Some((None, expires_at, UserStatus::Active, person_id, name, username, must_change_password)) = row else {
        return Err(Error::new(Code::InvalidToken));
    };
    if expires_at <= now {
        return Err(Error::new(Code::InvalidToken));
    }
    let today = business_today(now);
    let grants = role_grants::table
        .filter(role_grants::user_id.eq(user_id))
        .select((role_grants::role, role_grants::organization_id, role_grants::from_on, role_grants::to_on))
        .load(conn)?
        .into_iter()
        .map(|(role, organization_id, from_on, to_on)| Grant { role, organization_id, from_on, to_on })
        .filter(|grant| grant.holds_on(today))
        .collect();
    Ok(Actor { id: user_id, session_id, person_id, name, username, must_change_password, grants: Arc::new(grants) })
}

/// The caller of a request: an extractor, so that a handler that names it can't be reached without a token.
#[derive(Debug, Clone)]
pub struct Caller {
    pub actor: Actor,
    pub request_id: String,
    pub language: Language,
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
            let actor = auth.actor(&db, &token).await?;
            let facts = request.extensions().get::<RequestFacts>().cloned();
            let facts = facts.unwrap_or(RequestFacts { request_id: String::new(), language: Language::Zh });
            Ok(Self { actor, request_id: facts.request_id, language: facts.language })
        })
    }
}
