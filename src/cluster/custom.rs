//! Objects that are created whole and deleted whole, without types of their
//! own: those that a tool's controller acts on, and our own helpers.

use std::fmt;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Cluster, ClusterError, MANAGER,
    object::{send, uid},
};

/// Whether a call changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It does.
    Really,
    /// The API server says what it would do, validation included.
    DryRun,
}

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CustomRef {
    /// Group and version: `chaos-mesh.org/v1alpha1`.
    pub api: String,
    /// The name of its kind in URLs.
    pub resource: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for CustomRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl CustomRef {
    fn path(&self) -> String {
        format!("{}/{}", self.collection(), self.name)
    }

    fn collection(&self) -> String {
        let root = if self.api.contains('/') { "/apis" } else { "/api" };
        format!("{root}/{}/namespaces/{}/{}", self.api, self.namespace, self.resource)
    }

    /// Reads it. None: it is not there.
    pub async fn get(&self, cluster: &Cluster) -> Result<Option<Value>, ClusterError> {
        match send(cluster, Method::GET, &self.path(), None, format!("get {self}")).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates it. Fields that its CRD does not know are an error.
    pub async fn create(&self, cluster: &Cluster, body: &Value, doing: Doing) -> Result<(), ClusterError> {
        let dry = match doing {
            Doing::Really => "",
            Doing::DryRun => "&dryRun=All",
        };
        let path = format!("{}?fieldManager={MANAGER}&fieldValidation=Strict{dry}", self.collection());
        let body = Some(("application/json", body));
        send(cluster, Method::POST, &path, body, format!("create {self}")).await.map(drop)
    }

    /// Deletes it, and no other object of its name: `read` is what it was.
    pub async fn delete(&self, cluster: &Cluster, read: &Value) -> Result<(), ClusterError> {
        let how = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            "preconditions": { "uid": uid(read) },
        });
        let body = Some(("application/json", &how));
        send(cluster, Method::DELETE, &self.path(), body, format!("delete {self}")).await.map(drop)
    }
}

/// The resources that an API server knows of a group and version. None: it
/// knows no such group.
pub async fn served(cluster: &Cluster, api: &str) -> Result<Option<Vec<String>>, ClusterError> {
    match send(cluster, Method::GET, &format!("/apis/{api}"), None, format!("look for {api}")).await {
        Ok(list) => {
            let names = list["resources"].as_array().into_iter().flatten();
            Ok(Some(names.filter_map(|one| one["name"].as_str().map(str::to_owned)).collect()))
        }
        Err(error) if error.is_absence() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lists objects that carry a label, in one namespace or in all.
pub async fn labelled(
    cluster: &Cluster,
    api: &str,
    resource: &str,
    namespace: Option<&str>,
    selector: &str,
) -> Result<Vec<Value>, ClusterError> {
    let place = namespace.map(|name| format!("/namespaces/{name}")).unwrap_or_default();
    let path = format!("/apis/{api}{place}/{resource}?labelSelector={selector}");
    let mut list = send(cluster, Method::GET, &path, None, format!("list {resource}")).await?;
    match list["items"].take() {
        Value::Array(items) => Ok(items),
        _ => Ok(vec![]),
    }
}
