//! Which secrets show in bytes, and in which form. Pure: it reads nothing and prints nothing.
//!
//! A secret is looked for as it is and encoded; the bytes are looked through as they are and
//! unescaped (see [`super::views`]), so that it does not matter which characters were escaped.

use std::collections::{BTreeSet, HashMap};

use super::views::{View, views};

/// A secret shorter than this would be found by chance, in bytes.
const MIN_SECRET_BYTES: usize = 12;
/// From this length on a half is long enough to be a secret by itself.
const TWO_HALVES_BYTES: usize = 48;
/// A line of a private key shorter than this says little, and is part of the longer ones' key.
const MIN_LINE_BYTES: usize = 16;
/// Needles are found by their first bytes.
const HEAD: usize = 8;
/// The filter before that: three bytes, mixed.
const FILTER_BITS: usize = 1 << 18;

/// Something that must not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// What it is; may be told.
    pub name: String,
    /// What must not be told.
    pub value: Vec<u8>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}

/// How a secret was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// As it is.
    Plain,
    /// In the standard alphabet, wherever in a longer text it begins.
    Base64,
    /// The same in the alphabet for URLs.
    Base64Url,
    /// Digits in lower case.
    Hex,
    /// Digits in upper case.
    HexUpper,
    /// A list of decimal numbers, as bytes are printed by mistake.
    Numbers,
}

impl Form {
    fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Base64 => "base64",
            Self::Base64Url => "base64url",
            Self::Hex => "hex",
            Self::HexUpper => "HEX",
            Self::Numbers => "byte numbers",
        }
    }
}

/// What was found: never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The secret's name.
    pub secret: String,
    /// How it was written.
    pub form: Form,
    /// What had to be undone to see it.
    pub view: View,
}

impl std::fmt::Display for Hit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.view.word() {
            None => write!(f, "{} as {}", self.secret, self.form.word()),
            Some(view) if self.form == Form::Plain => write!(f, "{} as {view}", self.secret),
            Some(view) => write!(f, "{} as {}, {view}", self.secret, self.form.word()),
        }
    }
}

struct Needle {
    secret: usize,
    form: Form,
    bytes: Vec<u8>,
}

/// Finds many secrets in one go.
pub struct Matcher {
    names: Vec<String>,
    needles: HashMap<[u8; HEAD], Vec<Needle>>,
    filter: Vec<bool>,
}

impl Matcher {
    /// For these secrets. What is too short to be told from chance is left out; see
    /// [`Matcher::knows`].
    pub fn new(secrets: &[Secret]) -> Self {
        let mut matcher =
            Self { names: Vec::new(), needles: HashMap::new(), filter: vec![false; FILTER_BITS] };
        for secret in secrets {
            let index = matcher.names.len();
            matcher.names.push(secret.name.clone());
            for part in parts(&secret.value) {
                for (form, bytes) in forms(&part) {
                    matcher.add(Needle { secret: index, form, bytes });
                }
            }
        }
        matcher
    }

    fn add(&mut self, needle: Needle) {
        let Some(head) = needle.bytes.first_chunk::<HEAD>() else { return };
        if let Some(place) = self.filter.get_mut(mixed(head[0], head[1], head[2])) {
            *place = true;
        }
        self.needles.entry(*head).or_default().push(needle);
    }

    /// Whether there is anything to look for of this secret.
    pub fn knows(&self, name: &str) -> bool {
        let is_it = |needle: &Needle| self.names.get(needle.secret).is_some_and(|it| it == name);
        self.needles.values().flatten().any(is_it)
    }

    /// Every secret that shows, each form once, in the first view that shows it.
    pub fn find(&self, bytes: &[u8]) -> BTreeSet<Hit> {
        let mut seen = BTreeSet::new();
        let mut hits = BTreeSet::new();
        for (view, bytes) in views(bytes) {
            for (secret, form) in self.find_as_it_is(&bytes) {
                if let (true, Some(name)) = (seen.insert((secret, form)), self.names.get(secret)) {
                    hits.insert(Hit { secret: name.clone(), form, view });
                }
            }
        }
        hits
    }

    fn find_as_it_is(&self, bytes: &[u8]) -> BTreeSet<(usize, Form)> {
        let mut found = BTreeSet::new();
        for (at, window) in bytes.windows(HEAD).enumerate() {
            let [first, second, third, ..] = *window else { continue };
            if !self.filter.get(mixed(first, second, third)).is_some_and(|may| *may) {
                continue;
            }
            let Some(needles) = self.needles.get(window) else { continue };
            let rest = bytes.get(at..).unwrap_or_default();
            let fits = needles.iter().filter(|needle| rest.starts_with(&needle.bytes));
            found.extend(fits.map(|needle| (needle.secret, needle.form)));
        }
        found
    }
}

fn mixed(first: u8, second: u8, third: u8) -> usize {
    (usize::from(first) << 10 ^ usize::from(second) << 5 ^ usize::from(third)) % FILTER_BITS
}

/// A private key shows with any of its lines; a long secret with either half, for text is cut off
/// at many places; anything else as a whole.
fn parts(value: &[u8]) -> Vec<Vec<u8>> {
    let text = value.trim_ascii();
    if !text.starts_with(b"-----BEGIN ") {
        return match text.len() {
            0..MIN_SECRET_BYTES => Vec::new(),
            MIN_SECRET_BYTES..TWO_HALVES_BYTES => vec![text.to_vec()],
            length => {
                let (first, second) = text.split_at(length / 2);
                vec![first.to_vec(), second.to_vec()]
            }
        };
    }
    let lines: Vec<&[u8]> = text
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.starts_with(b"-----"))
        .collect();
    let is_telling = |line: &&[u8]| line.len() >= MIN_LINE_BYTES && !is_same_in_all_keys(line);
    lines.iter().copied().filter(is_telling).map(<[u8]>::to_vec).collect()
}

/// The first line of every unencrypted Ed25519 key in OpenSSH's form says nothing of the key.
fn is_same_in_all_keys(line: &[u8]) -> bool {
    line.starts_with(b"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ")
}

/// What a private key is made of, if the value is one in OpenSSH's form: the seed of its Ed25519
/// pair, which shows in whatever other form the key is written in.
pub fn seed_of(private_key: &[u8]) -> Option<Vec<u8>> {
    let text = private_key.trim_ascii();
    let body: Vec<u8> = text
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.starts_with(b"-----"))
        .flatten()
        .copied()
        .collect();
    let blob = decoded_base64(&body)?;
    // The pair is a string of 64 bytes: the seed and the public half (PROTOCOL.key of OpenSSH).
    let at = blob.windows(4).rposition(|window| window == [0, 0, 0, 64])?;
    blob.get(at + 4..at + 36).map(<[u8]>::to_vec)
}

fn forms(bytes: &[u8]) -> Vec<(Form, Vec<u8>)> {
    let mut forms = vec![
        (Form::Plain, bytes.to_vec()),
        (Form::Hex, hex(bytes, b"0123456789abcdef")),
        (Form::HexUpper, hex(bytes, b"0123456789ABCDEF")),
        (Form::Numbers, numbers(bytes)),
    ];
    for before in 0..3 {
        forms.push((Form::Base64, base64_inside(bytes, before, STANDARD)));
        forms.push((Form::Base64Url, base64_inside(bytes, before, FOR_URLS)));
    }
    // Digits alone are the same in both cases, and most base64 in both alphabets.
    let mut known = BTreeSet::new();
    forms.retain(|(_, bytes)| known.insert(bytes.clone()));
    forms
}

fn hex(bytes: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    let digit = |value: u8| digits.get(usize::from(value)).copied().unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Without blanks: one of the views takes them out.
fn numbers(bytes: &[u8]) -> Vec<u8> {
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    numbers.join(",").into_bytes()
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const FOR_URLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What base64 of a longer text shows of these bytes, if so many bytes (modulo three) come before
/// them: the digits that depend on nothing else.
fn base64_inside(bytes: &[u8], before: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(bytes.iter().copied()).collect();
    let first = (before * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    let digit = |at: usize| {
        let value = (0..6).fold(0, |value, bit| {
            let bit = at * 6 + bit;
            let byte = padded.get(bit / 8).copied().unwrap_or_default();
            value << 1 | usize::from(byte >> (7 - bit % 8) & 1)
        });
        alphabet.get(value).copied().unwrap_or_default()
    };
    (first..end).map(digit).collect()
}

/// Base64 in the standard alphabet; `None` if there is anything else in it.
pub fn decoded_base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii_end();
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let text = text.get(..text.len() - padding)?;
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut held, mut bits) = (0_u32, 0);
    for digit in text {
        let value = STANDARD.iter().position(|known| known == digit)?;
        held = held << 6 | u32::try_from(value).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 255).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
#[path = "matcher_tests.rs"]
mod tests;
