//! How much of the tree of organizations lies below each of them: a hint for the planner's choice of a way, and never
//! a decision on who sees what. So it may be a minute old.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Clock};

use diesel::prelude::*;

use super::{AnyConnection, Grouped};
use crate::error::Result;
use crate::schema::organization_closure as closure;
use crate::types::Id;

const REMEMBER: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Sizes {
    read: Option<Clock>,
    below: HashMap<Id, i64>,
}

/// The sizes of all subtrees, as last read.
#[derive(Debug, Clone, Default)]
pub struct Tree(Arc<Mutex<Sizes>>);

impl Tree {
    /// Which part of all organizations lies in the subtrees of these, from 0 to 1.
    pub fn share(&self, conn: &mut AnyConnection, roots: &[Id]) -> Result<f64> {
        let stale = {
            let mut sizes = self.lock();
            let stale = sizes.read.is_none_or(|at| at.elapsed() > REMEMBER);
            if stale {
                // One reads; the others go on with what was known.
                sizes.read = Some(Clock::now());
            }
            stale
        };
        if stale {
            match Self::read(conn) {
                Ok(below) => self.lock().below = below,
                Err(error) => {
                    self.lock().read = None;
                    return Err(error);
                }
            }
        }
        let sizes = self.lock();
        let all = sizes.below.len().max(1);
        let some: i64 = roots.iter().filter_map(|root| sizes.below.get(root)).sum();
        #[allow(clippy::cast_precision_loss)] // A hint.
        Ok((some as f64 / all as f64).min(1.0))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sizes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(conn: &mut AnyConnection) -> Result<HashMap<Id, i64>> {
        let query = closure::table
            .into_boxed::<super::Any>()
            .select((closure::ancestor_id, diesel::dsl::sql::<diesel::sql_types::BigInt>("COUNT(*)")));
        let below: Vec<(Id, i64)> = Grouped { query, by: "ancestor_id" }.load(conn)?;
        Ok(below.into_iter().collect())
    }
}
