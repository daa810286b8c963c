//! `GET /exports/{resource}`: who may, what was asked for, and the file on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, get, web};
use diesel::prelude::*;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::pipe::{Outlet, pipe};
use super::tables::broken;
use super::{Export, Format};
use crate::app::Facts;
use crate::auth::Caller;
use crate::db::{Db, Tx, held};
use crate::error::{Code, Error, Fault, Language, Result, Says};
use crate::files::attached;
use crate::policy::{Action, Actor, Area};
use crate::schema::{audit_events, users};
use crate::types::{CoordinateSystem, Id, Instant, TextEnum, business_today};
use crate::web::Sort;
use crate::web::handlers::deed_of;
use crate::web::query::Pairs;
use crate::web::verbs::{self, Verbs};

/// How long a chunk of 64 KiB may wait for a caller who reads slowly: nobody holds a connection to the database for less than
/// 2 KiB/s.
const STALLED: Duration = Duration::from_secs(30);

/// Exports a list: what `GET /{resource}` shows with the same filter, all of it and oldest first.
///
/// The columns are those that an import of the resource takes (`GET /import-columns/{resource}`), references by code; after
/// them stand those that only show something, which an import leaves alone. So a file goes out and comes back with
/// `mode=upsert`, and what nobody touched is unchanged. CSV and XLSX have Chinese headers and labels, or English headers and
/// codes with `headers=en`; a text that a spreadsheet would take for a formula begins with an apostrophe, which an import
/// takes off. NDJSON has an object a line. GeoJSON (RFC 7946) is of resources with places, in WGS-84 unless
/// `coordinate_system` says otherwise.
///
/// The file is of one moment. Where something breaks on the way, the body is broken off and never ends as if it were whole.
///
/// ID numbers and phones are masked. `identifiers=full` with a `purpose` shows those of persons in the caller's reach to who
/// may reveal them, so often an hour at most. Every export is in the audit log.
#[utoipa::path(
    operation_id = "exports_get", tag = "exports", summary = "导出列表 / Export a list",
    params(
        ("resource" = String, Path, description = "The resource, as in its address. All parameters of its list that filter are taken here as well.", example = "volunteers"),
        ("format" = inline(Option<Format>), Query, description = "`csv` when absent."),
        ("headers" = inline(Option<Headers>), Query, description = "Language of the headers and labels of CSV and XLSX; `zh` when absent."),
        ("sort" = Option<String>, Query, description = "As of the list; `created_at` when absent, so that an import finds what is referred to first.", example = "created_at"),
        ("coordinate_system" = inline(Option<CoordinateSystem>), Query, description = "Of GeoJSON: `wgs84` when absent. Otherwise as the list has it."),
        ("identifiers" = inline(Option<Identifiers>), Query, description = "`masked` when absent."),
        ("purpose" = Option<String>, Query, description = "What whole numbers are for, 4 to 200 characters: kept in the audit log.", example = "核对慰问金收款人身份"),
    ),
    responses((status = 200, description = "The file.",
        headers(("Content-Disposition" = String, description = "The file's name: the resource's label and the day.")),
        content(
            (String = "text/csv"), (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            (String = "application/x-ndjson"), (Value = "application/geo+json"),
        ))),
)]
#[get("/exports/{resource}")]
pub async fn as_file(request: HttpRequest, caller: Caller, db: web::Data<Db>, facts: web::Data<Facts>) -> Result<HttpResponse> {
    let Asked { export, purpose } = Asked::of(&caller.actor, resource_of(&request)?, request.query_string())?;

    // As many at once as leave connections for everybody else.
    let place = tokio::time::timeout(facts.answer_within, facts.exporting.clone().acquire_owned()).await;
    let Ok(Ok(place)) = place else {
        return Err(Error::because(Code::Overloaded, "同时进行的导出过多，请稍后再试", "too many exports are running; try again shortly")
            .retry_after(10));
    };
    let mut deed = deed_of(&request, &caller, &[], false)?;
    deed.once = None;
    let most = facts.full_exports_an_hour;
    let begin = export.clone();
    let begun = db.write_value(deed.clone(), move |tx| record_begin(tx, &begin, purpose.as_deref(), most)).await?;

    let turn = db.long_turn().await?;
    let (mut inlet, mut outlet) = pipe(STALLED);
    let (tell, told) = oneshot::channel();
    let rows = Arc::new(AtomicU64::new(0));
    let name = file_name(&export);
    let format = export.format;
    let organization_id = export.scope.root();
    let resource = export.verbs.name();
    let written = rows.clone();
    let source = db.get_ref().clone();
    let thread = std::thread::Builder::new().name("export".into()).spawn(move || {
        let outcome = export.write(&source, &mut inlet, &written).and_then(|()| inlet.finish().map_err(broken));
        drop((turn, place));
        // Nobody may be left to tell it to.
        let _ = tell.send(outcome);
    });
    thread.map_err(Error::internal)?;

    // Whatever becomes of the caller, the end is recorded; and a file ends only once it is.
    let (record, recorded) = oneshot::channel();
    let db = db.get_ref().clone();
    actix_web::rt::spawn(async move {
        let outcome = told.await.unwrap_or_else(|_| Err(Error::internal("an export ended without a word")));
        let rows = rows.load(Ordering::Relaxed);
        let completed = outcome.is_ok();
        let end = db.write_value(deed, move |tx| {
            record_end(tx, resource, organization_id, begun, rows, completed);
            Ok(())
        });
        let _ = record.send(outcome.and(end.await));
    });

    let Some(first) = outlet.next().await else {
        // Over before there was anything to send: that can still be told in full.
        ended(recorded).await?;
        return Ok(respond(format, &name).finish());
    };
    Ok(respond(format, &name).streaming(body(first, outlet, recorded)))
}

/// The chunks, and at their end either that or an error, which breaks the connection off.
fn body(first: Bytes, outlet: Outlet, recorded: Recorded) -> impl futures_util::Stream<Item = Result<Bytes>> {
    futures_util::stream::unfold((Some(first), Some((outlet, recorded))), |(first, rest)| async move {
        if let Some(first) = first {
            return Some((Ok(first), (None, rest)));
        }
        let (mut outlet, recorded) = rest?;
        match outlet.next().await {
            Some(chunk) => Some((Ok(chunk), (None, Some((outlet, recorded))))),
            None => ended(recorded).await.err().map(|error| (Err(error), (None, None))),
        }
    })
}

type Recorded = oneshot::Receiver<Result<()>>;

async fn ended(recorded: Recorded) -> Result<()> {
    recorded.await.unwrap_or_else(|_| Err(Error::internal("the end of an export was not recorded")))
}

/// The resource that an address names.
pub fn resource_of(request: &HttpRequest) -> Result<&'static dyn Verbs> {
    let segment = request.match_info().get("resource").unwrap_or_default();
    verbs::named(&segment.replace('-', "_")).ok_or_else(|| {
        let known: Vec<String> = verbs::registry().iter().map(|verbs| verbs.name().replace('_', "-")).collect();
        let known = known.join(", ");
        Error::because(Code::NotFound, format!("没有此类记录；可用：{known}"), format!("there is no such resource; known: {known}"))
    })
}

pub fn file_name(export: &Export) -> String {
    format!("{}-{}.{}", export.name(), business_today(Instant::now()), export.format.code())
}

/// The head of an answer that is a file.
pub fn respond(format: Format, name: &str) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.content_type(format.media_type());
    response.insert_header(attached(name));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response
}

crate::types::text_enum! {
    /// The language of a table's headers and labels.
    Headers {
        Zh = "zh", "中文", "Chinese headers and labels";
        En = "en", "英文", "English headers, and codes";
    }
}

crate::types::text_enum! {
    /// How ID numbers and phones stand in an export.
    Identifiers {
        Masked = "masked", "掩码", "masked";
        Full = "full", "完整号码", "whole";
    }
}

/// An export that is asked for, and may be made.
pub struct Asked {
    pub export: Export,
    /// What whole numbers are for.
    pub purpose: Option<String>,
}

impl Asked {
    /// Decides whether somebody may, and reads what they ask for in a query string.
    ///
    /// # Errors
    /// `forbidden` where the role doesn't read the list, or may not reveal; `invalid_parameter` with all faults;
    /// `not_acceptable` where the resource doesn't have the format.
    pub fn of(actor: &Actor, verbs: &'static dyn Verbs, query: &str) -> Result<Self> {
        let scope = actor.may(verbs.area(), Action::Read)?;
        let mut pairs = Pairs::parse(query)?;
        let mut faults = Vec::new();
        let format = choice(&mut pairs, "format", Format::Csv, &mut faults);
        let headers = choice(&mut pairs, "headers", Headers::Zh, &mut faults);
        let identifiers = choice(&mut pairs, "identifiers", Identifiers::Masked, &mut faults);
        let coordinate_system = match format {
            Format::Geojson => choice(&mut pairs, "coordinate_system", CoordinateSystem::Wgs84, &mut faults),
            _ => CoordinateSystem::Wgs84,
        };
        let sort = match pairs.take("sort") {
            None => Sort::Oldest,
            Some(text) => Sort::parse(&text).filter(|_| verbs.sorts().contains(&&*text)).unwrap_or_else(|| {
                let known = verbs.sorts();
                let says = Says::new(format!("应为下列之一：{}", known.join("、")), format!("this should be one of: {}", known.join(", ")));
                faults.push(Fault::new("/sort", "invalid_parameter", says));
                Sort::Oldest
            }),
        };
        let purpose = pairs.take("purpose").map(|text| text.trim().to_owned());
        let whole = identifiers == Identifiers::Full;
        if purpose.as_ref().is_some_and(|text| !(4..=200).contains(&text.chars().count())) || (whole && purpose.is_none()) {
            let says = Says::new(
                "导出完整号码须说明用途（purpose，4–200 字）",
                "whole numbers are exported for a purpose, told in `purpose` with 4 to 200 characters",
            );
            faults.push(Fault::new("/purpose", "invalid_parameter", says));
        }
        if !faults.is_empty() {
            return Err(Error::with_faults(Code::InvalidParameter, faults));
        }
        let filter = pairs.into_json(verbs.filter_shape())?;
        let revealing = whole.then(|| actor.may(Area::People, Action::Reveal)).transpose()?;
        let headers = if headers == Headers::En { Language::En } else { Language::Zh };
        let export = Export { verbs, scope, filter, sort, format, headers, coordinate_system, revealing };
        let layout = export.layout();
        let label = verbs.label();
        if format == Format::Geojson && !layout.is_placed() {
            return Err(Error::because(
                Code::NotAcceptable,
                format!("{}没有坐标；可用的格式：csv、xlsx、ndjson", label.0),
                format!("a {} has no coordinates; its formats are csv, xlsx and ndjson", label.1),
            ));
        }
        if whole && layout.identified.is_none() {
            let says = Says::new(
                format!("{}没有身份证号和手机号，不必要求完整号码", label.0),
                format!("a {} has neither an ID number nor a phone: leave `identifiers` out", label.1),
            );
            return Err(Error::with_faults(Code::InvalidParameter, vec![Fault::new("/identifiers", "no_identifiers", says)]));
        }
        Ok(Self { export, purpose })
    }
}

/// A parameter that is an entry of a dictionary.
fn choice<E: TextEnum>(pairs: &mut Pairs, name: &str, usual: E, faults: &mut Vec<Fault>) -> E {
    let Some(text) = pairs.take(name) else { return usual };
    E::from_code(&text).unwrap_or_else(|| {
        let known: Vec<&str> = E::ENTRIES.iter().map(|(code, ..)| *code).collect();
        let says = Says::new(format!("应为下列之一：{}", known.join("、")), format!("this should be one of: {}", known.join(", ")));
        faults.push(Fault::new(format!("/{name}"), "invalid_parameter", says));
        usual
    })
}

/// Writes into the audit log that an export begins, before anything of it is told; returns the event's id. With whole
/// numbers a user may do it so often an hour.
///
/// # Errors
/// `too_many_requests` where there have been as many.
pub fn record_begin(tx: &mut Tx<'_>, export: &Export, purpose: Option<&str>, most_an_hour: i64) -> Result<Id> {
    let whole = export.revealing.is_some();
    if whole {
        let actor = tx.actor()?;
        // One after the other, so that two at once don't both count the other out.
        held!(tx.conn, users::table.find(actor).select(users::id))?;
        let recent: i64 = audit_events::table
            .filter(audit_events::actor_id.eq(actor))
            .filter(audit_events::action.eq(Action::Export.code()))
            .filter(audit_events::at.gt(tx.now.plus_seconds(-3_600)))
            .filter(audit_events::detail.like(format!("%{WHOLE}%")))
            .count()
            .get_result(tx.conn)?;
        if recent >= most_an_hour {
            return Err(Error::because(
                Code::TooManyRequests,
                format!("每小时最多导出 {most_an_hour} 次完整号码，请稍后再试，或导出掩码"),
                format!("whole numbers may be exported {most_an_hour} times an hour; try later, or export them masked"),
            )
            .retry_after(600));
        }
    }
    let identifiers = if whole { Identifiers::Full } else { Identifiers::Masked };
    let detail = json!({
        "format": export.format, "filter": export.filter, "identifiers": identifiers, "purpose": purpose,
    });
    let asked = export.filter.get("organization_id").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let organization_id = export.scope.root().or(asked);
    Ok(tx.audit(Action::Export.code(), export.verbs.name(), None, organization_id, Some(&detail)).id)
}

/// How the event of an export with whole numbers is known: no text in a detail holds a bare quotation mark.
const WHOLE: &str = "\"identifiers\":\"full\"";

/// Writes into the audit log how an export ended: with how many records, and whether the file was whole.
pub fn record_end(tx: &mut Tx<'_>, resource: &'static str, organization_id: Option<Id>, begun: Id, rows: u64, completed: bool) {
    let detail = json!({"begun": begun, "rows": rows, "completed": completed});
    tx.audit(Action::Export.code(), resource, None, organization_id, Some(&detail));
}
