//! What a file of a resource holds: its columns, where each finds its value in a view, and how that is shown.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::files::cells::{Cell, Row, Wanted};
use crate::imports::columns::{self, Column};
use crate::types::{CoordinateSystem, Place, TextEnum};
use crate::web::verbs::Verbs;

/// The codes of the records that those of one page refer to. Ids are unique over all resources.
pub type Codes = HashMap<Uuid, Arc<str>>;

/// How a column's values are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    AsIs,
    /// By the labels of a dictionary.
    Labelled(Vec<(String, String)>),
    /// The record that is referred to, by its code.
    Code,
    /// A list of short texts, or of a dictionary's entries.
    List(Vec<(String, String)>),
    /// What only JSON can hold.
    Json,
}

/// A column of the file.
#[derive(Debug, Clone)]
pub struct Exported {
    pub header_zh: String,
    pub header_en: String,
    /// Where it stands in an object.
    pub path: Vec<String>,
    pub slot: usize,
    pub shown: Shown,
}

/// Where a record tells of the one person that it is about.
#[derive(Debug, Clone, Copy)]
pub struct Identified {
    pub person: usize,
    pub id_number: usize,
    pub phone: usize,
}

#[derive(Debug, Clone, Copy)]
struct Placed {
    longitude: usize,
    latitude: usize,
    system: usize,
}

/// A file's columns and their sources.
#[derive(Debug, Clone)]
pub struct Layout {
    pub columns: Vec<Exported>,
    /// Everything that the columns want of a record.
    pub wanted: Wanted,
    /// The ids alone: what is asked for before a page is written.
    pub ids: Wanted,
    pub slots: usize,
    /// Slots of ids that are shown by their code, and the resource of each.
    pub referring: Vec<(usize, &'static str)>,
    pub identified: Option<Identified>,
    /// The slot of the record's own id.
    pub id: Option<usize>,
    placed: Option<Placed>,
}

/// Gives each path of a view one slot.
struct Slots<'a> {
    taken: Vec<(Vec<String>, usize)>,
    wanted: &'a mut Wanted,
}

impl Slots<'_> {
    fn of(&mut self, path: &[String], json: bool) -> usize {
        if let Some((_, slot)) = self.taken.iter().find(|(taken, _)| taken == path) {
            return *slot;
        }
        let slot = self.taken.len();
        self.taken.push((path.to_vec(), slot));
        self.wanted.add(path, if json { Wanted::Json(slot) } else { Wanted::Value(slot) });
        slot
    }
}

fn path_of<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

impl Layout {
    /// Of a resource's file; `whole` where the numbers in it are.
    pub fn of(verbs: &dyn Verbs, whole: bool) -> Self {
        let view = verbs.view_shape();
        let has = |path: &[String]| columns::has_field(view.schema(), path);
        let (mut wanted, mut ids) = (Wanted::Nothing, Wanted::Nothing);
        let mut referring = Vec::new();
        let mut exported = Vec::new();
        let mut slots = Slots { taken: Vec::new(), wanted: &mut wanted };
        for column in columns::of(verbs).into_iter().chain(columns::shown(verbs)) {
            let Some(place) = (if column.read_only { Some(column.path.clone()) } else { column.place_in(view.schema()) }) else { continue };
            let along = column.shown_along().map(|member| path_of([member, "code"])).filter(|path| has(path));
            let (slot, shown) = match (column.refers_to, along) {
                (Some(_), Some(along)) => (slots.of(&along, false), Shown::AsIs),
                (Some(of), None) => {
                    let slot = slots.of(&place, false);
                    referring.push((slot, of));
                    ids.add(&place, Wanted::Value(slot));
                    (slot, Shown::Code)
                }
                (None, _) => (slots.of(&place, column.json_only || column.kind == "array"), shown(&column)),
            };
            let mut path = column.path.clone();
            if let (Some(_), Some(last)) = (column.refers_to, path.last_mut()) {
                last.clone_from(&column.header);
            }
            let header_zh = column.header_zh().to_owned();
            let unmasked = |text: &str| text.trim_end_matches("_masked").trim_end_matches("（掩码）").to_owned();
            if whole && column.read_only && path.last().is_some_and(|name| ["id_number_masked", "phone_masked"].contains(&name.as_str())) {
                path = path.iter().map(|name| unmasked(name)).collect();
                exported.push(Exported { header_zh: unmasked(&header_zh), header_en: unmasked(&column.header), path, slot, shown });
            } else {
                exported.push(Exported { header_zh, header_en: column.header, path, slot, shown });
            }
        }
        let identified = [path_of(["id"]), path_of(["person", "id"])].into_iter().find_map(|person| {
            let beside = |name: &str| {
                let mut path = person.clone();
                *path.last_mut()? = name.to_owned();
                has(&path).then_some(path)
            };
            let (id_number, phone) = (beside("id_number_masked")?, beside("phone_masked")?);
            let slot = slots.of(&person, false);
            ids.add(&person, Wanted::Value(slot));
            Some(Identified { person: slot, id_number: slots.of(&id_number, false), phone: slots.of(&phone, false) })
        });
        let placed = [vec![], path_of(["place"])].into_iter().find_map(|above: Vec<String>| {
            let [longitude, latitude, system] = ["longitude", "latitude", "coordinate_system"].map(|name| {
                let mut path = above.clone();
                path.push(name.to_owned());
                path
            });
            (has(&longitude) && has(&latitude)).then(|| Placed {
                longitude: slots.of(&longitude, false),
                latitude: slots.of(&latitude, false),
                system: slots.of(&system, false),
            })
        });
        let id = has(&path_of(["id"])).then(|| slots.of(&path_of(["id"]), false));
        let slots = slots.taken.len();
        Self { columns: exported, wanted, ids, slots, referring, identified, id, placed }
    }

    /// Whether its records have places on the map.
    pub fn is_placed(&self) -> bool {
        self.placed.is_some()
    }

    /// Where a record is, where that is known.
    pub fn place(&self, row: &Row) -> Option<Place> {
        let placed = self.placed?;
        let degrees = |slot| match row.get(slot) {
            Cell::Number(degrees) => Some(degrees),
            _ => None,
        };
        let system = match row.get(placed.system) {
            Cell::Text(code) => CoordinateSystem::from_code(code),
            _ => None,
        };
        Some(Place {
            longitude: degrees(placed.longitude)?,
            latitude: degrees(placed.latitude)?,
            coordinate_system: system.unwrap_or(CoordinateSystem::Gcj02),
        })
    }
}

fn shown(column: &Column) -> Shown {
    let labels = || column.entries.iter().map(|entry| (entry.code.clone(), entry.label_zh.clone())).collect();
    match (column.json_only, column.kind.as_str()) {
        (true, _) => Shown::Json,
        (false, "array") => Shown::List(labels()),
        _ if column.entries.is_empty() => Shown::AsIs,
        _ => Shown::Labelled(labels()),
    }
}

impl Exported {
    /// Its value of a record, a reference as its code.
    pub fn value<'a>(&self, row: &'a Row, codes: &'a Codes) -> Cell<'a> {
        match (row.get(self.slot), &self.shown) {
            (Cell::Id(id), Shown::Code) => codes.get(&id).map_or(Cell::Id(id), |code| Cell::Text(code)),
            (cell, _) => cell,
        }
    }
}

/// The Chinese label of a dictionary's entry, or the code where there is none.
pub fn label<'a>(labels: &'a [(String, String)], code: &'a str) -> &'a str {
    labels.iter().find(|(entry, _)| entry == code).map_or(code, |(_, label)| label)
}
