//! Templates in scenarios: what they are made of, and how they are compiled.

use std::collections::BTreeSet;

use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;

/// Variables that every template knows.
pub(crate) const ALWAYS: [&str; 4] = ["load", "index", "step", "session"];

/// An environment in which whatever is not known is an error.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
}

/// Whether a text is more than itself.
pub(crate) fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].into_iter().any(|mark| text.contains(mark))
}

/// Whether any text in `value` is a template.
pub(crate) fn has_template(value: &Value) -> bool {
    match value {
        Value::String(text) => is_template(text),
        Value::Array(items) => items.iter().any(has_template),
        Value::Object(entries) => entries.values().any(has_template),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The source of a template that renders `value` as JSON.
pub(crate) fn json_source(value: &Value) -> String {
    let mut source = String::new();
    write(&mut source, value);
    source
}

fn write(source: &mut String, value: &Value) {
    match value {
        Value::String(text) => match expression(text) {
            Some(expression) => {
                source.push_str("{{ (");
                source.push_str(expression);
                source.push_str(") | tojson }}");
            }
            None if is_template(text) => {
                source.push_str("{% filter tojson %}");
                source.push_str(text);
                source.push_str("{% endfilter %}");
            }
            None => source.push_str(&value.to_string()),
        },
        Value::Array(items) => {
            source.push('[');
            for (i, item) in items.iter().enumerate() {
                source.push_str(if i == 0 { "" } else { "," });
                write(source, item);
            }
            source.push(']');
        }
        Value::Object(entries) => {
            source.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                source.push_str(if i == 0 { "" } else { "," });
                // Written out, a key never looks like a template's mark.
                source.push_str(&Value::from(key.as_str()).to_string().replace('{', "\\u007b"));
                source.push(':');
                write(source, value);
            }
            source.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => source.push_str(&value.to_string()),
    }
}

/// The expression, where a text is nothing but one.
fn expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let whole = !inner.contains("}}") && !inner.contains("{{");
    whole.then(|| inner.trim_matches('-').trim())
}

/// What a template's source needs to be told.
///
/// # Errors
/// Why it is no template.
pub(crate) fn variables(source: &str) -> Result<BTreeSet<String>, String> {
    let environment = environment();
    match environment.template_from_str(source) {
        Ok(template) => {
            let globals: BTreeSet<&str> = environment.globals().map(|(name, _)| name).collect();
            let all = template.undeclared_variables(false);
            Ok(all.into_iter().filter(|name| !globals.contains(name.as_str())).collect())
        }
        Err(error) => Err(error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rendered(value: &Value) -> Value {
        let source = json_source(value);
        let context = json!({"features": [1.5, 2], "name": "a \"b\" <c>", "n": 7, "m": {"k": null}});
        let text = environment().render_str(&source, minijinja::value::Serde(&context)).expect("it renders");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    #[test]
    fn a_text_that_is_one_expression_stands_for_its_value() {
        let value = json!({"input": "{{ features }}", "n": "{{ n + 1 }}", "who": "is {{ name }}!", "m": ["{{ m }}"], "k": "plain"});
        let wanted =
            json!({"input": [1.5, 2], "n": 8, "who": "is a \"b\" <c>!", "m": [{"k": null}], "k": "plain"});
        assert_eq!(rendered(&value), wanted);
    }

    #[test]
    fn what_is_not_known_is_told() {
        let names = |source: &str| variables(source).expect("a template").into_iter().collect::<Vec<_>>();
        assert_eq!(names("{{ a.b }} {{ c|upper }}{% for x in range(3) %}{{ x }}{% endfor %}"), ["a", "c"]);
        assert!(variables("{{ a").is_err());
        assert!(environment().render_str("{{ a }}", minijinja::value::Serde(&json!({}))).is_err(), "strict");
    }

    proptest! {
        /// JSON without templates stays what it is.
        #[test]
        fn plain_json_stays_itself(keys in prop::collection::vec("[a-z{}%#\" ]{0,6}", 0..4), text in "[a-z{}\" ]{0,8}") {
            let value: Value = keys.iter().map(|key| (key.clone(), Value::from(text.as_str()))).collect::<serde_json::Map<_, _>>().into();
            prop_assume!(!has_template(&value));
            prop_assert_eq!(rendered(&value), value);
        }
    }
}
