//! Monthly returns: what counties are asked for, what they declare beside what their records say, and what becomes of it.

use chrono::{Days, NaiveDate};
use diesel::prelude::*;
use serde_json::{Value, json};
use yiyong::policy::Role;
use yiyong::resources::monthly_returns::calendar::{self, Brought};
use yiyong::schema::{monthly_returns as t, return_rounds};
use yiyong::types::{Instant, business_today};

use crate::hosts::{Answer, Client, on_each_database};
use crate::webhooks::{Telling, settled, until};
use crate::welfare::{made, organization};

pub const FORMS: &str = "/api/v1/return-forms";
pub const ROUNDS: &str = "/api/v1/return-rounds";
pub const RETURNS: &str = "/api/v1/monthly-returns";
const TEAMS: &str = "four_ones.volunteer_teams";
const VOLUNTEERS: &str = "four_ones.volunteers";
const NEWS: &str = "publicity.media.news_story";

pub fn done(answer: Answer) -> Answer {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// A published form of the city's.
pub fn form(city: &Client<'_>, more: &Value) -> Answer {
    let mut draft = json!({"organization_id": organization(city, "zz"), "key": "four-ones", "title": "“四个一工程”月报表",
        "figures": [TEAMS, VOLUNTEERS, NEWS], "jump_percent": 50});
    draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    let form = made(city.post(FORMS, &draft));
    done(city.post(&format!("{FORMS}/{}/publish", form.id()), &json!({})))
}

/// A round, with all its returns there.
pub fn opened(city: &Client<'_>, form: &Answer, month: &str) -> Answer {
    let round = made(city.post(ROUNDS, &json!({"form_id": form.id(), "month": month})));
    let path = format!("{ROUNDS}/{}", round.id());
    until("the round is open", || city.get(&path).body["state"] == "open");
    city.get(&path)
}

/// The return of whoever asks, for a month.
pub fn of_month(county: &Client<'_>, month: &str) -> Answer {
    let found = county.get(&format!("{RETURNS}?month={month}"));
    let id = found.body["items"][0]["id"].as_str().unwrap_or_else(|| panic!("no return: {found:?}")).to_owned();
    county.get(&format!("{RETURNS}/{id}"))
}

pub fn step(client: &Client<'_>, of: &Answer, action: &str, body: &Value) -> Answer {
    client.post(&format!("{RETURNS}/{}/{action}", of.id()), body)
}

pub fn declare(client: &Client<'_>, of: &Answer, cells: &Value) -> Answer {
    client.patch(&format!("{RETURNS}/{}", of.id()), of.header("ETag").expect("a version"), &json!({"cells": cells}))
}

/// What a figure's cell tells: computed and declared.
fn cell(of: &Answer, figure: &str) -> (Value, Value) {
    let cells = of.body["cells"].as_array().expect("cells");
    let cell = cells.iter().find(|cell| cell["figure"] == figure).expect("the figure");
    (cell["computed"].clone(), cell["declared"].clone())
}

fn teams(city: &Client<'_>, county: &str, established: &[&str]) {
    let mut csv = "organization_code,base_kind,established_on\n".to_owned();
    for day in established {
        csv.push_str(&format!("{county},school,{day}\n"));
    }
    let done = city.import("volunteer-teams", csv.as_bytes(), &[]);
    assert_eq!(done.body["rows_created"], established.len(), "{done:?}");
}

fn story(city: &Client<'_>, county: &str, told: &str, quantity: i64) -> Answer {
    let item = json!({"organization_id": organization(city, county), "kind": "news_story", "title": "见义勇为",
                      "published_on": told, "quantity": quantity});
    made(city.post("/api/v1/media-items", &item))
}

#[test]
fn a_county_declares_beside_what_its_records_say() {
    on_each_database(|host| {
        let city = host.planted();
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let second = host.user("second", Role::Clerk, Some("zz-dengfeng"));
        let other = host.user("other", Role::Clerk, Some("zz-gaoxin"));
        let reviewer = host.user("reviewer", Role::Clerk, Some("zz"));
        teams(&city, "zz-dengfeng", &["2022-05-31", "2022-06-30", "2022-07-01"]);
        teams(&city, "zz-gaoxin", &["2022-01-01"]);
        story(&city, "zz-dengfeng", "2022-05-31", 100);
        story(&city, "zz-dengfeng", "2022-06-01", 3);
        story(&city, "zz-dengfeng", "2022-06-30", 4);

        let form = form(&city, &json!({}));
        let round = opened(&city, &form, "2022-06");
        assert_eq!(round.body["due_on"], "2022-07-05");
        assert_eq!((&round.body["counts"]["returns"], &round.body["counts"]["missing"]), (&json!(2), &json!(2)));

        // Filled in as of the month's end: a stock on its last day, a flow within it, and what nobody has told is unknown.
        let june = of_month(&clerk, "2022-06");
        assert_eq!(cell(&june, TEAMS), (json!(2), json!(2)));
        assert_eq!(cell(&june, VOLUNTEERS), (json!(0), json!(0)));
        assert_eq!(cell(&june, NEWS), (json!(7), json!(7)));
        assert_eq!(cell(&of_month(&other, "2022-06"), NEWS), (Value::Null, Value::Null));
        assert_eq!((&june.body["state"], &june.body["timeliness"]), (&json!("open"), &json!("missing")));
        // The records behind a figure are its list.
        let url = june.body["cells"][2]["records_url"].as_str().expect("an address").to_owned();
        assert_eq!(clerk.get(&format!("{url}&count=true")).body["total"], 2);

        // Another number wants a reason: told for every figure at once, with what the records say.
        let changed = done(declare(&clerk, &june, &json!([{"figure": TEAMS, "declared": 3}, {"figure": NEWS, "declared": null}])));
        assert_eq!(changed.body["differing"], 2);
        let refused = step(&clerk, &june, "submit", &json!({}));
        assert_eq!(
            (refused.status, refused.faults()),
            (409, vec![("/cells/0/reason", "reason_needed"), ("/cells/2/reason", "reason_needed")])
        );
        assert!(refused.body["errors"][0]["message"].as_str().expect("words").contains("记录算得 2"), "{refused:?}");
        let cells = json!([{"figure": TEAMS, "declared": 3, "reason": "新队伍的档案下月补录"}, {"figure": NEWS, "declared": 7}]);
        let mended = done(declare(&clerk, &changed, &cells));
        // A figure that the form doesn't ask for is refused, and nothing is changed.
        let foreign = declare(&clerk, &mended, &json!([{"figure": TEAMS, "declared": 9}, {"figure": "nothing", "declared": 1}]));
        assert_eq!((foreign.status, foreign.faults()), (422, vec![("/cells/1/figure", "not_in_the_form")]));
        assert_eq!(cell(&of_month(&clerk, "2022-06"), TEAMS), (json!(2), json!(3)));
        let submitted = done(step(&clerk, &june, "submit", &json!({})));
        assert_eq!((&submitted.body["state"], &submitted.body["timeliness"]), (&json!("submitted"), &json!("late")));
        assert_eq!(declare(&clerk, &submitted, &json!([])).code(), "step_not_allowed");

        // A county decides upon nobody's return; another doesn't even see it.
        assert_eq!(step(&second, &june, "accept", &json!({})).status, 403);
        assert_eq!(step(&second, &june, "return", &json!({"reason": "核对"})).status, 403);
        assert_eq!(other.get(&format!("{RETURNS}/{}", june.id())).status, 404);
        assert_eq!(step(&other, &june, "accept", &json!({})).status, 404);

        // Sent back with what is to be said of a figure, mended, submitted, accepted.
        let unknown = step(&reviewer, &june, "return", &json!({"reason": "核对", "cells": [{"figure": "nothing", "objection": "核对"}]}));
        assert_eq!((unknown.status, unknown.faults()), (422, vec![("/cells/0/figure", "not_in_the_form")]));
        let objection = json!({"reason": "请核对队伍数", "cells": [{"figure": TEAMS, "objection": "名单上只有两支"}]});
        let back = done(step(&reviewer, &june, "return", &objection));
        assert_eq!((&back.body["state"], &back.body["cells"][0]["objection"]), (&json!("returned"), &json!("名单上只有两支")));
        teams(&city, "zz-dengfeng", &["2022-06-15"]);
        done(step(&clerk, &june, "prefill", &json!({})));
        assert_eq!(cell(&of_month(&clerk, "2022-06"), TEAMS), (json!(3), json!(3)), "what the county declared is now what the records say");
        let again = done(step(&clerk, &june, "submit", &json!({})));
        assert_eq!(again.body["cells"][0]["objection"], Value::Null);
        let accepted = done(step(&reviewer, &june, "accept", &json!({})));
        assert_eq!(accepted.body["state"], "accepted");
        // Locked: records that come later change nothing in it.
        teams(&city, "zz-dengfeng", &["2022-06-16"]);
        assert_eq!(cell(&of_month(&clerk, "2022-06"), TEAMS), (json!(3), json!(3)));
        assert_eq!(declare(&clerk, &accepted, &json!([])).code(), "step_not_allowed");
        assert_eq!(step(&clerk, &june, "submit", &json!({})).code(), "step_not_allowed");

        // Amended in the open: what was accepted is kept.
        assert_eq!(step(&clerk, &june, "amend", &json!({"reason": " "})).faults(), [("/reason", "required")]);
        let amended = done(step(&clerk, &june, "amend", &json!({"reason": "漏报一支队伍"})));
        assert_eq!((&amended.body["revision"], &amended.body["state"]), (&json!(2), &json!("open")));
        done(step(&clerk, &june, "prefill", &json!({})));
        done(step(&clerk, &june, "submit", &json!({})));
        let accepted = done(step(&reviewer, &june, "accept", &json!({})));
        assert_eq!(cell(&accepted, TEAMS), (json!(4), json!(4)));
        let kept = &accepted.body["revisions"][0];
        assert_eq!((&kept["revision"], &kept["reason"], &kept["cells"][0]["declared"]), (&json!(1), &json!("漏报一支队伍"), &json!(3)));

        // The round tells how all of it stands, and so does the list.
        let round = city.get(&format!("{ROUNDS}/{}", round.id()));
        let counts = &round.body["counts"];
        assert_eq!((&counts["accepted"], &counts["late"], &counts["missing"]), (&json!(1), &json!(1), &json!(1)));
        assert_eq!(city.get(&format!("{RETURNS}?timeliness=missing&count=true")).body["total"], 1);
        assert_eq!(city.get(&format!("{RETURNS}?timeliness=late&year=2022&count=true")).body["total"], 1);
        assert_eq!(city.get(&format!("{RETURNS}?timeliness=on_time&count=true")).body["total"], 0);
        assert_eq!(other.get(&format!("{RETURNS}?count=true")).body["total"], 1);

        // Closed: what isn't there is missing for good, and no return is written any more.
        done(city.post(&format!("{ROUNDS}/{}/close", round.id()), &json!({})));
        let late = of_month(&other, "2022-06");
        assert_eq!(
            (declare(&other, &late, &json!([])).code(), step(&other, &late, "submit", &json!({})).code()),
            ("step_not_allowed", "step_not_allowed")
        );
        assert_eq!(step(&clerk, &june, "amend", &json!({"reason": "再改"})).code(), "step_not_allowed");
        done(city.post(&format!("{ROUNDS}/{}/reopen", round.id()), &json!({})));
        done(step(&other, &late, "submit", &json!({})));
    });
}

/// Where a county's association lies below another's, what it holds is of both.
#[test]
fn a_county_below_a_county_counts_for_both() {
    on_each_database(|host| {
        let city = host.planted();
        let south = json!({"code": "zz-south", "name": "登封南区见义勇为协会", "kind": "county_association", "parent_id": organization(&city, "zz-dengfeng")});
        made(city.post("/api/v1/organizations", &south));
        teams(&city, "zz-dengfeng", &["2022-06-01"]);
        teams(&city, "zz-south", &["2022-06-01", "2022-06-30"]);
        story(&city, "zz-south", "2022-06-15", 4);
        opened(&city, &form(&city, &json!({})), "2022-06");
        let listed = city.get(&format!("{RETURNS}?month=2022-06"));
        for (county, teams, stories) in [("zz-dengfeng", 3, json!(4)), ("zz-south", 2, json!(4)), ("zz-gaoxin", 0, Value::Null)] {
            let id = organization(&city, county);
            let all = listed.body["items"].as_array().expect("items");
            let found = all.iter().find(|of| of["organization_id"] == id).unwrap_or_else(|| panic!("no return of {county}"));
            let it = city.get(&format!("{RETURNS}/{}", found["id"].as_str().expect("an id")));
            assert_eq!((cell(&it, TEAMS).0, cell(&it, NEWS).0), (json!(teams), stories), "{county}");
        }
    });
}

#[test]
fn who_submits_does_not_accept() {
    on_each_database(|host| {
        let city = host.planted();
        let both = host.user("both", Role::OrgAdmin, Some("zz"));
        let form = form(&city, &json!({}));
        opened(&city, &form, "2022-06");
        let one = of_month(&both, "2022-06");
        done(step(&both, &one, "submit", &json!({})));
        assert_eq!(step(&both, &one, "accept", &json!({})).status, 403);
        done(step(&city, &one, "accept", &json!({})));
    });
}

#[test]
fn a_form_changes_by_versions() {
    on_each_database(|host| {
        let city = host.planted();
        let county = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let zz = organization(&city, "zz");
        let wrong = json!({"organization_id": zz, "key": "k", "title": "月报", "figures": ["nothing", "publicity.goods.hat", TEAMS, TEAMS],
                           "sums": [{"total": VOLUNTEERS, "parts": []}]});
        assert_eq!(
            city.post(FORMS, &wrong).faults(),
            [
                ("/figures/0", "unknown_figure"),
                ("/figures/1", "not_of_counties"),
                ("/figures/3", "twice"),
                ("/sums/0/total", "not_in_the_form"),
                ("/sums/0/parts", "no_parts")
            ]
        );
        let first = form(&city, &json!({}));
        let path = format!("{FORMS}/{}", first.id());
        // Published, it stays as it is; a county reads it and doesn't change it.
        assert_eq!(city.patch(&path, first.header("ETag").expect("a version"), &json!({"title": "别的"})).code(), "step_not_allowed");
        assert_eq!(county.get(&path).status, 200);
        assert_eq!(county.post(&format!("{path}/revise"), &json!({})).status, 404);

        let round = opened(&city, &first, "2022-06");
        let next = done(city.post(&format!("{path}/revise"), &json!({})));
        assert_eq!(
            (&next.body["number"], &next.body["state"], &next.body["figures"]),
            (&json!(2), &json!("draft"), &first.body["figures"])
        );
        assert_eq!(city.post(&format!("{path}/revise"), &json!({})).code(), "already_exists", "one draft at a time");
        let second = format!("{FORMS}/{}", next.id());
        let fewer = done(city.patch(&second, next.header("ETag").expect("a version"), &json!({"figures": [VOLUNTEERS]})));
        assert_eq!(city.patch(&second, fewer.header("ETag").expect("a version"), &json!({"key": "other"})).faults(), [("/key", "fixed")]);
        // What isn't published can't be asked for; once it is, the version before is not published any more.
        let draft = json!({"form_id": next.id(), "month": "2022-07"});
        assert_eq!(city.post(ROUNDS, &draft).faults(), [("/form_id", "not_published")]);
        done(city.post(&format!("{second}/publish"), &json!({})));
        assert_eq!(city.get(&path).body["state"], "retired");
        assert_eq!(city.get(&format!("{FORMS}?key=four-ones&state=published&count=true")).body["total"], 1);

        // A return keeps the form that it was written with, and a month is asked for once, whatever the version.
        assert_eq!(of_month(&county, "2022-06").body["figures"], 3);
        assert_eq!(city.post(ROUNDS, &json!({"form_id": next.id(), "month": "2022-06"})).code(), "already_exists");
        opened(&city, &next, "2022-07");
        assert_eq!(of_month(&county, "2022-07").body["figures"], 1);
        assert_eq!(round.body["form_id"], first.id());
    });
}

#[test]
fn a_round_is_asked_for_by_who_owns_the_form_when_the_month_is_over() {
    on_each_database(|host| {
        let city = host.planted();
        let county = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let form = form(&city, &json!({"due_day": 10}));
        let this_month = business_today(Instant::now()).format("%Y-%m").to_string();
        for (month, due_on, faults) in [
            (this_month.as_str(), Value::Null, vec![("/month", "month_not_over")]),
            ("2022-13", Value::Null, vec![("/month", "invalid_month")]),
            ("2022-06", json!("2022-06-30"), vec![("/due_on", "before_the_end")]),
        ] {
            let refused = city.post(ROUNDS, &json!({"form_id": form.id(), "month": month, "due_on": due_on}));
            assert_eq!((refused.status, refused.faults()), (422, faults), "{month}");
        }
        assert_eq!(city.get(&format!("{ROUNDS}?count=true")).body["total"], 0);
        assert_eq!(county.post(ROUNDS, &json!({"form_id": form.id(), "month": "2022-06"})).status, 403);

        let round = opened(&city, &form, "2022-06");
        assert_eq!(round.body["due_on"], "2022-07-10");
        let path = format!("{ROUNDS}/{}", round.id());
        assert_eq!(county.get(&path).status, 200);
        // Put off, for all of them.
        let far = business_today(Instant::now()).checked_add_days(Days::new(9)).expect("a day");
        let version = round.header("ETag").expect("a version").to_owned();
        done(city.patch(&path, &version, &json!({"due_on": far})));
        let one = of_month(&county, "2022-06");
        assert_eq!((&one.body["due_on"], &one.body["timeliness"]), (&json!(far), &json!("pending")));
        let on_time = done(step(&county, &one, "submit", &json!({})));
        assert_eq!(on_time.body["timeliness"], "on_time");
        assert_eq!(city.get(&path).body["counts"]["on_time"], 1);

        // A county that is founded later has its return made by hand, and only once.
        let late = made(city.post(
            "/api/v1/organizations",
            &json!({"code": "zz-new", "name": "新区见义勇为协会",
            "kind": "county_association", "parent_id": organization(&city, "zz")}),
        ));
        let draft = json!({"organization_id": late.id(), "round_id": round.id()});
        let made = made(city.post(RETURNS, &draft));
        assert_eq!(made.body["figures"], 3);
        assert_eq!(city.post(RETURNS, &draft).code(), "already_exists");
        let of_city = json!({"organization_id": organization(&city, "zz"), "round_id": round.id()});
        assert_eq!(city.post(RETURNS, &of_city).faults(), [("/organization_id", "not_asked")]);
    });
}

#[test]
fn sums_and_jumps_are_warned_of() {
    on_each_database(|host| {
        let city = host.planted();
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let reviewer = host.user("reviewer", Role::Clerk, Some("zz"));
        story(&city, "zz-dengfeng", "2022-06-10", 10);
        story(&city, "zz-dengfeng", "2022-07-10", 16);
        let form = form(&city, &json!({"sums": [{"total": VOLUNTEERS, "parts": [TEAMS]}]}));
        opened(&city, &form, "2022-06");
        let june = of_month(&clerk, "2022-06");
        assert_eq!(june.body["warnings"], json!([]));
        let off = done(declare(&clerk, &june, &json!([{"figure": VOLUNTEERS, "declared": 5, "reason": "待补录"}])));
        let kinds = |of: &Answer| -> Vec<(String, Value, Value)> {
            let warnings = of.body["warnings"].as_array().expect("warnings").iter();
            warnings.map(|w| (w["kind"].as_str().expect("a kind").to_owned(), w["declared"].clone(), w["compared"].clone())).collect()
        };
        assert_eq!(kinds(&off), [("sum_differs".to_owned(), json!(5), json!(0))]);
        done(step(&clerk, &june, "submit", &json!({})));
        done(step(&reviewer, &june, "accept", &json!({})));
        opened(&city, &form, "2022-07");
        let july = of_month(&clerk, "2022-07");
        assert_eq!(kinds(&july), [("jump".to_owned(), json!(0), json!(5)), ("jump".to_owned(), json!(16), json!(10))]);
    });
}

/// A day in China, as an instant.
fn noon(day: NaiveDate) -> Instant {
    Instant(day.and_hms_opt(4, 0, 0).expect("a time").and_utc())
}

fn day(text: &str) -> NaiveDate {
    text.parse().expect("a day")
}

#[test]
fn the_first_of_the_month_asks_by_itself_and_reminds() {
    on_each_database(|host| {
        let city = host.planted();
        host.write_behind();
        let db = &host.service.db;
        let look = |at: &str| calendar::turn(db, noon(day(at))).expect("a turn");
        form(&city, &json!({"opens_itself": true, "due_day": 5, "remind_days": 2}));
        // The calendar of the test's own day may have been quicker with the last month.
        let before: i64 = db.run(true, |conn| Ok(return_rounds::table.count().get_result(conn)?)).expect("a count");
        assert_eq!(look("2022-07-01"), Brought { rounds: 1, reminders: 0 });
        assert_eq!(look("2022-07-01"), Brought::default());
        let open = || city.get(&format!("{ROUNDS}?month=2022-06&state=open&count=true")).body["total"] == 1;
        until("the returns are there", open);
        assert_eq!(city.get(&format!("{RETURNS}?month=2022-06&count=true")).body["total"], 2);
        // Past the due day a month isn't asked for any more.
        assert_eq!(look("2022-09-06").rounds, 0);
        let after: i64 = db.run(true, |conn| Ok(return_rounds::table.count().get_result(conn)?)).expect("a count");
        assert_eq!(after, before + 1);

        // Two days before, and once more when it is over; never who has submitted.
        let unreminded = |_: ()| {
            db.run(false, |conn| {
                diesel::update(t::table).set(t::reminded_on.eq(None::<NaiveDate>)).execute(conn)?;
                Ok(())
            })
            .expect("as if nobody had been reminded");
        };
        unreminded(());
        assert_eq!(look("2022-07-02"), Brought { rounds: 0, reminders: 0 });
        assert_eq!(look("2022-07-03"), Brought { rounds: 0, reminders: 2 });
        assert_eq!(look("2022-07-04"), Brought { rounds: 0, reminders: 0 });
        let clerk = host.user("clerk", Role::Clerk, Some("zz-gaoxin"));
        done(step(&clerk, &of_month(&clerk, "2022-06"), "submit", &json!({})));
        assert_eq!(look("2022-07-05"), Brought { rounds: 0, reminders: 0 });
        assert_eq!(look("2022-07-06"), Brought { rounds: 0, reminders: 1 });
        assert_eq!(look("2022-07-07"), Brought { rounds: 0, reminders: 0 });
    });
}

#[test]
fn servers_that_look_at_once_ask_once() {
    on_each_database(|host| {
        let city = host.planted();
        form(&city, &json!({"opens_itself": true}));
        let db = &host.service.db;
        let rounds: usize = std::thread::scope(|scope| {
            let looks: Vec<_> =
                (0..4).map(|_| scope.spawn(|| calendar::turn(db, noon(day("2022-07-01"))).expect("a turn").rounds)).collect();
            looks.into_iter().map(|look| look.join().expect("no panic")).sum()
        });
        assert_eq!(rounds, 1);
        until("the returns are there", || city.get(&format!("{ROUNDS}?month=2022-06&state=open&count=true")).body["total"] == 1);
        assert_eq!(city.get(&format!("{RETURNS}?month=2022-06&count=true")).body["total"], 2);
    });
}

/// What somebody is told of returns, the newest first.
fn news(client: &Client<'_>) -> Vec<String> {
    let items = client.get("/api/v1/notifications").body["items"].as_array().expect("items").clone();
    items.iter().filter(|one| one["resource"] == "monthly_returns").map(|one| one["kind"].as_str().expect("a kind").to_owned()).collect()
}

#[test]
fn each_side_is_told_what_waits_for_it() {
    on_each_database(|host| {
        let city = host.planted();
        let telling = Telling::begin(host);
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let other = host.user("other", Role::Clerk, Some("zz-gaoxin"));
        let station = host.user("head", Role::StationHead, Some("zz-dengfeng"));
        let reviewer = host.user("reviewer", Role::Clerk, Some("zz"));
        let form = form(&city, &json!({}));
        opened(&city, &form, "2022-06");
        let is = |client: &Client<'_>, kinds: &[&str]| {
            settled(host);
            assert_eq!(news(client), kinds);
        };
        // Overdue since long, the calendar of the test's own day reminds at once.
        calendar::turn(&host.service.db, Instant::now()).expect("a turn");
        is(&clerk, &["return_due", "return_opened"]);
        is(&other, &["return_due", "return_opened"]);
        let june = of_month(&clerk, "2022-06");
        done(step(&clerk, &june, "submit", &json!({})));
        is(&reviewer, &["waits_for_approval"]);
        done(step(&reviewer, &june, "return", &json!({"reason": "核对"})));
        is(&clerk, &["returned", "return_due", "return_opened"]);
        done(step(&clerk, &june, "submit", &json!({})));
        done(step(&reviewer, &june, "accept", &json!({})));
        is(&clerk, &["approved", "returned", "return_due", "return_opened"]);
        is(&other, &["return_due", "return_opened"]);
        assert_eq!(news(&station), Vec::<String>::new());
        drop(telling);
    });
}

/// What is computed for all counties at once is what is computed for each.
#[test]
fn a_return_says_what_the_figure_says() {
    on_each_database(|host| {
        let city = host.planted();
        teams(&city, "zz-dengfeng", &["2022-03-01", "2022-06-11", "2022-06-12"]);
        teams(&city, "zz-gaoxin", &["2022-06-30"]);
        story(&city, "zz-dengfeng", "2022-06-11", 5);
        let every: Vec<&str> = yiyong::figures::FIGURES.iter().filter(|d| d.is_of_counties()).map(|d| d.code).collect();
        assert!(every.len() > 20, "{every:?}");
        let form = form(&city, &json!({"figures": every}));
        opened(&city, &form, "2022-06");
        let returns = city.get(&format!("{RETURNS}?month=2022-06"));
        for one in returns.body["items"].as_array().expect("items") {
            let whole = city.get(&format!("{RETURNS}/{}", one["id"].as_str().expect("an id")));
            for cell in whole.body["cells"].as_array().expect("cells") {
                let code = cell["figure"].as_str().expect("a code");
                let county = whole.body["organization_id"].as_str().expect("an id");
                let figure = city.get(&format!("/api/v1/figures/{code}?year=2022&month=6&organization_id={county}"));
                assert_eq!(figure.status, 200, "{figure:?}");
                assert_eq!((&figure.body["value"], &figure.body["records"]), (&cell["computed"], &cell["records"]), "{code}");
                assert_eq!(figure.body["precision"], cell["computed_precision"], "{code}");
                assert_eq!(figure.body["records_url"], cell["records_url"], "{code}");
            }
        }
    });
}

/// Two who submit and send back at once: one is first, and the other is told.
#[test]
fn hands_that_meet_do_not_undo_each_other() {
    on_each_database(|host| {
        let city = host.planted();
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let reviewer = host.user("reviewer", Role::Clerk, Some("zz"));
        let form = form(&city, &json!({}));
        opened(&city, &form, "2022-06");
        let june = of_month(&clerk, "2022-06");
        done(step(&clerk, &june, "submit", &json!({})));
        for _ in 0..10 {
            let outcomes: Vec<u16> = std::thread::scope(|scope| {
                let deeds: [(&Client<'_>, &str, Value); 2] =
                    [(&reviewer, "accept", json!({})), (&city, "return", json!({"reason": "核对"}))];
                let all: Vec<_> = deeds
                    .into_iter()
                    .map(|(who, action, body)| {
                        let june = &june;
                        scope.spawn(move || step(who, june, action, &body).status)
                    })
                    .collect();
                all.into_iter().map(|one| one.join().expect("no panic")).collect()
            });
            assert_eq!(outcomes.iter().filter(|status| **status == 200).count(), 1, "{outcomes:?}");
            let state = of_month(&clerk, "2022-06").body["state"].clone();
            let (first, then) = if state == "accepted" { ("amend", json!({"reason": "再来"})) } else { ("submit", json!({})) };
            done(step(&clerk, &june, first, &then));
            if first == "amend" {
                done(step(&clerk, &june, "submit", &json!({})));
            }
        }
    });
}
