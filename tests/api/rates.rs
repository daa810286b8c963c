//! How often a caller may ask, and what those are told who ask more often.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use diesel::connection::SimpleConnection;
use serde_json::json;
use yiyong::auth::UserKind;
use yiyong::policy::Role;

use crate::hosts::{Answer, Host, on_each_database_with};

const ORGANIZATIONS: &str = "/api/v1/organizations";
const NOTICES: &str = "/api/v1/public/notices";

fn left(answer: &Answer) -> u32 {
    let rate = answer.header("RateLimit").unwrap_or_else(|| panic!("no rate: {answer:?}"));
    let left = rate.split(';').find_map(|part| part.strip_prefix("r=")).expect("what is left");
    left.parse().expect("a number")
}

/// A script that has gone wrong reads all the time: it is told to wait, and nobody else waits for it.
#[test]
fn who_asks_too_often_waits_and_nobody_else() {
    let settings = [("YIYONG_READS_A_MINUTE", "4"), ("YIYONG_SENSITIVE_A_MINUTE", "1")];
    on_each_database_with(&settings, |host| {
        let city = host.planted();
        let person =
            city.post("/api/v1/persons", &json!({"organization_id": of_city(host), "name": "李晓明", "id_number": "110101199003074610"}));
        assert_eq!(person.status, 201, "{person:?}");
        let script = host.user("script", Role::OrgAdmin, Some("zz"));
        let first = script.get(ORGANIZATIONS);
        assert_eq!((first.status, first.header("RateLimit-Policy")), (200, Some("\"read\";q=4;w=60")));
        assert_eq!(left(&first), 3);
        // What was refused for another reason counts as well.
        assert_eq!(left(&script.get(&format!("{ORGANIZATIONS}?nonsense=1"))), 2);
        assert_eq!(left(&script.send("HEAD", ORGANIZATIONS, &[], None)), 1);
        assert_eq!(left(&script.get(ORGANIZATIONS)), 0);
        let refused = script.send("GET", ORGANIZATIONS, &[("Accept-Language", "en")], None);
        assert_eq!((refused.status, refused.code(), left(&refused)), (429, "too_many_requests", 0));
        let wait: u32 = refused.header("Retry-After").and_then(|text| text.parse().ok()).expect("seconds");
        assert!((1..=15).contains(&wait), "{refused:?}");
        assert_eq!(refused.body["detail"], format!("at most 4 reads a minute; try again in {wait} s"));
        assert!(script.get(ORGANIZATIONS).body["detail"].as_str().is_some_and(|text| text.starts_with("读取每分钟最多 4 次；请在")));

        assert!((0..8).all(|_| script.get(ORGANIZATIONS).status == 429));

        // Its writes, and what others read, go on; so does what is sensitive, once.
        let made = script.post(ORGANIZATIONS, &json!({}));
        assert_eq!((made.status, made.header("RateLimit-Policy")), (422, Some("\"write\";q=1000000;w=60")));
        assert_eq!(host.user("other", Role::Auditor, Some("zz")).get(ORGANIZATIONS).status, 200);
        let reveal = || script.post(&format!("/api/v1/persons/{}/reveal", person.id()), &json!({"reason": "核对身份证号与银行资料"}));
        let shown = reveal();
        assert_eq!((shown.status, shown.header("RateLimit-Policy")), (200, Some("\"sensitive\";q=1;w=60")), "{shown:?}");
        assert_eq!(reveal().status, 429);

        // Whoever looks after the service sees it: once for each route, not once for each request.
        // It is written while the answer is on its way, so it is asked for again; at another server, which counts for itself.
        let watching = host.beside(&[]);
        let platform = host.sign_in("platform", UserKind::Person);
        let platform = platform.elsewhere(&watching.base);
        let events = || platform.get("/api/v1/audit-events?outcome=refused&resource=organizations").body["items"].clone();
        let told = (0..500).map(|_| events()).find(|events| events != &json!([])).expect("an event");
        let told = told.as_array().expect("events");
        // Of each minute the first, and at its end how many more: a minute may have ended meanwhile.
        assert!(told.len() <= 4 && told.iter().all(|event| event["detail"]["code"] == "too_many_requests"), "{told:?}");
    });
}

fn of_city(host: &Host) -> String {
    host.sign_in("platform", UserKind::Person).get(&format!("{ORGANIZATIONS}?code=zz")).body["items"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

/// Without a token the address counts, whatever is asked; a page in a browser can read why it has to wait.
#[test]
fn nobody_is_counted_by_the_address() {
    on_each_database_with(&[("YIYONG_PUBLIC_A_MINUTE", "4")], |host| {
        let nobody = host.nobody();
        let open = nobody.get(NOTICES);
        assert_eq!((open.status, open.header("RateLimit-Policy"), left(&open)), (200, Some("\"public\";q=4;w=60"), 3));
        assert_eq!((nobody.get(ORGANIZATIONS).status, nobody.get("/health/live").header("RateLimit")), (401, None));
        // Neither a token that is none nor one that isn't asked for opens another purse.
        let liar = host.holding("no.token.atall");
        let told = liar.get(ORGANIZATIONS);
        assert_eq!((told.status, left(&told)), (401, 1));
        assert_eq!(left(&liar.get(NOTICES)), 0);
        let browser = [("Origin", "https://office.example.cn")];
        let refused = nobody.send("GET", NOTICES, &browser, None);
        assert_eq!(
            (refused.status, refused.header("Access-Control-Allow-Origin")),
            (429, Some("https://office.example.cn")),
            "{refused:?}"
        );
        let exposed = refused.header("Access-Control-Expose-Headers").expect("headers").to_lowercase();
        assert!(exposed.contains("retry-after") && exposed.contains("ratelimit"), "{exposed}");
        assert_eq!(liar.get(ORGANIZATIONS).status, 429);
        assert_eq!(nobody.post("/api/v1/auth/login", &json!({"username": "a", "password": "b"})).status, 429);
        assert_eq!((nobody.get("/health/ready").status, nobody.get("/docs/").status), (200, 200));
    });
}

/// Two servers that count together: whichever is asked, it is one rate; raced, it stays one.
#[test]
fn servers_that_share_their_rates_give_one() {
    let settings = [("YIYONG_READS_A_MINUTE", "30"), ("YIYONG_RATES_SHARED", "true")];
    on_each_database_with(&settings, |host| {
        let begun = Instant::now();
        let other = host.beside(&settings);
        host.planted();
        let here = host.user("script", Role::Auditor, Some("zz"));
        let there = here.elsewhere(&other.base);
        assert_eq!(here.get(ORGANIZATIONS).status, 200);
        let given = AtomicU32::new(1);
        std::thread::scope(|scope| {
            for client in [&here, &there, &here, &there] {
                let given = &given;
                scope.spawn(move || {
                    for _ in 0..15 {
                        if client.get(ORGANIZATIONS).status == 200 {
                            given.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let given = given.into_inner();
        let came_in = u32::try_from(begun.elapsed().as_secs() / 2).expect("a number") + 1;
        assert!((30..=30 + came_in).contains(&given), "{given} of 30, and {came_in} that came in");

        // A rate must not take down what it protects: where it can't be asked, each server counts for itself.
        host.service.db.run(false, |conn| Ok(conn.batch_execute("DROP TABLE rates")?)).expect("dropped");
        let late = host.user("late", Role::Auditor, Some("zz"));
        let answer = late.get(ORGANIZATIONS);
        assert_eq!((answer.status, left(&answer)), (200, 29), "{answer:?}");
    });
}
