//! Takes secrets out of what is to be stored: anything that looks like a private key, and the
//! managed keys wherever they appear.
//!
//! No child is given a private key but `ssh-add`, by standard input; this is the second wall.

use secrecy::{ExposeSecret, SecretString};

use crate::log::cut;

const REMOVED: &str = "[private key removed]";
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const KEY: &str = "PRIVATE KEY-----";

/// `-----BEGIN OPENSSH PRIVATE KEY` in base64 and in hex, as far as they are fixed.
const ENCODED: &[&str] =
    &["LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZ", "2d2d2d2d2d424547494e204f50454e535348"];

/// The longest word for a kind of key.
const MAX_LABEL_BYTES: usize = 16;

/// Parts of a secret shorter than this are no secret: they would hit innocent text.
const MIN_PART_BYTES: usize = 20;

/// Redacts a stream of lines; keys may span several.
#[derive(Default)]
pub(crate) struct Redactor {
    parts: Vec<SecretString>,
    inside_key: bool,
}

impl Redactor {
    /// Will also remove these secrets, line by line.
    pub(crate) fn know(&mut self, secret: &SecretString) {
        let lines = secret.expose_secret().lines().map(str::trim);
        let parts = lines.filter(|line| line.len() >= MIN_PART_BYTES && !line.starts_with("-----"));
        self.parts.extend(parts.map(SecretString::from));
    }

    /// Redacts the next line of a stream. `None`: the line was part of a key that has been
    /// replaced already.
    pub(crate) fn line(&mut self, line: &str) -> Option<String> {
        let mut rest = line;
        let mut clean = String::with_capacity(line.len());
        if self.inside_key {
            match rest.find(END) {
                Some(at) => {
                    self.inside_key = false;
                    rest = after_end(&rest[at..]);
                    if rest.trim().is_empty() {
                        return None;
                    }
                }
                None if may_be_key(rest) => return None,
                // The key was cut off; ordinary text goes on.
                None => self.inside_key = false,
            }
        }
        while let Some(at) = find_begin(rest) {
            clean.push_str(&rest[..at]);
            clean.push_str(REMOVED);
            let key = &rest[at..];
            match key.find(END) {
                Some(end) => rest = after_end(&key[end..]),
                None => {
                    self.inside_key = true;
                    rest = "";
                }
            }
        }
        clean.push_str(rest);
        Some(self.without_known(clean))
    }

    /// Redacts a text of its own, of any number of lines.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut fresh = Self { parts: self.parts.clone(), inside_key: false };
        let lines: Vec<String> = text.split('\n').filter_map(|line| fresh.line(line)).collect();
        lines.join("\n")
    }

    fn without_known(&self, mut line: String) -> String {
        for part in &self.parts {
            if line.contains(part.expose_secret()) {
                line = line.replace(part.expose_secret(), REMOVED);
            }
        }
        if ENCODED.iter().any(|marker| line.contains(marker)) { REMOVED.to_owned() } else { line }
    }
}

fn find_begin(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find(BEGIN).map(|at| at + from) {
        // "OPENSSH ", "RSA ", "EC ", "ENCRYPTED " or nothing stands between. No further: a line
        // full of beginnings would be looked through once for each.
        let label = cut(&text[at + BEGIN.len()..], MAX_LABEL_BYTES + KEY.len());
        if label.contains(KEY) {
            return Some(at);
        }
        from = at + BEGIN.len();
    }
    None
}

fn after_end(text: &str) -> &str {
    match text.find(KEY) {
        Some(at) => &text[at + KEY.len()..],
        None => "",
    }
}

/// Base64, or a header of the old PEM form, perhaps quoted and indented.
fn may_be_key(line: &str) -> bool {
    let line = line.trim_matches(|c: char| c.is_whitespace() || "\"',|>".contains(c));
    line.starts_with("Proc-Type:")
        || line.starts_with("DEK-Info:")
        || line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=\\".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n\
        b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n\
        QyNTUxOQAAACB3cQbYdIFkoJHRn0CUe1pmsWcEeqAXNTUUdHTHNzQzxwAAAJgc5Z9ZHOWf\n\
        -----END OPENSSH PRIVATE KEY-----\n";

    fn redact(text: &str) -> String {
        let mut redactor = Redactor::default();
        redactor.know(&SecretString::from(SECRET));
        let whole = redactor.text(text);
        // Line by line gives the same.
        let lines: Vec<String> = text.split('\n').filter_map(|line| redactor.line(line)).collect();
        assert_eq!(lines.join("\n"), whole);
        whole
    }

    #[test]
    fn keys_are_removed_in_every_form_they_are_printed_in() {
        assert_eq!(redact(&format!("before\n{SECRET}after")), format!("before\n{REMOVED}\nafter"));
        let escaped = format!("{{\"key\": {:?}, \"rc\": 1}}", SECRET);
        assert_eq!(redact(&escaped), format!("{{\"key\": \"{REMOVED}\\n\", \"rc\": 1}}"));
        let body = SECRET.lines().nth(1).unwrap();
        assert_eq!(redact(&format!("x{body}y")), format!("x{REMOVED}y"));
        assert_eq!(redact("see LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZLS0tLS0K"), REMOVED);
        // Foreign keys too, and several in one line.
        let foreign = "a -----BEGIN RSA PRIVATE KEY-----QQ==-----END RSA PRIVATE KEY----- b \
            -----BEGIN PRIVATE KEY-----QQ==-----END PRIVATE KEY----- c";
        assert_eq!(redact(foreign), format!("a {REMOVED} b {REMOVED} c"));
    }

    #[test]
    fn a_key_that_is_cut_off_does_not_swallow_what_follows() {
        let text = "-----BEGIN PRIVATE KEY-----\nQUJD\n\"REVG\",\nTASK [install nginx] ***\nok";
        assert_eq!(redact(text), format!("{REMOVED}\nTASK [install nginx] ***\nok"));
    }

    #[test]
    fn ordinary_text_stays() {
        for text in [
            "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFAZ",
            "",
            "ok: [node-1]\n",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
