//! The values that records are made of: ids, instants, dictionaries, precisions, identifiers of China.

mod disclosure;
mod id;
mod identifier;
mod instant;
mod month;
mod place;
pub mod sql;
mod text_enum;

pub use disclosure::{NumberFound, mask_name, numbers_in};
pub use id::{Id, code_or_new, new_code};
pub use identifier::{
    age, born_by, born_on, card_checks, gender_of, mask_account_number, mask_id_number, mask_phone, normalize_account_number,
    normalize_id_number, normalize_phone,
};
pub use instant::{Instant, business_today};
pub use month::Month;
pub use place::Place;
pub use text_enum::TextEnum;
pub(crate) use text_enum::text_enum;

text_enum! {
    /// How exactly a quantity is known: `2000` exact, "2,000 余" at least, "约 1.8 万" about.
    Precision {
        Exact = "exact", "精确", "exact";
        AtLeast = "at_least", "不少于（余、多）", "at least";
        About = "about", "约", "about";
    }
}

impl Precision {
    /// A sum is known only as well as its worst-known part.
    pub fn weakest(self, other: Self) -> Self {
        use Precision::{About, AtLeast, Exact};
        match (self, other) {
            (About, _) | (_, About) => About,
            (AtLeast, _) | (_, AtLeast) => AtLeast,
            (Exact, Exact) => Exact,
        }
    }
}

text_enum! {
    /// How exactly a day is known: on that day, or on that day at the latest.
    DatePrecision {
        Exact = "exact", "当日", "on that day";
        AtLatest = "at_latest", "不晚于当日", "on that day at the latest";
    }
}

text_enum! {
    /// Where coordinates come from: China's maps are offset from GPS.
    CoordinateSystem {
        Gcj02 = "gcj02", "国测局坐标", "GCJ-02";
        Wgs84 = "wgs84", "GPS 坐标", "WGS-84";
        Bd09 = "bd09", "百度坐标", "BD-09";
    }
}
