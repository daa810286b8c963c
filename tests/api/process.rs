//! The real program as a process of its own, told what to do by its environment and nothing else.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};

use yiyong::auth::Keys;

use crate::hosts::{Client, PASSWORD};

/// A data folder with the keys of an operator, and the address of a database.
pub struct Workplace {
    pub folder: tempfile::TempDir,
    pub database: String,
}

impl Workplace {
    /// On PostgreSQL at an address, or on a SQLite file in the folder.
    pub fn new(postgres: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("signing.pem"), Keys::generate_pem()).expect("written");
        std::fs::write(folder.path().join("key"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").expect("written");
        let database = postgres.map_or_else(|| format!("sqlite:{}", folder.path().join("yiyong.db").display()), str::to_owned);
        Self { folder, database }
    }

    /// A command of the program, with settings of the test's own; one that is empty counts as not given.
    pub fn command(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_yiyong"));
        let path = |name: &str| self.folder.path().join(name);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("DATABASE_URL", &self.database)
            .env("YIYONG_DATA_DIR", self.folder.path())
            .env("YIYONG_SIGNING_KEY_FILE", path("signing.pem"))
            .env("YIYONG_DATA_KEY_FILE", path("key"))
            .env("YIYONG_BIND", "127.0.0.1:0")
            .env("YIYONG_PUBLIC_URL", "http://yiyong.test")
            .env("YIYONG_ANSWER_WITHIN_SECONDS", "30")
            .env("YIYONG_READS_A_MINUTE", "0")
            .env("YIYONG_WRITES_A_MINUTE", "0")
            .env("YIYONG_SENSITIVE_A_MINUTE", "0")
            .env("YIYONG_PUBLIC_A_MINUTE", "0")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
        self.command(arguments, settings).output().expect("a process")
    }

    /// Creates a user as an operator would: the password comes from standard input.
    pub fn user(&self, username: &str, role: &str, organization: Option<&str>) {
        let mut arguments = vec!["user", "create", "--username", username, "--role", role];
        arguments.extend(organization.iter().flat_map(|code| ["--organization", code]));
        let mut child = self.command(&arguments, &[]).stdin(Stdio::piped()).spawn().expect("a process");
        child.stdin.take().expect("a pipe").write_all(PASSWORD.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("its end");
        assert!(output.status.success(), "{output:?}");
    }

    /// Serves, and comes back when the port is open.
    pub fn serve(&self, settings: &[(&str, &str)]) -> Process {
        Self::begin(&mut self.command(&["serve"], settings))
    }

    /// Serves with everything that it writes, but its log, on a disk of so many MiB: what is there of a SQLite file is copied to
    /// it. `None` where the system lets nobody make one.
    pub fn serve_on_small_disk(&self, mib: u32, settings: &[(&str, &str)]) -> Option<Process> {
        let disk = self.folder.path().join("disk");
        std::fs::create_dir_all(&disk).expect("a folder");
        let inside = |script: &str| {
            let usual = self.command(&["serve"], settings);
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "--mount", "sh", "-ec"]).env_clear();
            command.envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
            command
                .env("DISK", &disk)
                .env("SERVER", usual.get_program())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            if self.database.starts_with("sqlite:") {
                command.env("DATABASE_URL", format!("sqlite:{}", disk.join("yiyong.db").display()));
            }
            command.arg(format!("mount -t tmpfs -o size={mib}m none \"$DISK\"; {script}"));
            command
        };
        let made = inside("true").output().is_ok_and(|output| output.status.success());
        let script = "cp \"$YIYONG_DATA_DIR\"/yiyong.db* \"$DISK\" 2>/dev/null || true; TMPDIR=\"$DISK\" exec \"$SERVER\" serve";
        made.then(|| Self::begin(&mut inside(script)))
    }

    fn begin(command: &mut Command) -> Process {
        let mut child = command.spawn().expect("a process");
        let log = Arc::new(Mutex::new(String::new()));
        let (tell, told) = std::sync::mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let kept = log.clone();
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("serving on ") {
                    let _ = tell.send(rest.split(' ').next().unwrap_or_default().to_owned());
                }
                let mut kept = kept.lock().expect("the log");
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let base = told.recv();
        let process = Process { child, log, reader: Some(reader), base: base.clone().unwrap_or_default() };
        assert!(base.is_ok(), "it did not serve: {}", process.log());
        process
    }
}

/// A server. It is killed when it is dropped.
pub struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
    pub base: String,
}

impl Process {
    pub fn nobody(&self) -> Client<'_> {
        Client::at(&self.base)
    }

    /// What it has written to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    /// The most memory that it has held since it was last told to count anew, in bytes, as the system counts it.
    pub fn greatest_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a process of Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a figure");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Counts the greatest memory anew, from what it holds now: its start may have taken more than what is to be measured.
    pub fn count_memory_anew(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").expect("counted anew");
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "a signal");
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("its end");
    }

    /// Waits for its end; its log is whole then.
    pub fn end(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("its end");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log");
        }
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
