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
    /// How far anybody has read in the file.
    reached: Arc<AtomicU64>,
}

impl Section {
    pub fn whole(file: Arc<File>) -> std::io::Result<Self> {
        let end = file.metadata()?.len();
        Ok(Self { file, at: 0, end, reached: Arc::default() })
    }

    /// How far anybody has read in the file, from 0 to 1.
    pub fn part(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a part of a file is told in percent")]
        let part = self.reached.load(Ordering::Relaxed) as f64 / self.end.max(1) as f64;
        part
    }

    pub fn len(&self) -> u64 {
        self.end - self.at
    }

    /// The first bytes, as many as there are up to `most`; the section stays where it is.
    pub fn start(&self, most: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.clone().take(most as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.len()).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += n as u64;
        self.reached.fetch_max(self.at, Ordering::Relaxed);
        Ok(n)
    }
}
