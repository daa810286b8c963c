//! The service as its operator starts it: the release binary in a process of its own, with the container's settings.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::http::{Connection, request};

const PASSWORD: &str = "四月的风吹过金水河边的柳树";

/// How the binary is called: its environment and its folder.
pub struct Installation {
    folder: PathBuf,
    environment: Vec<(&'static str, String)>,
    address: String,
}

impl Installation {
    pub fn new(folder: PathBuf, database_url: &str) -> Self {
        let (signing, data) = (folder.join("signing-key.pem"), folder.join("data-key"));
        std::fs::write(&signing, yiyong::auth::Keys::generate_pem()).expect("a key is written");
        std::fs::write(&data, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").expect("a key is written");
        let address = format!("127.0.0.1:{}", crate::cluster::free_port());
        let environment = vec![
            ("DATABASE_URL", database_url.to_owned()),
            ("YIYONG_DATA_DIR", folder.display().to_string()),
            ("YIYONG_SIGNING_KEY_FILE", signing.display().to_string()),
            ("YIYONG_DATA_KEY_FILE", data.display().to_string()),
            ("YIYONG_BIND", address.clone()),
            ("YIYONG_READS_A_MINUTE", "0".to_owned()),
            ("YIYONG_WRITES_A_MINUTE", "0".to_owned()),
            ("YIYONG_SENSITIVE_A_MINUTE", "0".to_owned()),
            ("YIYONG_PUBLIC_A_MINUTE", "0".to_owned()),
            // As the container has it.
            ("MALLOC_ARENA_MAX", "2".to_owned()),
            ("MALLOC_MMAP_THRESHOLD_", "4194304".to_owned()),
            // A million volunteers are a hundred megabytes of CSV.
            ("YIYONG_IMPORT_FILE_MIB", "512".to_owned()),
        ];
        Self { folder, environment, address }
    }

    pub fn set(&mut self, name: &'static str, value: &str) {
        self.environment.push((name, value.to_owned()));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_yiyong"));
        command.args(arguments).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// Runs a command of the binary to its end.
    pub fn run(&self, arguments: &[&str], input: &str) {
        let mut child =
            self.command(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("an end");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Who works in the city's association, each called as their role.
    pub fn create_users(&self) {
        for role in ["clerk", "leader", "finance", "org_admin"] {
            self.run(&["user", "create", "--role", role, "--username", role, "--organization", "zz"], PASSWORD);
        }
    }

    /// Starts the server and waits until it is ready.
    pub fn serve(&self) -> Server {
        let log = File::create(self.folder.join("log")).expect("a log");
        let child = self.command(&["serve"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("the binary starts");
        let server = Server { child, address: self.address.clone() };
        let begun = Instant::now();
        let ready = request("GET", "/health/ready", "", &[], &[]);
        while !Connection::open(&server.address).and_then(|mut c| c.send(&ready)).is_ok_and(|answer| answer.status == 200) {
            assert!(begun.elapsed() < Duration::from_secs(30), "the server did not become ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

pub struct Server {
    child: Child,
    pub address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub fn connect(&self) -> Connection {
        Connection::open(&self.address).expect("the server listens")
    }

    /// An access token of one of them; it lives ten minutes.
    pub fn sign_in(&self, username: &str) -> String {
        let body = json!({"username": username, "password": PASSWORD}).to_string();
        let login = request("POST", "/api/v1/auth/login", "", &[("Content-Type", "application/json")], body.as_bytes());
        let answer = self.connect().send(&login).expect("an answer").expect(200).json();
        answer["access_token"].as_str().expect("a token").to_owned()
    }

    /// What it holds; `None` where there is no `/proc`.
    pub fn memory(&self) -> Option<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = |name: &str| -> Option<f64> {
            let kilobytes: f64 =
                status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.split_whitespace().next()?.parse().ok()?;
            Some(kilobytes / 1024.0)
        };
        Some(Memory { resident: line("VmRSS")?, own: line("RssAnon")? })
    }

    /// Runs some work and returns what the server held at most meanwhile.
    pub fn watched<T>(&self, work: impl FnOnce() -> T) -> (T, Option<Memory>) {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let watching = scope.spawn(|| {
                let mut most = self.memory();
                while !over.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(10));
                    most = most.zip(self.memory()).map(|(a, b)| Memory { resident: a.resident.max(b.resident), own: a.own.max(b.own) });
                }
                most
            });
            let value = work();
            over.store(true, Ordering::Relaxed);
            (value, watching.join().expect("a thread that ends by itself"))
        })
    }
}

/// In MB. What is resident holds the pages of the program and of a mapped SQLite file too, which the system takes back
/// when it needs them; what is its own doesn't.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub resident: f64,
    pub own: f64,
}
