//! The charts of a year: their numbers, with the records behind them, and the pictures.

use serde_json::{Value, json};
use yiyong::policy::Role;

use crate::hosts::{Client, on_each_database};

const CHARTS: &str = "/api/v1/reports/annual/2022/charts";

/// Labels and values of a chart, series by series.
fn shown(chart: &Value) -> Vec<(String, Vec<Value>)> {
    let labels: Vec<&str> = chart["categories"].as_array().expect("categories").iter().filter_map(|one| one["label_zh"].as_str()).collect();
    let of = |i: usize| -> Vec<Value> {
        let series = chart["series"].as_array().expect("series");
        series.iter().map(|series| series["values"][i]["value"].clone()).collect()
    };
    labels.iter().enumerate().map(|(i, label)| ((*label).to_owned(), of(i))).collect()
}

/// Each number is told with the list of its very records.
fn linked(client: &Client<'_>, chart: &Value) {
    for value in chart["series"].as_array().expect("series").iter().flat_map(|series| series["values"].as_array().expect("values")) {
        let behind = client.get(&format!("{}&count=true", value["records_url"].as_str().expect("an address")));
        assert_eq!(behind.status, 200, "{value}");
        assert_eq!(behind.body["total"] == 0, value["value"].is_null() || value["value"] == 0, "{value}: {behind:?}");
    }
}

#[test]
fn a_year_is_seen_at_a_glance() {
    on_each_database(|host| {
        let city = host.planted();
        let teams = "code,organization_code,base_kind,established_on,status,disbanded_on\n\
                     a,zz-dengfeng,school,2021-05-01,,\nb,zz-dengfeng,school,2022-03-15,,\n\
                     c,zz-gaoxin,school,2022-01-01,disbanded,2022-06-10\nd,zz,rescue,2022-01-01,,\n";
        assert_eq!(city.import("volunteer-teams", teams.as_bytes(), &[]).body["rows_created"], 4);
        let media = "organization_code,kind,year,published_on,quantity,quantity_precision\n\
                     zz,news_story,2022,2022-02-01,30,exact\nzz-gaoxin,news_story,2022,,12,at_least\n\
                     zz,douyin_video,2021,,7,exact\nzz,website_item,2022,,50,exact\n";
        let imported = city.import("media-items", media.as_bytes(), &[]);
        assert_eq!(imported.body["rows_created"], 4, "{imported:?}");

        let chart = |code: &str| {
            let answer = city.get(&format!("{CHARTS}/{code}"));
            assert_eq!((answer.status, &answer.body["chart"]), (200, &json!(code)), "{answer:?}");
            linked(&city, &answer.body);
            answer.body
        };
        let counties = chart("counties");
        assert_eq!(counties["title_zh"], "2022 年各单位志愿者队伍与志愿者");
        assert_eq!(shown(&counties).into_iter().map(|(_, values)| values[1].clone()).collect::<Vec<_>>(), [2, 0], "at the year's end");
        let publicity = chart("publicity");
        // The year's most first; what there was only the year before comes last, and this year nothing is known of it.
        let expected = [
            ("网站动态".to_owned(), vec![json!(50), Value::Null]),
            ("新闻报道".to_owned(), vec![json!(42), Value::Null]),
            ("抖音视频".to_owned(), vec![Value::Null, json!(7)]),
        ];
        assert_eq!(shown(&publicity), expected);
        assert_eq!(publicity["series"][0]["values"][1]["precision"], "at_least");
        let trend: Vec<Value> = shown(&chart("trend")).into_iter().map(|(_, values)| values[1].clone()).collect();
        assert_eq!(trend, [3, 3, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3], "with the city's own, month by month");
        assert_eq!(shown(&chart("welfare")), [], "nothing was paid");

        // What isn't a chart, and whose it isn't.
        let none = city.get(&format!("{CHARTS}/weather"));
        assert_eq!((none.status, none.code()), (404, "not_found"));
        assert!(none.body["detail"].as_str().is_some_and(|detail| detail.contains("trend（志愿者与队伍")), "what there is: {none:?}");
        assert_eq!(city.get(&format!("{CHARTS}/trend?format=docx")).faults(), [("/format", "unknown_entry")]);
        assert_eq!(city.get("/api/v1/reports/annual/1066/charts/trend").code(), "invalid_parameter");
        let county = host.user("county", Role::Clerk, Some("zz-gaoxin"));
        assert_eq!(shown(&county.get(&format!("{CHARTS}/counties")).body), [], "nobody is below it");
        let dengfeng = city.get("/api/v1/organizations?code=zz-dengfeng").body["items"][0]["id"].as_str().expect("an id").to_owned();
        assert_eq!(county.get(&format!("{CHARTS}/trend?organization_id={dengfeng}")).status, 404);
    });
}

#[test]
fn charts_are_drawn() {
    on_each_database(|host| {
        let city = host.planted();
        let gaoxin = city.get("/api/v1/organizations?code=zz-gaoxin");
        let path = format!("/api/v1/organizations/{}", gaoxin.body["items"][0]["id"].as_str().expect("an id"));
        // A name is a name, whatever it looks like.
        let named = city.patch(&path, "\"1\"", &json!({"short_name": "<a>&\"高新"}));
        assert_eq!(named.status, 200, "{named:?}");
        let teams = "code,organization_code,base_kind,established_on\na,zz-dengfeng,school,2021-05-01\nc,zz-gaoxin,school,2022-01-01\n";
        assert_eq!(city.import("volunteer-teams", teams.as_bytes(), &[]).body["rows_created"], 2);
        for code in ["counties", "publicity", "welfare", "trend"] {
            let answer = city.send("GET", &format!("{CHARTS}/{code}"), &[("Accept", "image/svg+xml")], None);
            assert_eq!((answer.status, answer.header("Content-Type")), (200, Some("image/svg+xml")), "{answer:?}");
            let svg = String::from_utf8(city.download(&format!("{CHARTS}/{code}?format=svg"))).expect("text");
            let mut reader = quick_xml::Reader::from_str(&svg);
            reader.config_mut().check_end_names = true;
            while reader.read_event().expect("XML") != quick_xml::events::Event::Eof {}
            let texts: String = svg.split('<').filter_map(|tag| tag.split_once('>').map(|(_, text)| text)).collect();
            let drawn = if code == "counties" { "高新" } else { "2022 年" };
            assert!(texts.contains(drawn) && !svg.contains("<a>"), "{code}: {texts}");
            assert!(["counties", "trend"].contains(&code) || texts.contains("没有记录"), "{code}: {texts}");
            let english = String::from_utf8(city.download_in(&format!("{CHARTS}/{code}?format=svg"), "en")).expect("text");
            assert!(english.contains(", 2022"), "{english}");

            let png = image::load_from_memory(&city.download(&format!("{CHARTS}/{code}?format=png"))).expect("a picture").to_rgb8();
            assert_eq!(png.width(), 1_920);
            // Bars or a line of the teams where there are some, and text in any case.
            let gold = png.pixels().filter(|pixel| pixel.0 == [0xc0, 0x8a, 0x1e]).count();
            assert_eq!(gold > 3_000, ["counties", "trend"].contains(&code), "{code}: {gold}");
            assert!(png.pixels().filter(|pixel| pixel.0[0] < 0x80).count() > 1_000, "{code}: text");
        }
    });
}
