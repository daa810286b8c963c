//! 100,000 volunteers as a file over HTTP, beside the rows that come of it put straight into the same tables.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use yiyong::types::Id;

use crate::http::request;
use crate::server::Server;
use crate::{straight, world};

/// Every table that an imported volunteer leaves rows in, and the column that tells new rows: ids are in the order of time.
const TABLES: [(&str, &str); 4] = [("persons", "id"), ("volunteers", "id"), ("name_grams", "record_id"), ("audit_events", "id")];

/// The same rows as a workbook, every cell a text.
pub fn workbook(csv: &str) -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet_with_constant_memory().expect("a sheet");
    for (row, line) in (0_u32..).zip(csv.lines()) {
        for (column, cell) in (0_u16..).zip(line.split(',')) {
            sheet.write_string(row, column, cell).expect("written");
        }
    }
    book.save_to_buffer().expect("a workbook")
}

/// Imports a file; returns how long it took.
pub fn over_http(server: &Server, token: &str, file: &[u8], rows: u64) -> Duration {
    let key = format!("bench-import-{}", file.len());
    let mut body = format!(
        "--b0und\r\nContent-Disposition: form-data; name=\"resource\"\r\n\r\n{}\r\n--b0und\r\nContent-Disposition: form-data; \
         name=\"file\"; filename=\"volunteers\"\r\nContent-Type: application/octet-stream\r\n\r\n",
        world::SUBJECT
    )
    .into_bytes();
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--b0und--\r\n");
    let headers = [("Content-Type", "multipart/form-data; boundary=b0und"), ("Idempotency-Key", key.as_str()), ("Prefer", "respond-async")];
    let message = request("POST", "/api/v1/imports", token, &headers, &body);
    let mut http = server.connect();
    let begun = Instant::now();
    let mut answer = http.send(&message).expect("an answer");
    drop((message, body));
    let mut report: serde_json::Value = answer.json();
    let look = request("GET", &format!("/api/v1/imports/{}", report["id"].as_str().unwrap_or_default()), token, &[], &[]);
    while ["waiting", "running"].contains(&report["state"].as_str().unwrap_or_default()) {
        std::thread::sleep(Duration::from_millis(50));
        answer = http.send(&look).expect("an answer");
        report = answer.json();
    }
    let took = begun.elapsed();
    assert_eq!(report["rows_created"], rows, "{}", String::from_utf8_lossy(&answer.body).chars().take(2_000).collect::<String>());
    took
}

/// What somebody waits who reads a record every twentieth of a second, until told that it is over: the 99th hundredth, in
/// milliseconds.
pub fn beside(server: &Server, over: &AtomicBool, mut get: impl FnMut() -> Vec<u8>) -> f64 {
    let mut http = server.connect();
    let mut times = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let message = get();
        let begun = Instant::now();
        http.send(&message).expect("an answer").expect(200);
        times.push(begun.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    times.sort_unstable();
    times.get((times.len() * 99 / 100).min(times.len().saturating_sub(1))).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
}

/// Takes the rows since `mark` out of one PostgreSQL database, and measures COPY of them into another that is as the first
/// was before; `None` without psql.
pub fn copied(from: &str, to: &str, folder: &Path, mark: Id) -> Option<Duration> {
    let files: Vec<(&str, PathBuf)> = TABLES.iter().map(|(table, _)| (*table, folder.join(format!("{table}.rows")))).collect();
    for ((table, column), (_, file)) in TABLES.iter().zip(&files) {
        psql(from, &[format!("\\copy (SELECT * FROM {table} WHERE {column} > '{mark}') TO '{}'", file.display())])?;
    }
    // The marks on rows that a first look leaves behind are not the COPY's work, so nothing is read in between.
    let copies: Vec<String> = files.iter().map(|(table, file)| format!("\\copy {table} FROM '{}'", file.display())).collect();
    let begun = Instant::now();
    psql(to, &copies)?;
    Some(begun.elapsed())
}

/// Runs commands in one transaction.
fn psql(url: &str, commands: &[String]) -> Option<()> {
    let mut psql = Command::new(straight::program("psql")?);
    psql.args(["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1"]);
    commands.iter().for_each(|command| {
        psql.args(["-c", command]);
    });
    let output = psql.arg(url).output().expect("psql runs");
    assert!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
    Some(())
}

/// The same between SQLite files: prepared inserts of many rows in one transaction.
pub fn inserted(from: &Path, to: &Path, mark: Id) -> Duration {
    const AT_ONCE: usize = 500;
    let source = straight::open(from);
    let tables: Vec<(&str, usize, Vec<Value>)> = TABLES
        .iter()
        .map(|(table, column)| {
            let mut statement = source.prepare(&format!("SELECT * FROM {table} WHERE {column} > ?")).expect("a table");
            let columns = statement.column_count();
            let mut rows = statement.query([mark.0.as_bytes().as_slice()]).expect("rows");
            let mut values = Vec::new();
            while let Some(row) = rows.next().expect("a row") {
                values.extend((0..columns).map(|column| row.get::<_, Value>(column).expect("a value")));
            }
            (*table, columns, values)
        })
        .collect();
    let mut target = straight::open(to);
    let begun = Instant::now();
    let transaction = target.transaction().expect("a transaction");
    for (table, columns, values) in &tables {
        for rows in values.chunks(AT_ONCE * columns) {
            let row = format!("({})", vec!["?"; *columns].join(", "));
            let sql = format!("INSERT INTO {table} VALUES {}", vec![row; rows.len() / columns].join(", "));
            let mut statement = transaction.prepare_cached(&sql).expect("an insert");
            statement.execute(rusqlite::params_from_iter(rows)).expect("inserted");
        }
    }
    transaction.commit().expect("committed");
    begun.elapsed()
}
