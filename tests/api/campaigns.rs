//! Campaigns: the city's are there for its counties, to be seen and named and not to be written.

use serde_json::{Value, json};
use yiyong::policy::Role;

use crate::hosts::{Client, on_each_database};

const CAMPAIGNS: &str = "/api/v1/campaigns";
const EVENTS: &str = "/api/v1/campaign-events";

fn organization(client: &Client<'_>, code: &str) -> String {
    client.get(&format!("/api/v1/organizations?code={code}")).body["items"][0]["id"].as_str().expect("an id").to_owned()
}

/// The codes of a list with what may be done to each, sorted, and how many the list says there are.
fn listed(client: &Client<'_>, path: &str) -> (Vec<(String, Value)>, Value) {
    let answer = client.get(path);
    assert_eq!(answer.status, 200, "{answer:?}");
    let items = answer.body["items"].as_array().expect("items");
    let mut all: Vec<(String, Value)> =
        items.iter().map(|item| (item["code"].as_str().expect("a code").to_owned(), item["allowed_actions"].clone())).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    (all, answer.body["total"].clone())
}

#[test]
fn a_county_sees_and_names_the_citys_campaign_and_does_not_write_it() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, dengfeng, gaoxin) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"));
        let campaign = |client: &Client<'_>, code: &str, organization: &str| {
            let draft = json!({"code": code, "organization_id": organization, "name": "99公益日", "kind": "charity_day_99", "year": 2022});
            let made = client.post(CAMPAIGNS, &draft);
            assert_eq!(made.status, 201, "{made:?}");
            format!("{CAMPAIGNS}/{}", made.id())
        };
        let own = campaign(&city, "own", &dengfeng);
        let above = campaign(&city, "above", &zz);
        let beside = campaign(&city, "beside", &gaoxin);
        let id_of = |path: &str| path.rsplit('/').next().expect("an id").to_owned();
        let county = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let all = json!(["update", "delete"]);
        let entry = |code: &str, actions: &Value| (code.to_owned(), actions.clone());

        // Its own and those above, each with what it may do; a filter means one organization and below, as everywhere.
        let both = (vec![entry("above", &json!([])), entry("own", &all)], json!(2));
        assert_eq!(listed(&county, &format!("{CAMPAIGNS}?count=true")), both);
        assert_eq!(listed(&county, &format!("{CAMPAIGNS}?count=true&q=%E5%85%AC%E7%9B%8A")), both);
        assert_eq!(listed(&county, &format!("{CAMPAIGNS}?count=true&organization_id={zz}")), both);
        let mine = (vec![entry("own", &all)], json!(1));
        assert_eq!(listed(&county, &format!("{CAMPAIGNS}?count=true&organization_id={dengfeng}")), mine);
        assert_eq!(listed(&county, &format!("{CAMPAIGNS}?count=true&organization_level=county")), mine);
        let citys = (vec![entry("above", &json!([]))], json!(1));
        assert_eq!(listed(&county, &format!("{CAMPAIGNS}?count=true&organization_level=city")), citys);
        let none = (vec![], json!(0));
        assert_eq!(listed(&county, &format!("{CAMPAIGNS}?count=true&organization_id={gaoxin}")), none);
        // The city has all below it, and may write all of them.
        let three = (vec![entry("above", &all), entry("beside", &all), entry("own", &all)], json!(3));
        assert_eq!(listed(&city, &format!("{CAMPAIGNS}?count=true")), three);
        let province = host.user("province", Role::OrgAdmin, Some("hn"));
        assert_eq!(listed(&province, &format!("{CAMPAIGNS}?count=true")), three);

        let read = county.get(&above);
        assert_eq!((read.status, &read.body["allowed_actions"]), (200, &json!([])), "{read:?}");
        assert_eq!(county.get(&own).body["allowed_actions"], all);
        assert_eq!(county.get(&beside).status, 404);

        // Named by id, also when the event is changed later.
        let event = |campaign: &str| {
            county.post(
                EVENTS,
                &json!({"code": format!("of-{}", id_of(campaign)), "organization_id": dengfeng, "campaign_id": id_of(campaign), "kind": "launch_ceremony"}),
            )
        };
        let held = event(&above);
        assert_eq!((held.status, &held.body["year"]), (201, &json!(2022)), "{held:?}");
        let changed = county.patch(&format!("{EVENTS}/{}", held.id()), "\"1\"", &json!({"place": "少林广场"}));
        assert_eq!(changed.status, 200, "{changed:?}");
        assert_eq!(event(&beside).faults(), [("/campaign_id", "unknown_reference")]);
        let item = json!({"organization_id": dengfeng, "campaign_id": id_of(&above), "kind": "news_story", "year": 2022});
        assert_eq!(county.post("/api/v1/media-items", &item).status, 201);

        // Not written: it is not there to be.
        assert_eq!(county.patch(&above, "\"1\"", &json!({"name": "改"})).status, 404);
        assert_eq!(county.delete(&above).status, 404);
        assert_eq!(county.post(CAMPAIGNS, &json!({"organization_id": zz, "name": "x", "kind": "other", "year": 2022})).status, 422);
        assert_eq!(city.get(&above).body["version"], 1);

        // An event is counted where it was held, and the city's campaign is none of the county's.
        let figure = |client: &Client<'_>| client.get("/api/v1/figures/publicity.charity_day_ceremonies?year=2022").body["value"].clone();
        assert_eq!((figure(&county), figure(&city)), (json!(1), json!(1)));
        assert_eq!(city.delete(&above).code(), "still_referenced");
    });
}

#[test]
fn an_import_names_what_is_above_and_does_not_write_it() {
    on_each_database(|host| {
        let city = host.planted();
        let made = city.import(
            "campaigns",
            "code,organization_code,name,kind,year\nabove,zz,99公益日,charity_day_99,2022\nbeside,zz-gaoxin,宣传月,publicity_month,2022\n"
                .as_bytes(),
            &[],
        );
        assert_eq!(made.status, 201, "{made:?}");
        let county = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let faults = |answer: &crate::hosts::Answer| -> Vec<(u64, String, String)> {
            let faults = answer.body["faults"].as_array().expect("faults");
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            faults.iter().map(|f| (f["row"].as_u64().unwrap_or_default(), text(&f["column"]), text(&f["code"]))).collect()
        };

        let events = "code,organization_code,campaign_code,kind\ne1,zz-dengfeng,above,launch_ceremony\ne2,zz-dengfeng,beside,activity\n";
        let answer = county.import("campaign-events", events.as_bytes(), &[("on_error", "skip")]);
        assert_eq!((answer.status, &answer.body["rows_created"]), (201, &json!(1)), "{answer:?}");
        assert_eq!(faults(&answer), [(3, "campaign_code".into(), "unknown_reference".into())]);

        // Word for word what stands above, something else, and one's own beside them.
        for name in ["99公益日", "改"] {
            let rows = format!(
                "code,organization_code,name,kind,year\nabove,zz-dengfeng,{name},charity_day_99,2022\nown-{name},zz-dengfeng,本县,other,2022\n"
            );
            let answer = county.import("campaigns", rows.as_bytes(), &[("mode", "upsert"), ("on_error", "skip")]);
            assert_eq!((answer.status, &answer.body["rows_created"]), (201, &json!(1)), "{answer:?}");
            assert_eq!(faults(&answer), [(2, "code".into(), "belongs_above".into())]);
        }
        let above = city.get("/api/v1/campaigns?code=above").body["items"][0].clone();
        assert_eq!((&above["name"], &above["version"]), (&json!("99公益日"), &json!(1)));
    });
}
