//! Passwords: argon2id, long rather than complicated, none that everybody uses.

use std::sync::OnceLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result, Says};

const LEAST: usize = 12;
const MOST: usize = 200;
/// OWASP's least for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;

fn hasher() -> Result<Argon2<'static>> {
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(MEMORY_KIB, 2, 1, None).map_err(Error::internal)?))
}

/// The same text typed on any keyboard.
fn normal(password: &str) -> String {
    password.nfc().collect()
}

/// What is wrong with a new password, if anything.
pub fn flaw(password: &str, username: &str) -> Option<Says> {
    let password = normal(password);
    let length = password.chars().count();
    if !(LEAST..=MOST).contains(&length) {
        return Some(Says::new(format!("密码应为 {LEAST} 到 {MOST} 个字符"), format!("a password has {LEAST} to {MOST} characters")));
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

/// Words that people begin passwords with: keyboard rows, names of the trade, sentences of affection.
const STEMS: &[&str] = &[
    "password",
    "passw0rd",
    "p@ssword",
    "p@ssw0rd",
    "qwertyuiop",
    "qwerty",
    "asdfghjkl",
    "asdfgh",
    "zxcvbnm",
    "1qaz2wsx",
    "1q2w3e4r5t",
    "1q2w3e4r",
    "qazwsxedc",
    "abcdefgh",
    "abcd1234",
    "abc123",
    "iloveyou",
    "woaini",
    "woaini1314",
    "5201314",
    "1314520",
    "administrator",
    "admin",
    "root",
    "welcome",
    "letmein",
    "changeme",
    "default",
    "guest",
    "test",
    "master",
    "dragon",
    "monkey",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "jianyiyongwei",
    "yiyong",
    "zhengzhou",
    "henan",
    "zijingshan",
    "xiehui",
    "zhiyuanzhe",
    "gongan",
    "shaolin",
    "dengfeng",
    "zhongyuan",
    "zhongguo",
    "beijing",
    "shanghai",
    "wobuzhidao",
    "mima",
    "nihao",
    "taobao",
    "weixin",
    "computer",
    "internet",
    "secret",
    "trustno1",
    "superman",
];

/// Whether a password is one of the known-common ones, or only such a stem with digits or signs after it, said once
/// or several times: the families stand for far more entries than a list could hold.
fn is_common(folded: &str) -> bool {
    let bare = folded.trim_end_matches(|c: char| c.is_ascii_digit() || c.is_ascii_punctuation());
    let characters: Vec<char> = folded.chars().collect();
    // One piece of up to four characters, again and again; or a run such as 123456789012.
    let repeats = (1..=4).any(|n| characters.iter().zip(characters.iter().skip(n)).all(|(a, b)| a == b));
    let runs = characters.windows(2).all(|pair| (pair[1] as i64 - pair[0] as i64).rem_euclid(10) == 1)
        || characters.windows(2).all(|pair| pair[1] as i64 - pair[0] as i64 == -1);
    let only_digits = folded.chars().all(|c| c.is_ascii_digit());
    let stem = STEMS.iter().any(|stem| {
        let rest = bare.replace(stem, "");
        rest.len() < bare.len() && rest.chars().count() <= 2
    });
    let stem_whole = STEMS
        .iter()
        .any(|stem| folded.starts_with(stem) && folded[stem.len()..].chars().all(|c| c.is_ascii_digit() || c.is_ascii_punctuation()));
    repeats || runs || only_digits || stem || stem_whole
}

pub fn hash(password: &str) -> Result<String> {
    Ok(hasher()?.hash_password(normal(password).as_bytes()).map_err(Error::internal)?.to_string())
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

    #[test]
    fn rules() {
        for weak in [
            "short",
            "password123456",
            "jianyiyongwei2022",
            "111111111111",
            "123456789012",
            "abababababab",
            "2022061720220618",
            "zhangsan-is-here",
        ] {
            assert!(flaw(weak, "zhangsan").is_some(), "{weak}");
        }
        for fine in ["correct horse battery staple", "四月的风吹过金水河边的柳树", "kF7-mQ2z-Tt9x"] {
            assert_eq!(flaw(fine, "zhangsan"), None, "{fine}");
        }
    }

    #[test]
    fn only_the_password_opens() {
        let kept = hash("四月的风吹过金水河边").expect("hashed");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify("四月的风吹过金水河边", Some(&kept)).expect("verified"));
        assert!(!verify("四月的风吹过金水河", Some(&kept)).expect("verified"));
        assert!(!verify("anything", Some("!")).expect("verified"));
        assert!(!verify("a user that does not exist", None).expect("verified"));
    }
}
