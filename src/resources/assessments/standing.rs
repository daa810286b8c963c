//! How subjects stand on a day, by what was accepted of them: as subqueries, for lists and for counts.

use chrono::NaiveDate;
use diesel::prelude::*;

use super::{AssessmentState, Assessments};
use crate::db::{Any, Part, Subset, Tx};
use crate::error::Result;
use crate::resources::rules;
use crate::resources::standards::Subject;
use crate::schema::assessments as t;
use crate::types::{Id, TextEnum, text_enum};
use crate::web::Resource;

text_enum! {
    /// Whether something is assessed, by what was accepted of it.
    Assessed {
        Valid = "valid", "评定有效", "assessed, and it holds";
        Expired = "expired", "评定已过期", "assessed, and it holds no more";
        None = "none", "未评定", "never assessed";
    }
}

/// The column of an assessment that names such a subject, and the table of these.
fn names(subject: Subject) -> (&'static str, &'static str) {
    match subject {
        Subject::Workstation => ("workstation_id", "workstations"),
        Subject::DemonstrationUnit => ("demonstration_unit_id", "demonstration_units"),
        Subject::VolunteerTeam => ("volunteer_team_id", "volunteer_teams"),
        Subject::Organization => ("subject_organization_id", "organizations"),
    }
}

/// Those of a kind with an accepted assessment.
fn accepted(subject: Subject) -> Vec<Part> {
    let (column, _) = names(subject);
    let parts = ["SELECT ", column, " FROM assessments WHERE ", column, " IS NOT NULL AND state = "];
    parts.into_iter().map(Part::Sql).chain([Part::Text(AssessmentState::Accepted.code().to_owned())]).collect()
}

/// Those of a kind with an accepted assessment that holds on a day.
pub fn valid(subject: Subject, day: NaiveDate) -> Vec<Part> {
    let mut parts = accepted(subject);
    parts.extend([
        Part::Sql(" AND assessed_on <= "),
        Part::Date(day),
        Part::Sql(" AND (expires_on IS NULL OR expires_on > "),
        Part::Date(day),
    ]);
    parts.push(Part::Sql(")"));
    parts
}

/// Those of a kind that stand so on a day.
pub fn standing(subject: Subject, assessed: Assessed, day: NaiveDate) -> Subset {
    let (column, table) = names(subject);
    Subset(match assessed {
        Assessed::Valid => valid(subject, day),
        Assessed::Expired => {
            let mut parts = accepted(subject);
            parts.extend([Part::Sql(" AND "), Part::Sql(column), Part::Sql(" NOT IN (")]);
            parts.extend(valid(subject, day));
            parts.push(Part::Sql(")"));
            parts
        }
        Assessed::None => {
            let mut parts = vec![Part::Sql("SELECT id FROM "), Part::Sql(table), Part::Sql(" WHERE id NOT IN (")];
            parts.extend(accepted(subject));
            parts.push(Part::Sql(")"));
            parts
        }
    })
}

/// A subject belongs to another organization now: so do its assessments.
pub fn follow(tx: &mut Tx<'_>, subject: Subject, id: Id, organization_id: Id) -> Result<()> {
    let of = t::table.into_boxed::<Any>();
    let of = match subject {
        Subject::Workstation => of.filter(t::workstation_id.eq(id)),
        Subject::DemonstrationUnit => of.filter(t::demonstration_unit_id.eq(id)),
        Subject::VolunteerTeam => of.filter(t::volunteer_team_id.eq(id)),
        Subject::Organization => of.filter(t::subject_organization_id.eq(id)),
    };
    let rows: Vec<(Id, Id)> = of.order(t::id).select((t::id, t::organization_id)).load(tx.conn)?;
    diesel::update(t::table.filter(t::id.eq_any(rows.iter().map(|(id, _)| *id).collect::<Vec<_>>())))
        .set((t::organization_id.eq(organization_id), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
        .execute(tx.conn)?;
    rules::followed(tx, Assessments::NAME, rows, organization_id);
    Ok(())
}
