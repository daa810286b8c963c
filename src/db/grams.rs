//! Search in names by pieces of one and of two characters.
//!
//! Chinese names are two or three characters long, and people search by one or two of them: too short for trigrams.
//! A name is kept as its characters and its overlapping pairs of them: `张伟明` is `张`, `张伟`, `伟`, `伟明`, `明`. One or two
//! characters are one index lookup, more are an intersection of pairs. Both databases do this alike, and the rows of a
//! piece stand in the order of the records' ids, so a page needs no sort. Beside them stand the pieces of the name's [`pinyin`].

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use diesel::connection::SimpleConnection;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, Nullable, Text};

use super::{AnyConnection, Part, Subset, each, insert_all, pinyin};
use crate::schema::name_grams;
use crate::types::{Id, sql};

#[derive(Insertable)]
#[diesel(table_name = name_grams, treat_none_as_default_value = false)]
struct Row {
    resource: &'static str,
    gram: String,
    record_id: Id,
}

/// The pieces of a name: lower case, without spaces; and those of its readings.
pub fn of(name: &str) -> BTreeSet<String> {
    let characters = folded(name);
    let mut pieces: BTreeSet<String> = [1, 2].into_iter().flat_map(|n| characters.windows(n)).map(|piece| piece.iter().collect()).collect();
    pieces.extend(pinyin::pieces(&characters));
    pieces.extend(pinyin::of_words(&characters));
    pieces
}

fn folded(text: &str) -> Vec<char> {
    text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// The name by which a record was found, and the one by which it is to be found; `None` where there is none.
pub struct Renamed {
    pub resource: &'static str,
    pub id: Id,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Indexes records anew, in the order in which they were written.
pub fn rename(conn: &mut AnyConnection, records: Vec<Renamed>) -> QueryResult<()> {
    // Of a record that was written more than once, the first name is the one that is kept and the last the one to keep.
    let mut ends: BTreeMap<(&'static str, Id), Renamed> = BTreeMap::new();
    for record in records {
        match ends.entry((record.resource, record.id)) {
            Entry::Vacant(place) => {
                place.insert(record);
            }
            Entry::Occupied(mut known) => known.get_mut().after = record.after,
        }
    }
    let pieces = |name: Option<String>| name.as_deref().map(of).unwrap_or_default();
    let mut rows = Vec::new();
    for Renamed { resource, id: record_id, before, after } in ends.into_values() {
        let (before, after) = (pieces(before), pieces(after));
        let gone: Vec<&String> = before.difference(&after).collect();
        if !gone.is_empty() {
            let kept = name_grams::table.filter(name_grams::resource.eq(resource)).filter(name_grams::record_id.eq(record_id));
            diesel::delete(kept.filter(name_grams::gram.eq_any(gone))).execute(conn)?;
        }
        rows.extend(after.into_iter().filter(|gram| !before.contains(gram)).map(|gram| Row { resource, gram, record_id }));
    }
    insert(conn, rows)
}

fn insert(conn: &mut AnyConnection, rows: Vec<Row>) -> QueryResult<()> {
    match conn {
        AnyConnection::Pg(c) if !rows.is_empty() && rows.len() < 100 => Few::of(rows).execute(c).map(|_| ()),
        conn => insert_all!(&mut *conn, name_grams::table, rows),
    }
}

/// The pieces of a few names as one statement that stays prepared, whatever their number: PostgreSQL took longer to
/// parse them than to write them.
struct Few {
    resources: Vec<&'static str>,
    grams: Vec<String>,
    records: Vec<Id>,
}

impl Few {
    fn of(rows: Vec<Row>) -> Self {
        let mut few = Self { resources: Vec::new(), grams: Vec::new(), records: Vec::new() };
        for Row { resource, gram, record_id } in rows {
            few.resources.push(resource);
            few.grams.push(gram);
            few.records.push(record_id);
        }
        few
    }
}

impl QueryId for Few {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<PgConnection> for Few {}

impl QueryFragment<Pg> for Few {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO name_grams (resource, gram, record_id) SELECT * FROM unnest(");
        out.push_bind_param::<Array<Text>, _>(&self.resources)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.grams)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql::Uuid>, _>(&self.records)?;
        out.push_sql(")");
        Ok(())
    }
}

/// How names are cut now. A database that was indexed in an earlier way is indexed anew by [`super::migrations::up`].
pub const VERSION: i32 = 2;

/// Where the names of each resource stand: id and name, the ids after one.
const SOURCES: &[(&str, &str)] = &[
    ("accounts", "SELECT id, name FROM accounts"),
    ("campaign_events", "SELECT id, name FROM campaign_events"),
    ("campaigns", "SELECT id, name FROM campaigns"),
    ("circulars", "SELECT id, title AS name FROM circulars"),
    ("demonstration_units", "SELECT id, name FROM demonstration_units"),
    ("goods", "SELECT id, name FROM goods"),
    ("hero_groups", "SELECT id, name FROM hero_groups"),
    ("media_items", "SELECT id, title AS name FROM media_items"),
    ("organizations", "SELECT id, name || '|' || coalesce(short_name, '') AS name FROM organizations"),
    ("persons", "SELECT id, name FROM persons"),
    ("policy_documents", "SELECT id, title AS name FROM policy_documents"),
    ("publicity_assets", "SELECT id, name FROM publicity_assets"),
    ("return_forms", "SELECT id, title AS name FROM return_forms"),
    ("standards", "SELECT id, title AS name FROM standards"),
    ("trainings", "SELECT id, topic AS name FROM trainings"),
    ("users", "SELECT id, name FROM users"),
    ("volunteer_teams", "SELECT id, name FROM volunteer_teams"),
    ("volunteers", "SELECT v.id, p.name FROM volunteers AS v INNER JOIN persons AS p ON p.id = v.person_id"),
    ("welfare_batches", "SELECT id, name FROM welfare_batches"),
    ("welfare_programmes", "SELECT id, name FROM welfare_programmes"),
    ("workstations", "SELECT id, name FROM workstations"),
];

/// Names of one page of [`rebuild`].
const PAGE: i64 = 5_000;

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = sql::Uuid)]
    id: Id,
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
}

/// Indexes all names anew. In a transaction of the caller's: nobody sees an index by halves.
pub fn rebuild(conn: &mut AnyConnection) -> QueryResult<()> {
    if let AnyConnection::Pg(c) = &mut *conn {
        // A server that goes on writing waits until this is kept: it would write what is written here.
        c.batch_execute("LOCK TABLE name_grams IN SHARE ROW EXCLUSIVE MODE")?;
    }
    diesel::delete(name_grams::table).execute(conn)?;
    for (resource, source) in SOURCES {
        let mut after = Id(uuid::Uuid::nil());
        loop {
            let page = format!("SELECT id, name FROM ({source}) AS names WHERE id > $1 ORDER BY id LIMIT {PAGE}");
            let names: Vec<Named> = each!(&mut *conn, c => diesel::sql_query(page).bind::<sql::Uuid, _>(after).load(c))?;
            let Some(last) = names.last() else { break };
            after = last.id;
            let named = names.iter().filter_map(|named| Some((named.id, of(named.name.as_deref()?))));
            let rows = named.flat_map(|(record_id, pieces)| pieces.into_iter().map(move |gram| Row { resource, gram, record_id }));
            insert(conn, rows.collect())?;
        }
    }
    Ok(())
}

/// Of several pieces, one.
type AnyOf = Vec<String>;

/// The records whose name holds what is looked for, or is read so: those in every one of these sets.
///
/// Empty when there is nothing to look for.
pub fn matching(resource: &'static str, q: &str) -> Vec<Subset> {
    let mut sets = Vec::new();
    for run in runs(&folded(q)) {
        let letters = pinyin::letters(&run);
        if let Some(any) = letters.as_deref().and_then(pinyin::syllable) {
            sets.push(Subset(holding(resource, &any)));
            continue;
        }
        let mut ways = vec![written(&run)];
        ways.extend(letters.map(|letters| pinyin::wanted(&letters)).into_iter().flatten());
        // Initials are looked for as the letters themselves are.
        let mut seen = BTreeSet::new();
        ways.retain(|way| seen.insert(way.iter().cloned().collect::<BTreeSet<AnyOf>>()));
        match &ways[..] {
            [way] => sets.extend(way.iter().map(|any| Subset(holding(resource, any)))),
            ways => sets.push(one_of(resource, ways)),
        }
    }
    sets
}

/// What is looked for, cut where Chinese and Latin meet: `登封zz` is `登封` and `zz`.
fn runs(characters: &[char]) -> Vec<Vec<char>> {
    let is_latin = |c: &char| c.is_alphabetic() && *c < '\u{2000}';
    // An apostrophe tells where a syllable ends, and stands in no name.
    let characters: Vec<char> = characters.iter().filter(|c| !['\'', '’'].contains(c)).copied().collect();
    characters.chunk_by(|a, b| is_latin(a) == is_latin(b)).map(<[char]>::to_vec).collect()
}

/// The pieces of what is written.
fn written(characters: &[char]) -> Vec<AnyOf> {
    let size = characters.len().min(2);
    characters.windows(size.max(1)).map(|piece| vec![piece.iter().collect()]).collect()
}

fn holding(resource: &'static str, any: &AnyOf) -> Vec<Part> {
    let mut parts = vec![Part::Sql("SELECT record_id FROM name_grams WHERE resource = "), Part::Text(resource.to_owned())];
    match &any[..] {
        [one] => parts.extend([Part::Sql(" AND gram = "), Part::Text(one.clone())]),
        many => {
            for (i, one) in many.iter().enumerate() {
                parts.extend([Part::Sql(if i == 0 { " AND gram IN (" } else { ", " }), Part::Text(one.clone())]);
            }
            parts.push(Part::Sql(")"));
        }
    }
    parts
}

/// The records that are in all sets of one of the ways.
fn one_of(resource: &'static str, ways: &[Vec<AnyOf>]) -> Subset {
    let mut parts = Vec::new();
    for (i, way) in ways.iter().enumerate() {
        parts.push(Part::Sql(if i == 0 { "SELECT record_id FROM (" } else { " UNION SELECT record_id FROM (" }));
        for (n, any) in way.iter().enumerate() {
            parts.extend((n > 0).then_some(Part::Sql(" INTERSECT ")));
            parts.extend(holding(resource, any));
        }
        parts.push(Part::Sql(") AS way"));
    }
    Subset(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces() {
        let read = ["ming", "wei", "weiming", "wm", "zhang", "zhangwei", "zw"];
        let written = ["伟", "伟明", "张", "张伟", "明"];
        assert_eq!(of("张伟明").into_iter().collect::<Vec<_>>(), [&read[..], &written[..]].concat());
        assert_eq!(of("Li Na").into_iter().collect::<Vec<_>>(), ["a", "i", "in", "ina", "l", "li", "lin", "lina", "n", "na"]);
        assert!(of("  ").is_empty());
    }
}
