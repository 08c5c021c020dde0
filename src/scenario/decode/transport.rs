//! How requests get to the target: connections, TLS, secrets, retries.

use std::path::PathBuf;

use super::{
    Context, Fields, lab,
    scalars::{boolean, unit},
    workload::span_above_zero,
};
use crate::scenario::{
    diagnostic::Diagnostic,
    model::{
        Auth, Connection, HttpVersion, Retries, Reuse, Secret, SecretHeader, Tls, Transport, default_backoff,
        default_connect_timeout, default_retry_on, default_streams,
    },
    yaml::Node,
};

/// The workload's keys that are about its transport.
pub(super) fn transport(cx: &mut Context<'_>, fields: &mut Fields<'_>) -> Option<Transport> {
    let at = fields.optional(cx, "at", lab::url);
    let connection = fields.or(cx, "connection", Connection::default(), connection);
    let auth = fields.optional(cx, "auth", auth);
    let retries = fields.optional(cx, "retries", retries);
    let connect_timeout = fields.or(cx, "connect-timeout", default_connect_timeout(), span_above_zero);
    let first_token_timeout = fields.optional(cx, "first-token-timeout", span_above_zero);
    Some(Transport {
        at: at?,
        connection: connection?,
        auth: auth?,
        retries: retries?,
        connect_timeout: connect_timeout?,
        first_token_timeout: first_token_timeout?,
    })
}

fn connection(cx: &mut Context<'_>, node: &Node) -> Option<Connection> {
    let mut fields = Fields::of(cx, node, "Connection", "the settings of connections")?;
    let http = fields.or(cx, "http", HttpVersion::default(), |cx, node| {
        cx.choice(node, "a version of HTTP", &[HttpVersion::Http1, HttpVersion::Http2, HttpVersion::Auto])
    });
    let reuse = fields.or(cx, "reuse", Reuse::default(), |cx, node| {
        cx.choice(node, "a way to use connections again", &[Reuse::Pooled, Reuse::PerUser, Reuse::None])
    });
    let streams = fields.or(cx, "streams-per-connection", default_streams(), |cx, node| {
        cx.number(node, "a number of streams from 1 to 1000000", 1..=1_000_000)
    });
    let tls = fields.optional(cx, "tls", tls);
    fields.finish(cx);
    Some(Connection { http: http?, reuse: reuse?, streams_per_connection: streams?, tls: tls? })
}

fn tls(cx: &mut Context<'_>, node: &Node) -> Option<Tls> {
    let mut fields = Fields::of(cx, node, "Tls", "the settings of TLS")?;
    let ca = fields.optional(cx, "ca", |cx, node| pem(cx, node, "CERTIFICATE"));
    let cert = fields.optional(cx, "cert", |cx, node| pem(cx, node, "CERTIFICATE"));
    let key = fields.optional(cx, "key", |cx, node| pem(cx, node, "PRIVATE KEY"));
    for (one, other) in [("cert", "key"), ("key", "cert")] {
        if let (Some(key), None) = (fields.key(one), fields.key(other)) {
            cx.report(
                Diagnostic::error(&key.place, format!("`{one}` needs `{other}`"))
                    .help("a client's certificate and its private key go together"),
            );
        }
    }
    let server_name = fields.optional(cx, "server-name", |cx, node| {
        let name = cx.text(node, "the name in the server's certificate")?;
        match rustls::pki_types::ServerName::try_from(name.as_str()) {
            Ok(_) => Some(name),
            Err(_) => cx.fail(&node.place, format!("`{name}` can't be the name of a server"), ""),
        }
    });
    let insecure = fields.or(cx, "insecure", false, boolean);
    if let (Some(true), Some(key)) = (insecure, fields.key("ca")) {
        let message = "`ca` counts for nothing where `insecure: true` takes any certificate";
        cx.report(Diagnostic::warning(&key.place, message));
    }
    fields.finish(cx);
    Some(Tls { ca: ca?, cert: cert?, key: key?, server_name: server_name?, insecure: insecure? })
}

/// A file of PEM, which must hold `what`. Its contents are not kept.
fn pem(cx: &mut Context<'_>, node: &Node, what: &str) -> Option<PathBuf> {
    let (path, text) = file(cx, node)?;
    if text.contains(&format!("{what}-----")) {
        Some(path)
    } else {
        let message = format!("`{}` holds no {}", path.display(), what.to_lowercase());
        cx.fail(&node.place, message, format!("PEM is wanted, with a line `-----BEGIN {what}-----`"))
    }
}

fn file(cx: &mut Context<'_>, node: &Node) -> Option<(PathBuf, String)> {
    let name = cx.text(node, "the path of a file")?;
    match (cx.resolver)(&name) {
        Ok(found) => Some(found),
        Err(why) => cx.fail(&node.place, format!("read `{name}`: {why}"), ""),
    }
}

fn auth(cx: &mut Context<'_>, node: &Node) -> Option<Auth> {
    let mut fields = Fields::of(cx, node, "Auth", "who asks: `{ bearer: { env: TOKEN } }`")?;
    let found = fields.one_of(cx, &["bearer", "header"]);
    fields.finish(cx);
    match found? {
        ("bearer", node) => {
            let mut fields = Fields::of(cx, node, "Secret", "where the token is: `{ env: TOKEN }`")?;
            let secret = secret(cx, &mut fields);
            fields.finish(cx);
            secret.map(Auth::Bearer)
        }
        (_, node) => {
            let mut fields =
                Fields::of(cx, node, "SecretHeader", "a header: `{ name: x-api-key, env: KEY }`")?;
            let name = fields.required(cx, "name", "x-api-key", |cx, node| {
                let name = cx.text(node, "a header's name")?;
                let right = http::HeaderName::try_from(&name).is_ok();
                let message = format!("`{name}` can't be a header's name");
                if right { Some(name) } else { cx.fail(&node.place, message, "") }
            });
            let value = secret(cx, &mut fields);
            fields.finish(cx);
            Some(Auth::Header(SecretHeader { name: name?, value: value? }))
        }
    }
}

/// Where a secret is. A file must be there; a variable need only when a run
/// starts, so it is noted with its place.
fn secret(cx: &mut Context<'_>, fields: &mut Fields<'_>) -> Option<Secret> {
    match fields.one_of(cx, &["env", "file"])? {
        ("env", node) => {
            let name = cx.text(node, "the name of a variable")?;
            if name.contains(['=', '\0']) || name.contains(char::is_whitespace) {
                return cx.fail(&node.place, "this can't be the name of a variable", "");
            }
            cx.variables.push((node.place.clone(), name.clone()));
            Some(Secret::Env(name))
        }
        (_, node) => {
            let (path, text) = file(cx, node)?;
            if text.trim().is_empty() {
                return cx.fail(&node.place, format!("`{}` is empty", path.display()), "");
            }
            Some(Secret::File(path))
        }
    }
}

fn retries(cx: &mut Context<'_>, node: &Node) -> Option<Retries> {
    let mut fields = Fields::of(cx, node, "Retries", "retries: `{ attempts: 3 }`")?;
    let attempts = fields.required(cx, "attempts", "3", |cx, node| {
        cx.number(node, "a number of attempts from 2 to 100, the first included", 2..=100)
    });
    let on = fields.or(cx, "on", default_retry_on(), |cx, node| {
        cx.some_list(node, "outcomes", |cx, node| {
            cx.choice(node, "an outcome after which a request may be sent again", &default_retry_on())
        })
    });
    let backoff = fields.or(cx, "backoff", default_backoff(), unit);
    let honour_retry_after = fields.or(cx, "honour-retry-after", false, boolean);
    fields.finish(cx);
    Some(Retries { attempts: attempts?, on: on?, backoff: backoff?, honour_retry_after: honour_retry_after? })
}

/// A header whose value people keep to themselves: it would be in the plan.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.as_str(), "authorization" | "proxy-authorization" | "cookie")
        || ["api-key", "apikey", "token", "secret", "password"].iter().any(|word| name.contains(word))
}
