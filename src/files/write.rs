//! A text as a cell that a spreadsheet takes for a text, and back.
//!
//! A cell that begins with `=` is a formula to a spreadsheet, in a CSV as well: whoever may write a name could let the
//! reader's machine run it. An apostrophe in front makes it a text (OWASP ASVS 1.2.10). So that nothing is lost on the way
//! there and back, a text that begins with an apostrophe itself, or whose outer spaces a reader would take off, gets one too.

use std::borrow::Cow;

/// What a spreadsheet may take for the beginning of a formula; the full-width ones too, in Chinese settings.
const COMMANDS: [char; 11] = ['=', '+', '-', '@', '\t', '\0', '\r', '＝', '＋', '－', '＠'];

fn needs_guard(text: &str) -> bool {
    match text.as_bytes() {
        [] => false,
        // Nearly all texts of this service begin and end with a letter, a digit or a character of several bytes.
        [first, .., last] if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() => false,
        _ => {
            text.starts_with('\'')
                || text.starts_with(COMMANDS)
                || text.starts_with(char::is_whitespace)
                || text.ends_with(char::is_whitespace)
        }
    }
}

/// A text as the cell that stands for it in CSV and XLSX.
pub fn guarded(text: &str) -> Cow<'_, str> {
    if needs_guard(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// The text that a cell stands for: without the apostrophe in front, which says that the rest is to be taken as it is;
/// other cells without outer spaces. `unguarded(&guarded(text)) == text`.
pub fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').unwrap_or_else(|| cell.trim())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each way a formula can begin stands behind an apostrophe, and so does nothing else that people write.
    #[test]
    fn formulas_become_texts() {
        for text in
            ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "\0x", "\rx", "＝1", "＋1", "－1", "＠x", "'quoted", " x", "x\n", "-"]
        {
            assert_eq!(guarded(text), format!("'{text}"), "{text:?}");
        }
        for text in ["", "王小明", "买买提·艾力", "a=b", "1+1", "O'Brien", "郑义〔2022〕8号", "𠮷野", "（备注）", "x"]
        {
            assert_eq!(guarded(text), text);
        }
    }

    /// What clerks type is read without its outer spaces, and without the apostrophe that a spreadsheet shows before a text.
    #[test]
    fn cells_of_people() {
        for (cell, text) in [(" 王小明 ", "王小明"), ("'410105199001011234", "410105199001011234"), ("", ""), ("  ", "")] {
            assert_eq!(unguarded(cell), text);
        }
    }

    proptest! {
        #[test]
        fn there_and_back(text in r"[=+\-@\t\r\n '\x00＝＋－＠a王𠮷]{0,3}.*[ \t\n王]{0,2}") {
            let cell = guarded(&text);
            prop_assert_eq!(unguarded(&cell), text.as_str());
            prop_assert!(!cell.starts_with(COMMANDS));
        }
    }
}
