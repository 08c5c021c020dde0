//! The least that an account must be allowed for a plan, as the manifests that
//! `kubectl apply` takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    str::FromStr,
};

use super::needs::{Needs, Why, reasons};

/// A ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl FromStr for Account {
    type Err = &'static str;

    /// `NAMESPACE/NAME`
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let right = |part: &str| {
            let within = |c: char| plain(c) || matches!(c, '-' | '.');
            part.starts_with(plain) && part.ends_with(plain) && part.chars().all(within)
        };
        match text.split_once('/') {
            Some((namespace, name)) if right(namespace) && right(name) => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            Some(_) | None => Err("wants `NAMESPACE/NAME`, of small letters, digits, `-` and `.`"),
        }
    }
}

/// Verbs in the order in which people read them.
const VERBS: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];

/// Whys of each verb of one resource (group, resource).
type Rules<'a> = BTreeMap<(&'a str, &'a str), BTreeMap<usize, (&'a str, &'a BTreeSet<Why>)>>;

/// The account, a Role for each namespace and a ClusterRole for what has none,
/// each with its binding, as YAML. `name` is the roles' own.
pub fn role(needs: &Needs, name: &str, account: &Account) -> String {
    let mut scopes: BTreeMap<Option<&str>, Rules<'_>> = BTreeMap::new();
    for (need, why) in needs {
        let rules = scopes.entry(need.namespace.as_deref()).or_default();
        let rank = VERBS.iter().position(|verb| *verb == need.verb).unwrap_or(VERBS.len());
        rules.entry((need.group, need.resource)).or_default().insert(rank, (need.verb, why));
    }
    let cluster = scopes.remove(&None);
    let mut text = format!(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n{}",
        metadata(&account.name, Some(&account.namespace))
    );
    for (namespace, rules) in scopes.into_iter().chain(cluster.map(|rules| (None, rules))) {
        let prefix = if namespace.is_none() { "Cluster" } else { "" };
        let metadata = metadata(name, namespace);
        let group = "rbac.authorization.k8s.io";
        let _ = write!(
            text,
            "---\napiVersion: {group}/v1\nkind: {prefix}Role\nmetadata:\n{metadata}rules:\n{}\
             ---\napiVersion: {group}/v1\nkind: {prefix}RoleBinding\nmetadata:\n{metadata}\
             roleRef:\n  apiGroup: {group}\n  kind: {prefix}Role\n  name: {}\n\
             subjects:\n  - kind: ServiceAccount\n    name: {}\n    namespace: {}\n",
            rules.iter().map(|(what, verbs)| rule(*what, verbs)).collect::<String>(),
            scalar(name),
            scalar(&account.name),
            scalar(&account.namespace),
        );
    }
    text
}

fn metadata(name: &str, namespace: Option<&str>) -> String {
    let namespace = namespace.map(|namespace| format!("  namespace: {}\n", scalar(namespace)));
    format!("  name: {}\n{}", scalar(name), namespace.unwrap_or_default())
}

/// One resource with its verbs, and what each of them is for.
fn rule((group, resource): (&str, &str), verbs: &BTreeMap<usize, (&str, &BTreeSet<Why>)>) -> String {
    let mut alike: Vec<(Vec<&str>, &BTreeSet<Why>)> = Vec::new();
    for (verb, why) in verbs.values() {
        match alike.iter_mut().find(|(_, known)| known == why) {
            Some((verbs, _)) => verbs.push(verb),
            None => alike.push((vec![verb], why)),
        }
    }
    let mut text = String::new();
    for (verbs, why) in &alike {
        let verbs = if alike.len() == 1 { String::new() } else { format!("{}: ", verbs.join(", ")) };
        let _ = writeln!(text, "  # {verbs}{}", reasons(*why));
    }
    let group = if group.is_empty() { "\"\"" } else { group };
    let verbs: Vec<&str> = verbs.values().map(|(verb, _)| *verb).collect();
    let _ = writeln!(
        text,
        "  - apiGroups: [{group}]\n    resources: [{resource}]\n    verbs: [{}]",
        verbs.join(", ")
    );
    text
}

/// A name in YAML: in quotes where it would be read as something else.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::kubernetes::Need;

    fn need(
        namespace: Option<&str>,
        group: &'static str,
        resource: &'static str,
        verb: &'static str,
    ) -> Need {
        Need { namespace: namespace.map(str::to_owned), group, resource, verb }
    }

    #[test]
    fn a_role_says_what_each_verb_is_for_in_the_order_in_which_people_read() {
        let kill = || Why::Act("kill".into());
        let needs = Needs::from([
            (need(Some("on"), "", "pods", "delete"), [kill()].into()),
            (need(Some("on"), "", "pods", "list"), [Why::Signals, kill()].into()),
            (need(Some("on"), "", "pods", "get"), [kill(), Why::Act("freeze".into())].into()),
            (need(Some("on"), "apps", "deployments", "patch"), [kill()].into()),
            (need(None, "", "nodes", "list"), [Why::Address].into()),
        ]);
        let account = "ci/drills".parse().expect("an account");
        let text = role(&needs, "firedrill-x-on", &account);
        let documents: Vec<&str> = text.split("---\n").collect();
        assert_eq!(
            documents[0],
            "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: drills\n  namespace: ci\n"
        );
        assert_eq!(
            documents[1],
            r#"apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: firedrill-x-on
  namespace: "on"
rules:
  # get: chaos `freeze`, `kill`
  # list: signals, chaos `kill`
  # delete: chaos `kill`
  - apiGroups: [""]
    resources: [pods]
    verbs: [get, list, delete]
  # chaos `kill`
  - apiGroups: [apps]
    resources: [deployments]
    verbs: [patch]
"#
        );
        assert_eq!(
            documents[2],
            r#"apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: firedrill-x-on
  namespace: "on"
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: firedrill-x-on
subjects:
  - kind: ServiceAccount
    name: drills
    namespace: ci
"#
        );
        assert!(documents[3].contains("kind: ClusterRole\nmetadata:\n  name: firedrill-x-on\nrules:\n"));
        assert!(documents[4].contains("kind: ClusterRoleBinding\n") && documents.len() == 5);
    }

    #[test]
    fn names_that_yaml_would_read_as_something_else_are_quoted() {
        for (name, shown) in
            [("serving", "serving"), ("no", "\"no\""), ("123", "\"123\""), ("a b", "\"a b\"")]
        {
            assert_eq!(scalar(name), shown);
        }
    }

    #[test]
    fn an_account_has_a_namespace_and_a_name() {
        assert!("ci/fire-drill".parse::<Account>().is_ok());
        for wrong in ["ci", "ci/", "/x", "ci/x/y", "CI/x", "ci/-x"] {
            assert!(wrong.parse::<Account>().is_err(), "{wrong}");
        }
    }
}
