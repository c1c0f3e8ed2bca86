//! A small ECS: RunTask, DescribeTasks, StopTask and ListTasks for container
//! tasks that run on this machine, as processes or with podman.
//!
//! It speaks the AWS JSON 1.1 protocol as far as those four need it, so that
//! the worker's code does not know the difference. It must not know what a
//! task does. Facts are from the Amazon ECS API reference.

mod answer;
mod definition;
mod endpoint;
mod launch;
mod left_over;
mod serve;
mod task;
mod tasks;
#[cfg(test)]
mod tests;

pub use launch::scratch_of;
pub use left_over::{end_left_over_tasks, running_scratches, running_tasks};
pub use serve::serve;
