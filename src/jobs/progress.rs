//! How far a job is, and whether it is to go on: shared by who runs it and who asks.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant as Clock;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Code, Error, Result};
use crate::types::Id;

/// How far a job is, in rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Shown {
    pub rows_read: i64,
    pub rows_created: i64,
    pub rows_updated: i64,
    pub rows_unchanged: i64,
    pub rows_failed: i64,
    /// Since the present attempt began.
    pub rows_per_second: Option<i64>,
    /// As far as the part of the file that is left tells.
    pub seconds_left: Option<i64>,
    /// Of the file, 0 to 100.
    pub percent: Option<i64>,
}

/// Numbers of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    pub read: i64,
    pub created: i64,
    pub updated: i64,
    pub unchanged: i64,
    pub failed: i64,
}

/// A job at work.
#[derive(Debug)]
pub struct Progress {
    begun: Clock,
    rows: Mutex<Rows>,
    /// What was done when this attempt began.
    before: AtomicI64,
    /// Of the file, in hundredths of a percent.
    part: AtomicU32,
    cancelled_by: Mutex<Option<Id>>,
    lost: AtomicBool,
    stopping: AtomicBool,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            begun: Clock::now(),
            rows: Mutex::default(),
            before: AtomicI64::new(0),
            part: AtomicU32::new(0),
            cancelled_by: Mutex::default(),
            lost: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }
    }
}

impl Progress {
    /// Goes on where an earlier attempt stood.
    pub fn resume(&self, rows: Rows) {
        self.before.store(rows.read, Ordering::Relaxed);
        self.tell(rows, 0.0);
    }

    /// `part` of the file is read, 0 to 1.
    pub fn tell(&self, rows: Rows, part: f64) {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = rows;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 10,000")]
        self.part.store((part.clamp(0.0, 1.0) * 10_000.0) as u32, Ordering::Relaxed);
    }

    pub fn shown(&self) -> Shown {
        let rows = *self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let milliseconds = i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        let part = i64::from(self.part.load(Ordering::Relaxed));
        let since = rows.read - self.before.load(Ordering::Relaxed);
        Shown {
            rows_read: rows.read,
            rows_created: rows.created,
            rows_updated: rows.updated,
            rows_unchanged: rows.unchanged,
            rows_failed: rows.failed,
            rows_per_second: (milliseconds > 0).then(|| since.saturating_mul(1_000) / milliseconds),
            seconds_left: (part > 0).then(|| milliseconds.saturating_mul(10_000 - part) / part / 1_000),
            percent: (part > 0).then_some(part / 100),
        }
    }

    /// Fails where the job is not to go on: between two rows is a good place to ask.
    pub fn go_on(&self) -> Result<()> {
        if self.lost.load(Ordering::Relaxed) || self.stopping.load(Ordering::Relaxed) || self.cancelled_by().is_some() {
            return Err(Error::because(Code::Conflict, "任务已中止", "the job was ended"));
        }
        Ok(())
    }

    pub fn cancel(&self, by: Id) {
        *self.cancelled_by.lock().unwrap_or_else(PoisonError::into_inner) = Some(by);
    }

    pub fn cancelled_by(&self) -> Option<Id> {
        *self.cancelled_by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
