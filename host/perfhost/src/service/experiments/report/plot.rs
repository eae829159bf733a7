//! Plots of a report as inline SVG: the effect over time with what was not excluded, and effects by class.

use perfhost_strategy::experiment::Metric;

use super::super::record::Record;
use super::super::trail::Point;
use super::{change, class_row};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
/// Room for the numbers of the axis.
const LEFT: f64 = 110.0;
const ROW: f64 = 30.0;

/// The effect of each challenger over time; where one look decided, that one.
pub(super) fn over_time(record: &Record) -> String {
    let mut plots = String::new();
    for arm in record.experiment.spec().arms.iter().skip(1) {
        for (is_confirming, title) in [(false, "compared"), (true, "confirmed again")] {
            let is_shown = |point: &&Point| {
                point.challenger == arm.name && point.is_confirming == is_confirming && point.change.is_some()
            };
            let points: Vec<&Point> = record.trail.points.iter().filter(is_shown).collect();
            if !points.is_empty() {
                plots += &format!("<h3>{}, {title}</h3>\n", escape(&arm.name));
                plots += &curve(&record.experiment.spec().objective.metric, &points);
            }
        }
    }
    plots
}

fn curve(metric: &Metric, points: &[&Point]) -> String {
    // What is not excluded is wide at first. The axis shows what was left in the second half, and cuts the rest off.
    let late = &points[points.len() / 2..];
    let all = |points: &[&Point], of: fn(&Point) -> [Option<f64>; 3]| -> Vec<f64> {
        points.iter().flat_map(|point| of(point)).flatten().filter(|value| value.is_finite()).collect()
    };
    let mut values = all(late, |point| [point.change, point.lower, point.upper]);
    values.extend(all(points, |point| [point.change, None, None]));
    values.push(0.0);
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let margin = (highest - lowest).max(1e-9) * 0.08;
    let (lowest, highest) = (lowest - margin, highest + margin);
    let (first_ms, last_ms) = (points[0].at_ms, points[points.len() - 1].at_ms.max(points[0].at_ms + 1));
    let x = |at_ms: u64| LEFT + (WIDTH - LEFT) * (at_ms - first_ms) as f64 / (last_ms - first_ms) as f64;
    let y = |value: f64| HEIGHT * (1.0 - (value.clamp(lowest, highest) - lowest) / (highest - lowest));
    let line = |of: &dyn Fn(&Point) -> f64, points: &mut dyn Iterator<Item = &&Point>| -> String {
        points.map(|point| format!("{:.1},{:.1}", x(point.at_ms), y(of(point)))).collect::<Vec<_>>().join(" ")
    };
    let upper = line(&|point| point.upper.unwrap_or(highest), &mut points.iter());
    let lower = line(&|point| point.lower.unwrap_or(lowest), &mut points.iter().rev());
    let middle = line(&|point| point.change.unwrap_or(0.0), &mut points.iter());
    let last = points[points.len() - 1];
    let (last_lower, last_upper) = (y(last.lower.unwrap_or(lowest)), y(last.upper.unwrap_or(highest)));
    let seconds = (last_ms - first_ms) / 1_000;
    let label = |value: f64| {
        format!(
            "<text x='{:.0}' y='{:.1}' text-anchor='end'>{}</text>",
            LEFT - 6.0,
            y(value) + 4.0,
            escape(&change(metric, value))
        )
    };
    format!(
        "<svg viewBox='0 -10 {WIDTH} {}' role='img' aria-label='effect over time'>\n\
         <polygon class='band' points='{upper} {lower}'/>\n\
         <line class='zero' x1='{LEFT}' x2='{WIDTH}' y1='{zero:.1}' y2='{zero:.1}'/>\n\
         <polyline class='effect' points='{middle}'/>\n\
         <line class='range' x1='{x:.1}' x2='{x:.1}' y1='{last_lower:.1}' y2='{last_upper:.1}'/>\n\
         <circle class='mark' cx='{x:.1}' cy='{:.1}' r='4'/>\n{}{}{}\n\
         <text x='{LEFT}' y='{}'>start</text><text x='{WIDTH}' y='{}' text-anchor='end'>after {seconds} s</text>\n</svg>\n",
        HEIGHT + 40.0,
        y(last.change.unwrap_or(0.0)),
        label(highest - margin),
        label(0.0),
        label(lowest + margin),
        HEIGHT + 20.0,
        HEIGHT + 20.0,
        x = x(last.at_ms),
        zero = y(0.0),
    )
}

/// Effects by workload class.
pub(super) fn by_class(record: &Record) -> String {
    let metric = &record.experiment.spec().objective.metric;
    let effects = record.classes.effects(metric);
    if effects.is_empty() {
        return String::new();
    }
    let reach =
        effects.iter().flat_map(|effect| [effect.lower, effect.upper, effect.change]).filter(|value| value.is_finite());
    let reach = reach.fold(1e-9, |reach: f64, value| reach.max(value.abs()));
    let middle = (WIDTH + 3.0 * LEFT) / 2.0;
    let x = |value: f64| middle + value.clamp(-reach, reach) / reach * (WIDTH - middle - 10.0);
    let height = ROW * effects.len() as f64;
    let mut svg = format!(
        "<svg viewBox='0 0 {WIDTH} {height}' role='img' aria-label='effects by workload class'>\n\
         <line class='zero' x1='{middle}' x2='{middle}' y1='0' y2='{height}'/>\n"
    );
    for (at, effect) in effects.iter().enumerate() {
        let y = ROW * (at as f64 + 0.5);
        let row = class_row(record, metric, effect);
        svg += &format!(
            "<text x='0' y='{:.1}'>{}: {}</text>\n<line class='range' x1='{:.1}' x2='{:.1}' y1='{y:.1}' y2='{y:.1}'/>\n\
             <circle class='mark' cx='{:.1}' cy='{y:.1}' r='5'/>\n",
            y + 4.0,
            escape(&row[1]),
            escape(&row[0]),
            x(effect.lower),
            x(effect.upper),
            x(effect.change),
        );
    }
    svg + "</svg>\n"
}

/// Names of strategies are their authors' to choose; in a page they are text and nothing else.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_experiment_that_one_look_decided_has_a_plot_too() {
        let challenger = "retries=3".to_owned();
        let (change, lower, upper) = (Some(0.5), Some(0.25), None);
        let point = Point { at_ms: 7, challenger, change, lower, upper, samples: 900, is_confirming: false };
        let svg = curve(&Metric::Goodput, &[&point]);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(svg.matches("class='mark'").count(), 1, "{svg}");
    }
}
