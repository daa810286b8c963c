//! Notifications: who can take the next step is told that it waits, who prepared something what became of it, and nobody what they may
//! not see.

use diesel::prelude::*;
use serde_json::{Value, json};
use yiyong::auth::{UserKind, UserStatus};
use yiyong::policy::Role;
use yiyong::schema::users;
use yiyong::types::{Instant, business_today};

use crate::hosts::{Answer, Client, Host, on_each_database};
use crate::ledger::purse;
use crate::webhooks::{Telling, settled};
use crate::welfare::{BATCHES, DISBURSEMENTS, PROGRAMMES, made, organization, step};

const NOTIFICATIONS: &str = "/api/v1/notifications";

/// What somebody has not read yet, kind and record, the oldest first; and it is read.
fn news(client: &Client<'_>) -> Vec<(String, String)> {
    let answer = client.get(&format!("{NOTIFICATIONS}?unread=true&sort=created_at&limit=200"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let found = answer.body["items"].as_array().expect("items").iter().map(|one| (text(&one["kind"]), text(&one["record_id"]))).collect();
    let marked = client.post(&format!("{NOTIFICATIONS}/read-all"), &json!({}));
    assert_eq!(marked.status, 200, "{marked:?}");
    found
}

fn told(kinds: &[&str], record: &str) -> Vec<(String, String)> {
    kinds.iter().map(|kind| ((*kind).to_owned(), record.to_owned())).collect()
}

fn taken(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn disable(host: &Host, username: &str) {
    host.service
        .db
        .run(false, |conn| {
            diesel::update(users::table.filter(users::username.eq(username))).set(users::status.eq(UserStatus::Disabled)).execute(conn)?;
            Ok(())
        })
        .expect("disabled");
}

/// A disbursement of a county goes from hand to hand, alone and in a batch: each hears what concerns them.
#[test]
fn each_hand_is_told_what_waits_and_what_became_of_it() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, dengfeng) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"));
        let clerk = host.user("clerk", Role::WelfareOfficer, Some("zz-dengfeng"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let county = host.user("county", Role::Leader, Some("zz-dengfeng"));
        let finance = host.user("finance", Role::Finance, Some("zz"));
        // Who must not hear of it: elsewhere, no longer here, not theirs to approve, a program.
        let others = [
            host.user("elsewhere", Role::Leader, Some("zz-gaoxin")),
            host.user("auditor", Role::Auditor, Some("zz")),
            host.user("officer", Role::WelfareOfficer, Some("zz-dengfeng")),
            host.user("program", Role::Service, Some("zz")),
            host.user("stranger", Role::HeroFamily, Some("zz")),
        ];
        host.user("gone", Role::Leader, Some("zz"));
        disable(host, "gone");
        let family = host.user("family", Role::HeroFamily, Some("zz"));
        let person = made(clerk.post("/api/v1/persons", &json!({"organization_id": dengfeng, "name": "程砚秋"})));
        host.is_person("family", person.id());
        let hero = made(clerk.post("/api/v1/heroes", &json!({"organization_id": dengfeng, "person_id": person.id()})));
        let cash = made(clerk.post(PROGRAMMES, &json!({"organization_id": dengfeng, "name": "救助", "kind": "hardship", "form": "cash"})));
        let purse = purse(&finance, &leader, &dengfeng, "unrestricted", 1_000_000);
        let telling = Telling::begin(host);
        settled(host);
        let everybody = || [&clerk, &leader, &county, &finance, &family].map(news);
        everybody();

        let draft = json!({"organization_id": dengfeng, "programme_id": cash.id(), "hero_id": hero.id(), "amount_fen": 100_000, "channel": "own", "year": 2022});
        let one = made(clerk.post(DISBURSEMENTS, &draft));
        let (path, id) = (format!("{DISBURSEMENTS}/{}", one.id()), one.id().to_owned());
        let nothing = Vec::new;
        taken(&step(&clerk, &path, "submit", &json!({})));
        settled(host);
        let waits = told(&["waits_for_approval"], &id);
        assert_eq!(everybody(), [nothing(), waits.clone(), waits.clone(), nothing(), nothing()]);
        taken(&step(&county, &path, "return", &json!({"reason": "金额有误"})));
        taken(&step(&clerk, &path, "submit", &json!({})));
        settled(host);
        assert_eq!(everybody(), [told(&["returned"], &id), waits.clone(), waits.clone(), nothing(), nothing()]);
        taken(&step(&leader, &path, "approve", &json!({})));
        taken(&step(&finance, &path, "pay", &purse.paid("2022-01-28")));
        settled(host);
        assert_eq!(everybody(), [told(&["approved", "paid"], &id), nothing(), nothing(), nothing(), told(&["paid"], &id)]);
        taken(&step(&leader, &path, "reverse", &json!({"reason": "退回", "reversed_on": "2022-02-01"})));
        settled(host);
        assert_eq!(everybody(), [told(&["reversed"], &id), nothing(), nothing(), nothing(), nothing()]);

        // A batch is one thing to approve, whatever the number of those in it; who is given something is told of their own.
        let batch = made(clerk.post(BATCHES, &json!({"organization_id": dengfeng, "programme_id": cash.id(), "name": "一", "year": 2022})));
        let of_batch = |hero: Option<&str>| json!({"organization_id": dengfeng, "batch_id": batch.id(), "hero_id": hero, "people": 1, "amount_fen": 5, "channel": "own"});
        let own = made(clerk.post(DISBURSEMENTS, &of_batch(Some(hero.id()))));
        made(clerk.post(DISBURSEMENTS, &of_batch(None)));
        let together = format!("{BATCHES}/{}", batch.id());
        taken(&step(&clerk, &together, "submit", &json!({})));
        settled(host);
        let waits = told(&["waits_for_approval"], batch.id());
        assert_eq!(everybody(), [nothing(), waits.clone(), waits, nothing(), nothing()]);
        taken(&step(&county, &together, "approve", &json!({})));
        taken(&step(&finance, &together, "pay", &purse.paid("2022-02-28")));
        settled(host);
        assert_eq!(everybody(), [told(&["approved", "paid"], batch.id()), nothing(), nothing(), nothing(), told(&["paid"], own.id())]);

        // What one of two has approved waits for the other.
        let much = json!({"organization_id": zz, "programme_id": cash.id(), "people": 1, "amount_fen": 60_000_000, "channel": "own", "year": 2022});
        let citys = host.user("citys", Role::WelfareOfficer, Some("zz"));
        let second = host.user("second", Role::Leader, Some("zz"));
        let much = made(citys.post(DISBURSEMENTS, &much));
        let path = format!("{DISBURSEMENTS}/{}", much.id());
        taken(&step(&citys, &path, "submit", &json!({})));
        settled(host);
        assert_eq!((news(&leader), news(&second)), (told(&["waits_for_approval"], much.id()), told(&["waits_for_approval"], much.id())));
        taken(&step(&leader, &path, "approve", &json!({})));
        settled(host);
        assert_eq!((news(&citys), news(&leader), news(&second)), (nothing(), nothing(), told(&["waits_for_approval"], much.id())));
        taken(&step(&second, &path, "approve", &json!({})));
        settled(host);
        assert_eq!(
            (news(&citys), news(&county)),
            (told(&["approved"], much.id()), nothing()),
            "the county is below, and sees nothing of it"
        );

        for other in &others {
            assert_eq!(news(other), nothing());
        }
        assert_eq!(
            finance.get(&format!("{NOTIFICATIONS}?count=true")).body["total"],
            1,
            "the voucher that finance prepared was posted, before"
        );
        drop(telling);
    });
}

/// A voucher, a notice, a training and a file.
#[test]
fn whom_it_concerns_is_told_of_everything_else() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, dengfeng) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let finance = host.user("finance", Role::Finance, Some("zz"));
        let publicity = host.user("publicity", Role::PublicityOfficer, Some("zz"));
        let county = host.user("county", Role::Clerk, Some("zz-dengfeng"));
        let head = host.user("head", Role::StationHead, Some("zz"));
        let auditor = host.user("auditor", Role::Auditor, Some("zz"));
        let telling = Telling::begin(host);
        let account = |kind: &str| {
            made(finance.post("/api/v1/accounts", &json!({"organization_id": zz, "name": kind, "kind": kind}))).id().to_owned()
        };
        let draft = json!({"organization_id": zz, "kind": "opening", "debit_account_id": account("bank"), "credit_account_id": account("unrestricted"),
                           "amount_fen": 700, "occurred_on": "2022-01-04", "summary": "期初"});
        let everybody = || [&clerk, &leader, &finance, &publicity, &county, &head, &auditor].map(news);
        let nothing = Vec::new;
        let voucher = made(finance.post("/api/v1/vouchers", &draft)).id().to_owned();
        taken(&step(&finance, &format!("/api/v1/vouchers/{voucher}"), "submit", &json!({})));
        settled(host);
        assert_eq!(
            everybody(),
            [nothing(), told(&["waits_for_approval"], &voucher), nothing(), nothing(), nothing(), nothing(), nothing()]
        );
        taken(&step(&leader, &format!("/api/v1/vouchers/{voucher}"), "post", &json!({})));
        settled(host);
        assert_eq!(everybody(), [nothing(), nothing(), told(&["approved"], &voucher), nothing(), nothing(), nothing(), nothing()]);

        // Who may not read notices isn't told of one, and neither is who published it.
        let programme =
            made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "助学", "kind": "student_aid", "form": "cash"})));
        let batch =
            made(clerk.post(BATCHES, &json!({"organization_id": zz, "programme_id": programme.id(), "name": "助学", "year": 2022})));
        made(clerk.post(
            DISBURSEMENTS,
            &json!({"organization_id": zz, "batch_id": batch.id(), "people": 2, "amount_fen": 700, "channel": "own"}),
        ));
        taken(&step(&clerk, &format!("{BATCHES}/{}", batch.id()), "submit", &json!({})));
        settled(host);
        assert_eq!(news(&leader), told(&["waits_for_approval"], batch.id()));
        let notice = made(clerk.post("/api/v1/public-notices", &json!({"organization_id": zz, "batch_id": batch.id(), "title": "公示"})));
        taken(&leader.post(&format!("/api/v1/public-notices/{}/publish", notice.id()), &json!({})));
        settled(host);
        let published = told(&["notice_published"], notice.id());
        assert_eq!(everybody(), [published.clone(), nothing(), published, nothing(), nothing(), nothing(), nothing()]);

        // A training that is to come, and one that was.
        let tomorrow = business_today(Instant::now()).succ_opt().expect("a day");
        let training = |organization: &Value, day: String| {
            let draft = json!({"organization_id": organization, "kind": "other", "topic": "防溺水", "audience": "other", "held_on": day});
            made(clerk.post("/api/v1/trainings", &draft)).id().to_owned()
        };
        training(&zz, "2022-06-17".into());
        let planned = training(&zz, tomorrow.to_string());
        let countys = training(&dengfeng, tomorrow.to_string());
        settled(host);
        let planned = told(&["training_planned"], &planned);
        // Finance sees no trainings.
        let countys = told(&["training_planned"], &countys);
        assert_eq!(everybody(), [nothing(), planned.clone(), nothing(), planned.clone(), countys, planned, nothing()]);

        // Who sent a file is told what came of it, in their own inbox alone.
        let csv = "code,organization_code,base_kind,established_on\n";
        let done = clerk.import("volunteer-teams", format!("{csv}t1,zz,school,2022-05-01\n").as_bytes(), &[]);
        assert_eq!(done.status, 201, "{done:?}");
        let failed = clerk.import("volunteer-teams", format!("{csv}t2,nowhere,school,2022-05-01\n").as_bytes(), &[]);
        assert_eq!(failed.status, 422, "{failed:?}");
        clerk.import("volunteer-teams", format!("{csv}t3,nowhere,school,2022-05-01\n").as_bytes(), &[("dry_run", "true")]);
        settled(host);
        let of_file = news(&clerk);
        assert_eq!(of_file.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["import_finished", "import_failed"]);
        assert_eq!(of_file[0].1, done.id());
        assert_eq!(clerk.get(&format!("/api/v1/imports/{}", of_file[1].1)).body["outcome"], "failed");
        assert_eq!(everybody(), [(); 7].map(|()| nothing()));
        drop(telling);
    });
}

/// One's own inbox: page by page, counted, read, in one's own language; nobody else's.
#[test]
fn an_inbox_is_ones_own() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let head = host.user("head", Role::StationHead, Some("zz"));
        let telling = Telling::begin(host);
        let tomorrow = business_today(Instant::now()).succ_opt().expect("a day").to_string();
        let made_in_order: Vec<String> = (0..5)
            .map(|n| {
                let draft =
                    json!({"organization_id": zz, "kind": "other", "topic": format!("{n}"), "audience": "other", "held_on": tomorrow});
                made(clerk.post("/api/v1/trainings", &draft)).id().to_owned()
            })
            .collect();
        settled(host);
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = head.get(&format!("{NOTIFICATIONS}?limit=2&count=true{cursor}"));
            assert_eq!(page.body["total"], 5);
            seen.extend(page.body["items"].as_array().expect("items").clone());
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let records: Vec<&str> = seen.iter().rev().map(|one| one["record_id"].as_str().expect("an id")).collect();
        assert_eq!(records, made_in_order, "the latest first");
        assert_eq!((&seen[0]["title"], &seen[0]["read_at"]), (&json!("培训：已安排"), &Value::Null));
        assert_eq!(head.get(seen[0]["path"].as_str().expect("a path")).body["topic"], "4");
        let path = format!("{NOTIFICATIONS}/{}", seen[0]["id"].as_str().expect("an id"));
        assert_eq!(head.send("GET", &path, &[("Accept-Language", "en")], None).body["title"], "training: is planned");

        let read = head.post(&format!("{path}/read"), &json!({}));
        let at = read.body["read_at"].clone();
        assert!(read.status == 200 && at.is_string(), "{read:?}");
        assert_eq!(head.post(&format!("{path}/read"), &json!({})).body["read_at"], at, "once");
        let count = |query: &str| head.get(&format!("{NOTIFICATIONS}?count=true&{query}")).body["total"].clone();
        assert_eq!((count("unread=true"), count("unread=false"), count("kind=paid")), (json!(4), json!(1), json!(0)));
        for other in [&clerk, &city] {
            assert_eq!((other.get(&path).status, other.post(&format!("{path}/read"), &json!({})).status), (404, 404));
            assert_eq!(other.post(&format!("{NOTIFICATIONS}/read-all"), &json!({})).status, 200);
        }
        assert_eq!(count("unread=true"), 4);
        assert_eq!(head.post(&format!("{NOTIFICATIONS}/read-all"), &json!({})).body["marked"], 4);
        assert_eq!((count("unread=true"), count("")), (json!(0), json!(5)));
        let wrong = head.get(&format!("{NOTIFICATIONS}?unread=perhaps&kind=lost&colour=red"));
        assert_eq!((wrong.status, wrong.code()), (400, "invalid_parameter"));
        assert_eq!(head.sign_in("head", UserKind::Person).get(&format!("{NOTIFICATIONS}/x")).status, 404);
        drop(telling);
    });
}
