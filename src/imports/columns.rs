//! Which columns a file may have: taken from the draft's schema, so that a new field is a new column. After them an export
//! has those that only show something, taken from the view's; an import knows them and leaves them alone.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::labels;
use crate::files::unguarded;
use crate::resources::references;
use crate::web::query::typed;
use crate::web::shape::{types, without_null};
use crate::web::verbs::Verbs;

/// One column of an import.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Column {
    /// The English header.
    #[schema(example = "organization_code")]
    pub header: String,
    /// The Chinese headers that mean the same; the first is the one for a template.
    pub headers_zh: Vec<&'static str>,
    pub required: bool,
    /// `string`, `integer`, `number`, `boolean`, `date`.
    pub kind: String,
    /// The entries of a dictionary: a cell may hold the code or the Chinese label.
    pub entries: Vec<Entry>,
    /// For a column that names another record by its code: the resource.
    pub refers_to: Option<&'static str>,
    /// Of the field: in the draft, or in the view of a column that only shows something.
    #[serde(skip)]
    pub path: Vec<String>,
    #[serde(skip)]
    schema: Value,
    /// Whether it only shows something: see [`shown`].
    #[serde(skip)]
    pub read_only: bool,
    /// Whether what stands there has no form in a cell, such as a list of records.
    #[serde(skip)]
    pub json_only: bool,
}

/// An entry of a dictionary.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Entry {
    pub code: String,
    pub label_zh: String,
}

/// All columns of a resource.
pub fn of(verbs: &dyn Verbs) -> Vec<Column> {
    let mut columns = Vec::new();
    let shape = verbs.draft_shape().schema();
    collect(verbs, shape, &[], true, &mut columns);
    columns.sort_by_key(|column| labels::rank(&column.header));
    columns
}

/// What a record shows besides: states, sums, names of those it refers to, when it was made. An import ignores these.
pub fn shown(verbs: &dyn Verbs) -> Vec<Column> {
    let written = of(verbs);
    let view = verbs.view_shape().schema();
    let taken: Vec<Vec<String>> = written.iter().filter_map(|column| column.place_in(view)).collect();
    let mut columns = Vec::new();
    collect_shown(verbs, view, &[], &written, &taken, &mut columns);
    columns.sort_by_key(|column| labels::rank(&column.header));
    columns
}

fn collect_shown(verbs: &dyn Verbs, schema: &Value, path: &[String], written: &[Column], taken: &[Vec<String>], columns: &mut Vec<Column>) {
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let property = without_null(property);
        let path: Vec<String> = path.iter().cloned().chain([name.clone()]).collect();
        if property.get("properties").is_some() {
            collect_shown(verbs, property, &path, written, taken, columns);
            continue;
        }
        // A record that is shown along is named by its code, where the column that refers to it stands.
        let along = path.len() > 1 && written.iter().any(|column| column.refers_to.is_some() && column.shown_along() == Some(&*path[0]));
        if taken.contains(&path) || (path.len() > 1 && name == "id") || (along && name == "code") {
            continue;
        }
        let refers_to = if path.len() == 1 { references::of(verbs.name(), name) } else { None };
        let header = match refers_to {
            Some(_) => format!("{}_code", name.trim_end_matches("_id")),
            None => path.join("."),
        };
        let kind = types(property).into_iter().find(|t| *t != "null").unwrap_or("object");
        let of_records = property.get("items").is_some_and(|items| !["string", "integer"].contains(types(items).first().unwrap_or(&"")));
        columns.push(Column {
            headers_zh: labels::of(verbs.name(), &header),
            header,
            required: false,
            json_only: kind == "object" || (kind == "array" && of_records),
            kind: kind_of(property),
            entries: entries_of(property),
            refers_to,
            path,
            schema: property.clone(),
            read_only: true,
        });
    }
}

fn kind_of(property: &Value) -> String {
    match property.get("format").and_then(Value::as_str) {
        Some("date") => "date".to_owned(),
        _ => types(property).into_iter().find(|t| *t != "null").unwrap_or("string").to_owned(),
    }
}

/// The entries of a dictionary, or of those in a list of them.
fn entries_of(property: &Value) -> Vec<Entry> {
    let labels = property.get("x-labels").or_else(|| property.get("items")?.get("x-labels")).and_then(Value::as_object);
    labels
        .into_iter()
        .flatten()
        .map(|(code, labels)| Entry { code: code.clone(), label_zh: labels["label_zh"].as_str().unwrap_or_default().to_owned() })
        .collect()
}

/// Whether a schema has a field there.
pub fn has_field(schema: &Value, path: &[String]) -> bool {
    path.iter().try_fold(schema, |schema, name| without_null(schema).get("properties")?.get(name)).is_some()
}

fn collect(verbs: &dyn Verbs, schema: &Value, path: &[String], required_above: bool, columns: &mut Vec<Column>) {
    let required: Vec<&str> = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let property = without_null(property);
        let path: Vec<String> = path.iter().cloned().chain([name.clone()]).collect();
        let is_required = required_above && required.contains(&name.as_str());
        if property.get("properties").is_some() {
            collect(verbs, property, &path, false, columns);
            continue;
        }
        let reference = if path.len() == 1 { verbs.references().iter().find(|reference| reference.field == name) } else { None };
        // An id means nothing to a clerk: references are given by code.
        let header = reference.map_or(name.as_str(), |reference| reference.column);
        if columns.iter().any(|column| column.header == header) {
            continue;
        }
        columns.push(Column {
            header: header.to_owned(),
            headers_zh: labels::of(verbs.name(), header),
            required: is_required,
            kind: kind_of(property),
            entries: entries_of(property),
            refers_to: reference.map(|reference| reference.of),
            path,
            schema: property.clone(),
            read_only: false,
            json_only: false,
        });
    }
}

impl Column {
    /// Whether a header of a file means this column: English, Chinese, with or without a mark of being required.
    pub fn is_called(&self, header: &str) -> bool {
        let header = header.trim().trim_start_matches('*').trim_end_matches("（必填）").trim_end_matches("(必填)").trim();
        header.eq_ignore_ascii_case(&self.header)
            || header == self.path.join(".")
            || self.headers_zh.contains(&header)
            // In a file with whole numbers.
            || (self.read_only && self.header.strip_suffix("_masked") == Some(header))
            || (self.read_only && self.headers_zh.iter().any(|zh| zh.strip_suffix("（掩码）") == Some(header)))
    }

    /// Puts a cell where it belongs in a draft. An empty cell says nothing.
    pub fn put(&self, cell: &str, draft: &mut Map<String, Value>) {
        let cell = unguarded(cell);
        if cell.is_empty() {
            return;
        }
        let code_of = |text: &str| self.entries.iter().find(|entry| entry.label_zh == text).map(|entry| entry.code.clone());
        let value = match code_of(cell) {
            Some(code) => Value::from(code),
            None if self.kind == "boolean" && (cell == "是" || cell == "否") => Value::Bool(cell == "是"),
            None if self.kind == "array" => {
                let parts = cell.split([',', '，', '、']).map(str::trim).map(|part| code_of(part).unwrap_or_else(|| part.to_owned()));
                typed(&self.schema, &parts.collect::<Vec<_>>().join(","))
            }
            None => typed(&self.schema, cell),
        };
        self.set(value, draft);
    }

    /// Puts a value where it belongs in a draft.
    pub fn set(&self, value: Value, draft: &mut Map<String, Value>) {
        let Some((last, above)) = self.path.split_last() else { return };
        let mut place = draft;
        for name in above {
            let next = place.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            match next {
                Value::Object(members) => place = members,
                _ => return,
            }
        }
        place.insert(last.clone(), value);
    }

    /// Whether a pointer into the draft points at this column.
    pub fn is_at(&self, pointer: &str) -> bool {
        pointer.strip_prefix('/').is_some_and(|rest| rest.split('/').eq(self.path.iter()))
    }

    pub fn field(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// The member of the view that shows the record along to which this refers: `person` of `person_id`.
    pub fn shown_along(&self) -> Option<&str> {
        self.field().strip_suffix("_id").filter(|_| self.path.len() == 1)
    }

    /// Where the view shows what this column writes; `None` of what is written and not shown, such as a password.
    pub fn place_in(&self, view: &Value) -> Option<Vec<String>> {
        let mut masked = self.path.clone();
        if let Some(last) = masked.last_mut() {
            last.push_str("_masked");
        }
        [self.path.clone(), masked].into_iter().find(|path| has_field(view, path))
    }
}
