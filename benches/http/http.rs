//! A small HTTP/1.1 client on a socket that is kept open: as little as the measurement allows, so that what is measured
//! is the server.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub struct Connection {
    stream: TcpStream,
    incoming: Incoming,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// This answer, which must have this status. Its JSON is read by whoever needs it: reading fifty records costs as
    /// much processor time as making them, and the load generator shares the processors.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

/// A whole request as bytes.
pub fn request(method: &str, path: &str, token: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {}\r\n", body.len()).into_bytes();
    if !token.is_empty() {
        bytes.extend_from_slice(format!("Authorization: Bearer {token}\r\n").as_bytes());
    }
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

impl Connection {
    pub fn open(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(300)))?;
        Ok(Self { stream, incoming: Incoming::default() })
    }

    pub fn send(&mut self, request: &[u8]) -> std::io::Result<Answer> {
        self.stream.write_all(request)?;
        let mut buffer = [0; 32 * 1024];
        loop {
            if let Some(answer) = self.incoming.take()? {
                return Ok(answer);
            }
            let read = self.stream.read(&mut buffer)?;
            self.incoming.add(&buffer[..read])?;
        }
    }
}

/// What was read and not yet used.
#[derive(Default)]
pub struct Incoming(Vec<u8>);

impl Incoming {
    /// More of it; nothing more is the end of the connection.
    pub fn add(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if bytes.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// The next answer, once it is whole.
    pub fn take(&mut self) -> std::io::Result<Option<Answer>> {
        let wrong = || std::io::Error::new(ErrorKind::InvalidData, "not an answer of HTTP/1.1");
        let Some(end) = find(&self.0, b"\r\n\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(&self.0[..end]).map_err(|_| wrong())?;
        let mut lines = head.split("\r\n");
        let status: u16 = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|s| s.parse().ok()).ok_or_else(wrong)?;
        let (mut length, mut chunked) = (0, false);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(|_| wrong())?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value.trim().eq_ignore_ascii_case("chunked");
            }
        }
        let after = &self.0[end + 4..];
        let taken = if chunked { chunks(after)? } else { after.get(..length).map(|body| (body.to_vec(), length)) };
        let Some((body, used)) = taken else { return Ok(None) };
        self.0.drain(..end + 4 + used);
        Ok(Some(Answer { status, body }))
    }
}

/// A body in chunks and how long it was with their heads, once the last has come.
fn chunks(mut bytes: &[u8]) -> std::io::Result<Option<(Vec<u8>, usize)>> {
    let whole = bytes.len();
    let mut body = Vec::new();
    loop {
        let Some(end) = find(bytes, b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&bytes[..end]).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let size = size.ok_or_else(|| std::io::Error::new(ErrorKind::InvalidData, "not the size of a chunk"))?;
        let Some(chunk) = bytes.get(end + 2..end + 2 + size + 2) else { return Ok(None) };
        body.extend_from_slice(&chunk[..size]);
        bytes = &bytes[end + 2 + size + 2..];
        if size == 0 {
            return Ok(Some((body, whole - bytes.len())));
        }
    }
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}
