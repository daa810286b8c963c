//! Text files: in which characters they are written, what they are, and the same as UTF-8.

use std::io::Read;

use encoding_rs::{Decoder, DecoderResult, GB18030, UTF_8, UTF_16BE, UTF_16LE};

use super::packed::{Origin, Stream};
use super::{FileEncoding, FileFormat, out_of_io, through_io, unreadable};
use crate::error::{Error, Result};

const PIECE: usize = 32 * 1024;
/// As much of a text as tells what it is.
const SAMPLE: u64 = 64 * 1024;
/// So many Chinese characters that are right as UTF-8 don't stand by chance at the beginning of a file in GB18030.
const SURELY_UTF8: u64 = 16;

/// What a text is.
pub struct Text {
    pub encoding: FileEncoding,
    pub format: FileFormat,
    pub delimiter: u8,
}

/// Finds out what a text is: its encoding by its mark, or else by reading it whole as strict UTF-8, or else GB18030; what it holds
/// by its beginning.
pub fn open(origin: &Origin) -> Result<Text> {
    let encoding = encoding(origin)?;
    let mut sample = Vec::new();
    let mut stream = decoded(origin, encoding)?;
    stream.by_ref().take(SAMPLE).read_to_end(&mut sample).map_err(|error| out_of_io(&error, broken))?;
    if sample.contains(&0) {
        return Err(unreadable(
            "文件含有 NUL 字符，不是文本；可导入：CSV、Excel（.xlsx）、NDJSON、JSON，或其 zip、gzip 压缩文件",
            "the file has NUL characters and is no text; what can be imported: CSV, Excel (.xlsx), NDJSON, JSON, or one of these in zip or gzip",
        ));
    }
    let mut begins = sample.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
    let format = match (begins.next(), begins.next()) {
        (None, _) => return Err(super::empty()),
        (Some(b'{'), _) => FileFormat::Ndjson,
        (Some(b'['), Some(b'{' | b']')) => FileFormat::Json,
        (Some(b'<'), _) => {
            return Err(unreadable(
                "文件是网页（HTML）或 XML，不是表格；请在 Excel 中打开后另存为“Excel 工作簿（.xlsx）”",
                "the file is a web page (HTML) or XML and no table; open it in Excel and save it as 'Excel Workbook (.xlsx)'",
            ));
        }
        _ => FileFormat::Csv,
    };
    Ok(Text { encoding, format, delimiter: delimiter(&sample) })
}

/// The text of a file as UTF-8, without the mark that may stand before it; each line, the last one too, ends in `\n`.
pub fn decoded(origin: &Origin, encoding: FileEncoding) -> Result<Stream> {
    let decoder = match encoding {
        FileEncoding::Utf8 => UTF_8.new_decoder_without_bom_handling(),
        FileEncoding::Utf8Bom => UTF_8.new_decoder_with_bom_removal(),
        FileEncoding::Gb18030 => GB18030.new_decoder_without_bom_handling(),
        FileEncoding::Utf16Le => UTF_16LE.new_decoder_with_bom_removal(),
        FileEncoding::Utf16Be => UTF_16BE.new_decoder_with_bom_removal(),
    };
    Ok(Box::new(Decoded {
        inner: origin.stream(),
        decoder,
        encoding,
        input: vec![0; PIECE],
        from: 0,
        to: 0,
        output: vec![0; PIECE + 2],
        given: 0,
        made: 0,
        lines: 0,
        returns: false,
        ended: false,
    }))
}

fn broken() -> Error {
    unreadable("文件无法读完；请重新保存并上传", "the file can't be read to its end; save it again and send it anew")
}

fn encoding(origin: &Origin) -> Result<FileEncoding> {
    let mut start = Vec::new();
    let mut stream = origin.stream();
    stream.by_ref().take(3).read_to_end(&mut start).map_err(|error| out_of_io(&error, broken))?;
    match start.as_slice() {
        [0xEF, 0xBB, 0xBF] => return Ok(FileEncoding::Utf8Bom),
        [0xFF, 0xFE, ..] => return Ok(FileEncoding::Utf16Le),
        [0xFE, 0xFF, ..] => return Ok(FileEncoding::Utf16Be),
        _ => {}
    }
    let mut piece = vec![0; PIECE];
    piece[..start.len()].copy_from_slice(&start);
    let mut held = start.len();
    let (mut well_formed, mut line) = (0, 1);
    loop {
        let n = stream.read(&mut piece[held..]).map_err(|error| out_of_io(&error, broken))?;
        let bytes = &piece[..held + n];
        let (right, wrong) = match std::str::from_utf8(bytes) {
            Ok(text) => (text.len(), false),
            // The beginning of a character whose rest is in the next piece.
            Err(error) if error.error_len().is_none() && n > 0 => (error.valid_up_to(), false),
            Err(error) => (error.valid_up_to(), true),
        };
        well_formed += bytes[..right].iter().filter(|byte| **byte >= 0xE0).count() as u64;
        line += bytes[..right].iter().filter(|byte| **byte == b'\n').count() as u64;
        if wrong && well_formed >= SURELY_UTF8 {
            return Err(not_in(FileEncoding::Utf8, line));
        }
        if wrong {
            return Ok(FileEncoding::Gb18030);
        }
        if n == 0 {
            return Ok(FileEncoding::Utf8);
        }
        held = bytes.len() - right;
        piece.copy_within(right..right + held, 0);
    }
}

/// A character that the encoding doesn't know.
fn not_in(encoding: FileEncoding, line: u64) -> Error {
    match encoding {
        FileEncoding::Gb18030 => unreadable(
            format!("第 {line} 行的文字既不是 UTF-8 也不是 GB18030（GBK）；请另存为“CSV UTF-8”后再导入"),
            format!("the text of line {line} is neither UTF-8 nor GB18030 (GBK); save the file as 'CSV UTF-8' and import that"),
        ),
        FileEncoding::Utf16Le | FileEncoding::Utf16Be => unreadable(
            format!("第 {line} 行的文字不是完整的 UTF-16；请另存为“CSV UTF-8”后再导入"),
            format!("the text of line {line} is no whole UTF-16; save the file as 'CSV UTF-8' and import that"),
        ),
        FileEncoding::Utf8 | FileEncoding::Utf8Bom => unreadable(
            format!("第 {line} 行有损坏的 UTF-8 文字；请重新保存为“CSV UTF-8”后再导入"),
            format!("line {line} has broken UTF-8 text; save the file as 'CSV UTF-8' again and import that"),
        ),
    }
}

/// Of the three, what stands most often outside quotes at the beginning; a comma where they are even.
fn delimiter(sample: &[u8]) -> u8 {
    let (mut quoted, mut lines, mut counts) = (false, 0, [0_u32; 3]);
    for byte in sample {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => lines += 1,
            b',' if !quoted => counts[0] += 1,
            b';' if !quoted => counts[1] += 1,
            b'\t' if !quoted => counts[2] += 1,
            _ => {}
        }
        // The header row, and the title rows that may stand above it.
        if lines == 10 {
            break;
        }
    }
    if counts[2] > counts[0] && counts[2] >= counts[1] {
        b'\t'
    } else if counts[1] > counts[0] {
        b';'
    } else {
        b','
    }
}

/// Decodes piece by piece; what is not of the encoding fails and tells its line.
struct Decoded {
    inner: Stream,
    decoder: Decoder,
    encoding: FileEncoding,
    input: Vec<u8>,
    from: usize,
    to: usize,
    output: Vec<u8>,
    given: usize,
    made: usize,
    lines: u64,
    /// Whether lines end with a return as well.
    returns: bool,
    ended: bool,
}

impl Decoded {
    fn make(&mut self) -> std::io::Result<()> {
        while self.given == self.made && !self.ended {
            if self.from == self.to {
                self.to = self.inner.read(&mut self.input)?;
                self.from = 0;
            }
            let last = self.to == 0;
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(&self.input[self.from..self.to], &mut self.output[..PIECE], last);
            self.from += read;
            self.given = 0;
            self.made = written;
            self.lines += self.output[self.given..self.made].iter().filter(|byte| **byte == b'\n').count() as u64;
            if let Some(at) = self.output[..self.made].iter().rposition(|byte| *byte == b'\n').filter(|at| *at > 0) {
                self.returns = self.output[at - 1] == b'\r';
            }
            if let DecoderResult::Malformed(..) = result {
                return Err(through_io(not_in(self.encoding, self.lines + 1)));
            }
            if last && result == DecoderResult::InputEmpty {
                self.ended = true;
                // A last row without an end gets one like the others, by which rows are counted.
                self.output[self.made] = if self.returns { b'\r' } else { b'\n' };
                self.made += 1;
            }
        }
        Ok(())
    }
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.make()?;
        let n = buffer.len().min(self.made - self.given);
        buffer[..n].copy_from_slice(&self.output[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}
