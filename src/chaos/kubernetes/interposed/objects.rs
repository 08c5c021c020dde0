//! What a Service's fault proxy is made of: a Service that leads to the pods
//! as the original one did, and a Deployment of the proxy.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    chaos::kubernetes::Mark,
    cluster::{FAULT_ANNOTATION, PROXY_LABEL, RUN_LABEL, custom::CustomRef},
};

/// The port of the proxy's admin API.
pub(super) const ADMIN: u16 = 9901;
/// The variable with the word that its admin API wants to hear.
const TOKEN: &str = "FIREDRILL_PROXY_TOKEN";

/// One port of the Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    /// Its name, where it has one.
    pub(super) name: Option<String>,
    /// Where clients of the Service connect to.
    pub(super) port: u16,
    /// Where the pods listen, and the proxy has to.
    pub(super) target: u16,
    /// The name that the pods give to it, if the Service asks for it by name.
    pub(super) target_name: Option<String>,
}

/// Everything that is decided about it.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) mark: Mark,
    pub(super) namespace: String,
    /// The Service's name.
    pub(super) service: String,
    /// As the Service selects its pods.
    pub(super) selector: BTreeMap<String, String>,
    /// As it will select the proxy.
    pub(super) switched: BTreeMap<String, String>,
    pub(super) ports: Vec<Port>,
    pub(super) image: String,
    pub(super) token: String,
}

impl Parts {
    /// What is made is named after the Service.
    fn name(&self, what: &str) -> String {
        // Room for what Kubernetes adds, in names of at most 63 characters.
        let service: String = self.service.chars().take(40).collect();
        format!("{}-{what}", service.trim_end_matches('-'))
    }

    /// The Service that leads to the pods.
    pub(super) fn upstream(&self) -> CustomRef {
        self.at("v1", "services", "Service", &self.name("behind-firedrill"))
    }

    /// The Deployment of the proxy.
    pub(super) fn deployment(&self) -> CustomRef {
        self.at("apps/v1", "deployments", "Deployment", &self.name("firedrill"))
    }

    fn at(&self, api: &str, resource: &str, kind: &str, name: &str) -> CustomRef {
        CustomRef {
            api: api.to_owned(),
            resource: resource.to_owned(),
            kind: kind.to_owned(),
            namespace: self.namespace.clone(),
            name: name.to_owned(),
        }
    }

    fn metadata(&self, at: &CustomRef) -> Value {
        json!({
            "name": at.name, "namespace": at.namespace, "labels": { (RUN_LABEL): self.mark.run },
            "annotations": { (FAULT_ANNOTATION): self.mark.fault.as_str() },
        })
    }

    pub(super) fn upstream_body(&self) -> Value {
        let at = self.upstream();
        let ports: Vec<Value> = self
            .ports
            .iter()
            .enumerate()
            .map(|(n, port)| json!({ "name": format!("p{n}"), "port": port.port, "targetPort": port.target }))
            .collect();
        json!({
            "apiVersion": at.api, "kind": at.kind, "metadata": self.metadata(&at),
            "spec": { "selector": self.selector, "ports": ports },
        })
    }

    /// The proxy's links lead to the other Service's address.
    pub(super) fn deployment_body(&self, address: &str) -> Value {
        let at = self.deployment();
        let mut labels = self.switched.clone();
        labels.insert(PROXY_LABEL.to_owned(), at.name.clone());
        let links = self.ports.iter().enumerate().flat_map(|(n, port)| {
            let name = port.name.clone().unwrap_or_else(|| format!("p{n}"));
            ["--link".to_owned(), format!("{name}=0.0.0.0:{}={address}:{}", port.target, port.port)]
        });
        let admin = ["--admin".to_owned(), format!("0.0.0.0:{ADMIN}")];
        let arguments: Vec<String> = std::iter::once("proxy".to_owned()).chain(links).chain(admin).collect();
        let ports: Vec<Value> = self
            .ports
            .iter()
            .map(|port| match &port.target_name {
                Some(name) => json!({ "containerPort": port.target, "name": name }),
                None => json!({ "containerPort": port.target }),
            })
            .collect();
        let container = json!({
            "name": "proxy", "image": self.image, "imagePullPolicy": "IfNotPresent", "args": arguments, "ports": ports,
            "env": [{ "name": TOKEN, "value": self.token }],
            "readinessProbe": { "tcpSocket": { "port": ADMIN }, "periodSeconds": 1 },
        });
        json!({
            "apiVersion": at.api, "kind": at.kind, "metadata": self.metadata(&at),
            "spec": {
                "replicas": 1,
                "selector": { "matchLabels": { (PROXY_LABEL): at.name } },
                "template": {
                    "metadata": { "labels": labels },
                    "spec": { "terminationGracePeriodSeconds": 1, "enableServiceLinks": false, "containers": [container] },
                },
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_stands_where_the_pods_stood_and_leads_to_them() {
        let map = |app: &str| {
            BTreeMap::from([("app".to_owned(), app.to_owned()), ("s".to_owned(), "y".to_owned())])
        };
        let port = |name: Option<&str>, port, target, target_name: Option<&str>| Port {
            name: name.map(str::to_owned),
            port,
            target,
            target_name: target_name.map(str::to_owned),
        };
        let parts = Parts {
            mark: Mark { run: "r".to_owned(), fault: "proxy".into() },
            namespace: "serving".to_owned(),
            service: "llm".to_owned(),
            selector: map("llm"),
            switched: map("via"),
            ports: vec![port(Some("http"), 80, 8000, Some("web")), port(None, 81, 8001, None)],
            image: "i".to_owned(),
            token: "t".to_owned(),
        };
        let upstream = parts.upstream_body();
        assert_eq!(upstream["spec"]["selector"], json!({ "app": "llm", "s": "y" }));
        assert_eq!(upstream["spec"]["ports"][1], json!({ "name": "p1", "port": 81, "targetPort": 8001 }));
        let deployment = parts.deployment_body("198.18.128.7");
        let template = &deployment["spec"]["template"];
        assert_eq!(template["metadata"]["labels"]["app"], "via");
        let container = &template["spec"]["containers"][0];
        let wanted = [
            "proxy",
            "--link",
            "http=0.0.0.0:8000=198.18.128.7:80",
            "--link",
            "p1=0.0.0.0:8001=198.18.128.7:81",
            "--admin",
            "0.0.0.0:9901",
        ];
        assert_eq!(container["args"], json!(wanted));
        assert_eq!(container["ports"][0], json!({ "containerPort": 8000, "name": "web" }));
    }
}
