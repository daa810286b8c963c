//! Text in each encoding: the first byte chooses the mark before it.
#![no_main]

mod common;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let mark: &[u8] = [&b""[..], b"\xEF\xBB\xBF", b"\xFF\xFE", b"\xFE\xFF", b"a,b\n"][usize::from(*choice) % 5];
    common::read(&[mark, rest].concat());
});
