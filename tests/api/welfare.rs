//! Welfare: three different people, control totals, steps alone and together, who sees what.

use std::sync::atomic::{AtomicU32, Ordering};

use diesel::prelude::*;
use serde_json::{Value, json};
use yiyong::db::{Deed, Tx};
use yiyong::policy::Role;
use yiyong::schema::{audit_events, heroes, role_grants, users};
use yiyong::types::{Id, Instant, business_today, new_code};

use crate::hosts::{Answer, Client, Host, on_each_database, on_each_database_with};
use crate::ledger::purse;

pub const PROGRAMMES: &str = "/api/v1/welfare-programmes";
pub const BATCHES: &str = "/api/v1/welfare-batches";
pub const DISBURSEMENTS: &str = "/api/v1/disbursements";

/// Takes a step with a key of its own.
pub fn step(client: &Client<'_>, path: &str, action: &str, body: &Value) -> Answer {
    static KEY: AtomicU32 = AtomicU32::new(0);
    let key = format!("step-{}", KEY.fetch_add(1, Ordering::Relaxed));
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key.as_str())];
    client.send("POST", &format!("{path}/{action}"), &headers, Some(body.to_string().as_bytes()))
}

pub fn organization(client: &Client<'_>, code: &str) -> Value {
    client.get(&format!("/api/v1/organizations?code={code}")).body["items"][0]["id"].clone()
}

pub fn made(answer: Answer) -> Answer {
    assert_eq!(answer.status, 201, "{answer:?}");
    answer
}

fn at(answer: &Answer) -> String {
    format!("{DISBURSEMENTS}/{}", answer.id())
}

/// A second role, as an administrator would give it.
pub fn grant(host: &Host, username: &str, role: Role) {
    let given = |tx: &mut Tx<'_>| {
        let (user, organization): (Id, Option<Id>) =
            users::table.filter(users::username.eq(username)).select((users::id, users::organization_id)).first(tx.conn)?;
        let id = Id::new();
        diesel::insert_into(role_grants::table)
            .values((
                role_grants::id.eq(id),
                role_grants::code.eq(new_code()),
                role_grants::user_id.eq(user),
                role_grants::role.eq(role),
                role_grants::organization_id.eq(organization),
                role_grants::from_on.eq(business_today(tx.now)),
                role_grants::version.eq(1),
                role_grants::created_at.eq(tx.now),
                role_grants::updated_at.eq(tx.now),
            ))
            .execute(tx.conn)?;
        tx.audit("create", "role_grants", Some(id), organization, None);
        Ok(())
    };
    host.service.db.write_background(&Deed::of_operator("test"), given).expect("a grant");
}

#[test]
fn money_takes_three_different_people() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let finance = host.user("finance", Role::Finance, Some("zz"));
        let all = host.user("all", Role::WelfareOfficer, Some("zz"));
        for role in [Role::Leader, Role::Finance] {
            grant(host, "all", role);
        }
        let cash = made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "春节慰问", "kind": "condolence", "form": "cash"})));
        let draft = |fen: Value| json!({"organization_id": zz, "programme_id": cash.id(), "people": 1, "amount_fen": fen, "channel": "own", "year": 2022});

        assert_eq!(clerk.post(DISBURSEMENTS, &draft(Value::Null)).faults(), [("/amount_fen", "amount_required")]);
        assert_eq!(clerk.post(DISBURSEMENTS, &draft(json!(0))).faults(), [("/amount_fen", "too_small")]);
        let paper = made(clerk.post(DISBURSEMENTS, &draft(json!(100_000))));
        let path = at(&paper);
        assert_eq!(paper.body["allowed_actions"], json!(["update", "delete", "submit", "cancel"]));
        assert_eq!(clerk.patch(&path, "\"1\"", &json!({"amount_fen": 120_000})).status, 200);

        // The roles are kept apart, and a step with money needs a key.
        assert_eq!(step(&leader, &path, "submit", &json!({})).status, 403);
        assert_eq!(clerk.post(&format!("{path}/submit"), &json!({})).code(), "malformed_request");
        assert_eq!(step(&finance, &path, "pay", &json!({"paid_on": "2022-01-28"})).code(), "step_not_allowed");
        let submitted = step(&clerk, &path, "submit", &json!({}));
        assert_eq!((submitted.status, &submitted.body["state"]), (200, &json!("submitted")), "{submitted:?}");
        assert_eq!(clerk.patch(&path, submitted.header("ETag").expect("a version"), &json!({"year": 2023})).code(), "step_not_allowed");
        assert_eq!(clerk.delete(&path).code(), "step_not_allowed");

        // Back once, with a reason that is told, and gone when it is submitted again.
        assert_eq!(step(&leader, &path, "return", &json!({"reason": "  "})).faults(), [("/reason", "required")]);
        let back = step(&leader, &path, "return", &json!({"reason": "金额有误"}));
        assert_eq!((&back.body["state"], &back.body["reason"]), (&json!("draft"), &json!("金额有误")));
        assert_eq!(step(&clerk, &path, "submit", &json!({})).body["reason"], Value::Null);
        let approved = step(&leader, &path, "approve", &json!({}));
        assert_eq!((approved.status, &approved.body["state"]), (200, &json!("approved")), "{approved:?}");

        let tomorrow = business_today(Instant::now()).succ_opt().expect("a day").to_string();
        assert_eq!(step(&finance, &path, "pay", &json!({"paid_on": tomorrow})).faults(), [("/paid_on", "in_the_future")]);
        assert_eq!(step(&finance, &path, "pay", &json!({})).faults(), [("/paid_on", "required")]);
        assert_eq!(step(&finance, &path, "deliver", &json!({})).code(), "step_not_allowed");
        let purse = purse(&finance, &leader, &zz, "unrestricted", 1_000_000);
        let paid = step(&finance, &path, "pay", &purse.paid("2022-01-28"));
        assert_eq!((&paid.body["state"], &paid.body["paid_on"]), (&json!("paid"), &json!("2022-01-28")), "{paid:?}");
        assert_eq!(step(&finance, &path, "pay", &json!({"paid_on": "2022-01-28"})).code(), "step_not_allowed");
        assert_eq!(step(&clerk, &path, "cancel", &json!({"reason": "x"})).code(), "step_not_allowed");
        assert_eq!(step(&clerk, &path, "acknowledge", &json!({})).body["state"], "acknowledged");
        let last = clerk.get(&path);
        let hands: std::collections::HashSet<&str> =
            ["prepared_by", "approved_by", "paid_by"].iter().filter_map(|hand| last.body[*hand].as_str()).collect();
        assert_eq!(hands.len(), 3);

        // Who holds all three keys can still turn only one of them.
        let mine = made(all.post(DISBURSEMENTS, &draft(json!(1))));
        let path = at(&mine);
        assert_eq!(step(&all, &path, "submit", &json!({})).status, 200);
        let refused = step(&all, &path, "approve", &json!({}));
        assert_eq!((refused.status, refused.code()), (403, "forbidden"));
        let detail = refused.body["detail"].as_str().expect("a detail");
        assert!(detail.contains("编制") && detail.contains(mine.code()), "{detail}");
        assert_eq!(step(&leader, &path, "approve", &json!({})).status, 200);
        assert_eq!(step(&all, &path, "pay", &json!({"paid_on": "2022-02-01"})).status, 403);
        let theirs = made(clerk.post(DISBURSEMENTS, &draft(json!(1))));
        let path = at(&theirs);
        step(&clerk, &path, "submit", &json!({}));
        assert_eq!(step(&all, &path, "approve", &json!({})).status, 200);
        let refused = step(&all, &path, "pay", &json!({"paid_on": "2022-02-01"}));
        assert_eq!(refused.status, 403);
        assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains("批准人")), "{refused:?}");
        // An edit makes its writer the one who prepared it.
        let edited = made(clerk.post(DISBURSEMENTS, &draft(json!(1))));
        all.patch(&at(&edited), "\"1\"", &json!({"amount_fen": 2}));
        step(&clerk, &at(&edited), "submit", &json!({}));
        assert_eq!(step(&all, &at(&edited), "approve", &json!({})).status, 403);
        // Another's edit doesn't take the hand of who wrote it first out of it, alone or with its batch.
        let first = made(all.post(DISBURSEMENTS, &draft(json!(1))));
        clerk.patch(&at(&first), "\"1\"", &json!({"amount_fen": 2}));
        step(&clerk, &at(&first), "submit", &json!({}));
        let refused = step(&all, &at(&first), "approve", &json!({}));
        assert_eq!((refused.status, refused.code()), (403, "forbidden"), "{refused:?}");
        assert_eq!(step(&leader, &at(&first), "approve", &json!({})).status, 200);
        assert_eq!(step(&all, &at(&first), "pay", &json!({"paid_on": "2022-02-01"})).status, 403);
        let batch = made(clerk.post(BATCHES, &json!({"organization_id": zz, "programme_id": cash.id(), "name": "春节慰问", "year": 2022})));
        let mut of_batch = draft(json!(1));
        of_batch["batch_id"] = json!(batch.id());
        let first = made(all.post(DISBURSEMENTS, &of_batch));
        clerk.patch(&at(&first), "\"1\"", &json!({"amount_fen": 2}));
        let batch = format!("{BATCHES}/{}", batch.id());
        assert_eq!(step(&clerk, &batch, "submit", &json!({})).status, 200);
        assert_eq!(step(&all, &batch, "approve", &json!({})).status, 403);
        assert_eq!(step(&leader, &batch, "approve", &json!({})).status, 200);

        // In kind there is no money, and what is delivered may have no known day.
        let bonus =
            made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "升学加分", "kind": "admission_bonus", "form": "in_kind"})));
        let in_kind = |more: Value| {
            let mut draft = json!({"organization_id": zz, "programme_id": bonus.id(), "people": 2, "channel": "fiscal", "year": 2022});
            draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            draft
        };
        let mut faults = clerk.post(DISBURSEMENTS, &in_kind(json!({"amount_fen": 5})));
        assert_eq!(faults.faults(), [("/amount_fen", "amount_in_kind"), ("/benefit", "benefit_required")]);
        faults = clerk.post(DISBURSEMENTS, &in_kind(json!({"benefit": "加 10 分"})));
        let path = at(&made(faults));
        step(&clerk, &path, "submit", &json!({}));
        step(&leader, &path, "approve", &json!({}));
        assert_eq!(step(&finance, &path, "pay", &json!({"paid_on": "2022-02-01"})).code(), "step_not_allowed");
        let delivered = step(&finance, &path, "deliver", &json!({}));
        assert_eq!((&delivered.body["state"], &delivered.body["paid_on"]), (&json!("delivered"), &Value::Null), "{delivered:?}");
        assert_eq!(
            clerk.patch(&format!("{PROGRAMMES}/{}", bonus.id()), "\"1\"", &json!({"form": "cash"})).faults(),
            [("/form", "form_in_use")]
        );

        let value = |code: &str| leader.get(&format!("/api/v1/figures/{code}?year=2022")).body["value"].clone();
        assert_eq!(value("welfare.condolence.city.amount_fen"), json!(120_000));
        assert_eq!(value("welfare.condolence.city.recipients"), json!(1));
        assert_eq!(value("welfare.admission_bonus.children"), json!(2));
        assert_eq!(value("welfare.hardship.city.amount_fen"), Value::Null);
    });
}

#[test]
fn a_batch_moves_together_and_comes_to_its_control_totals() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, dengfeng, gaoxin) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let finance = host.user("finance", Role::Finance, Some("zz"));
        let cash = made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "春节慰问", "kind": "condolence", "form": "cash"})));
        let other = made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "助学", "kind": "student_aid", "form": "cash"})));
        let batch = made(clerk.post(
            BATCHES,
            &json!({"organization_id": dengfeng, "programme_id": cash.id(), "name": "2022 年春节慰问", "starts_on": "2022-01-20", "control_people": 3, "control_fen": 300_000}),
        ));
        assert_eq!(batch.body["totals"], json!({"records": 0, "people": 0, "fen": 0, "by_state": {}, "doubled": 0}));
        assert_eq!((&batch.body["year"], &batch.body["allowed_actions"]), (&json!(2022), &json!(["update", "delete"])));
        let path = format!("{BATCHES}/{}", batch.id());
        let draft = |organization: &Value, fen: i64| json!({"organization_id": organization, "batch_id": batch.id(), "people": 1, "amount_fen": fen, "channel": "own"});

        assert_eq!(step(&clerk, &path, "submit", &json!({})).code(), "step_not_allowed");
        assert_eq!(clerk.post(DISBURSEMENTS, &draft(&gaoxin, 1)).faults(), [("/batch_id", "batch_of_another_organization")]);
        let mut wrong = draft(&dengfeng, 1);
        wrong["programme_id"] = other.id().into();
        assert_eq!(clerk.post(DISBURSEMENTS, &wrong).faults(), [("/programme_id", "programme_disagrees_with_batch")]);
        let first = made(clerk.post(DISBURSEMENTS, &draft(&dengfeng, 100_000)));
        assert_eq!((&first.body["programme_id"], &first.body["year"]), (&json!(cash.id()), &json!(2022)));
        made(clerk.post(DISBURSEMENTS, &draft(&dengfeng, 100_000)));

        // A reader's copy of the batch is out of date, since its totals are.
        let known = batch.header("ETag").expect("a version").to_owned();
        let again = clerk.send("GET", &path, &[("If-None-Match", known.as_str())], None);
        assert_eq!((again.status, &again.body["totals"]["fen"]), (200, &json!(200_000)));

        for refused in [step(&clerk, &path, "submit", &json!({})), step(&clerk, &at(&first), "submit", &json!({}))] {
            assert_eq!((refused.status, refused.code()), (409, "conflict"), "{refused:?}");
            assert_eq!(refused.faults(), [("/control_people", "control_people_disagrees"), ("/control_fen", "control_fen_disagrees")]);
            let detail = refused.body["detail"].as_str().expect("a detail");
            assert!(["3 人", "2 人", "3000.00", "2000.00"].iter().all(|number| detail.contains(number)), "{detail}");
        }
        made(clerk.post(DISBURSEMENTS, &draft(&dengfeng, 100_000)));
        let cancelled = made(clerk.post(DISBURSEMENTS, &draft(&dengfeng, 7)));
        assert_eq!(step(&clerk, &at(&cancelled), "cancel", &json!({"reason": "重复"})).status, 200);

        let before = audits(host);
        let submitted = step(&clerk, &path, "submit", &json!({}));
        assert_eq!(submitted.status, 200, "{submitted:?}");
        assert_eq!(submitted.body["totals"]["by_state"], json!({"submitted": 3, "cancelled": 1}));
        assert_eq!((&submitted.body["totals"]["records"], &submitted.body["totals"]["people"]), (&json!(3), &json!(3)));
        assert_eq!(audits(host) - before, 4, "one event for each disbursement and one for the batch");
        // What the state allows and the clerk may: approving is another's.
        assert_eq!(submitted.body["allowed_actions"], json!(["update", "delete"]));
        assert_eq!(step(&clerk, &path, "submit", &json!({})).code(), "step_not_allowed");
        assert_eq!(
            clerk.patch(&path, submitted.header("ETag").expect("a version"), &json!({"organization_id": zz})).faults(),
            [("/organization_id", "batch_in_use")]
        );

        assert_eq!(step(&leader, &path, "return", &json!({"reason": "请补名单"})).body["totals"]["by_state"]["draft"], 3);
        assert_eq!(step(&clerk, &path, "submit", &json!({})).status, 200);
        grant(host, "clerk", Role::Leader);
        let both = host.sign_in("clerk", yiyong::auth::UserKind::Person);
        let refused = step(&both, &path, "approve", &json!({}));
        assert_eq!(refused.status, 403, "{refused:?}");
        assert_eq!(refused.body["disbursement_codes"].as_array().map(Vec::len), Some(3));
        assert_eq!(clerk.get(&path).body["totals"]["by_state"], json!({"submitted": 3, "cancelled": 1}));
        assert_eq!(step(&leader, &path, "approve", &json!({})).body["totals"]["by_state"]["approved"], 3);
        assert_eq!(step(&finance, &path, "deliver", &json!({})).code(), "step_not_allowed");
        let purse = purse(&finance, &leader, &zz, "unrestricted", 1_000_000);
        let paid = step(&finance, &path, "pay", &purse.paid("2022-01-28"));
        assert_eq!(paid.body["totals"]["by_state"], json!({"paid": 3, "cancelled": 1}), "{paid:?}");
        let rows =
            clerk.get(&format!("{DISBURSEMENTS}?batch_id={}&state=paid&paid_from=2022-01-28&paid_to=2022-01-28&count=true", batch.id()));
        assert_eq!(rows.body["total"], 3);
        assert!(
            rows.body["items"].as_array().is_some_and(|rows| rows.iter().all(|row| row["paid_by"].is_string() && row["version"] == 6)),
            "{rows:?}"
        );

        // Another county sees nothing of it.
        let elsewhere = host.user("gaoxin", Role::Clerk, Some("zz-gaoxin"));
        assert_eq!(elsewhere.get(&path).status, 404);
        assert_eq!(elsewhere.get(&at(&first)).status, 404);
        assert_eq!(elsewhere.post(DISBURSEMENTS, &draft(&gaoxin, 1)).faults(), [("/batch_id", "unknown_reference")]);
        assert_eq!(elsewhere.get(&format!("{DISBURSEMENTS}?count=true")).body["total"], 0);
        assert_eq!(clerk.delete(&path).code(), "still_referenced");
    });
}

/// Events of deeds: refusals are noted in their own time.
fn audits(host: &Host) -> i64 {
    let done = audit_events::table.filter(audit_events::action.ne("request"));
    host.service.db.run(false, |conn| Ok(done.count().get_result(conn)?)).expect("a count")
}

/// Whoever comes first: of many payments of one amount exactly one goes through.
#[test]
fn an_amount_is_paid_once() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let finance = host.user("finance", Role::Finance, Some("zz"));
        let cash = made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "救助", "kind": "hardship", "form": "cash"})));
        let batch = made(clerk.post(BATCHES, &json!({"organization_id": zz, "programme_id": cash.id(), "name": "一", "year": 2022})));
        let draft = json!({"organization_id": zz, "batch_id": batch.id(), "people": 1, "amount_fen": 5, "channel": "own"});
        let one = made(clerk.post(DISBURSEMENTS, &draft));
        made(clerk.post(DISBURSEMENTS, &draft));
        let together = format!("{BATCHES}/{}", batch.id());
        assert_eq!(step(&clerk, &together, "submit", &json!({})).status, 200);
        assert_eq!(step(&leader, &together, "approve", &json!({})).status, 200);
        let paths = [at(&one), together.clone()];
        let day = purse(&finance, &leader, &zz, "unrestricted", 10).paid("2022-03-01");
        let answers: Vec<(usize, u16)> = std::thread::scope(|threads| {
            let tries: Vec<_> = (0..16)
                .map(|n| {
                    let (finance, path, day) = (&finance, &paths[n % 2], &day);
                    threads.spawn(move || (n % 2, step(finance, path, "pay", day).status))
                })
                .collect();
            tries.into_iter().map(|tried| tried.join().expect("an answer")).collect()
        });
        assert!(answers.iter().all(|(_, status)| [200, 409, 412].contains(status)), "{answers:?}");
        let won = |which: usize| answers.iter().filter(|(of, status)| *of == which && *status == 200).count();
        // The single one is paid alone or with the batch; the other row waits where the batch lost.
        assert!(won(0) <= 1 && won(1) <= 1 && won(0) + won(1) >= 1, "{answers:?}");
        let totals = clerk.get(&together).body["totals"].clone();
        assert_eq!(totals["by_state"]["paid"], json!(if won(1) == 1 { 2 } else { won(0) }), "{answers:?} {totals}");
        let payments: i64 = host
            .service
            .db
            .run(false, |conn| {
                Ok(audit_events::table
                    .filter(audit_events::action.eq("pay"))
                    .filter(audit_events::resource.eq("disbursements"))
                    .count()
                    .get_result(conn)?)
            })
            .expect("a count");
        assert_eq!(json!(payments), totals["by_state"]["paid"], "each payment is told once");
    });
}

/// A county gives out of the city's programme, which stays the city's.
#[test]
fn a_county_gives_out_of_the_citys_programme() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, dengfeng, gaoxin) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let county = host.user("county", Role::WelfareOfficer, Some("zz-dengfeng"));
        let programme = |organization: &Value| {
            made(clerk.post(PROGRAMMES, &json!({"organization_id": organization, "name": "助学", "kind": "student_aid", "form": "cash"})))
        };
        let (above, beside) = (programme(&zz), programme(&gaoxin));
        let path = format!("{PROGRAMMES}/{}", above.id());
        let read = county.get(&path);
        assert_eq!((read.status, &read.body["allowed_actions"]), (200, &json!([])), "{read:?}");
        let list = county.get(&format!("{PROGRAMMES}?count=true"));
        assert_eq!((&list.body["total"], &list.body["items"][0]["id"]), (&json!(1), &json!(above.id())), "{list:?}");
        assert_eq!(list.body["items"][0]["allowed_actions"], json!([]));
        assert_eq!(county.patch(&path, "\"1\"", &json!({"name": "改"})).status, 404);
        assert_eq!(county.delete(&path).status, 404);
        assert_eq!(county.get(&format!("{PROGRAMMES}/{}", beside.id())).status, 404);

        let draft = |organization: &Value, programme: &Answer| json!({"organization_id": organization, "programme_id": programme.id(), "people": 1, "amount_fen": 5, "channel": "own", "year": 2022});
        let given = made(county.post(DISBURSEMENTS, &draft(&dengfeng, &above)));
        assert_eq!(county.patch(&at(&given), "\"1\"", &json!({"amount_fen": 6})).status, 200);
        assert_eq!(county.post(DISBURSEMENTS, &draft(&dengfeng, &beside)).faults(), [("/programme_id", "unknown_reference")]);
        assert_eq!(county.post(DISBURSEMENTS, &draft(&zz, &above)).faults(), [("/organization_id", "unknown_reference")]);
        let batch =
            made(county.post(BATCHES, &json!({"organization_id": dengfeng, "programme_id": above.id(), "name": "一", "year": 2022})));
        let renamed = county.patch(&format!("{BATCHES}/{}", batch.id()), "\"1\"", &json!({"name": "二"}));
        assert_eq!(renamed.status, 200, "{renamed:?}");
        let mut of_batch = draft(&dengfeng, &above);
        of_batch["batch_id"] = json!(batch.id());
        made(county.post(DISBURSEMENTS, &of_batch));

        // Money is not shared: what the city gives out of its programme is not the county's to see.
        let citys = made(clerk.post(DISBURSEMENTS, &draft(&zz, &above)));
        assert_eq!(county.get(&at(&citys)).status, 404);
        assert_eq!(county.get(&format!("{DISBURSEMENTS}?count=true")).body["total"], 2);
    });
}

/// A hero sees what they were given themselves, and a filter narrows that too.
#[test]
fn a_hero_sees_their_own() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, dengfeng) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let person = made(clerk.post("/api/v1/persons", &json!({"organization_id": zz, "name": "李大山"})));
        let cash = made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "救助", "kind": "hardship", "form": "cash"})));
        let draft = json!({"organization_id": zz, "programme_id": cash.id(), "amount_fen": 5, "channel": "own", "year": 2022});
        let own = made(clerk.post(DISBURSEMENTS, &draft));
        let another = made(clerk.post(DISBURSEMENTS, &draft));
        let hero = host.user("hero", Role::HeroFamily, Some("zz"));
        host.write_behind();
        host.service
            .db
            .run(false, |conn| {
                let (now, id, person): (_, _, Id) = (Instant::now(), Id::new(), person.id().parse().expect("an id"));
                let home: Id = zz.as_str().and_then(|id| id.parse().ok()).expect("an id");
                diesel::insert_into(heroes::table)
                    .values((
                        heroes::id.eq(id),
                        heroes::code.eq("h1"),
                        heroes::organization_id.eq(home),
                        heroes::person_id.eq(person),
                        heroes::status.eq("confirmed"),
                        heroes::version.eq(1),
                        heroes::created_at.eq(now),
                        heroes::updated_at.eq(now),
                    ))
                    .execute(conn)?;
                let given: Id = own.id().parse().expect("an id");
                use yiyong::schema::disbursements;
                diesel::update(disbursements::table.filter(disbursements::id.eq(given)))
                    .set(disbursements::hero_id.eq(Some(id)))
                    .execute(conn)?;
                diesel::update(users::table.filter(users::username.eq("hero"))).set(users::person_id.eq(Some(person))).execute(conn)?;
                Ok(())
            })
            .expect("a hero");
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        let seen = |query: &str| hero.get(&format!("{DISBURSEMENTS}?count=true{query}")).body["total"].clone();
        assert_eq!(seen(""), 1);
        assert_eq!(hero.get(&at(&own)).status, 200);
        assert_eq!(hero.get(&at(&own)).body["allowed_actions"], json!([]));
        assert_eq!(hero.get(&at(&another)).status, 404);
        assert_eq!(seen(&format!("&organization_id={}", zz.as_str().expect("an id"))), 1);
        assert_eq!(seen(&format!("&organization_id={}", dengfeng.as_str().expect("an id"))), 0);
        assert_eq!(seen("&organization_level=county"), 0);
        assert_eq!(hero.get(PROGRAMMES).body["items"], json!([]));
        assert_eq!(hero.get(BATCHES).body["items"], json!([]));
    });
}

/// From some amount on two leaders approve, of a county's money sooner than of the city's; and a batch is not cut into
/// pieces below it.
#[test]
fn a_large_amount_is_approved_by_two() {
    let limits = [("YIYONG_SECOND_APPROVAL_CITY_FEN", "1000"), ("YIYONG_SECOND_APPROVAL_COUNTY_FEN", "500")];
    on_each_database_with(&limits, |host| {
        let city = host.planted();
        let (zz, dengfeng) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let second = host.user("second", Role::Leader, Some("zz"));
        let finance = host.user("finance", Role::Finance, Some("zz"));
        grant(host, "second", Role::Finance);
        let own = purse(&finance, &leader, &zz, "unrestricted", 10_000);
        let cash = made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "救助", "kind": "hardship", "form": "cash"})));
        let draft = |of: &Value, fen: i64, channel: &str| json!({"organization_id": of, "programme_id": cash.id(), "people": 1, "amount_fen": fen, "channel": channel, "year": 2022});
        let submitted = |draft: &Value| {
            let path = at(&made(clerk.post(DISBURSEMENTS, draft)));
            assert_eq!(step(&clerk, &path, "submit", &json!({})).status, 200);
            path
        };
        for (of, fen, channel, state) in [
            (&zz, 999, "own", "approved"),
            (&zz, 1_000, "own", "first_approved"),
            (&dengfeng, 499, "own", "approved"),
            (&dengfeng, 500, "own", "first_approved"),
            (&zz, 1_000_000, "enterprise_direct", "approved"),
        ] {
            let answer = step(&leader, &submitted(&draft(of, fen, channel)), "approve", &json!({}));
            assert_eq!(answer.body["state"], state, "{fen} {channel}");
        }

        let path = submitted(&draft(&zz, 1_000, "own"));
        let first = step(&leader, &path, "approve", &json!({}));
        assert_eq!((&first.body["state"], &first.body["second_approved_by"]), (&json!("first_approved"), &Value::Null));
        assert_eq!(step(&finance, &path, "pay", &own.paid("2022-06-17")).code(), "step_not_allowed");
        let refused = step(&leader, &path, "approve", &json!({}));
        assert!(refused.status == 403 && refused.body["detail"].as_str().is_some_and(|d| d.contains("批准人")), "{refused:?}");
        // Sent back, it begins anew.
        let back = step(&second, &path, "return", &json!({"reason": "补材料"}));
        assert_eq!((&back.body["state"], &back.body["approved_by"]), (&json!("draft"), &Value::Null), "{back:?}");
        step(&clerk, &path, "submit", &json!({}));
        assert_eq!(step(&second, &path, "approve", &json!({})).body["state"], "first_approved");
        let both = step(&leader, &path, "approve", &json!({}));
        assert_eq!((both.status, &both.body["state"]), (200, &json!("approved")), "{both:?}");
        assert_ne!(both.body["approved_by"], both.body["second_approved_by"]);
        // Neither of the two pays.
        assert_eq!(step(&second, &path, "pay", &own.paid("2022-06-17")).status, 403);
        assert_eq!(step(&finance, &path, "pay", &own.paid("2022-06-17")).body["state"], "paid");

        // Pieces of a batch below the amount are a batch above it.
        let batch = made(clerk.post(BATCHES, &json!({"organization_id": zz, "programme_id": cash.id(), "name": "一批", "year": 2022})));
        let mut piece = draft(&zz, 400, "own");
        piece["batch_id"] = json!(batch.id());
        let pieces: Vec<String> = (0..3).map(|_| at(&made(clerk.post(DISBURSEMENTS, &piece)))).collect();
        let whole = format!("{BATCHES}/{}", batch.id());
        assert_eq!(step(&clerk, &whole, "submit", &json!({})).status, 200);
        assert_eq!(step(&leader, &pieces[0], "approve", &json!({})).body["state"], "first_approved");
        let answer = step(&leader, &whole, "approve", &json!({}));
        assert_eq!(answer.body["totals"]["by_state"], json!({"first_approved": 3}), "{answer:?}");
        assert_eq!(step(&leader, &whole, "approve", &json!({})).status, 403);
        assert_eq!(step(&second, &whole, "approve", &json!({})).body["totals"]["by_state"], json!({"approved": 3}));
        assert_eq!(step(&finance, &whole, "pay", &own.paid("2022-06-17")).body["totals"]["by_state"], json!({"paid": 3}));
        crate::ledger::clean(host);
    });
}

/// The help to one family stands together; who is helped twice in the same way is told before it is approved; a roster
/// names nobody twice; and whoever's title is revoked meanwhile is given nothing more.
#[test]
fn nobody_is_helped_twice_unseen() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let officer = host.user("officer", Role::WelfareOfficer, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let finance = host.user("finance", Role::Finance, Some("zz"));
        let person = |name: &str| made(city.post("/api/v1/persons", &json!({"organization_id": zz, "name": name}))).id().to_owned();
        let hero = |person: &str| made(city.post("/api/v1/heroes", &json!({"organization_id": zz, "person_id": person}))).id().to_owned();
        let (father, son, other) = (person("王大山"), person("王小山"), person("李小明"));
        let (first, second) = (hero(&father), hero(&son));
        let child =
            made(city.post("/api/v1/dependants", &json!({"organization_id": zz, "person_id": son, "hero_id": first, "relation": "child"})));
        let stranger = hero(&other);
        let programme = |name: &str, kind: &str| {
            made(officer.post(PROGRAMMES, &json!({"organization_id": zz, "name": name, "kind": kind, "form": "cash"}))).id().to_owned()
        };
        let (spring, hardship) = (programme("慰问", "condolence"), programme("救助", "hardship"));
        let batch = |programme: &str| {
            let draft = json!({"organization_id": zz, "programme_id": programme, "name": "一批", "year": 2022});
            made(officer.post(BATCHES, &draft)).id().to_owned()
        };
        let (one, another) = (batch(&spring), batch(&spring));
        let give = |more: Value| {
            let mut draft = json!({"organization_id": zz, "amount_fen": 100, "channel": "own", "year": 2022});
            draft.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            made(officer.post(DISBURSEMENTS, &draft))
        };
        // The son is helped as the hero's child in one batch, and as a hero of his own in the other.
        give(json!({"batch_id": one, "hero_id": first}));
        give(json!({"batch_id": one, "dependant_id": child.id()}));
        give(json!({"batch_id": another, "hero_id": second}));
        let strange = give(json!({"batch_id": another, "hero_id": stranger}));
        give(json!({"programme_id": hardship, "dependant_id": child.id()}));

        let total = |query: &str| officer.get(&format!("{DISBURSEMENTS}?{query}&count=true")).body["total"].clone();
        assert_eq!((total(&format!("family_of={first}")), total(&format!("family_of={second}"))), (json!(3), json!(1)));
        assert_eq!((total("doubled=true"), total("doubled=false")), (json!(2), json!(3)));
        let path = format!("{BATCHES}/{one}");
        assert_eq!(officer.get(&path).body["totals"]["doubled"], 1);
        assert_eq!(officer.get(BATCHES).body["items"][0]["totals"]["doubled"], Value::Null);

        // Twice in one roster is refused, by name, whichever part they have in it.
        let again = give(json!({"batch_id": one, "hero_id": second}));
        let refused = step(&officer, &path, "submit", &json!({}));
        assert_eq!((refused.status, refused.code()), (409, "conflict"), "{refused:?}");
        assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains("王小山 ×2")), "{refused:?}");
        assert_eq!(step(&officer, &at(&again), "submit", &json!({})).code(), "conflict");
        assert_eq!(step(&officer, &at(&again), "cancel", &json!({"reason": "重复"})).status, 200);
        assert_eq!(step(&officer, &path, "submit", &json!({})).status, 200);

        // A title that is revoked in the middle stops what waits, alone and with its batch.
        let rest = format!("{BATCHES}/{another}");
        assert_eq!(step(&officer, &rest, "submit", &json!({})).status, 200);
        assert_eq!(step(&leader, &rest, "approve", &json!({})).status, 200);
        let revoked = json!({"revoked_on": "2022-06-17", "document_number": "郑义〔2022〕9号", "reason": "事迹不实"});
        assert_eq!(city.post(&format!("/api/v1/heroes/{stranger}/revoke"), &revoked).status, 200);
        let own = purse(&finance, &leader, &zz, "unrestricted", 10_000);
        for path in [at(&strange), rest] {
            let refused = step(&finance, &path, "pay", &own.paid("2022-06-18"));
            assert_eq!((refused.status, &refused.body["disbursement_codes"]), (409, &json!([strange.code()])), "{refused:?}");
        }
        assert_eq!(own.balances(&finance), (10_000, 10_000));
        assert_eq!(step(&officer, &at(&strange), "cancel", &json!({"reason": "称号已撤销"})).status, 200);
        crate::ledger::clean(host);
    });
}
