//! How numbers of the protocol stand in SQLite's signed 64-bit columns.

use roda_proto::token::Fence;
use roda_proto::{Hlc, Seq};

const TOP_BIT: u64 = 1 << 63;

/// Keeps the order over the whole range, so that a peer's absurd clock sorts last and not first.
pub(crate) const fn clock_to_sql(hlc: Hlc) -> i64 {
    (hlc.0 ^ TOP_BIT).cast_signed()
}

pub(crate) const fn clock_from_sql(column: i64) -> Hlc {
    Hlc(column.cast_unsigned() ^ TOP_BIT)
}

/// Like a clock, and for the same reason.
pub(crate) const fn fence_to_sql(fence: Fence) -> i64 {
    clock_to_sql(Hlc(fence.0))
}

pub(crate) const fn fence_from_sql(column: i64) -> Fence {
    Fence(clock_from_sql(column).0)
}

/// Saturates: a log that starts at 1 and has no gaps never gets that far, a question may.
pub(crate) fn seq_to_sql(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

pub(crate) const fn seq_from_sql(column: i64) -> Seq {
    Seq(column.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_keep_their_order_and_come_back() {
        let clocks = [0, 1, (1 << 63) - 1, 1 << 63, u64::MAX].map(Hlc);
        assert!(clocks.map(clock_to_sql).is_sorted());
        assert_eq!(clocks.map(clock_to_sql).map(clock_from_sql), clocks);
    }
}
