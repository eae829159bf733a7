//! Draws numbers in a terminal: sparklines, and line charts of dots (braille), or of plain characters where the output
//! is no terminal or cannot show more. Owns drawing only; what is drawn is the commands' business.

use std::io::IsTerminal;

/// Width where no terminal says another.
const USUAL_WIDTH: usize = 100;
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=200;

/// Heights of a sparkline's character, lowest first.
const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const PLAIN_BARS: [&str; 8] = ["_", ".", ":", "-", "=", "+", "*", "#"];

/// What the output can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canvas {
    /// Characters in a line.
    pub width: usize,
    /// Characters beyond ASCII can be shown.
    pub is_unicode: bool,
}

/// A line chart.
#[derive(Debug)]
pub struct Chart<'a> {
    /// Evenly spaced in time; `None` where nothing is known.
    pub values: &'a [Option<f64>],
    /// Lines of text that the curve takes.
    pub height: usize,
    /// Under the curve: where, as a share of the width from 0 to 1, and which sign.
    pub marks: &'a [(f64, char)],
    /// Labels at both ends of the time axis.
    pub ends: (&'a str, &'a str),
    /// How a number of the value axis is written.
    pub label: fn(f64) -> String,
}

impl Canvas {
    /// What the standard output can show.
    pub fn of_stdout() -> Self {
        let stdout = std::io::stdout();
        let locale =
            ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
        let is_utf8 = locale.is_some_and(|locale| locale.to_lowercase().replace('-', "").contains("utf8"));
        let columns = rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col));
        let width = columns.filter(|width| *width > 0).unwrap_or(USUAL_WIDTH);
        Self { width: width.clamp(*WIDTHS.start(), *WIDTHS.end()), is_unicode: is_utf8 && stdout.is_terminal() }
    }

    /// Values as one line of so many characters, each as high as its value is of `top`; blank where nothing is known.
    pub fn sparkline(&self, values: &[Option<f64>], top: f64, width: usize) -> String {
        let bars = if self.is_unicode { BARS } else { PLAIN_BARS };
        let bar = |value: Option<f64>| match value {
            None => " ",
            Some(value) if top > 0.0 => bars[(value / top * 8.0).clamp(0.0, 7.0) as usize],
            Some(_) => bars[0],
        };
        resampled(values, width.min(values.len().max(1))).into_iter().map(bar).collect()
    }

    /// A chart, as lines of text.
    pub fn chart(&self, chart: &Chart<'_>) -> Vec<String> {
        let top = chart.values.iter().flatten().copied().fold(0.0, f64::max);
        let (high, low) = ((chart.label)(top), (chart.label)(0.0));
        let margin = high.chars().count().max(low.chars().count());
        let width = self.width.saturating_sub(margin + 2).max(10);
        let (across, down) = if self.is_unicode { (2, 4) } else { (1, 1) };
        let mut dots = Dots::new(width * across, chart.height * down);
        dots.draw(&resampled(chart.values, width * across), top);
        let axis = if self.is_unicode { ["┤", "│", "└", "─"] } else { ["|", "|", "+", "-"] };
        let mut lines = Vec::new();
        for row in 0..chart.height {
            let label = match row {
                0 => &high,
                row if row + 1 == chart.height => &low,
                _ => "",
            };
            let tick = if label.is_empty() { axis[1] } else { axis[0] };
            let curve: String = (0..width).map(|column| dots.character(column, row, self.is_unicode)).collect();
            lines.push(format!("{label:>margin$} {tick}{}", curve.trim_end()));
        }
        lines.push(format!("{:margin$} {}{}", "", axis[2], axis[3].repeat(width)));
        if !chart.marks.is_empty() {
            lines.push(format!("{:margin$}  {}", "", self.marks(chart.marks, width)));
        }
        let gap = width.saturating_sub(chart.ends.0.chars().count() + chart.ends.1.chars().count());
        lines.push(format!("{:margin$}  {}{}{}", "", chart.ends.0, " ".repeat(gap), chart.ends.1));
        lines
    }

    /// A line of signs, each where its share of the width is.
    pub fn marks(&self, marks: &[(f64, char)], width: usize) -> String {
        let mut line = vec![' '; width];
        for (share, sign) in marks {
            let at = (share * width as f64) as usize;
            line[at.min(width - 1)] = *sign;
        }
        line.into_iter().collect::<String>().trim_end().to_owned()
    }
}

/// The mean of what is known in each of `count` even parts; with fewer values than parts, each value several times.
fn resampled(values: &[Option<f64>], count: usize) -> Vec<Option<f64>> {
    let part = |at: usize| {
        let (from, to) = (at * values.len() / count, (at + 1) * values.len() / count);
        let known: Vec<f64> =
            values.get(from..to.max(from + 1)).unwrap_or_default().iter().flatten().copied().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    (0..count).map(part).collect()
}

/// A grid of dots, eight of which make one character of braille.
struct Dots {
    width: usize,
    height: usize,
    is_set: Vec<bool>,
}

impl Dots {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, is_set: vec![false; width * height] }
    }

    /// One value a column, neighbours joined by a vertical line.
    fn draw(&mut self, values: &[Option<f64>], top: f64) {
        let highest = self.height - 1;
        let level = |value: f64| if top > 0.0 { (value / top * highest as f64).round() as usize } else { 0 };
        let mut before: Option<usize> = None;
        for (column, value) in values.iter().enumerate() {
            let now = value.map(|value| level(value).min(highest));
            if let Some(now) = now {
                let from = before.unwrap_or(now);
                let (low, high) = if from < now { (from + 1, now) } else { (now, from.saturating_sub(1).max(now)) };
                (low..=high).for_each(|level| self.is_set[(highest - level) * self.width + column] = true);
            }
            before = now;
        }
    }

    fn character(&self, column: usize, row: usize, is_unicode: bool) -> char {
        let is_set = |x: usize, y: usize| self.is_set.get(y * self.width + x).copied().unwrap_or(false);
        if !is_unicode {
            return if is_set(column, row) { '*' } else { ' ' };
        }
        // Bits of U+2800: the left column's upper three, the right column's upper three, then the lowest of both.
        let bits = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
        let set = bits.iter().enumerate().filter(|(_, (x, y))| is_set(column * 2 + x, row * 4 + y));
        let pattern = set.map(|(bit, _)| 1_u32 << bit).sum::<u32>();
        if pattern == 0 { ' ' } else { char::from_u32(0x2800 + pattern).unwrap_or(' ') }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNICODE: Canvas = Canvas { width: 20, is_unicode: true };
    const PLAIN: Canvas = Canvas { width: 20, is_unicode: false };

    fn known(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().map(|value| Some(*value)).collect()
    }

    fn chart<'a>(values: &'a [Option<f64>], marks: &'a [(f64, char)]) -> Chart<'a> {
        Chart { values, height: 4, marks, ends: ("0", "9 s"), label: |number| format!("{number:.0}") }
    }

    #[test]
    fn sparklines_fit_their_width_and_show_gaps() {
        let mut values = known(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0]);
        assert_eq!(UNICODE.sparkline(&values, 8.0, 20), "▁▂▃▄▅▆▇█");
        values[3] = None;
        assert_eq!(PLAIN.sparkline(&values, 8.0, 20), "_.: =+*#");
        assert_eq!(UNICODE.sparkline(&values, 8.0, 4).chars().count(), 4);
        assert_eq!(
            (UNICODE.sparkline(&known(&[0.0]), 0.0, 5), UNICODE.sparkline(&[], 1.0, 5)),
            ("▁".into(), " ".into())
        );
    }

    #[test]
    fn a_rising_line_rises_in_both_sets_of_characters() {
        let values = known(&[0.0, 1.0, 2.0, 3.0]);
        let lines = PLAIN.chart(&chart(&values, &[(0.0, '^'), (1.0, 'x')]));
        assert_eq!(lines[0].rfind('*'), Some(lines[0].len() - 1), "{lines:#?}");
        assert!(lines[3].contains('*') && lines[3].find('*') < lines[0].find('*'));
        assert!(lines[5].starts_with("   ^") && lines[5].ends_with('x') && lines[6].ends_with("9 s"));
        for canvas in [UNICODE, PLAIN] {
            let lines = canvas.chart(&chart(&values, &[]));
            assert!(lines.len() == 6 && lines.iter().all(|line| line.chars().count() <= 20), "{lines:#?}");
        }
        assert!(UNICODE.chart(&chart(&values, &[]))[0].chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)));
        assert!(PLAIN.chart(&chart(&values, &[])).iter().all(|line| line.is_ascii()));
    }

    #[test]
    fn nothing_known_is_an_empty_chart() {
        assert_eq!(UNICODE.chart(&chart(&[None, None], &[]))[0], "0 ┤");
        assert_eq!(UNICODE.chart(&chart(&[], &[])).len(), 6);
    }
}
