//! The `data` of a JSON tensor: counted, and kept flat, however it is nested.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};

use crate::scenario::endpoint::Datatype;

/// Elements by their kind, in lists nested as they may be.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Elements {
    whole: usize,
    real: usize,
    truths: usize,
    /// `null`, which is how NaN is written by some.
    pub(super) nulls: usize,
    others: usize,
    /// Numbers, truths as 0 and 1, and `null` as NaN, as they came.
    pub(super) numbers: Vec<f64>,
    /// Texts, as they came.
    pub(super) texts: Vec<String>,
}

impl Elements {
    /// All of them.
    pub(super) fn count(&self) -> usize {
        self.numbers.len() + self.texts.len() + self.others
    }

    /// How many can't be elements of a tensor of this type. `null` may stand
    /// for a NaN.
    pub(super) fn wrong(&self, datatype: Datatype) -> usize {
        let right = match datatype {
            Datatype::Bytes => self.texts.len(),
            Datatype::Bool => self.truths + self.whole,
            _ if datatype.is_float() => self.whole + self.real + self.nulls,
            // Some servers write whole numbers as floats.
            _ => self.whole + self.real,
        };
        self.count() - right
    }
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut all = Self::default();
        Adding(&mut all).deserialize(deserializer)?;
        Ok(all)
    }
}

/// Adds what is read.
struct Adding<'a>(&'a mut Elements);

impl<'de> DeserializeSeed<'de> for Adding<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Adding<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tensor's data")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<(), E> {
        self.0.truths += 1;
        self.0.numbers.push(f64::from(u8::from(truth)));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.0.whole += 1;
        self.0.numbers.push(number as f64);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.0.whole += 1;
        self.0.numbers.push(number as f64);
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.0.real += 1;
        self.0.numbers.push(number);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.texts.push(text.to_owned());
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.nulls += 1;
        self.0.numbers.push(f64::NAN);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Adding(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
        self.0.others += 1;
        Ok(())
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
        assert_eq!((all.whole, all.real, all.truths, all.nulls, all.others), (2, 1, 1, 1, 1));
        assert_eq!(
            (&all.numbers[..4], all.texts.as_slice()),
            (&[1.0, 2.5, -3.0, 1.0][..], &["a".to_owned()][..])
        );
        assert!(all.numbers.len() == 5 && all.numbers[4].is_nan());
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
