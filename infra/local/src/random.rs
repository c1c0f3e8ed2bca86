//! Random ids, from the system.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;

use crate::error::{IoContext, Result};

/// As many random bytes as asked for, as lower-case hex digits.
///
/// # Errors
/// The system has no source of randomness.
pub fn hex(bytes: usize) -> Result<String> {
    let mut buffer = vec![0; bytes];
    let source = "/dev/urandom";
    File::open(source).and_then(|mut file| file.read_exact(&mut buffer)).during(source)?;
    Ok(buffer.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
