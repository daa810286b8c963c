//! The command line.

use std::io::{IsTerminal, Read, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use yiyong::app::{self, Service};
use yiyong::auth::UserKind;
use yiyong::auth::operator::{self, NewOperatorUser};
use yiyong::config::{self, Config};
use yiyong::db::migrations;
use yiyong::error::Error;
use yiyong::logging;
use yiyong::policy::Role;
use yiyong::types::TextEnum;

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
    /// Bring the database up to date.
    Migrate,
    /// Ask the server on this machine whether it lives: for a container's health check.
    Health,
    /// Print the OpenAPI document.
    Openapi,
    /// Users, from the command line: for the first administrator.
    #[command(subcommand)]
    User(UserCommand),
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
    logging::start();
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
        Command::Openapi => {
            let text = serde_json::to_string_pretty(&app::document()).map_err(|e| e.to_string())?;
            writeln!(std::io::stdout(), "{text}").map_err(|e| e.to_string())
        }
        Command::Migrate => {
            let config = Config::from_env()?;
            for step in migrate(&config)? {
                log::info!("migrated: {step}");
            }
            Ok(())
        }
        Command::Health => {
            let address = config::own_address()?;
            let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(2))).build().into();
            agent.get(format!("http://{address}/health/live")).call().map(|_| ()).map_err(|e| format!("{address} is not well: {e}"))
        }
        Command::Serve => serve(&Config::from_env()?),
        Command::User(UserCommand::Create { role, username, name, organization }) => {
            let config = Config::from_env()?;
            if config.migrate_at_start {
                migrate(&config)?;
            }
            let role = Role::from_code(&role).ok_or_else(|| {
                format!("there is no role '{role}'; known: {}", Role::ENTRIES.iter().map(|(code, ..)| *code).collect::<Vec<_>>().join(", "))
            })?;
            let password = password()?;
            let service = Service::new(&config)?;
            let kind = if role == Role::Service { UserKind::Service } else { UserKind::Person };
            let name = name.unwrap_or_else(|| username.clone());
            let user = NewOperatorUser { name, username, kind, role, organization_code: organization, password };
            let id = operator::create_user(&service.db, &user).map_err(told)?;
            writeln!(std::io::stdout(), "created user {id}").map_err(|e| e.to_string())
        }
    }
}

fn migrate(config: &Config) -> Result<Vec<String>, String> {
    let mut connection = config.target.connect(Duration::from_secs(600)).map_err(|e| format!("the database can't be opened: {e}"))?;
    migrations::up(&mut connection).map_err(|e| format!("the database can't be brought up to date: {e}"))
}

fn serve(config: &Config) -> Result<(), String> {
    if config.migrate_at_start {
        migrate(config)?;
    }
    let service = Service::new(config)?;
    let listener = TcpListener::bind(config.bind).map_err(|e| format!("YIYONG_BIND: {} can't be listened on: {e}", config.bind))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    log::info!("serving on http://{address} with {:?}; reference at /docs/", config.target);
    actix_web::rt::System::new()
        .block_on(app::serve_until_told(service, listener, config.workers, config.db_connections as usize, config.drain))
        .map_err(|e| e.to_string())
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

fn told(error: Error) -> String {
    error.to_string()
}
