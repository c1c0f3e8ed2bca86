//! Why a run did not succeed, in the form of its result.

use nodeyard_domain::{
    code::Code,
    readiness::{Finding, ReadinessCode},
};

/// The end of a run that did not succeed. Every failure path of the task ends in one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub(crate) struct Failure {
    pub(crate) code: Code,
    /// For the operator; redacted before it is recorded.
    pub(crate) message: String,
    pub(crate) findings: Vec<Finding>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), findings: Vec::new() }
    }

    /// The task itself failed: nothing is known to be wrong with the node.
    pub(crate) fn of_task(message: impl Into<String>) -> Self {
        Self::new(Code::AnsibleUnexpectedError, message)
    }

    /// Adds what this failure shows about the node's readiness.
    #[must_use]
    pub(crate) fn showing(mut self, code: ReadinessCode) -> Self {
        let detail = self.message.clone();
        self.findings.push(Finding { code, ok: false, warning: false, detail });
        self
    }
}
