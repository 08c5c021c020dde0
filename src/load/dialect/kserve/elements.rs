//! The `data` of a JSON tensor: counted, not kept.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use crate::scenario::endpoint::Datatype;

/// Elements by their kind, in lists nested as they may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Elements {
    whole: usize,
    real: usize,
    texts: usize,
    truths: usize,
    /// `null`, which is how NaN is written by some.
    pub(super) nulls: usize,
    others: usize,
}

impl Elements {
    /// All of them.
    pub(super) fn count(&self) -> usize {
        self.whole + self.real + self.texts + self.truths + self.nulls + self.others
    }

    /// How many can't be elements of a tensor of this type. `null` may stand
    /// for a NaN.
    pub(super) fn wrong(&self, datatype: Datatype) -> usize {
        let right = match datatype {
            Datatype::Bytes => self.texts,
            Datatype::Bool => self.truths + self.whole,
            _ if datatype.is_float() => self.whole + self.real + self.nulls,
            // Some servers write whole numbers as floats.
            _ => self.whole + self.real,
        };
        self.count() - right
    }

    fn add(&mut self, other: Self) {
        self.whole += other.whole;
        self.real += other.real;
        self.texts += other.texts;
        self.truths += other.truths;
        self.nulls += other.nulls;
        self.others += other.others;
    }
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Count)
    }
}

struct Count;

impl<'de> Visitor<'de> for Count {
    type Value = Elements;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tensor's data")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Elements, E> {
        Ok(Elements { truths: 1, ..Elements::default() })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Elements, E> {
        Ok(Elements { whole: 1, ..Elements::default() })
    }

    fn visit_u64<E>(self, _: u64) -> Result<Elements, E> {
        Ok(Elements { whole: 1, ..Elements::default() })
    }

    fn visit_f64<E>(self, _: f64) -> Result<Elements, E> {
        Ok(Elements { real: 1, ..Elements::default() })
    }

    fn visit_str<E>(self, _: &str) -> Result<Elements, E> {
        Ok(Elements { texts: 1, ..Elements::default() })
    }

    fn visit_unit<E>(self) -> Result<Elements, E> {
        Ok(Elements { nulls: 1, ..Elements::default() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Elements, A::Error> {
        let mut all = Elements::default();
        while let Some(item) = items.next_element::<Elements>()? {
            all.add(item);
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Elements, A::Error> {
        while entries.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
        Ok(Elements { others: 1, ..Elements::default() })
    }
}

/// JSON has neither NaN nor infinities, but some servers write them: `null` in
/// their place, outside of texts. None: there are none.
pub(super) fn without_nan(json: &str) -> Option<String> {
    let mut out = String::new();
    let mut kept = 0;
    let (mut quoted, mut escaped) = (false, false);
    let bytes = json.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if quoted {
            quoted = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte == b'"' {
            quoted = true;
        } else if matches!(byte, b'N' | b'I' | b'-') {
            let names = ["NaN", "Infinity", "-Infinity", "-NaN"];
            if let Some(name) = names.into_iter().find(|name| json[at..].starts_with(name)) {
                out.push_str(&json[kept..at]);
                out.push_str("null");
                at += name.len();
                kept = at;
                continue;
            }
        }
        at += 1;
    }
    if kept == 0 {
        return None;
    }
    out.push_str(&json[kept..]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(json: &str) -> Elements {
        serde_json::from_str(json).expect("JSON")
    }

    #[test]
    fn elements_are_counted_however_they_are_nested() {
        let all = elements(r#"[[1, 2.5], [[-3], "a"], [true, null, {"x": [1]}], []]"#);
        assert_eq!(all, Elements { whole: 2, real: 1, texts: 1, truths: 1, nulls: 1, others: 1 });
        assert_eq!(all.count(), 7);
        assert_eq!((all.wrong(Datatype::Fp32), all.wrong(Datatype::Bytes)), (3, 6));
        assert_eq!(elements("[1, 0, true]").wrong(Datatype::Bool), 0);
        assert_eq!(elements("[null]").wrong(Datatype::Int64), 1);
    }

    #[test]
    fn nan_is_found_outside_of_texts() {
        let json = r#"{"a": [NaN, -Infinity, 1, -2, "NaN \" NaN"], "b": Infinity}"#;
        let wanted = r#"{"a": [null, null, 1, -2, "NaN \" NaN"], "b": null}"#;
        assert_eq!(without_nan(json).as_deref(), Some(wanted));
        assert_eq!(without_nan(r#"{"Infinity": "NaN", "é": -1}"#), None);
    }
}
