//! Journal and verdict → HTML, PNG, Markdown, JUnit, CSV, terminal. Pure but for
//! [`write()`]: the
//! same input gives the same bytes, wherever and whenever.

mod capacity;
mod csv;
mod explain;
mod figures;
mod html;
mod junit;
mod markdown;
mod png;
mod reactions;
mod terminal;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
mod timeline;
pub(crate) mod words;

use std::{fs, io, path::Path};

pub use csv::csv;
pub use explain::{explain, list};
pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
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
    /// What XML can't hold.
    #[error("write the JUnit report: {0}")]
    Junit(String),
    /// A file.
    #[error("write the report: {0}")]
    Io(#[from] io::Error),
}

/// A form of the report, one file or folder each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `report.html`: one file, no network.
    Html,
    /// `summary.png` and `charts/*.png`.
    Png,
    /// `report.md`.
    Md,
    /// `junit.xml`.
    Junit,
    /// `verdict.json`.
    Json,
    /// `seconds.csv`.
    Csv,
}

impl Format {
    /// All of them, the smallest that matter most first: a disk may be full.
    pub const ALL: [Self; 6] = [Self::Json, Self::Junit, Self::Md, Self::Csv, Self::Html, Self::Png];
}

/// Writes the report into `dir`, in these formats.
pub fn write(dir: &Path, input: &Input<'_>, formats: &[Format]) -> Result<(), ReportError> {
    for format in formats {
        match format {
            Format::Html => fs::write(dir.join("report.html"), html(input)?)?,
            Format::Png => {
                fs::write(dir.join("summary.png"), summary_png(input)?)?;
                let charts = dir.join("charts");
                fs::create_dir_all(&charts)?;
                for (name, bytes) in png::charts(input)? {
                    fs::write(charts.join(format!("{name}.png")), bytes)?;
                }
            }
            Format::Md => fs::write(dir.join("report.md"), markdown(input))?,
            Format::Junit => fs::write(dir.join("junit.xml"), junit(input)?)?,
            Format::Json => {
                let mut json = serde_json::to_vec_pretty(input.verdict)?;
                json.push(b'\n');
                fs::write(dir.join("verdict.json"), json)?;
            }
            Format::Csv => fs::write(dir.join("seconds.csv"), csv(input))?,
        }
    }
    Ok(())
}
