//! The two trees of migrations: alike, and there and back again; and what the code says of the database is so.

use std::collections::BTreeSet;
use std::time::Duration;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use yiyong::db::{AnyConnection, Deed, migrations};
use yiyong::error::Result;
use yiyong::resources::references::FOREIGN_KEYS;

use crate::hosts::on_each_database;

/// Of a statement.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(QueryableByName, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    #[diesel(sql_type = Text)]
    from_table: String,
    #[diesel(sql_type = Text)]
    from_column: String,
    #[diesel(sql_type = Text)]
    to_table: String,
}

fn foreign_keys(conn: &mut AnyConnection) -> BTreeSet<Key> {
    let query = match conn {
        AnyConnection::Pg(_) => {
            "SELECT c.conrelid::regclass::text AS from_table, a.attname::text AS from_column, c.confrelid::regclass::text AS to_table \
             FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] WHERE c.contype = 'f'"
        }
        AnyConnection::Sqlite(_) => {
            "SELECT m.name AS from_table, f.\"from\" AS from_column, f.\"table\" AS to_table \
             FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'"
        }
    };
    diesel::sql_query(query).load::<Key>(conn).expect("the catalogue").into_iter().collect()
}

/// A delete asks who refers to a record: the list it asks by is the database's own.
#[test]
fn the_list_of_references_is_the_databases() {
    on_each_database(|host| {
        let found = host.service.db.run(true, |conn| Ok(foreign_keys(conn))).expect("keys");
        // These go with their record, or are taken out by its own slice.
        let own = [
            "organization_closure",
            "publicity_asset_stages",
            "demonstration_unit_stages",
            "inspection_plan_subjects",
            "assessment_items",
            "assessment_evidence",
            "refresh_tokens",
            "person_distinctions",
            "public_notice_lines",
            "insurance_policies",
            "notifications",
            "webhook_deliveries",
        ];
        let found: BTreeSet<Key> = found.into_iter().filter(|key| !own.contains(&key.from_table.as_str())).collect();
        let listed: BTreeSet<Key> = FOREIGN_KEYS
            .iter()
            .map(|key| Key { from_table: key.table.into(), from_column: key.column.into(), to_table: key.of.into() })
            .collect();
        assert_eq!(found, listed);
    });
}

#[test]
fn migrations_go_down_and_up_again() {
    on_each_database(|host| {
        host.service
            .db
            .run(false, |conn| {
                let before = foreign_keys(conn);
                migrations::down_to_nothing(conn).expect("down");
                assert!(foreign_keys(conn).is_empty());
                assert!(migrations::pending(conn).expect("asked"));
                assert!(!migrations::up(conn).expect("up").is_empty());
                assert!(migrations::up(conn).expect("up").is_empty(), "each step once");
                assert_eq!(foreign_keys(conn), before);
                Ok(())
            })
            .expect("there and back");
    });
}

/// Servers that start together on an empty database take turns: each step is taken once.
#[test]
fn five_servers_migrate_at_once() {
    on_each_database(|host| {
        host.service
            .db
            .run(false, |conn| {
                migrations::down_to_nothing(conn).expect("down");
                Ok(())
            })
            .expect("emptied");
        let target = host.service.db.target().clone();
        let taken: usize = std::thread::scope(|scope| {
            let servers: Vec<_> = (0..5)
                .map(|_| {
                    scope.spawn(|| {
                        let mut conn = target.connect(PATIENCE).expect("connected");
                        migrations::up(&mut conn).map(|steps| steps.len()).expect("migrated")
                    })
                })
                .collect();
            servers.into_iter().map(|server| server.join().expect("joined")).sum()
        });
        let steps = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite")).expect("steps").count();
        assert_eq!(taken, steps, "each of the steps once");
    });
}

/// Statements stay planned as they were first: a write that was planned while a table was empty must find a row by its key when
/// there are many.
#[test]
fn a_write_goes_by_the_index_of_an_empty_table() {
    on_each_database(|host| {
        if !host.service.db.target().is_postgres() {
            return;
        }
        let asked = "EXPLAIN SELECT body FROM idempotency_keys WHERE actor_id = '01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08' AND key = 'a'";
        let plan = |conn: &mut AnyConnection| -> Result<String> { Ok(sql::<Text>(asked).load::<String>(conn)?.join("\n")) };
        diesel::sql_query("VACUUM ANALYZE idempotency_keys")
            .execute(&mut host.service.db.target().connect(PATIENCE).expect("connected"))
            .expect("analyzed");
        let read = host.service.db.run(true, plan).expect("a plan");
        assert!(read.contains("Seq Scan"), "else there would be nothing to see to: {read}");
        let written = host.service.db.write_background(&Deed::of_operator("plan"), |tx| plan(tx.conn)).expect("a plan");
        assert!(written.contains("Index Scan"), "{written}");
    });
}

/// The records and the keys are their owner's alone.
#[cfg(unix)]
#[test]
fn nobody_else_reads_the_data_folder() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let config = yiyong::config::Config::from_lookup(|name| (name == "YIYONG_DATA_DIR").then(|| data.display().to_string()));
    let config = config.expect("a configuration");
    let mut connection = config.target.connect(PATIENCE).expect("SQLite");
    migrations::up(&mut connection).expect("migrated");
    assert_eq!(mode(&data), 0o700);
    let names = ["yiyong.db", "yiyong.db-wal", "yiyong.db-shm", "signing-key.pem", "data-key"];
    for name in names {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
    // One that was there before, readable by all, is taken from them.
    std::fs::set_permissions(data.join("yiyong.db"), std::fs::Permissions::from_mode(0o644)).expect("loosened");
    drop(config.target.connect(PATIENCE).expect("SQLite"));
    assert_eq!(mode(&data.join("yiyong.db")), 0o600);
}
