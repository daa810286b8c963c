//! Commendations: a round from nomination to award, and what is refused on the way.

use chrono::{Days, NaiveDate};
use diesel::prelude::*;
use serde_json::{Value, json};
use yiyong::auth::UserKind;
use yiyong::policy::Role;
use yiyong::schema::commendation_rounds as r;
use yiyong::types::{Id, Instant, business_today};

use crate::hosts::{Answer, Client, Host, on_each_database};
use crate::welfare::{grant, made, organization};

const ROUNDS: &str = "/api/v1/commendation-rounds";
const NOMINATIONS: &str = "/api/v1/nominations";

fn done(answer: Answer) -> Answer {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

fn step(client: &Client<'_>, path: &str, action: &str, body: &Value) -> Answer {
    client.post(&format!("{path}/{action}"), body)
}

fn day(from_today: i64) -> String {
    (business_today(Instant::now()) + chrono::Duration::days(from_today)).to_string()
}

/// As if a round had been announced some days earlier.
fn let_pass(host: &Host, round: &str, days: u64) {
    let id: Id = round.parse().expect("an id");
    host.service
        .db
        .run(false, |conn| {
            let one = r::table.filter(r::id.eq(id));
            let (on, until): (Option<NaiveDate>, Option<NaiveDate>) = one.select((r::announced_on, r::announced_until)).first(conn)?;
            let earlier = |day: Option<NaiveDate>| day.and_then(|day| day.checked_sub_days(Days::new(days)));
            diesel::update(one).set((r::announced_on.eq(earlier(on)), r::announced_until.eq(earlier(until)))).execute(conn)?;
            Ok(())
        })
        .expect("earlier days");
}

#[test]
fn a_round_goes_from_nomination_to_award() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, of_dengfeng, of_gaoxin) =
            (organization(&city, "zz"), organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let dengfeng = host.user("dengfeng", Role::Clerk, Some("zz-dengfeng"));
        let head = host.user("head", Role::Leader, Some("zz-dengfeng"));
        let gaoxin = host.user("gaoxin", Role::Clerk, Some("zz-gaoxin"));
        let station =
            |of: &Value, code: &str| {
                made(city.post(
                    "/api/v1/workstations",
                    &json!({"code": code, "organization_id": of, "name": code, "host_kind": "police_station"}),
                ))
                .id()
                .to_owned()
            };
        let stations = [station(&of_dengfeng, "w1"), station(&of_dengfeng, "w2"), station(&of_gaoxin, "w3")];

        let round = json!({"organization_id": zz, "title": "示范工作站评选", "year": 2022, "kind": "demonstration_workstation", "quota": 1,
                           "opens_on": day(-1), "closes_on": day(5)});
        let backwards = clerk.post(ROUNDS, &json!({"organization_id": zz, "title": "x", "year": 2022, "kind": "other", "quota": 0, "opens_on": day(1), "closes_on": day(0)}));
        let mut faults = backwards.faults();
        faults.sort_unstable();
        assert_eq!(faults, [("/closes_on", "ends_before_it_begins"), ("/quota", "too_small")]);
        let round = made(clerk.post(ROUNDS, &round));
        let path = format!("{ROUNDS}/{}", round.id());
        // Those below see the round, and only that.
        let seen = dengfeng.get(&path);
        assert_eq!((seen.status, &seen.body["allowed_actions"]), (200, &json!([])));

        let nominate = |by: &Client<'_>, of: &Value, station: &str| {
            by.post(NOMINATIONS, &json!({"organization_id": of, "round_id": round.id(), "workstation_id": station, "merits": "台账齐全"}))
        };
        let bare = dengfeng.post(NOMINATIONS, &json!({"organization_id": of_dengfeng, "round_id": round.id(), "merits": "好"}));
        assert_eq!(bare.faults(), [("/workstation_id", "required")]);
        assert_eq!(nominate(&dengfeng, &of_dengfeng, &stations[2]).faults(), [("/workstation_id", "unknown_reference")]);
        assert_eq!(nominate(&clerk, &of_dengfeng, &stations[2]).faults(), [("/workstation_id", "not_of_this_organization")]);
        let first = made(nominate(&dengfeng, &of_dengfeng, &stations[0]));
        let again = nominate(&dengfeng, &of_dengfeng, &stations[0]);
        assert_eq!((again.status, again.code()), (409, "already_exists"));
        assert!(again.body["detail"].as_str().is_some_and(|detail| detail.contains("已有申报")), "{again:?}");
        let second = made(nominate(&dengfeng, &of_dengfeng, &stations[1]));
        let third = made(nominate(&gaoxin, &of_gaoxin, &stations[2]));
        let at = |nomination: &Answer| format!("{NOMINATIONS}/{}", nomination.id());
        assert_eq!(gaoxin.get(&at(&first)).status, 404);

        // Nothing is handed in before the round is open.
        let early = step(&dengfeng, &at(&first), "submit", &json!({}));
        assert_eq!((early.status, early.faults()), (409, vec![("/round_id", "round_not_open")]), "{early:?}");
        assert_eq!(step(&clerk, &path, "publish", &json!({})).status, 403);
        done(step(&leader, &path, "publish", &json!({})));
        for (by, nomination) in [(&dengfeng, &first), (&dengfeng, &second), (&gaoxin, &third)] {
            let submitted = done(step(by, &at(nomination), "submit", &json!({})));
            assert_eq!(submitted.body["state"], "submitted");
        }
        assert_eq!(leader.get(&path).body["nominations"], json!({"received": 3, "undecided": 3, "approved": 0, "rejected": 0}));

        // The county's own leader doesn't decide over the city's round, nor who wrote the nomination.
        assert_eq!(step(&head, &at(&first), "approve", &json!({})).status, 403);
        grant(host, "clerk", Role::Leader);
        let clerk = host.sign_in("clerk", UserKind::Person);
        let own = made(clerk.post(
            NOMINATIONS,
            &json!({"organization_id": zz, "round_id": round.id(), "workstation_id": station(&zz, "w4"), "merits": "好"}),
        ));
        done(step(&city, &at(&own), "submit", &json!({})));
        for (hand, why) in [(&clerk, "wrote"), (&city, "submitted")] {
            assert_eq!(step(hand, &at(&own), "approve", &json!({})).code(), "forbidden", "who {why} it doesn't decide it");
        }
        done(step(&leader, &at(&own), "reject", &json!({"reason": "材料不全"})));

        // No more than the quota.
        done(step(&leader, &at(&first), "approve", &json!({})));
        let full = step(&leader, &at(&second), "approve", &json!({}));
        assert_eq!((full.status, full.faults()), (409, vec![("/round_id", "quota_exhausted")]), "{full:?}");
        assert_eq!(step(&leader, &at(&second), "reject", &json!({})).faults(), [("/reason", "required")]);
        let rejected = done(step(&leader, &at(&second), "reject", &json!({"reason": "名额有限"})));
        assert_eq!((&rejected.body["state"], &rejected.body["reason"]), (&json!("rejected"), &json!("名额有限")));

        // Announced when all is decided, for seven days or more; awarded when these are over.
        assert_eq!(step(&leader, &path, "issue", &json!({})).code(), "step_not_allowed");
        done(step(&leader, &path, "conclude", &json!({})));
        assert_eq!(nominate(&gaoxin, &of_gaoxin, &station(&of_gaoxin, "w5")).faults(), [("/round_id", "round_not_open")]);
        assert_eq!(step(&leader, &path, "issue", &json!({})).faults(), [("/nominations", "undecided_nominations")]);
        done(step(&leader, &at(&third), "reject", &json!({"reason": "名额有限"})));
        assert_eq!(step(&leader, &path, "issue", &json!({"announced_days": 3})).faults(), [("/announced_days", "too_small")]);
        let announced = done(step(&leader, &path, "issue", &json!({})));
        assert_eq!((&announced.body["announced_days"], &announced.body["announced_until"]), (&json!(7), &json!(day(7))));
        let number = json!({"document_number": "郑义〔2022〕8号"});
        assert_eq!(step(&leader, &path, "award", &number).faults(), [("/announced_until", "period_not_over")]);
        let_pass(host, round.id(), 7);
        assert_eq!(step(&leader, &path, "award", &number).faults(), [("/announced_until", "period_not_over")], "its last day");
        let_pass(host, round.id(), 1);
        assert_eq!(
            step(&leader, &path, "award", &json!({"document_number": "8号"})).faults(),
            [("/document_number", "invalid_document_number")]
        );
        let dated = json!({"document_number": "郑义〔2022〕8号", "awarded_on": day(-1)});
        assert_eq!(step(&leader, &path, "award", &dated).faults(), [("/awarded_on", "period_not_over")]);
        let awarded = done(step(&leader, &path, "award", &number));
        assert_eq!((&awarded.body["state"], &awarded.body["document_number"]), (&json!("awarded"), &json!("郑义〔2022〕8号")));
        assert_eq!(dengfeng.get(&at(&first)).body["state"], "awarded");
        assert_eq!(dengfeng.get(&at(&second)).body["state"], "rejected");
        let commended = dengfeng.get("/api/v1/workstations?commended=true");
        assert_eq!(commended.body["items"].as_array().map(Vec::len), Some(1));
        assert_eq!((&commended.body["items"][0]["code"], &commended.body["items"][0]["version"]), (&json!("w1"), &json!(2)));
        assert_eq!(awarded.body["allowed_actions"], json!([]));
    });
}

#[test]
fn a_liaison_officer_is_commended_by_the_appointment() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, of_dengfeng) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let dengfeng = host.user("dengfeng", Role::Clerk, Some("zz-dengfeng"));
        let person = made(dengfeng.post("/api/v1/persons", &json!({"organization_id": of_dengfeng, "name": "赵铁柱"}))).id().to_owned();
        let appointed = |post: &str| {
            let draft = json!({"organization_id": of_dengfeng, "person_id": person, "post": post, "from_on": "2022-01-01"});
            made(dengfeng.post("/api/v1/appointments", &draft)).id().to_owned()
        };
        let round = json!({"organization_id": zz, "title": "先进联络员", "year": 2022, "kind": "advanced_liaison_officer", "quota": 2,
                           "opens_on": day(-9), "closes_on": day(-1)});
        let round = made(city.post(ROUNDS, &round));
        let path = format!("{ROUNDS}/{}", round.id());
        let over = step(&leader, &path, "publish", &json!({}));
        assert_eq!(over.faults(), [("/closes_on", "over_already")], "{over:?}");
        done(city.patch(&path, "\"1\"", &json!({"closes_on": day(9)})));
        done(step(&leader, &path, "publish", &json!({})));
        let nominate = |appointment: &str| {
            dengfeng.post(
                NOMINATIONS,
                &json!({"organization_id": of_dengfeng, "round_id": round.id(), "appointment_id": appointment, "merits": "好"}),
            )
        };
        assert_eq!(nominate(&appointed("president")).faults(), [("/appointment_id", "not_a_liaison_officer")]);
        let nomination = made(nominate(&appointed("liaison_officer")));
        assert!(!nomination.body.to_string().contains("赵铁柱"));
        let at = format!("{NOMINATIONS}/{}", nomination.id());
        done(step(&dengfeng, &at, "submit", &json!({})));
        done(step(&leader, &at, "approve", &json!({})));
        done(step(&leader, &path, "conclude", &json!({})));
        done(step(&leader, &path, "issue", &json!({"announced_days": 10})));
        // The public has said why not: then there is nothing left to award.
        done(step(&leader, &at, "reject", &json!({"reason": "公示期间查实的问题"})));
        let_pass(host, round.id(), 11);
        let nothing = step(&leader, &path, "award", &json!({"document_number": "郑义〔2022〕9号"}));
        assert_eq!((nothing.status, nothing.faults()), (409, vec![("/nominations", "nothing_to_award")]), "{nothing:?}");
    });
}
