//! Which verb of which resource a request asks for: its method and the segments of its address are looked up.
//!
//! There are some three hundred such operations. A pattern for each of them would be compiled by every worker, which took
//! six megabytes each, and tried one after the other for every request.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use actix_web::guard::GuardContext;
use actix_web::http::Method;
use actix_web::{HttpMessage, HttpRequest};

use super::verbs::{self, StepFacts, Verbs};
use crate::types::{Id, TextEnum};

const ROOT: &str = "/api/v1/";
/// The pattern that the verbs of all resources are mounted at: every address, of which the guard lets some pass.
pub const EVERY_ADDRESS: &str = "/{address:.*}";

/// What is asked of a resource.
#[derive(Clone)]
pub struct Asked {
    pub verbs: &'static dyn Verbs,
    pub verb: Verb,
    /// The record that the address names; none where it names none, or nothing that could be an id.
    pub id: Option<Id>,
    segment: &'static str,
}

#[derive(Clone)]
pub enum Verb {
    List,
    Create,
    Batch,
    Get,
    Patch,
    Delete,
    Step(Arc<StepFacts>),
}

/// A resource under its URL segment, with its steps under theirs.
struct Addressed {
    verbs: &'static dyn Verbs,
    segment: String,
    steps: HashMap<String, Arc<StepFacts>>,
}

fn addressed(segment: &str) -> Option<&'static Addressed> {
    static ALL: OnceLock<HashMap<String, Addressed>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let address = |verbs: &&'static dyn Verbs| {
            let segment = verbs.name().replace('_', "-");
            let steps = verbs.step_list().into_iter().map(|facts| (facts.action.code().replace('_', "-"), Arc::new(facts))).collect();
            (segment.clone(), Addressed { verbs: *verbs, segment, steps })
        };
        verbs::registry().iter().map(address).collect()
    });
    all.get(segment)
}

impl Asked {
    /// `None` where no verb of a resource answers this: something else may.
    fn of(method: &Method, path: &str) -> Option<Self> {
        let mut segments = path.strip_prefix(ROOT)?.split('/');
        let found = addressed(segments.next()?)?;
        let (record, step) = (segments.next(), segments.next());
        if record == Some("") || segments.next().is_some() {
            return None;
        }
        let writable = found.verbs.writable();
        let verb = match (method, record, step) {
            (&Method::GET, None, None) => Verb::List,
            (&Method::POST, None, None) if writable => Verb::Create,
            (&Method::POST, Some("batch"), None) if writable => Verb::Batch,
            (_, Some("batch"), None) if writable => return None,
            (&Method::GET, Some(_), None) => Verb::Get,
            (&Method::PATCH, Some(_), None) if writable => Verb::Patch,
            (&Method::DELETE, Some(_), None) if writable => Verb::Delete,
            (&Method::POST, Some(_), Some(step)) => Verb::Step(found.steps.get(step)?.clone()),
            _ => return None,
        };
        Some(Self { verbs: found.verbs, verb, id: record.and_then(|text| text.parse().ok()), segment: &found.segment })
    }

    /// The address with `{id}` where the request has an id.
    fn route(&self) -> String {
        let Self { segment, verb, .. } = self;
        match verb {
            Verb::List | Verb::Create => format!("{ROOT}{segment}"),
            Verb::Batch => format!("{ROOT}{segment}/batch"),
            Verb::Get | Verb::Patch | Verb::Delete => format!("{ROOT}{segment}/{{id}}"),
            Verb::Step(facts) => format!("{ROOT}{segment}/{{id}}/{}", facts.action.code().replace('_', "-")),
        }
    }
}

/// Lets those requests pass that ask something of a resource, and puts down what.
pub fn asks_of_a_resource(context: &GuardContext<'_>) -> bool {
    let asked = Asked::of(&context.head().method, context.head().uri.path());
    asked.is_some_and(|asked| {
        context.req_data_mut().insert(asked);
        true
    })
}

/// The route of a request, with `{id}` where it has an id; `None` when there is no such address.
pub fn route_of(request: &HttpRequest) -> Option<String> {
    let asked = request.extensions().get::<Asked>().map(Asked::route);
    // Of an address that nothing answers, only that pattern is left.
    asked.or_else(|| request.match_pattern().filter(|pattern| !pattern.ends_with(EVERY_ADDRESS)))
}

/// The record that a request names by its id.
pub fn record_of(request: &HttpRequest) -> Option<Id> {
    let asked = request.extensions().get::<Asked>().map(|asked| asked.id);
    asked.unwrap_or_else(|| request.match_info().get("id").and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: Method, path: &str) -> Option<String> {
        Asked::of(&method, path).map(|asked| asked.route())
    }

    #[test]
    fn every_verb_has_its_address() {
        let id = Id::new();
        for (method, path, wanted) in [
            (Method::GET, "/api/v1/volunteer-teams".to_owned(), "/api/v1/volunteer-teams"),
            (Method::POST, "/api/v1/volunteer-teams".into(), "/api/v1/volunteer-teams"),
            (Method::POST, "/api/v1/volunteer-teams/batch".into(), "/api/v1/volunteer-teams/batch"),
            (Method::GET, format!("/api/v1/volunteer-teams/{id}"), "/api/v1/volunteer-teams/{id}"),
            (Method::PATCH, format!("/api/v1/volunteer-teams/{id}"), "/api/v1/volunteer-teams/{id}"),
            (Method::DELETE, format!("/api/v1/volunteer-teams/{id}"), "/api/v1/volunteer-teams/{id}"),
            (Method::POST, format!("/api/v1/users/{id}/reset-password"), "/api/v1/users/{id}/reset-password"),
        ] {
            assert_eq!(route(method, &path).as_deref(), Some(wanted), "{path}");
        }
        assert_eq!(Asked::of(&Method::GET, &format!("/api/v1/users/{id}")).and_then(|asked| asked.id), Some(id));
    }

    #[test]
    fn what_no_verb_answers_is_left_to_others() {
        let id = Id::new();
        for (method, path) in [
            (Method::GET, "/api/v1/imports".to_owned()),
            (Method::GET, "/api/v1".into()),
            (Method::GET, "/api/v1/volunteers/".into()),
            (Method::GET, "/api/v1/volunteers/batch".into()),
            (Method::PUT, format!("/api/v1/volunteers/{id}")),
            (Method::DELETE, "/api/v1/volunteers".into()),
            (Method::POST, "/api/v1/audit-events".into()),
            (Method::POST, "/api/v1/service-records/check-in".into()),
            (Method::POST, format!("/api/v1/persons/{id}/reveal")),
            (Method::GET, format!("/api/v1/users/{id}/reset-password")),
            (Method::POST, format!("/api/v1/users/{id}/reset-password/twice")),
            (Method::GET, format!("/volunteers/{id}")),
        ] {
            assert_eq!(route(method, &path), None, "{path}");
        }
    }
}
