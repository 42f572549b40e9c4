#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| regferry::history::properties::history(data));
