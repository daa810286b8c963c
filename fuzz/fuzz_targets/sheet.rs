//! The XML inside a workbook: its sheet, its styles or its texts.
#![no_main]

mod common;

const SHEET: &[u8] = b"<worksheet><sheetData><row r=\"1\"><c t=\"s\"><v>0</v></c><c s=\"1\"><v>44729</v></c></row></sheetData></worksheet>";
const STYLES: &[u8] = b"<styleSheet><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>";
const TEXTS: &[u8] = b"<sst><si><t>a</t></si></sst>";
const BOOK: &[u8] = b"<workbook><sheets><sheet name=\"One\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>";
const RELATIONS: &[u8] = b"<Relationships><Relationship Id=\"r1\" Type=\"x/worksheet\" Target=\"s.xml\"/><Relationship Id=\"r2\" Type=\"x/styles\" Target=\"y.xml\"/><Relationship Id=\"r3\" Type=\"x/sharedStrings\" Target=\"t.xml\"/></Relationships>";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let mut parts = [BOOK, RELATIONS, SHEET, STYLES, TEXTS];
    parts[usize::from(*choice) % parts.len()] = rest;
    let names = ["xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/s.xml", "xl/y.xml", "xl/t.xml"];
    let parts: Vec<(&str, &[u8])> = names.into_iter().zip(parts).collect();
    common::read(&common::zipped(&parts));
});
