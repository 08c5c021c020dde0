//! Commands that start nothing: plan, validate, schema, init.

use std::{fs, io::IsTerminal, path::Path};

use super::{args, exit::Exit};
use crate::{
    plan::{self, Plan},
    scenario::{self, Loaded, Override, model::Target},
};

/// Reads a scenario with its overrides and resolves it. Says what is wrong.
pub(super) fn resolve(args: &args::Scenario) -> Result<(Loaded, Plan), Exit> {
    let overrides: Vec<_> = args.set.iter().cloned().map(Override).collect();
    let colour = std::io::stderr().is_terminal();
    let mut loaded = scenario::load(&args.scenario, &overrides).map_err(|diagnostics| {
        eprintln!("{}", diagnostics.render(colour));
        Exit::Usage
    })?;
    if !loaded.warnings.is_empty() {
        eprintln!("{}", loaded.warnings.render(colour));
    }
    match args.target.as_deref() {
        None => {}
        Some("lab") if matches!(loaded.scenario.target, Target::Lab(_)) => {}
        Some("lab") => loaded.scenario.target = Target::Lab(Default::default()),
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
            loaded.scenario.target = Target::Url(url.to_owned())
        }
        Some(other) => {
            eprintln!("error: --target {other}: wants `lab` or a URL such as `http://127.0.0.1:8000`");
            return Err(Exit::Usage);
        }
    }
    let seed = args.seed.unwrap_or(loaded.scenario.seed);
    match plan::resolve(&loaded.scenario, seed) {
        Ok(plan) => Ok((loaded, plan)),
        Err(errors) => {
            for error in errors {
                eprintln!("error: {}: {error}", args.scenario.display());
            }
            Err(Exit::Usage)
        }
    }
}

/// `firedrill plan`
pub(super) fn plan(args: &args::Scenario) -> Exit {
    let (_, plan) = match resolve(args) {
        Ok(resolved) => resolved,
        Err(exit) => return exit,
    };
    let pods = match &plan.target {
        Target::Lab(lab) => Some(plan::lab_pods(lab)),
        Target::Url(_) => None,
    };
    print!("{}", plan::render_text(&plan, pods.as_deref()));
    Exit::Pass
}

/// `firedrill validate`
pub(super) fn validate(args: &args::Scenario) -> Exit {
    match resolve(args) {
        Ok((loaded, plan)) => {
            let files = loaded.files.len();
            println!(
                "{}: valid ({files} file{}, {} checks, {} acts)",
                args.scenario.display(),
                if files == 1 { "" } else { "s" },
                plan.checks.len(),
                plan.timeline.len()
            );
            Exit::Pass
        }
        Err(exit) => exit,
    }
}

/// `firedrill schema`
pub(super) fn schema() -> Exit {
    println!("{:#}", scenario::schema());
    Exit::Pass
}

/// `firedrill init`
pub(super) fn init(path: &Path) -> Exit {
    if path.exists() {
        eprintln!("error: {}: exists already, and is left alone", path.display());
        return Exit::Usage;
    }
    match fs::write(path, scenario::starter()) {
        Ok(()) => {
            println!("{}: written; try `firedrill run {0}`", path.display());
            Exit::Pass
        }
        Err(error) => {
            eprintln!("error: write {}: {error}", path.display());
            Exit::Usage
        }
    }
}
