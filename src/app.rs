//! The only place where routes are mounted and middleware is ordered.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::middleware::{Compress, Condition, from_fn};
use actix_web::{App, HttpServer, web};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_actix_web::{AppExt, scope};

use crate::attachments::AttachmentLimits;
use crate::audit::refusals::Refusals;
use crate::audit::seal;
use crate::auth::{Auth, AuthConfig};
use crate::config::Config;
use crate::db::Db;
use crate::error::Result;
use crate::files::read::Limits;
use crate::jobs::Jobs;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::storage::Storage;
use crate::vault::Vault;
use crate::web::contract::{self, Contract};
use crate::web::rates::{self, Rates};
use crate::web::{frame, handlers, verbs};
use crate::wechat::{self, WeChat};
use crate::{attachments, audit, auth, eligibility, exports, figures, health, imports, integrity, me, public, reports, resources};

/// How soon a changed key file counts: a stolen key must be dead within a minute.
const KEYS_READ_EVERY: Duration = Duration::from_secs(30);

/// What every request may need besides the database.
pub struct Facts {
    pub metrics: Metrics,
    pub behind_tls: bool,
    /// The address that callers use.
    pub public_url: String,
    pub body_within: Duration,
    pub import_limits: Limits,
    pub refusals: Refusals,
    /// Held by who verifies the audit log.
    pub verifying: Semaphore,
    /// Held by exports: half of the connections to the database at most.
    pub exporting: Arc<Semaphore>,
    /// Exports with whole numbers that one user may make.
    pub full_exports_an_hour: i64,
    pub attachment_limits: AttachmentLimits,
    /// Held by who paints a picture anew.
    pub painting: Semaphore,
    pub answer_within: Duration,
    head_within: Duration,
    draining: AtomicBool,
}

impl Facts {
    /// Whether the server is about to stop: it still answers, and wishes for no further requests.
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// The parts of a running service. Cheap to clone: each worker gets one.
#[derive(Clone)]
pub struct Service {
    pub db: Db,
    pub auth: web::Data<Auth>,
    pub jobs: web::Data<Jobs>,
    pub outbox: web::Data<Outbox>,
    pub wechat: web::Data<WeChat>,
    facts: web::Data<Facts>,
    contract: web::Data<Contract>,
    storage: web::Data<Storage>,
    remembered: web::Data<public::Remembered>,
    rates: web::Data<Rates>,
    allowed_origins: Arc<Vec<String>>,
}

impl Service {
    pub fn new(config: &Config, contract: web::Data<Contract>) -> Result<Self, String> {
        let db = Db::new(
            config.target.clone(),
            config.db_connections,
            config.answer_within,
            Arc::new(Vault::new(&config.data_key, config.other_data_keys.iter().map(|key| &**key))),
            config.second_approval,
            config.outbox.networks.clone(),
        );
        let auth = Auth::new(AuthConfig {
            key_files: config.signing_keys.clone(),
            issuer: config.public_url.clone(),
            audience: "yiyong".into(),
            trusted_proxies: config.trusted_proxies.clone(),
            behind_tls: config.behind_tls,
        })?;
        let jobs = Jobs::new(config.jobs);
        let workers = jobs.clone();
        db.when_work_is_placed(move || workers.wake());
        let metrics = Metrics::new().map_err(|error| error.to_string())?;
        Ok(Self {
            db,
            auth: web::Data::new(auth),
            jobs: web::Data::new(jobs),
            outbox: web::Data::new(Outbox::new(config.outbox.clone())),
            wechat: web::Data::new(WeChat::new(config.wechat.clone())),
            facts: web::Data::new(Facts {
                metrics,
                behind_tls: config.behind_tls,
                public_url: config.public_url.clone(),
                body_within: config.body_within,
                import_limits: config.import_limits,
                refusals: Refusals::default(),
                verifying: Semaphore::new(1),
                exporting: Arc::new(Semaphore::new((config.db_connections as usize / 2).max(1))),
                full_exports_an_hour: config.full_exports_an_hour,
                attachment_limits: config.attachment_limits,
                painting: Semaphore::new(1),
                answer_within: config.answer_within,
                head_within: config.head_within,
                draining: AtomicBool::new(false),
            }),
            contract,
            storage: web::Data::new(Storage::open(&config.storage)?),
            remembered: web::Data::default(),
            rates: web::Data::new(Rates::new(config.rates)),
            allowed_origins: Arc::new(config.allowed_origins.clone()),
        })
    }

    pub fn storage(&self) -> &Storage {
        &self.storage
    }
}

/// What is annotated at its handler. The verbs of the resources are mounted by `web::handlers` and documented by `web::verbs`.
fn annotated(config: &mut ServiceConfig<'_>) {
    auth::mount(config);
    public::mount(config);
    attachments::mount(config);
    wechat::mount(config);
    config
        .service(resources::persons::reveal)
        .service(resources::users::binding_code)
        .service(resources::service_records::check_in)
        .service(resources::contact_changes::ask)
        .service(me::me)
        .service(resources::bank_transfers::file::file)
        .service(resources::bank_transfers::results::results)
        .service(resources::bank_transfers::reconciliation::reconciliation)
        .service(eligibility::explained)
        .service(resources::public_notices::lines_of)
        .service(resources::webhooks::send_test)
        .service(resources::notifications::list)
        .service(resources::notifications::read_all)
        .service(resources::notifications::read)
        .service(resources::notifications::one)
        .service(audit::api::verification)
        .service(audit::api::checkpoints)
        .service(figures::catalogue_of)
        .service(figures::one)
        .service(reports::annual_report)
        .service(reports::annual_chart)
        .service(resources::circulars::document::document)
        .service(resources::report_snapshots::document)
        .service(resources::certificates::certificate_document)
        .service(resources::report_snapshots::changes)
        .service(reports::vacancies::vacancies)
        .service(resources::targets::progress::progress)
        .service(reports::compliance_report)
        .service(imports::create)
        .service(imports::list)
        .service(imports::columns_of)
        .service(imports::rows)
        .service(imports::file_back)
        .service(imports::events)
        .service(imports::cancel)
        .service(imports::undo_one)
        .service(imports::template_of)
        .service(imports::list_mappings)
        .service(imports::put_mapping)
        .service(imports::one_mapping)
        .service(imports::delete_mapping)
        .service(imports::one)
        .service(exports::as_file)
        .service(exports::files::create)
        .service(exports::files::list)
        .service(exports::files::content)
        .service(exports::files::cancel)
        .service(exports::files::one)
        .service(integrity::integrity)
        .service(contract::openapi_json);
}

/// The contract, whole: it is built from the same lists that are mounted, without starting a server.
pub fn document() -> Value {
    let (_, annotated) =
        App::new().into_utoipa_app().service(scope::scope("/api/v1").configure(annotated)).configure(at_the_root).split_for_parts();
    let mut document = serde_json::to_value(annotated).unwrap_or_default();
    document["openapi"] = "3.1.0".into();
    document["info"] = json!({
        "title": "义勇 yiyong",
        "version": "1.0.0",
        "description": "见义勇为协会的记录、救助发放与由记录计算的年度报告。\n\nRecords, welfare and the computed yearly report of a city's associations for courageous acts. Money is integer 分 (`_fen`); ids are UUIDv7; days are of Asia/Shanghai; `null` means unknown.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    });
    document["servers"] = json!([{"url": "/", "description": "This server"}]);
    document["tags"] = json!([
        {"name": "auth", "description": "登录与权限 / Signing in, and what one may do"},
        {"name": "audit", "description": "审计日志的校验 / Proof that the audit log is whole"},
        {"name": "imports", "description": "导入 / Files in"},
        {"name": "exports", "description": "导出 / Files out"},
        {"name": "attachments", "description": "附件 / Files that belong to records"},
        {"name": "notifications", "description": "通知 / What one is told"},
        {"name": "figures", "description": "指标与报告 / Figures and the report, each linked to its records"},
        {"name": "me", "description": "本人档案 / The caller's own record"},
        {"name": "wechat", "description": "微信小程序 / The mini-program of WeChat"},
        {"name": "public", "description": "公众可读，无需登录 / For anybody, without a token"},
        {"name": "service", "description": "运行状态 / The service itself"},
    ]);
    for verbs in verbs::registry() {
        verbs.describe(&mut document);
    }
    contract::finish(&mut document);
    document
}

fn at_the_root(config: &mut ServiceConfig<'_>) {
    config.service(auth::jwks).service(health::live).service(health::ready).service(health::metrics);
}

fn cors(origins: &[String]) -> Cors {
    let mut cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::ACCEPT_LANGUAGE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::RANGE,
            header::IF_RANGE,
            header::HeaderName::from_static("idempotency-key"),
            header::HeaderName::from_static("x-request-id"),
        ])
        .expose_headers([
            "Content-Disposition",
            "ETag",
            "Link",
            "Location",
            "Accept-Ranges",
            "Content-Range",
            "RateLimit",
            "RateLimit-Policy",
            "Retry-After",
            "X-Request-Id",
            "Idempotent-Replayed",
        ])
        .max_age(3600);
    for origin in origins {
        cors = cors.allowed_origin(origin);
    }
    cors
}

/// Serves until the process is told to stop. On SIGTERM it first answers for a while as one that is about to go (not
/// ready, no connection kept), so that a balancer turns elsewhere before anything is refused; then it takes no more
/// connections and lets what runs finish. Ctrl-C leaves that while out.
pub async fn serve_until_told(
    service: Service,
    listener: TcpListener,
    workers: usize,
    connections_to_database: usize,
    drain: Duration,
) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let facts = service.facts.clone();
    let auth = service.auth.clone();
    actix_web::rt::spawn(async move {
        loop {
            tokio::time::sleep(KEYS_READ_EVERY).await;
            match auth.reread_keys() {
                Ok(true) => log::info!("the signing keys have changed"),
                Ok(false) => {}
                Err(error) => log::error!("the signing keys stay as they were: {error}"),
            }
        }
    });
    actix_web::rt::spawn(keep_the_log(service.clone()));
    actix_web::rt::spawn(attachments::keep_clean(service.clone()));
    let at_work = (service.jobs.start(&service.db), service.outbox.start(&service.db), service.wechat.start(&service.db));
    let server = serve(service, listener, workers, connections_to_database)?;
    let handle = server.handle();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    actix_web::rt::spawn(async move {
        let drains = tokio::select! {
            _ = terminate.recv() => true,
            _ = interrupt.recv() => false,
        };
        facts.draining.store(true, Ordering::Relaxed);
        log::info!("stopping: what runs is let finish");
        if drains {
            tokio::time::sleep(drain).await;
        }
        handle.stop(true).await;
    });
    let served = server.await;
    // What still runs is let go of, for another server or the next start.
    drop(at_work);
    served
}

/// Each second seals what has been written into the audit log, so that it can be told, and tells how many refusals a minute has left out.
pub async fn keep_the_log(service: Service) {
    let mut failing = false;
    for second in 0_u64.. {
        let outcome = seal::catch_up(&service.db, &service.auth.keys(), seal::back_in(second)).await;
        seal::told(&mut failing, &outcome);
        service.facts.refusals.note(&service.db, None);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Serves on a listener until its handle is told to stop; then lets what runs finish.
pub fn serve(service: Service, listener: TcpListener, workers: usize, connections_to_database: usize) -> std::io::Result<Server> {
    // Measured: as many blocking threads as there are connections beats the default of hundreds, which only queue
    // at the pool. A few more keep hashing and imports from standing in the way of reads.
    let blocking = connections_to_database.div_ceil(workers) + 2;
    let head_within = service.facts.head_within;
    let server = HttpServer::new(move || {
        let service = service.clone();
        let has_origins = !service.allowed_origins.is_empty();
        App::new()
            .wrap(from_fn(rates::by_address))
            .wrap(Compress::default())
            .wrap(Condition::new(has_origins, cors(&service.allowed_origins)))
            .wrap(from_fn(frame::frame))
            .app_data(web::Data::new(service.db.clone()))
            .app_data(service.auth.clone())
            .app_data(service.jobs.clone())
            .app_data(service.outbox.clone())
            .app_data(service.wechat.clone())
            .app_data(service.facts.clone())
            .app_data(service.contract.clone())
            .app_data(service.storage.clone())
            .app_data(service.remembered.clone())
            .app_data(service.rates.clone())
            .into_utoipa_app()
            .service(scope::scope("/api/v1").map(|scope| scope.configure(handlers::mount)).configure(annotated))
            .configure(at_the_root)
            .into_app()
            .service(web::redirect("/docs", "/docs/"))
            .service(
                utoipa_swagger_ui::SwaggerUi::new("/docs/{_:.*}")
                    .config(utoipa_swagger_ui::Config::from("/api/v1/openapi.json").persist_authorization(false)),
            )
    })
    .workers(workers)
    .worker_max_blocking_threads(blocking)
    .client_request_timeout(head_within)
    .keep_alive(Duration::from_secs(75))
    .max_connections(10_000)
    .shutdown_timeout(30)
    .disable_signals()
    .listen(listener)?;
    Ok(server.run())
}
