//! Messages to people's telephones. One accept of a template is good for one message, so what somebody has agreed to is counted by WeChat
//! account and template; a message takes its place in the queue, and one of the accepts, in the transaction of what it tells of ([`send`]),
//! and a thread of each server sends what is due ([`sender`]).
//!
//! A message may be sent twice where WeChat's answer got lost, and is lost where the person has withdrawn what they agreed to: whatever
//! matters stands in the records as well.

pub mod api;
pub mod sender;

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;
use diesel::prelude::*;
use serde_json::Value;

use super::templates;
use crate::db::reseal::{self, Resealed};
use crate::db::{Any, Db, Tx};
use crate::error::{Error, Language, Result};
use crate::resources::notifications::{self, NotificationKind};
use crate::schema::{wechat_bindings, wechat_credits as credits, wechat_messages as t, wechat_templates};
use crate::types::{Id, Instant, TextEnum, text_enum};

text_enum! {
    /// Where a message stands.
    MessageState {
        Waiting = "waiting", "待发送", "waiting";
        Sent = "sent", "已发送", "sent";
        Failed = "failed", "未送达", "not delivered";
    }
}

/// Parts of the message on what became of a service record.
const SERVICE_PARTS: &[&str] = &["title", "place", "at", "minutes", "result", "reason"];
/// Parts of a message that follows a notification: it says that there is something to read, and never whose.
const NEWS_PARTS: &[&str] = &["title", "result", "at"];

/// What messages tell, each with the names of its parts, which a template's fields refer to.
pub fn kinds() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    let service = ["service_confirmed", "service_rejected"].into_iter().map(|kind| (kind, SERVICE_PARTS));
    service.chain(NotificationKind::ENTRIES.iter().map(|(code, ..)| (*code, NEWS_PARTS)))
}

/// A time as messages tell it: in China.
pub fn clock(at: Instant) -> String {
    (at.0 + TimeDelta::hours(8)).format("%Y年%m月%d日 %H:%M").to_string()
}

/// The table that messages are sealed for.
const TABLE: &str = "wechat_messages";
/// Accepts that are counted: more can't come together by tapping.
const MOST_CREDITS: i32 = 1_000;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
struct Message {
    id: Id,
    binding_id: Id,
    kind: String,
    template_id: String,
    /// What is told, by the names that templates' fields refer to.
    sealed: Vec<u8>,
    state: MessageState,
    attempts: i32,
    not_before: Instant,
    leased_by: Option<Id>,
    leased_until: Option<Instant>,
    failure: Option<String>,
    created_at: Instant,
    updated_at: Instant,
}

/// Tells a user something on their telephone, once this transaction is kept: by the WeChat account that has last agreed to such messages.
/// `None` where none has, or where no template tells this kind.
///
/// `told` holds the parts of the message by the names that the template's fields refer to.
pub fn send(tx: &mut Tx<'_>, user_id: Id, kind: &str, told: &[(&str, &str)]) -> Result<Option<Id>> {
    let agreed: Option<(Id, String)> = wechat_bindings::table
        .inner_join(credits::table.on(credits::binding_id.eq(wechat_bindings::id)))
        .inner_join(
            wechat_templates::table
                .on(wechat_templates::app_id.eq(wechat_bindings::app_id).and(wechat_templates::template_id.eq(credits::template_id))),
        )
        .filter(wechat_bindings::user_id.eq(user_id))
        .filter(wechat_bindings::ended_at.is_null())
        .filter(wechat_templates::kind.eq(kind))
        .filter(credits::credits.gt(0))
        .order(credits::updated_at.desc())
        .select((wechat_bindings::id, credits::template_id))
        .first(tx.conn)
        .optional()?;
    let Some((binding_id, template_id)) = agreed else { return Ok(None) };
    // Of two at once, each takes one, or one of them none.
    let taken = diesel::update(credits::table.find((binding_id, &template_id)).filter(credits::credits.gt(0)))
        .set(credits::credits.eq(credits::credits - 1))
        .execute(tx.conn)?;
    if taken == 0 {
        return Ok(None);
    }
    let id = Id::new();
    let told: BTreeMap<&str, &str> = told.iter().copied().collect();
    let plain = serde_json::to_string(&told).map_err(Error::internal)?;
    let message = Message {
        id,
        binding_id,
        kind: kind.to_owned(),
        template_id,
        sealed: tx.vault.seal(TABLE, "told", id, plain)?,
        state: MessageState::Waiting,
        attempts: 0,
        not_before: tx.now,
        leased_by: None,
        leased_until: None,
        failure: None,
        created_at: tx.now,
        updated_at: tx.now,
    };
    diesel::insert_into(t::table).values(&message).execute(tx.conn)?;
    Ok(Some(id))
}

/// Seals what waiting messages tell with the present data key, wherever another has sealed it.
pub fn reseal(db: &Db) -> Result<Resealed> {
    reseal::all(db, TABLE, reseal_after)
}

/// The next of them in the order of their ids.
fn reseal_after(tx: &mut Tx<'_>, after: Option<Id>) -> Result<(Resealed, Option<Id>)> {
    let mut next = t::table.filter(t::state.eq(MessageState::Waiting)).order(t::id).limit(reseal::LOT).into_boxed::<Any>();
    if let Some(after) = after {
        next = next.filter(t::id.gt(after));
    }
    let rows: Vec<(Id, Vec<u8>)> = next.select((t::id, t::sealed)).load(tx.conn)?;
    let (vault, mut resealed) = (tx.vault, 0);
    for (id, sealed) in rows.iter().filter(|(_, sealed)| !vault.is_present(sealed)) {
        let told = vault.open(TABLE, "told", *id, sealed)?;
        resealed += diesel::update(t::table.find(id)).set(t::sealed.eq(vault.seal(TABLE, "told", *id, told)?)).execute(tx.conn)?;
    }
    Ok((Resealed { seen: rows.len(), resealed }, rows.last().map(|(id, _)| *id)))
}

/// Sends what new notifications tell on to the telephones of those who have agreed to that: one query for all who have.
pub fn follow(tx: &mut Tx<'_>, rows: &[notifications::Row]) -> Result<()> {
    let users: HashSet<Id> = rows.iter().map(|row| row.user_id).collect();
    let agreed: HashSet<(Id, String)> = wechat_bindings::table
        .inner_join(credits::table.on(credits::binding_id.eq(wechat_bindings::id)))
        .inner_join(
            wechat_templates::table
                .on(wechat_templates::app_id.eq(wechat_bindings::app_id).and(wechat_templates::template_id.eq(credits::template_id))),
        )
        .filter(wechat_bindings::user_id.eq_any(users))
        .filter(wechat_bindings::ended_at.is_null())
        .filter(credits::credits.gt(0))
        .select((wechat_bindings::user_id, wechat_templates::kind))
        .load::<(Id, String)>(tx.conn)?
        .into_iter()
        .collect();
    for row in rows {
        let kind = row.kind.code();
        if agreed.contains(&(row.user_id, kind.to_owned())) {
            let (title, at) = (row.title(Language::Zh), clock(row.at));
            send(tx, row.user_id, kind, &[("title", &title), ("result", row.kind.label().0), ("at", &at)])?;
        }
    }
    Ok(())
}

/// The fields of a template, filled: or the key of the first that can't be.
fn filled(template: &templates::Row, told: &BTreeMap<String, String>) -> Result<Result<Value, String>> {
    let mut data = serde_json::Map::new();
    for (key, name) in template.fields()? {
        let fitted = told.get(&name).and_then(|text| super::fields::Rule::of(&key)?.fitted(text));
        let Some(text) = fitted else { return Ok(Err(key)) };
        data.insert(key, serde_json::json!({ "value": text }));
    }
    Ok(Ok(Value::Object(data)))
}
