//! From a thread that writes to a connection that sends, never more than a few chunks ahead of it.

use std::collections::VecDeque;
use std::io::{Error as IoError, ErrorKind, Result as IoResult, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use actix_web::web::Bytes;

/// Bytes of a chunk.
const CHUNK: usize = 64 * 1024;
/// Chunks that wait to be sent.
const AHEAD: usize = 4;

#[derive(Default)]
struct State {
    chunks: VecDeque<Bytes>,
    /// The writer has ended.
    over: bool,
    /// The reader has gone.
    gone: bool,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    moved: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writing end. Fails when the reader has gone, or takes nothing for so long that it may as well have.
pub struct Inlet {
    shared: Arc<Shared>,
    chunk: Vec<u8>,
    patience: Duration,
}

/// The reading end.
pub struct Outlet(Arc<Shared>);

/// A pipe whose writer waits so long at most for the next chunk to be taken.
pub fn pipe(patience: Duration) -> (Inlet, Outlet) {
    let shared = Arc::new(Shared::default());
    (Inlet { shared: shared.clone(), chunk: Vec::with_capacity(CHUNK), patience }, Outlet(shared))
}

impl Inlet {
    /// Sends what is left: without it the file has no end.
    pub fn finish(mut self) -> IoResult<()> {
        self.send()
    }

    fn send(&mut self) -> IoResult<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK)));
        let full = |state: &mut State| state.chunks.len() >= AHEAD && !state.gone;
        let waited = self.shared.moved.wait_timeout_while(self.shared.lock(), self.patience, full);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.gone {
            return Err(IoError::new(ErrorKind::BrokenPipe, "the reader has gone"));
        }
        if timeout.timed_out() {
            return Err(IoError::new(ErrorKind::TimedOut, "the reader takes nothing"));
        }
        state.chunks.push_back(chunk);
        state.waker.take().into_iter().for_each(Waker::wake);
        Ok(())
    }
}

impl Write for Inlet {
    fn write(&mut self, bytes: &[u8]) -> IoResult<usize> {
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        if self.chunk.len() == CHUNK {
            self.send()?;
        }
        Ok(taken)
    }

    /// Only whole chunks go out before the end: what fails early can then still be told instead.
    fn flush(&mut self) -> IoResult<()> {
        Ok(())
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.over = true;
        state.waker.take().into_iter().for_each(Waker::wake);
    }
}

impl Outlet {
    /// The next chunk; `None` when the writer has ended, whether or not it was done.
    pub async fn next(&mut self) -> Option<Bytes> {
        std::future::poll_fn(|context| {
            let mut state = self.0.lock();
            if let Some(chunk) = state.chunks.pop_front() {
                self.0.moved.notify_all();
                return Poll::Ready(Some(chunk));
            }
            if state.over {
                return Poll::Ready(None);
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.0.lock().gone = true;
        self.0.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn what_goes_in_comes_out() {
        let (mut inlet, mut outlet) = pipe(Duration::from_secs(60));
        let sent: Vec<u8> = (0..10 * CHUNK).map(|n| n as u8).collect();
        let copy = sent.clone();
        let writer = std::thread::spawn(move || inlet.write_all(&copy).and_then(|()| inlet.finish()));
        let mut received = Vec::new();
        while let Some(chunk) = outlet.next().await {
            received.extend_from_slice(&chunk);
        }
        assert!(received == sent && writer.join().is_ok_and(|written| written.is_ok()));
    }

    /// A writer neither waits for a reader who has gone nor, for ever, for one who takes nothing.
    #[test]
    fn a_writer_is_let_go() {
        let (mut inlet, outlet) = pipe(Duration::ZERO);
        let written = inlet.write_all(&vec![0; (AHEAD + 1) * CHUNK]);
        assert_eq!(written.map_err(|error| error.kind()), Err(ErrorKind::TimedOut));
        let (mut inlet, waiting) = pipe(Duration::from_secs(60));
        let writer = std::thread::spawn(move || inlet.write_all(&vec![0; (AHEAD + 2) * CHUNK]).map_err(|error| error.kind()));
        drop(waiting);
        assert_eq!(writer.join().expect("an end"), Err(ErrorKind::BrokenPipe));
        drop(outlet);
    }
}
