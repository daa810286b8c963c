//! The chain as a pure rule: what a link's hash is made of, and how a walk along the links tells what isn't as it was.

use chrono::NaiveDate;
use diesel::prelude::*;
use sha2::{Digest, Sha256};

use super::Event;
use crate::error::Says;
use crate::schema::audit_links;
use crate::types::{Id, TextEnum, text_enum};

/// Of the way in which hashes are made now. A link tells its own, so that a later way leaves the earlier links true.
pub const VERSION: i32 = 1;

/// What stands before the first link.
pub const BEGINNING: [u8; 32] = [0; 32];

/// An event's place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Insertable, Queryable, Selectable)]
#[diesel(table_name = audit_links, treat_none_as_default_value = false)]
pub struct Link {
    pub sequence: i64,
    /// On which it was sealed, in Asia/Shanghai. Days never go back along the chain.
    pub day: NaiveDate,
    pub event_id: Id,
    pub version: i32,
    pub hash: Vec<u8>,
}

/// The hash of the link that hangs an event on the chain: SHA-256 of version, hash before, and all that place and row
/// say. Each part is preceded by its length, so that no two rows read the same. `None` of a version that isn't known.
pub fn hash(version: i32, before: &[u8], sequence: i64, day: NaiveDate, event: &Event) -> Option<Vec<u8>> {
    if version != VERSION {
        return None;
    }
    let mut digest = Sha256::new();
    let mut part = |bytes: Option<&[u8]>| match bytes {
        None => digest.update([0]),
        Some(bytes) => {
            digest.update([1]);
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        }
    };
    let id = |id: &Id| *id.0.as_bytes();
    part(Some(&version.to_be_bytes()));
    part(Some(before));
    part(Some(&sequence.to_be_bytes()));
    part(Some(day.to_string().as_bytes()));
    part(Some(&id(&event.id)));
    part(Some(&event.at.0.timestamp_micros().to_be_bytes()));
    part(event.actor_id.as_ref().map(id).as_ref().map(<[u8; 16]>::as_slice));
    part(Some(event.action.as_bytes()));
    part(Some(event.resource.as_bytes()));
    part(event.record_id.as_ref().map(id).as_ref().map(<[u8; 16]>::as_slice));
    part(event.organization_id.as_ref().map(id).as_ref().map(<[u8; 16]>::as_slice));
    part(event.person_id.as_ref().map(id).as_ref().map(<[u8; 16]>::as_slice));
    part(event.address.as_ref().map(String::as_bytes));
    part(Some(event.outcome.code().as_bytes()));
    part(Some(event.request_id.as_bytes()));
    part(event.detail.as_ref().map(String::as_bytes));
    Some(digest.finalize().to_vec())
}

/// The links that hang events on the end of a chain.
pub fn extended(last: Option<&Link>, day: NaiveDate, events: &[Event]) -> Vec<Link> {
    let (mut sequence, mut before) = last.map_or((0, BEGINNING.to_vec()), |last| (last.sequence, last.hash.clone()));
    let mut links = Vec::with_capacity(events.len());
    for event in events {
        sequence += 1;
        let Some(hash) = hash(VERSION, &before, sequence, day, event) else { break };
        before.clone_from(&hash);
        links.push(Link { sequence, day, event_id: event.id, version: VERSION, hash });
    }
    links
}

text_enum! {
    /// What is wrong with a place of the audit log.
    AuditFaultKind {
        Changed = "changed", "内容被改动", "changed";
        Missing = "missing", "缺失", "missing";
        Reordered = "reordered", "次序被调换", "reordered";
        Unsealed = "unsealed", "未封入链", "not sealed";
        Signature = "signature", "签名不符", "wrong signature";
    }
}

/// One place that isn't as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainFault {
    pub kind: AuditFaultKind,
    pub event_id: Option<Id>,
    pub day: Option<NaiveDate>,
    pub sequence: Option<i64>,
    pub says: Says,
}

impl ChainFault {
    pub fn at(kind: AuditFaultKind, link: &Link, says: Says) -> Self {
        Self { kind, event_id: Some(link.event_id), day: Some(link.day), sequence: Some(link.sequence), says }
    }
}

/// What was found where a link points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pointed {
    To(Box<Event>),
    ToNothing,
    /// There is a row, and what stands in it can't be what was written.
    ToNonsense,
}

/// A link whose hash isn't what the row and the link before make it.
#[derive(Debug, Clone)]
struct Suspect {
    link: Link,
    event: Event,
    before: Vec<u8>,
}

/// How many suspects are held against each other: who has changed places is found among so many.
const COMPARED: usize = 32;

/// A walk along the chain. It holds the last link, and what it has found so far.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    pub last: Option<Link>,
    /// Links that are as they were.
    pub verified: i64,
    pub faults: Vec<ChainFault>,
    suspects: Vec<Suspect>,
}

impl Walk {
    /// A walk that goes on after a link, which it takes as given.
    pub fn after(last: Option<Link>) -> Self {
        Self { last, ..Self::default() }
    }

    /// How many faults there may be.
    pub fn doubts(&self) -> usize {
        self.faults.len() + self.suspects.len()
    }

    pub fn step(&mut self, link: Link, pointed: Pointed) {
        let expected = self.last.as_ref().map_or(1, |last| last.sequence + 1);
        let gap = link.sequence != expected;
        if gap {
            let (first, last) = (expected, link.sequence - 1);
            self.faults.push(ChainFault {
                kind: AuditFaultKind::Missing,
                event_id: None,
                day: Some(link.day),
                sequence: Some(first),
                says: Says::new(
                    format!("链上缺少第 {first} 至 {last} 号，可从备份中查找"),
                    format!("numbers {first} to {last} of the chain are gone; look for them in a backup"),
                ),
            });
        }
        match pointed {
            Pointed::ToNothing => self.faults.push(ChainFault::at(
                AuditFaultKind::Missing,
                &link,
                Says::new("此审计记录已被删除，可从备份中查找", "this row of the log was deleted; look for it in a backup"),
            )),
            Pointed::ToNonsense => self.faults.push(changed(&link)),
            Pointed::To(event) => {
                let before = self.last.as_ref().map_or_else(|| BEGINNING.to_vec(), |last| last.hash.clone());
                if gap {
                    // What stood before is gone, so this can't be judged.
                } else if hash(link.version, &before, link.sequence, link.day, &event).as_ref() == Some(&link.hash) {
                    self.verified += 1;
                } else {
                    self.suspects.push(Suspect { link: link.clone(), event: *event, before });
                }
            }
        }
        self.last = Some(link);
    }

    /// What is wrong with each suspect. A link is also suspect when only the one before it isn't what it was, and
    /// that one is named, not this.
    pub fn settle(&mut self) {
        let suspects = std::mem::take(&mut self.suspects);
        let compared = &suspects[..suspects.len().min(COMPARED)];
        let mut befores: Vec<Vec<u8>> = Vec::new();
        for suspect in compared {
            befores.extend([suspect.before.clone(), suspect.link.hash.clone()]);
            befores.extend(hash(suspect.link.version, &suspect.before, suspect.link.sequence, suspect.link.day, &suspect.event));
        }
        let makes = |suspect: &Suspect, before: &[u8], place: &Link, event: &Event| {
            hash(suspect.link.version, before, place.sequence, place.day, event).as_ref() == Some(&suspect.link.hash)
        };
        let mut acquitted = Vec::new();
        let named = self.faults.len();
        for suspect in &suspects {
            let fits = |place: &Link, event: &Event| befores.iter().any(|before| makes(suspect, before, place, event));
            if fits(&suspect.link, &suspect.event) {
                acquitted.push(suspect);
            } else if compared.iter().any(|other| fits(&other.link, &suspect.event) || fits(&suspect.link, &other.event)) {
                self.faults.push(reordered(&suspect.link));
            } else {
                self.faults.push(changed(&suspect.link));
            }
        }
        if self.faults.len() == named {
            // Each fits somewhere and none where it stands.
            self.faults.extend(acquitted.into_iter().map(|suspect| reordered(&suspect.link)));
        } else {
            self.verified += i64::try_from(acquitted.len()).unwrap_or(i64::MAX);
        }
        self.faults.sort_by_key(|fault| fault.sequence);
    }
}

fn changed(link: &Link) -> ChainFault {
    let says = Says::new(
        "此审计记录或其链环在封存后被改动，请与备份比对",
        "this row of the log, or its link, was changed after it was sealed; compare it with a backup",
    );
    ChainFault::at(AuditFaultKind::Changed, link, says)
}

fn reordered(link: &Link) -> ChainFault {
    let says = Says::new(
        "此审计记录不在原来的位置，次序被调换，请与备份比对",
        "this row of the log stands in another's place; compare the order with a backup",
    );
    ChainFault::at(AuditFaultKind::Reordered, link, says)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audit::AuditOutcome;
    use crate::types::Instant;

    fn an_id() -> impl Strategy<Value = Id> {
        any::<[u8; 16]>().prop_map(|bytes| Id(uuid::Uuid::from_bytes(bytes)))
    }

    fn a_text() -> impl Strategy<Value = String> {
        proptest::collection::vec(any::<char>(), 0..6).prop_map(|chars| chars.into_iter().collect())
    }

    fn an_event() -> impl Strategy<Value = Event> {
        let ids = (an_id(), proptest::option::of(an_id()), proptest::option::of(an_id()), proptest::option::of(an_id()));
        let rest = (proptest::option::of(an_id()), any::<u32>(), any::<bool>());
        let texts = (a_text(), a_text(), a_text(), proptest::option::of(a_text()), proptest::option::of(a_text()));
        (ids, rest, texts).prop_map(|((id, actor_id, record_id, organization_id), (person_id, at, done), texts)| Event {
            id,
            at: Instant::now().plus_seconds(-i64::from(at)),
            actor_id,
            action: texts.0,
            resource: texts.1,
            record_id,
            organization_id,
            request_id: texts.2,
            detail: texts.3,
            address: texts.4,
            outcome: if done { AuditOutcome::Done } else { AuditOutcome::Refused },
            person_id,
        })
    }

    /// One column of a row, taken from another row.
    fn with_column(event: &Event, column: usize, other: &Event) -> Event {
        let (mut event, other) = (event.clone(), other.clone());
        match column {
            0 => event.id = other.id,
            1 => event.at = other.at,
            2 => event.actor_id = other.actor_id,
            3 => event.action = other.action,
            4 => event.resource = other.resource,
            5 => event.record_id = other.record_id,
            6 => event.organization_id = other.organization_id,
            7 => event.request_id = other.request_id,
            8 => event.detail = other.detail,
            9 => event.address = other.address,
            10 => event.outcome = other.outcome,
            _ => event.person_id = other.person_id,
        }
        event
    }

    fn day() -> NaiveDate {
        NaiveDate::from_ymd_opt(2022, 6, 17).expect("a day")
    }

    fn walked(links: &[Link], events: &[Event]) -> Walk {
        let mut walk = Walk::default();
        for link in links {
            let event = events.iter().find(|event| event.id == link.event_id);
            walk.step(link.clone(), event.map_or(Pointed::ToNothing, |event| Pointed::To(Box::new(event.clone()))));
        }
        walk.settle();
        walk
    }

    fn found(walk: &Walk) -> Vec<(AuditFaultKind, Option<i64>)> {
        walk.faults.iter().map(|fault| (fault.kind, fault.sequence)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Whatever column of whatever row is changed, that row is named and no other.
        #[test]
        fn any_single_change_is_found(
            events in proptest::collection::vec(an_event(), 2..7),
            at in any::<prop::sample::Index>(), column in 0_usize..12, other in an_event(),
        ) {
            let links = extended(None, day(), &events);
            let whole = walked(&links, &events);
            prop_assert_eq!((found(&whole), whole.verified), (vec![], events.len() as i64));
            let at = at.index(events.len());
            let mut tampered = events.clone();
            tampered[at] = with_column(&events[at], column, &other);
            prop_assume!(tampered[at] != events[at]);
            let kind = if column == 0 { AuditFaultKind::Missing } else { AuditFaultKind::Changed };
            let walk = walked(&links, &tampered);
            prop_assert_eq!(found(&walk), vec![(kind, Some(at as i64 + 1))]);
            prop_assert_eq!(walk.verified, events.len() as i64 - 1);
        }

        /// Whatever is changed of a link is found as well.
        #[test]
        fn a_changed_link_is_found(events in proptest::collection::vec(an_event(), 2..7), at in any::<prop::sample::Index>(), what in 0..4) {
            let mut links = extended(None, day(), &events);
            let at = at.index(links.len());
            match what {
                0 => links[at].day = day().succ_opt().expect("a day"),
                1 => links[at].version += 1,
                2 => links[at].hash[7] ^= 1,
                _ => links[at].hash.truncate(31),
            }
            prop_assert_eq!(found(&walked(&links, &events)), vec![(AuditFaultKind::Changed, Some(at as i64 + 1))]);
        }

        /// Two that have changed places are both named, whether their numbers or the rows they point to were exchanged.
        #[test]
        fn exchanged_places_are_found(
            events in proptest::collection::vec(an_event(), 3..9),
            one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(), numbers in any::<bool>(),
        ) {
            let (one, other) = (one.index(events.len()), other.index(events.len()));
            prop_assume!(one < other);
            let mut links = extended(None, day(), &events);
            if numbers {
                links.swap(one, other);
                (links[one].sequence, links[other].sequence) = (links[other].sequence, links[one].sequence);
            } else {
                (links[one].event_id, links[other].event_id) = (links[other].event_id, links[one].event_id);
            }
            let both = vec![(AuditFaultKind::Reordered, Some(one as i64 + 1)), (AuditFaultKind::Reordered, Some(other as i64 + 1))];
            prop_assert_eq!(found(&walked(&links, &events)), both);
        }

        /// A link that is gone leaves its number open.
        #[test]
        fn a_missing_link_is_found(events in proptest::collection::vec(an_event(), 3..9), at in any::<prop::sample::Index>()) {
            let mut links = extended(None, day(), &events);
            let at = at.index(links.len() - 1);
            links.remove(at);
            prop_assert_eq!(found(&walked(&links, &events)), vec![(AuditFaultKind::Missing, Some(at as i64 + 1))]);
        }
    }

    /// A null is not an empty text, and what moves from one column to the next is another row.
    #[test]
    fn no_two_rows_read_the_same() {
        let event = Event {
            id: Id::new(),
            at: Instant::now(),
            actor_id: None,
            action: "ab".into(),
            resource: "c".into(),
            record_id: None,
            organization_id: None,
            request_id: "r".into(),
            detail: None,
            address: None,
            outcome: AuditOutcome::Done,
            person_id: None,
        };
        let of = |event: &Event| hash(VERSION, &BEGINNING, 1, day(), event);
        let others = [
            Event { detail: Some(String::new()), ..event.clone() },
            Event { address: Some(String::new()), ..event.clone() },
            Event { action: "a".into(), resource: "bc".into(), ..event.clone() },
            Event { actor_id: Some(event.id), ..event.clone() },
            Event { record_id: Some(event.id), ..event.clone() },
            Event { person_id: Some(event.id), ..event.clone() },
        ];
        let hashes: std::collections::HashSet<_> = others.iter().chain([&event]).map(of).collect();
        assert_eq!(hashes.len(), 7);
        assert_eq!(hash(VERSION + 1, &BEGINNING, 1, day(), &event), None);
    }
}
