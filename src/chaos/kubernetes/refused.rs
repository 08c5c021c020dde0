//! What can't be had on a cluster by its API server alone, and what can be
//! instead.

use crate::{chaos::driver::ChaosError, scenario::chaos::Chaos};

pub(super) fn no_image(chaos: &Chaos) -> ChaosError {
    ChaosError::unsupported(
        chaos,
        "it is done by an ephemeral container of this program: say which `image:` in the target has it; where \
         Chaos Mesh is installed, `driver: chaos-mesh` does it without",
    )
}

pub(super) fn no_container_kill(chaos: &Chaos) -> ChaosError {
    ChaosError::unsupported(
        chaos,
        "from inside a container nobody can send SIGKILL to its first process, so this needs an agent on the \
         node, such as Chaos Mesh's daemon; without one use `pod-kill`, or `pod-failure` with a short duration, \
         which stops and starts the containers of the same pod",
    )
}

/// What can't be had by the API server alone, and what can be instead.
pub(super) fn refused(chaos: &Chaos) -> ChaosError {
    let why = match chaos {
        Chaos::NetworkChaos(_) => {
            "packets can only be touched on the node (netem), which needs an agent: where Chaos Mesh is installed, \
             `driver: chaos-mesh` does it; without one `proxy: on` in the target puts a fault proxy before the \
             Service's pods, and a KubernetesChaos `endpoints` is a partition between a Service and its pods"
        }
        Chaos::LinkChaos(_) => {
            "there is no fault proxy before the pods: `proxy: on` in the target puts one there"
        }
        Chaos::GpuChaos(_) => {
            "only the lab's accelerators can be slowed; on a cluster roll out a slow version"
        }
        Chaos::Schedule(_) => "a schedule is unrolled by the plan",
        Chaos::PodChaos(_) | Chaos::KubernetesChaos(_) | Chaos::StressChaos(_) | Chaos::Custom(_) => {
            "it is not supported"
        }
    };
    ChaosError::unsupported(chaos, why)
}
