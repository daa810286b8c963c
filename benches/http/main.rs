//! The benchmark: the service over HTTP at 200,000 volunteers and 3,000 organizations, on both databases, each operation
//! beside the same statement run straight on the database.
//!
//! `cargo bench` prints the table of the README, and `cargo bench -- --quick` goes through the same with a small world, to
//! see that it works. `cargo bench -- --fill postgres://…` fills a migrated database as the benchmark does, and `--plans`
//! with the same address shows how PostgreSQL answers each list there. Load generator, service and database share the
//! machine, so the ratios tell more than the rates. `cargo bench -- --exports` measures exports alone, of a million
//! volunteers, `--imports` an import of as many, and `--yearly` the report in each form and the returns of all counties.
//! `--outage 60` is a receiver of webhooks that is away for so many minutes.

#[allow(dead_code)] // The tests use more of it.
#[path = "../../tests/api/cluster.rs"]
mod cluster;
mod create;
mod export;
mod http;
mod import;
mod load;
mod outage;
mod payments;
mod plans;
mod server;
mod straight;
mod world;
mod yearly;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use rand::SeedableRng;
use rand::rngs::StdRng;
use yiyong::db::{AnyConnection, Target};
use yiyong::types::Id;

use crate::http::request;
use crate::load::{Measured, Pace};
use crate::outage::{Outage, Receiver, Side};
use crate::server::{Installation, Memory, Server};
use crate::world::{Size, World};

/// The test clusters' settings are for speed; this one is as an operator would set it for a machine of some gigabytes.
const CLUSTER: &str = "-c shared_buffers=512MB -c max_wal_size=4GB";
/// Callers at once.
const CALLERS: usize = 8;
/// Scripts that pgbench draws from: it takes no more than 128.
const SAMPLES: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Plan {
    size: Size,
    pace: Pace,
    /// Nothing else is measured.
    exports_alone: bool,
    imports_alone: bool,
    yearly_alone: bool,
}

fn plan(quick: bool) -> Plan {
    let pace = |milliseconds| Pace {
        callers: CALLERS,
        warm_up: Duration::from_millis(milliseconds / 5),
        measured: Duration::from_millis(milliseconds),
    };
    if quick {
        Plan {
            size: Size { organizations: 60, volunteers: 2_000, imported: 1_000, page: 20, payments: 16_000 },
            pace: pace(500),
            exports_alone: false,
            imports_alone: false,
            yearly_alone: false,
        }
    } else {
        Plan {
            size: Size { organizations: 3_000, volunteers: 200_000, imported: 100_000, page: 2_000, payments: 80_000 },
            pace: pace(4_000),
            exports_alone: false,
            imports_alone: false,
            yearly_alone: false,
        }
    }
}

/// A database that lies ready, and a second one like it for what is put straight into it.
struct Ground {
    target: Target,
    name: &'static str,
    url: String,
    other: String,
}

impl Ground {
    fn sqlite(folder: &Path) -> Self {
        let url = |name: &str| format!("sqlite:{}", folder.join(name).display());
        let url_of_it = url("yiyong.db");
        Self { target: Target::parse(&url_of_it).expect("a URL"), name: "SQLite", url: url_of_it, other: url("other.db") }
    }

    fn postgres(cluster: &str) -> Self {
        let base = cluster.rsplit_once('/').expect("a database's name").0;
        let name = format!("yiyong_bench_{}", std::process::id());
        administer(cluster, &format!("CREATE DATABASE {name}"));
        let url = format!("{base}/{name}");
        Self { target: Target::parse(&url).expect("a URL"), name: "PostgreSQL", other: format!("{url}_other"), url }
    }

    fn connect(&self) -> AnyConnection {
        self.target.connect(Duration::from_secs(3_600)).expect("a connection")
    }

    fn file(url: &str) -> &Path {
        Path::new(url.trim_start_matches("sqlite:"))
    }

    /// Makes the second one.
    fn copy(&self, cluster: Option<&str>) {
        match cluster {
            Some(cluster) => {
                let name = |url: &str| url.rsplit('/').next().unwrap_or_default().to_owned();
                administer(cluster, &format!("CREATE DATABASE {} TEMPLATE {}", name(&self.other), name(&self.url)));
            }
            None => {
                std::fs::copy(Self::file(&self.url), Self::file(&self.other)).expect("copied");
            }
        }
    }
}

fn administer(cluster: &str, sql: &str) {
    let mut conn =
        Target::parse(cluster).and_then(|t| t.connect(Duration::from_secs(3_600)).map_err(|e| e.to_string())).expect("PostgreSQL");
    conn.batch_execute(sql).expect("administered");
}

/// A line of the table.
struct Line<'a> {
    operation: &'a str,
    database: &'static str,
    http: Measured,
    /// Straight on the database, a second.
    straight: Option<f64>,
    target: &'static str,
    /// How it came out, and whether the target was reached.
    reached: Option<(String, bool)>,
}

impl Line<'_> {
    fn print(&self) {
        let straight = self.straight.map_or(("–".to_owned(), "–".to_owned()), |straight| {
            (format!("{straight:.0}"), format!("{:.0} %", 100.0 * self.http.per_second / straight))
        });
        // Where only times are compared, there is no rate.
        let rate = if self.http.per_second.is_nan() { "–".to_owned() } else { format!("{:.0}", self.http.per_second) };
        let reached = self.reached.as_ref().map_or(String::new(), |(text, yes)| format!("{text} {}", if *yes { "✓" } else { "✗" }));
        println!(
            "| {} | {} | {rate} | {:.1} | {:.1} | {} | {} | {} | {reached} |",
            self.operation, self.database, self.http.p50, self.http.p99, straight.0, straight.1, self.target
        );
    }
}

fn main() {
    // Cargo says `--bench` when it is asked for the benchmark; anybody else only wants to see that it works.
    let arguments: Vec<String> = std::env::args().collect();
    let said = |word: &str| arguments.iter().any(|argument| argument == word);
    if let Some(place) = arguments.iter().position(|argument| argument == "--plans") {
        return plans::explain(arguments.get(place + 1).expect("--plans takes the address of a database"));
    }
    let mut plan = plan(said("--quick") || !said("--bench"));
    if said("--exports") {
        plan.size.volunteers = 1_000_000;
        plan.exports_alone = true;
    }
    if said("--imports") {
        plan.size.imported = 1_000_000;
        plan.imports_alone = true;
    }
    plan.yearly_alone = said("--yearly");
    if let Some(place) = arguments.iter().position(|argument| argument == "--outage") {
        let minutes: f64 = arguments.get(place + 1).and_then(|text| text.parse().ok()).expect("--outage takes minutes");
        return outage(plan.size, Duration::from_secs_f64(minutes * 60.0));
    }
    if let Some(place) = arguments.iter().position(|argument| argument == "--fill") {
        let target = Target::parse(arguments.get(place + 1).expect("--fill takes the address of a database")).expect("a URL");
        return world::seed(&mut target.connect(Duration::from_secs(3_600)).expect("a connection"), plan.size);
    }
    let begun = std::time::Instant::now();
    println!("{}\n", machine(plan.size));
    println!("| operation | database | HTTP /s | p50 ms | p99 ms | straight /s | HTTP ÷ straight | target | |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut memory = Vec::new();
    let folder = tempfile::tempdir().expect("a folder");
    memory.push(measure(plan, &Ground::sqlite(folder.path()), None, folder.path()));
    match std::env::var("TEST_DATABASE_URL").ok().or_else(|| cluster::Cluster::start(CLUSTER).map(|cluster| cluster.url())) {
        Some(cluster) => {
            let folder = tempfile::tempdir().expect("a folder");
            let ground = Ground::postgres(&cluster);
            memory.push(measure(plan, &ground, Some(&cluster), folder.path()));
            for url in [&ground.url, &ground.other] {
                administer(&cluster, &format!("DROP DATABASE IF EXISTS {}", url.rsplit('/').next().unwrap_or_default()));
            }
        }
        None => println!("\nNo PostgreSQL was found: install a server or set TEST_DATABASE_URL."),
    }
    println!(
        "\n| memory of the service, MB: its own (resident, with mapped files) | at rest (< 40) | after the load | while importing, at most (< 80) | while exporting, at most (< 80) |\n|---|---|---|---|---|"
    );
    memory.iter().for_each(|line| println!("{line}"));
    println!("\nMeasured in {:.0} s.", begun.elapsed().as_secs_f64());
}

/// Everything on one database; returns its line of the table of memory.
fn measure(plan: Plan, ground: &Ground, cluster: Option<&str>, folder: &Path) -> String {
    let Plan { size, pace, exports_alone, imports_alone, yearly_alone } = plan;
    let scripts = folder.join("scripts");
    std::fs::create_dir_all(&scripts).expect("a folder");
    let installation = Installation::new(folder.to_owned(), &ground.url);
    installation.run(&["migrate"], "");
    world::seed(&mut ground.connect(), size);
    installation.create_users();
    if exports_alone {
        let server = installation.serve();
        let at_rest = server.memory();
        let exporting = export_all(&server, ground, cluster, size);
        let [at_rest, exporting] = [at_rest, exporting].map(told);
        return format!("| {} | {at_rest} | – | – | {exporting} |", ground.name);
    }
    if imports_alone {
        ground.copy(cluster);
        let world = World::explore(&mut ground.connect(), size);
        let server = installation.serve();
        let at_rest = server.memory();
        let importing = import_all(&server, ground, cluster, (&world, size), &scripts);
        let [at_rest, importing] = [at_rest, importing].map(told);
        return format!("| {} | {at_rest} | – | {importing} | – |", ground.name);
    }
    payments::lay_out(&mut ground.connect(), size.payments);
    if yearly_alone {
        let mut conn = ground.connect();
        yearly::lay_out(&mut conn, size);
        if cluster.is_some() {
            conn.batch_execute("VACUUM ANALYZE").expect("vacuumed");
        }
        return year(&installation.serve(), ground);
    }
    ground.copy(cluster);
    let mut conn = ground.connect();
    let mut world = World::explore(&mut conn, size);
    let server = installation.serve();
    let at_rest = server.memory();
    let token = server.sign_in("clerk");
    world.find_deep_pages(&mut server.connect(), &token);

    // Reads: the same paths over HTTP, and through the service's own code to see what it asks the database.
    let mut read = |path: fn(&World, &mut StdRng) -> String| {
        let http = load::requests(pace, &server.address, 200, |random| request("GET", &path(&world, random), &token, &[], &[]));
        let mut random = StdRng::seed_from_u64(7);
        let paths: Vec<String> = (0..SAMPLES).map(|_| path(&world, &mut random)).collect();
        let operation = straight::operation(&mut conn, &paths);
        let straight = match cluster {
            Some(_) => straight::pgbench(&mut conn, &ground.url, &scripts, &operation, pace),
            None => Some(straight::sqlite(Ground::file(&ground.url), &operation, pace).per_second),
        };
        (http, straight)
    };
    let share = |http: Measured, straight: Option<f64>, least: f64| {
        straight.map(|straight| (format!("{:.0} %", 100.0 * http.per_second / straight), http.per_second >= least * straight))
    };
    let (get, straight) = read(World::get);
    line(ground, "get by id", (get, straight), "≥ 50 % of straight", share(get, straight, 0.5));
    let (county, straight) = read(World::list_of_county);
    line(ground, "list of 50, a county", (county, straight), "≥ 70 % of straight", share(county, straight, 0.7));
    let (city, straight) = read(World::list_of_city);
    line(ground, "list of 50, the city", (city, straight), "≥ 70 % of straight", share(city, straight, 0.7));
    let (deep, straight) = read(World::deep_page);
    let times = |other: f64, most: f64, what: &str| Some((format!("{other:.2} × {what}"), other <= most));
    line(
        ground,
        &format!("page {} of the city", size.page),
        (deep, straight),
        "as fast as page 1",
        times(deep.p50 / city.p50, 1.25, "page 1"),
    );
    for (operation, path) in [
        ("search, two characters", World::search_two as fn(&World, &mut StdRng) -> String),
        ("search, one character", World::search_one),
        ("search, three characters", World::search_three),
        ("search box, one character, first 10", World::box_one),
        ("search box, two characters, first 10", World::box_two),
    ] {
        let (search, straight) = read(path);
        line(ground, operation, (search, straight), "≤ 3 × a get", times(search.p50 / get.p50, 3.0, "get"));
    }

    // Writes.
    let created = create::over_http(&server, &token, &world, pace);
    let straight = match cluster {
        Some(_) => create::bare_on_postgres(&ground.other, &scripts, pace),
        None => Some(create::bare_on_sqlite(Ground::file(&ground.other), pace).per_second),
    };
    let reached = straight.map(|straight| {
        (format!("{:.0} %", 100.0 * created.per_second / straight), created.per_second >= 2_000.0 || created.per_second >= 0.75 * straight)
    });
    line(ground, "create", (created, straight), "2,000 /s or ≥ 75 % of the bare insert", reached);

    let finance = server.sign_in("finance");
    for funds in [payments::PAIRS, 1] {
        let paid = payments::over_http(&server, &finance, funds, pace);
        // The first half is paid over HTTP, of the other half each run of pgbench takes a part.
        let each = size.payments / 4 / CALLERS as u64;
        let first = size.payments / 2 + if funds == 1 { size.payments / 4 } else { 0 };
        let straight = cluster.and_then(|_| payments::straight_on_postgres(&ground.other, &scripts, funds, (first, each), pace));
        let operation = if funds == 1 { "payment, one fund".to_owned() } else { format!("payment, {funds} funds") };
        let target = if funds == 1 { "–" } else { "≥ 50 % of the same statements" };
        line(ground, &operation, (paid, straight), target, if funds == 1 { None } else { share(paid, straight, 0.5) });
    }

    let token = server.sign_in("clerk");
    report(&server, &token, ground, pace);

    let after_load = server.memory();
    let importing = import_all(&server, ground, cluster, (&world, size), &scripts);
    let exporting = export_all(&server, ground, cluster, size);
    let [at_rest, after_load, importing, exporting] = [at_rest, after_load, importing, exporting].map(told);
    format!("| {} | {at_rest} | {after_load} | {importing} | {exporting} |", ground.name)
}

fn told(memory: Option<Memory>) -> String {
    memory.map_or("–".to_owned(), |memory| format!("{:.0} ({:.0})", memory.own, memory.resident))
}

/// Imports volunteers while somebody reads; returns what the service held at most meanwhile.
fn import_all(server: &Server, ground: &Ground, cluster: Option<&str>, (world, size): (&World, Size), scripts: &Path) -> Option<Memory> {
    let token = server.sign_in("clerk");
    let csv = world.csv(0..size.imported, &mut StdRng::seed_from_u64(11));
    let mark = Id::new();
    let reading = |over: &AtomicBool| {
        let mut random = StdRng::seed_from_u64(13);
        import::beside(server, over, || request("GET", &world.get(&mut random), &token, &[], &[]))
    };
    let besides = |work: &mut dyn FnMut()| {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| reading(&over));
            work();
            over.store(true, Ordering::Relaxed);
            reader.join().expect("a thread that ends by itself")
        })
    };
    let idle = besides(&mut || std::thread::sleep(Duration::from_secs(5)));
    let mut took = Duration::ZERO;
    let mut importing = None;
    let busy = besides(&mut || (took, importing) = server.watched(|| import::over_http(server, &token, csv.as_bytes(), size.imported)));
    let straight = match cluster {
        Some(_) => import::copied(&ground.url, &ground.other, scripts, mark),
        None => Some(import::inserted(Ground::file(&ground.url), Ground::file(&ground.other), mark)),
    };
    let rate = |took: Duration| size.imported as f64 / took.as_secs_f64();
    let most = if size.imported < 1_000_000 { 4.0 } else { 2.5 };
    let reached = straight.map(|straight| {
        let times = took.as_secs_f64() / straight.as_secs_f64();
        (format!("{times:.2} × straight"), times <= most)
    });
    let took_ms = took.as_secs_f64() * 1_000.0;
    let http = Measured { per_second: rate(took), p50: took_ms, p99: took_ms };
    line(ground, "import, rows", (http, straight.map(rate)), if most > 3.0 { "≤ 4 × COPY" } else { "≤ 2.5 × COPY" }, reached);
    let read = Measured { per_second: f64::NAN, p50: idle, p99: busy };
    let reached = Some((format!("{:.1} × idle", busy / idle), busy <= 3.0 * idle));
    line(ground, "get beside the import, p99: idle, then", (read, None), "≤ 3 × idle", reached);
    if size.imported >= 1_000_000 {
        import_workbook(server, ground, world);
    }
    importing
}

/// Imports a workbook, and tells what the service held at most.
fn import_workbook(server: &Server, ground: &Ground, world: &World) {
    const ROWS: u64 = 100_000;
    let token = server.sign_in("clerk");
    let numbers = world.size.imported..world.size.imported + ROWS;
    let book = import::workbook(&world.csv(numbers, &mut StdRng::seed_from_u64(17)));
    let (took, held) = server.watched(|| import::over_http(server, &token, &book, ROWS));
    let took_ms = took.as_secs_f64() * 1_000.0;
    let http = Measured { per_second: ROWS as f64 / took.as_secs_f64(), p50: took_ms, p99: took_ms };
    let reached = held.map(|held| (format!("{:.0} MB", held.own), held.own < 300.0));
    line(ground, "import of a workbook, 100,000 rows", (http, None), "< 300 MB", reached);
}

/// Exports all volunteers; returns what the service held at most meanwhile.
fn export_all(server: &Server, ground: &Ground, cluster: Option<&str>, size: Size) -> Option<Memory> {
    let token = server.sign_in("clerk");
    // Once beforehand, so that both find the records in memory.
    export::over_http(server, &token, size.volunteers);
    let straight = || match cluster {
        Some(_) => export::copied(&ground.url),
        None => Some(export::stepped(Ground::file(&ground.url))),
    };
    straight();
    let (took, exporting) = server.watched(|| export::over_http(server, &token, size.volunteers));
    let straight = straight();
    let rate = |took: Duration| size.volunteers as f64 / took.as_secs_f64();
    let reached = straight.map(|straight| {
        let share = straight.as_secs_f64() / took.as_secs_f64();
        (format!("{:.0} %", 100.0 * share), share >= 0.6)
    });
    let took_ms = took.as_secs_f64() * 1_000.0;
    let http = Measured { per_second: rate(took), p50: took_ms, p99: took_ms };
    line(ground, "export as CSV, rows", (http, straight.map(rate)), "≥ 60 % of COPY", reached);
    exporting
}

fn line(
    ground: &Ground,
    operation: &str,
    (http, straight): (Measured, Option<f64>),
    target: &'static str,
    reached: Option<(String, bool)>,
) {
    Line { operation, database: ground.name, http, straight, target, reached }.print();
}

/// The annual report, asked for by one caller at a time.
fn report(server: &Server, token: &str, ground: &Ground, pace: Pace) {
    let path = "/api/v1/reports/annual/2022";
    let message = request("GET", path, token, &[], &[]);
    match server.connect().send(&message).expect("an answer").status {
        200 => {
            let http = load::requests(Pace { callers: 1, ..pace }, &server.address, 200, |_| message.clone());
            line(ground, "annual report", (http, None), "< 300 ms", Some((format!("{:.0} ms", http.p50), http.p50 < 300.0)));
        }
        status => println!("| annual report | {} | answers {status} | | | | | < 300 ms | |", ground.name),
    }
}

/// The report in each form, and a return asked of every county; returns the line of the table of memory.
fn year(server: &Server, ground: &Ground) -> String {
    let at_rest = server.memory();
    let token = server.sign_in("org_admin");
    for (form, most) in [("json", 500.0), ("markdown", 500.0), ("docx", 2_000.0), ("xlsx", 2_000.0), ("svg", 2_000.0), ("png", 2_000.0)] {
        let http = yearly::report(server, &token, form);
        let target = if most < 1_000.0 { "< 500 ms" } else { "< 2 s" };
        line(ground, &format!("annual report, {form}"), (http, None), target, Some((format!("{:.0} ms", http.p50), http.p50 < most)));
    }
    let after_load = server.memory();
    let ((took, returns), opening) = server.watched(|| yearly::open_returns(server, &token));
    let took_ms = took.as_secs_f64() * 1_000.0;
    let http = Measured { per_second: returns as f64 / took.as_secs_f64(), p50: took_ms, p99: took_ms };
    let reached = Some((format!("{:.1} s", took.as_secs_f64()), took < Duration::from_secs(60)));
    line(ground, &format!("{returns} returns opened"), (http, None), "< 60 s", reached);
    let [at_rest, after_load, opening] = [at_rest, after_load, opening].map(told);
    format!("| {} | {at_rest} | {after_load} | while opening: {opening} | – |", ground.name)
}

/// A receiver of webhooks that is away, on both databases at once.
fn outage(size: Size, away: Duration) {
    println!("{}\n", machine(size));
    println!("| operation | database | HTTP /s | p50 ms | p99 ms | straight /s | HTTP ÷ straight | target | |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let cluster = std::env::var("TEST_DATABASE_URL").ok().or_else(|| cluster::Cluster::start(CLUSTER).map(|cluster| cluster.url()));
    std::thread::scope(|scope| {
        scope.spawn(|| outage_on(size, away, Ground::sqlite, None));
        match &cluster {
            Some(cluster) => outage_on(size, away, |_| Ground::postgres(cluster), Some(cluster)),
            None => println!("\nNo PostgreSQL was found: install a server or set TEST_DATABASE_URL."),
        }
    });
}

fn outage_on(size: Size, away: Duration, ground: impl Fn(&Path) -> Ground, cluster: Option<&str>) {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let ground = ground(folders[0].path());
    let install = |folder: &Path, url: &str| {
        let mut installation = Installation::new(folder.to_owned(), url);
        installation.set("YIYONG_WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8");
        installation
    };
    let first = install(folders[0].path(), &ground.url);
    first.run(&["migrate"], "");
    world::seed(&mut ground.connect(), size);
    first.create_users();
    ground.copy(cluster);
    let second = install(folders[1].path(), &ground.other);
    let world = World::explore(&mut ground.connect(), size);
    let servers = [first.serve(), second.serve()];
    let receivers = [Receiver::new(), Receiver::new()];
    std::thread::scope(|scope| {
        for receiver in &receivers {
            scope.spawn(|| receiver.listen());
        }
        let [well, ill] = [0, 1].map(|place| Side::new(&servers[place], &receivers[place], &world));
        let Outage { meanwhile, catching_up, told } = outage::outlive(&well, &ill, away);
        let beside = |operation: &str, (other, own): (Measured, Measured)| {
            let times = own.p99 / other.p99;
            let reached = Some((format!("p99 {times:.2} × with one that answers ({:.1} ms)", other.p99), times <= 1.5));
            line(&ground, operation, (own, None), "≤ 1.5 × with one that answers", reached);
        };
        let (other, own) = meanwhile;
        beside("create, a receiver is away", (other.writes, own.writes));
        beside("get, a receiver is away", (other.reads, own.reads));
        let (other, own) = catching_up;
        beside("create, it is back", (other.writes, own.writes));
        beside("get, it is back", (other.reads, own.reads));
        println!(
            "{}: away for {:.0} min; {} attempts reached it meanwhile; all {} events arrived in their order, {} once more; \
             the first that waited {:.0} s after it was back, the last {:.0} s.",
            ground.name,
            away.as_secs_f64() / 60.0,
            told.in_vain,
            told.events,
            told.repeated,
            told.first.as_secs_f64(),
            told.last.as_secs_f64()
        );
    });
    if let Some(cluster) = cluster {
        drop(servers);
        for url in [&ground.url, &ground.other] {
            administer(cluster, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", url.rsplit('/').next().unwrap_or_default()));
        }
    }
}

/// What it was measured on.
fn machine(size: Size) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let postgres: Option<PathBuf> = straight::program("postgres");
    let version = postgres.and_then(|path| Command::new(path).arg("--version").output().ok());
    let version = version
        .map_or("none found".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().replace("postgres (PostgreSQL) ", ""));
    let profile = if cfg!(debug_assertions) { "debug build: not to be quoted" } else { "release build" };
    format!(
        "{cores} cores for load generator, service and database together; {CALLERS} callers; SQLite {}; PostgreSQL {version} ({CLUSTER}, fsync on); \
         {profile}; {} organizations, {} volunteers, {} imported.",
        rusqlite::version(),
        size.organizations,
        size.volunteers,
        size.imported
    )
}
