//! Fuzzes [`roda_fuzz::job_fold`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    roda_fuzz::job_fold(data);
});
