//! Journal and verdict → HTML, PNG, terminal. Pure but for [`write_all`]: the
//! same input gives the same bytes, wherever and whenever.

mod capacity;
mod figures;
mod html;
mod png;
mod terminal;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
mod timeline;

use std::{fs, io, path::Path};

pub use html::html;
pub use png::summary_png;
pub use terminal::terminal;

use crate::{
    journal::RunRecord,
    plan::Plan,
    verdict::{Series, model::RunVerdict},
};

/// All that a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What was to be done.
    pub plan: &'a Plan,
    /// What happened.
    pub record: &'a RunRecord,
    /// What was judged from it.
    pub verdict: &'a RunVerdict,
    /// The same on one clock, for charts.
    pub series: &'a Series,
    /// `environment.json`.
    pub environment: &'a serde_json::Value,
    /// The scenario as it was given.
    pub scenario_yaml: &'a str,
}

/// What can go wrong with a report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The template, or what was put into it.
    #[error("render the HTML report: {0}")]
    Template(#[from] minijinja::Error),
    /// A figure that JSON can't hold.
    #[error("write the report's data: {0}")]
    Data(#[from] serde_json::Error),
    /// A chart.
    #[error("draw the {chart} chart: {why}")]
    Draw {
        /// Which.
        chart: &'static str,
        /// What the drawing library said.
        why: String,
    },
    /// A file.
    #[error("write the report: {0}")]
    Io(#[from] io::Error),
}

/// Writes `report.html`, `summary.png` and `charts/*.png` into `dir`.
pub fn write_all(dir: &Path, input: &Input<'_>) -> Result<(), ReportError> {
    fs::write(dir.join("report.html"), html(input)?)?;
    fs::write(dir.join("summary.png"), summary_png(input)?)?;
    let charts = dir.join("charts");
    fs::create_dir_all(&charts)?;
    for (name, bytes) in png::charts(input)? {
        fs::write(charts.join(format!("{name}.png")), bytes)?;
    }
    Ok(())
}
