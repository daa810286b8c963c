//! Heroes, their families, and what refers to them.

use serde_json::{Value, json};
use yiyong::policy::Role;
use yiyong::types::{Instant, business_today};

use crate::hosts::{Answer, Client, on_each_database};

const HEROES: &str = "/api/v1/heroes";

fn made(answer: Answer) -> Answer {
    assert_eq!(answer.status, 201, "{answer:?}");
    answer
}

fn tomorrow() -> String {
    business_today(Instant::now()).succ_opt().expect("a day").to_string()
}

fn organization(client: &Client<'_>, code: &str) -> Value {
    client.get(&format!("/api/v1/organizations?code={code}")).body["items"][0]["id"].clone()
}

#[test]
fn a_hero_a_child_and_what_reached_them() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let person = |name: &str| city.post("/api/v1/persons", &json!({"organization_id": zz, "name": name})).body["id"].clone();
        let (father, child) = (person("王大山"), person("王小山"));
        let hero = city.post(
            "/api/v1/heroes",
            &json!({"organization_id": zz, "person_id": father, "deed_on": "2021-07-20", "confirmed_on": "2022-01-05", "confirmation_number": "郑义〔2022〕8号"}),
        );
        assert_eq!((hero.status, &hero.body["confirmation_number"]), (201, &json!("郑义〔2022〕8号")), "{hero:?}");
        let wrong = city.post(
            "/api/v1/heroes",
            &json!({"organization_id": zz, "person_id": father, "deed_on": "2022-07-20", "confirmed_on": "2022-01-05"}),
        );
        assert_eq!(wrong.faults(), [("/confirmed_on", "ends_before_it_begins")]);
        let dependant =
            city.post("/api/v1/dependants", &json!({"organization_id": zz, "person_id": child, "hero_id": hero.id(), "relation": "child"}));
        assert_eq!(dependant.status, 201, "{dependant:?}");
        let q: String = "小山".bytes().map(|b| format!("%{b:02X}")).collect();
        assert_eq!(city.get(&format!("/api/v1/dependants?q={q}&count=true")).body["total"], 1);
        assert_eq!(city.get(&format!("/api/v1/heroes?q={q}&count=true")).body["total"], 0);
        assert_eq!((&hero.body["person"]["name"], &dependant.body["person"]["name"]), (&json!("王大山"), &json!("王小山")));
        assert_eq!(city.get(&format!("/api/v1/heroes?q={}", q.replace("%E5%B0%8F", "%E5%A4%A7"))).body["items"][0]["person"]["id"], father);
        let respelt = city.patch(&format!("/api/v1/heroes/{}", hero.id()), "\"1\"", &json!({"confirmation_number": "郑义（2022）8号"}));
        assert_eq!(respelt.faults(), [("/confirmation_number", "invalid_document_number")]);
        let told = respelt.body["errors"][0]["message"].as_str().expect("words");
        assert!(told.ends_with("郑义〔2022〕8号"), "the right form is told, and left to the writer: {told}");
        let stays = city.patch(&format!("/api/v1/heroes/{}", hero.id()), "\"1\"", &json!({"person_id": child}));
        assert_eq!(stays.faults(), [("/person_id", "fixed")]);
        assert_eq!(city.delete(&format!("/api/v1/heroes/{}", hero.id())).code(), "still_referenced");

        // Money reaches the child of a hero who exists, and of no other.
        let officer = host.user("officer", Role::WelfareOfficer, Some("zz"));
        let programme = officer
            .post("/api/v1/welfare-programmes", &json!({"organization_id": zz, "name": "助学", "kind": "student_aid", "form": "cash"}));
        let aid = |dependant: &str| {
            officer.post(
                "/api/v1/disbursements",
                &json!({"organization_id": zz, "programme_id": programme.id(), "dependant_id": dependant, "amount_fen": 120_000, "channel": "own", "year": 2022}),
            )
        };
        assert_eq!(aid(hero.id()).faults(), [("/dependant_id", "unknown_reference")]);
        let given = aid(dependant.id());
        assert_eq!((given.status, &given.body["people"]), (201, &json!(1)), "{given:?}");

        // Another county neither sees them nor hangs anything on them.
        let foreign = host.user("foreign", Role::Clerk, Some("zz-gaoxin"));
        assert_eq!(foreign.get(&format!("/api/v1/heroes/{}", hero.id())).status, 404);
        let gaoxin = organization(&city, "zz-gaoxin");
        let stolen = foreign
            .post("/api/v1/dependants", &json!({"organization_id": gaoxin, "person_id": child, "hero_id": hero.id(), "relation": "child"}));
        let mut faults = stolen.faults();
        faults.sort_unstable();
        assert_eq!(faults, [("/hero_id", "unknown_reference"), ("/person_id", "unknown_reference")]);
    });
}

/// From the application to the end of a title. What is refused leaves the file as it was.
#[test]
fn a_file_is_proposed_confirmed_and_revoked() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let person = made(clerk.post("/api/v1/persons", &json!({"organization_id": zz, "name": "王大山"})));
        let child = made(clerk.post("/api/v1/persons", &json!({"organization_id": zz, "name": "王小山"})));
        let group = made(clerk.post("/api/v1/hero-groups", &json!({"organization_id": zz, "name": "金水河救人群体"})));
        let draft = |more: Value| {
            let mut draft =
                json!({"organization_id": zz, "person_id": person.id(), "deed_kind": "rescue_disaster", "deed_on": "2021-07-20"});
            draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            draft
        };
        assert_eq!(clerk.post(HEROES, &draft(json!({"status": "revoked"}))).faults(), [("/status", "changes_by_step")]);
        assert_eq!(
            clerk.post(HEROES, &draft(json!({"application_source": "neighbour"}))).faults(),
            [("/application_source", "unknown_entry")]
        );
        assert_eq!(clerk.post(HEROES, &draft(json!({"group_id": person.id()}))).faults(), [("/group_id", "unknown_reference")]);
        assert_eq!(clerk.post(HEROES, &draft(json!({"deed_on": tomorrow()}))).faults(), [("/deed_on", "in_the_future")]);
        let hero = made(clerk.post(
            HEROES,
            &draft(json!({"status": "proposed", "application_source": "beneficiary", "group_id": group.id(), "deed_place": "金水河"})),
        ));
        assert_eq!((&hero.body["status"], &hero.body["published"]), (&json!("proposed"), &json!(false)));
        assert_eq!(hero.body["allowed_actions"], json!(["update", "delete", "confirm"]));
        let path = format!("{HEROES}/{}", hero.id());
        let total = |query: &str| clerk.get(&format!("{HEROES}?count=true&{query}")).body["total"].clone();
        assert_eq!(total(&format!("group_id={}&application_source=beneficiary", group.id())), 1);
        assert_eq!(total("as_at=2022-12-31"), 0, "who is only proposed is no hero yet");
        assert_eq!(clerk.delete(&format!("/api/v1/hero-groups/{}", group.id())).code(), "still_referenced");

        // The association holds a confirmation with its papers, all of them, or none.
        let confirm = |body: &Value| clerk.post(&format!("{path}/confirm"), body);
        let early = confirm(
            &json!({"confirmed_by": "郑州市见义勇为评定委员会", "confirmation_number": "郑义〔2022〕8号", "confirmed_on": "2021-07-19"}),
        );
        assert_eq!(early.faults(), [("/confirmed_on", "ends_before_it_begins")]);
        assert_eq!(
            confirm(&json!({"confirmed_on": "2022-01-05"})).faults(),
            [("/confirmed_by", "required"), ("/confirmation_number", "required")]
        );
        let brackets =
            confirm(&json!({"confirmed_by": "评定委员会", "confirmation_number": "郑义(2022)8号", "confirmed_on": "2022-01-05"}));
        assert_eq!(brackets.faults(), [("/confirmation_number", "invalid_document_number")]);
        let ahead = confirm(&json!({"confirmed_by": "评定委员会", "confirmation_number": "郑义〔2022〕8号", "confirmed_on": tomorrow()}));
        assert_eq!(ahead.faults(), [("/confirmed_on", "in_the_future")]);
        assert_eq!(clerk.patch(&path, "\"1\"", &json!({"status": "confirmed"})).faults(), [("/status", "changes_by_step")]);
        assert_eq!(clerk.get(&path).body["version"], 1, "nothing of this was kept");
        let confirmed = confirm(
            &json!({"confirmed_by": "郑州市见义勇为评定委员会", "confirmation_number": "郑义〔2022〕8号", "confirmed_on": "2022-01-05", "level": "city_model"}),
        );
        assert_eq!((confirmed.status, &confirmed.body["status"]), (200, &json!("confirmed")), "{confirmed:?}");
        assert_eq!((&confirmed.body["level"], &confirmed.body["application_source"]), (&json!("city_model"), &json!("beneficiary")));
        assert_eq!(
            confirm(&json!({"confirmed_by": "x", "confirmation_number": "郑义〔2022〕9号", "confirmed_on": "2022-01-06"})).code(),
            "step_not_allowed"
        );

        // Honours of any level, each with its document.
        let honour = |more: Value| {
            let mut draft =
                json!({"organization_id": zz, "hero_id": hero.id(), "kind": "title", "title": "郑州市见义勇为模范", "level": "city"});
            draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            clerk.post("/api/v1/honours", &draft)
        };
        let mut faults = honour(json!({"document_number": "郑政[2022]3号", "amount_fen": 0}))
            .faults()
            .iter()
            .map(|f| f.1.to_owned())
            .collect::<Vec<_>>();
        faults.sort_unstable();
        assert_eq!(faults, ["invalid_document_number", "too_small"], "all at once");
        assert_eq!(honour(json!({"document_number": "郑政[2022]3号"})).faults(), [("/document_number", "invalid_document_number")]);
        assert_eq!(honour(json!({"awarded_on": tomorrow()})).faults(), [("/awarded_on", "in_the_future")]);
        made(honour(
            json!({"awarded_by": "郑州市人民政府", "document_number": "郑政〔2022〕3号", "awarded_on": "2022-03-01", "amount_fen": 10_000_000}),
        ));
        made(honour(json!({"level": "provincial", "title": "河南省见义勇为模范", "awarded_on": "2023-05-01"})));
        let honours = |client: &Client<'_>, query: &str| client.get(&format!("/api/v1/honours?count=true{query}")).body["total"].clone();
        assert_eq!((honours(&clerk, "&level=city,county"), honours(&clerk, "&awarded_from=2023-01-01")), (json!(1), json!(1)));

        // The family sees its own hero's; another's doesn't.
        host.user("family", Role::HeroFamily, Some("zz"));
        host.is_person("family", child.id());
        let family = host.sign_in("family", yiyong::auth::UserKind::Person);
        assert_eq!(honours(&family, ""), 0);
        let of_family = made(clerk.post(
            "/api/v1/dependants",
            &json!({"organization_id": zz, "person_id": child.id(), "hero_id": hero.id(), "relation": "child"}),
        ));
        assert_eq!(honours(&family, ""), 2);
        assert_eq!(family.get(&path).body["allowed_actions"], json!([]));

        // A title is taken away by an administrator, with a reason and a document.
        let end = json!({"reason": "申报材料不实", "document_number": "郑义〔2024〕3号", "revoked_on": "2024-06-01"});
        assert_eq!(clerk.post(&format!("{path}/revoke"), &end).status, 403);
        let revoke = |body: &Value| city.post(&format!("{path}/revoke"), body);
        let wrong = revoke(&json!({"reason": "  ", "document_number": "郑义2024-3号", "revoked_on": "2024-06-01"}));
        let mut faults = wrong.faults();
        faults.sort_unstable();
        assert_eq!(faults, [("/document_number", "invalid_document_number"), ("/reason", "required")]);
        let early = revoke(&json!({"reason": "申报材料不实", "document_number": "郑义〔2024〕3号", "revoked_on": "2022-01-04"}));
        assert_eq!(early.faults(), [("/revoked_on", "ends_before_it_begins")]);
        let revoked = revoke(&end);
        assert_eq!(
            (revoked.status, &revoked.body["status"], &revoked.body["revocation_reason"]),
            (200, &json!("revoked"), &json!("申报材料不实")),
            "{revoked:?}"
        );
        assert_eq!(
            (&revoked.body["confirmation_number"], &revoked.body["level"]),
            (&json!("郑义〔2022〕8号"), &json!("city_model")),
            "the history stays"
        );
        assert_eq!(revoked.body["allowed_actions"], json!(["update"]));
        let corrected = city.patch(&path, revoked.header("ETag").expect("a version"), &json!({"deed_place": "贾鲁河"}));
        assert_eq!(
            (&corrected.body["deed_place"], &corrected.body["revoked_on"]),
            (&json!("贾鲁河"), &json!("2024-06-01")),
            "{corrected:?}"
        );
        assert_eq!(city.delete(&path).code(), "step_not_allowed");
        assert_eq!(honours(&clerk, ""), 2);

        // They count as at the days on which they were a hero.
        let on = |day: &str| total(&format!("as_at={day}"));
        assert_eq!((on("2022-01-04"), on("2022-01-05"), on("2024-05-31"), on("2024-06-01")), (json!(0), json!(1), json!(1), json!(0)));

        // Nothing more is given to them or to their family.
        let programme = made(
            clerk.post("/api/v1/welfare-programmes", &json!({"organization_id": zz, "name": "慰问", "kind": "condolence", "form": "cash"})),
        );
        let given = |to: Value| {
            let mut draft =
                json!({"organization_id": zz, "programme_id": programme.id(), "amount_fen": 100, "channel": "own", "year": 2024});
            draft.as_object_mut().expect("an object").extend(to.as_object().cloned().expect("an object"));
            clerk.post("/api/v1/disbursements", &draft)
        };
        let refused = given(json!({"hero_id": hero.id()}));
        assert_eq!((refused.status, refused.faults()), (422, vec![("/hero_id", "hero_revoked")]));
        assert_eq!(given(json!({"dependant_id": of_family.id()})).faults(), [("/dependant_id", "hero_revoked")]);
        assert_eq!(clerk.get("/api/v1/disbursements?count=true").body["total"], 0);
        let another = made(clerk.post(HEROES, &draft(json!({"level": "county_advanced"}))));
        assert_eq!(another.body["status"], "confirmed", "what is registered without a word is confirmed");
        made(given(json!({"hero_id": another.id()})));
    });
}
