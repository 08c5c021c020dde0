//! Secrets: read when the load starts, sent, and kept out of everything else.

use std::fs;

use http::{HeaderName, HeaderValue, header};

use super::LoadError;
use crate::scenario::model::{Auth, Secret};

/// A secret that was read. It shows itself nowhere.
#[derive(Clone)]
pub(crate) struct Credential {
    name: HeaderName,
    value: HeaderValue,
    text: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Credential {
    /// Reads the secret of `auth`.
    pub(crate) fn read(auth: &Auth) -> Result<Self, LoadError> {
        let text = read(auth.secret()).map_err(LoadError::Secret)?;
        let (name, value) = match auth {
            Auth::Bearer(_) => (header::AUTHORIZATION, format!("Bearer {text}")),
            Auth::Header(given) => {
                let name = HeaderName::try_from(&given.name)
                    .map_err(|_| LoadError::Workload(format!("`{}` is not a header's name", given.name)))?;
                (name, text.clone())
            }
        };
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| LoadError::Secret(format!("{} can't be a header's value", place(auth.secret()))))?;
        // HTTP/2 then does not keep it in its table of headers.
        value.set_sensitive(true);
        Ok(Self { name, value, text })
    }

    /// The header that says it.
    pub(crate) fn header(&self) -> (HeaderName, HeaderValue) {
        (self.name.clone(), self.value.clone())
    }

    /// `text` without the secret, should a server have said it back.
    pub(crate) fn hidden_in(&self, text: String) -> String {
        if text.contains(&self.text) { text.replace(&self.text, "(secret)") } else { text }
    }
}

fn place(secret: &Secret) -> String {
    match secret {
        Secret::Env(name) => format!("the variable `{name}`"),
        Secret::File(path) => format!("`{}`", path.display()),
    }
}

fn read(secret: &Secret) -> Result<String, String> {
    let text = match secret {
        Secret::Env(name) => std::env::var(name).map_err(|error| match error {
            std::env::VarError::NotPresent => format!("the variable `{name}` is not set"),
            // The error itself would show the value.
            std::env::VarError::NotUnicode(_) => format!("the variable `{name}` is not UTF-8"),
        })?,
        Secret::File(path) => {
            fs::read_to_string(path).map_err(|error| format!("`{}`: {error}", path.display()))?
        }
    };
    match text.trim() {
        "" => Err(format!("{} is empty", place(secret))),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::NamedTempFile, Auth) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), text).expect("it writes");
        let auth = Auth::Bearer(Secret::File(file.path().to_owned()));
        (file, auth)
    }

    #[test]
    fn a_secret_shows_itself_nowhere() {
        let (_file, auth) = file("  s3cr3t\n");
        let credential = Credential::read(&auth).expect("a secret");
        let (name, value) = credential.header();
        assert_eq!((name, value.to_str().expect("a text")), (header::AUTHORIZATION, "Bearer s3cr3t"));
        assert!(!format!("{credential:?} {value:?}").contains("s3cr3t"));
        assert_eq!(credential.hidden_in("no s3cr3t here".to_owned()), "no (secret) here");
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_shown() {
        for text in ["", " \n", "two\nlines-of-s3cr3t"] {
            let (_file, auth) = file(text);
            let error = Credential::read(&auth).expect_err("it can't be used").to_string();
            assert!(!error.contains("s3cr3t"), "{error}");
        }
        let auth = Auth::Bearer(Secret::Env("FIREDRILL_TEST_NOT_SET".to_owned()));
        assert!(Credential::read(&auth).is_err_and(|error| error.to_string().contains("is not set")));
    }
}
