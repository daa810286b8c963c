//! Which figures there are. A figure is a filter with an aggregate, and nothing more: the same filter is the list
//! behind it.

use chrono::NaiveDate;

use crate::types::{Month, text_enum};
use crate::web::Measure;

text_enum! {
    /// Whether a figure tells what there is on a day, what happened in a year, or what is required.
    FigureKind {
        Stock = "stock", "时点数", "stock";
        Flow = "flow", "时期数", "flow";
        Standard = "standard", "标准", "standard";
    }
}

/// Whose records a figure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The organization asked for and all below it.
    All,
    /// Of these, the city association itself.
    City,
    /// Of these, the county associations.
    Counties,
    /// One organization, by its code: a part that the report names.
    Part(&'static str),
}

/// The definition of a figure.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    pub code: &'static str,
    /// Chapter of the annual report.
    pub section: u8,
    pub label_zh: &'static str,
    pub label_en: &'static str,
    pub unit: &'static str,
    pub kind: FigureKind,
    pub resource: &'static str,
    pub filter: &'static [(&'static str, &'static str)],
    pub measure: Measure,
    pub holder: Holder,
}

/// The time that a figure is computed for: a year of the annual report, or a month of the monthly returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    Year(i32),
    Month(Month),
}

impl Span {
    pub fn year(self) -> i32 {
        match self {
            Self::Year(year) => year,
            Self::Month(month) => month.year(),
        }
    }

    /// The first and the last day.
    pub fn days(self) -> Option<(NaiveDate, NaiveDate)> {
        match self {
            Self::Year(year) => NaiveDate::from_ymd_opt(year, 1, 1).zip(NaiveDate::from_ymd_opt(year, 12, 31)),
            Self::Month(month) => Some((month.first_day(), month.last_day())),
        }
    }
}

impl Definition {
    /// The parameters by which the resource's filter takes a time, with their values.
    ///
    /// What counts in a year by its number alone, its day unknown or known as the latest that it can have been, is in no month: the months of a
    /// year may come to less than the year.
    pub fn time(&self, span: Span) -> Vec<(&'static str, String)> {
        match (self.kind, self.resource, span) {
            // The tree keeps no dates of its own: it is what it is today.
            (_, "organizations", _) => Vec::new(),
            (FigureKind::Stock, _, span) => span.days().map(|(_, last)| ("as_at", last.to_string())).into_iter().collect(),
            (FigureKind::Standard, _, span) => vec![("year", span.year().to_string())],
            (FigureKind::Flow, _, Span::Year(year)) => vec![("year", year.to_string())],
            (FigureKind::Flow, resource, Span::Month(month)) => {
                let days = [month.first_day(), month.last_day()].map(|day| day.to_string());
                match resource {
                    "disbursements" => {
                        ["paid_from", "paid_to"].into_iter().zip(days).chain([("paid_on_precision", "exact".to_owned())]).collect()
                    }
                    _ => ["from", "to"].into_iter().zip(days).collect(),
                }
            }
        }
    }

    /// Whether each county association has a figure of its own by it, which it may be asked for every month.
    pub fn is_of_counties(&self) -> bool {
        self.kind != FigureKind::Standard && matches!(self.holder, Holder::All | Holder::Counties) && self.resource != "organizations"
    }
}

/// The chapters, in the association's own order.
pub const SECTIONS: [(u8, &str, &str); 5] = [
    (1, "“四个一工程”", "The four-ones programme"),
    (2, "基层组织建设", "Organizations at the base"),
    (3, "社会宣传", "Publicity"),
    (4, "服务保障", "Welfare"),
    (5, "队伍素质", "Training of staff"),
];

/// Parts of the chapters that have several, each told by the figure that it begins with: it goes on to the next.
pub const PARTS: &[(&str, &str, &str)] = &[
    ("organizations.county_associations", "组织与通报", "Organization and circulars"),
    ("four_ones.volunteer_teams", "志愿者队伍建设", "Volunteer teams"),
    ("four_ones.venues.park.completed", "宣传阵地建设", "Venues"),
    ("four_ones.demonstration_units.completed", "示范单位建设", "Demonstration units"),
    ("publicity.zijingshan.art_racks", "宣传阵地建设", "Venues"),
    ("publicity.charity_day_ceremonies", "社会宣传", "Publicity in public places"),
    ("publicity.interview.journalists", "网络媒体采访", "The media tour"),
    ("publicity.media.news_story", "媒体信息宣传", "Media"),
    ("welfare.condolence.city.recipients", "节日慰问", "Condolences"),
    ("welfare.hardship.city.amount_fen", "困难救助", "Hardship aid"),
    ("welfare.recuperation.city.batches", "休假疗养", "Recuperation"),
    ("welfare.insurance.counties", "人身保险", "Insurance"),
    ("welfare.admission_bonus.children", "子女就学", "Children's schooling"),
];

/// The part of its chapter that a figure stands in, in Chinese and English.
pub fn part_of(definition: &Definition) -> Option<(&'static str, &'static str)> {
    let mut part = None;
    for figure in FIGURES.iter().filter(|figure| figure.section == definition.section) {
        part = PARTS.iter().find(|(first, ..)| *first == figure.code).map(|(_, zh, en)| (*zh, *en)).or(part);
        if figure.code == definition.code {
            return part;
        }
    }
    None
}

/// Units, and how they are written after a number in Chinese and in English.
const UNITS: &[(&str, &str, &str)] = &[
    ("organization", "个", "organizations"),
    ("circular", "次", "circulars"),
    ("team", "支", "teams"),
    ("person", "人", "persons"),
    ("person-time", "人次", "attendances"),
    ("venue", "个", "venues"),
    ("unit", "个", "units"),
    ("item", "件", "items"),
    ("site", "处", "sites"),
    ("event", "场", "events"),
    ("screen", "块", "screens"),
    ("copy", "份", "copies"),
    ("story", "篇", "stories"),
    ("video", "期", "videos"),
    ("article", "篇", "articles"),
    ("fen", "分", "fen"),
    ("batch", "批", "batches"),
];

/// A unit as it is written after a number, in Chinese and in English.
pub fn unit(code: &str) -> (&'static str, &'static str) {
    UNITS.iter().find(|(known, ..)| *known == code).map_or(("", ""), |(_, zh, en)| (zh, en))
}

pub fn named(code: &str) -> Option<&'static Definition> {
    FIGURES.iter().find(|definition| definition.code == code)
}

macro_rules! figures {
    ($($section:literal $code:literal $zh:literal $en:literal $unit:literal $kind:ident $holder:expr;
       $measure:ident $resource:literal { $($name:ident = $value:literal),* })+) => {
        pub const FIGURES: &[Definition] = &[$(Definition {
            code: $code, section: $section, label_zh: $zh, label_en: $en, unit: $unit, kind: FigureKind::$kind,
            resource: $resource, filter: &[$((stringify!($name), $value)),*], measure: Measure::$measure, holder: $holder,
        }),+];
    };
}

use Holder::{All, City, Counties, Part};

figures! {
    1 "organizations.county_associations" "县市区协会" "county associations" "organization" Stock All;
        Count "organizations" { kind = "county_association", status = "active" }
    1 "four_ones.review_circulars" "“四个一工程”讲评通报" "four-ones review circulars" "circular" Flow City;
        Count "circulars" { subject = "four_ones", state = "issued,archived" }
    1 "four_ones.volunteer_teams" "志愿者队伍" "volunteer teams" "team" Stock Counties;
        Count "volunteer_teams" {}
    1 "four_ones.volunteers" "志愿者" "volunteers" "person" Stock Counties;
        Count "volunteers" {}
    1 "four_ones.volunteer_teams.dengfeng_villages_enterprises" "登封市村社、企业志愿者队伍" "Dengfeng's village and enterprise teams" "team" Stock Part("zz-dengfeng");
        Count "volunteer_teams" { base_kind = "village_community,enterprise" }
    1 "four_ones.venues.park.completed" "已建成主题公园" "completed parks" "venue" Stock All;
        Count "publicity_assets" { category = "venue", kind = "park", stage = "completed" }
    1 "four_ones.venues.corridor.completed" "已建成文化长廊" "completed corridors" "venue" Stock All;
        Count "publicity_assets" { category = "venue", kind = "corridor", stage = "completed" }
    1 "four_ones.venues.square.completed" "已建成文化广场" "completed squares" "venue" Stock All;
        Count "publicity_assets" { category = "venue", kind = "square", stage = "completed" }
    1 "four_ones.venues.planned_or_under_construction" "规划和在建公园、广场、长廊、游园" "venues planned or under construction" "venue" Stock All;
        Count "publicity_assets" { category = "venue", stage = "planned,under_construction" }
    1 "four_ones.venues.park.completed.gaoxin" "高新区主题公园" "parks of Gaoxin" "venue" Stock Part("zz-gaoxin");
        Count "publicity_assets" { category = "venue", kind = "park", stage = "completed" }
    1 "four_ones.venues.corridor.completed.gaoxin" "高新区文化长廊" "corridors of Gaoxin" "venue" Stock Part("zz-gaoxin");
        Count "publicity_assets" { category = "venue", kind = "corridor", stage = "completed" }
    1 "four_ones.demonstration_units.completed" "已建成标准化示范单位" "completed demonstration units" "unit" Stock All;
        Count "demonstration_units" { stage = "completed" }
    1 "four_ones.demonstration_units.planned_or_under_construction" "规划和正在建设标准化示范单位" "demonstration units planned or under construction" "unit" Stock All;
        Count "demonstration_units" { stage = "planned,under_construction" }

    2 "organizations.counties_inspected" "督导检查县市区协会" "county associations inspected" "organization" Flow Counties;
        Organizations "inspections" {}
    2 "organizations.staff_target_per_county" "每个县级协会专兼职人员配备目标" "staffing target of each county" "person" Standard All;
        Value "targets" { indicator = "organizations.staff_target_per_county" }
    2 "training.liaison_attendances" "培训联络员" "attendances of liaison officers at trainings" "person-time" Flow Counties;
        Attendances "trainings" { kind = "liaison_training" }

    3 "publicity.zijingshan.art_racks" "紫荆山主题公园艺术展架" "art racks in Zijingshan park" "item" Stock City;
        Quantity "publicity_assets" { parent_code = "zijingshan-park", kind = "art_rack", stage = "completed" }
    3 "publicity.zijingshan.board_sites" "紫荆山主题公园宣传展板" "board sites in Zijingshan park" "site" Stock City;
        Quantity "publicity_assets" { parent_code = "zijingshan-park", kind = "board_site", stage = "completed" }
    3 "publicity.zijingshan.board_columns" "紫荆山主题公园宣传专栏" "board columns in Zijingshan park" "item" Stock City;
        Quantity "publicity_assets" { parent_code = "zijingshan-park", kind = "board_column", stage = "completed" }
    3 "publicity.zijingshan.theme_stones" "紫荆山主题公园主题景石" "theme stones in Zijingshan park" "item" Stock City;
        Quantity "publicity_assets" { parent_code = "zijingshan-park", kind = "theme_stone", stage = "completed" }
    3 "publicity.zijingshan.road_flag_slogans" "紫荆山主题公园道旗标语" "flag slogans in Zijingshan park" "site" Stock City;
        Quantity "publicity_assets" { parent_code = "zijingshan-park", kind = "flag_slogan", stage = "completed" }
    3 "publicity.zijingshan.corridors" "紫荆山主题公园宣传长廊" "corridors in Zijingshan park" "item" Stock City;
        Quantity "publicity_assets" { parent_code = "zijingshan-park", kind = "corridor_wall", stage = "completed" }
    3 "publicity.charity_day_ceremonies" "“99公益日”启动仪式" "launch ceremonies of the 99 charity day" "event" Flow All;
        Count "campaign_events" { campaign_kind = "charity_day_99", kind = "launch_ceremony" }
    3 "publicity.screens.bus" "公交车车尾屏" "bus screens" "screen" Flow City;
        Quantity "placements" { campaign_kind = "publicity_month", asset_kind = "bus" }
    3 "publicity.screens.taxi" "出租车车顶屏" "taxi screens" "screen" Flow City;
        Quantity "placements" { campaign_kind = "publicity_month", asset_kind = "taxi" }
    3 "publicity.screens.metro" "地铁电子显示屏" "metro screens" "screen" Flow City;
        Quantity "placements" { campaign_kind = "publicity_month", asset_kind = "metro" }
    3 "publicity.goods.umbrella" "宣传雨伞" "umbrellas made" "item" Flow City;
        Quantity "goods_movements" { goods_kind = "umbrella", direction = "made" }
    3 "publicity.goods.hat" "宣传帽子" "hats made" "item" Flow City;
        Quantity "goods_movements" { goods_kind = "hat", direction = "made" }
    3 "publicity.boards.county" "县市区宣传展板、宣传栏" "notice boards of the counties" "item" Stock Counties;
        Quantity "publicity_assets" { category = "fixture", kind = "notice_board", stage = "completed" }
    3 "publicity.goods.brochure.county" "县市区宣传手册" "brochures of the counties" "copy" Flow Counties;
        Quantity "goods_movements" { goods_kind = "brochure", direction = "made" }
    3 "publicity.goods.other.county" "县市区其他宣传品" "other goods of the counties" "item" Flow Counties;
        Quantity "goods_movements" { goods_kind = "assorted", direction = "made" }
    3 "publicity.interview.journalists" "采访团记者" "journalists of the media tour" "person" Flow City;
        People "campaign_events" { campaign_kind = "media_tour", kind = "interview" }
    3 "publicity.interview.stories" "采访专题报道" "stories of the media tour" "story" Flow City;
        Quantity "media_items" { campaign_kind = "media_tour", kind = "feature_story" }
    3 "publicity.media.news_story" "媒体宣传报道" "news stories" "story" Flow All;
        Quantity "media_items" { kind = "news_story" }
    3 "publicity.media.douyin_video" "抖音视频" "Douyin videos" "video" Flow All;
        Quantity "media_items" { kind = "douyin_video" }
    3 "publicity.media.wechat_article" "微信公众号文章" "WeChat articles" "article" Flow All;
        Quantity "media_items" { kind = "wechat_article" }
    3 "publicity.media.website_item" "网站工作动态" "website items" "item" Flow All;
        Quantity "media_items" { kind = "website_item" }

    4 "welfare.condolence.city.recipients" "节日慰问见义勇为人员" "recipients of condolences" "person" Flow City;
        People "disbursements" { programme_kind = "condolence", state = "paid,delivered,acknowledged" }
    4 "welfare.condolence.city.amount_fen" "节日慰问金" "condolence money" "fen" Flow City;
        Fen "disbursements" { programme_kind = "condolence", state = "paid,delivered,acknowledged" }
    4 "welfare.hardship.city.amount_fen" "市协会困难救助金" "hardship aid of the city" "fen" Flow City;
        Fen "disbursements" { programme_kind = "hardship", state = "paid,delivered,acknowledged" }
    4 "welfare.hardship.county.amount_fen" "县市区困难救助金" "hardship aid of the counties" "fen" Flow Counties;
        Fen "disbursements" { programme_kind = "hardship", state = "paid,delivered,acknowledged" }
    4 "welfare.recuperation.city.batches" "休假疗养批次" "recuperation batches" "batch" Flow City;
        Count "welfare_batches" { programme_kind = "recuperation" }
    4 "welfare.recuperation.city.persons" "休假疗养英模" "heroes on recuperation" "person" Flow City;
        People "disbursements" { programme_kind = "recuperation", state = "paid,delivered,acknowledged" }
    4 "welfare.recuperation.gaoxin.persons" "高新区休假疗养人员" "Gaoxin's heroes on recuperation" "person" Flow Part("zz-gaoxin");
        People "disbursements" { programme_kind = "recuperation", state = "paid,delivered,acknowledged" }
    4 "welfare.insurance.counties" "购买保险的县市区协会" "counties that insured their heroes" "organization" Flow Counties;
        Organizations "disbursements" { programme_kind = "insurance", state = "paid,delivered,acknowledged" }
    4 "welfare.admission_bonus.children" "享受升学加分的子女" "children with bonus points on admission" "person" Flow City;
        People "disbursements" { programme_kind = "admission_bonus", state = "paid,delivered,acknowledged" }
    4 "welfare.student_aid.county.children" "获助学金的子女" "children with student aid" "person" Flow Counties;
        People "disbursements" { programme_kind = "student_aid", state = "paid,delivered,acknowledged" }
    4 "welfare.student_aid.county.amount_fen" "助学金" "student aid" "fen" Flow Counties;
        Fen "disbursements" { programme_kind = "student_aid", state = "paid,delivered,acknowledged" }
    4 "welfare.school_placement.counties" "协调解决子女上学的协会" "counties that arranged schooling" "organization" Flow Counties;
        Organizations "disbursements" { programme_kind = "school_placement", state = "paid,delivered,acknowledged" }
    4 "welfare.summer_camp.city.batches" "夏令营批次" "summer camp batches" "batch" Flow City;
        Count "welfare_batches" { programme_kind = "summer_camp" }
    4 "welfare.summer_camp.city.children" "夏令营子女" "children at summer camp" "person" Flow City;
        People "disbursements" { programme_kind = "summer_camp", state = "paid,delivered,acknowledged" }

    5 "training.business_training" "业务工作培训会" "business trainings" "event" Flow City;
        Count "trainings" { kind = "business_training" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_begin_with_figures() {
        assert!(PARTS.iter().all(|(first, ..)| named(first).is_some()));
        let part = |code: &str| named(code).and_then(part_of).map(|(zh, _)| zh);
        assert_eq!(part("four_ones.review_circulars"), Some("组织与通报"));
        assert_eq!(part("four_ones.venues.corridor.completed.gaoxin"), Some("宣传阵地建设"));
        assert_eq!(part("welfare.summer_camp.city.children"), Some("子女就学"));
        assert_eq!(part("training.business_training"), None, "a chapter of one part");
        // Where a chapter has parts, all of it has.
        for figure in FIGURES.iter().filter(|figure| [1, 3, 4].contains(&figure.section)) {
            assert!(part_of(figure).is_some(), "{}", figure.code);
        }
    }

    #[test]
    fn every_unit_can_be_written() {
        for definition in FIGURES {
            assert!(!unit(definition.unit).0.is_empty(), "{}: the unit '{}'", definition.code, definition.unit);
        }
    }
}
