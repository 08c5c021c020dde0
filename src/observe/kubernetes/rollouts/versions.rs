//! Which version a pod template is.

use serde_json::Value;

use super::text;
use crate::{scenario::model::Deploy, units::Version};

/// The labels that say it, as far as people keep to them.
const LABELS: [&str; 2] = ["/metadata/labels/app.kubernetes.io~1version", "/metadata/labels/version"];

/// The versions that a drill deploys of one thing.
#[derive(Debug)]
pub(super) struct Versions(pub(super) Vec<Deploy>);

impl Versions {
    /// The version of a template: one of the drill's, if it has all that makes
    /// it that one; else what the same variable says, a label, or the image's
    /// tag. None: nothing of that is there.
    pub(super) fn of(&self, template: &Value) -> Option<Version> {
        if let Some(ours) = self.0.iter().rev().find(|deploy| is(template, deploy)) {
            return Some(ours.version.clone());
        }
        let named = self.0.iter().find_map(|deploy| {
            let name = deploy.patch.env.iter().find(|(_, value)| value.as_str() == deploy.version.0.as_str());
            variable(template, deploy, name?.0)
        });
        let labelled = || LABELS.iter().find_map(|label| text(template, label));
        let tagged = || {
            let image = text(template, "/spec/containers/0/image")?;
            let (_, name) = image.rsplit_once('/').unwrap_or(("", image));
            name.rsplit_once(':').map(|(_, tag)| tag)
        };
        named.or_else(labelled).or_else(tagged).map(Version::new)
    }

    /// The version that an object's spec wants: what stands where a drill
    /// writes its version, or one of the drill's if all that makes it that one
    /// is there.
    pub(super) fn of_spec(&self, object: &Value) -> Version {
        let spec = &object["spec"];
        let patches =
            || self.0.iter().rev().filter_map(|deploy| Some((&deploy.version, deploy.spec.as_ref()?)));
        let named = patches().find_map(|(version, patch)| named(patch, spec, version.0.as_str()));
        let whole = || patches().find(|(_, patch)| holds(patch, spec)).map(|(version, _)| version.clone());
        named.map(Version::new).or_else(whole).unwrap_or_else(Version::unnamed)
    }

    /// Whether a drill deploys this version.
    pub(super) fn has(&self, version: &Version) -> bool {
        self.0.iter().any(|deploy| deploy.version == *version)
    }

    /// The same; where nothing says it, what a controller calls it.
    pub(super) fn or_hash(&self, template: &Value, hash: &str) -> Version {
        self.of(template).unwrap_or_else(|| Version::new(hash))
    }
}

/// What stands in a spec where a patch of it has this version, perhaps within
/// a longer text (`s3://models/llm/v2`).
fn named(patch: &Value, spec: &Value, version: &str) -> Option<String> {
    match patch {
        Value::Object(fields) => fields
            .iter()
            .find_map(|(key, value)| named(value, spec.get(key).unwrap_or(&Value::Null), version)),
        Value::String(text) => {
            let (before, after) = text.split_once(version)?;
            let found = spec.as_str()?.strip_prefix(before)?.strip_suffix(after)?;
            (!found.is_empty()).then(|| found.to_owned())
        }
        _ => None,
    }
}

/// Whether a spec has all that a patch puts there.
fn holds(patch: &Value, spec: &Value) -> bool {
    match patch {
        Value::Object(fields) => {
            fields.iter().all(|(key, value)| holds(value, spec.get(key).unwrap_or(&Value::Null)))
        }
        value => value == spec,
    }
}

/// The container that a deploy changes.
fn container<'v>(template: &'v Value, deploy: &Deploy) -> Option<&'v Value> {
    let all = template.pointer("/spec/containers")?.as_array()?;
    match &deploy.patch.container {
        Some(name) => all.iter().find(|one| one["name"] == **name),
        None => all.first(),
    }
}

fn variable<'v>(template: &'v Value, deploy: &Deploy, name: &str) -> Option<&'v str> {
    let all = container(template, deploy)?.get("env")?.as_array()?;
    all.iter().find(|one| one["name"] == name)?["value"].as_str()
}

/// Whether a template has all that a deploy puts there.
fn is(template: &Value, deploy: &Deploy) -> bool {
    let patch = &deploy.patch;
    let image = patch
        .image
        .as_deref()
        .is_none_or(|image| container(template, deploy).is_some_and(|container| container["image"] == image));
    let says = |(name, value): (&String, &String)| variable(template, deploy, name) == Some(value.as_str());
    let changes = patch.image.is_some() || !patch.env.is_empty();
    changes && image && patch.env.iter().all(says)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::scenario::{model::Deployed, workload_patch::WorkloadPatch};

    /// A drill that makes `ai-model` v2 by a variable.
    pub(in super::super) fn drill() -> Versions {
        let env =
            [("LAB_VERSION".to_owned(), "v2".to_owned()), ("LAB_ERROR_RATE".to_owned(), "1".to_owned())];
        Versions(vec![Deploy {
            version: "v2".into(),
            defect: Default::default(),
            of: Some(Deployed::Deployment("ai-model".to_owned())),
            namespace: None,
            spec: None,
            patch: WorkloadPatch { env: env.into_iter().collect(), ..WorkloadPatch::default() },
        }])
    }

    /// A template of that model with these variables.
    pub(in super::super) fn template(version: &str, error_rate: &str) -> Value {
        json!({
            "metadata": { "labels": { "app": "ai-model", "version": "v1" } },
            "spec": { "containers": [{
                "name": "model",
                "image": "registry.example:5000/model:1.4",
                "env": [{ "name": "LAB_VERSION", "value": version }, { "name": "LAB_ERROR_RATE", "value": error_rate }],
            }] },
        })
    }

    #[test]
    fn a_template_is_what_makes_it_so_and_not_what_it_is_labelled() {
        let versions = drill();
        let of = |template: &Value| versions.of(template).map(|version| version.0.to_string());
        assert_eq!(of(&template("v2", "1")).as_deref(), Some("v2"));
        assert_eq!(of(&template("v1", "0")).as_deref(), Some("v1"));
        assert_eq!(of(&template("v2", "0")).as_deref(), Some("v2"), "half of it");
        let none = Versions(vec![]);
        let of = |template: &Value| none.of(template).map(|version| version.0.to_string());
        assert_eq!(of(&template("v3", "0")).as_deref(), Some("v1"), "by its label");
        let mut bare = template("v3", "0");
        bare["metadata"] = Value::Null;
        assert_eq!(of(&bare).as_deref(), Some("1.4"), "by its image");
        assert_eq!(of(&json!({ "spec": { "containers": [{ "image": "host:5000/model" }] } })), None);
    }

    #[test]
    fn a_spec_is_the_version_that_stands_where_the_drill_writes_its_own() {
        let drill = |version: &str, patch: Value| {
            let deploy = Deploy {
                version: version.into(),
                defect: Default::default(),
                of: None,
                namespace: None,
                spec: Some(patch),
                patch: WorkloadPatch::default(),
            };
            Versions(vec![deploy])
        };
        let model =
            |at: &str| json!({ "predictor": { "model": { "storageUri": at }, "canaryTrafficPercent": 20 } });
        let of = |versions: &Versions, spec: Value| versions.of_spec(&json!({ "spec": spec })).0.to_string();
        let uri = drill("v2", model("s3://models/llm/v2/onnx"));
        assert_eq!(of(&uri, model("s3://models/llm/v1/onnx")), "v1");
        assert_eq!(of(&uri, model("s3://models/llm/v2/onnx")), "v2");
        assert_eq!(of(&uri, model("s3://other")), "unnamed");
        let slot = drill("v2", json!({ "selector": { "slot": "green" } }));
        assert_eq!(of(&slot, json!({ "selector": { "slot": "green", "app": "llm" } })), "v2");
        assert_eq!(of(&slot, json!({ "selector": { "slot": "blue" } })), "unnamed");
    }
}
