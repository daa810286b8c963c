//! Which columns a file may have: taken from the draft's schema, so that a new field is a new column.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::cells::{Kind, Unit, half};
use super::labels;
use crate::web::shape::{types, without_null};
use crate::web::verbs::Verbs;

/// One column of an import.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Column {
    /// The English header.
    #[schema(example = "organization_code")]
    pub header: String,
    /// The Chinese headers that mean the same; the first is the one for a template.
    pub headers_zh: Vec<String>,
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
    pub content: Kind,
    /// An example of the contract, where it has one.
    #[serde(skip)]
    pub example: Option<Value>,
    /// What the contract says of it.
    #[serde(skip)]
    pub note: String,
}

/// An entry of a dictionary.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Entry {
    pub code: String,
    pub label_zh: String,
    pub label_en: String,
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
        let listed = property.get("items").map_or(property, without_null);
        let entries = entries(listed);
        let mut headers_zh: Vec<String> = labels::of(verbs.name(), header).into_iter().map(str::to_owned).collect();
        if header.ends_with("_fen") {
            headers_zh = headers_zh.into_iter().flat_map(in_units).collect();
        }
        let content = kind(header, reference.is_some(), property, !entries.is_empty());
        let text = |key: &str| property.get(key).and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
        columns.push(Column {
            header: header.to_owned(),
            headers_zh,
            required: is_required,
            kind: match property.get("format").and_then(Value::as_str) {
                Some("date") => "date".to_owned(),
                _ => types(property).into_iter().find(|t| *t != "null").unwrap_or("string").to_owned(),
            },
            entries,
            refers_to: reference.map(|reference| reference.of),
            path,
            content,
            example: property.get("example").cloned(),
            note: text("description"),
        });
    }
}

fn entries(schema: &Value) -> Vec<Entry> {
    let text = |labels: &Value, key: &str| labels[key].as_str().unwrap_or_default().to_owned();
    let labels = schema.get("x-labels").and_then(Value::as_object).into_iter().flatten();
    labels
        .map(|(code, labels)| Entry { code: code.clone(), label_zh: text(labels, "label_zh"), label_en: text(labels, "label_en") })
        .collect()
}

/// An amount's header in each unit that offices write amounts in; that in yuan is the one for a template.
fn in_units(label: String) -> Vec<String> {
    match label.strip_suffix("（分）") {
        Some(base) => vec![format!("{base}（元）"), format!("{base}（万元）"), label],
        None => vec![label],
    }
}

fn kind(header: &str, refers: bool, schema: &Value, has_entries: bool) -> Kind {
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    match (types(schema).into_iter().find(|t| *t != "null").unwrap_or("string"), format) {
        ("array", _) => Kind::List,
        ("boolean", _) => Kind::Boolean,
        ("integer", _) if header.ends_with("_fen") => Kind::Money,
        ("integer", _) => Kind::Integer,
        ("number", _) => Kind::Number,
        (_, "date") => Kind::Date,
        (_, "resident-id-number") => Kind::IdNumber,
        (_, "mobile-number") => Kind::Phone,
        (_, "bank-account-number") => Kind::BankAccount,
        (_, "uuid") => Kind::Code,
        _ if has_entries => Kind::Entry,
        _ if refers || header == "code" || header.ends_with("_code") => Kind::Code,
        _ => Kind::Words,
    }
}

/// What a header means: which of the columns, and for an amount in which unit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    pub column: usize,
    pub unit: Option<Unit>,
}

/// All headers that a resource's files may have.
pub struct Headers(HashMap<String, Meaning>);

impl Headers {
    pub fn of(columns: &[Column]) -> Self {
        let mut known = HashMap::new();
        for (column, of) in columns.iter().enumerate() {
            let english =
                [of.header.clone(), of.path.join(".")].into_iter().chain(of.header.strip_suffix("_fen").map(|of| format!("{of}_yuan")));
            for name in english.chain(of.headers_zh.iter().cloned()) {
                let key = key(&name);
                let unit = (of.content == Kind::Money).then(|| unit(&key)).flatten();
                known.entry(key).or_insert(Meaning { column, unit });
            }
        }
        // Offices say 时间 for 日期 as often as not, and 单位 for whose record it is, where nothing is counted in units.
        for (column, of) in columns.iter().enumerate() {
            let weak = of.headers_zh.iter().filter_map(|name| name.strip_suffix("日期")).map(|name| format!("{}时间", key(name)));
            for key in weak.chain((of.header == "organization_code").then(|| "单位".to_owned())) {
                known.entry(key).or_insert(Meaning { column, unit: None });
            }
        }
        Self(known)
    }

    pub fn get(&self, header: &str) -> Option<Meaning> {
        self.0.get(&key(header)).copied()
    }
}

/// A header as it is compared: in half width, without spaces, and without a mark of being required.
pub fn key(header: &str) -> String {
    let mut key: String = half(header).chars().filter(|c| !c.is_whitespace() && *c != '_').flat_map(char::to_lowercase).collect();
    loop {
        let bare = key.trim_matches('*').trim_end_matches(':');
        let bare = ["(必填)", "[必填]", "【必填】", "(required)"].iter().find_map(|mark| bare.strip_suffix(mark)).unwrap_or(bare);
        if bare.len() == key.len() {
            return key;
        }
        key = bare.to_owned();
    }
}

fn unit(key: &str) -> Option<Unit> {
    if key.ends_with("(万元)") {
        Some(Unit::TenThousandYuan)
    } else if key.ends_with("(元)") || key.ends_with("yuan") {
        Some(Unit::Yuan)
    } else {
        key.ends_with("(分)").then_some(Unit::Fen)
    }
}

impl Column {
    /// Puts a value where it belongs in a draft.
    pub fn put(&self, value: Value, draft: &mut Map<String, Value>) {
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
