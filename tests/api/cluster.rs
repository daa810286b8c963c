//! A throw-away PostgreSQL cluster, for tests and the benchmark.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The newest PostgreSQL on this machine that brings a server: the folder of its programs.
pub fn programs() -> Option<PathBuf> {
    std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|e| e.path().join("bin")).filter(|p| p.join("initdb").exists()).max()
}

/// Starts a cluster in a folder of its own, with `settings` as the server takes them (`-c fsync=off`), and tells its
/// address. It ends itself when this process is gone: a shell waits for it.
pub fn start(settings: &str) -> Option<String> {
    let bin = programs()?;
    let folder = std::env::temp_dir().join(format!("yiyong-pg-{}", std::process::id()));
    let port = free_port();
    std::fs::create_dir_all(&folder).ok()?;
    // PostgreSQL refuses to run as root, which containers and build machines often are.
    let root = Command::new("id").arg("-u").output().ok().is_some_and(|o| o.stdout.starts_with(b"0\n"));
    let script = format!(
        "set -e; cd {folder}; {bin}/initdb -D data -U postgres -A trust -E UTF8 --locale=C >/dev/null; \
         {bin}/pg_ctl -D data -w -l log -o '-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c max_connections=300 {settings}' start >/dev/null; \
         (while [ -e /proc/{pid} ] || kill -0 {pid} 2>/dev/null; do sleep 1; done; {bin}/pg_ctl -D data -m immediate stop >/dev/null; rm -rf {folder}) >/dev/null 2>&1 </dev/null &",
        folder = folder.display(),
        bin = bin.display(),
        pid = std::process::id(),
    );
    let mut command = if root {
        Command::new("chown").args(["postgres"]).arg(&folder).status().ok()?;
        let mut command = Command::new("su");
        command.args(["postgres", "-s", "/bin/bash", "-c", &script]);
        command
    } else {
        let mut command = Command::new("bash");
        command.args(["-c", &script]);
        command
    };
    let started = command.stdin(Stdio::null()).status().ok()?.success();
    started.then(|| format!("postgres://postgres@127.0.0.1:{port}/postgres"))
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_or(54329, |a| a.port())
}
