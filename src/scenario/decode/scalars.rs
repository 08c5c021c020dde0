//! Texts, numbers, units, choices and lists.

use std::{fmt::Display, ops::RangeBounds, str::FromStr};

use serde::Serialize;

use super::{Context, listed, nearest};
use crate::{
    scenario::{
        diagnostic::Diagnostic,
        source::Place,
        yaml::{Node, Value},
    },
    units::{ParseUnitError, Ratio},
};

impl Context<'_> {
    /// Any scalar, as text.
    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        match node.text() {
            Some("") => self.fail(&node.place, format!("{what} is empty"), ""),
            Some(text) => Some(text.to_owned()),
            None => self.mistyped(node, what),
        }
    }

    /// A name that people choose and that others refer to.
    pub(super) fn identifier(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.text(node, what)?;
        self.check_identifier(&text, &node.place, what).then_some(text)
    }

    /// A name that others gave, as it stands in answers: a version, who serves.
    pub(super) fn word(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.text(node, what)?;
        if text.len() <= 253 && text.chars().all(|c| c.is_ascii_graphic()) {
            return Some(text);
        }
        let help = "it is made of up to 253 letters, digits and signs, without spaces";
        self.fail(&node.place, format!("`{text}` can't be {what}"), help)
    }

    /// Whether a name can be part of a folder's and of a check's; reported if
    /// not.
    pub(super) fn check_identifier(&mut self, text: &str, place: &Place, what: &str) -> bool {
        let right = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.len() <= 63
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !right {
            let message = format!("`{text}` can't be {what}");
            let help = "a name is made of letters, digits, `-`, `_` and `.`, up to 63, and starts with a letter or digit";
            self.report(Diagnostic::error(place, message).help(help));
        }
        right
    }

    /// A unit, a threshold: anything that says itself what is wrong with it.
    pub(super) fn unit<T: FromStr<Err = ParseUnitError>>(&mut self, node: &Node) -> Option<T> {
        let Some(text) = node.text() else {
            // Ask the parser what it wants: it refuses the empty text.
            let wanted = "".parse::<T>().err().map_or("a text", |error| error.wanted);
            return self.mistyped(node, wanted);
        };
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let mut diagnostic = Diagnostic::error(&node.place, error.to_string());
                if let Some(guess) = guess::<T>(text) {
                    diagnostic = diagnostic.help(format!("perhaps `{guess}`?"));
                }
                self.report(diagnostic);
                None
            }
        }
    }

    /// A number within `range`.
    pub(super) fn number<T>(&mut self, node: &Node, what: &str, range: impl RangeBounds<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        let wrong = |cx: &mut Self| cx.mistyped(node, what);
        let Value::Scalar { text, plain: true } = &node.value else { return wrong(self) };
        match text.parse::<T>() {
            // `nan` is in no range.
            Ok(value) if range.contains(&value) => Some(value),
            Ok(value) => self.fail(&node.place, format!("{value} is not {what}"), ""),
            Err(_) if text.parse::<f64>().is_ok() => {
                self.fail(&node.place, format!("{text} is not {what}"), "")
            }
            Err(_) => wrong(self),
        }
    }

    /// A share from 0 to 1, which may be written as a percentage.
    pub(super) fn share(&mut self, node: &Node) -> Option<Ratio> {
        let ratio: Ratio = self.unit(node)?;
        if (0.0..=1.0).contains(&ratio.0) {
            Some(ratio)
        } else {
            let help = as_percentage(ratio, node).map(|right| format!("write `{right}`"));
            let message = format!("{} is not a share between 0% and 100%", ratio.percent());
            self.fail(&node.place, message, help.unwrap_or_default())
        }
    }

    pub(super) fn boolean(&mut self, node: &Node) -> Option<bool> {
        match &node.value {
            Value::Scalar { text, plain: true } if text == "true" => Some(true),
            Value::Scalar { text, plain: true } if text == "false" => Some(false),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => self.mistyped(node, "`true` or `false`"),
        }
    }

    /// One of several values, by the name that serde gives it.
    pub(super) fn choice<T: Serialize + Copy>(&mut self, node: &Node, what: &str, all: &[T]) -> Option<T> {
        let Some(text) = node.text() else { return self.mistyped(node, what) };
        let names: Vec<String> = all.iter().map(name_of).collect();
        if let Some(at) = names.iter().position(|name| name == text) {
            return Some(all[at]);
        }
        let names = names.iter().map(String::as_str);
        let mut error = Diagnostic::error(&node.place, format!("`{text}` is not {what}"));
        if let Some(meant) = nearest(text, names.clone()) {
            error = error.label(format!("did you mean `{meant}`?"));
        }
        self.report(error.help(format!("one of {}", listed(names))));
        None
    }

    /// A list, each item of which is read even where another can't be.
    pub(super) fn list<T>(
        &mut self,
        node: &Node,
        what: &str,
        mut decode: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Value::List(items) = &node.value else {
            return self.mistyped(node, &format!("a list of {what}"));
        };
        let all: Vec<Option<T>> = items.iter().map(|item| decode(self, item)).collect();
        all.into_iter().collect()
    }

    /// A list that has items.
    pub(super) fn some_list<T>(
        &mut self,
        node: &Node,
        what: &str,
        decode: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        let list = self.list(node, what, decode)?;
        if list.is_empty() {
            self.fail(&node.place, format!("this is empty, and needs {what}"), "")
        } else {
            Some(list)
        }
    }

    /// A name that something has, told from those that there are.
    pub(super) fn reference(&mut self, node: &Node, what: &str, known: &[String]) -> Option<String> {
        let text = self.text(node, &format!("the name of an existing {what}"))?;
        if known.contains(&text) {
            return Some(text);
        }
        let names = known.iter().map(String::as_str);
        let mut error = Diagnostic::error(&node.place, format!("there is no {what} `{text}`"));
        if let Some(meant) = nearest(&text, names.clone()) {
            error = error.label(format!("did you mean `{meant}`?"));
        }
        if !known.is_empty() {
            error = error.help(format!("there is {}", listed(names)));
        }
        self.report(error);
        None
    }
}

/// A bare number that was meant in per cent.
pub(super) fn as_percentage(ratio: Ratio, node: &Node) -> Option<String> {
    let bare = node.text().is_some_and(|text| text.trim_end().ends_with(|c: char| c.is_ascii_digit()));
    (bare && (1.0..=100.0).contains(&ratio.0)).then(|| format!("{}%", ratio.0))
}

/// The name of a plain variant.
fn name_of<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(_) | Err(_) => String::new(),
    }
}

/// What a wrong unit may have been meant to be: the number with a unit, or
/// the threshold with a sign.
fn guess<T: FromStr>(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let tries = [
        format!("{text}s"),
        format!("{text}/s"),
        format!("{digits}/s"),
        format!(">= {text}"),
        format!("p95 < {text}"),
        format!("p95 {text}"),
        text.replacen("=<", "<=", 1).replacen("=>", ">=", 1),
        text.replace(' ', ""),
        text.replacen("sec", "s", 1).trim_end_matches("onds").to_owned(),
    ];
    tries.into_iter().find(|guess| guess.parse::<T>().is_ok())
}

/// [`Context::unit`] as a function, to be named where a decoder is wanted.
pub(super) fn unit<T: FromStr<Err = ParseUnitError>>(cx: &mut Context<'_>, node: &Node) -> Option<T> {
    cx.unit(node)
}

/// [`Context::share`] as a function.
pub(super) fn share(cx: &mut Context<'_>, node: &Node) -> Option<Ratio> {
    cx.share(node)
}

/// [`Context::boolean`] as a function.
pub(super) fn boolean(cx: &mut Context<'_>, node: &Node) -> Option<bool> {
    cx.boolean(node)
}
