//! NDJSON: an object a line, as an export writes it, becomes a draft with codes for references.

use serde_json::{Map, Value};

use super::columns::Column;

/// What an object tells.
#[derive(Debug, Default)]
pub struct Line {
    pub draft: Map<String, Value>,
    /// Members that only show something.
    pub ignored: Vec<String>,
    /// Members that mean nothing here.
    pub unknown: Vec<String>,
}

/// Sorts an object's members, and those of its parts, by what they mean. A null says that it is unknown; a part that is null
/// that there is none.
pub fn read(columns: &[Column], object: Map<String, Value>) -> Line {
    let mut line = Line::default();
    sort(columns, "", object, &mut line);
    line
}

fn sort(columns: &[Column], at: &str, object: Map<String, Value>, line: &mut Line) {
    for (name, value) in object {
        let name = format!("{at}{name}");
        let above = format!("{name}.");
        match (columns.iter().find(|column| column.header == name || name.split('.').eq(column.path.iter())), value) {
            (Some(column), _) if column.read_only => line.ignored.push(name),
            (Some(column), value) => column.put(value, &mut line.draft),
            // `person.id_number` of a file with whole numbers stands where others have the mask.
            (None, _) if columns.iter().any(|column| column.read_only && column.header == format!("{name}_masked")) => {
                line.ignored.push(name);
            }
            (None, value) => {
                let mut parts = columns.iter().filter(|column| column.path.join(".").starts_with(&above)).peekable();
                match (parts.peek().is_some(), value) {
                    (true, Value::Object(part)) => sort(columns, &above, part, line),
                    // Only a part that is written can be said to be none.
                    (true, Value::Null) if parts.all(|column| column.read_only) => line.ignored.push(name),
                    (true, value) if at.is_empty() => {
                        line.draft.insert(name, value);
                    }
                    _ => line.unknown.push(name),
                }
            }
        }
    }
}
