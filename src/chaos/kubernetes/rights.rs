//! What of its needs an account may not do, asked of the API server itself
//! before anything else is.

use std::{collections::BTreeSet, fmt};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{Api, api::PostParams};

use super::needs::{Need, Needs, Why, reasons};
use crate::cluster::{Cluster, ClusterError, call};

/// As many reviews are asked for at once.
const AT_ONCE: usize = 8;

/// What an account may not do of what it has to; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gaps {
    context: String,
    /// What is missing, and what it is for.
    pub missing: Vec<(Need, BTreeSet<Why>)>,
}

impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the account of the context `{}` may not", self.context)?;
        for (need, why) in &self.missing {
            write!(f, "\n      {need} (for {})", reasons(why))?;
        }
        Ok(())
    }
}

/// Asks for a review of every need. None: the account may do all of it.
///
/// # Errors
/// The reviews can't be asked for.
pub async fn gaps(cluster: &Cluster, needs: &Needs) -> Result<Option<Gaps>, ClusterError> {
    let reviews = stream::iter(needs).map(async |(need, why)| {
        let allowed = review(cluster, need).await?;
        Ok::<_, ClusterError>((!allowed).then(|| (need.clone(), why.clone())))
    });
    let missing: Vec<_> = reviews.buffered(AT_ONCE).try_filter_map(async |gap| Ok(gap)).try_collect().await?;
    let context = cluster.at().context.clone();
    Ok((!missing.is_empty()).then_some(Gaps { context, missing }))
}

async fn review(cluster: &Cluster, need: &Need) -> Result<bool, ClusterError> {
    let (resource, subresource) = match need.resource.split_once('/') {
        Some((resource, sub)) => (resource, Some(sub.to_owned())),
        None => (need.resource, None),
    };
    let attributes = ResourceAttributes {
        namespace: need.namespace.clone(),
        verb: Some(need.verb.to_owned()),
        group: Some(need.group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client());
    let what = "ask what this account may do (SelfSubjectAccessReview)";
    let answer = call(what, reviews.create(&PostParams::default(), &review)).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
