//! Whether the service lives, whether it can work, and its metrics.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Facts;
use crate::db::{Db, migrations};
use crate::error::{Code, Error, Result};

/// How the service is.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok` when it can work.
    #[schema(example = "ok")]
    status: &'static str,
}

/// The process answers. It asks nothing of the database.
#[utoipa::path(operation_id = "health_live", tag = "service", summary = "进程存活 / The process lives", security(()), responses((status = 200, description = "It lives.", body = Health)))]
#[get("/health/live")]
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

/// The database answers and is up to date, and the server is not about to stop. A balancer should send no requests while this is 503.
#[utoipa::path(operation_id = "health_ready", tag = "service", summary = "可以接受请求 / It can work", security(()), responses((status = 200, description = "It can work.", body = Health)))]
#[get("/health/ready")]
pub async fn ready(db: web::Data<Db>, facts: web::Data<Facts>) -> Result<HttpResponse> {
    if facts.draining() {
        return Err(Error::because(Code::Overloaded, "服务正在停止", "the server is stopping").retry_after(1));
    }
    let pending = db.read(|conn| migrations::pending(conn).map_err(|_| Error::database_away())).await?;
    if pending {
        return Err(Error::because(
            Code::DatabaseUnavailable,
            "数据库结构尚未更新，请运行 yiyong migrate",
            "the database is not up to date; run yiyong migrate",
        )
        .retry_after(2));
    }
    Ok(HttpResponse::Ok().json(Health { status: "ok" }))
}

/// Counts and times in the text format of Prometheus.
#[utoipa::path(operation_id = "metrics", tag = "service", summary = "Prometheus 指标 / Prometheus metrics", security(()), responses((status = 200, description = "Metrics.", body = String, content_type = "text/plain")))]
#[get("/metrics")]
pub async fn metrics(facts: web::Data<Facts>) -> Result<HttpResponse> {
    let text = facts.metrics.text().map_err(Error::internal)?;
    Ok(HttpResponse::build(StatusCode::OK).content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}
