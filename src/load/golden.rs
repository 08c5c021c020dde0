//! Whether an answer to a golden prompt is right.

use jsonpath_rust::{
    parser::{model::JpQuery, parse_json_path},
    query::js_path_process,
};
use regex::Regex;
use serde_json::Value;

use super::{LoadError, answer::snippet};
use crate::scenario::model::Expected;

/// A number within a text; commas may stand between its digits.
const NUMBER: &str = r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?";
/// Decimal fractions are not exact: so much more is still within.
const ROUNDING: f64 = 1e-9;

/// What a right answer is, made ready to compare.
#[derive(Debug)]
pub(crate) enum RightAnswer {
    /// This text, but for blanks around it.
    Equals(String),
    /// A text with this in it.
    Contains(String),
    /// A text in which this matches.
    Matches(Regex),
    /// JSON in which the path leads to this value.
    JsonPath {
        /// As it was written.
        text: String,
        /// The path.
        path: JpQuery,
        /// The value.
        equals: Value,
    },
    /// A text whose last number is near this one.
    Near {
        /// The number.
        value: f64,
        /// How near.
        within: f64,
        /// Finds numbers.
        number: Regex,
    },
}

impl RightAnswer {
    /// As the scenario has it.
    pub(crate) fn of(expected: &Expected) -> Result<Self, LoadError> {
        let wrong = |why: String| LoadError::Workload(format!("golden: {why}"));
        let regex = |text: &str| Regex::new(text).map_err(|error| wrong(error.to_string()));
        Ok(match expected {
            Expected::Equals(text) => Self::Equals(text.trim().to_owned()),
            Expected::Contains(text) => Self::Contains(text.clone()),
            Expected::Matches(text) => Self::Matches(regex(text)?),
            Expected::JsonPath(at) => Self::JsonPath {
                text: at.path.clone(),
                path: parse_json_path(&at.path).map_err(|error| wrong(error.to_string()))?,
                equals: at.equals.clone(),
            },
            Expected::Near(near) => {
                Self::Near { value: near.value, within: near.within, number: regex(NUMBER)? }
            }
        })
    }

    /// Whether `answer` is right; the error says what is wrong.
    pub(crate) fn check(&self, answer: &str) -> Result<(), String> {
        let said = || snippet(answer);
        let right = |right: bool, why: &dyn Fn() -> String| if right { Ok(()) } else { Err(why()) };
        match self {
            Self::Equals(wanted) => {
                right(answer.trim() == wanted, &|| format!("`{}` is not `{wanted}`", said()))
            }
            Self::Contains(wanted) => {
                right(answer.contains(wanted.as_str()), &|| format!("`{}` lacks `{wanted}`", said()))
            }
            Self::Matches(wanted) => {
                right(wanted.is_match(answer), &|| format!("`{}` does not match `{wanted}`", said()))
            }
            Self::JsonPath { text, path, equals } => {
                let json = json_in(answer).ok_or_else(|| format!("`{}` has no JSON in it", said()))?;
                let found = js_path_process(path, &json).map_err(|error| error.to_string())?;
                let found: Vec<&Value> = found.into_iter().map(|found| found.val()).collect();
                right(found.iter().any(|value| same(value, equals)), &|| match found.first() {
                    None => format!("`{}` has nothing at `{text}`", said()),
                    Some(value) => format!("{} at `{text}` is not {equals}", snippet(&value.to_string())),
                })
            }
            Self::Near { value, within, number } => {
                let got =
                    last_number(number, answer).ok_or_else(|| format!("`{}` has no number in it", said()))?;
                let near = (got - value).abs() <= within + ROUNDING * within.max(value.abs());
                right(near, &|| format!("{got} in `{}` is not within {within} of {value}", said()))
            }
        }
    }
}

/// The first JSON object or array in a text, or else all of it: models write
/// around what they were asked for.
fn json_in(text: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(text.trim()) {
        return Some(value);
    }
    let starts = text.match_indices(['{', '[']).map(|(at, _)| at);
    starts.into_iter().find_map(|at| serde_json::Deserializer::from_str(&text[at..]).into_iter().next()?.ok())
}

/// Equal values, numbers by their value: 1 is 1.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// The last number: what leads to an answer stands before it.
fn last_number(number: &Regex, text: &str) -> Option<f64> {
    let found = number.find_iter(text).last()?;
    let digits = found.as_str().replace(',', "");
    // `2-3` is a range, not a negative number.
    let before = text[..found.start()].chars().next_back();
    let digits = match before {
        Some(before) if before.is_alphanumeric() => digits.trim_start_matches(['-', '+']),
        Some(_) | None => &digits,
    };
    digits.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::scenario::model::{Near, PathEquals};

    fn right(expected: Expected, answer: &str) -> bool {
        RightAnswer::of(&expected).expect("it is ready").check(answer).is_ok()
    }

    #[test]
    fn texts_are_compared_as_they_were_asked_to_be() {
        assert!(right(Expected::Equals("Paris".into()), " Paris\n"));
        assert!(!right(Expected::Equals("Paris".into()), "Paris."));
        assert!(right(Expected::Contains("Paris".into()), "It is Paris."));
        assert!(!right(Expected::Contains("Paris".into()), "It is paris."));
        assert!(right(Expected::Matches("(?i)^it is paris".into()), "It is Paris."));
        assert!(!right(Expected::Matches("^Paris".into()), "It is Paris."));
        assert!(RightAnswer::of(&Expected::Matches("(".into())).is_err());
    }

    #[test]
    fn json_is_found_in_what_is_written_around_it() {
        let of = |path: &str, equals| Expected::JsonPath(PathEquals { path: path.into(), equals });
        let answer = "Here [you] are:\n```json\n{\"a\": {\"b\": [1, 2.50]}, \"c\": \"x\"}\n```";
        assert!(right(of("$.a.b[1]", json!(2.5)), answer));
        assert!(right(of("$.a.b[*]", json!(1.0)), answer), "one of several will do");
        assert!(right(of("$.a", json!({ "b": [1, 2.5] })), answer));
        assert!(!right(of("$.a.b[0]", json!("1")), answer));
        assert!(!right(of("$.d", json!(null)), answer) && !right(of("$.c", json!("x")), "none"));
        assert!(right(of("$", json!(7)), " 7 "), "a bare value is JSON");
        assert!(RightAnswer::of(&of("a.b", json!(1))).is_err());
    }

    #[test]
    fn the_last_number_counts() {
        let near = |value, within| Expected::Near(Near { value, within });
        assert!(right(near(9.81, 0.01), "To 2 decimals it is 9.81."));
        assert!(right(near(9.81, 0.01), "9.80") && right(near(9.81, 0.01), "9.82"));
        assert!(!right(near(9.81, 0.01), "9.821") && !right(near(9.81, 0.01), "no idea"));
        assert!(right(near(1_234_567.5, 0.0), "that makes 1,234,567.5, roughly"));
        assert!(right(near(-4.0, 0.0), "x = -4") && right(near(3.0, 0.0), "between 2-3"));
        assert!(right(near(6e23, 1e21), "6.0e23 of them"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let why =
            |expected: Expected| RightAnswer::of(&expected).expect("ready").check("It is 5.").unwrap_err();
        assert_eq!(why(Expected::Contains("Paris".into())), "`It is 5.` lacks `Paris`");
        assert_eq!(
            why(Expected::Near(Near { value: 3.0, within: 0.5 })),
            "5 in `It is 5.` is not within 0.5 of 3"
        );
    }

    proptest! {
        #[test]
        fn no_answer_panics(answer in "[\\PC0-9{}\\[\\]\":,.-]{0,60}") {
            right(Expected::JsonPath(PathEquals { path: "$..a".into(), equals: json!(1) }), &answer);
            right(Expected::Near(Near { value: 1.0, within: 0.1 }), &answer);
        }

        #[test]
        fn a_number_is_found_as_it_was_written(value in -1e12..1e12f64, before in "[a-z ]{0,10} ") {
            let near = Expected::Near(Near { value, within: 0.0 });
            let found = right(near, &format!("{before}{value}."));
            prop_assert!(found);
        }
    }
}
