//! Tests of the whole: what no single crate can check. The tests themselves are in `tests/tests`.

pub mod template;
