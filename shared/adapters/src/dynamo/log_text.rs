//! Log pieces are kept compressed.

use std::io::{Read, Write};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};

/// The most bytes of text in one piece, as it was given.
pub(super) const MAX_PIECE_BYTES: usize = 64 * 1024;

pub(super) fn compress(text: &str) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

/// Never gives more than a piece may hold, whatever the item says.
pub(super) fn expand(bytes: &[u8]) -> std::io::Result<String> {
    let mut text = String::new();
    ZlibDecoder::new(bytes).take(MAX_PIECE_BYTES as u64).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_and_takes_less_room() {
        let text = "TASK [base : nftables] ok\n".repeat(2_000);
        let bytes = compress(&text).unwrap();
        assert!(bytes.len() < text.len() / 10);
        assert_eq!(expand(&bytes).unwrap(), text);
        assert!(expand(b"not compressed").is_err());
    }

    #[test]
    fn an_item_that_expands_without_end_is_cut() {
        let bytes = compress(&"a".repeat(MAX_PIECE_BYTES * 4)).unwrap();
        assert_eq!(expand(&bytes).unwrap().len(), MAX_PIECE_BYTES);
    }
}
