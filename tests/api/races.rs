//! Many hands on the same money at once: each step of each disbursement is taken once, a budget never covers more than it
//! has, and whoever is too late is told so and not that the service has failed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use yiyong::policy::Role;

use crate::consents::id_number;
use crate::hosts::{Answer, Client, on_each_database};
use crate::ledger::{clean, purse, submitted};
use crate::welfare::{PROGRAMMES, made, organization};

const CLIENTS: usize = 64;
/// Of each client; `YIYONG_TRIES=1000` takes some minutes.
const TRIES: usize = 16;
/// Tries of each client until the next pair of disbursements comes.
const ROUND: usize = 8;

/// Two scripts bring the same records at the same moment, one from the last to the first: each record is there once, neither is
/// told of a failure, and both hear what became of each row.
#[test]
fn two_imports_of_the_same_records_at_once() {
    const ROWS: usize = 2_500;
    on_each_database(|host| {
        let beside = host.is_postgres().then(|| host.beside(&[]));
        host.planted();
        let names = ["one", "other"];
        let clients = names.map(|name| host.user(name, Role::Service, Some("zz")));
        for (round, on_error) in ["abort", "skip", "abort"].into_iter().enumerate() {
            let team = |n: usize| format!("r{round}-{n},zz-dengfeng,school,2022-05-01\n");
            let header = "code,organization_code,base_kind,established_on\n";
            let files = [(0..ROWS).map(team).collect::<String>(), (0..ROWS).rev().map(team).collect::<String>()];
            let together = Barrier::new(2);
            let reports = std::thread::scope(|threads| {
                let senders: Vec<_> = clients
                    .iter()
                    .zip(&files)
                    .enumerate()
                    .map(|(place, (client, rows))| {
                        let server = beside.as_ref().filter(|_| place == 1).unwrap_or(host);
                        let (client, together) = (client.elsewhere(&server.base), &together);
                        threads.spawn(move || {
                            together.wait();
                            client.import(
                                "volunteer-teams",
                                format!("{header}{rows}").as_bytes(),
                                &[("mode", "upsert"), ("on_error", on_error)],
                            )
                        })
                    })
                    .collect();
                senders.into_iter().map(|sender| sender.join().expect("an answer")).collect::<Vec<_>>()
            });
            let told = |name: &str| reports.iter().map(|report| report.body[name].as_u64().unwrap_or_default()).sum::<u64>();
            assert!(reports.iter().all(|report| report.status == 201 && report.body["outcome"] == "completed"), "{on_error}: {reports:?}");
            assert_eq!([told("rows_created"), told("rows_unchanged"), told("rows_failed")], [ROWS as u64, ROWS as u64, 0], "{reports:?}");
            let there = clients[0].get("/api/v1/volunteer-teams?count=true&limit=1");
            assert_eq!(there.body["total"], json!((round + 1) * ROWS));
        }
        clean(host);
    });
}

/// Two disbursements at a time, a budget with room for one of them, and everybody tries every step on both.
#[test]
fn each_step_is_taken_once_and_the_budget_is_kept() {
    let tries = std::env::var("YIYONG_TRIES").ok().and_then(|text| text.parse().ok()).unwrap_or(TRIES);
    on_each_database(|host| {
        let beside = host.is_postgres().then(|| host.beside(&[]));
        let city = host.planted();
        let zz = organization(&city, "zz");
        let people = [("clerk", Role::Clerk), ("leader", Role::Leader), ("finance", Role::Finance), ("other", Role::Finance)];
        let [clerk, leader, finance, other] = people.map(|(name, role)| host.user(name, role, Some("zz")));
        let own = purse(&finance, &leader, &zz, "unrestricted", 1_000);
        let budget = json!({"organization_id": zz, "year": 2022, "programme_kind": "hardship", "planned_fen": 100});
        let budget = format!("/api/v1/budgets/{}", made(finance.post("/api/v1/budgets", &budget)).id());
        let programme = made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "救助", "kind": "hardship", "form": "cash"})));
        let draft =
            json!({"organization_id": zz, "programme_id": programme.id(), "people": 1, "amount_fen": 100, "channel": "own", "year": 2022});
        let paths: Vec<String> = (0..2 * tries.div_ceil(ROUND)).map(|_| submitted(&clerk, &draft)).collect();
        let paid = own.paid("2022-06-17").to_string();
        let reversed = json!({"reason": "退回", "reversed_on": "2022-06-20"}).to_string();
        let steps: [(&str, &Client<'_>, &str); 3] = [("approve", &leader, "{}"), ("pay", &finance, &paid), ("reverse", &other, &reversed)];
        // How often each step of each disbursement was taken.
        let taken: Vec<[AtomicUsize; 3]> = paths.iter().map(|_| Default::default()).collect();
        let (refused, over, wrong) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(Vec::<String>::new()));
        let together = Barrier::new(CLIENTS);
        std::thread::scope(|threads| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let server = beside.as_ref().filter(|_| client % 2 == 1).unwrap_or(host);
                    let steps = steps.map(|(name, who, body)| (name, who.elsewhere(&server.base), body));
                    let (paths, taken, refused, wrong, together) = (&paths, &taken, &refused, &wrong, &together);
                    threads.spawn(move || {
                        let mut random = StdRng::seed_from_u64(client as u64);
                        for attempt in 0..tries {
                            if attempt % ROUND == 0 {
                                together.wait();
                            }
                            let place = 2 * (attempt / ROUND) + random.random_range(0..2);
                            let step = random.random_range(0..3);
                            let (name, who, body) = &steps[step];
                            let key = format!("{client}-{attempt}");
                            let mut headers = vec![("Content-Type", "application/json"), ("Idempotency-Key", key.as_str())];
                            // Some say which version they mean: when submitted it is the second.
                            let version = format!("\"{}\"", 2 + step);
                            if random.random_bool(0.3) {
                                headers.push(("If-Match", &version));
                            }
                            let answer = who.send("POST", &format!("{}/{name}", paths[place]), &headers, Some(body.as_bytes()));
                            match answer.status {
                                200 => {
                                    taken[place][step].fetch_add(1, Ordering::Relaxed);
                                }
                                409 | 412 | 429 => {
                                    refused.fetch_add(1, Ordering::Relaxed);
                                }
                                // Not here: the others wait for this client.
                                _ => wrong.lock().expect("a list").push(format!("{name}: {answer:?}")),
                            }
                        }
                    })
                })
                .collect();
            // Whoever looks meanwhile sees the budget kept.
            let (looking, over, budget) = (finance.elsewhere(&host.base), &over, &budget);
            let watching = threads.spawn(move || {
                let mut looks = 0;
                while !over.load(Ordering::Relaxed) {
                    let seen = looking.get(budget);
                    assert!(seen.body["left_fen"].as_i64().is_some_and(|left| left >= 0), "{seen:?}");
                    looks += 1;
                }
                looks
            });
            clients.into_iter().for_each(|client| client.join().expect("an end"));
            over.store(true, Ordering::Relaxed);
            assert!(watching.join().expect("kept") > 0);
        });
        let wrong = wrong.into_inner().expect("a list");
        assert!(wrong.is_empty(), "{} of {}: {:?}", wrong.len(), CLIENTS * tries, wrong.first());
        let count = |place: usize, step: usize| taken[place][step].load(Ordering::Relaxed);
        let mut standing = 0;
        for (place, path) in paths.iter().enumerate() {
            let times: Vec<usize> = (0..3).map(|step| count(place, step)).collect();
            let state = clerk.get(path).body["state"].clone();
            let expected = match times[..] {
                [0, 0, 0] => "submitted",
                [1, 0, 0] => "approved",
                [1, 1, 0] => "paid",
                [1, 1, 1] => "reversed",
                _ => panic!("{path}: {times:?}"),
            };
            assert_eq!(state, expected, "{path}");
            standing += i64::from(expected == "approved" || expected == "paid");
        }
        let won: usize = taken.iter().flatten().map(|times| times.load(Ordering::Relaxed)).sum();
        assert_eq!(won + refused.load(Ordering::Relaxed), CLIENTS * tries);
        assert!((0..paths.len()).any(|place| count(place, 2) == 1), "nothing went all the way: {taken:?}");
        let kept = finance.get(&budget);
        assert_eq!(kept.body["left_fen"].as_i64(), Some(100 - 100 * standing), "{kept:?}");
        clean(host);
    });
}

/// The same request comes to every server at once, as a proxy and an impatient client send it: it is done once, and everybody is
/// answered as the first was, whether or not it could be done again.
#[test]
fn a_key_is_one_deed_on_every_server() {
    const ROUNDS: usize = 12;
    const SENDERS: usize = 8;
    on_each_database(|host| {
        let beside = host.is_postgres().then(|| host.beside(&[]));
        let city = host.planted();
        let zz = organization(&city, "zz");
        let total = || city.get("/api/v1/persons?count=true&limit=1").body["total"].as_u64().expect("a total");
        let begun = total();
        let send = |client: &Client<'_>, key: &str, body: &Value| {
            let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
            client.send("POST", "/api/v1/persons", &headers, Some(body.to_string().as_bytes()))
        };
        let together = Barrier::new(SENDERS);
        let bodies: Vec<Value> = (0..ROUNDS)
            .map(|round| {
                // Every second could be done twice but for the key.
                let number = (round % 2 == 0).then(|| id_number("19850312", &format!("{round:03}")));
                json!({"organization_id": zz, "name": format!("王{round}"), "id_number": number})
            })
            .collect();
        let answers: Vec<Vec<Answer>> = std::thread::scope(|threads| {
            let clients: Vec<_> = (0..SENDERS)
                .map(|client| {
                    let server = beside.as_ref().filter(|_| client % 2 == 1).unwrap_or(host);
                    let who = city.elsewhere(&server.base);
                    let (together, bodies, send) = (&together, &bodies, &send);
                    threads.spawn(move || {
                        let one = |(round, body): (usize, &Value)| {
                            together.wait();
                            send(&who, &format!("round-{round}"), body)
                        };
                        bodies.iter().enumerate().map(one).collect()
                    })
                })
                .collect();
            clients.into_iter().map(|client| client.join().expect("its answers")).collect()
        });
        for (round, body) in bodies.iter().enumerate() {
            let of_round: Vec<&Answer> = answers.iter().map(|of_client| &of_client[round]).collect();
            let done: Vec<&&Answer> = of_round.iter().filter(|answer| answer.status == 201).collect();
            assert!(of_round.iter().all(|answer| answer.status == 201 || answer.code() == "request_in_progress"), "{of_round:?}");
            assert_eq!(done.iter().filter(|answer| answer.header("Idempotent-Replayed").is_none()).count(), 1, "{of_round:?}");
            assert!(done.iter().all(|answer| answer.body == done[0].body), "{done:?}");
            let key = format!("round-{round}");
            let again = send(&city, &key, body);
            assert_eq!((again.header("Idempotent-Replayed"), &again.body), (Some("true"), &done[0].body), "{again:?}");
            let other = send(&city, &key, &json!({"organization_id": zz, "name": "张三"}));
            assert_eq!((other.status, other.code()), (422, "idempotency_mismatch"), "{other:?}");
            assert!(other.body["detail"].as_str().is_some_and(|detail| detail.contains("请换一个键")), "{other:?}");
        }
        assert_eq!(total(), begun + ROUNDS as u64);
        clean(host);
    });
}

/// One hand changes a record while another deletes what it has read: never both.
#[test]
fn what_is_changed_meanwhile_is_not_deleted() {
    const ROUNDS: usize = 60;
    on_each_database(|host| {
        let beside = host.is_postgres().then(|| host.beside(&[]));
        let city = host.planted();
        let other = city.elsewhere(&beside.as_ref().unwrap_or(host).base);
        let zz = organization(&city, "zz");
        let together = Barrier::new(2);
        let (mut changed, mut deleted) = (0, 0);
        for _ in 0..ROUNDS {
            let record = made(city.post("/api/v1/hero-groups", &json!({"organization_id": zz, "name": "三勇士"})));
            let path = format!("/api/v1/hero-groups/{}", record.id());
            let (patch, delete) = std::thread::scope(|threads| {
                let patch = threads.spawn(|| {
                    together.wait();
                    city.patch(&path, "\"1\"", &json!({"name": "四勇士"})).status
                });
                together.wait();
                let delete = other.send("DELETE", &path, &[("If-Match", "\"1\"")], None).status;
                (patch.join().expect("an answer"), delete)
            });
            match (patch, delete) {
                (200, 412) => changed += 1,
                (404 | 412, 204) => deleted += 1,
                both => panic!("changed and deleted: {both:?}"),
            }
            assert_eq!(city.get(&path).status, if patch == 200 { 200 } else { 404 });
        }
        assert!(changed + deleted == ROUNDS, "{changed} {deleted}");
    });
}
