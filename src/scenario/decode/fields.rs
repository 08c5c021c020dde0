//! A mapping whose keys are asked for one by one; what nobody asked for is
//! unknown.

use super::{Context, listed, nearest};
use crate::scenario::{
    diagnostic::Diagnostic,
    source::Place,
    yaml::{Key, Node, Value},
};

impl Context<'_> {
    /// The keys of `node`, which must be a mapping. Repeated keys are
    /// reported, and the first one counts.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Option<Vec<(&'n Key, &'n Node)>> {
        let Value::Map(all) = &node.value else {
            return self.mistyped(node, &format!("{what} (a mapping)"));
        };
        let mut entries: Vec<(&Key, &Node)> = Vec::new();
        for (key, value) in all {
            let Some((first, _)) = entries.iter().find(|(known, _)| known.text == key.text) else {
                entries.push((key, value));
                continue;
            };
            let place = &first.place;
            let line = self.files.get(place.file).map_or(0, |file| file.position(place.bytes.start).0);
            self.report(
                Diagnostic::error(&key.place, format!("the key `{}` is there twice", key.text))
                    .label("again")
                    .help(format!("it is first on line {line}; keep one of them")),
            );
        }
        Some(entries)
    }
}

/// A mapping that is being read.
pub(in crate::scenario) struct Fields<'n> {
    /// The name of its definition in the schema.
    definition: &'static str,
    place: Place,
    entries: Vec<(&'n Key, &'n Node)>,
    asked: Vec<&'static str>,
    /// Known, and an error of its own.
    refused: Vec<&'static str>,
    /// Errors about keys that aren't there; one that is only misspelt gets
    /// another.
    missing: Vec<(&'static str, Diagnostic)>,
}

impl<'n> Fields<'n> {
    /// Starts to read `node`, which must be a mapping.
    pub(in crate::scenario) fn of(
        cx: &mut Context<'_>,
        node: &'n Node,
        definition: &'static str,
        what: &str,
    ) -> Option<Self> {
        let entries = cx.entries(node, what)?;
        Some(Self {
            definition,
            place: node.place.clone(),
            entries,
            asked: Vec::new(),
            refused: Vec::new(),
            missing: Vec::new(),
        })
    }

    /// A mapping without keys, for defaults.
    pub(super) fn none(definition: &'static str, place: &Place) -> Self {
        Self {
            definition,
            place: place.clone(),
            entries: Vec::new(),
            asked: Vec::new(),
            refused: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Where the mapping is.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The key's value, if it is there and not null.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'n Node> {
        self.asked.push(key);
        self.entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| *node).filter(|node| !node.is_null())
    }

    /// A key that others know and that is not supported here.
    pub(super) fn refuse(&mut self, cx: &mut Context<'_>, key: &'static str, message: &str, help: &str) {
        self.refused.push(key);
        if let Some(found) = self.key(key) {
            let _: Option<()> = cx.fail(&found.place, message, help);
        }
    }

    /// A key that nobody knows, of which it is known what is meant.
    pub(super) fn elsewhere(&mut self, cx: &mut Context<'_>, key: &'static str, help: &str) {
        self.refuse(cx, key, &format!("unknown key `{key}`"), help);
    }

    /// The key's own place, for what concerns it as a whole.
    pub(super) fn key(&self, key: &str) -> Option<&'n Key> {
        self.entries.iter().find(|(k, _)| k.text == key).map(|(key, _)| *key)
    }

    /// A value that must be there. None: it was reported.
    pub(super) fn required<T>(
        &mut self,
        cx: &mut Context<'_>,
        key: &'static str,
        example: &str,
        decode: impl FnOnce(&mut Context<'_>, &'n Node) -> Option<T>,
    ) -> Option<T> {
        match self.get(key) {
            Some(node) => decode(cx, node),
            None => {
                let place = self.key(key).map_or_else(|| self.start(), |key| key.place.clone());
                let what = if self.key(key).is_some() { "has no value" } else { "is missing" };
                let error = Diagnostic::error(&place, format!("`{key}` {what}"));
                self.missing.push((key, error.help(format!("write `{key}: {example}`"))));
                None
            }
        }
    }

    /// A value that may be there. None: it was reported; Some(None): it isn't
    /// there.
    pub(super) fn optional<T>(
        &mut self,
        cx: &mut Context<'_>,
        key: &'static str,
        decode: impl FnOnce(&mut Context<'_>, &'n Node) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.get(key) {
            Some(node) => decode(cx, node).map(Some),
            None => Some(None),
        }
    }

    /// A value, or its default.
    pub(super) fn or<T>(
        &mut self,
        cx: &mut Context<'_>,
        key: &'static str,
        default: T,
        decode: impl FnOnce(&mut Context<'_>, &'n Node) -> Option<T>,
    ) -> Option<T> {
        self.optional(cx, key, decode).map(|value| value.unwrap_or(default))
    }

    /// The one of `keys` that is there, if one is.
    pub(super) fn at_most_one_of<T>(
        &mut self,
        cx: &mut Context<'_>,
        keys: &[&'static str],
        read: impl FnOnce(&mut Context<'_>, &'static str, &Node) -> Option<T>,
    ) -> Option<Option<T>> {
        if !self.entries.iter().any(|(k, _)| keys.contains(&k.text.as_str())) {
            self.asked.extend(keys);
            return Some(None);
        }
        let (key, node) = self.one_of(cx, keys)?;
        read(cx, key, node).map(Some)
    }

    /// The one of `keys` that is there; exactly one must be.
    pub(super) fn one_of(
        &mut self,
        cx: &mut Context<'_>,
        keys: &[&'static str],
    ) -> Option<(&'static str, &'n Node)> {
        self.asked.extend(keys);
        // In the order of the file: what is one too many came later.
        let found: Vec<(&'static str, &Key, &Node)> = self
            .entries
            .iter()
            .filter_map(|(k, node)| Some((*keys.iter().find(|key| **key == k.text)?, *k, *node)))
            .collect();
        match found.as_slice() {
            [(key, _, node)] => Some((key, node)),
            [] => {
                // An unknown key beside it is reported by itself, with what was meant.
                let unknown = self.entries.iter().any(|(k, _)| !self.is_known(&k.text));
                if unknown {
                    return None;
                }
                let place = self.start();
                cx.fail(&place, format!("one of {} is missing", listed(keys.iter().copied())), "")
            }
            [_, (second, key, _), ..] => {
                let others = listed(keys.iter().copied());
                cx.fail(
                    &key.place,
                    format!("`{second}` is one too many: only one of {others} may be there"),
                    "",
                )
            }
        }
    }

    /// All keys were asked for: the others are unknown. Whether there were
    /// none, nor any that is not supported here.
    pub(super) fn finish(self, cx: &mut Context<'_>) -> bool {
        let mut meant = Vec::new();
        let unknown: Vec<&Key> =
            self.entries.iter().map(|(key, _)| *key).filter(|key| !self.is_known(&key.text)).collect();
        for key in &unknown {
            let mut error = Diagnostic::error(&key.place, format!("unknown key `{}`", key.text));
            match nearest(&key.text, self.asked.iter().copied()) {
                Some(right) => {
                    meant.push(right);
                    error = error.label(format!("did you mean `{right}`?"));
                }
                None => {
                    let known = listed(self.asked.iter().copied());
                    error = error.label("not known here").help(format!("known here: {known}"));
                }
            }
            cx.report(error);
        }
        for (key, error) in self.missing {
            if !meant.contains(&key) {
                cx.report(error);
            }
        }
        #[cfg(test)]
        cx.shapes.entry(self.definition).or_default().extend(self.asked.iter());
        #[cfg(not(test))]
        let _ = self.definition;
        unknown.is_empty() && !self.entries.iter().any(|(key, _)| self.refused.contains(&key.text.as_str()))
    }

    /// What was not asked for is for others to judge.
    pub(super) fn finish_partly(mut self, cx: &mut Context<'_>) {
        let known: Vec<&'static str> = self.asked.clone();
        self.entries.retain(|(key, _)| known.contains(&key.text.as_str()));
        self.finish(cx);
    }

    fn is_known(&self, key: &str) -> bool {
        self.asked.contains(&key) || self.refused.contains(&key)
    }

    /// The mapping's first key, or the whole of an empty one.
    fn start(&self) -> Place {
        self.entries.first().map_or_else(|| self.place.clone(), |(key, _)| key.place.clone())
    }
}
