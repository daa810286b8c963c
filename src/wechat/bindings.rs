//! Which WeChat account is whose: an openid belongs to one user, a user may hold several.

use actix_web::{HttpRequest, HttpResponse, delete, get, web};
use diesel::prelude::*;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::client::Holder;
use crate::auth::{Caller, session};
use crate::db::reseal::{self, Resealed};
use crate::db::{Any, AnyConnection, Db, Reply, Tx};
use crate::error::{Error, Result};
use crate::policy::Action;
use crate::schema::{wechat_binding_codes as codes, wechat_bindings as t, wechat_credits, wechat_messages};
use crate::types::{Id, Instant, TextEnum, new_code, text_enum};
use crate::vault::Vault;
use crate::web::handlers::{deed_of, id_of, no_parameters, respond};

const RESOURCE: &str = "wechat_bindings";
/// How long a code is good that an officer gave.
const CODE_SECONDS: i64 = 24 * 3600;

text_enum! {
    /// How a WeChat account was found to be a user's.
    BoundBy {
        Phone = "phone", "手机号", "by the phone number";
        Code = "code", "绑定码", "by a code from the office";
    }
}

#[derive(Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
struct Row {
    id: Id,
    user_id: Id,
    app_id: String,
    openid_sealed: Vec<u8>,
    openid_hash: Vec<u8>,
    unionid_sealed: Option<Vec<u8>>,
    unionid_hash: Option<Vec<u8>>,
    bound_by: BoundBy,
    bound_at: Instant,
    ended_at: Option<Instant>,
    ended_because: Option<String>,
}

/// Openids are of one mini-program.
fn named(app_id: &str, id: &str) -> String {
    format!("{app_id}\u{1F}{id}")
}

/// The living binding of an openid: its id and user.
pub fn of_openid(conn: &mut AnyConnection, vault: &Vault, app_id: &str, openid: &str) -> Result<Option<(Id, Id)>> {
    let hashes = vault.hashes("wechat openid", named(app_id, openid));
    let living = t::table.filter(t::openid_hash.eq_any(hashes)).filter(t::ended_at.is_null());
    Ok(living.select((t::id, t::user_id)).first(conn).optional()?)
}

/// Binds a WeChat account that is nobody's.
pub fn bind(tx: &mut Tx<'_>, app_id: &str, holder: &Holder, user_id: Id, bound_by: BoundBy) -> Result<Id> {
    let id = Id::new();
    let union = holder.unionid.as_deref();
    let row = Row {
        id,
        user_id,
        app_id: app_id.to_owned(),
        openid_sealed: tx.vault.seal(RESOURCE, "openid", id, &holder.openid)?,
        openid_hash: tx.vault.hash("wechat openid", named(app_id, &holder.openid)),
        unionid_sealed: union.map(|union| tx.vault.seal(RESOURCE, "unionid", id, union)).transpose()?,
        // Of all mini-programs of one owner.
        unionid_hash: union.map(|union| tx.vault.hash("wechat unionid", union)),
        bound_by,
        bound_at: tx.now,
        ended_at: None,
        ended_because: None,
    };
    diesel::insert_into(t::table).values(&row).execute(tx.conn)?;
    tx.audit("bind_wechat", "users", Some(user_id), None, Some(&json!({"binding_id": id, "bound_by": bound_by.code()})));
    Ok(id)
}

/// The openid of a living binding.
pub fn openid(conn: &mut AnyConnection, vault: &Vault, id: Id) -> Result<Option<String>> {
    let sealed: Option<Vec<u8>> = t::table.find(id).filter(t::ended_at.is_null()).select(t::openid_sealed).first(conn).optional()?;
    sealed.map(|sealed| vault.open(RESOURCE, "openid", id, &sealed)).transpose()
}

/// Ends bindings: the sessions that began by them, what was to be sent, and what was agreed to.
fn end(tx: &mut Tx<'_>, ids: &[Id], because: &str) -> Result<()> {
    diesel::update(t::table.filter(t::id.eq_any(ids.to_vec())).filter(t::ended_at.is_null()))
        .set((t::ended_at.eq(Some(tx.now)), t::ended_because.eq(Some(because))))
        .execute(tx.conn)?;
    diesel::delete(wechat_credits::table.filter(wechat_credits::binding_id.eq_any(ids.to_vec()))).execute(tx.conn)?;
    let waiting =
        wechat_messages::table.filter(wechat_messages::binding_id.eq_any(ids.to_vec())).filter(wechat_messages::state.eq("waiting"));
    diesel::update(waiting)
        .set((
            wechat_messages::state.eq("failed"),
            wechat_messages::failure.eq(Some("unbound")),
            wechat_messages::leased_by.eq(None::<Id>),
            wechat_messages::leased_until.eq(None::<Instant>),
            wechat_messages::updated_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    session::end_by_wechat(tx, ids)
}

/// Ends all bindings of a user, as an administrator does where a telephone was lost.
pub fn end_all(tx: &mut Tx<'_>, user_id: Id) -> Result<()> {
    let living: Vec<Id> = t::table.filter(t::user_id.eq(user_id)).filter(t::ended_at.is_null()).select(t::id).load(tx.conn)?;
    // A code that is still about would bind the next one.
    diesel::delete(codes::table.filter(codes::user_id.eq(user_id)).filter(codes::used_at.is_null())).execute(tx.conn)?;
    end(tx, &living, "ended by an administrator")
}

/// Seals the ids of all bindings with the present data key, wherever another has sealed them.
pub fn reseal(db: &Db) -> Result<Resealed> {
    reseal::all(db, RESOURCE, reseal_after)
}

/// The next bindings in the order of their ids.
fn reseal_after(tx: &mut Tx<'_>, after: Option<Id>) -> Result<(Resealed, Option<Id>)> {
    type Sealed = (Id, String, Vec<u8>, Option<Vec<u8>>);
    let mut next = t::table.order(t::id).limit(reseal::LOT).into_boxed::<Any>();
    if let Some(after) = after {
        next = next.filter(t::id.gt(after));
    }
    let rows: Vec<Sealed> = next.select((t::id, t::app_id, t::openid_sealed, t::unionid_sealed)).load(tx.conn)?;
    let (mut part, last) = (Resealed { seen: rows.len(), resealed: 0 }, rows.last().map(|row| row.0));
    let vault = tx.vault;
    for (id, app_id, openid, unionid) in rows.into_iter().filter(|(_, _, openid, _)| !vault.is_present(openid)) {
        let openid = vault.open(RESOURCE, "openid", id, &openid)?;
        let unionid = unionid.map(|sealed| vault.open(RESOURCE, "unionid", id, &sealed)).transpose()?;
        part.resealed += diesel::update(t::table.find(id))
            .set((
                t::openid_sealed.eq(vault.seal(RESOURCE, "openid", id, &openid)?),
                t::openid_hash.eq(vault.hash("wechat openid", named(&app_id, &openid))),
                t::unionid_sealed.eq(unionid.as_ref().map(|union| vault.seal(RESOURCE, "unionid", id, union)).transpose()?),
                t::unionid_hash.eq(unionid.as_ref().map(|union| vault.hash("wechat unionid", union))),
            ))
            .execute(tx.conn)?;
    }
    Ok((part, last))
}

/// Ends those bindings of users that stand on a phone number alone.
pub fn end_by_phone(tx: &mut Tx<'_>, user_ids: &[Id]) -> Result<()> {
    let by_phone = t::table.filter(t::user_id.eq_any(user_ids.to_vec())).filter(t::bound_by.eq(BoundBy::Phone));
    let living: Vec<Id> = by_phone.filter(t::ended_at.is_null()).select(t::id).load(tx.conn)?;
    if living.is_empty() { Ok(()) } else { end(tx, &living, "an office was given") }
}

/// A code by which a user binds a WeChat account.
#[derive(Serialize, ToSchema)]
pub struct BindingCode {
    /// Told once: it is kept as a hash. Works once.
    #[schema(example = "7KQ4M-X2V9D")]
    binding_code: String,
    expires_at: Instant,
}

/// A new code for a user; one that was given before doesn't count any more.
pub fn issue(tx: &mut Tx<'_>, user_id: Id) -> Result<BindingCode> {
    let issued_by = tx.actor()?;
    diesel::delete(codes::table.filter(codes::user_id.eq(user_id)).filter(codes::used_at.is_null())).execute(tx.conn)?;
    let code = new_code();
    let expires_at = tx.now.plus_seconds(CODE_SECONDS);
    diesel::insert_into(codes::table)
        .values((
            codes::id.eq(Id::new()),
            codes::user_id.eq(user_id),
            codes::code_hash.eq(tx.vault.hash("wechat binding code", &code)),
            codes::issued_by.eq(issued_by),
            codes::created_at.eq(tx.now),
            codes::expires_at.eq(expires_at),
        ))
        .execute(tx.conn)?;
    tx.audit(Action::BindingCode.code(), "users", Some(user_id), None, Some(&json!({"expires_at": expires_at})));
    Ok(BindingCode { binding_code: format!("{}-{}", &code[..5], &code[5..]), expires_at })
}

/// A code as it was made, however somebody has typed it.
fn typed(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect()
}

/// The user whose code this is, and takes it.
pub fn redeem(tx: &mut Tx<'_>, text: &str) -> Result<Option<Id>> {
    let hashes = tx.vault.hashes("wechat binding code", typed(text));
    let living = codes::table.filter(codes::code_hash.eq_any(hashes)).filter(codes::used_at.is_null()).filter(codes::expires_at.gt(tx.now));
    let Some((id, user_id)): Option<(Id, Id)> = living.select((codes::id, codes::user_id)).first(tx.conn).optional()? else {
        return Ok(None);
    };
    // Of two at once, one takes it.
    let taken = codes::table.filter(codes::id.eq(id)).filter(codes::used_at.is_null());
    let taken = diesel::update(taken).set(codes::used_at.eq(Some(tx.now))).execute(tx.conn)?;
    Ok((taken == 1).then_some(user_id))
}

/// A WeChat account that is the caller's.
#[derive(Debug, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = t)]
pub struct WechatBinding {
    id: Id,
    bound_by: BoundBy,
    bound_at: Instant,
}

/// The caller's WeChat accounts.
#[derive(Debug, Serialize, ToSchema)]
pub struct WechatBindings {
    items: Vec<WechatBinding>,
}

/// So many are listed.
const LISTED: i64 = 200;

/// The WeChat accounts that sign in as the caller, the newest first.
#[utoipa::path(operation_id = "auth_wechat_bindings", tag = "auth", summary = "我的微信绑定 / My WeChat accounts",
    responses((status = 200, description = "Those that count, two hundred at most.", body = WechatBindings)))]
#[get("/auth/wechat/bindings")]
pub async fn own(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    no_parameters(&request)?;
    let user_id = caller.actor.id;
    let living = move |conn: &mut AnyConnection| {
        let living = t::table.filter(t::user_id.eq(user_id)).filter(t::ended_at.is_null()).order(t::id.desc()).limit(LISTED);
        Ok(living.select(WechatBinding::as_select()).load(conn)?)
    };
    Ok(HttpResponse::Ok().json(WechatBindings { items: db.read(living).await? }))
}

/// Ends one of them, with the sessions that began by it.
#[utoipa::path(operation_id = "auth_wechat_unbind", tag = "auth", summary = "解除我的微信绑定 / End one of my bindings",
    params(("id" = Id, Path, description = "Id of the binding.")),
    responses((status = 204, description = "Ended.")))]
#[delete("/auth/wechat/bindings/{id}")]
pub async fn end_own(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    no_parameters(&request)?;
    let id = id_of(&request)?;
    let user_id = caller.actor.id;
    let deed = deed_of(&request, &caller, &[], false)?;
    let reply = db
        .write(deed, move |tx| {
            let one = t::table.filter(t::id.eq(id)).filter(t::user_id.eq(user_id)).filter(t::ended_at.is_null());
            one.select(t::id).first::<Id>(tx.conn).optional()?.ok_or_else(Error::not_found)?;
            end(tx, &[id], "ended by its user")?;
            tx.audit("unbind_wechat", "users", Some(user_id), None, Some(&json!({"binding_id": id})));
            Ok(Reply { status: 204, location: None, etag: None, body: Vec::new(), kept: None, replayed: false })
        })
        .await?;
    Ok(respond(reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_is_heard() {
        assert_eq!(typed(" 7kq4m-x2v9d "), "7KQ4MX2V9D");
        assert_eq!(typed("oil0-1"), "01101");
    }
}
