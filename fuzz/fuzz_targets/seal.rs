//! Fuzzes [`roda_fuzz::seal`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    roda_fuzz::seal(data);
});
