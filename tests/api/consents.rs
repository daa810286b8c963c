//! Consents: who may speak for whom, what is published on them, and that it is taken back with them.

use serde_json::{Value, json};
use yiyong::policy::Role;
use yiyong::types::{Instant, business_today};

use crate::hosts::{Answer, Client, on_each_database};

const CONSENTS: &str = "/api/v1/consents";
const HEROES: &str = "/api/v1/heroes";

fn made(answer: Answer) -> Answer {
    assert_eq!(answer.status, 201, "{answer:?}");
    answer
}

/// A number of a person who was born on a day, with its check character.
pub fn id_number(day: &str, serial: &str) -> String {
    let digits = format!("410105{day}{serial}");
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits.chars().zip(weights).map(|(c, weight)| c.to_digit(10).unwrap_or_default() * weight).sum();
    let check = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'][(sum % 11) as usize];
    format!("{digits}{check}")
}

fn post(client: &Client<'_>, path: &str, base: &Value, more: &Value) -> Answer {
    let mut body = base.clone();
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    client.post(path, &body)
}

#[test]
fn what_is_published_stands_on_papers_and_a_consent() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = city.get("/api/v1/organizations?code=zz").body["items"][0]["id"].clone();
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let person = made(clerk.post("/api/v1/persons", &json!({"organization_id": zz, "name": "王大山"})));
        let hero = made(clerk.post(HEROES, &json!({"organization_id": zz, "person_id": person.id(), "confirmed_by": "评定委员会"})));
        let path = format!("{HEROES}/{}", hero.id());
        let publish = || clerk.post(&format!("{path}/publish"), &json!({}));
        let draft = json!({"organization_id": zz, "person_id": person.id(), "purpose": "publication", "given_by": "self", "given_on": "2022-03-01"});
        let consent = |more: &Value| post(&clerk, CONSENTS, &draft, more);

        let bare = publish();
        assert_eq!((bare.status, bare.code()), (409, "conflict"), "{bare:?}");
        let wanted = [
            ("/confirmation_number", "confirmation_incomplete"),
            ("/confirmed_on", "confirmation_incomplete"),
            ("/person_id", "consent_required"),
        ];
        assert_eq!(bare.faults(), wanted);
        let papers = json!({"confirmation_number": "郑义〔2022〕8号", "confirmed_on": "2022-01-05"});
        assert_eq!(clerk.patch(&path, "\"1\"", &papers).status, 200);
        made(consent(&json!({"purpose": "photograph"})));
        assert_eq!(publish().faults(), [("/person_id", "consent_required")], "a photograph is something else");

        // Who gives it, and when.
        let tomorrow = business_today(Instant::now()).succ_opt().expect("a day").to_string();
        assert_eq!(consent(&json!({"given_on": tomorrow})).faults(), [("/given_on", "in_the_future")]);
        assert_eq!(consent(&json!({"given_by": "guardian"})).faults(), [("/giver_name", "required")]);
        assert_eq!(consent(&json!({"giver_name": "王老山"})).faults(), [("/giver_name", "not_needed")]);
        let relative = json!({"given_by": "relative", "giver_name": "王小山", "giver_relation": "儿子"});
        assert_eq!(consent(&relative).faults(), [("/given_by", "not_fallen")]);
        let first = made(consent(&json!({})));
        let published = publish();
        assert_eq!((published.status, &published.body["published"]), (200, &json!(true)), "{published:?}");
        assert_eq!(published.body["allowed_actions"], json!(["update", "delete", "unpublish"]));
        assert_eq!(publish().code(), "step_not_allowed");
        assert_eq!(clerk.get(&format!("{HEROES}?published=true&count=true")).body["total"], 1);
        assert_eq!(clerk.post(&format!("{path}/unpublish"), &json!({})).body["published"], false);
        assert_eq!(publish().status, 200);

        // What a consent is to, and whose it is, stays; it is withdrawn and not deleted.
        let at = format!("{CONSENTS}/{}", first.id());
        assert_eq!(clerk.patch(&at, "\"1\"", &json!({"purpose": "photograph"})).faults(), [("/purpose", "fixed")]);
        assert_eq!(clerk.delete(&at).code(), "step_not_allowed");
        let withdraw =
            |at: &str, on: &str, reason: &str| clerk.post(&format!("{at}/withdraw"), &json!({"reason": reason, "withdrawn_on": on}));
        assert_eq!(withdraw(&at, &tomorrow, "本人要求").faults(), [("/withdrawn_on", "in_the_future")]);
        assert_eq!(withdraw(&at, "2022-02-28", "本人要求").faults(), [("/withdrawn_on", "ends_before_it_begins")]);
        assert_eq!(withdraw(&at, "2022-05-01", " ").faults(), [("/reason", "required")]);
        assert_eq!(clerk.get(&path).body["published"], true, "nothing has moved");

        // With the last consent goes what was published on it.
        let second = made(consent(&json!({"given_on": "2022-04-01"})));
        assert_eq!(withdraw(&at, "2022-05-01", "本人要求").body["withdrawn_on"], "2022-05-01");
        assert_eq!(clerk.get(&path).body["published"], true, "another one holds");
        let before = clerk.get(&path).body["version"].as_i64().expect("a version");
        assert_eq!(withdraw(&format!("{CONSENTS}/{}", second.id()), "2022-06-01", "本人要求").status, 200);
        let hidden = clerk.get(&path);
        assert_eq!((&hidden.body["published"], &hidden.body["version"]), (&json!(false), &json!(before + 1)));
        assert_eq!(publish().faults(), [("/person_id", "consent_required")]);
        assert_eq!(withdraw(&at, "2022-06-02", "再次").code(), "step_not_allowed");
        let holding = |day: &str| clerk.get(&format!("{CONSENTS}?purpose=publication&as_at={day}&count=true")).body["total"].clone();
        let days = ["2022-02-28", "2022-03-01", "2022-04-15", "2022-05-01", "2022-06-01"];
        assert_eq!(days.map(holding), [json!(0), json!(1), json!(2), json!(1), json!(0)]);

        // A revoked title is not for the public either, and neither is a file that loses its papers.
        made(consent(&json!({"given_on": "2022-07-01"})));
        let published = publish();
        let without = clerk.patch(&path, published.header("ETag").expect("a version"), &json!({"confirmed_on": null}));
        assert_eq!((without.status, &without.body["published"]), (200, &json!(false)), "{without:?}");
        assert_eq!(clerk.patch(&path, without.header("ETag").expect("a version"), &papers).status, 200);
        assert_eq!(publish().status, 200);
        let end = json!({"reason": "申报材料不实", "document_number": "郑义〔2024〕3号", "revoked_on": "2024-06-01"});
        let revoked = city.post(&format!("{path}/revoke"), &end);
        assert_eq!((revoked.status, &revoked.body["published"]), (200, &json!(false)), "{revoked:?}");
        assert_eq!(publish().code(), "step_not_allowed");

        // Another county neither sees a consent nor learns anything about the person from a refusal.
        let foreign = host.user("foreign", Role::Clerk, Some("zz-gaoxin"));
        assert_eq!(foreign.get(&at).status, 404);
        let gaoxin = foreign.get("/api/v1/organizations?code=zz-gaoxin").body["items"][0]["id"].clone();
        assert_eq!(post(&foreign, CONSENTS, &draft, &json!({"organization_id": gaoxin})).faults(), [("/person_id", "unknown_reference")]);
    });
}

#[test]
fn a_child_is_spoken_for_and_the_fallen_are_remembered_by_their_family() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = city.get("/api/v1/organizations?code=zz").body["items"][0]["id"].clone();
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let number = id_number("20081123", "002");
        let child = made(clerk.post("/api/v1/persons", &json!({"organization_id": zz, "name": "王小山", "id_number": number})));
        let draft = json!({"organization_id": zz, "person_id": child.id(), "purpose": "media_interview", "given_by": "self"});
        let on = |day: &str, more: &Value| {
            let mut draft = draft.clone();
            draft["given_on"] = day.into();
            post(&clerk, CONSENTS, &draft, more)
        };
        let guardian = json!({"given_by": "guardian", "giver_name": "王大山", "giver_relation": "父亲"});
        assert_eq!(on("2022-11-22", &json!({})).faults(), [("/given_by", "guardian_required")], "the day before the fourteenth birthday");
        let spoken = made(on("2022-11-22", &guardian));
        assert_eq!((&spoken.body["giver_name"], &spoken.body["given_by"]), (&json!("王大山"), &json!("guardian")));
        let text = spoken.body.to_string();
        assert!(!text.contains("2008") && !text.contains(&number), "{text}");
        let at = format!("{CONSENTS}/{}", spoken.id());
        let own = json!({"given_by": "self", "giver_name": null, "giver_relation": null});
        assert_eq!(clerk.patch(&at, "\"1\"", &own).faults(), [("/given_by", "guardian_required")]);
        made(on("2022-11-23", &json!({})));

        let fallen = made(clerk.post("/api/v1/persons", &json!({"organization_id": zz, "name": "王大山"})));
        made(clerk.post(HEROES, &json!({"organization_id": zz, "person_id": fallen.id(), "outcome": "fallen"})));
        let relative = json!({"person_id": fallen.id(), "given_by": "relative", "giver_name": "李梅", "giver_relation": "妻子"});
        made(on("2022-03-01", &relative));

        // Of a foreign child nothing is told, not even the age.
        let foreign = host.user("foreign", Role::Clerk, Some("zz-gaoxin"));
        let gaoxin = foreign.get("/api/v1/organizations?code=zz-gaoxin").body["items"][0]["id"].clone();
        let told = post(&foreign, CONSENTS, &draft, &json!({"organization_id": gaoxin, "given_on": "2022-03-01"}));
        assert_eq!(told.faults(), [("/person_id", "unknown_reference")]);
    });
}
