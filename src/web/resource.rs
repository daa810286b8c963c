//! What a slice says about its records, so that the verbs of `verbs.rs` need to be written only once.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::{Sort, Window, shape::Shape};
use crate::db::{AnyConnection, Tx};
use crate::error::{Error, Result};
use crate::policy::{Action, Actor, Area, Scope};
use crate::types::{Id, Precision, text_enum};

/// A kind of record with a URL of its own.
///
/// `View` is what a caller sees, `Draft` is what a caller may write (on creation whole, on a patch merged into the
/// present one, in an import a row), `Filter` is what a list, a count, an export and a figure are narrowed by.
/// Every query takes the scope, and starts in the slice's one function of scope and filter.
pub trait Resource: Sized + 'static {
    /// Table, and URL segment with `-` for `_`.
    const NAME: &'static str;
    /// What one of them is called, in Chinese and English.
    const LABEL: (&'static str, &'static str);
    const AREA: Area;
    /// Fields of the draft that hold another record's id, which an import gives by code.
    const REFERENCES: &'static [Reference];
    /// Whether callers may create, patch and delete; `false` for records that only the service writes.
    const WRITABLE: bool = true;
    /// Whether its records may come in files.
    const IMPORTABLE: bool = Self::WRITABLE;
    /// The orders of its list. What has no code has no order by it.
    const SORTS: &'static [&'static str] = &Sort::CODES;
    /// Whether organizations below the record's may see and name it, as a county holds an event of the city's campaign.
    /// Writing it, and counting it, stays with its own organization and those above. Never for personal data or money.
    const SHARED_BELOW: bool = false;

    /// A member of the view that is told in the answer to the deed that makes it and kept nowhere: neither in the audit log nor for a
    /// retry, where it is null.
    const TOLD_ONCE: Option<&'static str> = None;

    type View: Viewed + Serialize + ToSchema + Send;
    type Draft: Serialize + DeserializeOwned + Validate + ToSchema + Send;
    type Filter: DeserializeOwned + Default + IntoParams + Send;

    /// At most `window.fetch()` records, in its order.
    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>>;
    fn count(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter) -> Result<i64>;
    /// One record in scope, or `not_found`.
    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View>;
    /// The ids in scope of those codes that exist.
    fn ids_by_code(conn: &mut AnyConnection, scope: &Scope, codes: &[String]) -> Result<Vec<(String, Id)>>;

    /// Those of the ids that exist in scope.
    fn known_ids(conn: &mut AnyConnection, scope: &Scope, ids: &[Id]) -> Result<Vec<Id>>;

    /// The versions of those of the ids that exist, for the service itself: it has written them.
    fn versions(conn: &mut AnyConnection, ids: &[Id]) -> Result<Vec<(Id, i32)>>;

    /// Ids and versions of all filtered records: whether they are still the same is told by these. Of what no figure counts it isn't asked.
    fn marks(_: &mut AnyConnection, _: &Scope, _: &Self::Filter) -> Result<Vec<(Id, i32)>> {
        Err(Error::internal(format_args!("no figure counts {}", Self::NAME)))
    }

    /// Writes new records and returns them in the same order. Faults carry pointers that begin with the draft's
    /// index: `/0/team_id`. Checks that whatever a draft refers to is in scope.
    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>>;
    /// The draft that would make this record what it is: what a merge patch is merged into.
    fn draft(tx: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft>;
    /// A draft as it will be kept, so that another spelling of what is there counts as no change.
    fn settled(draft: Self::Draft) -> Self::Draft {
        draft
    }
    /// Writes a changed draft over a record at its version. Pointers begin with the field: `/team_id`.
    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View>;
    fn delete(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View) -> Result<()>;

    /// A figure over the filtered records. `Count` is answered for all; a slice adds what its records hold.
    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured>;

    /// Steps of the workflow: `POST /things/{id}/<action>`.
    fn steps() -> Vec<Step<Self>> {
        Vec::new()
    }
    /// What the record's state allows, whoever asks.
    fn offers(_view: &Self::View) -> Vec<Action> {
        if Self::WRITABLE { vec![Action::Update, Action::Delete] } else { Vec::new() }
    }
    /// What stands against this actor's doing what state and role allow: another hand is needed, or another association. In the order of
    /// what is asked, of a whole page at once; empty where nothing stands against any of it. A step is refused with it, and what is
    /// refused is not among the `allowed_actions`.
    fn objections(_: &mut AnyConnection, _: &Actor, _asked: &[(&Self::View, Action)]) -> Result<Vec<Option<Error>>> {
        Ok(Vec::new())
    }
}

/// The draft of records that only the service writes: there is nothing to write.
#[derive(Debug, Clone, Serialize, serde::Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NoDraft {}

/// What the verbs need to know of any record.
pub trait Viewed {
    fn id(&self) -> Id;
    fn code(&self) -> &str;
    fn version(&self) -> i32;
    /// The versions of all that the record shows: its own, by which writes are decided, and after a `-` each that of
    /// another record of which it shows a brief. The ETag.
    fn shown_version(&self) -> String {
        self.version().to_string()
    }
    fn organization_id(&self) -> Option<Id>;
    /// Whom it is about, where that is one person: by them the audit log is searched.
    fn person_id(&self) -> Option<Id> {
        None
    }
    /// The name by which its list's `q` finds it.
    fn searched(&self) -> Option<String> {
        None
    }
}

/// [`Viewed`] of a view with `id`, `code`, `version` and `organization_id` of its own; what else it tells follows in braces.
macro_rules! viewed {
    ($view:ident) => {
        $crate::web::viewed!($view {});
    };
    ($view:ident { $($more:tt)* }) => {
        impl $crate::web::Viewed for $view {
            fn id(&self) -> $crate::types::Id {
                self.id
            }
            fn code(&self) -> &str {
                &self.code
            }
            fn version(&self) -> i32 {
                self.version
            }
            fn organization_id(&self) -> Option<$crate::types::Id> {
                Some(self.organization_id)
            }
            $($more)*
        }
    };
}
pub(crate) use viewed;

/// The reading half of a [`Resource`], out of the slice's one function `query` of scope and filter.
///
/// `reads!(t, View)` where the view is the row, `reads!(t, View, with p)` where it is read joined with another table,
/// `reads!(t, View, beside p)` where the other may have nothing of it, and `reads!(t, Row => shown)` where `fn shown(conn, rows)` makes views of rows, all at once. `reads!(t)` leaves `page` and `find` to
/// the slice.
macro_rules! reads {
    ($table:ident, $row:ident) => {
        $crate::web::reads!(@ $table, rows => rows.select($row::as_select()));
    };
    ($table:ident, $row:ident, with $other:ident) => {
        $crate::web::reads!(@ $table, rows => rows.inner_join($other::table).select($row::as_select()));
    };
    ($table:ident, $row:ident, beside $other:ident) => {
        $crate::web::reads!(@ $table, rows => rows.left_join($other::table).select($row::as_select()));
    };
    (@ $table:ident, $rows:ident => $select:expr) => {
        fn page(
            conn: &mut $crate::db::AnyConnection,
            scope: &$crate::policy::Scope,
            filter: &Self::Filter,
            window: &$crate::web::Window,
        ) -> $crate::error::Result<Vec<Self::View>> {
            Ok($crate::web::page!(conn, scope, query(scope, filter), $table, window, $rows => $select))
        }

        fn find(
            conn: &mut $crate::db::AnyConnection,
            scope: &$crate::policy::Scope,
            id: $crate::types::Id,
        ) -> $crate::error::Result<Self::View> {
            let $rows = query(scope, &Self::Filter::default()).filter($table::id.eq(id));
            Ok($select.first(conn)?)
        }

        $crate::web::reads!($table);
    };
    ($table:ident, $row:ident => $shown:ident) => {
        $crate::web::reads!(@shown $table, $row => $shown);
        $crate::web::reads!($table);
    };
    // Of what is added and never changed.
    ($table:ident, $row:ident => $shown:ident, unversioned) => {
        $crate::web::reads!(@shown $table, $row => $shown);
        $crate::web::reads!(@all $table);

        fn versions(
            conn: &mut $crate::db::AnyConnection,
            ids: &[$crate::types::Id],
        ) -> $crate::error::Result<Vec<($crate::types::Id, i32)>> {
            let known: Vec<$crate::types::Id> =
                $table::table.filter($table::id.eq_any(ids.to_vec())).select($table::id).load(conn)?;
            Ok(known.into_iter().map(|id| (id, 1)).collect())
        }

        fn marks(
            conn: &mut $crate::db::AnyConnection,
            scope: &$crate::policy::Scope,
            filter: &Self::Filter,
        ) -> $crate::error::Result<Vec<($crate::types::Id, i32)>> {
            let all: Vec<$crate::types::Id> = query(scope, filter).select($table::id).load(conn)?;
            Ok(all.into_iter().map(|id| (id, 1)).collect())
        }
    };
    (@shown $table:ident, $row:ident => $shown:ident) => {
        fn page(
            conn: &mut $crate::db::AnyConnection,
            scope: &$crate::policy::Scope,
            filter: &Self::Filter,
            window: &$crate::web::Window,
        ) -> $crate::error::Result<Vec<Self::View>> {
            let rows = $crate::web::page!(conn, scope, query(scope, filter), $table, window, rows => rows.select($row::as_select()));
            $shown(conn, rows)
        }

        fn find(
            conn: &mut $crate::db::AnyConnection,
            scope: &$crate::policy::Scope,
            id: $crate::types::Id,
        ) -> $crate::error::Result<Self::View> {
            let row = query(scope, &Self::Filter::default()).filter($table::id.eq(id)).select($row::as_select()).first(conn)?;
            $shown(conn, vec![row])?.pop().ok_or_else($crate::error::Error::not_found)
        }
    };
    ($table:ident) => {
        $crate::web::reads!(@all $table);

        fn versions(
            conn: &mut $crate::db::AnyConnection,
            ids: &[$crate::types::Id],
        ) -> $crate::error::Result<Vec<($crate::types::Id, i32)>> {
            Ok($table::table.filter($table::id.eq_any(ids.to_vec())).select(($table::id, $table::version)).load(conn)?)
        }

        fn marks(
            conn: &mut $crate::db::AnyConnection,
            scope: &$crate::policy::Scope,
            filter: &Self::Filter,
        ) -> $crate::error::Result<Vec<($crate::types::Id, i32)>> {
            Ok(query(scope, filter).select(($table::id, $table::version)).load(conn)?)
        }
    };
    (@all $table:ident) => {
        fn count(
            conn: &mut $crate::db::AnyConnection,
            scope: &$crate::policy::Scope,
            filter: &Self::Filter,
        ) -> $crate::error::Result<i64> {
            Ok(query(scope, filter).count().get_result(conn)?)
        }

        fn ids_by_code(
            conn: &mut $crate::db::AnyConnection,
            scope: &$crate::policy::Scope,
            codes: &[String],
        ) -> $crate::error::Result<Vec<(String, $crate::types::Id)>> {
            let all = query(scope, &Self::Filter::default());
            Ok(all.filter($table::code.eq_any(codes.to_vec())).select(($table::code, $table::id)).load(conn)?)
        }

        fn known_ids(
            conn: &mut $crate::db::AnyConnection,
            scope: &$crate::policy::Scope,
            ids: &[$crate::types::Id],
        ) -> $crate::error::Result<Vec<$crate::types::Id>> {
            Ok(query(scope, &Self::Filter::default()).filter($table::id.eq_any(ids.to_vec())).select($table::id).load(conn)?)
        }
    };
}
pub(crate) use reads;

/// The writing half of a [`Resource`] that only the service writes: there is none.
macro_rules! read_only {
    () => {
        const WRITABLE: bool = false;
        type Draft = $crate::web::resource::NoDraft;

        fn insert(_: &mut $crate::db::Tx<'_>, _: &$crate::policy::Scope, _: Vec<Self::Draft>) -> $crate::error::Result<Vec<Self::View>> {
            Err($crate::error::Error::new($crate::error::Code::MethodNotAllowed))
        }

        fn draft(_: &mut $crate::db::Tx<'_>, _: &Self::View) -> $crate::error::Result<Self::Draft> {
            Err($crate::error::Error::new($crate::error::Code::MethodNotAllowed))
        }

        fn update(
            _: &mut $crate::db::Tx<'_>,
            _: &$crate::policy::Scope,
            _: &Self::View,
            _: Self::Draft,
        ) -> $crate::error::Result<Self::View> {
            Err($crate::error::Error::new($crate::error::Code::MethodNotAllowed))
        }

        fn delete(_: &mut $crate::db::Tx<'_>, _: &$crate::policy::Scope, _: &Self::View) -> $crate::error::Result<()> {
            Err($crate::error::Error::new($crate::error::Code::MethodNotAllowed))
        }
    };
}
pub(crate) use read_only;

/// Writes a row over the one that was read, at its version: `Err(stale)` where somebody was faster.
macro_rules! save {
    ($tx:ident, $table:ident, $before:ident, $after:expr) => {{
        let at_its_version = $table::table.filter($table::id.eq($before.id)).filter($table::version.eq($before.version));
        match diesel::update(at_its_version).set($after).execute($tx.conn) {
            Ok(0) => Err($crate::web::verbs::stale($before.version + 1)),
            Ok(_) => Ok(()),
            Err(error) => Err($crate::error::Error::from(error)),
        }
    }};
}
pub(crate) use save;

/// Deletes a record at the version that was read, so that one which is changed meanwhile stays.
macro_rules! remove {
    ($tx:ident, $table:ident, $before:ident) => {{
        let at_its_version = $table::table.filter($table::id.eq($before.id)).filter($table::version.eq($before.version));
        match diesel::delete(at_its_version).execute($tx.conn) {
            Ok(0) => Err($crate::web::verbs::stale($before.version + 1)),
            Ok(_) => Ok(()),
            Err(error) => Err($crate::error::Error::from(error)),
        }
    }};
}
pub(crate) use remove;

/// The deletion of a [`Resource`] with which nothing else goes.
macro_rules! deletes {
    ($table:ident) => {
        fn delete(tx: &mut $crate::db::Tx<'_>, _: &$crate::policy::Scope, before: &Self::View) -> $crate::error::Result<()> {
            $crate::web::remove!(tx, $table, before)
        }
    };
}
pub(crate) use deletes;

/// A field that holds another record's id.
#[derive(Debug, Clone, Copy)]
pub struct Reference {
    /// Of the draft: `team_id`.
    pub field: &'static str,
    /// Of an import's file: `team_code`.
    pub column: &'static str,
    /// The resource: `volunteer_teams`.
    pub of: &'static str,
}

impl Reference {
    pub const ORGANIZATION: Self = Self { field: "organization_id", column: "organization_code", of: "organizations" };
}

/// What a step does to a record, with the body that was sent: the record after it.
pub type Run<R> = fn(&mut Tx<'_>, &Scope, <R as Resource>::View, &Value) -> Result<<R as Resource>::View>;

/// A step of a workflow.
pub struct Step<R: Resource> {
    pub action: Action,
    /// Summary in the contract.
    pub summary: &'static str,
    /// The body, where the step takes one.
    pub body: Option<fn() -> Shape>,
    /// Whether it moves money and so needs an `Idempotency-Key`.
    pub needs_key: bool,
    pub run: Run<R>,
}

text_enum! {
    /// What is counted or summed over the records behind a figure.
    Measure {
        Count = "count", "记录数", "number of records";
        Quantity = "quantity", "数量合计", "sum of quantities";
        Attendances = "attendances", "人次合计", "sum of attendances";
        People = "people", "人数合计", "sum of people";
        Fen = "fen", "金额合计（分）", "sum of fen";
        Organizations = "organizations", "单位数", "number of distinct organizations";
        Value = "value", "指标值", "value of a target";
    }
}

/// What came out, and how well it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// `None` where nothing is known: unreported is not zero.
    pub value: Option<i64>,
    pub precision: Precision,
    pub records: i64,
    /// The organizations that hold the records.
    pub holders: Vec<Id>,
    /// What it was made of.
    pub groups: Groups,
}

/// Records that one organization holds: their number.
pub type Counted = (Id, i64);
/// The same, of one precision: their number, how many tell the value, and its sum.
pub type Summed = (Id, Precision, i64, i64, Option<i64>);

/// What the database has made of the records, by the organization that holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Groups {
    Counted(Measure, Vec<Counted>),
    Summed(Vec<Summed>),
}

impl Groups {
    /// The same of no records.
    pub fn none(&self) -> Self {
        match self {
            Self::Counted(measure, _) => Self::Counted(*measure, Vec::new()),
            Self::Summed(_) => Self::Summed(Vec::new()),
        }
    }

    /// Parted by the organizations above the holder, as `above` tells them: one that lies below another counts for both, and whoever has
    /// none above them is left out.
    pub fn split(self, above: &HashMap<Id, Vec<Id>>) -> HashMap<Id, Self> {
        let mut parts: HashMap<Id, Self> = HashMap::new();
        match self {
            Self::Counted(measure, groups) => {
                for group in groups {
                    for id in above.get(&group.0).into_iter().flatten() {
                        if let Self::Counted(_, part) = parts.entry(*id).or_insert_with(|| Self::Counted(measure, Vec::new())) {
                            part.push(group);
                        }
                    }
                }
            }
            Self::Summed(groups) => {
                for group in groups {
                    for id in above.get(&group.0).into_iter().flatten() {
                        if let Self::Summed(part) = parts.entry(*id).or_insert_with(|| Self::Summed(Vec::new())) {
                            part.push(group);
                        }
                    }
                }
            }
        }
        parts
    }
}

impl Measured {
    pub fn of(groups: Groups) -> Self {
        match groups {
            Groups::Counted(measure, groups) => Self::counted(measure, groups),
            Groups::Summed(groups) => Self::summed(groups),
        }
    }

    /// What is there is there, so a count is exact and zero is zero.
    pub fn counted(measure: Measure, groups: Vec<Counted>) -> Self {
        let holders: Vec<Id> = groups.iter().map(|(holder, _)| *holder).collect();
        let records = groups.iter().map(|(_, records)| records).sum();
        let value = if measure == Measure::Organizations { i64::try_from(holders.len()).unwrap_or(i64::MAX) } else { records };
        Self { value: Some(value), precision: Precision::Exact, records, holders, groups: Groups::Counted(measure, groups) }
    }

    /// Unknown where no record tells; as precise as the least precise record that does; and where another doesn't
    /// tell, the sum is only what there is at least.
    pub fn summed(groups: Vec<Summed>) -> Self {
        let (mut value, mut precision, mut records, mut holders) = (None, Precision::Exact, 0, Vec::new());
        let mut untold = 0;
        let mut seen = HashSet::new();
        for (holder, of, found, telling, sum) in &groups {
            records += found;
            untold += found - telling;
            if let Some(sum) = sum {
                value = Some(value.unwrap_or_default() + sum);
                precision = precision.weakest(*of);
            }
            if seen.insert(*holder) {
                holders.push(*holder);
            }
        }
        if untold > 0 && value.is_some() {
            precision = precision.weakest(Precision::AtLeast);
        }
        Self { value, precision, records, holders, groups: Groups::Summed(groups) }
    }
}

/// A figure over a slice's boxed query, in one statement whatever the number of records.
///
/// With the measure alone it counts; with `sum` it sums a column whose precision stands in another, and with `exact` one
/// that is exact wherever it isn't null, such as money.
macro_rules! measured {
    ($conn:expr, $query:expr, $table:ident, $measure:expr) => {{
        let query = $query.select(($table::organization_id, $crate::web::resource::aggregate!("COUNT(*)")));
        let groups: Vec<$crate::web::resource::Counted> = $crate::db::Grouped { query, by: "organization_id" }.load($conn)?;
        $crate::web::Measured::counted($measure, groups)
    }};
    (sum $conn:expr, $query:expr, $table:ident, $column:ident, $precision:ident) => {{
        let query = $query.select((
            $table::organization_id,
            $table::$precision,
            $crate::web::resource::aggregate!("COUNT(*)"),
            $crate::web::resource::aggregate!(concat!("COUNT(", stringify!($column), ")")),
            $crate::web::resource::sum_of!($column),
        ));
        let by = concat!("organization_id, ", stringify!($precision));
        let groups: Vec<$crate::web::resource::Summed> = $crate::db::Grouped { query, by }.load($conn)?;
        $crate::web::Measured::summed(groups)
    }};
    (exact $conn:expr, $query:expr, $table:ident, $column:ident) => {{
        let query = $query.select((
            $table::organization_id,
            $crate::web::resource::aggregate!("COUNT(*)"),
            $crate::web::resource::sum_of!($column),
        ));
        let groups: Vec<(crate::types::Id, i64, Option<i64>)> = $crate::db::Grouped { query, by: "organization_id" }.load($conn)?;
        let exact = crate::types::Precision::Exact;
        $crate::web::Measured::summed(groups.into_iter().map(|(holder, records, sum)| (holder, exact, records, records, sum)).collect())
    }};
}
pub(crate) use measured;

/// The sum of a column as a BIGINT on both databases: PostgreSQL sums these to NUMERIC.
macro_rules! sum_of {
    ($column:ident) => {
        $crate::web::resource::sum_of!(in stringify!($column))
    };
    // Of a column that tables share: with its table's name.
    ($table:ident . $column:ident) => {
        $crate::web::resource::sum_of!(in concat!(stringify!($table), ".", stringify!($column)))
    };
    (in $name:expr) => {
        diesel::dsl::sql::<diesel::sql_types::Nullable<diesel::sql_types::BigInt>>(concat!("CAST(SUM(", $name, ") AS BIGINT)"))
    };
}
pub(crate) use sum_of;

/// A whole number that the database makes of many rows.
macro_rules! aggregate {
    ($sql:expr) => {
        diesel::dsl::sql::<diesel::sql_types::BigInt>($sql)
    };
}
pub(crate) use aggregate;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_known_as_well_as_its_parts() {
        let (one, other) = (Id::new(), Id::new());
        let of = |groups: Vec<Summed>| {
            let sum = Measured::summed(groups);
            (sum.value, sum.precision, sum.records, sum.holders.len())
        };
        assert_eq!(of(vec![]), (None, Precision::Exact, 0, 0));
        assert_eq!(
            of(vec![(one, Precision::Exact, 2, 2, Some(5)), (other, Precision::Exact, 1, 1, Some(1))]),
            (Some(6), Precision::Exact, 3, 2)
        );
        assert_eq!(
            of(vec![(one, Precision::Exact, 1, 1, Some(5)), (one, Precision::About, 1, 1, Some(1))]),
            (Some(6), Precision::About, 2, 1)
        );
        // A record that doesn't tell makes the sum a least, and its own precision says nothing.
        assert_eq!(
            of(vec![(one, Precision::Exact, 2, 1, Some(5)), (other, Precision::About, 1, 0, None)]),
            (Some(5), Precision::AtLeast, 3, 2)
        );
        assert_eq!(of(vec![(one, Precision::Exact, 2, 0, None)]), (None, Precision::Exact, 2, 1));
    }
}
