//! What a raft log promises.
