//! Horizontal bars on a logarithmic scale, and lines over two, as SVG.

use crate::report::micros;
use std::fmt::Write;

pub struct Bar {
    pub label: String,
    pub micros: f64,
    /// Weir's own figures stand out.
    pub ours: bool,
}

const WIDTH: f64 = 900.0;
const LABELS: f64 = 380.0;
const ROW: f64 = 24.0;
const TOP: f64 = 48.0;

/// One bar per figure, in the given order.
pub fn bars(title: &str, bars: &[Bar]) -> String {
    let finite = || bars.iter().map(|bar| bar.micros).filter(|micros| micros.is_finite() && *micros > 0.0);
    let decade = |value: f64| value.log10();
    let low = decade(finite().fold(f64::INFINITY, f64::min)).floor();
    let high = decade(finite().fold(1.0, f64::max)).ceil().max(low + 1.0);
    let x = |value: f64| LABELS + (decade(value) - low) / (high - low) * (WIDTH - LABELS - 90.0);
    let height = TOP + ROW * bars.len() as f64 + 30.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"8\" y=\"24\" font-size=\"16\">{}</text>\n",
        escape(title)
    );
    for tick in low as i32..=high as i32 {
        let at = x(10f64.powi(tick));
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" y1=\"{}\" x2=\"{at:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#666\">{}</text>",
            TOP - 8.0,
            height - 24.0,
            height - 8.0,
            micros(10f64.powi(tick))
        );
    }
    for (at, bar) in bars.iter().enumerate().filter(|(_, bar)| bar.micros.is_finite() && bar.micros > 0.0) {
        let y = TOP + ROW * at as f64;
        let end = x(bar.micros);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LABELS}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LABELS - 8.0,
            y + 13.0,
            escape(&bar.label),
            (end - LABELS).max(1.0),
            ROW - 8.0,
            if bar.ours { "#1b7f5c" } else { "#9aa7b4" },
            end + 6.0,
            y + 13.0,
            micros(bar.micros)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// A line over x and y, both on logarithmic scales.
pub struct Series {
    pub label: String,
    /// x, and microseconds.
    pub points: Vec<(f64, f64)>,
}

/// Lines told apart by colour and by the order of the legend, which is that of their ends.
pub fn lines(title: &str, series: &[Series]) -> String {
    const COLOURS: [&str; 9] =
        ["#1b7f5c", "#2f6fb7", "#b7472a", "#8a5fbf", "#a8831c", "#3b3b3b", "#d0589b", "#4aa3a2", "#7a8b2a"];
    const HEIGHT: f64 = 440.0;
    const LEFT: f64 = 70.0;
    const RIGHT: f64 = 560.0;
    const BOTTOM: f64 = HEIGHT - 40.0;
    let all = || series.iter().flat_map(|series| &series.points).filter(|(x, y)| *x > 0.0 && *y > 0.0);
    let range = |of: fn(&(f64, f64)) -> f64| {
        let (low, high) = all().map(of).fold((f64::INFINITY, 1.0_f64), |(low, high), v| (low.min(v), high.max(v)));
        (low.log10().floor(), high.log10().ceil().max(low.log10().floor() + 1.0))
    };
    let ((left, right), (low, high)) = (range(|point| point.0), range(|point| point.1));
    let x = |value: f64| LEFT + (value.log10() - left) / (right - left) * (RIGHT - LEFT);
    let y = |value: f64| BOTTOM - (value.log10() - low) / (high - low) * (BOTTOM - TOP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"8\" y=\"24\" font-size=\"16\">{}</text>\n",
        escape(title)
    );
    for tick in low as i32..=high as i32 {
        let at = y(10f64.powi(tick));
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{RIGHT}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#666\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            micros(10f64.powi(tick))
        );
    }
    for tick in left as i32..=right as i32 {
        let at = x(10f64.powi(tick));
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{BOTTOM}\" stroke=\"#ddd\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#666\">{}</text>",
            BOTTOM + 18.0,
            10f64.powi(tick)
        );
    }
    let end = |series: &Series| series.points.last().map_or(0.0, |point| point.1);
    let mut legend: Vec<(&Series, &str)> = series.iter().zip(COLOURS.into_iter().cycle()).collect();
    legend.sort_by(|(a, _), (b, _)| end(b).total_cmp(&end(a)));
    for (at, (series, colour)) in legend.into_iter().enumerate() {
        let path: Vec<String> =
            series.points.iter().map(|&(rows, time)| format!("{:.1},{:.1}", x(rows), y(time))).collect();
        let line = TOP + 20.0 * at as f64 + 6.0;
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <rect x=\"{}\" y=\"{:.1}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"{:.1}\">{}</text>",
            path.join(" "),
            RIGHT + 20.0,
            line - 4.0,
            RIGHT + 40.0,
            line + 2.0,
            escape(&series.label)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_latencies_have_longer_bars() {
        let bar = |micros| Bar { label: "a < b".to_owned(), micros, ours: false };
        let svg = bars("t", &[bar(10.0), bar(1000.0)]);
        assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
        let widths: Vec<f64> = svg.split("width=\"").filter_map(|rest| rest.split('"').next()?.parse().ok()).collect();
        assert!(widths.len() >= 2 && widths[widths.len() - 1] > widths[widths.len() - 2]);
    }
}
