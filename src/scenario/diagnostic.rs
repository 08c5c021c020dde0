//! What is wrong with a scenario, where, and what would be right.

use std::{fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::source::{Place, SourceFile};

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The scenario can't be run.
    Error,
    /// It can, but perhaps not as it was meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What stands beside the caret; may be empty.
    pub label: String,
    /// What would be right.
    pub help: Option<String>,
    pub(crate) place: Option<Place>,
}

impl Diagnostic {
    pub(crate) fn error(place: &Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            label: String::new(),
            help: None,
            place: Some(place.clone()),
        }
    }

    pub(crate) fn warning(place: &Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, message) }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Everything that is wrong, in all files at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    files: Vec<SourceFile>,
    items: Vec<Diagnostic>,
}

impl Diagnostics {
    pub(crate) fn new(files: Vec<SourceFile>, mut items: Vec<Diagnostic>) -> Self {
        let key = |item: &Diagnostic| item.place.as_ref().map(|place| (place.file, place.bytes.start));
        items.sort_by_key(key);
        items.dedup();
        Self { files, items }
    }

    /// One error that stands nowhere in a file.
    pub fn unlocated(message: impl Into<String>, help: Option<String>) -> Self {
        let item = Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            label: String::new(),
            help,
            place: None,
        };
        Self { files: Vec::new(), items: vec![item] }
    }

    /// The single diagnostics, by file and place.
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.items.iter().any(|item| item.severity == Severity::Error)
    }

    /// File, line and column (from 1) of a diagnostic.
    pub fn position(&self, item: &Diagnostic) -> Option<(&SourceFile, usize, usize)> {
        let place = item.place.as_ref()?;
        let file = self.files.get(place.file)?;
        let (line, column) = file.position(place.bytes.start);
        Some((file, line, column))
    }

    /// As text, with the source lines and carets; with colours if `styled`.
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for item in &self.items {
            text.push_str(&renderer.render(&[self.group(item)]));
            text.push_str("\n\n");
        }
        text.push_str(&self.summary());
        text
    }

    fn group<'a>(&'a self, item: &'a Diagnostic) -> Group<'a> {
        let level = match item.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(item.message.as_str());
        let located = item.place.as_ref().and_then(|place| Some((place, self.files.get(place.file)?)));
        let group = match located {
            Some((place, file)) => {
                let mut caret = AnnotationKind::Primary.span(within(&file.text, &place.bytes));
                if !item.label.is_empty() {
                    caret = caret.label(item.label.as_str());
                }
                let path = file.path.to_string_lossy();
                title.element(Snippet::source(file.text.as_str()).path(path).annotation(caret))
            }
            None => Group::with_title(title),
        };
        match &item.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        }
    }

    fn summary(&self) -> String {
        let count = |severity, one: &str| match self.items.iter().filter(|i| i.severity == severity).count() {
            0 => None,
            1 => Some(format!("1 {one}")),
            n => Some(format!("{n} {one}s")),
        };
        let parts: Vec<String> = [count(Severity::Error, "error"), count(Severity::Warning, "warning")]
            .into_iter()
            .flatten()
            .collect();
        parts.join(", ")
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// A range that surely lies in the text, on one line, and is not empty where
/// it can be otherwise.
fn within(text: &str, bytes: &Range<usize>) -> Range<usize> {
    let floor = |mut byte: usize| {
        byte = byte.min(text.len());
        while !text.is_char_boundary(byte) {
            byte -= 1;
        }
        byte
    };
    let start = floor(bytes.start);
    let line_end = text[start..].find(['\n', '\r']).map_or(text.len(), |n| start + n);
    let end = floor(bytes.end).clamp(start, line_end);
    if end > start {
        return start..end;
    }
    let next = text[start..line_end].chars().next().map_or(0, char::len_utf8);
    start..start + next
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_points_at_the_place() {
        let file = SourceFile::new("a.yaml", "name: x\nreplica: 3\n");
        let place = Place::new(0, 8..15);
        let item =
            Diagnostic::error(&place, "unknown key `replica`").label("did you mean `replicas`?").help("see");
        let all = Diagnostics::new(vec![file], vec![item.clone(), item]);
        let text = all.render(false);
        for part in [
            "error: unknown key `replica`",
            "a.yaml:2:1",
            "^^^^^^^ did you mean `replicas`?",
            "help: see",
            "1 error",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains('\u{1b}') && all.render(true).contains('\u{1b}'));
        assert_eq!(all.items().len(), 1, "the same thing is said once");
    }

    proptest! {
        #[test]
        fn any_place_in_any_text_renders(text in "\\PC{0,20}(\r?\n\\PC{0,9}){0,3}", start in 0..60usize, len in 0..60usize) {
            let file = SourceFile::new("a.yaml", text);
            let item = Diagnostic::error(&Place::new(0, start..start + len), "x").label("y");
            prop_assert!(Diagnostics::new(vec![file], vec![item]).render(false).contains("error: x"));
        }
    }
}
