//! Search in names by pieces of one and of two characters.
//!
//! Chinese names are two or three characters long, and people search by one or two of them: too short for trigrams.
//! A name is kept as its characters and its overlapping pairs of them: `张伟明` is `张`, `张伟`, `伟`, `伟明`, `明`. One or two
//! characters are one index lookup, more are an intersection of pairs. Both databases do this alike, and the rows of a
//! piece stand in the order of the records' ids, so a page needs no sort.

use std::collections::BTreeSet;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, Text};

use super::{AnyConnection, Part, Subset, insert_all};
use crate::schema::name_grams;
use crate::types::{Id, sql};

#[derive(Insertable)]
#[diesel(table_name = name_grams, treat_none_as_default_value = false)]
struct Row<'a> {
    resource: &'a str,
    gram: String,
    record_id: Id,
}

/// The pieces of a name: lower case, without spaces.
pub fn of(name: &str) -> BTreeSet<String> {
    let characters = folded(name);
    [1, 2].into_iter().flat_map(|n| characters.windows(n)).map(|piece| piece.iter().collect()).collect()
}

fn folded(text: &str) -> Vec<char> {
    text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Indexes new records.
pub fn add<'a>(conn: &mut AnyConnection, resource: &'static str, names: impl IntoIterator<Item = (Id, &'a str)>) -> QueryResult<()> {
    let rows: Vec<Row<'_>> =
        names.into_iter().flat_map(|(record_id, name)| of(name).into_iter().map(move |gram| Row { resource, gram, record_id })).collect();
    match conn {
        AnyConnection::Pg(c) if rows.len() < 100 => {
            let (grams, records) = rows.into_iter().map(|row| (row.gram, row.record_id)).unzip();
            Few { resource, grams, records }.execute(c).map(|_| ())
        }
        conn => insert_all!(&mut *conn, name_grams::table, rows),
    }
}

/// The pieces of a few names as one statement that stays prepared, whatever their number: PostgreSQL took longer to
/// parse them than to write them.
struct Few {
    resource: &'static str,
    grams: Vec<String>,
    records: Vec<Id>,
}

impl QueryId for Few {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<PgConnection> for Few {}

impl QueryFragment<Pg> for Few {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO name_grams (resource, gram, record_id) SELECT ");
        out.push_bind_param::<Text, _>(self.resource)?;
        out.push_sql(", * FROM unnest(");
        out.push_bind_param::<Array<Text>, _>(&self.grams)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql::Uuid>, _>(&self.records)?;
        out.push_sql(")");
        Ok(())
    }
}

/// Indexes one record anew; `None` takes it out.
pub fn replace(conn: &mut AnyConnection, resource: &'static str, id: Id, name: Option<&str>) -> QueryResult<()> {
    diesel::delete(name_grams::table.filter(name_grams::resource.eq(resource)).filter(name_grams::record_id.eq(id))).execute(conn)?;
    add(conn, resource, name.map(|name| (id, name)))
}

/// The records whose name holds what is looked for: those in every one of these sets.
///
/// Empty when there is nothing to look for.
pub fn matching(resource: &'static str, q: &str) -> Vec<Subset> {
    let characters = folded(q);
    let holding = |piece: &[char]| {
        Subset(vec![
            Part::Sql("SELECT record_id FROM name_grams WHERE resource = "),
            Part::Text(resource.to_owned()),
            Part::Sql(" AND gram = "),
            Part::Text(piece.iter().collect()),
        ])
    };
    match characters.as_slice() {
        [] => Vec::new(),
        [_] => vec![holding(&characters)],
        many => many.windows(2).map(holding).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces() {
        assert_eq!(of("张伟明").into_iter().collect::<Vec<_>>(), ["伟", "伟明", "张", "张伟", "明"]);
        assert_eq!(of("Li Na").into_iter().collect::<Vec<_>>(), ["a", "i", "in", "l", "li", "n", "na"]);
        assert!(of("  ").is_empty());
    }
}
