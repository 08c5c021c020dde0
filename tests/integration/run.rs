//! Tests of the command line and of whole runs.

use std::process::Command;

use crate::support::exe;

#[test]
fn it_says_its_version() {
    let out = Command::new(exe()).arg("--version").output().expect("the program starts");
    assert!(out.status.success());
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), concat!("firedrill ", env!("CARGO_PKG_VERSION")));
}
