//! The outermost ring of every request: its id and language, the limits of its head, the security headers of its
//! answer, the problem document of its refusal, the log line and the metrics. A panic ends here and not the process.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use futures_util::FutureExt;

use super::asked::route_of;
use super::contract::Contract;
use super::rates::Standing;
use crate::app::Facts;
use crate::audit::refusals;
use crate::auth::Auth;
use crate::db::Db;
use crate::error::{Code, Error, Language};
use crate::types::Id;

const URI_LIMIT: usize = 8 * 1024;
const HEADERS_LIMIT: usize = 32 * 1024;

/// What the ring found out about a request, for those inside.
#[derive(Debug, Clone)]
pub struct RequestFacts {
    pub request_id: String,
    pub language: Language,
    /// Where the request comes from, where that is known.
    pub address: Option<IpAddr>,
}

/// Who is calling, for the ring: put among a request's extensions when that is known.
#[derive(Debug, Clone, Copy)]
pub struct CalledBy(pub Id);

/// Chinese, unless English is preferred to it.
pub fn language(headers: &HeaderMap) -> Language {
    let Some(accepted) = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()) else { return Language::Zh };
    let weight = |tag: &str| {
        accepted
            .split(',')
            .filter_map(|entry| {
                let mut parts = entry.split(';');
                let name = parts.next()?.trim();
                let primary = name.split('-').next()?;
                let q = parts.find_map(|p| p.trim().strip_prefix("q=")).and_then(|q| q.parse::<f32>().ok()).unwrap_or(1.0);
                primary.eq_ignore_ascii_case(tag).then_some(q)
            })
            .fold(0.0, f32::max)
    };
    if weight("en") > weight("zh") { Language::En } else { Language::Zh }
}

fn request_id(headers: &HeaderMap) -> String {
    headers
        .get("X-Request-Id")
        .and_then(|v| v.to_str().ok())
        .filter(|id| (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)))
        .map_or_else(|| Id::new().0.simple().to_string(), str::to_owned)
}

/// What is wrong with the head of a request, before anything is done.
fn judge_head(request: &mut ServiceRequest) -> Result<(), Error> {
    if request.uri().path_and_query().map_or(0, |p| p.as_str().len()) > URI_LIMIT {
        return Err(Error::new(Code::UriTooLong));
    }
    let headers = request.headers();
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > HEADERS_LIMIT {
        return Err(Error::new(Code::HeadersTooLarge));
    }
    if headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH) {
        return Err(Error::because(
            Code::MalformedRequest,
            "不能同时给出 Transfer-Encoding 与 Content-Length",
            "Transfer-Encoding and Content-Length must not stand together",
        ));
    }
    if headers.get_all(header::AUTHORIZATION).count() > 1 {
        return Err(Error::because(Code::MalformedRequest, "Authorization 只能出现一次", "Authorization must stand once"));
    }
    // Mini-programs can't send PATCH.
    if let Some(method) = headers.get("X-HTTP-Method-Override") {
        if request.method() != Method::POST || !method.as_bytes().eq_ignore_ascii_case(b"PATCH") {
            return Err(Error::because(
                Code::MalformedRequest,
                "X-HTTP-Method-Override 只能用于把 POST 改作 PATCH",
                "X-HTTP-Method-Override may only make a POST a PATCH",
            ));
        }
        request.head_mut().method = Method::PATCH;
    }
    Ok(())
}

/// A refusal as a finished document: for errors that leave the ring without a response.
#[derive(Debug)]
struct Refusal {
    error: Error,
    facts: RequestFacts,
    path: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.error.code.status()
    }
    fn error_response(&self) -> HttpResponse {
        problem(&self.error, &self.facts, &self.path)
    }
}

/// The problem document with its headers.
fn problem(error: &Error, facts: &RequestFacts, path: &str) -> HttpResponse {
    let mut response = HttpResponse::build(error.code.status());
    response.content_type("application/problem+json");
    response.insert_header((header::CONTENT_LANGUAGE, if facts.language == Language::En { "en" } else { "zh" }));
    if let Some(seconds) = error.retry_after_seconds {
        response.insert_header((header::RETRY_AFTER, seconds.to_string()));
    }
    if error.code.status() == StatusCode::UNAUTHORIZED {
        let value = if error.code == Code::InvalidToken { "Bearer error=\"invalid_token\"" } else { "Bearer" };
        response.insert_header((header::WWW_AUTHENTICATE, value));
    }
    let mut response = response.body(error.to_json(facts.language, path, &facts.request_id).to_string());
    seal(response.headers_mut(), facts, path, false);
    response
}

/// The headers that every answer carries.
fn seal(headers: &mut HeaderMap, facts: &RequestFacts, path: &str, behind_tls: bool) {
    let mut set = |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    let docs = path.starts_with("/docs");
    set(
        header::CONTENT_SECURITY_POLICY,
        if docs {
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
        } else {
            "default-src 'none'; frame-ancestors 'none'; sandbox"
        },
    );
    if behind_tls {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains");
    }
    if !docs && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(value) = HeaderValue::from_str(&facts.request_id) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
}

fn method_not_allowed(allowed: &str) -> Error {
    Error::because(Code::MethodNotAllowed, format!("此地址支持的方法：{allowed}"), format!("the address supports {allowed}"))
}

/// What a response without one of our errors means: actix's own refusals are plain or empty.
fn named(status: StatusCode) -> Error {
    match status {
        StatusCode::NOT_FOUND => Error::because(Code::NotFound, "没有这个地址，请查阅 /docs", "there is no such address; see /docs"),
        StatusCode::METHOD_NOT_ALLOWED => Error::new(Code::MethodNotAllowed),
        StatusCode::PAYLOAD_TOO_LARGE => Error::new(Code::TooLarge),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Error::new(Code::UnsupportedMediaType),
        StatusCode::REQUEST_TIMEOUT => Error::new(Code::RequestTimeout),
        StatusCode::NOT_ACCEPTABLE => Error::new(Code::NotAcceptable),
        StatusCode::FORBIDDEN => Error::forbidden(),
        status if status.is_client_error() => Error::new(Code::MalformedRequest),
        _ => Error::new(Code::Internal),
    }
}

pub async fn frame(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let begun = Instant::now();
    let address = request.app_data::<web::Data<Auth>>().cloned().and_then(|auth| auth.address(request.request()));
    let facts = RequestFacts { request_id: request_id(request.headers()), language: language(request.headers()), address };
    let path = request.path().to_owned();
    let method = request.method().clone();
    let server = request.app_data::<web::Data<Facts>>().cloned();
    request.extensions_mut().insert(facts.clone());
    // Where a GET is, a HEAD is: the codec remembers which it was and leaves the body out.
    if method == Method::HEAD {
        request.head_mut().method = Method::GET;
    }

    let outcome = match judge_head(&mut request) {
        Err(error) => Err(error.into()),
        Ok(()) => AssertUnwindSafe(next.call(request)).catch_unwind().await.unwrap_or_else(|_| {
            // The panic's own words are in the log, by the hook.
            Err(Error::new(Code::Internal).into())
        }),
    };
    let behind_tls = server.as_ref().is_some_and(|server| server.behind_tls);
    let mut response = match outcome {
        Ok(response) => response.map_into_boxed_body(),
        Err(error) => {
            let error = error.as_error::<Error>().cloned().unwrap_or_else(|| named(error.as_response_error().status_code()));
            record(server.as_deref().map(AsRef::as_ref), &method, None, &path, error.code.status(), begun, &facts);
            return Err(Refusal { error, facts, path }.into());
        }
    };
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let ours = response.response().error().and_then(|error| error.as_error::<Error>()).cloned();
        let already = response.headers().get(header::CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/problem+json"));
        if ours.is_some() || !already {
            // actix answers 404 where an address exists and the method does not: the contract knows better.
            let allowed = (ours.is_none() && matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED))
                .then(|| response.request().app_data::<web::Data<Contract>>()?.methods(&path).map(str::to_owned))
                .flatten();
            let known = response.request().extensions().contains::<CalledBy>();
            if let Some(code) = ours.as_ref().map(|error| error.code).filter(|code| refusals::Refusal::is_told(*code, known)) {
                note_refusal(server.as_deref().map(AsRef::as_ref), response.request(), &method, &facts, code);
            }
            let error = ours.unwrap_or_else(|| allowed.as_deref().map_or_else(|| named(status), method_not_allowed));
            let document = problem(&error, &facts, &path);
            let cors: Vec<(HeaderName, HeaderValue)> = response
                .headers()
                .iter()
                .filter(|(name, _)| name.as_str().starts_with("access-control-") || *name == header::ALLOW || *name == header::VARY)
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            response = response.into_response(document);
            if let Some(methods) = allowed.and_then(|methods| HeaderValue::from_str(&methods).ok()) {
                response.headers_mut().insert(header::ALLOW, methods);
            }
            for (name, value) in cors {
                response.headers_mut().append(name, value);
            }
        }
    }
    seal(response.headers_mut(), &facts, &path, behind_tls);
    let standing = response.request().extensions().get::<Standing>().copied();
    if let Some(standing) = standing {
        standing.tell(response.headers_mut());
    }
    if server.as_ref().is_some_and(|server| server.draining()) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let route = route_of(response.request());
    record(server.as_deref().map(AsRef::as_ref), &method, route, &path, response.status(), begun, &facts);
    Ok(response)
}

/// Who may not has an event in the audit log, which is written while the answer goes out.
fn note_refusal(server: Option<&Facts>, request: &HttpRequest, method: &Method, facts: &RequestFacts, code: Code) {
    let (Some(server), Some(db)) = (server, request.app_data::<web::Data<Db>>()) else { return };
    let actor_id = request.extensions().get::<CalledBy>().map(|caller| caller.0);
    let refusal = refusals::Refusal::of(request, method, &facts.request_id, facts.address, actor_id, code);
    server.refusals.note(db, Some(refusal));
}

/// One line of the log and one count, without the query string, which may hold names.
fn record(
    server: Option<&Facts>,
    method: &Method,
    route: Option<String>,
    path: &str,
    status: StatusCode,
    begun: Instant,
    facts: &RequestFacts,
) {
    let seconds = begun.elapsed().as_secs_f64();
    let route = route.unwrap_or_else(|| "unmatched".to_owned());
    if let Some(server) = server {
        server.metrics.record(method.as_str(), &route, status.as_u16(), seconds);
    }
    log::info!(
        target: "yiyong::access",
        request_id = facts.request_id.as_str(),
        method = method.as_str(),
        path = path,
        status = status.as_u16(),
        milliseconds = (seconds * 1e6).round() / 1e3;
        "request"
    );
}

#[cfg(test)]
mod tests {
    use actix_web::dev::Service;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service};
    use actix_web::{App, Responder};

    use super::*;

    #[actix_web::test]
    async fn a_panic_is_a_problem_of_its_own_request_only() {
        async fn panics() -> HttpResponse {
            panic!("what it says stays inside")
        }
        async fn works() -> impl Responder {
            "well"
        }
        let app = App::new().wrap(from_fn(frame)).route("/panics", web::get().to(panics)).route("/works", web::get().to(works));
        let app = init_service(app).await;
        for _ in 0..3 {
            let outcome = app.call(TestRequest::get().uri("/panics").to_request()).await;
            let response = outcome.expect_err("a refusal").error_response();
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(response.headers().get(header::CONTENT_TYPE).expect("a type"), "application/problem+json");
            let body = response.into_body().try_into_bytes().expect("a whole body");
            let problem: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!((&problem["code"], &problem["instance"]), (&"internal".into(), &"/panics".into()));
            assert!(problem["request_id"].is_string() && !problem.to_string().contains("inside"), "{problem}");
            let well = app.call(TestRequest::get().uri("/works").to_request()).await.expect("an answer");
            assert_eq!(well.status(), StatusCode::OK);
        }
    }

    #[test]
    fn chinese_unless_english_is_preferred() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_str(text).expect("a header"));
            language(&headers)
        };
        assert_eq!(language(&HeaderMap::new()), Language::Zh);
        assert_eq!(of("en-GB,en;q=0.9"), Language::En);
        assert_eq!(of("zh-CN,en;q=0.9"), Language::Zh);
        assert_eq!(of("en;q=0.5, zh;q=0.8"), Language::Zh);
        assert_eq!(of("fr"), Language::Zh);
    }
}
