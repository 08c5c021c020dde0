//! A target's URL, taken apart.

use std::net::SocketAddr;

use http::{
    Uri,
    uri::{Authority, Scheme},
};

use crate::{load::LoadError, scenario::model::Workload};

/// Where load goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// `http://host:port` or `https://host`, with a path that the endpoints'
    /// paths are below, if any.
    pub url: Uri,
    /// Where connections are opened instead, if elsewhere: a proxy that leads
    /// to that host. Names and certificates stay those of the URL.
    pub via: Option<SocketAddr>,
}

impl From<Uri> for Destination {
    fn from(url: Uri) -> Self {
        Self { url, via: None }
    }
}

impl Destination {
    /// Where the requests of `workload` go, if those of others go here.
    ///
    /// # Errors
    /// [`LoadError::Url`] if it has an address of its own that is no URL.
    pub fn of(&self, workload: &Workload) -> Result<Self, LoadError> {
        let Some(at) = &workload.transport.at else { return Ok(self.clone()) };
        let url: Result<Uri, _> = at.parse();
        let wrong = |_| LoadError::Url { url: at.clone(), why: "it is not a URL" };
        url.map(Self::from).map_err(wrong)
    }

    /// Host (a name or an address, without brackets) and port of its URL.
    pub fn host_and_port(&self) -> Result<(String, u16), LoadError> {
        Base::of(self).map(|base| (base.host, base.port))
    }
}

/// A name or address with a port, and a path that all paths are below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    /// A name or an address, without brackets.
    pub(super) host: String,
    /// Its port.
    pub(super) port: u16,
    /// Where connections are opened instead.
    pub(super) via: Option<SocketAddr>,
    /// `http` or `https`.
    pub(super) scheme: Scheme,
    /// Host and port as the URL has them: the `Host` header, `:authority`.
    pub(crate) authority: Authority,
    /// Without a slash at its end.
    path: String,
}

impl Base {
    /// Takes an `http://` or `https://` URL apart.
    pub(crate) fn of(destination: &Destination) -> Result<Self, LoadError> {
        let Destination { url, via } = destination;
        let wrong = |why: &'static str| LoadError::Url { url: url.to_string(), why };
        let (scheme, port) = match url.scheme_str() {
            Some("http") => (Scheme::HTTP, 80),
            Some("https") => (Scheme::HTTPS, 443),
            _ => return Err(wrong("it must begin with http:// or https://")),
        };
        let authority = url.authority().ok_or_else(|| wrong("it names no host"))?;
        Ok(Self {
            // Brackets belong to the URL, not to the address.
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(port),
            via: *via,
            scheme,
            authority: authority.clone(),
            path: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Whether it is spoken to under TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The URI of `path` below this base, as a request line has it.
    pub(crate) fn uri(&self, path: &str) -> Result<Uri, LoadError> {
        let joined = format!("{}/{}", self.path, path.trim_start_matches('/'));
        joined.parse().map_err(|_| LoadError::Workload(format!("`{path}` is not a path")))
    }

    /// The whole URI for `relative`, as HTTP/2 has it.
    pub(super) fn whole(&self, relative: &Uri) -> Uri {
        let mut parts = relative.clone().into_parts();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        Uri::from_parts(parts).unwrap_or_else(|_| relative.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str) -> Result<Base, LoadError> {
        Base::of(&url.parse::<Uri>().expect("a URI").into())
    }

    #[test]
    fn urls_are_taken_apart() {
        let plain = base("http://127.0.0.1:8000").expect("a base");
        assert_eq!((plain.host.as_str(), plain.port, plain.is_tls()), ("127.0.0.1", 8000, false));
        let uri = plain.uri("/v1/chat/completions").expect("a URI");
        assert_eq!(uri, "/v1/chat/completions");
        assert_eq!(plain.whole(&uri), "http://127.0.0.1:8000/v1/chat/completions");
        let deep = base("http://[::1]/serving/").expect("a base");
        assert_eq!((deep.host.as_str(), deep.port), ("::1", 80));
        assert_eq!(deep.uri("v1").expect("a URI"), "/serving/v1");
        let tls = base("https://example.org").expect("a base");
        assert_eq!((tls.port, tls.is_tls()), (443, true));
    }

    #[test]
    fn other_schemes_are_refused() {
        assert!(base("/v1").is_err());
        assert!(base("ftp://example.org").is_err_and(|e| e.to_string().contains("http://")));
    }
}
