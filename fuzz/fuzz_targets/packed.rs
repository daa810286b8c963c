//! What is packed: in gzip, and as the one file of an archive.
#![no_main]

mod common;

use std::io::Write;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("written");
    common::read(&gzip.finish().expect("finished"));
    common::read(&common::zipped(&[("a.csv", bytes)]));
    common::read(&[b"PK\x03\x04", bytes].concat());
    common::read(&[b"\x1F\x8B\x08", bytes].concat());
});
