//! Fuzzes [`roda_fuzz::stream`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    roda_fuzz::stream(data);
});
