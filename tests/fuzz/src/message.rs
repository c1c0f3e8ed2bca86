//! A request or an answer as text: a first line, headers, an empty line, a body. Line feeds alone
//! end lines.

use crate::mutation::halves;

#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Method and target of a request, status of an answer.
    pub first: &'a [u8],
    head: &'a [u8],
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    pub fn of(bytes: &'a [u8]) -> Self {
        let (head, body) = halves(bytes);
        let end = head.iter().position(|byte| *byte == b'\n').unwrap_or(head.len());
        Self { first: &head[..end], head: head.get(end + 1..).unwrap_or_default(), body }
    }

    /// Names and values, as they stand there; lines without a colon left out.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.head.split(|byte| *byte == b'\n').filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b':')?;
            Some((&line[..at], line[at + 1..].trim_ascii()))
        })
    }
}
