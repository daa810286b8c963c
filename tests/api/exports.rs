//! Exports: what a list shows as a file, and what comes back of it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use diesel::connection::SimpleConnection;
use serde_json::{Map, Value, json};
use yiyong::policy::Role;
use yiyong::web::verbs::{Verbs, registry};

use crate::hosts::{Answer, Client, Host, on_each_database, on_each_database_with};
use crate::role_matrix::Samples;
use crate::welfare::{made, organization};

/// What people write, and what should not be taken for more than it is.
const TEXTS: [&str; 12] = [
    "一,二、三",
    "他说“好”，又说 \"好\"",
    "第一行\n第二行\r\n第三行",
    "=cmd|' /C calc'!A0",
    "'单引号开头",
    "＝SUM(A1)",
    "买买提·艾力",
    "𠮷野家的𬭳",
    "+86 或 -1",
    "@某人",
    " 前后有空格 ",
    "\t制表符",
];

fn address(resource: &str) -> String {
    format!("/api/v1/{}", resource.replace('_', "-"))
}

fn export(client: &Client<'_>, resource: &str, query: &str) -> Answer {
    // As a browser sends it.
    let query: String = query.bytes().map(|b| if b.is_ascii() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
    client.get(&format!("/api/v1/exports/{}?{query}", resource.replace('_', "-")))
}

/// The text of a file.
fn file(client: &Client<'_>, resource: &str, query: &str) -> String {
    let answer = export(client, resource, query);
    assert_eq!(answer.status, 200, "{resource}: {answer:?}");
    match answer.body {
        Value::String(text) => text,
        // A file of one line is JSON as a whole.
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

/// The rows of a CSV by their headers.
fn rows(text: &str) -> Vec<BTreeMap<String, String>> {
    let text = text.strip_prefix('\u{FEFF}').expect("a byte order mark");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|row| row.expect("a row")).collect()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

/// Reads a file back over what is there: nothing of it is new.
fn comes_back_unchanged(client: &Client<'_>, resource: &str, file: &[u8], count: usize) -> Value {
    let answer = client.import(&resource.replace('_', "-"), file, &[("mode", "upsert")]);
    let text = String::from_utf8_lossy(file);
    assert_eq!(answer.status, 201, "{resource}: {answer:?}\n{text}");
    let told = |name: &str| answer.body[name].as_u64().expect("a number") as usize;
    let counts = [told("rows_read"), told("rows_unchanged"), told("rows_updated"), told("rows_created"), told("rows_failed")];
    assert_eq!(counts, [count, count, 0, 0, 0], "{resource}: {answer:?}\n{text}");
    answer.body
}

fn listed(client: &Client<'_>, resource: &str) -> Vec<Value> {
    let answer = client.get(&format!("{}?limit=200&sort=created_at", address(resource)));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["items"].as_array().expect("items").clone()
}

/// Puts what people write into every free text of a record, where its rules and its state let it.
fn write_awkwardly(client: &Client<'_>, verbs: &dyn Verbs, id: &str, turn: &mut usize) -> usize {
    let mut written = 0;
    for (name, property) in verbs.draft_shape().properties() {
        let property = yiyong::web::shape::without_null(property);
        let free = yiyong::web::shape::types(property).contains(&"string") && property.get("format").is_none();
        if !free || property.get("enum").is_some() || name == "code" || name.ends_with("_on") {
            continue;
        }
        *turn += 1;
        let most = property["maxLength"].as_u64().unwrap_or(50) as usize;
        let text: String = TEXTS[*turn % TEXTS.len()].chars().take(most).collect();
        let path = format!("{}/{id}", address(verbs.name()));
        let version = client.get(&path).header("ETag").expect("a version").to_owned();
        written += usize::from(client.patch(&path, &version, &json!({ name.as_str(): text })).status == 200);
    }
    written
}

/// A file that goes out and comes back changes nothing: of every resource that can be imported, whatever its texts hold, as
/// CSV and as a workbook, both with Chinese and with English headers, and as NDJSON.
#[test]
fn what_goes_out_comes_back_unchanged() {
    on_each_database(|host| {
        let samples = Samples::planted(host);
        let importer = host.sign_in("importer", yiyong::auth::UserKind::Service);
        let (mut turn, mut awkward) = (0, 0);
        for verbs in registry().iter().filter(|verbs| verbs.importable()) {
            awkward += write_awkwardly(&importer, *verbs, samples.id(verbs.name()), &mut turn);
        }
        assert!(awkward > 20, "only {awkward} texts were written");
        let mut tried = 0;
        for verbs in registry().iter().filter(|verbs| verbs.importable()) {
            let name = verbs.name();
            let before = listed(&importer, name);
            assert!(!before.is_empty(), "{name} has no sample");
            for query in ["format=csv", "format=csv&headers=en", "format=ndjson", "format=xlsx", "format=xlsx&headers=en"] {
                let file = bytes(&importer, &format!("/api/v1/exports/{}?{query}", name.replace('_', "-")));
                let report = comes_back_unchanged(&importer, name, &file, before.len());
                let ignored = report["ignored_columns"].as_array().expect("columns");
                assert!(!ignored.is_empty(), "{name}: {report}");
                tried += 1;
            }
            assert_eq!(listed(&importer, name), before, "{name}");
        }
        assert!(tried > 150, "only {tried} files");
    });
}

/// Every list can be exported by who may read it, in all formats that it has, and a file holds as many records as the list.
#[test]
fn every_list_has_its_files() {
    on_each_database(|host| {
        Samples::planted(host);
        let importer = host.sign_in("importer", yiyong::auth::UserKind::Service);
        let platform = host.sign_in("platform", yiyong::auth::UserKind::Person);
        for verbs in registry() {
            let name = verbs.name();
            let reader = if importer.get(&address(name)).status == 200 { &importer } else { &platform };
            let count = reader.get(&format!("{}?count=true", address(name))).body["total"].as_u64().expect("a total") as usize;
            assert!(count > 0, "{name} has no sample");
            let narrow = if name == "audit_events" { "&action=create&resource=organizations" } else { "" };
            let count = match narrow {
                "" => count,
                narrow => reader.get(&format!("{}?count=true{narrow}", address(name))).body["total"].as_u64().expect("a total") as usize,
            };
            let table = rows(&file(reader, name, &format!("format=csv{narrow}")));
            assert_eq!(table.len(), count, "{name}");
            let objects = lines(&file(reader, name, &format!("format=ndjson{narrow}")));
            assert_eq!(objects.len(), count, "{name}");
            let ids: Vec<&Value> = objects.iter().map(|object| &object["id"]).collect();
            assert!(table.iter().zip(&ids).all(|(row, id)| row["标识"] == **id), "{name}: oldest first in both");
            let book = bytes(reader, &format!("/api/v1/exports/{}?format=xlsx{narrow}", name.replace('_', "-")));
            assert_eq!(sheet(&book).matches("<row ").count(), count + 1, "{name}");
            let map = export(reader, name, &format!("format=geojson{narrow}"));
            let placed = ["publicity_assets", "workstations"].contains(&name);
            assert_eq!(map.status, if placed { 200 } else { 406 }, "{name}: {map:?}");
        }
    });
}

/// The bytes of an answer, whatever they are.
fn bytes(client: &Client<'_>, path: &str) -> Vec<u8> {
    let (head, body, whole) = Download::begin(client, path).finish();
    assert!(head.starts_with("HTTP/1.1 200") && whole, "{path}: {head}");
    body
}

/// The XML of a workbook's sheet.
fn sheet(book: &[u8]) -> String {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(book)).expect("a ZIP");
    let mut text = String::new();
    archive.by_name("xl/worksheets/sheet1.xml").expect("a sheet").read_to_string(&mut text).expect("XML");
    text
}

/// A download over a connection of its own, as slow as its reader.
struct Download {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Download {
    fn begin(client: &Client<'_>, path: &str) -> Self {
        let host = client.base.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).expect("the server listens");
        let token = client.token.as_deref().unwrap_or_default();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        Self { stream, read: Vec::new() }
    }

    /// Waits for the first bytes.
    fn first(mut self) -> Self {
        let mut buffer = [0; 1_024];
        let read = self.stream.read(&mut buffer).expect("an answer");
        self.read.extend_from_slice(&buffer[..read]);
        assert!(self.read.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.read));
        self
    }

    /// The head, the body, and whether it was whole: chunks that end with the empty one.
    fn finish(mut self) -> (String, Vec<u8>, bool) {
        // A connection that is broken off may end in an error.
        let _ = self.stream.read_to_end(&mut self.read);
        let end = self.read.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        let mut rest = &self.read[end + 4..];
        if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            return (head, rest.to_vec(), true);
        }
        let mut body = Vec::new();
        loop {
            let Some(line) = rest.windows(2).position(|window| window == b"\r\n") else { return (head, body, false) };
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).expect("a size"), 16).expect("a size");
            let Some(chunk) = rest.get(line + 2..line + 2 + size) else { return (head, body, false) };
            if size == 0 {
                return (head, body, true);
            }
            body.extend_from_slice(chunk);
            rest = rest.get(line + 2 + size + 2..).unwrap_or_default();
        }
    }
}

fn goods(client: &Client<'_>, organization: &Value) {
    let items: Vec<Value> = TEXTS
        .iter()
        .enumerate()
        .map(|(i, text)| {
            let unit: String = text.chars().take(20).collect();
            json!({"code": format!("g-{i}"), "organization_id": organization, "name": text, "kind": "umbrella", "unit": unit})
        })
        .collect();
    for item in items {
        made(client.post(&address("goods"), &item));
    }
}

/// A spreadsheet shows what was written, runs nothing of it, and gives it back.
#[test]
fn texts_are_texts_in_every_table() {
    on_each_database(|host| {
        let city = host.planted();
        goods(&city, &organization(&city, "zz"));
        let answer = export(&city, "goods", "sort=code&format=csv");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("Content-Type"), Some("text/csv; charset=utf-8"));
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        let name = answer.header("Content-Disposition").expect("a name");
        // 宣传品-2022-06-17.csv
        assert!(name.starts_with("attachment; filename*=UTF-8''%E5%AE%A3%E4%BC%A0%E5%93%81%2D20"), "{name}");
        assert!(name.ends_with(".csv"), "{name}");

        let text = file(&city, "goods", "format=csv");
        assert!(text.starts_with("\u{FEFF}编码,宣传品名称,"), "{text}");
        assert!(!text.replace("\r\n", "").replace("第一行\n", "").contains('\n'), "every row ends in CRLF: {text}");
        let table = rows(&text);
        for (i, text) in TEXTS.iter().enumerate() {
            let cell = &table[i]["宣传品名称"];
            let guarded = text.starts_with(['=', '+', '-', '@', '\'', '＝', ' ', '\t']);
            assert_eq!(*cell, if guarded { format!("'{text}") } else { (*text).to_owned() });
            assert_eq!((&*table[i]["编码"], &*table[i]["所属协会编码"]), (&*format!("g-{i}"), "zz"));
            assert_eq!((&*table[i]["类别"], &*table[i]["库存"]), ("雨伞", "0"));
        }
        comes_back_unchanged(&city, "goods", text.as_bytes(), TEXTS.len());

        let english = rows(&file(&city, "goods", "headers=en"));
        assert_eq!((&*english[3]["kind"], &*english[3]["name"]), ("umbrella", "'=cmd|' /C calc'!A0"));
        let objects = lines(&file(&city, "goods", "format=ndjson"));
        assert_eq!((&objects[3]["name"], &objects[3]["organization_code"]), (&json!(TEXTS[3]), &json!("zz")));

        let book = sheet(&bytes(&city, "/api/v1/exports/goods?format=xlsx"));
        assert!(book.contains("'=cmd|' /C calc'!A0") && !book.contains("<f>"), "{book}");
        assert!(book.contains("ySplit=\"1\"") && book.contains("state=\"frozen\""), "{book}");
        assert!(book.contains("<v>0</v>"), "the stock is a number: {book}");
    });
}

/// A bulk of people, whose numbers stay texts.
#[test]
fn codes_and_phones_are_texts_and_money_is_numbers_in_a_workbook() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let person = json!({"organization_id": zz, "code": "00123", "name": "王小明", "phone": "13800138000"});
        made(city.post("/api/v1/persons", &person));
        let book = sheet(&bytes(&city, "/api/v1/exports/persons?format=xlsx"));
        let cells: Vec<&str> = book.split("<c ").filter(|cell| cell.contains("00123") || cell.contains("138****8000")).collect();
        assert_eq!(cells.len(), 2, "{book}");
        assert!(cells.iter().all(|cell| cell.contains("t=\"inlineStr\"") || cell.contains("t=\"s\"")), "{cells:?}");
        let budget = json!({"organization_id": zz, "year": 2022, "programme_kind": "hardship", "planned_fen": 1_234_567});
        let finance = host.user("finance", Role::Finance, Some("zz"));
        made(finance.post("/api/v1/budgets", &budget));
        let book = sheet(&bytes(&finance, "/api/v1/exports/budgets?format=xlsx"));
        assert!(book.contains("<v>1234567</v>") && book.contains("预算金额（分）"), "{book}");
    });
}

#[test]
fn what_is_asked_for_wrongly_is_told() {
    on_each_database(|host| {
        let city = host.planted();
        let refused = |query: &str| {
            let answer = export(&city, "volunteers", query);
            let faults: Vec<String> = answer.faults().iter().map(|(pointer, code)| format!("{pointer} {code}")).collect();
            (answer.status, faults.join("; "))
        };
        assert_eq!(refused("colour=red"), (400, "/colour unknown_parameter".into()));
        assert_eq!(refused("limit=5"), (400, "/limit unknown_parameter".into()));
        assert_eq!(
            refused("format=pdf&headers=fr&sort=name"),
            (400, "/format invalid_parameter; /headers invalid_parameter; /sort invalid_parameter".into())
        );
        assert_eq!(refused("identifiers=full"), (400, "/purpose invalid_parameter".into()));
        assert_eq!(refused("identifiers=full&purpose=abc"), (400, "/purpose invalid_parameter".into()));
        assert_eq!(refused("format=geojson"), (406, String::new()));
        assert!(export(&city, "volunteers", "format=geojson").body["detail"].as_str().expect("a text").contains("csv、xlsx、ndjson"));
        let workstations = export(&city, "workstations", "identifiers=full&purpose=核对身份信息");
        assert_eq!(workstations.faults(), [("/identifiers", "no_identifiers")]);
        assert_eq!(export(&city, "nothing", "").status, 404);
        // Who may not read a list has no file of it; who sees a part of it has that part.
        assert_eq!(export(&city, "audit_events", "").status, 403);
        made(city.post("/api/v1/persons", &json!({"organization_id": organization(&city, "zz"), "name": "市协会的人"})));
        made(city.post("/api/v1/persons", &json!({"organization_id": organization(&city, "zz-dengfeng"), "name": "登封的人"})));
        let county = host.user("county", Role::Clerk, Some("zz-dengfeng"));
        let names = |client: &Client<'_>, query: &str| -> Vec<String> {
            rows(&file(client, "persons", query)).iter().map(|row| row["姓名"].clone()).collect()
        };
        assert_eq!(names(&county, ""), ["登封的人"]);
        assert_eq!(names(&city, "sort=-created_at"), ["登封的人", "市协会的人"]);
        assert_eq!(names(&city, "q=登封"), ["登封的人"]);
        assert_eq!(names(&city, "q=没有这样的人"), Vec::<String>::new());
        assert_eq!(file(&city, "persons", "format=ndjson&q=没有这样的人"), "");
    });
}

const NUMBER: &str = "410105199001011234";

/// A valid ID number of the same day with another sequence number.
pub fn id_number(sequence: u32) -> String {
    let body = format!("41010519900101{sequence:03}");
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = body.chars().zip(weights).map(|(digit, weight)| digit.to_digit(10).expect("a digit") * weight).sum();
    format!("{body}{}", "10X98765432".chars().nth((sum % 11) as usize).expect("a check digit"))
}

pub fn events(client: &Client<'_>, resource: &str) -> Vec<Value> {
    let answer = client.get(&format!("/api/v1/audit-events?action=export&resource={resource}&sort=created_at&limit=200"));
    answer.body["items"].as_array().expect("events").iter().map(|event| event["detail"].clone()).collect()
}

/// Whole numbers go to who may reveal them, of those whom they may reveal, for a purpose, and now and then.
#[test]
fn whole_numbers_are_told_for_a_purpose() {
    assert_eq!(NUMBER.len(), 18);
    on_each_database_with(&[("YIYONG_FULL_EXPORTS_AN_HOUR", "2")], |host| {
        let city = host.planted();
        let (own, other) = (organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"));
        let (near, far) = (id_number(101), id_number(103));
        let person = |organization: &Value, name: &str, number: &str| {
            let draft = json!({"organization_id": organization, "name": name, "id_number": number, "phone": "13800138000"});
            made(city.post("/api/v1/persons", &draft)).body["id"].clone()
        };
        let (here, there) = (person(&own, "王小明", &near), person(&other, "李大山", &far));
        for (organization, person, code) in [(&own, &here, "v-1"), (&own, &there, "v-2")] {
            let draft = json!({"organization_id": organization, "person_id": person, "code": code, "sector": "taxi", "registered_on": "2022-06-17"});
            made(city.post("/api/v1/volunteers", &draft));
        }
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let leader = host.user("leader", Role::Leader, Some("zz-dengfeng"));
        let auditor = host.user("auditor", Role::Auditor, Some("zz"));

        let masked = file(&clerk, "volunteers", "");
        assert!(masked.contains("410***********") && !masked.contains(&near[6..17]) && !masked.contains("13800138000"), "{masked}");
        let full = "identifiers=full&purpose=核对慰问金收款人身份";
        let table = rows(&file(&clerk, "volunteers", full));
        assert_eq!((&*table[0]["身份证号"], &*table[0]["手机号"]), (&*near, "13800138000"));
        // Whom another association keeps they can't reveal, whatever list shows them.
        assert_eq!(&*table[1]["身份证号"], format!("{}***********{}", &far[..3], &far[14..]));
        assert_eq!(export(&leader, "volunteers", full).status, 403);
        assert!(file(&leader, "volunteers", "").contains("410***********"));

        let told = events(&auditor, "volunteers");
        let begun = told.iter().find(|detail| detail["identifiers"] == "full").expect("an event");
        assert_eq!((&begun["purpose"], &begun["format"], &begun["filter"]), (&json!("核对慰问金收款人身份"), &json!("csv"), &json!({})));
        assert!(told.iter().any(|detail| detail["rows"] == 2 && detail["completed"] == true), "{told:?}");
        assert!(told.iter().any(|detail| detail["identifiers"] == "masked" && detail["purpose"].is_null()), "{told:?}");
        assert_eq!(told.len(), 6, "a beginning and an end each: {told:?}");

        // Heroes show their person along: there, too.
        made(city.post("/api/v1/heroes", &json!({"organization_id": own, "person_id": here})));
        let heroes = rows(&file(&clerk, "heroes", full));
        assert_eq!((&*heroes[0]["人员身份证号"], &*heroes[0]["人员手机号"]), (&*near, "13800138000"));
        assert!(rows(&file(&clerk, "heroes", ""))[0]["人员身份证号（掩码）"].contains("***"));
        let third = export(&clerk, "persons", full);
        assert_eq!((third.status, third.code()), (429, "too_many_requests"));
        assert!(third.header("Retry-After").is_some());
        assert_eq!(export(&clerk, "persons", "").status, 200, "masked ones go on");
        // A file with whole numbers comes back as well.
        let own_persons = rows(&file(&city, "persons", full));
        assert_eq!(own_persons.len(), 2);
        let city_full = file(&city, "volunteers", full);
        comes_back_unchanged(&city, "volunteers", city_full.as_bytes(), 2);
    });
}

/// A mask that comes back means the number that it stands for, and nothing else is written over a number.
#[test]
fn a_mask_is_no_number() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let number = id_number(105);
        let draft = json!({"organization_id": zz, "code": "p-1", "name": "王小明", "id_number": number, "phone": "13800138000"});
        let person = made(city.post("/api/v1/persons", &draft)).id().to_owned();
        made(city.post(
            "/api/v1/volunteers",
            &json!({"organization_id": zz, "person_id": person, "code": "v-1", "sector": "taxi", "registered_on": "2022-06-17"}),
        ));
        for (resource, query) in
            [("persons", "format=csv"), ("persons", "format=ndjson"), ("volunteers", "format=csv"), ("volunteers", "format=ndjson")]
        {
            let text = file(&city, resource, query);
            assert!(text.contains("138****8000"), "{text}");
            comes_back_unchanged(&city, resource, text.as_bytes(), 1);
            // What else the row says is taken, and the numbers stay.
            let renamed = text.replace("王小明", "王晓明");
            let report = city.import(resource, renamed.as_bytes(), &[("mode", "upsert")]);
            assert_eq!(report.body["rows_updated"], 1, "{report:?}");
            let back = city.import(resource, text.as_bytes(), &[("mode", "upsert")]);
            assert_eq!(back.body["rows_updated"], 1, "{back:?}");
            let wrong = text.replace("138****8000", "139****8000");
            let refused = city.import(resource, wrong.as_bytes(), &[("mode", "upsert")]);
            assert_eq!((refused.status, refused.body["faults"][0]["code"].as_str()), (422, Some("masked_number")), "{refused:?}");
            let anew = text.replace("p-1", "p-2").replace("v-1", "v-2");
            let refused = city.import(resource, anew.as_bytes(), &[("mode", "upsert")]);
            assert_eq!(refused.status, 422, "{refused:?}");
            assert!(
                refused.body["faults"].to_string().contains(if resource == "persons" { "masked_number" } else { "unknown_reference" }),
                "{refused:?}"
            );
        }
        let revealed = city.post(&format!("/api/v1/persons/{person}/reveal"), &json!({"reason": "核对身份信息"}));
        assert_eq!((&revealed.body["id_number"], &revealed.body["phone"]), (&json!(number), &json!("13800138000")));
    });
}

/// Where an association's records name what lies above it or elsewhere, their own file comes back all the same; nothing new
/// can be named that way.
#[test]
fn what_lies_out_of_reach_may_be_named_again() {
    on_each_database(|host| {
        let city = host.planted();
        let there = made(
            city.post("/api/v1/persons", &json!({"organization_id": organization(&city, "zz-gaoxin"), "code": "p-far", "name": "李大山"})),
        );
        let draft = json!({"organization_id": organization(&city, "zz-dengfeng"), "person_id": there.id(), "code": "h-1"});
        made(city.post("/api/v1/heroes", &draft));
        made(city.post("/api/v1/campaigns", &json!({"organization_id": organization(&city, "zz"), "code": "c-1", "name": "宣传月", "kind": "publicity_month", "year": 2022})));
        let county = host.user("county", Role::OrgAdmin, Some("zz-dengfeng"));
        for resource in ["organizations", "heroes", "campaigns"] {
            for query in ["format=csv", "format=ndjson"] {
                let text = file(&county, resource, query);
                comes_back_unchanged(&county, resource, text.as_bytes(), 1);
            }
        }
        let text = file(&county, "heroes", "headers=en");
        let faults = |text: String| {
            let answer = county.import("heroes", text.as_bytes(), &[("mode", "upsert")]);
            answer.body["faults"].as_array().expect("faults").iter().map(|fault| fault["code"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(faults(text.replace("h-1", "h-2")), ["unknown_reference"]);
        assert_eq!(faults(text.replace("p-far", "p-nowhere")), ["unknown_reference"]);
    });
}

#[test]
fn places_go_on_a_map() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let asset = json!({"organization_id": zz, "code": "park", "category": "venue", "kind": "park", "name": "紫荆山公园", "stage": "completed",
            "stage_on": "2022-06-17", "place": {"longitude": 113.6861302, "latitude": 34.7589225, "coordinate_system": "gcj02"}});
        made(city.post("/api/v1/publicity-assets", &asset));
        let nowhere =
            json!({"organization_id": zz, "code": "nowhere", "category": "venue", "stage": "completed", "stage_on": "2022-06-17"});
        made(city.post("/api/v1/publicity-assets", &nowhere));
        let station = json!({"organization_id": zz, "code": "station", "name": "花园路工作站", "host_kind": "village_community", "longitude": 113.6861302, "latitude": 34.7589225});
        made(city.post("/api/v1/workstations", &station));
        let answer = export(&city, "publicity-assets", "format=geojson");
        assert_eq!(answer.header("Content-Type"), Some("application/geo+json"));
        let map = answer.body;
        assert_eq!((&map["type"], map["features"].as_array().map(Vec::len)), (&json!("FeatureCollection"), Some(2)), "{map}");
        let near = |point: &Value, right: [f64; 2]| {
            let off = |i: usize| (point["coordinates"][i].as_f64().expect("degrees") - right[i]).abs();
            assert!(point["type"] == "Point" && off(0) < 1e-5 && off(1) < 1e-5, "{point}");
        };
        near(&map["features"][0]["geometry"], [113.68, 34.76]);
        assert_eq!(
            (&map["features"][0]["properties"]["name"], &map["features"][0]["properties"]["organization_code"]),
            (&json!("紫荆山公园"), &json!("zz"))
        );
        assert_eq!(map["features"][1]["geometry"], Value::Null);
        assert_eq!(map["features"][0]["type"], "Feature");
        let map = export(&city, "publicity-assets", "format=geojson&coordinate_system=gcj02").body;
        near(&map["features"][0]["geometry"], [113.6861302, 34.7589225]);
        assert_eq!(map["coordinate_system"], "gcj02");
        near(&export(&city, "workstations", "format=geojson").body["features"][0]["geometry"], [113.68, 34.76]);
        // A list that can convert does so in its file, too.
        let table = rows(&file(&city, "publicity-assets", "coordinate_system=wgs84"));
        let degrees: f64 = table[0]["经度"].parse().expect("degrees");
        assert!((degrees - 113.68).abs() < 1e-5 && table[0]["坐标系"] == "GPS 坐标", "{table:?}");
    });
}

/// Records enough, and large enough, that their file fits into no buffer on the way, and that their last page is read long after
/// the first has gone out.
pub fn much(host: &Host, city: &Client<'_>) -> usize {
    let csv = "code,organization_code,inspector_code,year,topics\ni-0,zz-dengfeng,zz,2022,巡查\n";
    assert_eq!(city.import("inspections", csv.as_bytes(), &[]).body["rows_created"], 1);
    host.write_behind();
    let count = 20_000;
    let (long, columns) = ("长".repeat(1_000), "organization_id, inspector_id, year, topics, version, created_at, updated_at");
    let (id, numbers) = if host.is_postgres() {
        ("('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid", format!("generate_series(1, {count}) AS numbers (n)"))
    } else {
        let numbers = format!(
            "(WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) SELECT n FROM numbers)"
        );
        ("unhex('00000000000070008000' || printf('%012d', n))", numbers)
    };
    let copies = format!(
        "INSERT INTO inspections (id, code, findings, {columns}) SELECT {id}, 'i-' || n, '{long}', {columns} FROM inspections, {numbers} WHERE code = 'i-0'"
    );
    host.service
        .db
        .run(false, |conn| {
            conn.batch_execute(&copies)?;
            Ok(())
        })
        .expect("many and long");
    count + 1
}

/// However many pages it takes, and whoever reads them, each record stands once and in its order.
#[test]
fn many_pages_are_one_file() {
    for connections in ["2", "4"] {
        on_each_database_with(&[("YIYONG_DB_CONNECTIONS", connections)], |host| {
            let city = host.planted();
            let count = much(host, &city);
            for (sort, field) in [("created_at", "id"), ("-code", "code"), ("code", "code")] {
                let path = format!("/api/v1/exports/inspections?format=ndjson&sort={sort}");
                let text = String::from_utf8(bytes(&city, &path)).expect("UTF-8");
                let told: Vec<String> = lines(&text).iter().map(|object| object[field].as_str().expect("a text").to_owned()).collect();
                let in_order = |pair: &[String]| if sort.starts_with('-') { pair[0] > pair[1] } else { pair[0] < pair[1] };
                assert!(told.len() == count && told.windows(2).all(in_order), "{sort}: {} of {count}", told.len());
            }
        });
    }
}

/// One snapshot for all, and nobody waits for it: while a caller takes their time, others write.
#[test]
fn a_slow_reader_holds_up_nobody_and_sees_one_moment() {
    on_each_database(|host| {
        let city = host.planted();
        let count = much(host, &city);
        let slow = Download::begin(&city, "/api/v1/exports/inspections?format=ndjson").first();
        let draft = json!({"organization_id": organization(&city, "zz"), "inspector_id": organization(&city, "zz"), "code": "later", "year": 2022, "topics": "巡查"});
        made(city.post("/api/v1/inspections", &draft));
        let (head, body, whole) = slow.finish();
        assert!(whole, "{head}");
        let text = String::from_utf8(body).expect("UTF-8");
        assert_eq!((text.lines().count(), text.contains("\"later\"")), (count, false));
        assert!(file(&city, "inspections", "format=ndjson&code=later").contains("\"later\""));
    });
}

/// Who goes away leaves nothing behind: with one connection that exports may take, the next caller gets it.
#[test]
fn who_goes_away_gives_the_connection_back() {
    on_each_database_with(&[("YIYONG_DB_CONNECTIONS", "2")], |host| {
        let city = host.planted();
        much(host, &city);
        let auditor = host.user("auditor", Role::Auditor, Some("zz"));
        for _ in 0..3 {
            drop(Download::begin(&city, "/api/v1/exports/inspections?format=csv").first());
        }
        assert_eq!(city.get("/api/v1/organizations").status, 200);
        // The end is told too, as soon as it is noticed.
        let broken = |detail: &Value| detail["completed"] == false && detail["rows"].as_u64().is_some_and(|rows| rows < 20_000);
        assert!((0..500).any(|_| events(&auditor, "inspections").iter().any(broken)), "{:?}", events(&auditor, "inspections"));
    });
}

/// A file that breaks off on the way never looks whole.
#[test]
fn an_error_on_the_way_breaks_the_file_off() {
    on_each_database(|host| {
        let city = host.planted();
        made(city.post("/api/v1/persons", &json!({"organization_id": organization(&city, "zz"), "code": "p-1", "name": "王小明"})));
        let mut csv = String::from("code,organization_code,person_code,post,from_on,to_on\n");
        let day = |n: u64| chrono::NaiveDate::from_ymd_opt(1995, 1, 1).expect("a day") + chrono::Days::new(n);
        (0..4_500).for_each(|n| csv.push_str(&format!("a-{n},zz,p-1,liaison_officer,{},{}\n", day(2 * n), day(2 * n + 1))));
        let imported = city.import("appointments", csv.as_bytes(), &[]);
        assert_eq!(imported.body["rows_created"], 4_500, "{:?}", imported.body["faults"][0]);
        for format in ["csv", "ndjson", "xlsx"] {
            bytes(&city, &format!("/api/v1/exports/appointments?format={format}"));
        }
        // A row that can't be read stands on the second page.
        let ruined = "UPDATE appointments SET from_on_precision = 'nonsense' WHERE code = 'a-4400'";
        host.service
            .db
            .run(false, |conn| {
                conn.batch_execute(ruined)?;
                Ok(())
            })
            .expect("ruined");
        for format in ["csv", "ndjson"] {
            let (head, body, whole) = Download::begin(&city, &format!("/api/v1/exports/appointments?format={format}")).finish();
            assert!(head.starts_with("HTTP/1.1 200") && !whole && body.len() > 100_000, "{format}: {head}");
        }
        // Nothing of a workbook goes out before it is whole: there it can be told.
        assert_eq!(export(&city, "appointments", "format=xlsx").status, 500);
        // Nor of a small file.
        assert_eq!(export(&city, "appointments", "code=a-4400").status, 500);
        assert_eq!(city.get("/api/v1/organizations").status, 200);
    });
}

/// NDJSON is read as strictly as it is written.
#[test]
fn lines_of_json_are_told_their_faults() {
    on_each_database(|host| {
        let city = host.planted();
        let text = "{\"code\":\"g-1\",\"organization_code\":\"zz\",\"name\":\"伞\",\"kind\":\"umbrella\",\"unit\":\"把\",\"stock\":7}\n\n\
                    {\"code\":\"g-2\",\"organization_code\":\"zz\",\"name\":null,\"kind\":\"umbrella\",\"unit\":\"把\"}\n\
                    {\"code\":\"g-3\",\"organization_code\":\"nowhere\",\"name\":\"伞\",\"kind\":\"umbrella\",\"unit\":\"把\"}\n\
                    {\"code\":\"g-4\",\"colour\":\"red\"}\n";
        let answer = city.import("goods", text.as_bytes(), &[("on_error", "skip")]);
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!((&answer.body["rows_created"], &answer.body["ignored_columns"]), (&json!(1), &json!(["stock"])), "{answer:?}");
        let faults: Vec<(u64, &str)> = answer.body["faults"]
            .as_array()
            .expect("faults")
            .iter()
            .map(|fault| (fault["row"].as_u64().expect("a row"), fault["code"].as_str().expect("a code")))
            .collect();
        assert_eq!(faults, [(3, "required"), (4, "unknown_reference"), (5, "unknown_column")]);
        let kept = city.get(&format!("/api/v1/imports/{}", answer.id()));
        assert_eq!(kept.body, answer.body);
        assert_eq!(listed(&city, "goods")[0]["stock"], 0, "what only shows something is not written");
        // A null takes out what was there.
        let note = json!({"organization_id": organization(&city, "zz"), "code": "u-1", "stage": "completed", "stage_on": "2022-06-17", "note": "旧"});
        made(city.post("/api/v1/demonstration-units", &note));
        let mut unit: Map<String, Value> = serde_json::from_str(&file(&city, "demonstration-units", "format=ndjson")).expect("an object");
        unit.insert("note".into(), Value::Null);
        let line = Value::Object(unit).to_string();
        assert_eq!(city.import("demonstration-units", line.as_bytes(), &[("mode", "upsert")]).body["rows_updated"], 1);
        assert_eq!(listed(&city, "demonstration-units")[0]["note"], Value::Null);
    });
}
