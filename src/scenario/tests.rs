//! Every scenario and manifest that ships can be read, and every malformed
//! one of ours is refused where it should be.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;

/// All files with this ending below a folder of the repository.
fn below(folder: &str) -> Vec<PathBuf> {
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
