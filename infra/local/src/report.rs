//! What a person sees: one line per event, with the time since the start.

use std::time::Instant;

/// Prints lines with the seconds since it was made.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    start: Instant,
    aside: bool,
}

impl Report {
    /// Starts the clock.
    pub fn start() -> Self {
        Self { start: Instant::now(), aside: false }
    }

    /// For a command whose output something else reads: the lines go to standard error.
    pub fn aside() -> Self {
        Self { aside: true, ..Self::start() }
    }

    /// Seconds since the start.
    pub fn elapsed_secs(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// One line.
    pub fn line(&self, text: impl AsRef<str>) {
        let line = format!("{:8.1} s  {}", self.elapsed_secs(), text.as_ref());
        if self.aside {
            eprintln!("{line}");
        } else {
            println!("{line}");
        }
    }

    /// One line that tells what something took.
    pub fn took(&self, since: Instant, text: impl AsRef<str>) {
        self.line(format!("{} ({:.1} s)", text.as_ref(), since.elapsed().as_secs_f64()));
    }
}
