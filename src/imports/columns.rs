//! Which columns a file may have: taken from the draft's schema, so that a new field is a new column.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::labels;
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
    #[serde(skip)]
    path: Vec<String>,
    #[serde(skip)]
    schema: Value,
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
    columns
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
        let labels = property.get("x-labels").and_then(Value::as_object);
        columns.push(Column {
            header: header.to_owned(),
            headers_zh: labels::of(verbs.name(), header),
            required: is_required,
            kind: match property.get("format").and_then(Value::as_str) {
                Some("date") => "date".to_owned(),
                _ => types(property).into_iter().find(|t| *t != "null").unwrap_or("string").to_owned(),
            },
            entries: labels
                .into_iter()
                .flatten()
                .map(|(code, labels)| Entry { code: code.clone(), label_zh: labels["label_zh"].as_str().unwrap_or_default().to_owned() })
                .collect(),
            refers_to: reference.map(|reference| reference.of),
            path,
            schema: property.clone(),
        });
    }
}

impl Column {
    /// Whether a header of a file means this column: English, Chinese, with or without a mark of being required.
    pub fn is_called(&self, header: &str) -> bool {
        let header = header.trim().trim_start_matches('*').trim_end_matches("（必填）").trim_end_matches("(必填)").trim();
        header.eq_ignore_ascii_case(&self.header) || header == self.path.join(".") || self.headers_zh.contains(&header)
    }

    /// Puts a cell where it belongs in a draft. An empty cell says nothing.
    pub fn put(&self, cell: &str, draft: &mut Map<String, Value>) {
        let cell = cell.trim();
        if cell.is_empty() {
            return;
        }
        let value = match self.entries.iter().find(|entry| entry.label_zh == cell) {
            Some(entry) => Value::from(entry.code.clone()),
            None if self.kind == "boolean" && (cell == "是" || cell == "否") => Value::Bool(cell == "是"),
            None => typed(&self.schema, cell),
        };
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
}
