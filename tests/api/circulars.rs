//! Circulars on monthly returns: told by the service, written by people, issued under a number.

use std::io::Read;

use diesel::prelude::*;
use serde_json::{Value, json};
use yiyong::auth::UserKind;
use yiyong::policy::Role;
use yiyong::schema::circulars as t;
use yiyong::types::Id;

use crate::hosts::{Answer, Client, on_each_database};
use crate::inspections::{FINDINGS, INSPECTIONS, ago, user_id};
use crate::monthly_returns::{FORMS, declare, done, form, of_month, opened, step};
use crate::welfare::{made, organization};

const CIRCULARS: &str = "/api/v1/circulars";
const TEAMS: &str = "four_ones.volunteer_teams";

fn at(circular: &Answer) -> String {
    format!("{CIRCULARS}/{}", circular.id())
}

fn names(rows: &Value) -> Vec<(i64, &str, i64)> {
    let rows = rows.as_array().expect("rows").iter();
    rows.map(|row| {
        (row["rank"].as_i64().expect("a rank"), row["county"]["code"].as_str().expect("a code"), row["value"].as_i64().expect("a value"))
    })
    .collect()
}

#[test]
fn a_circular_tells_what_the_counties_handed_in() {
    on_each_database(|host| {
        let city = host.planted();
        let dengfeng = host.user("dengfeng", Role::Clerk, Some("zz-dengfeng"));
        let gaoxin = host.user("gaoxin", Role::Clerk, Some("zz-gaoxin"));
        let reviewer = host.user("reviewer", Role::Clerk, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let form = form(&city, &json!({}));
        let zz = organization(&city, "zz");
        let draft = json!({"organization_id": zz, "subject": "four_ones", "title": "关于“四个一工程”推进情况的通报",
                           "form_key": "four-ones", "from_month": "2022-05", "to_month": "2022-06"});
        let hand_in = |county: &Client<'_>, month: &str, teams: i64| {
            let it = of_month(county, month);
            let cells = json!([{"figure": TEAMS, "declared": teams, "reason": "档案补录中"}]);
            done(declare(county, &it, &cells));
            done(step(county, &it, "submit", &json!({})));
            done(step(&reviewer, &it, "accept", &json!({})));
        };
        let circular = made(reviewer.post(CIRCULARS, &draft));
        assert_eq!(
            (&circular.body["state"], &circular.body["year"], &circular.body["facts"]),
            (&json!("draft"), &json!(2022), &Value::Null)
        );
        // Nothing was asked for, so there is nothing to tell; and what tells nothing isn't issued.
        assert_eq!(reviewer.post(&format!("{}/generate", at(&circular)), &json!({})).code(), "conflict");
        assert_eq!(leader.post(&format!("{}/issue", at(&circular)), &json!({"number": "郑义〔2022〕12号"})).code(), "step_not_allowed");

        opened(&city, &form, "2022-05");
        opened(&city, &form, "2022-06");
        hand_in(&dengfeng, "2022-05", 10);
        hand_in(&dengfeng, "2022-06", 22);
        hand_in(&gaoxin, "2022-06", 30);
        // What isn't accepted isn't told.
        done(step(&gaoxin, &of_month(&gaoxin, "2022-05"), "submit", &json!({})));
        let generated = done(reviewer.post(&format!("{}/generate", at(&circular)), &json!({})));
        let facts = &generated.body["facts"];
        assert_eq!(names(&facts["rankings"][0]["rows"]), [(1, "zz-gaoxin", 30), (2, "zz-dengfeng", 22)]);
        assert_eq!((&facts["movements"][0]["before"], &facts["movements"][0]["after"]), (&json!(10), &json!(22)));
        assert_eq!((&facts["handed_in"][0]["late"], &facts["handed_in"][1]["accepted"]), (&json!(2), &json!(1)));
        let text = generated.body["text"].as_str().expect("a text");
        assert!(text.contains("志愿者队伍：依次为高新区见义勇为协会（30支）、登封市见义勇为协会（22支）"), "{text}");
        assert!(text.contains("逾期上报的有"), "{text}");

        // Untouched, it follows; what people have written stays, beside facts that are told anew.
        done(step(&reviewer, &of_month(&gaoxin, "2022-05"), "accept", &json!({})));
        done(step(&gaoxin, &of_month(&gaoxin, "2022-06"), "amend", &json!({"reason": "重报"})));
        let again = done(reviewer.post(&format!("{}/generate", at(&circular)), &json!({})));
        // While it is amended, what was accepted before stands.
        assert_eq!(names(&again.body["facts"]["rankings"][0]["rows"])[0], (1, "zz-gaoxin", 30));
        let written = json!({"text": "各县市区协会：\n现将有关情况通报如下。"});
        let edited = done(reviewer.patch(&at(&circular), again.header("ETag").expect("a version"), &written));
        assert_eq!(edited.body["facts"], again.body["facts"]);
        let gaoxin_june = of_month(&gaoxin, "2022-06");
        let cells = json!([{"figure": TEAMS, "declared": 5, "reason": "重报"}]);
        done(declare(&gaoxin, &gaoxin_june, &cells));
        done(step(&gaoxin, &gaoxin_june, "submit", &json!({})));
        done(step(&reviewer, &gaoxin_june, "accept", &json!({})));
        let last = done(reviewer.post(&format!("{}/generate", at(&circular)), &json!({})));
        assert_eq!(names(&last.body["facts"]["rankings"][0]["rows"])[0], (1, "zz-dengfeng", 22));
        assert_eq!(last.body["text"], written["text"]);

        // The clerk prepares, the leader issues; a number is given once.
        let issue = format!("{}/issue", at(&circular));
        let number = json!({"number": "郑义〔2022〕12号", "issued_on": "2022-07-20"});
        assert_eq!(reviewer.post(&issue, &number).status, 403);
        assert_eq!(leader.post(&issue, &json!({"number": "郑义2022-12"})).faults(), [("/number", "invalid_document_number")]);
        assert_eq!(
            leader.post(&issue, &json!({"number": "郑义〔2022〕12号", "issued_on": "2022-04-30"})).faults(),
            [("/issued_on", "before_its_months")]
        );
        let recorded = json!({"organization_id": zz, "subject": "other", "year": 2022, "number": "郑义〔2022〕11号"});
        assert_eq!(made(reviewer.post(CIRCULARS, &recorded)).body["state"], "issued");
        assert_eq!(leader.post(&issue, &json!({"number": "郑义〔2022〕11号"})).faults(), [("/number", "number_taken")]);
        // Only what is issued counts.
        let figure = || city.get("/api/v1/figures/four_ones.review_circulars?year=2022").body["value"].clone();
        assert_eq!(figure(), 0);
        let issued = done(leader.post(&issue, &number));
        assert_eq!((&issued.body["state"], &issued.body["issued_on"]), (&json!("issued"), &json!("2022-07-20")));
        assert_eq!(figure(), 1);
        assert_eq!(reviewer.patch(&at(&circular), issued.header("ETag").expect("a version"), &written).code(), "step_not_allowed");
        assert_eq!(reviewer.post(&format!("{}/generate", at(&circular)), &json!({})).code(), "step_not_allowed");
        done(leader.post(&format!("{}/archive", at(&circular)), &json!({})));
        assert_eq!(figure(), 1);
        // Records that come later change nothing in it.
        done(step(&gaoxin, &gaoxin_june, "amend", &json!({"reason": "再报"})));
        assert_eq!(reviewer.get(&at(&circular)).body["facts"], last.body["facts"]);
        assert_eq!(host.user("elsewhere", Role::Clerk, Some("zz-gaoxin")).get(&at(&circular)).status, 404);
    });
}

#[test]
fn a_circular_tells_what_is_still_to_be_seen_to() {
    on_each_database(|host| {
        let city = host.planted();
        let reviewer = host.user("reviewer", Role::Clerk, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let dengfeng = host.user("dengfeng", Role::Clerk, Some("zz-dengfeng"));
        let gaoxin = host.user("gaoxin", Role::Clerk, Some("zz-gaoxin"));
        let platform = host.sign_in("platform", UserKind::Person);
        let below = |parent: &str, code: &str, name: &str, kind: &str| {
            let draft = json!({"code": code, "name": name, "kind": kind, "parent_id": organization(&platform, parent)});
            made(platform.post("/api/v1/organizations", &draft));
        };
        below("zz-dengfeng", "zz-dengfeng-song", "嵩山分会", "other");
        below("hn", "kf", "开封市见义勇为协会", "city_association");
        below("kf", "kf-lankao", "兰考县见义勇为协会", "county_association");
        let kaifeng = host.user("kaifeng", Role::OrgAdmin, Some("kf"));
        let visit = |client: &Client<'_>, inspected: &str, by: &str| {
            let draft = json!({"organization_id": organization(client, inspected), "inspector_id": organization(client, by),
                               "inspected_on": ago(30), "topics": "四个一建设"});
            made(client.post(INSPECTIONS, &draft)).id().to_owned()
        };
        let found = |client: &Client<'_>, visit: &str, severity: &str, description: &str, owner: &Client<'_>, due_on: String| {
            let draft = json!({"inspection_id": visit, "severity": severity, "description": description,
                               "owner_id": user_id(owner), "due_on": due_on});
            made(client.post(FINDINGS, &draft))
        };

        let at_dengfeng = visit(&reviewer, "zz-dengfeng", "zz");
        let at_song = visit(&reviewer, "zz-dengfeng-song", "zz");
        let at_gaoxin = visit(&reviewer, "zz-gaoxin", "zz");
        for n in 0..4 {
            found(&reviewer, &at_dengfeng, "minor", &format!("标牌破损{n}"), &dengfeng, ago(0));
        }
        found(&reviewer, &at_dengfeng, "serious", "没有值班记录。", &dengfeng, ago(1));
        found(&reviewer, &at_song, "critical", &format!("救助金\n{}", "未".repeat(100)), &dengfeng, ago(0));
        found(&reviewer, &at_gaoxin, "serious", "台账不全", &gaoxin, ago(0));
        // What waits to be closed, what is closed, and what was put right on the spot is open no more.
        let settled = |finding: &Answer| {
            done(dengfeng.post(&format!("{FINDINGS}/{}/remedy", finding.id()), &json!({"note": "已补齐", "remedied_on": ago(0)})));
        };
        settled(&found(&reviewer, &at_dengfeng, "critical", "已整改", &dengfeng, ago(2)));
        let closed = found(&reviewer, &at_dengfeng, "critical", "已销号", &dengfeng, ago(2));
        settled(&closed);
        done(leader.post(&format!("{FINDINGS}/{}/close", closed.id()), &json!({})));
        let spot = json!({"inspection_id": at_dengfeng, "severity": "minor", "description": "当场整改", "fixed_on_the_spot": true});
        made(reviewer.post(FINDINGS, &spot));
        // Another city's is told by that city.
        let at_lankao = visit(&kaifeng, "kf-lankao", "kf");
        found(&kaifeng, &at_lankao, "critical", "别的市", &kaifeng, ago(3));

        let form = form(&city, &json!({}));
        opened(&city, &form, "2022-06");
        let draft =
            json!({"organization_id": organization(&city, "zz"), "subject": "four_ones", "form_key": "four-ones", "to_month": "2022-06"});
        let circular = made(reviewer.post(CIRCULARS, &draft));
        let generate = || done(reviewer.post(&format!("{}/generate", at(&circular)), &json!({})));
        let told = generate();
        let open = &told.body["facts"]["open_findings"];
        let sums = |of: &Value| ["open", "overdue", "critical", "serious", "minor"].map(|sum| of[sum].as_i64().expect("a number"));
        assert_eq!((&open["as_at"], &open["counties"], sums(open)), (&json!(ago(0)), &json!(2), [7, 1, 1, 2, 4]));
        // Where more is overdue comes first.
        let rows = open["rows"].as_array().expect("rows");
        let counties: Vec<(&Value, [i64; 5])> = rows.iter().map(|row| (&row["county"]["code"], sums(row))).collect();
        assert_eq!(counties, [(&json!("zz-dengfeng"), [6, 1, 1, 1, 4]), (&json!("zz-gaoxin"), [1, 0, 0, 1, 0])]);
        // The gravest five, in short, and where they were found; the address is of all.
        let gravest = rows[0]["gravest"].as_array().expect("findings");
        let first: Vec<(&Value, &Value, &Value)> = gravest.iter().map(|one| (&one["severity"], &one["due_on"], &one["overdue"])).collect();
        let (today, yesterday) = (json!(ago(0)), json!(ago(1)));
        assert_eq!(
            first,
            [
                (&json!("critical"), &today, &json!(false)),
                (&json!("serious"), &yesterday, &json!(true)),
                (&json!("minor"), &today, &json!(false)),
                (&json!("minor"), &today, &json!(false)),
                (&json!("minor"), &today, &json!(false)),
            ]
        );
        assert_eq!((&gravest[0]["organization_name"], &gravest[2]["description"]), (&json!("嵩山分会"), &json!("标牌破损0")));
        assert_eq!(gravest[0]["description"], format!("救助金 {}…", "未".repeat(55)));
        for (row, open) in rows.iter().zip([6, 1]) {
            let url = row["records_url"].as_str().expect("an address");
            let those = done(reviewer.get(&format!("{url}&count=true")));
            assert_eq!(those.body["total"], open, "{url}");
        }
        let text = told.body["text"].as_str().expect("a text");
        assert!(text.contains("，2 个协会尚有 7 个问题待整改，其中严重 1 个、较重 2 个、一般 4 个，已超过整改期限 1 个。\n"), "{text}");
        assert!(text.contains("没有值班记录（较重，整改期限 ") && text.contains("，已超期）；标牌破损0（一般"), "{text}");
        assert!(text.contains("\n高新区见义勇为协会：待整改 1 个：台账不全（较重，整改期限 "), "{text}");
        assert!(!text.contains("标牌破损1") && !text.contains("已销号") && !text.contains("别的市"), "{text}");

        // What was generated before findings were told is read as it was, and told anew when it is generated again.
        let id: Id = circular.id().parse().expect("an id");
        let forget = |conn: &mut yiyong::db::AnyConnection| {
            let facts: Option<String> = t::table.find(id).select(t::facts).first(conn)?;
            let mut facts: Value = serde_json::from_str(&facts.expect("facts")).expect("JSON");
            assert!(facts.as_object_mut().expect("an object").remove("open_findings").is_some());
            diesel::update(t::table.find(id)).set(t::facts.eq(Some(facts.to_string()))).execute(conn)?;
            Ok(())
        };
        host.service.db.run(false, forget).expect("as it was before");
        let before = done(reviewer.get(&at(&circular)));
        assert_eq!((&before.body["facts"]["open_findings"], &before.body["facts"]["counties"]), (&Value::Null, &json!(2)));
        assert_eq!(generate().body["facts"]["open_findings"]["open"], 7);
    });
}

/// What stands in a circular's document: the XML of its text.
fn document(client: &Client<'_>, circular: &Answer) -> String {
    let file = client.download(&format!("{}/document", at(circular)));
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(file)).expect("a ZIP");
    let mut xml = String::new();
    archive.by_name("word/document.xml").expect("a part").read_to_string(&mut xml).expect("XML");
    xml
}

/// What the paragraphs say that say anything, those in tables too.
fn said(xml: &str) -> Vec<String> {
    let texts = |paragraph: &str| -> String {
        paragraph.split("<w:t ").skip(1).filter_map(|part| Some(part.split_once('>')?.1.split_once('<')?.0)).collect()
    };
    xml.split("</w:p>").map(texts).filter(|said| !said.is_empty()).collect()
}

/// The paragraph that says something, as it is laid out.
fn laid_out<'a>(xml: &'a str, says: &str) -> &'a str {
    xml.split("</w:p>").find(|paragraph| paragraph.contains(&format!(">{says}<"))).unwrap_or_else(|| panic!("{says} is not in it: {xml}"))
}

#[test]
fn a_circular_is_a_document() {
    on_each_database(|host| {
        let city = host.planted();
        let dengfeng = host.user("dengfeng", Role::Clerk, Some("zz-dengfeng"));
        let reviewer = host.user("reviewer", Role::Clerk, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let form = form(&city, &json!({"figures": [TEAMS, "four_ones.volunteers"]}));
        opened(&city, &form, "2022-06");
        let june = of_month(&dengfeng, "2022-06");
        done(declare(&dengfeng, &june, &json!([{"figure": TEAMS, "declared": 30, "reason": "档案补录中"}])));
        done(step(&dengfeng, &june, "submit", &json!({})));
        done(step(&reviewer, &june, "accept", &json!({})));
        let draft = json!({"organization_id": organization(&city, "zz"), "subject": "four_ones", "title": "关于“四个一工程”的通报",
                           "form_key": "four-ones", "to_month": "2022-06"});
        let circular = made(reviewer.post(CIRCULARS, &draft));
        let path = format!("{}/document", at(&circular));

        // Before it tells anything it is a title and who will sign.
        assert_eq!(said(&document(&reviewer, &circular)), ["关于“四个一工程”的通报", "草稿", "郑州市见义勇为协会"]);
        let generated = done(reviewer.post(&format!("{}/generate", at(&circular)), &json!({})));
        let xml = document(&reviewer, &circular);
        let lines = generated.body["text"].as_str().expect("a text").lines().filter(|line| !line.is_empty()).map(str::to_owned);
        let lines: Vec<String> = lines.collect();
        let paragraphs = said(&xml);
        assert_eq!(paragraphs[2..2 + lines.len()], lines);
        assert!(laid_out(&xml, "一、上报情况").contains("w:eastAsia=\"黑体\""), "{xml}");

        let text = "各县市区协会：\n现将有关情况通报如下。\n\n一、总体情况\n（一）上报\n一、二两月未报。\n1. 登封 < 高新";
        let edited = done(reviewer.patch(&at(&circular), generated.header("ETag").expect("a version"), &json!({"text": text})));
        done(leader.post(&format!("{}/issue", at(&edited)), &json!({"number": "郑义〔2022〕3号", "issued_on": "2022-07-20"})));
        let xml = document(&reviewer, &circular);
        let expected = [
            "关于“四个一工程”的通报",
            "郑义〔2022〕3号",
            "各县市区协会：",
            "现将有关情况通报如下。",
            "一、总体情况",
            "（一）上报",
            "一、二两月未报。",
            "1. 登封 &lt; 高新",
            "附件：各县市区协会进展排名",
            "郑州市见义勇为协会",
            "2022年7月20日",
            "附件",
            "各县市区协会进展排名",
            "1. 志愿者队伍",
            "名次",
            "协会",
            "数量",
            "1",
            "登封市见义勇为协会",
            "30支",
            "另有 1 个协会尚无审核通过的数字。",
            "2. 志愿者",
            "名次",
            "协会",
            "数量",
            "1",
            "登封市见义勇为协会",
            "0人",
            "另有 1 个协会尚无审核通过的数字。",
        ];
        assert_eq!(said(&xml), expected);
        // Each ranking is a table of three columns, a row for its heading and one for each county.
        let tables: Vec<(usize, usize)> =
            xml.split("<w:tbl>").skip(1).map(|table| (table.matches("<w:gridCol ").count(), table.matches("<w:tr>").count())).collect();
        assert_eq!(tables, [(3, 2), (3, 2)], "{xml}");
        // Whom it is sent to stands at the edge; headings have fonts of their own, and a sentence is none.
        let is = |says: &str, what: &str| laid_out(&xml, says).contains(what);
        assert!(!is("各县市区协会：", "w:firstLine") && is("现将有关情况通报如下。", "w:firstLine=\"640\""), "{xml}");
        for (says, font, size) in [
            ("关于“四个一工程”的通报", "方正小标宋简体", 44),
            ("郑义〔2022〕3号", "仿宋_GB2312", 32),
            ("一、总体情况", "黑体", 32),
            ("（一）上报", "楷体_GB2312", 32),
            ("一、二两月未报。", "仿宋_GB2312", 32),
            ("登封市见义勇为协会", "仿宋_GB2312", 28),
        ] {
            assert!(is(says, &format!("w:eastAsia=\"{font}\"")) && is(says, &format!("<w:sz w:val=\"{size}\"")), "{says}: {xml}");
        }
        let answer = reviewer.get(&path);
        let name = answer.header("Content-Disposition").expect("a name");
        assert!(name.starts_with("attachment; filename*=UTF-8''") && name.ends_with(".docx"), "{name}");

        // One that was issued elsewhere is what is recorded of it.
        let recorded = json!({"organization_id": organization(&city, "zz"), "subject": "other", "issued_on": "2022-06-17"});
        let recorded = made(reviewer.post(CIRCULARS, &recorded));
        assert_eq!(said(&document(&reviewer, &recorded)), ["通报", "郑州市见义勇为协会", "2022年6月17日"]);
        assert_eq!(reviewer.get(&format!("{path}?format=docx")).faults(), [("/format", "unknown_parameter")]);
        assert_eq!(dengfeng.get(&path).status, 404);
        assert_eq!(host.nobody().get(&path).status, 401);
    });
}

#[test]
fn a_circular_is_on_months_of_a_form() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        form(&city, &json!({}));
        let refused = |more: Value| -> Vec<(String, String)> {
            let mut draft = json!({"organization_id": zz, "subject": "four_ones"});
            draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            let answer = city.post(CIRCULARS, &draft);
            assert_eq!(answer.status, 422, "{answer:?}");
            answer.faults().into_iter().map(|(pointer, code)| (pointer.to_owned(), code.to_owned())).collect()
        };
        let one = |pointer: &str, code: &str| vec![(pointer.to_owned(), code.to_owned())];
        assert_eq!(refused(json!({})), one("/year", "required"));
        assert_eq!(refused(json!({"form_key": "four-ones"})), one("/to_month", "required"));
        assert_eq!(refused(json!({"to_month": "2022-06"})), one("/form_key", "required"));
        assert_eq!(
            refused(json!({"form_key": "four-ones", "from_month": "2022-07", "to_month": "2022-06"})),
            one("/from_month", "wrong_months")
        );
        assert_eq!(
            refused(json!({"form_key": "four-ones", "from_month": "2021-06", "to_month": "2022-06"})),
            one("/from_month", "wrong_months")
        );
        assert_eq!(refused(json!({"form_key": "other", "to_month": "2022-06"})), one("/form_key", "unknown_form"));
        assert_eq!(
            refused(json!({"form_key": "four-ones", "to_month": "2022-06", "number": "郑义〔2022〕1号"})),
            one("/number", "given_when_issued")
        );
        assert_eq!(city.get(&format!("{FORMS}?key=four-ones&count=true")).body["total"], 1);
    });
}
