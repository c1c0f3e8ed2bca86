//! The run's log, in numbered pieces that the store can hold. Lines come in redacted.

use std::collections::VecDeque;

/// The most bytes of one piece; the store takes 64 KB, and text may grow when it is encoded.
pub(crate) const MAX_PIECE_BYTES: usize = 48 * 1024;
/// The most bytes of one run's log. Beyond, only its tail is kept.
pub(crate) const MAX_LOG_BYTES: usize = 20 * 1024 * 1024;
/// The most bytes of the tail: how a run ended is what most is asked for.
const MAX_TAIL_BYTES: usize = 256 * 1024;
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
    at_its_cap: bool,
    /// The last lines beyond the cap, and how many were dropped before them.
    tail: VecDeque<String>,
    tail_bytes: usize,
    left_out: u64,
}

impl Log {
    pub(crate) fn add(&mut self, line: &str) {
        let kept = cut(line, MAX_LINE_BYTES);
        let line = kept.to_owned() + if kept.len() < line.len() { " […]\n" } else { "\n" };
        self.bytes += line.len();
        if self.at_its_cap || self.bytes > MAX_LOG_BYTES {
            self.at_its_cap = true;
            self.keep_last(line);
        } else {
            self.push(&line);
        }
    }

    fn push(&mut self, line: &str) {
        if self.open.len() + line.len() > MAX_PIECE_BYTES {
            self.close_piece();
        }
        self.open.push_str(line);
    }

    fn keep_last(&mut self, line: String) {
        self.tail_bytes += line.len();
        self.tail.push_back(line);
        while self.tail_bytes > MAX_TAIL_BYTES {
            let Some(dropped) = self.tail.pop_front() else { return };
            self.tail_bytes -= dropped.len();
            self.left_out += 1;
        }
    }

    /// Nothing is added any more: the tail follows what was kept, with a note of the gap.
    pub(crate) fn end(&mut self) {
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            let most = MAX_LOG_BYTES >> 20;
            self.push(&format!(
                "[{left_out} lines are left out: a run keeps {most} MB and its last {} KB]\n",
                MAX_TAIL_BYTES >> 10
            ));
        }
        for line in std::mem::take(&mut self.tail) {
            self.push(&line);
        }
        self.close_piece();
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
    fn beyond_its_cap_the_log_keeps_its_tail_and_tells_of_the_gap() {
        let lines = MAX_LOG_BYTES / 10_000 + 100;
        let mut log = Log::default();
        for number in 0..lines {
            log.add(&format!("{number} {}", "y".repeat(10_000)));
        }
        log.end();
        let stored = store_all(&mut log);
        let text: String = stored.iter().map(|(_, text)| text.as_str()).collect();
        assert!(text.len() < MAX_LOG_BYTES + MAX_TAIL_BYTES + 100, "{}", text.len());
        assert!(stored.iter().all(|(_, text)| text.len() <= MAX_PIECE_BYTES));
        let numbers: Vec<usize> =
            text.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
        let note = text.lines().find(|line| line.starts_with('[')).unwrap();
        let left_out = lines - numbers.len();
        assert!(left_out > 0 && note.starts_with(&format!("[{left_out} lines are left out")));
        assert_eq!((numbers[0], numbers[numbers.len() - 1]), (0, lines - 1));
        let gaps = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
        assert_eq!(gaps, 1, "one gap, where the note is");
    }

    #[test]
    fn just_beyond_its_cap_nothing_is_left_out() {
        let lines = MAX_LOG_BYTES / 10_000 + 10;
        let mut log = Log::default();
        for _ in 0..lines {
            log.add(&"y".repeat(10_000));
        }
        log.end();
        let text: String = store_all(&mut log).into_iter().map(|(_, text)| text).collect();
        assert_eq!((text.lines().count(), text.contains('[')), (lines, false));
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
