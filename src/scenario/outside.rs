//! What a drill does by other means than its target's own: programs of the
//! user's, the registry of MLflow.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A program and its arguments. No shell reads them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Program(#[schemars(length(min = 1))] pub Vec<String>);

impl Program {
    /// What is started; nothing starts an empty one.
    pub fn name(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }
}

impl fmt::Display for Program {
    /// As a person would type it into a shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
        for (i, word) in self.0.iter().enumerate() {
            let gap = if i == 0 { "" } else { " " };
            match word.is_empty() || !word.chars().all(plain) {
                true => write!(f, "{gap}'{}'", word.replace('\'', r"'\''"))?,
                false => write!(f, "{gap}{word}")?,
            }
        }
        Ok(())
    }
}

/// A fault that programs put there and take back. Each has to end by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Command {
    /// Breaks it.
    pub run: Program,
    /// Mends it. None: it happens at an instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Program>,
    /// Succeeds while it is broken and fails while it is not: the proof.
    pub proof: Program,
}

/// A rollout by programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DeployCommand {
    /// Deploys it.
    pub run: Program,
    /// Puts back what was there before, when the drill ends. None: what was
    /// deployed stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Program>,
}

/// An alias of a registered model, which a rollout turns to a version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct MlflowAlias {
    /// The tracking server.
    pub at: String,
    /// The model's name.
    pub model: String,
    /// The alias.
    pub alias: String,
}

impl fmt::Display for MlflowAlias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "alias {} of {}", self.alias, self.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_shown_as_it_would_be_typed() {
        let words = ["redis-cli", "-p", "6379", "set", "a b", "it's", ""];
        let program = Program(words.map(str::to_owned).to_vec());
        assert_eq!(program.to_string(), r"redis-cli -p 6379 set 'a b' 'it'\''s' ''");
    }
}
