//! How far a target has come: the figure that it names, computed now for its association and year, beside the value that is wanted.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::{TargetPhase, Targets};
use crate::auth::Caller;
use crate::db::{AnyConnection, Db, Tree};
use crate::error::Result;
use crate::figures::{self, Figure, FigureKind, Ground, Span};
use crate::policy::{Action, Area, Scope};
use crate::types::{Id, Precision};
use crate::web::Resource;
use crate::web::handlers::{id_of, no_parameters};

/// What a target wants, and what has been reached of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TargetProgress {
    pub target_id: Id,
    pub organization_id: Id,
    /// Code of the figure.
    pub indicator: String,
    pub year: i32,
    pub phase: Option<TargetPhase>,
    /// What is wanted.
    pub value: i64,
    /// What the value counts.
    #[schema(example = "个")]
    pub unit: String,
    /// The figure's value now; null where nothing is known, and where the indicator is no figure that can be computed for the association.
    pub reached: Option<i64>,
    /// How well it is known.
    pub precision: Option<Precision>,
    /// What has been reached of what is wanted, in whole per cent, rounded down; null where that isn't known.
    pub percent: Option<i64>,
    /// The list of the records behind it.
    #[schema(example = "/api/v1/volunteer-teams?as_at=2022-12-31")]
    pub records_url: Option<String>,
}

/// Whole per cent of what is wanted, rounded down, so that 100 is never said too early; nothing wanted is reached.
fn percent(reached: i64, wanted: i64) -> Option<i64> {
    if wanted == 0 {
        return Some(100);
    }
    i64::try_from(i128::from(reached) * 100 / i128::from(wanted)).ok()
}

/// The figure behind a target, where there is one for its association. A standard says itself what is wanted, and measures nothing.
fn figure(conn: &mut AnyConnection, scope: &Scope, tree: &Tree, indicator: &str, organization_id: Id, year: i32) -> Result<Option<Figure>> {
    let Some(definition) = figures::named(indicator).filter(|definition| definition.kind != FigureKind::Standard) else { return Ok(None) };
    let ground = Ground::of(conn, scope, tree, Some(organization_id))?;
    if !ground.reports(definition) {
        return Ok(None);
    }
    Ok(figures::figures(conn, &ground, [definition], Span::Year(year))?.pop())
}

/// What has been reached of a target.
#[utoipa::path(operation_id = "targets_progress", tag = "targets", summary = "目标完成情况 / What has been reached of a target",
    params(("id" = Id, Path, description = "Id of the target.")),
    responses((status = 200, description = "The figure beside the target.", body = TargetProgress)))]
#[get("/targets/{id}/progress")]
pub async fn progress(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    let scope = caller.actor.may(Targets::AREA, Action::Read)?;
    let counting = caller.actor.may(Area::Figures, Action::Read)?;
    no_parameters(&request)?;
    let id = id_of(&request)?;
    let tree = db.tree().clone();
    let progress = db
        .read(move |conn| {
            let target = Targets::find(conn, &scope, id)?;
            let figure = figure(conn, &counting, &tree, &target.indicator, target.organization_id, target.year)?;
            let reached = figure.as_ref().and_then(|figure| figure.value);
            Ok(TargetProgress {
                target_id: target.id,
                organization_id: target.organization_id,
                indicator: target.indicator,
                year: target.year,
                phase: target.phase,
                value: target.value,
                unit: target.unit,
                reached,
                precision: figure.as_ref().filter(|_| reached.is_some()).map(|figure| figure.precision),
                percent: reached.and_then(|reached| percent(reached, target.value)),
                records_url: figure.map(|figure| figure.records_url),
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(progress))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_per_cent_is_never_said_too_early() {
        assert_eq!(percent(999, 1000), Some(99));
        assert_eq!(percent(1000, 1000), Some(100));
        assert_eq!(percent(3, 2), Some(150));
        assert_eq!(percent(0, 5), Some(0));
        assert_eq!(percent(0, 0), Some(100));
        assert_eq!(percent(i64::MAX, 1), None, "what is too much is not known");
    }
}
