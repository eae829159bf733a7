//! Draws curves as SVG.

use super::html::escaped;
use super::{Curve, Plot, number};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 200.0;
/// Space for the labels of the value axis.
const LEFT: f64 = 56.0;
const TOP: f64 = 14.0;
/// Space for the labels of the time axis.
const BOTTOM: f64 = 24.0;

/// Told apart by people who do not see all colours: Okabe and Ito, "Color universal design", 2008.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

pub(super) fn draw(plot: &Plot) -> String {
    let highest = plot.curves.iter().flat_map(|curve| curve.values.iter().flatten()).copied().fold(0.0, f64::max);
    let highest = if highest > 0.0 { highest } else { 1.0 };
    let floor = HEIGHT - BOTTOM;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" \
         font-size=\"11\" fill=\"currentColor\">",
        escaped(&plot.title)
    );
    for part in [0.0, 0.5, 1.0] {
        let y = floor - part * (floor - TOP);
        text += &format!(
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{WIDTH}\" y2=\"{y:.1}\" stroke=\"currentColor\" stroke-opacity=\"0.2\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            number(highest * part)
        );
    }
    for (at, curve) in plot.curves.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        for points in stretches(curve, highest) {
            text += &format!(
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" stroke-linecap=\"round\" points=\"{points}\"/>"
            );
        }
        let x = LEFT + 8.0 + at as f64 * 110.0;
        text += &format!("<text x=\"{x:.0}\" y=\"{:.0}\" fill=\"{colour}\">{}</text>", TOP - 3.0, escaped(&curve.name));
    }
    let y = HEIGHT - 8.0;
    text += &format!("<text x=\"{LEFT}\" y=\"{y}\">{}</text>", escaped(&plot.from));
    text += &format!("<text x=\"{WIDTH}\" y=\"{y}\" text-anchor=\"end\">{}</text></svg>", escaped(&plot.to));
    text
}

/// The points of each stretch without a gap. A value on its own becomes a dot.
fn stretches(curve: &Curve, highest: f64) -> Vec<String> {
    let steps = curve.values.len().saturating_sub(1).max(1) as f64;
    let point = |at: usize, value: f64| {
        let (x, y) = (at as f64 / steps, value / highest);
        format!("{:.1},{:.1}", LEFT + x * (WIDTH - LEFT), HEIGHT - BOTTOM - y * (HEIGHT - BOTTOM - TOP))
    };
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for (at, value) in curve.values.iter().enumerate() {
        match (value, all.last_mut()) {
            (Some(value), Some(open)) => open.push(point(at, *value)),
            _ => all.push(Vec::new()),
        }
    }
    let drawn = all.into_iter().filter(|points| !points.is_empty());
    drawn
        .map(
            |points| {
                if points.len() == 1 { [points[0].clone(), points[0].clone()].join(" ") } else { points.join(" ") }
            },
        )
        .collect()
}
