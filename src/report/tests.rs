//! The report on runs of every kind, good and odd.

use std::{fs, path::Path};

use super::{
    Format, html, summary_png, terminal,
    testing::{Health, Run, aborted, nothing, run},
    write,
};

fn odd_runs() -> Vec<(&'static str, Run)> {
    vec![
        ("pass", run(Health::Well)),
        ("fail", run(Health::Ill)),
        ("aborted", aborted()),
        ("nothing", nothing()),
    ]
}

#[test]
fn every_run_has_a_report() {
    for (name, run) in odd_runs() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/report-preview").join(name);
        fs::create_dir_all(&dir).expect("a folder");
        write(&dir, &run.input(), &Format::ALL).expect("a report");
        fs::write(dir.join("terminal.txt"), terminal(&run.input(), true, 80)).expect("a file");
        let page = fs::read_to_string(dir.join("report.html")).expect("the report");
        assert!(page.contains(&run.verdict.verdict.as_str().to_uppercase()), "{name}");
    }
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let (a, b) = (run(Health::Ill), run(Health::Ill));
    assert_eq!(html(&a.input()).expect("HTML"), html(&b.input()).expect("HTML"));
    assert!(summary_png(&a.input()).expect("a PNG") == summary_png(&b.input()).expect("a PNG"));
}
