//! Changes of contact data (联系方式变更): what volunteers and families ask to have changed in their own record, reviewed by an officer. By the
//! phone number a WeChat account finds its account, so nobody writes their own unseen.

use actix_web::{HttpRequest, HttpResponse, post, web};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::persons::{self, PersonBrief};
use super::rules::ReasonBody;
use crate::auth::Caller;
use crate::db::reseal::{self, Resealed};
use crate::db::{Any, AnyConnection, Db, Tx, grams, held};
use crate::error::{Code, Error, Result};
use crate::policy::{Action, Actor, Area, OrganizationLevel, Scope};
use crate::schema::{contact_changes as t, persons as p};
use crate::types::{Id, Instant, TextEnum, mask_phone, new_code, normalize_phone, text_enum};
use crate::web::handlers::{deed_of, no_parameters, respond};
use crate::web::resource::Step;
use crate::web::shape::Shape;
use crate::web::verbs::{created, refusal, step_body};
use crate::web::{Measure, Measured, Reference, Resource, body, measured, read_only, reads, save, viewed};
use crate::wechat::{WeChat, text};

text_enum! {
    /// Where a change stands.
    ContactChangeState {
        Requested = "requested", "待审核", "requested";
        Approved = "approved", "已同意", "approved";
        Rejected = "rejected", "已驳回", "rejected";
        Cancelled = "cancelled", "已取消", "cancelled";
    }
}

/// A change that somebody asks for, with masked numbers.
#[derive(Debug, Clone, Queryable, Selectable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_null = true)]
pub struct ContactChange {
    pub id: Id,
    pub code: String,
    /// The association that keeps the person.
    pub organization_id: Id,
    pub person_id: Id,
    #[diesel(embed, skip_update)]
    pub person: PersonBrief,
    /// The new phone number.
    #[schema(example = "138****8000")]
    pub phone_masked: String,
    /// In the person's words.
    pub note: Option<String>,
    pub state: ContactChangeState,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// The user who asked.
    pub requested_by: Id,
    /// The user who approved or rejected it.
    pub decided_by: Option<Id>,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(ContactChange {
    fn shown_version(&self) -> String {
        format!("{}-{}", self.version, self.person.version)
    }
    fn person_id(&self) -> Option<Id> {
        Some(self.person_id)
    }
});

/// What is to be changed in the caller's own record.
#[derive(Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ContactChangeDraft {
    /// A mobile number of 11 digits.
    #[schema(max_length = 30, format = "mobile-number")]
    #[validate(custom(function = "valid_phone"))]
    phone: String,
    #[schema(min_length = 1, max_length = 200, example = "原号码已停用")]
    note: Option<String>,
}

fn valid_phone(phone: &str) -> Result<(), ValidationError> {
    normalize_phone(phone).map(|_| ()).map_err(|(code, says)| refusal(None, code, &says))
}

/// Which changes.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ContactChangeFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the person's name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    pub person_id: Option<Id>,
    #[param(inline)]
    pub state: Option<ContactChangeState>,
}

pub struct ContactChanges;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &ContactChangeFilter) -> t::BoxedQuery<'static, Any> {
    let mut query = match scope.own() {
        // What one has asked for oneself.
        Some(own) => t::table.filter(scope.organizations().holds(t::organization_id).or(t::person_id.eq(own))).into_boxed::<Any>(),
        None => t::table.filter(scope.organizations().holds(t::organization_id)).into_boxed::<Any>(),
    };
    if filter.organization_id.is_some() || filter.organization_level.is_some() {
        query = query.filter(Scope::asked(filter.organization_id, filter.organization_level).holds(t::organization_id));
    }
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching("persons", q)) {
        query = query.filter(found.holds(t::person_id));
    }
    if let Some(id) = filter.person_id {
        query = query.filter(t::person_id.eq(id));
    }
    if let Some(state) = filter.state {
        query = query.filter(t::state.eq(state));
    }
    query
}

/// Asks for a change of the caller's own contact data.
#[utoipa::path(operation_id = "me_contact_changes_create", tag = "me", summary = "申请变更联系方式 / Ask to change one's contact data",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe: the same key and body get the stored answer.")),
    request_body = ContactChangeDraft,
    responses((status = 201, description = "It waits for an officer.", body = ContactChange)))]
#[post("/me/contact-changes")]
pub async fn ask(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    wechat: web::Data<WeChat>,
    mut payload: web::Payload,
) -> Result<HttpResponse> {
    // Who reads their own record may ask to have it changed.
    caller.actor.may(Area::People, Action::Read)?;
    no_parameters(&request)?;
    let draft: ContactChangeDraft = body::typed(&request, &mut payload).await?;
    let raw = serde_json::to_vec(&draft).map_err(Error::internal)?;
    let deed = deed_of(&request, &caller, &raw, false)?;
    text::check(&wechat, &db, &caller, &[("/note", draft.note.as_deref())]).await?;
    let actor = caller.actor;
    let reply = db
        .write(deed, move |tx| {
            let person_id = actor.person()?;
            let change = request_of(tx, person_id, &draft)?;
            let detail = serde_json::to_value(&change).map_err(Error::internal)?;
            let (id, organization_id) = (Some(change.id), Some(change.organization_id));
            tx.audit(Action::Create.code(), ContactChanges::NAME, id, organization_id, Some(&detail)).about(Some(person_id));
            created::<ContactChanges>(tx, &actor, &change)
        })
        .await?;
    Ok(respond(reply))
}

fn request_of(tx: &mut Tx<'_>, person_id: Id, draft: &ContactChangeDraft) -> Result<ContactChange> {
    // One after the other, so that two requests at once don't both find none that is open.
    held!(tx.conn, p::table.find(person_id).select(p::id))?;
    let (organization_id, person): (Id, PersonBrief) =
        p::table.find(person_id).select((p::organization_id, PersonBrief::as_select())).first(tx.conn)?;
    let open: i64 =
        t::table.filter(t::person_id.eq(person_id)).filter(t::state.eq(ContactChangeState::Requested)).count().get_result(tx.conn)?;
    if open > 0 {
        return Err(Error::because(
            Code::Conflict,
            "已有一项变更待审核；如需修改，请先取消",
            "another change waits to be reviewed; cancel that first",
        ));
    }
    let phone = normalize_phone(&draft.phone).map_err(|(code, says)| Error::field("/phone", code, says.zh, says.en))?;
    let (_, present) = persons::opened(tx, None, person_id)?;
    if present.as_deref() == Some(phone.as_str()) {
        return Err(Error::field("/phone", "unchanged", "与现有手机号相同", "this is the number that is known"));
    }
    let id = Id::new();
    let change = ContactChange {
        id,
        code: new_code(),
        organization_id,
        person_id,
        person,
        phone_masked: mask_phone(&phone),
        note: draft.note.clone(),
        state: ContactChangeState::Requested,
        reason: None,
        requested_by: tx.actor()?,
        decided_by: None,
        version: 1,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let sealed = tx.vault.seal(ContactChanges::NAME, "phone", id, &phone)?;
    diesel::insert_into(t::table)
        .values((
            t::id.eq(id),
            t::code.eq(&change.code),
            t::organization_id.eq(organization_id),
            t::person_id.eq(person_id),
            t::phone_sealed.eq(Some(sealed)),
            t::phone_masked.eq(&change.phone_masked),
            t::note.eq(&change.note),
            t::state.eq(change.state),
            t::requested_by.eq(change.requested_by),
            t::version.eq(1),
            t::created_at.eq(tx.now),
            t::updated_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    Ok(change)
}

/// Writes a decided change over itself at its version: the whole number is needed no more.
fn save(tx: &mut Tx<'_>, before: &ContactChange, after: ContactChange) -> Result<ContactChange> {
    let after = ContactChange { version: before.version + 1, updated_at: tx.now, ..after };
    save!(tx, t, before, (&after, t::phone_sealed.eq(None::<Vec<u8>>)))?;
    Ok(after)
}

/// Seals the numbers of changes that wait with the present data key, wherever another has sealed them.
pub fn reseal(db: &Db) -> Result<Resealed> {
    reseal::all(db, ContactChanges::NAME, reseal_after)
}

/// The next of them in the order of their ids.
fn reseal_after(tx: &mut Tx<'_>, after: Option<Id>) -> Result<(Resealed, Option<Id>)> {
    let mut next = t::table.filter(t::phone_sealed.is_not_null()).order(t::id).limit(reseal::LOT).into_boxed::<Any>();
    if let Some(after) = after {
        next = next.filter(t::id.gt(after));
    }
    let rows: Vec<(Id, Option<Vec<u8>>)> = next.select((t::id, t::phone_sealed)).load(tx.conn)?;
    let (seen, last) = (rows.len(), rows.last().map(|(id, _)| *id));
    let (vault, mut resealed) = (tx.vault, 0);
    for (id, sealed) in rows {
        let Some(sealed) = sealed.filter(|sealed| !vault.is_present(sealed)) else { continue };
        let phone = vault.open(ContactChanges::NAME, "phone", id, &sealed)?;
        let anew = vault.seal(ContactChanges::NAME, "phone", id, &phone)?;
        // One that is decided in between stays without.
        let one = t::table.find(id).filter(t::phone_sealed.eq(Some(sealed)));
        resealed += diesel::update(one).set(t::phone_sealed.eq(Some(anew))).execute(tx.conn)?;
    }
    Ok((Resealed { seen, resealed }, last))
}

/// Nobody reviews what they have asked for, or what is their own; and nobody else takes it back.
fn objection(actor: &Actor, change: &ContactChange, action: Action) -> Option<Error> {
    let asked = actor.id == change.requested_by;
    match action {
        Action::Approve | Action::Reject if asked || actor.person_id == Some(change.person_id) => Some(Error::because(
            Code::Forbidden,
            "不能审核自己的变更申请，请由他人办理",
            "nobody reviews a change of their own; ask somebody else",
        )),
        Action::Cancel if !asked => {
            Some(Error::because(Code::Forbidden, "只有申请人可以取消；请审核", "only who asked may cancel; approve or reject it"))
        }
        _ => None,
    }
}

/// `approve`: the person's record is changed with it.
fn approve(tx: &mut Tx<'_>, scope: &Scope, before: ContactChange, _: &Value) -> Result<ContactChange> {
    let actor = tx.actor()?;
    let sealed: Option<Vec<u8>> = t::table.find(before.id).select(t::phone_sealed).first(tx.conn)?;
    let phone = tx.vault.open(ContactChanges::NAME, "phone", before.id, &sealed.unwrap_or_default())?;
    let mut part = persons::part(tx, &before.person)?;
    part.phone = Some(phone);
    let person = persons::rewrite(tx, scope, before.person_id, part)?;
    let after = ContactChange { state: ContactChangeState::Approved, decided_by: Some(actor), person: person.into(), ..before.clone() };
    save(tx, &before, after)
}

/// `reject`: the record stays as it is.
fn reject(tx: &mut Tx<'_>, _: &Scope, before: ContactChange, body: &Value) -> Result<ContactChange> {
    let ReasonBody { reason } = step_body(body)?;
    let actor = tx.actor()?;
    let reason = Some(reason.trim().to_owned());
    save(tx, &before, ContactChange { state: ContactChangeState::Rejected, decided_by: Some(actor), reason, ..before.clone() })
}

/// `cancel`: by who asked.
fn cancel(tx: &mut Tx<'_>, _: &Scope, before: ContactChange, _: &Value) -> Result<ContactChange> {
    save(tx, &before, ContactChange { state: ContactChangeState::Cancelled, ..before.clone() })
}

impl Resource for ContactChanges {
    const NAME: &'static str = "contact_changes";
    const LABEL: (&'static str, &'static str) = ("联系方式变更", "change of contact data");
    const AREA: Area = Area::People;
    const REFERENCES: &'static [Reference] = &[];

    type View = ContactChange;
    type Filter = ContactChangeFilter;

    read_only!();
    reads!(t, ContactChange, with p);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step {
                action: Action::Approve,
                summary: "同意变更（不得为本人） / Approve: by another, and the person's record is changed",
                body: None,
                needs_key: false,
                run: approve,
            },
            Step {
                action: Action::Reject,
                summary: "驳回变更（不得为本人） / Reject: by another",
                body: Some(Shape::of::<ReasonBody>),
                needs_key: false,
                run: reject,
            },
            Step {
                action: Action::Cancel, summary: "取消申请 / Cancel what one has asked for", body: None, needs_key: false, run: cancel
            },
        ]
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        if view.state == ContactChangeState::Requested { vec![Action::Approve, Action::Reject, Action::Cancel] } else { Vec::new() }
    }

    fn objections(_: &mut AnyConnection, actor: &Actor, asked: &[(&Self::View, Action)]) -> Result<Vec<Option<Error>>> {
        Ok(asked.iter().map(|(change, action)| objection(actor, change, *action)).collect())
    }
}
