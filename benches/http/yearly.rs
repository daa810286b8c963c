//! The year's work: the report in each of its forms, and a form asked for of every county.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use yiyong::db::AnyConnection;
use yiyong::figures::FIGURES;

use crate::http::{Answer, request};
use crate::load::Measured;
use crate::server::Server;
use crate::world::{self, Size};

/// How often the report is asked for in each form.
const TIMES: usize = 9;

/// Lays out a year, in a database with its users.
pub fn lay_out(conn: &mut AnyConnection, size: Size) {
    let numbers = [("{organizations}", size.organizations), ("{records}", size.volunteers / 10)];
    world::run(conn, include_str!("yearly.sql"), &numbers);
}

/// The report in a form, asked for by one caller at a time.
pub fn report(server: &Server, token: &str, form: &str) -> Measured {
    let message = request("GET", &format!("/api/v1/reports/annual/2022?format={form}"), token, &[], &[]);
    let mut connection = server.connect();
    let mut times: Vec<f64> = (0..TIMES)
        .map(|_| {
            let begun = Instant::now();
            connection.send(&message).expect("an answer").expect(200);
            begun.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    Measured { per_second: TIMES as f64 * 1_000.0 / times.iter().sum::<f64>(), p50: times[TIMES / 2], p99: times[TIMES - 1] }
}

/// Asks every county for every figure that is a county's, and waits until all returns are there. Returns how many they are.
pub fn open_returns(server: &Server, token: &str) -> (Duration, u64) {
    let mut connection = server.connect();
    let mut send = |method: &str, path: &str, body: Value, status: u16| -> Value {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", path)];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer: Answer = connection.send(&request(method, path, token, &headers, &body)).expect("an answer").expect(status);
        answer.json()
    };
    let figures: Vec<&str> = FIGURES.iter().filter(|figure| figure.is_of_counties()).map(|figure| figure.code).collect();
    let draft = json!({"organization_id": world::city(), "key": "bench", "title": "月报表", "figures": figures});
    let form = send("POST", "/api/v1/return-forms", draft, 201);
    let form = form["id"].as_str().expect("an id");
    send("POST", &format!("/api/v1/return-forms/{form}/publish"), json!({}), 200);
    let begun = Instant::now();
    let round = send("POST", "/api/v1/return-rounds", json!({"form_id": form, "month": "2022-06"}), 201);
    let path = format!("/api/v1/return-rounds/{}", round["id"].as_str().expect("an id"));
    loop {
        let round = send("GET", &path, Value::Null, 200);
        if round["state"] == "open" {
            return (begun.elapsed(), round["counts"]["returns"].as_u64().expect("a number"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
