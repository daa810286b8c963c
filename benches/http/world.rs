//! What is measured: the rows of the benchmark, the requests that are sent for them, and the people that are added.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::Days;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use yiyong::db::{AnyConnection, grams};
use yiyong::schema::persons;
use yiyong::types::{Instant, business_today, normalize_id_number};

use crate::http::{Connection, request};

/// The resource that is read, written and imported, and the number of its kind in `seed.sql`.
pub const SUBJECT: &str = "volunteers";
const KIND: u32 = 3;

#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub organizations: u64,
    pub volunteers: u64,
    pub imported: u64,
    /// The page that is compared with the first.
    pub page: u64,
    /// Disbursements to be paid: more than can be.
    pub payments: u64,
}

/// Rows of a page.
pub const LIMIT: u64 = 50;
/// What a search box offers while somebody writes.
const BOX_LIMIT: u64 = 10;

pub struct World {
    pub size: Size,
    /// Names of volunteers, drawn over all of them.
    names: Vec<String>,
    /// The cursors of pages around `size.page` of the city's list.
    cursors: Vec<String>,
}

/// The id of the n-th record of a kind, as `seed.sql` makes it.
pub fn id(kind: impl std::fmt::Display, n: u64) -> String {
    format!("0190{kind}000-0000-7000-8000-{}", 100_000_000_000 + n)
}

pub fn city() -> String {
    id(1, 2)
}

fn county(random: &mut StdRng) -> String {
    id(1, random.random_range(3..=18))
}

/// Fills a migrated database.
pub fn seed(conn: &mut AnyConnection, size: Size) {
    let postgres = matches!(conn, AnyConnection::Pg(_));
    let numbers = [("{organizations}", size.organizations), ("{volunteers}", size.volunteers)];
    run(conn, include_str!("seed.sql"), &numbers);
    // SQL knows no pinyin.
    diesel::Connection::transaction(conn, grams::rebuild).expect("names are indexed");
    if postgres {
        // What autovacuum does soon after.
        conn.batch_execute("VACUUM ANALYZE").expect("vacuumed");
    }
}

/// Runs a script in the database's own words, whole or not at all.
pub fn run(conn: &mut AnyConnection, script: &str, numbers: &[(&str, u64)]) {
    let postgres = matches!(conn, AnyConnection::Pg(_));
    let mut text: String = script.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
    for (name, number) in numbers {
        text = text.replace(name, &number.to_string());
    }
    conn.batch_execute("BEGIN").expect("a transaction");
    conn.batch_execute(&in_words_of(postgres, text)).expect("the script");
    conn.batch_execute("COMMIT").expect("kept");
}

/// Puts the database's own words in the place of `{word(arguments)}`, the innermost first.
fn in_words_of(postgres: bool, mut text: String) -> String {
    while let Some((begin, end)) = text.find(")}").and_then(|end| Some((text[..end].rfind('{')?, end))) {
        let (word, arguments) = text[begin + 1..end].split_once('(').expect("a word with arguments");
        let (first, second) = arguments.split_once(',').map_or((arguments, ""), |(a, b)| (a, b.trim()));
        let sql = match (word, postgres) {
            ("hash", _) => format!("CAST(CAST(n AS BIGINT) * {first} % 4294967296 / 65536 AS INTEGER)"),
            ("numbers", true) => format!("generate_series(1, {first}) AS numbers (n)"),
            ("numbers", false) => format!(
                "(WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {first}) SELECT n FROM numbers) AS numbers"
            ),
            ("id", true) => format!("('0190{first}000-0000-7000-8000-' || (100000000000 + {second}))::uuid"),
            ("id", false) => format!("unhex('0190{first}000000070008000' || (100000000000 + {second}))"),
            ("bytes", true) => format!("decode(substr(repeat(md5(({second})::text), 3), 1, 2 * {first}), 'hex')"),
            ("bytes", false) => format!("CAST(printf('%0{first}d', {second}) AS BLOB)"),
            _ => panic!("seed.sql: no word is called {word}"),
        };
        text.replace_range(begin..end + 2, &sql);
    }
    text
}

impl World {
    /// Looks around in a seeded database.
    pub fn explore(conn: &mut AnyConnection, size: Size) -> Self {
        let step = (size.volunteers / 500).max(1);
        let codes: Vec<String> = (1..=size.volunteers).step_by(step as usize).map(|n| format!("P{}", 1_000_000 + n)).collect();
        let names = persons::table.filter(persons::code.eq_any(codes)).select(persons::name).load(conn).expect("names");
        Self { size, names, cursors: Vec::new() }
    }

    /// Turns the city's pages until the deep one, as a caller would, and keeps the cursors of its neighbours.
    pub fn find_deep_pages(&mut self, http: &mut Connection, token: &str) {
        let (near, mut row) = (20, 0);
        let path = format!("/api/v1/{SUBJECT}?organization_id={}", city());
        let mut cursor = String::new();
        while row < (self.size.page + near) * LIMIT {
            let begin = self.size.page.saturating_sub(near) * LIMIT;
            let limit = if row + 200 <= begin { 200 } else { LIMIT };
            let path = format!("{path}&limit={limit}{cursor}");
            let page = http.send(&request("GET", &path, token, &[], &[])).expect("an answer").expect(200).json();
            let Some(next) = page["next_cursor"].as_str() else { break };
            row += limit;
            if row >= begin {
                self.cursors.push(next.to_owned());
            }
            cursor = format!("&cursor={next}");
        }
        assert!(!self.cursors.is_empty(), "there is no page {}", self.size.page);
    }

    // ---- what is asked for ----

    pub fn get(&self, random: &mut StdRng) -> String {
        format!("/api/v1/{SUBJECT}/{}", id(KIND, random.random_range(1..=self.size.volunteers)))
    }
    pub fn list_of_county(&self, random: &mut StdRng) -> String {
        format!("/api/v1/{SUBJECT}?organization_id={}&limit={LIMIT}", county(random))
    }
    pub fn list_of_city(&self, _: &mut StdRng) -> String {
        format!("/api/v1/{SUBJECT}?organization_id={}&limit={LIMIT}", city())
    }
    pub fn deep_page(&self, random: &mut StdRng) -> String {
        format!("{}&cursor={}", self.list_of_city(random), self.cursors[random.random_range(0..self.cursors.len())])
    }
    pub fn search_one(&self, random: &mut StdRng) -> String {
        self.search(random, 1, LIMIT)
    }
    pub fn search_two(&self, random: &mut StdRng) -> String {
        self.search(random, 2, LIMIT)
    }
    pub fn search_three(&self, random: &mut StdRng) -> String {
        self.search(random, 3, LIMIT)
    }
    pub fn box_one(&self, random: &mut StdRng) -> String {
        self.search(random, 1, BOX_LIMIT)
    }
    pub fn box_two(&self, random: &mut StdRng) -> String {
        self.search(random, 2, BOX_LIMIT)
    }

    /// For the beginning of a name that somebody bears.
    fn search(&self, random: &mut StdRng, characters: usize, limit: u64) -> String {
        let long: Vec<&String> = self.names.iter().filter(|name| name.chars().count() >= characters).collect();
        let q: String = long[random.random_range(0..long.len())].chars().take(characters).collect();
        format!("/api/v1/{SUBJECT}?{}&limit={limit}", serde_urlencoded::to_string([("q", q)]).expect("a query"))
    }

    // ---- who is added ----

    /// Someone new, as a body of JSON.
    pub fn draft(&self, random: &mut StdRng) -> Value {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let person = self.person(COUNT.fetch_add(1, Ordering::Relaxed), random);
        json!({
            "organization_id": id(1, self.organization(random)),
            "sector": "delivery",
            "registered_on": "2022-06-01",
            "person": {"name": person.name, "id_number": person.id_number, "phone": person.phone},
        })
    }

    /// People whom the database doesn't know, by their numbers, as a CSV file.
    pub fn csv(&self, numbers: std::ops::Range<u64>, random: &mut StdRng) -> String {
        let mut text = String::from("organization_code,sector,registered_on,name,id_number,phone\n");
        for n in numbers {
            let (person, organization) = (self.person(5_000_000 + n, random), self.organization(random).max(3));
            text.push_str(&format!("zz-{organization},taxi,2022-06-01,{},{},{}\n", person.name, person.id_number, person.phone));
        }
        text
    }

    fn organization(&self, random: &mut StdRng) -> u64 {
        random.random_range(2..=self.size.organizations)
    }

    /// The n-th person that the database doesn't know. Nobody bears such numbers: the area and the segment are not assigned.
    fn person(&self, n: u64, random: &mut StdRng) -> Person {
        let born = chrono::NaiveDate::from_ymd_opt(1950, 1, 1).and_then(|day| day.checked_add_days(Days::new(n % 18_000))).expect("a day");
        let first_17 = format!("419900{}{:03}", born.format("%Y%m%d"), n / 18_000);
        let today = business_today(Instant::now());
        let id_number =
            "0123456789X".chars().map(|check| format!("{first_17}{check}")).find(|text| normalize_id_number(text, today).is_ok());
        Person {
            name: self.names[random.random_range(0..self.names.len())].clone(),
            id_number: id_number.expect("one of the check characters fits"),
            phone: format!("199{:08}", n),
        }
    }
}

struct Person {
    name: String,
    id_number: String,
    phone: String,
}
