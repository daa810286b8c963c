//! Log lines as JSON, one a line, through env_logger: time, level, target, message and the fields of the event.
//! serde_json escapes line ends, so what a caller sends can't forge a line.

use std::io::Write;

use log::kv::{Error, Key, Value, VisitSource};
use serde_json::Map;

struct Fields<'a>(&'a mut Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let value = value
            .to_u64()
            .map(Into::into)
            .or_else(|| value.to_f64().and_then(serde_json::Number::from_f64).map(serde_json::Value::Number))
            .unwrap_or_else(|| value.to_string().into());
        self.0.insert(key.to_string(), value);
        Ok(())
    }
}

/// Starts logging by `YIYONG_LOG`, or else from this level on; a second start changes nothing.
pub fn start(level: &str) {
    let filter = env_logger::Env::default().filter_or("YIYONG_LOG", level);
    let _ = env_logger::Builder::from_env(filter)
        .format(|out, record| {
            let mut line = Map::new();
            line.insert("at".into(), chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true).into());
            line.insert("level".into(), record.level().as_str().into());
            line.insert("target".into(), record.target().into());
            line.insert("message".into(), record.args().to_string().into());
            let _ = record.key_values().visit(&mut Fields(&mut line));
            writeln!(out, "{}", serde_json::Value::Object(line))
        })
        .try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |l| format!("{}:{}", l.file(), l.line()));
        log::error!("a panic at {place}");
    }));
}
