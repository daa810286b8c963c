//! Appointments: at an association or a workstation, never twice at once, gone where the workstation goes.

use serde_json::{Value, json};
use yiyong::policy::Role;

use crate::hosts::{Client, on_each_database};

const APPOINTMENTS: &str = "/api/v1/appointments";

fn organization(client: &Client<'_>, code: &str) -> Value {
    client.get(&format!("/api/v1/organizations?code={code}")).body["items"][0]["id"].clone()
}

#[test]
fn posts_are_held_at_a_place_once_at_a_time() {
    on_each_database(|host| {
        let city = host.planted();
        let (dengfeng, gaoxin) = (organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let person = clerk
            .post("/api/v1/persons", &json!({"code": "p1", "organization_id": dengfeng, "name": "赵铁柱", "phone": "14000000001"}))
            .body["id"]
            .clone();
        let station = city
            .post(
                "/api/v1/workstations",
                &json!({"code": "w1", "organization_id": dengfeng, "name": "嵩阳工作站", "host_kind": "police_station"}),
            )
            .body["id"]
            .clone();
        let headless = clerk.post(
            APPOINTMENTS,
            &json!({"organization_id": dengfeng, "person_id": person, "post": "station_head", "from_on": "2022-01-01"}),
        );
        assert_eq!(headless.faults(), [("/workstation_id", "required")]);
        let nowhere = clerk.post(APPOINTMENTS, &json!({"person_id": person, "post": "president", "from_on": "2022-01-01"}));
        assert_eq!(nowhere.faults(), [("/organization_id", "required")]);
        let head = clerk.post(APPOINTMENTS, &json!({"code": "a1", "workstation_id": station, "person_id": person, "post": "station_head", "from_on": "2022-01-01", "to_on": "2022-06-01"}));
        assert_eq!((head.status, &head.body["organization_id"]), (201, &dengfeng), "{head:?}");
        assert_eq!((&head.body["person"]["name"], &head.body["person"]["phone_masked"]), (&json!("赵铁柱"), &json!("140****0001")));
        let elsewhere = city.post(APPOINTMENTS, &json!({"organization_id": gaoxin, "workstation_id": station, "person_id": person, "post": "station_head", "from_on": "2023-01-01"}));
        assert_eq!(elsewhere.faults(), [("/organization_id", "not_the_workstations")]);

        // The day on which one ends is the first on which another may begin.
        let overlaps = clerk
            .post(APPOINTMENTS, &json!({"workstation_id": station, "person_id": person, "post": "station_head", "from_on": "2022-05-31"}));
        assert_eq!((overlaps.status, overlaps.code(), overlaps.faults()), (409, "conflict", vec![("/from_on", "overlaps")]));
        assert!(overlaps.body["errors"][0]["message"].as_str().is_some_and(|m| m.contains("a1")), "{overlaps:?}");
        let csv = "编码,人员编码,工作站编码,所属协会编码,职务,任职日期,任职日期精度,离任日期\n\
                   a2,p1,w1,,站长,2022-06-01,,\na3,p1,,zz-dengfeng,兼职工作人员,2022-01-01,不晚于当日,\na4,p1,w1,,联络员,2022-01-01,,\n";
        let upsert = |csv: &str| city.import("appointments", csv.as_bytes(), &[("mode", "upsert")]);
        let made = upsert(csv);
        assert_eq!((made.status, &made.body["rows_created"]), (201, &json!(3)), "{made:?}");
        assert_eq!(upsert(csv).body["rows_unchanged"], 3);
        let twice = "code,person_code,workstation_code,post,from_on\nb1,p1,w1,other,2022-01-01\nb2,p1,w1,other,2022-02-01\n";
        let refused = city.import("appointments", twice.as_bytes(), &[]);
        assert_eq!((&refused.body["faults"][0]["row"], &refused.body["faults"][0]["code"]), (&json!(3), &json!("overlaps")), "{refused:?}");
        let path = format!("{APPOINTMENTS}/{}", head.id());
        assert_eq!(clerk.patch(&path, "\"1\"", &json!({"to_on": null})).faults(), [("/from_on", "overlaps")]);
        assert_eq!(clerk.patch(&path, "\"1\"", &json!({"to_on": "2021-01-01"})).faults(), [("/to_on", "ends_before_it_begins")]);

        let codes = |client: &Client<'_>, query: &str| -> Vec<String> {
            let page = client.get(&format!("{APPOINTMENTS}?sort=code&{query}"));
            assert_eq!(page.status, 200, "{page:?}");
            page.body["items"].as_array().expect("items").iter().map(|a| a["code"].as_str().expect("a code").to_owned()).collect()
        };
        assert_eq!(codes(&clerk, "as_at=2022-05-31&post=station_head,liaison_officer"), ["a1", "a4"]);
        assert_eq!(codes(&clerk, "as_at=2022-06-01&post=station_head"), ["a2"]);
        assert_eq!(codes(&clerk, &format!("workstation_id={}", station.as_str().expect("an id"))), ["a1", "a2", "a4"]);
        let q: String = "铁柱".bytes().map(|b| format!("%{b:02X}")).collect();
        assert_eq!(codes(&clerk, &format!("q={q}")).len(), 4);

        // The workstation goes to another association, and who serves there with it.
        let far = host.user("far", Role::Clerk, Some("zz-gaoxin"));
        assert_eq!(far.get(&path).status, 404);
        let moved =
            city.patch(&format!("/api/v1/workstations/{}", station.as_str().expect("an id")), "\"1\"", &json!({"organization_id": gaoxin}));
        assert_eq!(moved.status, 200, "{moved:?}");
        assert_eq!((codes(&clerk, ""), codes(&far, "")), (vec!["a3".to_owned()], ["a1", "a2", "a4"].map(str::to_owned).to_vec()));
        let stolen =
            far.post(APPOINTMENTS, &json!({"workstation_id": station, "person_id": person, "post": "other", "from_on": "2022-01-01"}));
        assert_eq!(stolen.faults(), [("/person_id", "unknown_reference")]);
    });
}
