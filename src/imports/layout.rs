//! How offices lay out a table: a title above the headers, a column of row numbers, totals below, and what is left of a template.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::cells::{self, Unit, half};
use super::columns::{Column, Headers, Meaning, key};
use super::{returned, template};
use crate::error::{Error, Fault, Result, Says};
use crate::files::read::{Cell, RawRow, Table};
use crate::web::body;

/// The header row is one of so many.
const WITHIN: usize = 10;
/// The column that only counts.
const ROW_NUMBERS: &[&str] = &["序号", "行号", "no", "no.", "#"];
const TOTALS: &[&str] = &["合计", "总计", "小计", "共计", "total", "subtotal"];

/// What the caller says that headers mean: a column, or nothing. Kept by the header as it is compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping(HashMap<String, (String, Option<String>)>);

impl Mapping {
    /// From a JSON object of headers and columns.
    ///
    /// # Errors
    /// `validation_failed` at `/mapping`, or `malformed_request` where it is no JSON.
    pub fn parse(text: &str) -> Result<Self> {
        match body::parse(text.as_bytes())? {
            Value::Object(members) => Self::of(members).map_err(|error| error.under("/mapping")),
            _ => Err(Error::field(
                "/mapping",
                "wrong_type",
                "应为 JSON 对象：文件的表头对应列名，或对应 null（忽略该列）",
                "this should be a JSON object: headers of the file, each with a column or with null to ignore it",
            )),
        }
    }

    pub fn of(members: impl IntoIterator<Item = (String, Value)>) -> Result<Self> {
        let mut headers = HashMap::new();
        let mut faults = Vec::new();
        for (header, column) in members {
            let pointer = format!("/{}", header.replace('~', "~0").replace('/', "~1"));
            let column = match column {
                Value::Null => None,
                Value::String(column) => Some(column),
                _ => {
                    faults.push(Fault::new(
                        pointer,
                        "wrong_type",
                        Says::new("应为列名，或 null（忽略该列）", "this should be a column, or null to ignore it"),
                    ));
                    continue;
                }
            };
            if headers.insert(key(&header), (header, column)).is_some() {
                faults.push(Fault::new(pointer, "duplicate_header", Says::new("此表头出现了不止一次", "the header stands more than once")));
            }
        }
        Error::unless_empty(faults)?;
        Ok(Self(headers))
    }

    /// The headers and their columns, for [`Mapping::of`].
    pub fn kept(&self) -> BTreeMap<String, Option<String>> {
        self.0.values().cloned().collect()
    }

    fn get(&self, header: &str) -> Option<Option<&str>> {
        self.0.get(&key(header)).map(|(_, column)| column.as_deref())
    }
}

/// What stands in a place of each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A column, as the import's `header` lists it.
    Column {
        at: usize,
        unit: Option<Unit>,
    },
    RowNumber,
    /// The caller wants nothing of it.
    Ignored,
    /// No header stands above it.
    Nameless,
}

/// What a header, or the name of a JSON member, stands for.
pub enum Told<'a> {
    Column(Meaning),
    RowNumber,
    Ignored,
    Nothing,
    /// The mapping gives it a column that there isn't.
    Mapped(&'a str),
}

pub fn told<'a>(name: &str, headers: &Headers, mapping: &'a Mapping) -> Told<'a> {
    match mapping.get(name) {
        Some(None) => Told::Ignored,
        Some(Some(column)) => headers.get(column).map_or(Told::Mapped(column), Told::Column),
        None => match headers.get(name) {
            Some(meaning) => Told::Column(meaning),
            None if ROW_NUMBERS.contains(&key(name).as_str()) => Told::RowNumber,
            // What an import has said of the rows when it gave the file back.
            None if name.trim() == returned::FAULTS => Told::Ignored,
            None => Told::Nothing,
        },
    }
}

/// The header row: the first of the first ten of which at least half of what stands there is known; the file's first row where
/// none is, for its faults to be told.
pub fn header_row(table: &mut Table, headers: &Headers, mapping: &Mapping) -> Result<Option<RawRow>> {
    let mut first = None;
    for _ in 0..WITHIN {
        let Some(row) = table.next()? else { break };
        let (mut filled, mut known, mut columns) = (0, 0, 0);
        for name in row.cells.iter().filter(|cell| !cell.is_blank()).map(name) {
            filled += 1;
            match told(&name, headers, mapping) {
                Told::Nothing => {}
                Told::Column(_) => (known, columns) = (known + 1, columns + 1),
                _ => known += 1,
            }
        }
        if columns > 0 && known * 2 >= filled {
            return Ok(Some(row));
        }
        first.get_or_insert(row);
    }
    Ok(first)
}

/// What a cell of the header row says.
pub fn name(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.trim().to_owned(),
        Cell::Number(digits) => digits.clone(),
        Cell::Date(day) => day.to_string(),
        _ => String::new(),
    }
}

/// The headers that a mapping names and the file hasn't.
pub fn unused(mapping: &Mapping, names: &[String]) -> Vec<String> {
    let present: HashSet<String> = names.iter().map(|name| key(name)).collect();
    let mut missing: Vec<String> =
        mapping.0.iter().filter(|(key, _)| !present.contains(*key)).map(|(_, (header, _))| header.clone()).collect();
    missing.sort();
    missing
}

/// Whether a row only adds up others: a word for it, and else numbers.
pub fn is_total(cells: &[Cell]) -> bool {
    let mut filled = cells.iter().filter(|cell| !cell.is_blank());
    let Some(Cell::Text(first)) = filled.next() else { return false };
    TOTALS.contains(&key(first).as_str())
        && filled.all(|cell| match cell {
            Cell::Number(_) => true,
            Cell::Text(text) => {
                let text = half(text);
                text.contains(|c: char| c.is_ascii_digit())
                    && text.chars().all(|c| c.is_ascii_digit() || ",. -¥元万亿分人名个次%".contains(c))
            }
            _ => false,
        })
}

/// Whether a row is the example of a template: as it was given, or filled in but still called an example.
pub enum Example {
    Unchanged,
    Changed,
    No,
}

/// Of a row whose places are these; `column` gives the column at a place of the header.
pub fn example<'a>(row: &RawRow, places: &[Place], columns: impl Fn(usize) -> &'a Column) -> Example {
    let marked =
        row.cells.iter().zip(places).any(
            |(cell, place)| matches!((cell, place), (Cell::Text(text), Place::RowNumber) if text.trim().starts_with(template::EXAMPLE)),
        );
    if !marked {
        return Example::No;
    }
    // By what cells mean, since a spreadsheet writes dates and amounts its own way when it saves.
    let same = row.cells.iter().zip(places).all(|(cell, place)| {
        let Place::Column { at, unit } = place else { return true };
        let column = columns(*at);
        let given = Cell::Text(template::example(column));
        let means = |cell: &Cell, unit| cells::value(column.content, &column.entries, unit, cell, |_| None);
        cell.is_blank() || means(cell, *unit) == means(&given, *unit)
    });
    if same { Example::Unchanged } else { Example::Changed }
}
