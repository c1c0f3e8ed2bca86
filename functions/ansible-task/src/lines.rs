//! Cuts a child's output into lines of bounded length.

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
};

/// The longest line that is kept whole, in bytes. What is beyond is counted and left out.
pub(crate) const MAX_LINE_BYTES: usize = 64 * 1024;

/// Gathers bytes until a line is whole.
#[derive(Default)]
pub(crate) struct Lines {
    line: Vec<u8>,
    left_out: usize,
}

impl Lines {
    /// Takes bytes in and gives the lines they end, without their line feeds.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut whole = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            let room = MAX_LINE_BYTES.saturating_sub(self.line.len()).min(text.len());
            self.line.extend_from_slice(&text[..room]);
            self.left_out += text.len() - room;
            if ends {
                whole.push(self.take());
            }
        }
        whole
    }

    /// The line that was not ended, if there is one.
    pub(crate) fn rest(&mut self) -> Option<String> {
        (!self.line.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> String {
        let mut line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if line.ends_with('\r') {
            line.pop();
        }
        match std::mem::take(&mut self.left_out) {
            0 => {}
            bytes => line.push_str(&format!(" [{bytes} more bytes left out]")),
        }
        line
    }
}

/// Sends the lines of a child's output until it ends or nobody listens any more.
pub(crate) async fn forward(mut from: impl AsyncRead + Unpin, to: mpsc::Sender<String>) {
    let mut lines = Lines::default();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        // An output that cannot be read has ended.
        let read = from.read(&mut buffer).await.unwrap_or(0);
        let whole = if read == 0 {
            lines.rest().into_iter().collect()
        } else {
            lines.push(&buffer[..read])
        };
        for line in whole {
            if to.send(line).await.is_err() {
                return;
            }
        }
        if read == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_whatever_the_reads_were() {
        let mut lines = Lines::default();
        assert!(lines.push(b"fi").is_empty());
        assert_eq!(lines.push(b"rst\nsecond\r\n\nth"), ["first", "second", ""]);
        assert_eq!(lines.rest().as_deref(), Some("th"));
        assert_eq!(lines.rest(), None);
    }

    #[test]
    fn a_long_line_is_bounded_and_says_so() {
        let mut lines = Lines::default();
        assert!(lines.push(&vec![b'x'; MAX_LINE_BYTES]).is_empty());
        assert!(lines.push(&vec![b'y'; 500]).is_empty());
        let got = lines.push(b"\nnext\n");
        assert!(
            got[0].ends_with("x [500 more bytes left out]"),
            "{}",
            &got[0][MAX_LINE_BYTES - 5..]
        );
        assert_eq!(got[1], "next");
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        assert_eq!(Lines::default().push(b"a\xffb\n"), ["a\u{fffd}b"]);
    }

    #[tokio::test]
    async fn output_is_forwarded_to_its_end() {
        let (to, mut from) = mpsc::channel(8);
        forward(&b"one\ntwo"[..], to).await;
        assert_eq!(from.recv().await.as_deref(), Some("one"));
        assert_eq!(from.recv().await.as_deref(), Some("two"));
        assert_eq!(from.recv().await, None);
    }
}
