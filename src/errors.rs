//! An error with its causes, and texts of a length that can be kept.

pub use lease_election::errors::Chain;

/// A text of at most 1 kB, cut at a character: an Event may carry no more, and what others say may be of any length.
pub(crate) fn shortened(mut text: String) -> String {
    const LONGEST: usize = 1024;
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let text = shortened("é".repeat(600));
        assert_eq!(text.len(), 1024);
        assert_eq!(shortened("short".to_owned()), "short");
    }
}
