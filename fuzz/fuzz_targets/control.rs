//! Fuzzes [`roda_fuzz::control`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    roda_fuzz::control(data);
});
