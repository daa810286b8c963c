//! Who may be given something: the rules of a programme, explained for one person, and kept when a roster is submitted.

use serde_json::{Value, json};
use yiyong::policy::Role;
use yiyong::types::{Instant, business_today};

use crate::consents::id_number;
use crate::hosts::{Answer, Client, on_each_database};
use crate::welfare::{BATCHES, DISBURSEMENTS, PROGRAMMES, made, organization, step};

const RULES: &str = "/api/v1/eligibility-rules";

/// A fallen hero with children; who makes them.
struct Family<'a> {
    clerk: Client<'a>,
    zz: Value,
    hero: String,
}

impl<'a> Family<'a> {
    fn of(clerk: Client<'a>, zz: &Value, code: &str, outcome: Option<&str>) -> Self {
        let person =
            made(clerk.post("/api/v1/persons", &json!({"organization_id": zz, "name": format!("父{code}"), "code": format!("p-{code}")})));
        let hero = made(clerk.post(
            "/api/v1/heroes",
            &json!({"organization_id": zz, "code": code, "person_id": person.id(), "outcome": outcome, "confirmed_on": "2020-03-01"}),
        ));
        Self { zz: zz.clone(), hero: hero.id().to_owned(), clerk }
    }

    /// A child who was born on a day, where that is known.
    fn child(&self, name: &str, born: Option<(&str, &str)>) -> (String, String) {
        let number = born.map(|(day, serial)| id_number(day, serial));
        let person = made(self.clerk.post("/api/v1/persons", &json!({"organization_id": self.zz, "name": name, "id_number": number})));
        let dependant = json!({"organization_id": self.zz, "person_id": person.id(), "hero_id": self.hero, "relation": "child"});
        (made(self.clerk.post("/api/v1/dependants", &dependant)).id().to_owned(), person.id().to_owned())
    }
}

fn rule(programme: &Answer, code: &str, more: Value) -> Value {
    let mut draft = json!({"code": code, "programme_id": programme.id(), "effective_from": "2021-01-01"});
    draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    draft
}

fn explained(client: &Client<'_>, programme: &Answer, query: &str) -> Answer {
    client.get(&format!("{PROGRAMMES}/{}/eligibility?{query}", programme.id()))
}

/// Code, whether met, what was found.
fn told(answer: &Answer) -> Vec<(String, Option<bool>, String)> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rules = answer.body["rules"].as_array().expect("rules");
    rules.iter().map(|rule| (text(&rule["code"]), rule["met"].as_bool(), text(&rule["found_zh"]))).collect()
}

/// Student aid for the children of the fallen and the disabled from six to twenty-two; a camp from eight to sixteen.
#[test]
fn a_child_is_told_why_or_why_not() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, dengfeng) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"));
        let officer = host.user("officer", Role::WelfareOfficer, Some("zz"));
        let county = host.user("county", Role::WelfareOfficer, Some("zz-dengfeng"));
        let foreign = host.user("foreign", Role::WelfareOfficer, Some("zz-gaoxin"));
        let programme = |name: &str, kind: &str, form: &str| {
            made(officer.post(PROGRAMMES, &json!({"organization_id": zz, "name": name, "kind": kind, "form": form})))
        };
        let (aid, camp) = (programme("子女助学", "student_aid", "cash"), programme("夏令营", "summer_camp", "in_kind"));
        let make = |programme: &Answer, code: &str, more: Value| made(officer.post(RULES, &rule(programme, code, more)));
        let age = make(&aid, "aid-1-age", json!({"fact": "age", "min": 6, "max": 22, "note": "助学办法第三条"}));
        assert_eq!((&age.body["organization_id"], &age.body["note"]), (&zz, &json!("助学办法第三条")), "it is the programme's");
        let relation = make(&aid, "aid-2-child", json!({"fact": "relation", "one_of": ["child"]}));
        make(&aid, "aid-3-outcome", json!({"fact": "outcome", "one_of": ["fallen", "disabled", "fallen"]}));
        make(&camp, "camp-age", json!({"fact": "age", "min": 8, "max": 16, "effective_from": "2026-07-01"}));

        let family = Family::of(officer.clone(), &zz, "wang", Some("fallen"));
        let (old, _) = family.child("王大山", Some(("20000617", "001")));
        let (young, young_person) = family.child("王小山", Some(("20120229", "002")));
        let (undated, _) = family.child("王无号", None);

        // Which rule, which fact; and no birth date.
        let on = "&on=2026-07-10";
        let refused = explained(&officer, &aid, &format!("dependant_id={old}{on}"));
        assert_eq!((&refused.body["eligible"], &refused.body["on"]), (&json!(false), &json!("2026-07-10")));
        let first = &refused.body["rules"][0];
        assert_eq!(
            (&first["rule_id"], &first["fact"], &first["wanted_zh"], &first["wanted_en"], &first["found_zh"], &first["found_en"]),
            (&age.body["id"], &json!("age"), &json!("年龄 6 至 22 周岁"), &json!("age: 6 to 22"), &json!("26 周岁"), &json!("aged 26"))
        );
        let as_told = |code: &str, met: bool, found: &str| (code.to_owned(), Some(met), found.to_owned());
        let others = [as_told("aid-2-child", true, "子女"), as_told("aid-3-outcome", true, "牺牲")];
        assert_eq!(told(&refused)[1..], others);
        assert!(!refused.body.to_string().contains("2000"), "an age is told, and no birth date: {refused:?}");
        let fine = explained(&officer, &aid, &format!("dependant_id={young}{on}"));
        assert_eq!((&fine.body["eligible"], &told(&fine)[0]), (&json!(true), &as_told("aid-1-age", true, "14 周岁")));

        // On 28 February who was born on the 29th has not come of age yet.
        let camp_of = |query: &str| explained(&officer, &camp, query).body["eligible"].clone();
        assert_eq!(camp_of(&format!("dependant_id={young}&on=2029-02-28")), true);
        assert_eq!(camp_of(&format!("dependant_id={young}&on=2029-03-01")), false, "seventeen");
        // The camp's rule begins later than this day: there is nothing to fail.
        let before = explained(&officer, &camp, &format!("dependant_id={old}&on=2026-06-30"));
        assert_eq!((&before.body["eligible"], &before.body["rules"]), (&json!(true), &json!([])));
        assert_eq!(camp_of(&format!("dependant_id={old}&on=2026-07-01")), false);

        // What isn't recorded is unknown, and says where it would stand.
        let unknown = explained(&officer, &aid, &format!("dependant_id={undated}{on}"));
        assert_eq!((&unknown.body["eligible"], told(&unknown)[0].1), (&Value::Null, None));
        assert!(told(&unknown)[0].2.contains("身份证号"), "{unknown:?}");
        // The hero themself is nobody's child.
        let hero = explained(&officer, &aid, &format!("hero_id={}{on}", family.hero));
        assert_eq!((&hero.body["eligible"], told(&hero)[1].1), (&json!(false), Some(false)));
        // Today, when no day is named.
        let today = explained(&officer, &camp, &format!("dependant_id={young}"));
        assert_eq!(today.body["on"], business_today(Instant::now()).to_string());

        // One of the two, nothing else, of one's own.
        let faults = |client: &Client<'_>, query: &str| {
            let answer = explained(client, &aid, query);
            assert_eq!((answer.status, answer.code()), (400, "invalid_parameter"), "{answer:?}");
            answer.faults().into_iter().map(|(at, code)| format!("{at} {code}")).collect::<Vec<_>>()
        };
        assert_eq!(faults(&officer, ""), ["/hero_id one_beneficiary"]);
        assert_eq!(faults(&officer, &format!("hero_id={}&dependant_id={young}", family.hero)), ["/dependant_id one_beneficiary"]);
        assert_eq!(faults(&officer, &format!("dependant_id={young}&person_id={young_person}")), ["/person_id unknown_parameter"]);
        assert_eq!(faults(&officer, &format!("dependant_id={young}&on=yesterday")), ["/on invalid_date"]);
        assert_eq!(faults(&officer, &format!("hero_id={young}")), ["/hero_id unknown_reference"]);
        assert_eq!(faults(&county, &format!("dependant_id={young}")), ["/dependant_id unknown_reference"], "seen by who may see them");

        // A county sees the city's rules and meets them, and doesn't make them.
        assert_eq!(county.get(&format!("{RULES}?programme_id={}&count=true", aid.id())).body["total"], 3);
        let read = county.get(&format!("{RULES}/{}", relation.id()));
        assert_eq!((read.status, &read.body["allowed_actions"]), (200, &json!([])));
        assert_eq!(county.post(RULES, &rule(&aid, "own", json!({"fact": "confirmed"}))).faults(), [("/programme_id", "belongs_above")]);
        assert_eq!(county.patch(&format!("{RULES}/{}", relation.id()), "\"1\"", &json!({"one_of": ["spouse"]})).status, 404);
        let beside = made(foreign.post(
            PROGRAMMES,
            &json!({"organization_id": organization(&city, "zz-gaoxin"), "name": "助学", "kind": "student_aid", "form": "cash"}),
        ));
        made(foreign.post(RULES, &rule(&beside, "theirs", json!({"fact": "confirmed"}))));
        assert_eq!(
            county.post(RULES, &rule(&beside, "own", json!({"fact": "confirmed"}))).faults(),
            [("/programme_id", "unknown_reference")]
        );
        assert_eq!(explained(&county, &beside, &format!("dependant_id={young}")).status, 404);
        let total = |query: &str| officer.get(&format!("{RULES}?count=true&{query}")).body["total"].clone();
        assert_eq!(
            (total("fact=age"), total("in_force_on=2026-06-30"), total("fact=age&in_force_on=2026-07-01")),
            (json!(2), json!(4), json!(2))
        );

        // A programme that goes to another organization takes its rules along.
        let moved = officer.patch(&format!("{PROGRAMMES}/{}", camp.id()), "\"1\"", &json!({"organization_id": dengfeng}));
        assert_eq!(moved.status, 200, "{moved:?}");
        assert_eq!(officer.get(&format!("{RULES}?code=camp-age")).body["items"][0]["organization_id"], dengfeng);
        assert_eq!(officer.delete(&format!("{PROGRAMMES}/{}", camp.id())).code(), "still_referenced");
    });
}

/// A rule says what its fact takes, and nothing that it doesn't; the refusal tells what would be right.
#[test]
fn a_rule_says_what_its_fact_takes() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let officer = host.user("officer", Role::WelfareOfficer, Some("zz"));
        let aid = made(officer.post(PROGRAMMES, &json!({"organization_id": zz, "name": "助学", "kind": "student_aid", "form": "cash"})));
        let refused = |more: Value| {
            let answer = officer.post(RULES, &rule(&aid, "r", more));
            assert_eq!(answer.status, 422, "{answer:?}");
            answer.faults().into_iter().map(|(at, code)| format!("{at} {code}")).collect::<Vec<_>>()
        };
        assert_eq!(refused(json!({"fact": "age"})), ["/min required"]);
        assert_eq!(refused(json!({"fact": "age", "min": 9, "max": 8, "one_of": ["child"]})), ["/one_of not_taken", "/max max_below_min"]);
        assert_eq!(refused(json!({"fact": "age", "min": -1})), ["/min too_small"]);
        assert_eq!(refused(json!({"fact": "confirmed", "max": 3})), ["/max not_taken"]);
        assert_eq!(refused(json!({"fact": "relation", "one_of": []})), ["/one_of required"]);
        assert_eq!(
            refused(json!({"fact": "relation", "one_of": ["child", "fallen"], "min": 1})),
            ["/min not_taken", "/one_of/1 unknown_entry"]
        );
        assert_eq!(refused(json!({"fact": "income"})), ["/fact unknown_entry"]);
        assert_eq!(refused(json!({"fact": "confirmed", "effective_to": "2020-12-31"})), ["/effective_to ends_before_it_begins"]);
        let answer = officer.post(RULES, &rule(&aid, "r", json!({"fact": "outcome", "max": 3})));
        let message = answer.body["errors"][0]["message"].as_str().expect("words");
        assert!(message.contains("fallen（牺牲）") && message.contains("one_of"), "it says what it takes: {message}");

        let csv = "编码,项目编码,条件,下限,上限,可取值,生效日期,依据\nage,AID,年龄,6,22,,2021-01-01,助学办法\nkin,AID,与见义勇为人员的关系,,,\"spouse,child\",2021-01-01,\n";
        let csv = csv.replace("AID", aid.code());
        let importer = host.user("importer", Role::Service, Some("zz"));
        let imported = importer.import("eligibility-rules", csv.as_bytes(), &[]);
        assert_eq!((&imported.body["rows_created"], &imported.body["faults"]), (&json!(2), &json!([])), "{imported:?}");
        let kin = officer.get(&format!("{RULES}?code=kin"));
        assert_eq!(kin.body["items"][0]["one_of"], json!(["spouse", "child"]));
        // Another order is no change.
        let path = format!("{RULES}/{}", kin.body["items"][0]["id"].as_str().expect("an id"));
        assert_eq!(officer.patch(&path, "\"1\"", &json!({"one_of": ["child", "spouse", "child"]})).body["version"], 1);
        assert_eq!(officer.patch(&path, "\"1\"", &json!({"one_of": ["child"]})).body["one_of"], json!(["child"]));
    });
}

/// A roster with somebody too old, somebody of unknown age and a group is refused by name of rule and fact; what demands is
/// ended and not rewritten.
#[test]
fn a_roster_is_submitted_when_all_are_eligible() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let officer = host.user("officer", Role::WelfareOfficer, Some("zz"));
        let aid = made(officer.post(PROGRAMMES, &json!({"organization_id": zz, "name": "助学", "kind": "student_aid", "form": "cash"})));
        let today = business_today(Instant::now());
        let year: i32 = today.to_string()[..4].parse().expect("a year");
        let age = made(officer.post(RULES, &rule(&aid, "age", json!({"fact": "age", "min": 6, "max": 22}))));
        let outcome = made(officer.post(RULES, &rule(&aid, "outcome", json!({"fact": "outcome", "one_of": ["fallen", "disabled"]}))));
        let tomorrow = today.succ_opt().expect("a day").to_string();
        made(officer.post(RULES, &rule(&aid, "later", json!({"fact": "beneficiary", "one_of": ["hero"], "effective_from": tomorrow}))));

        let fallen = Family::of(officer.clone(), &zz, "wang", Some("fallen"));
        let untold = Family::of(officer.clone(), &zz, "li", None);
        let born = |years: i32| format!("{}0101", year - years);
        let (old, _) = fallen.child("王大山", Some((&born(30), "001")));
        let (young, _) = fallen.child("王小山", Some((&born(10), "002")));
        let (other, _) = untold.child("李小山", Some((&born(11), "003")));
        let (undated, undated_person) = fallen.child("王无号", None);

        // Of a batch the day is its first.
        let batch = made(
            officer
                .post(BATCHES, &json!({"organization_id": zz, "programme_id": aid.id(), "name": "助学", "starts_on": today.to_string()})),
        );
        let path = format!("{BATCHES}/{}", batch.id());
        let draft = |code: &str, more: Value| {
            let mut draft = json!({"organization_id": zz, "code": code, "batch_id": batch.id(), "amount_fen": 100_000, "channel": "own"});
            draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            made(officer.post(DISBURSEMENTS, &draft))
        };
        let too_old = draft("d-old", json!({"dependant_id": old}));
        draft("d-young", json!({"dependant_id": young}));
        draft("d-other", json!({"dependant_id": other}));
        let unknown = draft("d-undated", json!({"dependant_id": undated}));
        draft("d-group", json!({"people": 3}));

        let refused = step(&officer, &path, "submit", &json!({}));
        assert_eq!((refused.status, refused.code()), (409, "not_eligible"), "{refused:?}");
        assert_eq!(refused.body["disbursement_codes"], json!(["d-old", "d-other", "d-undated"]), "the group is known only as a whole");
        let codes = [("/dependant_id", "not_eligible"), ("/dependant_id", "fact_unknown"), ("/dependant_id", "fact_unknown")];
        assert_eq!(refused.faults(), codes);
        let messages: Vec<&str> = (0..3).map(|i| refused.body["errors"][i]["message"].as_str().expect("words")).collect();
        for (message, words) in messages.iter().zip([
            ["d-old", "age", "6 至 22", "30 周岁"],
            ["d-other", "outcome", "致残或牺牲", "未登记"],
            ["d-undated", "age", "6 至 22", "身份证号"],
        ]) {
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        }
        // Alone, too.
        let at = |answer: &Answer| format!("{DISBURSEMENTS}/{}", answer.id());
        let alone = step(&officer, &at(&too_old), "submit", &json!({}));
        assert_eq!((alone.code(), alone.faults().len()), ("not_eligible", 1), "{alone:?}");
        assert_eq!(officer.get(&at(&too_old)).body["state"], "draft");

        // What is unknown is recorded.
        let hero = format!("/api/v1/heroes/{}", untold.hero);
        assert_eq!(officer.patch(&hero, "\"1\"", &json!({"outcome": "disabled"})).status, 200);
        let person = format!("/api/v1/persons/{undated_person}");
        assert_eq!(officer.patch(&person, "\"1\"", &json!({"id_number": id_number(&born(7), "004")})).status, 200);
        assert_eq!(step(&officer, &at(&unknown), "submit", &json!({})).status, 200);
        assert_eq!(step(&officer, &path, "submit", &json!({})).faults(), [("/dependant_id", "not_eligible")]);

        // A used rule isn't rewritten: it ends, yesterday at the earliest, and another takes its place.
        let at_rule = |rule: &Answer| format!("{RULES}/{}", rule.id());
        let patch = |rule: &Answer, version: &str, body: Value| officer.patch(&at_rule(rule), version, &body);
        let rewritten = patch(&age, "\"1\"", json!({"max": 40, "effective_from": "2020-01-01"}));
        assert_eq!(rewritten.faults(), [("/max", "rule_in_use"), ("/effective_from", "rule_in_use")]);
        assert!(rewritten.body["errors"][0]["message"].as_str().is_some_and(|message| message.contains("effective_to")), "{rewritten:?}");
        let yesterday = today.pred_opt().expect("a day");
        let earlier = yesterday.pred_opt().expect("a day");
        assert_eq!(patch(&age, "\"1\"", json!({"effective_to": earlier.to_string()})).faults(), [("/effective_to", "rule_in_use")]);
        let deleted = officer.delete(&at_rule(&age));
        assert_eq!((deleted.status, deleted.code()), (409, "conflict"), "{deleted:?}");
        assert_eq!(patch(&age, "\"1\"", json!({"effective_to": yesterday.to_string(), "note": "已由新办法代替"})).status, 200);
        let ended = rule(&aid, "ended", json!({"fact": "confirmed", "effective_to": "2021-12-31"}));
        let ended = made(officer.post(RULES, &ended));
        assert_eq!(
            patch(&ended, "\"1\"", json!({"effective_to": null})).faults(),
            [("/effective_to", "rule_in_use")],
            "what has ended has ended"
        );
        made(officer.post(RULES, &rule(&aid, "age-2", json!({"fact": "age", "min": 6, "max": 35, "effective_from": today.to_string()}))));
        assert_eq!(patch(&outcome, "\"1\"", json!({"note": "助学办法第三条"})).status, 200, "where it comes from may be told later");
        let submitted = step(&officer, &path, "submit", &json!({}));
        assert_eq!((submitted.status, &submitted.body["totals"]["by_state"]), (200, &json!({"submitted": 5})), "{submitted:?}");
        // The day before is judged as it was.
        let then = explained(&officer, &aid, &format!("dependant_id={old}&on={yesterday}"));
        assert_eq!((&then.body["eligible"], told(&then)[0].0.as_str()), (&json!(false), "age"));

        // A rule that hasn't begun may be made again, and a programme that gave nothing yet may change its mind.
        let later = officer.get(&format!("{RULES}?code=later"));
        let later = format!("{RULES}/{}", later.body["items"][0]["id"].as_str().expect("an id"));
        assert_eq!(officer.patch(&later, "\"1\"", &json!({"one_of": ["dependant"]})).status, 200);
        assert_eq!(officer.delete(&later).status, 204);
    });
}

/// The same kind once a year, whoever gives it and as whom: a child of one hero may be a hero elsewhere.
#[test]
fn once_a_year_counts_what_others_give() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, dengfeng) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"));
        let officer = host.user("officer", Role::WelfareOfficer, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let programme = |of: &Value, kind: &str| {
            made(officer.post(PROGRAMMES, &json!({"organization_id": of, "name": "救助", "kind": kind, "form": "cash"})))
        };
        let (ours, theirs, other) = (programme(&zz, "hardship"), programme(&dengfeng, "hardship"), programme(&zz, "condolence"));
        for one in [&ours, &other] {
            made(officer.post(RULES, &rule(one, &format!("once-{}", one.code()), json!({"fact": "once_a_year"}))));
        }
        let family = Family::of(officer.clone(), &zz, "wang", Some("disabled"));
        let (child, person) = family.child("王小山", None);
        let as_hero =
            made(officer.post("/api/v1/heroes", &json!({"organization_id": dengfeng, "person_id": person, "confirmed_on": "2021-01-01"})));
        let give = |programme: &Answer, year: i32, whom: Value| {
            let mut draft = json!({"organization_id": zz, "programme_id": programme.id(), "amount_fen": 5, "channel": "own", "year": year});
            draft.as_object_mut().expect("an object").extend(whom.as_object().cloned().expect("an object"));
            let given = made(officer.post(DISBURSEMENTS, &draft));
            format!("{DISBURSEMENTS}/{}", given.id())
        };
        let submit = |path: &str| step(&officer, path, "submit", &json!({}));
        let elsewhere = give(&theirs, 2022, json!({"hero_id": as_hero.id()}));
        let here = give(&ours, 2022, json!({"dependant_id": child}));
        // A draft is nothing yet: who comes first is given it.
        let asked = format!("dependant_id={child}&on=2022-06-01");
        assert_eq!(explained(&officer, &ours, &asked).body["eligible"], true);
        assert_eq!(submit(&elsewhere).status, 200);
        let refused = submit(&here);
        assert_eq!((refused.code(), refused.faults()), ("not_eligible", vec![("/dependant_id", "not_eligible")]), "{refused:?}");
        assert_eq!(explained(&officer, &ours, &asked).body["rules"][0]["found_zh"], "本年度已另有 1 笔同类保障");
        assert_eq!(submit(&give(&ours, 2023, json!({"dependant_id": child}))).status, 200, "another year");
        assert_eq!(submit(&give(&other, 2022, json!({"dependant_id": child}))).status, 200, "another kind");
        assert_eq!(submit(&give(&ours, 2022, json!({"hero_id": family.hero}))).status, 200, "another person");
        // What is rejected elsewhere stands in nobody's way.
        assert_eq!(step(&leader, &elsewhere, "reject", &json!({"reason": "由市协会救助"})).status, 200);
        assert_eq!(submit(&here).status, 200);
    });
}
