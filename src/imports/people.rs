//! Persons that come along with the rows of other records: who is registered already isn't registered again.
//!
//! The same ID number and the same name are the same person: the row's record is theirs. Without an ID number, the same name
//! and the same phone may be two people who share a phone: that is for the clerk to say, who is told the candidates.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::columns::Column;
use crate::db::Tx;
use crate::error::{Result, Says};
use crate::policy::Scope;
use crate::resources::persons::{self, Recognised, Sought};

/// A fault of a row, at a pointer into its draft.
pub struct Doubt {
    pub row: u64,
    pub pointer: &'static str,
    pub code: &'static str,
    pub says: Says,
}

/// Whether rows may bring persons along, named by the field `person_id` or written in `person`.
pub fn come_along(columns: &[Column]) -> bool {
    columns.iter().any(|column| !column.read_only && column.is_at("/person/name"))
        && columns.iter().any(|column| column.field() == "person_id")
}

/// Puts registered persons in the place of those that are written out; tells where that can't be decided.
pub fn recognise<'a>(tx: &mut Tx<'_>, scope: &Scope, rows: impl Iterator<Item = (u64, &'a mut Map<String, Value>)>) -> Result<Vec<Doubt>> {
    let mut drafts: HashMap<u64, &mut Map<String, Value>> = rows.filter(|(_, draft)| !draft.contains_key("person_id")).collect();
    let sought: Vec<(u64, Sought)> = drafts
        .iter()
        .filter_map(|(number, draft)| {
            let text = |name: &str| draft.get("person")?.get(name)?.as_str().map(str::to_owned);
            let sought = Sought { name: text("name")?, gender: text("gender"), id_number: text("id_number"), phone: text("phone") };
            Some((*number, sought))
        })
        .collect();
    let found = persons::recognise(tx, scope, sought.iter().map(|(_, sought)| sought))?;
    let mut doubts = Vec::new();
    for ((row, _), found) in sought.iter().zip(found) {
        match found {
            Recognised::Nobody => {}
            Recognised::Person(id) => {
                if let Some(draft) = drafts.get_mut(row) {
                    draft.remove("person");
                    draft.insert("person_id".to_owned(), id.to_string().into());
                }
            }
            Recognised::Otherwise { code, field } => doubts.push(Doubt {
                row: *row,
                pointer: field,
                code: "registered_otherwise",
                says: Says::new(
                    format!("此身份证号的人员（{code}）登记的此项与文件不同；请先核对并修改人员资料，或将此格留空"),
                    format!("the person with this ID number ({code}) is registered with another value here; mend the person first, or leave the cell empty"),
                ),
            }),
            Recognised::Perhaps(codes) => doubts.push(Doubt {
                row: *row,
                pointer: "/person/name",
                code: "ambiguous_person",
                says: Says::new(
                    format!("可能是已登记的人员：{}（同名同手机号）；如是，请填写人员编码，否则请补充身份证号", codes.join("、")),
                    format!(
                        "this may be somebody who is registered: {} (the same name and phone); if so give the person's code, else the ID number",
                        codes.join(", ")
                    ),
                ),
            }),
        }
    }
    Ok(doubts)
}
