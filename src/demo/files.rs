//! The real input of 2022: the records behind the yearly report of Zhengzhou's association, as files for the import.
//!
//! `tests/fixtures/zhengzhou-2022/README.md` says what in them is the source's and what is fiction. The disbursements
//! come in as drafts, as all do: they count when three different users have submitted, approved and closed them.

/// A file to import.
#[derive(Debug, Clone, Copy)]
pub struct Fixture {
    /// The resource, as in its address.
    pub resource: &'static str,
    /// CSV in UTF-8.
    pub csv: &'static [u8],
}

macro_rules! fixtures {
    ($($resource:literal),+ $(,)?) => {
        /// In the order of import: what is referred to comes first. The root of the tree, which only a platform
        /// administrator plants, must stand; it and all else can be imported again with `mode=upsert`.
        pub const FILES: &[Fixture] = &[$(Fixture {
            resource: $resource,
            csv: include_bytes!(concat!("../../tests/fixtures/zhengzhou-2022/", $resource, ".csv")),
        }),+];
    };
}

fixtures![
    "organizations",
    "workstations",
    "volunteer-teams",
    "volunteers",
    "memberships",
    "trainings",
    "inspections",
    "circulars",
    "targets",
    "publicity-assets",
    "demonstration-units",
    "campaigns",
    "campaign-events",
    "placements",
    "goods",
    "goods-movements",
    "media-items",
    "persons",
    "heroes",
    "dependants",
    "welfare-programmes",
    "welfare-batches",
    "disbursements",
    "accounts",
    "vouchers",
];
