//! Every state against every observation, the tables in the docs against the code, and walks
//! along whole lives of jobs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod docs;
mod exhaustive;
mod reachable;
mod records;
mod walks;
