//! See `tenrec_fuzz::lz64`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenrec_fuzz::lz64(data));
