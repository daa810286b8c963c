//! Log lines as JSON, one a line, through env_logger: time, level, target, message and the fields of the event.
//! serde_json escapes line ends, so what a caller sends can't forge a line.

use std::io::Write;

use log::kv::{Error, Key, Value, VisitSource};
use serde::ser::{SerializeMap, Serializer};

/// The fields of an event, written as they come.
struct Fields<'a, M>(&'a mut M);

impl<'kvs, M: SerializeMap> VisitSource<'kvs> for Fields<'_, M> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let key = key.as_str();
        let written = match (value.to_u64(), value.to_f64(), value.to_borrowed_str()) {
            (Some(whole), ..) => self.0.serialize_entry(key, &whole),
            (_, Some(number), _) => self.0.serialize_entry(key, &number),
            (.., Some(text)) => self.0.serialize_entry(key, text),
            _ => self.0.serialize_entry(key, &value.to_string()),
        };
        written.map_err(|_| Error::msg("a field could not be written"))
    }
}

fn line(out: &mut impl Write, record: &log::Record<'_>) -> std::io::Result<()> {
    // The library that calls other services tells addresses and bytes at these levels, and in those stand secrets.
    if record.level() >= log::Level::Debug && record.target().starts_with("ureq") {
        return Ok(());
    }
    let mut json = serde_json::Serializer::new(&mut *out);
    let mut map = json.serialize_map(None)?;
    map.serialize_entry("at", &chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true))?;
    map.serialize_entry("level", record.level().as_str())?;
    map.serialize_entry("target", record.target())?;
    map.serialize_entry("message", record.args())?;
    let _ = record.key_values().visit(&mut Fields(&mut map));
    map.end()?;
    writeln!(out)
}

/// Starts logging by `YIYONG_LOG`, or else from this level on; a second start changes nothing.
pub fn start(level: &str) {
    let filter = env_logger::Env::default().filter_or("YIYONG_LOG", level);
    let _ = env_logger::Builder::from_env(filter).format(line).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |l| format!("{}:{}", l.file(), l.line()));
        log::error!("a panic at {place}");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_whatever_is_said() {
        let mut out = Vec::new();
        let said = "one\n{\"level\":\"ERROR\"}";
        let fields = [("path", Value::from("/a\"b")), ("status", Value::from(200u16)), ("milliseconds", Value::from(1.5))];
        let args = format_args!("{said}");
        line(&mut out, &log::Record::builder().level(log::Level::Info).target("here").args(args).key_values(&fields).build())
            .expect("written");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text.matches('\n').count(), 1);
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&read["message"], &read["path"]), (&said.into(), &"/a\"b".into()));
        assert_eq!((&read["status"], &read["milliseconds"], &read["level"]), (&200.into(), &1.5.into(), &"INFO".into()));
    }
}
