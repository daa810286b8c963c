//! The service as a script uses it, over HTTP: what `yiyong import` and the demonstration are made of.
//!
//! Whatever may have got lost on the way is asked again, with the same `Idempotency-Key`, so that nothing is done twice.

pub mod import;

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::{Method, Request, Response};
use ureq::{Agent, Body, SendBody};
use zeroize::Zeroizing;

/// How often something is tried that fails by nobody's fault.
const TRIES: u32 = 6;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Who signs in.
pub enum Credentials {
    /// A person.
    Password { username: String, password: Zeroizing<String> },
    /// A machine client.
    Client { id: String, secret: Zeroizing<String> },
    /// Somebody who has signed in elsewhere.
    Token(Zeroizing<String>),
}

/// Why something was not done.
#[derive(Debug)]
pub enum Failure {
    /// No answer, or none that would do, however often it was asked.
    Unreachable(String),
    /// The service has understood and says no: its problem document.
    Refused { status: u16, problem: Value },
    /// What was to be sent can't be read.
    Unreadable(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) | Self::Unreadable(why) => f.write_str(why),
            Self::Refused { status, problem } => {
                let text = |name: &str| problem[name].as_str().unwrap_or_default();
                write!(f, "{status} {}: {} {}", text("code"), text("title"), text("detail"))?;
                for fault in problem["errors"].as_array().into_iter().flatten() {
                    let text = |name: &str| fault[name].as_str().unwrap_or_default();
                    write!(f, "; {} {}", text("pointer"), text("message"))?;
                }
                Ok(())
            }
        }
    }
}

pub type Result<T> = std::result::Result<T, Failure>;

/// What is sent along.
pub enum Sent<'a> {
    Nothing,
    Json(&'a Value),
    /// A form: the texts by name, and a file.
    Form(&'a [(&'a str, &'a str)], &'a FormFile<'a>),
}

/// The file of a form.
pub enum FormFile<'a> {
    OnDisk(&'a Path),
    Inline { name: &'a str, bytes: &'a [u8] },
}

/// A script that talks to the service as one user.
pub struct Client {
    agent: Agent,
    base: String,
    credentials: Credentials,
    token: Mutex<Zeroizing<String>>,
}

impl Client {
    /// Signs in at a server, whose address is `base`: `https://yiyong.example.cn`.
    pub fn sign_in(base: &str, credentials: Credentials) -> Result<Self> {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_secs(120)))
            .build()
            .into();
        let client = Self { agent, base: base.trim_end_matches('/').to_owned(), credentials, token: Mutex::default() };
        client.sign_in_again()?;
        Ok(client)
    }

    fn sign_in_again(&self) -> Result<()> {
        let token = match &self.credentials {
            Credentials::Token(token) => token.clone(),
            Credentials::Password { username, password } => {
                self.token_of("/api/v1/auth/login", &json!({"username": username, "password": password.as_str()}))?
            }
            Credentials::Client { id, secret } => self.token_of(
                "/api/v1/auth/token",
                &json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret.as_str()}),
            )?,
        };
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
        Ok(())
    }

    fn token_of(&self, path: &str, body: &Value) -> Result<Zeroizing<String>> {
        let (_, answer) = self.patiently(Method::POST, path, &[], &Sent::Json(body))?;
        Ok(Zeroizing::new(answer["access_token"].as_str().unwrap_or_default().to_owned()))
    }

    pub fn get(&self, path: &str) -> Result<Value> {
        Ok(self.call(Method::GET, path, &[], &Sent::Nothing)?.1)
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        Ok(self.call(Method::POST, path, &[], &Sent::Json(body))?.1)
    }

    /// The status and what was answered. Whose token has expired meanwhile signs in again.
    pub fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], sent: &Sent<'_>) -> Result<(u16, Value)> {
        match self.patiently(method.clone(), path, headers, sent) {
            Err(Failure::Refused { status: 401, .. }) if !matches!(self.credentials, Credentials::Token(_)) => {
                self.sign_in_again()?;
                self.patiently(method, path, headers, sent)
            }
            other => other,
        }
    }

    fn patiently(&self, method: Method, path: &str, headers: &[(&str, &str)], sent: &Sent<'_>) -> Result<(u16, Value)> {
        let mut pause = Duration::from_millis(500);
        for tried in 1.. {
            let (failure, wait) = match self.once(&method, path, headers, sent) {
                Ok(answer) => match told(answer) {
                    (Some(wait), failure) => (failure, wait),
                    (None, failure) => return failure,
                },
                Err(failure @ Failure::Unreachable(_)) => (Err(failure), Duration::ZERO),
                Err(failure) => return Err(failure),
            };
            if tried == TRIES {
                return failure;
            }
            std::thread::sleep(pause.max(wait).min(LONGEST_PAUSE));
            pause *= 2;
        }
        Err(Failure::Unreachable(self.base.clone()))
    }

    fn once(&self, method: &Method, path: &str, headers: &[(&str, &str)], sent: &Sent<'_>) -> Result<Response<Body>> {
        let what = format!("{method} {}{path}", self.base);
        let unreachable = |error: &dyn fmt::Display| Failure::Unreachable(format!("{what}: {error}"));
        let mut request = Request::builder().method(method.clone()).uri(format!("{}{path}", self.base));
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !token.is_empty() {
            request = request.header("Authorization", format!("Bearer {}", token.as_str()));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match sent {
            Sent::Nothing if *method == Method::GET => self.agent.run(request.body(()).map_err(|e| unreachable(&e))?),
            Sent::Nothing => self.agent.run(request.body(SendBody::none()).map_err(|e| unreachable(&e))?),
            Sent::Json(value) => {
                let text = value.to_string();
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(text.as_str()).map_err(|e| unreachable(&e))?)
            }
            Sent::Form(texts, file) => {
                let mut form = import::Form::new(texts, file)?;
                let request = request.header("Content-Type", import::Form::CONTENT_TYPE).header("Content-Length", form.length());
                self.agent.run(request.body(SendBody::from_reader(&mut form)).map_err(|e| unreachable(&e))?)
            }
        };
        answer.map_err(|error| unreachable(&error))
    }
}

/// What an answer says; with how long to wait where it is worth asking again.
fn told(mut answer: Response<Body>) -> (Option<Duration>, Result<(u16, Value)>) {
    let status = answer.status().as_u16();
    let wait = answer.headers().get("Retry-After").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let text = match answer.body_mut().with_config().limit(64 * 1024 * 1024).read_to_string() {
        Ok(text) => text,
        // Cut off on the way.
        Err(error) => return (Some(Duration::ZERO), Err(Failure::Unreachable(error.to_string()))),
    };
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    let passing = matches!(status, 429 | 502..=504) || (status == 409 && body["code"] == "request_in_progress");
    let result = if answer.status().is_success() { Ok((status, body)) } else { Err(Failure::Refused { status, problem: body }) };
    (passing.then(|| Duration::from_secs(wait.unwrap_or_default())), result)
}
