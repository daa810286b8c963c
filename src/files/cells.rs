//! Cells straight from a view: a serializer that puts the fields that a file wants into slots and passes the others by,
//! so that no record becomes a tree of JSON on its way.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

use serde::Serialize;
use serde::ser::{self, Impossible, SerializeStruct};
use uuid::Uuid;

/// What stands in a slot. Texts lie in the row's own memory.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Slot {
    #[default]
    Empty,
    Text {
        from: usize,
        to: usize,
    },
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Id(Uuid),
}

/// A value of a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// Unknown, or nothing.
    Empty,
    Text(&'a str),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Id(Uuid),
}

/// One record's values, in memory that the next record uses again.
#[derive(Debug, Default)]
pub struct Row {
    slots: Vec<Slot>,
    text: String,
}

impl Row {
    pub fn of(slots: usize) -> Self {
        Self { slots: vec![Slot::Empty; slots], text: String::with_capacity(1_024) }
    }

    pub fn get(&self, slot: usize) -> Cell<'_> {
        match self.slots.get(slot).copied().unwrap_or_default() {
            Slot::Empty => Cell::Empty,
            Slot::Text { from, to } => Cell::Text(self.text.get(from..to).unwrap_or_default()),
            Slot::Integer(number) => Cell::Integer(number),
            Slot::Number(number) => Cell::Number(number),
            Slot::Boolean(truth) => Cell::Boolean(truth),
            Slot::Id(id) => Cell::Id(id),
        }
    }

    /// Puts another text in the place of what was there.
    pub fn set_text(&mut self, slot: usize, text: &str) {
        let from = self.text.len();
        self.text.push_str(text);
        self.set(slot, Slot::Text { from, to: self.text.len() });
    }

    fn set(&mut self, slot: usize, value: Slot) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = value;
        }
    }

    /// Takes a record's values.
    pub fn fill(&mut self, wanted: &mut Wanted, record: &impl Serialize) -> Result<(), Unfit> {
        self.text.clear();
        self.slots.fill(Slot::Empty);
        record.serialize(Taking { row: self, wanted })
    }
}

/// What is wanted of a value.
#[derive(Debug, Clone)]
pub enum Wanted {
    Nothing,
    /// The value itself.
    Value(usize),
    /// The value as JSON: lists, and whatever has no form in a cell.
    Json(usize),
    /// Some of its fields, in the order in which they come: where that isn't known yet, it is learnt from the first record.
    Fields(Vec<(Name, Wanted)>),
}

/// The name of a field: one of a path, until a record has shown its own.
type Name = Cow<'static, str>;

/// Whether a name is this key. Records of one kind bring the very same keys, so that nothing of them is compared but where they lie.
fn is(name: &Name, key: &'static str) -> bool {
    (name.as_ptr() == key.as_ptr() && name.len() == key.len()) || name == key
}

impl Wanted {
    /// Adds a field, given by its path.
    pub fn add(&mut self, path: &[String], what: Self) {
        let Some((name, rest)) = path.split_first() else {
            *self = what;
            return;
        };
        if !matches!(self, Self::Fields(_)) {
            *self = Self::Fields(Vec::new());
        }
        if let Self::Fields(fields) = self {
            let place = fields.iter().position(|(field, _)| field == name).unwrap_or_else(|| {
                fields.push((Cow::Owned(name.clone()), Self::Nothing));
                fields.len() - 1
            });
            fields[place].1.add(rest, what);
        }
    }
}

/// A view that holds what no file can show: a mistake of ours, and no caller's.
#[derive(Debug)]
pub struct Unfit(String);

impl Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfit {}

impl ser::Error for Unfit {
    fn custom<T: Display>(what: T) -> Self {
        Self(what.to_string())
    }
}

/// Records of whatever kind, to be taken one after another: what a page of any list is to who writes it into a file.
pub trait Records: Send {
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Takes the values of one of them.
    fn take(&self, place: usize, wanted: &mut Wanted, row: &mut Row) -> Result<(), Unfit>;
}

impl<V: Serialize + Send> Records for Vec<V> {
    fn len(&self) -> usize {
        self.len()
    }
    fn take(&self, place: usize, wanted: &mut Wanted, row: &mut Row) -> Result<(), Unfit> {
        self.get(place).map_or(Ok(()), |record| row.fill(wanted, record))
    }
}

struct Taking<'a> {
    row: &'a mut Row,
    wanted: &'a mut Wanted,
}

impl Taking<'_> {
    fn put(self, value: Slot) -> Result<(), Unfit> {
        if let Wanted::Value(slot) = self.wanted {
            self.row.set(*slot, value);
        }
        Ok(())
    }

    fn unfit(what: &str) -> Unfit {
        Unfit(format!("{what} in a view has no slot"))
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),+) => {
        $(fn $method(self, value: $type) -> Result<(), Unfit> {
            let number = i64::try_from(value).map_err(|_| Self::unfit("a number of more than 63 bits"))?;
            self.put(Slot::Integer(number))
        })+
    };
}

impl<'a> ser::Serializer for Taking<'a> {
    type Ok = ();
    type Error = Unfit;
    type SerializeSeq = Impossible<(), Unfit>;
    type SerializeTuple = Impossible<(), Unfit>;
    type SerializeTupleStruct = Impossible<(), Unfit>;
    type SerializeTupleVariant = Impossible<(), Unfit>;
    type SerializeMap = Impossible<(), Unfit>;
    type SerializeStruct = TakingFields<'a>;
    type SerializeStructVariant = Impossible<(), Unfit>;

    /// Ids come as their sixteen bytes.
    fn is_human_readable(&self) -> bool {
        false
    }

    integers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64);
    integers!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_f32(self, value: f32) -> Result<(), Unfit> {
        self.put(Slot::Number(f64::from(value)))
    }
    fn serialize_f64(self, value: f64) -> Result<(), Unfit> {
        self.put(Slot::Number(value))
    }
    fn serialize_bool(self, value: bool) -> Result<(), Unfit> {
        self.put(Slot::Boolean(value))
    }
    fn serialize_char(self, value: char) -> Result<(), Unfit> {
        self.collect_str(&value)
    }
    fn serialize_str(self, value: &str) -> Result<(), Unfit> {
        if let Wanted::Value(slot) = self.wanted {
            self.row.set_text(*slot, value);
        }
        Ok(())
    }
    fn collect_str<T: ?Sized + Display>(self, value: &T) -> Result<(), Unfit> {
        if let Wanted::Value(slot) = self.wanted {
            let from = self.row.text.len();
            write!(self.row.text, "{value}").map_err(ser::Error::custom)?;
            self.row.set(*slot, Slot::Text { from, to: self.row.text.len() });
        }
        Ok(())
    }
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unfit> {
        let id = Uuid::from_slice(value).map_err(ser::Error::custom)?;
        self.put(Slot::Id(id))
    }
    fn serialize_none(self) -> Result<(), Unfit> {
        Ok(())
    }
    fn serialize_unit(self) -> Result<(), Unfit> {
        Ok(())
    }
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Unfit> {
        value.serialize(self)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unfit> {
        Ok(())
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Unfit> {
        self.serialize_str(variant)
    }
    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<(), Unfit> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: ?Sized + Serialize>(self, _: &'static str, _: u32, _: &'static str, _: &T) -> Result<(), Unfit> {
        Err(Self::unfit("an enum with values"))
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Unfit> {
        Err(Self::unfit("a list"))
    }
    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Unfit> {
        Err(Self::unfit("a tuple"))
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Unfit> {
        Err(Self::unfit("a tuple"))
    }
    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self::SerializeTupleVariant, Unfit> {
        Err(Self::unfit("an enum with values"))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Unfit> {
        Err(Self::unfit("a map"))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<TakingFields<'a>, Unfit> {
        let fields = match self.wanted {
            Wanted::Fields(fields) => Some(fields),
            _ => None,
        };
        Ok(TakingFields { row: self.row, fields, next: 0 })
    }
    fn serialize_struct_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self::SerializeStructVariant, Unfit> {
        Err(Self::unfit("an enum with values"))
    }
}

struct TakingFields<'a> {
    row: &'a mut Row,
    fields: Option<&'a mut Vec<(Name, Wanted)>>,
    next: usize,
}

impl SerializeStruct for TakingFields<'_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, key: &'static str, value: &T) -> Result<(), Unfit> {
        let Some(fields) = &mut self.fields else { return Ok(()) };
        if fields.get(self.next).is_none_or(|(name, _)| !is(name, key)) {
            // Not where the record before had it: from now on it stands here.
            match fields.iter().skip(self.next).position(|(name, _)| is(name, key)) {
                Some(further) => fields[self.next..=self.next + further].rotate_right(1),
                None => fields.insert(self.next, (Cow::Borrowed(key), Wanted::Nothing)),
            }
        }
        let Some((name, wanted)) = fields.get_mut(self.next) else { return Ok(()) };
        if matches!(name, Cow::Owned(_)) {
            *name = Cow::Borrowed(key);
        }
        self.next += 1;
        match wanted {
            Wanted::Nothing => Ok(()),
            Wanted::Json(slot) => {
                let json = serde_json::to_string(value).map_err(ser::Error::custom)?;
                if json != "null" {
                    self.row.set_text(*slot, &json);
                }
                Ok(())
            }
            wanted => value.serialize(Taking { row: self.row, wanted }),
        }
    }

    fn end(self) -> Result<(), Unfit> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Brief {
        id: Uuid,
        name: Option<&'static str>,
    }

    #[derive(Serialize)]
    struct View {
        id: Uuid,
        count: Option<i32>,
        brief: Option<Brief>,
        list: Vec<u8>,
        day: chrono::NaiveDate,
        ratio: f64,
    }

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    /// Whatever order the fields were asked for in, and whether or not the record before had them.
    #[test]
    fn fields_find_their_slots() {
        let mut wanted = Wanted::Nothing;
        for (slot, name) in ["ratio", "brief.name", "day", "brief.id", "count"].into_iter().enumerate() {
            wanted.add(&path(name), Wanted::Value(slot));
        }
        wanted.add(&path("list"), Wanted::Json(5));
        let id = Uuid::now_v7();
        let day = chrono::NaiveDate::from_ymd_opt(2022, 6, 17).expect("a day");
        let mut row = Row::of(6);
        for round in 0..3 {
            let some = round != 1;
            let view = View {
                id,
                count: some.then_some(7),
                brief: some.then_some(Brief { id, name: Some("买买提·艾力") }),
                list: vec![1, 2],
                day,
                ratio: 113.5,
            };
            row.fill(&mut wanted, &view).expect("a row");
            let told: Vec<Cell<'_>> = (0..6).map(|slot| row.get(slot)).collect();
            let of = |cell| if some { cell } else { Cell::Empty };
            let right = [
                Cell::Number(113.5),
                of(Cell::Text("买买提·艾力")),
                Cell::Text("2022-06-17"),
                of(Cell::Id(id)),
                of(Cell::Integer(7)),
                Cell::Text("[1,2]"),
            ];
            assert_eq!(told, right, "round {round}");
        }
    }
}
