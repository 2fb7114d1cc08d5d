//! See `tenrec_fuzz::v1`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenrec_fuzz::v1(data));
