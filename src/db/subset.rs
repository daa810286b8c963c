//! `column IN (SELECT …)` as one fragment that is the same on every backend.
//!
//! diesel can't put a boxed query inside another on its multi-connection, and an unboxed one has a type that no
//! signature should have to spell. The two subqueries that stores need are short, so they are written as SQL here,
//! with every value bound.

use std::marker::PhantomData;

use chrono::NaiveDate;
use diesel::RunQueryDsl;
use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate};
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Bool, Date, HasSqlType, Text};

use crate::types::{Id, sql};

/// A piece of a subquery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Sql(&'static str),
    Id(Id),
    Text(String),
    Date(NaiveDate),
    /// `(a, b, …)`; no rows when empty.
    Ids(Vec<Id>),
}

/// A set of ids, given by the subquery that selects them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subset(pub Vec<Part>);

impl Subset {
    /// `column IN (this)`.
    pub fn holds<C>(self, column: C) -> Holds<C> {
        Holds { column, subset: self, fit: Fit::Seek }
    }
}

impl<DB> QueryFragment<DB> for Subset
where
    DB: Backend + HasSqlType<sql::Uuid> + HasSqlType<Text> + HasSqlType<Date>,
    Id: ToSql<sql::Uuid, DB>,
    String: ToSql<Text, DB>,
    NaiveDate: ToSql<Date, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> diesel::QueryResult<()> {
        for part in &self.0 {
            match part {
                Part::Sql(text) => out.push_sql(text),
                Part::Id(id) => out.push_bind_param::<sql::Uuid, _>(id)?,
                Part::Text(text) => out.push_bind_param::<Text, _>(text)?,
                Part::Date(day) => out.push_bind_param::<Date, _>(day)?,
                Part::Ids(ids) if ids.is_empty() => out.push_sql("(NULL)"),
                Part::Ids(ids) => {
                    for (i, id) in ids.iter().enumerate() {
                        out.push_sql(if i == 0 { "(" } else { ", " });
                        out.push_bind_param::<sql::Uuid, _>(id)?;
                    }
                    out.push_sql(")");
                }
            }
        }
        Ok(())
    }
}

/// The rows of a statement that is made of such pieces, with the types of its columns.
pub struct Rows<T> {
    statement: Subset,
    columns: PhantomData<T>,
}

impl<T> Rows<T> {
    pub fn of(parts: Vec<Part>) -> Self {
        Self { statement: Subset(parts), columns: PhantomData }
    }
}

impl<T> QueryId for Rows<T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T> Query for Rows<T> {
    type SqlType = T;
}

impl<T, C> RunQueryDsl<C> for Rows<T> {}

impl<T, DB: Backend> QueryFragment<DB> for Rows<T>
where
    Subset: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> diesel::QueryResult<()> {
        self.statement.walk_ast(out)
    }
}

/// How a subset is best looked for. All say the same; a planner that can't know how many rows a bound value stands for
/// is told which way to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// By the subset's members, through an index on the column: for a few rows of many.
    Seek,
    /// The subset gathered once, and each row looked up in it: for a good part of all rows.
    Walk,
    /// Each row's membership looked up in the database: where another condition, or the end of the page, keeps the rows
    /// few.
    Probe,
    /// All there is: no condition.
    All,
}

/// A part of the tree of organizations, selected as `descendant_id` from the closure, and how to look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    pub subset: Subset,
    pub fit: Fit,
}

impl Reach {
    /// Whether a column lies in it.
    pub fn holds<C>(self, column: C) -> Holds<C> {
        Holds { column, subset: self.subset, fit: self.fit }
    }
}

/// The condition that a column lies in a subset.
#[derive(Debug, Clone)]
pub struct Holds<C> {
    column: C,
    subset: Subset,
    fit: Fit,
}

impl<C> QueryId for Holds<C> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C: Expression> Expression for Holds<C> {
    type SqlType = Bool;
}

impl<C> ValidGrouping<()> for Holds<C> {
    type IsAggregate = is_aggregate::No;
}

impl<C: AppearsOnTable<QS>, QS> AppearsOnTable<QS> for Holds<C> where Self: Expression {}
impl<C: SelectableExpression<QS>, QS> SelectableExpression<QS> for Holds<C> where Self: AppearsOnTable<QS> {}

impl<C, DB> QueryFragment<DB> for Holds<C>
where
    DB: Backend,
    C: QueryFragment<DB>,
    Subset: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> diesel::QueryResult<()> {
        match self.fit {
            Fit::All => {
                out.push_sql("1 = 1");
                return Ok(());
            }
            // Neither planner turns a tested condition, or a subquery for one value, into a join or an index search.
            Fit::Probe => out.push_sql("(("),
            Fit::Walk | Fit::Seek => {
                out.push_sql("(");
                self.column.walk_ast(out.reborrow())?;
                out.push_sql(" IN (");
            }
        }
        self.subset.walk_ast(out.reborrow())?;
        match self.fit {
            Fit::All | Fit::Seek => out.push_sql("))"),
            Fit::Walk => out.push_sql(")) IS TRUE"),
            Fit::Probe => {
                out.push_sql(" AND descendant_id = ");
                self.column.walk_ast(out.reborrow())?;
                out.push_sql(" LIMIT 1) IS NOT NULL)");
            }
        }
        Ok(())
    }
}
