//! The demo's last line: what happened, and what was only simulated.

use std::fmt;

/// What the demo has seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// How many nodes became ready.
    pub nodes: usize,
    /// Seconds from the first request to the last ready node.
    pub ready_secs: f64,
    /// Whether the profile has a page, which was then fetched.
    pub has_page: bool,
    /// Whether there were machines.
    pub is_real: bool,
    /// Whether the nodes were left.
    pub kept: bool,
    /// Servers left at the provider.
    pub servers_left: u64,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = if self.nodes == 1 { "node" } else { "nodes" };
        write!(out, "demo: {} {nodes} ready in {:.0} s", self.nodes, self.ready_secs)?;
        match (self.is_real, self.has_page, self.nodes) {
            (false, ..) => out.write_str(", no machines: runs and pages simulated")?,
            (true, false, _) => out.write_str(", no page in this profile")?,
            (true, true, 1) => out.write_str(", page served")?,
            (true, true, _) => out.write_str(", pages served")?,
        }
        out.write_str(if self.kept { ", kept" } else { ", released" })?;
        let servers = if self.servers_left == 1 { "server" } else { "servers" };
        write!(out, ", {} {servers} left", self.servers_left)
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    const WEB: Verdict = Verdict {
        nodes: 1,
        ready_secs: 71.4,
        has_page: true,
        is_real: true,
        kept: false,
        servers_left: 0,
    };

    #[test]
    fn the_last_line_is_the_promised_one() {
        let line = "demo: 1 node ready in 71 s, page served, released, 0 servers left";
        assert_eq!(WEB.to_string(), line);
        let four = Verdict { nodes: 4, ..WEB };
        assert!(four.to_string().starts_with("demo: 4 nodes ready in 71 s, pages served"));
    }

    #[test]
    fn what_was_not_seen_is_not_claimed() {
        let simulated = Verdict { is_real: false, ..WEB }.to_string();
        assert!(simulated.contains("simulated") && !simulated.contains("page served"));
        let base = Verdict { has_page: false, ..WEB }.to_string();
        assert!(!base.contains("page served"), "{base}");
        let kept = Verdict { kept: true, servers_left: 1, ..WEB }.to_string();
        assert!(kept.ends_with("kept, 1 server left"), "{kept}");
    }
}
