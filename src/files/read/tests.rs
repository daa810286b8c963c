//! Files as offices and scripts have them, and files as nobody should have them.

use std::io::{Seek, SeekFrom, Write};

use encoding_rs::GB18030;
use flate2::write::{DeflateEncoder, GzEncoder};
use proptest::prelude::*;
use rawzip::{CompressionMethod, ZipArchiveWriter};

use super::*;

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    file.seek(SeekFrom::Start(0)).expect("back");
    file
}

fn opened(bytes: &[u8]) -> Result<Table> {
    open(file(bytes), None, &Limits::default())
}

fn rows(table: &mut Table) -> Result<Vec<RawRow>> {
    std::iter::from_fn(|| table.next().transpose()).collect()
}

fn words(row: &RawRow) -> Vec<String> {
    let word = |cell: &Cell| match cell {
        Cell::Text(text) | Cell::Number(text) => text.clone(),
        Cell::Date(day) => day.to_string(),
        Cell::Bool(yes) => yes.to_string(),
        Cell::Json(value) => value.to_string(),
        Cell::Empty => String::new(),
        Cell::Broken => "#".to_owned(),
    };
    row.cells.iter().map(word).collect()
}

fn all(bytes: &[u8]) -> Vec<(u64, Vec<String>)> {
    let mut table = opened(bytes).expect("a table");
    rows(&mut table).expect("rows").iter().map(|row| (row.number, words(row))).collect()
}

fn code(error: &Error) -> String {
    let limit = error.extra.get("limit").and_then(Value::as_str);
    limit.or_else(|| error.faults.first().map(|fault| fault.code)).unwrap_or_default().to_owned()
}

/// What a file is refused with, at its opening or at some row.
fn refusal(bytes: &[u8], limits: &Limits) -> Option<String> {
    let read = open(file(bytes), None, limits).and_then(|mut table| rows(&mut table));
    read.err().map(|error| code(&error))
}

pub fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = ZipArchiveWriter::new(&mut bytes);
    for (name, content) in parts {
        let (mut entry, config) = archive.new_file(name).compression_method(CompressionMethod::DEFLATE).start().expect("begun");
        let mut writer = config.wrap(DeflateEncoder::new(&mut entry, flate2::Compression::default()));
        writer.write_all(content).expect("written");
        let (encoder, descriptor) = writer.finish().expect("finished");
        encoder.finish().expect("finished");
        entry.finish(descriptor).expect("finished");
    }
    archive.finish().expect("finished");
    bytes
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

fn book(sheets: &[(&str, &[&[&str]])]) -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    for (name, rows) in sheets {
        let sheet = book.add_worksheet();
        sheet.set_name(*name).expect("a name");
        for (at, row) in (0..).zip(*rows) {
            for (column, cell) in (0..).zip(*row) {
                match cell.parse::<f64>() {
                    Ok(number) => sheet.write(at, column, number).expect("written"),
                    Err(_) => sheet.write(at, column, *cell).expect("written"),
                };
            }
        }
    }
    book.save_to_buffer().expect("saved")
}

/// A workbook out of its parts as XML.
fn raw_book(sheet: &str, styles: &str, texts: &str) -> Vec<u8> {
    let relation = |id: &str, kind: &str, target: &str| {
        format!(
            r#"<Relationship Id="{id}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" Target="{target}"/>"#
        )
    };
    let relations = format!(
        "<Relationships>{}{}{}</Relationships>",
        relation("r1", "worksheet", "worksheets/sheet1.xml"),
        relation("r2", "styles", "styles.xml"),
        relation("r3", "sharedStrings", "sharedStrings.xml")
    );
    let main = format!("<Relationships>{}</Relationships>", relation("r1", "officeDocument", "xl/workbook.xml"));
    zipped(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("_rels/.rels", main.as_bytes()),
        (
            "xl/workbook.xml",
            br#"<workbook><workbookPr date1904="1"/><sheets><sheet name="One" sheetId="1" r:id="r1"/></sheets></workbook>"#,
        ),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
        ("xl/styles.xml", styles.as_bytes()),
        ("xl/sharedStrings.xml", texts.as_bytes()),
    ])
}

const STYLES: &str = r#"<styleSheet><numFmts><numFmt numFmtId="164" formatCode="yyyy&quot;年&quot;m&quot;月&quot;d&quot;日&quot;"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="14"/></cellXfs></styleSheet>"#;
const TEXTS: &str =
    "<sst><si><t>姓名</t></si><si/><si><r><t>甲</t></r><r><t xml:space=\"preserve\"> 乙</t></r><rPh><t>jia</t></rPh></si></sst>";

const TABLE: &str = "编码,姓名\nv1,甲\nv2,乙\n";

#[test]
fn csv_in_every_encoding() {
    let wanted = [(1, vec!["编码".to_owned(), "姓名".into()]), (2, vec!["v1".into(), "甲".into()]), (3, vec!["v2".into(), "乙".into()])];
    let utf16 = |order: fn(u16) -> [u8; 2]| -> Vec<u8> { std::iter::once(0xFEFF).chain(TABLE.encode_utf16()).flat_map(order).collect() };
    let files: [(FileEncoding, Vec<u8>); 5] = [
        (FileEncoding::Utf8, TABLE.into()),
        (FileEncoding::Utf8Bom, format!("\u{FEFF}{TABLE}").into()),
        (FileEncoding::Gb18030, GB18030.encode(TABLE).0.into_owned()),
        (FileEncoding::Utf16Le, utf16(u16::to_le_bytes)),
        (FileEncoding::Utf16Be, utf16(u16::to_be_bytes)),
    ];
    for (encoding, bytes) in files {
        assert_eq!(all(&bytes), wanted, "{encoding:?}");
        assert_eq!(opened(&bytes).expect("a table").found().encoding, Some(encoding));
        for (compression, packed) in [(FileCompression::Zip, zipped(&[("a.csv", &bytes)])), (FileCompression::Gzip, gzipped(&bytes))] {
            assert_eq!(all(&packed), wanted, "{encoding:?} in {compression:?}");
            let found = opened(&packed).expect("a table").found().clone();
            assert_eq!((found.encoding, found.compression), (Some(encoding), compression));
        }
    }
}

/// Characters of one, two and four bytes, so that every boundary of a piece lies within some of them.
#[test]
fn a_boundary_within_a_character_does_not_matter() {
    for shift in 0..5 {
        let mut table = format!("{}\n", "x".repeat(shift + 1));
        for i in 0..20_000 {
            table.push_str(["䶮甲\n", "𠅤\n", "乙丙丁\n", "𬭳戊a\n", "㛃\n"][i % 5]);
        }
        let bytes = GB18030.encode(&table).0;
        let wanted: Vec<&str> = table.lines().collect();
        let read = all(&bytes);
        assert!(read.len() == wanted.len() && read.iter().zip(wanted).all(|((_, cells), line)| cells == &[line]), "{shift}");
        assert!(all(table.as_bytes()) == read, "{shift}");
    }
}

#[test]
fn text_in_no_encoding_tells_its_line() {
    let mut damaged = format!("姓名,备注\n{}", "甲乙丙丁,戊\n".repeat(20)).into_bytes();
    damaged.extend_from_slice(b"\xFF\xFE,x\n");
    let error = opened(&damaged).err().expect("refused");
    assert!(error.faults[0].message.en.contains("line 22"), "{error:?}");
    let error = opened(b"a,b\nx,\x80\xFF\n").and_then(|mut table| rows(&mut table)).expect_err("refused");
    assert!(error.faults[0].message.en.contains("line 2"), "{error:?}");
}

#[test]
fn delimiters_quotes_and_blank_lines() {
    assert_eq!(all(b"a;b\n1;2,5\n").last(), Some(&(2, vec!["1".to_owned(), "2,5".into()])));
    assert_eq!(all(b"a\tb\n1\t2\n").last(), Some(&(2, vec!["1".to_owned(), "2".into()])));
    assert_eq!(all("\"名单,一\"\n甲;乙;丙\n1;2;3\n".as_bytes()).last().map(|(_, cells)| cells.len()), Some(3));
    let counted = all(b"a,b\r\n\r\n\"x\r\ny\",1\r\n,\r\n\r\n\r\nz,2");
    let numbers: Vec<u64> = counted.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [1, 3, 7], "as a spreadsheet counts");
    assert_eq!(counted[1].1, ["x\r\ny", "1"], "and the text is as it was");
}

#[test]
fn json_lines_and_arrays() {
    let one = r#"{"姓名":"甲","地点":{"b":[1,"}"]}}"#;
    let lines = format!("{one}\n\n{{\"a\":\"\\\"}}{{\"}}\r\n");
    let found: Vec<(u64, String)> = all(lines.as_bytes()).into_iter().map(|(number, cells)| (number, cells.concat())).collect();
    assert_eq!(found.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 3]);
    let array = format!(" [ {one} ,\n{{\"a\":\"\\\"}}{{\"}} ] \n");
    let same: Vec<(u64, String)> = all(array.as_bytes()).into_iter().map(|(number, cells)| (number, cells.concat())).collect();
    assert_eq!(same.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2]);
    assert!(found.iter().zip(&same).all(|(a, b)| a.1 == b.1));
    assert_eq!(opened(lines.as_bytes()).expect("a table").found().format, FileFormat::Ndjson);
    assert_eq!(opened(array.as_bytes()).expect("a table").found().format, FileFormat::Json);
    assert!(all(b"[]").is_empty());
    // Once it is known to be lines of objects, a line that is none is a row of its own.
    assert_eq!(
        all(b"{\"a\":1}\n{\"a\"\n [1] \n{}"),
        [(1, vec!["{\"a\":1}".into()]), (2, vec!["{\"a\"".into()]), (3, vec!["[1]".into()]), (4, vec!["{}".into()])]
    );
    assert_eq!(all(b"[{},{\"a\":x},{}]")[1], (2, vec!["{\"a\":x}".into()]));
    for wrong in
        ["{\"a\"\n{\"a\":1}", "[{\"a\":1}", "[{\"a\":1} {\"a\":2}]", "[{\"a\":1},]", "[{\"a\":1}]x", "[{\"a\":1},2]", "{\n\"a\":1}"]
    {
        assert_eq!(refusal(wrong.as_bytes(), &Limits::default()).as_deref(), Some("unreadable_file"), "{wrong}");
    }
}

#[test]
fn a_workbook_by_its_first_sheet_with_rows_or_by_name() {
    let bytes = book(&[("封面", &[]), ("名单", &[&["编码", "数量"], &["v1", "3500.1"]]), ("二", &[&["另"]])]);
    assert_eq!(all(&bytes), [(1, vec!["编码".to_owned(), "数量".into()]), (2, vec!["v1".into(), "3500.1".into()])]);
    assert_eq!(opened(&bytes).expect("a table").found().sheet.as_deref(), Some("名单"));
    let mut second = open_sheet(file(&bytes), None, Some("二"), &Limits::default()).expect("a table");
    assert_eq!(rows(&mut second).expect("rows").len(), 1);
    let error = open_sheet(file(&bytes), None, Some("三"), &Limits::default()).err().expect("refused");
    assert_eq!((error.faults[0].pointer.as_str(), error.faults[0].code), ("/sheet", "unknown_sheet"));
    assert!(error.faults[0].message.zh.contains("封面、名单、二"));
    let error = open_sheet(file(TABLE.as_bytes()), None, Some("三"), &Limits::default()).err().expect("refused");
    assert_eq!(error.faults[0].code, "no_sheets");
    for packed in [zipped(&[("a.xlsx", &bytes)]), gzipped(&bytes)] {
        assert_eq!(all(&packed).len(), 2, "a workbook within");
    }
}

#[test]
fn the_cells_of_a_workbook() {
    let sheet = r##"<worksheet><sheetData><row r="2"><c r="A2" t="s"><v>0</v></c><c r="C2" t="s"><v>2</v></c></row>
        <row r="5"><c r="A5" s="1"><v>43267</v></c><c s="2"><v>43267.5</v></c><c s="0"><v>3500.0999999999999</v></c><c t="b"><v>1</v></c>
        <c t="e"><v>#REF!</v></c><c t="inlineStr"><is><t>甲&amp;&#20057;</t></is></c><c t="str"><f>A1</f><v>丙</v></c><c t="d"><v>2022-06-17T00:00:00</v></c>
        <c t="s"><v>1</v></c><c><v>4.10105E+17</v></c></row></sheetData></worksheet>"##;
    let mut table = opened(&raw_book(sheet, STYLES, TEXTS)).expect("a table");
    let read = rows(&mut table).expect("rows");
    assert_eq!((read[0].number, words(&read[0])), (2, vec!["姓名".to_owned(), String::new(), "甲 乙".into()]));
    // The system of 1904, in which 2022-06-17 is 43267.
    let day = NaiveDate::from_ymd_opt(2022, 6, 17).expect("a day");
    let number = |digits: &str| Cell::Number(digits.to_owned());
    let text = |text: &str| Cell::Text(text.to_owned());
    let wanted = [
        Cell::Date(day),
        Cell::Date(day),
        number("3500.1"),
        Cell::Bool(true),
        Cell::Broken,
        text("甲&乙"),
        text("丙"),
        Cell::Date(day),
        Cell::Empty,
        number("410105000000000000"),
    ];
    assert_eq!((read[1].number, read[1].cells.as_slice()), (5, &wanted[..]));
    assert_eq!(table.day("43267"), Some(day));
}

#[test]
fn a_table_is_opened_again_and_skipped_forward() {
    let lines: String = (1..=50).map(|i| format!("c{i},x\n")).collect();
    let grid: Vec<Vec<String>> = (1..=50).map(|i| vec![format!("c{i}"), "x".into()]).collect();
    let grid: Vec<Vec<&str>> = grid.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
    let grid: Vec<&[&str]> = grid.iter().map(Vec::as_slice).collect();
    for bytes in [lines.clone().into_bytes(), book(&[("一", &grid)]), gzipped(lines.as_bytes())] {
        let mut table = opened(&bytes).expect("a table");
        for _ in 0..7 {
            table.next().expect("a row");
        }
        let mut again = table.reopened().expect("again");
        again.skip_past(30).expect("skipped");
        assert_eq!(again.next().expect("a row").map(|row| (row.number, words(&row)[0].clone())), Some((31, "c31".to_owned())));
        assert_eq!(table.next().expect("a row").map(|row| row.number), Some(8), "the first goes on where it was");
        again.skip_past(1_000).expect("skipped");
        assert_eq!(again.next().expect("the end"), None);
        fn sendable(_: impl Send) {}
        sendable(again);
    }
}

#[test]
fn what_is_beyond_a_limit_is_told_which() {
    let limits = Limits {
        file: 100_000,
        inflated: 4 << 20,
        ratio: 200,
        columns: 5,
        cell: 10_000,
        rows: 10,
        entries: 20,
        styles: 50,
        strings: 1_000,
    };
    let noise = |n: usize| -> String { (0..n).map(|i| char::from(b'a' + (i * i / 7 % 26) as u8)).collect() };
    let many = |n: usize| (0..n).map(|i| format!("r{i}\n")).collect::<String>();
    let parts: Vec<(String, Vec<u8>)> = (0..21).map(|i| (format!("f{i}.csv"), b"a".to_vec())).collect();
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let short_lines = "a,b\n".repeat(1 << 20);
    let xfs: String = (0..60).map(|i| format!(r#"<xf numFmtId="{i}"/>"#)).collect();
    let sheet = |row: &str| format!("<worksheet><sheetData><row r=\"1\">{row}</row></sheetData></worksheet>");
    let plain = sheet("<c><v>1</v></c>");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("file", many(30_000).into_bytes()),
        ("rows", many(11).into_bytes()),
        ("columns", b"a,b,c,d,e,f\n".to_vec()),
        ("cell", noise(90_000).into_bytes()),
        ("cell", format!("{{\"a\":\"{}\"}}", noise(20_000)).into_bytes()),
        ("cell", format!("[{{\"a\":\"{}\"}}]", noise(20_000)).into_bytes()),
        ("entries", zipped(&parts)),
        ("ratio", gzipped(&vec![b'\n'; 3 << 20])),
        ("ratio", zipped(&[("a.csv", short_lines.as_bytes())])),
        ("ratio", raw_book(&format!("<worksheet>{}</worksheet>", "<row/>".repeat(600_000)), STYLES, TEXTS)),
        ("columns", raw_book(&sheet("<c r=\"F1\"><v>1</v></c>"), STYLES, TEXTS)),
        ("cell", raw_book(&sheet(&format!("<c t=\"inlineStr\"><is><t>{}</t></is></c>", noise(20_000))), STYLES, TEXTS)),
        (
            "cell",
            raw_book(
                &sheet(&format!("<c t=\"inlineStr\"><is>{}</is></c>", format!("<r><t>{}</t></r>", noise(3_000)).repeat(5))),
                STYLES,
                TEXTS,
            ),
        ),
        ("cell", raw_book(&sheet(&format!("<c r=\"{}\"/>", noise(200_000))), STYLES, TEXTS)),
        ("styles", raw_book(&plain, &format!("<styleSheet><cellXfs>{xfs}</cellXfs></styleSheet>"), TEXTS)),
        ("strings", raw_book(&plain, STYLES, &format!("<sst>{}</sst>", "<si><t>abcdefgh</t></si>".repeat(200)))),
        ("strings", raw_book(&plain, STYLES, &format!("<sst>{}</sst>", "<si/>".repeat(500)))),
    ];
    for (limit, bytes) in cases {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(30)]).into_owned();
        let limits = if limit == "file" { limits } else { Limits { file: 10 << 20, ..limits } };
        assert_eq!(refusal(&bytes, &limits).as_deref(), Some(limit), "{start:?}");
    }
    let noisy: String = (0..60_000_u32).map(|i| format!("{}\n", i.wrapping_mul(2_654_435_761))).collect();
    let small = Limits { inflated: 100_000, rows: 1_000_000, ..Limits::default() };
    assert_eq!(refusal(&gzipped(noisy.as_bytes()), &small).as_deref(), Some("inflated"));
    assert_eq!(refusal(&gzipped(noisy.as_bytes()), &Limits::default()), None);
}

#[test]
fn what_is_broken_is_refused_as_broken() {
    let sheet = "<worksheet><sheetData><row r=\"1\"><c><v>1</v></c></row></sheetData></worksheet>";
    let right = raw_book(sheet, STYLES, TEXTS);
    assert_eq!(refusal(&right, &Limits::default()), None);
    let entity = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]>";
    let mut flipped = zipped(&[("a.csv", b"abcdefgh,ijklmnop\nqrstuvwx,yz012345\n")]);
    flipped[40] ^= 0x55;
    let with = |from: &str, to: &str| raw_book(&sheet.replace(from, to), STYLES, TEXTS);
    let broken: Vec<(&str, Vec<u8>)> = vec![
        ("half a workbook", right[..right.len() / 2].to_vec()),
        ("all but its end", right[..right.len() - 3].to_vec()),
        ("half a gzip", {
            let whole = gzipped(&b"a,b\n".repeat(5_000));
            whole[..whole.len() / 2].to_vec()
        }),
        ("a flipped bit", flipped),
        ("a DTD in a sheet", with("<worksheet>", &format!("{entity}<worksheet>"))),
        ("an entity of its own", with("<v>1</v>", "<v>&b;</v>")),
        ("an outer entity", with("<worksheet>", "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><worksheet>")),
        ("a DTD in the texts", raw_book(sheet, STYLES, &format!("{entity}<sst><si><t>&b;</t></si></sst>"))),
        ("a deep nest", with("<v>1</v>", &"<a>".repeat(10_000))),
        ("a sheet that breaks off", with("</row></sheetData></worksheet>", "")),
        ("a row before the last", with("</row>", "</row><row r=\"1\"/>")),
        ("a text that isn't there", with("<c><v>1", "<c t=\"s\"><v>9")),
        ("a column beyond all", with("<c>", "<c r=\"ZZZZ1\">")),
        ("two files", zipped(&[("a.csv", b"a\n"), ("b.csv", b"b\n")])),
        ("no file", zipped(&[])),
        ("an archive in an archive", zipped(&[("a.zip", &zipped(&[("a.csv", b"a\n")]))])),
        ("a gzip in a gzip", gzipped(&gzipped(b"a\n"))),
        ("an old workbook", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1rest".to_vec()),
        ("a PDF", b"%PDF-1.7\n".to_vec()),
        ("a page", b"<html><table>".to_vec()),
        ("a NUL", b"a,b\0\n".to_vec()),
        ("UTF-16 without a mark", TABLE.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("an OpenDocument", zipped(&[("mimetype", b"x"), ("content.xml", b"<a/>")])),
    ];
    for (what, bytes) in broken {
        assert_eq!(refusal(&bytes, &Limits::default()).as_deref(), Some("unreadable_file"), "{what}");
    }
    for (what, bytes) in [
        ("nothing", vec![]),
        ("a mark", b"\xEF\xBB\xBF".to_vec()),
        ("space", b" \n\n".to_vec()),
        ("an empty book", book(&[("一", &[])])),
        ("an empty gzip", gzipped(b"")),
    ] {
        assert_eq!(refusal(&bytes, &Limits::default()).as_deref(), Some("empty_file"), "{what}");
    }
}

/// What some systems add to an archive of their own is nobody's file.
#[test]
fn an_archive_as_a_mac_makes_it() {
    let bytes = zipped(&[("名单.csv", TABLE.as_bytes()), ("__MACOSX/._名单.csv", b"\0\x05"), (".DS_Store", b"\0")]);
    assert_eq!(all(&bytes).len(), 3);
}

fn originals() -> Vec<Vec<u8>> {
    let sheet = "<worksheet><sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c></row><row><c s=\"1\"><v>44729</v></c></row></sheetData></worksheet>";
    vec![
        format!("\u{FEFF}{TABLE}").into_bytes(),
        GB18030.encode(TABLE).0.into_owned(),
        std::iter::once(0xFEFF).chain(TABLE.encode_utf16()).flat_map(u16::to_le_bytes).collect(),
        b"{\"a\":{\"b\":[1,2,\"x\"]}}\n{\"a\":null}\n".to_vec(),
        b"[{\"a\":\"b\"},{\"c\":1.5e3}]".to_vec(),
        book(&[("一", &[&["编码", "姓名"], &["1", "甲"]])]),
        raw_book(sheet, STYLES, TEXTS),
        zipped(&[("a.csv", TABLE.as_bytes())]),
        gzipped(TABLE.as_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Real files with bytes changed, cut out and put in: read or refused, and never more than that.
    #[test]
    fn mutated_files_are_read_or_refused(
        which in 0_usize..9,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 0..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = originals().swap_remove(which);
        for (at, byte, how) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => { bytes.remove(at); }
                _ => bytes.insert(at, byte),
            }
        }
        if let Some(cut) = cut.filter(|_| !bytes.is_empty()) {
            bytes.truncate(cut.index(bytes.len()));
        }
        let small = Limits { inflated: 1 << 20, rows: 100, columns: 20, cell: 4_096, ..Limits::default() };
        if let Err(error) = open(file(&bytes), None, &small).and_then(|mut table| rows(&mut table)) {
            prop_assert!(error.code == Code::ValidationFailed || error.code == Code::TooLarge, "{error:?}");
        }
    }

    /// The XML inside a workbook, changed before it is packed: so that the changes get past the sums.
    #[test]
    fn mutated_sheets_are_read_or_refused(at in any::<prop::sample::Index>(), with in "[<>&;/\"=a-z0-9 é甲]{0,6}", of in 0..3) {
        let sheet = "<worksheet><sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c></row><row><c s=\"1\"><v>44729</v></c></row></sheetData></worksheet>";
        let mut parts = [sheet.to_owned(), STYLES.to_owned(), TEXTS.to_owned()];
        let part = &mut parts[of as usize];
        let places: Vec<usize> = part.char_indices().map(|(place, _)| place).collect();
        let place = places[at.index(places.len())];
        let next = part[place..].chars().next().map_or(0, char::len_utf8);
        part.replace_range(place..place + next, &with);
        let bytes = raw_book(&parts[0], &parts[1], &parts[2]);
        if let Err(error) = open(file(&bytes), None, &Limits::default()).and_then(|mut table| rows(&mut table)) {
            prop_assert!(error.code == Code::ValidationFailed || error.code == Code::TooLarge, "{error:?}");
        }
    }
}
