//! Bytes as they are, and with the usual escapes undone. Pure.

use std::borrow::Cow;

/// How often one escape inside another is undone: a JSON text in a JSON text in a log line.
const DEPTH: u8 = 3;

/// What was undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// Nothing.
    Raw,
    /// Escapes of JSON, and of what else prints strings, so many times.
    Unescaped(u8),
    /// `%41` of URLs, so many times.
    UrlDecoded(u8),
    /// Blanks and line ends, after everything that could be unescaped was.
    Joined,
}

impl View {
    /// What it is called; nothing for what was found as it is.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Raw => None,
            Self::Unescaped(_) => Some("JSON-escaped"),
            Self::UrlDecoded(_) => Some("URL-encoded"),
            Self::Joined => Some("broken into lines"),
        }
    }
}

/// The views that differ, the bytes themselves first.
pub fn views(bytes: &[u8]) -> Vec<(View, Cow<'_, [u8]>)> {
    let mut views = vec![(View::Raw, Cow::Borrowed(bytes))];
    let mut last = Cow::Borrowed(bytes);
    for times in 1..=DEPTH {
        let Some(next) = unescaped(&last) else { break };
        views.push((View::Unescaped(times), Cow::Owned(next.clone())));
        last = Cow::Owned(next);
    }
    // An URL may stand inside JSON, and the other way round: from the outermost on.
    let mut url = last.clone();
    for times in 1..=DEPTH {
        let Some(mut next) = url_decoded(&url) else { break };
        if let Some(inner) = unescaped(&next) {
            next = inner;
        }
        views.push((View::UrlDecoded(times), Cow::Owned(next.clone())));
        url = Cow::Owned(next);
    }
    let is_blank = |byte: &u8| byte.is_ascii_whitespace();
    if last.iter().any(is_blank) {
        let joined = last.iter().copied().filter(|byte| !is_blank(byte)).collect();
        views.push((View::Joined, Cow::Owned(joined)));
    }
    views
}

/// Without the backslashes of JSON, Rust and Python; `None` if there are none.
fn unescaped(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.contains(&b'\\') {
        return None;
    }
    let mut clear = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        let Some((escape, after)) = tail.split_first().filter(|_| *first == b'\\') else {
            clear.push(*first);
            continue;
        };
        let plain = match escape {
            b'n' => Some(b'\n'),
            b't' => Some(b'\t'),
            b'r' => Some(b'\r'),
            b'b' => Some(8),
            b'f' => Some(12),
            b'"' | b'\\' | b'/' | b'\'' => Some(*escape),
            _ => None,
        };
        if let Some(plain) = plain {
            clear.push(plain);
            rest = after;
        } else if let Some((character, length)) = numbered(tail) {
            clear.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest = tail.get(length..).unwrap_or_default();
        } else {
            clear.push(*first);
        }
    }
    Some(clear)
}

/// `u0041`, `u{41}` or `x41`, with its length.
fn numbered(tail: &[u8]) -> Option<(char, usize)> {
    let digits = |from: usize, to: usize| {
        let text = std::str::from_utf8(tail.get(from..to)?).ok()?;
        char::from_u32(u32::from_str_radix(text, 16).ok()?)
    };
    match (tail.first()?, tail.get(1)?) {
        (b'x', _) => Some((digits(1, 3)?, 3)),
        (b'u', b'{') => {
            let end = tail.iter().take(9).position(|byte| *byte == b'}')?;
            Some((digits(2, end)?, end + 1))
        }
        (b'u', _) => Some((digits(1, 5)?, 5)),
        _ => None,
    }
}

/// With `%41` as what it stands for; `None` if there is no such thing.
fn url_decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let byte_at = |at: usize| {
        let text = std::str::from_utf8(bytes.get(at + 1..at + 3)?).ok()?;
        // A sign is no digit, though the standard library takes it.
        text.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
        u8::from_str_radix(text, 16).ok()
    };
    let mut clear = Vec::with_capacity(bytes.len());
    let mut has_any = false;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte_at(at).filter(|_| *byte == b'%') {
            Some(decoded) => {
                clear.push(decoded);
                has_any = true;
                at += 3;
            }
            None => {
                clear.push(*byte);
                at += 1;
            }
        }
    }
    has_any.then_some(clear)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{View, unescaped, url_decoded, views};

    #[test]
    fn escapes_are_undone_and_what_is_none_stays() {
        let plain = |text: &str| String::from_utf8(unescaped(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(plain(r#"a\"b\\c\/d\n\t\r\b\f\'"#), "a\"b\\c/d\n\t\r\u{8}\u{c}'");
        assert_eq!(plain(r"\u0041\u00e9\u{1f600}\x41"), "Aé\u{1f600}A");
        // Half of a pair of surrogates, and what ends too soon.
        for odd in [r"\ud800!", r"\q", r"\u12", r"\x4", r"\u{}", r"\u{110000}", r"\"] {
            assert_eq!(plain(odd), odd);
        }
        assert_eq!(unescaped(b"nothing"), None);
    }

    #[test]
    fn urls_are_decoded_and_what_is_none_stays() {
        assert_eq!(url_decoded(b"a%2Fb%2f%zz%2").unwrap(), b"a/b/%zz%2");
        assert_eq!(url_decoded(b"100%"), None);
        assert_eq!(url_decoded(b"%+1"), None);
    }

    #[test]
    fn the_bytes_themselves_come_first_and_nothing_comes_twice_without_need() {
        let only: Vec<View> = views(b"abc").into_iter().map(|(view, _)| view).collect();
        assert_eq!(only, [View::Raw]);
        let found = views(br#"{"a": "{\"b\": \"\\u0043%2541\"}"}"#);
        let last = |wanted: View| {
            let view = found.iter().find(|(view, _)| *view == wanted).unwrap();
            String::from_utf8(view.1.to_vec()).unwrap()
        };
        assert_eq!(last(View::Unescaped(1)), r#"{"a": "{"b": "\u0043%2541"}"}"#);
        assert_eq!(last(View::Unescaped(2)), r#"{"a": "{"b": "C%2541"}"}"#);
        assert_eq!(last(View::UrlDecoded(1)), r#"{"a": "{"b": "C%41"}"}"#);
        assert_eq!(last(View::UrlDecoded(2)), r#"{"a": "{"b": "CA"}"}"#);
        assert_eq!(last(View::Joined), r#"{"a":"{"b":"C%2541"}"}"#);
    }
}
