//! Places on the map, and the three systems of coordinates that China's maps speak.
//!
//! GCJ-02 is WGS-84 moved by a secret but known offset (some 570 m around Zhengzhou), BD-09 is GCJ-02 moved once more.
//! Only the ways there are formulas; the ways back are found by iteration, to within a centimetre.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::CoordinateSystem;

/// A point on the map.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Degrees east.
    #[schema(minimum = -180, maximum = 180, example = 113.6861302)]
    pub longitude: f64,
    /// Degrees north.
    #[schema(minimum = -90, maximum = 90, example = 34.7589225)]
    pub latitude: f64,
    /// What the degrees are of; `gcj02` when absent, which the usual maps of China use.
    #[serde(default = "usual_system")]
    pub coordinate_system: CoordinateSystem,
}

fn usual_system() -> CoordinateSystem {
    CoordinateSystem::Gcj02
}

impl Place {
    /// The same place in another system, to seven decimals (a centimetre).
    pub fn converted(self, to: CoordinateSystem) -> Self {
        use CoordinateSystem::{Bd09, Gcj02, Wgs84};
        let point = (self.longitude, self.latitude);
        let (longitude, latitude) = match (self.coordinate_system, to) {
            (Wgs84, Gcj02) => gcj02_of_wgs84(point),
            (Wgs84, Bd09) => bd09_of_gcj02(gcj02_of_wgs84(point)),
            (Gcj02, Bd09) => bd09_of_gcj02(point),
            (Gcj02, Wgs84) => backwards(gcj02_of_wgs84, point),
            (Bd09, Gcj02) => backwards(bd09_of_gcj02, point),
            (Bd09, Wgs84) => backwards(gcj02_of_wgs84, backwards(bd09_of_gcj02, point)),
            (Wgs84, Wgs84) | (Gcj02, Gcj02) | (Bd09, Bd09) => return self,
        };
        let rounded = |degrees: f64| (degrees * 1e7).round() / 1e7;
        Self { longitude: rounded(longitude), latitude: rounded(latitude), coordinate_system: to }
    }
}

/// Longitude and latitude in degrees.
type Point = (f64, f64);

/// Semi-major axis of the Krasovsky ellipsoid, in metres, and the square of its eccentricity.
const AXIS: f64 = 6_378_245.0;
const ECCENTRICITY_SQUARED: f64 = 0.006_693_421_622_965_943;

/// The offset is applied in a rectangle around China only; elsewhere both systems agree.
fn is_offset((longitude, latitude): Point) -> bool {
    (72.004..=137.8347).contains(&longitude) && (0.8293..=55.8271).contains(&latitude)
}

fn gcj02_of_wgs84(point: Point) -> Point {
    if !is_offset(point) {
        return point;
    }
    let (longitude, latitude) = point;
    let (x, y) = (longitude - 105.0, latitude - 35.0);
    let wave = |amplitude: f64, of: f64| amplitude * (of * PI).sin();
    let common = (wave(20.0, 6.0 * x) + wave(20.0, 2.0 * x)) * 2.0 / 3.0;
    let north = -100.0
        + 2.0 * x
        + 3.0 * y
        + 0.2 * y * y
        + 0.1 * x * y
        + 0.2 * x.abs().sqrt()
        + common
        + (wave(20.0, y) + wave(40.0, y / 3.0)) * 2.0 / 3.0
        + (wave(160.0, y / 12.0) + wave(320.0, y / 30.0)) * 2.0 / 3.0;
    let east = 300.0
        + x
        + 2.0 * y
        + 0.1 * x * x
        + 0.1 * x * y
        + 0.1 * x.abs().sqrt()
        + common
        + (wave(20.0, x) + wave(40.0, x / 3.0)) * 2.0 / 3.0
        + (wave(150.0, x / 12.0) + wave(300.0, x / 30.0)) * 2.0 / 3.0;
    let radians = latitude.to_radians();
    let magic = 1.0 - ECCENTRICITY_SQUARED * radians.sin().powi(2);
    let metres_a_degree_north = AXIS * (1.0 - ECCENTRICITY_SQUARED) / (magic * magic.sqrt()) * PI / 180.0;
    let metres_a_degree_east = AXIS / magic.sqrt() * radians.cos() * PI / 180.0;
    (longitude + east / metres_a_degree_east, latitude + north / metres_a_degree_north)
}

fn bd09_of_gcj02((longitude, latitude): Point) -> Point {
    let turn = PI * 3000.0 / 180.0;
    let distance = longitude.hypot(latitude) + 0.000_02 * (latitude * turn).sin();
    let angle = latitude.atan2(longitude) + 0.000_003 * (longitude * turn).cos();
    (distance * angle.cos() + 0.006_5, distance * angle.sin() + 0.006)
}

/// The point that a formula leads to `target`. Offsets change slowly from place to place, so each step comes
/// hundreds of times nearer and a few are enough.
fn backwards(formula: fn(Point) -> Point, target: Point) -> Point {
    let mut point = target;
    for _ in 0..10 {
        let reached = formula(point);
        let (east, north) = (target.0 - reached.0, target.1 - reached.1);
        point = (point.0 + east, point.1 + north);
        if east.abs() < 1e-10 && north.abs() < 1e-10 {
            break;
        }
    }
    point
}

#[cfg(test)]
mod tests {
    use super::*;
    use CoordinateSystem::{Bd09, Gcj02, Wgs84};

    /// WGS-84, GCJ-02 and BD-09 of six places in and around Zhengzhou.
    const VECTORS: [[Point; 3]; 6] = [
        [(113.68, 34.76), (113.6861302, 34.7589225), (113.6926922, 34.7646626)],
        [(113.7749, 34.7577), (113.7810538, 34.7566893), (113.7874920, 34.7628389)],
        [(113.6838, 34.779), (113.6899387, 34.7779489), (113.6965114, 34.7836487)],
        [(112.9357, 34.5086), (112.9417092, 34.5072098), (112.9481586, 34.5133502)],
        [(113.8408, 34.5197), (113.8467542, 34.5183758), (113.8532560, 34.5243133)],
        [(113.3834, 34.7868), (113.3899374, 34.7860010), (113.3963344, 34.7922911)],
    ];

    fn place((longitude, latitude): Point, coordinate_system: CoordinateSystem) -> Place {
        Place { longitude, latitude, coordinate_system }
    }

    fn assert_near(found: Place, wanted: Place, tolerance: f64) {
        let off = (found.longitude - wanted.longitude).abs().max((found.latitude - wanted.latitude).abs());
        assert!(off <= tolerance && found.coordinate_system == wanted.coordinate_system, "{found:?} is not {wanted:?}");
    }

    #[test]
    fn the_ways_there() {
        for [wgs84, gcj02, bd09] in VECTORS {
            let [wgs84, gcj02, bd09] = [place(wgs84, Wgs84), place(gcj02, Gcj02), place(bd09, Bd09)];
            assert_near(wgs84.converted(Gcj02), gcj02, 1e-6);
            assert_near(wgs84.converted(Bd09), bd09, 1e-6);
            assert_near(gcj02.converted(Bd09), bd09, 1e-6);
        }
    }

    #[test]
    fn the_ways_back() {
        for [wgs84, gcj02, bd09] in VECTORS {
            let [wgs84, gcj02, bd09] = [place(wgs84, Wgs84), place(gcj02, Gcj02), place(bd09, Bd09)];
            assert_near(gcj02.converted(Wgs84), wgs84, 1e-6);
            assert_near(bd09.converted(Gcj02), gcj02, 1e-6);
            assert_near(bd09.converted(Wgs84), wgs84, 1e-6);
        }
        assert_near(place((113.68, 34.76), Gcj02).converted(Wgs84), place((113.6738804, 34.7610881), Wgs84), 1e-6);
    }

    #[test]
    fn nothing_moves_outside_china_or_within_one_system() {
        let tokyo = place((139.767, 35.681), Wgs84);
        assert_near(tokyo.converted(Gcj02), place((139.767, 35.681), Gcj02), 0.0);
        assert_eq!(tokyo.converted(Wgs84), tokyo);
    }
}
