//! Records by lot: of all that figures count over, with what counts and what doesn't, on days around the ends of months and years.
//!
//! One seed makes the same records on every database.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use yiyong::auth::UserKind;
use yiyong::policy::Role;

use crate::hosts::{Client, Host};
use crate::ledger::{Purse, purse};
use crate::monthly_returns::{done, form, opened};
use crate::welfare::{DISBURSEMENTS, made, organization, step};

const DAYS: &[&str] = &[
    "2021-06-30",
    "2021-11-30",
    "2021-12-01",
    "2021-12-30",
    "2021-12-31",
    "2022-01-01",
    "2022-01-02",
    "2022-01-31",
    "2022-02-01",
    "2022-02-28",
    "2022-03-01",
    "2022-05-31",
    "2022-06-01",
    "2022-06-15",
    "2022-06-30",
    "2022-07-01",
    "2022-11-30",
    "2022-12-01",
    "2022-12-30",
    "2022-12-31",
    "2023-01-01",
    "2023-01-31",
    "2023-02-01",
    "2023-02-28",
    "2023-12-31",
    "2024-01-01",
    "2024-02-29",
];
const YEARS: &[&str] = &["2021", "2022", "2022", "2023"];
const DATE_PRECISIONS: &[&str] = &["exact", "at_latest", ""];
const STAGES: &[&str] = &["planned", "under_construction", "completed", "completed", "completed", "retired"];
/// Organizations that only sum up others, and have no purse.
const COLLECTIVES: &[&str] = &["county_collective", "joint_collective"];

/// What falls by lot.
struct Lot {
    random: StdRng,
    /// Codes of the organizations, each with its kind.
    places: Vec<(String, &'static str)>,
}

impl Lot {
    fn of<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.choose(&mut self.random).copied().expect("something to choose from")
    }

    fn often(&mut self, of_a_hundred: u32) -> bool {
        self.random.random_range(0..100) < of_a_hundred
    }

    fn number(&mut self, to: i64) -> i64 {
        self.random.random_range(1..=to)
    }

    fn day(&mut self) -> &'static str {
        self.of(DAYS)
    }

    fn day_within(&mut self, fits: impl Fn(&str) -> bool) -> &'static str {
        let days: Vec<&str> = DAYS.iter().copied().filter(|day| fits(day)).collect();
        self.of(&days)
    }

    /// An organization; every now and then one of those that figures are about alone.
    fn place(&mut self) -> String {
        match self.random.random_range(0..100) {
            0..30 => "zz".into(),
            30..42 => "zz-gaoxin".into(),
            42..50 => "zz-dengfeng".into(),
            _ => self.places.choose(&mut self.random).expect("a place").0.clone(),
        }
    }

    /// Two cells, the year and the day: one of them alone, or both, which then agree.
    fn when(&mut self) -> String {
        let day = self.day();
        match self.random.random_range(0..3) {
            0 => format!("{},", self.of(YEARS)),
            1 => format!(",{day}"),
            _ => format!("{},{day}", &day[..4]),
        }
    }

    /// Two cells, a number and how exactly it is known; a number that isn't known may say that too.
    fn quantity(&mut self) -> String {
        let number = if self.often(20) { String::new() } else { self.number(500).to_string() };
        format!("{number},{}", self.precision())
    }

    fn precision(&mut self) -> &'static str {
        self.of(&["exact", "exact", "exact", "", "at_least", "about"])
    }

    /// Three cells: from when, whether it is over, and since when.
    fn life(&mut self, over: &str) -> String {
        let (from, precision) = (self.day(), self.of(DATE_PRECISIONS));
        if self.often(35) {
            let to = self.day_within(|day| day >= from);
            return format!("{from},{precision},{over},{to}");
        }
        format!("{from},{precision},{},", self.of(&["active", "active", "suspended", ""]))
    }

    fn stage(&mut self) -> String {
        format!("{},{},{}", self.of(STAGES), self.day(), self.of(DATE_PRECISIONS))
    }
}

fn rows(n: usize, row: impl FnMut(usize) -> String) -> Vec<String> {
    (0..n).map(row).collect()
}

/// Code and organization, with which a row begins.
fn begins(row: &str) -> &str {
    row.match_indices(',').nth(1).map_or(row, |(at, _)| &row[..at])
}

fn import(importer: &Client<'_>, resource: &str, header: &str, rows: &[String]) {
    let csv = format!("{header}\n{}\n", rows.join("\n"));
    let answer = importer.import(resource, csv.as_bytes(), &[("mode", "upsert")]);
    let read: u64 = ["rows_created", "rows_updated", "rows_unchanged"].iter().filter_map(|rows| answer.body[*rows].as_u64()).sum();
    assert_eq!((answer.status, read), (201, rows.len() as u64), "{resource}: {answer:?}\n{csv}");
}

/// Whoever writes: somebody who imports, and those by whose hands money goes.
struct Hands<'a> {
    platform: Client<'a>,
    city: Client<'a>,
    importer: Client<'a>,
    leader: Client<'a>,
    finance: Client<'a>,
}

/// Writes the records of a seed.
pub fn write(host: &Host, seed: u64) {
    let city = host.planted();
    let hands = Hands {
        platform: host.sign_in("platform", UserKind::Person),
        city,
        importer: host.user("importer", Role::Service, Some("hn")),
        leader: host.user("leader", Role::Leader, Some("hn")),
        finance: host.user("finance", Role::Finance, Some("hn")),
    };
    let mut lot = Lot { random: StdRng::seed_from_u64(seed), places: Vec::new() };
    tree(&hands, &mut lot);
    people(&hands, &mut lot);
    publicity(&hands, &mut lot);
    campaigns(&hands, &mut lot);
    the_years_work(&hands, &mut lot);
    welfare(&hands, &mut lot);
    change(&hands, &mut lot);
    ask_the_counties(&hands);
}

/// Two cities below the province, counties, what sums up others, and whatever lies below any of these.
fn tree(hands: &Hands<'_>, lot: &mut Lot) {
    let known = [
        ("hn", "", "provincial_foundation"),
        ("zz", "hn", "city_association"),
        ("zz-dengfeng", "zz", "county_association"),
        ("zz-gaoxin", "zz", "county_association"),
        ("zz-erqi", "zz", "county_association"),
        ("zz-erqi-south", "zz-erqi", "county_association"),
        ("zz-counties", "zz", "county_collective"),
        ("zz-city-and-counties", "zz", "joint_collective"),
        ("zz-shaolin", "zz-dengfeng", "other"),
        ("kf", "hn", "city_association"),
        ("kf-lankao", "kf", "county_association"),
        // These two end elsewhere, and archived: see `change`.
        ("zz-moves", "kf", "county_association"),
        ("zz-archived", "zz", "county_association"),
    ];
    let mut new: Vec<String> = known.iter().skip(4).map(|(code, parent, kind)| format!("{code},{code} 协会,{kind},{parent}")).collect();
    lot.places = known.iter().map(|(code, _, kind)| ((*code).to_owned(), *kind)).collect();
    for n in 0..4 {
        let parent = lot.places[1..lot.places.len() - 1].choose(&mut lot.random).expect("a parent").0.clone();
        let kind = *["other", "other", "county_association", "county_collective"].choose(&mut lot.random).expect("a kind");
        new.push(format!("x{n},第 {n} 站,{kind},{parent}"));
        lot.places.insert(1, (format!("x{n}"), kind));
    }
    import(&hands.importer, "organizations", "code,name,kind,parent_code", &new);
}

fn people(hands: &Hands<'_>, lot: &mut Lot) {
    let kinds = [
        "village_community",
        "enterprise",
        "enterprise",
        "workstation",
        "school",
        "shop_market",
        "law_enforcement",
        "security",
        "rescue",
        "other",
    ];
    let teams = rows(60, |n| {
        let place = if lot.often(25) { "zz-dengfeng".into() } else { lot.place() };
        format!("t{n},{place},{},{}", lot.of(&kinds), lot.life("disbanded"))
    });
    let life = "established_on,established_on_precision,status,disbanded_on";
    import(&hands.importer, "volunteer-teams", &format!("code,organization_code,base_kind,{life}"), &teams);

    let volunteers = rows(60, |n| {
        let surname = ["王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴"][n % 10];
        let name = ["红", "明远", "建国", "秀兰", "志强", "春梅"][n / 10];
        format!("v{n},{},{surname}{name},{},{}", lot.place(), lot.of(&["community", "taxi", "government"]), lot.life("left"))
    });
    let life = "registered_on,registered_on_precision,status,left_on";
    import(&hands.importer, "volunteers", &format!("code,organization_code,name,sector,{life}"), &volunteers);
}

fn publicity(hands: &Hands<'_>, lot: &mut Lot) {
    const HEADER: &str = "code,organization_code,category,kind,parent_code,quantity,quantity_precision,stage,stage_on,stage_on_precision";
    let mut first: Vec<String> =
        ["zijingshan-park", "other-park"].iter().map(|code| format!("{code},zz,venue,park,,,,{}", lot.stage())).collect();
    first.extend(rows(60, |n| {
        let place = if lot.often(20) { "zz-gaoxin".into() } else { lot.place() };
        let kind = lot.of(&["park", "park", "corridor", "corridor", "square", "garden", "metro_station", ""]);
        let quantity = if lot.often(80) { ",".into() } else { lot.quantity() };
        format!("venue{n},{place},venue,{kind},,{quantity},{}", lot.stage())
    }));
    for kind in ["bus", "taxi", "metro", "station_hall"] {
        first.extend(["zz", "kf"].map(|place| format!("{place}-{kind},{place},screen_network,{kind},,{},{}", lot.quantity(), lot.stage())));
    }
    import(&hands.importer, "publicity-assets", HEADER, &first);

    let kinds = [
        "art_rack",
        "board_site",
        "board_column",
        "theme_stone",
        "flag_slogan",
        "corridor_wall",
        "notice_board",
        "notice_board",
        "notice_board",
    ];
    let fixtures = rows(120, |n| {
        let venue = lot.of(&["zijingshan-park", "zijingshan-park", "zijingshan-park", "other-park", "venue1", ""]);
        format!("fixture{n},{},fixture,{},{venue},{},{}", lot.place(), lot.of(&kinds), lot.quantity(), lot.stage())
    });
    import(&hands.importer, "publicity-assets", HEADER, &fixtures);

    let units = rows(50, |n| format!("unit{n},{},{},{}", lot.place(), lot.of(&["school", "hospital", ""]), lot.stage()));
    import(&hands.importer, "demonstration-units", "code,organization_code,host_kind,stage,stage_on,stage_on_precision", &units);

    // What was told before goes on: later stages, earlier ones that are told too late, the same day corrected.
    for _ in 0..2 {
        let mut next = |rows: &[String], category: &str| -> Vec<String> {
            let mut told = Vec::new();
            for row in rows.iter().filter(|row| row.contains(category)) {
                if lot.often(60) {
                    told.push(format!("{}{category}{}", begins(row), lot.stage()));
                }
            }
            told
        };
        let assets = [next(&first, ",venue,"), next(&fixtures, ",fixture,")].concat();
        let units = next(&units, ",");
        import(&hands.importer, "publicity-assets", "code,organization_code,category,stage,stage_on,stage_on_precision", &assets);
        import(&hands.importer, "demonstration-units", "code,organization_code,stage,stage_on,stage_on_precision", &units);
    }
    // And some is taken back.
    for (resource, code) in [("publicity-assets", "venue"), ("publicity-assets", "fixture"), ("demonstration-units", "unit")] {
        for _ in 0..3 {
            let at = format!("{code}{}", lot.random.random_range(0..50));
            let there = hands.importer.get(&format!("/api/v1/{resource}?code={at}")).body["items"][0].clone();
            let stages = there["stages"].as_array().expect("stages");
            if stages.len() > 1 {
                let day = &stages.choose(&mut lot.random).expect("a stage")["effective_on"];
                let path = format!("/api/v1/{resource}/{}/retract", there["id"].as_str().expect("an id"));
                done(hands.importer.post(&path, &json!({"effective_on": day})));
            }
        }
    }
}

fn campaigns(hands: &Hands<'_>, lot: &mut Lot) {
    let kinds = ["charity_day_99", "publicity_month", "media_tour", "other"];
    let campaigns: Vec<String> =
        ["zz", "hn"].iter().flat_map(|place| kinds.map(|kind| format!("{place}-{kind},{place},宣传活动,{kind},2022"))).collect();
    import(&hands.importer, "campaigns", "code,organization_code,name,kind,year", &campaigns);
    let campaign = |lot: &mut Lot, kind: &str| format!("{}-{kind}", lot.of(&["zz", "hn"]));

    let events = rows(80, |n| {
        let kind = lot.of(&["charity_day_99", "charity_day_99", "media_tour", "media_tour", "other"]);
        let event = lot.of(&["launch_ceremony", "launch_ceremony", "interview", "interview", "activity", "other"]);
        let campaign = campaign(lot, kind);
        let when = if lot.often(10) { ",".into() } else { lot.when() };
        format!("event{n},{},{campaign},{event},{when},{}", lot.place(), lot.quantity())
    });
    let header = "code,organization_code,campaign_code,kind,year,held_on,participants,participants_precision";
    import(&hands.importer, "campaign-events", header, &events);

    let placements = rows(90, |n| {
        let network = lot.of(&["zz-bus", "zz-taxi", "zz-metro", "kf-bus", "kf-taxi", "kf-metro", "zz-station_hall"]);
        let campaign = if lot.often(10) { String::new() } else { campaign(lot, if n % 4 == 0 { "other" } else { "publicity_month" }) };
        format!("placement{n},{},{network},{campaign},见义勇为宣传标语,{},{}", lot.place(), lot.when(), lot.quantity())
    });
    let header = "code,organization_code,publicity_asset_code,campaign_code,content,year,starts_on,quantity,quantity_precision";
    import(&hands.importer, "placements", header, &placements);

    let media = rows(110, |n| {
        let kind = lot.of(&["news_story", "feature_story", "feature_story", "douyin_video", "wechat_article", "website_item"]);
        let campaign = if lot.often(40) { String::new() } else { campaign(lot, if n % 4 == 0 { "other" } else { "media_tour" }) };
        format!("media{n},{},{campaign},{kind},{},{}", lot.place(), lot.when(), lot.quantity())
    });
    import(
        &hands.importer,
        "media-items",
        "code,organization_code,campaign_code,kind,year,published_on,quantity,quantity_precision",
        &media,
    );

    let kinds = ["umbrella", "hat", "brochure", "assorted", "other"];
    let goods: Vec<String> =
        ["zz", "zz-erqi"].iter().flat_map(|place| kinds.map(|kind| format!("{place}-{kind},{place},宣传品,{kind},件"))).collect();
    import(&hands.importer, "goods", "code,organization_code,name,kind,unit", &goods);
    let header = "code,goods_code,organization_code,direction,quantity,quantity_precision,year,moved_on";
    // Some of each is made, so that one of it can be given away.
    let of_each: Vec<String> = goods
        .iter()
        .enumerate()
        .map(|(n, row)| format!("stock{n},{},,made,1000,{},{}", row.split(',').next().unwrap_or_default(), lot.precision(), lot.when()))
        .collect();
    import(&hands.importer, "goods-movements", header, &of_each);
    let movements = rows(90, |n| {
        let of = format!("{}-{}", lot.of(&["zz", "zz-erqi"]), lot.of(&kinds));
        // Who moves it need not be whose it is.
        let place = if lot.often(30) { String::new() } else { lot.place() };
        let (direction, quantity) = if lot.often(25) { ("issued", 1) } else { ("made", lot.number(500)) };
        format!("move{n},{of},{place},{direction},{quantity},{},{}", lot.precision(), lot.when())
    });
    import(&hands.importer, "goods-movements", header, &movements);
}

fn the_years_work(hands: &Hands<'_>, lot: &mut Lot) {
    let inspections = rows(40, |n| format!("look{n},{},{},{},经费保障", lot.place(), lot.of(&["zz", "hn"]), lot.when()));
    import(&hands.importer, "inspections", "code,organization_code,inspector_code,year,inspected_on,topics", &inspections);

    let kinds = ["liaison_training", "liaison_training", "business_training", "business_training", "exchange", "other"];
    let trainings = rows(70, |n| format!("training{n},{},{},法规,other,{},{}", lot.place(), lot.of(&kinds), lot.when(), lot.quantity()));
    let header = "code,organization_code,kind,topic,audience,year,held_on,attendances,attendances_precision";
    import(&hands.importer, "trainings", header, &trainings);

    let circulars = rows(50, |n| format!("circular{n},{},{},{}", lot.place(), lot.of(&["four_ones", "four_ones", "guidance"]), lot.when()));
    import(&hands.importer, "circulars", "code,organization_code,subject,year,issued_on", &circulars);

    // One each of an association, an indicator and a year.
    let mut targets = Vec::new();
    for (place, _) in lot.places.clone() {
        for year in 2021..=2023 {
            for indicator in ["organizations.staff_target_per_county", "four_ones.volunteers"] {
                if lot.often(30) {
                    targets.push(format!("{place},{indicator},{year},{},人", lot.number(9)));
                }
            }
        }
    }
    let targets: Vec<String> = targets.into_iter().enumerate().map(|(n, row)| format!("target{n},{row}")).collect();
    import(&hands.importer, "targets", "code,organization_code,indicator,year,value,unit", &targets);
}

const PROGRAMMES: [(&str, &str); 11] = [
    ("condolence", "cash"),
    ("condolence", "in_kind"),
    ("hardship", "cash"),
    ("hardship", "in_kind"),
    ("student_aid", "cash"),
    ("insurance", "in_kind"),
    ("recuperation", "in_kind"),
    ("summer_camp", "in_kind"),
    ("summer_camp", "cash"),
    ("admission_bonus", "in_kind"),
    ("school_placement", "in_kind"),
];

fn welfare(hands: &Hands<'_>, lot: &mut Lot) {
    let programmes: Vec<String> = PROGRAMMES.iter().map(|(kind, form)| format!("{kind}-{form},hn,保障,{kind},{form}")).collect();
    import(&hands.importer, "welfare-programmes", "code,organization_code,name,kind,form", &programmes);

    let kinds = ["recuperation-in_kind", "recuperation-in_kind", "summer_camp-in_kind", "summer_camp-cash", "condolence-cash"];
    let mut batches = rows(30, |n| format!("batch{n},{},{},批次,{}", lot.place(), lot.of(&kinds), lot.when()));
    batches.push("batch-of-camp,zz,summer_camp-in_kind,夏令营,2022,2022-06-30".into());
    import(&hands.importer, "welfare-batches", "code,organization_code,programme_code,name,year,starts_on", &batches);

    let mut ways = Vec::new();
    let disbursements = rows(132, |n| {
        let (kind, form) = PROGRAMMES[n % PROGRAMMES.len()];
        let (place, year) = (lot.place(), lot.of(YEARS));
        let (place, year, batch) = if kind == "summer_camp" && form == "in_kind" && lot.often(50) {
            ("zz".to_owned(), "2022", "batch-of-camp")
        } else {
            (place, year, "")
        };
        let place = if kind == "recuperation" && lot.often(40) { "zz-gaoxin".into() } else { place };
        let people = if lot.often(25) { String::new() } else { lot.number(40).to_string() };
        let collective = lot.places.iter().any(|(code, kind)| *code == place && COLLECTIVES.contains(kind));
        let own = form == "cash" && year != "2021" && !collective && lot.often(40);
        let large = own && lot.often(15);
        let fen = if large { 70_000_000 } else { lot.number(90_000) };
        let what = if form == "cash" { format!("{fen},") } else { ",一份".into() };
        let channel = if own { "own" } else { "enterprise_direct" };
        ways.push(Way { year, cash: form == "cash", own, large });
        format!("gift{n},{place},{kind}-{form},{batch},{people},{},{what},{channel},{year}", lot.precision())
    });
    let header = "code,organization_code,programme_code,batch_code,people,people_precision,amount_fen,benefit,channel,year";
    import(&hands.importer, "disbursements", header, &disbursements);

    let purse = purse(&hands.finance, &hands.leader, &organization(&hands.importer, "hn"), "unrestricted", 1_000_000_000);
    let mut listed = Vec::new();
    let mut next = "/api/v1/disbursements?limit=200".to_owned();
    while !next.is_empty() {
        let page = hands.importer.get(&next);
        listed.extend(page.body["items"].as_array().expect("items").iter().cloned());
        next =
            page.body["next_cursor"].as_str().map(|cursor| format!("/api/v1/disbursements?limit=200&cursor={cursor}")).unwrap_or_default();
    }
    for (n, way) in ways.iter().enumerate() {
        let draft = listed.iter().find(|draft| draft["code"] == format!("gift{n}")).expect("a draft");
        go(hands, lot, &purse, draft["id"].as_str().expect("an id"), way);
    }
}

/// What decides which way a disbursement can go.
struct Way {
    year: &'static str,
    cash: bool,
    own: bool,
    /// So much that two approve.
    large: bool,
}

/// Takes a disbursement some way, by three different hands.
fn go(hands: &Hands<'_>, lot: &mut Lot, purse: &Purse, id: &str, way: &Way) {
    let path = format!("{DISBURSEMENTS}/{id}");
    let take = |client: &Client<'_>, action: &str, body: Value| {
        let answer = step(client, &path, action, &body);
        assert_eq!(answer.status, 200, "{action}: {answer:?}");
    };
    let why = || json!({"reason": "名单有误"});
    let end = lot.random.random_range(0..20);
    match end {
        0 => return,
        1 => return take(&hands.importer, "cancel", why()),
        _ => take(&hands.importer, "submit", json!({})),
    }
    match end {
        2 => return,
        3 => return take(&hands.leader, "return", why()),
        4 => return take(&hands.leader, "reject", why()),
        _ => take(&hands.leader, "approve", json!({})),
    }
    if way.large || end == 5 {
        return;
    }
    let day = lot.day_within(|day| day.starts_with(way.year) && day > "2021-02-01" && !(way.own && day < "2022-02-01"));
    if !way.cash {
        take(&hands.finance, "deliver", json!({"delivered_on": if lot.often(25) { Value::Null } else { json!(day) }}));
    } else {
        let mut paid = if way.own { purse.paid(day) } else { json!({"paid_on": day}) };
        if lot.often(30) {
            paid["paid_on_precision"] = json!("at_latest");
        }
        take(&hands.finance, "pay", paid);
    }
    if end <= 9 {
        take(&hands.importer, "acknowledge", json!({}));
    }
    if way.cash && (8..=10).contains(&end) {
        take(&hands.leader, "reverse", json!({"reason": "退款", "reversed_on": "2024-05-01"}));
    }
}

/// What was written changes: an organization with all that it holds goes below another, one is archived, records go from one to another, or
/// are deleted.
fn change(hands: &Hands<'_>, lot: &mut Lot) {
    let id = |resource: &str, code: &str| {
        let found = hands.importer.get(&format!("/api/v1/{resource}?code={code}"));
        found.body["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{resource} {code}: {found:?}")).to_owned()
    };
    let organizations = "/api/v1/organizations";
    let (moves, archived) = (id("organizations", "zz-moves"), id("organizations", "zz-archived"));
    done(hands.platform.post(&format!("{organizations}/{moves}/move"), &json!({"parent_id": id("organizations", "zz")})));
    done(hands.platform.post(&format!("{organizations}/{archived}/archive"), &json!({})));
    for (resource, code) in [("media-items", "media"), ("trainings", "training"), ("volunteer-teams", "t"), ("placements", "placement")] {
        let mut taken: Vec<u32> = (0..50).collect();
        for n in 0..6 {
            let at = taken.swap_remove(lot.random.random_range(0..taken.len()));
            let path = format!("/api/v1/{resource}/{}", id(resource, &format!("{code}{at}")));
            if n < 3 {
                assert_eq!(hands.importer.delete(&path).status, 204);
            } else {
                let place = lot.place();
                done(hands.importer.patch(&path, "\"1\"", &json!({"organization_id": id("organizations", &place)})));
            }
        }
    }
}

/// Months for which the counties were asked, by a form with all that is theirs; and circulars on these, drafted, issued, archived.
fn ask_the_counties(hands: &Hands<'_>) {
    let city = &hands.city;
    let codes: Vec<&str> = yiyong::figures::FIGURES.iter().filter(|d| d.is_of_counties()).map(|d| d.code).collect();
    let form = form(city, &json!({"figures": codes}));
    for month in ["2022-06", "2022-12"] {
        opened(city, &form, month);
    }
    let zz = organization(city, "zz");
    for (n, to_month, issued_on) in
        [(1, "2022-06", ""), (2, "2022-06", "2022-07-11"), (3, "2022-12", "2023-01-05"), (4, "2022-12", "2022-12-31")]
    {
        let draft = json!({"organization_id": zz, "subject": "four_ones", "form_key": "four-ones", "to_month": to_month});
        let path = format!("/api/v1/circulars/{}", made(city.post("/api/v1/circulars", &draft)).id());
        done(city.post(&format!("{path}/generate"), &json!({})));
        if !issued_on.is_empty() {
            done(hands.leader.post(&format!("{path}/issue"), &json!({"number": format!("郑义〔2022〕{n}号"), "issued_on": issued_on})));
        }
        if n == 3 {
            done(hands.leader.post(&format!("{path}/archive"), &json!({})));
        }
    }
}
