//! WeChat, as far as this service knows it, on a port of this machine: with its oddities, and with what can go wrong on the way.
//!
//! Codes of `wx.login` say what they are for: `ok-<openid>` signs in once, `bad` is refused, `risk` is a blocked person, `busy-<openid>` is
//! answered -1 first, `limit` is too often, `hang` and `huge` are what they say. Codes of `getPhoneNumber` are `phone-<number>`.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};

pub const APP_ID: &str = "wx1234567890abcdef";
pub const SECRET: &str = "5ecre7ofthemin1program0123456789";
pub const SESSION_KEY: &str = "Xk1qT0uJ8sessionkeyQm9w==";
/// What a picture begins with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and the rest of a picture \x00\xff";

#[derive(Default)]
pub struct State {
    used: HashSet<String>,
    busy: HashSet<String>,
    tokens: usize,
    /// Whether `stable_token` gives another than before.
    token: String,
    dead: HashSet<String>,
    /// How often `stable_token` was asked, and how often by force.
    pub asked: usize,
    pub forced: usize,
    /// Messages that each openid takes of each template.
    accepted: HashMap<(String, String), i32>,
    pub sent: Vec<Value>,
    /// What was asked of the codes to scan.
    pub drawn: Vec<Value>,
    pub checked: Vec<Value>,
    /// Answers to give to the next calls of a path instead of what it would answer.
    instead: Vec<(&'static str, i64)>,
    pub slow_tokens: Option<Duration>,
}

/// The fake; it ends with the process.
#[derive(Clone)]
pub struct Fake {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State::default()));
        let fake = Self { url, state };
        let serving = fake.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let fake = serving.clone();
                std::thread::spawn(move || fake.serve(stream));
            }
        });
        fake
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// How often a token was asked for, how often by force, and how many codes were drawn.
    pub fn counts(&self) -> (usize, usize, usize) {
        let state = self.state();
        (state.asked, state.forced, state.drawn.len())
    }

    /// As it was in the beginning.
    pub fn forgets(&self) {
        *self.state() = State::default();
    }

    /// The next calls of a path are answered with a code.
    pub fn answers_once(&self, path: &'static str, code: i64) {
        self.state().instead.push((path, code));
    }

    /// Somebody taps on accept.
    pub fn accepts(&self, openid: &str, template: &str, times: i32) {
        *self.state().accepted.entry((openid.to_owned(), template.to_owned())).or_default() += times;
    }

    /// The token that was given last doesn't count any more. `changed` where another is given from now on; else the same is given again
    /// until it is asked for by force.
    pub fn kills_the_token(&self, changed: bool) {
        let mut state = self.state();
        let token = state.token.clone();
        state.dead.insert(token);
        if changed {
            state.token.clear();
        }
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or_default() == 0 {
                return;
            }
            let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
            let mut length = 0;
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).expect("a header");
                if header.trim().is_empty() {
                    break;
                }
                if let Some((name, value)) = header.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    length = value.trim().parse().expect("a length");
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            let query: HashMap<String, String> = serde_urlencoded::from_str(query).expect("a query");
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let answer = self.answer(path, &query, &body);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", answer.len());
            let mut stream = &stream;
            if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&answer)).is_err() {
                return;
            }
        }
    }

    fn answer(&self, path: &str, query: &HashMap<String, String>, body: &Value) -> Vec<u8> {
        let mut state = self.state();
        let place = state.instead.iter().position(|(of, _)| *of == path);
        let told = place.map(|place| state.instead.remove(place));
        drop(state);
        if let Some((_, code)) = told {
            return refusal(code, "told so");
        }
        match path {
            "/sns/jscode2session" => self.session(query),
            "/cgi-bin/stable_token" => self.stable_token(body),
            _ => {
                let token = query.get("access_token").cloned().unwrap_or_default();
                let state = self.state();
                if token.is_empty() || state.dead.contains(&token) || !token.starts_with("TOKEN-") {
                    return refusal(40_001, "invalid credential, access_token is invalid or not latest");
                }
                drop(state);
                match path {
                    "/wxa/business/getuserphonenumber" => self.phone(body),
                    "/cgi-bin/message/subscribe/send" => self.send(body),
                    "/wxa/getwxacodeunlimit" => self.draw(body),
                    "/wxa/msg_sec_check" => self.check(body),
                    _ => refusal(40_066, "invalid url"),
                }
            }
        }
    }

    fn session(&self, query: &HashMap<String, String>) -> Vec<u8> {
        let of = |name: &str| query.get(name).map_or("", String::as_str);
        if of("appid") != APP_ID {
            return refusal(40_013, "invalid appid");
        }
        if of("secret") != SECRET || of("grant_type") != "authorization_code" {
            return refusal(40_125, "invalid appsecret");
        }
        let code = of("js_code");
        let found = |openid: &str| {
            // No errcode: whoever asks for one finds none.
            json!({"session_key": SESSION_KEY, "openid": openid, "unionid": format!("union-{openid}")}).to_string().into_bytes()
        };
        match code.split_once('-').unwrap_or((code, "")) {
            ("ok", openid) => {
                if self.state().used.insert(code.to_owned()) {
                    found(openid.split('.').next().unwrap_or(openid))
                } else {
                    refusal(40_029, "code been used")
                }
            }
            ("busy", openid) => {
                if self.state().busy.insert(code.to_owned()) {
                    refusal(-1, "system error")
                } else {
                    found(openid)
                }
            }
            ("risk", _) => refusal(40_226, "code blocked"),
            ("limit", _) => refusal(45_011, "api minute-quota reach limit"),
            ("hang", _) => {
                std::thread::sleep(Duration::from_secs(8));
                found("late")
            }
            ("huge", _) => {
                let mut answer = found("huge");
                answer.resize(3 * 1024 * 1024, b' ');
                answer
            }
            ("empty", _) => b"{}".to_vec(),
            ("html", _) => b"<html>502 Bad Gateway</html>".to_vec(),
            ("odd", _) => json!({"session_key": SESSION_KEY, "openid": "a b\r\nc"}).to_string().into_bytes(),
            _ => refusal(40_029, "invalid code"),
        }
    }

    fn stable_token(&self, body: &Value) -> Vec<u8> {
        if body["appid"] != APP_ID || body["secret"] != SECRET || body["grant_type"] != "client_credential" {
            return refusal(40_013, "invalid appid");
        }
        let slow = self.state().slow_tokens;
        if let Some(slow) = slow {
            std::thread::sleep(slow);
        }
        let mut state = self.state();
        state.asked += 1;
        let by_force = body["force_refresh"] == true;
        state.forced += usize::from(by_force);
        if state.token.is_empty() || by_force {
            state.tokens += 1;
            state.token = format!("TOKEN-{}-{}", state.tokens, "0123456789".repeat(50));
        }
        json!({"access_token": state.token, "expires_in": 7200}).to_string().into_bytes()
    }

    fn phone(&self, body: &Value) -> Vec<u8> {
        let code = body["code"].as_str().unwrap_or_default();
        let (country, number) = match code.split_once('-') {
            Some(("phone", number)) => ("86", number),
            Some(("foreign", number)) => ("1", number),
            _ => return refusal(40_029, "invalid code"),
        };
        if !self.state().used.insert(code.to_owned()) {
            return refusal(40_029, "code been used");
        }
        let number = number.split('.').next().unwrap_or(number);
        json!({"errcode": 0, "errmsg": "ok", "phone_info": {"phoneNumber": number, "purePhoneNumber": number, "countryCode": country,
               "watermark": {"timestamp": 1_637_744_274, "appid": APP_ID}}})
        .to_string()
        .into_bytes()
    }

    fn send(&self, body: &Value) -> Vec<u8> {
        let (openid, template) = (body["touser"].as_str().unwrap_or_default(), body["template_id"].as_str().unwrap_or_default());
        if body["miniprogram_state"] != "formal" || body["lang"] != "zh_CN" {
            return refusal(41_030, "invalid page");
        }
        for (key, value) in body["data"].as_object().expect("data") {
            let text = value["value"].as_str().unwrap_or_default();
            let fits = match key.trim_end_matches(|c: char| c.is_ascii_digit()) {
                "thing" => (1..=20).contains(&text.chars().count()),
                "phrase" => (1..=5).contains(&text.chars().count()) && text.chars().all(|c| !c.is_ascii()),
                "number" => text.chars().all(|c| c.is_ascii_digit()),
                _ => !text.is_empty(),
            };
            if !fits {
                return refusal(47_003, &format!("argument invalid! data.{key}.value invalid rid: 61a1-2-3"));
            }
        }
        let mut state = self.state();
        let left = state.accepted.entry((openid.to_owned(), template.to_owned())).or_default();
        if *left <= 0 {
            return refusal(43_101, "user refuse to accept the msg");
        }
        *left -= 1;
        state.sent.push(body.clone());
        json!({"errcode": 0, "errmsg": "ok", "msgid": 2_451_233}).to_string().into_bytes()
    }

    fn draw(&self, body: &Value) -> Vec<u8> {
        let scene = body["scene"].as_str().unwrap_or_default();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$&'()*+,/:;=?@-._~".contains(c);
        if !(1..=32).contains(&scene.len()) || !scene.chars().all(allowed) {
            return refusal(40_169, "invalid length for scene, or the data is not json string");
        }
        if body["page"].as_str().is_some_and(|page| page.starts_with('/')) {
            return refusal(41_030, "invalid page");
        }
        self.state().drawn.push(body.clone());
        PNG.to_vec()
    }

    fn check(&self, body: &Value) -> Vec<u8> {
        self.state().checked.push(body.clone());
        if body["version"] != 2 || body["openid"].as_str().is_none_or(str::is_empty) {
            return refusal(40_129, "invalid scene");
        }
        let risky = body["content"].as_str().is_some_and(|text| text.contains("赌场"));
        let (suggest, label) = if risky { ("risky", 20_006) } else { ("pass", 100) };
        json!({"errcode": 0, "errmsg": "ok", "trace_id": "61a1", "result": {"suggest": suggest, "label": label}}).to_string().into_bytes()
    }
}

fn refusal(code: i64, said: &str) -> Vec<u8> {
    json!({"errcode": code, "errmsg": said}).to_string().into_bytes()
}
