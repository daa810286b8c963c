//! A part of a file, read by place: any number of them read the same open file without moving each other.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes of a file from one place up to another.
#[derive(Debug, Clone)]
pub struct Section {
    file: Arc<File>,
    at: u64,
    end: u64,
    /// How far anybody has read in the file, and how long it is.
    reached: Arc<(AtomicU64, u64)>,
}

impl Section {
    pub fn whole(file: Arc<File>) -> std::io::Result<Self> {
        let end = file.metadata()?.len();
        Ok(Self { file, at: 0, end, reached: Arc::new((AtomicU64::new(0), end)) })
    }

    /// How far anybody has read in the file, from 0 to 1.
    pub fn part(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a part of a file is told in percent")]
        let part = self.reached.0.load(Ordering::Relaxed) as f64 / self.reached.1.max(1) as f64;
        part
    }

    /// The bytes between two places of this section's file, as far as it has them.
    pub fn between(&self, from: u64, to: u64) -> Self {
        let end = to.min(self.end);
        Self { file: self.file.clone(), at: from.min(end), end, reached: self.reached.clone() }
    }

    /// Bytes that are still to be read.
    pub fn left(&self) -> u64 {
        self.end - self.at
    }

    /// The first bytes, as many as there are up to `most`; the section stays where it is.
    pub fn start(&self, most: u64) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.clone().take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.left()).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += n as u64;
        self.reached.0.fetch_max(self.at, Ordering::Relaxed);
        Ok(n)
    }
}

impl rawzip::ReaderAt for Section {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
}
