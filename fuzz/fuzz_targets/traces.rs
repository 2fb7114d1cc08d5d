//! See `tenrec_fuzz::traces`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenrec_fuzz::traces(data));
