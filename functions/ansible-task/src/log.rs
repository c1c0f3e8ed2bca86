//! The run's log, in numbered pieces that the store can hold. Lines come in redacted.

use std::collections::VecDeque;

/// The most bytes of one piece; the store takes 64 KB, and text may grow when it is encoded.
pub(crate) const MAX_PIECE_BYTES: usize = 48 * 1024;
/// The most bytes of one run's log. Beyond, only a note is kept.
pub(crate) const MAX_LOG_BYTES: usize = 20 * 1024 * 1024;
/// The most bytes of one line.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// Pieces that wait to be stored.
#[derive(Default)]
pub(crate) struct Log {
    open: String,
    full: VecDeque<String>,
    /// The number of the next piece to be stored, from 0.
    next: u32,
    bytes: usize,
    at_its_end: bool,
}

impl Log {
    pub(crate) fn add(&mut self, line: &str) {
        if self.at_its_end {
            return;
        }
        let kept = cut(line, MAX_LINE_BYTES);
        let mut line = kept.to_owned() + if kept.len() < line.len() { " […]\n" } else { "\n" };
        if self.bytes + line.len() > MAX_LOG_BYTES {
            self.at_its_end = true;
            line = format!("[the log ends here: a run keeps {} MB]\n", MAX_LOG_BYTES >> 20);
        }
        self.bytes += line.len();
        if self.open.len() + line.len() > MAX_PIECE_BYTES {
            self.close_piece();
        }
        self.open.push_str(&line);
    }

    /// Makes all that was added ready to be stored.
    pub(crate) fn close_piece(&mut self) {
        if !self.open.is_empty() {
            self.full.push_back(std::mem::take(&mut self.open));
        }
    }

    /// The next piece to store, with its number. It stays until it is [`Self::stored`].
    pub(crate) fn piece(&self) -> Option<(u32, &str)> {
        self.full.front().map(|text| (self.next, text.as_str()))
    }

    pub(crate) fn stored(&mut self) {
        if self.full.pop_front().is_some() {
            self.next += 1;
        }
    }
}

/// The longest beginning of a text with at most so many bytes.
pub(crate) fn cut(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store_all(log: &mut Log) -> Vec<(u32, String)> {
        log.close_piece();
        let mut stored = Vec::new();
        while let Some((number, text)) = log.piece() {
            stored.push((number, text.to_owned()));
            log.stored();
        }
        stored
    }

    #[test]
    fn pieces_are_bounded_and_numbered_on() {
        let mut log = Log::default();
        for _ in 0..100 {
            log.add(&"x".repeat(999));
        }
        let first = store_all(&mut log);
        assert_eq!(first.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(first.iter().all(|(_, text)| text.len() <= MAX_PIECE_BYTES));
        assert_eq!(first.iter().map(|(_, text)| text.len()).sum::<usize>(), 100_000);
        log.add("more");
        assert_eq!(store_all(&mut log), [(3, "more\n".to_owned())]);
        assert_eq!(store_all(&mut log), []);
    }

    #[test]
    fn the_log_ends_with_a_note_at_its_cap() {
        let mut log = Log::default();
        for _ in 0..MAX_LOG_BYTES / 10_000 + 10 {
            log.add(&"y".repeat(10_000));
        }
        let stored = store_all(&mut log);
        let total: usize = stored.iter().map(|(_, text)| text.len()).sum();
        assert!(total < MAX_LOG_BYTES + 100, "{total}");
        let last = &stored[stored.len() - 1].1;
        assert!(last.ends_with("y\n[the log ends here: a run keeps 20 MB]\n"));
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let mut log = Log::default();
        log.add(&"ä".repeat(MAX_LINE_BYTES));
        let text = &store_all(&mut log)[0].1;
        assert!(text.len() < MAX_LINE_BYTES + 10 && text.ends_with("ä […]\n"));
        assert_eq!(cut("aä", 2), "a");
    }
}
