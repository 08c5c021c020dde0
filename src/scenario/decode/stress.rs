//! Chaos Mesh's `StressChaos`, as much of it as Firedrill does itself.

use super::{Context, Fields, manifest, selector};
use crate::scenario::{
    stress::{CpuStress, MemoryStress, StressChaos, Stressors},
    yaml::Node,
};

/// More would be a mistake.
const MOST_WORKERS: u16 = 256;

pub(super) fn stress(cx: &mut Context<'_>, node: &Node) -> Option<StressChaos> {
    let mut fields = Fields::of(cx, node, "StressChaos", "the spec of a StressChaos")?;
    manifest::refuse_remote_cluster(cx, &mut fields);
    let theirs = "Chaos Mesh has it: write `driver: chaos-mesh` beside the entry";
    for (key, message) in [
        ("stressngStressors", "`stressngStressors` is for stress-ng, which is not used here"),
        ("containerNames", "`containerNames` can't be chosen here: the stress is on the pod as a whole"),
    ] {
        fields.refuse(cx, key, message, theirs);
    }
    let scope = selector::scope(cx, &mut fields);
    let duration = fields.optional(cx, "duration", manifest::duration);
    let stressors = fields.required(cx, "stressors", "{ cpu: { workers: 2, load: 80 } }", stressors);
    fields.finish(cx);
    Some(StressChaos { stressors: stressors?, scope: scope?, duration: duration? })
}

fn stressors(cx: &mut Context<'_>, node: &Node) -> Option<Stressors> {
    let mut fields = Fields::of(cx, node, "Stressors", "what is used up: `cpu`, `memory`")?;
    let cpu = fields.optional(cx, "cpu", cpu);
    let memory = fields.optional(cx, "memory", memory);
    fields.finish(cx);
    let stressors = Stressors { cpu: cpu?, memory: memory? };
    if stressors == Stressors::default() {
        let help = "write `cpu: { workers: 2, load: 80 }` or `memory: { workers: 1, size: 256MB }`";
        return cx.fail(&node.place, "nothing is used up", help);
    }
    Some(stressors)
}

fn options(cx: &mut Context<'_>, fields: &mut Fields<'_>) {
    let help = "Chaos Mesh has them: write `driver: chaos-mesh` beside the entry";
    fields.refuse(cx, "options", "`options` are for stress-ng, which is not used here", help);
}

fn workers(cx: &mut Context<'_>, fields: &mut Fields<'_>) -> Option<u16> {
    fields.required(cx, "workers", "2", |cx, node| {
        cx.number(node, "a number of workers from 1", 1..=MOST_WORKERS)
    })
}

fn cpu(cx: &mut Context<'_>, node: &Node) -> Option<CpuStress> {
    let mut fields = Fields::of(cx, node, "CpuStress", "threads that compute")?;
    options(cx, &mut fields);
    let workers = workers(cx, &mut fields);
    // Chaos Mesh's default, though its document says 100.
    let load = fields
        .or(cx, "load", 100, |cx, node| cx.number(node, "per cent of a core, from 1 to 100", 1..=100_u8));
    fields.finish(cx);
    Some(CpuStress { workers: workers?, load: load? })
}

fn memory(cx: &mut Context<'_>, node: &Node) -> Option<MemoryStress> {
    let mut fields = Fields::of(cx, node, "MemoryStress", "memory that is held")?;
    options(cx, &mut fields);
    let help = "leave it out: the kernel chooses as for any other container of the pod";
    fields.refuse(cx, "oomScoreAdj", "`oomScoreAdj` can't be had without an agent", help);
    let workers = workers(cx, &mut fields);
    let bytes = fields.required(cx, "size", "256MB", size);
    fields.finish(cx);
    Some(MemoryStress { workers: workers?, bytes: bytes? })
}

/// `256MB`: each unit is 1024 times the last, as Chaos Mesh reads it.
fn size(cx: &mut Context<'_>, node: &Node) -> Option<u64> {
    let wanted = "a size such as `256MB`";
    let text = cx.text(node, wanted)?;
    if text.ends_with('%') {
        let help = "how much memory a node has is not known here: write a size such as `256MB`";
        return cx.fail(&node.place, "a share of the memory is not supported here", help);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kb" | "kib" => Some(1 << 10),
        "m" | "mb" | "mib" => Some(1 << 20),
        "g" | "gb" | "gib" => Some(1_u64 << 30),
        _ => None,
    };
    let bytes =
        text[..digits].parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    match bytes {
        Some(bytes) if bytes > 0 => Some(bytes),
        Some(_) | None => cx.fail(&node.place, format!("`{text}` is not {wanted}"), ""),
    }
}
