//! What a file was packed into: nothing, gzip, or an archive, and then which of its parts.
//!
//! Unpacking counts what comes out, whatever the archive says of itself, and stops at the limits: of bytes, and of how many bytes
//! each packed byte becomes. A sum that is off at the end tells a damaged file.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use flate2::Crc;
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipLocator};

use super::section::Section;
use super::{FileCompression, Limits, beyond, empty, out_of_io, size, through_io, unreadable};
use crate::error::{Error, Result};

/// Bytes that come, whatever they were packed into.
pub type Stream = Box<dyn Read + Send>;

/// What is unpacked before the ratio is judged: small files may be as dense as they like.
const DENSE_UP_TO: u64 = 1024 * 1024;
/// The longest name of a part, in bytes: a workbook's own are far shorter.
const NAME: usize = 1024;

/// Where the rows are, so that they can be read any number of times.
#[derive(Clone)]
pub struct Origin {
    compression: FileCompression,
    place: Place,
    limits: Limits,
}

#[derive(Clone)]
enum Place {
    Plain(Section),
    Gzip(Section),
    Part(Part),
    Workbook(Arc<Archive>),
}

impl Origin {
    pub fn compression(&self) -> FileCompression {
        self.compression
    }

    pub fn workbook(&self) -> Option<&Arc<Archive>> {
        if let Place::Workbook(archive) = &self.place { Some(archive) } else { None }
    }

    /// How much of the file is read, from 0 to 1.
    pub fn part(&self) -> f64 {
        match &self.place {
            Place::Plain(section) | Place::Gzip(section) => section.part(),
            Place::Part(part) => part.packed.part(),
            Place::Workbook(archive) => archive.parts.values().next().map_or(0.0, |part| part.packed.part()),
        }
    }

    /// The file's bytes from the first on, unpacked.
    pub fn stream(&self) -> Stream {
        match &self.place {
            Place::Plain(section) => Box::new(section.clone()),
            Place::Gzip(section) => Box::new(Unpacking::new(MultiGzDecoder::new(section.clone()), section, None, &self.limits)),
            Place::Part(part) => part.stream(&self.limits),
            // A workbook is read by its parts.
            Place::Workbook(_) => Box::new(std::io::empty()),
        }
    }
}

/// Finds out what a file was packed into.
pub fn open(file: Arc<File>, name: Option<&str>, limits: &Limits) -> Result<Origin> {
    let section = Section::whole(file).map_err(Error::internal)?;
    if section.left() > limits.file {
        return Err(super::too_large(limits.file));
    }
    let start = section.start(8).map_err(Error::internal)?;
    if start.is_empty() {
        return Err(empty());
    }
    let origin = |compression, place| Origin { compression, place, limits: *limits };
    if is_archive(&start) {
        let archive = Archive::open(section, limits)?;
        if archive.is_workbook() {
            return Ok(origin(FileCompression::None, Place::Workbook(Arc::new(archive))));
        }
        let packed = origin(FileCompression::Zip, Place::Part(archive.only_file()?));
        return inside(packed, limits);
    }
    if start.starts_with(&[0x1F, 0x8B]) {
        return inside(origin(FileCompression::Gzip, Place::Gzip(section)), limits);
    }
    refuse_others(&start, name)?;
    Ok(origin(FileCompression::None, Place::Plain(section)))
}

fn is_archive(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06")
}

/// What is no file of rows, by its first bytes.
fn refuse_others(start: &[u8], name: Option<&str>) -> Result<()> {
    if start.starts_with(&[0xD0, 0xCF, 0x11, 0xE0]) {
        return Err(unreadable(
            "这是旧版 Excel（.xls）文件，或设了打开密码的工作簿；请在 Excel 中去掉密码，另存为“Excel 工作簿（.xlsx）”后再导入",
            "this is an old Excel file (.xls), or a workbook with a password; take the password off, save it as 'Excel Workbook (.xlsx)', and import that",
        ));
    }
    let others: &[(&[u8], &str)] = &[
        (b"%PDF", "PDF"),
        (b"\x89PNG", "PNG"),
        (b"\xFF\xD8\xFF", "JPEG"),
        (b"GIF8", "GIF"),
        (b"Rar!", "RAR"),
        (b"7z\xBC\xAF", "7z"),
        (b"BZh", "bzip2"),
        (b"\xFD7zXZ", "xz"),
    ];
    if let Some((_, what)) = others.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Err(unreadable(
            format!("这是 {what} 文件；可导入：CSV、Excel（.xlsx）、NDJSON、JSON，或其 zip、gzip 压缩文件"),
            format!("this is a {what} file; what can be imported: CSV, Excel (.xlsx), NDJSON, JSON, or one of these in zip or gzip"),
        ));
    }
    let named = |end: &str| name.is_some_and(|name| name.to_ascii_lowercase().ends_with(end));
    if named(".xlsx") && !start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace() || *byte >= 0x80) {
        return Err(damaged());
    }
    Ok(())
}

/// What an archive or a gzip holds: a text, or a workbook, which is unpacked to a nameless file since its parts are read by place.
fn inside(packed: Origin, limits: &Limits) -> Result<Origin> {
    let mut start = Vec::new();
    packed.stream().take(8).read_to_end(&mut start).map_err(|error| out_of_io(&error, damaged))?;
    if start.is_empty() {
        return Err(empty());
    }
    if !is_archive(&start) {
        if start.starts_with(&[0x1F, 0x8B]) {
            return Err(nested());
        }
        refuse_others(&start, None)?;
        return Ok(packed);
    }
    let mut file = tempfile::tempfile().map_err(Error::internal)?;
    std::io::copy(&mut packed.stream(), &mut file).map_err(|error| out_of_io(&error, damaged))?;
    let section = Section::whole(Arc::new(file)).map_err(Error::internal)?;
    let archive = Archive::open(section, limits)?;
    if !archive.is_workbook() {
        return Err(nested());
    }
    Ok(Origin { place: Place::Workbook(Arc::new(archive)), ..packed })
}

fn nested() -> Error {
    unreadable("压缩文件里还是压缩文件；请只压缩一层", "the archive holds another archive; pack the file once")
}

fn damaged() -> Error {
    unreadable(
        "压缩文件或工作簿不完整或已损坏；请重新保存并上传",
        "the archive or workbook is incomplete or damaged; save it again and send it anew",
    )
}

/// One part of an archive.
#[derive(Clone)]
pub struct Part {
    name: String,
    packed: Section,
    method: CompressionMethod,
    sum: (u32, u64),
}

impl Part {
    pub fn stream(&self, limits: &Limits) -> Stream {
        let packed = self.packed.clone();
        if self.method == CompressionMethod::STORE {
            Box::new(Unpacking::new(packed, &self.packed, Some(self.sum), limits))
        } else {
            Box::new(Unpacking::new(DeflateDecoder::new(packed), &self.packed, Some(self.sum), limits))
        }
    }
}

/// An archive, or a workbook, which is one.
pub struct Archive {
    parts: HashMap<String, Part>,
}

impl Archive {
    fn open(section: Section, limits: &Limits) -> Result<Self> {
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let end = section.left();
        let archive = ZipLocator::new().locate_in_reader(section.clone(), &mut buffer, end).map_err(|_| damaged())?;
        let mut parts = HashMap::new();
        let mut places = Vec::new();
        let mut entries = archive.entries(&mut buffer);
        while let Some(entry) = entries.next_entry().map_err(|_| damaged())? {
            if places.len() >= limits.entries {
                let most = limits.entries;
                return Err(beyond(
                    "entries",
                    most as u64,
                    format!("压缩文件或工作簿最多含 {most} 个部分；请只保留需要导入的工作表"),
                    format!("an archive or workbook has at most {most} parts; keep only the sheet that is to be imported"),
                ));
            }
            let path = entry.file_path();
            let name = path.as_ref();
            if name.len() > NAME {
                return Err(damaged());
            }
            // As a workbook's own parts are compared: without regard to case, and to which slash a writer took.
            let name = String::from_utf8_lossy(name).replace('\\', "/").trim_start_matches('/').to_lowercase();
            places.push((
                name,
                entry.wayfinder(),
                entry.compression_method(),
                entry.flags().is_encrypted(),
                (entry.crc32(), entry.uncompressed_size_hint()),
            ));
        }
        for (name, wayfinder, method, encrypted, sum) in places {
            if name.ends_with('/') {
                continue;
            }
            if encrypted {
                return Err(unreadable(
                    "压缩文件设了密码；请去掉密码后再上传",
                    "the archive has a password; take it off and send the file again",
                ));
            }
            if method != CompressionMethod::STORE && method != CompressionMethod::DEFLATE {
                return Err(unreadable(
                    "压缩方法不受支持；请用普通的 zip（Deflate）压缩",
                    "the archive's method is not supported; pack it as an ordinary zip (deflate)",
                ));
            }
            let entry = archive.get_entry(wayfinder).map_err(|_| damaged())?;
            let (from, to) = entry.compressed_data_range();
            let part = Part { name: name.clone(), packed: section.between(from, to), method, sum };
            if parts.insert(name, part).is_some() {
                return Err(damaged());
            }
        }
        Ok(Self { parts })
    }

    pub fn part(&self, path: &str) -> Option<&Part> {
        self.parts.get(&path.trim_start_matches('/').to_lowercase())
    }

    fn is_workbook(&self) -> bool {
        self.part("[content_types].xml").is_some() || self.part("xl/workbook.xml").is_some()
    }

    /// The file of an archive that holds one.
    fn only_file(mut self) -> Result<Part> {
        // What some systems add of their own is nobody's file.
        self.parts.retain(|name, _| !name.starts_with("__macosx/") && !name.ends_with(".ds_store"));
        if self.parts.contains_key("mimetype") && self.parts.contains_key("content.xml") {
            return Err(unreadable(
                "这是 OpenDocument 文件；请另存为“Excel 工作簿（.xlsx）”或 CSV",
                "this is an OpenDocument file; save it as 'Excel Workbook (.xlsx)' or CSV",
            ));
        }
        let n = self.parts.len();
        match self.parts.into_values().next() {
            Some(part) if n == 1 => Ok(part),
            _ => Err(unreadable(
                format!("压缩文件里应恰好有一个文件，现有 {n} 个"),
                format!("an archive should hold exactly one file; there are {n}"),
            )),
        }
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// What gives the packed bytes to what unpacks them.
trait Unpacker: Read {
    fn packed_left(&self) -> u64;
}

impl Unpacker for Section {
    fn packed_left(&self) -> u64 {
        self.left()
    }
}

impl Unpacker for DeflateDecoder<Section> {
    fn packed_left(&self) -> u64 {
        self.get_ref().left()
    }
}

impl Unpacker for MultiGzDecoder<Section> {
    fn packed_left(&self) -> u64 {
        self.get_ref().left()
    }
}

/// Unpacks, and counts.
struct Unpacking<D> {
    inner: D,
    packed: u64,
    given: u64,
    sum: Option<(u32, u64)>,
    crc: Crc,
    limits: Limits,
}

impl<D: Unpacker> Unpacking<D> {
    fn new(inner: D, packed: &Section, sum: Option<(u32, u64)>, limits: &Limits) -> Self {
        Self { inner, packed: packed.left(), given: 0, sum, crc: Crc::new(), limits: *limits }
    }
}

impl<D: Unpacker> Read for Unpacking<D> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer).map_err(|_| through_io(damaged()))?;
        self.given += n as u64;
        if self.given > self.limits.inflated {
            let most = size(self.limits.inflated);
            return Err(through_io(beyond(
                "inflated",
                self.limits.inflated,
                format!("解压后超过 {most}；请分成几个文件"),
                format!("it unpacks to more than {most}; split it into several files"),
            )));
        }
        let taken = (self.packed - self.inner.packed_left()).max(1);
        if self.given > DENSE_UP_TO && self.given / taken > self.limits.ratio {
            let most = self.limits.ratio;
            return Err(through_io(beyond(
                "ratio",
                most,
                format!("压缩比超过 {most}:1，不像正常的表格；请解压后以 CSV 上传"),
                format!("it is packed more than {most}:1, as no table is; unpack it and send it as CSV"),
            )));
        }
        if let Some((crc, length)) = self.sum {
            self.crc.update(&buffer[..n]);
            if n == 0 && !buffer.is_empty() && (self.given != length || self.crc.sum() != crc) {
                return Err(through_io(damaged()));
            }
        }
        Ok(n)
    }
}

/// Lets a reader take only so many bytes until it has come to the end of something: what it holds of it is bounded.
pub struct Bounded<R> {
    inner: R,
    since: u64,
    most: u64,
    ahead: u64,
    refusal: fn(u64) -> Error,
}

impl<R: Read> Bounded<R> {
    /// A reader that buffers takes up to `ahead` bytes beyond what it needs.
    pub fn new(inner: R, most: usize, ahead: usize, refusal: fn(u64) -> Error) -> Self {
        Self { inner, since: 0, most: most as u64, ahead: ahead as u64, refusal }
    }

    /// Says that the end of something has come.
    pub fn mark(&mut self) {
        self.since = 0;
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.since += n as u64;
        if self.since > self.most + self.ahead { Err(through_io((self.refusal)(self.most))) } else { Ok(n) }
    }
}
