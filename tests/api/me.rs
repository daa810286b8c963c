//! Volunteers and families themselves: what is their own, what they acknowledge, what they ask to have changed.

use diesel::prelude::*;
use serde_json::json;
use yiyong::auth::UserKind;
use yiyong::policy::Role;
use yiyong::schema::contact_changes;

use crate::hosts::on_each_database;
use crate::service_records::{account, made};
use crate::wechat::organization;

const ME: &str = "/api/v1/me";
const ASK: &str = "/api/v1/me/contact-changes";
const CHANGES: &str = "/api/v1/contact-changes";

#[test]
fn somebody_sees_what_they_are() {
    on_each_database(|host| {
        let admin = host.planted();
        let county = organization(&admin, "zz-dengfeng");
        let person = made(&admin, "/api/v1/persons", &json!({"organization_id": county, "name": "王小明", "phone": "13800138000"}));
        let draft = json!({"organization_id": county, "code": "v1", "person_id": person, "sector": "taxi", "registered_on": "2022-01-01"});
        let volunteer = made(&admin, "/api/v1/volunteers", &draft);
        let team = |code: &str, leader: Option<&str>| {
            let draft = json!({"organization_id": county, "code": code, "name": code, "base_kind": "school", "established_on": "2022-01-01", "leader_id": leader});
            made(&admin, "/api/v1/volunteer-teams", &draft)
        };
        let (led, joined, left) = (team("led", Some(&person)), team("joined", None), team("left", None));
        made(&admin, "/api/v1/memberships", &json!({"volunteer_id": volunteer, "team_id": joined, "joined_on": "2022-02-01"}));
        made(
            &admin,
            "/api/v1/memberships",
            &json!({"volunteer_id": volunteer, "team_id": left, "joined_on": "2022-02-01", "left_on": "2022-03-01"}),
        );
        let one = account(host, "one", Role::Volunteer, &person);
        let me = one.get(ME);
        assert_eq!((me.status, &me.body["person"]["phone_masked"]), (200, &json!("138****8000")), "{me:?}");
        assert!(!me.body.to_string().contains("13800138000"));
        assert_eq!((&me.body["volunteer"]["code"], &me.body["service"]["confirmed_minutes"]), (&json!("v1"), &json!(0)));
        let teams: Vec<(&str, bool)> = me.body["teams"]
            .as_array()
            .expect("teams")
            .iter()
            .map(|team| (team["id"].as_str().expect("an id"), team["leads"] == true))
            .collect();
        assert_eq!(teams, [(led.as_str(), true), (joined.as_str(), false)]);
        // An account of nobody in particular.
        assert_eq!(admin.get(ME).body["person"], json!(null));
        assert_eq!(host.sign_in("platform", UserKind::Person).get(ME).status, 403);
    });
}

#[test]
fn a_family_acknowledges_what_it_was_given() {
    on_each_database(|host| {
        let admin = host.planted();
        let importer = host.user("importer", Role::Service, Some("zz"));
        let leader = host.user("poster", Role::Leader, Some("zz"));
        let finance = host.user("payer", Role::Finance, Some("zz"));
        let county = json!(organization(&admin, "zz-dengfeng"));
        let person = |name: &str| made(&admin, "/api/v1/persons", &json!({"organization_id": county, "name": name}));
        let (hero_person, other_person) = (person("王英雄"), person("赵某"));
        let hero = made(&importer, "/api/v1/heroes", &json!({"organization_id": county, "person_id": hero_person}));
        let purse = crate::ledger::purse(&finance, &leader, &county, "unrestricted", 1_000);
        let programme = json!({"organization_id": county, "name": "困难救助", "kind": "hardship", "form": "cash"});
        let programme = importer.post("/api/v1/welfare-programmes", &programme);
        let given = json!({"organization_id": county, "programme_id": programme.id(), "hero_id": hero, "amount_fen": 100, "channel": "own", "year": 2022});
        let path = crate::ledger::approved(&importer, &leader, &given);
        let family = account(host, "family", Role::HeroFamily, &hero_person);
        let stranger = account(host, "stranger", Role::HeroFamily, &other_person);
        let early = family.post(&format!("{path}/acknowledge"), &json!({}));
        assert_eq!((early.status, early.code()), (409, "step_not_allowed"), "{early:?}");
        let paid = crate::welfare::step(&finance, &path, "pay", &purse.paid("2022-06-17"));
        assert_eq!(paid.status, 200, "{paid:?}");

        let own = family.get("/api/v1/disbursements");
        assert_eq!(
            (&own.body["items"][0]["state"], &own.body["items"][0]["allowed_actions"]),
            (&json!("paid"), &json!(["acknowledge"])),
            "{own:?}"
        );
        assert_eq!(family.get("/api/v1/heroes").body["items"][0]["id"], json!(hero));
        assert_eq!(stranger.get("/api/v1/disbursements").body["items"], json!([]));
        assert_eq!(stranger.post(&format!("{path}/acknowledge"), &json!({})).status, 404);
        let volunteer = account(host, "volunteer", Role::Volunteer, &hero_person);
        assert_eq!(volunteer.post(&format!("{path}/acknowledge"), &json!({})).status, 403);
        for step in ["pay", "approve", "cancel", "reverse"] {
            assert_eq!(
                crate::welfare::step(&family, &path, step, &json!({"reason": "x", "paid_on": "2022-06-17", "reversed_on": "2022-06-17"}))
                    .status,
                403,
                "{step}"
            );
        }
        let received = family.post(&format!("{path}/acknowledge"), &json!({}));
        assert_eq!((received.status, &received.body["state"]), (200, &json!("acknowledged")), "{received:?}");
    });
}

#[test]
fn contact_data_change_once_another_has_looked() {
    on_each_database(|host| {
        let admin = host.planted();
        let county = organization(&admin, "zz-dengfeng");
        let person = made(&admin, "/api/v1/persons", &json!({"organization_id": county, "name": "王小明", "phone": "13800138000"}));
        let family = account(host, "family", Role::HeroFamily, &person);
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let ask = |phone: &str, key: &str| {
            let body = json!({"phone": phone, "note": "原号码已停用"}).to_string();
            family.send("POST", ASK, &[("Content-Type", "application/json"), ("Idempotency-Key", key)], Some(body.as_bytes()))
        };
        assert_eq!(ask("12345", "k0").faults(), [("/phone", "invalid_phone")]);
        assert_eq!(ask("138 0013 8000", "k1").faults(), [("/phone", "unchanged")]);
        let asked = ask("13900139000", "k2");
        assert_eq!(
            (asked.status, &asked.body["phone_masked"], &asked.body["state"]),
            (201, &json!("139****9000"), &json!("requested")),
            "{asked:?}"
        );
        assert_eq!(asked.body["allowed_actions"], json!(["cancel"]));
        assert_eq!(ask("13900139000", "k2").id(), asked.id());
        assert_eq!(ask("13700137000", "k3").status, 409, "one at a time");
        let path = format!("{CHANGES}/{}", asked.id());
        let step = |client: &crate::hosts::Client<'_>, verb: &str| client.post(&format!("{path}/{verb}"), &json!({"reason": "号码有误"}));
        assert_eq!(step(&family, "approve").status, 403);
        // Who reviews it is somebody else, even where they hold an office themselves.
        let self_clerk = account(host, "self-clerk", Role::Clerk, &person);
        assert_eq!(step(&self_clerk, "approve").status, 403);
        let elsewhere = host.user("elsewhere", Role::Clerk, Some("zz-gaoxin"));
        assert_eq!(step(&elsewhere, "approve").status, 404);
        assert_eq!(step(&clerk, "cancel").status, 403);
        let before = clerk.get(&format!("/api/v1/persons/{person}"));
        assert_eq!(before.body["phone_masked"], "138****8000", "nothing is changed by asking");
        let approved = step(&clerk, "approve");
        assert_eq!(
            (approved.status, &approved.body["state"], &approved.body["person"]["phone_masked"]),
            (200, &json!("approved"), &json!("139****9000")),
            "{approved:?}"
        );
        let after = clerk.get(&format!("/api/v1/persons/{person}"));
        assert_eq!((&after.body["phone_masked"], &after.body["version"]), (&json!("139****9000"), &json!(2)));
        assert_eq!(step(&clerk, "approve").code(), "step_not_allowed");
        let kept: Vec<Option<Vec<u8>>> =
            host.service.db.run(true, |conn| Ok(contact_changes::table.select(contact_changes::phone_sealed).load(conn)?)).expect("read");
        assert_eq!(kept, [None], "the whole number stands in the person's record alone");
        let revealed = clerk.post(&format!("/api/v1/persons/{person}/reveal"), &json!({"reason": "核对联系方式"}));
        assert_eq!(revealed.body["phone"], "13900139000");

        let second = ask("13700137000", "k4");
        let reject = clerk.post(&format!("{CHANGES}/{}/reject", second.id()), &json!({"reason": "号码无法接通"}));
        assert_eq!((reject.status, &reject.body["reason"]), (200, &json!("号码无法接通")), "{reject:?}");
        let third = ask("13600136000", "k5");
        assert_eq!(family.post(&format!("{CHANGES}/{}/cancel", third.id()), &json!({})).body["state"], "cancelled");
        // What waits follows a change of the data key.
        let waiting = ask("13500135000", "k6");
        let next = host.keys.path().join("next-data-key").display().to_string();
        std::fs::write(&next, "HxwdHhsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=").expect("written");
        let former = host.keys.path().join("data-key").display().to_string();
        let both = host.beside(&[("YIYONG_DATA_KEY_FILE", &next), ("YIYONG_OTHER_DATA_KEY_FILES", &former)]);
        assert_eq!(yiyong::resources::contact_changes::reseal(&both.service.db).expect("resealed").resealed, 1);
        assert_eq!(yiyong::resources::contact_changes::reseal(&both.service.db).expect("resealed").resealed, 0);
        let path = format!("{CHANGES}/{}/approve", waiting.id());
        assert_eq!(clerk.elsewhere(&both.base).post(&path, &json!({})).body["person"]["phone_masked"], "135****5000");
        let listed = family.get(&format!("{CHANGES}?count=true"));
        assert_eq!(listed.body["total"], 4, "{listed:?}");
        assert_eq!(elsewhere.get(&format!("{CHANGES}?count=true")).body["total"], 0);
        let text = crate::wechat::kept(host);
        for number in ["13900139000", "13700137000", "13500135000"] {
            assert!(!text.contains(number), "{number} in {text}");
        }
    });
}
