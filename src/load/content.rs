//! What an answer's head says of its body.

use http::{HeaderMap, HeaderName, header};

/// The content of an answer, by its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content<'a> {
    /// Its media type as it was given, without parameters; empty: none.
    media: &'a str,
    /// Its coding, if it has one.
    pub(crate) coding: Option<&'a str>,
}

impl<'a> Content<'a> {
    /// Reads the head.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let media = text(header::CONTENT_TYPE);
        let coding = text(header::CONTENT_ENCODING).trim();
        Self {
            media: media.split(';').next().unwrap_or(media).trim(),
            coding: (!coding.is_empty() && !coding.eq_ignore_ascii_case("identity")).then_some(coding),
        }
    }

    /// Whether it says that it is an event stream.
    pub(crate) fn is_events(self) -> bool {
        self.media.eq_ignore_ascii_case("text/event-stream")
    }

    /// What it is, for people.
    pub(crate) fn named(self) -> String {
        match self.media {
            "" => "without a content-type".to_owned(),
            media => format!("`{media}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn heads_are_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(Content::of(&headers).named(), "without a content-type");
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(" Text/Event-Stream; charset=utf-8"));
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
        assert!(Content::of(&headers).is_events() && Content::of(&headers).coding.is_none());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-streams"));
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let content = Content::of(&headers);
        assert_eq!((content.is_events(), content.coding), (false, Some("gzip")));
        assert_eq!(content.named(), "`text/event-streams`");
    }
}
