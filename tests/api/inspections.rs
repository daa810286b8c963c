//! Inspections: a plan and its visits, what they found and what became of it, and what liaison officers knew.

use chrono::Days;
use serde_json::{Value, json};
use yiyong::policy::Role;
use yiyong::types::{Instant, business_today};

use crate::hosts::{Answer, Client, Host, on_each_database};
use crate::welfare::{grant, made, organization};

const PLANS: &str = "/api/v1/inspection-plans";
pub const INSPECTIONS: &str = "/api/v1/inspections";
pub const FINDINGS: &str = "/api/v1/inspection-findings";
const QUESTIONINGS: &str = "/api/v1/liaison-questionings";

/// So many days ago, in China.
pub fn ago(days: u64) -> String {
    (business_today(Instant::now()) - Days::new(days)).to_string()
}

fn done(answer: Answer) -> Answer {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

fn step(client: &Client<'_>, path: &str, action: &str, body: &Value) -> Answer {
    client.post(&format!("{path}/{action}"), body)
}

fn total(client: &Client<'_>, list: &str) -> Value {
    client.get(&format!("{list}{}count=true", if list.contains('?') { '&' } else { '?' })).body["total"].clone()
}

fn with(base: &Value, more: &Value) -> Value {
    let mut all = base.clone();
    all.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    all
}

/// The people of a city and of two counties.
struct People<'a> {
    city: Client<'a>,
    /// A clerk of the city.
    inspector: Client<'a>,
    leader: Client<'a>,
    dengfeng: Client<'a>,
    gaoxin: Client<'a>,
    zz: Value,
    of_dengfeng: Value,
    of_gaoxin: Value,
}

impl<'a> People<'a> {
    fn planted(host: &'a Host) -> Self {
        let city = host.planted();
        let id = |code: &str| organization(&city, code);
        let (zz, of_dengfeng, of_gaoxin) = (id("zz"), id("zz-dengfeng"), id("zz-gaoxin"));
        Self {
            inspector: host.user("inspector", Role::Clerk, Some("zz")),
            leader: host.user("leader", Role::Leader, Some("zz")),
            dengfeng: host.user("dengfeng", Role::Clerk, Some("zz-dengfeng")),
            gaoxin: host.user("gaoxin", Role::Clerk, Some("zz-gaoxin")),
            city,
            zz,
            of_dengfeng,
            of_gaoxin,
        }
    }

    fn plan(&self, more: &Value) -> Value {
        let draft = json!({"organization_id": self.zz, "title": "2022 年度督导检查", "from_on": "2022-06-01", "to_on": "2022-06-30",
                           "topics": "四个一建设", "subjects": [self.of_dengfeng, self.of_gaoxin],
                           "members": [{"name": "李明", "unit": "郑州市公安局"}, {"name": "王芳", "unit": "郑州市见义勇为协会"}]});
        with(&draft, more)
    }

    fn visit(&self, more: &Value) -> Value {
        let draft = json!({"organization_id": self.of_dengfeng, "inspector_id": self.zz, "inspected_on": ago(30), "topics": "四个一建设"});
        with(&draft, more)
    }
}

pub fn user_id(client: &Client<'_>) -> String {
    client.get("/api/v1/auth/me").id().to_owned()
}

#[test]
fn a_plan_tells_who_was_visited() {
    on_each_database(|host| {
        let people = People::planted(host);
        let (inspector, leader) = (&people.inspector, &people.leader);

        // Who inspects and who is inspected is said, and lies below.
        let nobody = inspector.post(PLANS, &people.plan(&json!({"members": [], "subjects": [], "to_on": "2022-05-01"})));
        let mut faults = nobody.faults();
        faults.sort_unstable();
        assert_eq!(faults, [("/members", "wrong_members"), ("/subjects", "wrong_number"), ("/to_on", "ends_before_it_begins")]);
        let foreign = people.dengfeng.post(PLANS, &people.plan(&json!({"organization_id": people.of_dengfeng})));
        assert_eq!(foreign.faults(), [("/subjects/1", "unknown_reference")]);
        let beside = inspector.post(PLANS, &people.plan(&json!({"organization_id": people.of_dengfeng})));
        assert_eq!(beside.faults(), [("/subjects/1", "not_below")]);
        let plan = made(inspector.post(PLANS, &people.plan(&json!({}))));
        let path = format!("{PLANS}/{}", plan.id());
        assert_eq!((&plan.body["coverage"]["planned"], &plan.body["coverage"]["visited"]), (&json!(2), &json!(0)));
        assert_eq!(people.gaoxin.get(&path).status, 404, "a plan is the city's");

        let visit = people.visit(&json!({"plan_id": plan.id()}));
        assert_eq!(inspector.post(INSPECTIONS, &visit).faults(), [("/plan_id", "plan_not_under_way")]);
        assert_eq!(step(inspector, &path, "publish", &json!({})).status, 403, "the leader answers for it");
        let published = done(step(leader, &path, "publish", &json!({})));
        assert_eq!(published.body["state"], "published");
        let own = people.visit(&json!({"plan_id": plan.id(), "organization_id": people.zz}));
        assert_eq!(inspector.post(INSPECTIONS, &own).faults(), [("/plan_id", "not_a_subject")]);
        let yet_to_come = (business_today(Instant::now()) + Days::new(3)).to_string();
        let planned = json!({"plan_id": plan.id(), "organization_id": people.of_gaoxin, "inspected_on": yet_to_come});
        made(inspector.post(INSPECTIONS, &people.visit(&planned)));
        let visited = made(inspector.post(INSPECTIONS, &visit));

        // What is yet to come has visited nobody; the plan shows another thing, under another ETag.
        let now = leader.get(&path);
        assert_eq!((&now.body["coverage"]["planned"], &now.body["coverage"]["visited"]), (&json!(2), &json!(1)));
        let missing: Vec<&Value> = now.body["coverage"]["missing"].as_array().expect("a list").iter().map(|one| &one["code"]).collect();
        assert_eq!(missing, ["zz-gaoxin"]);
        assert_ne!(now.header("ETag"), published.header("ETag"));
        assert_eq!(leader.get(PLANS).body["items"][0]["coverage"], now.body["coverage"], "in lists as well");
        assert_eq!(total(&people.dengfeng, &format!("{INSPECTIONS}?plan_id={}", plan.id())), 1);

        // It is concluded with everybody visited, or with a reason; then no visit counts for it.
        let early = step(leader, &path, "conclude", &json!({}));
        assert_eq!((early.status, early.faults()), (409, vec![("/reason", "subjects_not_visited")]), "{early:?}");
        assert!(early.body["errors"][0]["message"].as_str().is_some_and(|told| told.contains("高新区见义勇为协会")), "{early:?}");
        let over = done(step(leader, &path, "conclude", &json!({"reason": "防汛期间改为书面检查"})));
        assert_eq!((&over.body["state"], &over.body["reason"]), (&json!("concluded"), &json!("防汛期间改为书面检查")));
        assert_eq!(inspector.post(INSPECTIONS, &visit).faults(), [("/plan_id", "plan_not_under_way")]);
        // What counted goes on counting, whatever else is written of it.
        let patched = inspector.patch(&format!("{INSPECTIONS}/{}", visited.id()), "\"1\"", &json!({"findings": "台账齐全"}));
        assert_eq!((patched.status, &patched.body["plan_id"]), (200, &json!(plan.id())), "{patched:?}");

        // Another is changed while it is a draft, and cancelled with a reason.
        let other = made(inspector.post(PLANS, &people.plan(&json!({"code": "p2"}))));
        let path = format!("{PLANS}/{}", other.id());
        let fewer = done(inspector.patch(&path, "\"1\"", &json!({"subjects": [people.of_gaoxin, people.of_gaoxin]})));
        assert_eq!((&fewer.body["subjects"], &fewer.body["coverage"]["planned"]), (&json!([people.of_gaoxin]), &json!(1)));
        done(step(leader, &path, "publish", &json!({})));
        assert_eq!(inspector.patch(&path, "\"3\"", &json!({"title": "改"})).code(), "step_not_allowed");
        let cancelled = done(step(leader, &path, "withdraw", &json!({"reason": "并入年终检查"})));
        assert_eq!(cancelled.body["state"], "cancelled");
        let third = made(inspector.post(PLANS, &people.plan(&json!({}))));
        assert_eq!(inspector.delete(&format!("{PLANS}/{}", third.id())).status, 204);
        assert_eq!(leader.delete(&format!("{PLANS}/{}", plan.id())).status, 403);
    });
}

#[test]
fn what_was_found_is_remedied_by_one_and_closed_by_another() {
    on_each_database(|host| {
        let people = People::planted(host);
        let (inspector, leader, county) = (&people.inspector, &people.leader, &people.dengfeng);
        let plan = made(inspector.post(PLANS, &people.plan(&json!({}))));
        done(step(leader, &format!("{PLANS}/{}", plan.id()), "publish", &json!({})));
        let visit = made(inspector.post(INSPECTIONS, &people.visit(&json!({"plan_id": plan.id()}))));
        let finding =
            |more: Value| with(&json!({"inspection_id": visit.id(), "severity": "serious", "description": "没有值班记录"}), &more);
        let owned = |owner: &Client<'_>, due: u64| finding(json!({"owner_id": user_id(owner), "due_on": ago(due)}));

        // Somebody has to see to it, by a day; who doesn't reach the county can't, and nobody who is not there.
        assert_eq!(inspector.post(FINDINGS, &finding(json!({}))).faults(), [("/owner_id", "required"), ("/due_on", "required")]);
        assert_eq!(inspector.post(FINDINGS, &owned(&people.gaoxin, 1)).faults(), [("/owner_id", "cannot_see_to_it")]);
        let unknown = finding(json!({"owner_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "due_on": ago(1)}));
        assert_eq!(inspector.post(FINDINGS, &unknown).faults(), [("/owner_id", "cannot_see_to_it")]);
        assert_eq!(inspector.post(FINDINGS, &owned(county, 31)).faults(), [("/due_on", "before_the_inspection")]);
        let both = finding(json!({"fixed_on_the_spot": true, "owner_id": user_id(county), "due_on": ago(1)}));
        assert_eq!(inspector.post(FINDINGS, &both).faults(), [("/owner_id", "not_taken"), ("/due_on", "not_taken")]);
        // Who was inspected doesn't write what was found.
        let own = county.post(FINDINGS, &owned(county, 1));
        assert_eq!((own.status, own.code()), (403, "forbidden"), "{own:?}");

        let on_the_spot = made(inspector.post(FINDINGS, &finding(json!({"severity": "minor", "fixed_on_the_spot": true}))));
        assert_eq!((&on_the_spot.body["state"], &on_the_spot.body["organization_id"]), (&json!("closed"), &people.of_dengfeng));
        assert_eq!(on_the_spot.body["allowed_actions"], json!(["update", "delete"]));
        let late = made(inspector.post(FINDINGS, &owned(county, 1)));
        let of_inspector = made(inspector.post(FINDINGS, &owned(inspector, 0)));

        // The county sees what was found there, and no other county does. Due today is not overdue.
        assert_eq!(total(county, FINDINGS), 3);
        assert_eq!(total(&people.gaoxin, FINDINGS), 0);
        assert_eq!(people.gaoxin.get(&format!("{FINDINGS}/{}", late.id())).status, 404);
        let overdue = county.get(&format!("{FINDINGS}?overdue=true"));
        assert_eq!(overdue.body["items"].as_array().map(Vec::len), Some(1));
        assert_eq!(overdue.body["items"][0]["id"], late.id());
        assert_eq!(total(leader, &format!("{FINDINGS}?overdue=false")), 2);
        assert_eq!(total(leader, &format!("{FINDINGS}?plan_id={}&state=open&severity=serious,critical", plan.id())), 2);
        assert_eq!(total(leader, &format!("{FINDINGS}?owner_id={}", user_id(county))), 1);
        assert_eq!(total(leader, &format!("{FINDINGS}?due_from={}&due_to={}", ago(0), ago(0))), 1);

        // Reported with a note, or with what shows it; not of a day to come.
        let path = format!("{FINDINGS}/{}", late.id());
        let tomorrow = (business_today(Instant::now()) + Days::new(1)).to_string();
        let bare = step(county, &path, "remedy", &json!({"remedied_on": tomorrow}));
        assert_eq!(bare.faults(), [("/remedied_on", "in_the_future"), ("/note", "no_evidence")], "{bare:?}");
        assert_eq!(
            step(county, &path, "remedy", &json!({"remedied_on": ago(40), "note": "已补"})).faults(),
            [("/remedied_on", "before_the_inspection")]
        );
        let shown = [("resource", "inspection-findings"), ("record_id", late.id())];
        made(crate::attachments::upload(county, &shown, Some(("a.pdf", b"%PDF-1.7 %%EOF")), None));
        let remedied = done(step(county, &path, "remedy", &json!({"remedied_on": ago(0)})));
        assert_eq!((&remedied.body["state"], &remedied.body["remedied_by"]), (&json!("remedied"), &json!(user_id(county))));
        assert_eq!(total(county, &format!("{FINDINGS}?overdue=true")), 0, "no longer");

        // The county doesn't close; the owner neither, in whatever role; nor who reported the remedy.
        assert_eq!(step(county, &path, "close", &json!({})).status, 403);
        grant(host, "inspector", Role::Leader);
        let at = format!("{FINDINGS}/{}", of_inspector.id());
        done(step(&people.city, &at, "remedy", &json!({"remedied_on": ago(0), "note": "已明确专人"})));
        for hand in [inspector, &people.city] {
            let refused = step(hand, &at, "close", &json!({}));
            assert_eq!((refused.status, refused.code()), (403, "forbidden"), "{refused:?}");
        }
        let closed = done(step(leader, &at, "close", &json!({})));
        assert_eq!((&closed.body["state"], &closed.body["closed_by"]), (&json!("closed"), &json!(user_id(leader))));

        // Opened again with a reason, it waits for another remedy.
        assert_eq!(step(leader, &path, "reopen", &json!({"reason": " "})).faults(), [("/reason", "required")]);
        assert_eq!(step(county, &path, "reopen", &json!({"reason": "不服"})).status, 403);
        let again = done(step(leader, &path, "reopen", &json!({"reason": "仍缺七月记录"})));
        assert_eq!(
            (&again.body["state"], &again.body["remedied_on"], &again.body["reason"]),
            (&json!("open"), &Value::Null, &json!("仍缺七月记录"))
        );
        assert_eq!(total(county, &format!("{FINDINGS}?overdue=true")), 1);
        done(step(county, &path, "remedy", &json!({"remedied_on": ago(0), "note": "已补齐七月记录"})));
        let closed = done(step(&people.city, &path, "close", &json!({})));
        assert_eq!(closed.body["allowed_actions"], json!(["reopen"]));
        let version = closed.header("ETag").expect("a version");
        assert_eq!(inspector.patch(&path, version, &json!({"severity": "minor"})).code(), "step_not_allowed");

        // An inspection that is put right as that of another county takes along what it found.
        let other = made(inspector.post(INSPECTIONS, &people.visit(&json!({}))));
        let moved = with(&finding(json!({"fixed_on_the_spot": true})), &json!({"inspection_id": other.id()}));
        let moved = made(inspector.post(FINDINGS, &moved));
        done(inspector.patch(&format!("{INSPECTIONS}/{}", other.id()), "\"1\"", &json!({"organization_id": people.of_gaoxin})));
        let there = people.gaoxin.get(&format!("{FINDINGS}/{}", moved.id()));
        assert_eq!((there.status, &there.body["version"]), (200, &json!(2)), "{there:?}");
        // An inspection that found something stays.
        assert_eq!(inspector.delete(&format!("{INSPECTIONS}/{}", other.id())).code(), "still_referenced");
        assert_eq!(inspector.delete(&format!("{FINDINGS}/{}", moved.id())).status, 204);
        assert_eq!(inspector.delete(&format!("{INSPECTIONS}/{}", other.id())).status, 204);
    });
}

#[test]
fn a_liaison_officer_is_questioned_without_a_name() {
    on_each_database(|host| {
        let people = People::planted(host);
        let person = made(people.dengfeng.post("/api/v1/persons", &json!({"organization_id": people.of_dengfeng, "name": "赵铁柱"})))
            .id()
            .to_owned();
        let appointed = |post: &str| {
            let draft = json!({"organization_id": people.of_dengfeng, "person_id": person, "post": post, "from_on": "2022-01-01"});
            made(people.dengfeng.post("/api/v1/appointments", &draft)).id().to_owned()
        };
        let (officer, president) = (appointed("liaison_officer"), appointed("president"));
        let visit = made(people.inspector.post(INSPECTIONS, &people.visit(&json!({}))));
        let elsewhere = made(people.inspector.post(INSPECTIONS, &people.visit(&json!({"organization_id": people.of_gaoxin}))));
        let draft = |more: Value| {
            let draft = json!({"inspection_id": visit.id(), "appointment_id": officer, "asked_on": ago(3), "questions": "确认由谁负责",
                               "asked": 5, "correct": 4, "result": "passed"});
            people.inspector.post(QUESTIONINGS, &with(&draft, &more))
        };
        assert_eq!(draft(json!({"correct": 6})).faults(), [("/correct", "more_correct_than_asked")]);
        assert_eq!(draft(json!({"appointment_id": president})).faults(), [("/appointment_id", "not_a_liaison_officer")]);
        assert_eq!(draft(json!({"inspection_id": elsewhere.id()})).faults(), [("/inspection_id", "inspected_elsewhere")]);
        let tomorrow = (business_today(Instant::now()) + Days::new(1)).to_string();
        assert_eq!(draft(json!({"asked_on": tomorrow})).faults(), [("/asked_on", "in_the_future")]);
        let asked = made(draft(json!({})));
        assert_eq!(asked.body["organization_id"], people.of_dengfeng);
        made(draft(json!({"inspection_id": null, "result": "failed", "correct": 0})));
        assert!(!people.city.get(QUESTIONINGS).body.to_string().contains("赵铁柱"));
        assert_eq!(total(&people.dengfeng, &format!("{QUESTIONINGS}?result=passed&inspection_id={}", visit.id())), 1);
        assert_eq!(total(&people.dengfeng, &format!("{QUESTIONINGS}?appointment_id={officer}&from={}&to={}", ago(3), ago(3))), 2);
        assert_eq!(people.gaoxin.get(&format!("{QUESTIONINGS}/{}", asked.id())).status, 404);
        let foreign =
            json!({"appointment_id": officer, "asked_on": ago(3), "questions": "x", "asked": 1, "correct": 1, "result": "passed"});
        assert_eq!(people.gaoxin.post(QUESTIONINGS, &foreign).faults(), [("/appointment_id", "unknown_reference")]);
    });
}
