//! What anybody may read, without a token.
//!
//! Nobody is asked who they are, so there is no scope: what may be read is decided by the state of the record, in one function that
//! every query here begins with ([`store`]). Only masked text that was kept for the public is read; of what people wrote to the
//! association, the answers alone. What isn't for the public isn't there: a draft and a wrong id get the same 404.

mod api;
mod certificates;
mod figures;
mod map;
mod organizations;
mod store;

use utoipa_actix_web::service_config::ServiceConfig;

pub use figures::Remembered;

pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(api::notices)
        .service(api::notice)
        .service(api::notice_lines)
        .service(certificates::certificate)
        .service(figures::figures)
        .service(map::map)
        .service(organizations::organizations);
}
