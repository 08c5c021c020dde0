//! From a located tree to the model. Nothing here stops at the first error:
//! each part is read as far as it goes, and all that is wrong is said at once.

mod after;
mod arrivals;
mod breaker;
mod custom;
mod data;
mod deploy;
mod endpoint;
mod fields;
mod fit;
mod http;
mod judge;
mod kserve;
mod kubernetes;
mod lab;
mod limits;
mod load;
mod manifest;
mod metric;
mod mitigations;
mod network;
mod observe;
mod prompt_file;
mod prompts;
mod root;
mod scalars;
mod schedule;
mod selector;
mod serving;
mod stress;
mod timeline;
mod trace;
mod transport;
mod workload;

use std::path::PathBuf;

pub(super) use self::{
    fields::Fields,
    root::{ONLY_PHASE, length, scenario},
};
use super::{
    chaos::Manifest,
    diagnostic::Diagnostic,
    model::{Act, Action, FaultDriver},
    source::{Place, SourceFile},
    yaml::Node,
};
use crate::{
    scenario::chaos::{Chaos, KubernetesAction},
    units::Span,
};

/// Reads a file that a scenario names: its path as found and its text, or why
/// not.
pub type Resolver<'a> = dyn Fn(&str) -> Result<(PathBuf, String), String> + 'a;

/// What is known while a scenario is read.
pub(super) struct Context<'a> {
    pub(super) files: Vec<SourceFile>,
    pub(super) diagnostics: Vec<Diagnostic>,
    resolver: &'a Resolver<'a>,
    /// Manifests that were read before, so that nothing is said twice.
    manifests: Vec<(PathBuf, Option<FaultDriver>, Option<Manifest>)>,
    names: Names,
    /// Variables of the environment that a run needs, and where they are named.
    pub(super) variables: Vec<(Place, String)>,
    /// The keys of each mapping, to compare with the schema.
    #[cfg(test)]
    pub(super) shapes: std::collections::BTreeMap<&'static str, std::collections::BTreeSet<&'static str>>,
}

/// What other parts of a scenario may refer to.
#[derive(Debug, Default)]
struct Names {
    /// Phases with their lengths, where these could be read.
    phases: Vec<(String, Option<Span>)>,
    workloads: Vec<String>,
    acts: Vec<String>,
    /// The acts that could be read.
    timeline: Vec<Act>,
    /// Whether a part of the timeline could not be read, so that nothing can
    /// be said about what is missing there.
    timeline_broken: bool,
    target: TargetKind,
    /// Whether a source of signals tells of alerts.
    tells_of_alerts: bool,
    /// Sources of signals, also those that could not be read.
    sources: Vec<String>,
    /// Those of them that leave no samples.
    without_figures: Vec<String>,
}

/// What is drilled, as far as it matters to other parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum TargetKind {
    #[default]
    Lab,
    /// A URL with nothing before it.
    Url,
    /// A URL with a fault proxy somewhere.
    Proxied,
    /// A URL with a fault proxy of the run's own: before all of it.
    Fronted,
    Cluster,
}

/// What an act of the timeline is, to an expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActKind {
    /// It breaks something.
    Fault,
    /// It takes pods away.
    PodFault,
    /// It rolls out a version.
    Rollout,
}

/// Whether `after:` of an expectation that reacts to `kind` may mean `act`.
pub fn may_mean(kind: ActKind, act: &Act) -> bool {
    match (&act.action, kind) {
        (Action::Apply(_) | Action::Command(_), ActKind::Fault) | (Action::Deploy(_), ActKind::Rollout) => {
            true
        }
        (Action::Apply(applied), ActKind::PodFault) => match &applied.manifest.chaos {
            Chaos::PodChaos(_) => true,
            Chaos::Schedule(schedule) => match &schedule.template {
                Chaos::Custom(spec) => spec.takes_pods(),
                template => matches!(template, Chaos::PodChaos(_)),
            },
            Chaos::KubernetesChaos(spec) => match spec.action {
                KubernetesAction::Scale { .. } | KubernetesAction::Drain => true,
                KubernetesAction::Cordon
                | KubernetesAction::Rollout { .. }
                | KubernetesAction::Endpoints { .. } => false,
            },
            Chaos::Custom(spec) => spec.takes_pods(),
            Chaos::NetworkChaos(_) | Chaos::GpuChaos(_) | Chaos::LinkChaos(_) | Chaos::StressChaos(_) => {
                false
            }
        },
        // Whether a program takes pods away is not known.
        (Action::Apply(_) | Action::Command(_), ActKind::Rollout)
        | (Action::Command(_), ActKind::PodFault)
        | (Action::Deploy(_), ActKind::Fault | ActKind::PodFault) => false,
    }
}

impl<'a> Context<'a> {
    pub(super) fn new(files: Vec<SourceFile>, resolver: &'a Resolver<'a>) -> Self {
        Self {
            files,
            diagnostics: Vec::new(),
            resolver,
            manifests: Vec::new(),
            names: Names::default(),
            variables: Vec::new(),
            #[cfg(test)]
            shapes: std::collections::BTreeMap::new(),
        }
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Reports an error at a place; the value of whatever could not be read.
    fn fail<T>(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) -> Option<T> {
        let diagnostic = Diagnostic::error(place, message);
        let help = help.into();
        self.report(if help.is_empty() { diagnostic } else { diagnostic.help(help) });
        None
    }

    /// `node` is not what is wanted there.
    fn mistyped<T>(&mut self, node: &Node, wanted: &str) -> Option<T> {
        let message = format!("expected {wanted}, found {}", node.kind());
        self.report(Diagnostic::error(&node.place, message).label(format!("expected {wanted}")));
        None
    }
}

/// The candidate that `given` was most likely meant to be.
pub(super) fn nearest<'c>(given: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let wanted = plain(given);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| {
            *distance <= (candidate.chars().count().max(given.chars().count()) / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` and `c` in backquotes.
pub(super) fn listed<'c>(names: impl IntoIterator<Item = &'c str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let keys = ["replicas", "model", "cold-start", "gateway"];
        for (given, meant) in [
            ("replica", "replicas"),
            ("coldStart", "cold-start"),
            ("cold_start", "cold-start"),
            ("modle", "model"),
        ] {
            assert_eq!(nearest(given, keys), Some(meant));
        }
        assert_eq!(nearest("pods", keys), None);
    }
}
