//! The environment as one typed value. A wrong value stops the start with one line that says which and why.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::attachments::AttachmentLimits;
use crate::auth::Keys;
use crate::db::Target;
use crate::files::read::Limits;
use crate::jobs::JobsConfig;
use crate::outbox::{Networks, OutboxConfig};
use crate::storage::{BucketKind, StorageConfig};
use crate::types::TextEnum;
use crate::web::rates::RatesConfig;
use crate::wechat;

/// Everything that can be set, with the default and what it is for: the README's table is made from this.
pub const SETTINGS: &[(&str, &str, &str)] = &[
    ("DATABASE_URL", "sqlite:<data>/yiyong.db", "`postgres://…` or `sqlite:<path>`"),
    ("YIYONG_DATA_DIR", "data", "folder of the SQLite file and of keys made on first start"),
    ("YIYONG_BIND", "127.0.0.1:8080", "address and port"),
    ("YIYONG_PUBLIC_URL", "http://<bind>", "the address that callers use: issuer of tokens"),
    (
        "YIYONG_SIGNING_KEY_FILE",
        "<data>/signing-key.pem",
        "Ed25519 private key, PKCS#8 PEM, that signs access tokens; required with PostgreSQL",
    ),
    (
        "YIYONG_OTHER_SIGNING_KEY_FILES",
        "",
        "comma-separated: further keys that are published and accepted, former ones and the next; all key files are read again every half minute",
    ),
    ("YIYONG_DATA_KEY_FILE", "<data>/data-key", "32 bytes in base64 that seal identifiers; required with PostgreSQL"),
    (
        "YIYONG_OTHER_DATA_KEY_FILES",
        "",
        "comma-separated: further data keys that still open what they have sealed, former ones and the next; one in each file",
    ),
    ("YIYONG_ALLOWED_ORIGINS", "", "comma-separated origins of browsers' front ends, exactly as they send them"),
    ("YIYONG_BEHIND_TLS", "false", "`true` when a proxy in front speaks HTTPS: adds HSTS"),
    (
        "YIYONG_TRUSTED_PROXIES",
        "",
        "comma-separated addresses of proxies whose `X-Forwarded-For` is believed; without them failures behind TLS slow no address down",
    ),
    ("YIYONG_WORKERS", "number of cores", "threads that serve requests"),
    ("YIYONG_DB_CONNECTIONS", "2 × cores, at most 8", "database connections"),
    ("YIYONG_MIGRATE_AT_START", "true on SQLite, false on PostgreSQL", "bring the database up to date before serving"),
    ("YIYONG_ANSWER_WITHIN_SECONDS", "3", "how long a request waits for the database before it answers 503"),
    ("YIYONG_HEAD_WITHIN_SECONDS", "10", "how long the head of a request may take to arrive"),
    ("YIYONG_BODY_WITHIN_SECONDS", "30", "how long a JSON body may take; a file may take longer as long as it brings 1 KiB/s"),
    ("YIYONG_DRAIN_SECONDS", "3", "how long after SIGTERM the server still takes requests while it says that it is not ready"),
    ("YIYONG_SECOND_APPROVAL_CITY_FEN", "50000000", "from this amount of the city's own money on, two approve; a batch counts as one"),
    ("YIYONG_SECOND_APPROVAL_COUNTY_FEN", "10000000", "the same for a county's"),
    (
        "YIYONG_JOB_WORKERS",
        "2",
        "how many imports and exports in the background this server does at a time; fewer than database connections, and 0 for none",
    ),
    ("YIYONG_JOB_LEASE_SECONDS", "15", "how long a server may give no sign of life before another goes on with its jobs"),
    (
        "YIYONG_FILES_KEPT_DAYS",
        "7",
        "how long the files of imports and exports are kept, and what became of rows, so that an import can be undone",
    ),
    ("YIYONG_IMPORT_FILE_MIB", "50", "the largest file that may be imported, in MiB as it is sent"),
    ("YIYONG_IMPORT_INFLATED_MIB", "1024", "what an imported file, or one part of a workbook, may unpack to, in MiB"),
    ("YIYONG_IMPORT_RATIO", "200", "how many bytes one packed byte may become, once more than 1 MiB is unpacked"),
    ("YIYONG_IMPORT_COLUMNS", "500", "columns of an imported file"),
    ("YIYONG_IMPORT_CELL_KIB", "1024", "the longest cell, or line of a text, of an imported file, in KiB"),
    ("YIYONG_IMPORT_ROWS", "2000000", "rows of an imported file"),
    ("YIYONG_IMPORT_ENTRIES", "1000", "files in an archive, or parts of a workbook"),
    ("YIYONG_IMPORT_STYLES", "65536", "cell styles of a workbook"),
    ("YIYONG_IMPORT_STRINGS_MIB", "64", "the texts of a workbook's cells, which are held in memory, in MiB"),
    ("YIYONG_READS_A_MINUTE", "1200", "requests by GET that one user may send in a minute; 0 is any number, here and in the next three"),
    ("YIYONG_WRITES_A_MINUTE", "600", "the same, of what changes something"),
    ("YIYONG_SENSITIVE_A_MINUTE", "60", "the same, of what shows whole numbers, moves money or hands out a way in"),
    ("YIYONG_PUBLIC_A_MINUTE", "600", "requests without a token from one address (of IPv6 one /64) in a minute, signing in among them"),
    ("YIYONG_RATES_SHARED", "false", "`true`: the servers count callers together, in the database; else each counts for itself"),
    ("YIYONG_FULL_EXPORTS_AN_HOUR", "20", "how many exports with whole ID numbers and phones one user may make in an hour"),
    (
        "YIYONG_STORAGE_URL",
        "file:<data>/attachments",
        "where attachments lie: `file:<folder>`, `s3://<bucket>/<folder>`, `oss://…` (Alibaba Cloud) or `cos://…` (Tencent Cloud); servers that share a database must share it",
    ),
    (
        "YIYONG_STORAGE_ENDPOINT",
        "",
        "address of the object store, as in `https://oss-cn-zhengzhou.aliyuncs.com`; `s3://` without it is Amazon's",
    ),
    ("YIYONG_STORAGE_REGION", "us-east-1", "region of an `s3://` storage"),
    ("YIYONG_STORAGE_KEY_ID", "", "access key id of the object store"),
    ("YIYONG_STORAGE_SECRET_FILE", "", "file with the access key's secret"),
    ("YIYONG_ATTACHMENT_MIB", "20", "the largest file that may be attached, in MiB"),
    (
        "YIYONG_ATTACHMENT_MEGAPIXELS",
        "50",
        "the largest picture that may be attached, in million pixels; one takes about eight bytes of memory for each while it is read",
    ),
    ("YIYONG_ATTACHMENTS_OF_RECORD", "100", "how many files one record may have"),
    ("YIYONG_ATTACHMENTS_MIB", "20480", "how much the files of one organization may take, in MiB"),
    ("YIYONG_LINK_SECONDS", "600", "how long a link to an attachment is good without a token; rounded up to five minutes"),
    (
        "YIYONG_WEBHOOK_ALLOWED_NETWORKS",
        "",
        "comma-separated networks, as in `10.1.0.0/16`, in which webhooks may point to private addresses, by plain HTTP too and at any port; none without it",
    ),
    ("YIYONG_WEBHOOK_SENDERS", "4", "how many deliveries of webhooks this server sends at a time; 0 for none"),
    ("YIYONG_WEBHOOK_ANSWER_WITHIN_SECONDS", "10", "how long one attempt to deliver may take in all"),
    ("YIYONG_WEBHOOK_FIRST_PAUSE_SECONDS", "5", "pause after an attempt that has failed; each further one is twice as long, up to an hour"),
    ("YIYONG_WEBHOOK_TRIED_FOR_HOURS", "72", "for how long after its event a delivery is tried"),
    ("YIYONG_WEBHOOK_DELIVERIES_KEPT_DAYS", "30", "how long deliveries that are over stay in the log of deliveries"),
    ("YIYONG_NOTIFICATIONS_KEPT_DAYS", "365", "how long notifications are kept"),
    ("YIYONG_WECHAT_APP_ID", "", "the mini-program's AppID; without it, and its secret, nothing is asked of WeChat"),
    ("YIYONG_WECHAT_APP_SECRET_FILE", "", "its AppSecret"),
    ("YIYONG_WECHAT_API_URL", "https://api.weixin.qq.com", "where WeChat's API is; plain HTTP only on this machine"),
    ("YIYONG_WECHAT_ANSWER_WITHIN_SECONDS", "5", "how long WeChat may take to answer"),
    (
        "YIYONG_WECHAT_ENVIRONMENT",
        "release",
        "the version of the mini-program that messages and codes open: `release`, `trial` or `develop`",
    ),
    ("YIYONG_WECHAT_CHECK_IN_PAGE", "pages/check-in/index", "its page that the code of a team or an event opens"),
    ("YIYONG_WECHAT_WORKSTATION_PAGE", "pages/workstation/index", "its page that the code of a workstation opens"),
    ("YIYONG_WECHAT_MESSAGES_KEPT_DAYS", "30", "how long what became of a message is kept"),
    ("YIYONG_LOG", "info", "log levels, as env_logger reads them"),
];

pub struct Config {
    pub target: Target,
    pub data_dir: PathBuf,
    pub bind: SocketAddr,
    pub public_url: String,
    pub signing_keys: SigningKeyFiles,
    /// Seals.
    pub data_key: Zeroizing<[u8; 32]>,
    /// Still open what they have sealed.
    pub other_data_keys: Vec<Zeroizing<[u8; 32]>>,
    pub allowed_origins: Vec<String>,
    pub behind_tls: bool,
    pub trusted_proxies: Vec<IpAddr>,
    pub workers: usize,
    pub db_connections: u32,
    pub migrate_at_start: bool,
    pub answer_within: Duration,
    pub head_within: Duration,
    pub body_within: Duration,
    pub drain: Duration,
    pub second_approval: SecondApproval,
    pub jobs: JobsConfig,
    pub rates: RatesConfig,
    pub outbox: OutboxConfig,
    pub import_limits: Limits,
    pub full_exports_an_hour: i64,
    pub storage: StorageConfig,
    pub attachment_limits: AttachmentLimits,
    /// `None` where no mini-program is configured.
    pub wechat: Option<wechat::Settings>,
}

/// From which amount on, in fen, a disbursement or a batch of them needs a second approver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondApproval {
    pub city_fen: i64,
    pub county_fen: i64,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("target", &self.target)
            .field("data_dir", &self.data_dir)
            .field("bind", &self.bind)
            .field("public_url", &self.public_url)
            .field("allowed_origins", &self.allowed_origins)
            .field("workers", &self.workers)
            .field("db_connections", &self.db_connections)
            .finish_non_exhaustive()
    }
}

impl Config {
    pub fn from_env() -> Result<Self, String> {
        Self::from_lookup(from_env)
    }

    /// With any source of settings, so that tests need not change the process's environment.
    pub fn from_lookup(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let data_dir = PathBuf::from(get("YIYONG_DATA_DIR").unwrap_or_else(|| "data".into()));
        let target = match get("DATABASE_URL") {
            Some(url) => Target::parse(&url)?,
            None => {
                private_folder(&data_dir).map_err(|e| format!("YIYONG_DATA_DIR: {} can't be made: {e}", data_dir.display()))?;
                Target::Sqlite(data_dir.join("yiyong.db").display().to_string())
            }
        };
        let bind = bind(&get)?;
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let number = |name: &str, default: usize, least: usize, most: usize| match get(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|n| (least..=most).contains(n))
                .ok_or_else(|| format!("{name}: '{text}' should be a whole number from {least} to {most}")),
        };
        let seconds = |name: &str, default: usize, least: usize, most: usize| {
            number(name, default, least, most).map(|n| Duration::from_secs(n as u64))
        };
        let fen =
            |name: &str, default: usize| number(name, default, 1, 1_000_000_000_000_000).map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let rate = |name: &str, default: usize| number(name, default, 0, 1_000_000).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        let whole = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let flag = |name: &str, default: bool| match get(name).as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(text) => Err(format!("{name}: '{text}' should be true or false")),
        };
        let list = |name: &str| -> Vec<String> {
            get(name).unwrap_or_default().split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
        };
        let allowed_origins = list("YIYONG_ALLOWED_ORIGINS");
        if let Some(wrong) =
            allowed_origins.iter().find(|o| *o == "*" || *o == "null" || !(o.starts_with("http://") || o.starts_with("https://")))
        {
            return Err(format!("YIYONG_ALLOWED_ORIGINS: '{wrong}' is not an origin, as in https://office.example.cn"));
        }
        let trusted_proxies = list("YIYONG_TRUSTED_PROXIES")
            .iter()
            .map(|text| text.parse().map_err(|_| format!("YIYONG_TRUSTED_PROXIES: '{text}' is not an address, as in 10.0.0.7")))
            .collect::<Result<_, _>>()?;
        let networks: Vec<_> = list("YIYONG_WEBHOOK_ALLOWED_NETWORKS")
            .iter()
            .map(|text| text.parse().map_err(|_| format!("YIYONG_WEBHOOK_ALLOWED_NETWORKS: '{text}' is not a network, as in 10.1.0.0/16")))
            .collect::<Result<_, _>>()?;
        let postgres = target.is_postgres();
        let signing_key = key_file(&get, SIGNING_KEY, &data_dir.join("signing-key.pem"), postgres, Keys::generate_pem)?;
        let signing_keys =
            SigningKeyFiles { signing: signing_key.0, others: list(OTHER_SIGNING_KEYS).into_iter().map(PathBuf::from).collect() };
        let (_, data_key_text) = key_file(&get, DATA_KEY, &data_dir.join("data-key"), postgres, || {
            let key: [u8; 32] = rand::random();
            STANDARD.encode(key)
        })?;
        let data_key = data_key_of(DATA_KEY, &data_key_text)?;
        let other_data_keys = list(OTHER_DATA_KEYS)
            .iter()
            .map(|path| data_key_of(OTHER_DATA_KEYS, &secret(OTHER_DATA_KEYS, Path::new(path))?))
            .collect::<Result<_, _>>()?;
        // Whoever imports needs a connection for the import and one to say that it goes on.
        let imports = get("YIYONG_JOB_WORKERS").as_deref() != Some("0");
        let db_connections = number("YIYONG_DB_CONNECTIONS", (2 * cores).clamp(2, 8), 1 + usize::from(imports), 256)?;
        let import_limits = Limits {
            file: 1024 * 1024 * number("YIYONG_IMPORT_FILE_MIB", 50, 1, 4_096)? as u64,
            inflated: 1024 * 1024 * number("YIYONG_IMPORT_INFLATED_MIB", 1_024, 1, 65_536)? as u64,
            ratio: number("YIYONG_IMPORT_RATIO", 200, 1, 1_032)? as u64,
            columns: number("YIYONG_IMPORT_COLUMNS", 500, 1, 16_384)?,
            cell: 1024 * number("YIYONG_IMPORT_CELL_KIB", 1_024, 1, 65_536)?,
            rows: number("YIYONG_IMPORT_ROWS", 2_000_000, 1, 100_000_000)? as u64,
            entries: number("YIYONG_IMPORT_ENTRIES", 1_000, 1, 65_535)?,
            styles: number("YIYONG_IMPORT_STYLES", 65_536, 1, 1_000_000)?,
            strings: 1024 * 1024 * number("YIYONG_IMPORT_STRINGS_MIB", 64, 1, 2_048)?,
        };
        Ok(Self {
            jobs: JobsConfig {
                workers: number("YIYONG_JOB_WORKERS", 2.min(db_connections - 1), 0, db_connections - 1)?,
                lease: seconds("YIYONG_JOB_LEASE_SECONDS", 15, 1, 3_600)?,
                file_limits: import_limits,
                files_kept: Duration::from_secs(86_400 * number("YIYONG_FILES_KEPT_DAYS", 7, 1, 3_650)? as u64),
            },
            outbox: OutboxConfig {
                networks: Networks::new(networks),
                senders: number("YIYONG_WEBHOOK_SENDERS", 4, 0, 64)?,
                answer_within: seconds("YIYONG_WEBHOOK_ANSWER_WITHIN_SECONDS", 10, 1, 60)?,
                first_pause: seconds("YIYONG_WEBHOOK_FIRST_PAUSE_SECONDS", 5, 1, 3_600)?,
                tried_for: 3_600 * seconds("YIYONG_WEBHOOK_TRIED_FOR_HOURS", 72, 1, 8_760)?,
                deliveries_kept: 86_400 * seconds("YIYONG_WEBHOOK_DELIVERIES_KEPT_DAYS", 30, 1, 3_650)?,
                notifications_kept: 86_400 * seconds("YIYONG_NOTIFICATIONS_KEPT_DAYS", 365, 1, 3_650)?,
            },
            rates: RatesConfig {
                public: rate("YIYONG_PUBLIC_A_MINUTE", 600)?,
                read: rate("YIYONG_READS_A_MINUTE", 1_200)?,
                write: rate("YIYONG_WRITES_A_MINUTE", 600)?,
                sensitive: rate("YIYONG_SENSITIVE_A_MINUTE", 60)?,
                shared: flag("YIYONG_RATES_SHARED", false)?,
            },
            public_url: get("YIYONG_PUBLIC_URL").unwrap_or_else(|| format!("http://{bind}")),
            migrate_at_start: flag("YIYONG_MIGRATE_AT_START", !postgres)?,
            behind_tls: flag("YIYONG_BEHIND_TLS", false)?,
            workers: number("YIYONG_WORKERS", cores, 1, 256)?,
            db_connections: u32::try_from(db_connections).unwrap_or(8),
            answer_within: seconds("YIYONG_ANSWER_WITHIN_SECONDS", 3, 1, 60)?,
            head_within: seconds("YIYONG_HEAD_WITHIN_SECONDS", 10, 1, 60)?,
            body_within: seconds("YIYONG_BODY_WITHIN_SECONDS", 30, 1, 600)?,
            drain: seconds("YIYONG_DRAIN_SECONDS", 3, 0, 300)?,
            second_approval: SecondApproval {
                city_fen: fen("YIYONG_SECOND_APPROVAL_CITY_FEN", 50_000_000)?,
                county_fen: fen("YIYONG_SECOND_APPROVAL_COUNTY_FEN", 10_000_000)?,
            },
            import_limits,
            storage: storage(&get, &data_dir)?,
            attachment_limits: AttachmentLimits {
                file: 1024 * 1024 * number("YIYONG_ATTACHMENT_MIB", 20, 1, 1_024)? as u64,
                pixels: 1_000_000 * number("YIYONG_ATTACHMENT_MEGAPIXELS", 50, 1, 500)? as u64,
                of_record: whole(number("YIYONG_ATTACHMENTS_OF_RECORD", 100, 1, 100_000)?),
                of_organization: 1024 * 1024 * whole(number("YIYONG_ATTACHMENTS_MIB", 20_480, 1, 1_000_000_000)?),
                link_seconds: whole(number("YIYONG_LINK_SECONDS", 600, 1, 86_400)?),
            },
            full_exports_an_hour: whole(number("YIYONG_FULL_EXPORTS_AN_HOUR", 20, 0, 1_000_000)?),
            wechat: wechat(&get, &seconds, &number)?,
            target,
            data_dir,
            bind,
            signing_keys,
            trusted_proxies,
            data_key,
            other_data_keys,
            allowed_origins,
        })
    }
}

type Get<'a> = &'a dyn Fn(&str) -> Option<String>;
/// A setting's name, its default, its least and its most.
type Within<'a, T> = &'a dyn Fn(&str, usize, usize, usize) -> Result<T, String>;

/// The mini-program: all that it needs, or nothing.
fn wechat(get: Get<'_>, seconds: Within<'_, Duration>, number: Within<'_, usize>) -> Result<Option<wechat::Settings>, String> {
    let (app_id, secret_file) = match (get(WECHAT_APP_ID), get(WECHAT_SECRET)) {
        (None, None) => return Ok(None),
        (Some(app_id), Some(file)) => (app_id, file),
        (Some(_), None) => return Err(format!("{WECHAT_SECRET}: the AppSecret of the mini-program must be given with its AppID")),
        (None, Some(_)) => return Err(format!("{WECHAT_APP_ID}: the AppID of the mini-program must be given with its AppSecret")),
    };
    let named = |text: &str| (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !named(&app_id) {
        return Err(format!("{WECHAT_APP_ID}: '{app_id}' is not an AppID, as in wx1234567890abcdef"));
    }
    let app_secret = Zeroizing::new(secret(WECHAT_SECRET, Path::new(&secret_file))?.trim().to_owned());
    if !named(&app_secret) {
        return Err(format!("{WECHAT_SECRET}: {secret_file} does not hold an AppSecret and nothing else"));
    }
    let url = get(WECHAT_URL).unwrap_or_else(|| "https://api.weixin.qq.com".into());
    let host = url.strip_prefix("http://").map(|rest| rest.split(['/', ':']).next().unwrap_or_default());
    // The secret is sent along.
    if !(url.starts_with("https://") || host.is_some_and(|host| ["127.0.0.1", "localhost"].contains(&host))) {
        return Err(format!("{WECHAT_URL}: '{url}' should begin with https://, or be on this machine"));
    }
    let environment = get(WECHAT_ENVIRONMENT).unwrap_or_else(|| "release".into());
    let environment = wechat::Environment::from_code(&environment)
        .ok_or_else(|| format!("{WECHAT_ENVIRONMENT}: '{environment}' should be release, trial or develop"))?;
    let page = |name: &str, default: &str| {
        let page = get(name).unwrap_or_else(|| default.to_owned());
        let fine = !page.starts_with('/') && page.len() <= 128 && page.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.".contains(&b));
        if fine { Ok(page) } else { Err(format!("{name}: '{page}' is not a page, as in {default}: without a leading / and a query")) }
    };
    Ok(Some(wechat::Settings {
        app_id,
        app_secret,
        api_url: url.trim_end_matches('/').to_owned(),
        answer_within: seconds("YIYONG_WECHAT_ANSWER_WITHIN_SECONDS", 5, 1, 60)?,
        environment,
        check_in_page: page("YIYONG_WECHAT_CHECK_IN_PAGE", "pages/check-in/index")?,
        workstation_page: page("YIYONG_WECHAT_WORKSTATION_PAGE", "pages/workstation/index")?,
        messages_kept: Duration::from_secs(86_400 * number("YIYONG_WECHAT_MESSAGES_KEPT_DAYS", 30, 1, 3_650)? as u64),
    }))
}

fn from_env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn bind(get: &impl Fn(&str) -> Option<String>) -> Result<SocketAddr, String> {
    let text = get("YIYONG_BIND").unwrap_or_else(|| "127.0.0.1:8080".into());
    text.parse().map_err(|_| format!("YIYONG_BIND: '{text}' is not an address and port, as in 0.0.0.0:8080"))
}

/// Where attachments are to lie.
fn storage(get: &impl Fn(&str) -> Option<String>, data_dir: &Path) -> Result<StorageConfig, String> {
    const URL: &str = "YIYONG_STORAGE_URL";
    let Some(url) = get(URL) else { return Ok(StorageConfig::Folder(data_dir.join("attachments"))) };
    if let Some(folder) = url.strip_prefix("file:") {
        return Ok(StorageConfig::Folder(PathBuf::from(folder)));
    }
    let kinds = [("s3://", BucketKind::S3), ("oss://", BucketKind::Oss), ("cos://", BucketKind::Cos)];
    let (kind, rest) = kinds
        .into_iter()
        .find_map(|(scheme, kind)| Some((kind, url.strip_prefix(scheme)?)))
        .ok_or_else(|| format!("{URL}: '{url}' should begin with file:, s3://, oss:// or cos://"))?;
    let (bucket, root) = rest.split_once('/').unwrap_or((rest, ""));
    let needed = |name: &str| get(name).ok_or_else(|| format!("{name}: an object store ({URL}) needs it"));
    let endpoint = get("YIYONG_STORAGE_ENDPOINT");
    if bucket.is_empty() || (kind != BucketKind::S3 && endpoint.is_none()) {
        return Err(format!("{URL}: '{url}' names no bucket, or YIYONG_STORAGE_ENDPOINT is missing"));
    }
    const SECRET: &str = "YIYONG_STORAGE_SECRET_FILE";
    let secret = Zeroizing::new(secret(SECRET, Path::new(&needed(SECRET)?))?.trim().to_owned());
    Ok(StorageConfig::Bucket {
        kind,
        bucket: bucket.to_owned(),
        root: format!("/{root}"),
        endpoint,
        region: get("YIYONG_STORAGE_REGION"),
        key_id: needed("YIYONG_STORAGE_KEY_ID")?,
        secret,
    })
}

/// Where a server with this environment is reached from the same machine.
pub fn own_address() -> Result<SocketAddr, String> {
    let mut address = bind(&from_env)?;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    Ok(address)
}

const WECHAT_APP_ID: &str = "YIYONG_WECHAT_APP_ID";
const WECHAT_SECRET: &str = "YIYONG_WECHAT_APP_SECRET_FILE";
const WECHAT_URL: &str = "YIYONG_WECHAT_API_URL";
const WECHAT_ENVIRONMENT: &str = "YIYONG_WECHAT_ENVIRONMENT";
const SIGNING_KEY: &str = "YIYONG_SIGNING_KEY_FILE";
const OTHER_SIGNING_KEYS: &str = "YIYONG_OTHER_SIGNING_KEY_FILES";
const DATA_KEY: &str = "YIYONG_DATA_KEY_FILE";
const OTHER_DATA_KEYS: &str = "YIYONG_OTHER_DATA_KEY_FILES";

/// Where the keys of access tokens stand. They are read again while the service runs, so that a key can be changed, and
/// a stolen one taken back, without a restart.
#[derive(Debug, Clone)]
pub struct SigningKeyFiles {
    pub signing: PathBuf,
    /// Each with any number of keys, or none at the moment.
    pub others: Vec<PathBuf>,
}

impl SigningKeyFiles {
    /// The key that signs, and those that are published and accepted beside it.
    pub fn read(&self) -> Result<(Zeroizing<String>, Vec<Zeroizing<String>>), String> {
        const END: &str = "-----END PRIVATE KEY-----";
        let mut others = Vec::new();
        for path in &self.others {
            let all = secret(OTHER_SIGNING_KEYS, path)?;
            others.extend(all.split_inclusive(END).filter(|key| !key.trim().is_empty()).map(|key| Zeroizing::new(key.trim().to_owned())));
        }
        Ok((secret(SIGNING_KEY, &self.signing)?, others))
    }
}

/// The text of a file that a setting names.
fn secret(name: &str, path: &Path) -> Result<Zeroizing<String>, String> {
    std::fs::read_to_string(path).map(Zeroizing::new).map_err(|e| format!("{name}: {}: {e}", path.display()))
}

/// The data key that the text of its file tells.
fn data_key_of(name: &str, text: &str) -> Result<Zeroizing<[u8; 32]>, String> {
    let bytes = STANDARD.decode(text.trim()).ok().map(Zeroizing::new);
    let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok()).map(Zeroizing::new);
    key.ok_or_else(|| format!("{name}: the data key should be exactly 32 bytes in base64 (44 characters)"))
}

/// A key from the file that the environment names, or from the data folder, where it is made on first start. Servers
/// that share a PostgreSQL must share their keys, so there nothing is made behind their backs.
fn key_file(
    get: &impl Fn(&str) -> Option<String>,
    name: &str,
    default: &Path,
    must_be_given: bool,
    make: impl FnOnce() -> String,
) -> Result<(PathBuf, Zeroizing<String>), String> {
    let given = get(name);
    if given.is_none() && must_be_given {
        return Err(format!("{name}: with PostgreSQL this key must be given, since all servers share it (README: deployment)"));
    }
    let path = given.as_ref().map_or_else(|| default.to_owned(), PathBuf::from);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => Err(format!("{name}: {} is empty", path.display())),
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) if given.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            let text = Zeroizing::new(make());
            write_secret(&path, &text).map_err(|e| format!("{name}: {} can't be written: {e}", path.display()))?;
            // Another process may have been first: what stands in the file counts.
            secret(name, &path)
        }
        Err(error) => Err(format!("{name}: {}: {error}", path.display())),
    };
    Ok((path, text?))
}

/// Makes a folder that only its owner can enter; one that is there already stays as it is.
fn private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Writes a new file that only its owner can read, whole or not at all; one that is there already stays as it is.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    // A link refuses to take the place of a file that another process was first to write.
    let linked = written.and_then(|()| std::fs::hard_link(&draft, path));
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
