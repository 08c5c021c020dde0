//! Every scenario and manifest that ships can be read, and every malformed
//! one of ours is refused where it should be.

mod doubts;

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
    for path in below("chaos") {
        let read = |name: &str| Ok((PathBuf::from(name), fs::read_to_string(name).expect("it reads")));
        let loaded =
            parse(&applying(&path), Path::new("x.yaml"), &[], &read).unwrap_or_else(|e| panic!("{e}"));
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

/// The first lines of a malformed file: `# expect: LINE:COLUMN message`, and
/// `# help: LINE:COLUMN part of what would be right`.
fn expected<'t>(text: &'t str, what: &str) -> Vec<(usize, usize, &'t str)> {
    text.lines()
        .take_while(|line| line.starts_with("# "))
        .filter_map(|line| line.strip_prefix("# ")?.strip_prefix(what)?.strip_prefix(": "))
        .map(|line| {
            let (place, message) = line.split_once(' ').expect("a place and a message");
            let (line, column) = place.split_once(':').expect("line and column");
            (line.parse().expect("a line"), column.parse().expect("a column"), message)
        })
        .collect()
}

/// A right scenario that applies a manifest.
pub(super) fn applying(manifest: &Path) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/valid/smallest.yaml");
    let text = fs::read_to_string(path).expect("it reads");
    let text = text.replace("{ url: \"http://127.0.0.1:8000\" }", "lab");
    format!(
        "{text}phases: {{ fault: 60s }}\nchaos: [ {{ id: x, at: fault, apply: {} }} ]\n",
        manifest.display()
    )
}

#[test]
fn malformed_files_are_refused_where_they_are_wrong() {
    let files = below("tests/data/malformed");
    assert!(files.len() >= 80, "{}", files.len());
    for path in files {
        let text = fs::read_to_string(&path).expect("it reads");
        let errors = if path.parent().is_some_and(|folder| folder.ends_with("manifests")) {
            let read = |name: &str| Ok((PathBuf::from(name), fs::read_to_string(name).expect("it reads")));
            parse(&applying(&path), Path::new("x.yaml"), &[], &read).expect_err("it is malformed")
        } else {
            load(&path, &[]).expect_err("it is malformed")
        };
        let found: Vec<(usize, usize, &str)> = errors
            .items()
            .iter()
            .filter(|item| item.severity == Severity::Error)
            .filter_map(|item| errors.position(item).map(|found| (found, item)))
            .filter(|((file, ..), _)| file.path.file_name() == path.file_name())
            .map(|((_, line, column), item)| (line, column, item.message.as_str()))
            .collect();
        let wanted = expected(&text, "expect");
        assert!(!wanted.is_empty(), "{} does not say what is wrong with it", path.display());
        assert_eq!(wanted, found, "{}\n{errors}", path.display());
        for (line, column, part) in expected(&text, "help") {
            let helps = errors.items().iter().any(|item| {
                let help = item.help.as_deref().is_some_and(|help| help.contains(part));
                help && errors.position(item).is_some_and(|(_, l, c)| (l, c) == (line, column))
            });
            assert!(helps, "{}:{line}:{column}: {part}\n{errors}", path.display());
        }
    }
}

#[test]
fn errors_of_all_files_come_at_once() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/malformed/many-errors.yaml");
    let errors = load(&path, &[]).expect_err("it is malformed");
    let files: std::collections::BTreeSet<_> =
        errors.items().iter().filter_map(|item| errors.position(item)).map(|(file, ..)| &file.path).collect();
    assert!(errors.items().len() >= 15 && files.len() == 2, "{errors}");
}

#[test]
fn files_that_are_no_text_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("drill.yaml");
    let why = |path: &Path| load(path, &[]).expect_err("it can't be read").items()[0].message.clone();
    assert!(why(&path).contains("there is no such file"));
    assert!(why(folder.path()).contains("folder"));
    fs::write(&path, b"version: 1\nname: \xff\n").expect("it writes");
    assert!(why(&path).contains("not UTF-8 (line 2)"));
    let near = load(&folder.path().join("dril.yaml"), &[]).expect_err("it isn't there");
    assert_eq!(near.items()[0].help.as_deref(), Some("there is `drill.yaml`"));
}

#[test]
fn a_manifest_is_looked_for_beside_the_scenario_and_above() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("scenarios/deep/deeper")).expect("folders");
    fs::create_dir_all(at("chaos")).expect("a folder");
    let kill = fs::read_to_string(&below("chaos")[4]).expect("it reads");
    fs::write(at("chaos/kill.yaml"), &kill).expect("it writes");
    for (scenario, manifest, found) in [
        ("scenarios/a.yaml", "../chaos/kill.yaml", true),
        ("scenarios/a.yaml", "chaos/kill.yaml", true),
        ("scenarios/deep/a.yaml", "chaos/kill.yaml", true),
        ("scenarios/deep/deeper/a.yaml", "chaos/kill.yaml", false),
        ("a.yaml", "chaos/kil.yaml", false),
    ] {
        fs::write(at(scenario), applying(Path::new(manifest))).expect("it writes");
        let loaded = load(&at(scenario), &[]);
        assert_eq!(loaded.is_ok(), found, "{scenario} {manifest}: {loaded:?}");
    }
    let error = load(&at("a.yaml"), &[]).expect_err("it isn't there");
    assert!(error.items()[0].message.contains("there is `kill.yaml`"), "{error}");
}

/// A right scenario whose load replays a trace.
fn replaying(more: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/valid/smallest.yaml");
    let text = fs::read_to_string(path).expect("it reads");
    let load = text.find("load:").expect("a load");
    let slos = text.find("slos:").expect("SLOs");
    let trace =
        format!("load: [ {{ name: a, workload: chat, arrivals: {{ trace: {{ file: t.csv{more} }} }} }} ]\n");
    format!("{}{trace}{}", &text[..load], &text[slos..])
}

#[test]
fn a_wrong_row_of_a_trace_is_located_in_the_trace() {
    let rows = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9,48,10\n2023-11-16 18:17:04.1,x,8\nsoon,1,8\n";
    let read = |_: &str| Ok((PathBuf::from("t.csv"), rows.to_owned()));
    let errors = parse(&replaying(""), Path::new("x.yaml"), &[], &read).expect_err("two rows are wrong");
    let places: Vec<_> = errors
        .items()
        .iter()
        .filter_map(|item| errors.position(item))
        .map(|(file, line, column)| (file.path.to_str(), line, column))
        .collect();
    assert_eq!(places, [(Some("t.csv"), 3, 23), (Some("t.csv"), 4, 1)], "{errors}");
}

#[test]
fn a_trace_is_sliced_and_its_plan_reproduces_it() {
    let rows = "{\"timestamp\": 1000, \"input_length\": 600, \"output_length\": 5, \"hash_ids\": [1, 2]}\n\
                {\"timestamp\": 3000, \"input_length\": 10, \"output_length\": 6}\n\
                {\"timestamp\": 9000, \"input_length\": 10, \"output_length\": 7}\n";
    let read = |_: &str| Ok((PathBuf::from("t.csv"), rows.to_owned()));
    let text = replaying(", scale: 2x, from: 1s, to: 5s");
    let loaded = parse(&text, Path::new("x.yaml"), &[], &read).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(loaded.files.len(), 2, "the scenario and the trace");
    let plan = crate::plan::resolve(&loaded.scenario, 1).expect("a plan");
    let model::Executor::Arrivals(model::Arrivals::Trace(trace)) = &plan.load[0].executor else {
        panic!("{:?}", plan.load)
    };
    assert_eq!(trace.format, Some(model::TraceFormat::Mooncake));
    assert_eq!(
        trace.times().collect::<Vec<_>>(),
        [0.5],
        "2 s after the first, 1 s after the slice's start, at twice the rate"
    );
    assert_eq!((plan.load[0].planned_arrivals, plan.end()), (Some(1), crate::units::RunTime(2_000_000)));
    let json = serde_json::to_string_pretty(&plan).expect("JSON");
    assert_eq!(serde_json::from_str::<crate::plan::Plan>(&json).expect("a plan"), plan);
}

#[test]
fn overrides_change_what_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/ci-gate.yaml");
    let set = |changes: &[&str]| {
        load(&path, &changes.iter().map(|c| Override((*c).to_owned())).collect::<Vec<_>>())
    };
    let loaded =
        set(&["seed=9", "target.lab.replicas=5", "slos.1.ttft=p95 < 1s", "warm-up=7s"]).expect("it reads");
    assert_eq!((loaded.scenario.seed, loaded.scenario.warm_up), (9, Some(crate::units::Span::secs(7))));
    assert!(matches!(&loaded.scenario.target, model::Target::Lab(lab) if lab.replicas == 5));
    assert!(
        matches!(&loaded.scenario.slos[1].objective, model::Objective::Ttft(t) if t.to_string() == "p95 < 1s")
    );
    assert_eq!(loaded.files[0].text, fs::read_to_string(&path).expect("it reads"), "the file as given");
    assert_eq!(loaded.files.len(), 2, "the scenario and a manifest");
    let errors = set(&["target.lab.replica=5", "phases.fault=soon"]).expect_err("both are wrong");
    let places: Vec<_> = errors
        .items()
        .iter()
        .filter_map(|item| errors.position(item))
        .map(|(file, line, column)| (file.path.to_str(), line, column))
        .collect();
    assert_eq!(places, [(Some("--set"), 1, 12), (Some("--set"), 1, 14)], "{errors}");
}

#[test]
fn a_rate_is_in_bytes_and_its_prefixes_in_1024() {
    for (rate, bytes) in
        [("100bps", 100), ("2kbps", 2048), ("3 Mbps", 3 << 20), ("1gbps", 1 << 30), ("8kbit", 1000)]
    {
        let text = format!(
            "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nspec: {{ action: bandwidth, mode: all, selector: {{}}, bandwidth: {{ rate: {rate}, limit: 1, buffer: 1 }} }}"
        );
        let read = |_: &str| Ok((PathBuf::from("m.yaml"), text.clone()));
        let loaded =
            parse(&applying(Path::new("m.yaml")), Path::new("x.yaml"), &[], &read).expect("it reads");
        let model::Action::Apply(applied) = &loaded.scenario.chaos[0].action else { panic!("a manifest") };
        let chaos::Chaos::NetworkChaos(spec) = &applied.manifest.chaos else { panic!("a NetworkChaos") };
        let [chaos::NetworkEffect::Bandwidth { bytes_per_second, .. }] = spec.effects.as_slice() else {
            panic!("one")
        };
        assert_eq!(*bytes_per_second, bytes, "{rate}");
    }
}

#[test]
fn what_is_wrong_in_a_file_of_prompts_is_said_where_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let smallest =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/valid/smallest.yaml"))
            .expect("it reads");
    let with = |prompts: &str| {
        let text = smallest.replace("{ synthetic: { input-tokens: 8, output-tokens: 32 } }", prompts);
        assert_ne!(text, smallest);
        fs::write(at("drill.yaml"), text).expect("it writes");
        load(&at("drill.yaml"), &[])
    };
    fs::write(at("q.jsonl"), "{\"q\": \"one\"}\n{\"p\": 1}\n{\"q\": }\n").expect("it writes");
    let jsonl = "{ jsonl: { file: q.jsonl, template: \"{{ q }}\" } }";
    let errors = with(jsonl).expect_err("two lines are wrong");
    let places: Vec<_> = errors
        .items()
        .iter()
        .filter_map(|item| errors.position(item).map(|(file, line, column)| (file, line, column, item)))
        .map(|(file, line, column, item)| {
            assert!(file.path.ends_with("q.jsonl"));
            (line, column, item.message.as_str())
        })
        .collect();
    assert_eq!(
        places,
        [
            (2, 1, "the template asks for `q`, which this line does not have"),
            (3, 7, "this is not a JSON object: expected value"),
        ],
        "{errors}"
    );
    fs::write(at("q.jsonl"), "{\"q\": \"one\"}\n{\"q\": 2}\n").expect("it writes");
    let loaded = with(jsonl).unwrap_or_else(|e| panic!("{e}"));
    let plan = crate::plan::resolve(&loaded.scenario, 1).expect("a plan");
    let json = serde_json::to_string(&plan).expect("JSON");
    assert!(json.contains("\"entries\":2") && json.contains("\"sha256\":") && !json.contains("\"one\""));
    // A plan is read back, without its files.
    fs::remove_file(at("q.jsonl")).expect("it goes");
    serde_json::from_str::<crate::plan::Plan>(&json).expect("a plan");
    fs::write(at("empty.jsonl"), "\n\n").expect("it writes");
    let empty = with("{ jsonl: { file: empty.jsonl, template: \"{{ q }}\" } }").expect_err("it is empty");
    assert!(empty.items()[0].message.contains("holds no prompts"), "{empty}");
}

mod any_text {
    use proptest::prelude::*;

    use super::*;

    fn everything() -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/valid/everything.yaml");
        fs::read_to_string(path).expect("it reads")
    }

    /// Reads a text that may be anything; what is wrong must render.
    fn survives(text: &str, overrides: &[Override]) {
        let read = |name: &str| Ok((PathBuf::from(name), text.to_owned()));
        match parse(text, Path::new("x.yaml"), overrides, &read) {
            Ok(loaded) => {
                // Neither does planning what could be read.
                let _ = crate::plan::resolve(&loaded.scenario, 1);
            }
            Err(errors) => assert!(errors.has_errors() && errors.render(false).contains("error")),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn no_text_panics(text in "([\\PC\n]|[-:{}\\[\\]&*!|>'\"#, \n]){0,200}") {
            survives(&text, &[]);
        }

        #[test]
        fn no_change_of_a_right_scenario_panics(
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0..40usize, "[-:{}\\[\\]&*'\"#, \n0-9a-z<>=%é]{0,6}"), 1..5),
        ) {
            let mut text: Vec<char> = everything().chars().collect();
            for (at, length, new) in edits {
                let at = at.index(text.len());
                let end = (at + length).min(text.len());
                text.splice(at..end, new.chars());
            }
            survives(&text.into_iter().collect::<String>(), &[]);
        }

        #[test]
        fn no_value_in_any_place_panics(
            line in any::<prop::sample::Index>(),
            value in prop::sample::select(vec!["", "{}", "[]", "~", "-1", "1e400", "nan", "9999999999999999999999s", "x", "[[]]", "{a: b}", "true", "99999999999999d"]),
        ) {
            let text = everything();
            let count = text.lines().filter(|line| line.contains(": ")).count();
            let target = line.index(count);
            let mut seen = 0;
            let changed: Vec<String> = text.lines().map(|line| {
                let Some((key, _)) = line.split_once(": ") else { return line.to_owned() };
                seen += 1;
                if seen - 1 == target { format!("{key}: {value}") } else { line.to_owned() }
            }).collect();
            survives(&changed.join("\n"), &[]);
        }

        #[test]
        fn no_override_panics(change in "[a-z.0-9-]{0,20}=?[-:{}\\[\\]&*'\"#, 0-9a-zé]{0,12}") {
            survives(&everything(), &[Override(change)]);
        }
    }
}
