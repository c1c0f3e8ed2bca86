//! What an ELF program says of itself (ELF header, `e_ident`, `e_type`, `e_machine`).

use crate::cli::Architecture;

/// The processor that a program for Linux is for: 64 bits, little-endian, and executable.
pub fn machine(program: &[u8]) -> Option<Architecture> {
    const HEADER: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
    let half = |at: usize| Some(u16::from_le_bytes([*program.get(at)?, *program.get(at + 1)?]));
    // An executable at a fixed place, or one that can be loaded anywhere.
    if !program.starts_with(&HEADER) || !matches!(half(16)?, 2 | 3) {
        return None;
    }
    match half(18)? {
        0x3e => Some(Architecture::X86_64),
        0xb7 => Some(Architecture::Arm64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::machine;
    use crate::cli::Architecture;

    fn header(class: u8, kind: u8, machine: u8) -> Vec<u8> {
        let mut header = vec![0x7f, b'E', b'L', b'F', class, 1];
        header.resize(16, 0);
        header.extend([kind, 0, machine, 0]);
        header
    }

    #[test]
    fn a_program_says_which_processor_it_is_for() {
        assert_eq!(machine(&header(2, 3, 0xb7)), Some(Architecture::Arm64));
        assert_eq!(machine(&header(2, 2, 0x3e)), Some(Architecture::X86_64));
        // 32 bits, an object file, another processor, a script, nothing.
        for other in [header(1, 3, 0x28), header(2, 1, 0x3e), header(2, 3, 0xf3)] {
            assert_eq!(machine(&other), None);
        }
        assert_eq!(machine(b"#!/bin/sh\n"), None);
        assert_eq!(machine(&[]), None);
    }

    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn this_very_program_is_read_right() {
        let own = std::env::current_exe().and_then(std::fs::read).unwrap_or_default();
        assert_eq!(machine(&own), Some(Architecture::X86_64));
    }
}
