//! See `tenrec_fuzz::gzip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenrec_fuzz::gzip(data));
