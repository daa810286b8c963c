//! Loads the records over HTTP: the root by the platform's administrator, the files by a machine client, and each
//! disbursement through three pairs of hands.

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use ureq::http::Method;
use zeroize::Zeroizing;

use super::{FILES, Fixture};
use crate::auth::UserKind;
use crate::auth::operator::{self, NewOperatorUser};
use crate::client::import::Order;
use crate::client::{Client, Credentials, Failure, FormFile, Sent};
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
    let stage = |what: &'static str| {
        progress.set_message(what);
        progress.inc(1);
    };

    stage("platform");
    let mut accounts = vec![account(db, PLACES[0])?];
    let platform = sign_in(base, &accounts[0])?;
    let root = json!({"code": "hn", "name": "河南省见义勇为基金会", "kind": "provincial_foundation"});
    platform.post("/api/v1/organizations", &root).map_err(told)?;
    accounts.push(account(db, PLACES[1])?);
    let importer = sign_in(base, &accounts[1])?;
    for file in FILES {
        stage(file.resource);
        import(&importer, file)?;
    }
    stage("accounts");
    for place in &PLACES[2..] {
        accounts.push(account(db, *place)?);
    }
    // A volunteer and a hero's family see what is their own, so they are told who they are.
    for (role, records) in [(Role::Volunteer, "volunteers?code=zz-v0001"), (Role::HeroFamily, "heroes?sort=code&limit=1")] {
        let person = importer.get(&format!("/api/v1/{records}")).map_err(told)?["items"][0]["person_id"].clone();
        let username = username(role);
        let user = platform.get(&format!("/api/v1/users?username={username}")).map_err(told)?["items"][0].clone();
        let path = format!("/api/v1/users/{}", user["id"].as_str().unwrap_or_default());
        let version = format!("\"{}\"", user["version"]);
        platform.call(Method::PATCH, &path, &[("If-Match", &version)], &Sent::Json(&json!({"person_id": person}))).map_err(told)?;
    }
    stage("disbursements");
    let of = |role: Role| accounts.iter().find(|account| account.role == role).ok_or_else(|| format!("no account of {}", role.code()));
    let (leader, finance) = (sign_in(base, of(Role::Leader)?)?, sign_in(base, of(Role::Finance)?)?);
    // What the city's association gives of its own comes out of its fund; what is there was prepared by one and is posted
    // by another.
    let one = |path: &str| importer.get(path).map(|page| page["items"][0].clone()).map_err(told);
    let (voucher, account, fund) = (
        one("/api/v1/vouchers?code=zz-2022-opening")?,
        one("/api/v1/accounts?code=zz-bank")?,
        one("/api/v1/accounts?code=zz-unrestricted")?,
    );
    let voucher = format!("/api/v1/vouchers/{}", voucher["id"].as_str().unwrap_or_default());
    step(&importer, &voucher, "submit", &json!({}))?;
    step(&leader, &voucher, "post", &json!({}))?;
    let drafts = importer.get("/api/v1/disbursements?state=draft&limit=200").map_err(told)?;
    for draft in drafts["items"].as_array().into_iter().flatten() {
        let path = format!("/api/v1/disbursements/{}", draft["id"].as_str().unwrap_or_default());
        step(&importer, &path, "submit", &json!({}))?;
        step(&leader, &path, "approve", &json!({}))?;
        // The source says no day: by the end of the year at the latest.
        match draft["form"].as_str() {
            Some("cash") => {
                let mut paid = json!({"paid_on": "2022-12-31", "paid_on_precision": "at_latest"});
                if draft["channel"] == "own" && draft["organization_id"] == fund["organization_id"] {
                    paid["fund_id"] = fund["id"].clone();
                    paid["account_id"] = account["id"].clone();
                }
                step(&finance, &path, "pay", &paid)?
            }
            _ => step(&finance, &path, "deliver", &json!({"delivered_on": null}))?,
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

/// Signs in with an account.
fn sign_in(base: &str, account: &Account) -> Result<Client, String> {
    let (name, secret) = (account.username.clone(), account.password.clone());
    let credentials = match account.role {
        Role::Service => Credentials::Client { id: name, secret },
        _ => Credentials::Password { username: name, password: secret },
    };
    Client::sign_in(base, credentials).map_err(told)
}

/// A step of a workflow; the record and the step make a key that is the same however often it is tried.
fn step(client: &Client, path: &str, action: &str, body: &Value) -> Result<Value, String> {
    let path = format!("{path}/{action}");
    client.call(Method::POST, &path, &[("Idempotency-Key", &path)], &Sent::Json(body)).map(|(_, record)| record).map_err(told)
}

fn import(client: &Client, file: &Fixture) -> Result<(), String> {
    let name = format!("{}.csv", file.resource);
    let order = Order {
        file: FormFile::Inline { name: &name, bytes: file.csv },
        parts: &[("resource", file.resource), ("mode", "upsert")],
        key: &format!("demo-{}", file.resource),
    };
    client.import(&order, |_| ()).map(|_| ()).map_err(told)
}

fn told(failure: Failure) -> String {
    failure.to_string()
}
