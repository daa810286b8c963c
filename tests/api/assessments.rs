//! Assessments: one subject by one version of a standard, with evidence, accepted by another hand, good for a while.

use chrono::{Days, NaiveDate};
use serde_json::{Value, json};
use yiyong::policy::Role;
use yiyong::types::{Instant, business_today};

use crate::attachments::upload;
use crate::hosts::{Answer, Client, on_each_database};
use crate::standards::{self, done, item, published};
use crate::welfare::{made, organization};

pub const ASSESSMENTS: &str = "/api/v1/assessments";
const STATIONS: &str = "/api/v1/workstations";
const UNITS: &str = "/api/v1/demonstration-units";

pub fn station(client: &Client<'_>, county: &Value, name: &str) -> Answer {
    made(client.post(STATIONS, &json!({"organization_id": county, "name": name, "host_kind": "police_station"})))
}

pub fn step(client: &Client<'_>, of: &Answer, action: &str, body: &Value) -> Answer {
    client.post(&format!("{ASSESSMENTS}/{}/{action}", of.id()), body)
}

fn patch(client: &Client<'_>, of: &Answer, body: &Value) -> Answer {
    let path = format!("{ASSESSMENTS}/{}", of.id());
    let version = client.get(&path).header("ETag").map(str::to_owned).unwrap_or_else(|| "\"1\"".into());
    client.patch(&path, &version, body)
}

fn proof(client: &Client<'_>, of: &Answer) -> Answer {
    made(upload(client, &[("resource", "assessments"), ("record_id", of.id())], Some(("a.pdf", b"%PDF-1.7 %%EOF")), None))
}

/// An assessment by a standard of `standards::draft`, with everything answered, accepted by another.
pub fn accepted(writer: &Client<'_>, other: &Client<'_>, standard: &Answer, subject: (&str, &str), day: &str) -> Answer {
    let draft = json!({"standard_id": standard.id(), (subject.0): subject.1, "assessed_on": day});
    let made = made(writer.post(ASSESSMENTS, &draft));
    let proof = proof(writer, &made);
    let items =
        json!([{"key": "sign", "met": true, "evidence": [proof.id()]}, {"key": "drill", "score": 2}, {"key": "liaison", "count": 4}]);
    done(patch(writer, &made, &json!({"items": items})));
    done(step(writer, &made, "submit", &json!({})));
    done(step(other, &made, "accept", &json!({})))
}

fn total(client: &Client<'_>, path: &str, query: &str) -> Value {
    client.get(&format!("{path}?count=true&limit=1&{query}")).body["total"].clone()
}

#[test]
fn a_station_is_assessed_and_the_standard_is_revised() {
    on_each_database(|host| {
        let city = host.planted();
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let second = host.user("second", Role::Clerk, Some("zz-dengfeng"));
        let leader = host.user("leader", Role::Leader, Some("zz-dengfeng"));
        let other = host.user("other", Role::Clerk, Some("zz-gaoxin"));
        let (dengfeng, gaoxin) = (organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"));
        let ours = station(&clerk, &dengfeng, "嵩阳工作站");
        let theirs = station(&other, &gaoxin, "枫杨工作站");
        let standard = made(city.post(standards::STANDARDS, &standards::draft(&city, "seven-unities", "workstation")));
        let draft = |more: Value| {
            let mut draft = json!({"standard_id": standard.id(), "workstation_id": ours.id(), "assessed_on": "2022-06-17"});
            draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            draft
        };

        // By a published version, of one thing that is the caller's and of the kind that the standard is for.
        assert_eq!(clerk.post(ASSESSMENTS, &draft(json!({}))).faults(), [("/standard_id", "not_published")]);
        done(standards::step(&city, &standard, "publish"));
        let refused = |more: Value| -> Vec<(String, String)> {
            let answer = clerk.post(ASSESSMENTS, &draft(more));
            assert_eq!(answer.status, 422, "{answer:?}");
            answer.faults().into_iter().map(|(pointer, code)| (pointer.to_owned(), code.to_owned())).collect()
        };
        let fault = |pointer: &str, code: &str| vec![(pointer.to_owned(), code.to_owned())];
        assert_eq!(refused(json!({"workstation_id": theirs.id()})), fault("/workstation_id", "unknown_reference"));
        assert_eq!(refused(json!({"subject_organization_id": dengfeng})), fault("/subject_organization_id", "two_subjects"));
        assert_eq!(refused(json!({"workstation_id": null})), fault("/workstation_id", "required"));
        assert_eq!(
            refused(json!({"workstation_id": null, "subject_organization_id": dengfeng})),
            fault("/subject_organization_id", "wrong_subject")
        );
        let tomorrow = business_today(Instant::now()) + Days::new(1);
        assert_eq!(refused(json!({"assessed_on": tomorrow})), fault("/assessed_on", "in_the_future"));
        // An item that the standard doesn't have, values out of range and of another kind, evidence that isn't there: each is named.
        let wrong = json!([{"key": "sign", "score": 1}, {"key": "drill", "score": 4}, {"key": "drill", "score": 3},
            {"key": "flag", "met": true}, {"key": "liaison", "count": 9, "evidence": [ours.id()]}]);
        let expected: Vec<(String, String)> = [
            ("/items/0/score", "wrong_kind"),
            ("/items/1/score", "too_great"),
            ("/items/2/key", "twice"),
            ("/items/3/key", "not_in_the_standard"),
            ("/items/4/evidence/0", "not_attached_here"),
        ]
        .map(|(pointer, code)| (pointer.to_owned(), code.to_owned()))
        .to_vec();
        assert_eq!(refused(json!({"items": wrong})), expected);
        // A county's own standard is not for what lies elsewhere.
        let mut own = standards::draft(&city, "own", "workstation");
        own["organization_id"] = gaoxin.clone();
        let own = made(city.post(standards::STANDARDS, &own));
        done(standards::step(&city, &own, "publish"));
        let foreign = city.post(ASSESSMENTS, &draft(json!({"standard_id": own.id()})));
        assert_eq!(foreign.faults(), [("/standard_id", "standard_of_another_organization")]);

        // Begun, with what is known so far: the total is not known yet.
        let first = made(clerk.post(ASSESSMENTS, &draft(json!({"items": [{"key": "drill", "score": 2}, {"key": "sign", "met": true}]}))));
        assert_eq!((&first.body["organization_id"], &first.body["subject"]), (&dengfeng, &json!("workstation")));
        assert_eq!(first.body["items"][0], json!({"key": "sign", "met": true, "score": null, "count": null, "note": null, "evidence": []}));
        assert_eq!(
            (&first.body["total"], &first.body["maximum_total"], &first.body["level"]),
            (&Value::Null, &json!(10_000), &Value::Null)
        );
        assert_eq!(first.body["expires_on"], "2023-06-17");
        let path = format!("{ASSESSMENTS}/{}", first.id());
        assert_eq!(other.get(&path).status, 404);
        assert_eq!(step(&other, &first, "submit", &json!({})).status, 404);
        assert_eq!(
            patch(&clerk, &first, &json!({"standard_id": own.id(), "workstation_id": theirs.id()})).faults(),
            [("/standard_id", "fixed"), ("/workstation_id", "fixed")]
        );
        let missing = step(&clerk, &first, "submit", &json!({}));
        assert_eq!(
            (missing.status, missing.faults()),
            (409, vec![("/items/0/evidence", "evidence_required"), ("/items/2/count", "required")])
        );
        assert!(missing.body["errors"][0]["message"].as_str().expect("words").contains("有sign"), "{missing:?}");

        // Proved and answered: a third is rounded down, and four of five officers are four fifths.
        let picture = proof(&clerk, &first);
        let elsewhere = made(clerk.post(ASSESSMENTS, &draft(json!({}))));
        let stray = patch(&clerk, &elsewhere, &json!({"items": [{"key": "sign", "evidence": [picture.id()]}]}));
        assert_eq!(stray.faults(), [("/items/0/evidence/0", "not_attached_here")]);
        assert_eq!(clerk.delete(&format!("{ASSESSMENTS}/{}", elsewhere.id())).status, 204);
        let items = |score: i32| json!([{"key": "sign", "met": true, "evidence": [picture.id()]}, {"key": "drill", "score": score}, {"key": "liaison", "count": 4}]);
        let answered = done(patch(&clerk, &first, &json!({"items": items(2)})));
        assert_eq!((&answered.body["total"], &answered.body["level"]), (&json!(8_400), &json!("达标")));
        let photo = format!("/api/v1/attachments/{}", picture.id());
        let kept = clerk.delete(&photo);
        assert_eq!((kept.status, kept.code(), &kept.body["referrers"][0]["resource"]), (409, "still_referenced", &json!("assessments")));
        done(step(&clerk, &first, "submit", &json!({})));
        assert_eq!(patch(&clerk, &first, &json!({"note": "x"})).code(), "step_not_allowed");
        assert_eq!(clerk.delete(&path).code(), "step_not_allowed");

        // Not by who wrote it; sent back it is a draft again, and whoever then writes a version doesn't accept it either.
        let own_hand = step(&clerk, &first, "accept", &json!({}));
        assert_eq!((own_hand.status, own_hand.code()), (403, "forbidden"));
        assert_eq!(step(&second, &first, "return", &json!({"reason": " "})).faults(), [("/reason", "required")]);
        let back = done(step(&second, &first, "return", &json!({"reason": "请核对演练得分"})));
        assert_eq!((&back.body["state"], &back.body["reason"]), (&json!("draft"), &json!("请核对演练得分")));
        done(patch(&second, &first, &json!({"items": items(3)})));
        done(patch(&clerk, &first, &json!({"note": "已核对"})));
        done(step(&clerk, &first, "submit", &json!({})));
        assert_eq!(step(&second, &first, "accept", &json!({})).status, 403);
        let accepted_one = done(step(&leader, &first, "accept", &json!({})));
        assert_eq!(
            (&accepted_one.body["state"], &accepted_one.body["total"], &accepted_one.body["level"]),
            (&json!("accepted"), &json!(9_400), &json!("优秀"))
        );

        // Until the day before it expires it holds.
        let held = |day: &str| total(&clerk, ASSESSMENTS, &format!("valid_on={day}&workstation_id={}", ours.id()));
        assert_eq!(
            (held("2022-06-16"), held("2022-06-17"), held("2023-06-16"), held("2023-06-17")),
            (json!(0), json!(1), json!(1), json!(0))
        );
        let stations = |assessed: &str| total(&city, STATIONS, &format!("assessed={assessed}"));
        assert_eq!((stations("valid"), stations("expired"), stations("none")), (json!(0), json!(1), json!(1)));

        // The standard is revised: what was found by the old version keeps it, and the next is found by the new one.
        let revised = done(standards::step(&city, &standard, "revise"));
        let lighter = json!({"items": [item("sign", 10, "yes_no", None, true), item("drill", 10, "score", Some(3), false), item("liaison", 80, "count", Some(8), false)]});
        done(city.patch(&format!("{}/{}", standards::STANDARDS, revised.id()), "\"1\"", &lighter));
        let revised = done(standards::step(&city, &revised, "publish"));
        let still = clerk.get(&path);
        assert_eq!((&still.body["standard_id"], &still.body["total"]), (&json!(standard.id()), &json!(9_400)));
        assert_eq!(refused(json!({})), fault("/standard_id", "not_published"));
        let today = business_today(Instant::now()).to_string();
        let newer = accepted(&clerk, &second, &revised, ("workstation_id", ours.id()), &today);
        assert_eq!((&newer.body["standard_id"], &newer.body["total"]), (&json!(revised.id()), &json!(1_000 + 666 + 4_000)));
        assert_eq!(newer.body["level"], Value::Null);
        assert_eq!((stations("valid"), stations("expired"), stations("none")), (json!(1), json!(0), json!(1)));
        assert_eq!(total(&clerk, ASSESSMENTS, "standard_key=seven-unities"), 2);
        assert_eq!(total(&clerk, ASSESSMENTS, &format!("standard_id={}&subject=workstation&state=accepted", revised.id())), 1);
        assert_eq!(total(&clerk, ASSESSMENTS, "assessed_from=2022-06-17&assessed_to=2022-06-17"), 1);
        assert_eq!(total(&other, ASSESSMENTS, ""), 0);

        // Withdrawn, it holds no more; only who answers for it may.
        assert_eq!(step(&clerk, &newer, "withdraw", &json!({"reason": "材料不实"})).status, 403);
        let withdrawn = done(step(&leader, &newer, "withdraw", &json!({"reason": "材料不实"})));
        assert_eq!((&withdrawn.body["state"], &withdrawn.body["allowed_actions"]), (&json!("withdrawn"), &json!([])));
        assert_eq!((stations("valid"), stations("expired")), (json!(0), json!(1)));

        // A station with assessments stays; when it moves they go along.
        let place = format!("{STATIONS}/{}", ours.id());
        assert_eq!(city.delete(&place).code(), "still_referenced");
        done(city.patch(&place, "\"1\"", &json!({"organization_id": gaoxin})));
        assert_eq!((clerk.get(&path).status, other.get(&path).status), (404, 200));
        assert_eq!(other.get(&path).body["organization_id"], gaoxin);
    });
}

/// Units, teams and associations are assessed too, each by a standard for its kind.
#[test]
fn units_teams_and_associations() {
    on_each_database(|host| {
        let city = host.planted();
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let second = host.user("second", Role::Clerk, Some("zz-dengfeng"));
        let county = organization(&city, "zz-dengfeng");
        let unit = made(clerk.post(UNITS, &json!({"organization_id": county, "stage": "completed", "stage_on": "2022-05-01"})));
        made(clerk.post(UNITS, &json!({"organization_id": county, "stage": "planned", "stage_on": "2022-05-01"})));
        let team =
            made(clerk.post(
                "/api/v1/volunteer-teams",
                &json!({"organization_id": county, "base_kind": "school", "established_on": "2022-03-05"}),
            ));
        let yesterday: NaiveDate = business_today(Instant::now()) - Days::new(1);
        let county_id = county.as_str().expect("an id").to_owned();
        let subjects = [
            ("demonstration_unit", "demonstration_unit_id", unit.id()),
            ("volunteer_team", "volunteer_team_id", team.id()),
            ("organization", "subject_organization_id", county_id.as_str()),
        ];
        for (subject, field, id) in subjects {
            let standard = published(&city, &format!("of-{subject}"), subject);
            let found = accepted(&clerk, &second, &standard, (field, id), &yesterday.to_string());
            assert_eq!(
                (&found.body[field], &found.body["subject"], &found.body["organization_id"]),
                (&json!(id), &json!(subject), &county)
            );
            assert_eq!(total(&clerk, ASSESSMENTS, &format!("{field}={id}&organization_level=county")), 1);
        }
        let units = |assessed: &str| total(&city, UNITS, &format!("assessed={assessed}"));
        assert_eq!((units("valid"), units("expired"), units("none")), (json!(1), json!(0), json!(1)));
        assert_eq!(total(&city, UNITS, "assessed=valid&stage=planned"), 0);
    });
}
