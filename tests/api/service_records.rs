//! Service by the code of a team: checked in, checked out, confirmed by another, certified.

use diesel::prelude::*;
use serde_json::{Value, json};
use yiyong::auth::UserKind;
use yiyong::policy::Role;
use yiyong::schema::service_records;
use yiyong::types::{Id, Instant, business_today};
use yiyong::wechat::qr;

use crate::hosts::{Answer, Client, Host, on_each_database};
use crate::wechat::{self, organization};

const RECORDS: &str = "/api/v1/service-records";
const CHECK_IN: &str = "/api/v1/service-records/check-in";
const CERTIFICATES: &str = "/api/v1/certificates";

/// Lets a record have begun minutes ago.
pub fn begun_earlier(host: &Host, id: &str, minutes: i64) {
    let id: Id = id.parse().expect("an id");
    let begun = Instant::now().plus_seconds(-60 * minutes);
    host.service
        .db
        .run(false, |conn| {
            diesel::update(service_records::table.find(id)).set(service_records::started_at.eq(begun)).execute(conn)?;
            Ok(())
        })
        .expect("aged");
}

pub fn made(client: &Client<'_>, path: &str, draft: &Value) -> String {
    let answer = client.post(path, draft);
    assert_eq!(answer.status, 201, "{path} {answer:?}");
    answer.id().to_owned()
}

/// A volunteer of the county, in a team where one is named: person and volunteer.
fn volunteer(admin: &Client<'_>, name: &str, team: Option<&str>) -> (String, String) {
    let county = organization(admin, "zz-dengfeng");
    let person = made(admin, "/api/v1/persons", &json!({"organization_id": county, "name": name}));
    let draft = json!({"organization_id": county, "person_id": person, "sector": "community", "registered_on": "2022-01-01"});
    let volunteer = made(admin, "/api/v1/volunteers", &draft);
    if let Some(team) = team {
        made(admin, "/api/v1/memberships", &json!({"volunteer_id": volunteer, "team_id": team, "joined_on": "2022-01-01"}));
    }
    (person, volunteer)
}

pub fn team(admin: &Client<'_>, code: &str, leader: Option<&str>) -> String {
    let county = organization(admin, "zz-dengfeng");
    let draft = json!({"organization_id": county, "code": code, "name": "少林志愿者队", "base_kind": "school", "established_on": "2022-01-01",
                       "leader_id": leader});
    made(admin, "/api/v1/volunteer-teams", &draft)
}

/// A volunteer's account, signed in.
pub fn account<'a>(host: &'a Host, username: &str, role: Role, person: &str) -> Client<'a> {
    host.user(username, role, Some("zz-dengfeng"));
    host.is_person(username, person);
    host.sign_in(username, UserKind::Person)
}

pub fn scene(resource: &str, id: &str) -> String {
    qr::scene(resource, id.parse().expect("an id")).expect("a scene")
}

fn check_in(client: &Client<'_>, scene: &str, key: &str) -> Answer {
    let body = json!({"scene": scene, "note": "校园周边巡逻"}).to_string();
    client.send("POST", CHECK_IN, &[("Content-Type", "application/json"), ("Idempotency-Key", key)], Some(body.as_bytes()))
}

fn step(client: &Client<'_>, id: &str, verb: &str, body: &Value) -> Answer {
    client.post(&format!("{RECORDS}/{id}/{verb}"), body)
}

#[test]
fn a_volunteer_serves_and_the_leader_confirms() {
    on_each_database(|host| {
        let admin = host.planted();
        let (leader_person, leader_volunteer) = volunteer(&admin, "李队长", None);
        let team_id = team(&admin, "team", Some(&leader_person));
        made(&admin, "/api/v1/memberships", &json!({"volunteer_id": leader_volunteer, "team_id": team_id, "joined_on": "2022-01-01"}));
        let (person, number) = volunteer(&admin, "王小明", Some(&team_id));
        let (other_person, _) = volunteer(&admin, "张小红", Some(&team_id));
        let (stranger_person, _) = volunteer(&admin, "赵小刚", None);
        let one = account(host, "one", Role::Volunteer, &person);
        let other = account(host, "other", Role::Volunteer, &other_person);
        let stranger = account(host, "stranger", Role::Volunteer, &stranger_person);
        let leader = account(host, "leader", Role::Volunteer, &leader_person);
        let place = scene("volunteer_teams", &team_id);

        // Whoever gave the role may have forgotten to say who that is.
        host.user("unlinked", Role::Volunteer, Some("zz-dengfeng"));
        let unlinked = check_in(&host.sign_in("unlinked", UserKind::Person), &place, "k0");
        assert_eq!((unlinked.status, unlinked.code()), (403, "forbidden"), "{unlinked:?}");
        assert_eq!(unlinked.body["detail"], "您的账号没有关联人员记录；请由协会管理员关联");

        // The answer got lost, and the telephone asks again: one check-in is one.
        let begun = check_in(&one, &place, "k1");
        assert_eq!(
            (begun.status, &begun.body["state"], &begun.body["volunteer_id"]),
            (201, &json!("checked_in"), &json!(number)),
            "{begun:?}"
        );
        assert_eq!(begun.body["allowed_actions"], json!(["check_out"]));
        let again = check_in(&one, &place, "k1");
        assert_eq!((again.id(), again.header("Idempotent-Replayed")), (begun.id(), Some("true")));
        let twice = check_in(&one, &place, "k2");
        assert_eq!((twice.status, &twice.body["service_record_id"]), (409, &begun.body["id"]), "{twice:?}");
        let id = begun.id();

        assert_eq!(step(&stranger, id, "check-out", &json!({})).status, 404);
        assert_eq!(step(&other, id, "check-out", &json!({})).status, 404);
        assert_eq!(step(&one, id, "confirm", &json!({})).code(), "step_not_allowed");
        assert_eq!(
            step(&one, id, "check-out", &json!({"ended_at": "2999-01-01T00:00:00Z"})).faults(),
            [("/ended_at", "outside_the_service")]
        );
        assert_eq!(
            step(&one, id, "check-out", &json!({"ended_at": "2001-01-01T00:00:00Z"})).faults(),
            [("/ended_at", "outside_the_service")]
        );
        begun_earlier(host, id, 25 * 60);
        assert_eq!(step(&one, id, "check-out", &json!({})).faults(), [("/ended_at", "too_long")]);
        begun_earlier(host, id, 90);
        let ended = step(&one, id, "check-out", &json!({}));
        assert_eq!((ended.status, &ended.body["minutes"], &ended.body["state"]), (200, &json!(90), &json!("checked_out")), "{ended:?}");

        // By another, who leads the team or holds an office there.
        let own = step(&one, id, "confirm", &json!({}));
        assert_eq!((own.status, own.code()), (403, "forbidden"), "{own:?}");
        assert_eq!(step(&other, id, "confirm", &json!({})).status, 404, "a member sees nothing of another");
        let listed = leader.get(&format!("{RECORDS}?state=checked_out&count=true"));
        assert_eq!((&listed.body["total"], &listed.body["items"][0]["id"]), (&json!(1), &json!(id)), "{listed:?}");
        let confirmed = step(&leader, id, "confirm", &json!({}));
        assert_eq!((confirmed.status, &confirmed.body["state"]), (200, &json!("confirmed")), "{confirmed:?}");
        assert_eq!(step(&leader, id, "confirm", &json!({})).code(), "step_not_allowed");
        assert_eq!(step(&leader, id, "reject", &json!({"reason": "x"})).code(), "step_not_allowed", "what is confirmed stays");

        // The leader's own is for an officer.
        let own = check_in(&leader, &place, "k1");
        begun_earlier(host, own.id(), 30);
        assert_eq!(step(&leader, own.id(), "check-out", &json!({})).status, 200);
        assert_eq!(step(&leader, own.id(), "confirm", &json!({})).status, 403);
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let elsewhere = host.user("elsewhere", Role::Clerk, Some("zz-gaoxin"));
        assert_eq!(step(&elsewhere, own.id(), "confirm", &json!({})).status, 404);
        let rejected = step(&clerk, own.id(), "reject", &json!({"reason": "当日没有活动"}));
        assert_eq!((rejected.status, &rejected.body["state"], &rejected.body["reason"]), (200, &json!("rejected"), &json!("当日没有活动")));

        // Two of one time are flagged, and left to who confirms.
        let second = check_in(&one, &place, "k3");
        assert_eq!(second.body["overlapping"], false);
        begun_earlier(host, second.id(), 45);
        let second = step(&one, second.id(), "check-out", &json!({}));
        assert_eq!(second.body["overlapping"], true, "{second:?}");
        let flagged = clerk.get(&format!("{RECORDS}?overlapping=true&count=true"));
        assert_eq!(flagged.body["total"], 2, "{flagged:?}");
        assert_eq!(clerk.get(&format!("{RECORDS}?overlapping=false&count=true")).body["total"], 1);
        let today = business_today(Instant::now());
        assert_eq!(clerk.get(&format!("{RECORDS}?volunteer_id={number}&started_to={}&count=true", today)).body["total"], 2);
        assert_eq!(clerk.get(&format!("{RECORDS}?started_to=2022-12-31&count=true")).body["total"], 0);

        // Where nobody checks in.
        for (place, told) in [
            (scene("workstations", &team_id), "unknown_scene"),
            (scene("volunteer_teams", "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08"), "unknown_scene"),
            ("t-not-a-scene".to_owned(), "unknown_scene"),
        ] {
            assert_eq!(check_in(&other, &place, &place).faults(), [("/scene", told)], "{place}");
        }
        let stranger_in = check_in(&stranger, &place, "k1");
        assert_eq!(stranger_in.status, 409, "{stranger_in:?}");
        assert_eq!(check_in(&clerk, &place, "k1").status, 403, "officers don't serve by their office");
        let path = format!("/api/v1/volunteer-teams/{team_id}");
        let version = admin.get(&path).header("ETag").expect("a version").to_owned();
        assert_eq!(admin.patch(&path, &version, &json!({"status": "suspended"})).status, 200);
        assert_eq!(check_in(&other, &place, "k9").status, 409);
    });
}

/// Of two telephones at once, one checks in.
#[test]
fn nobody_is_in_two_places_at_once() {
    on_each_database(|host| {
        let admin = host.planted();
        let team_id = team(&admin, "team", None);
        let (person, _) = volunteer(&admin, "王小明", Some(&team_id));
        let one = account(host, "one", Role::Volunteer, &person);
        let place = scene("volunteer_teams", &team_id);
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..6)
                .map(|n| {
                    let (one, place) = (one.clone(), place.clone());
                    scope.spawn(move || check_in(&one, &place, &format!("k{n}")).status)
                })
                .collect();
            tries.into_iter().map(|one| one.join().expect("an answer")).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 5, "{statuses:?}");
    });
}

/// The words on the page are those of the certificate, and a second copy is the same file.
fn on_paper(client: &Client<'_>, path: &str, code: &str) {
    let answer = client.get(path);
    let named = answer.header("Content-Disposition").expect("a name").to_owned();
    assert!(answer.status == 200 && named.ends_with(".pdf"), "{named}");
    assert_eq!(answer.header("Content-Type"), Some("application/pdf"));
    let read = |language: &str| {
        let pdf = client.download_in(path, language);
        assert!(pdf == client.download_in(path, language), "the same file");
        let text = pdf_extract::extract_text_from_mem(&pdf).expect("a PDF file");
        text.split_whitespace().collect::<String>()
    };
    let (chinese, english) = (read("zh"), read("en"));
    for sign in ["志愿服务证明", "兹证明王小明于2022年1月1日至", "志愿服务2次", "共计3小时30分钟。", "登封市见义勇为协会", code]
    {
        assert!(chinese.contains(sign), "{sign} in {chinese}");
    }
    for sign in ["Certificateofvolunteerservice", "3h30min", code] {
        assert!(english.contains(sign), "{sign} in {english}");
    }
}

#[test]
fn a_certificate_is_verified_by_anybody() {
    on_each_database(|host| {
        let admin = host.planted();
        let team_id = team(&admin, "team", None);
        let (person, number) = volunteer(&admin, "王小明", Some(&team_id));
        let one = account(host, "one", Role::Volunteer, &person);
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let today = business_today(Instant::now());
        let draft = json!({"volunteer_id": number, "from_on": "2022-01-01", "to_on": today});
        assert_eq!(clerk.post(CERTIFICATES, &draft).faults(), [("/from_on", "nothing_to_certify")]);
        let place = scene("volunteer_teams", &team_id);
        for (n, minutes) in [150, 60, 30].into_iter().enumerate() {
            let begun = check_in(&one, &place, &format!("k{n}"));
            begun_earlier(host, begun.id(), minutes);
            assert_eq!(step(&one, begun.id(), "check-out", &json!({})).status, 200);
            // The last waits to be confirmed, and doesn't count.
            if n < 2 {
                assert_eq!(step(&clerk, begun.id(), "confirm", &json!({})).status, 200);
            }
        }
        assert_eq!(one.post(CERTIFICATES, &draft).status, 403);
        let later = json!({"volunteer_id": number, "from_on": today, "to_on": "2999-01-01"});
        assert_eq!(clerk.post(CERTIFICATES, &later).faults(), [("/to_on", "in_the_future")]);
        let elsewhere = host.user("elsewhere", Role::Clerk, Some("zz-gaoxin"));
        assert_eq!(elsewhere.post(CERTIFICATES, &draft).faults(), [("/volunteer_id", "unknown_reference")]);
        let issued = clerk.post(CERTIFICATES, &draft);
        assert_eq!((issued.status, &issued.body["minutes"], &issued.body["records"]), (201, &json!(210), &json!(2)), "{issued:?}");
        let code = issued.body["verification_code"].as_str().expect("a code").to_owned();
        assert_eq!(code.len(), 22);
        assert_eq!(one.get(CERTIFICATES).body["items"][0]["id"], issued.body["id"]);

        let verify = |code: &str| host.nobody().get(&format!("/api/v1/public/certificates/{code}"));
        let told = verify(&code);
        assert_eq!(
            (&told.body["name_masked"], &told.body["minutes"], &told.body["state"]),
            (&json!("王*明"), &json!(210), &json!("valid")),
            "{told:?}"
        );
        assert_eq!(told.body["organization_name"], "登封市见义勇为协会");
        assert!(!told.body.to_string().contains("王小明"));
        for wrong in ["x", &code[1..], &code.to_uppercase().to_lowercase(), "0000000000000000000000"] {
            assert_eq!(verify(wrong).status, 404, "{wrong}");
        }

        let path = format!("{CERTIFICATES}/{}", issued.id());
        on_paper(&one, &format!("{path}/document"), &code);
        assert_eq!(elsewhere.get(&format!("{path}/document")).status, 404);
        assert_eq!(clerk.patch(&path, "\"1\"", &json!({"to_on": "2022-12-31"})).code(), "step_not_allowed");
        assert_eq!(clerk.delete(&path).code(), "step_not_allowed");
        assert_eq!(one.post(&format!("{path}/withdraw"), &json!({"reason": "x"})).status, 403);
        let withdrawn = clerk.post(&format!("{path}/withdraw"), &json!({"reason": "时长有误"}));
        assert_eq!((withdrawn.status, &withdrawn.body["state"]), (200, &json!("withdrawn")), "{withdrawn:?}");
        let paper = clerk.get(&format!("{path}/document"));
        assert_eq!((paper.status, paper.code()), (409, "step_not_allowed"), "nobody prints what is withdrawn");
        let told = verify(&code);
        assert_eq!((told.status, &told.body["state"]), (200, &json!("withdrawn")));
        assert!(!told.body.to_string().contains("时长有误"), "why is for the office");
    });
}

/// What a volunteer writes on their telephone is shown to WeChat first, and they are told on it what became of their service.
#[test]
fn texts_are_checked_and_the_volunteer_is_told() {
    wechat::with_wechat(&[], |host, fake| {
        let admin = host.planted();
        let platform = host.sign_in("platform", UserKind::Person);
        let template =
            json!({"template_id": "tmpl-1", "fields": {"thing1": "place", "number2": "minutes", "phrase3": "result", "time4": "at"}});
        assert_eq!(platform.put("/api/v1/wechat/templates/service_confirmed", &template).status, 201);
        let (person, _) = wechat::somebody(&admin, "volunteer", Some("13800138000"), "volunteer");
        let county = organization(&admin, "zz-dengfeng");
        let draft = json!({"organization_id": county, "person_id": person, "sector": "community", "registered_on": "2022-01-01"});
        let number = made(&admin, "/api/v1/volunteers", &draft);
        let team_id = team(&admin, "team", None);
        made(&admin, "/api/v1/memberships", &json!({"volunteer_id": number, "team_id": team_id, "joined_on": "2022-01-01"}));
        let place = scene("volunteer_teams", &team_id);
        let one = wechat::signed_in(host, "oVolunteer", "13800138000");

        let risky = one.post(CHECK_IN, &json!({"scene": place, "note": "澳门赌场上线"}));
        assert_eq!((risky.status, risky.faults()), (422, vec![("/note", "risky_text")]), "{risky:?}");
        // Where WeChat can't judge, the office reads it.
        fake.answers_once("/wxa/msg_sec_check", 43_104);
        let begun = one.post(CHECK_IN, &json!({"scene": place, "note": "校园周边巡逻"}));
        assert_eq!(begun.status, 201, "{begun:?}");
        assert_eq!(fake.state().checked.len(), 1, "the risky one");

        let body = json!({"results": [{"template_id": "tmpl-1", "result": "accept"}]});
        assert_eq!(one.post("/api/v1/wechat/subscriptions", &body).status, 200);
        fake.accepts("oVolunteer", "tmpl-1", 1);
        begun_earlier(host, begun.id(), 90);
        // A mini-program sends no PATCH, and no cookies; steps are posts.
        assert_eq!(step(&one, begun.id(), "check-out", &json!({})).status, 200);
        assert_eq!(step(&admin, begun.id(), "confirm", &json!({})).status, 200);
        assert_eq!(wechat::settled(host), ("sent".into(), None));
        let sent = fake.state().sent[0]["data"].clone();
        assert_eq!(
            (&sent["thing1"]["value"], &sent["number2"]["value"], &sent["phrase3"]["value"]),
            (&json!("少林志愿者队"), &json!("90"), &json!("已确认"))
        );
    });
}
