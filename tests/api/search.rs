//! Names are found as people type them: by characters, by pinyin, by initials.

use std::collections::BTreeSet;

use diesel::prelude::*;
use serde_json::{Value, json};
use yiyong::db::{AnyConnection, Deed, Tx, grams};
use yiyong::error::{Error, Result};
use yiyong::policy::Role;
use yiyong::schema::{name_grams, name_index};
use yiyong::types::Id;

use crate::hosts::{Answer, Client, Host, on_each_database};
use crate::role_matrix::Samples;

/// Names of a list that a query finds, in order.
fn found(client: &Client<'_>, resource: &str, q: &str) -> Vec<String> {
    let encoded: String = q.bytes().map(|b| format!("%{b:02X}")).collect();
    let page = client.get(&format!("/api/v1/{resource}?limit=200&q={encoded}"));
    assert_eq!(page.status, 200, "{page:?}");
    let mut names: Vec<String> = page.body["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["name"].as_str().or(item["person"]["name"].as_str()).expect("a name").to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_name_is_found_as_it_is_typed() {
    on_each_database(|host: &Host| {
        let city = host.planted();
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let county = city.get("/api/v1/organizations?code=zz-dengfeng").body["items"][0]["id"].clone();
        for name in ["曾国强", "单雄信", "王小明", "王晓敏", "吕布", "李 娜", "Ouyang Na"] {
            let made = clerk.post("/api/v1/persons", &json!({"organization_id": county, "name": name}));
            assert_eq!(made.status, 201, "{made:?}");
        }
        let is = |q: &str, names: &[&str]| assert_eq!(found(&clerk, "persons", q), names, "{q}");
        for q in ["zengguoqiang", "zgq", "cgq", "Zeng Guo-Qiang", "zengguoq", "zgqiang", "guoqiang", "zēng guó", "曾", "曾guo", "曾gq"]
        {
            let q = q.replace('-', "'");
            is(&q, &["曾国强"]);
        }
        is("sxx", &["单雄信"]);
        is("dxx", &["单雄信"]);
        is("wxm", &["王小明", "王晓敏"]);
        is("wangxiaomi", &["王小明", "王晓敏"]);
        is("wangxiaomin", &["王小明", "王晓敏"]);
        is("wangxiaoming", &["王小明"]);
        is("lvb", &["吕布"]);
        is("lubu", &["吕布"]);
        is("lǚ", &["吕布"]);
        is("lina", &["李 娜"]);
        is("na", &["Ouyang Na", "李 娜"]);
        is("ouyang", &["Ouyang Na"]);
        is("xyz", &[]);
        is("wangxiaoqiang", &[]);
        // Beside another filter, and of the counties by their place.
        assert_eq!(found(&city, "organizations", "dengfeng"), ["登封市见义勇为协会"]);
        assert_eq!(found(&city, "organizations", "dfs"), ["登封市见义勇为协会"]);
        assert_eq!(found(&city, "organizations", "jyyw"), ["登封市见义勇为协会", "郑州市见义勇为协会", "高新区见义勇为协会"]);
        // Another county's names are not found by any way of writing them.
        let elsewhere = host.user("elsewhere", Role::Clerk, Some("zz-gaoxin"));
        assert_eq!(found(&elsewhere, "persons", "zgq"), Vec::<String>::new());

        // In files, and under another name.
        let csv = "organization_code,name,sector,registered_on\nzz-dengfeng,尉迟敬德,community,2022-06-17\n";
        let imported = city.import("volunteers", csv.as_bytes(), &[]);
        assert_eq!((imported.status, &imported.body["rows_created"]), (201, &json!(1)), "{imported:?}");
        assert_eq!(found(&city, "volunteers", "yuchi"), ["尉迟敬德"]);
        let person = clerk.get("/api/v1/persons?q=ycjd");
        let id = person.body["items"][0]["id"].as_str().expect("an id");
        let renamed = clerk.patch(&format!("/api/v1/persons/{id}"), "\"1\"", &json!({"name": "令狐冲"}));
        assert_eq!(renamed.status, 200, "{renamed:?}");
        assert_eq!((found(&city, "volunteers", "yuchi"), found(&city, "volunteers", "lhc")), (vec![], vec!["令狐冲".to_owned()]));
    });
}

/// All pieces of names that are kept.
fn pieces(conn: &mut AnyConnection) -> Vec<(String, String, Id)> {
    let all = name_grams::table.order((name_grams::resource, name_grams::gram, name_grams::record_id));
    all.select((name_grams::resource, name_grams::gram, name_grams::record_id)).load(conn).expect("pieces")
}

/// What stands in one list of pieces and not in another; some of it.
fn only(one: &[(String, String, Id)], other: &[(String, String, Id)]) -> Vec<String> {
    let known: BTreeSet<_> = other.iter().collect();
    one.iter().filter(|piece| !known.contains(piece)).map(|(resource, gram, _)| format!("{resource}: {gram}")).take(20).collect()
}

/// The index holds what an index made anew would hold.
fn is_as_made_anew(conn: &mut AnyConnection) {
    let kept = pieces(conn);
    conn.transaction(grams::rebuild).expect("made anew");
    let anew = pieces(conn);
    assert_eq!((only(&kept, &anew), only(&anew, &kept)), (vec![], vec![]));
}

#[test]
fn what_is_written_over_moved_or_undone_leaves_no_piece() {
    on_each_database(|host: &Host| {
        let city = host.planted();
        let zz = city.get("/api/v1/organizations?code=zz").body["items"][0]["id"].clone();
        let made = |path: &str, draft: Value| {
            let made = city.post(path, &draft);
            assert_eq!(made.status, 201, "{made:?}");
            made
        };
        let patched = |path: &str, patch: Value| {
            let version = city.get(path).header("ETag").expect("a version").to_owned();
            let patched = city.patch(path, &version, &patch);
            assert_eq!(patched.status, 200, "{patched:?}");
        };
        let done = |path: &str, body: Value| {
            let done = city.post(path, &body);
            assert_eq!(done.status, 200, "{done:?}");
        };
        let named = |q: &str| found(&city, "volunteers", q);
        let place = |resource: &str, of: &Answer| format!("/api/v1/{resource}/{}", of.id());

        // A person goes into another, and comes back: the volunteer that they are goes along.
        let volunteer = |name: &str| {
            made(
                "/api/v1/volunteers",
                json!({"organization_id": zz, "sector": "community", "registered_on": "2022-06-17", "person": {"name": name}}),
            )
        };
        let moved = volunteer("王大壮");
        let person = moved.body["person_id"].as_str().expect("an id").to_owned();
        let other = made("/api/v1/persons", json!({"organization_id": zz, "name": "王小壮"}));
        done(&format!("/api/v1/persons/{person}/merge"), json!({"into_id": other.id(), "reason": "同一人"}));
        assert_eq!((named("大壮"), named("wxz")), (vec![], vec!["王小壮".to_owned()]));
        let merge = city.get(&format!("/api/v1/person-merges?person_id={person}")).body["items"][0]["id"].clone();
        done(&format!("/api/v1/person-merges/{}/undo", merge.as_str().expect("an id")), json!({}));
        assert_eq!((named("大壮"), named("wxz")), (vec!["王大壮".to_owned()], vec![]));

        // Renamed by way of the volunteer, which writes both; a name to none; a short name.
        patched(&place("volunteers", &moved), json!({"person": {"name": "欧阳壮"}}));
        assert_eq!((named("大壮"), named("oyz")), (vec![], vec!["欧阳壮".to_owned()]));
        let team = made(
            "/api/v1/volunteer-teams",
            json!({"organization_id": zz, "name": "红袖章巡逻队", "base_kind": "other", "established_on": "2022-06-17"}),
        );
        patched(&place("volunteer-teams", &team), json!({"name": null}));
        patched(&format!("/api/v1/organizations/{}", zz.as_str().expect("an id")), json!({"short_name": "绿城"}));
        assert_eq!(found(&city, "organizations", "lvcheng"), ["郑州市见义勇为协会"]);
        let gone = volunteer("司马光");
        assert_eq!(city.delete(&place("volunteers", &gone)).status, 204);
        assert_eq!(named("司马"), Vec::<String>::new());

        // A file of which one row is skipped, after its person was written: the number is taken. The same tried out; and taken back.
        let head = "code,organization_code,name,sector,registered_on";
        let csv = format!("{head}\n,zz,诸葛亮,community,2022-06-17\n{},zz,上官云,community,2022-06-17\n", moved.code());
        let skip = [("mode", "create"), ("on_error", "skip")];
        let tried = city.import("volunteers", csv.as_bytes(), &[&skip[..], &[("dry_run", "true")]].concat());
        assert_eq!((&tried.body["rows_created"], named("诸葛")), (&json!(1), vec![]), "{tried:?}");
        let skipped = city.import("volunteers", csv.as_bytes(), &skip);
        assert_eq!((&skipped.body["rows_created"], named("诸葛")), (&json!(1), vec!["诸葛亮".to_owned()]), "{skipped:?}");
        assert_eq!((named("上官"), found(&city, "persons", "上官")), (vec![], vec![]));
        assert_eq!(city.post(&format!("/api/v1/imports/{}/undo", skipped.id()), &json!({})).status, 200);
        assert_eq!(named("诸葛"), Vec::<String>::new());

        // What a savepoint takes back was never named.
        let db = &host.service.db;
        let taken_back = |tx: &mut Tx<'_>| {
            let id = Id::new();
            let failed: Result<()> = tx.nested(|tx| {
                tx.index("persons", id, None, Some("未成".to_owned()));
                Err(Error::not_found())
            });
            assert!(failed.is_err());
            Ok(id)
        };
        db.write_now(&Deed::of_operator("test"), taken_back).expect("written");
        assert_eq!(found(&city, "persons", "未成"), Vec::<String>::new());

        host.service
            .db
            .run(true, |conn| {
                is_as_made_anew(conn);
                Ok(())
            })
            .expect("compared");
    });
}

/// A database from before is indexed anew when it is migrated: what comes out is what each write would have kept.
#[test]
fn an_index_made_anew_is_the_one_that_was_kept() {
    on_each_database(|host: &Host| {
        Samples::planted(host);
        host.service
            .db
            .run(false, |conn| {
                let kept = pieces(conn);
                assert!(kept.len() > 200, "{}", kept.len());
                diesel::delete(name_grams::table.filter(name_grams::resource.ne("persons"))).execute(conn)?;
                diesel::update(name_index::table).set(name_index::version.eq(1)).execute(conn)?;
                assert!(yiyong::db::migrations::pending(conn).expect("an answer"));
                yiyong::db::migrations::up(conn).expect("migrated");
                assert!(!yiyong::db::migrations::pending(conn).expect("an answer"));
                let anew = pieces(conn);
                let nothing = Vec::<String>::new();
                assert_eq!((only(&kept, &anew), only(&anew, &kept)), (nothing.clone(), nothing));
                assert_eq!(name_index::table.select(name_index::version).first::<i32>(conn)?, grams::VERSION);
                Ok(())
            })
            .expect("indexed");
    });
}
