//! The facts of beneficiaries: a few queries, whatever their number, and only for what the rules ask.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use diesel::dsl::count_star;
use diesel::prelude::*;

use super::judge::{EligibilityFact, Facts, HeroFacts, Tie};
use crate::db::{AnyConnection, Tx, held};
use crate::error::{Error, Result};
use crate::resources::dependants::Relation;
use crate::resources::disbursements::DisbursementState;
use crate::resources::heroes::{DeedOutcome, HeroStatus, HonourLevel};
use crate::resources::honours::AwardLevel;
use crate::resources::persons;
use crate::resources::welfare_programmes::ProgrammeKind;
use crate::schema::{dependants, disbursements, heroes, honours, persons as p, welfare_programmes};
use crate::types::Id;
use crate::vault::Vault;

/// Who is given something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Beneficiary {
    Hero(Id),
    Dependant(Id),
}

impl Beneficiary {
    /// `None` of a group that is known only as a whole.
    pub fn named(hero_id: Option<Id>, dependant_id: Option<Id>) -> Option<Self> {
        hero_id.map(Self::Hero).or(dependant_id.map(Self::Dependant))
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = dependants)]
struct DependantRow {
    id: Id,
    person_id: Id,
    hero_id: Id,
    relation: Relation,
    from_on: Option<NaiveDate>,
    to_on: Option<NaiveDate>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = heroes)]
struct HeroRow {
    id: Id,
    person_id: Id,
    status: HeroStatus,
    outcome: Option<DeedOutcome>,
    level: Option<HonourLevel>,
    confirmed_on: Option<NaiveDate>,
    revoked_on: Option<NaiveDate>,
}

/// Beneficiaries and the heroes behind them. That they may be seen is decided by whoever names them.
pub struct People {
    dependants: HashMap<Id, DependantRow>,
    heroes: HashMap<Id, HeroRow>,
}

impl People {
    pub fn load(conn: &mut AnyConnection, named: impl IntoIterator<Item = Beneficiary>) -> Result<Self> {
        let (mut own, mut of_family) = (HashSet::new(), HashSet::new());
        for beneficiary in named {
            match beneficiary {
                Beneficiary::Hero(id) => own.insert(id),
                Beneficiary::Dependant(id) => of_family.insert(id),
            };
        }
        let family: Vec<DependantRow> =
            dependants::table.filter(dependants::id.eq_any(of_family)).select(DependantRow::as_select()).load(conn)?;
        own.extend(family.iter().map(|dependant| dependant.hero_id));
        let behind: Vec<HeroRow> = heroes::table.filter(heroes::id.eq_any(own)).select(HeroRow::as_select()).load(conn)?;
        Ok(Self {
            dependants: family.into_iter().map(|row| (row.id, row)).collect(),
            heroes: behind.into_iter().map(|row| (row.id, row)).collect(),
        })
    }

    fn dependant(&self, id: Id) -> Result<&DependantRow> {
        self.dependants.get(&id).ok_or_else(|| Error::internal("a dependant who is named is not there"))
    }

    fn hero(&self, id: Id) -> Result<&HeroRow> {
        self.heroes.get(&id).ok_or_else(|| Error::internal("a hero who is named is not there"))
    }

    fn person(&self, beneficiary: Beneficiary) -> Result<Id> {
        match beneficiary {
            Beneficiary::Hero(id) => Ok(self.hero(id)?.person_id),
            Beneficiary::Dependant(id) => Ok(self.dependant(id)?.person_id),
        }
    }

    /// Holds the persons until the transaction ends, so that two who give the same person something at once come one after the
    /// other, and the later sees the earlier.
    pub fn hold(&self, tx: &mut Tx<'_>, named: &[Beneficiary]) -> Result<()> {
        let ids = named.iter().map(|beneficiary| self.person(*beneficiary)).collect::<Result<Vec<Id>>>()?;
        held!(tx.conn, p::table.filter(p::id.eq_any(ids)).order(p::id).select(p::id))?;
        Ok(())
    }

    /// What is known of each, in their order, as far as `asked` asks. `given` is counted in the year that stands beside each, of
    /// programmes of the kind.
    pub fn facts(
        &self,
        conn: &mut AnyConnection,
        vault: &Vault,
        asked: &HashSet<EligibilityFact>,
        kind: ProgrammeKind,
        named: &[(Beneficiary, i32)],
    ) -> Result<Vec<Facts>> {
        let persons = named.iter().map(|(beneficiary, _)| self.person(*beneficiary)).collect::<Result<Vec<Id>>>()?;
        let born = match asked.contains(&EligibilityFact::Age) {
            true => persons::birth_dates(conn, vault, persons.clone())?,
            false => HashMap::new(),
        };
        let given = match asked.contains(&EligibilityFact::OnceAYear) {
            true => given(conn, kind, &persons, named.iter().map(|(_, year)| *year).collect())?,
            false => HashMap::new(),
        };
        let mut awarded: HashMap<Id, Vec<(AwardLevel, Option<NaiveDate>)>> = HashMap::new();
        if asked.contains(&EligibilityFact::HonourLevel) {
            let of_heroes = honours::table.filter(honours::hero_id.eq_any(self.heroes.keys().copied().collect::<Vec<_>>()));
            let rows = of_heroes.select((honours::hero_id, honours::level, honours::awarded_on)).order(honours::id);
            for (hero_id, level, on) in rows.load::<(Id, AwardLevel, Option<NaiveDate>)>(conn)? {
                awarded.entry(hero_id).or_default().push((level, on));
            }
        }
        let facts = |((beneficiary, year), person): (&(Beneficiary, i32), &Id)| {
            let (hero_id, tie) = match *beneficiary {
                Beneficiary::Hero(id) => (id, None),
                Beneficiary::Dependant(id) => {
                    let row = self.dependant(id)?;
                    (row.hero_id, Some(Tie { relation: row.relation, from_on: row.from_on, to_on: row.to_on }))
                }
            };
            let hero = self.hero(hero_id)?;
            Ok(Facts {
                born_on: born.get(person).copied(),
                tie,
                hero: HeroFacts {
                    status: hero.status,
                    outcome: hero.outcome,
                    title: hero.level,
                    confirmed_on: hero.confirmed_on,
                    revoked_on: hero.revoked_on,
                    honours: awarded.get(&hero.id).cloned().unwrap_or_default(),
                },
                given: given.get(&(*person, *year)).copied().unwrap_or_default(),
            })
        };
        named.iter().zip(&persons).map(facts).collect()
    }
}

/// How often each of the persons is given something of a kind in each of the years, by whichever association, as a hero or as
/// of a hero's family. A draft is nothing yet, and what was rejected, cancelled or reversed is nothing any more.
fn given(conn: &mut AnyConnection, kind: ProgrammeKind, persons: &[Id], years: HashSet<i32>) -> Result<HashMap<(Id, i32), i64>> {
    use DisbursementState::{Cancelled, Draft, Rejected, Reversed};
    let years: Vec<i32> = years.into_iter().collect();
    let counted = || {
        disbursements::table
            .inner_join(welfare_programmes::table.on(welfare_programmes::id.eq(disbursements::programme_id)))
            .filter(welfare_programmes::kind.eq(kind))
            .filter(disbursements::year.eq_any(years.clone()))
            .filter(disbursements::state.ne_all([Draft, Rejected, Cancelled, Reversed]))
    };
    let as_heroes: Vec<(Id, i32, i64)> = counted()
        .inner_join(heroes::table.on(heroes::id.nullable().eq(disbursements::hero_id)))
        .filter(heroes::person_id.eq_any(persons.to_vec()))
        .group_by((heroes::person_id, disbursements::year))
        .select((heroes::person_id, disbursements::year, count_star()))
        .load(conn)?;
    let of_families: Vec<(Id, i32, i64)> = counted()
        .inner_join(dependants::table.on(dependants::id.nullable().eq(disbursements::dependant_id)))
        .filter(dependants::person_id.eq_any(persons.to_vec()))
        .group_by((dependants::person_id, disbursements::year))
        .select((dependants::person_id, disbursements::year, count_star()))
        .load(conn)?;
    let mut all: HashMap<(Id, i32), i64> = HashMap::new();
    for (person, year, n) in as_heroes.into_iter().chain(of_families) {
        *all.entry((person, year)).or_default() += n;
    }
    Ok(all)
}
