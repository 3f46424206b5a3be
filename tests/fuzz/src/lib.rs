//! What must hold for any input. The targets feed these from libFuzzer, `tests/fuzzed.rs` from the plans and from what
//! was once found.

pub mod archive;
pub mod craft;
pub mod deflate;
pub mod expression;
pub mod plan;
