//! What the end of a playbook means: its exit code, and what its events said.
//!
//! Exit codes are those of ansible-core 2.19 (`ansible/errors/__init__.py`, `ExitCode`). 4 has two
//! meanings there, unreachable and unreadable; the events tell them apart.

use nodeyard_domain::{code::Code, readiness::ReadinessCode};

use crate::{
    boot,
    events::{Tally, TaskFailure},
    failure::Failure,
    log::cut,
    login::{self, Login},
    stop::StopCause,
};

const SUCCESS: i32 = 0;
const GENERIC_ERROR: i32 = 1;
const HOST_FAILED: i32 = 2;
const HOST_UNREACHABLE_OR_PARSER_ERROR: i32 = 4;
/// Both bits of [`HOST_FAILED`] and unreachable; also a code that is no longer used.
const FAILED_AND_UNREACHABLE: i32 = 6;
const UNKNOWN_ERROR: i32 = 250;

const MAX_MESSAGE_BYTES: usize = 1_000;
const MAX_TASK_BYTES: usize = 200;

/// How a playbook's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
    /// We ended it.
    Stopped(StopCause),
}

/// # Errors
/// Unless the playbook did all it had to do.
pub(crate) fn judge(playbook: &str, exit: Exit, tally: &Tally) -> Result<(), Failure> {
    let says = |code, what: &str| Err(Failure::new(code, format!("{playbook}.yml: {what}")));
    let recap = tally.recap();
    let code = match exit {
        Exit::Code(code) => code,
        Exit::Signal(signal) => {
            let what = format!("Ansible was killed by signal {signal} (9: most likely no memory)");
            return says(Code::AnsibleUnexpectedError, &what);
        }
        Exit::Stopped(cause) => {
            let failure = Failure::from(cause);
            return Err(Failure {
                message: format!("{playbook}.yml: {}", failure.message),
                ..failure
            });
        }
    };
    let has_end = matches!(
        code,
        SUCCESS | HOST_FAILED | HOST_UNREACHABLE_OR_PARSER_ERROR | FAILED_AND_UNREACHABLE
    );
    if has_end && (recap.unreachable > 0 || tally.unreachable.is_some()) {
        return Err(unreachable(playbook, tally.unreachable.as_ref()));
    }
    // Also with exit code 0: a recap that counts failures is no success.
    if has_end && recap.failed > 0 {
        return Err(failed(playbook, tally.failure.as_ref()));
    }
    match code {
        SUCCESS => match tally.hosts {
            None => says(Code::AnsibleUnexpectedError, "Ansible reported success without a recap"),
            Some(0) => says(Code::AnsiblePlayError, "no host was worked on"),
            Some(_) => Ok(()),
        },
        GENERIC_ERROR => says(Code::AnsiblePlayError, "Ansible ended with an error"),
        HOST_FAILED => says(Code::AnsiblePlayError, "the play failed, and no task says why"),
        HOST_UNREACHABLE_OR_PARSER_ERROR => {
            let when = if tally.play_began { ", while it ran" } else { "" };
            says(Code::AnsibleSyntaxError, &format!("a playbook could not be parsed{when}"))
        }
        UNKNOWN_ERROR => says(Code::AnsibleUnexpectedError, "Ansible ended unexpectedly"),
        other => says(Code::AnsibleUnknownExit, &format!("Ansible ended with exit code {other}")),
    }
}

fn failed(playbook: &str, failure: Option<&TaskFailure>) -> Failure {
    let (task, said) = failure.map_or(("", ""), |it| (it.task.as_str(), it.message.as_str()));
    let (task, said) = (cut(task, MAX_TASK_BYTES), cut(said, MAX_MESSAGE_BYTES));
    let message = format!("{playbook}.yml: {task:?} failed: {said}");
    if playbook == "boot" && task.contains("cloud-init") {
        return Failure::new(Code::NodeBootTimeout, message).showing(ReadinessCode::BootUnfinished);
    }
    let failure = Failure::new(Code::AnsibleHostFailed, message);
    if playbook == "boot" && said.contains("sudo") {
        return failure.showing(ReadinessCode::SudoUnavailable);
    }
    failure
}

fn unreachable(playbook: &str, said: Option<&TaskFailure>) -> Failure {
    let said = said.map_or("", |it| it.message.as_str());
    let message = format!("{playbook}.yml: {}", cut(said, MAX_MESSAGE_BYTES));
    let failure = Failure::new(Code::AnsibleHostUnreachable, message);
    match login::refusal(said) {
        // The node was logged in to before, so this is never a recycled address.
        Login::OtherHostKey(words) => boot::other_host_key(&format!("{playbook}.yml: {words}")),
        Login::Denied(_) => failure.showing(ReadinessCode::SshAuthFailed),
        _ => failure.showing(ReadinessCode::SshUnreachable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Event;

    const PLAY: &str = r#"{"event":"play","play":"p"}"#;

    fn stats(counts: &str) -> String {
        format!(r#"{{"event":"stats","hosts":{{"node-1":{{{counts}}}}},"custom":{{}}}}"#)
    }

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for line in lines {
            tally.add(&Event::parse(line).unwrap());
        }
        tally
    }

    fn code_of(playbook: &str, code: i32, lines: &[&str]) -> Option<Code> {
        judge(playbook, Exit::Code(code), &tally(lines)).err().map(|failure| failure.code)
    }

    #[test]
    fn success_needs_the_exit_code_and_a_recap_of_a_host() {
        let good = stats(r#""ok":3,"changed":1"#);
        assert_eq!(code_of("base", 0, &[PLAY, &good]), None);
        assert_eq!(code_of("base", 0, &[PLAY]), Some(Code::AnsibleUnexpectedError));
        let nobody = r#"{"event":"stats","hosts":{},"custom":{}}"#;
        assert_eq!(code_of("base", 0, &[PLAY, nobody]), Some(Code::AnsiblePlayError));
        let handler = stats(r#""ok":3,"failures":1"#);
        assert_eq!(code_of("base", 0, &[PLAY, &handler]), Some(Code::AnsibleHostFailed));
    }

    #[test]
    fn every_exit_code_has_its_meaning() {
        let failed = stats(r#""ok":3,"failures":1"#);
        let unreachable = stats(r#""ok":3,"unreachable":1"#);
        let quiet = stats(r#""ok":3"#);
        for (code, lines, expected) in [
            (1, &[] as &[&str], Code::AnsiblePlayError),
            (2, &[PLAY, &failed], Code::AnsibleHostFailed),
            (2, &[PLAY, &quiet], Code::AnsiblePlayError),
            (4, &[PLAY, &unreachable], Code::AnsibleHostUnreachable),
            (4, &[], Code::AnsibleSyntaxError),
            (4, &[PLAY, &quiet], Code::AnsibleSyntaxError),
            (6, &[PLAY, &unreachable], Code::AnsibleHostUnreachable),
            (6, &[PLAY, &failed], Code::AnsibleHostFailed),
            (6, &[], Code::AnsibleUnknownExit),
            (5, &[], Code::AnsibleUnknownExit),
            (99, &[], Code::AnsibleUnknownExit),
            (250, &[PLAY], Code::AnsibleUnexpectedError),
        ] {
            assert_eq!(code_of("base", code, lines), Some(expected), "exit code {code}");
        }
    }

    #[test]
    fn a_signal_and_a_stop_are_no_exit_codes() {
        let killed = judge("base", Exit::Signal(9), &Tally::default()).unwrap_err();
        assert_eq!(killed.code, Code::AnsibleUnexpectedError);
        for (cause, code) in [
            (StopCause::Deadline, Code::AnsibleTimeout),
            (StopCause::Requested, Code::JobCancelled),
            (StopCause::Ended, Code::AnsibleUnexpectedError),
        ] {
            let stopped = judge("web", Exit::Stopped(cause), &Tally::default()).unwrap_err();
            assert_eq!(stopped.code, code);
            assert!(stopped.message.starts_with("web.yml: "));
        }
    }

    #[test]
    fn why_a_node_is_unreachable_is_told() {
        let with = |words: &str| {
            let event = serde_json::json!({
                "event": "task", "task": "t", "status": "unreachable",
                "msg": format!("Failed to connect to the host via ssh: {words}"),
            });
            judge("base", Exit::Code(4), &tally(&[PLAY, &event.to_string()])).unwrap_err()
        };
        let away = with("connect to host 198.18.0.10 port 22: No route to host");
        assert_eq!(away.code, Code::AnsibleHostUnreachable);
        assert_eq!(away.findings[0].code, ReadinessCode::SshUnreachable);
        let other = with("Host key verification failed.");
        assert_eq!(other.code, Code::NodeHostKeyMismatch);
        let denied = with("nodeyard@198.18.0.10: Permission denied (publickey).");
        assert_eq!(denied.findings[0].code, ReadinessCode::SshAuthFailed);
    }

    #[test]
    fn a_boot_that_does_not_finish_is_not_a_failed_profile() {
        let failing = |playbook, task, words| {
            let event = serde_json::json!({
                "event": "task", "task": task, "status": "failed", "msg": words,
            });
            let lines = [PLAY, &event.to_string(), &stats(r#""failures":1"#)];
            judge(playbook, Exit::Code(2), &tally(&lines)).unwrap_err()
        };
        let boot = failing("boot", "Wait until cloud-init has finished", "non-zero return code");
        assert_eq!(boot.code, Code::NodeBootTimeout);
        assert_eq!(boot.findings[0].code, ReadinessCode::BootUnfinished);
        let sudo = failing("boot", "Become root", "stderr: sudo: a password is required");
        assert_eq!(sudo.code, Code::AnsibleHostFailed);
        assert_eq!(sudo.findings[0].code, ReadinessCode::SudoUnavailable);
        let web = failing("web", "Install cloud-init", "no such package");
        assert_eq!(web.code, Code::AnsibleHostFailed);
        assert_eq!(web.message, "web.yml: \"Install cloud-init\" failed: no such package");
    }
}
