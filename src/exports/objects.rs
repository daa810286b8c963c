//! NDJSON and GeoJSON: an object for each record, with the fields and codes of the API.

use std::io::Write;

use serde::Serialize;
use serde_json::json;

use super::layout::{Codes, Exported, Layout, Shown};
use super::tables::broken;
use crate::error::{Error, Result};
use crate::files::cells::{Cell, Row};
use crate::types::CoordinateSystem;

/// How the columns lie in an object.
enum Tree {
    /// A column, by its place.
    Value(usize),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    fn of(columns: &[Exported]) -> Self {
        let mut root = Self::Object(Vec::new());
        for (place, column) in columns.iter().enumerate() {
            root.add(&column.path, place);
        }
        root
    }

    fn add(&mut self, path: &[String], column: usize) {
        let Some((name, rest)) = path.split_first() else {
            *self = Self::Value(column);
            return;
        };
        if let Self::Object(members) = self {
            let place = members.iter().position(|(member, _)| member == name).unwrap_or_else(|| {
                members.push((name.clone(), Self::Object(Vec::new())));
                members.len() - 1
            });
            members[place].1.add(rest, column);
        }
    }
}

/// What objects are written with.
struct Objects<W: Write> {
    out: W,
    tree: Tree,
    line: Vec<u8>,
}

impl<W: Write> Objects<W> {
    fn of(out: W, layout: &Layout) -> Self {
        Self { out, tree: Tree::of(&layout.columns), line: Vec::with_capacity(4 * 1024) }
    }

    /// Adds a record's object to the line.
    fn add(&mut self, layout: &Layout, row: &Row, codes: &Codes) -> Result<()> {
        write_tree(&self.tree, layout, row, codes, &mut self.line)
    }

    fn send(&mut self) -> Result<()> {
        self.out.write_all(&self.line).map_err(broken)?;
        self.line.clear();
        Ok(())
    }

    fn finish(mut self, end: &str) -> Result<()> {
        self.line.extend_from_slice(end.as_bytes());
        self.send()?;
        self.out.flush().map_err(broken)
    }
}

/// Writes a value; a part of which nothing is known is null and no object of nulls.
fn write_tree(tree: &Tree, layout: &Layout, row: &Row, codes: &Codes, line: &mut Vec<u8>) -> Result<()> {
    match tree {
        Tree::Value(place) => write_value(&layout.columns[*place], row, codes, line),
        Tree::Object(members) => {
            line.push(b'{');
            for (i, (name, member)) in members.iter().enumerate() {
                if i > 0 {
                    line.push(b',');
                }
                plain(name, line)?;
                line.push(b':');
                match member {
                    Tree::Object(_) if is_empty(member, layout, row) => line.extend_from_slice(b"null"),
                    member => write_tree(member, layout, row, codes, line)?,
                }
            }
            line.push(b'}');
            Ok(())
        }
    }
}

fn is_empty(tree: &Tree, layout: &Layout, row: &Row) -> bool {
    match tree {
        Tree::Value(place) => row.get(layout.columns[*place].slot) == Cell::Empty,
        Tree::Object(members) => members.iter().all(|(_, member)| is_empty(member, layout, row)),
    }
}

fn write_value(column: &Exported, row: &Row, codes: &Codes, line: &mut Vec<u8>) -> Result<()> {
    match (column.value(row, codes), &column.shown) {
        (Cell::Empty, _) => line.extend_from_slice(b"null"),
        (Cell::Text(json), Shown::Json | Shown::List(_)) => line.extend_from_slice(json.as_bytes()),
        (Cell::Text(text), _) => plain(text, line)?,
        (Cell::Integer(number), _) => plain(&number, line)?,
        (Cell::Number(number), _) => plain(&number, line)?,
        (Cell::Boolean(truth), _) => plain(&truth, line)?,
        (Cell::Id(id), _) => plain(&id, line)?,
    }
    Ok(())
}

fn plain(value: &(impl Serialize + ?Sized), line: &mut Vec<u8>) -> Result<()> {
    serde_json::to_writer(line, value).map_err(Error::internal)
}

/// One object a line.
pub struct NdjsonFile<W: Write>(Objects<W>);

impl<W: Write> NdjsonFile<W> {
    pub fn begin(out: W, layout: &Layout) -> Self {
        Self(Objects::of(out, layout))
    }

    pub fn row(&mut self, layout: &Layout, row: &Row, codes: &Codes) -> Result<()> {
        self.0.add(layout, row, codes)?;
        self.0.line.push(b'\n');
        self.0.send()
    }

    pub fn finish(self) -> Result<()> {
        self.0.finish("")
    }
}

/// A FeatureCollection (RFC 7946), a record a line. In WGS-84, as the RFC has it, unless another system was asked for: then it
/// says which, since a reader can't see it from the figures.
pub struct GeojsonFile<W: Write> {
    objects: Objects<W>,
    system: CoordinateSystem,
    begun: bool,
}

impl<W: Write> GeojsonFile<W> {
    pub fn begin(out: W, layout: &Layout, system: CoordinateSystem) -> Result<Self> {
        let mut objects = Objects::of(out, layout);
        objects.line.extend_from_slice(b"{\"type\":\"FeatureCollection\",");
        if system != CoordinateSystem::Wgs84 {
            objects.line.extend_from_slice(format!("\"coordinate_system\":{},", json!(system)).as_bytes());
        }
        objects.line.extend_from_slice(b"\"features\":[");
        Ok(Self { objects, system, begun: false })
    }

    pub fn row(&mut self, layout: &Layout, row: &Row, codes: &Codes) -> Result<()> {
        let Objects { line, .. } = &mut self.objects;
        line.extend_from_slice(if self.begun { b",\n" } else { b"\n" });
        self.begun = true;
        line.extend_from_slice(b"{\"type\":\"Feature\",\"id\":");
        match layout.id.map(|slot| row.get(slot)) {
            Some(Cell::Id(id)) => plain(&id, line)?,
            _ => plain("", line)?,
        }
        line.extend_from_slice(b",\"geometry\":");
        match layout.place(row).map(|place| place.converted(self.system)) {
            Some(place) => plain(&json!({"type": "Point", "coordinates": [place.longitude, place.latitude]}), line)?,
            None => line.extend_from_slice(b"null"),
        }
        line.extend_from_slice(b",\"properties\":");
        self.objects.add(layout, row, codes)?;
        self.objects.line.push(b'}');
        self.objects.send()
    }

    pub fn finish(self) -> Result<()> {
        self.objects.finish("\n]}\n")
    }
}
