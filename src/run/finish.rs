//! From a closed journal to the verdict and the report. Also all that
//! `firedrill report` does: nothing here knows whether the run was live.

use std::path::Path;

use super::RunError;
use crate::{
    journal::{RunFolder, RunRecord, reader},
    plan::Plan,
    report,
    verdict::{self, model::RunVerdict},
};

/// A run, read back and judged.
#[derive(Debug)]
pub(super) struct Judged {
    plan: Plan,
    record: RunRecord,
    series: verdict::Series,
    environment: serde_json::Value,
    scenario_yaml: String,
    pub(super) verdict: RunVerdict,
}

impl Judged {
    /// Reads a run's folder and judges it.
    pub(super) fn read(folder: &RunFolder) -> Result<Self, RunError> {
        let plan: Plan = serde_json::from_str(&folder.read("plan.json")?)?;
        let environment = serde_json::from_str(&folder.read("environment.json")?)?;
        let scenario_yaml = folder.read("scenario.yaml")?;
        let record = reader::read(folder)?;
        let verdict = verdict::judge(&plan, &record);
        let series = verdict::series(&plan, &record);
        Ok(Self { plan, record, series, environment, scenario_yaml, verdict })
    }

    fn input(&self) -> report::Input<'_> {
        report::Input {
            plan: &self.plan,
            record: &self.record,
            verdict: &self.verdict,
            series: &self.series,
            environment: &self.environment,
            scenario_yaml: &self.scenario_yaml,
        }
    }

    /// Writes the verdict and the report into `out`, in these formats.
    pub(super) fn write(&self, out: &Path, formats: &[report::Format]) -> Result<(), RunError> {
        std::fs::create_dir_all(out).map_err(report::ReportError::from)?;
        Ok(report::write(out, &self.input(), formats)?)
    }

    /// The chain of evidence of a check, or a line for each. The error has the
    /// ids that there are.
    pub(super) fn explain(&self, check: Option<&str>) -> Result<String, Vec<String>> {
        let ids = || self.verdict.checks.iter().map(|check| check.id.to_string());
        match check {
            Some(id) => report::explain(&self.input(), id).ok_or_else(|| ids().collect()),
            None => Ok(report::list(&self.input())),
        }
    }

    /// The summary for a terminal.
    pub(super) fn summary(&self, colour: bool, width: usize) -> String {
        report::terminal(&self.input(), colour, width)
    }
}
