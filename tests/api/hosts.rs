//! Servers to talk to, the databases under them, and a client that holds every answer against the contract.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::{Value, json};
use yiyong::app::{self, Service};
use yiyong::audit::seal;
use yiyong::auth::UserKind;
use yiyong::auth::operator::{self, NewOperatorUser};
use yiyong::config::Config;
use yiyong::db::{AnyConnection, Target, migrations};
use yiyong::policy::Role;
use yiyong::schema::users;
use yiyong::types::Id;

use crate::{cluster, contract};

pub const PASSWORD: &str = "四月的风吹过金水河边的柳树";
/// Of machine clients, which remember better.
pub const SECRET: &str = "四月的风吹过金水河边的柳树，也吹过嵩山脚下的麦田与少林寺前的银杏树";

pub fn password_of(kind: UserKind) -> &'static str {
    match kind {
        UserKind::Person => PASSWORD,
        UserKind::Service => SECRET,
    }
}

/// A database of one test's own on PostgreSQL, where there is one.
pub fn postgres_database() -> Option<String> {
    crate::cluster::shared().map(|url| fresh_database(Some(url)).0)
}

/// A migrated database that tests copy: far quicker than migrating each anew.
fn fresh_database(postgres: Option<&str>) -> (String, Option<tempfile::TempDir>) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static TEMPLATES: Mutex<(Option<PathBuf>, bool)> = Mutex::new((None, false));
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut templates = TEMPLATES.lock().unwrap_or_else(|e| e.into_inner());
    let second = std::time::Duration::from_secs(60);
    match postgres {
        Some(url) => {
            let base = url.rsplit_once('/').expect("a database's name").0;
            let mut admin = Target::parse(url).expect("a URL").connect(second).expect("PostgreSQL");
            let template = format!("yiyong_template_{}", std::process::id());
            if !templates.1 {
                admin.batch_execute(&format!("DROP DATABASE IF EXISTS {template}")).expect("dropped");
                admin.batch_execute(&format!("CREATE DATABASE {template}")).expect("created");
                let mut fresh = Target::parse(&format!("{base}/{template}")).expect("a URL").connect(second).expect("connected");
                migrations::up(&mut fresh).expect("migrated");
                templates.1 = true;
            }
            let name = format!("yiyong_test_{}_{n}", std::process::id());
            admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).expect("copied");
            (format!("{base}/{name}"), None)
        }
        None => {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("yiyong.db");
            let template = templates.0.get_or_insert_with(|| {
                let path = std::env::temp_dir().join(format!("yiyong-template-{}.db", std::process::id()));
                let mut fresh = Target::Sqlite(path.display().to_string()).connect(second).expect("SQLite");
                migrations::up(&mut fresh).expect("migrated");
                fresh.batch_execute("PRAGMA journal_mode = DELETE").expect("one file");
                path
            });
            std::fs::copy(template, &path).expect("copied");
            (format!("sqlite:{}", path.display()), Some(folder))
        }
    }
}

/// A running server.
pub struct Host {
    pub base: String,
    pub service: Service,
    handle: actix_web::dev::ServerHandle,
    pub database: String,
    pub keys: tempfile::TempDir,
    /// Whether the story has written to the database behind the service's back.
    behind: AtomicBool,
    _folder: Option<tempfile::TempDir>,
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

impl Host {
    fn start(postgres: Option<&str>, settings: &[(&str, &str)]) -> Self {
        let (database, folder) = fresh_database(postgres);
        let mut host = Self::on(&database, settings);
        host._folder = folder;
        host
    }

    pub fn is_postgres(&self) -> bool {
        self.service.db.target().is_postgres()
    }

    /// Another server on the same database, with the same keys unless told otherwise.
    pub fn beside(&self, settings: &[(&str, &str)]) -> Self {
        let own = |name: &str| self.keys.path().join(name).display().to_string();
        let (signing, data) = (own("signing.pem"), own("data-key"));
        let storage = format!("file:{}", own("attachments"));
        let keys = [
            ("YIYONG_SIGNING_KEY_FILE", signing.as_str()),
            ("YIYONG_DATA_KEY_FILE", data.as_str()),
            ("YIYONG_STORAGE_URL", storage.as_str()),
        ];
        Self::on(&self.database, &[settings, &keys].concat())
    }

    /// On a database that is there already. Settings given here count before those that every test has.
    pub fn on(database: &str, settings: &[(&str, &str)]) -> Self {
        let keys = tempfile::tempdir().expect("a folder");
        // PostgreSQL deployments must give their keys; make them as an operator would.
        let (signing, data) = (keys.path().join("signing.pem"), keys.path().join("data-key"));
        std::fs::write(&signing, yiyong::auth::Keys::generate_pem()).expect("written");
        std::fs::write(&data, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").expect("written");
        let config = Config::from_lookup(|name| match name {
            name if settings.iter().any(|(n, _)| *n == name) => settings.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()),
            "DATABASE_URL" => Some(database.to_owned()),
            "YIYONG_SIGNING_KEY_FILE" => Some(signing.display().to_string()),
            "YIYONG_DATA_KEY_FILE" => Some(data.display().to_string()),
            "YIYONG_STORAGE_URL" => Some(format!("file:{}", keys.path().join("attachments").display())),
            "YIYONG_DB_CONNECTIONS" => Some("4".into()),
            "YIYONG_ALLOWED_ORIGINS" => Some("https://office.example.cn".into()),
            "YIYONG_ANSWER_WITHIN_SECONDS" => Some("30".into()),
            // A test asks as often in a second as a caller in an hour.
            "YIYONG_READS_A_MINUTE" | "YIYONG_WRITES_A_MINUTE" | "YIYONG_SENSITIVE_A_MINUTE" | "YIYONG_PUBLIC_A_MINUTE" => {
                Some("1000000".into())
            }
            _ => None,
        })
        .expect("a configuration");
        let service = Service::new(&config, contract::served()).expect("a service");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let (tell, told) = std::sync::mpsc::channel();
        let serving = service.clone();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let at_work = (serving.jobs.start(&serving.db), serving.wechat.start(&serving.db));
                let server = app::serve(serving, listener, 1, 4).expect("a server");
                tell.send(server.handle()).expect("told");
                let _ = server.await;
                drop(at_work);
            });
        });
        let handle = told.recv().expect("a handle");
        Self { base, service, handle, database: database.to_owned(), _folder: None, keys, behind: AtomicBool::new(false) }
    }

    /// Hangs what was written on the chain of the audit log, as a server does each second.
    pub fn seal(&self) {
        let (db, keys) = (self.service.db.clone(), self.service.auth.keys());
        let system = actix_web::rt::System::new();
        // Another sealer may be at work.
        while !system.block_on(seal::catch_up(&db, &keys, seal::Back::Whole)).expect("sealed") {}
    }

    /// Says that what follows is no deed of the service: rows of the story's own, which no event tells of.
    pub fn write_behind(&self) {
        self.behind.store(true, Ordering::Relaxed);
    }

    /// Whatever was last written to a record has an event, at the very instant that the record tells: by the events alone is it
    /// known what has changed.
    fn every_write_is_told(&self) {
        #[derive(QueryableByName)]
        struct Untold {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            untold: i64,
        }
        if self.behind.load(Ordering::Relaxed) {
            return;
        }
        let mut conn = self.service.db.target().connect(std::time::Duration::from_secs(30)).expect("connected");
        for verbs in yiyong::web::verbs::registry().iter().filter(|verbs| verbs.writable()) {
            let name = verbs.name();
            let untold = diesel::sql_query(format!(
                "SELECT count(*) AS untold FROM {name} AS r WHERE NOT EXISTS (SELECT 1 FROM audit_events AS e
                 WHERE e.record_id = r.id AND e.resource = '{name}' AND e.at = r.updated_at)"
            ));
            let untold: Untold = match &mut conn {
                AnyConnection::Pg(c) => untold.get_result(c),
                AnyConnection::Sqlite(c) => untold.get_result(c),
            }
            .expect("a count");
            assert_eq!(untold.untold, 0, "{name}: written without an event");
        }
    }

    /// A user made by the operator, signed in.
    pub fn user(&self, username: &str, role: Role, organization: Option<&str>) -> Client<'_> {
        let kind = if role == Role::Service { UserKind::Service } else { UserKind::Person };
        let user = NewOperatorUser {
            username: username.into(),
            name: username.into(),
            kind,
            role,
            organization_code: organization.map(str::to_owned),
            password: zeroize::Zeroizing::new(password_of(kind).to_owned()),
        };
        operator::create_user(&self.service.db, &user).expect("a user");
        self.sign_in(username, kind)
    }

    /// Tells a user who they are.
    pub fn is_person(&self, username: &str, person: &str) {
        let person: Id = person.parse().expect("an id");
        self.service
            .db
            .run(false, |conn| {
                let one = users::table.filter(users::username.eq(username));
                diesel::update(one).set(users::person_id.eq(Some(person))).execute(conn)?;
                Ok(())
            })
            .expect("a person");
    }

    pub fn sign_in(&self, username: &str, kind: UserKind) -> Client<'_> {
        self.nobody().sign_in(username, kind)
    }

    pub fn sign_in_with(&self, username: &str, kind: UserKind, password: &str) -> Client<'_> {
        self.nobody().sign_in_with(username, kind, password)
    }

    /// Whoever holds an access token.
    pub fn holding(&self, token: &str) -> Client<'_> {
        Client { base: &self.base, token: Some(token.to_owned()) }
    }

    pub fn nobody(&self) -> Client<'_> {
        Client::at(&self.base)
    }

    /// The tree that most tests stand on: a province, a city, two counties. The city's administrator is returned.
    pub fn planted(&self) -> Client<'_> {
        let platform = self.user("platform", Role::PlatformAdmin, None);
        let root =
            platform.post("/api/v1/organizations", &json!({"code": "hn", "name": "河南省见义勇为基金会", "kind": "provincial_foundation"}));
        assert_eq!(root.status, 201, "{root:?}");
        let city = platform.post(
            "/api/v1/organizations",
            &json!({"code": "zz", "name": "郑州市见义勇为协会", "kind": "city_association", "parent_id": root.id()}),
        );
        for (code, name) in [("zz-dengfeng", "登封市见义勇为协会"), ("zz-gaoxin", "高新区见义勇为协会")] {
            let county = platform
                .post("/api/v1/organizations", &json!({"code": code, "name": name, "kind": "county_association", "parent_id": city.id()}));
            assert_eq!(county.status, 201, "{county:?}");
        }
        self.user("cityadmin", Role::OrgAdmin, Some("zz"))
    }
}

/// Runs a story on each database.
pub fn on_each_database(story: impl Fn(&Host)) {
    on_each_database_with(&[], story);
}

/// The same, with settings of the story's own.
pub fn on_each_database_with(settings: &[(&str, &str)], story: impl Fn(&Host)) {
    for postgres in std::iter::once(None).chain(cluster::shared().map(Some)) {
        on_one(postgres, settings, &story);
    }
}

/// Runs a story on SQLite alone: one that is about what stands before the service.
pub fn on_sqlite_with(settings: &[(&str, &str)], story: impl Fn(&Host)) {
    on_one(None, settings, &story);
}

fn on_one(postgres: Option<&str>, settings: &[(&str, &str)], story: &impl Fn(&Host)) {
    let host = Host::start(postgres, settings);
    story(&host);
    host.every_write_is_told();
}

/// A caller.
#[derive(Clone)]
pub struct Client<'a> {
    pub base: &'a str,
    pub token: Option<String>,
}

/// An answer that agrees with the contract: `Client` has seen to it.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
    pub fn id(&self) -> &str {
        self.body["id"].as_str().expect("an id")
    }
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
    /// Pointers and codes of the faults.
    pub fn faults(&self) -> Vec<(&str, &str)> {
        let faults = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        faults.iter().map(|f| (f["pointer"].as_str().unwrap_or_default(), f["code"].as_str().unwrap_or_default())).collect()
    }
}

impl<'a> Client<'a> {
    /// Nobody, at a server.
    pub fn at(base: &'a str) -> Self {
        Self { base, token: None }
    }

    /// The same caller at another server.
    pub fn elsewhere<'b>(&self, base: &'b str) -> Client<'b> {
        Client { base, token: self.token.clone() }
    }

    pub fn sign_in(&self, username: &str, kind: UserKind) -> Self {
        self.sign_in_with(username, kind, password_of(kind))
    }

    pub fn sign_in_with(&self, username: &str, kind: UserKind, password: &str) -> Self {
        let answer = match kind {
            UserKind::Person => self.post("/api/v1/auth/login", &json!({"username": username, "password": password})),
            UserKind::Service => self
                .post("/api/v1/auth/token", &json!({"grant_type": "client_credentials", "client_id": username, "client_secret": password})),
        };
        assert_eq!(answer.status, 200, "{answer:?}");
        Self { base: self.base, token: answer.body["access_token"].as_str().map(str::to_owned) }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("Content-Type", "application/json")], Some(body.to_string().as_bytes()))
    }
    pub fn patch(&self, path: &str, version: &str, body: &Value) -> Answer {
        let headers = [("Content-Type", "application/merge-patch+json"), ("If-Match", version)];
        self.send("PATCH", path, &headers, Some(body.to_string().as_bytes()))
    }
    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], None)
    }

    /// Imports a CSV text.
    pub fn import(&self, resource: &str, csv: &[u8], fields: &[(&str, &str)]) -> Answer {
        static KEY: AtomicU32 = AtomicU32::new(0);
        let key = format!("import-{}", KEY.fetch_add(1, Ordering::Relaxed));
        let mut body = Vec::new();
        for (name, value) in [("resource", resource)].iter().chain(fields) {
            body.extend_from_slice(format!("--b0und\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes());
        }
        body.extend_from_slice(
            b"--b0und\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.csv\"\r\nContent-Type: text/csv\r\n\r\n",
        );
        body.extend_from_slice(csv);
        body.extend_from_slice(b"\r\n--b0und--\r\n");
        // Longer than any test is patient: what comes is the end of it.
        let headers = [("Content-Type", "multipart/form-data; boundary=b0und"), ("Idempotency-Key", key.as_str()), ("Prefer", "wait=60")];
        self.send("POST", "/api/v1/imports", &headers, Some(&body))
    }

    /// A file as it comes.
    pub fn download(&self, path: &str) -> Vec<u8> {
        self.download_in(path, "zh")
    }

    /// The same, in a language.
    pub fn download_in(&self, path: &str, language: &str) -> Vec<u8> {
        let mut request = ureq::get(format!("{}{path}", self.base)).header("Accept-Language", language);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call().expect("an answer").body_mut().with_config().limit(u64::MAX).read_to_vec().expect("a file")
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[("Content-Type", "application/json")], Some(body.to_string().as_bytes()))
    }

    pub fn send(&self, method: &str, path: &str, headers_sent: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        self.try_send(method, path, headers_sent, body).expect("an answer")
    }

    /// The answer, where there is one: the server may be gone.
    pub fn try_send(&self, method: &str, path: &str, headers_sent: &[(&str, &str)], body: Option<&[u8]>) -> Result<Answer, ureq::Error> {
        static AGENT: OnceLock<ureq::Agent> = OnceLock::new();
        let agent = AGENT.get_or_init(|| {
            ureq::Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true).max_redirects(0).build().into()
        });
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers_sent {
            request = request.header(*name, *value);
        }
        let response = match body {
            Some(body) => agent.run(request.body(body).expect("a request")),
            None => agent.run(request.body(()).expect("a request")),
        };
        let mut response = response?;
        let status = response.status().as_u16();
        let headers: Vec<(String, String)> =
            response.headers().iter().map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect();
        // A file need not be text; whoever wants its bytes asks for them.
        let text = String::from_utf8_lossy(&response.body_mut().read_to_vec()?).into_owned();
        let answer = Answer {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(if text.is_empty() { Value::Null } else { Value::String(text) }),
        };
        let overridden = headers_sent.iter().any(|(name, _)| name.eq_ignore_ascii_case("X-HTTP-Method-Override"));
        let method = if overridden { "PATCH" } else { method };
        crate::contract::hold(method, path, &answer);
        if answer.status == 403 && answer.code() == "forbidden" {
            self.was_not_offered(method, path);
        }
        Ok(answer)
    }

    /// What is refused to somebody is not among the `allowed_actions` of the record as they see it.
    fn was_not_offered(&self, method: &str, path: &str) {
        let segments: Vec<&str> = path.trim_start_matches("/api/v1/").split(['/', '?']).collect();
        let (resource, id, action) = match (method, &segments[..]) {
            // What stands against these lies in other records, which are looked through when it is done.
            ("POST", ["welfare-batches" | "person-merges", ..] | ["persons", _, "merge"]) => return,
            ("POST", [resource, id, step]) => (resource, id, step.replace('-', "_")),
            ("PATCH", [resource, id]) => (resource, id, "update".to_owned()),
            ("DELETE", [resource, id]) => (resource, id, "delete".to_owned()),
            _ => return,
        };
        let seen = self.get(&format!("/api/v1/{resource}/{id}"));
        let offered = seen.body["allowed_actions"].as_array().is_some_and(|offered| offered.contains(&json!(action)));
        assert!(!offered, "{method} {path} was refused, and is offered: {seen:?}");
    }
}
