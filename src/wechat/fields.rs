//! What WeChat takes in a template's fields. What is too long to be read is cut, by characters; what says the wrong thing is refused here,
//! where it costs nobody the message that they agreed to.

/// The kind of a field, as the beginning of its key says: `thing1`, `phrase2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    Thing,
    Number,
    Letter,
    Symbol,
    CharacterString,
    Time,
    Date,
    Amount,
    PhoneNumber,
    CarNumber,
    Name,
    Phrase,
    Enumeration,
}

const RULES: [(&str, Rule); 14] = [
    ("thing", Rule::Thing),
    ("number", Rule::Number),
    ("letter", Rule::Letter),
    ("symbol", Rule::Symbol),
    ("character_string", Rule::CharacterString),
    ("time", Rule::Time),
    ("date", Rule::Date),
    ("amount", Rule::Amount),
    ("phone_number", Rule::PhoneNumber),
    ("car_number", Rule::CarNumber),
    ("name", Rule::Name),
    ("phrase", Rule::Phrase),
    ("enum", Rule::Enumeration),
    ("const", Rule::Enumeration),
];

impl Rule {
    /// Of a key of a template.
    pub fn of(key: &str) -> Option<Self> {
        let name = key.trim_end_matches(|c: char| c.is_ascii_digit());
        if key.len() - name.len() > 3 {
            return None;
        }
        RULES.iter().find(|(known, _)| *known == name).map(|(_, rule)| *rule)
    }

    /// A text as WeChat takes it; `None` where it doesn't.
    pub fn fitted(self, text: &str) -> Option<String> {
        let text = text.trim();
        let length = text.chars().count();
        let within = |most: usize| (1..=most).contains(&length).then(|| text.to_owned());
        match self {
            Self::Thing => (length > 0).then(|| cut(text, 20)),
            // Ten of a name that is Chinese, twenty of one in letters.
            Self::Name if text.chars().all(|c| c.is_ascii_alphabetic() || " .·'-".contains(c)) => (length > 0).then(|| cut(text, 20)),
            Self::Name => (length > 0 && text.chars().all(|c| is_chinese(c) || c == '·' || c == '*')).then(|| cut(text, 10)),
            Self::Phrase => (length > 0 && text.chars().all(is_chinese)).then(|| text.chars().take(5).collect()),
            Self::Number => within(32).filter(|text| is_decimal(text)),
            Self::Letter => within(32).filter(|text| text.chars().all(|c| c.is_ascii_alphabetic())),
            Self::Symbol => within(5).filter(|text| !text.chars().any(char::is_alphanumeric)),
            Self::CharacterString => within(32).filter(|text| text.chars().all(|c| c.is_ascii_graphic() || c == ' ')),
            Self::Time => within(64).filter(|text| text.split('~').all(|part| is_time(part.trim()) || is_date(part.trim(), true))),
            Self::Date => within(64).filter(|text| text.split('~').all(|part| is_date(part.trim(), true))),
            Self::Amount => within(13).filter(|text| {
                let bare = text.strip_suffix('元').unwrap_or(text);
                let bare = bare.strip_prefix(['¥', '￥', '$', '€', '£']).unwrap_or(bare);
                is_decimal(bare) && bare.chars().filter(char::is_ascii_digit).count() <= 10
            }),
            Self::PhoneNumber => within(17).filter(|text| text.chars().all(|c| c.is_ascii_digit() || "+-".contains(c))),
            Self::CarNumber => within(8),
            // Which are listed stands in the template at WeChat.
            Self::Enumeration => within(20),
        }
    }
}

/// At most so many characters; of what is longer the end is left out, and shown to be.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

fn is_chinese(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FFF}' | '\u{3400}'..='\u{4DBF}')
}

fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.strip_prefix('-').unwrap_or(text).split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part),
        None => digits(text.strip_prefix('-').unwrap_or(text)),
    }
}

/// `15:01`, `15:01:20`.
fn is_time(text: &str) -> bool {
    let parts: Vec<Option<u32>> =
        text.split(':').map(|part| part.parse().ok().filter(|_| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit()))).collect();
    matches!(parts.as_slice(), [Some(hour), Some(minute), rest @ ..] if *hour < 24 && *minute < 60
        && rest.len() < 2 && rest.iter().all(|second| second.is_some_and(|second| second < 60)))
}

/// `2019年10月1日`, `2019-10-01`, with a time after a space where that may be.
fn is_date(text: &str, with_time: bool) -> bool {
    let (day, time) = text.split_once(' ').map_or((text, None), |(day, time)| (day, Some(time)));
    if time.is_some_and(|time| !with_time || !is_time(time)) {
        return false;
    }
    let plain = day.strip_suffix('日').map(|day| day.replace(['年', '月'], "-"));
    chrono::NaiveDate::parse_from_str(plain.as_deref().unwrap_or(day), "%Y-%m-%d").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_their_rule() {
        for (key, rule) in [("thing1", Rule::Thing), ("character_string12", Rule::CharacterString), ("phone_number3", Rule::PhoneNumber)] {
            assert_eq!(Rule::of(key), Some(rule), "{key}");
        }
        for unknown in ["", "things1", "1", "thing1a", "thing1234", "openid"] {
            assert_eq!(Rule::of(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn what_wechat_takes() {
        let long = "见".repeat(30);
        for (rule, text, fitted) in [
            (Rule::Thing, "服务时长已确认", Some("服务时长已确认")),
            (Rule::Thing, long.as_str(), Some("见见见见见见见见见见见见见见见见见见见…")),
            (Rule::Thing, "  ", None),
            (Rule::Phrase, "已确认", Some("已确认")),
            (Rule::Phrase, "已经全部确认完毕", Some("已经全部确")),
            (Rule::Phrase, "OK", None),
            (Rule::Name, "王小明", Some("王小明")),
            (Rule::Name, "王*明", Some("王*明")),
            (Rule::Name, "Alexander the Very Great", Some("Alexander the Very …")),
            (Rule::Name, "王5", None),
            (Rule::Number, "120", Some("120")),
            (Rule::Number, "12.5", Some("12.5")),
            (Rule::Number, "12.", None),
            (Rule::Number, "一百", None),
            (Rule::Letter, "abc", Some("abc")),
            (Rule::Letter, "ab1", None),
            (Rule::Symbol, "！", Some("！")),
            (Rule::Symbol, "!a", None),
            (Rule::CharacterString, "ZZ-2022 01", Some("ZZ-2022 01")),
            (Rule::CharacterString, "编号1", None),
            (Rule::Time, "15:01", Some("15:01")),
            (Rule::Time, "2019年10月1日 15:01", Some("2019年10月1日 15:01")),
            (Rule::Time, "2019-12-25 09:42", Some("2019-12-25 09:42")),
            (Rule::Time, "15:61", None),
            (Rule::Date, "2019年10月1日~2019年10月7日", Some("2019年10月1日~2019年10月7日")),
            (Rule::Date, "2019年13月1日", None),
            (Rule::Date, "15:01", None),
            (Rule::Amount, "¥3000.00元", Some("¥3000.00元")),
            (Rule::Amount, "3000元", Some("3000元")),
            (Rule::Amount, "12345678901", None),
            (Rule::PhoneNumber, "0371-6666", Some("0371-6666")),
            (Rule::PhoneNumber, "138****8000", None),
            (Rule::CarNumber, "豫A12345", Some("豫A12345")),
            (Rule::CarNumber, "豫A123456789", None),
        ] {
            assert_eq!(rule.fitted(text).as_deref(), fitted, "{rule:?} {text}");
        }
    }
}
