//! Text files: in which characters they are written, and the same as UTF-8.

use std::io::Read;

use super::Encoding;

const UTF8_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// Which encoding the first bytes of a text tell.
pub fn encoding(start: &[u8]) -> Encoding {
    if start.starts_with(&UTF8_MARK) { Encoding::Utf8Bom } else { Encoding::Utf8 }
}

/// A text without the mark that may stand before it.
pub fn without_mark<R: Read>(mut inner: R, encoding: Encoding) -> std::io::Result<R> {
    if encoding == Encoding::Utf8Bom {
        inner.read_exact(&mut [0; UTF8_MARK.len()])?;
    }
    Ok(inner)
}
