//! Templates: an empty file of a resource, with all that a clerk needs to know to fill it in.

use rust_xlsxwriter::{Color, DataValidation, Format, FormatAlign, Note, Workbook, Worksheet, XlsxError};

use super::cells::Kind;
use super::columns::{self, Column};
use crate::error::{Error, Result};
use crate::files::read::Limits;
use crate::web::verbs::{self, Verbs};

/// What stands in the column of row numbers beside the example row. A row that says so and has been filled in is told of.
pub const EXAMPLE: &str = "示例";
const ROW_NUMBER: &str = "序号";
const SHEET: &str = "数据";
const GUIDE: &str = "说明";
const LISTS: &str = "选项";
/// A drop-down's entries as text may have so many characters; more go by a range of cells.
const LISTED: usize = 255;
const LAST_ROW: u32 = 1_048_575;

/// The columns in the order in which a clerk meets them: the code, what is required, the rest.
fn ordered(verbs: &dyn Verbs) -> Vec<Column> {
    let mut columns = columns::of(verbs);
    columns.sort_by_key(|column| (column.header != "code", !column.required));
    columns
}

/// The header of a column in a template: Chinese, with a mark where it is required.
fn header(column: &Column) -> String {
    let name = column.headers_zh.first().unwrap_or(&column.header);
    if column.required { format!("*{name}") } else { name.clone() }
}

/// What stands in the example row.
pub fn example(column: &Column) -> String {
    if let Some(entry) = column.entries.first() {
        return entry.label_zh.clone();
    }
    match (column.content, &column.example) {
        (Kind::Date, _) => "2022-06-17".to_owned(),
        (Kind::Money, _) => "3500.00".to_owned(),
        (Kind::Boolean, _) => "是".to_owned(),
        // Of an area that was never assigned, and of no operator.
        (Kind::IdNumber, _) => "410199199001010015".to_owned(),
        (Kind::Phone, _) => "15400000000".to_owned(),
        (Kind::BankAccount, _) => "6222020000000000000".to_owned(),
        (Kind::Code, _) => column.refers_to.map_or_else(|| "example-001".to_owned(), |of| format!("{}-001", of.replace('_', "-"))),
        (_, Some(serde_json::Value::String(text))) => text.clone(),
        (_, Some(serde_json::Value::Number(number))) => number.to_string(),
        (Kind::Integer, _) => if column.header == "year" { "2022" } else { "1" }.to_owned(),
        (Kind::Number, _) => "1.5".to_owned(),
        _ if column.header == "name" => "王某某".to_owned(),
        _ => "（填写示例）".to_owned(),
    }
}

/// A template as CSV that Excel opens rightly: the headers and the example row.
///
/// # Errors
/// `internal` where it can't be written.
pub fn csv(verbs: &dyn Verbs) -> Result<Vec<u8>> {
    let columns = ordered(verbs);
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer("\u{FEFF}".as_bytes().to_vec());
    let headers = std::iter::once(ROW_NUMBER.to_owned()).chain(columns.iter().map(header));
    writer.write_record(headers).map_err(Error::internal)?;
    writer.write_record(std::iter::once(EXAMPLE.to_owned()).chain(columns.iter().map(example))).map_err(Error::internal)?;
    writer.into_inner().map_err(Error::internal)
}

/// A template as a workbook: a sheet to fill in, with drop-downs, and one that explains each column.
///
/// # Errors
/// `internal` where it can't be written.
pub fn xlsx(verbs: &dyn Verbs, limits: &Limits) -> Result<Vec<u8>> {
    workbook(verbs, limits).map_err(Error::internal)
}

fn workbook(verbs: &dyn Verbs, limits: &Limits) -> Result<Vec<u8>, XlsxError> {
    let columns = ordered(verbs);
    let mut book = Workbook::new();
    let (mut data, mut guide, mut lists) = (Worksheet::new(), Worksheet::new(), Worksheet::new());
    data.set_name(SHEET)?;
    guide.set_name(GUIDE)?;
    lists.set_name(LISTS)?;
    lists.set_hidden(true);
    let mut listed = 0;
    let bold = Format::new().set_bold().set_background_color(Color::RGB(0x00DD_EBF7));
    let required = Format::new().set_bold().set_background_color(Color::RGB(0x00FC_E4D6));
    let shown = Format::new().set_italic().set_font_color(Color::Gray).set_num_format("@");
    data.write_with_format(0, 0, ROW_NUMBER, &bold)?.set_column_width(0, 8)?;
    data.write_with_format(1, 0, EXAMPLE, &shown)?;
    let told = "这一行是示例，导入时会自动跳过；请从下一行开始填写，或改写本行并把“示例”改为序号。";
    data.insert_note(1, 0, &Note::new(told).set_author("义勇"))?.set_freeze_panes(1, 0)?;
    for (at, column) in (1_u16..).zip(&columns) {
        let name = header(column);
        data.write_with_format(0, at, &name, if column.required { &required } else { &bold })?;
        let width = name.chars().count() * 2 + 4;
        data.set_column_width(at, f64::from(u32::try_from(width.clamp(10, 30)).unwrap_or(30)))?;
        // As text nothing is lost of a code, an ID number or a phone.
        data.set_column_format(
            at,
            &Format::new().set_num_format(match column.content {
                Kind::Date => "yyyy-mm-dd",
                Kind::Money => "0.00",
                Kind::Integer => "0",
                Kind::Number => "General",
                _ => "@",
            }),
        )?;
        data.write_with_format(1, at, example(column), &shown)?;
        let labels: Vec<&str> = match column.content {
            Kind::Boolean => vec!["是", "否"],
            Kind::Entry => column.entries.iter().map(|entry| entry.label_zh.as_str()).collect(),
            _ => continue,
        };
        let characters: usize = labels.iter().map(|label| label.chars().count() + 1).sum();
        let choice = if characters <= LISTED && !labels.iter().any(|label| label.contains(',')) {
            DataValidation::new().allow_list_strings(&labels)?
        } else {
            for (row, label) in (0_u32..).zip(&labels) {
                lists.write(row, listed, *label)?;
            }
            let letter = rust_xlsxwriter::utility::column_number_to_name(listed);
            let range = format!("={LISTS}!${letter}$1:${letter}${}", labels.len());
            listed += 1;
            DataValidation::new().allow_list_formula(range.as_str().into())
        };
        let choice = choice.set_error_title("不在可选项中")?.set_error_message("请从下拉列表中选择")?;
        data.add_data_validation(1, at, LAST_ROW, at, &choice)?;
    }
    explain(&mut guide, verbs, &columns, limits)?;
    book.push_worksheet(data);
    book.push_worksheet(guide);
    if listed > 0 {
        book.push_worksheet(lists);
    }
    book.save_to_buffer()
}

/// The sheet that explains each column.
fn explain(guide: &mut Worksheet, verbs: &dyn Verbs, columns: &[Column], limits: &Limits) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    let wrapped = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    let heads = ["中文表头", "英文表头", "必填", "类型", "可填内容", "引用", "说明"];
    for ((at, head), width) in (0_u16..).zip(heads).zip([24.0, 24.0, 6.0, 10.0, 40.0, 20.0, 60.0]) {
        guide.write_with_format(0, at, head, &bold)?.set_column_width(at, width)?;
    }
    let mut row = 1;
    for column in columns {
        let entries: Vec<String> = column.entries.iter().map(|entry| format!("{}（{}）", entry.label_zh, entry.code)).collect();
        let refers = column.refers_to.and_then(verbs::named).map_or_else(String::new, |of| format!("{}的编码", of.label().0));
        let cells = [
            column.headers_zh.join("、"),
            column.header.clone(),
            if column.required { "是" } else { "否" }.to_owned(),
            called(column.content).to_owned(),
            entries.join("、"),
            refers,
            column.note.clone(),
        ];
        for (at, cell) in (0_u16..).zip(cells) {
            guide.write_with_format(row, at, cell, &wrapped)?;
        }
        row += 1;
    }
    let more = [
        format!("本模板用于导入{}。请在“{SHEET}”工作表中填写；带 * 的列必填；“{ROW_NUMBER}”列不导入。", verbs.label().0),
        format!("一个文件最多 {} 行、{} 列。表头上方可以有标题行，末尾的合计行不导入。", limits.rows, limits.columns),
        "金额列可写 3500元、3.5万元；日期可写 2022-06-17、2022/6/17、2022年6月17日。".to_owned(),
    ];
    for line in more {
        row += 1;
        guide.write(row, 0, line)?;
    }
    Ok(())
}

fn called(kind: Kind) -> &'static str {
    match kind {
        Kind::Words => "文字",
        Kind::Code => "编码",
        Kind::IdNumber => "身份证号",
        Kind::Phone => "手机号",
        Kind::BankAccount => "账号",
        Kind::Date => "日期",
        Kind::Money => "金额",
        Kind::Integer => "整数",
        Kind::Number => "数字",
        Kind::Boolean => "是或否",
        Kind::Entry => "选项",
        Kind::List => "多个选项，以顿号分隔",
    }
}
