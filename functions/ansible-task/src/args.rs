//! The task's arguments: which run to perform. Nothing else is taken from outside.

use nodeyard_domain::id::{InvalidId, JobId};

/// The run that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub job: JobId,
    /// Runs are counted from 1.
    pub run: u32,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    #[error("--job <id> is missing")]
    NoJob,
    #[error("--run <number> is missing or no number from 1")]
    NoRun,
    #[error("--job is {0}")]
    Job(#[from] InvalidId),
}

impl Request {
    /// Reads `--job <id> --run <n>`; everything else is ignored, so that no argument can change
    /// what a run does.
    ///
    /// # Errors
    /// When one of the two is missing or malformed.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, ArgsError> {
        let (mut job, mut run) = (None, None);
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--job" => job = job.or(args.next()),
                "--run" => run = run.or(args.next()),
                _ => {}
            }
        }
        let job = job.ok_or(ArgsError::NoJob)?.parse()?;
        let run = run.and_then(|text| text.parse().ok()).filter(|number| *number > 0);
        Ok(Self { job, run: run.ok_or(ArgsError::NoRun)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Request, ArgsError> {
        Request::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn job_and_run_are_read_and_the_rest_is_ignored() {
        let job = JobId::from_bits(7);
        let expected = Request { job: job.clone(), run: 2 };
        assert_eq!(parse(&format!("--job {job} --run 2")), Ok(expected.clone()));
        let noisy = format!("-vvv --extra-vars x=y --run 2 --job {job} --run 9 shell");
        assert_eq!(parse(&noisy), Ok(expected));
    }

    #[test]
    fn what_is_missing_or_malformed_is_refused() {
        let job = JobId::from_bits(7);
        assert_eq!(parse("--run 1"), Err(ArgsError::NoJob));
        assert!(matches!(parse("--job ../etc --run 1"), Err(ArgsError::Job(_))));
        for run in ["", "--run", "--run 0", "--run x", "--run -1"] {
            assert_eq!(parse(&format!("--job {job} {run}")), Err(ArgsError::NoRun), "{run}");
        }
    }
}
