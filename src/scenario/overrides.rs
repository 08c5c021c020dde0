//! `--set PATH=VALUE`: changes to the tree before it is read.

use super::{
    decode::{listed, nearest},
    diagnostic::Diagnostic,
    source::{Place, SourceFile},
    yaml::{self, Key, Node, Value},
};

/// One `--set`: `target.lab.replicas=5`, `slos.0.ttft=p95 < 1s`,
/// `load.shoppers.closed.users=9` (items of lists by number, name or id).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override(pub String);

/// An override that isn't one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an override is `PATH=VALUE`, such as `target.lab.replicas=5`")]
pub struct OverrideError;

impl std::str::FromStr for Override {
    type Err = OverrideError;

    fn from_str(text: &str) -> Result<Self, OverrideError> {
        if text.contains('=') { Ok(Self(text.to_owned())) } else { Err(OverrideError) }
    }
}

impl Override {
    /// The override as a file, for diagnostics.
    pub(super) fn source(&self) -> SourceFile {
        SourceFile::new("--set", self.0.clone())
    }

    /// Changes `root`. `file` is the index of [`Self::source`].
    pub(super) fn apply(&self, root: &mut Node, file: usize) -> Result<(), Diagnostic> {
        let whole = Place::new(file, 0..self.0.len());
        let Some(equals) = self.0.find('=') else {
            return Err(Diagnostic::error(&whole, "an override is `PATH=VALUE`")
                .help("for example `--set target.lab.replicas=5`"));
        };
        let value = self.value(equals + 1, file)?;
        let mut segments = Vec::new();
        let mut start = 0;
        for segment in self.0[..equals].split('.') {
            let place = Place::new(file, start..start + segment.len());
            if segment.trim().is_empty() {
                return Err(Diagnostic::error(&place, "a part of the path is empty")
                    .help("for example `--set target.lab.replicas=5`"));
            }
            segments.push(Key { place, text: segment.trim().to_owned() });
            start += segment.len() + 1;
        }
        set(root, &segments, value)
    }

    /// The value, read as YAML, with places in the override's own text.
    fn value(&self, from: usize, file: usize) -> Result<Node, Diagnostic> {
        // What stands before it is blanked, so that positions are right.
        let blanked = SourceFile::new("--set", " ".repeat(from) + &self.0[from..]);
        let mut documents = yaml::read(&blanked, file)?;
        let place = Place::new(file, from..self.0.len());
        Ok(match documents.len() {
            0 => Node { place, value: Value::Scalar { text: String::new(), plain: true } },
            _ => documents.remove(0),
        })
    }
}

fn set(node: &mut Node, path: &[Key], new: Node) -> Result<(), Diagnostic> {
    let Some((key, rest)) = path.split_first() else {
        *node = new;
        return Ok(());
    };
    // `target: lab` says as much as `target: { lab: {} }`.
    let opened = node.is_null() || node.text() == Some(&key.text);
    if opened {
        let empty = Node { place: key.place.clone(), value: Value::Map(Vec::new()) };
        let entries = if node.is_null() { Vec::new() } else { vec![(key.clone(), empty)] };
        node.value = Value::Map(entries);
    }
    match &mut node.value {
        Value::Map(entries) => match entries.iter_mut().find(|(k, _)| k.text == key.text) {
            Some((_, child)) => set(child, rest, new),
            None => {
                // If the key is unknown, reading says so at this place.
                let mut child = Node { place: key.place.clone(), value: Value::Map(Vec::new()) };
                set(&mut child, rest, new)?;
                entries.push((key.clone(), child));
                Ok(())
            }
        },
        Value::List(items) => {
            let named = |item: &Node| {
                ["name", "id"].iter().any(|k| item.get(k).and_then(Node::text) == Some(&key.text))
            };
            let at = match key.text.parse::<usize>() {
                Ok(at) => Some(at).filter(|at| *at < items.len()),
                Err(_) => items.iter().position(named),
            };
            match at {
                Some(at) => set(&mut items[at], rest, new),
                None => Err(no_item(key, items)),
            }
        }
        Value::Scalar { text, .. } => {
            let message = format!("there is nothing below `{text}`, which is a plain value");
            Err(Diagnostic::error(&key.place, message))
        }
    }
}

fn no_item(key: &Key, items: &[Node]) -> Diagnostic {
    let names: Vec<&str> =
        items.iter().filter_map(|item| item.get("name").or_else(|| item.get("id"))?.text()).collect();
    let mut error = Diagnostic::error(&key.place, format!("the list has no item `{}`", key.text));
    if let Some(meant) = nearest(&key.text, names.iter().copied()) {
        error = error.label(format!("did you mean `{meant}`?"));
    }
    error.help(match items.len() {
        0 => "the list is empty".to_owned(),
        n if names.is_empty() => format!("it has items from 0 to {}", n - 1),
        n => format!("it has items from 0 to {}: {}", n - 1, listed(names)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str, change: &str) -> Result<Node, Diagnostic> {
        let mut root = yaml::read(&SourceFile::new("x.yaml", text), 0).expect("YAML").remove(0);
        Override(change.to_owned()).apply(&mut root, 1).map(|()| root)
    }

    fn at<'n>(node: &'n Node, path: &[&str]) -> Option<&'n str> {
        path.iter().try_fold(node, |node, key| node.get(key)).and_then(Node::text)
    }

    #[test]
    fn paths_lead_through_mappings_and_lists() {
        let root = changed("a: {b: 1}\n", "a.b=2").expect("it applies");
        assert_eq!(at(&root, &["a", "b"]), Some("2"));
        let root = changed("a: {b: 1}\n", "c.d=p95 < 1s").expect("it applies");
        assert_eq!(at(&root, &["c", "d"]), Some("p95 < 1s"));
        let root = changed("target: lab\n", "target.lab.replicas=5").expect("it applies");
        assert_eq!(at(&root, &["target", "lab", "replicas"]), Some("5"));
        for change in ["l.1.v=9", "l.two.v=9"] {
            let root = changed("l: [{name: one, v: 1}, {name: two, v: 2}]\n", change).expect("it applies");
            let Some(Value::List(items)) = root.get("l").map(|l| &l.value) else { panic!("{root:?}") };
            assert_eq!(items.iter().map(|item| at(item, &["v"])).collect::<Vec<_>>(), [Some("1"), Some("9")]);
        }
    }

    #[test]
    fn what_is_wrong_is_located_in_the_override() {
        for (change, start) in [("a", 0), ("a..b=1", 2), ("l.7=1", 2), ("a.b.c=1", 4), ("a.b=[1", 6)] {
            let error = changed("a: {b: 1}\nl: [1]\n", change).expect_err(change);
            assert_eq!(
                error.place.map(|place| (place.file, place.bytes.start)),
                Some((1, start)),
                "{change}"
            );
        }
        let root = changed("a: 1\n", "b=x").expect("it applies");
        assert_eq!(root.get("b").map(|b| b.place.clone()), Some(Place::new(1, 2..3)));
    }
}
