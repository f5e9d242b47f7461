//! Bytes on the wire: bytes become typed frames here or are refused.

pub mod codec;
pub mod frame;
pub mod header;
pub mod join;

pub use frame::{Beacon, Fragment, Frame, Gap, Nack, Part, Peer};
pub use header::Header;
