//! Names that must not be mixed up with each other.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// Takes the name as it stands.
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.to_owned())
            }
        }
    };
}

id!(
    /// A phase of the scenario: `baseline`, `fault`, `recovery`…
    PhaseName
);
id!(
    /// A workload of the scenario.
    WorkloadName
);
id!(
    /// An entry of the scenario's `chaos:` list.
    FaultId
);
id!(
    /// A pod (in the lab: a replica's process).
    PodName
);
id!(
    /// A model version, as the wire names it.
    Version
);
id!(
    /// What a rollout is of: `Deployment llm in shop`, an alias of a registry.
    RolloutName
);
id!(
    /// A check of the verdict, unique within a run.
    CheckId
);

impl Version {
    /// The name of what has none.
    pub const UNNAMED: &'static str = "unnamed";

    /// A version of which nothing says which it is.
    pub fn unnamed() -> Self {
        Self::from(Self::UNNAMED)
    }

    /// Whether something says which it is.
    pub fn is_named(&self) -> bool {
        self.0 != Self::UNNAMED
    }
}
