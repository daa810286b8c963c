//! Search in names by pieces of two characters.
//!
//! Chinese names are two or three characters long, and people search by one or two of them: too short for trigrams.
//! A name is kept as its overlapping pairs of characters, the last one paired with nothing: `张伟明` is `张伟`,
//! `伟明`, `明`. Two characters are one index lookup, one is a range of it, more are an intersection. Both databases
//! do this alike, and the rows of a piece stand in the order of the records' ids, so a page needs no sort.

use std::collections::BTreeSet;

use diesel::prelude::*;

use super::{AnyConnection, Part, Subset, insert_all};
use crate::schema::name_grams;
use crate::types::Id;

#[derive(Insertable)]
#[diesel(table_name = name_grams, treat_none_as_default_value = false)]
struct Row<'a> {
    resource: &'a str,
    gram: String,
    record_id: Id,
}

/// The pieces of a name: lower case, without spaces.
pub fn of(name: &str) -> BTreeSet<String> {
    let characters: Vec<char> = folded(name);
    (0..characters.len()).map(|i| characters[i..characters.len().min(i + 2)].iter().collect()).collect()
}

fn folded(text: &str) -> Vec<char> {
    text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Indexes new records.
pub fn add<'a>(conn: &mut AnyConnection, resource: &'static str, names: impl IntoIterator<Item = (Id, &'a str)>) -> QueryResult<()> {
    let rows: Vec<Row<'_>> =
        names.into_iter().flat_map(|(record_id, name)| of(name).into_iter().map(move |gram| Row { resource, gram, record_id })).collect();
    insert_all!(&mut *conn, name_grams::table, rows)
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
    let of_resource = || vec![Part::Sql("SELECT record_id FROM name_grams WHERE resource = "), Part::Text(resource.to_owned())];
    match characters.as_slice() {
        [] => Vec::new(),
        [one] => {
            let mut parts = of_resource();
            parts.extend([Part::Sql(" AND gram >= "), Part::Text(one.to_string())]);
            // The end of the range is the next character, over the gap of the surrogates.
            let next = if *one == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(*one as u32 + 1) };
            if let Some(next) = next {
                parts.extend([Part::Sql(" AND gram < "), Part::Text(next.to_string())]);
            }
            vec![Subset(parts)]
        }
        many => many
            .windows(2)
            .map(|pair| {
                let mut parts = of_resource();
                parts.extend([Part::Sql(" AND gram = "), Part::Text(pair.iter().collect())]);
                Subset(parts)
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces() {
        assert_eq!(of("张伟明").into_iter().collect::<Vec<_>>(), ["伟明", "张伟", "明"]);
        assert_eq!(of("Li Na").into_iter().collect::<Vec<_>>(), ["a", "in", "li", "na"]);
        assert!(of("  ").is_empty());
    }
}
