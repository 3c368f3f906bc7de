//! What a text has to say.

use std::fmt::Display;

/// Asserts what `text` says.
///
/// # Panics
///
/// Unless it has all of these words in it.
#[track_caller]
pub fn says(text: &dyn Display, words: &[&str]) {
    let text = text.to_string();
    for words in words {
        assert!(text.contains(words), "no {words:?} in: {text}");
    }
}
