//! The provider's rules for names and labels, and ours for what users may set.

/// An RFC 1123 host name label: 1 to 63 lowercase letters, digits and inner hyphens.
pub fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let outer = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.iter().copied().all(inner)
        && outer(bytes.first())
        && outer(bytes.last())
}

/// An RFC 1123 host name: labels joined by dots, 253 characters at most.
pub fn is_host_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

fn is_label_text(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.iter().copied().all(inner)
        && outer(bytes.first())
        && outer(bytes.last())
}

/// A label value at Hetzner: empty, or up to 63 of `[A-Za-z0-9-_.]` that starts and ends
/// alphanumeric (API reference, "Labels").
pub fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_label_text(text)
}

/// A label key at Hetzner: an optional DNS prefix and `/`, then a name of up to 63 characters
/// (API reference, "Labels").
pub fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_host_name(prefix) && is_label_text(name),
        None => is_label_text(text),
    }
}

/// Keys that belong to the provider or to us.
pub fn is_reserved_key(text: &str) -> bool {
    text.split_once('/').is_some_and(|(prefix, _)| {
        prefix == "nodeyard" || prefix == "hetzner.cloud" || prefix.ends_with(".hetzner.cloud")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "web-1", "0a", &"a".repeat(63)] {
            assert!(is_dns_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "ä", &"a".repeat(64)] {
            assert!(!is_dns_label(bad), "{bad}");
        }
        assert!(is_host_name("web.example.com") && !is_host_name("web..com") && !is_host_name(""));
    }

    #[test]
    fn labels() {
        assert!(is_label_key("team") && is_label_key("example.com/team.a_b"));
        assert!(!is_label_key("/team") && !is_label_key("a/b/c") && !is_label_key("te am"));
        assert!(is_label_value("") && is_label_value("A.b_c-9") && !is_label_value("-a"));
        assert!(is_reserved_key("nodeyard/node") && is_reserved_key("hetzner.cloud/x"));
        assert!(!is_reserved_key("team") && !is_reserved_key("example.com/x"));
    }
}
