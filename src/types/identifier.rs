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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn phones() {
        assert_eq!(normalize_phone("+86 138-0013-8000").ok().as_deref(), Some("13800138000"));
        for wrong in ["12800138000", "1380013800", "138001380000", "037112345678", ""] {
            assert_eq!(normalize_phone(wrong).map_err(|f| f.0), Err("invalid_phone"), "{wrong}");
        }
        assert_eq!(mask_phone("13800138000"), "138****8000");
        assert_eq!(mask_id_number("41010519850617018X"), "410***********018X");
    }
}
