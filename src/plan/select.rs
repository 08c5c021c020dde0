//! Which pods a fault hits: Chaos Mesh's selectors and modes.

use rand::{RngExt, seq::index};

use super::{model::Pod, random};
use crate::scenario::chaos::{LabelExpression, LabelOperator, Mode, Scope, Selector};

/// The pods among `pods` that a selector means, in order of namespace and
/// name. `namespace` is the manifest's own, for selectors without any.
pub fn candidates(selector: &Selector, namespace: &str, pods: &[Pod]) -> Vec<Pod> {
    let mut selected: Vec<Pod> =
        pods.iter().filter(|pod| matches(selector, namespace, pod)).cloned().collect();
    selected.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    selected
}

/// The pods that a fault hits: the selector's, and of these as many as the
/// mode says, drawn from the named stream of `seed`. In order of namespace
/// and name.
pub fn select(scope: &Scope, namespace: &str, pods: &[Pod], seed: u64, stream: &str) -> Vec<Pod> {
    let candidates = candidates(&scope.selector, namespace, pods);
    let n = candidates.len();
    let mut rng = random::stream(seed, &format!("select/{stream}"));
    let share = |percent: f64| (n as f64 * percent / 100.0).ceil() as usize;
    let amount = match scope.mode {
        Mode::One => 1,
        Mode::All => n,
        Mode::Fixed(count) => count as usize,
        Mode::FixedPercent(percent) => share(percent),
        // Whole per cents, as Chaos Mesh draws them; 0 picks none.
        Mode::RandomMaxPercent(percent) => share(f64::from(rng.random_range(0..=percent.max(0.0) as u32))),
    };
    let mut chosen = index::sample(&mut rng, n, amount.min(n)).into_vec();
    chosen.sort_unstable();
    chosen.into_iter().map(|i| candidates[i].clone()).collect()
}

fn matches(selector: &Selector, own: &str, pod: &Pod) -> bool {
    if !selector.pods.is_empty() {
        return selector.pods.get(&pod.namespace).is_some_and(|names| names.contains(&pod.name.0));
    }
    let in_namespace = if selector.namespaces.is_empty() {
        pod.namespace == own
    } else {
        selector.namespaces.contains(&pod.namespace)
    };
    in_namespace
        && selector.label_selectors.iter().all(|(key, value)| pod.labels.get(key) == Some(value))
        && selector.annotation_selectors.iter().all(|(key, value)| pod.annotations.get(key) == Some(value))
        && selector.expression_selectors.iter().all(|expression| holds(expression, pod))
        && selector.field_selectors.iter().all(|(field, value)| has_field(pod, field, value))
        && on_node(selector, pod)
        && in_phase(&selector.pod_phase_selectors, &pod.phase)
}

fn holds(expression: &LabelExpression, pod: &Pod) -> bool {
    let label = pod.labels.get(&expression.key);
    match expression.operator {
        LabelOperator::In => label.is_some_and(|value| expression.values.contains(value)),
        // Kubernetes counts an absent label as not in any list.
        LabelOperator::NotIn => label.is_none_or(|value| !expression.values.contains(value)),
        LabelOperator::Exists => label.is_some(),
        LabelOperator::DoesNotExist => label.is_none(),
    }
}

fn has_field(pod: &Pod, field: &str, value: &str) -> bool {
    match field {
        "metadata.name" => pod.name.as_str() == value,
        "metadata.namespace" => pod.namespace == value,
        "spec.nodeName" => pod.node == value,
        "status.phase" => pod.phase == value,
        _ => false,
    }
}

/// Names and labels of nodes add up, as in Chaos Mesh.
fn on_node(selector: &Selector, pod: &Pod) -> bool {
    let Selector { nodes, node_selectors: labels, .. } = selector;
    let labelled = || labels.iter().all(|(key, value)| pod.node_labels.get(key) == Some(value));
    (nodes.is_empty() && labels.is_empty()) || nodes.contains(&pod.node) || (!labels.is_empty() && labelled())
}

/// Any of the named phases, and none of those named with a `!`.
fn in_phase(wanted: &[String], phase: &str) -> bool {
    let mut included = wanted.iter().filter(|wanted| !wanted.starts_with('!')).peekable();
    (included.peek().is_none() || included.any(|wanted| wanted == phase))
        && !wanted.iter().any(|wanted| wanted.strip_prefix('!') == Some(phase))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use indexmap::IndexMap;
    use proptest::prelude::*;

    use super::*;
    use crate::units::PodName;

    fn pod(namespace: &str, name: &str, labels: &[(&str, &str)]) -> Pod {
        Pod {
            name: PodName::new(name),
            namespace: namespace.to_owned(),
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            annotations: IndexMap::from([("team".to_owned(), "serving".to_owned())]),
            node: format!("node-{name}"),
            phase: "Running".to_owned(),
            ready: true,
            uid: None,
            owner: None,
            node_labels: IndexMap::new(),
        }
    }

    fn lab() -> Vec<Pod> {
        vec![
            pod("fallback", "f", &[("app", "fallback")]),
            pod("default", "c", &[("app", "llm"), ("track", "canary")]),
            pod("default", "b", &[("app", "llm"), ("track", "stable")]),
            pod("default", "a", &[("app", "llm"), ("track", "stable")]),
        ]
    }

    fn names(pods: &[Pod]) -> Vec<&str> {
        pods.iter().map(|pod| pod.name.as_str()).collect()
    }

    fn picked(selector: Selector) -> Vec<String> {
        candidates(&selector, "default", &lab()).into_iter().map(|pod| pod.name.0).collect()
    }

    fn map(key: &str, value: &str) -> IndexMap<String, String> {
        IndexMap::from([(key.to_owned(), value.to_owned())])
    }

    fn label(key: &str, operator: LabelOperator, values: &[&str]) -> Selector {
        let values = values.iter().map(|v| (*v).to_owned()).collect();
        let expression = LabelExpression { key: key.to_owned(), operator, values };
        Selector { expression_selectors: vec![expression], ..Selector::default() }
    }

    #[test]
    fn without_namespaces_it_looks_in_its_own() {
        assert_eq!(picked(Selector::default()), ["a", "b", "c"]);
        assert_eq!(names(&candidates(&Selector::default(), "fallback", &lab())), ["f"]);
        let both = Selector { namespaces: vec!["default".into(), "fallback".into()], ..Selector::default() };
        assert_eq!(picked(both), ["a", "b", "c", "f"]);
    }

    #[test]
    fn each_part_of_a_selector_narrows() {
        assert_eq!(
            picked(Selector { label_selectors: map("track", "stable"), ..Selector::default() }),
            ["a", "b"]
        );
        assert_eq!(
            picked(Selector { annotation_selectors: map("team", "serving"), ..Selector::default() }),
            ["a", "b", "c"]
        );
        assert!(
            picked(Selector { annotation_selectors: map("team", "other"), ..Selector::default() }).is_empty()
        );
        assert_eq!(
            picked(Selector { field_selectors: map("metadata.name", "b"), ..Selector::default() }),
            ["b"]
        );
        assert_eq!(picked(Selector { nodes: vec!["node-c".into()], ..Selector::default() }), ["c"]);
        assert!(picked(Selector { node_selectors: map("gpu", "h100"), ..Selector::default() }).is_empty());
        assert!(
            picked(Selector { pod_phase_selectors: vec!["Failed".into()], ..Selector::default() }).is_empty()
        );
        assert!(
            picked(Selector { pod_phase_selectors: vec!["!Running".into()], ..Selector::default() })
                .is_empty()
        );
        assert_eq!(
            picked(Selector { pod_phase_selectors: vec!["!Failed".into()], ..Selector::default() }),
            ["a", "b", "c"]
        );
    }

    #[test]
    fn expressions_compare_as_kubernetes_does() {
        assert_eq!(picked(label("track", LabelOperator::In, &["stable", "x"])), ["a", "b"]);
        assert_eq!(picked(label("track", LabelOperator::NotIn, &["stable"])), ["c"]);
        assert_eq!(picked(label("other", LabelOperator::NotIn, &["x"])), ["a", "b", "c"]);
        assert_eq!(picked(label("track", LabelOperator::Exists, &[])), ["a", "b", "c"]);
        assert!(picked(label("app", LabelOperator::DoesNotExist, &[])).is_empty());
    }

    #[test]
    fn named_pods_override_everything_else() {
        let pods = IndexMap::from([("fallback".to_owned(), vec!["f".to_owned(), "gone".to_owned()])]);
        assert_eq!(
            picked(Selector { pods, label_selectors: map("app", "llm"), ..Selector::default() }),
            ["f"]
        );
    }

    fn amount(mode: Mode, n: usize, seed: u64) -> usize {
        let pods: Vec<Pod> = (0..n).map(|i| pod("default", &format!("p{i}"), &[])).collect();
        select(&Scope { selector: Selector::default(), mode }, "default", &pods, seed, "kill").len()
    }

    #[test]
    fn modes_say_how_many() {
        assert_eq!(amount(Mode::One, 3, 1), 1);
        assert_eq!(amount(Mode::One, 0, 1), 0);
        assert_eq!(amount(Mode::All, 3, 1), 3);
        assert_eq!(amount(Mode::Fixed(2), 3, 1), 2);
        assert_eq!(amount(Mode::Fixed(9), 3, 1), 3);
        assert_eq!(amount(Mode::FixedPercent(50.0), 3, 1), 2);
        assert_eq!(amount(Mode::FixedPercent(1.0), 3, 1), 1);
        assert_eq!(amount(Mode::FixedPercent(100.0), 3, 1), 3);
    }

    #[test]
    fn a_random_percentage_can_be_any_up_to_its_limit_and_none() {
        let amounts: BTreeSet<usize> =
            (0..500).map(|seed| amount(Mode::RandomMaxPercent(50.0), 4, seed)).collect();
        assert_eq!(amounts, BTreeSet::from([0, 1, 2]));
        assert_eq!(amount(Mode::RandomMaxPercent(0.0), 4, 1), 0);
    }

    #[test]
    fn one_falls_on_each_pod_alike() {
        let scope = Scope { selector: Selector::default(), mode: Mode::One };
        let mut hits = IndexMap::new();
        for seed in 0..600 {
            let chosen = select(&scope, "default", &lab(), seed, "kill");
            *hits.entry(chosen[0].name.clone()).or_insert(0) += 1;
        }
        assert!(hits.len() == 3 && hits.values().all(|n| (150..250).contains(n)), "{hits:?}");
    }

    #[test]
    fn a_random_percentage_is_as_likely_as_any_other() {
        let mut seen = [0_u32; 10];
        // Of a hundred pods, so many per cent are so many pods.
        for seed in 0..4000 {
            seen[amount(Mode::RandomMaxPercent(9.0), 100, seed)] += 1;
        }
        assert!(seen.iter().all(|n| (320..480).contains(n)), "{seen:?}");
    }

    #[test]
    fn who_is_hit_depends_on_the_seed_and_on_the_act() {
        let pods: Vec<Pod> = (0..50).map(|i| pod("default", &format!("p{i}"), &[])).collect();
        let scope = Scope { selector: Selector::default(), mode: Mode::Fixed(10) };
        let chosen = |seed, act| select(&scope, "default", &pods, seed, act);
        assert_eq!(chosen(1, "kill"), chosen(1, "kill"));
        assert_ne!(chosen(1, "kill"), chosen(2, "kill"));
        assert_ne!(chosen(1, "kill"), chosen(1, "cut"));
    }

    proptest! {
        #[test]
        fn a_percentage_is_rounded_up(percent in 1..=100_u32, n in 0..60_usize, seed in any::<u64>()) {
            let wanted = (n * percent as usize).div_ceil(100);
            prop_assert_eq!(amount(Mode::FixedPercent(f64::from(percent)), n, seed), wanted);
            prop_assert!(amount(Mode::RandomMaxPercent(f64::from(percent)), n, seed) <= wanted);
            prop_assert_eq!(amount(Mode::One, n, seed), n.min(1));
            prop_assert_eq!(amount(Mode::All, n, seed), n);
        }

        #[test]
        fn the_order_of_pods_does_not_matter(seed in any::<u64>(), order in Just(lab()).prop_shuffle(), count in 0..5u32) {
            let scope = Scope { selector: Selector::default(), mode: Mode::Fixed(count) };
            prop_assert_eq!(
                select(&scope, "default", &order, seed, "x"),
                select(&scope, "default", &lab(), seed, "x")
            );
        }
    }
}
