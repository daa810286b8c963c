use diesel::connection::{Connection, InstrumentationEvent};
use std::sync::Arc;
use yiyong::db::{Target, migrations};
use yiyong::policy::*;
use yiyong::types::Id;
use yiyong::web::{Sort, Window, verbs};
fn main() {
    for url in ["sqlite:/tmp/bench-x.db", &std::env::var("PGX").unwrap_or("sqlite:/tmp/bench-y.db".into())] {
        let mut c = Target::parse(url).unwrap().connect(std::time::Duration::from_secs(9)).unwrap();
        migrations::up(&mut c).unwrap();
        c.set_instrumentation(|e: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::StartQuery { query, .. } = e {
                println!("{query}\n{query:?}");
            }
        });
        let actor = Actor { id: Id::new(), session_id: Id::new(), person_id: None, name: "x".into(), username: "x".into(), must_change_password: false,
            grants: Arc::new(vec![Grant { role: Role::Clerk, organization_id: Some(Id::new()), from_on: chrono::NaiveDate::MIN, to_on: None }]) };
        let scope = actor.may(Area::People, Action::Read).unwrap();
        let mut w = Window::first(50);
        w.sort = Sort::Newest;
        w.after = Some(serde_json::from_value(serde_json::json!({"i": Id::new(), "c": "x", "b": ""})).unwrap());
        let v = verbs::named("persons").unwrap();
        let _ = v.list(&mut c, &actor, &scope, serde_json::json!({"q": "张伟", "organization_id": Id::new()}), &w).map(|_| ());
        let _ = v.get(&mut c, &actor, &scope, Id::new()).map(|_| ());
    }
}
