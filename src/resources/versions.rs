//! What stands in versions: a standard, a form. A published version never changes, so whatever refers to it keeps its meaning; who wants
//! another one revises it, which makes the next version, a draft.

use crate::types::text_enum;

text_enum! {
    /// Where a version stands.
    VersionState {
        Draft = "draft", "草稿", "draft";
        Published = "published", "已发布", "published";
        Retired = "retired", "已废止", "retired";
    }
}
