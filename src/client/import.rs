//! Importing a file as a script does: sent once, followed until it is over.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Method;

use super::{Client, Failure, FormFile, Result, Sent};

/// A line that no table holds.
const BOUNDARY: &str = "yiyong-7f1d3a52c8";
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A form with a file at its end, read as it is sent: the file may be larger than memory.
pub struct Form {
    parts: Box<dyn Read>,
    length: u64,
}

impl Form {
    pub const CONTENT_TYPE: &str = "multipart/form-data; boundary=yiyong-7f1d3a52c8";

    pub fn new(texts: &[(&str, &str)], file: &FormFile<'_>) -> Result<Self> {
        let mut head = String::new();
        for (name, value) in texts {
            head.push_str(&format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
        }
        let (name, length, bytes): (String, u64, Box<dyn Read>) = match file {
            FormFile::Inline { name, bytes } => ((*name).to_owned(), bytes.len() as u64, Box::new(Cursor::new(bytes.to_vec()))),
            FormFile::OnDisk(path) => {
                let unreadable = |error: std::io::Error| Failure::Unreadable(format!("{}: {error}", path.display()));
                let file = File::open(path).map_err(unreadable)?;
                let length = file.metadata().map_err(unreadable)?.len();
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                (name, length, Box::new(file))
            }
        };
        // A quote would end the name.
        let name: String = name.chars().filter(|c| !c.is_control() && *c != '"' && *c != '\\').collect();
        head.push_str(&format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        ));
        let tail = format!("\r\n--{BOUNDARY}--\r\n");
        let length = head.len() as u64 + length + tail.len() as u64;
        Ok(Self { parts: Box::new(Cursor::new(head).chain(bytes).chain(Cursor::new(tail))), length })
    }

    pub fn length(&self) -> u64 {
        self.length
    }
}

impl Read for Form {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.parts.read(buffer)
    }
}

/// What is to be imported.
pub struct Order<'a> {
    pub file: FormFile<'a>,
    /// The parts of the form besides the file: `resource`, `mode`, …
    pub parts: &'a [(&'a str, &'a str)],
    /// The same for each time that the same is meant.
    pub key: &'a str,
}

impl Client {
    /// Imports a file and comes back when it is over, whatever came of it; `look` is told where it stands meanwhile.
    ///
    /// # Errors
    /// Refusals of the file as a whole, and of its rows with `on_error=abort`: `faults` of the problem document.
    pub fn import(&self, order: &Order<'_>, look: impl Fn(&Value)) -> Result<Value> {
        let headers = [("Idempotency-Key", order.key), ("Prefer", "wait=2")];
        let (_, mut import) = self.call(Method::POST, "/api/v1/imports", &headers, &Sent::Form(order.parts, &order.file))?;
        let path = format!("/api/v1/imports/{}", import["id"].as_str().unwrap_or_default());
        while matches!(import["state"].as_str(), Some("waiting" | "running")) {
            look(&import);
            std::thread::sleep(LOOK_EVERY);
            import = self.get(&path)?;
        }
        look(&import);
        Ok(import)
    }
}

/// `yiyong import`: the arguments of the command line.
#[derive(Debug, clap::Args)]
pub struct ImportArguments {
    /// The file: CSV, a workbook, JSON lines or a JSON array, packed or not.
    pub file: PathBuf,
    /// What its rows are, as in the resource's address: `volunteers`.
    #[arg(long)]
    pub resource: String,
    /// The service's address.
    #[arg(long, env = "YIYONG_SERVER", default_value = "http://127.0.0.1:8080")]
    pub server: String,
    /// The machine client that imports; its secret stands in YIYONG_CLIENT_SECRET.
    #[arg(long, env = "YIYONG_CLIENT_ID", default_value = "")]
    pub client_id: String,
    /// `create`, or `upsert` to update what exists.
    #[arg(long, default_value = "create")]
    pub mode: String,
    /// `abort`, or `skip` to leave wrong rows out.
    #[arg(long, default_value = "abort")]
    pub on_error: String,
    /// Do it all and undo it again: what would come of it?
    #[arg(long)]
    pub dry_run: bool,
    /// Import with `create` what was imported already.
    #[arg(long)]
    pub repeat: bool,
}

/// What `yiyong import` came to: its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every row is there, or would be.
    Whole = 0,
    /// Nothing was imported: the file, its rows or the caller are wrong.
    Refused = 1,
    /// The service could not be reached, or fails; trying later may help.
    Unreachable = 3,
    /// Some rows were left out.
    InPart = 4,
}
