#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| runplan_fuzz::expression::holds(text));
