//! The checks as JUnit's XML, for CI systems.
//!
//! What fails is a `failure`; what is inconclusive is an `error`, never
//! `skipped`: many a CI counts skipped tests as good ones.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::{Input, ReportError, text};
use crate::verdict::model::{CheckVerdict, Verdict};

/// The run as one test suite with a test case for each check, and one for the
/// run as a whole where it was aborted or has no check that tells of its end.
pub fn junit(input: &Input<'_>) -> Result<String, ReportError> {
    let verdict = input.verdict;
    let mut suite = TestSuite::new(verdict.scenario.as_str());
    suite.set_time(Duration::try_from_secs_f64(input.series.end).unwrap_or_default());
    for (name, value) in [
        ("run", verdict.run.as_str()),
        ("seed", &verdict.seed.to_string()),
        ("verdict", verdict.verdict.as_str()),
        ("exit-code", &verdict.exit_code.to_string()),
    ] {
        suite.add_property((name, value));
    }
    suite.add_test_cases(verdict.checks.iter().map(case));
    let told = verdict.checks.iter().any(|check| check.verdict == verdict.verdict);
    if !told || verdict.verdict == Verdict::Aborted {
        suite.add_test_case(whole(verdict.verdict, &verdict.why));
    }
    let mut report = Report::new("firedrill");
    report.add_test_suite(suite);
    let mut xml = report.to_string().map_err(|error| ReportError::Junit(error.to_string()))?;
    xml.push('\n');
    Ok(xml)
}

fn status(verdict: Verdict, why: &str, more: String) -> TestCaseStatus {
    let kind = match verdict {
        Verdict::Pass => return TestCaseStatus::success(),
        Verdict::Fail => NonSuccessKind::Failure,
        Verdict::Inconclusive | Verdict::Aborted => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(verdict.as_str()).set_message(XmlString::new(why)).set_description(XmlString::new(more));
    status
}

fn case(check: &CheckVerdict) -> TestCase {
    let mut lines =
        vec![format!("expected {}", check.expected), format!("observed {}", text::observed(check))];
    lines.extend(check.evidence.iter().map(|evidence| format!("{}: {}", evidence.source, evidence.what)));
    let mut case = TestCase::new(check.id.as_str(), status(check.verdict, &check.why, lines.join("\n")));
    case.set_classname(text::kind(check.kind));
    case
}

fn whole(verdict: Verdict, why: &str) -> TestCase {
    let mut case = TestCase::new("run", status(verdict, why, String::new()));
    case.set_classname("run");
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::{Health, aborted, nothing, run};

    fn xml(run: &crate::report::testing::Run) -> String {
        junit(&run.input()).expect("XML")
    }

    #[test]
    fn what_does_not_hold_is_never_a_success_and_never_skipped() {
        for run in [run(Health::Well), run(Health::Ill), aborted(), nothing()] {
            let text = xml(&run);
            let of = |verdict| run.verdict.checks.iter().filter(|check| check.verdict == verdict).count();
            assert_eq!(text.matches("<failure ").count(), of(Verdict::Fail), "{text}");
            let errors = text.matches("<error ").count();
            assert!(errors >= of(Verdict::Inconclusive), "{text}");
            assert!(!text.contains("<skipped"), "{text}");
            let good = run.verdict.verdict == Verdict::Pass;
            assert_eq!(!text.contains("<failure ") && errors == 0, good, "{text}");
        }
    }

    #[test]
    fn what_an_answer_said_can_not_break_the_xml() {
        let mut ill = run(Health::Ill);
        ill.verdict.checks[0].why = "<]]>&\u{0}\u{1b}[31m\"'".to_owned();
        ill.verdict.checks[0].verdict = Verdict::Fail;
        let text = xml(&ill);
        assert!(!text.contains('\u{0}') && !text.contains('\u{1b}'), "{text}");
        quick_junit::Report::deserialize_from_str(&text).expect("it reads back");
    }
}
