//! Where a page starts: opaque to callers, and no way out of the list it belongs to.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nodeyard_engine::store::PageError;

/// Longer than any place that we hand out.
const MAX_CHARS: usize = 300;

/// Names a place (a sort key) in a list.
pub(super) fn write(list: &str, place: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}|{place}"))
}

/// The place, if the cursor was made for this list.
pub(super) fn read(list: &str, cursor: &str) -> Result<String, PageError> {
    if cursor.len() > MAX_CHARS {
        return Err(PageError::Cursor);
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| PageError::Cursor)?;
    let text = String::from_utf8(bytes).map_err(|_| PageError::Cursor)?;
    match text.split_once('|') {
        Some((of, place)) if of == list && is_place(place) => Ok(place.to_owned()),
        _ => Err(PageError::Cursor),
    }
}

fn is_place(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'#' | b'-');
    !text.is_empty() && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place_in_its_list_only() {
        let cursor = write("nodes", "0001767225600#node-1");
        assert_eq!(read("nodes", &cursor).unwrap(), "0001767225600#node-1");
        assert!(matches!(read("jobs", &cursor), Err(PageError::Cursor)));
    }

    #[test]
    fn what_was_not_made_here_is_refused() {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for wrong in [
            String::new(),
            "%%%".into(),
            encode("nodes"),
            encode("nodes|"),
            encode("nodes|a b"),
            encode("nodes|\u{0}"),
            write("nodes", &"a".repeat(400)),
        ] {
            assert!(matches!(read("nodes", &wrong), Err(PageError::Cursor)), "{wrong}");
        }
    }
}
