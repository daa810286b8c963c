//! A copy of a list, kept by what has changed since: as a front end does that works without a network.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use yiyong::policy::Role;

use crate::hosts::{Client, Host, on_each_database};

const STATIONS: &str = "/api/v1/workstations";

/// What a front end keeps.
#[derive(Default)]
struct Copy {
    records: BTreeMap<String, Value>,
    token: String,
}

impl Copy {
    /// Asks until there is no more; returns how many answers that took.
    fn catch_up(&mut self, client: &Client<'_>, path: &str) -> usize {
        for n in 1.. {
            let changes = client.get(&format!("{path}?limit=3&updated_since={}", self.token));
            assert_eq!(changes.status, 200, "{changes:?}");
            for record in changes.body["items"].as_array().expect("items") {
                self.records.insert(record["id"].as_str().expect("an id").to_owned(), record.clone());
            }
            for gone in changes.body["deleted"].as_array().expect("the deleted") {
                self.records.remove(gone["id"].as_str().expect("an id"));
            }
            self.token = changes.body["sync_token"].as_str().expect("a token").to_owned();
            if changes.body["more"] == false {
                return n;
            }
        }
        unreachable!()
    }

    fn is_the_list(&self, client: &Client<'_>, path: &str) {
        let list = client.get(&format!("{path}?limit=200"));
        let listed: BTreeMap<String, Value> = list.body["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|r| (r["id"].as_str().expect("an id").to_owned(), r.clone()))
            .collect();
        assert_eq!(self.records, listed);
    }
}

fn organization(client: &Client<'_>, code: &str) -> String {
    client.get(&format!("/api/v1/organizations?code={code}")).body["items"][0]["id"].as_str().expect("an id").to_owned()
}

fn station(client: &Client<'_>, organization_id: &str, code: &str) -> String {
    let station = json!({"code": code, "organization_id": organization_id, "name": code, "host_kind": "police_station"});
    let made = client.post(STATIONS, &station);
    assert_eq!(made.status, 201, "{made:?}");
    made.id().to_owned()
}

/// A county's copy follows what is made, changed, deleted, moved to it and away from it, and learns nothing of others.
#[test]
fn a_copy_follows_its_list() {
    on_each_database(|host: &Host| {
        let city = host.planted();
        let (here, there) = (organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let ours: Vec<String> = (0..7).map(|n| station(&city, &here, &format!("ours-{n}"))).collect();
        let theirs: Vec<String> = (0..3).map(|n| station(&city, &there, &format!("theirs-{n}"))).collect();
        host.seal();

        let mut copy = Copy { token: "2022-01-01T00:00:00%2B08:00".into(), ..Copy::default() };
        assert!(copy.catch_up(&clerk, STATIONS) > 2, "page by page");
        assert_eq!(copy.records.len(), 7);
        copy.is_the_list(&clerk, STATIONS);
        // Nothing has happened since.
        assert_eq!(copy.catch_up(&clerk, STATIONS), 1);

        let patch = |id: &str, body: Value| {
            let version = city.get(&format!("{STATIONS}/{id}")).header("ETag").expect("a version").to_owned();
            assert_eq!(city.patch(&format!("{STATIONS}/{id}"), &version, &body).status, 200, "{body}");
        };
        patch(&ours[0], json!({"name": "崇高路派出所工作站"}));
        patch(&ours[0], json!({"name": "嵩阳派出所工作站"}));
        assert_eq!(city.delete(&format!("{STATIONS}/{}", ours[1])).status, 204);
        patch(&ours[2], json!({"organization_id": there}));
        patch(&theirs[0], json!({"organization_id": here}));
        assert_eq!(city.delete(&format!("{STATIONS}/{}", theirs[1])).status, 204);
        let late = station(&city, &here, "late");
        // Made and gone before anybody has seen it.
        let short = station(&city, &here, "short");
        assert_eq!(city.delete(&format!("{STATIONS}/{short}")).status, 204);
        host.seal();
        let changes = clerk.get(&format!("{STATIONS}?limit=200&updated_since={}", copy.token));
        let of = |list: &str| -> Vec<&str> {
            changes.body[list].as_array().expect("a list").iter().map(|r| r["id"].as_str().expect("an id")).collect()
        };
        // In the order in which each was written last; another county's are not told of.
        assert_eq!(of("items"), [&*ours[0], &*theirs[0], &*late]);
        assert_eq!(of("deleted"), [&*ours[1], &*ours[2], &*short]);
        copy.catch_up(&clerk, STATIONS);
        copy.is_the_list(&clerk, STATIONS);
        assert_eq!(copy.records[&ours[0]]["name"], "嵩阳派出所工作站");

        // An undone import, and one that writes over what is there.
        let csv = "code,organization_code,name,host_kind\nlate,zz-dengfeng,新名,police_station\nfresh,zz-dengfeng,新站,police_station\n"
            .as_bytes();
        let imported = city.import("workstations", csv, &[("mode", "upsert")]);
        assert_eq!((imported.status, &imported.body["rows_updated"]), (201, &json!(1)), "{imported:?}");
        host.seal();
        copy.catch_up(&clerk, STATIONS);
        copy.is_the_list(&clerk, STATIONS);
        assert_eq!(copy.records[&late]["name"], "新名");
        let undone = city.post(&format!("/api/v1/imports/{}/undo", imported.id()), &json!({}));
        assert_eq!(undone.status, 200, "{undone:?}");
        host.seal();
        copy.catch_up(&clerk, STATIONS);
        copy.is_the_list(&clerk, STATIONS);
        assert_eq!(copy.records[&late]["name"], "late");

        // The city's copy is another: it knows all, and what is gone.
        let mut all = Copy { token: "2022-01-01T00:00:00Z".into(), ..Copy::default() };
        all.catch_up(&city, STATIONS);
        all.is_the_list(&city, STATIONS);
        assert_eq!(city.delete(&format!("{STATIONS}/{}", theirs[2])).status, 204);
        host.seal();
        all.catch_up(&city, STATIONS);
        all.is_the_list(&city, STATIONS);
    });
}

/// A token is good for what it was given for, and for as long as its holder sees the same.
#[test]
fn a_token_ends_with_what_its_holder_may_see() {
    on_each_database(|host: &Host| {
        let city = host.planted();
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        station(&city, &organization(&city, "zz-dengfeng"), "one");
        host.seal();
        let mut copy = Copy { token: "2022-01-01T00:00:00Z".into(), ..Copy::default() };
        copy.catch_up(&clerk, STATIONS);
        let with = |client: &Client<'_>, path: &str, token: &str| client.get(&format!("{path}?updated_since={token}"));
        let refused = with(&clerk, "/api/v1/volunteer-teams", &copy.token);
        assert_eq!((refused.status, refused.faults()), (400, vec![("/updated_since", "invalid_parameter")]));
        for nonsense in ["yesterday", "2022-06-17", "", "bm9uc2Vuc2U"] {
            assert_eq!(with(&clerk, STATIONS, nonsense).faults(), [("/updated_since", "invalid_parameter")], "{nonsense}");
        }
        // It isn't mixed with what narrows a list: what changes out of a filter could not be told.
        for beside in ["sort=code", "count=true", "status=active", "cursor=x"] {
            let refused = clerk.get(&format!("{STATIONS}?updated_since={}&{beside}", copy.token));
            let pointer = format!("/{}", beside.split('=').next().expect("a name"));
            assert_eq!(refused.faults(), [(pointer.as_str(), "unknown_parameter")], "{refused:?}");
        }
        assert_eq!(clerk.get(&format!("{STATIONS}?updated_since={}&limit=0", copy.token)).faults(), [("/limit", "invalid_parameter")]);
        // Another's token: who sees something else.
        let expired = with(&city, STATIONS, &copy.token);
        assert_eq!((expired.status, expired.code()), (410, "sync_expired"), "{expired:?}");

        // The county moves under another city, and back: what lies below it came and went unwritten.
        let platform = host.sign_in("platform", yiyong::auth::UserKind::Person);
        let mut seen = Copy { token: "2022-01-01T00:00:00Z".into(), ..Copy::default() };
        seen.catch_up(&city, STATIONS);
        assert_eq!(with(&city, STATIONS, &seen.token).status, 200);
        let (county, root) = (organization(&platform, "zz-dengfeng"), organization(&platform, "hn"));
        let version = platform.get(&format!("/api/v1/organizations/{county}")).header("ETag").expect("a version").to_owned();
        let headers = [("Content-Type", "application/json"), ("If-Match", &*version)];
        let body = json!({"parent_id": root}).to_string();
        let moved = platform.send("POST", &format!("/api/v1/organizations/{county}/move"), &headers, Some(body.as_bytes()));
        assert_eq!(moved.status, 200, "{moved:?}");
        host.seal();
        assert_eq!(with(&city, STATIONS, &seen.token).code(), "sync_expired");
        let mut anew = Copy { token: "2022-01-01T00:00:00Z".into(), ..Copy::default() };
        anew.catch_up(&city, STATIONS);
        anew.is_the_list(&city, STATIONS);
        assert!(anew.records.is_empty());
    });
}
