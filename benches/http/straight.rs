//! The same statements without the service: what its own code sends to the database is caught on its way and run again,
//! so that the two can't drift apart.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use chrono::NaiveDate;
use diesel::connection::{Connection as _, InstrumentationEvent};
use rand::Rng;
use rand::rngs::StdRng;
use rusqlite::types::Value;
use yiyong::db::AnyConnection;
use yiyong::policy::{Action, Actor, Grant, Role};
use yiyong::types::Id;
use yiyong::web::Window;
use yiyong::web::query::Pairs;
use yiyong::web::verbs;

use crate::load::{self, Measured, Pace};
use crate::world;

/// A value of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    Id(Id),
    Text(String),
    Number(i64),
}

/// A statement, and what to run it with: one of these at random.
pub struct Statement {
    pub sql: String,
    pub samples: Vec<Vec<Bound>>,
}

/// Somebody with one grant, as the service knows them.
pub fn actor(role: Role, organization: Option<String>) -> Actor {
    let organization_id = organization.map(|id| id.parse().expect("an id"));
    Actor {
        id: Id::new(),
        session_id: Id::new(),
        person_id: None,
        name: "bench".into(),
        username: "bench".into(),
        must_change_password: false,
        grants: Arc::new(vec![Grant { role, organization_id, from_on: NaiveDate::MIN, to_on: None }]),
    }
}

/// What the service sends for each of these paths.
pub fn statement(conn: &mut AnyConnection, paths: &[String]) -> Statement {
    let mut statement = Statement { sql: String::new(), samples: Vec::new() };
    for path in paths {
        let (sql, values) = sent_for(conn, path);
        assert!(statement.sql.is_empty() || statement.sql == sql, "one operation, two statements:\n{}\n{sql}", statement.sql);
        statement.sql = sql;
        statement.samples.push(values);
    }
    statement
}

fn sent_for(conn: &mut AnyConnection, path: &str) -> Sent {
    let verbs = verbs::named(world::SUBJECT).expect("the resource");
    let clerk = actor(Role::Clerk, Some(world::city()));
    let scope = clerk.may(verbs.area(), Action::Read).expect("a clerk reads people");
    let sent = sent(conn, |conn| match path.split_once('?') {
        Some((_, query)) => {
            let mut pairs = Pairs::parse(query).expect("a query");
            let window = Window::take(&mut pairs).expect("a window");
            let filter = pairs.into_json(verbs.filter_shape()).expect("a filter");
            verbs.list(conn, &clerk, &scope, filter, &window).map(|_| ()).expect("a list");
        }
        None => {
            let id = path.rsplit('/').next().and_then(|id| id.parse().ok()).expect("an id");
            verbs.get(conn, &clerk, &scope, id).map(|_| ()).expect("a record");
        }
    });
    reading(world::SUBJECT, &sent).expect("a statement").clone()
}

/// The statement that reads the records themselves; others may ask for what belongs to them.
pub fn reading<'a>(table: &str, sent: &'a [Sent]) -> Option<&'a Sent> {
    sent.iter().rev().find(|(sql, _)| sql.contains(&format!("FROM \"{table}\"")) || sql.contains(&format!("FROM `{table}`")))
}

/// A statement and its values.
pub type Sent = (String, Vec<Bound>);

/// The statements that some work sends, in their order, with their values.
pub fn sent(conn: &mut AnyConnection, work: impl FnOnce(&mut AnyConnection)) -> Vec<Sent> {
    let caught = Arc::new(Mutex::new(Vec::new()));
    let catching = caught.clone();
    conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            catching.lock().expect("one thread").push(query.to_string());
        }
    });
    work(conn);
    conn.set_instrumentation(|_: InstrumentationEvent<'_>| {});
    let caught = caught.lock().expect("one thread");
    caught.iter().filter_map(|text| text.split_once(" -- binds: ")).map(|(sql, values)| (sql.to_owned(), bound(values))).collect()
}

/// Reads what diesel tells of the values: `[Id(…), "…", 51]`.
fn bound(mut text: &str) -> Vec<Bound> {
    let mut values = Vec::new();
    text = text.trim_start_matches('[');
    while !text.starts_with(']') {
        let (value, rest) = if let Some(rest) = text.strip_prefix("Id(") {
            let (id, rest) = rest.split_once(')').expect("an id");
            (Bound::Id(id.parse().expect("an id")), rest)
        } else if let Some(rest) = text.strip_prefix('"') {
            let (value, rest) = rest.split_once('"').expect("a text");
            (Bound::Text(value.to_owned()), rest)
        } else {
            let end = text.find([',', ']']).expect("an end");
            (
                Bound::Number(text[..end].parse().unwrap_or_else(|_| panic!("a value of a kind that is not known here: {text}"))),
                &text[end..],
            )
        };
        values.push(value);
        text = rest.trim_start_matches(", ");
    }
    values
}

/// A program of PostgreSQL's, where it is installed.
pub fn program(name: &str) -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).map(|folder| folder.join(name)).collect::<Vec<_>>());
    crate::cluster::programs().map(|folder| folder.join(name)).into_iter().chain(on_path.into_iter().flatten()).find(|path| path.exists())
}

/// Executions a second by pgbench, prepared once on each connection. A script can't draw a text at random, so there is
/// one for each sample.
pub fn pgbench(url: &str, folder: &Path, statement: &Statement, pace: Pace) -> Option<f64> {
    let mut scripts = Vec::new();
    let mut variables = Vec::new();
    for (number, sample) in statement.samples.iter().enumerate() {
        let mut sql = statement.sql.clone();
        for (place, value) in sample.iter().enumerate().rev() {
            let name = format!("v{number}_{place}");
            sql = sql.replace(&format!("${}", place + 1), &format!(":{name}"));
            let value = match value {
                Bound::Id(id) => id.to_string(),
                Bound::Text(text) => text.clone(),
                Bound::Number(number) => number.to_string(),
            };
            variables.push(format!("{name}={value}"));
        }
        let path = folder.join(format!("{number}.sql"));
        std::fs::write(&path, format!("{sql};\n")).expect("a script");
        scripts.push(path);
    }
    let mut command = Command::new(program("pgbench")?);
    command.args(["-M", "prepared", "-n", "-j", "2"]);
    command.args(["-c", &pace.threads.to_string(), "-T", &pace.measured.as_secs().max(1).to_string()]);
    // As the service sets its own connections.
    command.env("PGOPTIONS", "-c plan_cache_mode=force_generic_plan -c timezone=UTC");
    variables.iter().for_each(|variable| {
        command.args(["-D", variable]);
    });
    scripts.iter().for_each(|script| {
        command.arg("-f").arg(script);
    });
    rate_told(&command.arg(url).output().expect("pgbench runs"))
}

/// What pgbench tells.
pub fn rate_told(output: &Output) -> Option<f64> {
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    assert!(output.status.success() && rate.is_some(), "pgbench: {text}{}", String::from_utf8_lossy(&output.stderr));
    rate
}

/// The same on a SQLite file, by a thread and a connection each.
pub fn sqlite(path: &Path, statement: &Statement, pace: Pace) -> Measured {
    load::run(
        pace,
        || open(path),
        |conn, random: &mut StdRng| {
            let sample = &statement.samples[random.random_range(0..statement.samples.len())];
            let values: Vec<Value> = sample.iter().map(value).collect();
            let mut prepared = conn.prepare_cached(&statement.sql).expect("a statement");
            let columns = prepared.column_count();
            let mut rows = prepared.query(rusqlite::params_from_iter(values)).expect("rows");
            while let Some(row) = rows.next().expect("a row") {
                for column in 0..columns {
                    std::hint::black_box(row.get_ref(column).expect("a value"));
                }
            }
        },
    )
}

fn value(bound: &Bound) -> Value {
    match bound {
        Bound::Id(id) => Value::Blob(id.0.as_bytes().to_vec()),
        Bound::Text(text) => Value::Text(text.clone()),
        Bound::Number(number) => Value::Integer(*number),
    }
}

/// A connection with the settings of `src/db/connection.rs`.
pub fn open(path: &Path) -> rusqlite::Connection {
    let conn = rusqlite::Connection::open(path).expect("the file opens");
    conn.execute_batch(
        "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
         PRAGMA cache_size = -8000; PRAGMA mmap_size = 268435456; PRAGMA temp_store = MEMORY;",
    )
    .expect("settings");
    conn
}
