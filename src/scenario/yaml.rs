//! YAML as a tree in which every node knows its place, and no key is lost,
//! not even a repeated one.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{
    diagnostic::Diagnostic,
    source::{Place, SourceFile},
};

/// Deeper than any scenario; keeps recursion over the tree shallow.
const MAX_DEPTH: usize = 64;
/// More than any scenario; aliases of aliases grow exponentially.
const MAX_NODES: usize = 200_000;

/// A node and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Text, and whether it was written without quotes.
    Scalar { text: String, plain: bool },
    /// `- a`
    List(Vec<Node>),
    /// `a: b`, in order, repeated keys included.
    Map(Vec<(Key, Node)>),
}

/// A mapping's key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) text: String,
}

impl Node {
    /// Nothing, or a plain `null` or `~`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The text of a scalar that is not null.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The value of a mapping's key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node),
            Value::Scalar { .. } | Value::List(_) => None,
        }
    }

    /// A scalar as JSON: what is written without quotes may be a number, a
    /// boolean or nothing.
    pub(crate) fn scalar(&self) -> serde_json::Value {
        match &self.value {
            Value::Scalar { text, plain: true } if !self.is_null() => match serde_json::from_str(text) {
                Ok(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => value,
                Ok(_) | Err(_) => text.as_str().into(),
            },
            Value::Scalar { text, plain: false } => text.as_str().into(),
            Value::Scalar { plain: true, .. } | Value::List(_) | Value::Map(_) => serde_json::Value::Null,
        }
    }

    /// What kind of thing it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { text, plain: true } => match text.as_str() {
                "true" | "false" => "a boolean",
                text if text.parse::<f64>().is_ok() => "a number",
                _ => "a text",
            },
            Value::Scalar { plain: false, .. } => "a text",
        }
    }
}

/// The documents of `file`, the `index`-th of all files.
pub(crate) fn read(file: &SourceFile, index: usize) -> Result<Vec<Node>, Diagnostic> {
    let mut builder = Builder { places: Places::new(&file.text, index), ..Builder::default() };
    for event in Parser::new_from_str(&file.text) {
        match event {
            Ok((event, span)) => builder.take(event, span)?,
            Err(error) => {
                return Err(syntax_error(file, &builder.places, error.info(), error.marker().index()));
            }
        }
    }
    Ok(builder.documents)
}

fn syntax_error(file: &SourceFile, places: &Places, info: &str, index: usize) -> Diagnostic {
    let at = places.byte(index);
    let place = Place::new(places.file, at..at);
    let line_start = file.text[..at].rfind('\n').map_or(0, |n| n + 1);
    let line = file.text[line_start..].lines().next().unwrap_or("");
    let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
    if let Some(tab) = line[..indent].find('\t') {
        let tab = line_start + tab;
        return Diagnostic::error(&Place::new(places.file, tab..tab + 1), "YAML is never indented with tabs")
            .label("a tab")
            .help("indent with spaces");
    }
    let error = Diagnostic::error(&place, format!("this is not YAML: {info}"));
    if info.contains("mapping values") {
        return error.help("a value with `: ` in it needs quotes");
    }
    error
}

/// Turns the parser's positions (in characters) into bytes.
#[derive(Debug, Default)]
struct Places {
    file: usize,
    /// Byte of each character; empty where they are the same.
    bytes: Vec<usize>,
    length: usize,
}

impl Places {
    fn new(text: &str, file: usize) -> Self {
        let bytes =
            if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(byte, _)| byte).collect() };
        Self { file, bytes, length: text.len() }
    }

    fn byte(&self, character: usize) -> usize {
        if self.bytes.is_empty() {
            character.min(self.length)
        } else {
            self.bytes.get(character).copied().unwrap_or(self.length)
        }
    }

    fn place(&self, span: Span) -> Place {
        let (start, end) = (self.byte(span.start.index()), self.byte(span.end.index()));
        Place::new(self.file, start..end.max(start))
    }
}

/// A collection that is still open.
#[derive(Debug)]
enum Open {
    List { place: Place, anchor: usize, items: Vec<Node> },
    Map { place: Place, anchor: usize, entries: Vec<(Key, Node)>, key: Option<Key> },
}

#[derive(Debug, Default)]
struct Builder {
    places: Places,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        let place = self.places.place(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                // `!!str 5` is text, whatever it looks like.
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let node = Node { place, value: Value::Scalar { text: text.into_owned(), plain } };
                self.close(node, anchor, 1)
            }
            Event::SequenceStart(anchor, _) => {
                self.push(Open::List { place: place.clone(), anchor, items: Vec::new() }, &place)
            }
            Event::MappingStart(anchor, _) => {
                self.push(Open::Map { place: place.clone(), anchor, entries: Vec::new(), key: None }, &place)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { place: start, anchor, items }) => {
                    let value = Value::List(items);
                    let end = place.bytes.end;
                    self.close(
                        Node { place: Place::new(start.file, start.bytes.start..end), value },
                        anchor,
                        1,
                    )
                }
                Some(Open::Map { place: start, anchor, entries, .. }) => {
                    let value = Value::Map(merged(entries));
                    let end = place.bytes.end;
                    self.close(
                        Node { place: Place::new(start.file, start.bytes.start..end), value },
                        anchor,
                        1,
                    )
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                // An error in an aliased value is shown where it is used.
                Some((node, size)) => self.close(Node { place, ..node }, 0, size),
                None => Err(Diagnostic::error(&place, "this alias refers to an anchor that is not complete")),
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn push(&mut self, open: Open, place: &Place) -> Result<(), Diagnostic> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Diagnostic::error(place, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.open.push(open);
        Ok(())
    }

    /// A node is complete: hands it to the collection around it.
    fn close(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Diagnostic> {
        self.nodes += size;
        if self.nodes > MAX_NODES {
            return Err(Diagnostic::error(&node.place, format!("more than {MAX_NODES} values")));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), count(&node)));
        }
        match self.open.last_mut() {
            None => self.documents.push(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                None => match node.value {
                    Value::Scalar { text, .. } => *key = Some(Key { place: node.place, text }),
                    Value::List(_) | Value::Map(_) => {
                        return Err(Diagnostic::error(&node.place, "a key must be a text"));
                    }
                },
                Some(key) => entries.push((key, node)),
            },
        }
        Ok(())
    }
}

/// `<<: *defaults` adds the keys of a mapping that are not there otherwise.
fn merged(entries: Vec<(Key, Node)>) -> Vec<(Key, Node)> {
    let is_merge = |key: &Key, node: &Node| key.text == "<<" && matches!(node.value, Value::Map(_));
    let (merges, mut entries): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(k, n)| is_merge(k, n));
    for (_, node) in merges {
        let Value::Map(defaults) = node.value else { continue };
        for (key, node) in defaults {
            if !entries.iter().any(|(k, _)| k.text == key.text) {
                entries.push((key, node));
            }
        }
    }
    entries
}

fn count(node: &Node) -> usize {
    match &node.value {
        Value::Scalar { .. } => 1,
        Value::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|(_, node)| 1 + count(node)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tree(text: &str) -> Result<Vec<Node>, Diagnostic> {
        read(&SourceFile::new("x.yaml", text), 0)
    }

    fn one(text: &str) -> Node {
        tree(text).expect("YAML").remove(0)
    }

    fn shown<'a>(text: &'a str, node: &Node) -> &'a str {
        &text[node.place.bytes.clone()]
    }

    #[test]
    fn every_node_knows_its_place() {
        let text = "é: {b: 1, \"c\": 'x y'}\nlist:\n  - ü\n  - z # end\n";
        let root = one(text);
        assert_eq!(shown(text, root.get("é").and_then(|n| n.get("c")).expect("c")), "'x y'");
        let Some(Value::List(items)) = root.get("list").map(|n| &n.value) else { panic!("{root:?}") };
        assert_eq!(items.iter().map(|n| shown(text, n)).collect::<Vec<_>>(), ["ü", "z"]);
    }

    #[test]
    fn repeated_keys_are_kept() {
        let Value::Map(entries) = one("a: 1\na: 2\n").value else { panic!("a mapping") };
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn quotes_make_text() {
        let root = one("a: null\nb: 'null'\nc:\nd: '5'\n");
        assert!(root.get("a").is_some_and(Node::is_null) && root.get("c").is_some_and(Node::is_null));
        assert_eq!(root.get("b").and_then(Node::text), Some("null"));
        assert_eq!(root.get("d").map(Node::kind), Some("a text"));
    }

    #[test]
    fn anchors_and_merge_keys_work() {
        let root = one("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}\nc: *x\n");
        let of =
            |a: &str, b: &str| root.get(a).and_then(|n| n.get(b)).and_then(Node::text).map(str::to_owned);
        assert_eq!(
            (of("b", "k"), of("b", "l"), of("c", "l")),
            (Some("1".into()), Some("3".into()), Some("2".into()))
        );
    }

    #[test]
    fn syntax_errors_are_located() {
        let error = tree("a:\n\tb: 1\n").expect_err("a tab");
        assert_eq!(
            (error.message.as_str(), error.place),
            ("YAML is never indented with tabs", Some(Place::new(0, 3..4)))
        );
        for text in ["a: [1, 2\nb: 3\n", "a: 'x\n", "a: *nowhere\n", "a: b: c\n", "[a]: 1\n"] {
            assert!(tree(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bombs_are_refused() {
        let lines =
            (1..12).map(|i| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", ")));
        let bomb = std::iter::once("a0: &a0 x\n".to_owned()).chain(lines).collect::<String>();
        assert!(tree(&bomb).expect_err("a bomb").message.contains("more than"));
        assert!(tree(&"[".repeat(5000)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([\\PC\n\t]|[-:{}\\[\\]&*!|>'\"#, \n]){0,200}") {
            let _ = tree(&text);
        }
    }
}
