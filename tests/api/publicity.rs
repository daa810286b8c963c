//! What spreads the word: venues with their stages, campaigns, goods that can't be given twice, and their figures.

use serde_json::{Value, json};
use yiyong::types::{Instant, business_today};

use crate::hosts::{Client, on_each_database};

fn organization(client: &Client<'_>, code: &str) -> Value {
    client.get(&format!("/api/v1/organizations?code={code}")).body["items"][0]["id"].clone()
}

fn import(client: &Client<'_>, resource: &str, csv: &str) {
    let answer = client.import(resource, csv.as_bytes(), &[]);
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.body["rows_created"].as_u64(), Some(csv.lines().count() as u64 - 1));
    let again = client.import(resource, csv.as_bytes(), &[("mode", "upsert")]);
    assert_eq!(
        (again.status, &again.body["rows_unchanged"]),
        (201, &answer.body["rows_created"]),
        "a second run changes nothing: {again:?}"
    );
}

fn figure(client: &Client<'_>, code: &str) -> (Value, String) {
    let figure = client.get(&format!("/api/v1/figures/{code}?year=2022"));
    assert_eq!(figure.status, 200, "{figure:?}");
    let behind = client.get(&format!("{}&count=true", figure.body["records_url"].as_str().expect("an address")));
    assert_eq!(behind.body["total"], figure.body["records"], "{code}");
    (figure.body["value"].clone(), figure.body["precision"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn the_publicity_of_a_year_comes_in_as_files_and_out_as_figures() {
    on_each_database(|host| {
        let city = host.planted();
        import(
            &city,
            "publicity-assets",
            "code,organization_code,name,category,kind,quantity,quantity_precision,stage,stage_on,stage_on_precision\n\
             zijingshan-park,zz,紫荆山见义勇为主题公园,venue,park,1,exact,completed,2022-12-31,at_latest\n\
             gx-park,zz-gaoxin,,venue,park,1,exact,completed,2022-12-31,at_latest\n\
             later,zz-dengfeng,,venue,park,1,exact,completed,2023-03-01,exact\n\
             plan,zz-dengfeng,,venue,,1,exact,planned,2022-06-01,exact\n\
             bus,zz,公交车尾屏,screen_network,bus,2000,at_least,completed,2022-06-01,at_latest\n",
        );
        import(
            &city,
            "publicity-assets",
            "code,organization_code,category,kind,parent_code,quantity,stage,stage_on\n\
             racks,zz,fixture,art_rack,zijingshan-park,6,completed,2022-06-01\n",
        );
        import(
            &city,
            "campaigns",
            "编码,所属协会编码,活动名称,类别,年度\nmonth,zz,见义勇为宣传月,宣传月,2022\n99,zz,99公益日,99公益日,2022\n",
        );
        import(
            &city,
            "campaign-events",
            "code,organization_code,campaign_code,kind,year\ne1,zz-dengfeng,99,launch_ceremony,2022\ne2,zz-gaoxin,99,launch_ceremony,2022\n",
        );
        import(
            &city,
            "placements",
            "code,organization_code,publicity_asset_code,campaign_code,content,year,quantity,quantity_precision\n\
             p1,zz,bus,month,见义勇为宣传标语,2022,2000,at_least\n",
        );
        import(&city, "goods", "code,organization_code,name,kind,unit\nu,zz,雨伞,umbrella,把\n");
        import(&city, "goods-movements", "code,goods_code,organization_code,direction,quantity,year\nm,u,zz,made,3000,2022\n");
        import(
            &city,
            "media-items",
            "code,organization_code,kind,year\nn1,zz,news_story,2022\nn2,zz-gaoxin,news_story,2022\nn3,zz,news_story,2021\n",
        );
        import(
            &city,
            "demonstration-units",
            "code,organization_code,host_kind,stage,stage_on\nd1,zz-dengfeng,school,completed,2022-09-01\n",
        );

        let exact = |n: u64| (json!(n), "exact".to_owned());
        assert_eq!(figure(&city, "four_ones.venues.park.completed"), exact(2));
        assert_eq!(figure(&city, "four_ones.venues.park.completed.gaoxin"), exact(1));
        assert_eq!(figure(&city, "four_ones.venues.planned_or_under_construction"), exact(1));
        assert_eq!(figure(&city, "publicity.zijingshan.art_racks"), exact(6));
        assert_eq!(figure(&city, "publicity.zijingshan.theme_stones"), (Value::Null, "exact".into()), "unreported is not zero");
        assert_eq!(figure(&city, "publicity.charity_day_ceremonies"), exact(2));
        assert_eq!(figure(&city, "publicity.screens.bus"), (json!(2000), "at_least".into()));
        assert_eq!(figure(&city, "publicity.goods.umbrella"), exact(3000));
        assert_eq!(figure(&city, "publicity.media.news_story"), exact(2));
        assert_eq!(figure(&city, "four_ones.demonstration_units.completed"), exact(1));
    });
}

#[test]
fn a_venue_has_its_stages_and_a_past_one_does_not_become_the_present() {
    on_each_database(|host| {
        let city = host.planted();
        let made = city.post(
            "/api/v1/publicity-assets",
            &json!({"organization_id": organization(&city, "zz-gaoxin"), "category": "venue", "kind": "square", "stage": "completed", "stage_on": "2022-11-01",
                "place": {"longitude": 113.68, "latitude": 34.76, "coordinate_system": "wgs84"}}),
        );
        assert_eq!(made.status, 201, "{made:?}");
        let path = format!("/api/v1/publicity-assets/{}", made.id());
        let earlier = city.post(&format!("{path}/advance"), &json!({"stage": "under_construction", "effective_on": "2022-03-01"}));
        assert_eq!((earlier.status, &earlier.body["stage"]), (200, &json!("completed")));
        assert_eq!(earlier.body["stages"].as_array().map(Vec::len), Some(2));
        let total = |query: &str| city.get(&format!("/api/v1/publicity-assets?count=true&{query}")).body["total"].clone();
        assert_eq!(total("stage=under_construction&as_at=2022-05-01"), 1);
        assert_eq!(total("stage=completed&as_at=2022-05-01"), 0);
        assert_eq!(total("stage=completed&as_at=2022-12-31"), 1);
        assert_eq!(total("stage=completed"), 1);
        assert_eq!(total("stage=under_construction,planned"), 0);

        let converted = city.get("/api/v1/publicity-assets?coordinate_system=gcj02");
        let longitude = converted.body["items"][0]["place"]["longitude"].as_f64().expect("a longitude");
        assert!((longitude - 113.686_130_2).abs() < 1e-6, "{longitude}");

        let wrong = city.post(
            "/api/v1/publicity-assets",
            &json!({"organization_id": organization(&city, "zz"), "category": "fixture", "kind": "park", "stage": "planned", "stage_on": "2022-01-01"}),
        );
        assert_eq!(wrong.status, 422, "a park is no fixture");
    });
}

/// Only a plan lies ahead, and what was recorded wrongly is taken back.
#[test]
fn a_stage_is_not_ahead_of_its_day_and_can_be_taken_back() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let today = business_today(Instant::now());
        let tomorrow = today.succ_opt().expect("a day");
        for (resource, more) in
            [("publicity-assets", json!({"category": "venue", "kind": "park"})), ("demonstration-units", json!({"host_kind": "school"}))]
        {
            let draft = |stage: &str, day: &str| {
                let mut draft = json!({"organization_id": zz, "stage": stage, "stage_on": day});
                draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
                draft
            };
            let collection = format!("/api/v1/{resource}");
            let (day, next) = (today.to_string(), tomorrow.to_string());
            for stage in ["completed", "retired"] {
                assert_eq!(city.post(&collection, &draft(stage, &next)).faults(), [("/stage_on", "in_the_future")]);
            }
            assert_eq!(city.post(&collection, &draft("completed", &day)).status, 201);

            let planned = city.post(&collection, &draft("planned", &next));
            assert_eq!(planned.status, 201, "{planned:?}");
            assert_eq!(planned.body["allowed_actions"], json!(["update", "delete", "advance"]), "the only stage stays");
            let path = format!("{collection}/{}", planned.id());
            let advance = |stage: &str, day: &str| city.post(&format!("{path}/advance"), &json!({"stage": stage, "effective_on": day}));
            let retract = |day: &str| city.post(&format!("{path}/retract"), &json!({"effective_on": day}));
            assert_eq!(advance("completed", &next).faults(), [("/effective_on", "in_the_future")]);
            assert_eq!(city.patch(&path, "\"1\"", &json!({"stage": "completed"})).faults(), [("/stage_on", "in_the_future")]);
            assert_eq!(retract(&next).code(), "step_not_allowed");

            assert_eq!(advance("under_construction", "2022-03-01").status, 200);
            let two = advance("completed", &day);
            assert_eq!((two.status, &two.body["stage"]), (200, &json!("planned")), "the plan is the latest: {two:?}");
            assert_eq!(two.body["allowed_actions"], json!(["update", "delete", "advance", "retract"]));
            assert_eq!(retract("2022-03-02").faults(), [("/effective_on", "no_such_stage")]);
            let back = retract(&next);
            assert_eq!((back.status, &back.body["stage"], &back.body["stage_on"]), (200, &json!("completed"), &json!(day)), "{back:?}");
            let back = retract(&day);
            assert_eq!((&back.body["stage"], &back.body["stage_on"]), (&json!("under_construction"), &json!("2022-03-01")));
            let read = city.get(&path);
            assert_eq!(read.body, back.body, "what was answered is what is kept");
            assert_eq!(read.body["stages"].as_array().map(Vec::len), Some(1));
            let listed = |stage: &str| city.get(&format!("{collection}?count=true&as_at={next}&stage={stage}")).body["total"].clone();
            assert_eq!((listed("planned"), listed("under_construction")), (json!(0), json!(1)));
        }
    });
}

#[test]
fn what_is_not_in_stock_is_not_issued() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let goods = city.post("/api/v1/goods", &json!({"organization_id": zz, "name": "雨伞", "kind": "umbrella", "unit": "把"}));
        let movement = |direction: &str, quantity: i64| {
            city.post(
                "/api/v1/goods-movements",
                &json!({"goods_id": goods.id(), "direction": direction, "quantity": quantity, "year": 2022}),
            )
        };
        let stock = || city.get(&format!("/api/v1/goods/{}", goods.id())).body["stock"].clone();
        let made = movement("made", 10);
        assert_eq!(made.status, 201, "{made:?}");
        assert_eq!(movement("issued", 4).status, 201);
        let refused = movement("issued", 7);
        assert_eq!((refused.status, refused.faults()[0].1), (422, "insufficient_stock"));
        assert_eq!(stock(), 6);
        let taken_back = city.delete(&format!("/api/v1/goods-movements/{}", made.id()));
        assert_eq!((taken_back.status, taken_back.code()), (409, "conflict"));
        assert_eq!(stock(), 6);

        // Eight hands reach for the last six at once: six get one.
        let won = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8).map(|_| scope.spawn(|| movement("issued", 1).status)).collect();
            tries.into_iter().map(|t| t.join().expect("joined")).filter(|status| *status == 201).count()
        });
        assert_eq!((won, stock()), (6, json!(0)));
    });
}
