//! The calls. An answer is read whatever type it says it has (WeChat says text/plain), within its time and size, and believed only as
//! far as it has been looked at.

use std::time::{Duration, Instant as Clock};

use serde::Deserialize;
use serde_json::{Value, json};
use ureq::Agent;
use zeroize::Zeroizing;

use super::Settings;
use super::errors::{Failure, Meaning, Refusal};

/// The largest answer, in bytes; of an image.
const ANSWER_LIMIT: u64 = 1024 * 1024;
const IMAGE_LIMIT: u64 = 2 * 1024 * 1024;
/// How often WeChat is asked that says it is busy.
const TRIES: u32 = 3;

/// WeChat's API, as one mini-program.
pub struct Api {
    pub settings: Settings,
    agent: Agent,
}

/// Who holds the telephone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub openid: String,
    pub unionid: Option<String>,
}

/// What WeChat thinks of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suggestion {
    Pass,
    Review,
    Risky,
}

/// An access token, and how many seconds it lives.
pub struct FreshToken {
    pub text: Zeroizing<String>,
    pub seconds: i64,
}

type Called<T> = Result<T, Failure>;

impl Api {
    pub fn new(settings: Settings) -> Self {
        let agent = Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
        Self { settings, agent }
    }

    /// One call: the bytes of the answer, whatever they say.
    fn call(&self, path: &str, query: &[(&str, &str)], body: Option<&Value>, within: Duration, limit: u64) -> Called<Vec<u8>> {
        let url = format!("{}{path}", self.settings.api_url);
        let sent = match body {
            None => self.agent.get(&url).query_pairs(query.iter().copied()).config().timeout_global(Some(within)).build().call(),
            Some(body) => {
                let text = body.to_string();
                let request = self.agent.post(&url).query_pairs(query.iter().copied()).header("Content-Type", "application/json");
                request.config().timeout_global(Some(within)).build().send(&text)
            }
        };
        // The library's own words may tell the address, in which the secret stands.
        let mut answer = sent.map_err(|error| match error {
            ureq::Error::Timeout(_) => Failure::Away("no answer in time"),
            _ => Failure::Away("no connection"),
        })?;
        if !answer.status().is_success() {
            return Err(Failure::Away("an answer that is no success"));
        }
        answer.body_mut().with_config().limit(limit).read_to_vec().map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => Failure::Away("an answer that is too large"),
            ureq::Error::Timeout(_) => Failure::Away("no whole answer in time"),
            _ => Failure::Away("a broken answer"),
        })
    }

    /// The same, and once more while WeChat says that it is busy: all within the time that one answer has.
    fn ask<T>(&self, path: &str, query: &[(&str, &str)], body: Option<&Value>, limit: u64, read: impl Fn(&[u8]) -> Called<T>) -> Called<T> {
        let until = Clock::now() + self.settings.answer_within;
        let mut tried = 0;
        loop {
            tried += 1;
            let left = until.saturating_duration_since(Clock::now());
            if left.is_zero() {
                return Err(Failure::Away("no answer in time"));
            }
            let outcome = self.call(path, query, body, left, limit).and_then(|bytes| read(&bytes));
            match outcome {
                Err(failure) if failure.meaning() == Some(Meaning::Busy) && tried < TRIES => {
                    std::thread::sleep(Duration::from_millis(100 * u64::from(tried)).min(left));
                }
                other => return other,
            }
        }
    }

    /// Who a code of `wx.login` stands for. With the answer comes a `session_key`, which is not even read.
    pub fn holder_of(&self, code: &str) -> Called<Holder> {
        #[derive(Deserialize)]
        struct Told {
            openid: Option<String>,
            unionid: Option<String>,
        }
        let query = [
            ("appid", self.settings.app_id.as_str()),
            ("secret", self.settings.app_secret.as_str()),
            ("js_code", code),
            ("grant_type", "authorization_code"),
        ];
        self.ask("/sns/jscode2session", &query, None, ANSWER_LIMIT, |bytes| {
            // A success often says nothing of success: that there is an openid tells it.
            let told: Told = answer(bytes)?;
            let named = |id: &String| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            let openid = told.openid.filter(named).ok_or(Failure::Away("an answer without an openid"))?;
            Ok(Holder { openid, unionid: told.unionid.filter(named) })
        })
    }

    /// The access token that counts now; a new one in any case where `force` says so.
    pub fn stable_token(&self, force: bool) -> Called<FreshToken> {
        #[derive(Deserialize)]
        struct Told {
            access_token: Option<String>,
            expires_in: Option<i64>,
        }
        let body = json!({"grant_type": "client_credential", "appid": self.settings.app_id, "secret": self.settings.app_secret.as_str(),
                          "force_refresh": force});
        self.ask("/cgi-bin/stable_token", &[], Some(&body), ANSWER_LIMIT, |bytes| {
            let told: Told = answer(bytes)?;
            let plain = |token: &String| (1..=4_096).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
            let text = told.access_token.filter(plain).ok_or(Failure::Away("an answer without an access token"))?;
            let seconds =
                told.expires_in.filter(|seconds| (1..=86_400).contains(seconds)).ok_or(Failure::Away("a token without an end"))?;
            Ok(FreshToken { text: Zeroizing::new(text), seconds })
        })
    }

    /// The phone number of China that a code of `getPhoneNumber` stands for; `None` for one of another country.
    pub fn phone_of(&self, token: &str, code: &str) -> Called<Option<String>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Phone {
            pure_phone_number: Option<String>,
            // A number by the manual, a text in life.
            country_code: Option<Value>,
            watermark: Option<Watermark>,
        }
        #[derive(Deserialize)]
        struct Watermark {
            appid: Option<String>,
        }
        #[derive(Deserialize)]
        struct Told {
            phone_info: Option<Phone>,
        }
        let body = json!({ "code": code });
        self.ask("/wxa/business/getuserphonenumber", &[("access_token", token)], Some(&body), ANSWER_LIMIT, |bytes| {
            let told: Told = answer(bytes)?;
            let phone = told.phone_info.ok_or(Failure::Away("an answer without a phone number"))?;
            if phone.watermark.and_then(|mark| mark.appid).is_some_and(|appid| appid != self.settings.app_id) {
                return Err(Failure::Away("a phone number of another mini-program"));
            }
            let of_china = match &phone.country_code {
                Some(Value::String(code)) => code.trim_start_matches('+') == "86",
                Some(Value::Number(code)) => code.as_i64() == Some(86),
                _ => false,
            };
            let number = phone.pure_phone_number.ok_or(Failure::Away("an answer without a phone number"))?;
            Ok(of_china.then_some(number))
        })
    }

    /// Sends a message of a template.
    pub fn send(&self, token: &str, message: &Value) -> Called<()> {
        let path = "/cgi-bin/message/subscribe/send";
        self.ask(path, &[("access_token", token)], Some(message), ANSWER_LIMIT, |bytes| answer::<Value>(bytes).map(|_| ()))
    }

    /// What WeChat thinks of a text that somebody wrote.
    pub fn suggestion(&self, token: &str, question: &Value) -> Called<Suggestion> {
        self.ask("/wxa/msg_sec_check", &[("access_token", token)], Some(question), ANSWER_LIMIT, |bytes| {
            let told: Value = answer(bytes)?;
            match told.pointer("/result/suggest").and_then(Value::as_str) {
                Some("pass") => Ok(Suggestion::Pass),
                Some("review") => Ok(Suggestion::Review),
                Some("risky") => Ok(Suggestion::Risky),
                _ => Err(Failure::Away("an answer without a suggestion")),
            }
        })
    }

    /// A code to scan: the image, and what it is an image of. It comes as bytes, and a refusal as JSON.
    pub fn qr_code(&self, token: &str, wanted: &Value) -> Called<(&'static str, Vec<u8>)> {
        self.ask("/wxa/getwxacodeunlimit", &[("access_token", token)], Some(wanted), IMAGE_LIMIT, |bytes| {
            if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
                return Ok(("image/png", bytes.to_vec()));
            }
            if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
                return Ok(("image/jpeg", bytes.to_vec()));
            }
            answer::<Value>(bytes)?;
            Err(Failure::Away("an answer that is no image"))
        })
    }
}

/// An answer as its type, or the refusal that it is: an `errcode` other than 0.
fn answer<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Called<T> {
    let told: Value = serde_json::from_slice(bytes).map_err(|_| Failure::Away("an answer that is no JSON"))?;
    if !told.is_object() {
        return Err(Failure::Away("an answer that is no object"));
    }
    match told.get("errcode").map(|code| code.as_i64().or_else(|| code.as_str().and_then(|text| text.parse().ok()))) {
        None | Some(Some(0)) => {}
        Some(Some(code)) => {
            return Err(Failure::Refused(Refusal::new(code, told.get("errmsg").and_then(Value::as_str).unwrap_or_default())));
        }
        Some(None) => return Err(Failure::Away("an answer whose errcode is no number")),
    }
    serde_json::from_value(told).map_err(|_| Failure::Away("an answer of another form"))
}
