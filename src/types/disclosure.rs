//! What the public may be told of a person: names masked, and texts without the numbers by which somebody is found.

use crate::error::Says;

/// Surnames of two characters, of which one alone is no surname.
const COMPOUND_SURNAMES: [&str; 48] = [
    "欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "长孙", "宇文", "司徒", "夏侯", "轩辕", "端木", "南宫",
    "独孤", "赫连", "澹台", "濮阳", "公冶", "太叔", "申屠", "钟离", "鲜于", "司空", "闾丘", "亓官", "司寇", "公羊", "万俟", "闻人", "呼延",
    "东郭", "南门", "西门", "百里", "第五", "拓跋", "达奚", "左丘", "梁丘", "颛孙", "太史", "淳于", "单于", "宗政",
];

/// The dots between the parts of a name such as 买买提·艾力: which of them is typed is chance.
const DOTS: [char; 5] = ['·', '•', '‧', '・', '∙'];

/// A name as the public is shown it: the surname, and of a given name of two characters or more its last. Of a name in parts,
/// and of one in letters, only the first character of each part. A name of one character is not shown.
pub fn mask_name(name: &str) -> String {
    let letters = name.chars().any(|c| c.is_ascii_alphabetic());
    let divides = |c: char| DOTS.contains(&c) || (letters && c.is_whitespace());
    let parts: Vec<Vec<char>> = name
        .split(divides)
        .map(|part| part.chars().filter(|c| !c.is_whitespace()).collect())
        .filter(|part: &Vec<char>| !part.is_empty())
        .collect();
    match &parts[..] {
        [] | [_] if parts.iter().all(|part| part.len() < 2) => "*".to_owned(),
        [whole] if !letters => {
            let surname: String = whole[..2].iter().collect();
            let kept = if whole.len() > 2 && COMPOUND_SURNAMES.contains(&surname.as_str()) { 2 } else { 1 };
            let (surname, given) = whole.split_at(kept);
            let last = given.last().filter(|_| given.len() > 1);
            let stars = given.len() - usize::from(last.is_some());
            surname.iter().copied().chain(std::iter::repeat_n('*', stars)).chain(last.copied()).collect()
        }
        parts => {
            let masked = parts.iter().map(|part| part.iter().take(1).copied().chain(std::iter::repeat_n('*', part.len() - 1)).collect());
            masked.collect::<Vec<String>>().join(if letters { " " } else { "·" })
        }
    }
}

/// What a number in a text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberKind {
    IdNumber,
    Phone,
    BankCard,
}

impl NumberKind {
    pub fn label(self) -> (&'static str, &'static str) {
        match self {
            Self::IdNumber => ("身份证号", "an ID number"),
            Self::Phone => ("手机号", "a mobile number"),
            Self::BankCard => ("银行卡号", "the number of a bank card"),
        }
    }
}

/// A number that a public text must not hold. Itself it is not told: a refusal may be kept in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberFound {
    pub kind: NumberKind,
    /// The place of its first character, from 1 on.
    pub place: usize,
}

impl NumberFound {
    pub fn says(self) -> Says {
        let (zh, en) = self.kind.label();
        Says::new(
            format!("第 {} 个字起像是{zh}；公示内容不得含有证件、手机、银行卡号码，请删除", self.place),
            format!("from character {} on this looks like {en}; a public text holds no such number: remove it", self.place),
        )
    }
}

/// Digits that stand together, the last possibly an `X`: of a whole ID number, or of its last group, `018X`.
struct Run {
    place: usize,
    digits: String,
    /// Whether one space or dash, and nothing else, stands between the run before and this one.
    joined: bool,
}

fn runs(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut open = false;
    let mut gap: usize = 0;
    let mut divided = false;
    for (i, c) in text.chars().enumerate() {
        // Full-width digits are digits to whoever reads them.
        let plain = match c {
            '０'..='９' => char::from_u32(c as u32 - '０' as u32 + '0' as u32).unwrap_or(c),
            'Ｘ' | 'ｘ' | 'x' => 'X',
            other => other,
        };
        let closes = plain == 'X' && open && runs.last().is_some_and(|run| matches!(run.digits.len(), 3 | 17));
        if plain.is_ascii_digit() && open {
            if let Some(run) = runs.last_mut() {
                run.digits.push(plain);
            }
        } else if plain.is_ascii_digit() {
            runs.push(Run { place: i + 1, digits: plain.to_string(), joined: gap == 1 && divided });
            open = true;
        } else {
            if closes && let Some(run) = runs.last_mut() {
                run.digits.push('X');
            }
            gap = if open { 1 } else { gap + 1 };
            divided = c.is_whitespace() || matches!(c, '-' | '－' | '—' | '_' | '.');
            if closes {
                gap = 0;
            }
            open = false;
        }
    }
    runs
}

fn is_mobile(digits: &str) -> bool {
    let own = if digits.len() > 11 { digits.strip_prefix("0086").or(digits.strip_prefix("86")).or(digits.strip_prefix('0')) } else { None };
    let own = own.unwrap_or(digits).as_bytes();
    own.len() == 11 && own[0] == b'1' && (b'3'..=b'9').contains(&own[1]) && own.iter().all(u8::is_ascii_digit)
}

fn kind_of(digits: &str) -> Option<NumberKind> {
    match digits.len() {
        15 | 18 => Some(NumberKind::IdNumber),
        // Longer than any of them: one may be hidden in it.
        16.. => Some(NumberKind::BankCard),
        _ => is_mobile(digits).then_some(NumberKind::Phone),
    }
}

/// The ID numbers (15 or 18 characters), mobile numbers and numbers of bank cards (16 to 19 digits) that a text seems to hold, whole or
/// in the groups that people write them in: 3-4-4, fours, 6-8-4.
pub fn numbers_in(text: &str) -> Vec<NumberFound> {
    let runs = runs(text);
    let mut found = Vec::new();
    let mut i = 0;
    while let Some(run) = runs.get(i) {
        let mut taken = 1;
        let mut kind = kind_of(&run.digits);
        if kind.is_none() {
            let together = 1 + runs[i + 1..].iter().take_while(|next| next.joined).count();
            let lengths: Vec<usize> = runs[i..i + together].iter().map(|run| run.digits.len()).collect();
            (kind, taken) = match &lengths[..] {
                [3, 4, 4, ..] if is_mobile(&runs[i..i + 3].iter().map(|run| run.digits.as_str()).collect::<String>()) => {
                    (Some(NumberKind::Phone), 3)
                }
                [4, 4, 4, 4, 1..=3, ..] => (Some(NumberKind::BankCard), 5),
                [4, 4, 4, 4, ..] => (Some(NumberKind::BankCard), 4),
                [6, 13, ..] => (Some(NumberKind::BankCard), 2),
                [6, 8, 4, ..] => (Some(NumberKind::IdNumber), 3),
                [6, 6, 3, ..] => (Some(NumberKind::IdNumber), 3),
                _ => (None, 1),
            };
        }
        found.extend(kind.map(|kind| NumberFound { kind, place: run.place }));
        i += taken;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_masked() {
        for (name, masked) in [
            ("张明", "张*"),
            ("张小明", "张*明"),
            ("张 明", "张*"),
            ("陈方安生", "陈**生"),
            ("欧阳修", "欧阳*"),
            ("欧阳小明", "欧阳*明"),
            // Not a surname alone, but one character of a surname and one of a given name.
            ("欧阳", "欧*"),
            ("买买提·艾力", "买**·艾*"),
            ("买买提•艾力", "买**·艾*"),
            ("John Smith", "J*** S****"),
            ("𠮷田明", "𠮷*明"),
            ("张", "*"),
            ("", "*"),
        ] {
            assert_eq!(mask_name(name), masked, "{name}");
        }
    }

    proptest::proptest! {
        /// Whatever the name: it isn't shown whole, and nothing panics.
        #[test]
        fn no_name_is_shown_whole(name in "[\\u{4E00}-\\u{9FFF}·A-Za-z ]{1,12}") {
            let masked = mask_name(&name);
            let parts = name.split(|c: char| c == '·' || c.is_whitespace()).filter(|part| !part.is_empty());
            if parts.clone().all(|part| part.chars().count() > 1) {
                proptest::prop_assert!(masked.contains('*'), "{name} {masked}");
            }
        }

        #[test]
        fn a_number_is_found_wherever_it_stands(before in "[一-龥，。 ]{0,8}", after in "[一-龥，。]{0,8}") {
            for (number, kind) in [("13800138000", NumberKind::Phone), ("41010519850617018X", NumberKind::IdNumber), ("6222021234567890", NumberKind::BankCard)] {
                let found = numbers_in(&format!("{before}{number}{after}"));
                proptest::prop_assert_eq!(found, vec![NumberFound { kind, place: before.chars().count() + 1 }]);
            }
        }
    }

    #[test]
    fn numbers_are_found() {
        use NumberKind::{BankCard, IdNumber, Phone};
        for (text, kind) in [
            ("联系人电话13800138000。", Phone),
            ("138 0013 8000", Phone),
            ("138-0013-8000", Phone),
            ("+8613800138000", Phone),
            ("１３８００１３８０００", Phone),
            ("身份证41010519850617018X", IdNumber),
            ("41010519850617018x", IdNumber),
            ("410105198506170016", IdNumber),
            ("410105850617001", IdNumber),
            ("410105 19850617 018X", IdNumber),
            ("410105 19850617 0016", IdNumber),
            ("卡号6222021234567890", BankCard),
            ("6222 0212 3456 7890", BankCard),
            ("6222 0212 3456 7890 123", BankCard),
            ("6222021234567890123", BankCard),
            ("6222021234567890123456", BankCard),
        ] {
            assert_eq!(numbers_in(text).iter().map(|found| found.kind).collect::<Vec<_>>(), [kind], "{text}");
        }
        assert_eq!(numbers_in("甲13800138000，乙13900139000").iter().map(|found| found.place).collect::<Vec<_>>(), [2, 15]);
        for fine in [
            "郑义〔2022〕8号",
            "2026-11-25 2026-12-02",
            "2026年11月17日至24日",
            "共 12345678901 元",
            "监督电话 0371-67883000",
            "邮编450000，共发放3224000.00元",
            "400-123-4567",
        ] {
            assert_eq!(numbers_in(fine), [], "{fine}");
        }
    }
}
