//! The same statements without the service: what its own code sends to the database is caught on its way and run again,
//! so that the two can't drift apart.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use chrono::NaiveDate;
use diesel::connection::{Connection as _, InstrumentationEvent};
use diesel::prelude::*;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value;
use yiyong::db::{AnyConnection, Tree};
use yiyong::error::Result;
use yiyong::policy::{Action, Actor, Grant, Purpose, Role};
use yiyong::types::Id;
use yiyong::web::Window;
use yiyong::web::query::Pairs;
use yiyong::web::verbs::{self, Verbs};

use crate::load::{self, Measured, Pace};
use crate::world;

/// A value of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    Id(Id),
    /// An array; SQLite has none, there each id is a value of its own.
    Ids(Vec<Id>),
    Text(String),
    Number(i64),
}

/// A statement and its values.
pub type Sent = (String, Vec<Bound>);

/// What an operation asks of the database, once for each of some requests drawn at random.
pub struct Operation {
    pub samples: Vec<Vec<Sent>>,
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
        wechat_binding_id: None,
        grants: Arc::new(vec![Grant { role, organization_id, from_on: NaiveDate::MIN, to_on: None }]),
    }
}

/// What the service sends for each of these paths.
pub fn operation(conn: &mut AnyConnection, paths: &[String]) -> Operation {
    let verbs = verbs::named(world::SUBJECT).expect("the resource");
    let clerk = actor(Role::Clerk, Some(world::city()));
    let sent_for = |path: &String| match path.split_once('?') {
        Some((_, query)) => {
            let mut pairs = Pairs::parse(query).expect("a query");
            let window = Window::take(&mut pairs, verbs.sorts()).expect("a window");
            let filter = pairs.into_json(verbs.filter_shape()).expect("a filter");
            list(conn, verbs, &clerk, &filter, &window)
        }
        None => {
            let id = path.rsplit('/').next().and_then(|id| id.parse().ok()).expect("an id");
            let scope = clerk.may(verbs.area(), Action::Read).expect("a clerk reads people");
            sent(conn, |conn| verbs.get(conn, &clerk, &scope, id).map(|_| ()))
        }
    };
    Operation { samples: paths.iter().map(sent_for).collect() }
}

/// What the service sends for a list, with the scope fitted as its handler fits it. Where the caller may not, nothing.
pub fn list(conn: &mut AnyConnection, verbs: &dyn Verbs, actor: &Actor, filter: &Value, window: &Window) -> Vec<Sent> {
    let Ok(scope) = actor.may(verbs.area(), Action::Read) else { return Vec::new() };
    let asked = filter["organization_id"].as_str().and_then(|id| id.parse().ok());
    let purpose = if filter.get("q").is_some() { Purpose::Search } else { Purpose::Page };
    let scope = scope.fitted(conn, &Tree::default(), asked, purpose).expect("a scope");
    sent(conn, |conn| verbs.list(conn, actor, (&scope, &scope), filter.clone(), window).map(|_| ()))
}

/// The statements that some work sends, in their order, with their values.
pub fn sent(conn: &mut AnyConnection, work: impl FnOnce(&mut AnyConnection) -> Result<()>) -> Vec<Sent> {
    let caught = Arc::new(Mutex::new(Vec::new()));
    let catching = caught.clone();
    conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            catching.lock().expect("one thread").push(query.to_string());
        }
    });
    // Rows that were made for their number may not be readable; the statements were sent all the same.
    let _ = work(conn);
    conn.set_instrumentation(|_: InstrumentationEvent<'_>| {});
    let caught = caught.lock().expect("one thread");
    caught.iter().filter_map(|text| text.split_once(" -- binds: ")).map(|(sql, values)| (sql.to_owned(), bound(values))).collect()
}

/// Reads what diesel tells of the values: `[Id(…), "…", [Id(…), Id(…)], 51]`.
fn bound(text: &str) -> Vec<Bound> {
    let mut rest = text.strip_prefix('[').expect("values");
    let mut values = Vec::new();
    while !rest.starts_with(']') {
        let (value, after) = one(rest);
        values.push(value);
        rest = after.trim_start_matches(", ");
    }
    values
}

/// The first value of a text, and what comes after it.
fn one(text: &str) -> (Bound, &str) {
    if let Some(rest) = text.strip_prefix("Id(") {
        let (id, rest) = rest.split_once(')').expect("an id");
        return (Bound::Id(id.parse().expect("an id")), rest);
    }
    if let Some(rest) = text.strip_prefix('"') {
        let (value, rest) = rest.split_once('"').expect("a text");
        return (Bound::Text(value.to_owned()), rest);
    }
    if text.starts_with('[') {
        let (ids, rest) = text.split_once(']').expect("an end");
        let ids = bound(&format!("{ids}]")).into_iter().map(|value| match value {
            Bound::Id(id) => id,
            other => panic!("an array of something that is not known here: {other:?}"),
        });
        return (Bound::Ids(ids.collect()), rest);
    }
    let end = text.find([',', ']']).expect("an end");
    if text[..end].parse::<NaiveDate>().is_ok() {
        return (Bound::Text(text[..end].to_owned()), &text[end..]);
    }
    let number = text[..end].parse().unwrap_or_else(|_| panic!("a value of a kind that is not known here: {text}"));
    (Bound::Number(number), &text[end..])
}

impl Bound {
    /// As PostgreSQL reads it.
    pub fn text(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Ids(ids) => format!("{{{}}}", ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// A program of PostgreSQL's, where it is installed.
pub fn program(name: &str) -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).map(|folder| folder.join(name)).collect::<Vec<_>>());
    crate::cluster::programs().map(|folder| folder.join(name)).into_iter().chain(on_path.into_iter().flatten()).find(|path| path.exists())
}

/// Executions a second by pgbench, prepared once on each connection. A script can't draw a text at random, so there is
/// one for each sample.
pub fn pgbench(conn: &mut AnyConnection, url: &str, folder: &Path, operation: &Operation, pace: Pace) -> Option<f64> {
    let mut scripts = Vec::new();
    let mut variables = Vec::new();
    for (number, sample) in operation.samples.iter().enumerate() {
        let mut script = String::new();
        for (step, (sql, values)) in sample.iter().enumerate() {
            let mut sql = sql.clone();
            for (place, value) in values.iter().enumerate().rev() {
                let name = format!("v{number}_{step}_{place}");
                sql = sql.replace(&format!("${}", place + 1), &format!(":{name}"));
                variables.push(format!("{name}={}", value.text()));
            }
            script.push_str(&format!("{sql};\n"));
        }
        let path = folder.join(format!("{number}.sql"));
        std::fs::write(&path, script).expect("a script");
        scripts.push(path);
    }
    let mut command = Command::new(program("pgbench")?);
    command.args(["-M", "prepared", "-n", "-j", "2"]);
    command.args(["-c", &pace.callers.to_string(), "-T", &pace.measured.as_secs().max(1).to_string()]);
    command.env("PGOPTIONS", settings(conn));
    variables.iter().for_each(|variable| {
        command.args(["-D", variable]);
    });
    scripts.iter().for_each(|script| {
        command.arg("-f").arg(script);
    });
    rate_told(&command.arg(url).output().expect("pgbench runs"))
}

#[derive(QueryableByName)]
struct Setting {
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    setting: String,
}

/// What the service sets on its connections, for others to set on theirs.
fn settings(conn: &mut AnyConnection) -> String {
    let settings: Vec<Setting> =
        diesel::sql_query("SELECT name, setting FROM pg_settings WHERE source = 'session'").load(conn).expect("settings");
    settings.iter().map(|s| format!("-c {}={} ", s.name, s.setting)).collect()
}

/// What pgbench tells.
pub fn rate_told(output: &Output) -> Option<f64> {
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    assert!(output.status.success() && rate.is_some(), "pgbench: {text}{}", String::from_utf8_lossy(&output.stderr));
    rate
}

/// The same on a SQLite file, by a thread and a connection each.
pub fn sqlite(path: &Path, operation: &Operation, pace: Pace) -> Measured {
    load::run(
        pace,
        || open(path),
        |conn, random: &mut StdRng| {
            for (sql, values) in &operation.samples[random.random_range(0..operation.samples.len())] {
                let mut prepared = conn.prepare_cached(sql).expect("a statement");
                let columns = prepared.column_count();
                let mut rows = prepared.query(rusqlite::params_from_iter(values)).expect("rows");
                while let Some(row) = rows.next().expect("a row") {
                    for column in 0..columns {
                        std::hint::black_box(row.get_ref(column).expect("a value"));
                    }
                }
            }
        },
    )
}

impl rusqlite::ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Id(id) => Ok(id.0.as_bytes().as_slice().into()),
            Self::Ids(_) => Err(rusqlite::Error::ToSqlConversionFailure("SQLite has no arrays".into())),
            Self::Text(text) => Ok(text.as_str().into()),
            Self::Number(number) => number.to_sql(),
        }
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
