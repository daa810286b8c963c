//! Files as offices have them: their formats, how they are laid out, how their cells are written, and what they must not cost.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::write::{DeflateEncoder, GzEncoder};
use rawzip::{CompressionMethod, ZipArchiveWriter};
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};
use serde_json::{Value, json};
use yiyong::files::read::{self, Cell, Limits};
use yiyong::policy::Role;
use yiyong::web::verbs::registry;

use crate::hosts::{Answer, Client, on_each_database, on_each_database_with};
use crate::process::Workplace;

const DRY: (&str, &str) = ("dry_run", "true");

/// Row, column and code of each fault.
fn faults(answer: &Answer) -> Vec<(u64, &str, &str)> {
    let told = answer.body["faults"].as_array().map(Vec::as_slice).unwrap_or_default();
    told.iter()
        .map(|f| (f["row"].as_u64().unwrap_or_default(), f["column"].as_str().unwrap_or_default(), f["code"].as_str().unwrap_or_default()))
        .collect()
}

fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
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

/// A workbook with one sheet of texts.
fn workbook(rows: &[&[&str]]) -> Vec<u8> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (at, row) in (0..).zip(rows) {
        for (column, cell) in (0..).zip(*row) {
            sheet.write(at, column, *cell).expect("written");
        }
    }
    book.save_to_buffer().expect("saved")
}

/// A workbook out of parts of one's own.
fn raw_workbook(sheet: &str, styles: &str, texts: &str) -> Vec<u8> {
    const KINDS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let relation = |id: &str, kind: &str, target: &str| format!(r#"<Relationship Id="{id}" Type="{KINDS}/{kind}" Target="{target}"/>"#);
    let of_book =
        [("r1", "worksheet", "worksheets/sheet1.xml"), ("r2", "styles", "styles.xml"), ("r3", "sharedStrings", "sharedStrings.xml")];
    let of_book: String = of_book.iter().map(|(id, kind, target)| relation(id, kind, target)).collect();
    zipped(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("_rels/.rels", format!("<Relationships>{}</Relationships>", relation("r1", "officeDocument", "xl/workbook.xml")).as_bytes()),
        ("xl/workbook.xml", br#"<workbook><sheets><sheet name="One" sheetId="1" r:id="r1"/></sheets></workbook>"#),
        ("xl/_rels/workbook.xml.rels", format!("<Relationships>{of_book}</Relationships>").as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
        ("xl/styles.xml", styles.as_bytes()),
        ("xl/sharedStrings.xml", texts.as_bytes()),
    ])
}

fn id_of(client: &Client<'_>, resource: &str, code: &str) -> Value {
    client.get(&format!("/api/v1/{resource}?code={code}")).body["items"][0]["id"].clone()
}

fn one(client: &Client<'_>, resource: &str, code: &str) -> Value {
    client.get(&format!("/api/v1/{resource}?code={code}")).body["items"][0].clone()
}

#[test]
fn a_text_is_read_in_the_encoding_and_with_the_delimiter_that_it_has() {
    on_each_database(|host| {
        let city = host.planted();
        // 䶮 is in GB18030 and not in GBK.
        let table = |n: usize, comma: &str| format!("编码,姓名,所属协会编码\np{n},王䶮,zz\n").replace(',', comma);
        let utf16 = |order: fn(u16) -> [u8; 2], text: &str| -> Vec<u8> {
            std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(order).collect()
        };
        let gb = |text: &str| encoding_rs::GB18030.encode(text).0.into_owned();
        let files: Vec<(&str, &str, Vec<u8>)> = vec![
            ("utf-8", "none", table(0, ",").into()),
            ("utf-8-bom", "none", format!("\u{FEFF}{}", table(1, ";")).into()),
            ("gb18030", "none", gb(&table(2, ","))),
            ("utf-16le", "none", utf16(u16::to_le_bytes, &table(3, "\t"))),
            ("utf-16be", "none", utf16(u16::to_be_bytes, &table(4, ","))),
            ("gb18030", "zip", zipped(&[("名单.csv", &gb(&table(5, "\t")))])),
            ("utf-8", "gzip", gzipped(table(6, ",").as_bytes())),
        ];
        for (n, (encoding, compression, bytes)) in files.iter().enumerate() {
            let answer = city.import("persons", bytes, &[]);
            let told = ["format", "encoding", "compression"].map(|what| answer.body[what].as_str().unwrap_or_default().to_owned());
            assert_eq!((answer.status, told), (201, ["csv".to_owned(), (*encoding).into(), (*compression).into()]), "{n} {answer:?}");
            assert_eq!(one(&city, "persons", &format!("p{n}"))["name"], "王䶮", "{n}");
            let kept = city.get(&format!("/api/v1/imports/{}", answer.id()));
            assert_eq!(kept.body, answer.body, "what is kept says the same");
        }
    });
}

/// A list as a county sends it: a title over all columns, marks, full-width headers, Excel's own dates and numbers, a total.
#[test]
fn a_workbook_as_an_office_lays_it_out() {
    on_each_database(|host| {
        let city = host.planted();
        let mut book = Workbook::new();
        book.add_worksheet().set_name("封面").expect("named");
        let sheet = book.add_worksheet();
        sheet.set_name("工作站").expect("named");
        sheet.merge_range(0, 0, 0, 6, "登封市见义勇为工作站名册", &Format::new()).expect("merged");
        sheet.write(1, 0, "填表日期：2022年12月31日").expect("written");
        let heads = ["序号", "＊编 码", "*工作站名称", "依托单位类别（必填）", "所属协会(必填)", "成立时间", "是否受表彰"];
        for (column, head) in (0..).zip(heads) {
            sheet.write(2, column, head).expect("written");
        }
        let date = Format::new().set_num_format("yyyy\"年\"m\"月\"d\"日\"");
        let day = ExcelDateTime::from_ymd(2021, 3, 1).expect("a day");
        let row = |sheet: &mut rust_xlsxwriter::Worksheet, at: u32, code: &str, name: &str| {
            sheet.write(at, 0, at).expect("written");
            for (column, cell) in [(1, code), (2, name), (3, "派出所"), (4, "zz-dengfeng")] {
                sheet.write(at, column, cell).expect("written");
            }
        };
        row(sheet, 3, "w1", "嵩阳见义勇为工作站");
        sheet.write_with_format(3, 5, &day, &date).expect("written").write(3, 6, "√").expect("written");
        // A serial number that nothing shows as a day; a blank row above.
        row(sheet, 5, "w2", "少室见义勇为工作站");
        sheet.write(5, 5, 44_256).expect("written").write(5, 6, false).expect("written");
        row(sheet, 6, "w3", "颍阳见义勇为工作站");
        sheet.write(6, 5, "２０２１．３．１").expect("written").write(6, 6, "×").expect("written");
        sheet.write(7, 1, "合 计").expect("written").write(7, 6, 3).expect("written");
        let bytes = book.save_to_buffer().expect("saved");

        let answer = city.import("workstations", &bytes, &[]);
        let told = ["format", "sheet", "rows_read", "rows_created", "rows_left_out"].map(|what| answer.body[what].clone());
        assert_eq!((answer.status, told), (201, [json!("xlsx"), json!("工作站"), json!(3), json!(3), json!(1)]), "{answer:?}");
        for (code, commended) in [("w1", true), ("w2", false), ("w3", false)] {
            let station = one(&city, "workstations", code);
            assert_eq!((&station["established_on"], &station["commended"]), (&json!("2021-03-01"), &json!(commended)), "{code}");
        }
        // The other sheet by its name, and one that there isn't.
        assert_eq!(city.import("workstations", &bytes, &[("sheet", "封面")]).faults(), [("/file", "empty_file")]);
        let none = city.import("workstations", &bytes, &[("sheet", "第三页")]);
        assert_eq!(none.faults(), [("/sheet", "unknown_sheet")]);
        assert!(none.body["errors"][0]["message"].as_str().is_some_and(|text| text.contains("封面、工作站")), "{none:?}");
        // What is wrong is told by the sheet's own rows.
        let wrong = workbook(&[
            &["名册"],
            &["编码", "工作站名称", "依托单位类别", "所属协会编码", "成立日期"],
            &["w9", "甲", "派出所", "zz", "6月17日"],
        ]);
        let answer = city.import("workstations", &wrong, &[]);
        assert_eq!((answer.status, faults(&answer)), (422, vec![(3, "成立日期", "date_without_year")]), "{answer:?}");
    });
}

/// A workbook that counts days from 1904, as those of a Mac once did.
#[test]
fn a_workbook_that_counts_from_1904() {
    on_each_database(|host| {
        let city = host.planted();
        let sheet = r#"<worksheet><sheetData><row r="1"><c t="s"><v>0</v></c><c t="s"><v>1</v></c><c t="s"><v>2</v></c><c t="s"><v>3</v></c><c t="s"><v>4</v></c></row>
            <row r="2"><c t="s"><v>5</v></c><c t="s"><v>5</v></c><c t="s"><v>6</v></c><c t="s"><v>7</v></c><c><v>43267</v></c></row></sheetData></worksheet>"#;
        let texts = ["编码", "工作站名称", "依托单位类别", "所属协会编码", "成立日期", "w1904", "派出所", "zz"]
            .map(|text| format!("<si><t>{text}</t></si>"));
        let texts = format!("<sst>{}</sst>", texts.concat());
        for (system, wanted) in [("", "2018-06-16"), ("<workbookPr date1904=\"1\"/>", "2022-06-17")] {
            // The same bytes but for the system: rebuilt, since parts are summed.
            let plain = raw_workbook(sheet, "<styleSheet/>", &texts);
            let bytes = if system.is_empty() { plain } else { since_1904(sheet, &texts) };
            let answer = city.import("workstations", &bytes, &[("mode", "upsert")]);
            assert_eq!(answer.status, 201, "{answer:?}");
            assert_eq!(one(&city, "workstations", "w1904")["established_on"], wanted, "{system}");
        }
    });
}

fn since_1904(sheet: &str, texts: &str) -> Vec<u8> {
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    zipped(&[
        ("xl/workbook.xml", br#"<workbook><workbookPr date1904="true"/><sheets><sheet name="One" sheetId="1" r:id="r1"/></sheets></workbook>"#),
        (
            "xl/_rels/workbook.xml.rels",
            format!(r#"<Relationships><Relationship Id="r1" Type="{kind}/worksheet" Target="/xl/worksheets/sheet1.xml"/><Relationship Id="r3" Type="{kind}/sharedStrings" Target="sharedStrings.xml"/></Relationships>"#).as_bytes(),
        ),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
        ("xl/sharedStrings.xml", texts.as_bytes()),
    ])
}

#[test]
fn json_lines_and_an_array_as_scripts_make_them() {
    on_each_database(|host| {
        let city = host.planted();
        let dengfeng = id_of(&city, "organizations", "zz-dengfeng");
        // By the contract's names and by an office's; the person as in a draft; the organization by code and by id.
        let first = json!({"code": "v1", "organization_code": "zz-dengfeng", "registered_on": "2022-06-17", "sector": "other",
                           "person": {"name": "甲", "phone": "15400000001"}});
        let second = json!({"编号": "v2", "organization_id": dengfeng, "注册日期": "2022年6月17日", "行业": "other", "person": {"name": "乙"}, "序号": 2});
        let lines = format!("{first}\n\n{second}\n");
        let answer = city.import("volunteers", lines.as_bytes(), &[]);
        assert_eq!((answer.status, &answer.body["format"], &answer.body["rows_created"]), (201, &json!("ndjson"), &json!(2)), "{answer:?}");
        let v2 = one(&city, "volunteers", "v2");
        assert_eq!((&v2["organization_id"], &v2["registered_on"]), (&dengfeng, &json!("2022-06-17")));
        let array = serde_json::to_vec_pretty(&json!([first, second])).expect("an array");
        let again = city.import("volunteers", &gzipped(&array), &[("mode", "upsert")]);
        let told = ["format", "compression", "rows_unchanged"].map(|what| again.body[what].clone());
        assert_eq!((again.status, told), (201, [json!("json"), json!("gzip"), json!(2)]), "{again:?}");

        let wrong = [
            json!({"code": "v3", "organization_code": "nowhere", "sector": "other", "registered_on": "2022-06-17", "person": {"name": "丙"}}),
            json!({"code": "v4", "organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "sector": "other", "registered_on": "2022-06-17", "person": {"name": "丁"}}),
            json!({"code": "v5", "organization_code": "zz", "colour": "red", "sector": "other", "registered_on": "2022-06-17", "person": {"name": "戊"}}),
            json!({"code": "v6", "organization_code": "zz", "sector": "other", "registered_on": "6月17日", "person": {"name": ""}}),
        ];
        let lines: String = wrong.iter().map(|line| format!("{line}\n")).collect();
        let answer = city.import("volunteers", lines.as_bytes(), &[]);
        assert_eq!(answer.status, 422);
        let told = faults(&answer);
        for wanted in [
            (1, "organization_code", "unknown_reference"),
            (2, "organization_code", "unknown_reference"),
            (3, "colour", "unknown_column"),
            (4, "registered_on", "date_without_year"),
        ] {
            assert!(told.contains(&wanted), "{wanted:?}: {told:?}");
        }
        assert!(told.iter().any(|(row, column, _)| *row == 4 && column.contains("name")), "all of a row's faults at once: {told:?}");
        let no_code = json!({"organization_code": "zz", "registered_on": "2022-06-17", "person": {"name": "己"}});
        let answer = city.import("volunteers", no_code.to_string().as_bytes(), &[("mode", "upsert")]);
        assert_eq!(faults(&answer), [(1, "code", "required")]);
        // A line that is no object, or no JSON at all, is a bad row like any other.
        let good =
            json!({"code": "v7", "organization_code": "zz", "registered_on": "2022-06-17", "sector": "other", "person": {"name": "庚"}});
        let lines = format!("{good}\n{{\"code\":\"v8\",\n7\n{{\"code\":\"v9\",\"code\":\"v9\"}}\n");
        let refused = city.import("volunteers", lines.as_bytes(), &[]);
        let wrong = [(2, "", "malformed_json"), (3, "", "malformed_json"), (4, "", "malformed_json")];
        assert_eq!((refused.status, faults(&refused)), (422, wrong.to_vec()), "{refused:?}");
        assert_eq!(refused.body["faults"][0]["message"], "JSON 在第 13 列有语法错误");
        let skipped = city.import("volunteers", lines.as_bytes(), &[("on_error", "skip")]);
        assert_eq!(
            (skipped.status, &skipped.body["rows_created"], &skipped.body["rows_failed"]),
            (201, &json!(1), &json!(3)),
            "{skipped:?}"
        );
        // Of an array, what can't be told apart can't be read: a comma is missing.
        let broken = city.import("volunteers", b"[{\"code\":\"v7\"}{\"code\":\"v8\"}]", &[]);
        assert_eq!(broken.faults(), [("/file", "unreadable_file")]);
        assert!(broken.body["errors"][0]["message"].as_str().is_some_and(|text| text.contains("第 2 条")), "{broken:?}");
    });
}

#[test]
fn amounts_under_a_header_with_a_unit_or_with_one_of_their_own() {
    on_each_database(|host| {
        host.planted();
        let importer = host.user("importer", Role::Service, Some("zz"));
        let mut csv = "编码,所属协会编码,项目类别,年度,预算金额（元）\n".to_owned();
        let cells = [
            ("b1", 2001, "3500.1", 350_010),
            ("b2", 2002, "3.5万元", 3_500_000),
            ("b3", 2003, "\"￥3,500.00\"", 350_000),
            ("b4", 2004, "０．０１元", 1),
            ("b5", 2005, "0.001亿元", 10_000_000),
        ];
        for (code, year, cell, _) in cells {
            writeln!(csv, "{code},zz,hardship,{year},{cell}").expect("written");
        }
        let answer = importer.import("budgets", csv.as_bytes(), &[]);
        assert_eq!(answer.status, 201, "{answer:?}");
        for (code, _, cell, fen) in cells {
            assert_eq!(one(&importer, "budgets", code)["planned_fen"], fen, "{cell}");
        }
        let under = |header: &str, cell: &str| {
            let csv = format!("编码,所属协会编码,项目类别,年度,{header}\nb9,zz,hardship,2010,{cell}\n");
            importer.import("budgets", csv.as_bytes(), &[("mode", "upsert")])
        };
        for (header, cell, fen) in [
            ("预算金额（万元）", "3.5", 3_500_000),
            ("预算金额（分）", "3500", 3_500),
            ("planned_fen", "3501", 3_501),
            ("planned_yuan", "3501", 350_100),
            ("预算金额(元)", "12", 1_200),
        ] {
            let answer = under(header, cell);
            assert_eq!((answer.status, &one(&importer, "budgets", "b9")["planned_fen"]), (201, &json!(fen)), "{header} {cell} {answer:?}");
        }
        for (header, cell, code) in [
            ("planned_fen", "3500.5", "amount_without_unit"),
            ("预算金额（分）", "3500.5", "too_many_decimals"),
            ("预算金额（元）", "0.001", "too_many_decimals"),
            ("预算金额（元）", "410105199001010018x", "invalid_amount"),
        ] {
            let answer = under(header, cell);
            assert_eq!((answer.status, faults(&answer)), (422, vec![(2, header, code)]), "{header} {cell}");
            // In a row that has slipped it may be anybody's number.
            assert!(!answer.body.to_string().contains("410105199001010018"), "{answer:?}");
        }
    });
}

#[test]
fn numbers_that_a_spreadsheet_had_in_its_hands() {
    on_each_database(|host| {
        let city = host.planted();
        let mut book = Workbook::new();
        let sheet = book.add_worksheet();
        for (column, head) in (0..).zip(["编码", "姓名", "所属协会编码", "联系电话", "证件号码", "性别"]) {
            sheet.write(0, column, head).expect("written");
        }
        for (at, code, name) in [(1, "n1", "'=甲"), (2, "n2", "买买提·艾力"), (3, "n3", "丙"), (4, "n4", "丁")] {
            sheet.write(at, 0, code).expect("written").write(at, 1, name).expect("written").write(at, 2, "ｚｚ").expect("written");
        }
        sheet.write(1, 3, 15_400_000_001.0).expect("written").write(1, 5, "男").expect("written");
        sheet.write(2, 3, "'+86 154-0000-0002").expect("written");
        let right = book.save_to_buffer().expect("saved");
        let answer = city.import("persons", &right, &[]);
        assert_eq!(answer.status, 201, "{answer:?}");
        let name = |code: &str| one(&city, "persons", code)["name"].clone();
        assert_eq!((name("n1"), name("n2")), (json!("=甲"), json!("买买提·艾力")), "the guard of an export is taken off");
        assert_eq!(one(&city, "persons", "n1")["phone_masked"], "154****0001");
        assert_eq!(one(&city, "persons", "n2")["phone_masked"], "154****0002");

        let mut book = Workbook::new();
        let sheet = book.add_worksheet();
        for (column, head) in (0..).zip(["编码", "姓名", "所属协会编码", "身份证号"]) {
            sheet.write(0, column, head).expect("written");
        }
        for at in 1..=2_u32 {
            sheet
                .write(at, 0, format!("m{at}"))
                .expect("written")
                .write(at, 1, "戊")
                .expect("written")
                .write(at, 2, "zz")
                .expect("written");
        }
        sheet.write(1, 3, 410_105_199_001_010_018.0).expect("written").write(2, 3, "4.10105E+17").expect("written");
        let answer = city.import("persons", &book.save_to_buffer().expect("saved"), &[]);
        let told = faults(&answer);
        assert_eq!(
            (answer.status, told),
            (422, vec![(2, "身份证号", "destroyed_by_spreadsheet"), (3, "身份证号", "destroyed_by_spreadsheet")]),
            "{answer:?}"
        );
        assert_eq!(one(&city, "persons", "m1"), Value::Null, "never repaired");
        // Other faults of such a row are told with it.
        let both = "编码,姓名,所属协会编码,身份证号,手机号\nm3,戊,zz,4.1E+17,12\n";
        assert_eq!(
            faults(&city.import("persons", both.as_bytes(), &[])),
            [(2, "身份证号", "destroyed_by_spreadsheet"), (2, "手机号", "invalid_phone")]
        );
        // A document number keeps its brackets.
        let circular = "编码,印发单位,文号,事项,印发日期\nc1,zz,郑义〔2022〕８号,通报,2022.6.17\n";
        let answer = city.import("circulars", circular.as_bytes(), &[]);
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(one(&city, "circulars", "c1")["number"], "郑义〔2022〕８号");
    });
}

#[test]
fn headers_that_a_caller_maps_and_keeps() {
    on_each_database(|host| {
        let city = host.planted();
        let csv = "人名,归属,民族,联络电话\n甲,zz,汉,15400000003\n";
        let unmapped = city.import("persons", csv.as_bytes(), &[DRY]);
        assert_eq!((unmapped.status, &unmapped.body["faults"][0]["code"]), (422, &json!("unknown_column")), "{unmapped:?}");
        let columns = json!({"人名": "姓名", "归属": "organization_code", "民族": null, " 联络电话 ": "phone"});
        let mapping = columns.to_string();
        let mapped = city.import("persons", csv.as_bytes(), &[("mapping", &mapping)]);
        assert_eq!((mapped.status, &mapped.body["rows_created"]), (201, &json!(1)), "{mapped:?}");

        // What is wrong with a mapping is told as what is wrong with headers is.
        let dry = |mapping: &Value| city.import("persons", csv.as_bytes(), &[DRY, ("mapping", &mapping.to_string())]);
        let answer = dry(&json!({"人名": "名号", "归属": "organization_code", "民族": null, "联络电话": "phone"}));
        assert!(faults(&answer).contains(&(1, "人名", "unknown_column")), "{answer:?}");
        let answer = dry(&json!({"人名": "name", "归属": "name", "民族": null, "联络电话": null, "血型": null}));
        assert!(faults(&answer).contains(&(1, "归属", "duplicate_column")), "{answer:?}");
        assert!(faults(&answer).contains(&(1, "血型", "missing_header")), "{answer:?}");
        let answer = city.import("persons", csv.as_bytes(), &[("mapping", "[1]")]);
        assert_eq!(answer.faults(), [("/mapping", "wrong_type")]);
        let answer = city.import("persons", csv.as_bytes(), &[("mapping", r#"{"a/b": 1}"#)]);
        assert_eq!(answer.faults(), [("/mapping/a~1b", "wrong_type")]);

        // Kept by name, for its owner and this resource alone.
        let path = "/api/v1/import-mappings/%E6%B0%91%E6%94%BF%E5%90%8D%E5%86%8C";
        assert_eq!(city.get(path).status, 404);
        let wrong = city.put(path, &json!({"resource": "persons", "columns": {"a": "colour", "b": "name", "c": "姓名"}}));
        assert_eq!(wrong.faults(), [("/columns/a", "unknown_column"), ("/columns/c", "duplicate_column")]);
        assert_eq!(city.put(path, &json!({"resource": "villages", "columns": {"a": "b"}})).faults(), [("/resource", "unknown_resource")]);
        assert_eq!(city.put(path, &json!({"resource": "persons", "columns": {}})).faults(), [("/columns", "wrong_number")]);
        let kept = city.put(path, &json!({"resource": "persons", "columns": {"人名": "name"}}));
        assert_eq!((kept.status, &kept.body["name"]), (201, &json!("民政名册")), "{kept:?}");
        let replaced = city.put(path, &json!({"resource": "persons", "columns": columns}));
        assert_eq!((replaced.status, &city.get(path).body), (200, &replaced.body), "{replaced:?}");
        let named = |client: &Client<'_>, resource: &str| client.import(resource, csv.as_bytes(), &[("mapping_name", "民政名册"), DRY]);
        assert_eq!(named(&city, "persons").body["outcome"], "would_complete");
        assert_eq!(named(&city, "workstations").faults(), [("/mapping_name", "mapping_of_another_resource")]);
        let two = city.import("persons", csv.as_bytes(), &[("mapping_name", "民政名册"), ("mapping", "{}")]);
        assert_eq!(two.faults(), [("/mapping_name", "two_mappings")]);

        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        assert_eq!(named(&clerk, "persons").faults(), [("/mapping_name", "unknown_mapping")]);
        assert_eq!((clerk.get(path).status, clerk.delete(path).status), (404, 404));
        assert_eq!(clerk.get("/api/v1/import-mappings").body["items"], json!([]));
        let list = |query: &str| city.get(&format!("/api/v1/import-mappings{query}")).body["items"].as_array().map(Vec::len);
        assert_eq!((list(""), list("?resource=persons"), list("?resource=workstations")), (Some(1), Some(1), Some(0)));
        let auditor = host.user("auditor", Role::Auditor, Some("zz"));
        assert_eq!(auditor.put(path, &json!({"resource": "persons", "columns": {"a": "name"}})).status, 403);
        assert_eq!(city.delete(path).status, 204);
        assert_eq!((city.get(path).status, list("")), (404, Some(0)));
    });
}

#[test]
fn rows_that_are_no_records_and_cells_without_a_header() {
    on_each_database(|host| {
        let city = host.planted();
        let csv = "序号,姓名,所属协会编码,,\n1,甲,zz,,\n,,,,\n小计,1,,,\n2,乙,zz,,\n合计：,2人,,,\n";
        let answer = city.import("persons", csv.as_bytes(), &[DRY]);
        let told = ["rows_read", "rows_created", "rows_left_out"].map(|what| answer.body[what].as_i64());
        assert_eq!(told, [Some(2), Some(2), Some(2)], "{answer:?}");
        // A person of that name is a person.
        let csv = "姓名,所属协会编码\n合计,zz\n";
        assert_eq!(city.import("persons", csv.as_bytes(), &[DRY]).body["rows_read"], 1);
        let csv = "姓名,所属协会编码,\n甲,zz,x\n";
        assert_eq!(faults(&city.import("persons", csv.as_bytes(), &[])), [(2, "", "cell_without_header")]);
        // A title alone is no header; ten rows are looked at.
        let far = |n: usize| format!("{}姓名,所属协会编码\n甲,zz\n", "名册,,,\n".repeat(n));
        assert_eq!(city.import("persons", far(9).as_bytes(), &[DRY]).body["rows_read"], 1);
        assert_eq!(faults(&city.import("persons", far(10).as_bytes(), &[DRY]))[0], (1, "名册", "unknown_column"));
    });
}

/// The template of every resource goes back in as it came out: no row, no fault.
#[test]
fn every_template_is_accepted_as_it_is() {
    on_each_database(|host| {
        host.planted();
        let importer = host.user("importer", Role::Service, Some("zz"));
        let platform = host.sign_in("platform", yiyong::auth::UserKind::Person);
        let mut tried = 0;
        for verbs in registry().iter().filter(|verbs| verbs.importable()) {
            let resource = verbs.name().replace('_', "-");
            for format in ["", "?format=xlsx", "?format=csv"] {
                let path = format!("/api/v1/import-templates/{resource}{format}");
                let bytes = importer.download(&path);
                assert_eq!(bytes.starts_with(b"PK"), !format.ends_with("csv"), "{path}");
                let access = verbs.area() == yiyong::policy::Area::Access;
                let answer = if access { &platform } else { &importer }.import(&resource, &bytes, &[DRY]);
                let told = ["outcome", "rows_read", "rows_left_out", "faults_total"].map(|what| answer.body[what].clone());
                assert_eq!((answer.status, told), (200, [json!("would_complete"), json!(0), json!(1), json!(0)]), "{path}: {answer:?}");
                tried += 1;
            }
        }
        assert!(tried > 80, "only {tried}");
        assert_eq!(importer.get("/api/v1/import-templates/villages").status, 404);
        assert_eq!(importer.get("/api/v1/import-templates/persons?format=ods").code(), "invalid_parameter");
        let headers = importer.get("/api/v1/import-templates/persons?format=csv");
        assert!(headers.header("Content-Disposition").is_some_and(|text| text.contains("persons-template.csv")), "{headers:?}");
        assert!(headers.body.as_str().is_some_and(|text| text.starts_with("\u{FEFF}序号,编码,*") && text.contains("示例")), "{headers:?}");
    });
}

#[test]
fn a_template_that_is_filled_in() {
    on_each_database(|host| {
        let city = host.planted();
        let text = String::from_utf8(city.download("/api/v1/import-templates/persons?format=csv")).expect("UTF-8");
        let header: Vec<&str> = text.lines().next().expect("a header").trim_start_matches('\u{FEFF}').split(',').collect();
        let example: Vec<&str> = text.lines().nth(1).expect("an example").split(',').collect();
        let row = |number: &str, of: &[(&str, &str)]| -> String {
            let cell = |head: &&str| of.iter().find(|(name, _)| head.trim_start_matches('*') == *name).map_or("", |(_, cell)| *cell);
            let cells: Vec<&str> = header.iter().map(|head| if *head == "序号" { number } else { cell(head) }).collect();
            cells.join(",")
        };
        let person = row("1", &[("编码", "t1"), ("姓名", "甲"), ("所属协会编码", "zz"), ("性别", "女")]);
        let answer = city.import("persons", format!("{text}{person}\n").as_bytes(), &[]);
        let told = ["rows_read", "rows_created", "rows_left_out"].map(|what| answer.body[what].as_i64());
        assert_eq!((answer.status, told), (201, [Some(1), Some(1), Some(1)]), "{answer:?}");
        // Written over the example, and still called one.
        let over: Vec<&str> = header.iter().zip(&example).map(|(head, cell)| if *head == "*姓名" { "乙" } else { *cell }).collect();
        let answer = city.import("persons", format!("{}\n{}\n", header.join(","), over.join(",")).as_bytes(), &[]);
        assert_eq!((answer.status, faults(&answer)), (422, vec![(2, "", "example_row_changed")]), "{answer:?}");

        // A workbook's sheets: what is to be filled in comes first, the guide tells each column.
        let bytes = city.download("/api/v1/import-templates/workstations");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&bytes).expect("written");
        let mut guide = read::open_sheet(file, None, Some("说明"), &Limits::default()).expect("a sheet");
        let mut rows = Vec::new();
        while let Some(row) = guide.next().expect("a row") {
            rows.push(row.cells);
        }
        let text = |text: &str| Cell::Text(text.to_owned());
        assert_eq!(rows[0][..7], ["中文表头", "英文表头", "必填", "类型", "可填内容", "引用", "说明"].map(text));
        let of = |header: &str| rows.iter().find(|cells| cells.get(1) == Some(&text(header))).expect("a column");
        assert_eq!(of("host_kind")[2..4], ["是", "选项"].map(text));
        assert!(matches!(&of("host_kind")[4], Cell::Text(entries) if entries.contains("派出所（police_station）")));
        assert!(matches!(&of("organization_code")[5], Cell::Text(refers) if refers.contains("编码")));
    });
}

/// Files that were made to cost: each is refused at the limit that it breaks, and told which.
#[test]
fn files_beyond_a_limit_are_told_which() {
    let settings = [
        ("YIYONG_IMPORT_FILE_MIB", "2"),
        ("YIYONG_IMPORT_INFLATED_MIB", "3"),
        ("YIYONG_IMPORT_COLUMNS", "40"),
        ("YIYONG_IMPORT_CELL_KIB", "64"),
        ("YIYONG_IMPORT_ROWS", "20"),
        ("YIYONG_IMPORT_ENTRIES", "30"),
        ("YIYONG_IMPORT_STYLES", "100"),
        ("YIYONG_IMPORT_STRINGS_MIB", "1"),
    ];
    on_each_database_with(&settings, |host| {
        let city = host.planted();
        let noise = |n: u32| -> String { (0..n).map(|i| format!("{:x}", i.wrapping_mul(2_654_435_761))).collect() };
        let named: Vec<String> = (0..31).map(|i| format!("f{i}.csv")).collect();
        let parts: Vec<(&str, &[u8])> = named.iter().map(|name| (name.as_str(), &b"a"[..])).collect();
        let sheet = "<worksheet><sheetData><row r=\"1\"><c><v>1</v></c></row></sheetData></worksheet>";
        let xfs: String = (0..101).map(|i| format!("<xf numFmtId=\"{i}\"/>")).collect();
        let people: String = (0..21).map(|i| format!("p{i},甲,zz\n")).collect();
        let files: Vec<(&str, Vec<u8>)> = vec![
            ("file", vec![b'a'; 3 << 20]),
            ("inflated", gzipped(format!("{}\n", noise(2_000)).repeat(220).as_bytes())),
            ("columns", "姓名,".repeat(41).into_bytes()),
            ("cell", noise(40_000).into_bytes()),
            ("rows", format!("编码,姓名,所属协会编码\n{people}").into_bytes()),
            ("entries", zipped(&parts)),
            ("styles", raw_workbook(sheet, &format!("<styleSheet><cellXfs>{xfs}</cellXfs></styleSheet>"), "<sst/>")),
            (
                "strings",
                raw_workbook(sheet, "<styleSheet/>", &format!("<sst>{}</sst>", format!("<si><t>{}</t></si>", noise(500)).repeat(300))),
            ),
        ];
        for (limit, bytes) in files {
            let answer = city.import("persons", &bytes, &[]);
            assert_eq!((answer.status, answer.code(), answer.body["limit"].as_str()), (413, "too_large", Some(limit)), "{answer:?}");
            let detail = answer.body["detail"].as_str().unwrap_or_default();
            assert!(
                detail.contains("请") && detail.chars().any(|c| c.is_ascii_digit()),
                "says the limit and what would be right: {detail}"
            );
        }
        assert_eq!(one(&city, "persons", "p0"), Value::Null, "nothing is kept");
    });
}

/// With the limits as they come (S14): whatever the file, the service's memory rises by no more than 256 MiB.
#[test]
fn files_made_to_cost_memory_cost_none() {
    const MOST: u64 = 256 << 20;
    let place = Workplace::new(None);
    assert!(place.run(&["migrate"], &[]).status.success());
    place.user("root", "platform_admin", None);
    let process = place.serve(&[]);
    let root = process.nobody().sign_in("root", yiyong::auth::UserKind::Person);
    let sheet = |rows: &str| format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
    let plain = sheet("<row r=\"1\"><c><v>1</v></c></row>");
    let mut styles = "<styleSheet><cellXfs>".to_owned();
    for i in 0..1_000_000_u32 {
        write!(styles, "<xf numFmtId=\"{}\"/>", i.wrapping_mul(2_654_435_761)).expect("written");
    }
    styles.push_str("</cellXfs></styleSheet>");
    let blank = vec![b' '; 64 << 20];
    let entity = "<!DOCTYPE a [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;\">]>";
    let wide: String = (0..10_000).map(|i| format!("列{i},")).collect();
    let long: String = (0..6_000_000_u32).map(|i| char::from(b'a' + (i.wrapping_mul(2_654_435_761) >> 27) as u8 % 26)).collect();
    let whole = workbook(&[&["编码", "名称"], &["a", "b"]]);
    let nul = [b"a,b\n".as_slice(), &[0; 1_000]].concat();
    let files: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("a zip bomb", zipped(&[("a.csv", &blank)]), 413, "ratio"),
        ("a gzip bomb", gzipped(&blank), 413, "ratio"),
        ("a bomb as a sheet", raw_workbook(&sheet(&"<row/>".repeat(1_000_000)), "<styleSheet/>", "<sst/>"), 413, "ratio"),
        (
            "a bomb as texts",
            raw_workbook(
                &plain,
                "<styleSheet/>",
                &format!("<sst>{}</sst>", format!("<si><t>{}</t></si>", "a".repeat(1_000)).repeat(50_000)),
            ),
            413,
            "ratio",
        ),
        ("a million styles", raw_workbook(&plain, &styles, "<sst/>"), 413, "styles"),
        (
            "entities in entities",
            raw_workbook(&format!("{entity}{}", plain.replace("<v>1</v>", "<v>&c;</v>")), "<styleSheet/>", "<sst/>"),
            422,
            "unreadable_file",
        ),
        (
            "an outer entity",
            raw_workbook(&format!("<!DOCTYPE a SYSTEM \"file:///etc/passwd\">{plain}"), "<styleSheet/>", "<sst/>"),
            422,
            "unreadable_file",
        ),
        ("ten thousand columns", wide.into_bytes(), 413, "columns"),
        (
            "ten thousand columns of a sheet",
            raw_workbook(&sheet(&format!("<row>{}</row>", "<c><v>1</v></c>".repeat(10_000))), "<styleSheet/>", "<sst/>"),
            413,
            "columns",
        ),
        ("a line without an end", long.clone().into_bytes(), 413, "cell"),
        ("a line without an end, packed", gzipped(long.as_bytes()), 413, "cell"),
        ("an object without an end", format!("{{\"a\":\"{long}\"}}").into_bytes(), 413, "cell"),
        ("a quote without an end", format!("a,b\n\"{}", "x,y\n".repeat(1_000_000)).into_bytes(), 413, "cell"),
        ("a nest without an end", raw_workbook(&"<a>".repeat(3_000_000), "<styleSheet/>", "<sst/>"), 422, "unreadable_file"),
        ("a deep object", format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)).into_bytes(), 422, "unreadable_file"),
        ("a NUL", nul, 422, "unreadable_file"),
        ("a workbook cut off", whole[..whole.len() / 2].to_vec(), 422, "unreadable_file"),
        (
            "a gzip cut off",
            {
                let whole = gzipped(long.as_bytes());
                whole[..1_000].to_vec()
            },
            422,
            "unreadable_file",
        ),
    ];
    // By how much the greatest memory rises above what is held before a file comes.
    let costs = |bytes: &[u8]| {
        process.count_memory_anew();
        let before = process.greatest_memory();
        let answer = root.import("organizations", bytes, &[]);
        (answer, process.greatest_memory().saturating_sub(before))
    };
    for (what, bytes, status, code) in &files {
        let begun = std::time::Instant::now();
        let (answer, rise) = costs(bytes);
        let told = answer.body["limit"].as_str().or_else(|| answer.body["errors"][0]["code"].as_str());
        assert_eq!((answer.status, told), (*status, Some(*code)), "{what}: {answer:?}");
        println!("{what}: {} KiB sent, {} ms, memory up by {} KiB", bytes.len() / 1024, begun.elapsed().as_millis(), rise >> 10);
        assert!(rise <= MOST, "{what}: the memory rose by {} MiB", rise >> 20);
    }
    // The gauge moves: these texts are within the limit, and held. Last, since what is freed is not all given back.
    let texts: String =
        long.as_bytes().chunks(20_000).filter_map(|text| std::str::from_utf8(text).ok()).fold(String::new(), |mut all, text| {
            write!(all, "<si><t>{text}</t></si>").expect("written");
            all
        });
    let (held, rise) = costs(&raw_workbook(&plain, "<styleSheet/>", &format!("<sst>{texts}{texts}{texts}</sst>")));
    assert!(held.status == 422 && rise > 15 << 20, "18 MB of texts cost {} MiB: {held:?}", rise >> 20);
}
