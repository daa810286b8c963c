//! The annual report: by an outline of one's own, with what counties have declared, with problems and plans, and frozen.

use std::io::Read;

use diesel::prelude::*;
use serde_json::{Value, json};
use yiyong::db::AnyConnection;
use yiyong::policy::Role;

use crate::hosts::{Answer, Client, on_each_database};
use crate::monthly_returns::{declare, done, form, of_month, opened, step};
use crate::welfare::{made, organization};

const OUTLINES: &str = "/api/v1/report-outlines";
const ITEMS: &str = "/api/v1/work-items";
const SNAPSHOTS: &str = "/api/v1/report-snapshots";
const TEAMS: &str = "four_ones.volunteer_teams";
const NEWS: &str = "publicity.media.news_story";
const BROCHURES: &str = "publicity.goods.brochure.county";

fn report(client: &Client<'_>, query: &str) -> Answer {
    done(client.get(&format!("/api/v1/reports/annual/2022{query}")))
}

fn figure(report: &Value, code: &str) -> Value {
    let sections = report["sections"].as_array().expect("sections").iter();
    let mut figures = sections.flat_map(|section| section["figures"].as_array().expect("figures"));
    figures.find(|figure| figure["code"] == code).unwrap_or_else(|| panic!("{code} is not in the report")).clone()
}

fn titles(report: &Answer) -> Vec<String> {
    let sections = report.body["sections"].as_array().expect("sections").iter();
    sections.map(|section| section["title_zh"].as_str().expect("a title").to_owned()).collect()
}

fn text(client: &Client<'_>, path: &str) -> String {
    client.send("GET", path, &[("Accept", "text/markdown"), ("Accept-Language", "zh")], None).body.as_str().expect("a text").to_owned()
}

fn teams(city: &Client<'_>, code: &str, n: usize) {
    let mut csv = "code,organization_code,base_kind,established_on\n".to_owned();
    (0..n).for_each(|i| csv.push_str(&format!("{code}-{i},zz-dengfeng,school,2022-03-0{}\n", i % 9 + 1)));
    assert_eq!(city.import("volunteer-teams", csv.as_bytes(), &[]).body["rows_created"], n);
}

#[test]
fn a_report_has_the_chapters_of_its_outline() {
    on_each_database(|host| {
        let city = host.planted();
        let county = host.user("county", Role::OrgAdmin, Some("zz-dengfeng"));
        let (zz, dengfeng) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"));
        assert_eq!(titles(&report(&city, "")).len(), 5);
        let wrong = json!({"organization_id": zz, "sections": [
            {"title_zh": "队伍", "title_en": "Teams", "figures": [TEAMS, "nothing"]}, {"title_zh": "宣传", "title_en": "News", "figures": [TEAMS]}]});
        assert_eq!(city.post(OUTLINES, &wrong).faults(), [("/sections/0/figures/1", "unknown_figure"), ("/sections/1/figures/0", "twice")]);
        let outline = json!({"organization_id": zz, "sections": [
            {"title_zh": "媒体", "title_en": "News", "figures": [NEWS]},
            {"title_zh": "宣传品", "title_en": "Goods", "figures": ["publicity.goods.hat"]},
            {"title_zh": "队伍", "title_en": "Teams", "figures": [TEAMS]}]});
        let mine = made(city.post(OUTLINES, &outline));
        assert_eq!(city.post(OUTLINES, &outline).code(), "already_exists");
        let told = report(&city, "");
        assert_eq!(titles(&told), ["媒体", "宣传品", "队伍"]);
        assert_eq!(told.body["sections"][2]["number"], 3);
        let markdown = text(&city, "/api/v1/reports/annual/2022");
        assert!(markdown.contains("## 三、队伍") && markdown.contains("- 志愿者队伍："), "{markdown}");

        // It counts below, where a chapter without figures of a county's own is left out, and as long as there is none nearer.
        assert_eq!(titles(&report(&county, "")), ["媒体", "队伍"]);
        let own = json!({"organization_id": dengfeng, "sections": [{"title_zh": "登封的队伍", "title_en": "Teams", "figures": [TEAMS]}]});
        let nearer = made(county.post(OUTLINES, &own));
        assert_eq!(titles(&report(&county, "")), ["登封的队伍"]);
        assert_eq!(titles(&report(&city, "")), ["媒体", "宣传品", "队伍"]);
        // A county sees the city's, and doesn't change it.
        let path = format!("{OUTLINES}/{}", mine.id());
        assert_eq!(county.get(&path).status, 200);
        assert_eq!(county.patch(&path, mine.header("ETag").expect("a version"), &json!({"sections": own["sections"]})).status, 404);
        assert_eq!(county.delete(&format!("{OUTLINES}/{}", nearer.id())).status, 204);
        assert_eq!(titles(&report(&county, "")), ["媒体", "队伍"]);
    });
}

#[test]
fn problems_and_plans_stand_in_the_report_with_who_sees_to_them() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let owner = city.get("/api/v1/auth/me").body["id"].clone();
        let item = |more: Value| {
            let mut draft = json!({"organization_id": zz, "year": 2022, "kind": "problem", "content": "个别协会专职人员配备不到位。"});
            draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            city.post(ITEMS, &draft)
        };
        let second = made(item(json!({"position": 2, "owner_id": owner, "due_on": "2023-06-30"})));
        made(item(json!({"position": 1, "content": "创新意识不强。"})));
        made(item(json!({"kind": "plan", "content": "全面铺开“四个一工程”。"})));
        made(item(json!({"year": 2021, "content": "往年的问题。"})));
        assert_eq!(item(json!({"owner_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08"})).faults(), [("/owner_id", "unknown_reference")]);
        let told = report(&city, "");
        let contents =
            |part: &str| -> Vec<Value> { told.body[part].as_array().expect("items").iter().map(|item| item["content"].clone()).collect() };
        assert_eq!(contents("problems"), ["创新意识不强。", "个别协会专职人员配备不到位。"]);
        assert_eq!(contents("plans"), ["全面铺开“四个一工程”。"]);
        assert_eq!((&told.body["problems"][1]["owner_id"], &told.body["problems"][1]["due_on"]), (&owner, &json!("2023-06-30")));
        let markdown = text(&city, "/api/v1/reports/annual/2022");
        assert!(markdown.contains("## 六、存在的问题\n\n1. 创新意识不强。\n2. 个别"), "{markdown}");
        assert!(markdown.contains("## 七、下一步工作\n\n1. 全面铺开"), "{markdown}");
        let path = format!("{ITEMS}/{}", second.id());
        assert_eq!(done(city.post(&format!("{path}/close"), &json!({}))).body["state"], "closed");
        assert_eq!(city.patch(&path, "\"2\"", &json!({"content": "别的"})).code(), "step_not_allowed");
        assert_eq!(report(&city, "").body["problems"][1]["state"], "closed");
        done(city.post(&format!("{path}/reopen"), &json!({})));
        assert_eq!(city.get(&format!("{ITEMS}?kind=problem&state=open&due_to=2023-12-31&count=true")).body["total"], 1);
    });
}

#[test]
fn what_counties_declare_stands_beside_what_their_records_say() {
    on_each_database(|host| {
        let city = host.planted();
        let dengfeng = host.user("dengfeng", Role::Clerk, Some("zz-dengfeng"));
        let gaoxin = host.user("gaoxin", Role::Clerk, Some("zz-gaoxin"));
        let reviewer = host.user("reviewer", Role::Clerk, Some("zz"));
        teams(&city, "d", 3);
        let form = form(&city, &json!({"figures": [TEAMS, NEWS, BROCHURES]}));
        let hand_in = |county: &Client<'_>, month: &str, cells: Value, accept: bool| {
            let it = of_month(county, month);
            done(declare(county, &it, &cells));
            done(step(county, &it, "submit", &json!({})));
            if accept {
                done(step(&reviewer, &it, "accept", &json!({})));
            }
        };
        let cell = |figure: &str, declared: i64, reason: &str| json!({"figure": figure, "declared": declared, "reason": reason});
        // Nothing declared, nothing told.
        assert_eq!(figure(&report(&city, "").body, TEAMS)["declared"], Value::Null);
        opened(&city, &form, "2022-05");
        opened(&city, &form, "2022-06");
        hand_in(&dengfeng, "2022-05", json!([cell(TEAMS, 9, "五月的口径"), cell(BROCHURES, 100, "台账")]), true);
        hand_in(&dengfeng, "2022-06", json!([cell(TEAMS, 5, "两支待补录"), cell(BROCHURES, 200, "台账"), cell(NEWS, 7, "台账")]), true);
        hand_in(&gaoxin, "2022-06", json!([cell(TEAMS, 1, "待补录")]), true);
        hand_in(&gaoxin, "2022-05", json!([cell(BROCHURES, 1000, "台账")]), false);
        let told = report(&city, "").body;
        // A stock is what it was last, a flow all of it; what isn't accepted doesn't count.
        let stock = figure(&told, TEAMS);
        assert_eq!((&stock["value"], &stock["declared"], &stock["declared_returns"]), (&json!(3), &json!(6), &json!(2)));
        assert_eq!(stock["difference_reason"], "登封市见义勇为协会 2022-06：两支待补录；高新区见义勇为协会 2022-06：待补录");
        let flow = figure(&told, BROCHURES);
        assert_eq!((&flow["value"], &flow["declared"], &flow["declared_returns"]), (&Value::Null, &json!(300), &json!(2)));
        // What the city adds of its own stands in no county's return.
        assert_eq!(figure(&told, NEWS)["declared"], Value::Null);
        let of_county = figure(&report(&dengfeng, "").body, NEWS);
        assert_eq!((&of_county["declared"], &of_county["declared_precision"]), (&json!(7), &json!("exact")));
        let markdown = text(&city, "/api/v1/reports/annual/2022");
        assert!(markdown.contains("[3 支](") && markdown.contains("（0 支；上报 6 支）"), "{markdown}");
    });
}

#[test]
fn a_frozen_report_stays_as_it_was() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let viewer = host.user("viewer", Role::Auditor, Some("zz"));
        let other = host.user("other", Role::OrgAdmin, Some("zz-gaoxin"));
        teams(&city, "d", 3);
        let draft = json!({"organization_id": zz, "year": 2022, "note": "印发稿"});
        for (year, status, fault) in [(2099, 422, ("/year", "in_the_future")), (1999, 422, ("/year", "too_small"))] {
            let refused = city.post(SNAPSHOTS, &json!({"organization_id": zz, "year": year}));
            assert_eq!((refused.status, refused.faults()), (status, vec![fault]));
        }
        assert_eq!(viewer.post(SNAPSHOTS, &draft).status, 403);
        assert_eq!(other.post(SNAPSHOTS, &draft).status, 422);
        assert_eq!(city.get(&format!("{SNAPSHOTS}?count=true")).body["total"], 0);
        let frozen = made(city.post(SNAPSHOTS, &draft));
        let path = format!("{SNAPSHOTS}/{}", frozen.id());
        let live = report(&city, "").body;
        assert_eq!(frozen.body["report"]["sections"], live["sections"]);
        assert_eq!(done(viewer.get(&format!("{path}/changes"))).body["items"], json!([]));
        let before: Vec<String> = ["docx", "xlsx", "markdown", "json"].iter().map(|format| shape(&city, &path, format)).collect();

        // A record that comes later, one that is only touched, and one that goes.
        teams(&city, "late", 2);
        let one = city.get("/api/v1/volunteer-teams?code=d-0");
        let (id, version) = (one.body["items"][0]["id"].as_str().expect("an id").to_owned(), "\"1\"");
        done(city.patch(&format!("/api/v1/volunteer-teams/{id}"), version, &json!({"name": "少林义警队"})));
        let changed = done(viewer.get(&format!("{path}/changes")));
        let items = changed.body["items"].as_array().expect("items");
        let teams_now = items.iter().find(|item| item["figure"] == TEAMS).expect("the teams have changed");
        assert_eq!((&teams_now["then"]["value"], &teams_now["now"]["value"]), (&json!(3), &json!(5)));
        assert_eq!((&teams_now["records_then"], &teams_now["records_now"]), (&json!(3), &json!(5)));
        // Only figures over these records have changed.
        assert!(
            items.iter().all(|item| item["records_url"].as_str().is_some_and(|url| url.starts_with("/api/v1/volunteer-teams?"))),
            "{items:?}"
        );
        host.seal();
        let since = done(city.get(teams_now["changes_url"].as_str().expect("an address")));
        let written: Vec<&str> = since.body["items"].as_array().expect("items").iter().filter_map(|team| team["code"].as_str()).collect();
        assert!(["late-0", "late-1", "d-0"].iter().all(|code| written.contains(code)), "{written:?}");

        assert_eq!(figure(&city.get(&path).body["report"], TEAMS)["value"], 3);
        let after: Vec<String> = ["docx", "xlsx", "markdown", "json"].iter().map(|format| shape(&city, &path, format)).collect();
        assert!(before == after, "{:?}", before.iter().zip(&after).map(|(before, after)| before == after).collect::<Vec<_>>());
        assert!(after[2].contains("[3 支]"), "{}", after[2]);
        // Nobody changes it, not even who made it, and not behind the service's back.
        assert_eq!(city.patch(&path, "\"1\"", &json!({"note": "改"})).code(), "forbidden");
        assert_eq!(city.delete(&path).code(), "forbidden");
        for sql in ["UPDATE report_snapshots SET year = 2021", "DELETE FROM report_snapshots"] {
            let by_hand = host.service.db.run(false, |conn| {
                let done = match conn {
                    AnyConnection::Pg(c) => diesel::sql_query(sql).execute(c),
                    AnyConnection::Sqlite(c) => diesel::sql_query(sql).execute(c),
                };
                Ok(done.expect_err("refused").to_string())
            });
            assert!(by_hand.expect("a refusal").contains("a frozen report stays as it was"), "{sql}");
        }
        assert_eq!(other.get(&path).status, 404);
        // A number that is only touched is told too: its record is another version.
        let again = made(city.post(SNAPSHOTS, &draft));
        let path = format!("{SNAPSHOTS}/{}", again.id());
        done(city.patch(&format!("/api/v1/volunteer-teams/{id}"), "\"2\"", &json!({"name": "少林"})));
        let touched = done(city.get(&format!("{path}/changes")));
        let item = touched.body["items"].as_array().expect("items").iter().find(|item| item["figure"] == TEAMS).expect("touched").clone();
        assert_eq!((&item["then"], &item["records_now"]), (&item["now"], &json!(5)));
    });
}

/// A frozen report as a document: the very bytes, as digits.
fn shape(client: &Client<'_>, path: &str, format: &str) -> String {
    let address = format!("{path}/document?format={format}");
    match format {
        "docx" => {
            // Its paragraphs are numbered anew; what they say is the same.
            let mut archive = zip::ZipArchive::new(std::io::Cursor::new(client.download(&address))).expect("a ZIP");
            let mut xml = String::new();
            archive.by_name("word/document.xml").expect("a part").read_to_string(&mut xml).expect("XML");
            xml.split("<w:t ").skip(1).filter_map(|part| Some(part.split_once('>')?.1.split_once('<')?.0)).collect()
        }
        "xlsx" => client.download(&address).iter().map(|byte| format!("{byte:02x}")).collect(),
        "markdown" => text(client, &address),
        _ => client.get(&address).body.to_string(),
    }
}

/// A year's quarter, as the association lives it: three months of returns of one county, a circular on them, and the report that is frozen.
#[test]
fn from_the_first_return_to_the_frozen_report() {
    on_each_database(|host| {
        let city = host.planted();
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let reviewer = host.user("reviewer", Role::Clerk, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let zz = organization(&city, "zz");
        let form = form(&city, &json!({"figures": [TEAMS, BROCHURES], "jump_percent": 50}));
        let teams_on = |day: &str, code: &str| {
            let csv = format!("code,organization_code,base_kind,established_on\n{code},zz-dengfeng,school,{day}\n");
            assert_eq!(city.import("volunteer-teams", csv.as_bytes(), &[]).body["rows_created"], 1);
        };
        teams_on("2022-04-10", "a");
        teams_on("2022-05-10", "b");
        teams_on("2022-06-10", "c");
        // April as the records say it, May sent back once, June with a number of its own.
        for month in ["2022-04", "2022-05", "2022-06"] {
            opened(&city, &form, month);
            let it = of_month(&clerk, month);
            if month == "2022-06" {
                done(declare(
                    &clerk,
                    &it,
                    &json!([{"figure": TEAMS, "declared": 4, "reason": "一支待补录"}, {"figure": BROCHURES, "declared": null}]),
                ));
            }
            done(step(&clerk, &it, "submit", &json!({})));
            if month == "2022-05" {
                let said = json!({"reason": "请核对", "cells": [{"figure": TEAMS, "objection": "名单上有两支"}]});
                done(step(&reviewer, &it, "return", &said));
                done(step(&clerk, &it, "submit", &json!({})));
            }
            done(step(&reviewer, &it, "accept", &json!({})));
        }
        let warned = of_month(&clerk, "2022-06");
        assert_eq!((&warned.body["warnings"][0]["kind"], &warned.body["warnings"][0]["compared"]), (&json!("jump"), &json!(2)));

        let draft = json!({"organization_id": zz, "subject": "four_ones", "title": "二季度讲评通报", "form_key": "four-ones",
                           "from_month": "2022-04", "to_month": "2022-06"});
        let circular = made(reviewer.post("/api/v1/circulars", &draft));
        let path = format!("/api/v1/circulars/{}", circular.id());
        let told = done(reviewer.post(&format!("{path}/generate"), &json!({})));
        assert_eq!(told.body["facts"]["rankings"][0]["rows"][0]["value"], 4);
        assert_eq!((&told.body["facts"]["counties"], &told.body["facts"]["rankings"][0]["unreported"]), (&json!(2), &json!(1)));
        done(leader.post(&format!("{path}/issue"), &json!({"number": "郑义〔2022〕20号", "issued_on": "2022-07-11"})));

        let live = report(&city, "").body;
        let stock = figure(&live, TEAMS);
        assert_eq!(
            (&stock["value"], &stock["declared"], &stock["difference_reason"]),
            (&json!(3), &json!(4), &json!("登封市见义勇为协会 2022-06：一支待补录"))
        );
        assert_eq!(figure(&live, "four_ones.review_circulars")["value"], 1);
        let frozen = made(leader.post(SNAPSHOTS, &json!({"organization_id": zz, "year": 2022})));
        teams_on("2022-06-11", "d");
        assert_eq!(figure(&report(&city, "").body, TEAMS)["value"], 4);
        let kept = city.get(&format!("{SNAPSHOTS}/{}", frozen.id()));
        assert_eq!(figure(&kept.body["report"], TEAMS)["value"], 3);
        let changed = done(city.get(&format!("{SNAPSHOTS}/{}/changes", frozen.id())));
        assert_eq!(changed.body["items"][0]["figure"], TEAMS);
    });
}
