//! Every figure told anew: all records are read, and what a figure counts is said a second time, in plain code over all of them. What the
//! service computes in its databases must be the same.
//!
//! The records fall by lot (`records`); `TEST_SEED` casts another one, and a failure names the one that it came of.

mod records;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use chrono::{Days, NaiveDate};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use serde_json::Value;
use yiyong::auth::UserKind;
use yiyong::figures::{Definition, FIGURES, FigureKind, Holder};
use yiyong::policy::Role;
use yiyong::web::Measure;

use crate::hosts::{Client, Host, on_each_database};

/// What figures count, and what says more of it.
const RESOURCES: &[&str] = &[
    "organizations",
    "circulars",
    "volunteer_teams",
    "volunteers",
    "publicity_assets",
    "demonstration_units",
    "inspections",
    "targets",
    "trainings",
    "campaigns",
    "campaign_events",
    "placements",
    "goods",
    "goods_movements",
    "media_items",
    "welfare_programmes",
    "welfare_batches",
    "disbursements",
];

const TIMES: &[Time] = &[
    Time::year(2021),
    Time::year(2022),
    Time::year(2023),
    Time::month(2021, 12),
    Time::month(2022, 1),
    Time::month(2022, 2),
    Time::month(2022, 5),
    Time::month(2022, 6),
    Time::month(2022, 12),
    Time::month(2023, 1),
    Time::month(2024, 2),
];

/// A year, or one month of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Time {
    year: i32,
    month: Option<u32>,
}

impl Time {
    const fn year(year: i32) -> Self {
        Self { year, month: None }
    }

    const fn month(year: i32, month: u32) -> Self {
        Self { year, month: Some(month) }
    }

    /// The first day and the last, as they are written.
    fn days(self) -> (String, String) {
        let first = |year, month| NaiveDate::from_ymd_opt(year, month, 1).expect("a day");
        let (from, after) = match self.month {
            None => (first(self.year, 1), first(self.year + 1, 1)),
            Some(12) => (first(self.year, 12), first(self.year + 1, 1)),
            Some(month) => (first(self.year, month), first(self.year, month + 1)),
        };
        (from.to_string(), (after - Days::new(1)).to_string())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "year={}", self.year)?;
        self.month.map_or(Ok(()), |month| write!(f, "&month={month}"))
    }
}

/// Says by which seed it came, where a story fails.
struct Seed(u64);

impl Seed {
    fn or(usual: u64) -> Self {
        Self(std::env::var("TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(usual))
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this came of TEST_SEED={}", self.0);
        }
    }
}

/// What a figure tells.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    value: Option<i64>,
    precision: String,
    records: u64,
    /// Codes of the organizations that hold the records.
    holders: BTreeSet<String>,
}

impl Told {
    /// What an answer says.
    fn by(figure: &Value) -> Self {
        let holders: Vec<String> =
            figure["holders"].as_array().expect("holders").iter().filter_map(|holder| holder["code"].as_str().map(str::to_owned)).collect();
        assert!(holders.is_sorted(), "in the order of their codes: {holders:?}");
        let one_each: BTreeSet<String> = holders.iter().cloned().collect();
        assert_eq!((figure["holders_total"].as_u64(), holders.len()), (Some(one_each.len() as u64), one_each.len()), "{figure}");
        Self {
            value: figure["value"].as_i64(),
            precision: figure["precision"].as_str().expect("a precision").to_owned(),
            records: figure["records"].as_u64().expect("a number"),
            holders: one_each,
        }
    }

    /// What several tell together: a sum is known where one part is, as well as the worst of those parts that are, and where another part
    /// has records that don't tell, it is what there is at least. Money is told wherever there is some.
    fn together(definition: &Definition, parts: &[Self]) -> Self {
        let known = || parts.iter().filter(|part| part.value.is_some());
        let untold = definition.measure != Measure::Fen && parts.iter().any(|part| part.value.is_none() && part.records > 0);
        Self {
            value: known().next().is_some().then(|| known().filter_map(|part| part.value).sum()),
            precision: worst(known().map(|part| part.precision.as_str()), untold && known().next().is_some()),
            records: parts.iter().map(|part| part.records).sum(),
            holders: parts.iter().flat_map(|part| part.holders.iter().cloned()).collect(),
        }
    }
}

/// 约 is worse than 余, and 余 than a number.
fn worst<'a>(parts: impl Iterator<Item = &'a str>, untold: bool) -> String {
    let parts: BTreeSet<&str> = parts.collect();
    match () {
        () if parts.contains("about") => "about",
        () if parts.contains("at_least") || untold => "at_least",
        () => "exact",
    }
    .to_owned()
}

/// All records, as somebody reads them who may see them all.
struct World {
    of: HashMap<&'static str, Vec<Value>>,
    by_id: HashMap<String, Value>,
}

impl World {
    fn read(reader: &Client<'_>) -> Self {
        let (mut of, mut by_id) = (HashMap::new(), HashMap::new());
        for resource in RESOURCES {
            let first = format!("/api/v1/{}?limit=40", resource.replace('_', "-"));
            let (mut all, mut next) = (Vec::new(), Some(first.clone()));
            while let Some(path) = next {
                let page = reader.get(&path);
                assert_eq!(page.status, 200, "{page:?}");
                all.extend(page.body["items"].as_array().expect("items").iter().cloned());
                next = page.body["next_cursor"].as_str().map(|cursor| format!("{first}&cursor={cursor}"));
            }
            // In an order that every run has.
            all.sort_by_key(|record: &Value| record["code"].as_str().map(str::to_owned));
            by_id.extend(all.iter().map(|record| (id_of(record).to_owned(), record.clone())));
            of.insert(*resource, all);
        }
        Self { of, by_id }
    }

    fn organizations(&self) -> &[Value] {
        &self.of["organizations"]
    }

    fn coded(&self, code: &str) -> &Value {
        self.organizations().iter().find(|organization| organization["code"] == code).expect("an organization")
    }

    fn code_of(&self, id: &str) -> String {
        self.by_id[id]["code"].as_str().expect("a code").to_owned()
    }

    fn children(&self, id: &str) -> impl Iterator<Item = &Value> {
        self.organizations().iter().filter(move |organization| organization["parent_id"] == id)
    }

    /// Whether an organization is another, or lies somewhere below it.
    fn lies_in(&self, id: &str, root: &str) -> bool {
        id == root || self.by_id[id]["parent_id"].as_str().is_some_and(|parent| self.lies_in(parent, root))
    }

    /// About which organization a figure is where it is asked for one: that one, or the part that it names, where it lies there.
    fn subject(&self, definition: &Definition, asked: &str) -> Option<&str> {
        match definition.holder {
            Holder::Part(code) => Some(id_of(self.coded(code))).filter(|part| self.lies_in(part, asked)),
            _ => Some(id_of(&self.by_id[asked])),
        }
    }

    /// Whether what an organization holds is meant: the city association's own, the county associations', or anybody's.
    fn is_meant(&self, definition: &Definition, holder: &str) -> bool {
        let kind = self.by_id[holder]["kind"].as_str().expect("a kind");
        match definition.holder {
            Holder::City => kind == "city_association",
            Holder::Counties => ["county_association", "county_collective"].contains(&kind),
            Holder::All | Holder::Part(_) => true,
        }
    }

    /// What a record, or that which it refers to, says to a filter of the catalogue.
    fn says<'a>(&'a self, record: &'a Value, filter: &str, last_day: &str) -> Option<&'a str> {
        let referred = |field: &str, what: &str| record[field].as_str().and_then(|id| self.by_id[id][what].as_str());
        match filter {
            "kind" | "status" | "state" | "subject" | "category" | "base_kind" | "direction" | "indicator" => record[filter].as_str(),
            "stage" => stage_on(record, last_day),
            "parent_code" => referred("parent_id", "code"),
            "campaign_kind" => referred("campaign_id", "kind"),
            "asset_kind" => referred("publicity_asset_id", "kind"),
            "goods_kind" => referred("goods_id", "kind"),
            "programme_kind" => referred("programme_id", "kind"),
            other => panic!("nobody has said what {other} asks"),
        }
    }

    /// The records that a figure counts of those that some organizations hold.
    fn counted(&self, definition: &Definition, time: Time, holds: impl Fn(&str) -> bool) -> Vec<&Value> {
        let (_, last_day) = time.days();
        let meets = |record: &&Value| {
            let mut filters = definition.filter.iter();
            let holder = holder_of(definition.resource, record);
            holds(holder)
                && self.is_meant(definition, holder)
                && filters
                    .all(|(name, wanted)| self.says(record, name, &last_day).is_some_and(|said| wanted.split(',').any(|one| one == said)))
                && is_of(definition, record, time)
        };
        self.of[definition.resource].iter().filter(meets).collect()
    }

    /// The records behind a figure of an organization and all below it; none at all, where the part that it names lies elsewhere.
    fn behind(&self, definition: &Definition, asked: &str, time: Time) -> Option<Vec<&Value>> {
        let subject = self.subject(definition, asked)?;
        Some(self.counted(definition, time, |holder| self.lies_in(holder, subject)))
    }

    /// What a figure makes of the records that it counts.
    fn tell(&self, definition: &Definition, asked: &str, counted: &[&Value]) -> Told {
        let holders: BTreeSet<String> = counted.iter().map(|record| self.code_of(holder_of(definition.resource, record))).collect();
        let (value, precision) = match (definition.measure, definition.resource) {
            (Measure::Count, _) => (Some(counted.len() as i64), "exact".to_owned()),
            (Measure::Organizations, _) => (Some(holders.len() as i64), "exact".to_owned()),
            // Of its own targets the one that was set last; of others' the one that they agree upon.
            (Measure::Value, _) => {
                let own = counted.iter().filter(|target| target["organization_id"] == asked).max_by_key(|target| id_of(target));
                let values: BTreeSet<i64> = counted.iter().filter_map(|target| target["value"].as_i64()).collect();
                let agreed = values.first().copied().filter(|_| values.len() == 1);
                (own.map_or(agreed, |target| target["value"].as_i64()), "exact".to_owned())
            }
            (Measure::Quantity, _) => sum(counted, "quantity"),
            (Measure::Attendances, _) => sum(counted, "attendances"),
            (Measure::People, "campaign_events") => sum(counted, "participants"),
            (Measure::People, _) => sum(counted, "people"),
            // What is given in kind has no amount, and that is known.
            (Measure::Fen, _) => {
                let amounts: Vec<i64> = counted.iter().filter_map(|record| record["amount_fen"].as_i64()).collect();
                ((!amounts.is_empty()).then(|| amounts.iter().sum()), "exact".to_owned())
            }
        };
        Told { value, precision, records: counted.len() as u64, holders }
    }

    fn told(&self, definition: &Definition, asked: &str, time: Time) -> Option<Told> {
        self.behind(definition, asked, time).map(|counted| self.tell(definition, asked, &counted))
    }
}

fn id_of(record: &Value) -> &str {
    record["id"].as_str().expect("an id")
}

/// Whose a record is. An organization is its own.
fn holder_of<'a>(resource: &str, record: &'a Value) -> &'a str {
    if resource == "organizations" { id_of(record) } else { record["organization_id"].as_str().expect("an organization") }
}

/// The stage of a thing on a day: that of the last fact by then.
fn stage_on<'a>(record: &'a Value, day: &str) -> Option<&'a str> {
    let by_then = record["stages"].as_array()?.iter().filter(|stage| stage["effective_on"].as_str().is_some_and(|on| on <= day));
    by_then.max_by_key(|stage| stage["effective_on"].as_str())?["stage"].as_str()
}

/// Whether a record is of a time: there on its last day, counted in its year, or of a day of its month.
fn is_of(definition: &Definition, record: &Value, time: Time) -> bool {
    let (first, last) = time.days();
    let day = |field: &str| record[field].as_str();
    let there = |from: &str, until: &str| {
        day(from).is_some_and(|from| from <= last.as_str()) && day(until).is_none_or(|until| until > last.as_str())
    };
    let within = |field: &str| day(field).is_some_and(|day| first.as_str() <= day && day <= last.as_str());
    match (definition.kind, definition.resource, time.month) {
        // The tree is what it is today.
        (_, "organizations", _) => true,
        (FigureKind::Stock, "volunteer_teams", _) => there("established_on", "disbanded_on"),
        (FigureKind::Stock, "volunteers", _) => there("registered_on", "left_on"),
        // These have a stage then, and which it is was asked.
        (FigureKind::Stock, "publicity_assets" | "demonstration_units", _) => stage_on(record, &last).is_some(),
        (FigureKind::Stock, other, _) => panic!("nobody has said since when {other} are there"),
        (FigureKind::Standard, ..) | (FigureKind::Flow, _, None) => record["year"] == time.year,
        (FigureKind::Flow, "circulars", _) => within("issued_on"),
        (FigureKind::Flow, "inspections", _) => within("inspected_on"),
        (FigureKind::Flow, "trainings" | "campaign_events", _) => within("held_on"),
        (FigureKind::Flow, "placements" | "welfare_batches", _) => within("starts_on"),
        (FigureKind::Flow, "goods_movements", _) => within("moved_on"),
        (FigureKind::Flow, "media_items", _) => within("published_on"),
        // Of what was paid by a day at the latest the month isn't known.
        (FigureKind::Flow, "disbursements", _) => within("paid_on") && record["paid_on_precision"] == "exact",
        (FigureKind::Flow, other, _) => panic!("nobody has said on which day {other} are"),
    }
}

/// The sum of a number that some records tell, and how well it is known.
fn sum(records: &[&Value], field: &str) -> (Option<i64>, String) {
    let told: Vec<(i64, &str)> = records
        .iter()
        .filter_map(|record| Some((record[field].as_i64()?, record[format!("{field}_precision")].as_str().expect("a precision"))))
        .collect();
    if told.is_empty() {
        return (None, "exact".into());
    }
    (Some(told.iter().map(|(number, _)| number).sum()), worst(told.iter().map(|(_, precision)| *precision), told.len() < records.len()))
}

fn address(definition: &Definition, asked: &str, time: Time) -> String {
    format!("/api/v1/figures/{}?{time}&organization_id={asked}", definition.code)
}

/// Asks for a figure, and holds it and its records against what is told anew.
fn asked_for(reader: &Client<'_>, world: &World, definition: &Definition, asked: &str, time: Time) -> Option<Told> {
    let path = address(definition, asked, time);
    let answer = reader.get(&path);
    let Some(behind) = world.behind(definition, asked, time) else {
        assert_eq!(answer.status, 404, "{path}: its part lies elsewhere: {answer:?}");
        return None;
    };
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    let figure = &answer.body;
    let anew = world.tell(definition, asked, &behind);
    assert_eq!(Told::by(figure), anew, "{path} of {}", world.code_of(asked));
    assert_eq!(figure["organization"]["id"].as_str(), world.subject(definition, asked), "{path}");
    let (first, last) = time.days();
    if definition.kind == FigureKind::Stock {
        assert_eq!((figure["as_at"].as_str(), &figure["period"]), (Some(last.as_str()), &Value::Null), "{path}");
    } else {
        let days = [&figure["period"]["from_on"], &figure["period"]["to_on"]].map(Value::as_str);
        assert_eq!((days, &figure["as_at"]), ([Some(first.as_str()), Some(last.as_str())], &Value::Null), "{path}");
    }

    let url = figure["records_url"].as_str().expect("an address");
    let list = reader.get(&format!("{url}&count=true&limit=200"));
    assert_eq!((list.status, list.body["total"].as_u64()), (200, Some(anew.records)), "{url}");
    let listed: BTreeSet<&str> = list.body["items"].as_array().expect("items").iter().map(id_of).collect();
    assert_eq!(listed, behind.iter().map(|record| id_of(record)).collect(), "{url}");
    Some(anew)
}

/// Whether what is told of some organizations adds up to what is told of them together. A target isn't a part of another, and a part that a
/// figure names is the same wherever it is asked for.
fn adds_up(definition: &Definition) -> bool {
    definition.measure != Measure::Value && !matches!(definition.holder, Holder::Part(_))
}

#[test]
fn every_figure_is_what_all_records_say() {
    on_each_database(|host| {
        let seed = Seed::or(20_220_617);
        records::write(host, seed.0);
        let reader = host.user("reader", Role::Auditor, Some("hn"));
        let world = World::read(&reader);
        let mut lot = StdRng::seed_from_u64(seed.0);
        let mut silent: BTreeSet<&str> = FIGURES.iter().map(|definition| definition.code).collect();
        for definition in FIGURES {
            for times in [&TIMES[..3], &TIMES[3..]] {
                // One of which there is something to tell, where there is one.
                let busy: Vec<Time> = times.iter().copied().filter(|time| !world.counted(definition, *time, |_| true).is_empty()).collect();
                let time = *busy.choose(&mut lot).or_else(|| times.choose(&mut lot)).expect("a time");
                let mut told: BTreeMap<&str, Told> = BTreeMap::new();
                for organization in world.organizations() {
                    let id = id_of(organization);
                    told.extend(asked_for(&reader, &world, definition, id, time).map(|figure| (id, figure)));
                }
                if told.values().any(|figure| figure.records > 0) {
                    silent.remove(definition.code);
                }
                // Whoever lies below, and what is held here, is all that there is.
                for (id, figure) in told.iter().filter(|_| adds_up(definition)) {
                    let own = world.tell(definition, id, &world.counted(definition, time, |holder| holder == *id));
                    let parts: Vec<Told> = world.children(id).map(|child| told[id_of(child)].clone()).chain([own]).collect();
                    assert_eq!(*figure, Told::together(definition, &parts), "{}", address(definition, id, time));
                }
            }
        }
        // Of another lot it may be so.
        let usual = std::env::var_os("TEST_SEED").is_none();
        assert!(silent.is_empty() || !usual, "a figure that counts nothing proves nothing: {silent:?}");
    });
}

/// Somebody who may ask for figures, somewhere, and see the records of some areas.
struct Viewer<'a> {
    client: Client<'a>,
    place: &'static str,
    sees: &'static [&'static str],
}

/// What is decided alike of who may see it.
fn area(resource: &str) -> &'static str {
    match resource {
        "organizations" => "organizations",
        "circulars" | "volunteer_teams" | "demonstration_units" | "inspections" | "targets" | "trainings" => "work",
        "publicity_assets" | "campaign_events" | "placements" | "goods_movements" | "media_items" => "publicity",
        "volunteers" => "people",
        "welfare_batches" | "disbursements" => "welfare",
        other => panic!("nobody has said who sees {other}"),
    }
}

/// Who counts and doesn't see, each in their own way.
fn viewers(host: &Host) -> Vec<Viewer<'_>> {
    let viewer = |name: &str, role, place, sees| Viewer { client: host.user(name, role, Some(place)), place, sees };
    vec![
        Viewer { client: host.sign_in("platform", UserKind::Person), place: "hn", sees: &["organizations"] },
        viewer("province", Role::ProvinceViewer, "hn", &["organizations", "work", "publicity"]),
        viewer("press", Role::PublicityOfficer, "zz", &["organizations", "work", "publicity"]),
        viewer("helper", Role::WelfareOfficer, "zz", &["organizations", "work", "people", "welfare"]),
        viewer("cashier", Role::Finance, "zz", &["organizations", "welfare"]),
        viewer("county", Role::PublicityOfficer, "zz-dengfeng", &["organizations", "work", "publicity"]),
    ]
}

#[test]
fn who_may_not_see_the_records_sees_the_number() {
    on_each_database(|host| {
        let seed = Seed::or(20_221_231);
        records::write(host, seed.0);
        let reader = host.user("reader", Role::Auditor, Some("hn"));
        let world = World::read(&reader);
        let mut lot = StdRng::seed_from_u64(seed.0);
        reports(&reader, &world);
        returns(&reader, &world);
        public(host, &world);
        let liaison = host.user("liaison", Role::LiaisonOfficer, Some("zz"));
        for viewer in viewers(host) {
            let place = id_of(world.coded(viewer.place));
            let (inside, outside): (Vec<&str>, Vec<&str>) =
                world.organizations().iter().map(id_of).partition(|organization| world.lies_in(organization, place));
            for definition in FIGURES {
                let time = *TIMES.choose(&mut lot).expect("a time");
                let asked = if lot.random_bool(0.5) { place } else { *inside.choose(&mut lot).expect("an organization") };
                let path = address(definition, asked, time);
                let (theirs, readers) = (viewer.client.get(&path), reader.get(&path));
                let Some(told) = world.told(definition, asked, time) else {
                    assert_eq!((theirs.status, readers.status), (404, 404), "{path}");
                    continue;
                };
                assert_eq!((theirs.status, &theirs.body), (200, &readers.body), "{path}");
                assert_eq!(Told::by(&theirs.body), told, "{path} for {}", viewer.place);
                let url = format!("{}&count=true&limit=200", theirs.body["records_url"].as_str().expect("an address"));
                let behind = viewer.client.get(&url);
                if viewer.sees.contains(&area(definition.resource)) {
                    assert_eq!((behind.status, behind.body["total"].as_u64()), (200, Some(told.records)), "{url}");
                } else {
                    assert_eq!((behind.status, behind.code()), (403, "forbidden"), "{url}: {behind:?}");
                    assert!(behind.body.get("items").is_none() && behind.body.get("total").is_none(), "{behind:?}");
                }
                if let Some(elsewhere) = outside.choose(&mut lot) {
                    assert_eq!(viewer.client.get(&address(definition, elsewhere, time)).status, 404, "{path}");
                }
                // Who sees some of the records need not be told the sums.
                assert_eq!(liaison.get(&path).status, 403, "{path}");
            }
        }
    });
}

/// The report of a year is the same figures, each beside what it was a year before: of a county without what is the city's alone, and
/// without parts that lie elsewhere.
fn reports(reader: &Client<'_>, world: &World) {
    for organization in world.organizations() {
        let id = id_of(organization);
        let is_county = ["county_association", "county_collective"].contains(&organization["kind"].as_str().expect("a kind"));
        for year in 2021..=2024 {
            let path = format!("/api/v1/reports/annual/{year}?organization_id={id}");
            let report = reader.get(&path);
            assert_eq!(report.status, 200, "{report:?}");
            let sections = report.body["sections"].as_array().expect("sections").iter();
            let mut figures = sections.flat_map(|section| section["figures"].as_array().expect("figures"));
            for definition in FIGURES.iter().filter(|definition| !(is_county && definition.holder == Holder::City)) {
                let Some(told) = world.told(definition, id, Time::year(year)) else { continue };
                let figure = figures.next().unwrap_or_else(|| panic!("{path}: no {}", definition.code));
                assert_eq!((&figure["code"], Told::by(figure)), (&Value::from(definition.code), told), "{path}");
                let before = world.told(definition, id, Time::year(year - 1)).expect("told of one year, told of another");
                let said = (figure["year_before"]["value"].as_i64(), figure["year_before"]["precision"].as_str().unwrap_or_default());
                assert_eq!(said, (before.value, before.precision.as_str()), "{path}: {} a year before", definition.code);
            }
            assert_eq!(figures.next(), None, "{path}: one too many");
        }
    }
}

/// What counties find in their monthly returns is computed for all of them at once, and is what each would be told alone.
fn returns(reader: &Client<'_>, world: &World) {
    let listed = reader.get("/api/v1/monthly-returns?limit=200");
    let listed = listed.body["items"].as_array().expect("items");
    assert!(!listed.is_empty());
    for one in listed {
        let one = reader.get(&format!("/api/v1/monthly-returns/{}", id_of(one))).body;
        let (year, month) = one["month"].as_str().and_then(|text| text.split_once('-')).expect("a month");
        let time = Time::month(year.parse().expect("a year"), month.parse().expect("a month"));
        let organization = one["organization_id"].as_str().expect("an organization");
        for cell in one["cells"].as_array().expect("cells") {
            let definition = FIGURES.iter().find(|definition| cell["figure"] == definition.code).expect("a figure");
            let told = world.told(definition, organization, time).expect("a county has it");
            let said = (cell["computed"].as_i64(), cell["computed_precision"].as_str().unwrap_or_default(), cell["records"].as_u64());
            assert_eq!(
                said,
                (told.value, told.precision.as_str(), Some(told.records)),
                "{} of {} in its return of {time}",
                definition.code,
                world.code_of(organization)
            );
        }
    }
}

/// The public is told the same numbers.
fn public(host: &Host, world: &World) {
    let mut places: Vec<&Value> = world.organizations().iter().collect();
    places.shuffle(&mut StdRng::seed_from_u64(1));
    for place in places.into_iter().take(6) {
        for year in [2021, 2022] {
            let code = place["code"].as_str().expect("a code");
            let path = format!("/api/v1/public/figures?year={year}&organization_code={code}");
            let told = host.nobody().get(&path);
            assert_eq!(told.status, 200, "{told:?}");
            for figure in told.body["items"].as_array().expect("items") {
                let definition = FIGURES.iter().find(|definition| figure["code"] == definition.code).expect("a figure");
                let anew = world.told(definition, id_of(place), Time::year(year)).expect("told");
                let said = (figure["value"].as_i64(), figure["precision"].as_str().unwrap_or_default());
                assert_eq!(said, (anew.value, anew.precision.as_str()), "{path}: {}", definition.code);
            }
        }
    }
}
