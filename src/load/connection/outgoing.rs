//! A request as it goes out: what all requests of a workload share is written
//! out once, and only what differs is added each time.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;

/// What all requests of a workload have in common.
#[derive(Debug)]
pub(crate) struct Shape {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    /// The request line and the headers, as HTTP/1 has them.
    lines: Vec<u8>,
}

impl Shape {
    /// Requests for `uri`, which is relative: path and query.
    pub(crate) fn new(method: Method, uri: Uri, headers: HeaderMap) -> Self {
        let mut lines = Vec::new();
        request_line(&mut lines, &method, &uri);
        headers.iter().for_each(|(name, value)| line(&mut lines, name, value));
        Self { method, uri, headers, lines }
    }

    /// What all of them begin with: the request line and the headers.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Whether something could follow the head, so that a server must learn
    /// when nothing does.
    fn states_length(&self) -> bool {
        matches!(self.method, Method::POST | Method::PUT | Method::PATCH)
    }
}

/// One request. It can be sent again: it is only looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    /// What it has in common with others.
    pub(crate) shape: &'a Shape,
    /// Its own URI, if it has one.
    pub(crate) uri: Option<&'a Uri>,
    /// Its own headers; they replace those of the same name.
    pub(crate) headers: [&'a [(HeaderName, HeaderValue)]; 2],
    /// Its body.
    pub(crate) body: &'a Bytes,
}

impl Outgoing<'_> {
    fn own(&self) -> impl Iterator<Item = &(HeaderName, HeaderValue)> {
        self.headers.into_iter().flatten()
    }

    /// Whether the answer has no body, whatever its head says.
    pub(super) fn is_head(&self) -> bool {
        self.shape.method == Method::HEAD
    }

    /// Writes it as HTTP/1. `last`: the connection is not used again.
    pub(super) fn write(&self, out: &mut Vec<u8>, last: bool) {
        let Shape { method, uri, headers, lines } = self.shape;
        let replaces = self.own().any(|(name, _)| headers.contains_key(name));
        if self.uri.is_none() && !replaces {
            out.extend_from_slice(lines);
        } else {
            request_line(out, method, self.uri.unwrap_or(uri));
            for (name, value) in headers {
                if !self.own().any(|(own, _)| own == name) {
                    line(out, name, value);
                }
            }
        }
        self.own().for_each(|(name, value)| line(out, name, value));
        if last {
            line(out, &header::CONNECTION, &HeaderValue::from_static("close"));
        }
        if self.shape.states_length() || !self.body.is_empty() {
            line(out, &header::CONTENT_LENGTH, &HeaderValue::from(self.body.len()));
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.body);
    }

    /// The same for HTTP/2, whose URIs are `whole`, and which has the host
    /// there.
    pub(super) fn http2(&self, whole: impl FnOnce(&Uri) -> Uri) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.shape.method.clone();
        *request.uri_mut() = whole(self.uri.unwrap_or(&self.shape.uri));
        let headers = request.headers_mut();
        headers.clone_from(&self.shape.headers);
        for (name, value) in self.own() {
            headers.insert(name, value.clone());
        }
        headers.remove(header::HOST);
        headers.remove(header::CONNECTION);
        request
    }
}

fn request_line(out: &mut Vec<u8>, method: &Method, uri: &Uri) {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    for part in [method.as_str(), " ", target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

fn line(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(method: Method) -> Shape {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("h:1"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        Shape::new(method, "/a?b=c".parse().expect("a URI"), headers)
    }

    fn written(outgoing: Outgoing<'_>, last: bool) -> String {
        let mut out = Vec::new();
        outgoing.write(&mut out, last);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_request_is_written_as_http_1_has_it() {
        let (get, post) = (shape(Method::GET), shape(Method::POST));
        let own = [("accept".parse().expect("a name"), HeaderValue::from_static("x"))];
        let nothing = Bytes::new();
        let plain = Outgoing { shape: &get, uri: None, headers: [&[], &[]], body: &nothing };
        assert_eq!(written(plain, false), "GET /a?b=c HTTP/1.1\r\nhost: h:1\r\naccept: */*\r\n\r\n");
        let other = "/d".parse().expect("a URI");
        let own = Outgoing { uri: Some(&other), headers: [&[], &own], ..plain };
        assert_eq!(
            written(own, true),
            "GET /d HTTP/1.1\r\nhost: h:1\r\naccept: x\r\nconnection: close\r\n\r\n",
            "its own header replaces the shared one"
        );
        let empty = Outgoing { shape: &post, ..plain };
        assert!(written(empty, false).ends_with("content-length: 0\r\n\r\n"));
        let body = Bytes::from_static(b"{}");
        assert!(written(Outgoing { body: &body, ..empty }, false).ends_with("content-length: 2\r\n\r\n{}"));
    }

    #[test]
    fn http_2_has_the_host_in_its_uri() {
        let shape = shape(Method::POST);
        let body = Bytes::from_static(b"{}");
        let own = [("x-id".parse().expect("a name"), HeaderValue::from_static("1"))];
        let outgoing = Outgoing { shape: &shape, uri: None, headers: [&own, &[]], body: &body };
        let request = outgoing.http2(|uri| format!("http://h:1{uri}").parse().expect("a URI"));
        assert_eq!(request.uri(), "http://h:1/a?b=c");
        let mut names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "x-id"]);
    }
}
