//! Faults that a tool's own controller does: an object is created for it, its
//! records are followed, what they say is held against what the API server
//! shows, and deleting the object takes the fault back.

mod body;
mod engine;
mod leftovers;
mod own;
mod records;
mod undo;

use std::time::Duration;

use serde_json::Value;

pub(in crate::chaos) use self::undo::{Handed, by_hand, take_back};
use self::{body::api, own::Own};
pub(in crate::chaos::kubernetes) use self::{leftovers::leftovers, undo::gone};
use super::{Mark, change::Tries};
use crate::{
    chaos::{
        driver::{ChaosError, LastWord, Order, Proof, evidence},
        look::{Look, Timing, all_parts},
        undo::Undo,
    },
    clock::Clock,
    cluster::{
        Cluster, ClusterError, FAULT_ANNOTATION, RUN_LABEL,
        custom::{CustomRef, Doing, served},
    },
    plan::{self, model::Pod},
    scenario::{
        chaos::Manifest,
        custom::{CustomChaos, Tool},
    },
    units::Seen,
};

/// Time that a tool gets, after the run should have ended its fault, until it
/// ends it by itself. The run's own limit has it already.
const EXPERIMENT_SLACK: Duration = crate::chaos::act::TTL_SLACK;

/// A fault that a tool does.
#[derive(Debug)]
pub struct CustomFault {
    mark: Mark,
    at: CustomRef,
    body: Value,
    tool: Tool,
    one_shot: bool,
    /// What the tool leaves beside its object, to be taken away with it.
    result: Option<CustomRef>,
    parts: Vec<Part>,
}

/// What must be seen of one target.
#[derive(Debug)]
struct Part {
    pod: Pod,
    own: Own,
    timing: Timing,
}

/// Whether it is installed and takes the object, as far as the API server
/// knows. Changes nothing.
pub(super) async fn rehearse(
    cluster: &Cluster,
    order: &Order<'_>,
    manifest: &Manifest,
    chaos: &CustomChaos,
    mark: &Mark,
) -> Result<(), ChaosError> {
    let tool = chaos.object.tool();
    let kind = chaos.object;
    if !served(cluster, &api(tool)).await?.is_some_and(|all| all.iter().any(|one| one == kind.resource())) {
        let why = format!(
            "{} is not installed: the API server knows no {} of {}; {}",
            tool.name(),
            kind.name(),
            api(tool),
            kind.instead()
        );
        return Err(ChaosError::Unfit(why));
    }
    let at = body::at(chaos, manifest.home(), mark);
    let body = body::body(chaos, &at, mark, order.targets, Some(EXPERIMENT_SLACK));
    at.create(cluster, &body, Doing::DryRun).await?;
    match tool {
        Tool::ChaosMesh => Ok(()),
        Tool::Litmus => {
            let experiment = engine::experiment_of(&at, chaos);
            match experiment.get(cluster).await? {
                Some(_) => Ok(()),
                None => Err(ChaosError::Unfit(format!(
                    "there is no {experiment}: install LitmusChaos' experiment of this name there; {}",
                    kind.instead()
                ))),
            }
        }
    }
}

/// Decides everything. `pods` are all that there are.
pub(super) async fn prepare(
    cluster: &Cluster,
    order: &Order<'_>,
    manifest: &Manifest,
    chaos: &CustomChaos,
    mark: Mark,
    pods: &[Pod],
) -> Result<CustomFault, ChaosError> {
    let at = body::at(chaos, manifest.home(), &mark);
    let tool = chaos.object.tool();
    // The tool counts from the object's creation, which is about now.
    let lasting = match tool {
        Tool::ChaosMesh => order.ttl,
        Tool::Litmus => order.ttl.map(|ttl| ttl.saturating_sub(EXPERIMENT_SLACK)),
    };
    let body = body::body(chaos, &at, &mark, order.targets, lasting);
    let chosen = match tool {
        Tool::ChaosMesh => order.targets.to_vec(),
        // It draws by itself, from all of these.
        Tool::Litmus => plan::candidates(&chaos.scope.selector, manifest.home(), pods),
    };
    let mut parts = Vec::with_capacity(chosen.len());
    for pod in chosen {
        let own = own::before(cluster, chaos, &pod).await?;
        parts.push(Part { pod, own, timing: Timing::default() });
    }
    let result = match tool {
        Tool::ChaosMesh => None,
        Tool::Litmus => Some(engine::result_of(&at, &chaos.action)),
    };
    Ok(CustomFault { mark, at, body, tool, one_shot: chaos.is_one_shot(), result, parts })
}

impl CustomFault {
    pub(super) fn one_shot(&self) -> bool {
        self.one_shot
    }

    pub(super) fn undo(&self, cluster: &Cluster) -> Undo {
        Undo::Handed {
            cluster: cluster.at().clone(),
            mark: self.mark.clone(),
            handed: Handed { tool: self.tool, at: self.at.clone(), result: self.result.clone() },
        }
    }

    /// Creates the object. One that is there already by an answer that was
    /// lost is ours: nobody else has its name.
    pub(super) async fn inject(&mut self, cluster: &Cluster, clock: Clock) -> Result<(), ChaosError> {
        let asked = clock.now();
        let tries = Tries::begin();
        loop {
            match self.at.create(cluster, &self.body, Doing::Really).await {
                Ok(()) => break,
                Err(error) if error.is_conflict() => break,
                Err(error) if error.is_passing() && tries.again(&error).await => {}
                Err(error) => return Err(error.into()),
            }
        }
        let placed = Seen { not_before: asked, by: clock.now() };
        self.parts.iter_mut().for_each(|part| part.timing.placed(placed));
        Ok(())
    }

    pub(super) async fn prove(&mut self, cluster: &Cluster, clock: Clock) -> Proof {
        let started = clock.now();
        let looked = match self.tool {
            Tool::ChaosMesh => self.mesh(cluster).await,
            Tool::Litmus => self.litmus(cluster).await,
        };
        let looks = match looked {
            Ok(looks) => looks,
            Err(error) => return Proof::NotYet { why: error.to_string(), proof: vec![] },
        };
        let now = clock.now();
        // LitmusChaos chooses which of them: one is enough.
        let each = self.tool == Tool::ChaosMesh;
        let looks = self.parts.iter_mut().zip(looks).enumerate().map(|(number, (part, look))| {
            let seen = part.timing.looked(&look, true, started, now);
            (if each { number } else { 0 }, look, seen)
        });
        all_parts(looks.collect())
    }

    /// Both the tool's record and the pod itself must show it.
    async fn mesh(&self, cluster: &Cluster) -> Result<Vec<Look>, ClusterError> {
        let source = self.at.to_string();
        let Some(object) = self.at.get(cluster).await? else {
            return Ok(self.each(&format!("{source} is gone: somebody else deleted it")));
        };
        let mut looks = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let mut look = records::look(&source, &object, &part.pod);
            let Some(own) = part.own.look(cluster).await? else {
                look.evidence.push(evidence(&source, "nothing but Chaos Mesh's own record shows it"));
                looks.push(look);
                continue;
            };
            if look.acts && !own.acts {
                look.missing = format!("Chaos Mesh says that it is injected, but {}", own.missing);
            }
            look.acts &= own.acts;
            look.evidence.extend(own.evidence);
            looks.push(look);
        }
        Ok(looks)
    }

    /// The tool must have begun, and a pod be gone that was there before.
    async fn litmus(&self, cluster: &Cluster) -> Result<Vec<Look>, ClusterError> {
        let Some(at) = &self.result else { return Ok(vec![]) };
        let Some(result) = at.get(cluster).await? else {
            let why = format!(
                "LitmusChaos has made no {at}: does its operator run, and does {} have its account?",
                self.at
            );
            return Ok(self.each(&why));
        };
        let said = evidence(at.to_string(), engine::in_words(&result));
        let mut looks = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let Some(mut look) = part.own.look(cluster).await? else { continue };
            look.evidence.insert(0, said.clone());
            looks.push(look);
        }
        Ok(looks)
    }

    fn each(&self, why: &str) -> Vec<Look> {
        self.parts.iter().map(|_| Look::not(why, vec![])).collect()
    }

    pub(super) async fn last_word(&self, cluster: &Cluster) -> LastWord {
        let Some(at) = &self.result else { return LastWord::None };
        let said = match at.get(cluster).await {
            Ok(Some(result)) => {
                let said = engine::in_words(&result);
                if let Some(verdict) = engine::verdict(&result) {
                    return LastWord::Given { by: self.tool.name().to_owned(), verdict, said };
                }
                said
            }
            Ok(None) => format!("there is no {at}"),
            Err(error) => error.to_string(),
        };
        LastWord::Awaited { by: self.tool.name().to_owned(), said }
    }
}

/// Whose object it is, by its marks.
pub(in crate::chaos::kubernetes) fn mark_of(object: &Value) -> Option<Mark> {
    let metadata = object.get("metadata")?;
    let run = metadata.get("labels")?.get(RUN_LABEL)?.as_str()?;
    let fault = metadata.get("annotations")?.get(FAULT_ANNOTATION)?.as_str()?;
    Some(Mark { run: run.to_owned(), fault: fault.into() })
}
