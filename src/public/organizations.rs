//! Which associations there are, for a page to let its reader choose one.

use actix_web::{HttpRequest, HttpResponse, get, web};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde::Serialize;
use utoipa::ToSchema;

use super::api::told;
use super::store;
use crate::db::{Any, AnyConnection, Db, Tree};
use crate::error::Result;
use crate::policy::{Purpose, Scope};
use crate::resources::organizations::OrganizationKind;
use crate::schema::organizations as t;
use crate::types::Id;
use crate::web::handlers::nothing_else;
use crate::web::query::Pairs;
use crate::web::{Window, page};

/// An association, or a total of several.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublicOrganization {
    #[schema(example = "zz-dengfeng")]
    code: String,
    name: String,
    short_name: Option<String>,
    kind: OrganizationKind,
    /// Code of the organization above it; null of the highest.
    #[schema(example = "zz")]
    parent_code: Option<String>,
    /// GB/T 2260, six digits; functional zones have none.
    division_code: Option<String>,
}

/// A page of organizations.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublicOrganizationPage {
    items: Vec<PublicOrganization>,
    /// Give it as `cursor` for the next page; null on the last.
    next_cursor: Option<String>,
}

/// A page, the newest first.
fn list(conn: &mut AnyConnection, tree: &Tree, window: &Window) -> Result<PublicOrganizationPage> {
    type Row = (Id, String, String, Option<String>, OrganizationKind, Option<Id>, Option<String>);
    let scope = Scope::of_public().fitted(conn, tree, None, Purpose::Page)?;
    let query = || t::table.into_boxed::<Any>().filter(sql::<Bool>("organizations.status = 'active'"));
    let columns = (t::id, t::code, t::name, t::short_name, t::kind, t::parent_id, t::division_code);
    let mut rows: Vec<Row> = page!(in_time conn, scope, query(), t, window, rows => rows.select(columns));
    let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(|last| window.cursor_after(last.0, ""));
    let parents = store::organization_names(conn, rows.iter().filter_map(|row| row.5).collect())?;
    let items = rows
        .into_iter()
        .map(|(_, code, name, short_name, kind, parent_id, division_code)| {
            let parent_code = parent_id.and_then(|id| parents.get(&id)).map(|(code, _)| code.clone());
            PublicOrganization { code, name, short_name, kind, parent_code, division_code }
        })
        .collect();
    Ok(PublicOrganizationPage { items, next_cursor })
}

/// A page of the organizations that work, the newest first.
#[utoipa::path(operation_id = "public_organizations", tag = "public", summary = "公开的组织 / The organizations", security(()),
    params(("limit" = Option<i64>, Query, description = "Organizations a page.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
        ("If-None-Match" = Option<String>, Header, description = "An ETag that the caller holds.")),
    responses((status = 200, description = "A page.", body = PublicOrganizationPage,
        headers(("ETag" = String, description = "Of these words."), ("Cache-Control" = String, description = "`public, max-age=60`."))),
        (status = 304, description = "The caller's copy is the present one.")))]
#[get("/public/organizations")]
pub async fn organizations(request: HttpRequest, db: web::Data<Db>) -> Result<HttpResponse> {
    let mut pairs = Pairs::parse(request.query_string())?;
    let window = Window::take(&mut pairs, &[])?;
    nothing_else(pairs)?;
    let tree = db.tree().clone();
    let page = db.read(move |conn| list(conn, &tree, &window)).await?;
    told(&request, &page)
}
