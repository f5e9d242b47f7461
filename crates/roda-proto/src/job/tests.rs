//! Tests of the codec and the fold.

mod codec;
mod kit;
mod properties;
mod states;
mod stories;
