//! What WeChat's refusals mean, and what becomes of each: the only table of its codes.

use crate::error::{Code, Error};
use crate::types::Instant;

/// Why a call came to nothing.
#[derive(Debug, Clone)]
pub enum Failure {
    /// No answer in time, or one that can't be what was asked for. The word is ours.
    Away(&'static str),
    Refused(Refusal),
    /// Something of this service's own, such as its database.
    Own(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

/// WeChat's answer that it won't.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: i64,
    /// The field that is wrong, where WeChat names one. The rest of its words may hold what was sent, and isn't kept.
    pub field: Option<String>,
}

/// What a code means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// WeChat's own trouble: asked once more.
    Busy,
    /// The access token doesn't count any more: renewed once, and asked once more.
    Token,
    /// A code that the telephone gave is wrong, used or too old.
    Spent,
    TooOften,
    /// WeChat lets this person in nowhere.
    Risk,
    /// The mini-program's own data are wrong, or this server isn't on its list: for the operator.
    Configuration,
    /// No more of these calls today.
    Quota,
    /// Nobody has this openid.
    Recipient,
    /// No such template.
    Template,
    /// They don't want to be told.
    Unsubscribed,
    /// A field holds what WeChat doesn't take.
    Field,
    /// The page isn't in the released mini-program.
    Page,
    /// A text can't be checked.
    Uncheckable,
    Unknown,
}

const KNOWN: &[(i64, Meaning)] = &[
    (-1, Meaning::Busy),
    (40_001, Meaning::Token),
    (42_001, Meaning::Token),
    (40_029, Meaning::Spent),
    (40_163, Meaning::Spent),
    (45_011, Meaning::TooOften),
    (40_226, Meaning::Risk),
    (40_013, Meaning::Configuration),
    (40_125, Meaning::Configuration),
    (41_002, Meaning::Configuration),
    (41_004, Meaning::Configuration),
    (41_008, Meaning::Configuration),
    (40_164, Meaning::Configuration),
    (45_009, Meaning::Quota),
    (40_003, Meaning::Recipient),
    (40_037, Meaning::Template),
    (43_101, Meaning::Unsubscribed),
    (47_003, Meaning::Field),
    (41_030, Meaning::Page),
    (40_129, Meaning::Uncheckable),
    (43_104, Meaning::Uncheckable),
    (43_302, Meaning::Uncheckable),
    (44_002, Meaning::Uncheckable),
    (47_001, Meaning::Uncheckable),
];

impl Refusal {
    pub fn new(code: i64, said: &str) -> Self {
        // `argument invalid! data.phrase2.value invalid rid: …`
        let field = said.split("data.").nth(1).and_then(|rest| rest.split('.').next());
        let plain = |field: &&str| (1..=40).contains(&field.len()) && field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        Self { code, field: field.filter(plain).map(str::to_owned) }
    }

    pub fn meaning(&self) -> Meaning {
        KNOWN.iter().find(|(code, _)| *code == self.code).map_or(Meaning::Unknown, |(_, meaning)| *meaning)
    }
}

impl Failure {
    pub fn meaning(&self) -> Option<Meaning> {
        match self {
            Self::Refused(refusal) => Some(refusal.meaning()),
            Self::Away(_) | Self::Own(_) => None,
        }
    }

    /// What the caller of ours is told whose request asked WeChat.
    pub fn told(self, now: Instant) -> Error {
        let refusal = match self {
            Self::Own(error) => return error,
            Self::Away(why) => {
                log::warn!("WeChat can't be asked: {why}");
                return Error::new(Code::WechatUnavailable).retry_after(5);
            }
            Self::Refused(refusal) => refusal,
        };
        match refusal.meaning() {
            Meaning::Busy => Error::new(Code::WechatUnavailable).retry_after(5),
            Meaning::Spent => Error::new(Code::InvalidWechatCode),
            Meaning::TooOften => Error::new(Code::TooManyRequests).retry_after(60),
            Meaning::Risk => Error::new(Code::WechatRisk),
            Meaning::Quota => {
                log::error!("WeChat's quota is used up for today (45009)");
                let wait = u32::try_from(super::token::next_day(now).seconds_since(now)).unwrap_or(3_600);
                Error::new(Code::WechatUnavailable).retry_after(wait)
            }
            Meaning::Configuration | Meaning::Token => {
                let code = refusal.code;
                Error::internal(format_args!(
                    "WeChat refuses this service ({code}): see to the AppID, the AppSecret and the list of addresses"
                ))
            }
            _ => Error::internal(format_args!("WeChat refuses what was asked ({})", refusal.code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_field_and_nothing_else() {
        let told = |said: &str| Refusal::new(47_003, said).field;
        assert_eq!(told("argument invalid! data.phrase2.value invalid rid: 1-2-3").as_deref(), Some("phrase2"));
        for nothing in ["argument invalid!", "data..value", "data.openid=o123.value", ""] {
            assert_eq!(told(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_code_has_one_meaning() {
        for (code, meaning) in KNOWN {
            assert_eq!(KNOWN.iter().filter(|(other, _)| other == code).count(), 1, "{code}");
            assert_eq!(Refusal::new(*code, "").meaning(), *meaning);
        }
        assert_eq!(Refusal::new(99_999, "").meaning(), Meaning::Unknown);
    }
}
