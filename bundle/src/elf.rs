//! The architecture that a program is built for, as the header of its file says (ELF, gABI chapter 4).

/// The architecture in Go's words, or the number of one that has none here; nothing where it is no ELF file.
pub(crate) fn architecture(program: &[u8]) -> Option<String> {
    /// Byte order, 1 for the little end first.
    const DATA: usize = 5;
    /// `e_machine`.
    const MACHINE: usize = 18;
    if !program.starts_with(b"\x7fELF") {
        return None;
    }
    let is_little = *program.get(DATA)? == 1;
    let machine: [u8; 2] = program.get(MACHINE..MACHINE + 2)?.try_into().ok()?;
    let machine = if is_little {
        u16::from_le_bytes(machine)
    } else {
        u16::from_be_bytes(machine)
    };
    let known = match (machine, is_little) {
        (3, _) => "386",
        (21, true) => "ppc64le",
        (22, _) => "s390x",
        (40, _) => "arm",
        (62, _) => "amd64",
        (183, _) => "arm64",
        (243, _) => "riscv64",
        _ => return Some(format!("e_machine {machine}")),
    };
    Some(known.to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::little(1, [62, 0], "amd64")]
    #[case::another(1, [183, 0], "arm64")]
    #[case::big(2, [0, 22], "s390x")]
    #[case::unknown(1, [0, 1], "e_machine 256")]
    fn the_header_says_what_a_program_is_built_for(
        #[case] data: u8,
        #[case] machine: [u8; 2],
        #[case] wanted: &str,
    ) {
        let mut program = b"\x7fELF\x02".to_vec();
        program.push(data);
        program.resize(18, 0);
        program.extend(machine);
        assert_eq!(architecture(&program).as_deref(), Some(wanted));
        // Cut short it says nothing.
        assert_eq!(architecture(&program[..19]), None);
    }

    #[test]
    fn what_is_no_elf_file_is_built_for_nothing() {
        for content in ["", "#!/bin/sh\n# and more than a header", "\u{7f}ELF"] {
            assert_eq!(architecture(content.as_bytes()), None);
        }
    }
}
