//! Entity tags of jobs, and the preference to wait.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The longest a caller may have an answer held back, in seconds.
pub const MAX_WAIT_SECS: u64 = 10;

/// A job's tag is its version: it changes whenever the job does.
pub fn entity_tag(version: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("\"0\""))
}

/// Whether a list of tags (RFC 9110, 13.1) has this version's, weak or strong.
pub fn names_version(headers: &HeaderMap, name: &HeaderName, version: u64) -> bool {
    let wanted = format!("\"{version}\"");
    values(headers, name)
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == wanted)
}

/// `Prefer: wait=N` (RFC 7240), at most [`MAX_WAIT_SECS`].
pub fn wait_preference(headers: &HeaderMap) -> Option<u64> {
    values(headers, &HeaderName::from_static("prefer"))
        .flat_map(|text| text.split([',', ';']))
        .filter_map(|preference| preference.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, secs)| secs.trim().trim_matches('"').parse::<u64>().ok())
        .filter(|secs| *secs > 0)
        .map(|secs| secs.min(MAX_WAIT_SECS))
}

fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::header;

    use super::*;

    fn headers(name: HeaderName, text: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, text.parse().unwrap())])
    }

    #[test]
    fn tags_are_compared_as_the_rfc_says() {
        let has =
            |text| names_version(&headers(header::IF_NONE_MATCH, text), &header::IF_NONE_MATCH, 7);
        assert!(has("\"7\"") && has("W/\"7\"") && has("\"1\", \"7\"") && has("*"));
        assert!(!has("\"8\"") && !has("7") && !has("\"77\""));
        assert_eq!(entity_tag(7), "\"7\"");
    }

    #[test]
    fn waiting_is_bounded() {
        let prefer = HeaderName::from_static("prefer");
        let wait = |text| wait_preference(&headers(prefer.clone(), text));
        assert_eq!(wait("wait=3"), Some(3));
        assert_eq!(wait("respond-async, wait=4"), Some(4));
        assert_eq!(wait("Wait = \"5\""), Some(5));
        assert_eq!(wait("wait=600"), Some(MAX_WAIT_SECS));
        assert_eq!([wait("wait=0"), wait("wait=x"), wait("return=minimal")], [None; 3]);
    }
}
