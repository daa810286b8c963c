//! How an official document is laid out, after GB/T 9704-2012 (党政机关公文格式): A4, 22 lines of 28 characters, the title in 小标宋 of 22 pt, the
//! text in 仿宋 of 16 pt, headings in 黑体 and 楷体, the page's number below. Fonts are named and not embedded: the office's machines have them, and
//! elsewhere another takes their place.

use std::io::Cursor;

use docx_rs::{
    AlignmentType, Docx, Footer, LineSpacing, LineSpacingType, PageMargin, PageNum, Paragraph, Pic, Run, RunFonts, SpecialIndentType,
    Table, TableAlignmentType, TableCell, TableLayoutType, TableRow, VAlignType, WidthType,
};

use crate::error::{Error, Result};

const TITLE: &str = "方正小标宋简体";
const TEXT: &str = "仿宋_GB2312";
const HEADING: &str = "黑体";
const SUBHEADING: &str = "楷体_GB2312";
/// In half points: 2号 is 22 pt, 3号 16 pt, 4号 14 pt.
const NUMBER_2: usize = 44;
const NUMBER_3: usize = 32;
const NUMBER_4: usize = 28;
/// Twentieths of a point: a line of 28 pt, and two characters of 16 pt.
const LINE: i32 = 560;
const TWO_CHARACTERS: i32 = 640;
/// What the margins leave of a line.
pub const TEXT_WIDTH: usize = 8_845;

/// Twentieths of a point that are so many millimetres.
const fn mm(millimetres: i32) -> i32 {
    millimetres * 1_440 * 10 / 254
}

fn font(name: &str) -> RunFonts {
    RunFonts::new().east_asia(name).ascii("Times New Roman").hi_ansi("Times New Roman")
}

/// Text as it stands in a paragraph.
pub fn run(text: impl Into<String>) -> Run {
    Run::new().add_text(text).size(NUMBER_3).fonts(font(TEXT))
}

pub fn paragraph() -> Paragraph {
    let line = LineSpacing::new().line_rule(LineSpacingType::Exact).line(LINE);
    Paragraph::new().line_spacing(line)
}

/// A paragraph of the text: it begins two characters in.
pub fn indented() -> Paragraph {
    paragraph().indent(None, Some(SpecialIndentType::FirstLine(TWO_CHARACTERS)), None, None)
}

/// The title of the document.
pub fn title(text: impl Into<String>) -> Paragraph {
    paragraph().align(AlignmentType::Center).add_run(Run::new().add_text(text).size(NUMBER_2).fonts(font(TITLE)))
}

/// The heading of a chapter, which stays with what follows it.
pub fn heading(text: impl Into<String>) -> Paragraph {
    let heading = Run::new().add_text(text).size(NUMBER_3).fonts(font(HEADING));
    indented().keep_next(true).outline_lvl(0).add_run(heading)
}

/// The heading of a part of a chapter.
pub fn subheading(text: impl Into<String>) -> Paragraph {
    let heading = Run::new().add_text(text).size(NUMBER_3).fonts(font(SUBHEADING));
    indented().keep_next(true).outline_lvl(1).add_run(heading)
}

/// What says that an annex begins: on a page of its own, at its very edge.
pub fn annex(text: impl Into<String>) -> Paragraph {
    paragraph().page_break_before(true).add_run(Run::new().add_text(text).size(NUMBER_3).fonts(font(HEADING)))
}

/// Text in the middle of a line.
pub fn centred(text: impl Into<String>) -> Paragraph {
    paragraph().align(AlignmentType::Center).add_run(run(text))
}

/// A column of a table: what stands above it, and how wide it is, in twentieths of a point.
pub struct Column {
    pub heading: &'static str,
    pub width: usize,
}

/// A table as wide as the text, in 4号; its columns share [`TEXT_WIDTH`].
pub fn table<const N: usize>(columns: [Column; N], rows: impl IntoIterator<Item = [String; N]>) -> Table {
    let widths = columns.each_ref().map(|column| column.width);
    let row = |texts: [String; N], of: &str, keep: bool| {
        let cell = |(text, width): (String, usize)| {
            let run = Run::new().add_text(text).size(NUMBER_4).fonts(font(of));
            let paragraph = paragraph().align(AlignmentType::Center).keep_next(keep).add_run(run);
            TableCell::new().width(width, WidthType::Dxa).vertical_align(VAlignType::Center).add_paragraph(paragraph)
        };
        TableRow::new(texts.into_iter().zip(widths).map(cell).collect()).cant_split()
    };
    let first = row(columns.map(|column| column.heading.to_owned()), HEADING, true);
    let all = std::iter::once(first).chain(rows.into_iter().map(|texts| row(texts, TEXT, false))).collect();
    Table::new(all)
        .align(TableAlignmentType::Center)
        .layout(TableLayoutType::Fixed)
        .width(widths.iter().sum(), WidthType::Dxa)
        .set_grid(widths.to_vec())
}

/// Who signs, or when: to the right, four characters from the edge.
pub fn signature(text: impl Into<String>) -> Paragraph {
    paragraph().align(AlignmentType::Right).indent(None, None, Some(2 * TWO_CHARACTERS), None).add_run(run(text))
}

/// An empty document: its page, with the number below.
pub fn page() -> Docx {
    let number = Run::new().add_text("— ").size(NUMBER_4).fonts(font("宋体"));
    let end = Run::new().add_text(" —").size(NUMBER_4).fonts(font("宋体"));
    Docx::new()
        // A4.
        .page_size(11_906, 16_838)
        .page_margin(PageMargin { top: mm(37), left: mm(28), bottom: mm(35), right: mm(26), header: mm(15), footer: mm(28), gutter: 0 })
        .default_size(NUMBER_3)
        .default_fonts(font(TEXT))
        .footer(Footer::new().add_paragraph(
            Paragraph::new().align(AlignmentType::Center).size(NUMBER_4).add_run(number).add_page_num(PageNum::new()).add_run(end),
        ))
}

/// A picture as wide as the text, the n-th of its document, and what it shows below it. `size` is in pixels.
pub fn picture(n: usize, png: Vec<u8>, size: (u32, u32), caption: String) -> [Paragraph; 2] {
    // In the units that pictures are measured by, of which a twentieth of a point has 635.
    let wide = TEXT_WIDTH as u32 * 635;
    let picture = Pic::new_with_dimensions(png, size.0, size.1).id(format!("rIdImage{n}")).size(wide, wide / size.0 * size.1);
    let caption = Run::new().add_text(caption).size(NUMBER_4).fonts(font(HEADING));
    // No line of a height of its own: it would cut the picture off.
    let line = Paragraph::new().align(AlignmentType::Center).keep_next(true).add_run(Run::new().add_image(picture));
    [line, paragraph().align(AlignmentType::Center).add_run(caption)]
}

/// The file.
pub fn packed(document: Docx) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    document.build().pack(&mut bytes).map_err(Error::internal)?;
    Ok(bytes.into_inner())
}
