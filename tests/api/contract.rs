//! The contract is the product: the committed file is the code's, and every answer of every test agrees with it.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use actix_web::web::Data;
use serde_json::{Value, json};
use yiyong::web::contract::Contract;

use crate::hosts::{Answer, on_each_database};
use crate::process::Workplace;

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(yiyong::app::document)
}

/// What servers serve.
pub fn served() -> Data<Contract> {
    static SERVED: OnceLock<Data<Contract>> = OnceLock::new();
    SERVED.get_or_init(|| Data::new(Contract::read(document().to_string()).expect("a contract"))).clone()
}

/// The path of the contract that an address belongs to: a literal one before one with a parameter.
fn template(path: &str) -> Option<&'static String> {
    let path = path.split('?').next().unwrap_or(path);
    let parts: Vec<&str> = path.split('/').collect();
    document()["paths"]
        .as_object()?
        .keys()
        .filter(|template| {
            let pattern: Vec<&str> = template.split('/').collect();
            pattern.len() == parts.len() && pattern.iter().zip(&parts).all(|(p, part)| p.starts_with('{') || p == part)
        })
        .min_by_key(|template| template.matches('{').count())
}

/// Fails when an answer is not what the contract promises.
pub fn hold(method: &str, path: &str, answer: &Answer) {
    assert!(answer.header("X-Request-Id").is_some(), "{method} {path}: no request id");
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"), "{method} {path}");
    if answer.status >= 400 {
        let kind = answer.header("Content-Type").unwrap_or_default();
        assert!(kind.starts_with("application/problem+json"), "{method} {path}: {} is {kind}", answer.status);
    }
    // A HEAD is its GET without the body.
    let is_head = method == "HEAD";
    let promised = if is_head { "get".to_owned() } else { method.to_ascii_lowercase() };
    let operation = template(path).map(|template| &document()["paths"][template][promised]);
    let Some(operation) = operation.filter(|operation| operation.is_object()) else {
        // What is not in the contract, a preflight and the reference's own pages aside, may only be refused.
        let known = method == "OPTIONS" || path.starts_with("/docs");
        assert!(answer.status >= 400 || known, "{method} {path} is not in the contract and answered {}", answer.status);
        if answer.status >= 400 && !is_head {
            valid("#/components/schemas/Problem", &answer.body, || format!("{method} {path}"));
        }
        return;
    };
    let response = &operation["responses"][answer.status.to_string()];
    assert!(response.is_object(), "{method} {path}: {} is not in the contract: {:?}", answer.status, answer.body);
    if is_head {
        return;
    }
    let response = match response["$ref"].as_str() {
        Some(reference) => document().pointer(reference.trim_start_matches('#')).expect("a response"),
        None => response,
    };
    let sent = answer.header("Content-Type").unwrap_or_default();
    let sent = sent.split(';').next().unwrap_or_default().trim();
    if answer.body.is_null() {
        return;
    }
    let content = &response["content"][sent];
    assert!(content.is_object(), "{method} {path}: {} as {sent:?} is not in the contract", answer.status);
    if let Some(reference) = content["schema"]["$ref"].as_str() {
        valid(reference, &answer.body, || format!("{method} {path} {}", answer.status));
    }
}

fn valid(reference: &str, body: &Value, what: impl Fn() -> String) {
    static VALIDATORS: OnceLock<Mutex<HashMap<String, jsonschema::Validator>>> = OnceLock::new();
    let mut validators = VALIDATORS.get_or_init(Mutex::default).lock().unwrap_or_else(|e| e.into_inner());
    let validator = validators.entry(reference.to_owned()).or_insert_with(|| {
        let schema = json!({"$ref": reference, "components": document()["components"]});
        jsonschema::draft202012::new(&schema).expect("a schema")
    });
    let faults: Vec<String> = validator.iter_errors(body).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(faults.is_empty(), "{} does not fit {reference}: {faults:?}\n{body}", what());
}

#[test]
fn the_committed_contract_is_the_codes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let present = serde_json::to_string_pretty(document()).expect("a document") + "\n";
    assert!(committed == present, "openapi/openapi.json is not what the code says: cargo run -- openapi > openapi/openapi.json");
}

#[test]
fn every_operation_tells_what_it_is() {
    let mut ids = std::collections::HashSet::new();
    for (path, item) in document()["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let what = format!("{method} {path}");
            assert!(ids.insert(operation["operationId"].as_str().expect("an id")), "{what}: the id stands twice");
            assert!(operation["summary"].as_str().is_some_and(|s| s.contains(" / ")), "{what}: a summary in two languages");
            assert!(operation["tags"][0].is_string(), "{what}: a tag");
            assert!(operation["responses"]["500"].is_object(), "{what}: its problems");
        }
    }
}

/// The program has it from the committed file.
#[test]
fn the_program_serves_the_committed_contract() {
    let workplace = Workplace::new(None);
    let server = workplace.serve(&[]);
    assert_eq!(&server.nobody().get("/api/v1/openapi.json").body, document());
    let put = server.nobody().send("PUT", "/api/v1/organizations", &[("Content-Type", "application/json")], Some(b"{}"));
    assert_eq!(put.header("Allow"), Some("GET, HEAD, POST"));
}

#[test]
fn the_document_the_reference_and_the_health_are_served_to_anybody() {
    on_each_database(|host| {
        let nobody = host.nobody();
        assert_eq!(&nobody.get("/api/v1/openapi.json").body, document());
        assert_eq!(nobody.get("/health/live").status, 200);
        assert_eq!(nobody.get("/health/ready").status, 200);
        for path in ["/api/v1/volunteers/nobody", "/api/v1/imports/none/rows", "/api/v1/nothing", "/api/v1/volunteers/"] {
            nobody.get(path);
        }
        // By their templates, so that callers can't make as many series as they like.
        let metrics = nobody.get("/metrics").body;
        let text = metrics.as_str().expect("a text");
        for route in ["/api/v1/volunteers/{id}", "/api/v1/imports/{id}/rows", "unmatched"] {
            assert!(text.contains(&format!("yiyong_http_request_seconds_count{{method=\"GET\",route=\"{route}\"")), "{route}: {text}");
        }
        assert!(!text.contains("address"), "{text}");
        let keys = nobody.get("/.well-known/jwks.json");
        assert_eq!(keys.body["keys"][0]["crv"], "Ed25519");
    });
}

/// Every operation that the contract does not declare open refuses who has no token.
#[test]
fn nobody_is_refused_everywhere_else() {
    on_each_database(|host| {
        let nobody = host.nobody();
        let mut tried = 0;
        for (path, item) in document()["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                let open = operation["security"].as_array().is_some_and(|list| list.is_empty() || list.contains(&json!({})));
                if open {
                    continue;
                }
                let path = path
                    .replace("{id}", "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08")
                    .replace("{code}", "x")
                    .replace("{kind}", "x")
                    .replace("{name}", "x")
                    .replace("{resource}", "organizations");
                let headers = [("Content-Type", "application/json")];
                let answer = nobody.send(&method.to_uppercase(), &path, &headers, Some(b"{}"));
                assert_eq!((answer.status, answer.code()), (401, "unauthenticated"), "{method} {path}");
                assert_eq!(answer.header("WWW-Authenticate"), Some("Bearer"));
                tried += 1;
            }
        }
        assert!(tried > 15, "only {tried} operations");
    });
}

/// A sample that stands beside a schema is one of its values.
#[test]
fn every_sample_is_what_it_stands_for() {
    let mut samples = 0;
    for (path, item) in document()["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let answers = operation["responses"].as_object().into_iter().flatten();
            let answers = answers.filter(|(status, _)| status.starts_with('2')).map(|(_, answer)| &answer["content"]);
            for (kind, media) in std::iter::once(&operation["requestBody"]["content"]).chain(answers).filter_map(Value::as_object).flatten()
            {
                if media["example"].is_null() {
                    assert_ne!(kind, "application/json", "{method} {path}: no sample");
                    continue;
                }
                let schema = json!({"allOf": [media["schema"]], "components": document()["components"]});
                let validator = jsonschema::draft202012::new(&schema).expect("a schema");
                let faults: Vec<String> = validator.iter_errors(&media["example"]).map(|e| format!("{}: {e}", e.instance_path())).collect();
                assert!(faults.is_empty(), "{method} {path} {kind}: {faults:?}\n{}", media["example"]);
                samples += 1;
            }
        }
    }
    assert!(samples > 500, "only {samples} samples");
}

/// What a front end's first try would be: the sample of a creation as it stands. Nothing is wrong with it, but that it names records
/// that aren't there.
#[test]
fn a_sample_can_be_sent() {
    on_each_database(|host| {
        host.planted();
        let platform = host.sign_in("platform", yiyong::auth::UserKind::Person);
        let importer = host.user("importer", yiyong::policy::Role::Service, Some("zz"));
        let admin = host.sign_in("cityadmin", yiyong::auth::UserKind::Person);
        let welfare = host.user("welfare", yiyong::policy::Role::WelfareOfficer, Some("zz"));
        let (mut tried, mut wrong) = (0, Vec::new());
        for verbs in yiyong::web::verbs::registry().iter().filter(|verbs| verbs.writable()) {
            let path = format!("/api/v1/{}", verbs.name().replace('_', "-"));
            let create = &document()["paths"][&path]["post"];
            let sample = &create["requestBody"]["content"]["application/json"]["example"];
            let answers = [&importer, &admin, &welfare, &platform].map(|client| client.post(&path, sample));
            let answer = answers.iter().find(|answer| answer.status != 403).unwrap_or_else(|| panic!("{path}: nobody may"));
            let known = ["unknown_reference", "outside_scope"];
            let fine = answer.status == 201 || !answer.faults().is_empty() && answer.faults().iter().all(|(_, code)| known.contains(code));
            if !fine {
                wrong.push(format!("{path}: {sample}\n{}", answer.body));
            }
            tried += 1;
        }
        assert!(tried > 30 && wrong.is_empty(), "of {tried}: {}", wrong.join("\n"));
    });
}
