//! Sessions: a login and the refresh tokens that descend from it. A refresh token works once; the reuse of an old one
//! ends the whole family, since one of its two holders is a thief.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::prelude::*;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::db::Tx;
use crate::error::{Code, Error, Result};
use crate::schema::{refresh_tokens, sessions, users};
use crate::types::{Id, Instant};

const ABSOLUTE_SECONDS: i64 = 90 * 24 * 3600;
const IDLE_SECONDS: i64 = 14 * 24 * 3600;
/// An answer may get lost: within this, the same token gets the same successor.
const GRACE_SECONDS: i64 = 30;

#[derive(Insertable)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
struct Session {
    id: Id,
    user_id: Id,
    created_at: Instant,
    last_used_at: Instant,
    expires_at: Instant,
    ended_at: Option<Instant>,
    ended_because: Option<String>,
    wechat_binding_id: Option<Id>,
}

#[derive(Insertable)]
#[diesel(table_name = refresh_tokens, treat_none_as_default_value = false)]
struct Token {
    token_hash: Vec<u8>,
    session_id: Id,
    issued_at: Instant,
    used_at: Option<Instant>,
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}

/// Begins a session; a machine client gets no refresh token and signs in again.
pub fn begin(tx: &mut Tx<'_>, user_id: Id, with_refresh: bool, wechat_binding_id: Option<Id>) -> Result<(Id, Option<String>)> {
    let id = Id::new();
    let lifetime = if with_refresh { ABSOLUTE_SECONDS } else { super::token::LIFETIME_SECONDS + 60 };
    let session = Session {
        id,
        user_id,
        created_at: tx.now,
        last_used_at: tx.now,
        expires_at: tx.now.plus_seconds(lifetime),
        ended_at: None,
        ended_because: None,
        wechat_binding_id,
    };
    diesel::insert_into(sessions::table).values(&session).execute(tx.conn)?;
    if !with_refresh {
        return Ok((id, None));
    }
    let secret: [u8; 32] = rand::random();
    let token = URL_SAFE_NO_PAD.encode(secret);
    keep(tx, id, &token)?;
    Ok((id, Some(token)))
}

fn keep(tx: &mut Tx<'_>, session_id: Id, token: &str) -> Result<()> {
    let row = Token { token_hash: hash(token), session_id, issued_at: tx.now, used_at: None };
    diesel::insert_into(refresh_tokens::table).values(&row).execute(tx.conn)?;
    Ok(())
}

/// What a refresh came to. A reuse is no error of the transaction: that the family ends must be kept.
pub enum Refreshed {
    Renewed { user_id: Id, username: String, session_id: Id, refresh_token: String, must_change_password: bool },
    Refused,
}

pub fn refresh(tx: &mut Tx<'_>, token: &str) -> Result<Refreshed> {
    type Row = (Option<Instant>, Id, Id, String, (bool, Option<Id>), Option<Instant>, Instant, Instant, super::UserStatus);
    let row: Option<Row> = refresh_tokens::table
        .inner_join(sessions::table.on(sessions::id.eq(refresh_tokens::session_id)))
        .inner_join(users::table.on(users::id.eq(sessions::user_id)))
        .filter(refresh_tokens::token_hash.eq(hash(token)))
        .select((
            refresh_tokens::used_at,
            sessions::id,
            users::id,
            users::username,
            (users::must_change_password, sessions::wechat_binding_id),
            sessions::ended_at,
            sessions::expires_at,
            sessions::last_used_at,
            users::status,
        ))
        .first(tx.conn)
        .optional()?;
    let Some((used_at, session_id, user_id, username, (unchanged, binding_id), ended_at, expires_at, last_used_at, status)) = row else {
        return Ok(Refreshed::Refused);
    };
    let living = ended_at.is_none() && expires_at > tx.now && tx.now.seconds_since(last_used_at) < IDLE_SECONDS;
    if !living || status != super::UserStatus::Active {
        return Ok(Refreshed::Refused);
    }
    let must_change_password = super::must_change_password(unchanged, binding_id);
    let renewed = |refresh_token| Refreshed::Renewed { user_id, username, session_id, refresh_token, must_change_password };
    // Of two at once, one takes the token; the other finds it just used.
    let taken =
        diesel::update(refresh_tokens::table.filter(refresh_tokens::token_hash.eq(hash(token))).filter(refresh_tokens::used_at.is_null()))
            .set(refresh_tokens::used_at.eq(Some(tx.now)))
            .execute(tx.conn)?;
    if taken == 1 {
        // The successor follows from the token and the data key, so a retry finds the same without its being kept.
        let refresh_token = URL_SAFE_NO_PAD.encode(tx.vault.hash("refresh token", token));
        keep(tx, session_id, &refresh_token)?;
        diesel::update(sessions::table.filter(sessions::id.eq(session_id))).set(sessions::last_used_at.eq(tx.now)).execute(tx.conn)?;
        return Ok(renewed(refresh_token));
    }
    if tx.now.seconds_since(used_at.unwrap_or(tx.now)) <= GRACE_SECONDS {
        return Ok(successor(tx, token)?.map_or(Refreshed::Refused, renewed));
    }
    end(tx, session_id, "refresh token used twice")?;
    tx.audit("refresh_reuse", "sessions", Some(session_id), None, Some(&json!({"user_id": user_id}))).refused();
    Ok(Refreshed::Refused)
}

/// The successor that a token got, under whichever data key that was.
fn successor(tx: &mut Tx<'_>, token: &str) -> Result<Option<String>> {
    let possible: Vec<String> = tx.vault.hashes("refresh token", token).iter().map(|hash| URL_SAFE_NO_PAD.encode(hash)).collect();
    let hashes: Vec<Vec<u8>> = possible.iter().map(|token| hash(token)).collect();
    let kept: Option<Vec<u8>> = refresh_tokens::table
        .filter(refresh_tokens::token_hash.eq_any(hashes))
        .select(refresh_tokens::token_hash)
        .first(tx.conn)
        .optional()?;
    Ok(possible.into_iter().find(|token| kept.as_ref() == Some(&hash(token))))
}

pub fn end(tx: &mut Tx<'_>, session_id: Id, because: &str) -> Result<()> {
    tx.change_standing();
    diesel::update(sessions::table.filter(sessions::id.eq(session_id)).filter(sessions::ended_at.is_null()))
        .set((sessions::ended_at.eq(Some(tx.now)), sessions::ended_because.eq(Some(because))))
        .execute(tx.conn)?;
    Ok(())
}

/// Ends the sessions that began by a WeChat account.
pub fn end_by_wechat(tx: &mut Tx<'_>, binding_ids: &[Id]) -> Result<()> {
    tx.change_standing();
    diesel::update(sessions::table.filter(sessions::wechat_binding_id.eq_any(binding_ids.to_vec())).filter(sessions::ended_at.is_null()))
        .set((sessions::ended_at.eq(Some(tx.now)), sessions::ended_because.eq(Some("unbound"))))
        .execute(tx.conn)?;
    Ok(())
}

/// The session that a refresh token belongs to.
pub fn of_token(tx: &mut Tx<'_>, token: &str) -> Result<Option<Id>> {
    Ok(refresh_tokens::table
        .filter(refresh_tokens::token_hash.eq(hash(token)))
        .select(refresh_tokens::session_id)
        .first(tx.conn)
        .optional()?)
}

/// Ends a user's sessions, but the one to keep.
pub fn end_others(tx: &mut Tx<'_>, user_id: Id, keep: Option<Id>, because: &str) -> Result<()> {
    tx.change_standing();
    let keep = keep.unwrap_or_else(Id::new);
    diesel::update(
        sessions::table.filter(sessions::user_id.eq(user_id)).filter(sessions::id.ne(keep)).filter(sessions::ended_at.is_null()),
    )
    .set((sessions::ended_at.eq(Some(tx.now)), sessions::ended_because.eq(Some(because))))
    .execute(tx.conn)?;
    Ok(())
}

pub fn refused() -> Error {
    Error::new(Code::InvalidToken)
}
