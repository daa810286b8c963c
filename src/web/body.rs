//! Reading a body: within its limits of size, time and depth, and without keys that stand twice.

use std::fmt;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, web};
use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use tokio::time::Instant;
use utoipa::ToSchema;
use validator::Validate;

use super::shape::Shape;
use crate::app::Facts;
use crate::error::{Code, Error, Result};

/// The largest JSON body, in bytes.
pub const JSON_LIMIT: usize = 1024 * 1024;
const DEPTH_LIMIT: u8 = 32;
/// The slowest that a file may come in, in bytes a second, once its time for a start is over.
const SLOWEST: u64 = 1024;

/// How long a body may take to arrive.
fn within(request: &HttpRequest) -> Duration {
    request.app_data::<web::Data<Facts>>().map_or(Duration::from_secs(30), |facts| facts.body_within)
}

/// The chunks of a file's body, which fail once they come too slowly: after the time that any body has, a kilobyte a
/// second.
pub fn paced(request: &HttpRequest, payload: web::Payload) -> impl Stream<Item = Result<Bytes, PayloadError>> + 'static {
    let (begun, within) = (Instant::now(), within(request));
    futures_util::stream::unfold((payload, 0), move |(mut payload, size)| async move {
        let until = begun + within.max(Duration::from_secs(size / SLOWEST));
        let chunk = tokio::time::timeout_at(until, payload.next()).await;
        let chunk = chunk.unwrap_or_else(|_| Some(Err(PayloadError::Io(std::io::ErrorKind::TimedOut.into()))))?;
        let size = size + chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Some((chunk, (payload, size)))
    })
    .fuse()
}

/// Why a body did not arrive.
pub fn broken_off(error: &PayloadError) -> Error {
    match error {
        PayloadError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => Error::new(Code::RequestTimeout),
        _ => Error::because(Code::MalformedRequest, "请求体未能完整接收", "the body did not arrive whole"),
    }
}

/// The whole body as bytes.
async fn bytes(request: &HttpRequest, payload: &mut web::Payload, limit: usize) -> Result<Vec<u8>> {
    let read = async {
        let mut body = Vec::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| broken_off(&error))?;
            if body.len() + chunk.len() > limit {
                return Err(Error::because(Code::TooLarge, format!("最多 {} KiB", limit / 1024), format!("at most {} KiB", limit / 1024)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    tokio::time::timeout(within(request), read).await.unwrap_or_else(|_| Err(Error::new(Code::RequestTimeout)))
}

/// The body is said to be of one of these media types.
fn of_type(request: &HttpRequest, media_types: &[&str]) -> Result<()> {
    let given = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let essence = given.split(';').next().unwrap_or("").trim();
    if !media_types.iter().any(|t| t.eq_ignore_ascii_case(essence)) {
        return Err(Error::because(
            Code::UnsupportedMediaType,
            format!("Content-Type 应为 {}", media_types.join(" 或 ")),
            format!("Content-Type should be {}", media_types.join(" or ")),
        ));
    }
    Ok(())
}

/// The body as JSON of one of these media types.
pub async fn json(request: &HttpRequest, payload: &mut web::Payload, media_types: &[&str]) -> Result<(Vec<u8>, Value)> {
    of_type(request, media_types)?;
    let bytes = bytes(request, payload, JSON_LIMIT).await?;
    let value = parse(&bytes)?;
    Ok((bytes, value))
}

/// The body as a file of one of these media types, of at most so many bytes.
pub async fn file(request: &HttpRequest, payload: &mut web::Payload, media_types: &[&str], limit: usize) -> Result<Vec<u8>> {
    of_type(request, media_types)?;
    bytes(request, payload, limit).await
}

/// The body as a value of one type, checked like a draft: all its faults at once.
pub async fn typed<T: ToSchema + DeserializeOwned + Validate>(request: &HttpRequest, payload: &mut web::Payload) -> Result<T> {
    let (_, value) = json(request, payload, &["application/json"]).await?;
    let mut faults = Vec::new();
    let typed = super::verbs::understood(&Shape::of::<T>(), &value, "", &mut faults);
    Error::unless_empty(faults)?;
    typed.ok_or_else(|| Error::internal("a body without faults was not read"))
}

/// JSON text as a value; a key that stands twice in an object is refused, since readers differ about which counts.
pub fn parse(bytes: &[u8]) -> Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Strict(0).deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
        let what = error.to_string();
        let zh = if what.contains("stands twice") {
            "JSON 中有重复的键".to_owned()
        } else if what.contains("too deep") {
            format!("JSON 嵌套超过 {DEPTH_LIMIT} 层")
        } else {
            format!("JSON 在第 {} 行第 {} 列有语法错误", error.line(), error.column())
        };
        Error::because(Code::MalformedRequest, zh, format!("broken JSON: {what}"))
    })
}

struct Strict(u8);

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = deeper(self.0)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict(inner))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = deeper(self.0)?;
        let mut members = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Strict(inner))?;
            if members.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key {key:?} stands twice")));
            }
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

fn deeper<E: serde::de::Error>(depth: u8) -> Result<u8, E> {
    if depth >= DEPTH_LIMIT { Err(E::custom("the JSON is nested too deep")) } else { Ok(depth + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict() {
        assert!(parse(br#"{"a":1,"b":[true,null,"x",1.5]}"#).is_ok());
        for wrong in [r#"{"a":1,"a":2}"#, r#"{"a":1"#, r#"{"a":1} {}"#, "", &"[".repeat(40)] {
            assert_eq!(parse(wrong.as_bytes()).map_err(|e| e.code), Err(Code::MalformedRequest), "{wrong}");
        }
    }
}
