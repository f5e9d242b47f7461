//! The table's rules, one by one and under random commands.

mod kit;
mod rules;
