//! See `tenrec_fuzz::log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenrec_fuzz::log(data));
