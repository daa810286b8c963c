//! One export from its first record to its last, into whatever takes bytes.
//!
//! Records come page by page out of one snapshot, in memory that doesn't grow with their number: one thread reads the next
//! page while another writes the last.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::Value;
use uuid::Uuid;

use super::Format;
use super::layout::{Codes, Identified, Layout};
use super::objects::{GeojsonFile, NdjsonFile};
use super::tables::{CsvFile, MOST_ROWS, XlsxFile};
use crate::db::{AnyConnection, Db, snapshot};
use crate::error::{Error, Language, Result};
use crate::files::cells::{Cell, Records, Row};
use crate::policy::{Purpose, Scope};
use crate::resources::{persons, references};
use crate::types::{CoordinateSystem, Id};
use crate::web::verbs::{RecordPage, Verbs};
use crate::web::{Sort, Window};

/// Records of a page. More would save little: a page takes some ten milliseconds. A few pages are in memory at a time.
const PAGE: i64 = 3_000;
/// Codes that are remembered from page to page; of what is referred to by few records each, remembering all would be a
/// memory as large as the export.
const REMEMBERED: usize = 20_000;

/// What is to be exported, decided and checked: whoever makes one has asked [`crate::policy`] for its scopes.
#[derive(Clone)]
pub struct Export {
    pub verbs: &'static dyn Verbs,
    /// Where the caller may read the records.
    pub scope: Scope,
    /// As the list of the resource takes it.
    pub filter: Value,
    pub sort: Sort,
    pub format: Format,
    /// Of the headers and labels of tables.
    pub headers: Language,
    /// Of GeoJSON.
    pub coordinate_system: CoordinateSystem,
    /// Where the caller may see whole numbers, if they are to stand in the file.
    pub revealing: Option<Scope>,
}

/// A page on its way from who reads to who writes.
struct Page {
    records: Box<dyn Records>,
    codes: Codes,
    numbers: Numbers,
}

type Numbers = HashMap<Id, persons::Numbers>;

enum Step {
    Page(Page),
    /// All pages have come. Without it the file is not whole and must not look so.
    End,
}

impl Export {
    pub fn layout(&self) -> Layout {
        Layout::of(self.verbs, self.revealing.is_some())
    }

    /// Writes it all, and counts in `rows` what has been written so far. An error leaves a file without its end.
    pub fn write(&self, db: &Db, out: &mut (dyn Write + Send), rows: &AtomicU64) -> Result<()> {
        let layout = self.layout();
        db.snapshot(|conn| {
            std::thread::scope(|threads| {
                let (sender, receiver) = sync_channel(1);
                let mut writing = layout.clone();
                let writer = threads.spawn(move || self.take(&mut writing, out, &receiver, rows));
                let read = self.read(db, conn, layout, &sender);
                drop(sender);
                let written = writer.join().unwrap_or_else(|_| Err(Error::internal("an export's writer panicked")));
                // Who could not read lets the other end early: the first cause is the one to tell.
                read.and(written)
            })
        })
    }

    /// Reads page after page until the last, or until nobody takes them.
    fn read(&self, db: &Db, conn: &mut AnyConnection, mut layout: Layout, pages: &SyncSender<Step>) -> Result<()> {
        let asked = self.filter.get("organization_id").and_then(Value::as_str).and_then(|text| text.parse().ok());
        let purpose = if self.filter.get("q").is_some() { Purpose::Search } else { Purpose::Walk };
        let scope = self.scope.fitted(conn, db.tree(), asked, purpose)?;
        // Where a whole page is found by going along the order, another connection can go along beside this one. What a search
        // finds is found by an index of its own.
        let mut snapshot = None;
        if purpose == Purpose::Walk && !scope.gathers() {
            snapshot::along_the_order(conn)?;
            snapshot = snapshot::name(conn)?;
        }
        let mut remembered = Codes::new();
        let mut window = Some(Window::walk(self.sort, PAGE));
        while let Some(present) = window {
            let (page, beyond) = self.two_pages(db, conn, &scope, &present, snapshot.as_deref())?;
            window = page.next.clone();
            for page in std::iter::once(page).chain(beyond.filter(|_| window.is_some())) {
                window = page.next;
                let mut reader = Reader { layout: &mut layout, remembered: &mut remembered };
                let (codes, people) = reader.referred(conn, &*page.records)?;
                let numbers = match &self.revealing {
                    Some(revealing) if !people.is_empty() => persons::numbers(conn, db.vault(), revealing, &people)?,
                    _ => Numbers::new(),
                };
                if pages.send(Step::Page(Page { records: page.records, codes, numbers })).is_err() {
                    // The writer has ended, and tells why.
                    return Ok(());
                }
            }
        }
        let _ = pages.send(Step::End);
        Ok(())
    }

    /// A page and, where a connection to the database is free just now, the one after it, read at the same time: reading is most
    /// of an export's work.
    fn two_pages(
        &self,
        db: &Db,
        conn: &mut AnyConnection,
        scope: &Scope,
        window: &Window,
        snapshot: Option<&str>,
    ) -> Result<(RecordPage, Option<RecordPage>)> {
        let read = |conn: &mut AnyConnection, window: &Window| self.verbs.records(conn, scope, &self.filter, window);
        let Some(snapshot) = snapshot else { return Ok((read(conn, window)?, None)) };
        std::thread::scope(|threads| {
            let other = threads.spawn(|| db.beside(snapshot, |conn| read(conn, &window.beyond())));
            let page = read(conn, window);
            // What the other can't read is this one's, and told, in its turn.
            let beyond = other.join().ok().and_then(Result::ok).flatten();
            Ok((page?, beyond))
        })
    }

    fn take(&self, layout: &mut Layout, out: &mut (dyn Write + Send), pages: &Receiver<Step>, rows: &AtomicU64) -> Result<()> {
        let mut file = match self.format {
            Format::Csv => File::Csv(Box::new(CsvFile::begin(out, layout, self.headers)?)),
            Format::Xlsx => File::Xlsx(Box::new(XlsxFile::begin(out, layout, self.name(), self.headers, MOST_ROWS)?)),
            Format::Ndjson => File::Ndjson(NdjsonFile::begin(out, layout)),
            Format::Geojson => File::Geojson(GeojsonFile::begin(out, layout, self.coordinate_system)?),
        };
        let mut row = Row::of(layout.slots);
        let mut wanted = std::mem::replace(&mut layout.wanted, crate::files::cells::Wanted::Nothing);
        loop {
            match pages.recv() {
                Ok(Step::Page(page)) => {
                    for place in 0..page.records.len() {
                        page.records.take(place, &mut wanted, &mut row).map_err(Error::internal)?;
                        if let Some(identified) = layout.identified {
                            unmask(identified, &mut row, &page.numbers);
                        }
                        file.row(layout, &row, &page.codes)?;
                    }
                    rows.fetch_add(page.records.len() as u64, Ordering::Relaxed);
                }
                Ok(Step::End) => return file.finish(),
                Err(_) => return Err(Error::database_away()),
            }
        }
    }

    /// What the file is called, in the language of its headers.
    pub fn name(&self) -> &'static str {
        match self.headers {
            Language::Zh => self.verbs.label().0,
            Language::En => self.verbs.name(),
        }
    }
}

/// Puts whole numbers in the place of their masks.
fn unmask(identified: Identified, row: &mut Row, numbers: &Numbers) {
    let Cell::Id(person) = row.get(identified.person) else { return };
    let Some((id_number, phone)) = numbers.get(&Id(person)) else { return };
    for (slot, number) in [(identified.id_number, id_number), (identified.phone, phone)] {
        if let Some(number) = number {
            row.set_text(slot, number);
        }
    }
}

/// What has to be asked for besides a page.
struct Reader<'a> {
    layout: &'a mut Layout,
    remembered: &'a mut Codes,
}

impl Reader<'_> {
    /// The codes of all that a page refers to, one query for each column of which any is new; and the persons whom it is about.
    fn referred(&mut self, conn: &mut AnyConnection, records: &dyn Records) -> Result<(Codes, Vec<Id>)> {
        let mut codes = Codes::new();
        let mut people = Vec::new();
        if self.remembered.len() > REMEMBERED {
            self.remembered.clear();
        }
        let mut unknown: Vec<Vec<Uuid>> = vec![Vec::new(); self.layout.referring.len()];
        let mut row = Row::of(self.layout.slots);
        for place in 0..records.len() {
            records.take(place, &mut self.layout.ids, &mut row).map_err(Error::internal)?;
            for (at, (slot, _)) in self.layout.referring.iter().enumerate() {
                let Cell::Id(id) = row.get(*slot) else { continue };
                if codes.contains_key(&id) {
                    continue;
                }
                match self.remembered.get(&id) {
                    Some(code) => {
                        codes.insert(id, code.clone());
                    }
                    None => unknown[at].push(id),
                }
            }
            if let Some(identified) = self.layout.identified
                && let Cell::Id(person) = row.get(identified.person)
            {
                people.push(Id(person));
            }
        }
        for ((_, of), mut ids) in self.layout.referring.iter().zip(unknown) {
            ids.sort_unstable();
            ids.dedup();
            let ids: Vec<Id> = ids.into_iter().map(Id).collect();
            for (id, code) in references::codes(conn, of, &ids)? {
                let code: Arc<str> = code.into();
                self.remembered.insert(id.0, code.clone());
                codes.insert(id.0, code);
            }
        }
        Ok((codes, people))
    }
}

enum File<'a> {
    Csv(Box<CsvFile<&'a mut (dyn Write + Send)>>),
    Xlsx(Box<XlsxFile<&'a mut (dyn Write + Send)>>),
    Ndjson(NdjsonFile<&'a mut (dyn Write + Send)>),
    Geojson(GeojsonFile<&'a mut (dyn Write + Send)>),
}

impl File<'_> {
    fn row(&mut self, layout: &Layout, row: &Row, codes: &Codes) -> Result<()> {
        match self {
            Self::Csv(file) => file.row(layout, row, codes),
            Self::Xlsx(file) => file.row(layout, row, codes),
            Self::Ndjson(file) => file.row(layout, row, codes),
            Self::Geojson(file) => file.row(layout, row, codes),
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Csv(file) => file.finish(),
            Self::Xlsx(file) => file.finish(),
            Self::Ndjson(file) => file.finish(),
            Self::Geojson(file) => file.finish(),
        }
    }
}
