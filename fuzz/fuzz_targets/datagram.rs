//! Fuzzes [`roda_fuzz::datagram`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    roda_fuzz::datagram(data);
});
