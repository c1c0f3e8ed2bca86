//! The append-only registry of stable error codes: when to retry, what the public may read, what
//! the operator can do.

use serde::{Deserialize, Serialize};

/// When the same request may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    Never,
    /// Once the named cause has been mended.
    AfterDelay,
    WithBackOff,
}

macro_rules! codes {
    ($($variant:ident = $text:literal, $retry:ident, $sentence:literal, $guidance:literal;)+) => {
        /// Why a job failed, as the API, the timeline and the evidence name it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(#[serde(rename = $text)] $variant,)+
        }

        impl Code {
            pub const ALL: &[Code] = &[$(Code::$variant,)+];

            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)+ }
            }

            pub fn retry(self) -> Retry {
                match self { $(Code::$variant => Retry::$retry,)+ }
            }

            /// A sentence that is safe to show to any caller.
            pub fn sentence(self) -> &'static str {
                match self { $(Code::$variant => $sentence,)+ }
            }

            /// What the operator can do.
            pub fn guidance(self) -> &'static str {
                match self { $(Code::$variant => $guidance,)+ }
            }
        }
    };
}

codes! {
    ProviderUnauthorized = "PROVIDER_UNAUTHORIZED", AfterDelay, "The provider refused the connection's token.", "Store a valid token with PUT /providers/{name}; parked jobs go on by themselves.";
    ProviderTokenReadonly = "PROVIDER_TOKEN_READONLY", AfterDelay, "The connection's token may only read.", "Store a read-write token of the same project with PUT /providers/{name}.";
    ProviderRateLimited = "PROVIDER_RATE_LIMITED", WithBackOff, "The provider's rate limit was used up.", "Look for other programs that use the same project; ask the provider for a higher limit.";
    ProviderCapacityExhausted = "PROVIDER_CAPACITY_EXHAUSTED", AfterDelay, "No rung of the placement ladder had capacity.", "Add server types or locations to the placement ladder, or try again later.";
    ProviderQuotaExceeded = "PROVIDER_QUOTA_EXCEEDED", AfterDelay, "The provider project's limit is reached.", "Ask the provider to raise the project's limit, or release nodes.";
    ProviderNameConflict = "PROVIDER_NAME_CONFLICT", Never, "A server that is not ours holds the node's server name.", "Rename or remove that server in the provider's project, then create a new node.";
    ProviderInvalidRequest = "PROVIDER_INVALID_REQUEST", Never, "The provider refused the request as invalid.", "Read the provider's message in the timeline and correct type, location or image.";
    ProviderActionFailed = "PROVIDER_ACTION_FAILED", WithBackOff, "The provider's action failed.", "Read the action's code in the timeline; create the node again.";
    ProviderActionTimeout = "PROVIDER_ACTION_TIMEOUT", WithBackOff, "The provider's action did not end in time.", "Check the provider's status page; create the node again.";
    ProviderServerGone = "PROVIDER_SERVER_GONE", Never, "The node's server no longer exists at the provider.", "Release the node and create a new one; find out who removed the server.";
    ProviderProtected = "PROVIDER_PROTECTED", AfterDelay, "The server is protected against deletion.", "Remove the delete protection at the provider; the release goes on by itself.";
    ProviderUnavailable = "PROVIDER_UNAVAILABLE", WithBackOff, "The provider did not answer usefully.", "Check the provider's status page; the job retries by itself until its deadline.";
    ProviderApiDrift = "PROVIDER_API_DRIFT", AfterDelay, "The provider's answer lacked something we need.", "Update Nodeyard; the provider has changed its API.";
    PriceCeilingExceeded = "PRICE_CEILING_EXCEEDED", Never, "Every rung costs more than max_price.", "Raise max_price or add cheaper rungs.";
    SpendCapExceeded = "SPEND_CAP_EXCEEDED", AfterDelay, "The connection's cap on nodes or money is reached.", "Release nodes or raise the cap with PUT /providers/{name}.";
    NodeUnreachable = "NODE_UNREACHABLE", WithBackOff, "The node could not be reached over SSH.", "Check allow_ssh_from and the provider's network; run POST /nodes/{id}/configure again.";
    NodeHostKeyMismatch = "NODE_HOST_KEY_MISMATCH", Never, "The node's host key is not the pinned one.", "Treat the node as compromised or replaced: release it and create a new one.";
    NodeBootTimeout = "NODE_BOOT_TIMEOUT", WithBackOff, "The node did not finish booting in time.", "Read the log; create the node again.";
    AnsiblePlayError = "ANSIBLE_PLAY_ERROR", AfterDelay, "The playbook run ended with an error.", "Read the job's log.";
    AnsibleHostFailed = "ANSIBLE_HOST_FAILED", AfterDelay, "A task of the playbook failed on the node.", "Read the failed task in the job's timeline, correct vars, configure again.";
    AnsibleHostUnreachable = "ANSIBLE_HOST_UNREACHABLE", WithBackOff, "The node became unreachable during the run.", "Check the node at the provider; configure again.";
    AnsibleSyntaxError = "ANSIBLE_SYNTAX_ERROR", Never, "A playbook could not be parsed.", "Mend the playbook in the task's image.";
    AnsibleUnexpectedError = "ANSIBLE_UNEXPECTED_ERROR", WithBackOff, "Ansible ended unexpectedly.", "Read the job's log.";
    AnsibleUnknownExit = "ANSIBLE_UNKNOWN_EXIT", WithBackOff, "Ansible ended with an exit code we do not know.", "Read the job's log.";
    AnsibleTimeout = "ANSIBLE_TIMEOUT", WithBackOff, "The run did not end in time.", "Read the log for the task that hangs; raise deadline_secs if it was merely slow.";
    TaskStartFailed = "TASK_START_FAILED", WithBackOff, "The container task could not be started.", "Check the cluster's capacity, subnets and image.";
    TaskLost = "TASK_LOST", WithBackOff, "The container task ended without a result.", "Look at the task's stop reason in the timeline (memory, image pull).";
    ReadinessFailed = "READINESS_FAILED", AfterDelay, "The node is configured but did not pass its readiness probes.", "Read the node's readiness findings.";
    SmokeFailed = "SMOKE_FAILED", AfterDelay, "A smoke step failed on the node.", "Read the step, command and reason in the evidence.";
    JobPoisoned = "JOB_POISONED", Never, "The job crashed its worker repeatedly and was stopped.", "Report it with the job's id; its node is released by itself.";
    JobTimeout = "JOB_TIMEOUT", AfterDelay, "The job did not end by its deadline.", "Read the timeline for what it waited for; raise deadline_secs if needed.";
    JobCancelled = "JOB_CANCELLED", Never, "The job was cancelled.", "Nothing to do.";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Append-only: a changed line here breaks callers who match on codes.
    #[test]
    fn registry_is_stable() {
        let lines: Vec<String> =
            Code::ALL.iter().map(|code| format!("{} {:?}", code.as_str(), code.retry())).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn every_code_serialises_as_its_text_and_says_what_to_do() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(code.sentence().ends_with('.') && code.guidance().ends_with('.'));
        }
    }
}
