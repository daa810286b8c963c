//! Figures and the records behind them.

use serde_json::json;
use yiyong::policy::Role;

use crate::hosts::on_each_database;

#[test]
fn a_figure_and_its_records_agree() {
    on_each_database(|host| {
        let city = host.planted();
        let csv = "code,organization_code,base_kind,established_on,established_on_precision\n\
                   a,zz-dengfeng,village_community,2022-12-31,at_latest\nb,zz-dengfeng,enterprise,2022-05-01,exact\n\
                   c,zz-dengfeng,school,2022-05-01,exact\nd,zz-gaoxin,enterprise,2023-01-01,exact\ne,zz,rescue,2022-01-01,exact\n";
        assert_eq!(city.import("volunteer-teams", csv.as_bytes(), &[]).body["rows_created"], 5);
        let value = |code: &str, query: &str| {
            let figure = city.get(&format!("/api/v1/figures/{code}?{query}"));
            assert_eq!(figure.status, 200, "{figure:?}");
            // The records' list is the figure's own filter: their number is the figure's.
            let behind = city.get(&format!("{}&count=true", figure.body["records_url"].as_str().expect("an address")));
            assert_eq!(behind.body["total"], figure.body["records"], "{code}");
            (figure.body["value"].as_i64(), figure.body["organization"]["code"].as_str().unwrap_or_default().to_owned())
        };
        assert_eq!(value("four_ones.volunteer_teams", "year=2022"), (Some(3), "zz".into()));
        assert_eq!(value("four_ones.volunteer_teams", "year=2023"), (Some(4), "zz".into()));
        assert_eq!(value("four_ones.volunteer_teams", "year=2021"), (Some(0), "zz".into()));
        assert_eq!(value("four_ones.volunteer_teams.dengfeng_villages_enterprises", "year=2022"), (Some(2), "zz-dengfeng".into()));
        assert_eq!(value("organizations.county_associations", "year=2022"), (Some(2), "zz".into()));

        let catalogue = city.get("/api/v1/figures");
        let codes = catalogue.body["items"].as_array().expect("items").iter().filter(|d| d["code"] == "four_ones.volunteer_teams").count();
        assert_eq!(codes, 1);
        assert_eq!(city.get("/api/v1/figures/four_ones.volunteer_teams").code(), "invalid_parameter");
        assert_eq!(city.get("/api/v1/figures/nothing?year=2022").code(), "not_found");

        // A county's figure is the county's; another's organization isn't there for it.
        let county = host.user("county", Role::Leader, Some("zz-gaoxin"));
        let own = county.get("/api/v1/figures/four_ones.volunteer_teams?year=2023");
        assert_eq!((&own.body["value"], &own.body["holders"][0]["code"]), (&json!(1), &json!("zz-gaoxin")));
        let dengfeng = city.get("/api/v1/organizations?code=zz-dengfeng").body["items"][0]["id"].as_str().expect("an id").to_owned();
        let path = format!("/api/v1/figures/four_ones.volunteer_teams?year=2022&organization_id={dengfeng}");
        assert_eq!(county.get(&path).status, 404);
    });
}

/// The codes of the association's figures are the catalogue's, whether or not their records are served yet.
#[test]
fn the_catalogue_has_no_code_twice() {
    let mut seen = std::collections::HashSet::new();
    assert!(yiyong::figures::FIGURES.iter().all(|d| seen.insert(d.code)));
    assert_eq!(seen.len(), 52);
}
