//! Every scenario and manifest that ships can be read, and every malformed
//! one of ours is refused where it should be.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;

/// All files with this ending below a folder of the repository.
pub(super) fn below(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "yaml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_ships_can_be_read() {
    let scenarios = below("scenarios");
    assert!(scenarios.len() >= 2, "{scenarios:?}");
    for path in scenarios {
        match load(&path, &[]) {
            Ok(loaded) => assert!(loaded.warnings.is_empty(), "{}", loaded.warnings),
            Err(errors) => panic!("{errors}"),
        }
    }
}

#[test]
fn every_manifest_that_ships_can_be_applied() {
    let text =
        fs::read_to_string(below("tests/data/valid")[1].with_file_name("smallest.yaml")).expect("it reads");
    for path in below("chaos") {
        let act = format!(
            "phases: {{ fault: 60s }}\nchaos: [ {{ id: x, at: fault, apply: {} }} ]\n",
            path.display()
        );
        let read = |name: &str| Ok((PathBuf::from(name), fs::read_to_string(name).expect("it reads")));
        let loaded =
            parse(&format!("{text}{act}"), Path::new("x.yaml"), &[], &read).unwrap_or_else(|e| panic!("{e}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
        assert_eq!(loaded.files.len(), 2);
    }
}

#[test]
fn valid_files_are_read_and_planned() {
    for path in below("tests/data/valid") {
        let loaded = load(&path, &[]).unwrap_or_else(|e| panic!("{e}"));
        let plan =
            crate::plan::resolve(&loaded.scenario, 1).unwrap_or_else(|e| panic!("{}: {e:?}", path.display()));
        assert!(crate::plan::render_text(&plan, None).contains("checks"));
    }
}

#[test]
fn the_starter_is_right() {
    let none = |_: &str| Err("not here".to_owned());
    let loaded = parse(starter(), Path::new("first.yaml"), &[], &none).unwrap_or_else(|e| panic!("{e}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    crate::plan::resolve(&loaded.scenario, 1).expect("a plan");
}
