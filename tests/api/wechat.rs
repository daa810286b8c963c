//! The mini-program: who comes in by WeChat and as whom, what WeChat refuses, the token that servers share, messages, codes to scan.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use serde_json::{Value, json};
use yiyong::auth::UserKind;
use yiyong::db::Deed;
use yiyong::policy::Role;
use yiyong::schema::{audit_events, idempotency_keys, users, wechat_messages, wechat_tickets};
use yiyong::types::Id;
use yiyong::wechat::{bindings, qr, subscribe};

use crate::fake_wechat::{APP_ID, Fake, SECRET, SESSION_KEY};
use crate::hosts::{Answer, Client, Host, PASSWORD, on_each_database, on_each_database_with};
use crate::process::Workplace;
use crate::webhooks::Telling;

const LOGIN: &str = "/api/v1/auth/wechat/login";
const BIND: &str = "/api/v1/auth/wechat/bind";
const BINDINGS: &str = "/api/v1/auth/wechat/bindings";
const USERS: &str = "/api/v1/users";
const SUBSCRIPTIONS: &str = "/api/v1/wechat/subscriptions";
const PHONE: &str = "13800138000";
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// The secret of the mini-program, in a file as an operator keeps it.
fn secret_file() -> &'static str {
    static FILE: OnceLock<tempfile::NamedTempFile> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), format!("{SECRET}\n")).expect("written");
        file
    });
    file.path().to_str().expect("a path")
}

fn settings<'a>(fake: &'a Fake, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let own =
        [("YIYONG_WECHAT_APP_ID", APP_ID), ("YIYONG_WECHAT_APP_SECRET_FILE", secret_file()), ("YIYONG_WECHAT_API_URL", fake.url.as_str())];
    [more, &own].concat()
}

/// Runs a story on each database, beside a WeChat that knows nothing yet.
pub fn with_wechat(more: &[(&str, &str)], story: impl Fn(&Host, &Fake)) {
    let fake = Fake::start();
    on_each_database_with(&settings(&fake, more), |host| {
        fake.forgets();
        story(host, &fake);
    });
}

pub fn organization(client: &Client<'_>, code: &str) -> String {
    client.get(&format!("/api/v1/organizations?code={code}")).body["items"][0]["id"].as_str().expect("an organization").to_owned()
}

fn login(host: &Host, code: &str) -> Answer {
    host.nobody().post(LOGIN, &json!({ "code": code }))
}

fn bind(host: &Host, ticket: &Value, code: (&str, &str)) -> Answer {
    host.nobody().post(BIND, &json!({"binding_ticket": ticket, code.0: code.1}))
}

/// A ticket of a WeChat account that is nobody's yet.
fn ticket(host: &Host, code: &str) -> Value {
    let answer = login(host, code);
    assert_eq!((answer.status, &answer.body["binding_required"]), (200, &json!(true)), "{answer:?}");
    answer.body["binding_ticket"].clone()
}

/// A person of a county with an account of one role: the ids of person and user.
pub fn somebody(admin: &Client<'_>, name: &str, phone: Option<&str>, role: &str) -> (String, String) {
    let county = organization(admin, "zz-dengfeng");
    let person = admin.post("/api/v1/persons", &json!({"organization_id": county, "name": format!("王{name}"), "phone": phone}));
    assert_eq!(person.status, 201, "{person:?}");
    let user = admin.post(
        USERS,
        &json!({"organization_id": county, "kind": "person", "username": name, "name": name, "person_id": person.id(), "initial_password": PASSWORD}),
    );
    assert_eq!(user.status, 201, "{user:?}");
    let grant = json!({"user_id": user.id(), "role": role, "organization_id": county});
    assert_eq!(admin.post("/api/v1/role-grants", &grant).status, 201);
    (person.id().to_owned(), user.id().to_owned())
}

/// Somebody who has come in by WeChat for the first time, and is a client.
pub fn signed_in<'a>(host: &'a Host, openid: &str, phone: &str) -> Client<'a> {
    let ticket = ticket(host, &format!("ok-{openid}"));
    let answer = bind(host, &ticket, ("phone_code", &format!("phone-{phone}.{openid}")));
    assert_eq!(answer.status, 200, "{answer:?}");
    host.holding(answer.body["access_token"].as_str().expect("a token"))
}

/// Actions that the audit log tells of, the first first.
fn deeds(host: &Host) -> Vec<(String, String)> {
    let all = host.service.db.run(true, |conn| {
        let told = audit_events::table.order(audit_events::id).select((audit_events::action, audit_events::outcome));
        Ok(told.load(conn)?)
    });
    all.expect("read")
}

/// Everything that the database keeps of deeds, as text.
pub fn kept(host: &Host) -> String {
    let all = host.service.db.run(true, |conn| {
        let details: Vec<Option<String>> = audit_events::table.select(audit_events::detail).load(conn)?;
        let bodies: Vec<Vec<u8>> = idempotency_keys::table.select(idempotency_keys::body).load(conn)?;
        let bodies = bodies.iter().map(|body| String::from_utf8_lossy(body).into_owned());
        Ok(details.into_iter().flatten().chain(bodies).collect::<Vec<_>>().join("\n"))
    });
    all.expect("read")
}

#[test]
fn a_volunteer_comes_in_by_wechat() {
    with_wechat(&[], |host, _| {
        let admin = host.planted();
        let (person, user) = somebody(&admin, "volunteer", Some(PHONE), "volunteer");
        let first = login(host, "ok-oVolunteer");
        assert_eq!((first.status, &first.body["binding_required"]), (200, &json!(true)), "{first:?}");
        assert!(first.body.get("access_token").is_none());
        let bound = bind(host, &first.body["binding_ticket"], ("phone_code", &format!("phone-{PHONE}")));
        assert_eq!((bound.status, &bound.body["must_change_password"]), (200, &json!(false)), "{bound:?}");
        let volunteer = host.holding(bound.body["access_token"].as_str().expect("a token"));
        // The initial password, which an officer knows, has not been used, so it need not be changed first.
        let own = volunteer.get("/api/v1/persons");
        assert_eq!((own.status, &own.body["items"][0]["id"]), (200, &json!(person)), "{own:?}");
        let by_password = host.nobody().post("/api/v1/auth/login", &json!({"username": "volunteer", "password": PASSWORD}));
        assert_eq!(by_password.body["must_change_password"], true);

        // From now on WeChat is enough, and a session goes on as any other.
        let again = login(host, "ok-oVolunteer.2");
        assert_eq!(again.status, 200, "{again:?}");
        let renewed = host.nobody().post("/api/v1/auth/refresh", &json!({"refresh_token": again.body["refresh_token"]}));
        assert_eq!((renewed.status, &renewed.body["must_change_password"]), (200, &json!(false)), "{renewed:?}");
        let second = host.holding(renewed.body["access_token"].as_str().expect("a token"));
        assert_eq!(second.get("/api/v1/auth/me").body["id"], json!(user));
        assert_eq!(second.send("POST", "/api/v1/auth/logout", &[], None).status, 204);
        assert_eq!(second.get("/api/v1/auth/me").status, 401);

        // A second telephone, by a second WeChat account.
        let other = signed_in(host, "oSecond", PHONE);
        let list = other.get(BINDINGS);
        assert_eq!(list.body["items"].as_array().map(Vec::len), Some(2), "{list:?}");
        assert_eq!(list.body["items"][0]["bound_by"], "phone");
        // The lost telephone is let go of, and its sessions with it; the other stays.
        let lost = format!("{BINDINGS}/{}", list.body["items"][1]["id"].as_str().expect("an id"));
        assert_eq!(admin.delete(&lost).status, 404, "it is the volunteer's own");
        assert_eq!(other.delete(&lost).status, 204);
        assert_eq!(volunteer.get("/api/v1/auth/me").status, 401);
        assert_eq!(other.get("/api/v1/auth/me").status, 200);
        assert_eq!(login(host, "ok-oVolunteer.3").body["binding_required"], true);

        // An administrator ends them all, and a disabled account is closed to WeChat too.
        assert_eq!(admin.send("POST", &format!("{USERS}/{user}/unbind"), &[], None).status, 200);
        assert_eq!(other.get("/api/v1/auth/me").status, 401);
        assert_eq!(login(host, "ok-oSecond.2").body["binding_required"], true);
        signed_in(host, "oThird", PHONE);
        assert_eq!(admin.send("POST", &format!("{USERS}/{user}/disable"), &[], None).status, 200);
        let closed = login(host, "ok-oThird.2");
        assert_eq!((closed.status, closed.code()), (403, "account_disabled"), "{closed:?}");
        let unknown = ticket(host, "ok-oFourth");
        let closed = bind(host, &unknown, ("phone_code", &format!("phone-{PHONE}.4")));
        assert_eq!(closed.faults(), [("/phone_code", "no_account")]);

        let told = deeds(host);
        for deed in [("bind_wechat", "done"), ("login", "done"), ("unbind_wechat", "done"), ("unbind", "done"), ("login_failed", "refused")]
        {
            assert!(told.contains(&(deed.0.into(), deed.1.into())), "{deed:?} is not in {told:?}");
        }
        let kept = kept(host);
        for secret in ["oVolunteer", "oSecond", SESSION_KEY, PHONE, "phone-1"] {
            assert!(!kept.contains(secret), "{secret} in {kept}");
        }
    });
}

#[test]
fn what_wechat_refuses_is_told_and_not_believed() {
    with_wechat(&[("YIYONG_WECHAT_ANSWER_WITHIN_SECONDS", "1")], |host, fake| {
        for (code, status, told) in [
            ("bad", 401, "invalid_wechat_code"),
            ("risk", 403, "wechat_risk"),
            ("limit", 429, "too_many_requests"),
            ("empty", 503, "wechat_unavailable"),
            ("html", 503, "wechat_unavailable"),
            ("odd", 503, "wechat_unavailable"),
            ("huge", 503, "wechat_unavailable"),
            ("hang", 503, "wechat_unavailable"),
        ] {
            let answer = login(host, code);
            assert_eq!((answer.status, answer.code()), (status, told), "{code}: {answer:?}");
            assert_eq!(answer.header("Retry-After").is_some(), status == 429 || status == 503, "{code}");
            assert!(!answer.body.to_string().contains(SESSION_KEY), "{answer:?}");
        }
        // Busy once is no trouble.
        assert_eq!(login(host, "busy-oBusy").body["binding_required"], true);
        // A code works once.
        assert_eq!(login(host, "ok-oOnce").status, 200);
        assert_eq!(login(host, "ok-oOnce").code(), "invalid_wechat_code");
        // What is wrong with this service's own configuration is for its operator, and nobody else.
        for code in [40_013, 41_002, 41_004, 41_008, 40_164] {
            fake.answers_once("/sns/jscode2session", code);
            let answer = login(host, "ok-oConfigured");
            assert_eq!((answer.status, answer.code()), (500, "internal"), "{answer:?}");
            assert!(!answer.body.to_string().contains(&code.to_string()), "{answer:?}");
        }
        fake.answers_once("/sns/jscode2session", 45_009);
        let enough = login(host, "ok-oEnough");
        assert_eq!((enough.status, enough.code()), (503, "wechat_unavailable"));
        assert_eq!(host.nobody().post(LOGIN, &json!({"code": "ok-x", "openid": "oX"})).faults(), [("/openid", "unknown_field")]);
    });
}

#[test]
fn without_a_mini_program_nothing_is_asked() {
    on_each_database(|host| {
        let admin = host.planted();
        let answer = login(host, "ok-oNobody");
        assert_eq!((answer.status, answer.code()), (503, "feature_off"), "{answer:?}");
        assert_eq!(admin.get(SUBSCRIPTIONS).code(), "feature_off");
    });
    let config = |set: &[(&str, &str)]| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().display().to_string();
        let found = yiyong::config::Config::from_lookup(|name| match name {
            "YIYONG_DATA_DIR" => Some(path.clone()),
            name => set.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()),
        });
        found.map(|_| ()).unwrap_or_else(|error| panic!("{error}"))
    };
    let refused = |set: &'static [(&'static str, &'static str)], more: &'static str| {
        let set: Vec<(&str, &str)> = set.iter().map(|(n, v)| (*n, if *v == "FILE" { secret_file() } else { *v })).collect();
        let told = std::panic::catch_unwind(|| config(&set)).expect_err("refused");
        let told = told.downcast_ref::<String>().cloned().unwrap_or_default();
        assert!(told.contains(more) && !told.contains(SECRET), "{told}");
    };
    config(&[("YIYONG_WECHAT_APP_ID", APP_ID), ("YIYONG_WECHAT_APP_SECRET_FILE", secret_file())]);
    refused(&[("YIYONG_WECHAT_APP_ID", APP_ID)], "YIYONG_WECHAT_APP_SECRET_FILE");
    refused(&[("YIYONG_WECHAT_APP_SECRET_FILE", "FILE")], "YIYONG_WECHAT_APP_ID");
    const BOTH: (&str, &str) = ("YIYONG_WECHAT_APP_SECRET_FILE", "FILE");
    refused(&[("YIYONG_WECHAT_APP_ID", APP_ID), BOTH, ("YIYONG_WECHAT_API_URL", "http://api.weixin.qq.com")], "https://");
    refused(&[("YIYONG_WECHAT_APP_ID", APP_ID), BOTH, ("YIYONG_WECHAT_API_URL", "http://127.0.0.1.example.cn")], "https://");
    refused(&[("YIYONG_WECHAT_APP_ID", APP_ID), BOTH, ("YIYONG_WECHAT_ENVIRONMENT", "live")], "release, trial or develop");
    refused(&[("YIYONG_WECHAT_APP_ID", APP_ID), BOTH, ("YIYONG_WECHAT_CHECK_IN_PAGE", "/pages/x?y=1")], "is not a page");
}

#[test]
fn whose_account_it_is_must_be_clear() {
    with_wechat(&[], |host, fake| {
        let admin = host.planted();
        somebody(&admin, "volunteer", Some(PHONE), "volunteer");
        let (_, officer) = somebody(&admin, "officer", Some("13900139000"), "clerk");
        somebody(&admin, "twin", Some("13700137000"), "volunteer");
        somebody(&admin, "other-twin", Some("13700137000"), "hero_family");
        let refused = |code: &str, told: &str| {
            let ticket = ticket(host, &format!("ok-oAsks.{code}.{told}"));
            let answer = bind(host, &ticket, ("phone_code", code));
            assert_eq!((answer.status, answer.faults()), (422, vec![("/phone_code", told)]), "{answer:?}");
        };
        refused("phone-13600136000", "no_account");
        // Who may write an officer's number must not come in as the officer.
        refused("phone-13900139000", "office_account");
        refused("phone-13700137000", "several_accounts");
        refused("foreign-4155550100", "foreign_phone");
        refused("wrong", "invalid_phone_code");
        refused("phone-13600136000", "invalid_phone_code");

        let one = ticket(host, "ok-oOne");
        let both = json!({"binding_ticket": one, "phone_code": "phone-1", "binding_code": "x"});
        assert_eq!(host.nobody().post(BIND, &both).faults(), [("/phone_code", "one_of_two")]);
        assert_eq!(host.nobody().post(BIND, &json!({"binding_ticket": one})).faults(), [("/phone_code", "one_of_two")]);
        assert_eq!(bind(host, &json!("invented"), ("binding_code", "x")).code(), "invalid_wechat_code");

        // A code from the office: given by who could have made the account, once, and to nobody else.
        let path = |user: &str| format!("{USERS}/{user}/binding-code");
        let give = |client: &Client<'_>, user: &str| client.send("POST", &path(user), &[("Idempotency-Key", "give")], None);
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        assert_eq!(give(&clerk, &officer).status, 403);
        let elsewhere = host.user("elsewhere", Role::OrgAdmin, Some("zz-gaoxin"));
        assert_eq!(give(&elsewhere, &officer).status, 404);
        let county = host.user("county", Role::OrgAdmin, Some("zz-dengfeng"));
        let own: Id = host
            .service
            .db
            .run(true, |conn| Ok(users::table.filter(users::username.eq("county")).select(users::id).first(conn)?))
            .expect("a user");
        assert_eq!(give(&county, &own.to_string()).status, 403, "not to oneself");
        let earlier = give(&county, &officer);
        let given = give(&county, &officer);
        assert_eq!((earlier.status, given.status), (201, 201), "{given:?}");
        assert!(earlier.body["binding_code"] != given.body["binding_code"] && given.header("Idempotent-Replayed").is_none());
        let wrong = bind(host, &one, ("binding_code", earlier.body["binding_code"].as_str().expect("a code")));
        assert_eq!(wrong.faults(), [("/binding_code", "invalid_binding_code")], "one that came before counts no more");
        let code = given.body["binding_code"].as_str().expect("a code").to_lowercase().replace('-', " ");
        let bound = bind(host, &one, ("binding_code", &code));
        assert_eq!(bound.status, 200, "{bound:?}");
        let me = host.holding(bound.body["access_token"].as_str().expect("a token")).get("/api/v1/auth/me");
        assert_eq!(me.body["username"], "officer");
        // The answer got lost: the same again lets in again. Another ticket with that code doesn't.
        assert_eq!(bind(host, &one, ("binding_code", &code)).status, 200);
        let two = ticket(host, "ok-oTwo");
        assert_eq!(bind(host, &two, ("binding_code", &code)).faults(), [("/binding_code", "invalid_binding_code")]);
        // A WeChat account that has been bound since isn't bound again.
        let (first, second) = (ticket(host, "ok-oTwice"), ticket(host, "ok-oTwice.2"));
        assert_eq!(bind(host, &first, ("phone_code", &format!("phone-{PHONE}"))).status, 200);
        assert_eq!(bind(host, &second, ("phone_code", &format!("phone-{PHONE}.2"))).faults(), [("/binding_ticket", "already_bound")]);

        // A ticket is tried a few times, and for a while.
        // One try is used up by the code that was another's.
        for _ in 0..4 {
            assert_eq!(bind(host, &two, ("binding_code", "AAAAA-AAAAA")).status, 422);
        }
        let drawn_upon = fake.state().asked;
        assert_eq!(bind(host, &two, ("phone_code", &format!("phone-{PHONE}.3"))).code(), "invalid_wechat_code");
        assert_eq!(fake.state().asked, drawn_upon, "WeChat isn't asked for a ticket that is used up");
        let late = ticket(host, "ok-oLate");
        host.service
            .db
            .run(false, |conn| {
                let past = yiyong::types::Instant::now().plus_seconds(-1);
                diesel::update(wechat_tickets::table).set(wechat_tickets::expires_at.eq(past)).execute(conn)?;
                Ok(())
            })
            .expect("aged");
        assert_eq!(bind(host, &late, ("phone_code", &format!("phone-{PHONE}.4"))).code(), "invalid_wechat_code");

        let text = kept(host);
        for secret in [given.body["binding_code"].as_str().expect("a code"), "oTwice", PHONE, "13900139000"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    });
}

/// An office that comes later ends what stood on a phone number alone.
#[test]
fn an_office_does_not_stand_on_a_phone_number() {
    with_wechat(&[], |host, _| {
        let admin = host.planted();
        let (_, user) = somebody(&admin, "volunteer", Some(PHONE), "volunteer");
        let volunteer = signed_in(host, "oVolunteer", PHONE);
        assert_eq!(volunteer.get("/api/v1/auth/me").status, 200);
        let office = json!({"user_id": user, "role": "clerk", "organization_id": organization(&admin, "zz-dengfeng")});
        assert_eq!(admin.post("/api/v1/role-grants", &office).status, 201);
        assert_eq!(volunteer.get("/api/v1/auth/me").status, 401);
        let again = ticket(host, "ok-oVolunteer.2");
        assert_eq!(bind(host, &again, ("phone_code", &format!("phone-{PHONE}.2"))).faults(), [("/phone_code", "office_account")]);
        let code = admin.send("POST", &format!("{USERS}/{user}/binding-code"), &[], None);
        assert_eq!(bind(host, &again, ("binding_code", code.body["binding_code"].as_str().expect("a code"))).status, 200);
        // What an administrator has vouched for stays.
        let more = json!({"user_id": user, "role": "publicity_officer", "organization_id": organization(&admin, "zz-dengfeng")});
        assert_eq!(admin.post("/api/v1/role-grants", &more).status, 201);
        assert!(login(host, "ok-oVolunteer.3").body["access_token"].is_string());
    });
}

/// Who tries codes that the office might have given is slowed down like who tries passwords.
#[test]
fn an_address_that_fails_often_waits() {
    with_wechat(&[], |host, _| {
        let waits = (0..60).map(|_| login(host, "bad")).find(|answer| answer.status == 429).expect("a refusal");
        assert!(waits.header("Retry-After").is_some(), "{waits:?}");
        let by_password = host.nobody().post("/api/v1/auth/login", &json!({"username": "x", "password": "y"}));
        assert_eq!(by_password.status, 429, "one way in is as good as the other");
    });
}

/// Teams of a county, one for each code asked for.
fn teams(admin: &Client<'_>, number: usize) -> Vec<String> {
    let county = organization(admin, "zz-dengfeng");
    (0..number)
        .map(|n| {
            let draft = json!({"organization_id": county, "code": format!("team-{n}"), "name": "少林志愿者队", "base_kind": "school",
                               "established_on": "2022-05-01"});
            let team = admin.post("/api/v1/volunteer-teams", &draft);
            assert_eq!(team.status, 201, "{team:?}");
            team.id().to_owned()
        })
        .collect()
}

fn code_path(team: &str) -> String {
    format!("/api/v1/wechat/qr-codes/volunteer-teams/{team}")
}

#[test]
fn servers_share_one_token_and_one_of_them_renews_it() {
    with_wechat(&[], |host, fake| {
        let admin = host.planted();
        let other = host.beside(&settings(fake, &[]));
        let teams = teams(&admin, 9);
        fake.state().slow_tokens = Some(Duration::from_millis(300));
        std::thread::scope(|scope| {
            for (n, team) in teams.iter().take(6).enumerate() {
                let client = if n % 2 == 0 { admin.clone() } else { admin.elsewhere(&other.base) };
                scope.spawn(move || assert_eq!(client.get(&code_path(team)).status, 200));
            }
        });
        assert_eq!(fake.counts(), (1, 0, 6), "one server asked, for both");

        // Another has renewed it by force: it is asked for once more, and the call made once more.
        fake.kills_the_token(true);
        assert_eq!(admin.get(&code_path(&teams[6])).status, 200);
        assert_eq!(fake.counts(), (2, 0, 7));
        // WeChat gives the very token that it has refused: then by force, and that not again and again.
        fake.kills_the_token(false);
        assert_eq!(admin.elsewhere(&other.base).get(&code_path(&teams[7])).status, 200);
        assert_eq!(fake.counts(), (4, 1, 8));
        fake.kills_the_token(false);
        let refused = admin.get(&code_path(&teams[8]));
        assert_eq!((refused.status, refused.code()), (503, "wechat_unavailable"), "{refused:?}");
        assert_eq!(fake.counts(), (5, 1, 8));
        // No secret on the way to the operator either.
        assert!(!refused.body.to_string().contains("TOKEN-"));
    });
}

#[test]
fn codes_to_scan_are_drawn_once() {
    with_wechat(&[], |host, fake| {
        let admin = host.planted();
        let team = teams(&admin, 1).remove(0);
        let drawn = admin.get(&code_path(&team));
        assert_eq!((drawn.status, drawn.header("Content-Type")), (200, Some("image/png")), "{drawn:?}");
        assert!(admin.download(&code_path(&team)).starts_with(b"\x89PNG"));
        let asked = fake.state().drawn.clone();
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert_eq!((&asked[0]["page"], &asked[0]["env_version"]), (&json!("pages/check-in/index"), &json!("release")));
        let (resource, id) = qr::place(asked[0]["scene"].as_str().expect("a scene")).expect("a place");
        assert_eq!((resource, id.to_string()), ("volunteer_teams", team.clone()));

        let elsewhere = host.user("elsewhere", Role::OrgAdmin, Some("zz-gaoxin"));
        assert_eq!(elsewhere.get(&code_path(&team)).status, 404);
        assert_eq!(admin.get(&code_path("01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08")).status, 404);
        assert_eq!(admin.get(&format!("/api/v1/wechat/qr-codes/persons/{team}")).status, 404);
        let county = organization(&admin, "zz-dengfeng");
        let station =
            json!({"organization_id": county, "name": "花园路派出所工作站", "host_kind": "police_station", "host_name": "花园路派出所"});
        let station = admin.post("/api/v1/workstations", &station);
        assert_eq!(station.status, 201, "{station:?}");
        let path = format!("/api/v1/wechat/qr-codes/workstations/{}", station.id());
        fake.answers_once("/wxa/getwxacodeunlimit", 41_030);
        let unreleased = admin.get(&path);
        assert_eq!((unreleased.status, unreleased.code()), (503, "feature_off"), "{unreleased:?}");
        assert_eq!(admin.get(&path).status, 200);
        assert_eq!(fake.state().drawn[1]["page"], "pages/workstation/index");
    });
}

/// States and failures of all messages, in their order.
fn messages(host: &Host) -> Vec<(String, Option<String>)> {
    let all = host.service.db.run(true, |conn| {
        let all = wechat_messages::table.order(wechat_messages::id).select((wechat_messages::state, wechat_messages::failure));
        Ok(all.load(conn)?)
    });
    all.expect("read")
}

/// Waits until the last message is over.
pub fn settled(host: &Host) -> (String, Option<String>) {
    let begun = Instant::now();
    loop {
        let last = messages(host).pop().expect("a message");
        if last.0 != "waiting" {
            return last;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{last:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn send(host: &Host, user: &str, told: &[(&str, &str)]) -> Option<Id> {
    let user: Id = user.parse().expect("an id");
    host.service.db.write_background(&Deed::of_operator("test"), |tx| subscribe::send(tx, user, "service_confirmed", told)).expect("kept")
}

#[test]
fn messages_go_to_who_has_agreed_to_them() {
    with_wechat(&[], |host, fake| {
        let admin = host.planted();
        let (_, user) = somebody(&admin, "volunteer", Some(PHONE), "volunteer");
        let platform = host.sign_in("platform", UserKind::Person);
        let template = "/api/v1/wechat/templates/service_confirmed";
        let draft =
            json!({"template_id": "tmpl-1", "fields": {"thing1": "title", "phrase2": "result"}, "page": "pages/service/index?tab=mine"});
        assert_eq!(admin.put(template, &draft).status, 403, "templates are the platform's");
        assert_eq!(platform.put(template, &draft).status, 201);
        assert_eq!(platform.put(template, &draft).status, 200);
        for (field, wrong, told) in [
            ("fields", json!({"things1": "title"}), "invalid_field"),
            ("fields", json!({"thing1": "Title!"}), "invalid_field"),
            ("fields", json!({}), "wrong_number"),
            ("page", json!("/pages/x"), "invalid_page"),
            ("template_id", json!("a b"), "invalid_template_id"),
        ] {
            let mut draft = draft.clone();
            draft[field] = wrong;
            assert_eq!(platform.put(template, &draft).faults(), [(format!("/{field}").as_str(), told)]);
        }
        assert_eq!(platform.get("/api/v1/wechat/templates").body["items"][0]["kind"], "service_confirmed");
        let silent = platform.put("/api/v1/wechat/templates/birthday", &draft);
        assert_eq!(silent.faults(), [("/kind", "invalid_kind")]);
        let mut unfilled = draft.clone();
        unfilled["fields"]["thing3"] = json!("name");
        assert_eq!(platform.put(template, &unfilled).faults(), [("/fields/thing3", "unknown_part")]);

        assert_eq!(send(host, &user, &[("title", "x")]), None, "nobody has agreed to anything");
        let volunteer = signed_in(host, "oVolunteer", PHONE);
        let listed = volunteer.get(SUBSCRIPTIONS);
        assert_eq!(listed.body["items"], json!([{"template_id": "tmpl-1", "kinds": ["service_confirmed"], "credits": 0}]), "{listed:?}");
        let by_password = host.user("officer", Role::Clerk, Some("zz"));
        assert_eq!(by_password.get(SUBSCRIPTIONS).status, 409, "it is a WeChat account that agrees");
        let report = |key: &str, result: &str| {
            let body = json!({"results": [{"template_id": "tmpl-1", "result": result}]}).to_string();
            volunteer.send("POST", SUBSCRIPTIONS, &[JSON, ("Idempotency-Key", key)], Some(body.as_bytes()))
        };
        let credits = || volunteer.get(SUBSCRIPTIONS).body["items"][0]["credits"].as_i64().expect("credits");
        // The answer got lost, and the report comes again: one tap is one tap.
        assert_eq!(report("one", "accept").status, 200);
        assert_eq!(report("one", "accept").header("Idempotent-Replayed"), Some("true"));
        assert_eq!(credits(), 1);
        assert_eq!((report("two", "reject").status, credits()), (200, 1));
        let unknown = volunteer.post(SUBSCRIPTIONS, &json!({"results": [{"template_id": "tmpl-2", "result": "accept"}]}));
        assert_eq!(unknown.faults(), [("/results/0/template_id", "unknown_template")]);
        let four: Vec<Value> = (0..4).map(|_| json!({"template_id": "tmpl-1", "result": "accept"})).collect();
        assert_eq!(volunteer.post(SUBSCRIPTIONS, &json!({ "results": four })).status, 422);

        // One accept is one message; what is too long is cut, by characters.
        fake.accepts("oVolunteer", "tmpl-1", 1);
        fake.answers_once("/cgi-bin/message/subscribe/send", -1);
        let long = "您在登封市少林志愿者队的服务时长已经由队长确认";
        assert!(send(host, &user, &[("title", long), ("result", "已确认")]).is_some());
        assert_eq!(send(host, &user, &[("title", long), ("result", "已确认")]), None, "it is spent");
        assert_eq!(settled(host), ("sent".into(), None));
        let sent = fake.state().sent.clone();
        assert_eq!(sent.len(), 1);
        assert_eq!(
            sent[0]["data"],
            json!({"thing1": {"value": "您在登封市少林志愿者队的服务时长已经由…"}, "phrase2": {"value": "已确认"}})
        );
        assert_eq!((&sent[0]["touser"], &sent[0]["page"]), (&json!("oVolunteer"), &json!("pages/service/index?tab=mine")));

        // Withdrawn at WeChat since: they aren't asked again and again.
        report("three", "accept");
        report("four", "accept");
        assert_eq!(credits(), 2);
        send(host, &user, &[("title", "甲"), ("result", "已确认")]).expect("a message");
        assert_eq!(settled(host), ("failed".into(), Some("unsubscribed".into())));
        assert_eq!(credits(), 0);

        // What WeChat would not take isn't sent, and costs nothing.
        report("five", "accept");
        fake.accepts("oVolunteer", "tmpl-1", 1);
        send(host, &user, &[("title", "甲"), ("result", "OK")]).expect("a message");
        assert_eq!(settled(host), ("failed".into(), Some("field:phrase2".into())));
        assert_eq!(credits(), 1);
        for (code, told) in [(47_003, "field:"), (40_037, "40037"), (41_030, "41030")] {
            fake.answers_once("/cgi-bin/message/subscribe/send", code);
            send(host, &user, &[("title", "甲"), ("result", "已确认")]).expect("a message");
            assert_eq!(settled(host), ("failed".into(), Some(told.into())));
            assert_eq!(credits(), 1, "{code}");
        }
        fake.answers_once("/cgi-bin/message/subscribe/send", 40_003);
        send(host, &user, &[("title", "甲"), ("result", "已确认")]).expect("a message");
        assert_eq!(settled(host), ("failed".into(), Some("recipient".into())));
        assert_eq!(credits(), 0);

        // A token that has ended meanwhile is renewed on the way.
        report("six", "accept");
        fake.kills_the_token(true);
        send(host, &user, &[("title", "甲"), ("result", "已确认")]).expect("a message");
        assert_eq!(settled(host), ("sent".into(), None));

        // Enough for today: the message waits for tomorrow, and WeChat is left alone.
        report("seven", "accept");
        fake.answers_once("/cgi-bin/message/subscribe/send", 45_009);
        let waiting = send(host, &user, &[("title", "甲"), ("result", "已确认")]).expect("a message");
        let begun = Instant::now();
        let later = loop {
            let not_before: yiyong::types::Instant = host
                .service
                .db
                .run(true, |conn| Ok(wechat_messages::table.find(waiting).select(wechat_messages::not_before).first(conn)?))
                .expect("read");
            if not_before > yiyong::types::Instant::now() {
                break not_before;
            }
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(later.0.format("%H:%M").to_string(), "16:05", "a while after midnight in China");
        assert_eq!(messages(host).pop().expect("a message").0, "waiting");
        // Who lets go of the telephone is sent nothing more.
        let binding = volunteer.get(BINDINGS).body["items"][0]["id"].as_str().expect("an id").to_owned();
        assert_eq!(volunteer.delete(&format!("{BINDINGS}/{binding}")).status, 204);
        assert_eq!(messages(host).pop().expect("a message"), ("failed".into(), Some("unbound".into())));
        assert_eq!(platform.delete(template).status, 204);
        assert_eq!(platform.delete(template).status, 404);
    });
}

/// An officer who has agreed to it hears on the telephone what the inbox tells: that there is something, and never about whom.
#[test]
fn what_the_inbox_tells_reaches_the_telephone() {
    with_wechat(&[], |host, fake| {
        let admin = host.planted();
        let (_, user) = somebody(&admin, "clerk", None, "clerk");
        somebody(&admin, "another", None, "clerk");
        let platform = host.sign_in("platform", UserKind::Person);
        let draft = json!({"template_id": "tmpl-9", "fields": {"thing1": "title", "phrase2": "result", "time3": "at"}});
        assert_eq!(platform.put("/api/v1/wechat/templates/training_planned", &draft).status, 201);
        let code = admin.send("POST", &format!("{USERS}/{user}/binding-code"), &[], None);
        let ticket = ticket(host, "ok-oClerk");
        let bound = bind(host, &ticket, ("binding_code", code.body["binding_code"].as_str().expect("a code")));
        let clerk = host.holding(bound.body["access_token"].as_str().expect("a token"));
        let agreed = clerk.post(SUBSCRIPTIONS, &json!({"results": [{"template_id": "tmpl-9", "result": "accept"}]}));
        assert_eq!(agreed.status, 200, "{agreed:?}");
        fake.accepts("oClerk", "tmpl-9", 1);

        let telling = Telling::begin(host);
        let planned = |topic: &str| {
            let tomorrow = yiyong::types::business_today(yiyong::types::Instant::now()).succ_opt().expect("a day");
            let draft = json!({"organization_id": organization(&admin, "zz-dengfeng"), "kind": "other", "topic": topic, "audience": "other", "held_on": tomorrow});
            let made = admin.post("/api/v1/trainings", &draft);
            assert_eq!(made.status, 201, "{made:?}");
            crate::webhooks::settled(host);
        };
        planned("急救");
        assert_eq!(settled(host), ("sent".into(), None));
        // One accept is one message: of the second training the inbox tells alone.
        planned("消防");
        assert_eq!(messages(host).len(), 1);
        assert_eq!(clerk.get("/api/v1/notifications?unread=true&count=true").body["total"], 2);
        let sent = fake.state().sent.clone();
        assert_eq!((sent.len(), &sent[0]["touser"]), (1, &json!("oClerk")));
        assert_eq!((&sent[0]["data"]["thing1"]["value"], &sent[0]["data"]["phrase2"]["value"]), (&json!("培训：已安排"), &json!("已安排")));
        drop(telling);
    });
}

/// Who has to hand in a return is told on the telephone that its day is near.
#[test]
fn a_return_that_is_due_reaches_the_telephone() {
    with_wechat(&[], |host, fake| {
        let admin = host.planted();
        let (_, user) = somebody(&admin, "clerk", None, "clerk");
        let platform = host.sign_in("platform", UserKind::Person);
        let draft = json!({"template_id": "tmpl-10", "fields": {"thing1": "title", "phrase2": "result", "time3": "at"}});
        assert_eq!(platform.put("/api/v1/wechat/templates/return_due", &draft).status, 201);
        let code = admin.send("POST", &format!("{USERS}/{user}/binding-code"), &[], None);
        let ticket = ticket(host, "ok-oClerk");
        let bound = bind(host, &ticket, ("binding_code", code.body["binding_code"].as_str().expect("a code")));
        let clerk = host.holding(bound.body["access_token"].as_str().expect("a token"));
        let agreed = clerk.post(SUBSCRIPTIONS, &json!({"results": [{"template_id": "tmpl-10", "result": "accept"}]}));
        assert_eq!(agreed.status, 200, "{agreed:?}");
        fake.accepts("oClerk", "tmpl-10", 1);
        let telling = Telling::begin(host);
        let form = crate::monthly_returns::form(&admin, &json!({}));
        crate::monthly_returns::opened(&admin, &form, "2022-06");
        yiyong::resources::monthly_returns::calendar::turn(&host.service.db, yiyong::types::Instant::now()).expect("a turn");
        crate::webhooks::settled(host);
        assert_eq!(settled(host), ("sent".into(), None));
        let sent = fake.state().sent.clone();
        assert_eq!((sent.len(), &sent[0]["touser"]), (1, &json!("oClerk")));
        assert_eq!(sent[0]["data"]["thing1"]["value"], "每月上报：请尽快提交");
        drop(telling);
    });
}

/// Bindings follow a change of the data key: found under both, and sealed anew with the next.
#[test]
fn bindings_follow_the_data_key() {
    with_wechat(&[], |host, fake| {
        let admin = host.planted();
        somebody(&admin, "volunteer", Some(PHONE), "volunteer");
        signed_in(host, "oVolunteer", PHONE);
        let former = host.keys.path().join("data-key").display().to_string();
        let next = host.keys.path().join("next-data-key").display().to_string();
        std::fs::write(&next, "HxwdHhsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=").expect("written");
        let both = host.beside(&settings(fake, &[("YIYONG_DATA_KEY_FILE", &next), ("YIYONG_OTHER_DATA_KEY_FILES", &former)]));
        assert_eq!(login(&both, "ok-oVolunteer.2").status, 200);
        assert!(login(&both, "ok-oVolunteer.3").body["access_token"].is_string());
        let outcome = bindings::reseal(&both.service.db).expect("resealed");
        assert_eq!((outcome.seen, outcome.resealed), (1, 1));
        assert_eq!(bindings::reseal(&both.service.db).expect("resealed").resealed, 0);
        let alone = host.beside(&settings(fake, &[("YIYONG_DATA_KEY_FILE", &next)]));
        assert!(login(&alone, "ok-oVolunteer.4").body["access_token"].is_string());
        // The shared token was sealed with the former key: it is asked for anew, and not missed.
        let team = teams(&admin, 1).remove(0);
        let asked = fake.state().asked;
        assert_eq!(admin.elsewhere(&alone.base).get(&code_path(&team)).status, 200);
        assert_eq!(fake.state().asked, asked + 1);
    });
}

fn found_in(folder: &Path, text: &str) -> Vec<String> {
    let output = Command::new("grep").args(["-rlaF", "-e", text]).arg(folder).output().expect("grep");
    assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Whatever the log level: neither the database nor the log holds a secret of WeChat's, or by whom somebody could be found.
#[test]
fn nothing_of_wechat_stands_in_the_open() {
    let fake = Fake::start();
    let place = Workplace::new(None);
    let secret = place.folder.path().join("secret");
    std::fs::write(&secret, SECRET).expect("written");
    let secret = secret.display().to_string();
    assert!(place.run(&["migrate"], &[]).status.success());
    let mut server = place.serve(&[
        ("YIYONG_LOG", "trace"),
        ("YIYONG_WECHAT_APP_ID", APP_ID),
        ("YIYONG_WECHAT_APP_SECRET_FILE", &secret),
        ("YIYONG_WECHAT_API_URL", &fake.url),
    ]);
    place.user("platform", "platform_admin", None);
    let platform = server.nobody().sign_in("platform", UserKind::Person);
    let root =
        platform.post("/api/v1/organizations", &json!({"code": "hn", "name": "河南省见义勇为基金会", "kind": "provincial_foundation"}));
    place.user("clerk", "org_admin", Some("hn"));
    let clerk = server.nobody().sign_in("clerk", UserKind::Person);
    let person = clerk.post("/api/v1/persons", &json!({"organization_id": root.id(), "name": "程砚秋", "phone": PHONE}));
    let user = json!({"organization_id": root.id(), "kind": "person", "username": "volunteer", "name": "程", "person_id": person.id(), "initial_password": PASSWORD});
    let user = clerk.post(USERS, &user);
    assert_eq!(user.status, 201, "{user:?}");
    assert_eq!(
        clerk.post("/api/v1/role-grants", &json!({"user_id": user.id(), "role": "volunteer", "organization_id": root.id()})).status,
        201
    );
    let nobody = server.nobody();
    for code in ["bad", "risk", "html", "huge"] {
        assert!(nobody.post(LOGIN, &json!({ "code": code })).status >= 400);
    }
    let first = nobody.post(LOGIN, &json!({"code": "ok-oVolunteer7Zq"}));
    let ticket = first.body["binding_ticket"].as_str().expect("a ticket").to_owned();
    let bound = nobody.post(BIND, &json!({"binding_ticket": ticket, "phone_code": format!("phone-{PHONE}.q")}));
    assert_eq!(bound.status, 200, "{bound:?}");
    let code = clerk.send("POST", &format!("{USERS}/{}/binding-code", user.id()), &[], None).body["binding_code"]
        .as_str()
        .expect("a code")
        .to_owned();
    server.terminate();
    assert_eq!(server.end().code(), Some(0));
    let log = server.log();
    assert!(log.contains("/auth/wechat/bind"), "the log is there");
    assert!(!found_in(place.folder.path(), "bind_wechat").is_empty(), "the search finds what is there");
    std::fs::remove_file(place.folder.path().join("secret")).expect("removed");
    for text in [SECRET, SESSION_KEY, "TOKEN-1", "oVolunteer7Zq", PHONE, ticket.as_str(), code.as_str(), &code.replace('-', "")] {
        assert_eq!(found_in(place.folder.path(), text), Vec::<String>::new(), "{text}");
        assert!(!log.contains(text), "{text} in the log");
    }
    // Nor by the numbers of their bytes.
    assert!(!log.contains("6f 56 6f 6c 75 6e"), "openid in the log");
}
