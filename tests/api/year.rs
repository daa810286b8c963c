//! The year's work: trainings, inspections, circulars, targets, and the figures over them.

use serde_json::{Value, json};

use crate::hosts::on_each_database;

#[test]
fn the_years_work_is_written_imported_and_counted() {
    on_each_database(|host| {
        let city = host.planted();
        let id = |code: &str| city.get(&format!("/api/v1/organizations?code={code}")).body["items"][0]["id"].clone();
        let (zz, dengfeng, gaoxin) = (id("zz"), id("zz-dengfeng"), id("zz-gaoxin"));
        let figure = |code: &str, year: i32| {
            let figure = city.get(&format!("/api/v1/figures/{code}?year={year}"));
            assert_eq!(figure.status, 200, "{figure:?}");
            let behind = city.get(&format!("{}&count=true", figure.body["records_url"].as_str().expect("an address")));
            assert_eq!(behind.body["total"], figure.body["records"], "{code}");
            (figure.body["value"].clone(), figure.body["precision"].clone())
        };

        let trainings = "/api/v1/trainings";
        let csv = "主办协会编码,类别,主题,培训对象,年度,举办日期,培训人次,人次精度\n\
                   zz-dengfeng,联络员培训,法规,联络员,,2022-03-01,1200,精确\n\
                   zz-gaoxin,联络员培训,法规,联络员,2022,,800,不少于（余、多）\n\
                   zz-gaoxin,联络员培训,急救,联络员,2022,,,\nzz,业务培训,统计,协会工作人员,2022,,60,\n";
        let imported = city.import("trainings", csv.as_bytes(), &[]);
        assert_eq!(imported.body["rows_created"], 4, "{imported:?}");
        assert_eq!(figure("training.liaison_attendances", 2022), (json!(2000), json!("at_least")));
        assert_eq!(figure("training.liaison_attendances", 2021), (Value::Null, json!("exact")));
        assert_eq!(figure("training.business_training", 2022).0, 1);
        assert_eq!(city.get(&format!("{trainings}?q=%E6%80%A5%E6%95%91&count=true")).body["total"], 1);
        assert_eq!(city.get(&format!("{trainings}?from=2022-01-01&to=2022-12-31&count=true")).body["total"], 1);
        let training = |more: Value| {
            let mut draft = json!({"organization_id": zz, "kind": "exchange", "topic": "交流", "audience": "presidents"});
            draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            city.post(trainings, &draft)
        };
        assert_eq!(training(json!({})).faults(), [("/year", "required")]);
        assert_eq!(training(json!({"year": 2021, "held_on": "2022-01-01"})).faults(), [("/held_on", "outside_the_year")]);
        let more = training(json!({"year": 2021, "attendances": 3, "distinct_people": 4}));
        assert_eq!(more.faults(), [("/distinct_people", "more_people_than_attendances")]);
        assert_eq!(training(json!({"year": 2021, "attendances": 3, "attendances_precision": "about", "distinct_people": 4})).status, 201);

        for inspected in [&dengfeng, &dengfeng, &gaoxin] {
            let made = city.post(
                "/api/v1/inspections",
                &json!({"organization_id": inspected, "inspector_id": zz, "inspected_on": "2022-06-01", "topics": "四个一工程"}),
            );
            assert_eq!((made.status, &made.body["year"]), (201, &json!(2022)), "{made:?}");
        }
        assert_eq!(figure("organizations.counties_inspected", 2022).0, 2);

        let circular =
            city.post("/api/v1/circulars", &json!({"organization_id": zz, "subject": "four_ones", "title": "讲评通报", "year": 2022}));
        assert_eq!(circular.status, 201, "{circular:?}");
        assert_eq!(figure("four_ones.review_circulars", 2022).0, 1);
        assert_eq!(city.get("/api/v1/circulars?q=%E8%AE%B2%E8%AF%84&subject=four_ones&count=true").body["total"], 1);

        let target =
            json!({"organization_id": zz, "indicator": "organizations.staff_target_per_county", "year": 2022, "value": 5, "unit": "人"});
        assert_eq!(city.post("/api/v1/targets", &target).status, 201);
        let again = city.post("/api/v1/targets", &target);
        assert_eq!((again.status, again.code()), (409, "already_exists"));
        assert!(again.body["detail"].as_str().is_some_and(|detail| detail.contains("已有目标")), "{again:?}");
        assert_eq!(figure("organizations.staff_target_per_county", 2022).0, 5);
        assert_eq!(figure("organizations.staff_target_per_county", 2023).0, Value::Null);
    });
}
