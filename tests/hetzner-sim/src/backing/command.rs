//! Runs a command of the host to its end.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::BackingError;

/// How much of a failed command's output an error keeps, in bytes.
const TAIL_BYTES: usize = 2_000;

/// Commands that lay out namespaces and the like are done in milliseconds;
/// one that takes this long hangs.
pub(crate) const SHORT: Duration = Duration::from_secs(60);

/// Where programs are looked for: as the caller does, then in the
/// administrator's folders, which a caller's path may leave out.
pub(crate) fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin")
}

/// Runs `program` and gives back what it wrote to its standard output.
///
/// # Errors
/// One that cannot be started, fails, or takes longer than [`SHORT`].
pub(crate) async fn run<A: AsRef<OsStr>>(
    program: &str,
    args: &[A],
) -> Result<String, BackingError> {
    run_within(program, args, "", SHORT).await
}

/// As [`run`], with standard input and a time limit.
pub(crate) async fn run_within<A: AsRef<OsStr>>(
    program: &str,
    args: &[A],
    input: &str,
    limit: Duration,
) -> Result<String, BackingError> {
    let mut line = program.to_owned();
    for arg in args {
        line.push(' ');
        line.push_str(&arg.as_ref().to_string_lossy());
    }
    let failed = |detail: String| BackingError::Command { command: line.clone(), detail };
    let mut child = Command::new(program)
        .args(args)
        .env("PATH", search_path())
        // An interrupt from the keyboard must not end a removal half way.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let stdin = child.stdin.take();
    let finished = tokio::time::timeout(limit, async {
        if let Some(mut stdin) = stdin {
            // A command that does not read its input closes the pipe; its
            // exit status tells more than that.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await
    })
    .await
    .map_err(|_| failed(format!("not done after {} s", limit.as_secs())))?;
    let output = finished.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(failed(format!("{}: {}", output.status, tail(&text))))
}

/// The end of a text, for an error message.
pub(crate) fn tail(text: &str) -> &str {
    let text = text.trim();
    let mut start = text.len().saturating_sub(TAIL_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// The end of a file, or why it cannot be read.
pub(crate) fn file_tail(path: &Path) -> String {
    match std::fs::read(path) {
        Ok(bytes) => tail(&String::from_utf8_lossy(&bytes)).to_owned(),
        Err(error) => format!("{}: {error}", path.display()),
    }
}

/// An error of reading or writing, with what was being done.
pub(crate) fn io(context: impl Into<String>) -> impl FnOnce(std::io::Error) -> BackingError {
    let context = context.into();
    move |source| BackingError::Io { context, source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_failure_names_the_command_and_ends_with_its_output() {
        let error = run("sh", &["-c", "echo out; echo err >&2; exit 3"]).await;
        let text = error.unwrap_err().to_string();
        assert!(text.starts_with("sh -c"), "{text}");
        assert!(text.contains("exit status: 3") && text.ends_with("err"), "{text}");
    }

    #[tokio::test]
    async fn input_reaches_the_command_and_a_late_one_is_given_up() {
        let out = run_within("cat", &[] as &[&str], "hello", SHORT).await.unwrap();
        assert_eq!(out, "hello");
        let limit = Duration::from_millis(50);
        let late = run_within("sh", &["-c", "exec tail -f /dev/null"], "", limit).await;
        assert!(late.unwrap_err().to_string().contains("not done"));
    }

    #[test]
    fn a_tail_cuts_between_characters() {
        let long = "é".repeat(TAIL_BYTES);
        assert!(tail(&long).len() <= TAIL_BYTES);
    }
}
