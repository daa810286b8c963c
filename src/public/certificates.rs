//! A certificate as anybody sees it who holds its code.

use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::NaiveDate;
use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::api::told;
use crate::db::{AnyConnection, Db};
use crate::error::{Error, Result};
use crate::resources::certificates::CertificateState;
use crate::schema::{certificates, organizations, persons, volunteers};
use crate::types::mask_name;
use crate::web::handlers::no_parameters;

/// What an association has certified, of whom, and whether it stands by it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublishedCertificate {
    pub code: String,
    pub state: CertificateState,
    #[schema(example = "王*明")]
    pub name_masked: String,
    pub from_on: NaiveDate,
    pub to_on: NaiveDate,
    pub minutes: i64,
    /// Who certifies it.
    pub organization_name: String,
    pub issued_on: NaiveDate,
}

/// The certificate with a code, withdrawn or not: who holds a withdrawn one is told that it is.
fn find(conn: &mut AnyConnection, verification_code: &str) -> Result<PublishedCertificate> {
    type Row = (String, CertificateState, String, NaiveDate, NaiveDate, i64, String, NaiveDate);
    let row: Option<Row> = certificates::table
        .inner_join(volunteers::table.inner_join(persons::table))
        .inner_join(organizations::table.on(organizations::id.eq(certificates::organization_id)))
        .filter(certificates::verification_code.eq(verification_code))
        .select((
            certificates::code,
            certificates::state,
            persons::name,
            certificates::from_on,
            certificates::to_on,
            certificates::minutes,
            organizations::name,
            certificates::issued_on,
        ))
        .first(conn)
        .optional()?;
    let (code, state, name, from_on, to_on, minutes, organization_name, issued_on) = row.ok_or_else(Error::not_found)?;
    Ok(PublishedCertificate { code, state, name_masked: mask_name(&name), from_on, to_on, minutes, organization_name, issued_on })
}

/// Whether an association stands by the certificate with this verification code.
#[utoipa::path(operation_id = "public_certificates_one", tag = "public", summary = "核验服务证明 / Verify a certificate", security(()),
    params(("code" = String, Path, description = "The verification code that stands on it."),
        ("If-None-Match" = Option<String>, Header, description = "An ETag that the caller holds.")),
    responses((status = 200, description = "The certificate.", body = PublishedCertificate,
        headers(("ETag" = String, description = "Of these words."), ("Cache-Control" = String, description = "`public, max-age=60`."))),
        (status = 304, description = "The caller's copy is the present one.")))]
#[get("/public/certificates/{code}")]
pub async fn certificate(request: HttpRequest, db: web::Data<Db>, code: web::Path<String>) -> Result<HttpResponse> {
    no_parameters(&request)?;
    let code = code.into_inner();
    // What can't be one isn't looked for.
    if code.len() != 22 || !code.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Error::not_found());
    }
    let found = db.read(move |conn| find(conn, &code)).await?;
    told(&request, &found)
}
