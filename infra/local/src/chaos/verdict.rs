//! The drill's last line.

use std::fmt;

/// What was done, and what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Nodes asked for.
    pub acquisitions: usize,
    /// Processes killed.
    pub kills: usize,
    /// Answers that did not tell what happened.
    pub lost_answers: usize,
    /// Servers made twice.
    pub duplicates: usize,
    /// Things at the provider that nobody owns.
    pub orphans: usize,
    /// Jobs and nodes that came to no end, or to one without a reason.
    pub stuck: usize,
    /// Events that nobody was told, or that were made up.
    pub wrong_events: usize,
    /// Requests answered 429 that were not meant to be.
    pub over_the_limit: usize,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.duplicates + self.orphans + self.stuck + self.wrong_events + self.over_the_limit == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "chaos: {} acquisitions, {} kills, {} lost answers, {} duplicates, {} orphans, {} stuck",
            self.acquisitions,
            self.kills,
            self.lost_answers,
            self.duplicates,
            self.orphans,
            self.stuck
        )?;
        if self.wrong_events > 0 {
            write!(out, ", {} events missing or made up", self.wrong_events)?;
        }
        match self.over_the_limit {
            0 => Ok(()),
            calls => write!(out, ", {calls} over the rate limit"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    #[test]
    fn anything_wrong_is_told_and_fails() {
        let fine = Verdict {
            acquisitions: 20,
            kills: 31,
            lost_answers: 17,
            duplicates: 0,
            orphans: 0,
            stuck: 0,
            wrong_events: 0,
            over_the_limit: 0,
        };
        let line =
            "chaos: 20 acquisitions, 31 kills, 17 lost answers, 0 duplicates, 0 orphans, 0 stuck";
        assert_eq!(fine.to_string(), line);
        assert!(fine.holds());
        for wrong in [
            Verdict { duplicates: 1, ..fine },
            Verdict { orphans: 1, ..fine },
            Verdict { stuck: 1, ..fine },
            Verdict { wrong_events: 1, ..fine },
            Verdict { over_the_limit: 1, ..fine },
        ] {
            assert!(!wrong.holds() && wrong.to_string() != line, "{wrong}");
        }
    }
}
