//! All volunteers as a CSV over HTTP, beside the same columns taken straight out of the database.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::{straight, world};

/// What the file holds, as one statement.
const COLUMNS: &str = "SELECT v.code, o.code, p.code, p.name, p.gender, p.id_number_masked, p.phone_masked, v.sector, v.status, \
     v.registered_on, v.registered_on_precision, v.left_on, v.id, v.version, v.created_at, v.updated_at \
     FROM volunteers v JOIN persons p ON p.id = v.person_id JOIN organizations o ON o.id = v.organization_id";

/// Exports them; returns how long it took. Nothing is kept of it, so that memory is the service's alone.
pub fn over_http(server: &Server, token: &str, rows: u64) -> Duration {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(&server.address).expect("the server listens");
    let path = format!("/api/v1/exports/{}?format=csv&headers=en", world::SUBJECT);
    let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n", server.address);
    stream.write_all(head.as_bytes()).expect("sent");
    let mut reader = BufReader::with_capacity(256 * 1024, stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).expect("a head");
        assert!(!line.starts_with("HTTP/1.1") || line.starts_with("HTTP/1.1 200"), "{line}");
    }
    let (mut chunk, mut lines) = (Vec::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line).expect("the size of a chunk");
        let size = usize::from_str_radix(line.trim(), 16).expect("the size of a chunk");
        chunk.resize(size + 2, 0);
        reader.read_exact(&mut chunk).expect("a chunk");
        if size == 0 {
            break;
        }
        lines += chunk[..size].iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    assert!(lines > rows, "a header and {rows} rows were wanted, and {lines} lines came");
    begun.elapsed()
}

/// The same by COPY; `None` without psql.
pub fn copied(url: &str) -> Option<Duration> {
    let mut psql = Command::new(straight::program("psql")?);
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", &format!("\\copy ({COLUMNS}) TO '/dev/null' WITH (FORMAT csv, HEADER)"), url]);
    let begun = Instant::now();
    let output = psql.output().expect("psql runs");
    assert!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
    Some(begun.elapsed())
}

/// The same out of an SQLite file: each value read, and no file written.
pub fn stepped(file: &Path) -> Duration {
    let source = straight::open(file);
    let begun = Instant::now();
    let mut statement = source.prepare(COLUMNS).expect("a statement");
    let columns = statement.column_count();
    let mut rows = statement.query([]).expect("rows");
    let mut bytes = 0;
    while let Some(row) = rows.next().expect("a row") {
        for column in 0..columns {
            bytes += match row.get_ref(column).expect("a value") {
                rusqlite::types::ValueRef::Text(text) | rusqlite::types::ValueRef::Blob(text) => text.len(),
                _ => 8,
            };
        }
    }
    assert!(bytes > 0);
    begun.elapsed()
}
