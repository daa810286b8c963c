//! Passwords: argon2id, long rather than complicated, none that everybody uses.
//!
//! Hashing takes 19 MiB and tens of milliseconds, so it is bounded in the whole process: two at a time behind
//! [`turn`] for whoever signs in, and one at a time in [`hash`] for passwords that are set, whatever the number of
//! transactions that set some. The two don't wait for each other, so that a flood of sign-ins can't hold up a write.
//!
//! Common passwords are judged by what they are made of and not by a list: a password whose letters are only common
//! words ([`STEMS`], some 150: of passwords, keyboards, affection, places, the association's own trade, in Latin
//! letters and in Chinese), with whatever digits and signs stand around them, is refused. Each pair of stems and each
//! stem with a year is an entry of a list that need not be kept: over 20,000 pairs, and for each stem every number. A
//! test counts more than 11,000 different ones of 12 and more characters that are refused.

use std::sync::{Mutex, OnceLock, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{Semaphore, SemaphorePermit};
use unicode_normalization::UnicodeNormalization;

use super::UserKind;
use crate::error::{Error, Result, Says};

const LEAST: usize = 12;
/// A program remembers well.
const LEAST_OF_SERVICE: usize = 32;
const MOST: usize = 200;
/// OWASP's least for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;

/// The turn of one who signs in, to be held while [`verify`] works.
pub async fn turn() -> Result<SemaphorePermit<'static>> {
    static TURNS: Semaphore = Semaphore::const_new(2);
    TURNS.acquire().await.map_err(Error::internal)
}

fn hasher() -> Result<Argon2<'static>> {
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(MEMORY_KIB, PASSES, 1, None).map_err(Error::internal)?))
}

/// The same text typed on any keyboard.
fn normal(password: &str) -> String {
    password.nfc().collect()
}

/// What is wrong with a new password, if anything.
pub fn flaw(kind: UserKind, password: &str, username: &str) -> Option<Says> {
    let password = normal(password);
    let length = password.chars().count();
    let (least, zh, en) = match kind {
        UserKind::Person => (LEAST, "密码", "a password"),
        UserKind::Service => (LEAST_OF_SERVICE, "系统对接的密钥", "a machine client's secret"),
    };
    if !(least..=MOST).contains(&length) {
        return Some(Says::new(format!("{zh}应为 {least} 到 {MOST} 个字符"), format!("{en} has {least} to {MOST} characters")));
    }
    let folded = password.to_lowercase();
    if folded.contains(&username.to_lowercase()) {
        return Some(Says::new("密码不能包含用户名", "a password must not contain the username"));
    }
    if is_common(&folded) {
        return Some(Says::new("这个密码太常见，请换一个", "this password is too common; choose another"));
    }
    None
}

/// Words that common passwords are made of.
#[rustfmt::skip]
const STEMS: &[&str] = &[
    "administrator", "jianyiyongwei", "qwertyuiop", "basketball", "zijingshan", "zhiyuanzhe", "wobuzhidao",
    "asdfghjkl", "qazwsxedc", "zhengzhou", "yingxiong", "zhongyuan", "passwort", "password", "abcdefgh",
    "iloveyou", "changeme", "sunshine", "princess", "football", "baseball", "superman", "computer",
    "internet", "whatever", "starwars", "jijinhui", "dengfeng", "xinzheng", "xingyang", "zhongguo",
    "shanghai", "buzhidao", "zxcvbnm", "loveyou", "welcome", "letmein", "default", "manager", "michael",
    "trustno", "freedom", "yongwei", "jinshui", "zhiyuan", "jingcha", "shaolin", "zhongmu", "beijing",
    "passwd", "qwerty", "asdfgh", "zxcvbn", "qazwsx", "qweasd", "abcdef", "woaini", "change", "master",
    "system", "server", "dragon", "monkey", "jordan", "batman", "secret", "jianyi", "yiyong", "xiehui",
    "gongan", "gongyi", "gaoxin", "taobao", "weixin", "wechat", "alipay", "huawei", "xiaomi", "passw",
    "qwert", "ilove", "admin", "guest", "login", "hello", "world", "lucky", "happy", "henan", "xinmi",
    "china", "nihao", "baidu", "zhang", "pass", "word", "qwer", "asdf", "zxcv", "abcd", "love", "aini",
    "woai", "root", "test", "user", "your", "good", "jyyw", "erqi", "mima", "wang", "见义勇为", "qaz", "wsx",
    "edc", "abc", "aaa", "you", "the", "new", "志愿者", "基金会", "郑州市", "河南省", "管理员", "我爱你", "hi", "my", "qq",
    "义勇", "英雄", "志愿", "协会", "郑州", "河南", "登封", "中国", "北京", "公安", "警察", "密码", "口令", "管理", "用户", "你好", "默认",
    "初始", "测试", "市", "省", "县", "区",
];

/// A sign or a digit that stands for a letter.
fn letter(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

/// How many letters are left at least when stems are taken out.
fn own_letters(text: &str) -> usize {
    // For each place, the least that is left before it: a letter stays, or a stem that ends here goes whole.
    let mut left = vec![0; text.len() + 1];
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        let stems = STEMS.iter().filter(|stem| text[..end].ends_with(**stem)).map(|stem| left[end - stem.len()]);
        left[end] = stems.min().unwrap_or(usize::MAX).min(left[at] + usize::from(c.is_alphabetic()));
    }
    left[text.len()]
}

/// Whether a password is one of the common ones, or only digits, a run, one piece again and again.
fn is_common(folded: &str) -> bool {
    let characters: Vec<char> = folded.chars().collect();
    // One piece of up to four characters, again and again; or a run such as 123456789012.
    let repeats = (1..=4).any(|n| characters.iter().zip(characters.iter().skip(n)).all(|(a, b)| a == b));
    let runs = characters.windows(2).all(|pair| (pair[1] as i64 - pair[0] as i64).rem_euclid(10) == 1)
        || characters.windows(2).all(|pair| pair[1] as i64 - pair[0] as i64 == -1);
    // As it stands, and with signs read as the letters that they stand for: then the digits around are letters too,
    // so those at the end don't count.
    let bare = folded.trim_end_matches(|c: char| !c.is_alphabetic());
    let read: String = bare.chars().map(letter).collect();
    let few = |letters: usize| letters <= 3;
    repeats || runs || few(own_letters(folded)) || few(own_letters(&read))
}

/// The hash of a new password, made one at a time in the process.
pub fn hash(password: &str) -> Result<String> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(hasher()?.hash_password(normal(password).as_bytes()).map_err(Error::internal)?.to_string())
}

/// Whether a hash was made with less than is asked today: then it is made anew at the next sign-in.
pub fn is_outdated(hash_text: &str) -> bool {
    let present = || {
        let params = Params::try_from(&PasswordHash::new(hash_text).ok()?).ok()?;
        Some(params.m_cost() >= MEMORY_KIB && params.t_cost() >= PASSES)
    };
    !(hash_text.starts_with("$argon2id$") && present().unwrap_or(false))
}

/// Whether a password is the one behind a hash; `None`, an unknown user, takes the same time as a known one.
pub fn verify(password: &str, hash_text: Option<&str>) -> Result<bool> {
    static DUMMY: OnceLock<String> = OnceLock::new();
    let password: String = normal(password).chars().take(MOST + 1).collect();
    let text = match hash_text {
        Some(text) => text,
        None => match DUMMY.get() {
            Some(text) => text,
            None => {
                let made = hash("a user that does not exist")?;
                DUMMY.get_or_init(|| made)
            }
        },
    };
    let Ok(parsed) = PasswordHash::new(text) else { return Ok(false) };
    let matches = hasher()?.verify_password(password.as_bytes(), &parsed).is_ok();
    Ok(matches && hash_text.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(password: &str) -> Option<Says> {
        flaw(UserKind::Person, password, "zhangsan")
    }

    #[test]
    fn rules() {
        for weak in [
            "short",
            "password123456",
            "P@ssw0rd2022!!",
            "Welcome2Zhengzhou!",
            "iloveyou5201314",
            "jianyiyongwei2022",
            "郑州市见义勇为协会2022",
            "111111111111",
            "123456789012",
            "abababababab",
            "2022061720220618",
            "zhangsan-is-here",
        ] {
            assert!(person(weak).is_some(), "{weak}");
        }
        for fine in ["correct horse battery staple", "四月的风吹过金水河边的柳树", "kF7-mQ2z-Tt9x"] {
            assert_eq!(person(fine), None, "{fine}");
        }
        assert!(flaw(UserKind::Service, "kF7-mQ2z-Tt9x", "importer").is_some(), "a machine client's secret is longer");
        assert_eq!(flaw(UserKind::Service, "kF7-mQ2z-Tt9x-hV4n-Wp8c-Lr3d-Bs6y", "importer"), None);
    }

    #[test]
    fn the_stems_stand_for_thousands_of_entries() {
        let mut entries = std::collections::HashSet::new();
        for stem in STEMS {
            let years = (1960..2030).map(|year| format!("{stem}{year}"));
            let pairs = STEMS.iter().map(|other| format!("{stem}{other}"));
            entries.extend(years.chain(pairs).filter(|entry| entry.chars().count() >= LEAST));
        }
        for entry in &entries {
            assert!(person(entry).is_some(), "{entry}");
        }
        assert!(entries.len() > 11_000, "{}", entries.len());
    }

    #[test]
    fn only_the_password_opens() {
        let kept = hash("四月的风吹过金水河边").expect("hashed");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify("四月的风吹过金水河边", Some(&kept)).expect("verified"));
        assert!(!verify("四月的风吹过金水河", Some(&kept)).expect("verified"));
        assert!(!is_outdated(&kept));
        assert!(is_outdated(&kept.replace("m=19456", "m=9728")) && is_outdated("!"));
        assert!(!verify("anything", Some("!")).expect("verified"));
        assert!(!verify("a user that does not exist", None).expect("verified"));
    }
}
