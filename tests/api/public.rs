//! What anybody may read, without a token.

use serde_json::json;
use yiyong::policy::Role;

use crate::hosts::{Host, on_each_database};

/// A page for the public is made of nothing but what the public may have: the map, and numbers.
#[test]
fn a_map_and_numbers_for_anybody() {
    on_each_database(|host: &Host| {
        let empty = host.nobody().get("/api/v1/public/figures?year=2021");
        assert_eq!((empty.status, &empty.body["organization_code"], &empty.body["items"]), (200, &json!(null), &json!([])), "{empty:?}");
        let city = host.planted();
        let organization = |code: &str| city.get(&format!("/api/v1/organizations?code={code}")).body["items"][0]["id"].clone();
        let (dengfeng, gaoxin) = (organization("zz-dengfeng"), organization("zz-gaoxin"));
        let place = json!({"longitude": 113.6861302, "latitude": 34.7589225, "coordinate_system": "gcj02"});
        for (code, owner, stage, place) in [
            ("done", &dengfeng, "completed", Some(&place)),
            ("elsewhere", &gaoxin, "completed", Some(&place)),
            ("planned", &dengfeng, "planned", Some(&place)),
            ("nowhere", &dengfeng, "completed", None),
        ] {
            let asset = json!({"code": code, "organization_id": owner, "name": code, "category": "venue", "kind": "park",
                               "stage": stage, "stage_on": "2022-05-01", "place": place, "note": "内部备注"});
            assert_eq!(city.post("/api/v1/publicity-assets", &asset).status, 201);
        }
        for (code, status) in [("works", "active"), ("gone", "closed")] {
            let station = json!({"code": code, "organization_id": dengfeng, "name": code, "host_kind": "police_station", "status": status,
                                 "longitude": 113.0, "latitude": 34.4});
            let made = city.post("/api/v1/workstations", &station);
            assert_eq!(made.status, 201, "{made:?}");
        }
        let nobody = host.nobody();
        let codes = |path: &str| -> Vec<String> {
            let page = nobody.get(path);
            assert_eq!((page.status, page.header("Cache-Control")), (200, Some("public, max-age=60")), "{page:?}");
            let features = page.body["features"].as_array().expect("features").clone();
            features.iter().map(|feature| feature["properties"]["code"].as_str().expect("a code").to_owned()).collect()
        };
        assert_eq!(codes("/api/v1/public/map"), ["elsewhere", "done"]);
        assert_eq!(codes("/api/v1/public/map?organization_code=zz-dengfeng"), ["done"]);
        assert_eq!(codes("/api/v1/public/map?organization_code=nowhere"), Vec::<String>::new());
        assert_eq!(codes("/api/v1/public/map?layer=workstations"), ["works"]);
        let first = nobody.get("/api/v1/public/map?limit=1");
        let next = format!("/api/v1/public/map?limit=1&cursor={}", first.body["next_cursor"].as_str().expect("a cursor"));
        assert_eq!(codes(&next), ["done"]);
        assert!(!first.body.to_string().contains("内部备注"));
        let feature = &nobody.get("/api/v1/public/map?organization_code=zz-dengfeng&coordinate_system=wgs84").body["features"][0];
        let longitude = feature["geometry"]["coordinates"][0].as_f64().expect("a longitude");
        assert!((longitude - 113.6800).abs() < 0.001 && feature["type"] == "Feature", "{feature}");
        assert_eq!(nobody.get("/api/v1/public/map?layer=persons").status, 400);

        let figures = nobody.get("/api/v1/public/figures?year=2022");
        let value = |code: &str| {
            let items = figures.body["items"].as_array().expect("figures");
            items.iter().find(|figure| figure["code"] == code).map(|figure| figure["value"].clone())
        };
        assert_eq!(
            (value("four_ones.venues.park.completed"), value("organizations.county_associations")),
            (Some(json!(3)), Some(json!(2)))
        );
        assert!(!figures.body.to_string().contains("welfare.") && !figures.body.to_string().contains("records_url"), "{figures:?}");
        let teams = figures.body["items"].as_array().expect("figures").iter().find(|figure| figure["code"] == "four_ones.volunteer_teams");
        assert_eq!(teams.map(|figure| (&figure["unit_zh"], &figure["unit_en"])), Some((&json!("支"), &json!("teams"))));
        let etag = figures.header("ETag").expect("a tag");
        assert_eq!(nobody.send("GET", "/api/v1/public/figures?year=2022", &[("If-None-Match", etag)], None).status, 304);
        let county = nobody.get("/api/v1/public/figures?year=2022&organization_code=zz-gaoxin");
        assert_eq!(county.body["organization_name"], "高新区见义勇为协会");
        // The same number as who may see the records behind it is told.
        let officer = host.user("officer", Role::PublicityOfficer, Some("zz"));
        assert_eq!(officer.get("/api/v1/figures/four_ones.venues.park.completed?year=2022").body["value"], json!(3));
        assert_eq!(nobody.get("/api/v1/public/figures?organization_code=nowhere").faults(), [("/organization_code", "unknown_reference")]);
        assert_eq!(nobody.get("/api/v1/public/figures?year=1900").status, 400);
    });
}

/// A page lets its reader choose an organization: those that work, and nothing that only the office needs.
#[test]
fn organizations_to_choose_from() {
    on_each_database(|host: &Host| {
        let city = host.planted();
        let gaoxin = city.get("/api/v1/organizations?code=zz-gaoxin").body["items"][0]["id"].as_str().expect("an id").to_owned();
        let nobody = host.nobody();
        let first = nobody.get("/api/v1/public/organizations?limit=3");
        assert_eq!((first.status, first.header("Cache-Control")), (200, Some("public, max-age=60")), "{first:?}");
        let expected = json!({"code": "zz-gaoxin", "name": "高新区见义勇为协会", "short_name": null, "kind": "county_association",
                              "parent_code": "zz", "division_code": null});
        assert_eq!(first.body["items"][0], expected);
        let codes = |body: &serde_json::Value| -> Vec<String> {
            let items = body["items"].as_array().expect("organizations");
            items.iter().map(|one| one["code"].as_str().expect("a code").to_owned()).collect()
        };
        assert_eq!(codes(&first.body), ["zz-gaoxin", "zz-dengfeng", "zz"]);
        let cursor = first.body["next_cursor"].as_str().expect("a cursor");
        let last = nobody.get(&format!("/api/v1/public/organizations?limit=3&cursor={cursor}"));
        assert_eq!(
            (codes(&last.body), &last.body["next_cursor"], &last.body["items"][0]["parent_code"]),
            (vec!["hn".into()], &json!(null), &json!(null))
        );

        let etag = first.header("ETag").expect("a tag");
        assert_eq!(nobody.send("GET", "/api/v1/public/organizations?limit=3", &[("If-None-Match", etag)], None).status, 304);
        assert_eq!(nobody.get("/api/v1/public/organizations?code=zz").status, 400);
        // What works no more is not offered.
        let archived = city.post(&format!("/api/v1/organizations/{gaoxin}/archive"), &json!({}));
        assert_eq!(archived.status, 200, "{archived:?}");
        assert_eq!(codes(&nobody.get("/api/v1/public/organizations").body), ["zz-dengfeng", "zz", "hn"]);
    });
}
