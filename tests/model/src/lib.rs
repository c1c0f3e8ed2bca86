//! The state machine under a model checker: the real `step`, driven by two workers over a queue
//! that loses, doubles and reorders, with workers that crash anywhere and a cloud that answers
//! late or not at all. Every interleaving within the bounds is looked at.
//!
//! What is real: `step`, `Job`, `Node`, `NodeChange::apply`, `Policy`. What is mirrored, in few
//! lines each and with the place they mirror: the driver ([`worker`]), the store ([`store`]), the
//! sweep ([`world`]). What is made up: the cloud ([`cloud`]) and the container tasks ([`run`]).
//!
//! Beside it, [`histories`]: records as released versions wrote them, which must load and finish
//! for ever.
//!
//! Must not: decide anything about jobs itself.

pub mod action;
pub mod cloud;
pub mod fingerprint;
pub mod histories;
pub mod properties;
pub mod run;
pub mod scenario;
pub mod store;
pub mod worker;
pub mod world;
