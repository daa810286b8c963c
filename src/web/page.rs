//! Pages by key: a page deep down costs what the first costs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::query::Pairs;
use crate::error::{Code, Error, Fault, Result, Says};
use crate::types::Id;

pub const DEFAULT_LIMIT: i64 = 20;
pub const GREATEST_LIMIT: i64 = 200;

/// The orders of a list. Ids are made in the order of time, so the order of creation is that of the ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sort {
    #[serde(rename = "created_at")]
    Oldest,
    #[serde(rename = "-created_at")]
    Newest,
    #[serde(rename = "code")]
    CodeUp,
    #[serde(rename = "-code")]
    CodeDown,
}

impl Sort {
    pub const CODES: [&'static str; 4] = ["created_at", "-created_at", "code", "-code"];
    /// Of records without a code.
    pub const IN_TIME: [&'static str; 2] = ["created_at", "-created_at"];

    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_value(text.into()).ok()
    }
}

/// Where the last page ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cursor {
    #[serde(rename = "i")]
    pub id: Id,
    #[serde(rename = "c")]
    pub code: String,
    /// Of the filter and the sort, so that a cursor isn't used with others.
    #[serde(rename = "b")]
    bound: String,
}

/// Which part of a list is asked for.
#[derive(Debug, Clone)]
pub struct Window {
    pub sort: Sort,
    pub limit: i64,
    pub after: Option<Cursor>,
    pub count: bool,
    /// How many records of the window are left out first: see [`Window::beyond`].
    pub skip: i64,
    /// Only those of them, where their ids are known already.
    pub among: Option<Vec<Id>>,
    bound: String,
}

impl Window {
    /// Takes the parameters of paging out of a query, with the orders that the list has; what is left is the filter, to
    /// which a cursor is bound. A list without orders is neither sorted nor counted: it has its own order.
    pub fn take(pairs: &mut Pairs, sorts: &[&str]) -> Result<Self> {
        let mut faults = Vec::new();
        let ordered = !sorts.is_empty();
        let sort = match ordered.then(|| pairs.take("sort")).flatten() {
            None => Sort::Newest,
            Some(text) => Sort::parse(&text).filter(|_| sorts.contains(&&*text)).unwrap_or_else(|| {
                let says = Says::new(format!("应为下列之一：{}", sorts.join("、")), format!("this should be one of: {}", sorts.join(", ")));
                faults.push(Fault::new("/sort", "invalid_parameter", says));
                Sort::Newest
            }),
        };
        let limit = take_limit(pairs, &mut faults);
        let count = match ordered.then(|| pairs.take("count")).flatten().as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                faults.push(Fault::new("/count", "invalid_parameter", Says::new("应为 true 或 false", "this should be true or false")));
                false
            }
        };
        let cursor = pairs.take("cursor");
        if !faults.is_empty() {
            return Err(Error::with_faults(Code::InvalidParameter, faults));
        }
        let mut filter = pairs.0.clone();
        filter.sort();
        let digest = Sha256::digest(serde_json::to_vec(&(sort, filter)).unwrap_or_default());
        let bound = URL_SAFE_NO_PAD.encode(&digest[..9]);
        let after = cursor.map(|text| Cursor::decode(&text, &bound)).transpose()?;
        Ok(Self { sort, limit, after, count, skip: 0, among: None, bound })
    }

    /// A window on the first records, for use inside the service.
    pub fn first(limit: i64) -> Self {
        Self { sort: Sort::Oldest, limit, after: None, count: false, skip: 0, among: None, bound: String::new() }
    }

    /// A window on the first records of a walk through all, within one snapshot.
    pub fn walk(sort: Sort, limit: i64) -> Self {
        Self { sort, limit, after: None, count: false, skip: 0, among: None, bound: String::new() }
    }

    /// A window on records whose ids are known.
    pub fn among(ids: Vec<Id>) -> Self {
        Self { among: Some(ids), ..Self::first(GREATEST_LIMIT) }
    }

    /// The window after a record of this one.
    pub fn after(&self, id: Id, code: &str) -> Self {
        let after = Cursor { id, code: code.to_owned(), bound: self.bound.clone() };
        Self { after: Some(after), skip: 0, ..self.clone() }
    }

    /// The window after this one, by whoever doesn't know yet where this one ends: it passes over the records of this one.
    pub fn beyond(&self) -> Self {
        Self { skip: self.skip + self.fetch(), ..self.clone() }
    }

    /// A window on the last record that this one passes over.
    pub fn passed(&self) -> Self {
        Self { limit: 0, skip: self.skip - 1, ..self.clone() }
    }

    /// This window without what it passes over, of which this is the last; on nothing where there is less than that.
    pub fn past(&self, last: Option<(Id, String)>) -> Self {
        match last {
            Some((id, code)) => self.after(id, &code),
            None => Self { among: Some(Vec::new()), skip: 0, ..self.clone() },
        }
    }

    /// One more row than asked for tells whether there is a next page.
    pub fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// The cursor after a row of this list.
    pub fn cursor_after(&self, id: Id, code: &str) -> String {
        let cursor = Cursor { id, code: code.to_owned(), bound: self.bound.clone() };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).unwrap_or_default())
    }
}

impl Cursor {
    fn decode(text: &str, bound: &str) -> Result<Self> {
        let cursor: Self = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(|| {
            Error::because(Code::InvalidCursor, "请使用上一页返回的 next_cursor", "use the next_cursor of the page before")
        })?;
        if cursor.bound != bound {
            return Err(Error::because(
                Code::InvalidCursor,
                "游标属于另一组筛选或排序条件，请从第一页开始",
                "the cursor belongs to another filter or sort; begin with the first page",
            ));
        }
        Ok(cursor)
    }
}

/// Takes the size of a page out of a query.
pub fn take_limit(pairs: &mut Pairs, faults: &mut Vec<Fault>) -> i64 {
    let Some(text) = pairs.take("limit") else { return DEFAULT_LIMIT };
    text.parse().ok().filter(|n| (1..=GREATEST_LIMIT).contains(n)).unwrap_or_else(|| {
        let zh = format!("应为 1 到 {GREATEST_LIMIT} 的整数");
        let en = format!("this should be a whole number from 1 to {GREATEST_LIMIT}");
        faults.push(Fault::new("/limit", "invalid_parameter", Says::new(zh, en)));
        DEFAULT_LIMIT
    })
}

/// Orders a boxed query, begins it after the cursor and ends it after one page (and one row). With `in_time` of a table
/// without codes.
macro_rules! windowed {
    (in_time $query:expr, $table:ident, $window:expr) => {{
        let window: &$crate::web::Window = $window;
        let mut query = $query.limit(window.fetch());
        if window.skip > 0 {
            query = query.offset(window.skip);
        }
        if let Some(ids) = &window.among {
            query = query.filter($table::id.eq_any(ids.clone()));
        }
        match window.sort {
            $crate::web::Sort::Oldest | $crate::web::Sort::CodeUp => {
                if let Some(after) = &window.after {
                    query = query.filter($table::id.gt(after.id));
                }
                query.order($table::id.asc())
            }
            $crate::web::Sort::Newest | $crate::web::Sort::CodeDown => {
                if let Some(after) = &window.after {
                    query = query.filter($table::id.lt(after.id));
                }
                query.order($table::id.desc())
            }
        }
    }};
    ($query:expr, $table:ident, $window:expr) => {{
        let window: &$crate::web::Window = $window;
        let mut query = $query.limit(window.fetch());
        if window.skip > 0 {
            query = query.offset(window.skip);
        }
        if let Some(ids) = &window.among {
            query = query.filter($table::id.eq_any(ids.clone()));
        }
        match window.sort {
            $crate::web::Sort::Newest => {
                if let Some(after) = &window.after {
                    query = query.filter($table::id.lt(after.id));
                }
                query.order($table::id.desc())
            }
            $crate::web::Sort::Oldest => {
                if let Some(after) = &window.after {
                    query = query.filter($table::id.gt(after.id));
                }
                query.order($table::id.asc())
            }
            $crate::web::Sort::CodeUp => {
                if let Some(after) = &window.after {
                    query = query.filter($table::code.gt(after.code.clone()));
                }
                query.order($table::code.asc())
            }
            $crate::web::Sort::CodeDown => {
                if let Some(after) = &window.after {
                    query = query.filter($table::code.lt(after.code.clone()));
                }
                query.order($table::code.desc())
            }
        }
    }};
}
pub(crate) use windowed;

/// One page of a boxed query, with `rows => …` selecting what is shown.
///
/// A scope that is a small part of all records is sought by organization, which gathers all its rows and sorts them. So
/// the ids are found first, from the index alone, and only the page's own records are read. Nor is what a window passes
/// over joined with anything: its last record is found first.
macro_rules! page {
    (@passed (in_time) $conn:expr, $query:expr, $table:ident, $window:expr) => {
        $crate::web::windowed!(in_time $query, $table, &$window.passed())
            .select($table::id)
            .first($conn)
            .optional()?
            .map(|id: $crate::types::Id| (id, String::new()))
    };
    (@passed () $conn:expr, $query:expr, $table:ident, $window:expr) => {
        $crate::web::windowed!($query, $table, &$window.passed()).select(($table::id, $table::code)).first($conn).optional()?
    };
    (in_time $conn:expr, $scope:expr, $query:expr, $table:ident, $window:expr, $rows:ident => $select:expr) => {
        $crate::web::page!(@ (in_time) $conn, $scope, $query, $table, $window, $rows => $select)
    };
    (@ ($($how:ident)?) $conn:expr, $scope:expr, $query:expr, $table:ident, $window:expr, $rows:ident => $select:expr) => {{
        let begun;
        let window: &$crate::web::Window = $window;
        let window = if window.skip > 0 {
            begun = window.past($crate::web::page!(@passed ($($how)?) $conn, $query, $table, window));
            &begun
        } else {
            window
        };
        let $rows = if $scope.gathers() {
            let ids: Vec<$crate::types::Id> = $crate::web::windowed!($($how)? $query, $table, window).select($table::id).load($conn)?;
            let found = $table::table.filter($table::id.eq_any(ids)).into_boxed::<$crate::db::Any>();
            $crate::web::windowed!($($how)? found, $table, window)
        } else {
            $crate::web::windowed!($($how)? $query, $table, window)
        };
        $select.load($conn)?
    }};
    ($conn:expr, $scope:expr, $query:expr, $table:ident, $window:expr, $rows:ident => $select:expr) => {
        $crate::web::page!(@ () $conn, $scope, $query, $table, $window, $rows => $select)
    };
}
pub(crate) use page;
