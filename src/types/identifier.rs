//! Resident ID numbers (GB 11643-1999) and mobile numbers: normalized, checked, masked.

use chrono::{Datelike, NaiveDate};

use crate::error::Says;

const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];

/// What is wrong with an identifier: an error code and its words.
pub type Flaw = (&'static str, Says);

/// The 18 characters of a resident ID number: upper case, without spaces, a 15-digit one extended.
///
/// The area code isn't judged: codes of abolished counties stand in the papers of living people.
pub fn normalize_id_number(text: &str, today: NaiveDate) -> Result<String, Flaw> {
    let mut number: String = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect();
    if number.len() == 15 && number.bytes().all(|b| b.is_ascii_digit()) {
        number.insert_str(6, "19");
        number.push(check_character(&number));
    }
    let bytes = number.as_bytes();
    let shaped = bytes.len() == 18 && bytes[..17].iter().all(u8::is_ascii_digit) && (bytes[17].is_ascii_digit() || bytes[17] == b'X');
    if !shaped {
        return Err((
            "invalid_id_number",
            Says::new("身份证号应为 18 位：前 17 位数字，末位数字或 X", "an ID number has 18 characters: 17 digits, then a digit or X"),
        ));
    }
    if !number.ends_with(check_character(&number[..17])) {
        return Err((
            "checksum_mismatch",
            Says::new("身份证号校验位不符，请核对每一位", "the ID number's check digit does not fit; compare every digit"),
        ));
    }
    match NaiveDate::parse_from_str(&number[6..14], "%Y%m%d") {
        Ok(born) if born <= today && born.year() >= 1880 => Ok(number),
        _ => Err((
            "impossible_birth_date",
            Says::new("身份证号第 7–14 位不是有效的出生日期", "characters 7–14 of the ID number are not a possible date of birth"),
        )),
    }
}

fn check_character(first_17: &str) -> char {
    let sum: u32 = first_17.bytes().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    CHECKS[(sum % 11) as usize]
}

/// `male` when the 17th digit is odd; of a normalized number.
pub fn gender_of(id_number: &str) -> Option<&'static str> {
    let digit = id_number.as_bytes().get(16)?;
    Some(if digit % 2 == 1 { "male" } else { "female" })
}

/// The day that an ID number tells; of a normalized number.
pub fn born_on(id_number: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(id_number.get(6..14)?, "%Y%m%d").ok()
}

/// Whole years on a day. Who was born on 29 February has their birthday on 1 March where there is no such day.
pub fn age(born_on: NaiveDate, day: NaiveDate) -> i32 {
    let before_birthday = (day.month(), day.day()) < (born_on.month(), born_on.day());
    day.year() - born_on.year() - i32::from(before_birthday)
}

/// Who was born on this day or earlier is of an age, or older, on a day.
pub fn born_by(age: i32, day: NaiveDate) -> NaiveDate {
    let year = day.year() - age;
    day.with_year(year).or_else(|| NaiveDate::from_ymd_opt(year, 2, 28)).unwrap_or(NaiveDate::MIN)
}

/// An 11-digit mobile number, without spaces, dashes or `+86`.
pub fn normalize_phone(text: &str) -> Result<String, Flaw> {
    let mut number: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    if let Some(rest) = number.strip_prefix("+86") {
        number = rest.to_owned();
    }
    let bytes = number.as_bytes();
    if bytes.len() == 11 && bytes[0] == b'1' && (b'3'..=b'9').contains(&bytes[1]) && bytes.iter().all(u8::is_ascii_digit) {
        return Ok(number);
    }
    Err(("invalid_phone", Says::new("手机号应为 11 位数字，以 13–19 开头", "a mobile number has 11 digits and begins with 13 to 19")))
}

/// First three, last four.
pub fn mask_id_number(number: &str) -> String {
    format!("{}***********{}", &number[..3], &number[number.len() - 4..])
}

/// First three, last four.
pub fn mask_phone(number: &str) -> String {
    format!("{}****{}", &number[..3], &number[number.len() - 4..])
}

/// The digits of a bank card or account: without spaces and dashes. Cards have 16 to 19 digits, accounts of companies and
/// older passbooks from 9 to 32; the check digit isn't judged here, since some cards in use don't keep to it.
pub fn normalize_account_number(text: &str) -> Result<String, Flaw> {
    let number: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    if (9..=32).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(number);
    }
    Err((
        "invalid_account_number",
        Says::new(
            "银行账号应为 9–32 位数字（银行卡 16–19 位），可含空格或短横",
            "an account number has 9 to 32 digits (a card 16 to 19), with spaces or dashes if you like",
        ),
    ))
}

/// Whether a card's last digit is the one that the others ask for (Luhn); `None` of what isn't as long as a card's number.
pub fn card_checks(number: &str) -> Option<bool> {
    if !(16..=19).contains(&number.len()) {
        return None;
    }
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, digit)| {
            let digit = u32::from(digit - b'0') * if i % 2 == 1 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    Some(sum.is_multiple_of(10))
}

/// First four and last four of a card, the last four of what is shorter.
pub fn mask_account_number(number: &str) -> String {
    let shown = if number.len() >= 16 { 4 } else { 0 };
    format!("{}{}{}", &number[..shown], "*".repeat(number.len() - shown - 4), &number[number.len() - 4..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_numbers() {
        for (card, fits) in [("4111111111111111", true), ("6222 0217 0200 0000 000", true), ("6222021702000000006", false)] {
            assert_eq!(card_checks(&normalize_account_number(card).expect("a number")), Some(fits), "{card}");
        }
        assert_eq!(card_checks("123456789"), None);
        for wrong in ["12345678", "6222x21702000000006", "", "６２２２０２１７０２００００００００６"] {
            assert_eq!(normalize_account_number(wrong).map_err(|(code, _)| code), Err("invalid_account_number"), "{wrong}");
        }
        assert_eq!(mask_account_number("6222021702000000006"), "6222***********0006");
        assert_eq!(mask_account_number("123456789"), "*****6789");
    }

    fn judge(text: &str) -> Result<String, &'static str> {
        let today = NaiveDate::from_ymd_opt(2026, 11, 24).expect("a day");
        normalize_id_number(text, today).map_err(|(code, _)| code)
    }

    #[test]
    fn real_people_pass() {
        for number in [
            "410105198506170016",
            "41010519850617018X",
            "410102199001010020",
            "410181200002291179",
            "410122201204200444",
            "11010519491231002X",
            "410126197001010014",
            "410125198512310025",
            "410171199001010015",
            "810000199408230021",
        ] {
            assert_eq!(judge(number).as_deref(), Ok(number));
        }
        assert_eq!(judge("41010519850617018x").as_deref(), Ok("41010519850617018X"));
        assert_eq!(judge("410105850617001").as_deref(), Ok("410105198506170016"));
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(judge("410105198506170011"), Err("checksum_mismatch"));
        assert_eq!(judge("410105200002300016"), Err("impossible_birth_date"));
        assert_eq!(judge("410105198506310015"), Err("impossible_birth_date"));
        assert_eq!(judge("410105209912310011"), Err("impossible_birth_date"));
        assert_eq!(judge("4.10105E+17"), Err("invalid_id_number"));
        assert_eq!(judge("４１０１０５１９８５０６１７００１６"), Err("invalid_id_number"));
    }

    #[test]
    fn ages() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a day");
        assert_eq!(born_on("41010519850617018X"), Some(day("1985-06-17")));
        assert_eq!(age(day("2012-11-24"), day("2026-11-23")), 13);
        assert_eq!(age(day("2012-11-23"), day("2026-11-23")), 14);
        assert_eq!((age(day("2012-02-29"), day("2026-02-28")), age(day("2012-02-29"), day("2026-03-01"))), (13, 14));
        assert_eq!(born_by(14, day("2026-11-23")), day("2012-11-23"));
    }

    proptest::proptest! {
        /// The two ways to ask for an age agree: by the years of a person, and by the birthday of a list.
        #[test]
        fn an_age_and_its_birthday_agree(born in 0..50_000_i64, later in 0..50_000_i64, years in 0..130_i32) {
            let day = |n: i64| NaiveDate::from_ymd_opt(1900, 1, 1).expect("a day") + chrono::TimeDelta::days(n);
            let (born, today) = (day(born), day(born + later));
            proptest::prop_assert_eq!(born <= born_by(years, today), age(born, today) >= years);
        }
    }

    #[test]
    fn phones() {
        assert_eq!(normalize_phone("+86 138-0013-8000").ok().as_deref(), Some("13800138000"));
        for wrong in ["12800138000", "1380013800", "138001380000", "037112345678", ""] {
            assert_eq!(normalize_phone(wrong).map_err(|f| f.0), Err("invalid_phone"), "{wrong}");
        }
        assert_eq!(mask_phone("13800138000"), "138****8000");
        assert_eq!(mask_id_number("41010519850617018X"), "410***********018X");
    }
}
