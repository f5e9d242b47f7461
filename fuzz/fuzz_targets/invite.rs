//! Fuzzes [`roda_fuzz::invite`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    roda_fuzz::invite(data);
});
