//! Mappings that a user keeps by name: what the headers of a file that comes again and again mean.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, delete, get, put, web};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::api::resource_named;
use super::columns::{self, Headers};
use super::layout::Mapping;
use crate::auth::Caller;
use crate::db::{Db, Reply};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::Action;
use crate::schema::import_mappings as t;
use crate::types::{Id, Instant, TextEnum};
use crate::web::contract::filter_shape;
use crate::web::query::Pairs;
use crate::web::shape::is_hidden;
use crate::web::{body, handlers, verbs};

/// So many mappings a user keeps, and so many headers each has.
const MOST: i64 = 200;
const MOST_HEADERS: usize = 500;
const RESOURCE: &str = "import_mappings";

/// A mapping to be kept.
#[derive(Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ImportMappingDraft {
    /// The resource whose files it is for, as in its address.
    #[schema(example = "volunteers", max_length = 64)]
    pub resource: String,
    /// Headers of the file, each with the column that it means by any of its headers, or with null to ignore it.
    #[schema(example = json!({"联系方式": "phone", "民族": null}))]
    pub columns: BTreeMap<String, Option<String>>,
}

/// A mapping that is kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportMapping {
    pub name: String,
    pub resource: String,
    pub columns: BTreeMap<String, Option<String>>,
    pub updated_at: Instant,
}

/// The caller's mappings.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportMappings {
    items: Vec<ImportMapping>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MappingsQuery {
    /// Those for files of this resource.
    resource: Option<String>,
}

#[derive(Insertable, Queryable, Selectable, AsChangeset)]
#[diesel(table_name = t)]
struct Row {
    id: Id,
    user_id: Id,
    name: String,
    resource: String,
    headers: String,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

impl Row {
    fn shown(self) -> Result<ImportMapping> {
        let columns = serde_json::from_str(&self.headers).map_err(Error::internal)?;
        Ok(ImportMapping { name: self.name, resource: self.resource.replace('_', "-"), columns, updated_at: self.updated_at })
    }
}

/// Keeps a mapping under a name, in the place of one that had it.
#[utoipa::path(
    operation_id = "import_mappings_put", tag = "imports", summary = "保存列映射 / Keep a mapping",
    params(("name" = String, Path, description = "Its name, 1 to 64 characters; the caller's own.", example = "民政局名册")),
    request_body = ImportMappingDraft,
    responses((status = 200, description = "Replaced.", body = ImportMapping), (status = 201, description = "Kept.", body = ImportMapping)),
)]
#[put("/import-mappings/{name}")]
pub async fn put(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    name: web::Path<String>,
    mut payload: web::Payload,
) -> Result<HttpResponse> {
    let name = name.into_inner();
    if name.trim() != name || !(1..=64).contains(&name.chars().count()) || name.chars().any(is_hidden) {
        return Err(Error::field(
            "/name",
            "invalid_name",
            "名称应为 1–64 个字，前后没有空格",
            "a name has 1 to 64 characters and no space around it",
        ));
    }
    let draft: ImportMappingDraft = body::typed(&request, &mut payload).await?;
    let of = resource_named(&draft.resource).ok_or_else(|| {
        Error::field("/resource", "unknown_resource", "没有此类记录，或不能导入", "there is no such resource, or it can't be imported")
    })?;
    caller.actor.may(of.area(), Action::Import)?;
    check(&draft, of)?;
    let headers = serde_json::to_string(&draft.columns).map_err(Error::internal)?;
    let raw = serde_json::to_vec(&draft).map_err(Error::internal)?;
    let deed = handlers::deed_of(&request, &caller, &raw, false)?;
    let user = caller.actor.id;
    let reply = db
        .write(deed, move |tx| {
            let before: Option<Row> =
                t::table.filter(t::user_id.eq(user)).filter(t::name.eq(&name)).select(Row::as_select()).first(tx.conn).optional()?;
            let kept: i64 = t::table.filter(t::user_id.eq(user)).count().get_result(tx.conn)?;
            if before.is_none() && kept >= MOST {
                return Err(Error::because(
                    Code::Conflict,
                    format!("每个用户最多保存 {MOST} 个映射；请先删除不用的"),
                    format!("a user keeps at most {MOST} mappings; delete some first"),
                ));
            }
            let (id, version, created_at) = before.map_or_else(|| (Id::new(), 0, tx.now), |row| (row.id, row.version, row.created_at));
            let row = Row {
                id,
                user_id: user,
                name: name.clone(),
                resource: of.name().to_owned(),
                headers: headers.clone(),
                version: version + 1,
                created_at,
                updated_at: tx.now,
            };
            let (status, action) = if version == 0 {
                diesel::insert_into(t::table).values(&row).execute(tx.conn)?;
                (201, Action::Create)
            } else {
                diesel::update(t::table.filter(t::id.eq(id))).set(&row).execute(tx.conn)?;
                (200, Action::Update)
            };
            let view = row.shown()?;
            let detail = serde_json::to_value(&view).map_err(Error::internal)?;
            tx.audit(action.code(), RESOURCE, Some(id), None, Some(&detail));
            let body = serde_json::to_vec(&view).map_err(Error::internal)?;
            Ok(Reply { status, location: None, etag: None, body, kept: None, replayed: false })
        })
        .await?;
    Ok(handlers::respond(reply))
}

/// A mapping is right when each of its columns is one of the resource's, and no two headers mean the same.
fn check(draft: &ImportMappingDraft, of: &dyn verbs::Verbs) -> Result<()> {
    let columns = columns::of(of);
    let headers = Headers::of(&columns);
    let mut faults = Vec::new();
    if draft.columns.is_empty() || draft.columns.len() > MOST_HEADERS {
        let says = Says::new(format!("应有 1–{MOST_HEADERS} 个表头"), format!("a mapping has 1 to {MOST_HEADERS} headers"));
        faults.push(Fault::new("/columns", "wrong_number", says));
    }
    let mut taken = Vec::new();
    for (header, column) in &draft.columns {
        let pointer = format!("/columns/{}", header.replace('~', "~0").replace('/', "~1"));
        let Some(column) = column else { continue };
        match headers.get(column) {
            None => {
                let known: Vec<&str> = columns.iter().map(|column| column.header.as_str()).collect();
                let known = known.join(", ");
                let says = Says::new(format!("没有此列；可用：{known}"), format!("there is no such column; known: {known}"));
                faults.push(Fault::new(pointer, "unknown_column", says));
            }
            Some(meaning) if taken.contains(&meaning.column) => {
                faults.push(Fault::new(pointer, "duplicate_column", Says::new("此列出现了不止一次", "the column stands more than once")));
            }
            Some(meaning) => taken.push(meaning.column),
        }
    }
    let members = draft.columns.iter().map(|(header, column)| (header.clone(), column.clone().map_or(Value::Null, Value::String)));
    if let Err(error) = Mapping::of(members) {
        faults.extend(error.under("/columns").faults);
    }
    Error::unless_empty(faults)
}

/// The caller's mappings, by name.
#[utoipa::path(
    operation_id = "import_mappings_list", tag = "imports", summary = "我的列映射 / The caller's mappings", params(MappingsQuery),
    responses((status = 200, description = "All of them, two hundred at most.", body = ImportMappings)),
)]
#[get("/import-mappings")]
pub async fn list(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    let query = Pairs::parse(request.query_string())?.into_json(&filter_shape::<MappingsQuery>())?;
    let query: MappingsQuery = serde_json::from_value(query).map_err(Error::internal)?;
    let rows: Vec<Row> = db
        .read(move |conn| {
            let all = t::table.filter(t::user_id.eq(caller.actor.id)).order(t::name);
            Ok(all.select(Row::as_select()).load(conn)?)
        })
        .await?;
    let wanted = query.resource.map(|resource| resource.replace('-', "_"));
    let rows = rows.into_iter().filter(|row| wanted.as_ref().is_none_or(|wanted| *wanted == row.resource));
    Ok(HttpResponse::Ok().json(ImportMappings { items: rows.map(Row::shown).collect::<Result<_>>()? }))
}

/// One of the caller's mappings.
#[utoipa::path(
    operation_id = "import_mappings_get", tag = "imports", summary = "读取列映射 / Read a mapping",
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The mapping.", body = ImportMapping)),
)]
#[get("/import-mappings/{name}")]
pub async fn one(caller: Caller, db: web::Data<Db>, name: web::Path<String>) -> Result<HttpResponse> {
    let row = named(&db, caller.actor.id, name.into_inner()).await?.ok_or_else(Error::not_found)?;
    Ok(HttpResponse::Ok().json(row.shown()?))
}

/// Deletes one of the caller's mappings.
#[utoipa::path(
    operation_id = "import_mappings_delete", tag = "imports", summary = "删除列映射 / Delete a mapping",
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 204, description = "Deleted.")),
)]
#[delete("/import-mappings/{name}")]
pub async fn delete(request: HttpRequest, caller: Caller, db: web::Data<Db>, name: web::Path<String>) -> Result<HttpResponse> {
    let name = name.into_inner();
    let user = caller.actor.id;
    let deed = handlers::deed_of(&request, &caller, &[], false)?;
    let reply = db
        .write(deed, move |tx| {
            let row: Row = t::table.filter(t::user_id.eq(user)).filter(t::name.eq(&name)).select(Row::as_select()).first(tx.conn)?;
            diesel::delete(t::table.filter(t::id.eq(row.id))).execute(tx.conn)?;
            let id = row.id;
            let detail = serde_json::to_value(row.shown()?).map_err(Error::internal)?;
            tx.audit(Action::Delete.code(), RESOURCE, Some(id), None, Some(&detail));
            Ok(Reply { status: StatusCode::NO_CONTENT.as_u16(), location: None, etag: None, body: Vec::new(), kept: None, replayed: false })
        })
        .await?;
    Ok(handlers::respond(reply))
}

async fn named(db: &Db, user: Id, name: String) -> Result<Option<Row>> {
    db.read(move |conn| {
        Ok(t::table.filter(t::user_id.eq(user)).filter(t::name.eq(&name)).select(Row::as_select()).first(conn).optional()?)
    })
    .await
}

/// A kept mapping, for an import of this resource.
///
/// # Errors
/// `validation_failed` at `/mapping_name` where the caller has none of this name, or it is for another resource.
pub async fn saved(db: &Db, user: Id, name: &str, resource: &str) -> Result<Mapping> {
    let Some(row) = named(db, user, name.to_owned()).await? else {
        return Err(Error::field(
            "/mapping_name",
            "unknown_mapping",
            "您没有此名称的映射；已保存的见 GET /import-mappings",
            "you have no mapping of this name; see GET /import-mappings for those you keep",
        ));
    };
    if row.resource != resource {
        let of = row.resource.replace('_', "-");
        return Err(Error::field(
            "/mapping_name",
            "mapping_of_another_resource",
            format!("此映射用于导入 {of}"),
            format!("the mapping is for files of {of}"),
        ));
    }
    let members: serde_json::Map<String, Value> = serde_json::from_str(&row.headers).map_err(Error::internal)?;
    Mapping::of(members)
}
