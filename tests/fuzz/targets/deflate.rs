#![no_main]

libfuzzer_sys::fuzz_target!(|steps: &[u8]| runplan_fuzz::deflate::holds(steps));
