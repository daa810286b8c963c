//! A boxed query with a `GROUP BY` at its end, which diesel's boxed queries can't be given.
//!
//! The query has no order and no limit, and selects the grouped columns beside aggregates written as SQL.

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::{QueryResult, RunQueryDsl};

#[derive(Debug, Clone)]
pub struct Grouped<Q> {
    pub query: Q,
    /// Columns, as SQL.
    pub by: &'static str,
}

impl<Q> QueryId for Grouped<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Grouped<Q> {
    type SqlType = Q::SqlType;
}

impl<Q, C> RunQueryDsl<C> for Grouped<Q> {}

impl<Q: QueryFragment<DB>, DB: Backend> QueryFragment<DB> for Grouped<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(" GROUP BY ");
        out.push_sql(self.by);
        Ok(())
    }
}
