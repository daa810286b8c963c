//! Webhooks (事件推送): which program is told, by a request to its own address, of what happens in an association and below it.
//!
//! What is sent, and in which order, stands in [`crate::outbox`]. The secret that signs it is made here, sealed, and told once: when the
//! webhook is made, and when another takes its place.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use actix_web::{HttpRequest, HttpResponse, post, web};

use super::rules;
use super::webhook_deliveries::{self, About, DeliveryState, WebhookDeliveries, WebhookDelivery};
use crate::auth::Caller;
use crate::db::reseal::{self, Resealed};
use crate::db::{Any, AnyConnection, Db, Reply, Tx, each, held};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::outbox::{self, Outbox, Secret};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::{webhook_deliveries as d, webhooks as t};
use crate::types::{Id, Instant, TextEnum, code_or_new};
use crate::web::handlers::{self, deed_of, id_of, respond};
use crate::web::resource::Step;
use crate::web::shape::Shape;
use crate::web::verbs::{self, refusal};
use crate::web::{Measure, Measured, Reference, Resource, measured, reads, save, viewed};

/// How long a former secret still signs beside the present one.
const FORMER_SECONDS: i64 = 24 * 3600;
const MOST_TYPES: usize = 50;
/// The type of a test.
const TEST: &str = "webhooks.test";

/// A webhook.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Webhook {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// It is told of what happens in this association and all below it.
    pub organization_id: Id,
    pub name: String,
    pub url: String,
    /// Of what it is told: `disbursements.pay`, `volunteers.*`, or `*` for all.
    pub event_types: Vec<String>,
    /// Whether it is told anything: of what happens meanwhile it never is.
    pub enabled: bool,
    /// Signs what is sent (Standard Webhooks). Told once, when it is made: by the creation and by `rotate`; otherwise null.
    pub secret: Option<String>,
    /// Until when the former secret signs beside it.
    pub former_secret_until: Option<Instant>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Webhook);

/// A webhook's own row, as far as its record shows it.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    name: String,
    url: String,
    event_types: String,
    enabled: bool,
    former_secret_until: Option<Instant>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// A new webhook as it is kept.
#[derive(Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
struct New {
    #[diesel(embed)]
    row: Row,
    secret_sealed: Vec<u8>,
    failures: i32,
}

impl Row {
    fn shown(self, secret: Option<&Secret>) -> Webhook {
        Webhook {
            id: self.id,
            code: self.code,
            organization_id: self.organization_id,
            name: self.name,
            url: self.url,
            event_types: split(&self.event_types),
            enabled: self.enabled,
            secret: secret.map(Secret::text),
            former_secret_until: self.former_secret_until,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

fn split(event_types: &str) -> Vec<String> {
    event_types.split(',').map(str::to_owned).collect()
}

/// What may be written of a webhook.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct WebhookDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// Fixed after creation.
    pub organization_id: Id,
    #[schema(min_length = 1, max_length = 100, example = "办公系统")]
    pub name: String,
    /// HTTPS, at port 443 or 8443, to a public address: without user, password, or what begins with `#`. An operator may allow others.
    #[schema(min_length = 1, max_length = 500, example = "https://office.example.cn/hooks/yiyong")]
    pub url: String,
    /// `<resource>.<action>`, `<resource>.*`, or `*`: what is done to records, and never who signs in or what they may do.
    #[schema(min_items = 1, max_items = 50, example = json!(["disbursements.pay", "volunteers.*"]))]
    #[validate(custom(function = "known_types"))]
    pub event_types: Vec<String>,
    /// `true` when absent.
    pub enabled: Option<bool>,
}

fn known_types(event_types: &[String]) -> Result<(), ValidationError> {
    let known = |text: &&String| match text.split_once('.') {
        None => *text == "*",
        // Whether anything of it is told is told by what always is.
        Some((resource, "*")) => outbox::is_told(resource, Action::Update.code()),
        Some((resource, action)) => outbox::is_told(resource, action),
    };
    if event_types.is_empty() {
        return Err(refusal(None, "required", &Says::new("请至少填写一个事件；* 表示全部", "name at least one; * is all")));
    }
    if event_types.len() > MOST_TYPES {
        return Err(refusal(None, "too_many_items", &Says::new(format!("最多 {MOST_TYPES} 项"), format!("at most {MOST_TYPES}"))));
    }
    match event_types.iter().find(|text| !known(text)) {
        None => Ok(()),
        Some(wrong) => Err(refusal(
            None,
            "unknown_event_type",
            &Says::new(
                format!("没有此事件“{wrong}”；应为 *、资源.*，或资源.操作，如 disbursements.pay（编码见字典 Action）"),
                format!(
                    "there is no event '{wrong}'; it is *, a resource with .*, or with an action, as in disbursements.pay (see the dictionary Action)"
                ),
            ),
        )),
    }
}

/// Which webhooks.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct WebhookFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub enabled: Option<bool>,
}

pub struct Webhooks;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &WebhookFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(enabled) = filter.enabled {
        query = query.filter(t::enabled.eq(enabled));
    }
    query
}

fn shown(_: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<Webhook>> {
    Ok(rows.into_iter().map(|row| row.shown(None)).collect())
}

/// Faults of what drafts refer to and point to.
fn check(tx: &mut Tx<'_>, scope: &Scope, drafts: &[WebhookDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let homes: Vec<_> = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), Some(draft.organization_id))).collect();
    rules::all_in_scope(tx.conn, scope, "organizations", homes, &mut faults)?;
    for (i, draft) in drafts.iter().enumerate() {
        faults.extend(outbox::target(&draft.url, tx.networks).err().map(|says| Fault::new(at(i, "url"), "target_refused", says)));
    }
    Error::unless_empty(faults)
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, former_secret_until: Option<Instant>, draft: WebhookDraft) -> Row {
    let draft = Webhooks::settled(draft);
    Row {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        name: draft.name,
        url: draft.url,
        event_types: draft.event_types.join(","),
        enabled: draft.enabled.unwrap_or(true),
        former_secret_until,
        version,
        created_at,
        updated_at: now,
    }
}

const SECRET: &str = "secret";
const FORMER_SECRET: &str = "former_secret";

fn opened(tx: &Tx<'_>, column: &str, id: Id, sealed: &[u8]) -> Result<Secret> {
    Ok(Secret::of_bytes(tx.vault.open_bytes(Webhooks::NAME, column, id, sealed)?))
}

/// `rotate`: another secret. The present one signs beside it for a day.
fn rotate(tx: &mut Tx<'_>, _: &Scope, before: Webhook, _: &Value) -> Result<Webhook> {
    let sealed: Vec<u8> = t::table.find(before.id).select(t::secret_sealed).first(tx.conn)?;
    let former = opened(tx, SECRET, before.id, &sealed)?;
    let secret = Secret::random();
    let until = tx.now.plus_seconds(FORMER_SECONDS);
    let changed = (
        t::secret_sealed.eq(tx.vault.seal(Webhooks::NAME, SECRET, before.id, secret.bytes())?),
        t::former_secret_sealed.eq(tx.vault.seal(Webhooks::NAME, FORMER_SECRET, before.id, former.bytes())?),
        t::former_secret_until.eq(until),
        t::version.eq(before.version + 1),
        t::updated_at.eq(tx.now),
    );
    save!(tx, t, before, changed)?;
    let (secret, version) = (Some(secret.text()), before.version + 1);
    Ok(Webhook { secret, former_secret_until: Some(until), version, updated_at: tx.now, ..before })
}

/// From when on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayBody {
    /// What expired of events of this instant or later is sent again.
    since: Instant,
}

/// `replay`: all that was given up is sent again.
fn replay(tx: &mut Tx<'_>, _: &Scope, before: Webhook, body: &Value) -> Result<Webhook> {
    let ReplayBody { since } = serde_json::from_value(body.clone()).map_err(Error::internal)?;
    let given_up = d::table.filter(d::webhook_id.eq(before.id)).filter(d::state.eq(DeliveryState::Expired)).filter(d::event_at.ge(since));
    // A test is nothing that happened.
    let given_up = given_up.filter(d::sequence.is_not_null());
    diesel::update(given_up).set((webhook_deliveries::Again::at(tx.now), d::version.eq(d::version + 1))).execute(tx.conn)?;
    due_now(tx, before.id)?;
    Ok(before)
}

/// Lets the sending begin at once, after whatever pause.
pub fn due_now(tx: &mut Tx<'_>, id: Id) -> Result<()> {
    diesel::update(t::table.find(id)).set((t::due_at.eq(tx.now), t::failures.eq(0))).execute(tx.conn)?;
    Ok(())
}

/// Says of webhooks that deliveries wait for them; a pause that one has begun goes on.
pub fn have_waiting(tx: &mut Tx<'_>, ids: &[Id]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    // Held first, so that what is read of them is what a sender has just left.
    held!(tx.conn, t::table.filter(t::id.eq_any(ids)).order(t::id).select(t::id), for_no_key_update)?;
    let at_rest = t::table.filter(t::id.eq_any(ids)).filter(t::due_at.is_null());
    diesel::update(at_rest).set(t::due_at.eq(tx.now)).execute(tx.conn)?;
    Ok(())
}

/// Where to send to, and by what it is signed: by the former secret as well, while it counts.
pub fn sending(tx: &mut Tx<'_>, id: Id) -> Result<(String, Vec<Secret>)> {
    type Kept = (String, Vec<u8>, Option<Vec<u8>>, Option<Instant>);
    let (url, sealed, former, until): Kept =
        t::table.find(id).select((t::url, t::secret_sealed, t::former_secret_sealed, t::former_secret_until)).first(tx.conn)?;
    let mut secrets = vec![opened(tx, SECRET, id, &sealed)?];
    if let Some(former) = former.filter(|_| until.is_some_and(|until| tx.now < until)) {
        secrets.push(opened(tx, FORMER_SECRET, id, &former)?);
    }
    Ok((url, secrets))
}

/// A webhook that is told of what happens, as far as that is decided by it.
pub struct Listener {
    pub id: Id,
    pub organization_id: Id,
    pub created_at: Instant,
    event_types: Vec<String>,
}

impl Listener {
    pub fn wants(&self, resource: &str, action: &str) -> bool {
        self.event_types.iter().any(|wanted| match wanted.split_once('.') {
            None => wanted == "*",
            Some((of, what)) => of == resource && (what == "*" || what == action),
        })
    }
}

/// All that are told of anything.
pub fn listening(conn: &mut AnyConnection) -> Result<Vec<Listener>> {
    type Kept = (Id, Id, Instant, String);
    let all: Vec<Kept> =
        t::table.filter(t::enabled.eq(true)).select((t::id, t::organization_id, t::created_at, t::event_types)).load(conn)?;
    Ok(all
        .into_iter()
        .map(|(id, organization_id, created_at, types)| Listener { id, organization_id, created_at, event_types: split(&types) })
        .collect())
}

/// Seals the secrets of all webhooks with the present data key, wherever another has sealed them.
pub fn reseal(db: &Db) -> Result<Resealed> {
    reseal::all(db, Webhooks::NAME, reseal_after)
}

/// The next webhooks in the order of their ids, held: a secret that is renewed in between stays.
fn reseal_after(tx: &mut Tx<'_>, after: Option<Id>) -> Result<(Resealed, Option<Id>)> {
    type Kept = (Id, Vec<u8>, Option<Vec<u8>>);
    let next = || t::table.filter(t::id.gt(after.unwrap_or(Id(uuid::Uuid::nil())))).order(t::id).limit(reseal::LOT);
    held!(tx.conn, next().select(t::id))?;
    let rows: Vec<Kept> = next().select((t::id, t::secret_sealed, t::former_secret_sealed)).load(tx.conn)?;
    let (mut part, last) = (Resealed { seen: rows.len(), resealed: 0 }, rows.last().map(|row| row.0));
    for (id, present, former) in rows {
        if tx.vault.is_present(&present) && former.as_ref().is_none_or(|former| tx.vault.is_present(former)) {
            continue;
        }
        let again = |column: &str, sealed: &[u8]| tx.vault.seal(Webhooks::NAME, column, id, opened(tx, column, id, sealed)?.bytes());
        let present = again(SECRET, &present)?;
        let former = former.map(|former| again(FORMER_SECRET, &former)).transpose()?;
        diesel::update(t::table.find(id)).set((t::secret_sealed.eq(present), t::former_secret_sealed.eq(former))).execute(tx.conn)?;
        part.resealed += 1;
    }
    Ok((part, last))
}

impl Resource for Webhooks {
    const NAME: &'static str = "webhooks";
    const LABEL: (&'static str, &'static str) = ("事件推送", "webhook");
    const AREA: Area = Area::Access;
    /// Each has a secret, which goes to one hand.
    const IMPORTABLE: bool = false;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];
    const TOLD_ONCE: Option<&'static str> = Some("secret");

    type View = Webhook;
    type Draft = WebhookDraft;
    type Filter = WebhookFilter;

    reads!(t, Row => shown);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let mut made = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let (row, secret) = (row(Id::new(), 1, now, now, None, draft), Secret::random());
            let secret_sealed = tx.vault.seal(Self::NAME, SECRET, row.id, secret.bytes())?;
            let new = New { row: row.clone(), secret_sealed, failures: 0 };
            each!(&mut *tx.conn, c => diesel::insert_into(t::table).values(&new).execute(c))?;
            made.push(row.shown(Some(&secret)));
        }
        Ok(made)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let webhook = view.clone();
        Ok(WebhookDraft {
            code: Some(webhook.code),
            organization_id: webhook.organization_id,
            name: webhook.name,
            url: webhook.url,
            event_types: webhook.event_types,
            enabled: Some(webhook.enabled),
        })
    }

    /// An address as it goes out.
    fn settled(mut draft: Self::Draft) -> Self::Draft {
        if let Ok(url) = Url::parse(&draft.url) {
            draft.url = url.into();
        }
        draft
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        if draft.organization_id != before.organization_id {
            let says = Says::new("建立后不能更改；请另建事件推送", "this can't be changed; make another webhook");
            return Err(Error::invalid(vec![Fault::new("/organization_id", "fixed", says)]));
        }
        check(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, before.former_secret_until, draft);
        save!(tx, t, before, &after)?;
        due_now(tx, before.id)?;
        Ok(after.shown(None))
    }

    /// With the log of what it was told.
    fn delete(tx: &mut Tx<'_>, _: &Scope, before: &Self::View) -> Result<()> {
        // Nobody adds to the log of a webhook that is held.
        held!(tx.conn, t::table.filter(t::id.eq(before.id)).select(t::id))?;
        diesel::delete(d::table.filter(d::webhook_id.eq(before.id))).execute(tx.conn)?;
        diesel::delete(t::table.filter(t::id.eq(before.id))).execute(tx.conn)?;
        Ok(())
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step {
                action: Action::Rotate,
                summary: "更换签名密钥，旧密钥并用 24 小时 / Another secret; the former one signs beside it for a day",
                body: None,
                needs_key: false,
                run: rotate,
            },
            Step {
                action: Action::Replay,
                summary: "重新投递某时起已放弃的全部事件 / Send again all that was given up since an instant",
                body: Some(Shape::of::<ReplayBody>),
                needs_key: false,
                run: replay,
            },
        ]
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        let test = view.enabled.then_some(Action::Test);
        [Action::Update, Action::Delete, Action::Rotate, Action::Replay].into_iter().chain(test).collect()
    }
}

/// Sends a `webhooks.test` to a webhook, before whatever waits for it and once: what came of it is told by the delivery.
#[utoipa::path(operation_id = "webhooks_test", tag = "webhooks", summary = "发送测试事件 / Send a test",
    params(("id" = Id, Path, description = "Id of the webhook."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe: it is the same test.")),
    responses((status = 202, description = "It is about to be sent.", body = WebhookDelivery, headers(("Location" = String, description = "The delivery's address.")))))]
#[post("/webhooks/{id}/test")]
pub async fn send_test(request: HttpRequest, caller: Caller, db: web::Data<Db>, outbox: web::Data<Outbox>) -> Result<HttpResponse> {
    let scope = caller.actor.may(Webhooks::AREA, Action::Test)?;
    handlers::no_parameters(&request)?;
    let id = id_of(&request)?;
    let deed = deed_of(&request, &caller, &[], false)?;
    let actor = caller.actor;
    let reply = db
        .write(deed, move |tx| {
            let webhook = Webhooks::find(tx.conn, &scope, id)?;
            if !webhook.enabled {
                return Err(Error::because(Code::StepNotAllowed, "此事件推送已停用，请先启用", "the webhook is not enabled")
                    .with("allowed_actions", Webhooks::offers(&webhook).into_iter().map(TextEnum::code).collect::<Vec<_>>()));
            }
            let about = About {
                event_id: Id::new(),
                event_type: TEST.to_owned(),
                sequence: None,
                at: tx.now,
                organization_id: webhook.organization_id,
                resource: Webhooks::NAME.to_owned(),
                record_id: webhook.id,
            };
            // Given up after the first attempt.
            let delivery = webhook_deliveries::Row::new((webhook.id, webhook.organization_id), about, tx.now, tx.now);
            diesel::insert_into(d::table).values(&delivery).execute(tx.conn)?;
            due_now(tx, webhook.id)?;
            tx.audit(Action::Test.code(), Webhooks::NAME, Some(id), Some(webhook.organization_id), None);
            let verbs = verbs::named(WebhookDeliveries::NAME).ok_or_else(|| Error::internal("deliveries are no resource"))?;
            let shown = verbs.get(tx.conn, &actor, &scope, delivery.id)?;
            let location = Some(format!("/api/v1/webhook-deliveries/{}", delivery.id));
            Ok(Reply { status: 202, location, etag: None, ..handlers::shown_reply(shown) })
        })
        .await?;
    outbox.wake();
    Ok(respond(reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types_are_those_that_there_are() {
        let faulty = |text: &str| known_types(&[text.to_owned()]).is_err();
        for fine in ["*", "disbursements.pay", "volunteers.*", "volunteers.create", "persons.delete"] {
            assert!(!faulty(fine), "{fine}");
        }
        for wrong in [
            "",
            "disbursements",
            "villages.*",
            "disbursements.fly",
            "users.*",
            "users.create",
            "webhooks.test",
            "audit_events.*",
            "persons.reveal",
            "persons.export",
            "*.*",
            "a,b",
        ] {
            assert!(faulty(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_webhook_wants_what_it_names() {
        let wants = |types: &[&str], resource: &str, action: &str| {
            let event_types = types.iter().map(|text| (*text).to_owned()).collect();
            Listener { id: Id::new(), organization_id: Id::new(), created_at: Instant::now(), event_types }.wants(resource, action)
        };
        assert!(wants(&["*"], "volunteers", "create"));
        assert!(wants(&["disbursements.pay", "volunteers.*"], "volunteers", "create"));
        assert!(wants(&["disbursements.pay"], "disbursements", "pay"));
        assert!(!wants(&["disbursements.pay"], "disbursements", "submit"));
        assert!(!wants(&["volunteers.*"], "volunteer_teams", "create"));
    }
}
