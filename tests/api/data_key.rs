//! The data key is changed: what the former key has sealed opens, is known again, and is sealed anew by an operator while
//! the servers run; then the former key may go.

use diesel::prelude::*;
use image::ImageFormat;
use serde_json::{Value, json};
use yiyong::attachments;
use yiyong::auth::UserKind;
use yiyong::db::reseal::Resealed;
use yiyong::imports;
use yiyong::policy::Role;
use yiyong::resources::persons;
use yiyong::schema::{audit_events, persons as t};
use yiyong::types::Instant;

use crate::attachments::{files_of, picture, upload};
use crate::hosts::{Answer, Client, Host, PASSWORD, on_each_database};
use crate::jobs::over;
use crate::process::Workplace;

const PERSONS: &str = "/api/v1/persons";
const NUMBER: &str = "41010519850617018X";
const OTHER_NUMBER: &str = "410105198506170016";
const NEXT_KEY: &str = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

/// Id, version, and the bytes that stand for the numbers.
type Row = (yiyong::types::Id, i32, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);

fn rows(host: &Host) -> Vec<Row> {
    let columns = (t::id, t::version, t::id_number_sealed, t::phone_sealed, t::id_number_hash);
    host.service.db.run(true, |conn| Ok(t::table.order(t::id).select(columns).load(conn)?)).expect("rows")
}

fn refresh(client: &Client<'_>, token: &Value) -> Value {
    let renewed = client.post("/api/v1/auth/refresh", &json!({"refresh_token": token}));
    assert_eq!(renewed.status, 200, "{renewed:?}");
    renewed.body["refresh_token"].clone()
}

#[test]
fn the_data_key_is_changed_while_the_servers_run() {
    on_each_database(|host| {
        let city = host.planted();
        let home = city.get("/api/v1/organizations?code=zz").body["items"][0]["id"].clone();
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let person = |number: Option<&str>| json!({"organization_id": home, "name": "王小明", "id_number": number, "phone": "13800138000"});
        let keyed = [("Content-Type", "application/json"), ("Idempotency-Key", "one-person")];
        let draft = person(Some(NUMBER)).to_string();
        let made = clerk.send("POST", PERSONS, &keyed, Some(draft.as_bytes()));
        assert_eq!(made.status, 201, "{made:?}");
        assert_eq!(clerk.post(PERSONS, &person(None)).status, 201);
        assert_eq!(clerk.post(PERSONS, &json!({"organization_id": home, "name": "无号"})).status, 201);
        let reveal = |client: &Client<'_>, id: &str| client.post(&format!("{PERSONS}/{id}/reveal"), &json!({"reason": "核对收款人身份"}));
        let whole = |number: &str| json!({"id_number": number, "phone": "13800138000"});

        let former = host.keys.path().join("data-key").display().to_string();
        let next = host.keys.path().join("next-data-key").display().to_string();
        std::fs::write(&next, NEXT_KEY).expect("written");
        let both = host.beside(&[("YIYONG_DATA_KEY_FILE", &next), ("YIYONG_OTHER_DATA_KEY_FILES", &former)]);
        let token = clerk.token.clone().expect("a token");
        let there = both.holding(&token);
        assert_eq!(reveal(&there, made.id()).body, whole(NUMBER));
        let known = there.post(PERSONS, &person(Some(NUMBER)));
        assert_eq!((known.status, known.faults()[0].1, &known.body["person_id"]), (409, "person_exists", &made.body["id"]));
        // A retry that meets the change is the same retry, and the token that was just used has the same successor.
        let again = there.send("POST", PERSONS, &keyed, Some(draft.as_bytes()));
        assert_eq!((again.status, again.header("Idempotent-Replayed")), (201, Some("true")), "{again:?}");
        let signed_in = host.nobody().post("/api/v1/auth/login", &json!({"username": "clerk", "password": PASSWORD}));
        let successor = refresh(&host.nobody(), &signed_in.body["refresh_token"]);
        assert_eq!(refresh(&both.nobody(), &signed_in.body["refresh_token"]), successor);
        refresh(&both.nobody(), &successor);

        // What the next key has sealed doesn't open with the former alone, which says so without a secret.
        let newer = there.post(PERSONS, &person(Some(OTHER_NUMBER)));
        assert_eq!(newer.status, 201, "{newer:?}");
        assert_eq!(reveal(&there, newer.id()).body, whole(OTHER_NUMBER));
        let closed = reveal(&clerk, newer.id());
        assert_eq!((closed.status, closed.code()), (500, "internal"));
        assert!(!closed.body.to_string().contains("410105"), "{closed:?}");

        let before = rows(host);
        let outcome = persons::reseal(&both.service.db).expect("resealed");
        assert_eq!((outcome.seen, outcome.resealed, outcome.doubles.len()), (4, 2, 0));
        let after = rows(host);
        for (was, is) in before.iter().zip(&after) {
            assert_eq!((was.0, was.1), (is.0, is.1), "nobody sees a change");
            let newer = was.0.to_string() == newer.id();
            assert_eq!(was == is, newer || was.3.is_none(), "what the next key has sealed is left alone, the rest is not");
            assert!(was.2.is_none() || newer || (was.2 != is.2 && was.4 != is.4), "the number's bytes and its hash are others");
        }
        let again = persons::reseal(&both.service.db).expect("resealed");
        assert_eq!((again.seen, again.resealed), (4, 0));
        assert_eq!(rows(host), after);
        let noted: Vec<Option<String>> = host
            .service
            .db
            .run(true, |conn| Ok(audit_events::table.filter(audit_events::action.eq("reseal")).select(audit_events::detail).load(conn)?))
            .expect("events");
        assert_eq!(noted.len(), 1, "one for the batch in which something was done");
        assert!(noted[0].as_ref().is_some_and(|detail| detail.contains("\"persons\":2")), "{noted:?}");

        // The former key may go.
        let alone = host.beside(&[("YIYONG_DATA_KEY_FILE", &next)]);
        let there = alone.holding(&token);
        assert_eq!(reveal(&there, made.id()).body, whole(NUMBER));
        assert_eq!(there.post(PERSONS, &person(Some(NUMBER))).status, 409);
        assert_eq!(reveal(&clerk, made.id()).status, 500);

        // A server that was not told of the next key takes a known number for new. Resealed, the double keeps its hash.
        let double = clerk.post(PERSONS, &person(Some(NUMBER)));
        assert_eq!(double.status, 201, "{double:?}");
        let refused = persons::reseal(&alone.service.db).expect_err("a key is missing").to_string();
        assert!(refused.contains(double.id()) && !refused.contains("410105"), "{refused}");
        let outcome = persons::reseal(&both.service.db).expect("resealed");
        assert_eq!(
            (outcome.resealed, outcome.doubles.iter().map(ToString::to_string).collect::<Vec<_>>()),
            (1, vec![double.id().to_owned()])
        );
        assert_eq!(reveal(&there, double.id()).body, whole(NUMBER));
        assert_eq!(there.post(PERSONS, &person(Some(NUMBER))).body["person_id"], made.body["id"]);
    });
}

#[derive(QueryableByName)]
struct Waiting {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    waiting: i64,
}

/// On SQLite nothing comes in between. On PostgreSQL somebody holds the person whom the reseal has read, and is kept.
#[test]
fn what_is_written_while_a_person_is_resealed_is_kept() {
    on_each_database(|host| {
        if !host.service.db.target().is_postgres() {
            return;
        }
        let city = host.planted();
        let home = city.get("/api/v1/organizations?code=zz").body["items"][0]["id"].clone();
        let made = city.post(PERSONS, &json!({"organization_id": home, "name": "王小明", "phone": "13800138000"}));
        assert_eq!(made.status, 201, "{made:?}");
        let former = host.keys.path().join("data-key").display().to_string();
        let next = host.keys.path().join("next-data-key").display().to_string();
        std::fs::write(&next, NEXT_KEY).expect("written");
        let both = host.beside(&[("YIYONG_DATA_KEY_FILE", &next), ("YIYONG_OTHER_DATA_KEY_FILES", &former)]);

        let minute = std::time::Duration::from_secs(60);
        let mut writer = host.service.db.target().connect(minute).expect("connected");
        let mut watcher = host.service.db.target().connect(minute).expect("connected");
        let written = b"written in between".to_vec();
        let outcome = std::thread::scope(|scope| {
            writer
                .transaction(|conn| {
                    let change = (t::version.eq(t::version + 1), t::phone_sealed.eq(Some(written.clone())));
                    diesel::update(t::table).set(change).execute(conn)?;
                    let resealing = scope.spawn(|| persons::reseal(&both.service.db));
                    let waits =
                        "SELECT count(*) AS waiting FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
                    while diesel::sql_query(waits).get_result::<Waiting>(&mut watcher)?.waiting == 0 {
                        assert!(!resealing.is_finished(), "it didn't wait for the writer");
                    }
                    diesel::QueryResult::Ok(resealing)
                })
                .expect("committed")
                .join()
                .expect("an outcome")
        });
        assert_eq!(outcome.map(|outcome| outcome.resealed).ok(), Some(0));
        assert_eq!(rows(host)[0].3, Some(written));
    });
}

/// Somebody looks at photos, and takes some of them away, while they are sealed anew: what is left is there, and nothing besides.
#[test]
fn files_are_sealed_anew_under_their_readers() {
    on_each_database(|host| {
        let city = host.planted();
        let home = city.get("/api/v1/organizations?code=zz").body["items"][0]["id"].clone();
        let record = [("resource", "organizations"), ("record_id", home.as_str().expect("an id"))];
        let photo = picture(700, 500, ImageFormat::Png);
        let all: Vec<String> = (0..8)
            .map(|_| {
                let attached = upload(&city, &record, Some(("合影.png", &photo)), None);
                assert_eq!(attached.status, 201, "{attached:?}");
                format!("/api/v1/attachments/{}", attached.id())
            })
            .collect();
        let (taken, left) = all.split_at(4);
        let files: Vec<Vec<u8>> = left.iter().map(|path| city.download(&format!("{path}/content"))).collect();
        let outcome = |imported: Answer| assert_eq!(imported.body["outcome"], json!("completed"), "{imported:?}");
        outcome(city.import("persons", "organization_code,name\nzz,李四\n".as_bytes(), &[("mode", "create")]));

        let former = host.keys.path().join("data-key").display().to_string();
        let next = host.keys.path().join("next-data-key").display().to_string();
        std::fs::write(&next, NEXT_KEY).expect("written");
        let both = host.beside(&[("YIYONG_DATA_KEY_FILE", &next), ("YIYONG_OTHER_DATA_KEY_FILES", &former)]);
        let reader = both.holding(city.token.as_ref().expect("a token"));
        let reseal = || {
            let (db, storage) = (both.service.db.clone(), both.service.storage().clone());
            let files = actix_web::rt::System::new().block_on(async move { attachments::reseal(&db, &storage).await }).expect("resealed");
            (files, imports::reseal(&both.service.db).expect("resealed"))
        };
        let (files_done, pieces) = std::thread::scope(|scope| {
            let resealing = scope.spawn(reseal);
            scope.spawn(|| taken.iter().for_each(|path| assert_eq!(reader.delete(path).status, 204)));
            while !resealing.is_finished() {
                for (path, file) in left.iter().zip(&files) {
                    assert!(&reader.download(&format!("{path}/content")) == file, "{path}");
                }
            }
            resealing.join().expect("its end")
        });
        assert!(
            (4..=8).contains(&files_done.resealed) && files_done.unreadable.is_empty() && pieces == Resealed { seen: 2, resealed: 2 },
            "{files_done:?}, {pieces:?}"
        );
        assert_eq!(reseal(), (attachments::Resealed { seen: 4, resealed: 0, unreadable: vec![] }, Resealed { seen: 2, resealed: 0 }));

        let alone = host.beside(&[("YIYONG_DATA_KEY_FILE", &next)]);
        let reader = alone.holding(city.token.as_ref().expect("a token"));
        let (db, storage) = (alone.service.db.clone(), alone.service.storage().clone());
        let tomorrow = Instant::now().plus_seconds(25 * 3_600);
        actix_web::rt::System::new().block_on(async move { attachments::sweep(&db, &storage, tomorrow).await }).expect("swept");
        for (path, file) in left.iter().zip(&files) {
            assert!(&reader.download(&format!("{path}/content")) == file, "{path}");
        }
        assert_eq!(files_of(&host.keys.path().join("attachments")).len(), 8, "each with its small picture");
    });
}

#[test]
fn an_operator_reseals_from_the_command_line() {
    let place = Workplace::new(None);
    assert!(place.run(&["migrate"], &[]).status.success());
    let server = place.serve(&[]);
    place.user("platform", "platform_admin", None);
    let platform = server.nobody().sign_in("platform", UserKind::Person);
    let root =
        platform.post("/api/v1/organizations", &json!({"code": "hn", "name": "河南省见义勇为基金会", "kind": "provincial_foundation"}));
    place.user("clerk", "clerk", Some("hn"));
    let clerk = server.nobody().sign_in("clerk", UserKind::Person);
    let made = clerk.post(PERSONS, &json!({"organization_id": root.id(), "name": "王小明", "id_number": NUMBER}));
    assert_eq!(made.status, 201, "{made:?}");
    let payee = json!({"organization_id": root.id(), "person_id": made.id(), "holder_name": "王小明", "bank_name": "某银行", "number": "123456789"});
    assert_eq!(clerk.post("/api/v1/payee-accounts", &payee).status, 201);
    let path = |name: &str| place.folder.path().join(name).display().to_string();
    std::fs::write(path("next"), NEXT_KEY).expect("written");

    // What lies in files, and in the database for some days.
    let photo = picture(900, 600, ImageFormat::Png);
    let record = [("resource", "persons"), ("record_id", made.id())];
    let attached = upload(&clerk, &record, Some(("合影.png", &photo)), None);
    assert_eq!(attached.status, 201, "{attached:?}");
    let imported = clerk.import("persons", "organization_code,name\nhn,李四\n".as_bytes(), &[("mode", "create")]);
    assert_eq!(imported.body["outcome"], json!("completed"), "{imported:?}");
    let asked = clerk.send("POST", "/api/v1/exports/persons?format=csv", &[("Idempotency-Key", "lunch")], None);
    let exported = over(&clerk, asked.header("Location").expect("an address"));
    let kept = [
        format!("/api/v1/attachments/{}/content", attached.id()),
        format!("/api/v1/attachments/{}/thumbnail", attached.id()),
        format!("/api/v1/imports/{}/file", imported.id()),
        format!("/api/v1/export-files/{}/content", exported.id()),
    ];
    let files: Vec<Vec<u8>> = kept.iter().map(|path| clerk.download(path)).collect();
    let rows = clerk.get(&format!("/api/v1/imports/{}/rows", imported.id())).body;
    let former: Vec<u8> = sealed_by(&place);
    drop(server);

    let reseal = |others: &str| place.run(&["reseal"], &[("YIYONG_DATA_KEY_FILE", &path("next")), ("YIYONG_OTHER_DATA_KEY_FILES", others)]);
    let refused = reseal("");
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains(&format!("person {} are sealed with a data key that is not given", made.id()))
    );
    let done = reseal(&path("key"));
    let said = "resealed 1 of 2 persons\nresealed 1 of 1 payee accounts\nresealed 2 of 2 pieces of imports\n\
                resealed 1 of 1 pieces of export files\nresealed 1 of 1 attachments\n";
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stdout).as_ref()), (Some(0), said), "{done:?}");
    let again = reseal("");
    let said = "resealed 0 of 2 persons\nresealed 0 of 1 payee accounts\nresealed 0 of 2 pieces of imports\n\
                resealed 0 of 1 pieces of export files\nresealed 0 of 1 attachments\n";
    assert_eq!((again.status.code(), String::from_utf8_lossy(&again.stdout).as_ref()), (Some(0), said), "{again:?}");
    assert_eq!(sealed_values(&place).into_iter().filter(|(_, key)| *key == former).collect::<Vec<_>>(), vec![]);

    // Everything is there with the next key alone.
    let server = place.serve(&[("YIYONG_DATA_KEY_FILE", &path("next"))]);
    let clerk = server.nobody().sign_in("clerk", UserKind::Person);
    for (path, file) in kept.iter().zip(&files) {
        assert_eq!(&clerk.download(path), file, "{path}");
    }
    assert_eq!(clerk.get(&format!("/api/v1/imports/{}/rows", imported.id())).body, rows);

    // An attachment whose file is gone is named, and stands in nobody's way.
    let folder = place.folder.path().join("attachments");
    let of_it: Vec<_> = files_of(&folder).into_iter().filter(|(_, bytes)| bytes[1..5] != former).collect();
    assert_eq!(of_it.len(), 2, "its picture, and the small one");
    of_it.iter().for_each(|(path, _)| std::fs::remove_file(path).expect("removed"));
    let missing = place.run(&["reseal"], &[("YIYONG_OTHER_DATA_KEY_FILES", &path("next"))]);
    let told = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(!missing.status.success() && told.contains(&format!("attachment {}", attached.id())), "{missing:?}");
    assert!(String::from_utf8_lossy(&missing.stdout).contains("resealed 2 of 2 pieces of imports"), "{missing:?}");
}

/// The name of the key that has sealed the person's number.
fn sealed_by(place: &Workplace) -> Vec<u8> {
    sealed_values(place).into_iter().find(|(column, _)| column == "persons.id_number_sealed").expect("a number").1
}

/// All that is sealed in the database, each with the name of the key that has sealed it.
fn sealed_values(place: &Workplace) -> Vec<(String, Vec<u8>)> {
    let conn = rusqlite::Connection::open(place.database.trim_start_matches("sqlite:")).expect("the file opens");
    let columns: Vec<(String, String)> = conn
        .prepare("SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name LIKE '%sealed'")
        .and_then(|mut statement| statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .expect("columns");
    assert!(columns.len() > 10, "{columns:?}");
    let keys_of = |(table, column): (String, String)| {
        let mut statement =
            conn.prepare(&format!("SELECT substr({column}, 2, 4) FROM {table} WHERE {column} IS NOT NULL")).expect("a query");
        let keys: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0)).and_then(Iterator::collect).expect("keys");
        keys.into_iter().map(move |key| (format!("{table}.{column}"), key))
    };
    columns.into_iter().flat_map(keys_of).collect()
}
