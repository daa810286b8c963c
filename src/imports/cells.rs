//! What a cell means in its column: the spellings that offices use, as the draft's JSON.
//!
//! Digits, dates, codes and phones may come in full width and are read in their compatibility form (NFKC). Names, titles and document
//! numbers never are: that would turn 〔2022〕 and the rarer characters of names into others. What a spreadsheet has destroyed is
//! refused and not guessed at. What is none of a column's spellings goes on as text, for the draft's own rules to name. No message
//! tells what stands in the cell: faults are kept, and in a row that has slipped it may be anybody's number.

use chrono::NaiveDate;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use super::columns::Entry;
use crate::error::Says;
use crate::files::read::Cell;
use crate::files::unguarded;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Words: a name, a title, a document number.
    Words,
    /// A code, of the record or of one that it refers to.
    Code,
    IdNumber,
    Phone,
    BankAccount,
    Date,
    /// Whole fen.
    Money,
    Integer,
    Number,
    Boolean,
    /// An entry of a dictionary.
    Entry,
    /// Any number of entries, or of words.
    List,
}

/// In what an amount is written, in fen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Fen = 1,
    Yuan = 100,
    TenThousandYuan = 1_000_000,
}

/// Why a cell can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: &'static str,
    pub says: Says,
}

fn refused<T>(code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { code, says: Says::new(zh, en) })
}
/// So many digits survive in a spreadsheet's number.
const SURVIVING_DIGITS: usize = 15;

/// The value of a cell for the draft; `None` where it is empty. `day` tells the day of a serial number.
pub fn value(
    kind: Kind,
    entries: &[Entry],
    unit: Option<Unit>,
    cell: &Cell,
    day: impl Fn(&str) -> Option<NaiveDate>,
) -> Result<Option<Value>, Refused> {
    let (text, is_number) = match cell {
        Cell::Empty | Cell::Json(_) => return Ok(None),
        Cell::Text(text) => (if kind == Kind::Words { unguarded(text) } else { text.trim() }.to_owned(), false),
        Cell::Number(digits) => (without_zeros(digits).to_owned(), true),
        Cell::Date(day) => (day.to_string(), false),
        Cell::Bool(true) => ("TRUE".to_owned(), false),
        Cell::Bool(false) => ("FALSE".to_owned(), false),
        Cell::Broken => {
            return refused(
                "formula_error",
                "此格的公式出错（如 #REF!）；请改正公式或填入数值",
                "the cell's formula came to an error, as #REF!; mend it or enter the value",
            );
        }
    };
    if text.is_empty() {
        return Ok(None);
    }
    let is_text = matches!(kind, Kind::Words | Kind::Code | Kind::IdNumber | Kind::Phone | Kind::BankAccount);
    if is_text && destroyed(kind, &text, is_number) {
        return refused(
            "destroyed_by_spreadsheet",
            "此号码曾被表格软件当作数字保存，15 位以后的数字已丢失，无法恢复；请把该列设为“文本”格式后重新填写",
            "a spreadsheet has kept this as a number and lost its digits after the fifteenth; format the column as text and enter it again",
        );
    }
    Ok(Some(match kind {
        Kind::Words => text.into(),
        Kind::Code => half(unquoted(&text)).into(),
        Kind::IdNumber | Kind::BankAccount => half(unquoted(&text)).split_whitespace().collect::<String>().into(),
        Kind::Phone => phone(&half(unquoted(&text))).into(),
        Kind::Date => date(&half(unquoted(&text)), day)?.into(),
        Kind::Money => fen(&half(unquoted(&text)), unit)?,
        Kind::Integer => {
            let text = half(unquoted(&text));
            ungrouped(&text).and_then(|digits| without_zeros(&digits).parse::<i64>().ok()).map_or_else(|| text.into(), Value::from)
        }
        Kind::Number => {
            let text = half(unquoted(&text));
            let number = ungrouped(&text).and_then(|digits| digits.parse().ok()).and_then(serde_json::Number::from_f64);
            number.map_or_else(|| text.into(), Value::Number)
        }
        Kind::Boolean => boolean(&text),
        Kind::Entry => entry(entries, &text).into(),
        Kind::List => {
            let items = text.split([',', '，', '、', ';', '；', '\n']).map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| entry(entries, item).into()).collect())
        }
    }))
}

/// Without the mark by which clerks make a spreadsheet take digits for text.
fn unquoted(text: &str) -> &str {
    text.strip_prefix(['\'', '’', '‘']).unwrap_or(text)
}

/// The compatibility form, in which full-width digits, letters and spaces are ordinary ones.
pub fn half(text: &str) -> String {
    text.nfkc().collect::<String>().trim().to_owned()
}

/// A whole number that a spreadsheet shows with a fraction of nothing.
fn without_zeros(digits: &str) -> &str {
    match digits.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
        _ => digits,
    }
}

/// Whether a spreadsheet had it as a number that it could not hold: as one, or as a text in which that is shown.
fn destroyed(kind: Kind, text: &str, is_number: bool) -> bool {
    if is_number {
        let digits = text.trim_start_matches('-').split('.').next().unwrap_or_default();
        return digits.len() > SURVIVING_DIGITS;
    }
    // Words may look like anything.
    kind != Kind::Words && is_scientific(&half(unquoted(text)))
}

/// `4.10105E+17`.
fn is_scientific(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['E', 'e']) else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.strip_prefix('+').unwrap_or_default();
    match mantissa.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction) && digits(exponent),
        None => digits(mantissa) && digits(exponent),
    }
}

fn phone(text: &str) -> String {
    let text: String = without_zeros(text).chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    let bare = ["+86", "0086", "86"].iter().find_map(|country| text.strip_prefix(country)).filter(|rest| rest.len() == 11);
    bare.map_or(text.clone(), str::to_owned)
}

/// A day as `2022-06-17`, or the text as it is where it is none.
fn date(text: &str, day: impl Fn(&str) -> Option<NaiveDate>) -> Result<String, Refused> {
    let text = without_time(text);
    let text: String = text.split_whitespace().collect();
    let ymd = |y: &str, m: &str, d: &str| {
        let number =
            |text: &str, most| (text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse::<u32>().ok())?;
        let year = (y.len() == 4).then(|| number(y, 4))??;
        NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, number(m, 2)?, number(d, 2)?)
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.trim_end_matches(['日', '号']).split(['年', '月', '.', '/', '-']).collect();
    let found = match parts.as_slice() {
        [whole] if digits && whole.len() == 8 => ymd(&whole[..4], &whole[4..6], &whole[6..]),
        // A serial number: from 1927 on, so that no other number is taken for one.
        [whole] if digits && whole.len() == 5 => day(whole),
        [y, m, d] => ymd(y, m, d),
        [m, d]
            if text.contains('月')
                && !text.contains('年')
                && text.ends_with(['日', '号'])
                && [m, d].iter().all(|part| part.parse::<u8>().is_ok()) =>
        {
            return refused(
                "date_without_year",
                "日期缺少年份；请写全年月日，如 2022年6月17日",
                "the day has no year; write all of it, as 2022-06-17",
            );
        }
        _ => None,
    };
    Ok(found.map_or(text, |day| day.to_string()))
}

/// Without a time of day after it, as some programs write every date.
fn without_time(text: &str) -> &str {
    let Some((day, time)) = text.split_once([' ', 'T']) else { return text };
    let is_time = time.contains(':') && time.bytes().all(|byte| byte.is_ascii_digit() || b":.Z+".contains(&byte));
    if is_time { day } else { text }
}

/// Digits without the commas between thousands, where those stand as they should.
fn ungrouped(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let grouped = whole.contains(',');
    let right = digits(first) && (!grouped || first.len() <= 3) && groups.all(|group| group.len() == 3 && digits(group));
    (right && fraction.is_none_or(digits)).then(|| text.trim_start_matches('+').replace(',', ""))
}

/// An amount as whole fen, computed in whole numbers.
fn fen(text: &str, header: Option<Unit>) -> Result<Value, Refused> {
    const UNITS: &[(&str, i128)] = &[
        ("亿元", 10_000_000_000),
        ("亿", 10_000_000_000),
        ("千万元", 1_000_000_000),
        ("百万元", 100_000_000),
        ("万元", 1_000_000),
        ("万", 1_000_000),
        ("千元", 100_000),
        ("元", 100),
        ("圆", 100),
        ("分", 1),
    ];
    let text: String = text.split_whitespace().collect();
    let bare = text.trim_end_matches(['整', '正']);
    let (bare, marked) =
        ["¥", "人民币", "RMB", "CNY"].iter().find_map(|mark| bare.strip_prefix(mark)).map_or((bare, false), |bare| (bare, true));
    let said = UNITS.iter().find_map(|(unit, fen)| bare.strip_suffix(unit).map(|bare| (bare, *fen)));
    let (bare, scale) = match (said, marked, header) {
        (Some((bare, fen)), ..) => (bare, Some(fen)),
        (None, true, _) => (bare, Some(Unit::Yuan as i128)),
        (None, false, Some(unit)) => (bare, Some(unit as i128)),
        (None, false, None) => (bare, None),
    };
    let Some(digits) = ungrouped(bare) else {
        return refused(
            "invalid_amount",
            "此格不是金额；可写作 3500元、3,500.00元、3.5万元，或以分为单位的整数",
            "this is no amount; write 3500元, 3,500.00元, 3.5万元, or a whole number of fen",
        );
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let Some(scale) = scale.or_else(|| fraction.is_empty().then_some(1)) else {
        return refused(
            "amount_without_unit",
            "金额有小数但没有写单位；请在数字后写明“元”或“万元”，或用以“（元）”“（万元）”结尾的表头",
            "the amount has a fraction and no unit; add 元 or 万元 to it, or use a header that ends in （元） or （万元）",
        );
    };
    let fraction = fraction.trim_end_matches('0');
    let exact = (|| {
        let ten = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let number: i128 = format!("{whole}{fraction}").parse().ok()?;
        let scaled = number.checked_mul(scale)?;
        Some((scaled / ten, scaled % ten))
    })();
    match exact {
        Some((fen, 0)) => match i64::try_from(fen) {
            Ok(fen) => Ok(fen.into()),
            Err(_) => refused("too_great", "金额过大", "the amount is too great"),
        },
        Some(_) => refused(
            "too_many_decimals",
            "金额不是整分；最多精确到分（0.01 元）",
            "the amount is no whole number of fen; it has at most two decimals in yuan",
        ),
        None => refused("too_great", "金额的位数过多", "the amount has too many digits"),
    }
}

fn boolean(text: &str) -> Value {
    match half(text).to_ascii_lowercase().as_str() {
        "是" | "有" | "√" | "✓" | "✔" | "☑" | "true" | "yes" | "y" => Value::Bool(true),
        "否" | "无" | "×" | "✗" | "✘" | "✕" | "x" | "false" | "no" | "n" => Value::Bool(false),
        _ => text.into(),
    }
}

/// The code of an entry by its code or by its label, or else the text.
fn entry(entries: &[Entry], text: &str) -> String {
    let called = half(text);
    let found = entries.iter().find(|entry| {
        entry.label_zh == text
            || half(&entry.label_zh) == called
            || entry.code.eq_ignore_ascii_case(&called)
            || entry.label_en.eq_ignore_ascii_case(&called)
    });
    found.map_or_else(|| text.to_owned(), |entry| entry.code.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kind: Kind, unit: Option<Unit>, cell: &Cell) -> Result<Option<Value>, &'static str> {
        // The system of 1900.
        let day = |serial: &str| NaiveDate::from_ymd_opt(1899, 12, 30)?.checked_add_days(chrono::Days::new(serial.parse().ok()?));
        let entries = [Entry { code: "male".into(), label_zh: "男".into(), label_en: "Male".into() }];
        value(kind, &entries, unit, cell, day).map_err(|refused| refused.code)
    }

    fn text(kind: Kind, text: &str) -> Result<Option<Value>, &'static str> {
        read(kind, None, &Cell::Text(text.to_owned()))
    }

    fn number(kind: Kind, digits: &str) -> Result<Option<Value>, &'static str> {
        read(kind, None, &Cell::Number(digits.to_owned()))
    }

    #[test]
    fn days_in_every_spelling() {
        let spellings = [
            "2022年6月17日",
            "2022.6.17",
            "2022/6/17",
            "20220617",
            "2022-06-17",
            "２０２２年６月１７日",
            "2022 年 6 月 17 日",
            "2022-06-17 00:00:00",
            "2022-06-17T09:30:00Z",
            "2022年06月17号",
            "44729",
            "'2022-06-17",
        ];
        for spelling in spellings {
            assert_eq!(text(Kind::Date, spelling), Ok(Some(json!("2022-06-17"))), "{spelling}");
        }
        for digits in ["44729", "20220617", "44729.0"] {
            assert_eq!(number(Kind::Date, digits), Ok(Some(json!("2022-06-17"))), "{digits}");
        }
        let day = NaiveDate::from_ymd_opt(2022, 6, 17).expect("a day");
        assert_eq!(read(Kind::Date, None, &Cell::Date(day)), Ok(Some(json!("2022-06-17"))));
        for no_year in ["6月17日", "６月１７日", "06月17号"] {
            assert_eq!(text(Kind::Date, no_year), Err("date_without_year"), "{no_year}");
        }
        // These the draft's own rules refuse.
        for (wrong, stays) in [
            ("2022年6月", "2022年6月"),
            ("22.6.17", "22.6.17"),
            ("2022-02-30", "2022-02-30"),
            ("2022", "2022"),
            ("17", "17"),
            ("昨天", "昨天"),
        ] {
            assert_eq!(text(Kind::Date, wrong), Ok(Some(json!(stays))), "{wrong}");
        }
    }

    #[test]
    fn amounts_in_whole_fen() {
        let right = [
            ("3.5万元", 3_500_000_i64),
            ("￥3,500.00", 350_000),
            ("¥3500", 350_000),
            ("0.01元", 1),
            ("2.5亿元", 25_000_000_000),
            ("３．５万元", 3_500_000),
            ("3500", 3500),
            ("3,500", 3500),
            ("3500元整", 350_000),
            ("1.005万元", 1_005_000),
            ("100分", 100),
            ("12 345.60 元", 1_234_560),
            ("90071992547409.93元", 9_007_199_254_740_993),
        ];
        for (spelling, fen) in right {
            assert_eq!(text(Kind::Money, spelling), Ok(Some(json!(fen))), "{spelling}");
        }
        let under = |unit, digits: &str| read(Kind::Money, Some(unit), &Cell::Number(digits.into()));
        assert_eq!(under(Unit::Yuan, "3500.1"), Ok(Some(json!(350_010))));
        assert_eq!(under(Unit::Yuan, "3500"), Ok(Some(json!(350_000))));
        assert_eq!(under(Unit::TenThousandYuan, "3.5"), Ok(Some(json!(3_500_000))));
        assert_eq!(under(Unit::Fen, "3500"), Ok(Some(json!(3500))));
        // The unit in the cell is nearer than that of the header.
        assert_eq!(read(Kind::Money, Some(Unit::Yuan), &Cell::Text("3.5万元".into())), Ok(Some(json!(3_500_000))));
        assert_eq!(under(Unit::Fen, "3500.5"), Err("too_many_decimals"));
        for (spelling, code) in [
            ("3500.5", "amount_without_unit"),
            ("3500.00", "amount_without_unit"),
            ("0.001元", "too_many_decimals"),
            ("3.12345678万元", "too_many_decimals"),
            ("约三千元", "invalid_amount"),
            ("3,50元", "invalid_amount"),
            ("1e5元", "invalid_amount"),
            ("元", "invalid_amount"),
            ("99999999999999999999元", "too_great"),
        ] {
            assert_eq!(text(Kind::Money, spelling), Err(code), "{spelling}");
        }
        let long = format!("0.{}元", "1".repeat(500));
        assert_eq!(text(Kind::Money, &long), Err("too_great"));
    }

    #[test]
    fn numbers_that_were_typed_as_numbers() {
        for spelling in [
            "13800138000",
            "13800138000.0",
            "'13800138000",
            " 138 0013 8000 ",
            "+86 138-0013-8000",
            "008613800138000",
            "１３８００１３８０００",
        ] {
            assert_eq!(text(Kind::Phone, spelling), Ok(Some(json!("13800138000"))), "{spelling}");
        }
        assert_eq!(number(Kind::Phone, "13800138000.0"), Ok(Some(json!("13800138000"))));
        assert_eq!(text(Kind::IdNumber, "'４１０１０５ １９９００１０１ ００１x"), Ok(Some(json!("41010519900101001x"))));
        for destroyed in ["410105000000000000", "410105199001011264", "6222021702000000000"] {
            assert_eq!(number(Kind::IdNumber, destroyed), Err("destroyed_by_spreadsheet"), "{destroyed}");
            assert_eq!(number(Kind::Words, destroyed), Err("destroyed_by_spreadsheet"), "{destroyed}");
        }
        assert_eq!(text(Kind::IdNumber, "4.10105E+17"), Err("destroyed_by_spreadsheet"));
        assert_eq!(text(Kind::BankAccount, "6.22202E+18"), Err("destroyed_by_spreadsheet"));
        assert_eq!(text(Kind::Words, "1E+3"), Ok(Some(json!("1E+3"))));
        // Fifteen digits, as ID numbers once had, survive.
        assert_eq!(number(Kind::IdNumber, "410105900101001"), Ok(Some(json!("410105900101001"))));
        assert_eq!(text(Kind::Code, "ＺＺ－００１"), Ok(Some(json!("ZZ-001"))));
        assert_eq!(number(Kind::Code, "17"), Ok(Some(json!("17"))));
        assert_eq!(text(Kind::Integer, "１，２００"), Ok(Some(json!(1200))));
        assert_eq!(text(Kind::Integer, "12.0"), Ok(Some(json!(12))));
        assert_eq!(text(Kind::Integer, "12.5"), Ok(Some(json!("12.5"))));
        assert_eq!(text(Kind::Number, "113.05"), Ok(Some(json!(113.05))));
    }

    #[test]
    fn words_stay_as_they_are() {
        for kept in ["郑义〔2022〕8号", "买买提·艾力", "㛃①", "㎡", "O'Brien", "＋甲", "Ａ"] {
            assert_eq!(text(Kind::Words, kept), Ok(Some(json!(kept))), "{kept}");
        }
        // The guard of an export is taken off again, before an apostrophe of the text's own as well.
        for guarded in ["=1+1", "+86", "-1", "@sum", "＝甲", "＋甲", "－甲", "＠甲", "'tis", "\t甲"] {
            assert_eq!(text(Kind::Words, &format!("'{guarded}")), Ok(Some(json!(guarded))), "{guarded}");
        }
        assert_eq!(text(Kind::Words, "　甲　"), Ok(Some(json!("甲"))));
        assert_eq!(text(Kind::Words, " 　"), Ok(None));
        assert_eq!(read(Kind::Words, None, &Cell::Broken), Err("formula_error"));
    }

    #[test]
    fn yes_and_no_and_entries() {
        for yes in ["是", "√", "TRUE", "true", "✓", "有"] {
            assert_eq!(text(Kind::Boolean, yes), Ok(Some(json!(true))), "{yes}");
        }
        for no in ["否", "×", "FALSE", "无"] {
            assert_eq!(text(Kind::Boolean, no), Ok(Some(json!(false))), "{no}");
        }
        assert_eq!(read(Kind::Boolean, None, &Cell::Bool(true)), Ok(Some(json!(true))));
        assert_eq!(text(Kind::Boolean, "也许"), Ok(Some(json!("也许"))));
        for male in ["男", "male", "Male", " 男 ", "ｍａｌｅ"] {
            assert_eq!(text(Kind::Entry, male), Ok(Some(json!("male"))), "{male}");
        }
        assert_eq!(text(Kind::Entry, "公"), Ok(Some(json!("公"))));
        assert_eq!(text(Kind::List, "男、乙，丙"), Ok(Some(json!(["male", "乙", "丙"]))));
    }
}
