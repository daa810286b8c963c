//! Errors for people: the only table of codes, statuses and titles, in Chinese and English.
//!
//! Every refusal is an [`Error`]; `web::frame` turns it into `application/problem+json` (RFC 9457) in the caller's
//! language. What the service can't name becomes `internal`, which tells a request id and nothing else.

use std::fmt;

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};

/// One sentence in the two languages of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Says {
    pub zh: String,
    pub en: String,
}

impl Says {
    pub fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }

    pub fn in_language(&self, language: Language) -> &str {
        match language {
            Language::Zh => &self.zh,
            Language::En => &self.en,
        }
    }
}

/// The language of an answer, by `Accept-Language`; Chinese unless English is asked for first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Zh,
    En,
}

/// One fault at one place of what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer into the body, or `/` and the parameter's name.
    pub pointer: String,
    pub code: &'static str,
    pub message: Says,
}

impl Fault {
    pub fn new(pointer: impl Into<String>, code: &'static str, message: Says) -> Self {
        Self { pointer: pointer.into(), code, message }
    }

    /// A reference to a record that isn't there, or isn't the caller's.
    pub fn unknown_reference(pointer: impl Into<String>) -> Self {
        Self::new(
            pointer,
            "unknown_reference",
            Says::new("所引用的记录不存在，或不在您的管辖范围内", "the record referred to does not exist or is outside your scope"),
        )
    }

    pub fn to_json(&self, language: Language) -> Value {
        json!({"pointer": self.pointer, "code": self.code, "message": self.message.in_language(language)})
    }
}

macro_rules! codes {
    ($($variant:ident = $code:literal, $status:ident, $zh:literal, $en:literal;)+) => {
        /// Every kind of refusal that the service knows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($variant),+ }

        impl Code {
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),+ }
            }
            pub fn title(self) -> Says {
                match self { $(Self::$variant => Says::new($zh, $en)),+ }
            }
        }
    };
}

codes! {
    MalformedRequest = "malformed_request", BAD_REQUEST, "请求格式有误", "The request is malformed";
    InvalidParameter = "invalid_parameter", BAD_REQUEST, "查询参数有误", "A parameter is wrong";
    InvalidCursor = "invalid_cursor", BAD_REQUEST, "翻页游标无效", "The cursor is not valid";
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "请先登录", "Sign in first";
    InvalidToken = "invalid_token", UNAUTHORIZED, "登录凭证无效或已过期", "The token is invalid or has expired";
    InvalidCredentials = "invalid_credentials", UNAUTHORIZED, "用户名或密码不正确", "The username or the password is wrong";
    InvalidWechatCode = "invalid_wechat_code", UNAUTHORIZED, "微信登录凭证无效或已过期，请重新登录", "The WeChat code is invalid or has expired; sign in again";
    WechatRisk = "wechat_risk", FORBIDDEN, "微信判定该账号存在风险，暂不能登录", "WeChat holds this account to be at risk and lets it in nowhere";
    AccountDisabled = "account_disabled", FORBIDDEN, "该账号已停用", "The account is disabled";
    Forbidden = "forbidden", FORBIDDEN, "您的角色不允许此操作", "Your role does not allow this";
    PasswordChangeRequired = "password_change_required", FORBIDDEN, "请先修改初始密码", "Change the initial password first";
    NotFound = "not_found", NOT_FOUND, "未找到", "Not found";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "此地址不支持该方法", "The address does not support this method";
    NotAcceptable = "not_acceptable", NOT_ACCEPTABLE, "无法提供所要求的格式", "The requested format is not offered";
    Conflict = "conflict", CONFLICT, "与现有记录冲突", "It conflicts with what exists";
    AlreadyExists = "already_exists", CONFLICT, "记录已存在", "The record exists already";
    NotEligible = "not_eligible", CONFLICT, "受益人不符合项目的享受条件", "A beneficiary does not meet the programme's rules";
    StillReferenced = "still_referenced", CONFLICT, "仍被其他记录引用，不能删除", "Other records refer to it";
    StepNotAllowed = "step_not_allowed", CONFLICT, "当前状态不允许此步骤", "The state does not allow this step";
    RequestInProgress = "request_in_progress", CONFLICT, "相同的请求正在处理中", "The same request is still running";
    StaleVersion = "stale_version", PRECONDITION_FAILED, "记录已被他人修改", "The record has changed since";
    SyncExpired = "sync_expired", GONE, "增量同步的起点已失效，请重新读取全部记录", "The copy can't be brought up to date; read all records again";
    TooLarge = "too_large", PAYLOAD_TOO_LARGE, "提交的内容过大", "The content is too large";
    UriTooLong = "uri_too_long", URI_TOO_LONG, "请求地址过长", "The address is too long";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "不支持的内容类型", "The content type is not supported";
    RangeNotSatisfiable = "range_not_satisfiable", RANGE_NOT_SATISFIABLE, "没有所请求的范围", "There is no such range";
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY, "提交的内容有误", "The content is not valid";
    IdempotencyMismatch = "idempotency_mismatch", UNPROCESSABLE_ENTITY, "同一幂等键对应了不同的请求", "The idempotency key was used for another request";
    VersionRequired = "version_required", PRECONDITION_REQUIRED, "请用 If-Match 提供记录版本", "Give the record's version in If-Match";
    TooManyRequests = "too_many_requests", TOO_MANY_REQUESTS, "尝试过于频繁，请稍后再试", "Too many attempts; try later";
    HeadersTooLarge = "headers_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "请求头过大", "The headers are too large";
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "请求发送过慢", "The request was sent too slowly";
    Internal = "internal", INTERNAL_SERVER_ERROR, "服务内部错误", "Internal error";
    DatabaseUnavailable = "database_unavailable", SERVICE_UNAVAILABLE, "数据库暂时不可用，请稍后再试", "The database is away; try again shortly";
    StorageFull = "storage_full", INSUFFICIENT_STORAGE, "服务器磁盘已满，未保存任何内容；请联系管理员", "The server's disk is full and nothing was kept; tell its administrator";
    StorageUnavailable = "storage_unavailable", SERVICE_UNAVAILABLE, "附件存储暂时不可用，请稍后再试", "The storage of attachments is away; try again shortly";
    FeatureOff = "feature_off", SERVICE_UNAVAILABLE, "此功能未启用", "This is not switched on";
    WechatUnavailable = "wechat_unavailable", SERVICE_UNAVAILABLE, "微信暂时无法响应，请稍后再试", "WeChat does not answer; try again shortly";
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "服务繁忙，请稍后再试", "The service is busy; try again shortly";
}

/// A refusal on its way to the caller.
#[derive(Debug, Clone)]
pub struct Error {
    pub code: Code,
    pub detail: Option<Says>,
    pub faults: Vec<Fault>,
    /// Further members of the problem document, such as `current_version` or `allowed_actions`.
    pub extra: Map<String, Value>,
    pub retry_after_seconds: Option<u32>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(code: Code) -> Self {
        Self { code, detail: None, faults: Vec::new(), extra: Map::new(), retry_after_seconds: None }
    }

    pub fn because(code: Code, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { detail: Some(Says::new(zh, en)), ..Self::new(code) }
    }

    /// A file of the service's own that could not be written or read.
    pub fn of_file(error: std::io::Error) -> Self {
        if error.kind() != std::io::ErrorKind::StorageFull {
            return Self::internal(error);
        }
        log::error!("the disk for temporary files is full");
        Self::new(Code::StorageFull)
    }

    pub fn not_found() -> Self {
        Self::because(Code::NotFound, "记录不存在，或不在您的管辖范围内", "the record does not exist or is outside your scope")
    }

    pub fn forbidden() -> Self {
        Self::new(Code::Forbidden)
    }

    /// What was understood and is wrong, all of it at once.
    pub fn invalid(faults: Vec<Fault>) -> Self {
        Self::with_faults(Code::ValidationFailed, faults)
    }

    pub fn with_faults(code: Code, faults: Vec<Fault>) -> Self {
        let n = faults.len();
        let mut error = Self::because(code, format!("{n} 处需要修改"), format!("{n} {} to mend", if n == 1 { "place" } else { "places" }));
        error.faults = faults;
        error
    }

    /// One fault of the body.
    pub fn field(pointer: impl Into<String>, code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self::invalid(vec![Fault::new(pointer, code, Says::new(zh, en))])
    }

    /// Faults collected so far, or all is well.
    pub fn unless_empty(faults: Vec<Fault>) -> Result<()> {
        if faults.is_empty() { Ok(()) } else { Err(Self::invalid(faults)) }
    }

    /// The same, of a part of what was sent: its pointers begin there.
    pub fn under(mut self, at: &str) -> Self {
        for fault in &mut self.faults {
            fault.pointer.insert_str(0, at);
        }
        self
    }

    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(key.to_owned(), value.into());
        self
    }

    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// What happened is for the log and not for the caller.
    pub fn internal(what: impl fmt::Display) -> Self {
        log::error!("internal error: {what}");
        Self::new(Code::Internal)
    }

    pub fn database_away() -> Self {
        Self::new(Code::DatabaseUnavailable).retry_after(2)
    }

    /// The problem document.
    pub fn to_json(&self, language: Language, instance: &str, request_id: &str) -> Value {
        let mut document = json!({
            "type": format!("/problems/{}", self.code.as_str()),
            "title": self.code.title().in_language(language),
            "status": self.code.status().as_u16(),
            "code": self.code.as_str(),
            "instance": instance,
            "request_id": request_id,
        });
        if let Value::Object(members) = &mut document {
            if let Some(detail) = &self.detail {
                members.insert("detail".into(), detail.in_language(language).into());
            }
            if !self.faults.is_empty() {
                members.insert("errors".into(), self.faults.iter().map(|fault| fault.to_json(language)).collect());
            }
            members.extend(self.extra.clone());
        }
        document
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code.title().en)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {}", detail.en)?;
        }
        for fault in &self.faults {
            write!(f, "; {} {}", fault.pointer, fault.message.en)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl actix_web::ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    /// The bare status: `web::frame` writes the document, since only there the language is known.
    fn error_response(&self) -> actix_web::HttpResponse {
        actix_web::HttpResponse::new(self.code.status())
    }
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::{DatabaseErrorKind as Kind, Error as Db};
        match &error {
            Db::NotFound => Self::not_found(),
            Db::DatabaseError(kind, information) => {
                let what = information.constraint_name().unwrap_or_else(|| information.message()).to_owned();
                match kind {
                    // The names of columns and constraints are ours and tell no one's data.
                    Kind::UniqueViolation if what.contains("code") => {
                        let mut error =
                            Self::because(Code::AlreadyExists, "该编码已被使用，请换一个", "the code is in use; choose another");
                        error.faults.push(Fault::new("/code", "already_exists", Says::new("编码已被使用", "the code is in use")));
                        error
                    }
                    Kind::UniqueViolation => Self::new(Code::AlreadyExists),
                    Kind::ForeignKeyViolation => Self::because(
                        Code::Conflict,
                        "所引用的记录已不存在，或仍被其他记录引用",
                        "a record referred to is gone, or other records refer to this one",
                    ),
                    Kind::CheckViolation => Self::because(
                        Code::ValidationFailed,
                        format!("数值不符合规则（{what}）"),
                        format!("a value breaks a rule ({what})"),
                    ),
                    Kind::ClosedConnection => Self::database_away(),
                    // Worth another try, which `Db::write` makes.
                    Kind::SerializationFailure => Self::new(Code::Overloaded).retry_after(1),
                    Kind::Unknown if what.contains("database is locked") || what.contains("deadlock detected") => {
                        Self::new(Code::Overloaded).retry_after(1)
                    }
                    // SQLite's words, and the system's in PostgreSQL's.
                    Kind::Unknown if what.contains("disk is full") || what.contains("No space left on device") => {
                        log::error!("the database's disk is full");
                        Self::new(Code::StorageFull)
                    }
                    _ if crate::db::is_connection_loss(&error) => Self::database_away(),
                    _ => Self::internal(error),
                }
            }
            _ => Self::internal(error),
        }
    }
}
