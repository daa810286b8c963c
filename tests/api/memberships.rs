//! Memberships: heads and memberships count apart, one at a time in a team, and they go where their team goes.

use serde_json::{Value, json};
use yiyong::policy::Role;

use crate::hosts::{Client, on_each_database};

const MEMBERSHIPS: &str = "/api/v1/memberships";

fn first(client: &Client<'_>, resource: &str, code: &str) -> Value {
    client.get(&format!("/api/v1/{resource}?code={code}")).body["items"][0].clone()
}

fn total(client: &Client<'_>, query: &str) -> Value {
    let page = client.get(&format!("/api/v1/{query}&count=true&limit=1"));
    assert_eq!(page.status, 200, "{page:?}");
    page.body["total"].clone()
}

#[test]
fn heads_and_memberships_count_apart() {
    on_each_database(|host| {
        let city = host.planted();
        let teams = "code,organization_code,name,base_kind,established_on\nt1,zz-dengfeng,少林队,school,2022-01-01\nt2,zz-dengfeng,,rescue,2022-01-01\n";
        assert_eq!(city.import("volunteer-teams", teams.as_bytes(), &[]).body["rows_created"], 2);
        let people =
            "code,organization_code,name,sector,registered_on\nv1,zz-dengfeng,张三,taxi,2022-01-01\nv2,zz-dengfeng,李四,taxi,2022-01-01\n";
        assert_eq!(city.import("volunteers", people.as_bytes(), &[]).body["rows_created"], 2);
        let csv = "编码,志愿者编号,队伍编码,入队日期,入队日期精度,离队日期\n\
                   m1,v1,t1,2022-02-01,,2022-06-30\nm2,v1,t1,2022-09-01,,\nm3,v1,t2,2022-12-31,不晚于当日,\nm4,v2,t1,2022-03-01,,\n";
        let upsert = |csv: &str| city.import("memberships", csv.as_bytes(), &[("mode", "upsert")]);
        let made = upsert(csv);
        assert_eq!((made.status, &made.body["rows_created"]), (201, &json!(4)), "{made:?}");
        assert_eq!(upsert(csv).body["rows_unchanged"], 4);

        let m2 = first(&city, "memberships", "m2");
        let (v1, t1) = (first(&city, "volunteers", "v1"), first(&city, "volunteer-teams", "t1"));
        assert_eq!(m2["volunteer"], json!({"id": v1["id"], "code": "v1", "name": "张三"}));
        assert_eq!(m2["team"], json!({"id": t1["id"], "code": "t1", "name": "少林队"}));
        assert_eq!(m2["organization_id"], t1["organization_id"]);
        let (v1, t1) = (v1["id"].as_str().expect("an id"), t1["id"].as_str().expect("an id"));
        assert_eq!(total(&city, "memberships?current=true"), 3);
        assert_eq!(total(&city, "volunteers?as_at=2022-12-31"), 2);
        assert_eq!(total(&city, "memberships?current=false"), 1);
        assert_eq!(total(&city, &format!("memberships?volunteer_id={v1}")), 3);
        assert_eq!(total(&city, &format!("memberships?team_id={t1}&as_at=2022-06-29")), 2);
        assert_eq!(total(&city, &format!("memberships?team_id={t1}&as_at=2022-06-30")), 1);
        assert_eq!(total(&city, &format!("volunteers?team_id={t1}")), 2);

        // Once at a time in a team: told with the membership that stands.
        let again = city.post(MEMBERSHIPS, &json!({"volunteer_id": v1, "team_id": t1, "joined_on": "2023-01-01"}));
        assert_eq!((again.status, again.code(), again.faults()), (409, "already_exists", vec![("/team_id", "already_a_member")]));
        assert!(again.body["errors"][0]["message"].as_str().is_some_and(|m| m.contains("m2")), "{again:?}");
        let ended = first(&city, "memberships", "m1")["id"].as_str().expect("an id").to_owned();
        assert_eq!(
            city.patch(&format!("{MEMBERSHIPS}/{ended}"), "\"1\"", &json!({"left_on": null})).faults(),
            [("/team_id", "already_a_member")]
        );
        let many = "code,volunteer_code,team_code,joined_on\nm5,v2,t2,2022-01-01\nm6,v2,t2,2022-01-02\nm7,v9,t2,2022-01-02\n";
        let refused = city.import("memberships", many.as_bytes(), &[]);
        let faults: Vec<(u64, &str)> = refused.body["faults"]
            .as_array()
            .expect("faults")
            .iter()
            .map(|f| (f["row"].as_u64().unwrap_or(0), f["code"].as_str().unwrap_or("")))
            .collect();
        assert_eq!(faults, [(3, "already_a_member"), (4, "unknown_reference")]);
        let path = format!("{MEMBERSHIPS}/{}", m2["id"].as_str().expect("an id"));
        assert_eq!(city.patch(&path, "\"1\"", &json!({"left_on": "2022-08-01"})).faults(), [("/left_on", "ends_before_it_begins")]);
        assert_eq!(
            city.patch(&path, "\"1\"", &json!({"team_id": first(&city, "volunteer-teams", "t2")["id"]})).faults(),
            [("/team_id", "fixed")]
        );
        assert_eq!(city.delete(&format!("/api/v1/volunteer-teams/{t1}")).code(), "still_referenced");

        // The team goes to another association, and its memberships with it.
        let (near, far) = (host.user("near", Role::Clerk, Some("zz-dengfeng")), host.user("far", Role::Clerk, Some("zz-gaoxin")));
        assert_eq!((total(&near, "memberships?current=true"), total(&far, "memberships?current=true")), (json!(3), json!(0)));
        assert_eq!(far.get(&path).status, 404);
        let gaoxin = first(&city, "organizations", "zz-gaoxin")["id"].clone();
        assert_eq!(city.patch(&format!("/api/v1/volunteer-teams/{t1}"), "\"1\"", &json!({"organization_id": gaoxin})).status, 200);
        assert_eq!((total(&near, "memberships?current=true"), total(&far, "memberships?current=true")), (json!(1), json!(2)));
        let moved = far.get(&path);
        assert_eq!((&moved.body["organization_id"], &moved.body["version"]), (&gaoxin, &json!(2)));
        // A volunteer of another county's is no one's to enrol.
        let foreign = far.post(MEMBERSHIPS, &json!({"volunteer_id": v1, "team_id": t1, "joined_on": "2023-01-01"}));
        assert_eq!(foreign.faults(), [("/volunteer_id", "unknown_reference")]);
    });
}
