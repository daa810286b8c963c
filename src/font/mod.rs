//! The typeface of what is drawn here: charts as pictures, and certificates. Whoever looks at a picture or a PDF file may have no Chinese
//! font, and a server has none at all.
//!
//! Noto Sans CJK SC 2.004, under the SIL Open Font License (beside the file), cut down to the characters of GB/T 2312, of the 8,105 of the
//! Table of General Standard Chinese Characters, which every name registered since 2013 is written in, and of ASCII. A character beyond
//! these stands as 〓, as printers have it.

use std::borrow::Cow;
use std::sync::OnceLock;

pub const FAMILY: &str = "Noto Sans CJK SC";
pub static BYTES: &[u8] = include_bytes!("NotoSansCJKsc-Regular.otf");
/// In place of a character that the typeface doesn't have.
const MISSING: char = '〓';

/// The face, read once. `None` if the file in the program is none, which the tests would show.
fn face() -> Option<&'static ttf_parser::Face<'static>> {
    static FACE: OnceLock<Option<ttf_parser::Face<'static>>> = OnceLock::new();
    FACE.get_or_init(|| ttf_parser::Face::parse(BYTES, 0).ok()).as_ref()
}

/// A text in characters that can be drawn.
pub fn drawable(text: &str) -> Cow<'_, str> {
    let known = |c: char| face().is_some_and(|face| face.glyph_index(c).is_some());
    if text.chars().all(known) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if known(c) { c } else { MISSING }).collect())
}

/// How wide a text is in a size, in the size's unit.
pub fn width(text: &str, size: f32) -> f32 {
    let Some(face) = face() else { return 0.0 };
    let advance = |c: char| face.glyph_index(c).and_then(|glyph| face.glyph_hor_advance(glyph)).unwrap_or(0);
    let units: u32 = text.chars().map(|c| u32::from(advance(c))).sum();
    units as f32 * size / f32::from(face.units_per_em())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_drawn() {
        assert_eq!(drawable("见义勇为 2022 年（鄢陵、郾城）"), "见义勇为 2022 年（鄢陵、郾城）");
        // From the third level of the table, and one from beyond it.
        assert_eq!(drawable("李赟、王𬭎、张𠮷"), "李赟、王𬭎、张〓");
        assert!((width("义勇", 16.0) - 32.0).abs() < 0.1, "{}", width("义勇", 16.0));
        assert!(width("ii", 16.0) < width("WW", 16.0));
    }
}
