//! What a fault driver is: it knows one kind of target, and how a fault is
//! put there, seen to act there, and taken back.

use std::{future::Future, time::Duration};

use super::undo::Undo;
use crate::{
    clock::Clock,
    cluster::ClusterError,
    journal::event::{Evidence, ToolVerdict},
    lab::client::ClientError,
    plan::model::{PlannedAction, Pod},
    scenario::chaos::Chaos,
    units::{FaultId, Seen},
};

/// Why a fault can't be done.
#[derive(Debug, thiserror::Error)]
pub enum ChaosError {
    /// The driver can't do this kind of fault.
    #[error("{what}: {why}")]
    Unsupported {
        /// Kind and action.
        what: String,
        /// Why not, and what could be done instead.
        why: String,
    },
    /// The target's own API did not do what it was asked.
    #[error(transparent)]
    Lab(#[from] ClientError),
    /// A cluster did not do what it was asked.
    #[error(transparent)]
    Cluster(ClusterError),
    /// The target is not as the fault needs it.
    #[error("{0}")]
    Unfit(String),
    /// The write-ahead log can't be written, so nothing may be injected.
    #[error("write-ahead log: {0}")]
    Wal(#[from] std::io::Error),
}

impl ChaosError {
    /// This kind of fault can't be done.
    pub(super) fn unsupported(chaos: &Chaos, why: impl Into<String>) -> Self {
        Self::Unsupported { what: format!("{} {}", chaos.kind(), chaos.action()), why: why.into() }
    }
}

/// A fault that is to be injected, with everything that was decided about it.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// Its id.
    pub id: &'a FaultId,
    /// What it does.
    pub action: &'a PlannedAction,
    /// The pods that it hits; none for a rollout.
    pub targets: &'a [Pod],
    /// Where the target can end it by itself, it does after this long.
    pub ttl: Option<Duration>,
    /// The run's seed.
    pub seed: u64,
}

/// What is known of a fault's effect.
#[derive(Debug, Clone, PartialEq)]
pub enum Proof {
    /// It was seen to act.
    Seen {
        /// When it began to.
        effect: Seen,
        /// On what that stands.
        proof: Vec<Evidence>,
    },
    /// It was not seen to act so far.
    NotYet {
        /// What is missing.
        why: String,
        /// What was looked at.
        proof: Vec<Evidence>,
    },
}

/// What a tool that does a fault says of it when its time is over.
#[derive(Debug, Clone, PartialEq)]
pub enum LastWord {
    /// It gives no verdict.
    None,
    /// It will, but has not yet.
    Awaited {
        /// Who.
        by: String,
        /// What it says so far.
        said: String,
    },
    /// It did.
    Given {
        /// Who.
        by: String,
        /// What.
        verdict: ToolVerdict,
        /// In words.
        said: String,
    },
}

/// A driver of faults. Its futures are `Send`: each act is a task.
pub trait Driver: Send + Sync + 'static {
    /// A fault that it has prepared.
    type Fault: Send + Sync;

    /// Its name, as in the write-ahead log.
    fn name(&self) -> &'static str;

    /// The pods that there are.
    fn pods(&self) -> impl Future<Output = Result<Vec<Pod>, ChaosError>> + Send;

    /// What other runs left there, in words with what to do.
    fn leftovers(&self) -> impl Future<Output = Result<Vec<String>, ChaosError>> + Send {
        async { Ok(vec![]) }
    }

    /// Whether it can do this; `pods` are those that there are. What can be
    /// known before anything is broken is refused here.
    fn supports(&self, chaos: &Chaos, namespace: &str, pods: &[Pod]) -> Result<(), ChaosError>;

    /// Whether it is allowed, and whether everything is there for it, as far
    /// as can be known before. Changes nothing.
    fn rehearse(
        &self,
        _order: Order<'_>,
        _pods: &[Pod],
    ) -> impl Future<Output = Result<(), ChaosError>> + Send {
        async { Ok(()) }
    }

    /// Decides everything and measures what it needs to compare with later.
    /// Changes nothing.
    fn prepare(&self, order: Order<'_>) -> impl Future<Output = Result<Self::Fault, ChaosError>> + Send;

    /// What takes the fault back, known before it is injected. None for what
    /// happens at an instant.
    fn undo(&self, fault: &Self::Fault) -> Vec<Undo>;

    /// Whether it happens at an instant: it needs no end, and what takes it
    /// back is only clearing up.
    fn one_shot(&self, fault: &Self::Fault) -> bool {
        self.undo(fault).is_empty()
    }

    /// Injects it. After an error a part of it may be in place.
    fn inject(
        &self,
        fault: &mut Self::Fault,
        clock: Clock,
    ) -> impl Future<Output = Result<(), ChaosError>> + Send;

    /// Looks for its effect, once. A look that finds none is remembered: the
    /// effect came after it.
    fn prove(&self, fault: &mut Self::Fault, clock: Clock) -> impl Future<Output = Proof> + Send;

    /// What the tool that does it says of it now, when its time is over.
    fn last_word(&self, _fault: &Self::Fault) -> impl Future<Output = LastWord> + Send {
        async { LastWord::None }
    }
}

/// Evidence in short.
pub(super) fn evidence(source: impl Into<String>, what: impl Into<String>) -> Evidence {
    Evidence { source: source.into(), what: what.into() }
}
