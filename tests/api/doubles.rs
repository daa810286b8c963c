//! Persons who are registered twice: found, told apart or merged, and a merge undone.

use diesel::prelude::*;
use serde_json::{Value, json};
use yiyong::auth::UserKind;
use yiyong::policy::Role;
use yiyong::resources::persons;
use yiyong::schema::{audit_events, persons as t};

use crate::consents::id_number;
use crate::hosts::{Answer, Client, Host, on_each_database};

const PERSONS: &str = "/api/v1/persons";
const DUPLICATES: &str = "/api/v1/person-duplicates";
const MERGES: &str = "/api/v1/person-merges";

fn made(answer: Answer) -> Answer {
    assert_eq!(answer.status, 201, "{answer:?}");
    answer
}

fn organization(client: &Client<'_>, code: &str) -> Value {
    client.get(&format!("/api/v1/organizations?code={code}")).body["items"][0]["id"].clone()
}

/// The queue: the code of each person, and those of the candidates with the reasons.
fn queue(client: &Client<'_>, query: &str) -> Vec<(String, Vec<(String, Value)>)> {
    let answer = client.get(&format!("{DUPLICATES}?sort=created_at&count=true{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let items = answer.body["items"].as_array().expect("items").clone();
    assert_eq!(answer.body["total"], items.len(), "{answer:?}");
    let code = |value: &Value| value["code"].as_str().expect("a code").to_owned();
    let candidates = |item: &Value| {
        let all = item["candidates"].as_array().expect("candidates").iter();
        all.map(|candidate| (code(&candidate["person"]), candidate["reasons"].clone())).collect()
    };
    items.iter().map(|item| (code(item), candidates(item))).collect()
}

fn merge(client: &Client<'_>, person: &str, into: &str) -> Answer {
    client.post(&format!("{PERSONS}/{person}/merge"), &json!({"into_id": into, "reason": "本人到场核对"}))
}

#[test]
fn doubles_are_found_in_reach_and_told_apart() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, dengfeng) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let person = |code: &str, home: &Value, name: &str, more: Value| {
            let mut draft = json!({"code": code, "organization_id": home, "name": name});
            draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            made(clerk.post(PERSONS, &draft)).id().to_owned()
        };
        let number = |serial: &str| json!({"id_number": id_number("19850617", serial)});
        // The same name and day of birth, with two numbers; the same name without a number in one association only; the
        // same phone, unless two numbers say that they are two.
        person("wang-1", &zz, "王小明", number("001"));
        let second = person("wang-2", &dengfeng, "王小明", number("003"));
        let bare = person("wang-3", &zz, "王小明", json!({}));
        person("li-1", &zz, "李大山", json!({"phone": "13800138000"}));
        person("li-2", &dengfeng, "李大川", json!({"phone": "13800138000"}));
        person("zhang-1", &zz, "张三", json!({"phone": "13900139000", "id_number": id_number("19700101", "001")}));
        person("zhang-2", &zz, "张四", json!({"phone": "13900139000", "id_number": id_number("19720101", "001")}));
        person("zhao-1", &zz, "赵六", json!({}));
        person("zhao-2", &dengfeng, "赵六", json!({}));

        let all = queue(&clerk, "");
        let pair = |later: &str, earlier: &str, reason: &str| (later.to_owned(), vec![(earlier.to_owned(), json!([reason]))]);
        let wang = pair("wang-2", "wang-1", "same_birth");
        let bare_one = pair("wang-3", "wang-1", "same_name");
        let li = pair("li-2", "li-1", "same_phone");
        assert_eq!(all, [wang.clone(), bare_one.clone(), li.clone()]);
        assert_eq!(queue(&clerk, "&reason=same_birth"), [wang]);
        assert_eq!(queue(&clerk, &format!("&organization_id={}", dengfeng.as_str().expect("an id"))).len(), 2);
        let text = clerk.get(DUPLICATES).body.to_string();
        assert!(!text.contains("1985") && !text.contains("born"), "the birth date is found by and not told: {text}");

        // Page by page the same.
        let mut paged = Vec::new();
        let mut path = format!("{DUPLICATES}?limit=1");
        loop {
            let page = clerk.get(&path);
            paged
                .extend(page.body["items"].as_array().expect("items").iter().map(|item| item["code"].as_str().expect("a code").to_owned()));
            match page.body["next_cursor"].as_str() {
                Some(cursor) => path = format!("{DUPLICATES}?limit=1&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(paged, ["li-2", "wang-3", "wang-2"]);

        // A county sees pairs of its own, and no half of a pair.
        let county = host.user("county", Role::Clerk, Some("zz-dengfeng"));
        assert!(queue(&county, "").is_empty());
        assert_eq!(county.get(&format!("{DUPLICATES}/{second}")).status, 404);
        person("zhao-3", &dengfeng, "赵六", json!({}));
        assert_eq!(queue(&county, ""), [pair("zhao-3", "zhao-2", "same_name")]);

        // Told apart they stay out, as this pair.
        let at = format!("{DUPLICATES}/{bare}");
        let before = clerk.get(&at);
        assert_eq!(before.body["allowed_actions"], json!(["dismiss"]));
        assert_eq!(clerk.post(&format!("{at}/dismiss"), &json!({"other_id": second})).faults(), [("/other_id", "no_such_candidate")]);
        let first = before.body["candidates"][0]["person"]["id"].clone();
        let dismissed = clerk.post(&format!("{at}/dismiss"), &json!({"other_id": first}));
        assert_eq!((dismissed.status, &dismissed.body["candidates"]), (200, &json!([])), "{dismissed:?}");
        assert_eq!(clerk.get(&at).status, 404);
        assert_eq!(queue(&clerk, "").len(), 3, "the others are there still");
        person("wang-4", &zz, "王小明", json!({}));
        let again = queue(&clerk, "&code=wang-4");
        assert_eq!(again[0].1.len(), 2, "a new one is compared with all: {again:?}");
        assert_eq!(city.delete(&format!("{PERSONS}/{bare}")).status, 204, "that somebody was told apart holds nobody");
    });
}

/// What there is about a person who is merged, and moves.
struct About {
    dependant: String,
    team: String,
    post: String,
    consent: String,
}

fn about(host: &Host, clerk: &Client<'_>, zz: &Value, person: &str, hero: &str) -> About {
    let base = json!({"organization_id": zz, "person_id": person});
    let with = |more: Value| {
        let mut draft = base.clone();
        draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        draft
    };
    let dependant = made(clerk.post("/api/v1/dependants", &with(json!({"hero_id": hero, "relation": "child"}))));
    let team = json!({"organization_id": zz, "base_kind": "rescue", "established_on": "2022-01-01", "leader_id": person});
    let team = made(clerk.post("/api/v1/volunteer-teams", &team));
    let post = made(clerk.post("/api/v1/appointments", &with(json!({"post": "liaison_officer", "from_on": "2022-01-01"}))));
    let consent = json!({"purpose": "publication", "given_by": "self", "given_on": "2022-03-01"});
    let consent = made(clerk.post("/api/v1/consents", &with(consent)));
    made(clerk.post("/api/v1/volunteers", &with(json!({"sector": "other", "registered_on": "2022-01-01"}))));
    host.user("family", Role::HeroFamily, Some("zz"));
    host.is_person("family", person);
    let id = |answer: Answer| answer.id().to_owned();
    About { dependant: id(dependant), team: id(team), post: id(post), consent: id(consent) }
}

#[test]
fn a_merge_moves_everything_and_is_undone() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let person = |name: &str, more: Value| {
            let mut draft = json!({"organization_id": zz, "name": name});
            draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            made(clerk.post(PERSONS, &draft)).id().to_owned()
        };
        let father = person("王大山", json!({}));
        let hero = made(clerk.post("/api/v1/heroes", &json!({"organization_id": zz, "person_id": father})));
        let known = person("王小山", json!({"id_number": id_number("19850617", "001")}));
        let double = person("王晓山", json!({"phone": "13800138000"}));
        let about = about(host, &clerk, &zz, &double, hero.id());
        let family = host.sign_in("family", UserKind::Person);
        assert_eq!(family.get(&format!("{PERSONS}/{known}")).status, 404);

        // Who may, and into whom.
        assert_eq!(merge(&clerk, &double, &known).status, 403, "accounts move along: that is an administrator's");
        assert_eq!(merge(&city, &double, &double).faults(), [("/into_id", "same_person")]);
        assert_eq!(merge(&city, &double, hero.id()).faults(), [("/into_id", "unknown_reference")]);
        let wrong = merge(&city, &known, &double);
        assert_eq!((wrong.status, wrong.faults()), (409, vec![("/into_id", "wrong_direction")]));
        let other = person("王小山", json!({"id_number": id_number("19850617", "003")}));
        assert_eq!(merge(&city, &other, &known).faults(), [("/into_id", "different_people")]);
        assert_eq!(city.get(&format!("{MERGES}?count=true")).body["total"], 0);

        let merged = merge(&city, &double, &known);
        assert_eq!((merged.status, &merged.body["merged_into_id"]), (200, &json!(known)), "{merged:?}");
        assert_eq!(merged.body["allowed_actions"], json!(["reveal"]));
        let named = |segment: &str, id: &str| city.get(&format!("/api/v1/{segment}/{id}")).body["person"]["name"].clone();
        assert_eq!((named("dependants", &about.dependant), named("appointments", &about.post)), (json!("王小山"), json!("王小山")));
        assert_eq!(city.get(&format!("/api/v1/volunteer-teams/{}", about.team)).body["leader_id"], json!(known));
        assert_eq!(city.get(&format!("/api/v1/consents/{}", about.consent)).body["person_id"], json!(known));
        assert_eq!(family.get(&format!("{PERSONS}/{known}")).status, 200, "the account is the other's at once");
        let search = |name: &str| {
            let q: String = name.bytes().map(|b| format!("%{b:02X}")).collect();
            city.get(&format!("/api/v1/volunteers?q={q}&count=true")).body["total"].clone()
        };
        assert_eq!((search("小山"), search("晓山")), (json!(1), json!(0)), "a volunteer is found by the name that is shown");

        // The double is shown to who asks, and nothing new is hung on them.
        assert_eq!(city.get(&format!("{PERSONS}?count=true")).body["total"], 3);
        assert_eq!(city.get(&format!("{PERSONS}?merged=true")).body["items"][0]["id"], json!(double));
        assert_eq!(city.get(&format!("{PERSONS}/{double}")).status, 200);
        let late = json!({"organization_id": zz, "person_id": double, "hero_id": hero.id(), "relation": "child"});
        assert_eq!(clerk.post("/api/v1/dependants", &late).faults(), [("/person_id", "unknown_reference")]);
        assert_eq!(city.patch(&format!("{PERSONS}/{double}"), "\"2\"", &json!({"name": "甲"})).code(), "step_not_allowed");
        assert_eq!(city.delete(&format!("{PERSONS}/{known}")).code(), "still_referenced");
        assert_eq!(merge(&city, &double, &other).code(), "step_not_allowed");
        let bare = person("王大壮", json!({}));
        assert_eq!(merge(&city, &bare, &double).faults(), [("/into_id", "merged_already")]);

        // Each record's own trail tells of it, and the merge keeps them all.
        let kept = city.get(&format!("{MERGES}?person_id={double}")).body["items"][0].clone();
        let moved: Vec<&str> = kept["moved"].as_array().expect("moved").iter().map(|m| m["resource"].as_str().expect("a name")).collect();
        assert_eq!(moved, ["users", "appointments", "volunteer_teams", "volunteers", "consents", "dependants"]);
        let noted = |action: &'static str| {
            host.service
                .db
                .run(true, |conn| Ok(audit_events::table.filter(audit_events::action.eq(action)).count().get_result::<i64>(conn)?))
                .expect("counted")
        };
        assert_eq!(noted("merge"), 7, "six records and the person");

        // What has been changed since stands in the way of undoing, and is named.
        let undo = format!("{MERGES}/{}/undo", kept["id"].as_str().expect("an id"));
        assert_eq!(clerk.post(&undo, &json!({})).status, 403);
        let dependant = format!("/api/v1/dependants/{}", about.dependant);
        let seen = city.get(&dependant);
        assert_eq!(city.patch(&dependant, seen.header("ETag").expect("a version"), &json!({"from_on": "2020-01-01"})).status, 200);
        let refused = city.post(&undo, &json!({}));
        assert_eq!((refused.status, refused.code()), (409, "conflict"), "{refused:?}");
        assert_eq!(refused.body["changed"], json!([{"resource": "dependants", "id": about.dependant}]));
        assert_eq!(named("appointments", &about.post), "王小山", "nothing has moved");
        assert_eq!(noted("undo"), 0);

        // Another, with nothing changed, goes back to what it was.
        let deed = made(clerk.post("/api/v1/heroes", &json!({"organization_id": zz, "person_id": bare, "confirmed_by": "评定委员会", "confirmation_number": "郑义〔2022〕8号", "confirmed_on": "2022-01-05"})));
        let own = json!({"organization_id": zz, "person_id": bare, "purpose": "publication", "given_by": "self", "given_on": "2022-03-01"});
        made(clerk.post("/api/v1/consents", &own));
        let existing = merge(&city, &bare, &father);
        assert_eq!((existing.status, existing.faults()), (409, vec![("/into_id", "registered_twice")]), "{existing:?}");
        let detail = existing.body["detail"].as_str().expect("a detail");
        assert!([hero.code(), deed.code()].iter().all(|code| detail.contains(code)), "{detail}");
        assert_eq!(merge(&city, &bare, &known).status, 200);
        assert_eq!(named("heroes", deed.id()), "王小山");
        let kept = city.get(&format!("{MERGES}?person_id={bare}&undone=false")).body["items"][0].clone();
        let undone = city.post(&format!("{MERGES}/{}/undo", kept["id"].as_str().expect("an id")), &json!({}));
        assert_eq!((undone.status, undone.body["undone_at"].is_string()), (200, true), "{undone:?}");
        assert_eq!(undone.body["allowed_actions"], json!([]));
        assert_eq!(named("heroes", deed.id()), "王大壮");
        let back = city.get(&format!("{PERSONS}/{bare}"));
        assert_eq!((&back.body["merged_into_id"], &back.body["version"]), (&Value::Null, &json!(3)));
        assert_eq!(city.get(&format!("{PERSONS}?count=true")).body["total"], 4);
        assert_eq!(noted("undo"), 4, "the hero, the consent, the person, and the merge");
    });
}

/// A merge that would reach into another association is for those above both.
#[test]
fn a_merge_stays_in_reach() {
    on_each_database(|host| {
        let city = host.planted();
        let (dengfeng, gaoxin) = (organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"));
        let county = host.user("county", Role::OrgAdmin, Some("zz-dengfeng"));
        let person = |home: &Value| made(city.post(PERSONS, &json!({"organization_id": home, "name": "王小明"}))).id().to_owned();
        let (first, second, foreign) = (person(&dengfeng), person(&dengfeng), person(&gaoxin));
        assert_eq!(merge(&county, &second, &foreign).faults(), [("/into_id", "unknown_reference")]);
        assert_eq!(merge(&county, &foreign, &second).status, 404);
        // Of the county's own person the other county keeps a record.
        made(city.post("/api/v1/heroes", &json!({"organization_id": gaoxin, "person_id": second})));
        let refused = merge(&county, &second, &first);
        assert_eq!((refused.status, refused.code()), (403, "forbidden"), "{refused:?}");
        assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains("1 条")), "{refused:?}");
        assert_eq!(merge(&city, &second, &first).status, 200);
        let kept = county.get(MERGES).body["items"][0].clone();
        let undo = county.post(&format!("{MERGES}/{}/undo", kept["id"].as_str().expect("an id")), &json!({}));
        assert_eq!(undo.status, 403, "{undo:?}");
        assert!(host.sign_in("platform", UserKind::Person).get(MERGES).status == 403);
    });
}

/// Who was registered before birth dates were kept gets theirs when the operator reseals; the bytes stay as they are.
#[test]
fn birth_dates_are_kept_by_a_reseal() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let person = |name: &str, number: Option<String>| {
            made(city.post(PERSONS, &json!({"organization_id": zz, "name": name, "id_number": number}))).id().to_owned()
        };
        let (father, child) = (person("王大山", None), person("王小山", Some(id_number("20100301", "001"))));
        let hero = made(city.post("/api/v1/heroes", &json!({"organization_id": zz, "person_id": father})));
        let draft = json!({"organization_id": zz, "person_id": child, "hero_id": hero.id(), "relation": "child"});
        let dependant = made(city.post("/api/v1/dependants", &draft));
        let age = dependant.body["age"].as_i64().expect("an age");
        let path = format!("/api/v1/dependants/{}", dependant.id());
        let shown = city.get(&path);
        assert_eq!((&shown.body["age"], shown.header("ETag")), (&json!(age), Some(format!("\"1-1-{age}\"").as_str())));
        assert!(!shown.body.to_string().contains("2010"), "{shown:?}");
        let total = |query: &str| city.get(&format!("/api/v1/dependants?count=true&{query}")).body["total"].clone();
        assert_eq!(total(&format!("age_from={age}&age_to={age}")), 1);
        assert_eq!((total(&format!("age_from={}", age + 1)), total(&format!("age_to={}", age - 1))), (json!(0), json!(0)));
        assert_eq!(city.get("/api/v1/dependants?age_from=-1").faults(), [("/age_from", "too_small")]);
        let of_father = json!({"organization_id": zz, "person_id": father, "hero_id": hero.id(), "relation": "other"});
        assert_eq!(made(city.post("/api/v1/dependants", &of_father)).body["age"], Value::Null, "whose number is not known has no age");

        // As it was before.
        let forget = |conn: &mut _| diesel::update(t::table).set(t::born_on.eq(None::<chrono::NaiveDate>)).execute(conn);
        host.service.db.run(false, |conn| Ok(forget(conn)?)).expect("forgotten");
        let sealed =
            || host.service.db.run(true, |conn| Ok(t::table.order(t::id).select(t::id_number_sealed).load::<Option<Vec<u8>>>(conn)?));
        let before = sealed().expect("rows");
        assert_eq!(city.get(&path).body["age"], Value::Null);
        let outcome = persons::reseal(&host.service.db).expect("resealed");
        assert_eq!((outcome.seen, outcome.resealed, outcome.dated), (2, 0, 1));
        assert_eq!(city.get(&path).body["age"], json!(age));
        assert_eq!(sealed().expect("rows"), before);
        assert_eq!(persons::reseal(&host.service.db).expect("resealed").dated, 0);
        // A person whose number changes is as old as the new one says.
        let other = city.patch(&format!("{PERSONS}/{child}"), "\"1\"", &json!({"id_number": id_number("20110301", "001")}));
        assert_eq!(other.status, 200, "{other:?}");
        assert_eq!(city.get(&path).body["age"], json!(age - 1));
    });
}
