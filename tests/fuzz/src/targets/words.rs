//! Single words of the domain: ids, names, labels, keys, addresses.

use std::{fmt::Display, str::FromStr};

use nodeyard_ansible_task::args::Request;
use nodeyard_domain::{
    connection::ConnectionName,
    host_key::{HostPins, is_public_key},
    id::{JobId, NodeId, TokenId},
    label::{is_dns_label, is_host_name, is_label_key, is_label_value},
    token::hash_secret,
};

use super::hold;
use crate::{mutation::WORDS, target::Target};

pub(super) struct Words;

/// What is read comes back as it was written.
fn comes_back<T: FromStr + Display>(text: &str) -> Result<bool, String> {
    let Ok(read) = text.parse::<T>() else { return Ok(false) };
    hold(read.to_string() == text, || format!("{text:?} was read as {read}"))?;
    Ok(true)
}

impl Target for Words {
    fn name(&self) -> &'static str {
        "words"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let right = [
            "job-00000000000000000000000000000001",
            "node-0123456789abcdef0123456789abcdef",
            "token-0123456789abcdef0123456789abcdef",
            "main",
            "web-1.example.com",
            "example.com/team",
            "A.b_c-9",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAvN4IGJdMXsQvpgYVgosqYBUvvdDJsCdsC30SLL6gCG me",
            "--job job-00000000000000000000000000000001 --run 1",
        ];
        right.iter().chain(WORDS).map(|word| word.as_bytes().to_vec()).collect()
    }

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let Ok(text) = std::str::from_utf8(input) else { return Ok("no text".into()) };
        let mut kind = String::new();
        let mut note = |is: bool, word: &str| {
            if is {
                kind.push_str(word);
            }
        };
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        note(comes_back::<JobId>(text)?, "job ");
        note(comes_back::<NodeId>(text)?, "node ");
        note(comes_back::<TokenId>(text)?, "token ");
        note(comes_back::<ConnectionName>(text)?, "connection ");
        for (is, word, most) in [
            (is_dns_label(text), "name ", 63),
            (is_host_name(text), "host ", 253),
            (is_label_key(text), "key ", 253 + 1 + 63),
            (is_label_value(text), "value ", 63),
        ] {
            hold(!is || (plain(text) && text.len() <= most), || format!("{text:?} is a {word}"))?;
            note(is, word);
        }
        let is_key = is_public_key(text);
        note(is_key, "public key ");
        if is_key {
            // One line for each key, and nothing else between them.
            let pins = HostPins::delivered(1, text.to_owned()).with_next("ssh-ed25519 AAAA");
            let lines = pins.known_hosts("node-1");
            let whole = lines.split('\n').count() == 3
                && lines.lines().all(|line| {
                    line.starts_with("node-1 ssh-")
                        || line.starts_with("node-1 ecdsa-")
                        || line.starts_with("node-1 sk-")
                });
            hold(whole, || format!("{text:?} gives {lines:?}"))?;
            hold(!text.chars().any(char::is_control), || {
                format!("{text:?} has a control character")
            })?;
        }
        hold(hash_secret(text).len() == 64, || "a hash of another length".to_owned())?;
        if let Ok(request) = Request::parse(text.split_whitespace().map(str::to_owned)) {
            hold(request.run > 0, || format!("{text:?} is run 0"))?;
            note(true, "arguments ");
        }
        Ok(kind)
    }
}
