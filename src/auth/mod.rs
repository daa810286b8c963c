//! Who is calling.

use crate::error::Language;
use crate::policy::Actor;

/// The caller of a request: an extractor, so that a handler that names it can't be reached without a token.
#[derive(Debug, Clone)]
pub struct Caller {
    pub actor: Actor,
    pub request_id: String,
    pub language: Language,
}

impl actix_web::FromRequest for Caller {
    type Error = crate::error::Error;
    type Future = std::future::Ready<Result<Self, Self::Error>>;
    fn from_request(_: &actix_web::HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        std::future::ready(Err(crate::error::Error::new(crate::error::Code::Unauthenticated)))
    }
}
