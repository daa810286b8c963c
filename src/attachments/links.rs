//! Links to attachments that need no token: for picture tags, which can send none.
//!
//! A link names the attachment, until when it is good and to whom it was given, and is signed with a key of the data key's. It
//! can't be taken back before it ends; with the attachment deleted it leads nowhere. Within five minutes the same caller is given the
//! same link, so that what was fetched with it can be kept.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, get, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

use super::api::{self, AttachmentLinks};
use super::store::{self, Row, Variant};
use crate::db::{Db, Deed};
use crate::error::{Code, Error, Result};
use crate::storage::Storage;
use crate::types::{Id, Instant};
use crate::vault::Vault;
use crate::web::contract::filter_shape;
use crate::web::frame::RequestFacts;
use crate::web::handlers::id_of;
use crate::web::query::Pairs;

const STEP_SECONDS: i64 = 300;

impl Variant {
    fn segment(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Thumbnail => "thumbnail",
        }
    }
}

fn what_is_signed(id: Id, variant: Variant, expires: i64, user: Id) -> String {
    format!("{id}/{}/{expires}/{user}", variant.segment())
}

/// The links of an attachment for who may see it.
pub fn of(row: &Row, user: Id, vault: &Vault, good_for: i64, now: Instant) -> AttachmentLinks {
    let until = now.0.timestamp() + good_for;
    let expires = (until + STEP_SECONDS - 1) / STEP_SECONDS * STEP_SECONDS;
    let link = |variant: Variant| {
        let signature = URL_SAFE_NO_PAD.encode(vault.hash("attachment link", what_is_signed(row.id, variant, expires, user)));
        format!("/api/v1/attachment-links/{}/{}?expires={expires}&for={user}&signature={signature}", row.id, variant.segment())
    };
    AttachmentLinks {
        content: link(Variant::Content),
        thumbnail: row.thumbnail_bytes.map(|_| link(Variant::Thumbnail)),
        expires_at: now.whole_seconds().plus_seconds(expires - now.0.timestamp()),
    }
}

/// What a link carries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Signed {
    /// Until when it is good, in seconds since 1970.
    #[serde(rename = "expires")]
    #[param(rename = "expires")]
    pub expires: i64,
    /// To whom it was given.
    #[serde(rename = "for")]
    #[param(rename = "for")]
    pub user: Id,
    pub signature: String,
}

/// The file behind a link of `links` of an attachment: without a token, for a while.
#[utoipa::path(
    operation_id = "attachment_links_get", tag = "attachments", summary = "凭短期链接取附件 / Fetch an attachment by a link that ends soon", security(()),
    params(("id" = Id, Path, description = "Id of the attachment."),
        ("variant" = String, Path, description = "`content` or `thumbnail`.", example = "thumbnail"), Signed,
        ("Range" = Option<String>, Header, description = "One range of bytes.", example = "bytes=0-1023"),
        ("If-None-Match" = Option<String>, Header, description = "An ETag that the caller holds.")),
    responses(
        (status = 200, description = "The file.", content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "application/pdf"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.presentationml.presentation"))),
        (status = 206, description = "The range.", content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "application/pdf"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.presentationml.presentation"))),
        (status = 304, description = "The caller's copy is the present one."),
    ),
)]
#[get("/attachment-links/{id}/{variant}")]
pub async fn linked(request: HttpRequest, db: web::Data<Db>, storage: web::Data<Storage>) -> Result<HttpResponse> {
    let id = id_of(&request)?;
    let variant = match request.match_info().get("variant") {
        Some("content") => Variant::Content,
        Some("thumbnail") => Variant::Thumbnail,
        _ => return Err(Error::not_found()),
    };
    let refused = || {
        Error::because(
            Code::Forbidden,
            "链接已过期或不完整；请重新读取附件以取得新的链接",
            "the link has ended or is not whole; read the attachment again for a new one",
        )
    };
    let pairs = Pairs::parse(request.query_string())?.into_json(&filter_shape::<Signed>())?;
    let signed: Signed = serde_json::from_value(pairs).map_err(|_| refused())?;
    let now = Instant::now();
    let given = URL_SAFE_NO_PAD.decode(&signed.signature).map_err(|_| refused())?;
    let right = db.vault().hashes("attachment link", what_is_signed(id, variant, signed.expires, signed.user));
    // Compared by their digests, so that the time that it takes tells nothing of what would be right.
    let is_right = right.iter().any(|right| Sha256::digest(right) == Sha256::digest(&given));
    let left = signed.expires - now.0.timestamp();
    if !is_right || left <= 0 {
        return Err(refused());
    }
    let row = db.read(move |conn| store::linked(conn, id)).await?;
    let facts = request.extensions().get::<RequestFacts>().cloned();
    let (request_id, address) = facts.map(|facts| (facts.request_id, facts.address)).unwrap_or_default();
    let deed = Deed { actor_id: Some(signed.user), request_id, address, once: None, rolled_back: false };
    api::sent(&request, deed, &db, &storage, row, variant, &format!("private, max-age={left}")).await
}
