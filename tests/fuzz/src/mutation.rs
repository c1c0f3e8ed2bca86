//! Changes an input, knowing what texts and trees go wrong with.

use nodeyard_drills::random::Random;

use crate::trees;

/// The longest input that is made.
pub const MAX_INPUT_BYTES: usize = 256 * 1024;

/// Texts that have broken parsers, terminals, templates, headers and shells before.
pub const WORDS: &[&str] = &[
    "",
    " ",
    "\0",
    "\r\nx-injected: yes\r\n\r\n",
    "\n",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\u{202e}gnp.exe",
    "\u{feff}",
    "𝕏\u{301}\u{200d}",
    "{{ lookup('pipe', 'id') }}",
    "{% raw %}",
    "__ansible_unsafe",
    "../../etc/passwd",
    "%00%2e%2e%2f",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "$(id)`id`;id|id",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "18446744073709551616",
    "9007199254740993",
    "-9223372036854775808",
    "NaN",
    "9999-12-31T23:59:59.999999999Z",
    "-009999-01-02T01:59:59Z",
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    "-----END OPENSSH PRIVATE KEY-----",
    "job-00000000000000000000000000000001",
    "node-00000000000000000000000000000001",
    "[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":",
    "\\u0000\\ud800",
    "*",
    "W/\"1\"",
];

/// One to four changes; of a tree, when the input is JSON, or of its bytes.
pub fn mutate(random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..random.between(1, 4) {
        let tree = if random.chance(600) { serde_json::from_slice(&bytes).ok() } else { None };
        bytes = match tree {
            Some(tree) => trees::change(random, tree, other).to_string().into_bytes(),
            None => change_bytes(random, bytes, other),
        };
        bytes.truncate(MAX_INPUT_BYTES);
    }
    bytes
}

/// Changes the part in front of the first empty line, or what is behind it, and not where they
/// part: for messages with a head and a body.
pub fn mutate_message(random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
    let (head, body) = halves(input);
    let (other_head, other_body) = halves(other);
    let (head, body) = if random.chance(400) {
        (change_lines(random, head, other_head), body.to_vec())
    } else {
        (head.to_vec(), mutate(random, body, other_body))
    };
    [head, body].join(&b"\n\n"[..])
}

/// The parts of a message with a head.
pub fn halves(message: &[u8]) -> (&[u8], &[u8]) {
    match message.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (&message[..at], &message[at + 2..]),
        None => (message, b""),
    }
}

fn change_lines(random: &mut Random, head: &[u8], other: &[u8]) -> Vec<u8> {
    let split = |text: &[u8]| -> Vec<Vec<u8>> {
        text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    };
    let (mut lines, others) = (split(head), split(other));
    let at = random.below(lines.len());
    match random.below(5) {
        0 => lines.push(random.pick(&others).clone()),
        1 if lines.len() > 1 => drop(lines.remove(at)),
        2 => lines.push(lines[at].clone()),
        _ => lines[at] = change_bytes(random, lines[at].clone(), other),
    }
    let mut head = lines.join(&b"\n"[..]);
    // An empty line would be its end.
    while let Some(at) = head.windows(2).position(|two| two == b"\n\n") {
        head.remove(at);
    }
    if head.ends_with(b"\n") {
        head.pop();
    }
    head
}

fn change_bytes(random: &mut Random, mut bytes: Vec<u8>, other: &[u8]) -> Vec<u8> {
    let at = random.below(bytes.len() + 1);
    let range = {
        let end = (at + random.below(64)).min(bytes.len());
        at.min(end)..end
    };
    match random.below(10) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
        2 => drop(bytes.drain(range)),
        3 => bytes.truncate(at),
        4 => {
            let again = bytes[range].to_vec();
            insert(&mut bytes, at, &again);
        }
        5 => {
            // The same again and again: depth, length, repetition.
            let piece = if range.is_empty() { b"[".to_vec() } else { bytes[range].to_vec() };
            let times = *random.pick(&[3, 50, 130, 1_000, 20_000]);
            let times = times.min(MAX_INPUT_BYTES / piece.len());
            insert(&mut bytes, at, &piece.repeat(times));
        }
        6 => {
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        7 => insert(&mut bytes, at, &[random.below(256) as u8]),
        8 => {
            let word = random.pick(WORDS).as_bytes();
            bytes.splice(range, word.iter().copied());
        }
        _ => insert(&mut bytes, at, random.pick(WORDS).as_bytes()),
    }
    bytes
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_changes_and_every_input_is_bounded() {
        let input = br#"{"a": [1, "two", {"three": null}], "b": "{\"c\": 1}"}"#;
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..200).map(|_| mutate(&mut random, input, b"[true]")).collect::<Vec<_>>()
        };
        let (once, again) = (draw(1), draw(1));
        assert_eq!(once, again);
        assert_ne!(once, draw(2));
        assert!(once.iter().all(|made| made.len() <= MAX_INPUT_BYTES));
        let trees =
            once.iter().filter(|made| serde_json::from_slice::<serde_json::Value>(made).is_ok());
        let whole = trees.count();
        assert!((20..190).contains(&whole), "{whole} of 200 are still JSON");
    }

    #[test]
    fn a_message_keeps_its_two_parts() {
        let input = b"POST /nodes\nx: 1\n\n{\"a\":1}";
        let mut random = Random::new(3);
        for _ in 0..500 {
            let made = mutate_message(&mut random, input, b"GET /\ny: 2\n\n{}");
            let (head, body) = halves(&made);
            let kept = head == b"POST /nodes\nx: 1" || body == b"{\"a\":1}";
            assert!(kept, "{}", made.escape_ascii());
        }
    }
}
