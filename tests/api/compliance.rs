//! How the county associations stand at the end of a year.

use serde_json::{Value, json};
use yiyong::policy::Role;

use crate::assessments::{accepted, station};
use crate::hosts::{Answer, Client, on_each_database};
use crate::standards::{done, published};
use crate::welfare::{made, organization};

const REPORT: &str = "/api/v1/reports/compliance";

fn appointed(city: &Client<'_>, county: &Value, more: &Value) {
    let person = made(city.post("/api/v1/persons", &json!({"organization_id": county, "name": "赵铁柱"})));
    let mut draft = json!({"organization_id": county, "person_id": person.id()});
    draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    made(city.post("/api/v1/appointments", &draft));
}

/// What the row of a county says, and that each count agrees with the records behind it.
fn row<'a>(reader: &Client<'_>, report: &'a Answer, code: &str) -> &'a Value {
    let row = report.body["items"].as_array().expect("rows").iter().find(|row| row["organization"]["code"] == code);
    let row = row.unwrap_or_else(|| panic!("no row of {code}: {report:?}"));
    for count in [
        "/staff/in_post",
        "/workstations/all",
        "/workstations/with_head",
        "/workstations/assessed",
        "/workstations/commended",
        "/demonstration_units/completed",
        "/demonstration_units/assessed",
        "/volunteer_teams",
    ] {
        let count = row.pointer(count).expect("a count");
        let url = count["records_url"].as_str().expect("an address");
        assert_eq!(reader.get(&format!("{url}&count=true")).body["total"].as_i64(), count["value"].as_i64().or(Some(0)), "{count}");
    }
    row
}

#[test]
fn how_the_counties_stand() {
    on_each_database(|host| {
        let city = host.planted();
        let finance = host.user("finance", Role::Finance, Some("zz-dengfeng"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let second = host.user("second", Role::Clerk, Some("zz-dengfeng"));
        let other = host.user("other", Role::Clerk, Some("zz-gaoxin"));
        let auditor = host.user("auditor", Role::Auditor, Some("zz-dengfeng"));
        let city_clerk = host.user("cityclerk", Role::Clerk, Some("zz"));
        let (dengfeng, gaoxin) = (organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"));

        let target = |of: &Value, value: i32| json!({"organization_id": of, "indicator": "organizations.staff_target_per_county", "year": 2022, "value": value, "unit": "人"});
        made(city.post("/api/v1/targets", &target(&organization(&city, "zz"), 5)));
        made(city.post("/api/v1/targets", &target(&gaoxin, 3)));
        appointed(&city, &dengfeng, &json!({"post": "president", "from_on": "2021-01-01"}));
        appointed(&city, &gaoxin, &json!({"post": "president", "from_on": "2021-01-01", "to_on": "2022-12-31"}));
        appointed(&city, &dengfeng, &json!({"post": "full_time_staff", "from_on": "2022-12-31"}));
        appointed(&city, &dengfeng, &json!({"post": "part_time_staff", "from_on": "2022-01-01", "to_on": "2023-01-01"}));
        // Gone by the last day, and come after it.
        appointed(&city, &dengfeng, &json!({"post": "part_time_staff", "from_on": "2022-01-01", "to_on": "2022-12-31"}));
        appointed(&city, &dengfeng, &json!({"post": "full_time_staff", "from_on": "2023-01-01"}));
        made(finance.post(
            "/api/v1/budgets",
            &json!({"organization_id": dengfeng, "year": 2022, "programme_kind": "hardship", "planned_fen": 100}),
        ));
        let songyang = station(&clerk, &dengfeng, "嵩阳工作站");
        let shaoshi = station(&clerk, &dengfeng, "少室工作站");
        let closed = station(&clerk, &dengfeng, "撤销的工作站");
        station(&other, &gaoxin, "枫杨工作站");
        done(clerk.patch(&format!("/api/v1/workstations/{}", songyang.id()), "\"1\"", &json!({"commended": true})));
        done(clerk.patch(&format!("/api/v1/workstations/{}", closed.id()), "\"1\"", &json!({"status": "closed"})));
        appointed(&city, &dengfeng, &json!({"post": "station_head", "workstation_id": songyang.id(), "from_on": "2022-03-01"}));
        let unit = made(
            clerk
                .post("/api/v1/demonstration-units", &json!({"organization_id": dengfeng, "stage": "completed", "stage_on": "2022-05-01"})),
        );
        made(
            clerk
                .post("/api/v1/demonstration-units", &json!({"organization_id": dengfeng, "stage": "completed", "stage_on": "2023-05-01"})),
        );
        for day in ["2022-03-05", "2023-03-05"] {
            made(
                clerk.post("/api/v1/volunteer-teams", &json!({"organization_id": dengfeng, "base_kind": "school", "established_on": day})),
            );
        }
        // A year of it: in force at the end of 2022, and not of 2023.
        let stations = published(&city, "seven-unities", "workstation");
        accepted(&clerk, &second, &stations, ("workstation_id", shaoshi.id()), "2022-06-17");
        accepted(
            &clerk,
            &second,
            &published(&city, "five-haves", "demonstration_unit"),
            ("demonstration_unit_id", unit.id()),
            "2022-06-17",
        );
        let capacity = published(&city, "county-capacity", "organization");
        let id = dengfeng.as_str().expect("an id");
        accepted(&clerk, &second, &capacity, ("subject_organization_id", id), "2022-02-01");
        let newest = accepted(&clerk, &second, &capacity, ("subject_organization_id", id), "2022-06-17");

        let report = done(city.get(&format!("{REPORT}/2022")));
        assert_eq!((&report.body["as_at"], &report.body["organization"]["code"]), (&json!("2022-12-31"), &json!("zz")));
        let codes: Vec<&Value> = report.body["items"].as_array().expect("rows").iter().map(|row| &row["organization"]["code"]).collect();
        assert_eq!(codes, [&json!("zz-dengfeng"), &json!("zz-gaoxin")]);
        let ours = row(&city, &report, "zz-dengfeng");
        assert_eq!((&ours["staff"]["in_post"]["value"], &ours["staff"]["target"]), (&json!(2), &json!(5)));
        assert_eq!((&ours["head"]["in_post"], &ours["budget"]["stands"]), (&json!(true), &json!(true)));
        assert_eq!(ours["capacity"]["assessment_id"], newest.id());
        let told = |name: &str| ours["capacity"][name].clone();
        assert_eq!((told("total"), told("level"), told("expires_on")), (json!(8_400), json!("达标"), json!("2023-06-17")));
        let of_stations = |name: &str| ours["workstations"][name]["value"].clone();
        assert_eq!(
            (of_stations("all"), of_stations("with_head"), of_stations("assessed"), of_stations("commended")),
            (json!(2), json!(1), json!(1), json!(1))
        );
        assert_eq!(ours["workstations"]["commended"]["precision"], "at_least", "of the other it is not known");
        let units = &ours["demonstration_units"];
        assert_eq!((&units["completed"]["value"], &units["assessed"]["value"]), (&json!(1), &json!(1)));
        assert_eq!(ours["volunteer_teams"]["value"], 1);
        let theirs = row(&city, &report, "zz-gaoxin");
        assert_eq!((&theirs["staff"]["in_post"]["value"], &theirs["staff"]["target"]), (&json!(0), &json!(3)));
        assert_eq!(
            (&theirs["head"]["in_post"], &theirs["budget"]["stands"], &theirs["capacity"]),
            (&json!(false), &json!(false), &Value::Null)
        );
        assert_eq!(theirs["workstations"]["commended"]["value"], Value::Null, "nobody has told");

        // A year later nothing of it holds any more, and no target was set.
        let later = done(city.get(&format!("{REPORT}/2023?organization_id={id}")));
        let ours = row(&city, &later, "zz-dengfeng");
        assert_eq!(
            (&ours["staff"]["in_post"]["value"], &ours["staff"]["target"], &ours["capacity"]),
            (&json!(2), &Value::Null, &Value::Null)
        );
        assert_eq!((&ours["workstations"]["assessed"]["value"], &ours["demonstration_units"]["assessed"]["value"]), (&json!(0), &json!(0)));
        assert_eq!((&ours["demonstration_units"]["completed"]["value"], &ours["volunteer_teams"]["value"]), (&json!(2), &json!(2)));
        assert_eq!(ours["budget"]["stands"], false);

        // Page by page; the cursor belongs to its filter.
        let first = done(city.get(&format!("{REPORT}/2022?limit=1")));
        let cursor = first.body["next_cursor"].as_str().expect("more").to_owned();
        let rest = done(city.get(&format!("{REPORT}/2022?limit=1&cursor={cursor}")));
        assert_eq!((&rest.body["items"][0]["organization"]["code"], &rest.body["next_cursor"]), (&json!("zz-gaoxin"), &Value::Null));
        assert_eq!(city.get(&format!("{REPORT}/2022?cursor={cursor}&organization_id={id}")).code(), "invalid_cursor");
        assert_eq!(city.get(&format!("{REPORT}/2022?limit=201")).code(), "invalid_parameter");
        assert_eq!(city.get(&format!("{REPORT}/1999")).code(), "invalid_parameter");

        // A county's clerk sees the county alone, and of its budget nothing: the books are not for clerks. An auditor reads them.
        for (reader, stands) in [(&clerk, Value::Null), (&auditor, json!(true))] {
            let own = done(reader.get(&format!("{REPORT}/2022")));
            assert_eq!(own.body["items"].as_array().map(Vec::len), Some(1));
            let budget = &own.body["items"][0]["budget"];
            assert_eq!((&budget["stands"], budget["records_url"].is_null()), (&stands, stands.is_null()));
            assert_eq!(own.body["items"][0]["staff"]["target"], 5, "what the city asks of its counties is told to these");
        }
        let no_books = done(city_clerk.get(&format!("{REPORT}/2022")));
        assert!(no_books.body["items"].as_array().expect("rows").iter().all(|row| row["budget"]["stands"].is_null()));
        assert_eq!(other.get(&format!("{REPORT}/2022?organization_id={id}")).status, 404);
        let liaison = host.user("liaison", Role::LiaisonOfficer, Some("zz-dengfeng"));
        assert_eq!(liaison.get(&format!("{REPORT}/2022")).status, 403);
    });
}
