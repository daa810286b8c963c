//! Benefits in kind: a family is insured under a policy with a term, and a camp counts who came.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use yiyong::policy::Role;

use crate::hosts::{Answer, Client, Host, on_each_database};
use crate::welfare::{BATCHES, DISBURSEMENTS, PROGRAMMES, made, organization, step};

/// A hero and the members of their family, by name.
fn family(clerk: &Client<'_>, zz: &Value, names: &[&str]) -> (String, Vec<String>) {
    let person = |name: &str| made(clerk.post("/api/v1/persons", &json!({"organization_id": zz, "name": name}))).id().to_owned();
    let hero = made(clerk.post("/api/v1/heroes", &json!({"organization_id": zz, "person_id": person("王大山")}))).id().to_owned();
    let child = |name: &&str| {
        let draft = json!({"organization_id": zz, "person_id": person(name), "hero_id": hero, "relation": "child"});
        made(clerk.post("/api/v1/dependants", &draft)).id().to_owned()
    };
    let children = names.iter().map(child).collect();
    (hero, children)
}

fn with(base: &Value, more: Value) -> Value {
    let mut draft = base.clone();
    draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    draft
}

fn at(answer: &Answer) -> String {
    format!("{DISBURSEMENTS}/{}", answer.id())
}

/// Those who prepare, approve and deliver; the city.
fn offices(host: &Host) -> (Client<'_>, Client<'_>, Client<'_>, Value) {
    let city = host.planted();
    let clerk = host.user("clerk", Role::Clerk, Some("zz"));
    let leader = host.user("leader", Role::Leader, Some("zz"));
    let finance = host.user("finance", Role::Finance, Some("zz"));
    let zz = organization(&city, "zz");
    (clerk, leader, finance, zz)
}

#[test]
fn a_family_is_insured_under_a_policy() {
    on_each_database(|host| {
        let (clerk, leader, finance, zz) = offices(host);
        let programme = |name: &str, kind: &str| {
            made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": name, "kind": kind, "form": "in_kind"})))
        };
        let (insurance, camp) = (programme("见义勇为人员保险", "insurance"), programme("夏令营", "summer_camp"));
        let (hero, children) = family(&clerk, &zz, &["王小山"]);
        let draft =
            json!({"organization_id": zz, "programme_id": insurance.id(), "benefit": "意外伤害保险", "channel": "own", "year": 2022});
        let policy = json!({"insurer": "人保财险郑州分公司", "policy_number": "PEAC2022000012", "insured_from": "2022-03-01", "insured_to": "2023-02-28"});

        // All of a policy or nothing, its term in order, and of an insurance alone.
        let faults = |more: Value| {
            let answer = clerk.post(DISBURSEMENTS, &with(&draft, more));
            assert_eq!(answer.status, 422, "{answer:?}");
            answer.faults().into_iter().map(|(at, code)| format!("{at} {code}")).collect::<Vec<_>>()
        };
        assert_eq!(
            faults(json!({"insurance": {"policy_number": "P1", "insured_from": "2022-03-01"}})),
            ["/insurance/insurer required", "/insurance/insured_to required"]
        );
        assert_eq!(
            faults(json!({"insurance": with(&policy, json!({"insured_to": "2022-02-28"}))})),
            ["/insurance/insured_to ends_before_it_begins"]
        );
        let other = clerk.post(DISBURSEMENTS, &with(&draft, json!({"programme_id": camp.id(), "insurance": policy})));
        assert_eq!(other.faults(), [("/insurance", "not_an_insurance")]);
        assert!(other.body["errors"][0]["message"].as_str().is_some_and(|words| words.contains("夏令营")), "{other:?}");

        // The draft may come before the policy, take it, change it and lose it.
        let told = made(clerk.post(DISBURSEMENTS, &with(&draft, json!({"code": "told", "hero_id": hero, "insurance": policy}))));
        assert_eq!((&told.body["insurance"], &clerk.get(&at(&told)).body["insurance"]), (&policy, &policy));
        let patched = clerk.patch(&at(&told), "\"1\"", &json!({"insurance": {"policy_number": "PEAC2022000013"}}));
        assert_eq!((patched.status, &patched.body["insurance"]["policy_number"]), (200, &json!("PEAC2022000013")), "{patched:?}");
        assert_eq!(patched.body["insurance"]["insurer"], policy["insurer"]);
        assert_eq!(clerk.patch(&at(&told), "\"2\"", &json!({"insurance": null})).body["insurance"], Value::Null);
        assert_eq!(clerk.get(&at(&told)).body["insurance"], Value::Null);
        assert_eq!(clerk.patch(&at(&told), "\"3\"", &json!({"insurance": policy})).body["insurance"], policy);
        let list = clerk.get(&format!("{DISBURSEMENTS}?code=told"));
        assert_eq!(list.body["items"][0]["insurance"], policy);
        let lost = made(clerk.post(DISBURSEMENTS, &with(&draft, json!({"hero_id": hero, "insurance": policy}))));
        assert_eq!(clerk.delete(&at(&lost)).status, 204, "the policy goes with its disbursement");

        // Nothing is delivered to a family without a policy; who has approved the rest needn't do it again.
        let untold = made(clerk.post(DISBURSEMENTS, &with(&draft, json!({"code": "untold", "dependant_id": children[0]}))));
        for one in [&told, &untold] {
            assert_eq!(step(&clerk, &at(one), "submit", &json!({})).status, 200);
            assert_eq!(step(&leader, &at(one), "approve", &json!({})).status, 200);
        }
        let deliver = |one: &Answer, more: Value| step(&finance, &at(one), "deliver", &with(&json!({"delivered_on": "2022-03-01"}), more));
        let refused = deliver(&untold, json!({}));
        assert_eq!((refused.status, refused.faults()), (422, vec![("/insurance", "required")]), "{refused:?}");
        assert!(
            refused.body["errors"][0]["message"].as_str().is_some_and(|words| words.contains("untold") && words.contains("保单号")),
            "{refused:?}"
        );
        assert_eq!(
            deliver(&untold, json!({"insurance": with(&policy, json!({"insured_to": "2021-01-01"}))})).faults(),
            [("/insurance/insured_to", "ends_before_it_begins")]
        );
        assert_eq!(deliver(&untold, json!({"insurance": policy, "attended_days": 3})).faults(), [("/attended_days", "not_an_event")]);
        assert_eq!(deliver(&untold, json!({"insurance": policy, "absent_ids": []})).faults(), [("/absent_ids", "unknown_field")]);
        assert_eq!(clerk.get(&at(&untold)).body["state"], "approved");
        let delivered = deliver(&untold, json!({"insurance": policy}));
        assert_eq!((&delivered.body["state"], &delivered.body["insurance"]), (&json!("delivered"), &policy), "{delivered:?}");
        assert_eq!(clerk.get(&at(&untold)).body["insurance"], policy);
        assert_eq!(deliver(&told, json!({"insurance": policy})).faults(), [("/insurance", "not_needed")], "what was approved stays");
        assert_eq!(deliver(&told, json!({})).body["state"], "delivered");

        // A batch under one policy: those who have their own keep it, and a group has none to show.
        let batch =
            made(clerk.post(BATCHES, &json!({"organization_id": zz, "programme_id": insurance.id(), "name": "2022 年保险", "year": 2022})));
        let of_batch = json!({"organization_id": zz, "batch_id": batch.id(), "benefit": "意外伤害保险", "channel": "own"});
        let own = with(&policy, json!({"policy_number": "OWN-1"}));
        let first = made(clerk.post(DISBURSEMENTS, &with(&of_batch, json!({"hero_id": hero, "insurance": own}))));
        let second = made(clerk.post(DISBURSEMENTS, &with(&of_batch, json!({"dependant_id": children[0]}))));
        let path = format!("{BATCHES}/{}", batch.id());
        step(&clerk, &path, "submit", &json!({}));
        step(&leader, &path, "approve", &json!({}));
        assert_eq!(step(&finance, &path, "deliver", &json!({})).faults(), [("/insurance", "required")]);
        let all = step(&finance, &path, "deliver", &json!({"insurance": policy}));
        assert_eq!((all.status, &all.body["totals"]["by_state"]), (200, &json!({"delivered": 2})), "{all:?}");
        assert_eq!((&clerk.get(&at(&first)).body["insurance"], &clerk.get(&at(&second)).body["insurance"]), (&own, &policy));
        let group = made(clerk.post(DISBURSEMENTS, &with(&draft, json!({"people": 40}))));
        step(&clerk, &at(&group), "submit", &json!({}));
        step(&leader, &at(&group), "approve", &json!({}));
        assert_eq!(deliver(&group, json!({})).body["state"], "delivered");

        // Out of a clerk's table.
        let csv = format!(
            "编码,所属协会编码,项目编码,见义勇为人员编码,待遇内容,资金来源,年度,承保单位,保单号,保险起始日期,保险终止日期\n\
             imported,zz,{},{},意外险,自有资金,2023,平安,PA-1,2023-01-01,2023-12-31\n",
            insurance.code(),
            clerk.get(&format!("/api/v1/heroes/{hero}")).code()
        );
        let importer = host.user("importer", Role::Service, Some("zz"));
        let imported = importer.import("disbursements", csv.as_bytes(), &[]);
        assert_eq!((&imported.body["rows_created"], &imported.body["faults"]), (&json!(1), &json!([])), "{imported:?}");
        let kept = clerk.get(&format!("{DISBURSEMENTS}?code=imported"));
        assert_eq!(kept.body["items"][0]["insurance"]["policy_number"], "PA-1");
    });
}

#[test]
fn a_camp_counts_who_came() {
    on_each_database(|host| {
        let (clerk, leader, finance, zz) = offices(host);
        let camp =
            made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "夏令营", "kind": "summer_camp", "form": "in_kind"})));
        let (_, children) = family(&clerk, &zz, &["王一", "王二", "王三", "王四"]);
        let batch = made(clerk.post(
            BATCHES,
            &json!({"organization_id": zz, "programme_id": camp.id(), "name": "2022 年夏令营", "starts_on": "2022-07-18", "ends_on": "2022-07-22", "control_people": 4}),
        ));
        let path = format!("{BATCHES}/{}", batch.id());
        let roster: Vec<Answer> = children
            .iter()
            .map(|child| {
                let draft =
                    json!({"organization_id": zz, "batch_id": batch.id(), "dependant_id": child, "benefit": "夏令营", "channel": "own"});
                made(clerk.post(DISBURSEMENTS, &draft))
            })
            .collect();
        assert_eq!(step(&clerk, &path, "submit", &json!({})).status, 200);
        assert_eq!(step(&leader, &path, "approve", &json!({})).status, 200);
        let outsider = made(clerk.post(
            DISBURSEMENTS,
            &json!({"organization_id": zz, "programme_id": camp.id(), "dependant_id": children[0], "benefit": "夏令营", "channel": "own", "year": 2021}),
        ));

        let deliver = |more: Value| step(&finance, &path, "deliver", &with(&json!({"delivered_on": "2022-07-22"}), more));
        let all: Vec<&str> = roster.iter().map(Answer::id).collect();
        assert_eq!(deliver(json!({"absent_ids": [all[3], outsider.id()]})).faults(), [("/absent_ids/1", "not_of_the_batch")]);
        assert_eq!(deliver(json!({"absent_ids": all})).faults(), [("/absent_ids", "nobody_came")]);
        assert_eq!(deliver(json!({"absent_ids": [all[3]], "attended_days": 0})).faults(), [("/attended_days", "too_small")]);
        assert_eq!(clerk.get(&path).body["totals"]["by_state"], json!({"approved": 4}), "what is refused is not half done");

        // One left a day early, one didn't come, two stayed.
        let early = step(&finance, &at(&roster[2]), "deliver", &json!({"delivered_on": "2022-07-22", "attended_days": 4}));
        assert_eq!((&early.body["state"], &early.body["attended_days"]), (&json!("delivered"), &json!(4)), "{early:?}");
        let came = deliver(json!({"absent_ids": [all[3]], "attended_days": 5}));
        assert_eq!(came.status, 200, "{came:?}");
        assert_eq!(came.body["totals"]["by_state"], json!({"delivered": 3, "cancelled": 1}));
        assert_eq!((&came.body["totals"]["records"], &came.body["totals"]["people"]), (&json!(3), &json!(3)));
        let states: BTreeMap<&str, Value> = all
            .iter()
            .map(|id| {
                let one = clerk.get(&format!("{DISBURSEMENTS}/{id}")).body;
                (*id, json!([one["state"], one["reason"], one["attended_days"], one["paid_on"]]))
            })
            .collect();
        let there = |days: i64| json!(["delivered", null, days, "2022-07-22"]);
        assert_eq!([&states[all[0]], &states[all[1]], &states[all[2]]], [&there(5), &there(5), &there(4)]);
        assert_eq!(states[all[3]], json!(["cancelled", "未参加", null, null]));

        // The figure counts who came, and each record tells what was done to it.
        let figure = leader.get("/api/v1/figures/welfare.summer_camp.city.children?year=2022");
        assert_eq!(figure.body["value"], 3, "{figure:?}");
        let auditor = host.user("auditor", Role::Auditor, Some("zz"));
        let last = |id: &str| auditor.get(&format!("/api/v1/audit-events?record_id={id}&limit=1")).body["items"][0].clone();
        assert_eq!((&last(all[0])["action"], &last(all[3])["action"]), (&json!("deliver"), &json!("cancel")));
        assert!(last(all[3])["detail"].to_string().contains("未参加"));
        let clean = host.service.db.run(true, yiyong::integrity::check).expect("checked");
        assert!(clean.clean, "{clean:?}");
    });
}
