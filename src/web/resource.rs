//! What a slice says about its records, so that the verbs of `verbs.rs` need to be written only once.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::{Window, shape::Shape};
use crate::db::{AnyConnection, Tx};
use crate::error::Result;
use crate::policy::{Action, Area, Scope};
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

    /// Writes new records and returns them in the same order. Faults carry pointers that begin with the draft's
    /// index: `/0/team_id`. Checks that whatever a draft refers to is in scope.
    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>>;
    /// The draft that would make this record what it is: what a merge patch is merged into.
    fn draft(tx: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft>;
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
        vec![Action::Update, Action::Delete]
    }
}

/// What the verbs need to know of any record.
pub trait Viewed {
    fn id(&self) -> Id;
    fn code(&self) -> &str;
    fn version(&self) -> i32;
    fn organization_id(&self) -> Option<Id>;
}

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
}

impl Measured {
    /// Of a count: what is there is there, so it is exact and zero is zero.
    pub fn count(records: i64, holders: Vec<Id>) -> Self {
        Self { value: Some(records), precision: Precision::Exact, records, holders }
    }

    /// Of a sum: unknown where no record tells, and as precise as the least precise record.
    pub fn sum(value: Option<i64>, precisions: impl IntoIterator<Item = Precision>, records: i64, holders: Vec<Id>) -> Self {
        Self { value, precision: precisions.into_iter().fold(Precision::Exact, Precision::weakest), records, holders }
    }
}
