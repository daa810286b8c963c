//! Throw-away PostgreSQL clusters, each in a folder of its own. Also for those outside this folder, by `#[path]`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The PostgreSQL of this run: the one that `TEST_DATABASE_URL` names, or a throw-away cluster.
pub fn shared() -> Option<&'static str> {
    static URL: OnceLock<Option<String>> = OnceLock::new();
    URL.get_or_init(|| {
        let found = std::env::var("TEST_DATABASE_URL").ok().or_else(|| started().map(|cluster| cluster.url()));
        if found.is_none() {
            assert!(std::env::var_os("YIYONG_REQUIRE_POSTGRES").is_none(), "PostgreSQL is required here and was not found");
            eprintln!("\n*** NO POSTGRESQL FOUND: tests run on SQLite only. Install a server or set TEST_DATABASE_URL. ***\n");
        }
        found
    })
    .as_deref()
}

/// A cluster of one test's own, that it may stop and start.
pub fn own() -> Option<Cluster> {
    let found = shared().and_then(|_| started());
    if found.is_none() {
        assert!(std::env::var_os("YIYONG_REQUIRE_POSTGRES").is_none(), "a PostgreSQL server is required here and was not found");
        eprintln!("\n*** NO POSTGRESQL SERVER ON THIS MACHINE: a test that stops and starts one is left out. ***\n");
    }
    found
}

/// Another test may be quicker to take the port that was free: once more, then. What the disk holds is thrown away.
fn started() -> Option<Cluster> {
    (0..3).find_map(|_| Cluster::start("-c fsync=off"))
}

/// The newest PostgreSQL on this machine that brings a server: the folder of its programs.
pub fn programs() -> Option<PathBuf> {
    std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|e| e.path().join("bin")).filter(|p| p.join("initdb").exists()).max()
}

/// A cluster. It ends itself when this process is gone: a shell waits for it.
pub struct Cluster {
    bin: PathBuf,
    folder: PathBuf,
    port: u16,
    settings: String,
}

impl Cluster {
    /// With settings as the server takes them; `None` where no server is installed.
    pub fn start(settings: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let bin = programs()?;
        let folder = std::env::temp_dir().join(format!("yiyong-pg-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir_all(&folder).ok()?;
        if is_root() {
            Command::new("chown").args(["postgres"]).arg(&folder).status().ok()?;
        }
        let cluster = Self { bin, folder, port: free_port(), settings: settings.to_owned() };
        let script = format!(
            "set -e; {bin}/initdb -D data -U postgres -A trust -E UTF8 --locale=C >/dev/null; {start}; \
             (while [ -e /proc/{pid} ] || kill -0 {pid} 2>/dev/null; do sleep 1; done; \
             {signal} -CONT; {bin}/pg_ctl -D data -m immediate stop >/dev/null; rm -rf {folder}) >/dev/null 2>&1 </dev/null &",
            folder = cluster.folder.display(),
            bin = cluster.bin.display(),
            start = cluster.start_command(),
            signal = SIGNAL,
            pid = std::process::id(),
        );
        cluster.run(&script).then_some(cluster)
    }

    /// A database that every cluster has.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn start_command(&self) -> String {
        format!(
            "{}/pg_ctl -D data -w -l log -o '-p {} -k {} -c listen_addresses=127.0.0.1 -c max_connections=300 {}' start >/dev/null",
            self.bin.display(),
            self.port,
            self.folder.display(),
            self.settings,
        )
    }

    /// Ends it as a power failure would.
    pub fn stop(&self) {
        assert!(self.run(&format!("{}/pg_ctl -D data -w -m immediate stop >/dev/null", self.bin.display())), "it stops");
    }

    pub fn start_again(&self) {
        assert!(self.run(&self.start_command()), "it starts again");
    }

    /// All its processes stand still, and its connections stay open, until what is returned is dropped.
    pub fn freeze(&self) -> Frozen<'_> {
        assert!(self.run(&format!("{SIGNAL} -STOP")), "it stands still");
        Frozen(self)
    }

    /// Runs a shell's script in the cluster's folder, as the user that may run PostgreSQL; tells whether it went well.
    fn run(&self, script: &str) -> bool {
        let script = format!("cd {}; {script}", self.folder.display());
        // PostgreSQL refuses to run as root, which containers and build machines often are.
        let mut command = Command::new(if is_root() { "su" } else { "bash" });
        if is_root() {
            command.args(["postgres", "-s", "/bin/bash"]);
        }
        command.args(["-c", &script]).stdin(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

/// Sends a signal to the server and its children, the server first: it would start others in their places.
const SIGNAL: &str = "signal() { p=$(head -1 data/postmaster.pid); kill $1 $p; kill $1 $(ps -o pid= --ppid $p); }; signal";

/// A cluster that stands still.
pub struct Frozen<'a>(&'a Cluster);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.run(&format!("{SIGNAL} -CONT"));
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.starts_with(b"0\n"))
}

/// A port that nobody listens on just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_or(54329, |a| a.port())
}
