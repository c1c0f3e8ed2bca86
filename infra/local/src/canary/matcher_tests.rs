//! Every secret in every form, at every alignment, in every wrapping.

#![allow(clippy::unwrap_used)]

use super::{Form, Hit, Matcher, Secret, View, decoded_base64, seed_of};

const TOKEN: &str = r#"canary-0123/+?&=%"\<é>~tail"#;
const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n\
    b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n\
    QyNTUxOQAAACC1OGIwwsLBRwX3jPHMUAkO9hXcEyaY8hKypJzYSgDE2gAAAJDGGIA6xhiA\n\
    OgAAAAtzc2gtZWQyNTUxOQAAACC1OGIwwsLBRwX3jPHMUAkO9hXcEyaY8hKypJzYSgDE2g\n\
    AAAECqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqrU4YjDCwsFHBfeM8cxQCQ72\n\
    FdwTJpjyErKknNhKAMTaAAAAB2NvbW1lbnQBAgMEBQY=\n\
    -----END OPENSSH PRIVATE KEY-----\n";

fn secret(name: &str, value: &[u8]) -> Secret {
    Secret { name: name.to_owned(), value: value.to_vec() }
}

fn matcher() -> Matcher {
    Matcher::new(&[secret("token", TOKEN.as_bytes()), secret("key", KEY.as_bytes())])
}

fn found(bytes: impl AsRef<[u8]>) -> Vec<(String, Form, View)> {
    let hits = matcher().find(bytes.as_ref());
    hits.into_iter().map(|hit| (hit.secret, hit.form, hit.view)).collect()
}

fn only(form: Form, view: View) -> Vec<(String, Form, View)> {
    vec![("token".to_owned(), form, view)]
}

/// Another implementation than the one that is tested.
fn base64(bytes: &[u8], alphabet: &str) -> String {
    let digits: Vec<char> = alphabet.chars().collect();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        let number = number << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            text.push(digits[number >> (18 - 6 * at) & 63]);
        }
        text.push_str(&"=".repeat(3 - chunk.len()));
    }
    text
}

const STANDARD: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const FOR_URLS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn percent(text: &str, spares: impl Fn(u8) -> bool, upper: bool) -> String {
    let escape = |byte: u8| match (spares(byte), upper) {
        (true, _) => char::from(byte).to_string(),
        (false, true) => format!("%{byte:02X}"),
        (false, false) => format!("%{byte:02x}"),
    };
    text.bytes().map(escape).collect()
}

#[test]
fn the_reference_is_base64_as_everybody_knows_it() {
    assert_eq!(base64(b"Many hands", STANDARD), "TWFueSBoYW5kcw==");
    assert_eq!(decoded_base64(b"TWFueSBoYW5kcw==").unwrap(), b"Many hands");
    assert_eq!(decoded_base64(b"TWFu eSBo"), None);
}

#[test]
fn a_secret_is_found_as_it_is_wherever_it_stands() {
    for (before, after) in [("", ""), ("x", ""), ("", "y"), ("some text ", " and more")] {
        let text = format!("{before}{TOKEN}{after}");
        assert_eq!(found(text), only(Form::Plain, View::Raw));
    }
    let mut binary = vec![0, 255, 254];
    binary.extend(TOKEN.as_bytes());
    binary.push(0x80);
    assert_eq!(found(binary), only(Form::Plain, View::Raw));
}

#[test]
fn nothing_is_found_where_nothing_is() {
    let cut = TOKEN.get(..TOKEN.len() - 1).unwrap();
    let texts = ["".to_owned(), "canary".to_owned(), cut.to_owned(), TOKEN.replace("0123", "0124")];
    for text in texts {
        assert_eq!(found(&text), [], "{text}");
        assert_eq!(found(base64(text.as_bytes(), STANDARD)), []);
    }
    // The public half of a pair, and what all private keys begin with.
    let public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILU4YjDCwsFHBfeM8cxQCQ72FdwTJpjyErKknNhKAMTa";
    assert_eq!(found(public), []);
    assert_eq!(found(KEY.lines().take(2).collect::<Vec<_>>().join("\n")), []);
}

#[test]
fn base64_is_found_at_all_three_alignments_and_in_both_alphabets() {
    for before in 0..7 {
        for after in 0..4 {
            let text = format!("{}{TOKEN}{}", "~".repeat(before), "?".repeat(after));
            let standard = found(base64(text.as_bytes(), STANDARD));
            assert_eq!(standard, only(Form::Base64, View::Raw), "{before} before, {after} after");
            let for_urls = base64(text.as_bytes(), FOR_URLS);
            let bare = for_urls.trim_end_matches('=');
            // Where neither 62 nor 63 occurs, in what depends on the secret alone, both are the same.
            let end = (before + TOKEN.len()) * 8 / 6;
            let is_same = !bare[(before * 8).div_ceil(6)..end].contains(['-', '_']);
            let form = if is_same { Form::Base64 } else { Form::Base64Url };
            assert_eq!(found(bare), only(form, View::Raw), "{before} before, {after} after");
        }
    }
}

#[test]
fn base64_is_found_when_it_is_broken_into_lines() {
    let text = base64(format!("Authorization: Bearer {TOKEN}\r\n").as_bytes(), STANDARD);
    for width in [7, 64, 76] {
        for end in ["\n", "\r\n", "\n    "] {
            let lines: Vec<String> = text.as_bytes().chunks(width).map(text_of).collect();
            let hits = found(lines.join(end));
            assert!(hits.iter().all(|(_, form, _)| *form == Form::Base64) && hits.len() == 1);
        }
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn hex_is_found_in_both_cases() {
    let lower: String = TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(found(format!("0x{lower}")), only(Form::Hex, View::Raw));
    assert_eq!(found(lower.to_uppercase()), only(Form::HexUpper, View::Raw));
}

#[test]
fn bytes_that_were_printed_as_numbers_are_found() {
    assert_eq!(found(format!("{:?}", TOKEN.as_bytes())), only(Form::Numbers, View::Joined));
    let compact = format!("{:?}", TOKEN.as_bytes()).replace(' ', "");
    assert_eq!(found(compact), only(Form::Numbers, View::Raw));
}

#[test]
fn url_encoding_is_found_whichever_characters_were_spared() {
    type Spares = fn(u8) -> bool;
    let kinds: [Spares; 4] = [
        |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte),
        |byte| byte.is_ascii_alphanumeric(),
        |byte| byte.is_ascii_graphic() && !b"%\"<>\\".contains(&byte),
        |_| false,
    ];
    for spares in kinds {
        for upper in [true, false] {
            let text = percent(TOKEN, spares, upper);
            assert_eq!(found(&text), only(Form::Plain, View::UrlDecoded(1)), "{text}");
            let twice = percent(&text, kinds[0], upper);
            assert_eq!(found(&twice), only(Form::Plain, View::UrlDecoded(2)), "{twice}");
            let in_json = serde_json::json!({ "path": format!("/a/{text}") }).to_string();
            assert_eq!(found(in_json).len(), 1);
        }
    }
}

#[test]
fn json_is_found_up_to_three_layers_deep() {
    let once = serde_json::to_string(TOKEN).unwrap();
    assert_eq!(found(&once), only(Form::Plain, View::Unescaped(1)));
    let twice = serde_json::json!({ "message": once }).to_string();
    assert_eq!(found(&twice), only(Form::Plain, View::Unescaped(2)));
    let thrice = serde_json::json!([twice]).to_string();
    assert_eq!(found(thrice), only(Form::Plain, View::Unescaped(3)));
    // Everything as numbers, as some writers do.
    let numbered: String = TOKEN.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    assert_eq!(found(numbered), only(Form::Plain, View::Unescaped(1)));
    assert_eq!(found(format!("{TOKEN:?}")), only(Form::Plain, View::Unescaped(1)));
    let base64_in_json = serde_json::json!({ "a": base64(TOKEN.as_bytes(), STANDARD) });
    assert_eq!(found(base64_in_json.to_string()), only(Form::Base64, View::Raw));
}

#[test]
fn every_telling_line_of_a_private_key_is_found_by_itself() {
    let lines: Vec<&str> = KEY.lines().filter(|line| !line.starts_with("-----")).collect();
    for line in lines.get(1..).unwrap() {
        let hits = found(format!("  | {line}\""));
        assert_eq!(hits, [("key".to_owned(), Form::Plain, View::Raw)], "{line}");
        assert_eq!(found(base64(line.as_bytes(), STANDARD)).len(), 1);
    }
    assert_eq!(found(KEY).len(), 1);
    assert_eq!(found(serde_json::to_string(KEY).unwrap()).len(), 1);
    assert_eq!(found(KEY.replace('\n', "")).len(), 1);
    // As the whole file in base64, and with other line ends.
    assert_eq!(found(base64(KEY.as_bytes(), STANDARD)).len(), 1);
    assert_eq!(found(KEY.replace('\n', "\r\n")).len(), 1);
}

#[test]
fn the_seed_of_a_key_is_found_whatever_form_the_key_is_written_in() {
    let seed = seed_of(KEY.as_bytes()).unwrap();
    assert_eq!(seed, [0xaa; 32]);
    assert_eq!(seed_of(b"not a key"), None);
    let matcher = Matcher::new(&[secret("seed", &seed)]);
    // PKCS#8 puts these bytes before the seed (RFC 8410).
    let mut der = b"0.\x02\x01\x000\x05\x06\x03+ep\x04\x22\x04\x20".to_vec();
    der.extend(&seed);
    for text in [der.clone(), base64(&der, STANDARD).into_bytes()] {
        assert_eq!(matcher.find(&text).len(), 1);
    }
}

#[test]
fn what_is_too_short_is_not_looked_for_and_said_not_to_be() {
    let matcher = Matcher::new(&[secret("short", b"test"), secret("long", b"0123456789ab")]);
    assert!(!matcher.knows("short") && matcher.knows("long"));
    assert!(matcher.find(b"a test").is_empty());
}

#[test]
fn half_of_a_long_secret_is_found() {
    let value: String = (0..60).map(|at| char::from(b'0' + at)).collect();
    let matcher = Matcher::new(&[secret("long", value.as_bytes())]);
    let halves = [value.get(..30).unwrap(), value.get(30..).unwrap()];
    for half in halves {
        assert_eq!(matcher.find(format!("<{half}>").as_bytes()).len(), 1);
        assert_eq!(matcher.find(base64(half.as_bytes(), STANDARD).as_bytes()).len(), 1);
    }
    assert_eq!(matcher.find(value.as_bytes()).len(), 1);
    assert!(matcher.find(value.get(1..29).unwrap().as_bytes()).is_empty());
}

#[test]
fn several_secrets_and_forms_are_told_apart_and_none_is_printed() {
    let text = format!("{TOKEN} {} {KEY}", base64(TOKEN.as_bytes(), STANDARD));
    let hits = matcher().find(text.as_bytes());
    let told: Vec<String> = hits.iter().map(Hit::to_string).collect();
    assert_eq!(told, ["key as plain", "token as plain", "token as base64"]);
    let escaped = matcher().find(serde_json::to_string(TOKEN).unwrap().as_bytes());
    let told: Vec<String> = escaped.iter().map(Hit::to_string).collect();
    assert_eq!(told, ["token as JSON-escaped"]);
    assert_eq!(format!("{:?}", secret("token", TOKEN.as_bytes())), "Secret(token)");
}
