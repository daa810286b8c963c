//! The tree: who sees what, and how it is moved.

use serde_json::json;
use yiyong::policy::Role;

use crate::hosts::{Answer, Client, on_each_database};

fn by_code(client: &Client<'_>, code: &str) -> Answer {
    let found = client.get(&format!("/api/v1/organizations?code={code}"));
    let id = found.body["items"][0]["id"].as_str().expect("an organization").to_owned();
    client.get(&format!("/api/v1/organizations/{id}"))
}

#[test]
fn everybody_sees_their_own_subtree() {
    on_each_database(|host| {
        let city = host.planted();
        let codes = |client: &Client<'_>| -> Vec<String> {
            let page = client.get("/api/v1/organizations?sort=code&count=true");
            let items = page.body["items"].as_array().expect("items");
            assert_eq!(page.body["total"].as_u64(), Some(items.len() as u64));
            items.iter().map(|o| o["code"].as_str().expect("a code").to_owned()).collect()
        };
        assert_eq!(codes(&city), ["zz", "zz-dengfeng", "zz-gaoxin"]);
        let county = host.user("county", Role::Clerk, Some("zz-dengfeng"));
        assert_eq!(codes(&county), ["zz-dengfeng"]);

        // What is elsewhere isn't there; what is seen and not allowed is forbidden.
        let gaoxin = by_code(&city, "zz-gaoxin");
        assert_eq!(county.get(&format!("/api/v1/organizations/{}", gaoxin.id())).code(), "not_found");
        let own = by_code(&county, "zz-dengfeng");
        assert_eq!(county.patch(&format!("/api/v1/organizations/{}", own.id()), "\"1\"", &json!({"name": "x"})).code(), "forbidden");
        assert_eq!(own.body["allowed_actions"], json!([]));
    });
}

#[test]
fn a_change_needs_the_present_version_and_is_audited() {
    on_each_database(|host| {
        let city = host.planted();
        let county = by_code(&city, "zz-dengfeng");
        let path = format!("/api/v1/organizations/{}", county.id());
        assert_eq!(county.header("ETag"), Some("\"1\""));
        assert_eq!(city.send("GET", &path, &[("If-None-Match", "\"1\"")], None).status, 304);
        let body = json!({"short_name": "登封"}).to_string();
        let json_type = ("Content-Type", "application/json");
        assert_eq!(city.send("PATCH", &path, &[json_type], Some(body.as_bytes())).code(), "version_required");
        // A mini-program can't send PATCH.
        let posted =
            city.send("POST", &path, &[json_type, ("If-Match", "\"1\""), ("X-HTTP-Method-Override", "PATCH")], Some(body.as_bytes()));
        assert_eq!((posted.status, &posted.body["short_name"]), (200, &json!("登封")));
        let stale = city.patch(&path, "\"1\"", &json!({"short_name": "封"}));
        assert_eq!((stale.status, &stale.body["current_version"]), (412, &json!(2)));

        use diesel::prelude::*;
        use yiyong::schema::audit_events::dsl::{action, audit_events, detail};
        let trail: Vec<Option<String>> =
            host.service.db.run(true, |conn| Ok(audit_events.filter(action.eq("update")).select(detail).load(conn)?)).expect("the trail");
        assert_eq!(trail.len(), 1);
        assert!(trail[0].as_deref().is_some_and(|t| t.contains("登封")), "{trail:?}");
    });
}

#[test]
fn the_tree_is_moved_without_cycles_and_scopes_move_with_it() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, dengfeng, gaoxin) = (by_code(&city, "zz"), by_code(&city, "zz-dengfeng"), by_code(&city, "zz-gaoxin"));
        let county = host.user("county", Role::OrgAdmin, Some("zz-dengfeng"));
        assert_eq!(county.get(&format!("/api/v1/organizations/{}", gaoxin.id())).status, 404);

        let step = |id: &str, parent: &str| city.post(&format!("/api/v1/organizations/{id}/move"), &json!({"parent_id": parent}));
        assert_eq!(step(zz.id(), dengfeng.id()).status, 409, "under its own descendant");
        assert_eq!(step(gaoxin.id(), dengfeng.id()).status, 200);
        assert_eq!(county.get(&format!("/api/v1/organizations/{}", gaoxin.id())).status, 200, "it is in the county's subtree now");
        let below = city.get(&format!("/api/v1/organizations?organization_id={}&sort=code", dengfeng.id()));
        assert_eq!(below.body["items"].as_array().map(Vec::len), Some(2));

        let archive = |id: &str| city.send("POST", &format!("/api/v1/organizations/{id}/archive"), &[], None);
        assert_eq!(archive(dengfeng.id()).status, 409, "a live child stands below it");
        assert_eq!(archive(gaoxin.id()).status, 200);
        assert_eq!(archive(dengfeng.id()).status, 200);
    });
}

#[test]
fn a_referred_organization_is_not_deleted_and_the_refusal_says_who_refers() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = by_code(&city, "zz");
        let made = city.post(
            "/api/v1/organizations",
            &json!({"code": "zz-new", "name": "新设协会", "kind": "county_association", "parent_id": zz.id()}),
        );
        assert_eq!(made.header("Location"), Some(format!("/api/v1/organizations/{}", made.id()).as_str()));
        let again = city.post("/api/v1/organizations", &json!({"code": "zz-new", "name": "同码", "kind": "other", "parent_id": zz.id()}));
        assert_eq!((again.status, again.code()), (409, "already_exists"));
        let refused = city.delete(&format!("/api/v1/organizations/{}", zz.id()));
        assert_eq!((refused.status, refused.code()), (409, "still_referenced"));
        assert!(refused.body["referrers"].to_string().contains("organizations"));
        assert_eq!(city.delete(&format!("/api/v1/organizations/{}", made.id())).status, 204);
        assert_eq!(city.get(&format!("/api/v1/organizations/{}", made.id())).status, 404);
    });
}

/// A file may hold a tree in any order, and a circle is refused.
#[test]
fn a_tree_is_imported_from_one_file() {
    on_each_database(|host| {
        let city = host.planted();
        let csv = "编码,名称,机构类别,上级编码\n\
                   zz-c,丙,其他,zz-b\nzz-b,乙,其他,zz-a\nzz-a,甲,其他,zz\n";
        let imported = city.import("organizations", csv.as_bytes(), &[]);
        assert_eq!(imported.body["rows_created"], 3, "{imported:?}");
        let (a, c) = (by_code(&city, "zz-a"), by_code(&city, "zz-c"));
        let below = city.get(&format!("/api/v1/organizations?organization_id={}&sort=code", a.id()));
        assert_eq!(below.body["items"][2]["id"], c.id());
        let again = city.import("organizations", csv.as_bytes(), &[("mode", "upsert")]);
        assert_eq!(again.body["rows_unchanged"], 3, "{again:?}");

        let circle = "编码,名称,机构类别,上级编码\nzz-d,丁,其他,zz-e\nzz-e,戊,其他,zz-d\nzz-f,己,其他,zz\n";
        let refused = city.import("organizations", circle.as_bytes(), &[]);
        assert_eq!((refused.status, &refused.body["faults_total"]), (422, &json!(2)), "{refused:?}");
        assert_eq!(refused.body["faults"][0]["code"], "unknown_reference");
        assert_eq!(city.get("/api/v1/organizations?code=zz-f").body["items"], json!([]));
    });
}
