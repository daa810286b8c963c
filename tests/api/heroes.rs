//! Heroes, their families, and what refers to them.

use serde_json::{Value, json};
use yiyong::policy::Role;

use crate::hosts::{Client, on_each_database};

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
            &json!({"organization_id": zz, "person_id": father, "deed_on": "2021-07-20", "confirmed_on": "2022-01-05", "confirmation_number": "郑义[2022]8号"}),
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
        assert_eq!((respelt.status, &respelt.body["version"]), (200, &json!(1)), "other brackets are no change");
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
