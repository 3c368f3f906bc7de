//! Bytes as they arrive, cut into lines.

/// Collects bytes until a line is complete.
#[derive(Debug, Default)]
pub(super) struct LineBuffer(Vec<u8>);

impl LineBuffer {
    /// The lines that `bytes` complete, without their ends.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.0.extend_from_slice(&rest[..end]);
            lines.push(
                String::from_utf8_lossy(&self.0)
                    .trim_end_matches('\r')
                    .to_owned(),
            );
            self.0.clear();
            rest = &rest[end + 1..];
        }
        self.0.extend_from_slice(rest);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_arrives_in_pieces_is_given_once_and_whole() {
        let mut buffer = LineBuffer::default();
        assert_eq!(buffer.push(b"{\"a\":"), Vec::<String>::new());
        assert_eq!(buffer.push(b"1}\nnext\nthi"), ["{\"a\":1}", "next"]);
        assert_eq!(buffer.push(b"rd\n"), ["third"]);
    }

    #[test]
    fn a_character_that_is_split_between_two_pieces_stays_whole() {
        let mut buffer = LineBuffer::default();
        let bytes = "é\n".as_bytes();
        assert!(buffer.push(&bytes[..1]).is_empty());
        assert_eq!(buffer.push(&bytes[1..]), ["é"]);
    }
}
