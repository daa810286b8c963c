//! Query strings: every parameter known, none twice, each of its type; all the faults at once.

use serde::Serialize;
use serde_json::{Map, Value};

use super::shape::{Shape, types, without_null};
use crate::error::{Code, Error, Fault, Result, Says};

/// Parameters in the order they were sent, decoded.
#[derive(Debug, Clone, Default)]
pub struct Pairs(pub Vec<(String, String)>);

/// The address of a resource's list, with such parameters.
pub fn list_of(resource: &str, parameters: &(impl Serialize + ?Sized)) -> Result<String> {
    let query = serde_urlencoded::to_string(parameters).map_err(Error::internal)?;
    Ok(format!("/api/v1/{}?{query}", resource.replace('_', "-")))
}

impl Pairs {
    pub fn parse(query: &str) -> Result<Self> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
            .map_err(|_| Error::because(Code::InvalidParameter, "查询字符串无法解析", "the query string can't be read"))?;
        let mut faults = Vec::new();
        for (i, (name, value)) in pairs.iter().enumerate() {
            if pairs[..i].iter().any(|(earlier, _)| earlier == name) {
                faults.push(Fault::new(
                    format!("/{name}"),
                    "duplicate_parameter",
                    Says::new("参数出现了不止一次", "the parameter stands more than once"),
                ));
            }
            if value.chars().chain(name.chars()).any(super::shape::is_hidden) {
                faults.push(Fault::new(
                    format!("/{name}"),
                    "hidden_character",
                    Says::new("含有不可见的控制字符", "there is an invisible control character"),
                ));
            }
        }
        if faults.is_empty() { Ok(Self(pairs)) } else { Err(Error::with_faults(Code::InvalidParameter, faults)) }
    }

    pub fn take(&mut self, name: &str) -> Option<String> {
        let i = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.remove(i).1)
    }

    /// The pairs as a JSON object, typed as the shape says, and checked against it.
    pub fn into_json(self, shape: &Shape) -> Result<Value> {
        let mut members = Map::new();
        let mut faults = Vec::new();
        for (name, text) in self.0 {
            let Some(schema) = shape.property(&name) else {
                let known: Vec<&str> = shape.properties().map(|(name, _)| name.as_str()).collect();
                let says = if known.is_empty() {
                    Says::new("此处不用参数，请去掉", "nothing is told by parameters here; leave it out")
                } else {
                    Says::new(
                        format!("没有此参数；可用：{}", known.join("、")),
                        format!("there is no such parameter; known: {}", known.join(", ")),
                    )
                };
                faults.push(Fault::new(format!("/{name}"), "unknown_parameter", says));
                continue;
            };
            members.insert(name, typed(schema, &text));
        }
        let value = Value::Object(members);
        shape.check(&value, "", &mut faults);
        if faults.is_empty() { Ok(value) } else { Err(Error::with_faults(Code::InvalidParameter, faults)) }
    }
}

/// Text as the JSON that a schema wants, or as text where it doesn't fit, for the check to name.
pub fn typed(schema: &Value, text: &str) -> Value {
    let schema = without_null(schema);
    match types(schema).into_iter().find(|t| *t != "null") {
        Some("integer") => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
        Some("number") => text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map_or_else(|| Value::from(text), Value::Number),
        Some("boolean") => match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::from(text),
        },
        Some("array") => {
            let items = schema.get("items").cloned().unwrap_or_default();
            Value::Array(text.split(',').map(|part| typed(&items, part)).collect())
        }
        _ => Value::from(text),
    }
}
