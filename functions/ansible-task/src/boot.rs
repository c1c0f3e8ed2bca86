//! Waiting for a new node: authenticated logins until one succeeds.
//!
//! | ssh says | we |
//! | --- | --- |
//! | refused, no route, timed out, closed | wait until the boot limit |
//! | another host key, before any login | wait until the boot limit: the address may still be somebody else's |
//! | another host key, afterwards | fail at once |
//! | permission denied | wait for a while: cloud-init makes the user after sshd answers |

use std::time::Duration;

use nodeyard_domain::{code::Code, host_key::HostPins, readiness::ReadinessCode, run::Purpose};
use nodeyard_engine::{Clock, store::RunStore};
use tokio::time::Instant;

use crate::{failure::Failure, login, login::Login, report::Report, site::Site, tempo::Tempo};

/// What to do after a try.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    Wait,
    Fail(Failure),
}

/// The rules, without any waiting.
struct Rules {
    /// The node was logged in to before, by this run or an earlier one.
    known: bool,
    boot_limit: Duration,
    denied_limit: Duration,
    denied_since: Option<Duration>,
}

impl Rules {
    fn new(purpose: Purpose, pins: &HostPins, tempo: &Tempo) -> Self {
        let (boot_limit, denied_limit) = match purpose {
            Purpose::Configure => (tempo.boot_limit, tempo.denied_limit),
            Purpose::Check | Purpose::Smoke { .. } => (tempo.look_limit, tempo.look_denied_limit),
        };
        Self {
            // A key made on the node was read over a pinned login.
            known: pins.replaced || pins.next.is_some(),
            boot_limit,
            denied_limit,
            denied_since: None,
        }
    }

    /// Judges a try that ended `elapsed` after the wait began.
    fn judge(&mut self, login: &Login, elapsed: Duration) -> Next {
        let too_late = elapsed >= self.boot_limit;
        match login {
            Login::Done => Next::GoOn,
            Login::OtherHostKey(words) if self.known || too_late => {
                Next::Fail(other_host_key(words))
            }
            Login::Denied(words) => {
                let since = *self.denied_since.get_or_insert(elapsed);
                if too_late || elapsed - since >= self.denied_limit {
                    Next::Fail(
                        Failure::new(
                            Code::NodeUnreachable,
                            format!("the node refuses our key: {words}"),
                        )
                        .showing(ReadinessCode::SshAuthFailed),
                    )
                } else {
                    Next::Wait
                }
            }
            Login::Away(words) if too_late => {
                // A node that was configured before has booted before.
                let code = if self.known { Code::NodeUnreachable } else { Code::NodeBootTimeout };
                let message = format!("no login within {} s: {words}", self.boot_limit.as_secs());
                Next::Fail(Failure::new(code, message).showing(ReadinessCode::SshUnreachable))
            }
            Login::Away(_) | Login::OtherHostKey(_) => Next::Wait,
        }
    }
}

pub(crate) fn other_host_key(words: &str) -> Failure {
    Failure::new(Code::NodeHostKeyMismatch, words).showing(ReadinessCode::HostKeyMismatch)
}

/// Waits for the first login.
///
/// # Errors
/// When a limit is over, the host key is wrong for good, or the run has to stop.
pub(crate) async fn wait_for_login<S: RunStore, C: Clock>(
    site: &Site<'_>,
    pins: &HostPins,
    report: &mut Report<'_, S, C>,
) -> Result<(), Failure> {
    let tempo = &site.settings.tempo;
    let mut rules = Rules::new(site.run.purpose, pins, tempo);
    let mut stop = site.stop.clone();
    let mut told = None;
    let began = Instant::now();
    loop {
        let login = stop.or(login::try_once(site, &site.scratch.known_hosts())).await??;
        let (kind, words) = match &login {
            Login::Done => ("done", None),
            Login::Away(words) => ("away", Some(words)),
            Login::OtherHostKey(words) => ("other_host_key", Some(words)),
            Login::Denied(words) => ("denied", Some(words)),
        };
        if let Some(words) = words {
            report.line(&format!("login: {words}"));
            if told != Some(kind) {
                report.say(format!("waiting for the node: {words}"));
                told = Some(kind);
            }
        }
        match rules.judge(&login, began.elapsed()) {
            Next::GoOn => break,
            Next::Wait => {}
            Next::Fail(failure) => return Err(failure),
        }
        report.append_when_due().await;
        stop.or(tokio::time::sleep(tempo.login_gap)).await?;
    }
    let seconds = (began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    let entry = report.entry("logged in to the node").with("seconds", seconds);
    report.note(entry);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(known: bool) -> Rules {
        let mut pins = HostPins::delivered(1, "ssh-ed25519 A".into());
        pins.replaced = known;
        Rules::new(Purpose::Configure, &pins, &Tempo::default())
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn code(next: Next) -> Code {
        match next {
            Next::Fail(failure) => failure.code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nobody_there_is_waited_for_until_the_boot_limit() {
        let away = Login::Away("refused".into());
        assert_eq!(rules(false).judge(&away, secs(299)), Next::Wait);
        assert_eq!(code(rules(false).judge(&away, secs(300))), Code::NodeBootTimeout);
        assert_eq!(code(rules(true).judge(&away, secs(300))), Code::NodeUnreachable);
        assert_eq!(rules(false).judge(&Login::Done, secs(999)), Next::GoOn);
    }

    #[test]
    fn a_foreign_host_key_may_be_a_recycled_address_only_before_the_first_login() {
        let other = Login::OtherHostKey("changed".into());
        assert_eq!(rules(false).judge(&other, secs(10)), Next::Wait);
        assert_eq!(code(rules(false).judge(&other, secs(300))), Code::NodeHostKeyMismatch);
        assert_eq!(code(rules(true).judge(&other, secs(0))), Code::NodeHostKeyMismatch);
        // A run that crashed between the two pins had logged in.
        let pins = HostPins::delivered(1, "ssh-ed25519 A".into()).with_next("ssh-ed25519 B");
        let next = Rules::new(Purpose::Configure, &pins, &Tempo::default()).judge(&other, secs(0));
        assert_eq!(code(next), Code::NodeHostKeyMismatch);
    }

    #[test]
    fn a_node_that_is_looked_at_is_not_waited_for_as_one_that_boots() {
        let mut pins = HostPins::delivered(1, "ssh-ed25519 A".into());
        pins.replaced = true;
        for purpose in [Purpose::Check, Purpose::Smoke { keep: false }] {
            let rules = || Rules::new(purpose, &pins, &Tempo::default());
            let away = Login::Away("refused".into());
            assert_eq!(rules().judge(&away, secs(59)), Next::Wait);
            assert_eq!(code(rules().judge(&away, secs(60))), Code::NodeUnreachable);
            let mut rules = rules();
            let denied = Login::Denied("Permission denied (publickey).".into());
            assert_eq!(rules.judge(&denied, secs(1)), Next::Wait);
            assert_eq!(code(rules.judge(&denied, secs(21))), Code::NodeUnreachable);
        }
    }

    #[test]
    fn a_refused_key_is_waited_for_as_long_as_cloud_init_may_need() {
        let denied = Login::Denied("Permission denied (publickey).".into());
        let mut rules = rules(false);
        assert_eq!(rules.judge(&Login::Away("refused".into()), secs(40)), Next::Wait);
        assert_eq!(rules.judge(&denied, secs(50)), Next::Wait);
        assert_eq!(rules.judge(&denied, secs(139)), Next::Wait);
        let Next::Fail(failure) = rules.judge(&denied, secs(140)) else { panic!("waits on") };
        assert_eq!(failure.code, Code::NodeUnreachable);
        assert_eq!(failure.findings[0].code, ReadinessCode::SshAuthFailed);
        assert!(!failure.findings[0].ok);
    }
}
