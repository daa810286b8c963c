//! The command line.

use std::io::{IsTerminal, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use actix_web::web::Data;
use clap::{Parser, Subcommand};
use futures_util::future::{Either, select};
use indicatif::{ProgressBar, ProgressStyle};
use yiyong::app::{self, Service};
use yiyong::attachments;
use yiyong::audit::api::{CheckpointQuery, checkpoints_of};
use yiyong::audit::seal::{Checkpoint, read_kept};
use yiyong::audit::verify::{self, Asked};
use yiyong::auth::UserKind;
use yiyong::auth::operator::{self, NewOperatorUser};
use yiyong::client::import::{Ended, ImportArguments, Order};
use yiyong::client::{Client, Credentials, Failure, FormFile};
use yiyong::config::{self, Config};
use yiyong::db::reseal::Resealed;
use yiyong::db::{Db, migrations};
use yiyong::demo::{self, Account};
use yiyong::error::{Error, Language};
use yiyong::exports;
use yiyong::imports;
use yiyong::logging;
use yiyong::policy::Role;
use yiyong::resources::{contact_changes, payee_accounts, persons, webhooks};
use yiyong::types::TextEnum;
use yiyong::web::contract::Contract;
use yiyong::wechat::{bindings, subscribe};

/// The contract that is served.
static CONTRACT: &str = include_str!("../openapi/openapi.json");

/// 义勇：见义勇为协会的记录、救助发放与年度报告。
/// Records, welfare and the computed yearly report of the associations for courageous acts.
#[derive(Parser)]
#[command(name = "yiyong", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API.
    Serve,
    /// Serve the records of 2022 from a database of their own, with one account per role; nothing is kept afterwards.
    Demo,
    /// Bring the database up to date.
    Migrate,
    /// Check the records against each other; fails where something is wrong.
    Check,
    /// Seal everything that is sealed with the present data key, while servers run: after a change of it.
    Reseal,
    /// Ask the server on this machine whether it lives: for a container's health check.
    Health,
    /// Import a file over HTTP and follow it to its end. Exit codes: 0 every row is there, 1 refused, 2 wrong arguments, 3 the
    /// service can't be reached, 4 some rows were left out.
    Import(ImportArguments),
    /// Print the OpenAPI document.
    Openapi,
    /// The audit log: whether it is whole, and what to keep elsewhere.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Users, from the command line: for the first administrator.
    #[command(subcommand)]
    User(UserCommand),
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Walk along the whole log and name what was changed, is missing, or stands in another's place; fails if anything does.
    Verify {
        /// Checkpoints that were kept elsewhere, as `checkpoints` gave them: they show what was cut off at the end.
        #[arg(long)]
        checkpoints: Option<std::path::PathBuf>,
        #[arg(long)]
        from: Option<chrono::NaiveDate>,
        #[arg(long)]
        to: Option<chrono::NaiveDate>,
    },
    /// Print the signed checkpoints, to be kept where nobody can change both them and the database.
    Checkpoints {
        #[arg(long)]
        from: Option<chrono::NaiveDate>,
        #[arg(long)]
        to: Option<chrono::NaiveDate>,
    },
}

#[derive(Subcommand)]
enum UserCommand {
    /// Create a user with one role. The password is asked for, or read from standard input.
    Create {
        #[arg(long)]
        role: String,
        #[arg(long, default_value = "admin")]
        username: String,
        #[arg(long)]
        name: Option<String>,
        /// Code of the organization that the role is for; a platform administrator needs none.
        #[arg(long)]
        organization: Option<String>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A line per request would break the progress bar to pieces.
    logging::start(if matches!(cli.command, Command::Demo | Command::Import(_)) { "warn" } else { "info" });
    if let Command::Import(arguments) = &cli.command {
        return ExitCode::from(import(arguments) as u8);
    }
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // One clear line, whatever the log level; libpq likes to take several.
            let _ = writeln!(std::io::stderr(), "yiyong: {}", message.split_whitespace().collect::<Vec<_>>().join(" "));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Openapi => print(&app::document()),
        // It has exit codes of its own.
        Command::Import(_) => Ok(()),
        Command::Migrate => {
            let config = Config::from_env()?;
            for step in migrate(&config)? {
                log::info!("migrated: {step}");
            }
            Ok(())
        }
        Command::Reseal => {
            let service = service(&Config::from_env()?)?;
            let persons::Resealed { seen, resealed, dated, doubles } = persons::reseal(&service.db).map_err(told)?;
            let mut out = std::io::stdout();
            writeln!(out, "resealed {resealed} of {seen} persons").map_err(|e| e.to_string())?;
            type Reseal = fn(&Db) -> Result<Resealed, Error>;
            let others: [(&str, Reseal); 7] = [
                ("payee accounts", payee_accounts::reseal),
                ("webhooks", webhooks::reseal),
                ("bindings to WeChat", bindings::reseal),
                ("changes of contact data", contact_changes::reseal),
                ("messages to WeChat", subscribe::reseal),
                ("pieces of imports", imports::reseal),
                ("pieces of export files", exports::reseal),
            ];
            for (what, reseal) in others {
                let Resealed { seen, resealed } = reseal(&service.db).map_err(told)?;
                if seen > 0 {
                    writeln!(out, "resealed {resealed} of {seen} {what}").map_err(|e| e.to_string())?;
                }
            }
            let files = on_this_thread(attachments::reseal(&service.db, service.storage()))?;
            if files.seen > 0 {
                writeln!(out, "resealed {} of {} attachments", files.resealed, files.seen).map_err(|e| e.to_string())?;
            }
            if dated > 0 {
                writeln!(out, "kept the birth dates of {dated} persons").map_err(|e| e.to_string())?;
            }
            for id in doubles {
                writeln!(out, "the ID number of person {id} is another's, too").map_err(|e| e.to_string())?;
            }
            if files.unreadable.is_empty() {
                return Ok(());
            }
            let ids: Vec<String> = files.unreadable.iter().map(ToString::to_string).collect();
            Err(format!("a file is gone, or opens with none of these data keys, of attachment {}", ids.join(", ")))
        }
        Command::Check => {
            let service = service(&Config::from_env()?)?;
            let walked = on_this_thread(verify::verify(&service.db, service.auth.keys(), Asked::default(), Language::Zh))?;
            let found = service.db.run(true, yiyong::integrity::check).map_err(told)?.with_audit(&walked);
            let mut out = std::io::stdout();
            for check in &found.checks {
                let first: Vec<String> = check.first.iter().map(ToString::to_string).collect();
                let line =
                    format!("{:<24} {:>8}  {} / {}  {}", check.code, check.offenders, check.label_zh, check.label_en, first.join(" "));
                writeln!(out, "{}", line.trim_end()).map_err(|e| e.to_string())?;
            }
            if found.clean { Ok(()) } else { Err("the records don't agree with each other".into()) }
        }
        Command::Health => {
            let address = config::own_address()?;
            let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(2))).build().into();
            agent.get(format!("http://{address}/health/live")).call().map(|_| ()).map_err(|e| format!("{address} is not well: {e}"))
        }
        Command::Audit(AuditCommand::Verify { checkpoints, from, to }) => {
            let kept = checkpoints.map(|path| kept_checkpoints(&path)).transpose()?.unwrap_or_default();
            let service = service(&Config::from_env()?)?;
            let asked = Asked { from, to, kept, ..Asked::default() };
            let found = on_this_thread(verify::verify(&service.db, service.auth.keys(), asked, Language::Zh))?;
            print(&found)?;
            match found.faults.len() {
                0 => Ok(()),
                n => Err(format!("the audit log is not whole: {n} faults are named above")),
            }
        }
        Command::Audit(AuditCommand::Checkpoints { from, to }) => {
            let service = service(&Config::from_env()?)?;
            print(&on_this_thread(checkpoints_of(&service.db, service.auth.keys(), CheckpointQuery { from, to }))?)
        }
        Command::Serve => serve(&Config::from_env()?),
        Command::Demo => demonstrate(),
        Command::User(UserCommand::Create { role, username, name, organization }) => {
            let config = Config::from_env()?;
            if config.migrate_at_start {
                migrate(&config)?;
            }
            let role = Role::from_code(&role).ok_or_else(|| {
                format!("there is no role '{role}'; known: {}", Role::ENTRIES.iter().map(|(code, ..)| *code).collect::<Vec<_>>().join(", "))
            })?;
            let password = password()?;
            let service = service(&config)?;
            let kind = if role == Role::Service { UserKind::Service } else { UserKind::Person };
            let name = name.unwrap_or_else(|| username.clone());
            let user = NewOperatorUser { name, username, kind, role, organization_code: organization, password };
            let id = operator::create_user(&service.db, &user).map_err(told)?;
            writeln!(std::io::stdout(), "created user {id}").map_err(|e| e.to_string())
        }
    }
}

/// Imports a file as a machine client, and tells what came of it.
fn import(arguments: &ImportArguments) -> Ended {
    let say = |line: &str| {
        let _ = writeln!(std::io::stderr(), "{line}");
    };
    let secret = zeroize::Zeroizing::new(std::env::var("YIYONG_CLIENT_SECRET").unwrap_or_default());
    let token = zeroize::Zeroizing::new(std::env::var("YIYONG_TOKEN").unwrap_or_default());
    let credentials = match (token.is_empty(), arguments.client_id.is_empty() || secret.is_empty()) {
        (false, _) => Credentials::Token(token),
        (true, false) => Credentials::Client { id: arguments.client_id.clone(), secret },
        (true, true) => {
            say("yiyong: give YIYONG_CLIENT_ID and YIYONG_CLIENT_SECRET of a machine client, or YIYONG_TOKEN");
            return Ended::Refused;
        }
    };
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} % {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(100).with_style(style);
    let order = Order {
        file: FormFile::OnDisk(&arguments.file),
        parts: &[
            ("resource", &arguments.resource),
            ("mode", &arguments.mode),
            ("on_error", &arguments.on_error),
            ("dry_run", if arguments.dry_run { "true" } else { "false" }),
            ("repeat", if arguments.repeat { "true" } else { "false" }),
        ],
        // Of this run: whatever gets lost on the way is asked for again and done once.
        key: &yiyong::types::new_code(),
    };
    let look = |import: &serde_json::Value| {
        let progress = &import["progress"];
        bar.set_position(progress["percent"].as_u64().unwrap_or_default());
        bar.set_message(format!("{} rows, {}/s", progress["rows_read"], progress["rows_per_second"]));
    };
    let ended = Client::sign_in(&arguments.server, credentials).and_then(|client| client.import(&order, look));
    bar.finish_and_clear();
    match ended {
        Ok(import) => {
            if print(&import).is_err() {
                return Ended::Unreachable;
            }
            match import["outcome"].as_str() {
                Some("completed" | "would_complete") => Ended::Whole,
                Some("completed_with_faults") => Ended::InPart,
                _ => Ended::Refused,
            }
        }
        Err(failure) => {
            say(&format!("yiyong: {failure}"));
            let Failure::Refused { status, problem } = failure else { return Ended::Unreachable };
            for fault in problem["faults"].as_array().into_iter().flatten().take(20) {
                let text = |name: &str| fault[name].as_str().unwrap_or_default();
                say(&format!("  {}:{}  {} {}", fault["row"], text("column"), text("code"), text("message")));
            }
            if status >= 500 { Ended::Unreachable } else { Ended::Refused }
        }
    }
}

fn migrate(config: &Config) -> Result<Vec<String>, String> {
    let mut connection = config.target.connect(Duration::from_secs(600)).map_err(|e| format!("the database can't be opened: {e}"))?;
    migrations::up(&mut connection).map_err(|e| format!("the database can't be brought up to date: {e}"))
}

fn service(config: &Config) -> Result<Service, String> {
    Service::new(config, Data::new(Contract::read(CONTRACT)?))
}

/// The service, and the listener that it will answer on.
fn prepared(config: &Config) -> Result<(Service, TcpListener, SocketAddr), String> {
    if config.migrate_at_start {
        migrate(config)?;
    }
    let service = service(config)?;
    let listener = TcpListener::bind(config.bind).map_err(|e| format!("YIYONG_BIND: {} can't be listened on: {e}", config.bind))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    Ok((service, listener, address))
}

fn serve(config: &Config) -> Result<(), String> {
    let (service, listener, address) = prepared(config)?;
    log::info!("serving on http://{address} with {:?}; reference at /docs/", config.target);
    actix_web::rt::System::new()
        .block_on(app::serve_until_told(service, listener, config.workers, config.db_connections as usize, config.drain))
        .map_err(|e| e.to_string())
}

/// Serves from a folder that goes with the process, and loads the records into it meanwhile.
fn demonstrate() -> Result<(), String> {
    let folder = tempfile::Builder::new().prefix("yiyong-demo-").tempdir().map_err(|e| format!("no folder for the demonstration: {e}"))?;
    let path = folder.path().display().to_string();
    let config = Config::from_lookup(|name| match name {
        "DATABASE_URL" | "YIYONG_SIGNING_KEY_FILE" | "YIYONG_DATA_KEY_FILE" | "YIYONG_OTHER_DATA_KEY_FILES" => None,
        "YIYONG_DATA_DIR" => Some(path.clone()),
        other => std::env::var(other).ok().filter(|value| !value.is_empty()),
    })?;
    let (service, listener, address) = prepared(&config)?;
    let (db, base) = (service.db.clone(), format!("http://{address}"));
    let loading_from = base.clone();
    actix_web::rt::System::new().block_on(async move {
        let serving = app::serve_until_told(service, listener, config.workers, config.db_connections as usize, config.drain);
        let loading = actix_web::web::block(move || demo::load(&db, &loading_from));
        match select(pin!(serving), pin!(loading)).await {
            Either::Left((stopped, _)) => stopped.map_err(|e| e.to_string()),
            Either::Right((loaded, serving)) => {
                introduce(&loaded.map_err(|e| e.to_string())??, &base).map_err(|e| e.to_string())?;
                serving.await.map_err(|e| e.to_string())
            }
        }
    })
}

/// Says where to look, and as whom.
fn introduce(accounts: &[Account], base: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "2022 年的记录已载入。/ The records of 2022 are loaded. Ctrl-C ends it; nothing is kept.\n")?;
    for account in accounts {
        let place = account.organization.unwrap_or("*");
        writeln!(out, "  {:<24} {}   {place:<12} {}", account.username, account.password.as_str(), account.label_zh)?;
    }
    writeln!(out, "\n接口文档 / reference   {base}/docs/")?;
    writeln!(out, "年度报告 / the report   {base}/api/v1/reports/annual/2022")?;
    writeln!(
        out,
        "\ntoken=$(curl -s {base}/api/v1/auth/login -H 'Content-Type: application/json' -d '{{\"username\":\"demo-leader\",\"password\":\"…\"}}' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n\
         curl -s {base}/api/v1/reports/annual/2022 -H 'Accept: text/markdown' -H \"Authorization: Bearer $token\""
    )?;
    out.flush()
}

/// From the terminal, unseen and twice; or the first line of standard input.
fn password() -> Result<zeroize::Zeroizing<String>, String> {
    if std::io::stdin().is_terminal() {
        let ask = |prompt: &str| rpassword::prompt_password(prompt).map(zeroize::Zeroizing::new).map_err(|e| e.to_string());
        let first = ask("密码 / Password: ")?;
        if *first != *ask("再次输入 / Again: ")? {
            return Err("the two passwords differ".into());
        }
        return Ok(first);
    }
    let mut text = zeroize::Zeroizing::new(String::new());
    std::io::stdin().take(2048).read_to_string(&mut text).map_err(|e| e.to_string())?;
    Ok(zeroize::Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

fn print(value: &impl serde::Serialize) -> Result<(), String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| e.to_string())?;
    writeln!(std::io::stdout(), "{text}").map_err(|e| e.to_string())
}

fn on_this_thread<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    actix_web::rt::System::new().block_on(work).map_err(told)
}

fn kept_checkpoints(path: &std::path::Path) -> Result<Vec<Checkpoint>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    read_kept(&text).map_err(|e| format!("{}: {e}", path.display()))
}

fn told(error: Error) -> String {
    error.to_string()
}
