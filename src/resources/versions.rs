//! What stands in versions: a standard, a form. A published version never changes, so whatever refers to it keeps its meaning; who wants
//! another one revises it, which makes the next version, a draft.

use crate::policy::Action;
use crate::types::text_enum;
use crate::web::Resource;
use crate::web::resource::{Run, Step};

text_enum! {
    /// Where a version stands.
    VersionState {
        Draft = "draft", "草稿", "draft";
        Published = "published", "已发布", "published";
        Retired = "retired", "已废止", "retired";
    }
}

/// What a version's state allows.
pub fn offered(state: VersionState) -> Vec<Action> {
    match state {
        VersionState::Draft => vec![Action::Update, Action::Delete, Action::Publish],
        VersionState::Published => vec![Action::Revise, Action::Retire],
        VersionState::Retired => vec![Action::Revise],
    }
}

/// The number of the version after those that there are.
pub fn next_number(known: impl Iterator<Item = i32>) -> i32 {
    known.max().unwrap_or_default() + 1
}

/// The steps of whatever stands in versions; what `publish` brings about is told by the slice.
pub fn steps<R: Resource>(published: &'static str, publish: Run<R>, revise: Run<R>, retire: Run<R>) -> Vec<Step<R>> {
    let step = |action, summary, run| Step { action, summary, body: None, needs_key: false, run };
    vec![
        step(Action::Publish, published, publish),
        step(
            Action::Revise,
            "修订：以相同内容建立下一版本（草稿）并返回之 / Revise: make the next version, a draft with the same content, and answer it",
            revise,
        ),
        step(Action::Retire, "废止，不再使用 / Retire: it is used no more", retire),
    ]
}
