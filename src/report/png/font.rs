//! The bundled font, and how wide a text is in it.

use std::sync::OnceLock;

use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

/// Its name in plotters.
const FAMILY: &str = "report";
/// Height of a line over its em: plotters takes the former as a font's size.
const LINE_OVER_EM: f64 = 3408.0 / 2816.0;

/// The font at an em size in pixels.
pub(super) fn font(size: f64, bold: bool) -> FontDesc<'static> {
    static REGISTERED: OnceLock<()> = OnceLock::new();
    REGISTERED.get_or_init(|| {
        let faces = [
            (FontStyle::Normal, &include_bytes!("../../../reports/fonts/Inter-Regular.otf")[..]),
            (FontStyle::Bold, &include_bytes!("../../../reports/fonts/Inter-SemiBold.otf")[..]),
        ];
        for (style, bytes) in faces {
            // A face that could not be read would show as missing text; the
            // tests draw with both.
            let _ = register_font(FAMILY, style, bytes);
        }
    });
    let style = if bold { FontStyle::Bold } else { FontStyle::Normal };
    FontDesc::new(FontFamily::Name(FAMILY), size * LINE_OVER_EM, style)
}

/// Plotters' size of a font with this em size: half of it is where it puts
/// the baseline.
pub(super) fn line_size(size: f64) -> f64 {
    size * LINE_OVER_EM
}

/// `text` in letters that the font has, or as close as they come.
pub(super) fn letters(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{202f}' | '\u{a0}' | '\u{2009}' => ' ',
            '✔' => '✓',
            '✘' => '✗',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}

/// How wide a line of text is, in pixels.
pub(super) fn width(text: &str, size: f64, bold: bool) -> f64 {
    // Measured large, as widths come in whole pixels.
    let scale = 16.0;
    let measured = font(size * scale, bold).layout_box(text);
    measured.map_or(0.0, |((left, _), (right, _))| f64::from(right - left) / scale)
}

/// `text` cut to a width, with an ellipsis where something is missing. Empty
/// where not even three letters fit.
pub(super) fn fit(text: &str, size: f64, bold: bool, room: f64) -> String {
    if width(text, size, bold) <= room {
        return text.to_owned();
    }
    let mut cut: String = text.to_owned();
    while cut.chars().count() > 3 {
        cut.pop();
        let shown = format!("{}…", cut.trim_end());
        if width(&shown, size, bold) <= room {
            return shown;
        }
    }
    String::new()
}

/// `text` in lines no wider than `room`, at most `most` of them.
pub(super) fn wrap(text: &str, size: f64, bold: bool, room: f64, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut words = text.split_whitespace().peekable();
    while words.peek().is_some() && lines.len() < most {
        let mut line = String::new();
        while let Some(word) = words.peek() {
            let longer = if line.is_empty() { (*word).to_owned() } else { format!("{line} {word}") };
            if !line.is_empty() && width(&longer, size, bold) > room {
                break;
            }
            line = longer;
            words.next();
        }
        if lines.len() + 1 == most && words.peek().is_some() {
            let rest: Vec<&str> = words.by_ref().collect();
            line = format!("{line} {}", rest.join(" "));
        }
        lines.push(fit(&line, size, bold, room));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_widths_and_fit() {
        assert!(width("wide", 12.0, false) > width("wid", 12.0, false));
        assert!(width("wide", 12.0, true) > width("wide", 12.0, false));
        let cut = fit("a rather long name of a breaker", 12.0, false, 80.0);
        assert!(cut.ends_with('…') && width(&cut, 12.0, false) <= 80.0, "{cut}");
        assert_eq!(fit("word", 12.0, false, 3.0), "");
    }

    #[test]
    fn wrapped_text_keeps_its_words_and_its_room() {
        let text = "one two three four five six seven eight nine ten";
        let lines = wrap(text, 12.0, false, 90.0, 9);
        assert_eq!(lines.join(" "), text);
        assert!(lines.iter().all(|line| width(line, 12.0, false) <= 90.0));
        let cut = wrap(text, 12.0, false, 90.0, 2);
        assert!(cut.len() == 2 && cut[1].ends_with('…'), "{cut:?}");
    }
}
