//! Zips as Lambda takes them: one executable named `bootstrap`. The same
//! program always gives the same bytes, so that a build that changed nothing
//! is seen to have changed nothing.

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::error::{Result, XtaskError};

/// The zip of a function.
///
/// # Errors
/// The program is too large for a zip.
pub fn of_function(program: &[u8]) -> Result<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(DateTime::default())
        .unix_permissions(0o755);
    let failed =
        |error: String| XtaskError::Answer { context: "zipping".to_owned(), detail: error };
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("bootstrap", options).map_err(|error| failed(error.to_string()))?;
    zip.write_all(program).map_err(|error| failed(error.to_string()))?;
    Ok(zip.finish().map_err(|error| failed(error.to_string()))?.into_inner())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::of_function;
    use std::io::{Cursor, Read as _};

    #[test]
    fn a_zip_holds_the_program_executable_and_is_always_the_same() {
        let program = b"a program".repeat(1000);
        let zip = of_function(&program).unwrap();
        assert_eq!(zip, of_function(&program).unwrap());
        assert_ne!(zip, of_function(b"another one").unwrap());
        assert!(zip.len() < program.len() / 4);
        let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
        assert_eq!(archive.len(), 1);
        let mut file = archive.by_name("bootstrap").unwrap();
        assert_eq!(file.unix_mode().unwrap() & 0o777, 0o755);
        let mut read = Vec::new();
        file.read_to_end(&mut read).unwrap();
        assert_eq!(read, program);
    }
}
