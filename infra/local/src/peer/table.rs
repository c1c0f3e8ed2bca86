//! Both sides, one line for each fault, and the last line.

use std::fmt;

use super::{FAULTS, Outcome};

/// What came of the comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// How often each fault was tried on each side.
    pub runs: u32,
    /// The provider's own Python client, by fault.
    pub client: Vec<Outcome>,
    /// Nodeyard, by fault.
    pub ours: Vec<Outcome>,
}

impl Table {
    /// Whether we left nothing, and took every server up whose answer was lost.
    pub fn holds(&self) -> bool {
        unowned(&self.ours) == 0
            && self.ours.iter().all(|outcome| outcome.taken_up == self.runs as usize)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{:32} | {:>15} | {:>13} | {:>13} | {:>13} | taken up after",
            "answer to the create",
            "client: unowned",
            "client: POSTs",
            "ours: unowned",
            "ours: POSTs"
        )?;
        for (fault, (client, ours)) in FAULTS.iter().zip(self.client.iter().zip(&self.ours)) {
            writeln!(
                out,
                "{:32} | {:15} | {:13} | {:13} | {:13} | {}",
                fault.shown(),
                client.unowned,
                client.posts,
                ours.unowned,
                ours.posts,
                span(&ours.secs)
            )?;
        }
        write!(
            out,
            "peer: {} runs each; the client left {} servers without an owner, Nodeyard {}",
            self.runs as usize * FAULTS.len(),
            unowned(&self.client),
            unowned(&self.ours)
        )
    }
}

fn unowned(outcomes: &[Outcome]) -> usize {
    outcomes.iter().map(|outcome| outcome.unowned).sum()
}

/// From the shortest to the longest.
fn span(secs: &[f64]) -> String {
    let shortest = secs.iter().copied().reduce(f64::min);
    let longest = secs.iter().copied().reduce(f64::max);
    match (shortest, longest) {
        (Some(shortest), Some(longest)) => format!("{shortest:.1} to {longest:.1} s"),
        _ => "not".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Table};

    #[test]
    fn the_last_line_counts_both_sides() {
        let left = Outcome { unowned: 3, posts: 6, ..Outcome::default() };
        let none = Outcome { posts: 3, taken_up: 3, secs: vec![2.0, 1.5], ..Outcome::default() };
        let table = Table { runs: 3, client: vec![left; 3], ours: vec![none; 3] };
        let shown = table.to_string();
        let last = "peer: 9 runs each; the client left 9 servers without an owner, Nodeyard 0";
        assert_eq!(shown.lines().last(), Some(last));
        assert!(shown.contains("1.5 to 2.0 s"), "{shown}");
        assert!(table.holds());
        assert!(!Table { runs: 4, ..table.clone() }.holds(), "one was not taken up");
        let mut worse = table;
        if let Some(outcome) = worse.ours.first_mut() {
            outcome.unowned = 1;
        }
        assert!(!worse.holds() && worse.to_string().ends_with("Nodeyard 1"));
    }
}
