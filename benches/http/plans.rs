//! How PostgreSQL answers each list: `cargo bench -- --plans postgres://…` on a database that is filled as it will be.
//!
//! Every list of every resource, from each reach, its first page and a deep one, by id and by code, with a name and
//! without: the statement is the service's own, planned as the service has it planned.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Json, Text};
use serde_json::{Value, json};
use yiyong::db::{AnyConnection, Target};
use yiyong::policy::Role;
use yiyong::web::verbs::{self, Verbs};
use yiyong::web::{Sort, Window};

use crate::straight;
use crate::world;

/// Pages of the buffer cache, and rows sorted, above which a plan for 50 rows is bad.
const MANY: i64 = 2_000;

#[derive(QueryableByName)]
struct Explained {
    #[diesel(sql_type = Json, column_name = "QUERY PLAN")]
    plan: Value,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    code: String,
}

pub fn explain(url: &str) {
    let target = Target::parse(url).expect("a URL");
    let mut conn = target.connect(Duration::from_secs(600)).expect("a connection");
    println!("| resource | reach | page | ms | pages | rows sorted | how | |\n|---|---|---|---|---|---|---|---|");
    for verbs in verbs::registry() {
        let Some(deep) = row_at(&mut conn, verbs.name()) else { continue };
        let searched = verbs.filter_shape().schema()["properties"].get("q").is_some();
        for (reach, organization) in [("whole tree", None), ("city", Some(2)), ("county", Some(7)), ("leaf", Some(1_007))] {
            for q in [None, Some("王"), Some("张英")] {
                if q.is_some() && !searched {
                    continue;
                }
                for (page, sort, after) in [
                    ("first", Sort::Newest, None),
                    ("deep", Sort::Newest, Some(&deep)),
                    ("first by code", Sort::CodeUp, None),
                    ("deep by code", Sort::CodeUp, Some(&deep)),
                ] {
                    let mut window = Window::first(50);
                    window.sort = sort;
                    window.after = after.map(|row| serde_json::from_value(json!({"i": row.id, "c": row.code, "b": ""})).expect("a cursor"));
                    let page = q.map_or(page.to_owned(), |q| format!("{page}, q={q}"));
                    let filter = q.map_or(json!({}), |q| json!({ "q": q }));
                    one(&mut conn, *verbs, reach, organization, &filter, &window, &page);
                }
            }
        }
    }
}

#[derive(QueryableByName)]
struct There {
    #[diesel(sql_type = Bool)]
    there: bool,
}

/// A row with three tenths of the table before it; nothing for a table too small to tell anything, or where the
/// list is made of others' tables, or has no codes to go by.
fn row_at(conn: &mut AnyConnection, table: &str) -> Option<Row> {
    let sql = format!("SELECT COUNT(*) > 0 AS there FROM information_schema.columns WHERE table_name = '{table}' AND column_name = 'code'");
    let there = diesel::sql_query(sql).get_result::<There>(conn);
    if !there.expect("an answer").there {
        println!("| {table} | has no codes | | | | | | |");
        return None;
    }
    let sql = format!("SELECT id::text AS id, code FROM {table} ORDER BY id OFFSET (SELECT count(*) * 3 / 10 FROM {table}) LIMIT 1");
    let row = diesel::sql_query(sql).get_result(conn).optional().expect("a table");
    row.or_else(|| {
        println!("| {table} | is empty | | | | | | |");
        None
    })
}

fn one(conn: &mut AnyConnection, verbs: &dyn Verbs, reach: &str, organization: Option<u64>, filter: &Value, window: &Window, page: &str) {
    let actor = straight::actor(Role::Auditor, organization.map(|n| world::id(1, n)));
    let (mut how, mut milliseconds, mut read, mut sorted, mut scanned) = (Vec::new(), 0.0, 0, 0, false);
    for (sql, values) in straight::list(conn, verbs, &actor, filter, window) {
        let values: Vec<String> = values.iter().map(|value| format!("'{}'", value.text().replace('\'', "''"))).collect();
        conn.batch_execute(&format!("DEALLOCATE ALL; PREPARE one AS {sql}")).expect("prepared");
        let run = if values.is_empty() { "EXECUTE one".to_owned() } else { format!("EXECUTE one ({})", values.join(", ")) };
        conn.batch_execute(&run).expect("warmed");
        let AnyConnection::Pg(postgres) = conn else { panic!("plans are PostgreSQL's") };
        let explained: Explained =
            diesel::sql_query(format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {run}")).get_result(postgres).expect("a plan");
        let whole = &explained.plan[0];
        walk(&whole["Plan"], &mut |node| {
            let rows = node["Actual Rows"].as_i64().unwrap_or_default() * node["Actual Loops"].as_i64().unwrap_or(1);
            let kind = node["Node Type"].as_str().unwrap_or_default();
            if kind.contains("Sort") {
                // What goes in, not the page that comes out.
                sorted += node["Plans"][0]["Actual Rows"].as_i64().unwrap_or_default();
            }
            scanned |= kind == "Seq Scan" && rows > MANY;
            let on = node["Index Name"].as_str().or(node["Relation Name"].as_str()).map_or(String::new(), |on| format!(" {on}"));
            how.push(format!("{kind}{on} [{rows}]"));
        });
        how.push(";".to_owned());
        let pages = |of: &str| whole["Plan"][of].as_i64().unwrap_or_default();
        read += pages("Shared Hit Blocks") + pages("Shared Read Blocks");
        milliseconds += whole["Execution Time"].as_f64().unwrap_or_default();
    }
    println!(
        "| {} | {reach} | {page} | {milliseconds:.2} | {read} | {sorted} | {} | {} |",
        verbs.name(),
        how.join(" "),
        if read > MANY || sorted > MANY || scanned { "BAD" } else { "" }
    );
}

fn walk(node: &Value, visit: &mut impl FnMut(&Value)) {
    visit(node);
    for child in node["Plans"].as_array().into_iter().flatten() {
        walk(child, visit);
    }
}
