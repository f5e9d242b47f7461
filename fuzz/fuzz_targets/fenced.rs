//! Fuzzes [`roda_fuzz::fenced`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    roda_fuzz::fenced(data);
});
