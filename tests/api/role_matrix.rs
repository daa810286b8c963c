//! Who may do what, tried and not argued: every operation of the contract, by nobody, by each role in the county that
//! the records belong to, and by a caller of another county who holds every office there.
//!
//! What comes out is `tests/role-matrix.md`, which an auditor can read. `UPDATE_ROLE_MATRIX=1 cargo test role_matrix` writes
//! it anew; the difference is what a reviewer should look at.

use std::collections::BTreeMap;
use std::fmt::Write;

use diesel::prelude::*;
use serde_json::{Map, Value, json};
use yiyong::policy::{Area, Role};
use yiyong::schema::{notifications as n, users};
use yiyong::types::{Id, Instant, TextEnum, business_today};
use yiyong::web::verbs::registry;

use crate::hosts::{Answer, Client, Host, on_each_database};
use crate::welfare::grant;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/role-matrix.md");

/// An id of nothing.
const NOWHERE: &str = "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08";

const LEGEND: &str = "# The role matrix

Every operation of the contract, tried over HTTP by the test `role_matrix`. The records lie in one county; `nobody` has no token, each role
is held in that county (`platform_admin` in the whole tree), and `elsewhere` holds every office in another county. The
volunteer and the hero's family are the people behind the sample records, and see what is their own.

| sign | what it means |
|---|---|
| ✓ | permitted: it was done, or refused for another reason than who asked |
| ∅ | a list that shows this caller none of the records |
| – | 403: the role does not allow it |
| 404 | not there for this caller |
| 401 | a token is needed |
| open | for anybody |

";

/// One record of each resource, in one county: its id, and the draft that made it.
pub struct Samples(BTreeMap<&'static str, (String, Value)>);

impl Samples {
    pub fn id(&self, resource: &str) -> &str {
        &self.0[resource].0
    }

    pub fn planted(host: &Host) -> Self {
        let city = host.planted();
        let importer = host.user("importer", Role::Service, Some("zz"));
        let platform = host.sign_in("platform", yiyong::auth::UserKind::Person);
        let county = city.get("/api/v1/organizations?code=zz-dengfeng");
        let county = county.body["items"][0]["id"].as_str().expect("an id").to_owned();
        let mut samples = Self(BTreeMap::from([("organizations", (county, Value::Null))]));
        for verbs in registry() {
            match verbs.name() {
                "person_duplicates" => samples.plant_double(&importer),
                "service_records" => samples.plant_service(host, &city),
                "contact_changes" => samples.plant_change(host),
                "person_merges" => samples.plant_merge(&importer, &city),
                "ledger_transactions" => samples.plant_transaction(host, &importer),
                "audit_events" => samples.plant_event(&platform),
                "bank_transfers" => samples.plant_transfer(host, &importer),
                "notice_objections" => samples.publish_notice(host),
                "return_rounds" => {
                    let form = format!("{}/{}/publish", address("return_forms"), samples.id("return_forms"));
                    assert_eq!(city.post(&form, &json!({})).status, 200);
                }
                "monthly_returns" => samples.find_return(&city),
                // Only what is published is assessed by.
                "assessments" => samples.publish_standard(host),
                "webhook_deliveries" => samples.plant_delivery(&platform),
                _ => {}
            }
            if !verbs.writable() || samples.0.contains_key(verbs.name()) && verbs.name() != "organizations" {
                continue;
            }
            let mut draft = samples.draft(*verbs);
            if verbs.name() == "vouchers" {
                // Money comes in to where it lies, and for something.
                let fund = json!({"organization_id": samples.id("organizations"), "name": "样本", "kind": "unrestricted"});
                draft["credit_account_id"] = json!(importer.post(&address("accounts"), &fund).id());
            }
            if verbs.name() == "organizations" {
                samples.0.get_mut("organizations").expect("the county").1 = draft;
                continue;
            }
            let by = match verbs.area() {
                Area::Access => &platform,
                // A report is frozen by who answers for it.
                Area::Figures => &city,
                _ => &importer,
            };
            let answer = by.post(&address(verbs.name()), &draft);
            assert_eq!(answer.status, 201, "{}: {draft} {answer:?}", verbs.name());
            samples.0.insert(verbs.name(), (answer.id().to_owned(), draft));
        }
        samples
    }

    /// The sample volunteer serves, is confirmed, and serves again.
    fn plant_service(&mut self, host: &Host, city: &Client<'_>) {
        host.user("walker", Role::Volunteer, Some("zz-dengfeng"));
        host.is_person("walker", self.id("persons"));
        let walker = host.sign_in("walker", yiyong::auth::UserKind::Person);
        let team = self.id("volunteer_teams").parse().expect("an id");
        let scene = json!({"scene": yiyong::wechat::qr::scene("volunteer_teams", team)});
        let begun = walker.post("/api/v1/service-records/check-in", &scene);
        assert_eq!(begun.status, 201, "{begun:?}");
        crate::service_records::begun_earlier(host, begun.id(), 60);
        let path = format!("/api/v1/service-records/{}", begun.id());
        assert_eq!(walker.post(&format!("{path}/check-out"), &json!({})).status, 200);
        assert_eq!(city.post(&format!("{path}/confirm"), &json!({})).status, 200);
        let again = walker.post("/api/v1/service-records/check-in", &scene);
        assert_eq!(again.status, 201, "{again:?}");
        self.0.insert("service_records", (again.id().to_owned(), Value::Null));
    }

    fn plant_change(&mut self, host: &Host) {
        let walker = host.sign_in("walker", yiyong::auth::UserKind::Person);
        let asked = walker.post("/api/v1/me/contact-changes", &json!({"phone": "13800138000"}));
        assert_eq!(asked.status, 201, "{asked:?}");
        self.0.insert("contact_changes", (asked.id().to_owned(), Value::Null));
    }

    /// The making of the county is in the audit log.
    fn plant_event(&mut self, platform: &Client<'_>) {
        let ours = format!("{}?sort=created_at&limit=1&organization_id={}", address("audit_events"), self.id("organizations"));
        let written = platform.get(&ours);
        let id = written.body["items"][0]["id"].as_str().expect("one that the service wrote").to_owned();
        self.0.insert("audit_events", (id, Value::Null));
    }

    /// The ledger writes its transactions itself, when a voucher is posted.
    fn plant_transaction(&mut self, host: &Host, importer: &Client<'_>) {
        let voucher = format!("{}/{}", address("vouchers"), self.id("vouchers"));
        assert_eq!(importer.post(&format!("{voucher}/submit"), &json!({})).status, 200);
        let leader = host.user("poster", Role::Leader, Some("zz"));
        assert_eq!(crate::welfare::step(&leader, &voucher, "post", &json!({})).status, 200);
        let posted = importer.get(&address("ledger_transactions"));
        let id = posted.body["items"][0]["id"].as_str().expect("an id").to_owned();
        self.0.insert("ledger_transactions", (id, Value::Null));
    }

    /// A payment to the sample hero goes to the bank: it takes everybody who has a hand in money.
    fn plant_transfer(&mut self, host: &Host, importer: &Client<'_>) {
        let county = json!(self.id("organizations"));
        let finance = host.user("payer", Role::Finance, Some("zz"));
        let leader = host.sign_in("poster", yiyong::auth::UserKind::Person);
        let purse = crate::ledger::purse(&finance, &leader, &county, "unrestricted", 1_000);
        // Of a programme that anybody is eligible for.
        let programme = json!({"organization_id": county, "name": "样本", "kind": "hardship", "form": "cash"});
        let programme = importer.post(&address("welfare_programmes"), &programme);
        let given = json!({"organization_id": county, "programme_id": programme.id(), "hero_id": self.id("heroes"),
                           "amount_fen": 100, "channel": "own", "year": 2022});
        let path = crate::ledger::approved(importer, &leader, &given);
        let paid = crate::welfare::step(&finance, &path, "pay", &purse.paid("2022-06-17"));
        assert_eq!(paid.status, 200, "{paid:?}");
        let draft = json!({"organization_id": county, "account_id": purse.account, "disbursement_ids": [paid.id()]});
        let made = finance.post(&address("bank_transfers"), &draft);
        assert_eq!(made.status, 201, "{made:?}");
        let line = finance.get(&address("bank_transfer_lines")).body["items"][0]["id"].as_str().expect("a line").to_owned();
        self.0.insert("bank_transfers", (made.id().to_owned(), draft));
        self.0.insert("bank_transfer_lines", (line, Value::Null));
    }

    /// A test that waits to be sent.
    fn plant_delivery(&mut self, platform: &Client<'_>) {
        let test = platform.post(&format!("{}/{}/test", address("webhooks"), self.id("webhooks")), &json!({}));
        assert_eq!(test.status, 202, "{test:?}");
        self.0.insert("webhook_deliveries", (test.id().to_owned(), Value::Null));
    }

    /// Only what is published can be objected to.
    fn publish_notice(&self, host: &Host) {
        let leader = host.user("publisher", Role::Leader, Some("zz"));
        let notice = format!("{}/{}/publish", address("public_notices"), self.id("public_notices"));
        let answer = leader.post(&notice, &json!({}));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// The county's return, made when its round is opened.
    fn find_return(&mut self, city: &Client<'_>) {
        let found = || city.get(&format!("{}?month=2022-06", address("monthly_returns"))).body["items"][0]["id"].clone();
        crate::webhooks::until("the return is there", || found().is_string());
        let draft = json!({"organization_id": self.id("organizations"), "round_id": self.id("return_rounds")});
        self.0.insert("monthly_returns", (found().as_str().expect("an id").to_owned(), draft));
    }

    fn publish_standard(&self, host: &Host) {
        let leader = host.user("standards", Role::Leader, Some("zz"));
        let standard = format!("{}/{}/publish", address("standards"), self.id("standards"));
        let answer = leader.post(&standard, &json!({}));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Somebody with the name of the sample person.
    fn plant_person(&self, importer: &Client<'_>, code: &str) -> String {
        let mut draft = self.0["persons"].1.clone();
        draft["code"] = code.into();
        let answer = importer.post("/api/v1/persons", &draft);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.id().to_owned()
    }

    fn plant_double(&mut self, importer: &Client<'_>) {
        let double = self.plant_person(importer, "double");
        self.0.insert("person_duplicates", (double, Value::Null));
    }

    fn plant_merge(&mut self, importer: &Client<'_>, city: &Client<'_>) {
        let merged = self.plant_person(importer, "merged");
        let body = json!({"into_id": self.id("persons"), "reason": "核对"});
        let answer = city.post(&format!("/api/v1/persons/{merged}/merge"), &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        let merges = city.get("/api/v1/person-merges");
        let id = merges.body["items"][0]["id"].as_str().expect("an id").to_owned();
        self.0.insert("person_merges", (id, Value::Null));
    }

    /// A draft of the fields that the contract requires, and of those that the rules do.
    fn draft(&self, verbs: &dyn yiyong::web::verbs::Verbs) -> Value {
        let schema = verbs.draft_shape().schema();
        let mut draft = Map::new();
        for (name, property) in schema["properties"].as_object().expect("properties") {
            let required = schema["required"].as_array().is_some_and(|all| all.iter().any(|field| field == name));
            let reference = verbs.references().iter().find(|reference| reference.field == name);
            let value = match (name.as_str(), reference) {
                ("code", _) => json!("sample"),
                ("year", _) => json!(2022),
                ("parent_id", _) if verbs.name() == "organizations" => json!(self.id("organizations")),
                ("person_id", _) if verbs.name() == "volunteers" => json!(self.id("persons")),
                ("programme_id" | "organization_id", Some(reference)) => json!(self.id(reference.of)),
                ("amount_fen", _) => json!(100),
                ("number", _) if verbs.name() == "policy_documents" => json!("豫政办〔2013〕90号"),
                ("number", _) => json!("6222021702000000000"),
                // A plan of one county inspects itself.
                ("members", _) if verbs.name() == "inspection_plans" => json!([{"name": "李明", "unit": "登封市公安局"}]),
                ("subjects", _) => json!([self.id("organizations")]),
                // What needs no owner: there are no sample users yet.
                ("fixed_on_the_spot", _) => json!(true),
                ("post", _) => json!("liaison_officer"),
                ("workstation_id", Some(reference)) if verbs.name() == "nominations" => json!(self.id(reference.of)),
                // What the sample notice tells of is the sample honour.
                ("document_number", _) if ["honours", "public_notices"].contains(&verbs.name()) => json!("郑义〔2022〕8号"),
                // The whole name of the sample person would not be for it.
                ("title", _) if verbs.name() == "public_notices" => json!("公示"),
                ("url", _) if verbs.name() == "webhooks" => json!("https://office.example.cn/yiyong"),
                ("event_types", _) => json!(["*"]),
                ("figures", _) => json!(["four_ones.volunteers"]),
                ("sections", _) => json!([{"title_zh": "队伍", "title_en": "Teams", "figures": ["four_ones.volunteers"]}]),
                ("received_on", _) => json!(business_today(Instant::now())),
                ("from_on" | "to_on", _) if verbs.name() == "certificates" => json!(business_today(Instant::now())),
                ("items", _) if verbs.name() == "standards" => {
                    json!([{"key": "office", "name": "样本", "weight": 1, "kind": "yes_no", "evidence_required": false}])
                }
                ("key", _) => json!("sample"),
                ("workstation_id", _) if verbs.name() == "assessments" => json!(self.id("workstations")),
                ("username", _) => json!("sample"),
                ("initial_password", _) => json!("四月的风吹过金水河边的柳树"),
                ("role", _) => json!("clerk"),
                ("category", _) => json!("screen_network"),
                ("kind", _) if verbs.name() == "users" => json!("person"),
                (_, Some(reference)) if required => json!(self.id(reference.of)),
                _ if required => sample_of(property),
                _ => continue,
            };
            draft.insert(name.clone(), value);
        }
        Value::Object(draft)
    }
}

fn sample_of(property: &Value) -> Value {
    let property = yiyong::web::shape::without_null(property);
    if let Some(entries) = property["enum"].as_array() {
        return entries[0].clone();
    }
    match (property["type"].as_str(), property["format"].as_str()) {
        (Some("integer"), _) => json!(1),
        (_, Some("date")) => json!("2022-06-17"),
        (_, Some("month")) => json!("2022-06"),
        _ => json!("样本"),
    }
}

fn address(resource: &str) -> String {
    format!("/api/v1/{}", resource.replace('_', "-"))
}

/// The body of a step.
fn step_body(resource: &str, action: &str, samples: &Samples) -> Value {
    match action {
        "move" => json!({"parent_id": samples.id("organizations")}),
        "advance" => json!({"stage": "completed", "effective_on": "2022-06-17"}),
        "retract" => json!({"effective_on": "2022-06-17"}),
        "return" | "reject" | "cancel" | "amend" | "reopen" => json!({"reason": "核对"}),
        "reverse" if resource == "disbursements" => json!({"reason": "核对", "reversed_on": "2022-06-17"}),
        "reverse" => json!({"reason": "核对"}),
        "pay" => json!({"paid_on": "2022-06-17"}),
        "deliver" => json!({"delivered_on": null}),
        "reveal" => json!({"reason": "核对身份信息"}),
        "confirm" => json!({"confirmed_by": "评定委员会", "confirmation_number": "郑义〔2022〕8号", "confirmed_on": "2022-06-17"}),
        "revoke" => json!({"reason": "核对", "document_number": "郑义〔2022〕8号", "revoked_on": "2022-06-17"}),
        "withdraw" if ["public_notices", "inspection_plans", "assessments"].contains(&resource) => json!({"reason": "核对"}),
        "remedy" => json!({"note": "已整改", "remedied_on": "2022-06-17"}),
        "award" => json!({"document_number": "郑义〔2022〕8号"}),
        "retire" if resource == "policy_documents" => json!({"superseded_by_id": samples.id("policy_documents")}),
        "correct" => json!({"note": "核对"}),
        "issue" => json!({"number": "郑义〔2022〕9号"}),
        "answer" => json!({"outcome": "dismissed", "answer": "已核对"}),
        "withdraw" => json!({"reason": "核对", "withdrawn_on": "2022-06-17"}),
        "merge" => json!({"into_id": samples.id("persons"), "reason": "核对"}),
        "dismiss" => json!({"other_id": samples.id("persons")}),
        "replay" if resource == "webhooks" => json!({"since": "2022-06-17T09:00:00+08:00"}),
        "reset-password" => json!({"new_password": "五月的雨落在金水河边的柳树"}),
        _ => json!({}),
    }
}

/// Tries an operation and says in a word what came of it. `others` are ids of what is somebody else's alone, by segment.
fn tried(client: &Client<'_>, method: &str, template: &str, samples: &Samples, others: &[(&str, String)]) -> &'static str {
    let rest = template.trim_start_matches("/api/v1/");
    let (segment, tail) = rest.split_once('/').unwrap_or((rest, ""));
    let resource = segment.replace('-', "_");
    let sample = samples.0.get(resource.as_str());
    let id = others.iter().find(|(of, _)| *of == segment).map(|(_, id)| id).or(sample.map(|(id, _)| id)).map_or(NOWHERE, String::as_str);
    let mut path = template
        .replace("{id}", id)
        .replace("{code}", "four_ones.volunteers")
        .replace("{year}", "2022")
        .replace("{name}", "sample")
        .replace("{kind}", "sample")
        .replace("{resource}", "organizations");
    if segment == "wechat" && tail.starts_with("qr-codes") {
        path = format!("/api/v1/wechat/qr-codes/volunteer-teams/{}", samples.id("volunteer_teams"));
    }
    let of_county = format!("organization_id={}", samples.id("organizations"));
    match segment {
        "figures" if !tail.is_empty() => write!(path, "?year=2022&{of_county}").expect("written"),
        "welfare-programmes" if tail.ends_with("eligibility") => {
            write!(path, "?dependant_id={}", samples.id("dependants")).expect("written");
        }
        "attachments" if method == "GET" && tail.is_empty() => {
            write!(path, "?resource=publicity-assets&record_id={}", samples.id("publicity_assets")).expect("written");
        }
        "reports" => write!(path, "?{of_county}").expect("written"),
        _ if sample.is_some() && method == "GET" && tail.is_empty() => path.push_str("?sort=created_at&limit=200"),
        _ => {}
    }
    let action = tail.strip_prefix("{id}/");
    let body = match (method, tail, action) {
        ("POST", "", _) if segment == "attachments" => {
            let park = [("resource", "publicity-assets"), ("record_id", samples.id("publicity_assets"))];
            return word(&crate::attachments::upload(client, &park, Some(("a.pdf", b"%PDF-1.7 %%EOF")), None), None);
        }
        ("POST", "", _) if segment == "imports" => {
            let csv = b"code,organization_code,base_kind,established_on\nx,zz-dengfeng,other,2022-06-17\n";
            let answer = client.import("volunteer-teams", csv, &[("dry_run", "true")]);
            let foreign = answer.body["faults"][0]["code"] == "unknown_reference";
            return if foreign { "404" } else { word(&answer, None) };
        }
        ("PUT", "mappings/{name}", _) => json!({"resource": "volunteer-teams", "columns": {"队伍": "name"}}),
        ("POST", "", _) => sample.map(|(_, draft)| draft.clone()).unwrap_or(json!({})),
        ("POST", "batch", _) => json!({"items": [sample.map(|(_, draft)| draft)]}),
        ("POST", _, Some(action)) => step_body(&resource, action, samples),
        _ => json!({}),
    };
    let key = format!("{method} {path}");
    let (media_type, text) = match action {
        Some("import") => ("text/csv", "reference,amount_yuan,result\nx,1,paid\n".to_owned()),
        _ => ("application/json", body.to_string()),
    };
    let stale = [("Content-Type", media_type), ("If-Match", "\"999\""), ("Idempotency-Key", key.as_str())];
    let answer = client.send(method, &path, &stale, (method != "GET").then_some(text.as_bytes()));
    word(&answer, sample.filter(|_| method == "GET" && tail.is_empty()).map(|(id, _)| id.as_str()))
}

fn word(answer: &Answer, listed: Option<&str>) -> &'static str {
    // What isn't switched on here was permitted all the same.
    assert!(answer.status < 500 || answer.code() == "feature_off", "{answer:?}");
    let faults = answer.faults();
    match answer.status {
        401 => "401",
        403 => "–",
        404 => "404",
        // What they refer to isn't there for them.
        422 if !faults.is_empty() && faults.iter().all(|(_, code)| *code == "unknown_reference") => "404",
        200 => match listed {
            Some(id) if !answer.body["items"].as_array().is_some_and(|items| items.iter().any(|item| item["id"] == id)) => "∅",
            _ => "✓",
        },
        _ => "✓",
    }
}

/// Something that a user is told, and nobody else.
fn notification(host: &Host, username: &str) -> String {
    let id = Id::new();
    host.service
        .db
        .run(false, |conn| {
            let user: Id = users::table.filter(users::username.eq(username)).select(users::id).first(conn)?;
            diesel::insert_into(n::table)
                .values((
                    n::id.eq(id),
                    n::user_id.eq(user),
                    n::kind.eq("training_planned"),
                    n::resource.eq("trainings"),
                    n::record_id.eq(Id::new()),
                    n::event_id.eq(Id::new()),
                    n::at.eq(Instant::now()),
                ))
                .execute(conn)?;
            Ok(())
        })
        .expect("a notification");
    id.to_string()
}

fn matrix(host: &Host) -> String {
    let samples = Samples::planted(host);
    let importer = host.sign_in("importer", yiyong::auth::UserKind::Service);
    let csv = b"code,organization_code,base_kind,established_on\nimported,zz-dengfeng,other,2022-06-17\n";
    let import = importer.import("volunteer-teams", csv, &[]).id().to_owned();
    let export = importer.post("/api/v1/exports/organizations", &Value::Null).id().to_owned();
    let picture = || {
        let park = [("resource", "publicity-assets"), ("record_id", samples.id("publicity_assets"))];
        crate::attachments::upload(&importer, &park, Some(("a.pdf", b"%PDF-1.7 %%EOF")), None).id().to_owned()
    };

    let roles: Vec<Role> = Role::ENTRIES.iter().filter_map(|(code, ..)| Role::from_code(code)).collect();
    for role in &roles {
        if *role == Role::PlatformAdmin {
            continue;
        }
        host.user(&role.code().replace('_', "-"), *role, Some("zz-dengfeng"));
    }
    let person: yiyong::types::Id = samples.id("persons").parse().expect("an id");
    host.service
        .db
        .run(false, |conn| {
            let own = users::table.filter(users::username.eq_any(["volunteer", "hero-family"]));
            diesel::update(own).set(users::person_id.eq(person)).execute(conn)?;
            Ok(())
        })
        .expect("people");
    let mut others =
        [("imports", import), ("export-files", export), ("attachments", picture()), ("notifications", notification(host, "clerk"))];
    host.user("elsewhere", Role::OrgAdmin, Some("zz-gaoxin"));
    for role in [Role::Leader, Role::Clerk, Role::PublicityOfficer, Role::WelfareOfficer, Role::Finance, Role::Auditor] {
        grant(host, "elsewhere", role);
    }

    let kind = |role: Role| if role == Role::Service { yiyong::auth::UserKind::Service } else { yiyong::auth::UserKind::Person };
    let mut callers = vec![("nobody", host.nobody())];
    callers.extend(roles.iter().map(|role| {
        let username = if *role == Role::PlatformAdmin { "platform".to_owned() } else { role.code().replace('_', "-") };
        (role.code(), host.sign_in(&username, kind(*role)))
    }));
    callers.push(("elsewhere", host.sign_in("elsewhere", yiyong::auth::UserKind::Person)));

    let mut text = LEGEND.to_owned();
    let names: Vec<&str> = callers.iter().map(|(name, _)| *name).collect();
    writeln!(text, "| operation | {} |", names.join(" | ")).expect("written");
    writeln!(text, "|---|{}", "---|".repeat(callers.len())).expect("written");
    let document = yiyong::app::document();
    let mut operations: Vec<(&String, &String, bool)> = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let open = operation["security"].as_array().is_some_and(|list| list.is_empty() || list.contains(&json!({})));
            operations.push((path, method, open));
        }
    }
    // A sign-out comes last: it ends the session that all others need.
    operations.sort_by_key(|(path, method, _)| (path.ends_with("/logout"), path.as_str(), method.as_str()));
    for (path, method, open) in operations {
        let method = method.to_uppercase();
        let mut cells = Vec::new();
        for (_, client) in &callers {
            // An attachment has no version that a deleting could miss.
            if method == "DELETE" && path.starts_with("/api/v1/attachments/") {
                others[2].1 = picture();
            }
            cells.push(if open { "open" } else { tried(client, &method, path, &samples, &others) });
        }
        writeln!(text, "| {method} {path} | {} |", cells.join(" | ")).expect("written");
    }
    text
}

#[test]
fn role_matrix() {
    on_each_database(|host| {
        let tried = matrix(host);
        if std::env::var_os("UPDATE_ROLE_MATRIX").is_some() {
            std::fs::write(FILE, &tried).expect("written");
        }
        let committed = std::fs::read_to_string(FILE).unwrap_or_default();
        for (now, was) in tried.lines().zip(committed.lines()) {
            assert_eq!(now, was, "tests/role-matrix.md says otherwise; see tests/api/role_matrix.rs");
        }
        assert!(tried == committed, "tests/role-matrix.md is not what was tried: UPDATE_ROLE_MATRIX=1 cargo test role_matrix");
    });
}
