//! The contract: what the verbs mount, they document here; what handlers annotate is joined to it; what holds for
//! every operation (problems, security, request ids) is said once.

use std::collections::BTreeMap;

use actix_web::http::header::ContentType;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpResponse, get};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::openapi::path::ParameterIn;
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::page::{DEFAULT_LIMIT, GREATEST_LIMIT};
use super::resource::Resource;
use super::shape::Shape;
use super::verbs::{BATCH_LIMIT, StepFacts};
use super::{changes, samples};
use crate::types::{Id, TextEnum};

/// The contract as a server knows it: the text that it serves, and what it looks up in it.
///
/// A program serves the text that is committed, which is what the code says: a test compares them. To make it anew at each
/// start would take as much memory as all that is done afterwards.
pub struct Contract {
    text: Bytes,
    addresses: Vec<Address>,
    dictionaries: BTreeMap<String, Vec<DictionaryEntry>>,
}

/// What can be asked of the addresses of a template.
struct Address {
    template: String,
    /// As `Allow` lists them.
    methods: String,
    /// Whether one of them asks for no token.
    open: bool,
}

/// A code of a dictionary, with its labels.
#[derive(Serialize, ToSchema)]
pub struct DictionaryEntry {
    #[schema(example = "police_station")]
    code: String,
    label_zh: String,
    label_en: String,
}

fn needs_no_token(operation: &Value) -> bool {
    operation.get("security").and_then(Value::as_array).is_some_and(|list| list.is_empty() || list.contains(&json!({})))
}

fn fits(template: &str, path: &str) -> bool {
    let (mut pattern, mut parts) = (template.split('/'), path.split('/'));
    loop {
        match (pattern.next(), parts.next()) {
            (None, None) => return true,
            (Some(p), Some(part)) if p == part || (p.starts_with('{') && !part.is_empty()) => {}
            _ => return false,
        }
    }
}

/// What is read of a document; the rest is passed over.
#[derive(Deserialize)]
struct Document {
    paths: BTreeMap<String, BTreeMap<String, Operation>>,
    components: Components,
}

#[derive(Deserialize)]
struct Operation {
    security: Option<Vec<BTreeMap<String, IgnoredAny>>>,
}

#[derive(Deserialize)]
struct Components {
    schemas: BTreeMap<String, Labelled>,
}

#[derive(Deserialize)]
struct Labelled {
    #[serde(rename = "x-labels")]
    labels: Option<BTreeMap<String, Labels>>,
}

#[derive(Deserialize)]
struct Labels {
    label_zh: String,
    label_en: String,
}

impl Contract {
    pub fn read(text: impl Into<Bytes>) -> Result<Self, String> {
        let text = text.into();
        let document: Document = serde_json::from_slice(&text).map_err(|error| format!("the contract: {error}"))?;
        let address = |(template, operations): (String, BTreeMap<String, Operation>)| {
            let mut methods: Vec<String> = operations.keys().map(|method| method.to_uppercase()).collect();
            if let Some(get) = methods.iter().position(|method| method == "GET") {
                methods.insert(get + 1, "HEAD".into());
            }
            let is_open = |operation: &Operation| {
                operation.security.as_ref().is_some_and(|list| list.is_empty() || list.iter().any(BTreeMap::is_empty))
            };
            Address { template, methods: methods.join(", "), open: operations.values().any(is_open) }
        };
        let dictionary = |(name, schema): (String, Labelled)| {
            let entry = |(code, Labels { label_zh, label_en })| DictionaryEntry { code, label_zh, label_en };
            Some((name, schema.labels?.into_iter().map(entry).collect()))
        };
        let addresses = document.paths.into_iter().map(address).collect();
        let dictionaries = document.components.schemas.into_iter().filter_map(dictionary).collect();
        Ok(Self { text, addresses, dictionaries })
    }

    /// Whether an address is one that asks for no token.
    pub fn is_open(&self, path: &str) -> bool {
        self.addresses.iter().any(|address| address.open && fits(&address.template, path))
    }

    /// The methods of an address, as `Allow` lists them; `None` when there is no such address.
    pub fn methods(&self, path: &str) -> Option<&str> {
        let fitting = self.addresses.iter().filter(|address| fits(&address.template, path));
        fitting.min_by_key(|address| address.template.matches('{').count()).map(|address| address.methods.as_str())
    }

    /// Every code with its labels, by the name of its dictionary.
    pub fn dictionaries(&self) -> &BTreeMap<String, Vec<DictionaryEntry>> {
        &self.dictionaries
    }
}

/// The contract itself.
#[utoipa::path(operation_id = "openapi", tag = "service", summary = "OpenAPI 文档 / This document", security(()), responses((status = 200, description = "OpenAPI 3.1.", body = Value)))]
#[get("/openapi.json")]
pub async fn openapi_json(contract: Data<Contract>) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(contract.text.clone())
}

/// The parameters of a filter as an object schema, so that a query is checked like a body.
pub fn filter_shape<F: IntoParams>() -> Shape {
    let mut properties = Map::new();
    for parameter in F::into_params(|| Some(ParameterIn::Query)) {
        let mut schema = parameter.schema.as_ref().and_then(|schema| serde_json::to_value(schema).ok()).unwrap_or_default();
        // Dictionaries stand inline in a filter; ids are the one thing that it refers to.
        if super::shape::without_null(&schema)["$ref"] == "#/components/schemas/Id" {
            schema = serde_json::to_value(Id::schema()).unwrap_or_default();
        }
        properties.insert(parameter.name.clone(), schema);
    }
    Shape::from_schema(json!({"type": "object", "properties": properties}))
}

fn parameters_of<F: IntoParams>() -> Vec<Value> {
    F::into_params(|| Some(ParameterIn::Query))
        .iter()
        .filter_map(|parameter| serde_json::to_value(parameter).ok())
        .map(|mut parameter| {
            // An absent parameter is the way to say nothing; null has no form in a query string.
            if let Some(schema) = parameter.get_mut("schema") {
                *schema = not_null(schema);
            }
            parameter
        })
        .collect()
}

fn not_null(schema: &Value) -> Value {
    let mut schema = super::shape::without_null(schema).clone();
    if let Some(Value::Array(types)) = schema.get("type") {
        let rest: Vec<Value> = types.iter().filter(|t| *t != "null").cloned().collect();
        schema["type"] = if rest.len() == 1 { rest[0].clone() } else { Value::Array(rest) };
    }
    schema
}

/// Adds a schema and what it refers to; returns its name.
pub fn add_schema<T: ToSchema>(document: &mut Value) -> String {
    let mut all = Vec::new();
    T::schemas(&mut all);
    all.push((T::name().into_owned(), T::schema()));
    for (name, schema) in all {
        document["components"]["schemas"][name] = serde_json::to_value(schema).unwrap_or_default();
    }
    T::name().into_owned()
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn json_content(schema: Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

/// Documents what `handlers::mount` mounts.
pub fn describe<R: Resource>(steps: Vec<StepFacts>, document: &mut Value) {
    let segment = R::NAME.replace('_', "-");
    let base = format!("/api/v1/{segment}");
    let (zh, en) = R::LABEL;
    let view = add_schema::<R::View>(document);
    let schemas = &mut document["components"]["schemas"];

    // Every view also tells what its caller may do.
    let shown = &mut schemas[&view];
    shown["properties"]["allowed_actions"] = json!({"type": "array", "items": reference("Action"),
        "description": "What the caller may do to this record now: its state, their roles where it belongs, and the hands that it has passed allow it. What stands against it in other records is told when it is tried."});
    if let Some(required) = shown["required"].as_array_mut() {
        required.push("allowed_actions".into());
    }
    let page = format!("{view}Page");
    schemas[&page] = json!({
        "type": "object",
        "required": ["items", "next_cursor"],
        "additionalProperties": false,
        "properties": {
            "items": {"type": "array", "items": reference(&view)},
            "next_cursor": {"type": ["string", "null"], "description": "Give it as `cursor` for the next page; null on the last."},
            "total": {"type": "integer", "format": "int64", "minimum": 0, "description": "Only with `count=true`."},
            "deleted": {"type": "array", "items": reference("DeletedRecord"), "description": "Only with `updated_since`: records that are gone since, or out of the caller's sight."},
            "sync_token": {"type": "string", "description": "Only with `updated_since`: give it as `updated_since` the next time."},
            "more": {"type": "boolean", "description": "Only with `updated_since`: whether to ask again at once."},
        },
    });

    let etag = json!({"ETag": {"description": "The record's version, quoted; where the record shows another along, followed by that one's, as in \"3-7\".", "schema": {"type": "string"}}});
    let id = json!({"name": "id", "in": "path", "required": true, "description": format!("Id of the {en}."), "schema": {"type": "string", "format": "uuid"}});
    let if_match = |required: bool| json!({"name": "If-Match", "in": "header", "required": required, "description": "The ETag, or the version quoted, e.g. \"3\".", "schema": {"type": "string"}});
    let key = |required: bool| json!({"name": "Idempotency-Key", "in": "header", "required": required, "description": "Makes a retry safe: the same key and body get the stored answer.", "schema": {"type": "string", "minLength": 1, "maxLength": 200}});
    let operation =
        |verb: &str, summary: String| json!({"operationId": format!("{}_{verb}", R::NAME), "tags": [segment], "summary": summary});

    let mut list_parameters = parameters_of::<R::Filter>();
    list_parameters.extend([
        json!({"name": "sort", "in": "query", "description": "Order; `-` is descending.", "schema": {"type": "string", "enum": R::SORTS, "default": "-created_at"}}),
        json!({"name": "limit", "in": "query", "description": "Records a page.", "schema": {"type": "integer", "minimum": 1, "maximum": GREATEST_LIMIT, "default": DEFAULT_LIMIT}}),
        json!({"name": "cursor", "in": "query", "description": "`next_cursor` of the page before, with the same filter and sort.", "schema": {"type": "string"}}),
        json!({"name": changes::SINCE, "in": "query", "description": "Instead of a filter, for whoever keeps a copy: what was written since, in the order of commits, each record as it is now, and what is gone. An instant (RFC 3339) to begin with; then the `sync_token` of the answer before. Only `limit` may stand beside it. What was written shows within some seconds; what is told twice is the same. A record counts when it was written itself: what it shows along of another changes with that one. `sync_expired` (410) when what the caller may see has changed: read all again.", "schema": {"type": "string"}, "example": "2022-06-17T09:00:00+08:00"}),
        json!({"name": "count", "in": "query", "description": "Whether to count all matching records into `total`.", "schema": {"type": "boolean", "default": false}}),
    ]);
    let mut list = operation("list", format!("{zh}列表 / List {en}s"));
    list["parameters"] = list_parameters.into();
    list["responses"] = json!({"200": {
        "description": "A page.",
        "headers": {"Link": {"description": "rel=\"next\" where there is a next page.", "schema": {"type": "string"}}},
        "content": json_content(reference(&page)),
    }});
    let mut get = operation("get", format!("读取{zh} / Read one {en}"));
    get["parameters"] = json!([id, {"name": "If-None-Match", "in": "header", "description": "An ETag that the caller holds.", "schema": {"type": "string"}}]);
    get["responses"] = json!({
        "200": {"description": "The record.", "headers": etag, "content": json_content(reference(&view))},
        "304": {"description": "The caller's version is the present one."},
    });
    if R::SHARED_BELOW {
        let shared = "Besides those of the caller's organizations and all below them, those of the organizations above are there to be seen and referred to; nothing may be done to them, so their `allowed_actions` are empty.";
        list["description"] = shared.into();
        get["description"] = shared.into();
    }
    let mut collection = json!({"get": list});
    let mut single = json!({"get": get});

    if R::WRITABLE {
        let draft = add_schema::<R::Draft>(document);
        let patch = format!("{draft}Patch");
        let mut patched = document["components"]["schemas"][&draft].clone();
        loosen_parts(&mut patched, &document["components"]["schemas"]);
        if let Some(members) = patched.as_object_mut() {
            members.remove("required");
            members.remove("example");
            members.insert("description".into(), "A merge patch (RFC 7396): a missing member stays as it is.".into());
        }
        document["components"]["schemas"][&patch] = patched;

        let mut create = operation("create", format!("新建{zh} / Create a {en}"));
        create["parameters"] = json!([key(false)]);
        create["requestBody"] = json!({"required": true, "content": json_content(reference(&draft))});
        let mut created = etag.clone();
        created["Location"] = json!({"description": "The record's address.", "schema": {"type": "string"}});
        create["responses"] = json!({"201": {"description": "Created.", "headers": created, "content": json_content(reference(&view))}});
        collection["post"] = create;

        let mut update = operation("update", format!("修改{zh} / Change a {en}"));
        update["parameters"] = json!([id, if_match(true), key(false)]);
        update["requestBody"] = json!({"required": true, "content": {
            "application/merge-patch+json": {"schema": reference(&patch)}, "application/json": {"schema": reference(&patch)}
        }});
        update["responses"] =
            json!({"200": {"description": "The changed record.", "headers": etag, "content": json_content(reference(&view))}});
        single["patch"] = update;

        let mut delete = operation("delete", format!("删除{zh} / Delete a {en}"));
        delete["parameters"] = json!([id, if_match(false), key(false)]);
        delete["responses"] = json!({"204": {"description": "Deleted."}});
        single["delete"] = delete;

        let mut batch = operation("create_batch", format!("批量新建{zh} / Create up to {BATCH_LIMIT} {en}s, all or none"));
        batch["parameters"] = json!([key(true)]);
        batch["requestBody"] = json!({"required": true, "content": json_content(json!({
            "type": "object", "required": ["items"], "additionalProperties": false,
            "properties": {"items": {"type": "array", "maxItems": BATCH_LIMIT, "items": reference(&draft)}},
        }))});
        batch["responses"] = json!({"201": {"description": "All created.", "content": json_content(json!({
            "type": "object", "required": ["items"], "additionalProperties": false,
            "properties": {"items": {"type": "array", "items": reference(&view)}},
        }))}});
        document["paths"][format!("{base}/batch")] = json!({"post": batch});
    }
    for step in steps {
        let code = step.action.code();
        let mut operation = operation(code, step.summary.to_owned());
        operation["parameters"] = json!([id, if_match(false), key(step.needs_key)]);
        if let Some(shape) = step.body {
            operation["requestBody"] = json!({"required": true, "content": json_content(shape.schema().clone())});
        }
        operation["responses"] =
            json!({"200": {"description": "The record after the step.", "headers": etag, "content": json_content(reference(&view))}});
        document["paths"][format!("{base}/{{id}}/{}", code.replace('_', "-"))] = json!({"post": operation});
    }
    document["paths"][base.clone()] = collection;
    document["paths"][format!("{base}/{{id}}")] = single;
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.push(json!({"name": segment, "description": format!("{zh} / {en}")}));
    }
}

/// A part of a record is patched as the record is: what it leaves out stays. So it stands in a patch without its
/// required members.
fn loosen_parts(patched: &mut Value, schemas: &Value) {
    for property in patched["properties"].as_object_mut().into_iter().flat_map(|properties| properties.values_mut()) {
        let Some(name) = super::shape::without_null(property)["$ref"].as_str().and_then(|r| r.rsplit('/').next()) else { continue };
        let mut part = schemas[name].clone();
        if part["type"] == "object"
            && let Some(members) = part.as_object_mut()
        {
            members.remove("required");
            *property = json!({"oneOf": [{"type": "null"}, part]});
        }
    }
}

/// What holds for every operation: the problems that it may answer, who may call it, and that answers carry a
/// request id.
pub fn finish(document: &mut Value) {
    document["components"]["schemas"]["Problem"] = json!({
        "type": "object",
        "description": "RFC 9457. `code` never changes; texts are Chinese, or English by Accept-Language.",
        "required": ["type", "title", "status", "code", "instance", "request_id"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "code": {"type": "string", "enum": crate::error::Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>()},
            "detail": {"type": "string"},
            "instance": {"type": "string"},
            "request_id": {"type": "string"},
            "errors": {"type": "array", "items": {
                "type": "object", "required": ["pointer", "code", "message"], "additionalProperties": false,
                "properties": {"pointer": {"type": "string"}, "code": {"type": "string"}, "message": {"type": "string"}},
            }},
        },
        "example": {
            "type": "/problems/validation_failed", "title": "提交的内容有误", "status": 422, "code": "validation_failed", "detail": "1 处需要修改",
            "instance": "/api/v1/volunteers", "request_id": "01936a3c5b7e",
            "errors": [{"pointer": "/person/phone", "code": "invalid_phone", "message": "手机号应为 11 位数字，以 13–19 开头"}],
        },
    });
    document["components"]["securitySchemes"] = json!({
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The access token of POST /auth/login or POST /auth/token."},
    });
    document["components"]["responses"]["Problem"] = json!({
        "description": "A refusal, told as a problem document.",
        "headers": {"X-Request-Id": {"description": "Quote it when asking for help.", "schema": {"type": "string"}}},
        "content": {"application/problem+json": {"schema": reference("Problem")}},
    });
    document["components"]["schemas"]["DeletedRecord"] = json!({
        "type": "object",
        "required": ["id", "at"],
        "additionalProperties": false,
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "at": {"type": "string", "format": "date-time", "description": "When it went, or was last written."},
        },
    });
    document["components"]["responses"]["TooManyRequests"] = json!({
        "description": "One request too many of its class (`public`: without a token; `read`; `write`; `sensitive`), or of one of the narrower limits that its operation describes.",
        "headers": {
            "Retry-After": {"description": "Seconds after which it may be sent again.", "schema": {"type": "integer", "minimum": 1}},
            "RateLimit-Policy": {"description": "The class and its quota in a window of seconds, as in `\"read\";q=1200;w=60`. With every answer that was counted.", "schema": {"type": "string"}},
            "RateLimit": {"description": "Requests left and the seconds until all are there again, as in `\"read\";r=1199;t=1`. With every answer that was counted.", "schema": {"type": "string"}},
            "X-Request-Id": {"description": "Quote it when asking for help.", "schema": {"type": "string"}},
        },
        "content": {"application/problem+json": {"schema": reference("Problem")}},
    });
    document["security"] = json!([{"bearer": []}]);
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for item in paths.values_mut() {
        for operation in item.as_object_mut().into_iter().flat_map(|methods| methods.values_mut()) {
            let has_body = operation.get("requestBody").is_some();
            let parameters = operation.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
            let is_open = needs_no_token(operation);
            let forms = operation.pointer("/responses/200/content").and_then(Value::as_object).map_or(0, Map::len);
            let mut statuses = vec!["400", "414", "429", "431", "500", "503", "507"];
            if !is_open {
                statuses.extend(["401", "403"]);
            } else if has_body {
                // The ways in.
                statuses.extend(["401", "403"]);
            }
            if is_open && parameters.iter().any(|parameter| parameter["in"] == "path") {
                statuses.push("404");
            }
            if has_body {
                statuses.extend(["408", "413", "415", "422"]);
            }
            if forms > 1 || parameters.iter().any(|parameter| parameter["name"] == "format") {
                statuses.push("406");
            }
            if parameters.iter().any(|parameter| parameter["name"] == "Range") {
                statuses.push("416");
            }
            if parameters.iter().any(|parameter| parameter["name"] == changes::SINCE) {
                statuses.push("410");
            }
            // A link that has ended.
            if parameters.iter().any(|parameter| parameter["name"] == "signature") {
                statuses.push("403");
            }
            // Whole numbers are told for a purpose; a file may hold less than there is.
            if parameters.iter().any(|parameter| parameter["name"] == "purpose") {
                statuses.push("422");
            }
            statuses.extend(["404", "409", "412", "428"].iter().filter(|_| !is_open));
            for status in statuses {
                let responses = &mut operation["responses"];
                if responses.get(status).is_none() {
                    let what = if status == "429" { "TooManyRequests" } else { "Problem" };
                    responses[status] = json!({"$ref": format!("#/components/responses/{what}")});
                }
            }
        }
    }
    lists_and_files(document);
    always_there(document);
    samples::add(document);
    sort_keys(document);
}

/// Several values of a filter stand between commas, in one parameter; and a file is bytes, of which a schema says nothing.
fn lists_and_files(document: &mut Value) {
    let operations = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in operations.flat_map(|item| item.as_object_mut().into_iter().flat_map(|methods| methods.values_mut())) {
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            if parameter["in"] == "query" && parameter["schema"]["type"] == "array" {
                parameter["explode"] = false.into();
            }
        }
        for response in operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flat_map(|all| all.values_mut()) {
            for content in response.get_mut("content").and_then(Value::as_object_mut).into_iter().flat_map(|all| all.values_mut()) {
                if content["schema"]["items"]["format"] == "int32" {
                    content["schema"] = json!({});
                }
            }
        }
    }
}

/// What may be null in an answer is always there, so that a typed client has to tell two cases apart and not three. What is also sent is left
/// as it is: there, leaving out says something.
fn always_there(document: &mut Value) {
    let (mut answered, mut sent) = (Vec::new(), Vec::new());
    for operation in document["paths"].as_object().into_iter().flat_map(|paths| paths.values()).filter_map(Value::as_object) {
        for operation in operation.values() {
            referred(&operation["responses"], document, &mut answered);
            referred(&operation["requestBody"], document, &mut sent);
        }
    }
    answered.retain(|name| !sent.contains(name));
    for name in answered {
        let schema = &mut document["components"]["schemas"][name];
        let parts = if schema["allOf"].is_array() { schema["allOf"].as_array_mut().into_iter().flatten().collect() } else { vec![schema] };
        for part in parts {
            let Some(properties) = part["properties"].as_object() else { continue };
            let names: Vec<Value> =
                properties.iter().filter(|(_, schema)| is_nullable(schema)).map(|(name, _)| name.as_str().into()).collect();
            if names.is_empty() {
                continue;
            }
            let mut required = part["required"].as_array().cloned().unwrap_or_default();
            required.extend(names.into_iter().filter(|name| !required.contains(name)).collect::<Vec<_>>());
            part["required"] = required.into();
        }
    }
}

fn is_nullable(schema: &Value) -> bool {
    let branches = ["oneOf", "anyOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
    branches.chain([schema]).any(|branch| super::shape::types(branch).contains(&"null"))
}

/// The names of the schemas that a part of the document refers to, directly or by others.
fn referred(part: &Value, document: &Value, found: &mut Vec<String>) {
    match part {
        Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/components/schemas/"))
                && !found.iter().any(|known| known == name)
            {
                found.push(name.to_owned());
                referred(&document["components"]["schemas"][name], document, found);
            }
            members.values().for_each(|member| referred(member, document, found));
        }
        Value::Array(items) => items.iter().for_each(|item| referred(item, document, found)),
        _ => {}
    }
}

/// Sorted, so that the committed file changes only where the contract does.
fn sort_keys(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.sort_keys();
            members.values_mut().for_each(sort_keys);
        }
        Value::Array(items) => items.iter_mut().for_each(sort_keys),
        _ => {}
    }
}
