//! The real input of 2022: imported over HTTP by a machine client, closed by three users, and all 52 figures come out.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read, Write};

use serde_json::{Value, json};
use yiyong::demo::FILES;
use yiyong::files::read::{self, Cell, Limits};
use yiyong::policy::Role;
use yiyong::web::Measure;

use crate::hosts::{Client, on_each_database};
use crate::welfare::step;

#[path = "../../examples/zhengzhou_2022/bulk.rs"]
mod bulk;

const FIGURES: &str = include_str!("../fixtures/zhengzhou-2022/figures.csv");

/// A figure as the association published it.
struct Published {
    code: String,
    value: i64,
    precision: &'static str,
    unit: String,
    holder: String,
}

fn published() -> Vec<Published> {
    let mut reader = csv::Reader::from_reader(FIGURES.as_bytes());
    reader
        .records()
        .map(|row| {
            let row = row.expect("a row");
            let precision = match &row[4] {
                "exact" => "exact",
                "over" => "at_least",
                "about" => "about",
                other => panic!("what is {other}?"),
            };
            Published {
                code: row[0].into(),
                value: row[3].parse().expect("a number"),
                precision,
                unit: row[5].into(),
                holder: row[6].into(),
            }
        })
        .collect()
}

/// What there is of an organization below the city.
struct Place {
    kind: String,
    short_name: String,
}

impl Place {
    fn is_county(&self) -> bool {
        ["county_association", "county_collective"].contains(&self.kind.as_str())
    }
}

#[test]
fn all_figures_of_2022_come_out() {
    on_each_database(|host| {
        let platform = host.user("platform", Role::PlatformAdmin, None);
        let root = json!({"code": "hn", "name": "河南省见义勇为基金会", "kind": "provincial_foundation"});
        assert_eq!(platform.post("/api/v1/organizations", &root).status, 201);
        let importer = host.user("importer", Role::Service, Some("hn"));
        import(&importer);
        close(&importer, &host.user("leader", Role::Leader, Some("hn")), &host.user("finance", Role::Finance, Some("hn")));

        let places = places(&importer);
        let figures = published();
        assert_eq!(figures.len(), 52);
        for figure in &figures {
            compare(&importer, &places, figure);
        }
        report(&importer, &figures);
        crate::ledger::clean(host);
        report_of_a_county(&importer, &host.user("county", Role::Leader, Some("zz-gaoxin")));
    });
}

/// The report is these figures, chapter by chapter, as data and as a text to read.
fn report(client: &Client<'_>, published: &[Published]) {
    let answer = client.get("/api/v1/reports/annual/2022");
    assert_eq!((answer.status, &answer.body["organization"]["code"]), (200, &json!("zz")), "{answer:?}");
    let sections = answer.body["sections"].as_array().expect("sections");
    assert_eq!(sections.iter().map(|section| section["number"].as_u64()).collect::<Vec<_>>(), (1..=5).map(Some).collect::<Vec<_>>());
    let reported: Vec<&Value> = sections.iter().flat_map(|section| section["figures"].as_array().expect("figures")).collect();
    assert_eq!(reported.len(), 52);
    for (reported, published) in reported.iter().zip(published) {
        assert_eq!((&reported["code"], &reported["value"]), (&json!(published.code), &json!(published.value)), "in the source's order");
    }
    // A year before there was nothing to count, and of sums nothing is known.
    let before = |code: &str| reported.iter().find(|figure| figure["code"] == code).expect("a figure")["year_before"].clone();
    assert_eq!(before("four_ones.volunteers"), json!({"value": 0, "precision": "exact"}));
    assert_eq!(before("welfare.condolence.city.amount_fen")["value"], Value::Null);

    let read =
        |language| client.send("GET", "/api/v1/reports/annual/2022", &[("Accept", "text/markdown"), ("Accept-Language", language)], None);
    let text = read("zh");
    assert!(text.header("Content-Type").is_some_and(|kind| kind.starts_with("text/markdown")), "{text:?}");
    let chinese = text.body.as_str().expect("a text").to_owned();
    let english = read("en").body.as_str().expect("a text").to_owned();
    for (text, signs) in [
        (
            &chinese,
            [
                "# 郑州市见义勇为协会 2022 年工作报告",
                "## 一、",
                "### （二）志愿者队伍建设",
                "[5,708 人](http",
                "[322.4 万元](http",
                "[1,200 余人次](http",
                "[约 18,000 块](http",
                "未填报",
            ],
        ),
        (
            &english,
            [
                "2022",
                "## 1. ",
                "### (2) Volunteer teams",
                "[5,708 persons](http",
                "[3,224,000 yuan](http",
                "[over 1,200 attendances](http",
                "[about 18,000 screens](http",
                "not reported",
            ],
        ),
    ] {
        for sign in signs {
            assert!(text.contains(sign), "{sign} in\n{text}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("- ") && line.contains("](http")).count(), 52);
    }
    as_a_document(client, &chinese, "zh");
    as_a_document(client, &english, "en");
    as_a_workbook(client, published);
    as_a_picture(client, &chinese, "zh");
    as_a_picture(client, &english, "en");
    assert_eq!(client.send("GET", "/api/v1/reports/annual/2022", &[("Accept", "application/pdf")], None).code(), "not_acceptable");
    assert_eq!(client.get("/api/v1/reports/annual/2022?format=pdf").faults(), [("/format", "unknown_entry")]);
    assert_eq!(client.get("/api/v1/reports/annual/1066").code(), "invalid_parameter");
}

/// The document says what the text says, figure for figure, each number a link to the same records.
fn as_a_document(client: &Client<'_>, text: &str, language: &str) {
    let accept = [("Accept", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"), ("Accept-Language", language)];
    let answer = client.send("GET", "/api/v1/reports/annual/2022", &accept, None);
    let named = answer.header("Content-Disposition").expect("a name").to_owned();
    assert!(answer.status == 200 && named.starts_with("attachment; filename*=UTF-8''") && named.ends_with(".docx"), "{named}");
    let bytes = client.download_in("/api/v1/reports/annual/2022?format=docx", language);
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("a ZIP");
    let mut part = |name: &str| {
        let mut text = String::new();
        archive.by_name(name).expect("a part").read_to_string(&mut text).expect("XML");
        text
    };
    let (body, links) = (part("word/document.xml"), part("word/_rels/document.xml.rels"));
    // Words as they are read, without what is said of them.
    let read: String = body
        .split('<')
        .filter_map(|tag| tag.strip_prefix("w:t ").or(tag.strip_prefix("w:t>")))
        .map(|tag| tag.split_once('>').map_or(tag, |(_, text)| text))
        .collect();
    let unmarked = |text: &str| text.replace('\\', "").replace('&', "&amp;").replace('\'', "&apos;").replace('"', "&quot;");
    let mut figures = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("- ")) {
        let (label, rest) = line.split_once('[').expect("a link");
        let (number, rest) = rest.split_once("](").expect("a link");
        let (address, _) = rest.split_once(')').expect("an address");
        let said = unmarked(&format!("{label}{number}"));
        assert!(read.contains(&said), "{said} in {read}");
        assert!(links.contains(&address.replace('&', "&amp;")), "{address} in {links}");
        figures += 1;
    }
    assert_eq!((figures, body.matches("<w:hyperlink").count()), (52, 52));
    let levels = if language == "zh" {
        ["一、“四个一工程”", "（一）组织与通报", "1. 县市区协会"]
    } else {
        ["1. The four-ones", "(1) Organization", "1. county"]
    };
    assert!(levels.iter().all(|level| read.contains(level)), "{levels:?} in {read}");
    // GB/T 9704: A4, and the margins in twentieths of a point.
    assert!(body.contains(r#"w:w="11906""#) && body.contains(r#"w:top="2097""#) && body.contains("方正小标宋简体"), "{body}");
}

/// The picture says what the text says, each number a link to the same records, and has the charts besides.
fn as_a_picture(client: &Client<'_>, text: &str, language: &str) {
    let svg = String::from_utf8(client.download_in("/api/v1/reports/annual/2022?format=svg", language)).expect("text");
    let marked = |text: &str| quick_xml::escape::escape(text.replace('\\', "")).into_owned();
    let mut figures = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("- ")) {
        let (label, rest) = line.split_once('[').expect("a link");
        let (number, rest) = rest.split_once("](").expect("a link");
        let (address, _) = rest.split_once(')').expect("an address");
        let label = marked(label.trim_end().trim_end_matches(['：', ':']));
        let (_, beside) =
            svg.split_once(&format!(">{label}</text><a href=\"{}\">", marked(address))).unwrap_or_else(|| panic!("{label} in {svg}"));
        let told = beside.split_once("</a>").map(|(told, _)| told).expect("a number");
        assert!(told.ends_with(&format!(">{}</text>", marked(number))), "{label}: {number} is {told}");
        figures += 1;
    }
    assert_eq!(figures, 52);
    assert_eq!(svg.matches("<svg ").count(), 1 + 4, "the charts stand in it");
    let png = image::load_from_memory(&client.download("/api/v1/reports/annual/2022?format=png")).expect("a picture").to_rgb8();
    assert_eq!(png.width(), 3_200);
    assert!(png.height() > 3_000 && png.pixels().any(|pixel| pixel.0 == [0x9c, 0x2a, 0x2a]), "{}", png.height());
}

/// The workbook holds the numbers themselves, a sheet for each chapter, and says what each of them counts.
fn as_a_workbook(client: &Client<'_>, published: &[Published]) {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&client.download("/api/v1/reports/annual/2022?format=xlsx")).expect("written");
    let text = |cell: &Cell| match cell {
        Cell::Text(text) | Cell::Number(text) => text.clone(),
        _ => String::new(),
    };
    let sheet = |name: &str| -> Vec<Vec<String>> {
        let mut table = read::open_sheet(file.try_clone().expect("a file"), None, Some(name), &Limits::default()).expect("a sheet");
        let mut rows = Vec::new();
        while let Some(row) = table.next().expect("a row") {
            rows.push(row.cells.iter().map(text).collect());
        }
        rows
    };
    let chapters = ["一、“四个一工程”", "二、基层组织建设", "三、社会宣传", "四、服务保障", "五、队伍素质"];
    let rows: Vec<Vec<String>> = chapters.iter().flat_map(|name| sheet(name).split_off(2)).collect();
    assert_eq!(rows.len(), 52);
    for (row, figure) in rows.iter().zip(published) {
        assert_eq!(row[7], figure.code, "in the source's order");
        // Amounts stand in yuan.
        let value = if figure.unit == "fen" { figure.value / 100 } else { figure.value };
        assert_eq!(row[1], value.to_string(), "{}", figure.code);
    }
    let defined: Vec<String> = sheet("指标定义").iter().skip(2).map(|row| row[0].clone()).collect();
    assert_eq!(defined, published.iter().map(|figure| figure.code.clone()).collect::<Vec<_>>());
}

/// A county's report is its own work, without what only the city does; another's isn't there for it.
fn report_of_a_county(importer: &Client<'_>, county: &Client<'_>) {
    let own = county.get("/api/v1/reports/annual/2022");
    assert_eq!(own.body["organization"]["code"], "zz-gaoxin");
    let figures: HashMap<&str, &Value> = own.body["sections"]
        .as_array()
        .expect("sections")
        .iter()
        .flat_map(|section| section["figures"].as_array().expect("figures"))
        .map(|figure| (figure["code"].as_str().expect("a code"), &figure["value"]))
        .collect();
    assert_eq!(figures["four_ones.venues.park.completed"], &json!(1));
    assert_eq!(figures["welfare.recuperation.gaoxin.persons"], &json!(20));
    assert!(!figures.contains_key("publicity.screens.bus"), "the city's");
    assert!(!figures.contains_key("four_ones.volunteer_teams.dengfeng_villages_enterprises"), "another's");
    let dengfeng = importer.get("/api/v1/organizations?code=zz-dengfeng").body["items"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(county.get(&format!("/api/v1/reports/annual/2022?organization_id={dengfeng}")).status, 404);
}

/// Every file, and all but the large ones once more: a second run changes nothing and says so.
fn import(importer: &Client<'_>) {
    for file in FILES {
        let rows = csv::ReaderBuilder::new().from_reader(file.csv).records().count();
        let first = importer.import(file.resource, file.csv, &[("mode", "upsert")]);
        assert_eq!(first.status, 201, "{}: {:?}", file.resource, first.body);
        // The root was there, and learns its short name and its division.
        let updated = usize::from(file.resource == "organizations");
        assert_eq!(first.body["rows_updated"], updated, "{}", file.resource);
        assert_eq!(first.body["rows_created"], rows - updated, "{}", file.resource);
        if rows < 1_000 {
            let second = importer.import(file.resource, file.csv, &[("mode", "upsert")]);
            assert_eq!(second.body["rows_unchanged"], rows, "{}: {:?}", file.resource, second.body);
        }
    }
}

/// Imported disbursements are drafts, and count for nothing until three users have had their hands on them.
fn close(preparer: &Client<'_>, leader: &Client<'_>, finance: &Client<'_>) {
    let drafts = preparer.get("/api/v1/disbursements?state=draft&limit=200");
    let drafts = drafts.body["items"].as_array().expect("items");
    assert!(!drafts.is_empty());
    let before = preparer.get("/api/v1/figures/welfare.condolence.city.amount_fen?year=2022");
    assert_eq!(before.body["value"], Value::Null, "nothing was paid yet");
    // The city's own money: prepared by the import, posted by the leader.
    let one = |resource: &str, code: &str| preparer.get(&format!("/api/v1/{resource}?code={code}")).body["items"][0].clone();
    let (account, fund) = (one("accounts", "zz-bank"), one("accounts", "zz-unrestricted"));
    let voucher = format!("/api/v1/vouchers/{}", one("vouchers", "zz-2022-opening")["id"].as_str().expect("an id"));
    for (client, action) in [(preparer, "submit"), (leader, "post")] {
        assert_eq!(step(client, &voucher, action, &json!({})).status, 200);
    }
    for draft in drafts {
        let path = format!("/api/v1/disbursements/{}", draft["id"].as_str().expect("an id"));
        let taken = |client: &Client<'_>, action: &str, body: Value, state: &str| {
            let answer = step(client, &path, action, &body);
            assert_eq!((answer.status, &answer.body["state"]), (200, &json!(state)), "{action} {draft}: {answer:?}");
        };
        taken(preparer, "submit", json!({}), "submitted");
        taken(leader, "approve", json!({}), "approved");
        if draft["form"] == "cash" {
            let mut paid = json!({"paid_on": "2022-12-31", "paid_on_precision": "at_latest"});
            if draft["channel"] == "own" && draft["organization_id"] == fund["organization_id"] {
                paid["fund_id"] = fund["id"].clone();
                paid["account_id"] = account["id"].clone();
            }
            taken(finance, "pay", paid, "paid");
        } else {
            taken(finance, "deliver", json!({"delivered_on": null}), "delivered");
        }
    }
}

/// The city's subtree, by code.
fn places(client: &Client<'_>) -> HashMap<String, Place> {
    let city = client.get("/api/v1/organizations?code=zz");
    let city = city.body["items"][0]["id"].as_str().expect("an id").to_owned();
    let below = client.get(&format!("/api/v1/organizations?organization_id={city}&limit=200"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = below.body["items"].as_array().expect("items").iter();
    items.map(|o| (text(&o["code"]), Place { kind: text(&o["kind"]), short_name: text(&o["short_name"]) })).collect()
}

fn compare(client: &Client<'_>, places: &HashMap<String, Place>, published: &Published) {
    let Published { code, holder, .. } = published;
    let answer = client.get(&format!("/api/v1/figures/{code}?year=2022"));
    assert_eq!(answer.status, 200, "{code}: {answer:?}");
    let figure = &answer.body;
    assert_eq!(figure["value"], published.value, "{code}: {figure}");
    assert_eq!(figure["unit"], published.unit.as_str(), "{code}");
    assert_eq!(figure["precision"], published.precision, "{code}");

    let holders: BTreeSet<&str> = figure["holders"].as_array().expect("holders").iter().filter_map(|h| h["code"].as_str()).collect();
    assert!(holders.iter().all(|holder| places.contains_key(*holder)), "{code}: within the city: {holders:?}");
    let places_of_holders: Vec<&Place> = holders.iter().map(|holder| &places[*holder]).collect();
    let counties = places.iter().filter(|(_, place)| place.kind == "county_association").map(|(code, _)| code.as_str());
    match holder.as_str() {
        // Where organizations are counted, its records are theirs, and the figure is the city's.
        "city" if counts_organizations(code) => {
            assert_eq!(figure["organization"]["code"], "zz", "{code}");
            assert_eq!(holders, counties.collect(), "{code}");
        }
        "city" => assert_eq!((&figure["organization"]["code"], holders), (&json!("zz"), BTreeSet::from(["zz"])), "{code}"),
        "each county" => assert_eq!(holders, counties.collect(), "{code}"),
        "all counties" => assert!(!holders.is_empty() && places_of_holders.iter().all(|place| place.is_county()), "{code}: {holders:?}"),
        "all" | "city + counties" => assert_eq!((&figure["organization"]["code"], holders.is_empty()), (&json!("zz"), false), "{code}"),
        named => {
            let short: BTreeSet<&str> = places_of_holders.iter().flat_map(|place| place.short_name.split('、')).collect();
            assert_eq!(short, named.split(';').collect(), "{code}");
        }
    }

    let behind = client.get(&format!("{}&count=true&limit=200", figure["records_url"].as_str().expect("an address")));
    let records = figure["records"].as_u64().expect("a number");
    assert_eq!(behind.body["total"], records, "{code}");
    assert_eq!(behind.body["items"].as_array().map(Vec::len), Some(records.min(200) as usize), "{code}");
}

fn counts_organizations(code: &str) -> bool {
    yiyong::figures::named(code).is_some_and(|d| d.resource == "organizations" || d.measure == Measure::Organizations)
}

/// The bulk files are what their generator makes.
#[test]
fn the_bulk_files_are_the_generators() {
    for (name, csv) in bulk::files() {
        let committed = FILES.iter().find(|file| format!("{}.csv", file.resource) == name).map(|file| file.csv);
        assert!(committed == Some(csv.as_bytes()), "{name}: cargo run --example zhengzhou_2022");
    }
}
