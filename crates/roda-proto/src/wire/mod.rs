//! Bytes on the wire.

pub mod codec;
