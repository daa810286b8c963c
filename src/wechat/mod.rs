//! WeChat (微信): the mini-program that volunteers and families hold, and the few things that only WeChat's servers can tell or do.
//!
//! | file | what |
//! |---|---|
//! | [`client`] | the calls, each bounded in time and size |
//! | [`errors`] | what WeChat's refusals mean |
//! | [`token`] | the access token that all servers share and one renews |
//! | [`login`] | the way in: who holds the telephone, and which account that is |
//! | [`bindings`] | which WeChat account is whose |
//! | [`templates`] | which template tells what |
//! | [`fields`] | what WeChat takes in a template's fields |
//! | [`subscribe`] | what somebody has agreed to be told, and the queue of what they are told |
//! | [`qr`] | codes to scan |
//! | [`text`] | what people write, shown to WeChat before others read it |
//!
//! `session_key` is forgotten at once: the phone number comes by a code of its own, so nothing needs it. An openid is sealed like a
//! telephone number and looked up by its hash; no answer and no log line tells it.
//!
//! Whoever waits for WeChat waits on a thread of their own, never on one that requests or the database need: WeChat may hang, and
//! everything else goes on.

pub mod bindings;
pub mod client;
pub mod errors;
pub mod fields;
pub mod login;
pub mod qr;
pub mod subscribe;
pub mod templates;
pub mod text;
pub mod token;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use utoipa_actix_web::service_config::ServiceConfig;
use zeroize::Zeroizing;

use crate::db::Db;
use crate::error::{Code, Error, Result};
use crate::types::text_enum;

pub use client::Api;

text_enum! {
    /// The version of the mini-program that a message or a code opens.
    Environment {
        Release = "release", "正式版", "the released version";
        Trial = "trial", "体验版", "the trial version";
        Develop = "develop", "开发版", "the version in development";
    }
}

/// A mini-program, and how it is reached.
#[derive(Clone)]
pub struct Settings {
    pub app_id: String,
    pub app_secret: Zeroizing<String>,
    pub api_url: String,
    pub answer_within: Duration,
    pub environment: Environment,
    pub check_in_page: String,
    pub workstation_page: String,
    pub messages_kept: Duration,
}

/// Callers that wait for WeChat at the same time.
const WAITING: usize = 16;

/// The mini-program, where one is configured. Cheap to clone.
#[derive(Clone)]
pub struct WeChat {
    api: Option<Arc<Api>>,
    waiting: Arc<Semaphore>,
}

pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(login::login)
        .service(login::bind)
        .service(bindings::own)
        .service(bindings::end_own)
        .service(templates::list)
        .service(templates::put)
        .service(templates::delete)
        .service(subscribe::api::list)
        .service(subscribe::api::report)
        .service(qr::code);
}

impl WeChat {
    pub fn new(settings: Option<Settings>) -> Self {
        Self { api: settings.map(|settings| Arc::new(Api::new(settings))), waiting: Arc::new(Semaphore::new(WAITING)) }
    }

    /// The calls, or the refusal that there are none.
    pub fn api(&self) -> Result<&Arc<Api>> {
        self.api.as_ref().ok_or_else(|| {
            Error::because(
                Code::FeatureOff,
                "本服务未配置微信小程序；请联系管理员",
                "no mini-program is configured for this service; ask its administrator",
            )
        })
    }

    /// The calls, where there are any.
    pub fn configured(&self) -> Option<&Arc<Api>> {
        self.api.as_ref()
    }

    /// Work that asks WeChat, on a thread of its own. It is told the database too, for the access token.
    pub async fn ask<T: Send + 'static>(&self, db: &Db, work: impl FnOnce(&Api, &Db) -> Result<T> + Send + 'static) -> Result<T> {
        let (api, db) = (self.api()?.clone(), db.clone());
        let full = |_| Error::new(Code::WechatUnavailable).retry_after(2);
        let turn = tokio::time::timeout(api.settings.answer_within, self.waiting.clone().acquire_owned()).await.map_err(full)?;
        let turn = turn.map_err(Error::internal)?;
        let (tell, told) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("wechat".into()).spawn(move || {
            let outcome = work(&api, &db);
            drop(turn);
            // Who asked may have gone.
            let _ = tell.send(outcome);
        });
        thread.map_err(Error::internal)?;
        told.await.map_err(|_| Error::internal("who asked WeChat ended without an outcome"))?
    }
}
