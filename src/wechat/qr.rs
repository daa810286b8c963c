//! Codes to scan: at a team's place or an event to check in, at a workstation for its page. What a code says is a scene of at most 32
//! characters, in which a UUID with hyphens finds no room: so it is a letter for the kind of place, and the id to the base 62.

use actix_web::{HttpRequest, HttpResponse, get, web};
use diesel::prelude::*;
use serde_json::json;

use super::client::Api;
use super::errors::Meaning;
use super::{Settings, WeChat, token};
use crate::auth::Caller;
use crate::db::{Db, Deed};
use crate::error::{Code, Error, Result};
use crate::policy::Action;
use crate::schema::wechat_qr_codes as t;
use crate::types::{Id, Instant, TextEnum};
use crate::web::handlers::{id_of, no_parameters};
use crate::web::verbs::named;

/// Which page of the mini-program a code opens.
type Page = fn(&Settings) -> &String;

/// The places that have codes: the resource, its letter, its page.
const PLACES: [(&str, char, Page); 3] = [
    ("volunteer_teams", 't', |settings| &settings.check_in_page),
    ("campaign_events", 'e', |settings| &settings.check_in_page),
    ("workstations", 'w', |settings| &settings.workstation_page),
];

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Digits to the base 62 that hold 128 bits.
const ID_LENGTH: usize = 22;

/// What the code of a place says; `None` of a resource that has no codes.
pub fn scene(resource: &str, id: Id) -> Option<String> {
    let (_, letter, _) = PLACES.iter().find(|(of, ..)| *of == resource)?;
    let mut digits = [b'0'; ID_LENGTH];
    let mut rest = id.0.as_u128();
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    Some(std::iter::once(*letter).chain(digits.map(char::from)).collect())
}

/// The place that a code speaks of.
pub fn place(scene: &str) -> Option<(&'static str, Id)> {
    let mut letters = scene.chars();
    let letter = letters.next()?;
    let (resource, ..) = PLACES.iter().find(|(_, of, _)| *of == letter)?;
    let digits = letters.as_str();
    if digits.len() != ID_LENGTH {
        return None;
    }
    let number = digits.bytes().try_fold(0_u128, |sum, digit| {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        sum.checked_mul(62)?.checked_add(value as u128)
    })?;
    Some((*resource, Id(uuid::Uuid::from_u128(number))))
}

#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = t)]
struct Row {
    id: Id,
    app_id: String,
    resource: String,
    record_id: Id,
    page: String,
    environment: String,
    media_type: String,
    image: Vec<u8>,
    created_at: Instant,
}

/// The code to scan at a team, an event or a workstation, as an image. WeChat draws it once; then it is kept.
#[utoipa::path(operation_id = "wechat_qr_codes_get", tag = "wechat", summary = "小程序码 / A code to scan",
    params(("resource" = String, Path, description = "`volunteer-teams`, `campaign-events` or `workstations`.", example = "volunteer-teams"),
        ("id" = Id, Path, description = "Id of the record.")),
    responses((status = 200, description = "The image.", content((Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg")))))]
#[get("/wechat/qr-codes/{resource}/{id}")]
pub async fn code(request: HttpRequest, caller: Caller, db: web::Data<Db>, wechat: web::Data<WeChat>) -> Result<HttpResponse> {
    let resource = request.match_info().get("resource").unwrap_or_default().replace('-', "_");
    let (resource, _, page) = PLACES.iter().find(|(of, ..)| *of == resource).ok_or_else(Error::not_found)?;
    let verbs = named(resource).ok_or_else(|| Error::internal(format_args!("no resource is called {resource}")))?;
    let scope = caller.actor.may(verbs.area(), Action::Read)?;
    let id = id_of(&request)?;
    no_parameters(&request)?;
    // Whoever may not see the record is told so, whatever is switched on.
    if db.read(move |conn| verbs.known_ids(conn, &scope, &[id])).await?.is_empty() {
        return Err(Error::not_found());
    }
    let api = wechat.api()?;
    let (app_id, page) = (api.settings.app_id.clone(), page(&api.settings).clone());
    let environment = api.settings.environment.code();
    let wanted = page.clone();
    let kept: Option<(String, Vec<u8>)> = db
        .read(move |conn| {
            let one = t::table
                .filter(t::record_id.eq(id))
                .filter(t::resource.eq(*resource))
                .filter(t::app_id.eq(&app_id))
                .filter(t::page.eq(&wanted))
                .filter(t::environment.eq(environment));
            Ok(one.select((t::media_type, t::image)).first(conn).optional()?)
        })
        .await?;
    let (media_type, image) = match kept {
        Some(kept) => kept,
        None => wechat.ask(&db, move |api, db| draw(api, db, resource, id, &page)).await?,
    };
    Ok(HttpResponse::Ok().content_type(media_type).insert_header(("Content-Disposition", "inline")).body(image))
}

fn draw(api: &Api, db: &Db, resource: &str, id: Id, page: &str) -> Result<(String, Vec<u8>)> {
    let scene = scene(resource, id).ok_or_else(Error::not_found)?;
    let environment = api.settings.environment.code();
    // Only of a released mini-program does WeChat know the pages.
    let released = api.settings.environment == super::Environment::Release;
    let wanted = json!({"scene": scene, "page": page, "check_path": released, "env_version": environment});
    let drawn = token::with(api, db, |token| api.qr_code(token, &wanted));
    let (media_type, image) = drawn.map_err(|failure| match failure.meaning() {
        Some(Meaning::Page) => {
            log::error!("the mini-program has no page {page} in its released version (41030)");
            Error::because(
                Code::FeatureOff,
                format!("小程序的正式版中没有页面 {page}；请联系管理员"),
                format!("the released mini-program has no page {page}; ask the administrator"),
            )
        }
        _ => failure.told(Instant::now()),
    })?;
    let row = Row {
        id: Id::new(),
        app_id: api.settings.app_id.clone(),
        resource: resource.to_owned(),
        record_id: id,
        page: page.to_owned(),
        environment: environment.to_owned(),
        media_type: media_type.to_owned(),
        image,
        created_at: Instant::now(),
    };
    let kept = db.write_background(&Deed::of_operator("wechat"), |tx| Ok(diesel::insert_into(t::table).values(&row).execute(tx.conn)?));
    match kept {
        // Another may have asked for the same at once.
        Ok(_) => {}
        Err(error) if error.code == Code::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    Ok((row.media_type, row.image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_tells_its_place_again() {
        for id in [Id::new(), Id(uuid::Uuid::nil()), Id(uuid::Uuid::max())] {
            for (resource, ..) in PLACES {
                let scene = scene(resource, id).expect("a scene");
                assert_eq!(scene.len(), 23);
                assert!(scene.len() <= 32 && scene.bytes().all(|b| b.is_ascii_alphanumeric()));
                assert_eq!(place(&scene), Some((resource, id)));
            }
        }
        assert_eq!(scene("persons", Id::new()), None);
        for wrong in ["", "t", "x0000000000000000000000", "tzzzzzzzzzzzzzzzzzzzzzz", "t000000000000000000000-", "t00000000000000000000000"]
        {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }
}
