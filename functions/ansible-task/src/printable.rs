//! Takes out of a node's words what does something where they are shown: a terminal obeys control
//! characters, and marks of writing direction make a line read as another one.

use std::borrow::Cow;

/// What stands in the place of each.
const REPLACED: char = '\u{fffd}';

/// The text with nothing in it that is obeyed instead of shown. Line feeds and tabs stay.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_obeyed) {
        Cow::Owned(text.chars().map(|c| if is_obeyed(c) { REPLACED } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

fn is_obeyed(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn what_a_terminal_obeys_is_replaced_and_the_rest_stays() {
        assert_eq!(
            printable("a\u{1b}[2Jb\r\u{7}\u{9b}c\0"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}c\u{fffd}"
        );
        assert_eq!(printable("exe.\u{202e}gpj"), "exe.\u{fffd}gpj");
        for text in ["", "ok: [node]\n\tchanged", "größer 𝕏 日本"] {
            assert_eq!(printable(text), text);
        }
    }
}
