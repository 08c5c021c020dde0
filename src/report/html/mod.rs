//! The report as one HTML file: everything inline, nothing loaded, and all
//! that matters there without a script.

mod budget;
mod capacity;
mod checks;
mod findings;
mod page;
mod reactions;
mod tables;
mod timeline;
mod warnings;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, syntax::SyntaxConfig};

use super::{Input, ReportError};
use page::Page;

const TEMPLATE: &str = include_str!("../../../reports/template/report.html");

/// The report as HTML. What comes from the scenario and the target is only
/// ever text.
pub fn html(input: &Input<'_>) -> Result<String, ReportError> {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    templates.add_template("report.html", TEMPLATE)?;
    let page = Page::of(input)?;
    Ok(templates.get_template("report.html")?.render(minijinja::value::Serde(&page))?)
}
