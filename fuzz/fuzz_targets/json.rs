//! JSON lines and arrays.
#![no_main]

mod common;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    common::read(&[b"{\"a\":1}\n", bytes].concat());
    common::read(&[b"[{\"a\":1}", bytes].concat());
});
