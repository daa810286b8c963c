//! Which columns a file may have: taken from the draft's schema, so that a new field is a new column. After them an export
//! has those that only show something, taken from the view's; an import knows them and leaves them alone.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::cells::{Kind, Unit, half};
use super::labels;
use crate::resources::references;
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
    /// Of the field: in the draft, or in the view of a column that only shows something.
    #[serde(skip)]
    pub path: Vec<String>,
    /// Whether it only shows something: see [`shown`].
    #[serde(skip)]
    pub read_only: bool,
    /// Whether what stands there has no form in a cell, such as a list of records.
    #[serde(skip)]
    pub json_only: bool,
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
        let entries = entries(property.get("items").map_or(property, without_null));
        columns.push(Column {
            headers_zh: labels::of(verbs.name(), &header).into_iter().map(str::to_owned).collect(),
            required: false,
            read_only: true,
            json_only: kind == "object" || (kind == "array" && of_records),
            kind: kind_of(property),
            content: content(&header, refers_to.is_some(), property, !entries.is_empty()),
            header,
            entries,
            refers_to,
            path,
            example: None,
            note: String::new(),
        });
    }
}

fn kind_of(property: &Value) -> String {
    match property.get("format").and_then(Value::as_str) {
        Some("date") => "date".to_owned(),
        _ => types(property).into_iter().find(|t| *t != "null").unwrap_or("string").to_owned(),
    }
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
        let listed = property.get("items").map_or(property, without_null);
        let entries = entries(listed);
        let mut headers_zh: Vec<String> = labels::of(verbs.name(), header).into_iter().map(str::to_owned).collect();
        if header.ends_with("_fen") {
            headers_zh = headers_zh.into_iter().flat_map(in_units).collect();
        }
        let content = content(header, reference.is_some(), property, !entries.is_empty());
        let text = |key: &str| property.get(key).and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
        columns.push(Column {
            header: header.to_owned(),
            headers_zh,
            required: is_required,
            kind: kind_of(property),
            entries,
            refers_to: reference.map(|reference| reference.of),
            path,
            read_only: false,
            json_only: false,
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

fn content(header: &str, refers: bool, schema: &Value, has_entries: bool) -> Kind {
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
        // In a file with whole numbers these stand where others have masks.
        for (column, of) in columns.iter().enumerate().filter(|(_, of)| of.read_only) {
            let whole = of.headers_zh.iter().filter_map(|name| name.strip_suffix("（掩码）"));
            for name in whole.chain(of.header.strip_suffix("_masked")) {
                known.entry(key(name)).or_insert(Meaning { column, unit: None });
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

    /// The Chinese header of an export: of an amount the one in fen, as it is written there.
    pub fn header_zh(&self) -> &str {
        let in_fen =
            self.headers_zh.iter().find(|_| self.content == Kind::Money).and(self.headers_zh.iter().find(|name| name.ends_with("（分）")));
        in_fen.or(self.headers_zh.first()).unwrap_or(&self.header)
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
