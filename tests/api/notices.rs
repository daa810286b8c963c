//! Public notices: what the public may read of a batch or an award, for how long, and what it never gets to see.

use chrono::{Days, NaiveDate};
use diesel::prelude::*;
use serde_json::{Value, json};
use yiyong::policy::Role;
use yiyong::schema::public_notices;
use yiyong::types::{Id, Instant, business_today};

use crate::consents::id_number;
use crate::hosts::{Answer, Client, Host, on_each_database};
use crate::welfare::{BATCHES, DISBURSEMENTS, PROGRAMMES, made, organization, step};

const NOTICES: &str = "/api/v1/public-notices";
const OBJECTIONS: &str = "/api/v1/notice-objections";
const PUBLIC: &str = "/api/v1/public/notices";
const PHONE: &str = "13800138000";

fn today() -> NaiveDate {
    business_today(Instant::now())
}

/// A day on which somebody had their birthday so many years ago.
fn born(years: i32) -> String {
    yiyong::types::born_by(years, today()).format("%Y%m%d").to_string()
}

fn with(base: &Value, more: &Value) -> Value {
    let mut all = base.clone();
    all.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    all
}

/// As if a notice had been published some days earlier.
fn let_pass(host: &Host, notice: &str, days: u64) {
    let id: Id = notice.parse().expect("an id");
    host.service
        .db
        .run(false, |conn| {
            let one = public_notices::table.filter(public_notices::id.eq(id));
            let (from, to): (Option<NaiveDate>, Option<NaiveDate>) =
                one.select((public_notices::starts_on, public_notices::ends_on)).first(conn)?;
            let earlier = |day: Option<NaiveDate>| day.and_then(|day| day.checked_sub_days(Days::new(days)));
            diesel::update(one)
                .set((public_notices::starts_on.eq(earlier(from)), public_notices::ends_on.eq(earlier(to))))
                .execute(conn)?;
            Ok(())
        })
        .expect("earlier days");
}

/// A batch of student aid: a minor, an adult, a compound surname, somebody of unknown age, somebody who asked for secrecy, and a
/// group known only as a whole.
struct Aid<'a> {
    clerk: Client<'a>,
    leader: Client<'a>,
    zz: Value,
    batch: String,
    /// Ids of the persons and of the disbursements, in this order.
    persons: Vec<String>,
    disbursements: Vec<String>,
    numbers: Vec<String>,
}

const NAMES: [&str; 5] = ["王小山", "张小明", "欧阳修", "赵无年", "李隐"];

impl<'a> Aid<'a> {
    fn planted(host: &'a Host) -> Self {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let father = made(clerk.post("/api/v1/persons", &json!({"organization_id": zz, "name": "王大山"})));
        let hero = made(clerk.post("/api/v1/heroes", &json!({"organization_id": zz, "person_id": father.id()})));
        let programme =
            made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "助学", "kind": "student_aid", "form": "cash"})));
        let batch =
            made(clerk.post(BATCHES, &json!({"organization_id": zz, "programme_id": programme.id(), "name": "2022 年助学", "year": 2022})));
        // The day before their eighteenth birthday one is a minor.
        let minor = today() + Days::new(1);
        let minor = yiyong::types::born_by(18, minor).format("%Y%m%d").to_string();
        let numbers: Vec<String> =
            [minor, born(19), born(40), born(30)].iter().zip(["002", "003", "004", "005"]).map(|(day, n)| id_number(day, n)).collect();
        let of = |i: usize| match i {
            0..=2 => json!({"id_number": numbers[i], "phone": PHONE}),
            4 => json!({"id_number": numbers[3]}),
            _ => json!({}),
        };
        let person = |(i, name): (usize, &&str)| {
            made(clerk.post("/api/v1/persons", &with(&json!({"organization_id": zz, "name": name}), &of(i)))).id().to_owned()
        };
        let persons: Vec<String> = NAMES.iter().enumerate().map(person).collect();
        let given = |draft: Value| {
            made(clerk.post(DISBURSEMENTS, &with(&json!({"organization_id": zz, "batch_id": batch.id(), "channel": "own"}), &draft)))
        };
        let mut disbursements: Vec<String> = Vec::new();
        for (person, fen) in persons.iter().zip(1..) {
            let dependant = made(clerk.post(
                "/api/v1/dependants",
                &json!({"organization_id": zz, "person_id": person, "hero_id": hero.id(), "relation": "child"}),
            ));
            disbursements.push(given(json!({"dependant_id": dependant.id(), "amount_fen": fen * 100_000})).id().to_owned());
        }
        disbursements.push(given(json!({"people": 7, "amount_fen": 700_000})).id().to_owned());
        let consent =
            json!({"organization_id": zz, "person_id": persons[4], "purpose": "publication", "given_by": "self", "given_on": "2022-03-01"});
        let consent = made(clerk.post("/api/v1/consents", &consent));
        let withdrawn = json!({"reason": "本人要求", "withdrawn_on": "2022-05-01"});
        assert_eq!(clerk.post(&format!("/api/v1/consents/{}/withdraw", consent.id()), &withdrawn).status, 200);
        let batch = batch.id().to_owned();
        Self { clerk, leader, zz, batch, persons, disbursements, numbers }
    }

    fn draft(&self, more: &Value) -> Value {
        with(&json!({"organization_id": self.zz, "batch_id": self.batch, "title": "2022 年度助学金发放公示"}), more)
    }

    fn submit(&self) {
        let submitted = step(&self.clerk, &format!("{BATCHES}/{}", self.batch), "submit", &json!({}));
        assert_eq!(submitted.status, 200, "{submitted:?}");
    }

    fn published(&self, more: &Value) -> String {
        let notice = made(self.clerk.post(NOTICES, &self.draft(more)));
        let published = self.leader.post(&format!("{NOTICES}/{}/publish", notice.id()), &json!({}));
        assert_eq!(published.status, 200, "{published:?}");
        notice.id().to_owned()
    }
}

fn told(answer: &Answer) -> Vec<(&str, Option<i64>)> {
    let items = answer.body["items"].as_array().expect("items");
    items.iter().map(|line| (line["shown_as"].as_str().expect("a name"), line["amount_fen"].as_i64())).collect()
}

#[test]
fn a_batch_is_told_to_the_public_and_nobody_is_exposed() {
    on_each_database(|host| {
        let aid = Aid::planted(host);
        let nobody = host.nobody();

        // One source, and nothing in the texts by which somebody is found; all of it told at once, and no number repeated.
        assert_eq!(aid.clerk.post(NOTICES, &aid.draft(&json!({"batch_id": null}))).faults(), [("/batch_id", "required")]);
        let both = aid.draft(&json!({"document_number": "郑义〔2022〕8号"}));
        assert_eq!(aid.clerk.post(NOTICES, &both).faults(), [("/document_number", "two_sources")]);
        let telling =
            aid.draft(&json!({"title": format!("联系{PHONE}"), "introduction": "卡号 6222 0212 3456 7890，证件410105198506170016"}));
        let refused = aid.clerk.post(NOTICES, &telling);
        let mut faults = refused.faults();
        faults.sort_unstable();
        assert_eq!(faults, [("/introduction", "identifier_in_text"), ("/title", "identifier_in_text")]);
        let words = refused.body.to_string();
        assert!(
            words.contains("手机号") && words.contains("银行卡号") && words.contains("身份证号") && words.contains("第 3 个字"),
            "{words}"
        );
        assert!(!words.contains(PHONE) && !words.contains("6222") && !words.contains("410105"), "{words}");

        let notice = made(aid.clerk.post(NOTICES, &aid.draft(&json!({"amounts": "each", "introduction": "其中张小明家庭困难。"}))));
        let path = format!("{NOTICES}/{}", notice.id());
        let public = format!("{PUBLIC}/{}", notice.id());
        assert_eq!((&notice.body["days"], &notice.body["state"]), (&json!(7), &json!("draft")));
        assert_eq!(notice.body["allowed_actions"], json!(["update", "delete"]), "the clerk doesn't publish");
        let wanted = [
            ("未成年人或年龄不详，姓名不公开", Some(100_000)),
            ("张*明", Some(200_000)),
            ("欧阳*", Some(300_000)),
            ("未成年人或年龄不详，姓名不公开", Some(400_000)),
            ("本人要求保密", Some(500_000)),
            ("集体", Some(700_000)),
        ];
        let preview = aid.clerk.get(&format!("{path}/lines"));
        assert_eq!(told(&preview), wanted, "what it would tell");
        assert_eq!(preview.body["items"][1]["disbursement_id"], json!(aid.disbursements[1]));

        // A draft isn't there: not for the public, and not for another county.
        for address in [&public, &format!("{public}/lines"), &format!("{PUBLIC}/{}", aid.persons[0]), &format!("{PUBLIC}/x")] {
            assert_eq!((nobody.get(address).status, nobody.get(address).code()), (404, "not_found"), "{address}");
        }
        assert_eq!(nobody.get(PUBLIC).body, json!({"items": [], "next_cursor": null}));
        let foreign = host.user("foreign", Role::Clerk, Some("zz-gaoxin"));
        assert_eq!((foreign.get(&path).status, foreign.get(&format!("{path}/lines")).status), (404, 404));
        assert_eq!(foreign.get(&format!("{NOTICES}?count=true")).body["total"], 0);

        // What stands in the way is told together.
        let refused = aid.leader.post(&format!("{path}/publish"), &json!({}));
        assert_eq!((refused.status, refused.code()), (409, "conflict"), "{refused:?}");
        assert_eq!(refused.faults(), [("/batch_id", "drafts_in_batch"), ("/introduction", "name_in_text")]);
        assert!(!refused.body.to_string().contains("张小明"), "{refused:?}");
        aid.submit();
        let mended = aid.clerk.patch(&path, "\"1\"", &json!({"introduction": "按年度计划发放。"}));
        assert_eq!(mended.status, 200, "{mended:?}");

        // By another hand than any that wrote it.
        crate::welfare::grant(host, "clerk", Role::Leader);
        let both = host.sign_in("clerk", yiyong::auth::UserKind::Person);
        let own = both.post(&format!("{path}/publish"), &json!({}));
        assert_eq!((own.status, own.code()), (403, "forbidden"), "{own:?}");
        assert!(own.body["detail"].as_str().is_some_and(|detail| detail.contains("编制")), "{own:?}");
        let published = aid.leader.post(&format!("{path}/publish"), &json!({}));
        assert_eq!(published.status, 200, "{published:?}");
        let ends_on = today().checked_add_days(Days::new(7)).expect("a day");
        assert_eq!((&published.body["starts_on"], &published.body["ends_on"]), (&json!(today()), &json!(ends_on)));
        assert_eq!(
            (&published.body["line_count"], &published.body["people"], &published.body["total_fen"]),
            (&json!(6), &json!(12), &json!(2_200_000))
        );
        assert_eq!(published.body["allowed_actions"], json!(["withdraw", "conclude", "correct"]));
        assert_eq!(aid.clerk.patch(&path, "\"3\"", &json!({"title": "另一标题"})).code(), "step_not_allowed");
        assert_eq!(aid.clerk.delete(&path).code(), "step_not_allowed");

        // Whoever asks reads it, page by page, without a token.
        let listed = nobody.get(&format!("{PUBLIC}?organization_code=hn&status=in_force"));
        assert_eq!(listed.body["items"][0]["id"], json!(notice.id()), "{listed:?}");
        assert_eq!(listed.body["items"][0]["organization_name"], "郑州市见义勇为协会");
        for other in ["organization_code=zz-gaoxin", "organization_code=none", "status=archived"] {
            assert_eq!(nobody.get(&format!("{PUBLIC}?{other}")).body["items"], json!([]), "{other}");
        }
        for wrong in ["sort=code", "count=true", "limit=0", "status=draft", "cursor=x"] {
            assert_eq!(nobody.get(&format!("{PUBLIC}?{wrong}")).status, 400, "{wrong}");
        }
        let one = nobody.get(&public);
        assert_eq!((&one.body["status"], &one.body["period_over"]), (&json!("in_force"), &json!(false)), "{one:?}");
        assert_eq!((&one.body["people"], &one.body["total_fen"]), (&json!(12), &json!(2_200_000)));
        let first = nobody.get(&format!("{public}/lines?limit=4"));
        let cursor = first.body["next_cursor"].as_str().expect("a second page");
        let second = nobody.get(&format!("{public}/lines?limit=4&cursor={cursor}"));
        assert_eq!([told(&first), told(&second)].concat(), wanted);
        assert_eq!(second.body["next_cursor"], Value::Null);

        // It may be kept for a minute, and asked for again by its tag.
        for address in [PUBLIC.to_owned(), public.clone(), format!("{public}/lines")] {
            let answer = nobody.get(&address);
            assert_eq!(answer.header("Cache-Control"), Some("public, max-age=60"), "{address}");
            let tag = answer.header("ETag").expect("a tag");
            let again = nobody.send("GET", &address, &[("If-None-Match", tag)], None);
            assert_eq!((again.status, again.header("ETag")), (304, Some(tag)), "{address}");
            assert_eq!(nobody.send("GET", &address, &[("If-None-Match", "\"other\"")], None).status, 200);
        }

        // Nothing by which somebody is found has gone out.
        let cursor = String::from_utf8(base64_of(cursor)).expect("text");
        let all = [listed.body.to_string(), one.body.to_string(), first.body.to_string(), second.body.to_string(), cursor].concat();
        let hidden =
            NAMES.map(str::to_owned).into_iter().chain(aid.numbers.clone()).chain(aid.persons.clone()).chain(aid.disbursements.clone());
        for secret in hidden.chain([PHONE.to_owned(), "王大山".to_owned(), "138****".to_owned()]) {
            assert!(!all.contains(&secret), "{secret} in {all}");
        }

        // Withdrawn it is gone, with a reason for those inside.
        assert_eq!(aid.leader.post(&format!("{path}/withdraw"), &json!({"reason": " "})).faults(), [("/reason", "required")]);
        let withdrawn = aid.leader.post(&format!("{path}/withdraw"), &json!({"reason": "名单有误"}));
        assert_eq!((&withdrawn.body["state"], &withdrawn.body["allowed_actions"]), (&json!("withdrawn"), &json!([])), "{withdrawn:?}");
        assert_eq!((nobody.get(&public).status, nobody.get(&format!("{public}/lines")).status), (404, 404));
        assert_eq!(nobody.get(PUBLIC).body["items"], json!([]));
        crate::ledger::clean(host);
    });
}

fn base64_of(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).expect("base64")
}

#[test]
fn an_objection_is_answered_and_a_mistake_corrected_in_the_open() {
    on_each_database(|host| {
        let aid = Aid::planted(host);
        aid.submit();
        let nobody = host.nobody();
        let draft = made(aid.clerk.post(NOTICES, &aid.draft(&json!({}))));
        let objection = |notice: &str, more: &Value| {
            let draft = json!({"notice_id": notice, "received_on": today(), "channel": "visit", "objector": "孙明白", "content": "王小山不是在校学生，电话13900139000"});
            aid.clerk.post(OBJECTIONS, &with(&draft, more))
        };
        assert_eq!(objection(draft.id(), &json!({})).faults(), [("/notice_id", "not_published")]);
        let notice = aid.published(&json!({"amounts": "each", "days": 10}));
        let path = format!("{NOTICES}/{notice}");
        let public = format!("{PUBLIC}/{notice}");
        let_pass(host, &notice, 5);

        // Within its days, and not ahead of them.
        let day = |days: i64| (today() + chrono::TimeDelta::days(days)).to_string();
        assert_eq!(objection(&notice, &json!({"received_on": day(6)})).faults(), [("/received_on", "outside_the_period")]);
        let early = objection(&notice, &json!({"received_on": day(-6)}));
        assert_eq!(early.faults(), [("/received_on", "outside_the_period")]);
        let words = early.body["errors"][0]["message"].as_str().expect("words");
        assert!(words.contains(&day(-5)) && words.contains(&day(5)), "{words}");
        assert_eq!(objection(&notice, &json!({"received_on": day(1)})).faults(), [("/received_on", "in_the_future")]);
        let upheld = made(objection(&notice, &json!({"received_on": day(-5)})));
        let dismissed = made(objection(&notice, &json!({})));
        let at = format!("{OBJECTIONS}/{}", upheld.id());
        assert_eq!((&upheld.body["organization_id"], &upheld.body["allowed_actions"]), (&aid.zz, &json!(["update"])));
        assert_eq!(aid.clerk.patch(&at, "\"1\"", &json!({"channel": "letter"})).body["channel"], "letter");
        assert_eq!(aid.clerk.patch(&at, "\"2\"", &json!({"notice_id": draft.id()})).faults(), [("/notice_id", "fixed")]);
        assert_eq!(aid.clerk.delete(&at).code(), "step_not_allowed", "an objection is answered, not thrown away");
        assert_eq!(nobody.get(&public).body["objections"], json!({"received": 2, "answered": 0, "upheld": 0}));

        // Too early, and not while somebody waits for an answer.
        let refused = aid.leader.post(&format!("{path}/conclude"), &json!({}));
        assert_eq!((refused.status, refused.code()), (409, "conflict"), "{refused:?}");
        assert_eq!(refused.faults(), [("/ends_on", "period_not_over"), ("/objections", "objections_unanswered")]);

        let answer =
            |at: &str, outcome: &str, text: &str| aid.leader.post(&format!("{at}/answer"), &json!({"outcome": outcome, "answer": text}));
        assert_eq!(aid.clerk.post(&format!("{at}/answer"), &json!({"outcome": "upheld", "answer": "x"})).status, 403);
        assert_eq!(answer(&at, "upheld", "请致电13900139000").faults(), [("/answer", "identifier_in_text")]);
        assert_eq!(answer(&at, "upheld", "王小山的记录已更正").faults(), [("/answer", "name_in_text")]);
        let answered = answer(&at, "upheld", "经核实，第 2、3 行登记有误，予以更正。");
        assert_eq!((&answered.body["state"], &answered.body["answered_on"]), (&json!("answered"), &json!(today())), "{answered:?}");
        assert_eq!(answer(&at, "dismissed", "再答").code(), "step_not_allowed");
        assert_eq!(aid.clerk.patch(&at, "\"3\"", &json!({"channel": "phone"})).code(), "step_not_allowed");

        // The records are mended: one amount, one who was no student; and one person more asks for secrecy.
        let of = |i: usize| format!("{DISBURSEMENTS}/{}", aid.disbursements[i]);
        assert_eq!(step(&aid.leader, &of(1), "return", &json!({"reason": "金额有误"})).status, 200);
        let correct = |note: &str| aid.leader.post(&format!("{path}/correct"), &json!({"note": note}));
        assert_eq!(correct("金额更正").faults(), [("/batch_id", "drafts_in_batch")]);
        let version = aid.clerk.get(&of(1)).header("ETag").expect("a version").to_owned();
        assert_eq!(aid.clerk.patch(&of(1), &version, &json!({"amount_fen": 250_000})).status, 200);
        assert_eq!(step(&aid.clerk, &of(1), "submit", &json!({})).status, 200);
        assert_eq!(step(&aid.clerk, &of(5), "cancel", &json!({"reason": "不符合条件"})).status, 200);
        assert_eq!(correct("张小明的金额有误").faults(), [("/note", "name_in_text")]);
        assert_eq!(correct(" ").faults(), [("/note", "required")]);
        let etag = nobody.get(&public).header("ETag").expect("a tag").to_owned();
        let corrected = correct("第 2 行金额有误，第 6 行不符合条件，已更正。");
        assert_eq!((corrected.status, &corrected.body["state"]), (200, &json!("published")), "{corrected:?}");

        let one = nobody.send("GET", &public, &[("If-None-Match", etag.as_str())], None);
        assert_eq!(
            (one.status, &one.body["line_count"], &one.body["people"], &one.body["total_fen"]),
            (200, &json!(5), &json!(5), &json!(1_550_000))
        );
        assert_eq!(one.body["objections"], json!({"received": 2, "answered": 1, "upheld": 1}));
        assert_eq!(
            one.body["answers"],
            json!([{"outcome": "upheld", "answer": "经核实，第 2、3 行登记有误，予以更正。", "answered_on": today()}])
        );
        let correction = &one.body["corrections"][0];
        assert_eq!((&correction["changed_lines"], &correction["corrected_on"]), (&json!(2), &json!(today())), "{correction}");
        assert_eq!((&correction["total_fen_before"], &correction["total_fen_after"]), (&json!(2_200_000), &json!(1_550_000)));
        let change = |i: usize| {
            let change = &correction["changes"][i];
            (change["position"].as_i64(), change["before"]["amount_fen"].as_i64(), change["after"]["amount_fen"].as_i64())
        };
        assert_eq!((change(0), change(1)), ((Some(2), Some(200_000), Some(250_000)), (Some(6), Some(700_000), None)));
        assert_eq!(correction["changes"][0]["after"]["shown_as"], "张*明");
        let words = one.body.to_string();
        for secret in ["孙明白", "13900139000", "王小山", "在校学生"] {
            assert!(!words.contains(secret), "{secret} in {words}");
        }

        // Whoever takes their consent back is taken out at once, of what was corrected too.
        let consent = json!({"organization_id": aid.zz, "person_id": aid.persons[1], "purpose": "publication", "given_by": "self", "given_on": "2022-03-01"});
        let consent = made(aid.clerk.post("/api/v1/consents", &consent));
        let withdrawn = json!({"reason": "本人要求", "withdrawn_on": today()});
        assert_eq!(aid.clerk.post(&format!("/api/v1/consents/{}/withdraw", consent.id()), &withdrawn).status, 200);
        assert_eq!(told(&nobody.get(&format!("{public}/lines")))[1], ("本人要求保密", Some(250_000)));
        let one = nobody.get(&public);
        assert_eq!(one.body["corrections"][0]["changes"][0]["before"]["shown_as"], "姓名不再公开");
        assert!(!one.body.to_string().contains("张*明"), "{one:?}");

        // Over, and answered: then it is concluded, and stays to be read and put right.
        let_pass(host, &notice, 5);
        let still = aid.leader.post(&format!("{path}/conclude"), &json!({}));
        assert_eq!(still.faults(), [("/ends_on", "period_not_over"), ("/objections", "objections_unanswered")], "the last day counts");
        let_pass(host, &notice, 1);
        assert_eq!(nobody.get(&public).body["period_over"], true);
        assert_eq!(objection(&notice, &json!({})).faults(), [("/received_on", "outside_the_period")], "too late");
        let still = aid.leader.post(&format!("{path}/conclude"), &json!({}));
        assert_eq!(still.faults(), [("/objections", "objections_unanswered")]);
        assert_eq!(answer(&format!("{OBJECTIONS}/{}", dismissed.id()), "dismissed", "经核实，名单无误。").status, 200);
        let concluded = aid.leader.post(&format!("{path}/conclude"), &json!({}));
        assert_eq!(
            (&concluded.body["state"], &concluded.body["allowed_actions"]),
            (&json!("concluded"), &json!(["correct"])),
            "{concluded:?}"
        );
        assert_eq!(objection(&notice, &json!({"received_on": day(-10)})).faults(), [("/notice_id", "not_published")]);
        assert_eq!(nobody.get(&public).body["status"], "archived");
        assert_eq!(nobody.get(&format!("{PUBLIC}?status=archived")).body["items"][0]["id"], json!(notice));
        assert_eq!(nobody.get(&format!("{PUBLIC}?status=in_force")).body["items"], json!([]));
        let again = correct("名称有误，已更正。");
        assert_eq!((again.status, again.body["corrections"].as_array().map(Vec::len)), (200, Some(2)), "{again:?}");
        assert_eq!(again.body["corrections"][1]["changed_lines"], 0);
        crate::ledger::clean(host);
    });
}

/// As many as a city has: before and after publication the pages tell the same, each line once.
#[test]
fn a_long_list_is_told_page_by_page() {
    on_each_database(|host| {
        let aid = Aid::planted(host);
        let draft = json!({"organization_id": aid.zz, "batch_id": aid.batch, "channel": "own", "people": 2, "amount_fen": 100});
        let many = json!({"items": vec![draft; 144]}).to_string();
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "many")];
        assert_eq!(aid.clerk.send("POST", &format!("{DISBURSEMENTS}/batch"), &headers, Some(many.as_bytes())).status, 201);
        aid.submit();
        let notice = made(aid.clerk.post(NOTICES, &aid.draft(&json!({"amounts": "each"})))).id().to_owned();
        let all =
            |client: &Client<'_>, base: &str| {
                let mut lines: Vec<(i64, String)> = Vec::new();
                let mut address = format!("{base}/{notice}/lines?limit=40");
                loop {
                    let page = client.get(&address);
                    let told = page.body["items"].as_array().expect("items");
                    lines.extend(told.iter().map(|line| {
                        (line["position"].as_i64().expect("a position"), line["shown_as"].as_str().expect("a name").to_owned())
                    }));
                    let Some(cursor) = page.body["next_cursor"].as_str() else { return lines };
                    address = format!("{base}/{notice}/lines?limit=40&cursor={cursor}");
                }
            };
        let preview = all(&aid.clerk, NOTICES);
        assert_eq!(preview.iter().map(|(position, _)| *position).collect::<Vec<_>>(), (1..=150).collect::<Vec<_>>());
        assert_eq!(aid.leader.post(&format!("{NOTICES}/{notice}/publish"), &json!({})).status, 200);
        assert_eq!(all(&aid.clerk, NOTICES), preview);
        assert_eq!(all(&host.nobody(), PUBLIC), preview);
        let corrected = aid.leader.post(&format!("{NOTICES}/{notice}/correct"), &json!({"note": "核对无误。"}));
        assert_eq!((corrected.status, &corrected.body["line_count"]), (200, &json!(150)), "{corrected:?}");
        assert_eq!(all(&host.nobody(), PUBLIC), preview);

        // A line that goes missing is found.
        crate::ledger::clean(host);
        let gone = "DELETE FROM public_notice_lines WHERE position = 7";
        host.service.db.run(false, |conn| Ok(diesel::sql_query(gone).execute(conn)?)).expect("deleted");
        let found = host.service.db.run(false, yiyong::integrity::check).expect("a check");
        let found: Vec<&str> = found.checks.iter().filter(|check| check.offenders > 0).map(|check| check.code).collect();
        assert_eq!(found, ["notices_recounted"]);
    });
}

#[test]
fn a_notice_tells_the_amounts_that_it_may() {
    on_each_database(|host| {
        let aid = Aid::planted(host);
        aid.submit();
        let nobody = host.nobody();
        for (amounts, total, each) in
            [("each", json!(2_200_000), Some(300_000)), ("total", json!(2_200_000), None), ("none", Value::Null, None)]
        {
            let notice = aid.published(&json!({"amounts": amounts}));
            assert_eq!(nobody.get(&format!("{PUBLIC}/{notice}")).body["total_fen"], total, "{amounts}");
            assert_eq!(told(&nobody.get(&format!("{PUBLIC}/{notice}/lines")))[2], ("欧阳*", each), "{amounts}");
        }
        // Many of them: a page after the other, the newest first, and none twice.
        let mut seen: Vec<String> = Vec::new();
        let mut address = format!("{PUBLIC}?limit=2");
        loop {
            let page = nobody.get(&address);
            seen.extend(page.body["items"].as_array().expect("items").iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
            let Some(cursor) = page.body["next_cursor"].as_str() else { break };
            address = format!("{PUBLIC}?limit=2&cursor={cursor}");
        }
        let mut sorted = seen.clone();
        sorted.sort_unstable();
        sorted.dedup();
        sorted.reverse();
        assert_eq!((seen.len(), &seen), (3, &sorted));
    });
}

/// A hero who fell as a child stays one, however long ago it was.
#[test]
fn who_fell_as_a_child_is_not_named() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let honoured = |name: &str, serial: &str, hero: Value| {
            let draft = json!({"organization_id": zz, "name": name, "id_number": id_number("19900101", serial)});
            let person = made(clerk.post("/api/v1/persons", &draft));
            let hero = made(clerk.post("/api/v1/heroes", &with(&json!({"organization_id": zz, "person_id": person.id()}), &hero)));
            made(clerk.post(
                "/api/v1/honours",
                &json!({"organization_id": zz, "hero_id": hero.id(), "kind": "title", "level": "city", "title": "模范", "document_number": "郑义〔2022〕8号"}),
            ));
        };
        honoured("王小山", "002", json!({"outcome": "fallen", "deed_on": "2000-07-20"}));
        honoured("张小明", "003", json!({"outcome": "fallen", "deed_on": "2021-07-20"}));
        honoured("李无日", "004", json!({"outcome": "fallen"}));
        honoured("赵长山", "005", json!({"outcome": "injured", "deed_on": "2000-07-20"}));
        let notice = made(clerk.post(NOTICES, &json!({"organization_id": zz, "document_number": "郑义〔2022〕8号", "title": "表彰公示"})));
        assert_eq!(leader.post(&format!("{NOTICES}/{}/publish", notice.id()), &json!({})).status, 200);
        let lines = host.nobody().get(&format!("{PUBLIC}/{}/lines", notice.id()));
        let hidden = "未成年人或年龄不详，姓名不公开";
        assert_eq!(told(&lines), [(hidden, None), ("张*明", None), (hidden, None), ("赵*山", None)]);
    });
}

#[test]
fn an_award_is_told_by_its_document_and_a_revoked_title_is_not() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, dengfeng) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let nobody = host.nobody();
        let hero = |of: &Value, name: &str, serial: &str| {
            let draft = json!({"organization_id": of, "name": name, "id_number": id_number(&born(35), serial)});
            let person = made(clerk.post("/api/v1/persons", &draft));
            made(clerk.post("/api/v1/heroes", &json!({"organization_id": of, "person_id": person.id()}))).id().to_owned()
        };
        let honour = |of: &Value, hero: &str, more: &Value| {
            let draft = json!({"organization_id": of, "hero_id": hero, "kind": "title", "level": "city", "title": "郑州市见义勇为模范", "document_number": "郑义〔2022〕8号"});
            made(clerk.post("/api/v1/honours", &with(&draft, more)))
        };
        let (first, second) = (hero(&zz, "买买提·艾力", "002"), hero(&dengfeng, "张明", "004"));
        let notice = made(clerk.post(NOTICES, &json!({"organization_id": zz, "document_number": "郑义〔2022〕8号", "title": "表彰公示"})));
        let path = format!("{NOTICES}/{}", notice.id());
        let publish = || leader.post(&format!("{path}/publish"), &json!({}));
        assert_eq!(publish().faults(), [("/document_number", "nothing_to_publish")]);
        honour(&zz, &first, &json!({"amount_fen": 1_000_000}));
        let county = honour(&dengfeng, &second, &json!({"title": "模范，联系13800138000", "amount_fen": 500_000}));
        honour(&zz, &first, &json!({"document_number": "郑义〔2021〕8号", "title": "另一文件"}));
        assert_eq!(publish().faults(), [("/document_number", "identifier_in_text")]);
        let county = format!("/api/v1/honours/{}", county.id());
        assert_eq!(clerk.patch(&county, "\"1\"", &json!({"title": "登封市先进个人"})).status, 200);
        let end = json!({"reason": "申报材料不实", "document_number": "郑义〔2024〕3号", "revoked_on": "2024-06-01"});
        let published = publish();
        assert_eq!((published.status, &published.body["total_fen"]), (200, &json!(1_500_000)), "{published:?}");
        let lines = nobody.get(&format!("{PUBLIC}/{}/lines", notice.id()));
        assert_eq!(told(&lines), [("买**·艾*", None), ("张*", None)]);
        assert_eq!(lines.body["items"][1]["what"], "登封市先进个人");
        assert_eq!(lines.body["items"][1]["organization_name"], "登封市见义勇为协会");

        // A title that is revoked is left out of what is corrected, and not published anew; places stay.
        assert_eq!(city.post(&format!("/api/v1/heroes/{first}/revoke"), &end).status, 200);
        let corrected = leader.post(&format!("{path}/correct"), &json!({"note": "一人的称号已撤销。"}));
        // The sum of the one who is left would be their amount.
        assert_eq!((&corrected.body["line_count"], &corrected.body["total_fen"]), (&json!(1), &Value::Null), "{corrected:?}");
        assert_eq!(corrected.body["corrections"][0]["changes"][0]["before"]["shown_as"], "姓名不再公开");
        let lines = nobody.get(&format!("{PUBLIC}/{}/lines", notice.id()));
        assert_eq!((told(&lines), &lines.body["items"][0]["position"]), (vec![("张*", None)], &json!(2)));
        let another = made(clerk.post(NOTICES, &json!({"organization_id": zz, "document_number": "郑义〔2022〕8号", "title": "表彰公示"})));
        let refused = leader.post(&format!("{NOTICES}/{}/publish", another.id()), &json!({}));
        assert_eq!((refused.status, refused.faults()), (409, vec![("/document_number", "hero_revoked")]), "{refused:?}");

        // An honour may be taken out; the line stays until it is corrected.
        assert_eq!(clerk.delete(&county).status, 204);
        assert_eq!(told(&nobody.get(&format!("{PUBLIC}/{}/lines", notice.id()))).len(), 1);
        assert_eq!(leader.post(&format!("{path}/correct"), &json!({"note": "授奖记录有误，已删除。"})).body["line_count"], 0);
    });
}
