//! From files to a scenario, or to everything that is wrong with it.

use std::{
    io,
    path::{Path, PathBuf},
};

pub use super::decode::Resolver;
use super::{
    decode::{self, Context},
    diagnostic::{Diagnostic, Diagnostics},
    model::Scenario,
    overrides::Override,
    source::{Place, SourceFile},
    yaml,
};

/// A scenario that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What it says.
    pub scenario: Scenario,
    /// The files that it is made of, as they were: the scenario first, then
    /// its manifests.
    pub files: Vec<SourceFile>,
    /// What may not be as it was meant.
    pub warnings: Diagnostics,
    /// Errors about what the scenario needs of the environment of a run, and
    /// is not there: variables that hold secrets. Empty: nothing is missing.
    pub missing: Diagnostics,
}

/// Reads a scenario and the manifests that it names.
///
/// A manifest's path is looked for from the scenario's own folder, from the
/// two above it, then from the current one.
///
/// # Errors
/// All that is wrong, in all files at once.
pub fn load(path: &Path, overrides: &[Override]) -> Result<Loaded, Diagnostics> {
    let text = match read(path) {
        Ok(text) => text,
        Err(why) => {
            let help = nearby(path).map(|name| format!("there is `{name}`"));
            return Err(Diagnostics::unlocated(
                format!("read the scenario `{}`: {why}", path.display()),
                help,
            ));
        }
    };
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    parse(&text, path, overrides, &|name| find(&folder, name))
}

/// Reads a scenario from `text`; `resolver` reads the files that it names.
///
/// # Errors
/// All that is wrong, in all files at once.
pub fn parse(
    text: &str,
    path: &Path,
    overrides: &[Override],
    resolver: &Resolver<'_>,
) -> Result<Loaded, Diagnostics> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut files = vec![SourceFile::new(path, text)];
    files.extend(overrides.iter().map(Override::source));
    let mut cx = Context::new(files, resolver);
    let scenario = scenario(&mut cx, overrides);
    let diagnostics = Diagnostics::new(cx.files.clone(), cx.diagnostics);
    let missing = cx
        .variables
        .iter()
        .filter(|(_, name)| std::env::var_os(name).is_none_or(|value| value.is_empty()))
        .map(|(place, name)| {
            Diagnostic::error(place, format!("the variable `{name}` is not set"))
                .help("a run needs it; its value is in no file of the run")
        })
        .collect();
    let missing = Diagnostics::new(cx.files.clone(), missing);
    match scenario {
        Some(scenario) if !diagnostics.has_errors() => {
            let mut files = cx.files;
            files.drain(1..=overrides.len());
            Ok(Loaded { scenario, files, warnings: diagnostics, missing })
        }
        Some(_) | None => Err(diagnostics),
    }
}

fn scenario(cx: &mut Context<'_>, overrides: &[Override]) -> Option<Scenario> {
    let start = Place::new(0, 0..0);
    let documents = match yaml::read(&cx.files[0], 0) {
        Ok(documents) => documents,
        Err(error) => {
            cx.report(error);
            return None;
        }
    };
    let mut documents = documents.into_iter().filter(|document| !document.is_null());
    let Some(mut root) = documents.next() else {
        let help = "`firedrill init` writes one to start from";
        cx.report(Diagnostic::error(&start, "this file is empty: it has no scenario").help(help));
        return None;
    };
    if let Some(second) = documents.next() {
        cx.report(Diagnostic::error(&second.place, "there is more than one document in this file").help(
            "a scenario is one document; manifests are inlined under `apply:` or have files of their own",
        ));
        return None;
    }
    for (i, change) in overrides.iter().enumerate() {
        if let Err(error) = change.apply(&mut root, i + 1) {
            cx.report(error);
        }
    }
    decode::scenario(cx, &root)
}

/// The text of a file, or why there is none.
fn read(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::IsADirectory => "this is a folder".to_owned(),
        _ => error.to_string(),
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("it is not UTF-8 (line {line})")
    })
}

/// Finds and reads a file that a scenario in `folder` names.
fn find(folder: &Path, name: &str) -> Result<(PathBuf, String), String> {
    // Of a folder given in a relative way the folders above may be the
    // current one's.
    let full = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let mut candidates = vec![folder.join(name)];
    candidates.extend(full.ancestors().skip(1).take(2).map(|above| above.join(name)));
    candidates.push(PathBuf::from(name));
    match candidates.iter().find(|path| path.exists()) {
        Some(path) => Ok((tidy(path), read(path)?)),
        None => {
            let help = nearby(&candidates[0]).map(|name| format!("; there is `{name}`")).unwrap_or_default();
            Err(format!("there is no such file, neither beside the scenario nor above it{help}"))
        }
    }
}

/// The path as seen from the current folder, without `..`.
fn tidy(path: &Path) -> PathBuf {
    let Ok(full) = path.canonicalize() else { return path.to_owned() };
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    match here {
        Ok(here) => full.strip_prefix(&here).map(Path::to_owned).unwrap_or(full),
        Err(_) => full,
    }
}

/// A file beside `path` with nearly its name.
fn nearby(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_string_lossy().into_owned();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut names: Vec<String> =
        folder.read_dir().ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    decode::nearest(&wanted, names.iter().map(String::as_str)).map(str::to_owned)
}
