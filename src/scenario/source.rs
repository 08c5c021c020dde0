//! Files as they were read, and places in them.

use std::{ops::Range, path::PathBuf};

/// A file that a scenario is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it lies; of an override `--set`.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

impl SourceFile {
    /// A file's path and text.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Line and column (both from 1, in characters) of a byte.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let mut byte = byte.min(self.text.len());
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        let before = &self.text[..byte];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// Bytes of one of the files that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index into the files.
    pub(crate) file: usize,
    /// Which bytes.
    pub(crate) bytes: Range<usize>,
}

impl Place {
    pub(crate) fn new(file: usize, bytes: Range<usize>) -> Self {
        Self { file, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let file = SourceFile::new("x.yaml", "a: é\nbé: 1\n");
        assert_eq!(file.position(0), (1, 1));
        assert_eq!(file.position("a: é\nbé".len()), (2, 3));
        assert_eq!(file.position(usize::MAX), (3, 1));
        // In the middle of a character.
        assert_eq!(file.position(4), (1, 4));
    }
}
