//! Reading a form with a file in it: each part once, its text bounded, its file on disk and not in memory.

use std::fs::File;
use std::io::Write;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::{HttpRequest, web};
use futures_util::{StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};

use super::body;
use crate::error::{Code, Error, Fault, Result, Says};

/// Of a part of text, unless it is said to be longer, in bytes.
pub const TEXT_LIMIT: usize = 256;

/// A form as it comes in.
pub struct Form {
    parts: Multipart,
    seen: Vec<String>,
    fingerprint: Sha256,
    too_large: fn(u64) -> Error,
}

/// One part.
pub enum Part {
    Text(String),
    File(Upload),
}

/// A file that was sent: a nameless one on this machine's disk.
pub struct Upload {
    pub file: File,
    /// As its sender called it, without control characters.
    pub name: Option<String>,
    pub sha256: Vec<u8>,
}

impl Form {
    /// `too_large` says what to do about a file of more bytes than may be sent.
    pub fn of(request: &HttpRequest, payload: web::Payload, too_large: fn(u64) -> Error) -> Self {
        let parts = Multipart::new(request.headers(), body::paced(request, payload));
        Self { parts, seen: Vec::new(), fingerprint: Sha256::new(), too_large }
    }

    /// The next part and its name; that called `file` is one, of at most so many bytes. One that stands twice is a fault.
    pub async fn next(
        &mut self,
        file_limit: u64,
        text_limit: impl Fn(&str) -> usize,
        faults: &mut Vec<Fault>,
    ) -> Result<Option<(String, Part)>> {
        while let Some(field) = self.parts.try_next().await.map_err(malformed)? {
            let name = field.name().unwrap_or_default().to_owned();
            if self.seen.contains(&name) {
                let says = Says::new("此项出现了不止一次", "the part stands more than once");
                faults.push(Fault::new(format!("/{name}"), "duplicate_part", says));
                continue;
            }
            self.seen.push(name.clone());
            self.fingerprint.update((name.len() as u64).to_be_bytes());
            self.fingerprint.update(&name);
            let part = if name == "file" {
                let upload = store(field, file_limit, self.too_large).await?;
                self.fingerprint.update(&upload.sha256);
                Part::File(upload)
            } else {
                let text = text(field, text_limit(&name)).await?;
                self.fingerprint.update((text.len() as u64).to_be_bytes());
                self.fingerprint.update(&text);
                Part::Text(text)
            };
            return Ok(Some((name, part)));
        }
        Ok(None)
    }

    /// Whether a part of this name has come.
    pub fn has(&self, name: &str) -> bool {
        self.seen.iter().any(|seen| seen == name)
    }

    /// Of the parts, and not of what separates them: a retry has the same.
    pub fn fingerprint(self) -> Vec<u8> {
        self.fingerprint.finalize().to_vec()
    }
}

/// A part that must be there and isn't.
pub fn missing(name: &str) -> Fault {
    Fault::new(format!("/{name}"), "required", Says::new("此项必填", "this is required"))
}

fn malformed(error: MultipartError) -> Error {
    use MultipartError as E;
    match error {
        E::ContentTypeMissing | E::ContentTypeParse | E::ContentTypeIncompatible | E::BoundaryMissing => Error::because(
            Code::UnsupportedMediaType,
            "Content-Type 应为 multipart/form-data",
            "Content-Type should be multipart/form-data",
        ),
        E::Payload(error) => body::broken_off(&error),
        _ => Error::because(Code::MalformedRequest, "无法读取 multipart 内容", "the multipart body can't be read"),
    }
}

async fn text(mut field: Field, limit: usize) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.next().await {
        bytes.extend_from_slice(&chunk.map_err(malformed)?);
        if bytes.len() > limit {
            return Err(Error::because(
                Code::TooLarge,
                format!("文件以外的每一项最多 {limit} 字节"),
                format!("each part but the file has at most {limit} bytes"),
            ));
        }
    }
    String::from_utf8(bytes).map_err(|_| Error::because(Code::MalformedRequest, "表单文字应为 UTF-8", "a form's text should be UTF-8"))
}

async fn store(mut field: Field, limit: u64, too_large: fn(u64) -> Error) -> Result<Upload> {
    let name = field.content_disposition().and_then(|d| d.get_filename());
    let name = name.map(|n| n.chars().filter(|c| !c.is_control()).take(200).collect());
    let mut file = tempfile::tempfile().map_err(Error::internal)?;
    let mut digest = Sha256::new();
    let mut size = 0_u64;
    while let Some(chunk) = field.next().await {
        let chunk = chunk.map_err(malformed)?;
        size += chunk.len() as u64;
        if size > limit {
            return Err(too_large(limit));
        }
        digest.update(&chunk);
        // A chunk is a few kilobytes and goes to the page cache: too little to be worth another thread.
        file.write_all(&chunk).map_err(Error::of_file)?;
    }
    Ok(Upload { file, name, sha256: digest.finalize().to_vec() })
}
