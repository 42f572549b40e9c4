#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| regferry::registry::properties::content_range(data));
