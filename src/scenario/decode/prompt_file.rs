//! Files of prompts: read with the scenario, so that what is wrong in them is
//! said before anything is sent.

use std::path::PathBuf;

use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::{Context, listed};
use crate::scenario::{
    diagnostic::Diagnostic,
    model::{Conversation, PromptFile},
    source::{Place, SourceFile},
    yaml::Node,
};

/// So many lines of a file are told to be wrong one by one.
const TOLD: usize = 5;

/// How a file's contents become prompts.
pub(super) enum Made<'a> {
    /// ShareGPT's conversations.
    ShareGpt,
    /// Templates filled with the fields of each line.
    Jsonl {
        /// Of the prompt.
        template: &'a str,
        /// Of the system prompt.
        system: Option<&'a str>,
    },
}

/// What is wrong in a file: where (bytes), if that is known, and what.
type Wrong = (Option<std::ops::Range<usize>>, String);

/// Reads the file that `node` names.
pub(super) fn read(cx: &mut Context<'_>, node: &Node, made: &Made<'_>) -> Option<PromptFile> {
    let name = cx.text(node, "the path of a file")?;
    let (path, text) = match (cx.resolver)(&name) {
        Ok(found) => found,
        Err(why) => return cx.fail(&node.place, format!("read the prompts `{name}`: {why}"), ""),
    };
    let (conversations, wrong) = match made {
        Made::ShareGpt => sharegpt(&text),
        Made::Jsonl { template, system } => jsonl(&text, template, *system),
    };
    if !wrong.is_empty() {
        tell(cx, node, path, text, wrong);
        return None;
    }
    if conversations.is_empty() {
        return cx.fail(&node.place, format!("the file `{name}` holds no prompts"), "");
    }
    let sha256 = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    Some(PromptFile { path, sha256, entries: conversations.len(), conversations: conversations.into() })
}

/// Reports what is wrong where it is, and keeps the file to show it.
fn tell(cx: &mut Context<'_>, node: &Node, path: PathBuf, text: String, wrong: Vec<Wrong>) {
    let index = cx.files.len();
    cx.files.push(SourceFile { path, text });
    let more = wrong.len().saturating_sub(TOLD);
    for (bytes, message) in wrong.into_iter().take(TOLD) {
        let place = bytes.map_or_else(|| node.place.clone(), |bytes| Place::new(index, bytes));
        cx.report(Diagnostic::error(&place, message));
    }
    if more > 0 {
        cx.report(Diagnostic::error(&node.place, format!("{more} more lines of this file are wrong")));
    }
}

/// The byte at a line and column (from 1), as serde_json gives them.
fn byte_at(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column.saturating_sub(1)).min(text.len())
}

#[derive(Deserialize)]
struct Recorded {
    #[serde(default)]
    conversations: Vec<Said>,
    #[serde(default, rename = "id")]
    _id: IgnoredAny,
}

#[derive(Deserialize)]
struct Said {
    from: String,
    value: String,
}

fn sharegpt(text: &str) -> (Vec<Conversation>, Vec<Wrong>) {
    let recorded: Vec<Recorded> = match serde_json::from_str(text) {
        Ok(recorded) => recorded,
        Err(error) => {
            let at = byte_at(text, error.line(), error.column());
            let what = error.to_string();
            let what = what.split(" at line ").next().unwrap_or_default();
            return (Vec::new(), vec![(Some(at..at + 1), format!("this is not ShareGPT's format: {what}"))]);
        }
    };
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for (number, recorded) in recorded.into_iter().enumerate() {
        match conversation(recorded) {
            // One in which the user says nothing has nothing to ask.
            Ok(conversation) if conversation.turns.is_empty() => {}
            Ok(conversation) => all.push(conversation),
            Err(from) => wrong.push((None, format!("conversation {} has a part from `{from}`", number + 1))),
        }
    }
    (all, wrong)
}

/// The error is a speaker that nobody knows.
fn conversation(recorded: Recorded) -> Result<Conversation, String> {
    let mut conversation = Conversation::default();
    for Said { from, value } in recorded.conversations {
        match from.as_str() {
            "human" | "user" => conversation.turns.push((value, None)),
            "gpt" | "assistant" | "chatgpt" | "bing" | "bard" => {
                // What comes before the user said anything answers nothing.
                if let Some((_, words)) = conversation.turns.last_mut() {
                    let count = u32::try_from(value.split_whitespace().count()).unwrap_or(u32::MAX);
                    *words = Some(count.max(1));
                }
            }
            "system" => conversation.system = value,
            _ => return Err(from),
        }
    }
    conversation.turns.retain(|(text, _)| !text.trim().is_empty());
    Ok(conversation)
}

/// A template, if it is one.
pub(super) fn template(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let text = cx.text(node, "a template")?;
    match environment().template_from_str(&text) {
        Ok(_) => Some(text),
        Err(error) => {
            let why = error.detail().unwrap_or("it can't be read").to_owned();
            cx.fail(&node.place, format!("this is not a template: {why}"), "write `{{ field }}` for a field")
        }
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
}

fn jsonl(text: &str, template: &str, system: Option<&str>) -> (Vec<Conversation>, Vec<Wrong>) {
    let environment = environment();
    // Both were read before: they are templates.
    let Ok(template) = environment.template_from_str(template) else { return Default::default() };
    let Ok(system) = system.map(|system| environment.template_from_str(system)).transpose() else {
        return Default::default();
    };
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let whole = start..start + line.trim_end().len();
        start += line.len();
        if line.trim().is_empty() {
            continue;
        }
        let fields: serde_json::Map<String, Json> = match serde_json::from_str(line.trim_end()) {
            Ok(fields) => fields,
            Err(error) => {
                let at = whole.start + error.column().saturating_sub(1).min(whole.len().saturating_sub(1));
                let what = error.to_string();
                let what = what.split(" at line ").next().unwrap_or_default().to_owned();
                wrong.push((Some(at..at + 1), format!("this is not a JSON object: {what}")));
                continue;
            }
        };
        let filled = filled(&template, &fields).and_then(|user| {
            let system = system.as_ref().map_or(Ok(String::new()), |system| filled_any(system, &fields))?;
            Ok(Conversation { system, turns: vec![(user, None)] })
        });
        match filled {
            Ok(conversation) => all.push(conversation),
            Err(why) => wrong.push((Some(whole), why)),
        }
    }
    (all, wrong)
}

/// A prompt, which must say something.
fn filled(
    template: &minijinja::Template<'_, '_>,
    fields: &serde_json::Map<String, Json>,
) -> Result<String, String> {
    let text = filled_any(template, fields)?;
    if text.trim().is_empty() { Err("the prompt of this line is empty".to_owned()) } else { Ok(text) }
}

fn filled_any(
    template: &minijinja::Template<'_, '_>,
    fields: &serde_json::Map<String, Json>,
) -> Result<String, String> {
    template.render(minijinja::value::Serde(fields)).map_err(|error| {
        let mut missing: Vec<String> = template
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| !fields.contains_key(name))
            .collect();
        missing.sort();
        if error.kind() == ErrorKind::UndefinedError && !missing.is_empty() {
            let names = listed(missing.iter().map(String::as_str));
            return format!("the template asks for {names}, which this line does not have");
        }
        format!("the template can't be filled with this line: {error}")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn conversations_keep_what_the_user_says_and_how_long_the_answers_were() {
        let (all, wrong) = sharegpt(
            r#"[{"id":"a","conversations":[{"from":"system","value":"be brief"},{"from":"gpt","value":"hello"},
                {"from":"human","value":"one?"},{"from":"gpt","value":"a b c"},{"from":"human","value":"two?"}]},
                {"id":7,"conversations":[{"from":"gpt","value":"nobody asked"}]},{"conversations":[]}]"#,
        );
        assert!(wrong.is_empty(), "{wrong:?}");
        let turns = vec![("one?".to_owned(), Some(3)), ("two?".to_owned(), None)];
        assert_eq!(all, [Conversation { system: "be brief".to_owned(), turns }]);
        let (_, wrong) = sharegpt(r#"[{"conversations":[{"from":"dog","value":"wau"}]}]"#);
        assert!(wrong[0].1.contains("`dog`"), "{wrong:?}");
        let (_, wrong) = sharegpt("[\n  {\"conversations\": 5}]");
        assert_eq!(wrong[0].0.clone().map(|bytes| bytes.start > 2), Some(true), "{wrong:?}");
    }

    #[test]
    fn each_line_fills_the_template_or_is_told_where_it_does_not() {
        let text = "{\"q\": \"a\", \"n\": 1}\n\n{\"x\": 1}\r\n{\"q\": \"é\"}\n{\"q\": }\n{\"q\": \" \"}";
        let (all, wrong) = jsonl(text, "{{ q }}", Some("S{{ q }}"));
        assert_eq!(all.iter().map(|c| c.turns[0].0.as_str()).collect::<Vec<_>>(), ["a", "é"]);
        assert_eq!(all[1].system, "Sé");
        let lines: Vec<usize> = wrong
            .iter()
            .map(|(bytes, _)| text[..bytes.as_ref().expect("a place").start].matches('\n').count() + 1)
            .collect();
        assert_eq!(lines, [3, 5, 6], "{wrong:?}");
        assert!(wrong[0].1.contains("`q`"), "{wrong:?}");
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "[\\PC\n{}\":\\[\\]a]{0,80}") {
            sharegpt(&text);
            jsonl(&text, "{{ a }}", None);
        }

        #[test]
        fn what_a_line_says_is_what_is_asked(texts in prop::collection::vec("\\PC{0,20}x", 1..6)) {
            let file: String = texts.iter().map(|text| format!("{}\n", serde_json::json!({ "q": text }))).collect();
            let (all, wrong) = jsonl(&file, "{{ q }}", None);
            prop_assert!(wrong.is_empty());
            let asked: Vec<&str> = all.iter().map(|c| c.turns[0].0.as_str()).collect();
            prop_assert_eq!(asked, texts);
        }
    }
}
