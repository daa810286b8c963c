//! What a file is, by what stands in it, and what is kept of it.
//!
//! A picture is painted anew: what else was in the file (where it was taken, with what, a preview of what was cut away, or
//! a program that hides behind the picture) is gone, and it stands upright. PDF and Office files are kept as they are;
//! they are only ever handed out to be saved.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ImageDecoder, ImageEncoder, ImageFormat, ImageReader};

use crate::error::{Code, Error, Result};

/// The longer side of a thumbnail, in pixels.
const THUMBNAIL: u32 = 320;
const JPEG_QUALITY: u8 = 90;
const THUMBNAIL_QUALITY: u8 = 80;
/// What an Office file may say that it unpacks to.
const UNPACKED: u64 = 512 * 1024 * 1024;
const PARTS: usize = 10_000;

/// What is kept of a file.
pub struct Judged {
    pub bytes: Vec<u8>,
    pub media_type: &'static str,
    /// What its name ends in.
    pub extension: &'static str,
    pub picture: Option<Picture>,
}

pub struct Picture {
    pub width: u32,
    pub height: u32,
    /// A small JPEG of it.
    pub thumbnail: Vec<u8>,
}

/// What may be attached: the extensions that its name may have, the first of which is given to one that has none.
struct Kind {
    media_type: &'static str,
    extensions: &'static [&'static str],
}

const JPEG: Kind = Kind { media_type: "image/jpeg", extensions: &["jpg", "jpeg", "jfif"] };
const PNG: Kind = Kind { media_type: "image/png", extensions: &["png"] };
const WEBP: Kind = Kind { media_type: "image/webp", extensions: &["webp"] };
const PDF: Kind = Kind { media_type: "application/pdf", extensions: &["pdf"] };
const DOCX: Kind = Kind { media_type: "application/vnd.openxmlformats-officedocument.wordprocessingml.document", extensions: &["docx"] };
const XLSX: Kind = Kind { media_type: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", extensions: &["xlsx"] };
const PPTX: Kind = Kind { media_type: "application/vnd.openxmlformats-officedocument.presentationml.presentation", extensions: &["pptx"] };

/// Every type that is handed out.
pub const MEDIA_TYPES: [&str; 6] = [JPEG.media_type, PNG.media_type, PDF.media_type, DOCX.media_type, XLSX.media_type, PPTX.media_type];

/// Judges a file by its bytes, and its name by what these are.
pub fn judge(bytes: Vec<u8>, name: Option<&str>, most_pixels: u64) -> Result<Judged> {
    let kind = kind_of(&bytes)?;
    if let Some((_, extension)) = name.and_then(|name| name.rsplit_once('.'))
        && !kind.extensions.contains(&extension.to_ascii_lowercase().as_str())
    {
        let right = kind.extensions[0];
        return Err(Error::field(
            "/file",
            "wrong_extension",
            format!("文件内容是 .{right}，文件名却以 .{extension} 结尾；请确认文件无误并改名"),
            format!("the file is a .{right} and its name ends in .{extension}; see whether it is the right one and rename it"),
        ));
    }
    match kind.media_type {
        "image/jpeg" | "image/png" | "image/webp" => repainted(&bytes, most_pixels),
        "application/pdf" => {
            if !bytes[bytes.len().saturating_sub(2_048)..].windows(5).any(|end| end == b"%%EOF") {
                return Err(damaged());
            }
            Ok(as_it_is(bytes, &kind))
        }
        _ => Ok(as_it_is(bytes, &kind)),
    }
}

fn as_it_is(bytes: Vec<u8>, kind: &Kind) -> Judged {
    Judged { bytes, media_type: kind.media_type, extension: kind.extensions[0], picture: None }
}

fn kind_of(bytes: &[u8]) -> Result<Kind> {
    if bytes.is_empty() {
        return Err(Error::field("/file", "empty_file", "文件是空的", "the file is empty"));
    }
    if bytes.starts_with(b"\xFF\xD8\xFF") {
        return Ok(JPEG);
    }
    if bytes.starts_with(b"\x89PNG\r\n\x1A\n") {
        return Ok(PNG);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Ok(WEBP);
    }
    if bytes.starts_with(b"%PDF-") {
        return Ok(PDF);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return office(bytes);
    }
    if bytes.starts_with(&[0xD0, 0xCF, 0x11, 0xE0]) {
        return Err(unsupported(
            "这是旧版 Office 文件（.doc、.xls、.ppt）或设了打开密码；请去掉密码，另存为 .docx、.xlsx、.pptx 或 PDF 后上传",
            "this is an old Office file (.doc, .xls, .ppt) or has a password; take it off and save it as .docx, .xlsx, .pptx or PDF",
        ));
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return Err(unsupported(
            "这是 HEIC 照片或视频；照片请存为 JPEG 后上传，视频不能作为附件",
            "this is an HEIC photo or a video; save a photo as JPEG, videos can't be attached",
        ));
    }
    Err(unsupported(
        "不支持此类文件；可上传：JPEG、PNG、WebP 图片，PDF，docx、xlsx、pptx",
        "this kind of file can't be attached; what can: JPEG, PNG and WebP pictures, PDF, docx, xlsx, pptx",
    ))
}

/// An Office file, by the part that makes it one; none with a program in it.
fn office(bytes: &[u8]) -> Result<Kind> {
    let archive = rawzip::ZipArchive::from_slice(bytes).map_err(|_| damaged())?;
    let (mut kind, mut types, mut unpacked) = (None, false, 0_u64);
    let mut entries = archive.entries();
    let mut parts = 0;
    while let Some(entry) = entries.next_entry().map_err(|_| damaged())? {
        parts += 1;
        unpacked = unpacked.saturating_add(entry.uncompressed_size_hint());
        if parts > PARTS || unpacked > UNPACKED {
            return Err(unsupported("此文件解压后过大", "the file unpacks to too much"));
        }
        let path = entry.file_path();
        let name = String::from_utf8_lossy(path.as_ref()).replace('\\', "/").trim_start_matches('/').to_lowercase();
        if name.rsplit('/').next().is_some_and(|last| last.starts_with("vbaproject") || last.starts_with("vbadata")) {
            return Err(unsupported(
                "此文件含宏，不能作为附件；请另存为不含宏的 .docx、.xlsx、.pptx 或 PDF",
                "the file has macros and can't be attached; save it without them as .docx, .xlsx, .pptx or PDF",
            ));
        }
        match name.as_str() {
            "[content_types].xml" => types = true,
            "word/document.xml" => kind = Some(DOCX),
            "xl/workbook.xml" => kind = Some(XLSX),
            "ppt/presentation.xml" => kind = Some(PPTX),
            _ => {}
        }
    }
    kind.filter(|_| types).ok_or_else(|| {
        unsupported("压缩文件不能作为附件；请逐个上传其中的文件", "an archive can't be attached; send the files in it one by one")
    })
}

fn unsupported(zh: &str, en: &str) -> Error {
    Error::because(Code::UnsupportedMediaType, zh, en)
}

fn damaged() -> Error {
    Error::field(
        "/file",
        "damaged_file",
        "文件不完整或已损坏；请重新保存后上传",
        "the file is incomplete or damaged; save it again and send it anew",
    )
}

/// The picture alone, upright, in its colours: a JPEG, or a PNG where something shows through.
fn repainted(bytes: &[u8], most_pixels: u64) -> Result<Judged> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| damaged())?;
    let was_png = reader.format() == Some(ImageFormat::Png);
    let mut decoder = reader.into_decoder().map_err(|_| damaged())?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > most_pixels {
        let most = most_pixels / 1_000_000;
        return Err(Error::field(
            "/file",
            "too_many_pixels",
            format!("图片有 {width}×{height} 像素，最多 {most} 百万像素；请缩小后上传"),
            format!("the picture has {width}×{height} pixels, at most {most} million can be taken; make it smaller"),
        ));
    }
    let colours = decoder.icc_profile().ok().flatten();
    let orientation = decoder.orientation().map_err(|_| damaged())?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|_| damaged())?;
    image.apply_orientation(orientation);
    let thumbnail = image.thumbnail(THUMBNAIL, THUMBNAIL);
    let thumbnail = jpeg(&thumbnail, THUMBNAIL_QUALITY, colours.clone())?;
    let picture = Picture { width: image.width(), height: image.height(), thumbnail };
    let (bytes, kind) =
        if was_png || image.color().has_alpha() { (png(&image, colours)?, PNG) } else { (jpeg(&image, JPEG_QUALITY, colours)?, JPEG) };
    Ok(Judged { bytes, media_type: kind.media_type, extension: kind.extensions[0], picture: Some(picture) })
}

fn jpeg(image: &DynamicImage, quality: u8, colours: Option<Vec<u8>>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    if let Some(colours) = colours {
        encoder.set_icc_profile(colours).map_err(Error::internal)?;
    }
    encoder.encode_image(&on_white(image)).map_err(Error::internal)?;
    Ok(bytes)
}

/// What shows through shows paper, as a JPEG has nothing behind it.
fn on_white(image: &DynamicImage) -> DynamicImage {
    if !image.color().has_alpha() {
        return DynamicImage::ImageRgb8(image.to_rgb8());
    }
    let mut paper = image::RgbaImage::from_pixel(image.width(), image.height(), image::Rgba([255; 4]));
    image::imageops::overlay(&mut paper, &image.to_rgba8(), 0, 0);
    DynamicImage::ImageRgb8(DynamicImage::ImageRgba8(paper).to_rgb8())
}

fn png(image: &DynamicImage, colours: Option<Vec<u8>>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    if let Some(colours) = colours {
        encoder.set_icc_profile(colours).map_err(Error::internal)?;
    }
    image.write_with_encoder(encoder).map_err(Error::internal)?;
    Ok(bytes)
}
