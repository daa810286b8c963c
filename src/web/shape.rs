//! Checks JSON against the schema that the contract publishes, and names all the faults at once.
//!
//! serde stops at the first fault; a clerk wants to see every one. Since the schema checked here is the one in
//! `openapi.json`, what is documented is what is enforced.

use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::{Fault, Says};
use crate::types::{Instant, Month, business_today, normalize_id_number, normalize_phone};

/// A schema with all its references put in place.
#[derive(Debug, Clone)]
pub struct Shape(Value);

impl Shape {
    pub fn of<T: ToSchema>() -> Self {
        let mut components = Vec::new();
        T::schemas(&mut components);
        let components: Map<String, Value> =
            components.into_iter().filter_map(|(name, schema)| Some((name, serde_json::to_value(schema).ok()?))).collect();
        let schema = serde_json::to_value(T::schema()).unwrap_or_default();
        Self(resolved(schema, &components))
    }

    pub fn from_schema(schema: Value) -> Self {
        Self(schema)
    }

    pub fn schema(&self) -> &Value {
        &self.0
    }

    /// The schema of a member.
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.0.get("properties")?.get(name)
    }

    pub fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.get("properties").and_then(Value::as_object).into_iter().flatten()
    }

    /// Every fault of a value, with pointers that begin with `at`.
    pub fn check(&self, value: &Value, at: &str, faults: &mut Vec<Fault>) {
        check(&self.0, value, at, faults);
    }
}

fn resolved(schema: Value, components: &Map<String, Value>) -> Value {
    match schema {
        Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next()) {
                return components.get(name).map_or(Value::Bool(true), |schema| resolved(schema.clone(), components));
            }
            Value::Object(members.into_iter().map(|(key, value)| (key, resolved(value, components))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| resolved(item, components)).collect()),
        other => other,
    }
}

/// The branch of a nullable reference that isn't null; other schemas are themselves.
pub fn without_null(schema: &Value) -> &Value {
    ["oneOf", "anyOf"]
        .iter()
        .find_map(|key| schema.get(*key)?.as_array()?.iter().find(|branch| branch.get("type") != Some(&Value::String("null".into()))))
        .unwrap_or(schema)
}

/// The type names that a schema allows; empty for any.
pub fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn allows_null(schema: &Value) -> bool {
    types(schema).contains(&"null")
        || ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(*key)?.as_array()).flatten().any(|branch| types(branch).contains(&"null"))
}

fn check(schema: &Value, value: &Value, at: &str, faults: &mut Vec<Fault>) {
    let mut fault = |code, zh: String, en: String| faults.push(Fault::new(at, code, Says::new(zh, en)));
    if value.is_null() {
        if !allows_null(schema) && !types(schema).is_empty() {
            fault("required", "此项必填，不能为空".into(), "a value is required here; null is not allowed".into());
        }
        return;
    }
    let schema = without_null(schema);
    let allowed: Vec<&str> = types(schema).into_iter().filter(|t| *t != "null").collect();
    let fits = allowed.is_empty()
        || allowed.iter().any(|t| match *t {
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => false,
        });
    if !fits {
        let (zh, en) = match allowed.first() {
            Some(&"string") => ("文本", "text"),
            Some(&"integer") => ("整数（不带小数）", "a whole number"),
            Some(&"number") => ("数字", "a number"),
            Some(&"boolean") => ("true 或 false", "true or false"),
            Some(&"array") => ("列表", "a list"),
            _ => ("对象", "an object"),
        };
        fault("wrong_type", format!("此项应为{zh}"), format!("this should be {en}"));
        return;
    }
    match value {
        Value::String(text) => check_text(schema, text, &mut fault),
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            if let Some(least) = schema.get("minimum").and_then(Value::as_f64).filter(|least| number < *least) {
                fault("too_small", format!("不能小于 {least}"), format!("this must not be less than {least}"));
            }
            if let Some(most) = schema.get("maximum").and_then(Value::as_f64).filter(|most| number > *most) {
                fault("too_great", format!("不能大于 {most}"), format!("this must not be more than {most}"));
            }
        }
        Value::Array(items) => {
            if let Some(most) = schema.get("maxItems").and_then(Value::as_u64).filter(|most| items.len() as u64 > *most) {
                fault("too_many", format!("最多 {most} 项"), format!("at most {most} items"));
                return;
            }
            if let Some(of) = schema.get("items") {
                for (i, item) in items.iter().enumerate() {
                    check(of, item, &format!("{at}/{i}"), faults);
                }
            }
        }
        Value::Object(members) => check_object(schema, members, at, faults),
        _ => {}
    }
}

fn check_text(schema: &Value, text: &str, fault: &mut impl FnMut(&'static str, String, String)) {
    if text.chars().any(is_hidden) {
        fault("hidden_character", "含有不可见的控制字符，请删除后重试".into(), "there is an invisible control character; remove it".into());
        return;
    }
    if let Some(entries) = schema.get("enum").and_then(Value::as_array) {
        if !entries.iter().any(|entry| entry.as_str() == Some(text)) {
            let known: Vec<&str> = entries.iter().filter_map(Value::as_str).collect();
            let labelled: Vec<String> = known
                .iter()
                .map(|code| match schema.pointer(&format!("/x-labels/{code}/label_zh")).and_then(Value::as_str) {
                    Some(label) => format!("{code}（{label}）"),
                    None => (*code).to_owned(),
                })
                .collect();
            fault(
                "unknown_entry",
                format!("应为下列之一：{}", labelled.join("、")),
                format!("this should be one of: {}", known.join(", ")),
            );
        }
        return;
    }
    let length = text.chars().count() as u64;
    if let Some(most) = schema.get("maxLength").and_then(Value::as_u64).filter(|most| length > *most) {
        fault("too_long", format!("最多 {most} 个字，现有 {length} 个"), format!("at most {most} characters; there are {length}"));
    }
    if let Some(least) = schema.get("minLength").and_then(Value::as_u64).filter(|least| length < *least) {
        fault("too_short", format!("至少 {least} 个字"), format!("at least {least} characters"));
    }
    match schema.get("format").and_then(Value::as_str) {
        Some("date") if !is_date(text) => {
            fault("invalid_date", "日期应写作 2022-06-17，且确有这一天".into(), "a date is written 2022-06-17 and must exist".into());
        }
        Some("date-time") if chrono::DateTime::parse_from_rfc3339(text).is_err() => {
            fault(
                "invalid_instant",
                "时间应写作 2022-06-17T09:00:00+08:00".into(),
                "an instant is written 2022-06-17T09:00:00+08:00".into(),
            );
        }
        Some("month") if text.parse::<Month>().is_err() => {
            fault(
                "invalid_month",
                "月份应写作 2022-06（2000 至 2100 年）".into(),
                "a month is written 2022-06, of the years 2000 to 2100".into(),
            );
        }
        Some("resident-id-number" | "mobile-number" | "bank-account-number") if text.contains('*') => {
            let says = super::verbs::masked_number();
            fault("masked_number", says.zh, says.en);
        }
        // Judged here and not by the draft's own rules, so that they are told together with whatever else is wrong.
        Some("resident-id-number") => {
            if let Err((code, says)) = normalize_id_number(text, business_today(Instant::now())) {
                fault(code, says.zh, says.en);
            }
        }
        Some("mobile-number") => {
            if let Err((code, says)) = normalize_phone(text) {
                fault(code, says.zh, says.en);
            }
        }
        Some("uuid") if uuid::Uuid::try_parse(text).is_err() => {
            fault("invalid_id", "此项应为记录的 id（UUID）".into(), "this should be a record's id (UUID)".into());
        }
        _ => {}
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

/// Characters that a reader can't see and a name never holds: controls, and those that turn the reading direction.
pub fn is_hidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

fn check_object(schema: &Value, members: &Map<String, Value>, at: &str, faults: &mut Vec<Fault>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, value) in members {
        let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        match properties.get(name) {
            Some(of) => check(of, value, &pointer, faults),
            None => faults.push(Fault::new(
                pointer,
                "unknown_field",
                Says::new("没有此字段，请检查拼写", "there is no such field; check the spelling"),
            )),
        }
    }
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(name) {
            faults.push(Fault::new(format!("{at}/{name}"), "required", Says::new("此项必填", "this is required")));
        }
    }
}
