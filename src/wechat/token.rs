//! The access token: one for all servers, sealed in the database, renewed by one of them at a time.
//!
//! WeChat's stable token stays the same until some minutes before its end, and the one before is good for these minutes, so asking for
//! it does no harm. Asking for another in any case does: the present one is dead at once, and that is allowed a few times a day. It is
//! done where WeChat gives as the present token the very one that it has just refused.

use std::time::{Duration, Instant as Clock};

use chrono::{Days, FixedOffset, NaiveTime, TimeZone, Utc};
use diesel::prelude::*;
use zeroize::Zeroizing;

use super::client::{Api, FreshToken};
use super::errors::{Failure, Meaning};
use crate::db::{Db, Deed, Tx, held};
use crate::error::{Error, Result};
use crate::schema::wechat_tokens as t;
use crate::types::{Id, Instant, business_today};

/// A token this near its end isn't used any more.
const MARGIN_SECONDS: i64 = 120;
/// Twenty forced renewals a day are allowed: one in 72 minutes.
const FORCED_EVERY_SECONDS: i64 = 72 * 60;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the servers share about a mini-program.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = t)]
struct Shared {
    id: Id,
    app_id: String,
    sealed: Option<Vec<u8>>,
    expires_at: Option<Instant>,
    forced_at: Option<Instant>,
    quota_until: Option<Instant>,
    leased_by: Option<Id>,
    leased_until: Option<Instant>,
    version: i32,
}

impl Shared {
    /// Whether its token can be used, and isn't the one that WeChat has refused.
    fn counts(&self, refused: Option<i32>, now: Instant) -> bool {
        refused != Some(self.version) && self.expires_at.is_some_and(|end| end > now.plus_seconds(MARGIN_SECONDS))
    }

    fn opened(&self, db: &Db) -> Result<Zeroizing<String>> {
        let sealed = self.sealed.as_deref().unwrap_or_default();
        db.vault().open("wechat_tokens", "token", self.id, sealed).map(Zeroizing::new)
    }
}

struct Token {
    text: Zeroizing<String>,
    version: i32,
}

/// Calls WeChat with the access token; where it is refused, once more with a renewed one.
pub fn with<T>(api: &Api, db: &Db, call: impl Fn(&str) -> Result<T, Failure>) -> Result<T, Failure> {
    let token = present(api, db, None)?;
    match call(&token.text) {
        Err(failure) if failure.meaning() == Some(Meaning::Token) => {
            let renewed = present(api, db, Some(token.version))?;
            call(&renewed.text)
        }
        other => other,
    }
}

fn read(db: &Db, app_id: &str) -> Result<Option<Shared>> {
    db.run(true, |conn| Ok(t::table.filter(t::app_id.eq(app_id)).select(Shared::as_select()).first(conn).optional()?))
}

/// The token that counts, other than the one that was refused; renewed here, or waited for while another server renews it.
fn present(api: &Api, db: &Db, mut refused: Option<i32>) -> Result<Token, Failure> {
    let until = Clock::now() + api.settings.answer_within;
    loop {
        let shared = read(db, &api.settings.app_id)?;
        if let Some(shared) = shared.filter(|shared| shared.counts(refused, Instant::now())) {
            match shared.opened(db) {
                Ok(text) => return Ok(Token { text, version: shared.version }),
                // Sealed with a data key that is gone: as good as refused.
                Err(_) => refused = Some(shared.version),
            }
        }
        if let Some(lease) = lease(api, db, refused)? {
            return renew(api, db, lease, refused).inspect_err(|_| release(db, lease));
        }
        if Clock::now() >= until {
            return Err(Failure::Away("no access token in time"));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Takes the renewal upon this server, unless it is done or another is at it.
fn lease(api: &Api, db: &Db, refused: Option<i32>) -> Result<Option<Id>> {
    // As long as asking twice may take, and the writes around it.
    let seconds = i64::try_from(3 * api.settings.answer_within.as_secs()).unwrap_or(i64::MAX);
    let app_id = &api.settings.app_id;
    db.write_background(&Deed::of_operator("wechat"), |tx| {
        let found = known(tx, app_id)?;
        let taken = found.leased_until.is_some_and(|until| until > tx.now);
        if taken || found.counts(refused, tx.now) {
            return Ok(None);
        }
        let lease = Id::new();
        let until = tx.now.plus_seconds(seconds);
        diesel::update(t::table.find(found.id)).set((t::leased_by.eq(lease), t::leased_until.eq(until))).execute(tx.conn)?;
        Ok(Some(lease))
    })
}

/// The row of a mini-program, held; made where it is not there yet.
fn known(tx: &mut Tx<'_>, app_id: &str) -> Result<Shared> {
    let one = || t::table.filter(t::app_id.eq(app_id));
    held!(tx.conn, one().select(t::id))?;
    if let Some(found) = one().select(Shared::as_select()).first(tx.conn).optional()? {
        return Ok(found);
    }
    let new = Shared {
        id: Id::new(),
        app_id: app_id.to_owned(),
        sealed: None,
        expires_at: None,
        forced_at: None,
        quota_until: None,
        leased_by: None,
        leased_until: None,
        version: 0,
    };
    // Another server may be making it: then this one is refused, and looks again.
    tx.nested(|tx| Ok(diesel::insert_into(t::table).values(&new).execute(tx.conn)?)).or_else(|error| match error.code {
        crate::error::Code::AlreadyExists => Ok(0),
        _ => Err(error),
    })?;
    held!(tx.conn, one().select(t::id))?;
    Ok(one().select(Shared::as_select()).first(tx.conn)?)
}

fn renew(api: &Api, db: &Db, lease: Id, refused: Option<i32>) -> Result<Token, Failure> {
    let shared = read(db, &api.settings.app_id)?.ok_or_else(|| Error::internal("the row of a lease is gone"))?;
    let mut fresh = api.stable_token(false)?;
    let mut forced_at = shared.forced_at;
    let refused_again = refused.is_some() && shared.sealed.is_some() && shared.opened(db).is_ok_and(|text| *text == *fresh.text);
    if refused_again {
        let now = Instant::now();
        if forced_at.is_some_and(|at| now.seconds_since(at) < FORCED_EVERY_SECONDS) {
            return Err(Failure::Away("the access token is refused, and was renewed by force a while ago"));
        }
        forced_at = Some(now);
        fresh = api.stable_token(true)?;
    }
    Ok(keep(db, &shared, lease, &fresh, forced_at)?)
}

fn keep(db: &Db, shared: &Shared, lease: Id, fresh: &FreshToken, forced_at: Option<Instant>) -> Result<Token> {
    let sealed = db.vault().seal("wechat_tokens", "token", shared.id, fresh.text.as_bytes())?;
    let version = db.write_background(&Deed::of_operator("wechat"), |tx| {
        diesel::update(t::table.find(shared.id).filter(t::leased_by.eq(lease)))
            .set((
                t::sealed.eq(&sealed),
                t::expires_at.eq(tx.now.plus_seconds(fresh.seconds)),
                t::forced_at.eq(forced_at),
                t::leased_by.eq(None::<Id>),
                t::leased_until.eq(None::<Instant>),
                t::version.eq(t::version + 1),
            ))
            .execute(tx.conn)?;
        // Whose lease ended meanwhile may use what it got, and keeps nothing.
        Ok(t::table.find(shared.id).select(t::version).first(tx.conn)?)
    })?;
    Ok(Token { text: fresh.text.clone(), version })
}

/// Lets another server try; else the lease ends by itself.
fn release(db: &Db, lease: Id) {
    let let_go = db.write_background(&Deed::of_operator("wechat"), |tx| {
        diesel::update(t::table.filter(t::leased_by.eq(lease)))
            .set((t::leased_by.eq(None::<Id>), t::leased_until.eq(None::<Instant>)))
            .execute(tx.conn)?;
        Ok(())
    });
    let _ = let_go.inspect_err(|error| log::warn!("the lease of the access token can't be let go of: {error}"));
}

/// When WeChat counts anew: a while after midnight in China.
pub fn next_day(now: Instant) -> Instant {
    let shanghai = FixedOffset::east_opt(8 * 3600).expect("eight hours are an offset");
    let tomorrow = business_today(now).checked_add_days(Days::new(1)).unwrap_or_else(|| business_today(now));
    let midnight = shanghai.from_local_datetime(&tomorrow.and_time(NaiveTime::MIN)).single();
    Instant(midnight.map_or_else(|| now.0, |at| at.with_timezone(&Utc))).plus_seconds(300)
}

/// Until when no more messages are sent, where WeChat has said that it is enough for a day.
pub fn quota_until(db: &Db, app_id: &str) -> Result<Option<Instant>> {
    Ok(read(db, app_id)?.and_then(|shared| shared.quota_until))
}

/// Says that it is enough for today.
pub fn quota_is_used_up(tx: &mut Tx<'_>, app_id: &str) -> Result<()> {
    let until = next_day(tx.now);
    let shared = known(tx, app_id)?;
    diesel::update(t::table.find(shared.id)).set(t::quota_until.eq(until)).execute(tx.conn)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_wechat_begins_at_midnight_in_china() {
        let at = |text: &str| Instant(text.parse().expect("an instant"));
        assert_eq!(next_day(at("2022-06-17T15:59:59Z")), at("2022-06-17T16:05:00Z"));
        assert_eq!(next_day(at("2022-06-17T16:00:00Z")), at("2022-06-18T16:05:00Z"));
    }
}
