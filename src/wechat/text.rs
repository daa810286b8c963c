//! What people write in the mini-program, shown to WeChat before others read it.
//!
//! WeChat judges texts of those alone who have used the mini-program lately: so of a caller who came in by it, and of nobody else. What it
//! holds for risky is refused; what it is unsure of goes on, since an officer reads it. Where WeChat can't be asked nothing is held up:
//! the text goes to the office and not to the public.

use serde_json::json;

use super::client::Suggestion;
use super::{WeChat, bindings, token};
use crate::auth::Caller;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::types::Instant;

/// The longest text that WeChat takes.
const MOST_CHARACTERS: usize = 2_500;
/// A text in a record, as WeChat sorts them: 1 profile, 2 comment, 3 forum, 4 journal.
const SCENE: u8 = 2;

/// Refuses texts, each with its pointer, that WeChat holds for risky.
pub async fn check(wechat: &WeChat, db: &Db, caller: &Caller, texts: &[(&str, Option<&str>)]) -> Result<()> {
    let (Some(binding_id), Some(_)) = (caller.actor.wechat_binding_id, wechat.configured()) else { return Ok(()) };
    let texts: Vec<(String, String)> = texts
        .iter()
        .filter_map(|(pointer, text)| Some((*pointer, text.filter(|text| !text.trim().is_empty())?)))
        .map(|(pointer, text)| (pointer.to_owned(), text.chars().take(MOST_CHARACTERS).collect()))
        .collect();
    if texts.is_empty() {
        return Ok(());
    }
    let judged = wechat.ask(db, move |api, db| {
        let Some(openid) = db.run(true, |conn| bindings::openid(conn, db.vault(), binding_id))? else { return Ok(None) };
        for (pointer, text) in texts {
            let question = json!({"version": 2, "openid": openid, "scene": SCENE, "content": text});
            let suggestion = token::with(api, db, |token| api.suggestion(token, &question));
            if suggestion.map_err(|failure| failure.told(Instant::now()))? == Suggestion::Risky {
                return Ok(Some(pointer));
            }
        }
        Ok(None)
    });
    match judged.await {
        Ok(None) => Ok(()),
        Ok(Some(pointer)) => Err(Error::field(
            pointer,
            "risky_text",
            "内容未通过安全检查，请修改后再提交",
            "the text did not pass the check of its content; change it",
        )),
        Err(error) => {
            log::warn!("a text goes on unchecked: {error}");
            Ok(())
        }
    }
}
