//! A toxic on one link as a part of a fault: put there, looked at, taken off.

use rand::RngExt;

use super::{
    ProxyClient,
    api::{NewToxic, Stream},
    network::Planned,
    proof,
};
use crate::{
    api_client::ClientError,
    chaos::{
        driver::{Order, evidence},
        look::Look,
        undo::Undo,
    },
    plan,
    units::PodName,
};

/// A toxic for one link.
#[derive(Debug)]
pub(in crate::chaos) struct LinkToxic {
    link: PodName,
    id: String,
    /// Which effect of the fault it is.
    pub(in crate::chaos) part: usize,
    toxic: NewToxic,
}

impl LinkToxic {
    /// `tag` makes ids this driver's own, so that nobody takes another run's
    /// away.
    pub(in crate::chaos) fn new(planned: Planned, link: &PodName, order: &Order<'_>, tag: &str) -> Self {
        let Planned { part, stream, toxic } = planned;
        let way = match stream {
            Stream::Upstream => "up",
            Stream::Downstream => "down",
        };
        // Some characters of an act's id mean something in a URL.
        let safe: String = order.id.as_str().replace(|c: char| !(c.is_ascii_alphanumeric() || c == '-'), "-");
        let id = format!("{safe}.{part}.{way}.{tag}");
        let seed = plan::stream(order.seed, &format!("chaos/{}/{link}/{part}/{way}", order.id)).random();
        let ttl_ms = order.ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        Self { link: link.clone(), id, part, toxic: NewToxic { stream, toxic, ttl_ms, seed } }
    }

    pub(in crate::chaos) async fn inject(&self, proxy: &ProxyClient) -> Result<(), ClientError> {
        proxy.put_toxic(self.link.as_str(), &self.id, &self.toxic).await
    }

    pub(in crate::chaos) fn undo(&self, proxy: &ProxyClient) -> Undo {
        Undo::Toxic { proxy: proxy.at(), link: self.link.0.clone(), id: self.id.clone() }
    }

    /// Looks at its figures.
    pub(in crate::chaos) async fn look(&self, proxy: &ProxyClient) -> Result<Look, ClientError> {
        let name = &self.link;
        let link = proxy.link(name.as_str()).await?;
        let Some(status) = link.toxics.iter().find(|toxic| toxic.id == self.id) else {
            return Ok(Look::not(format!("link {name} does not list the toxic"), vec![]));
        };
        let figures = match status.affected + status.held + status.untouched {
            0 => "no traffic since the fault".to_owned(),
            _ => proof::figures(status),
        };
        let way = match status.stream {
            Stream::Upstream => "requests",
            Stream::Downstream => "answers",
        };
        let evidence = vec![evidence(format!("proxy link {name} ({way})"), figures)];
        Ok(match proof::toxic_acts(&link, status) {
            Ok(()) => Look {
                first: status.first_affected_ms.map(std::time::Duration::from_millis),
                ..Look::acts(evidence)
            },
            Err(missing) => Look::not(missing, evidence),
        })
    }
}
