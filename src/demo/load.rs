//! Loads the records over HTTP: the root by the platform's administrator, the files by a machine client, and each
//! disbursement through three pairs of hands.

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use ureq::http::Method;
use zeroize::Zeroizing;

use super::{FILES, Fixture};
use crate::auth::UserKind;
use crate::auth::operator::{self, NewOperatorUser};
use crate::db::Db;
use crate::policy::Role;
use crate::types::TextEnum;

/// Who may sign in to the demonstration.
#[derive(Debug)]
pub struct Account {
    pub role: Role,
    pub label_zh: &'static str,
    pub username: String,
    pub password: Zeroizing<String>,
    /// Code of the organization that the role is held on; null for the whole tree.
    pub organization: Option<&'static str>,
}

/// Where each role is held: in the city, in one county, or over all.
const PLACES: &[(Role, Option<&str>)] = &[
    (Role::PlatformAdmin, None),
    (Role::Service, Some("hn")),
    (Role::ProvinceViewer, Some("hn")),
    (Role::OrgAdmin, Some("zz")),
    (Role::Leader, Some("zz")),
    (Role::Clerk, Some("zz")),
    (Role::PublicityOfficer, Some("zz")),
    (Role::WelfareOfficer, Some("zz")),
    (Role::Finance, Some("zz")),
    (Role::Auditor, Some("zz")),
    (Role::StationHead, Some("zz-jinshui")),
    (Role::LiaisonOfficer, Some("zz-jinshui")),
    (Role::Volunteer, Some("zz-dengfeng")),
    (Role::HeroFamily, Some("zz-xinzheng")),
];

/// Loads everything into an empty, running service and returns the accounts. Says what stood in the way.
pub fn load(db: &Db, base: &str) -> Result<Vec<Account>, String> {
    let steps = FILES.len() as u64 + 3;
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}").map_err(|e| e.to_string())?;
    let progress = ProgressBar::new(steps).with_style(style);
    let step = |what: &'static str| {
        progress.set_message(what);
        progress.inc(1);
    };

    step("platform");
    let mut accounts = vec![account(db, PLACES[0])?];
    let platform = Script::sign_in(base, &accounts[0])?;
    let root = json!({"code": "hn", "name": "河南省见义勇为基金会", "kind": "provincial_foundation"});
    platform.post("/api/v1/organizations", &root)?;
    accounts.push(account(db, PLACES[1])?);
    let importer = Script::sign_in(base, &accounts[1])?;
    for file in FILES {
        step(file.resource);
        importer.import(file)?;
    }
    step("accounts");
    for place in &PLACES[2..] {
        accounts.push(account(db, *place)?);
    }
    // A volunteer and a hero's family see what is their own, so they are told who they are.
    for (role, records) in [(Role::Volunteer, "volunteers?code=zz-v0001"), (Role::HeroFamily, "heroes?sort=code&limit=1")] {
        let person = importer.get(&format!("/api/v1/{records}"))?["items"][0]["person_id"].clone();
        let username = username(role);
        let user = platform.get(&format!("/api/v1/users?username={username}"))?["items"][0].clone();
        let path = format!("/api/v1/users/{}", user["id"].as_str().unwrap_or_default());
        platform.call(Method::PATCH, &path, &json!({"person_id": person}), &[("If-Match", &format!("\"{}\"", user["version"]))])?;
    }
    step("disbursements");
    let of = |role: Role| accounts.iter().find(|account| account.role == role).ok_or_else(|| format!("no account of {}", role.code()));
    let (leader, finance) = (Script::sign_in(base, of(Role::Leader)?)?, Script::sign_in(base, of(Role::Finance)?)?);
    // What the city's association gives of its own comes out of its fund; what is there was prepared by one and is posted
    // by another.
    let one = |path: &str| importer.get(path).map(|page| page["items"][0].clone());
    let (voucher, account, fund) = (
        one("/api/v1/vouchers?code=zz-2022-opening")?,
        one("/api/v1/accounts?code=zz-bank")?,
        one("/api/v1/accounts?code=zz-unrestricted")?,
    );
    let voucher = format!("/api/v1/vouchers/{}", voucher["id"].as_str().unwrap_or_default());
    importer.step(&voucher, "submit", &json!({}))?;
    leader.step(&voucher, "post", &json!({}))?;
    let drafts = importer.get("/api/v1/disbursements?state=draft&limit=200")?;
    for draft in drafts["items"].as_array().into_iter().flatten() {
        let path = format!("/api/v1/disbursements/{}", draft["id"].as_str().unwrap_or_default());
        importer.step(&path, "submit", &json!({}))?;
        leader.step(&path, "approve", &json!({}))?;
        // The source says no day: by the end of the year at the latest.
        match draft["form"].as_str() {
            Some("cash") => {
                let mut paid = json!({"paid_on": "2022-12-31", "paid_on_precision": "at_latest"});
                if draft["channel"] == "own" && draft["organization_id"] == fund["organization_id"] {
                    paid["fund_id"] = fund["id"].clone();
                    paid["account_id"] = account["id"].clone();
                }
                finance.step(&path, "pay", &paid)?
            }
            _ => finance.step(&path, "deliver", &json!({"delivered_on": null}))?,
        };
    }
    progress.finish_and_clear();
    Ok(accounts)
}

fn username(role: Role) -> String {
    format!("demo-{}", role.code().replace('_', "-"))
}

fn account(db: &Db, (role, organization): (Role, Option<&'static str>)) -> Result<Account, String> {
    let (kind, password) = match role {
        Role::Service => (UserKind::Service, format!("{}-{}", operator::generated_password(), operator::generated_password())),
        _ => (UserKind::Person, operator::generated_password()),
    };
    let password = Zeroizing::new(password);
    let label_zh = role.label().0;
    let user = NewOperatorUser {
        username: username(role),
        name: label_zh.to_owned(),
        kind,
        role,
        organization_code: organization.map(str::to_owned),
        password: password.clone(),
    };
    operator::create_user(db, &user).map_err(|error| format!("the account of {} can't be made: {error}", role.code()))?;
    Ok(Account { role, label_zh, username: user.username, password, organization })
}

/// A script that talks to the service as one user.
struct Script {
    agent: ureq::Agent,
    base: String,
    token: String,
}

impl Script {
    fn sign_in(base: &str, account: &Account) -> Result<Self, String> {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut script = Self { agent, base: base.to_owned(), token: String::new() };
        let (name, password) = (&account.username, account.password.as_str());
        let tokens = if account.role == Role::Service {
            let credentials = json!({"grant_type": "client_credentials", "client_id": name, "client_secret": password});
            script.post("/api/v1/auth/token", &credentials)?
        } else {
            script.post("/api/v1/auth/login", &json!({"username": name, "password": password}))?
        };
        script.token = tokens["access_token"].as_str().unwrap_or_default().to_owned();
        Ok(script)
    }

    fn get(&self, path: &str) -> Result<Value, String> {
        self.send(Method::GET, path, &[], &[])
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.call(Method::POST, path, body, &[])
    }

    fn call(&self, method: Method, path: &str, body: &Value, headers: &[(&str, &str)]) -> Result<Value, String> {
        self.send(method, path, &[headers, &[("Content-Type", "application/json")]].concat(), body.to_string().as_bytes())
    }

    /// A step of a workflow; the record and the step make a key that is the same however often it is tried.
    fn step(&self, path: &str, action: &str, body: &Value) -> Result<Value, String> {
        let path = format!("{path}/{action}");
        self.call(Method::POST, &path, body, &[("Idempotency-Key", &path)])
    }

    fn import(&self, file: &Fixture) -> Result<Value, String> {
        const BOUNDARY: &str = "a-line-that-no-table-holds";
        let mut body = Vec::new();
        for (name, value) in [("resource", file.resource), ("mode", "upsert")] {
            body.extend(format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes());
        }
        body.extend(
            format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}.csv\"\r\nContent-Type: text/csv\r\n\r\n",
                file.resource
            )
            .into_bytes(),
        );
        body.extend_from_slice(file.csv);
        body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let key = format!("demo-{}", file.resource);
        self.send(Method::POST, "/api/v1/imports", &[("Content-Type", &kind), ("Idempotency-Key", &key)], &body)
    }

    fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Value, String> {
        let what = format!("{method} {path}");
        let told = |error: &dyn std::fmt::Display| format!("{what}: {error}");
        let mut request = ureq::http::Request::builder().method(method.clone()).uri(format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.header("Authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = if method == Method::GET {
            self.agent.run(request.body(()).map_err(|e| told(&e))?)
        } else {
            self.agent.run(request.body(body).map_err(|e| told(&e))?)
        };
        let mut answer = answer.map_err(|e| told(&e))?;
        let text = answer.body_mut().read_to_string().map_err(|e| told(&e))?;
        if !answer.status().is_success() {
            return Err(told(&text));
        }
        serde_json::from_str(&text).map_err(|e| told(&e))
    }
}
