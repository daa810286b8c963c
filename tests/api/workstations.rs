//! Workstations: written, placed, searched, imported, and kept while somebody serves there.

use serde_json::json;
use yiyong::policy::Role;

use crate::hosts::on_each_database;

const WORKSTATIONS: &str = "/api/v1/workstations";

#[test]
fn a_workstation_from_its_host_to_its_last_appointment() {
    on_each_database(|host| {
        let city = host.planted();
        let csv = "编码,所属协会编码,工作站名称,依托单位类别,依托单位,经度,纬度,是否受表彰,成立日期\n\
                   w1,zz-dengfeng,嵩阳见义勇为工作站,派出所,嵩阳派出所,113.05,34.46,是,2021-03-01\n\
                   w2,zz-gaoxin,枫杨见义勇为工作站,街道,,,,否,\n\
                   w3,zz-gaoxin,石佛见义勇为工作站,企业,,,,,\n";
        let upsert = |csv: &str| city.import("workstations", csv.as_bytes(), &[("mode", "upsert")]);
        let made = upsert(csv);
        assert_eq!((made.status, &made.body["rows_created"]), (201, &json!(3)), "{made:?}");
        assert_eq!(upsert(csv).body["rows_unchanged"], 3);
        let total = |query: &str| city.get(&format!("{WORKSTATIONS}?count=true&limit=1&{query}")).body["total"].as_i64();
        let encoded = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
        assert_eq!(total(&format!("q={}", encoded("嵩"))), Some(1));
        assert_eq!(total(&format!("q={}", encoded("见义"))), Some(3));
        assert_eq!(total("host_kind=police_station,sub_district"), Some(2));
        // Unknown is neither commended nor not.
        assert_eq!((total("commended=true"), total("commended=false")), (Some(1), Some(1)));

        let w1 = city.get(&format!("{WORKSTATIONS}?code=w1")).body["items"][0].clone();
        assert_eq!((&w1["coordinate_system"], &w1["status"]), (&json!("gcj02"), &json!("active")));
        let path = format!("{WORKSTATIONS}/{}", w1["id"].as_str().expect("an id"));
        assert_eq!(city.patch(&path, "\"1\"", &json!({"latitude": null})).faults(), [("/longitude", "incomplete_coordinates")]);
        assert_eq!(city.patch(&path, "\"1\"", &json!({"longitude": 200})).faults(), [("/longitude", "too_great")]);
        let renamed = city.patch(&path, "\"1\"", &json!({"name": "少室见义勇为工作站"}));
        assert_eq!((renamed.status, renamed.header("ETag")), (200, Some("\"2\"")));
        assert_eq!((total(&format!("q={}", encoded("嵩阳"))), total(&format!("q={}", encoded("少室")))), (Some(0), Some(1)));
        assert_eq!(city.patch(&path, "\"1\"", &json!({"name": "x"})).code(), "stale_version");

        let foreign = host.user("foreign", Role::Clerk, Some("zz-gaoxin"));
        assert_eq!(foreign.get(&path).status, 404);
        assert_eq!(foreign.delete(&path).status, 404);
        let dengfeng = w1["organization_id"].clone();
        let stray = foreign.post(WORKSTATIONS, &json!({"organization_id": dengfeng, "name": "甲", "host_kind": "other"}));
        assert_eq!(stray.faults(), [("/organization_id", "unknown_reference")]);

        let person = city.post("/api/v1/persons", &json!({"organization_id": dengfeng, "name": "赵铁柱"})).body["id"].clone();
        let head = city.post(
            "/api/v1/appointments",
            &json!({"workstation_id": w1["id"], "person_id": person, "post": "station_head", "from_on": "2022-01-01"}),
        );
        assert_eq!(head.status, 201, "{head:?}");
        let kept = city.delete(&path);
        assert_eq!((kept.code(), &kept.body["referrers"][0]["resource"]), ("still_referenced", &json!("appointments")));
        assert_eq!(city.delete(&format!("/api/v1/appointments/{}", head.id())).status, 204);
        assert_eq!(city.delete(&path).status, 204);
        assert_eq!(total(""), Some(2));
    });
}
