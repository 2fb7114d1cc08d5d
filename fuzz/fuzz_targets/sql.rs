//! See `tenrec_fuzz::sql`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenrec_fuzz::sql(data));
