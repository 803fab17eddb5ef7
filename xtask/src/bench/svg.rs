// SPDX-License-Identifier: Apache-2.0
//! A figure as a picture: our bar, the peer's bar, and from where to where each of them went.
//!
//! Bars begin at zero and share one scale. Nothing is drawn that is not in the figure.

use super::table::{number, values};
use groundstate_tests::compare::{Figure, Side, Spread};
use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
/// Where bars begin: names stand before them.
const LEFT: f64 = 60.0;
/// Room behind the longest bar, for its words.
const RIGHT: f64 = 230.0;
const ROW: f64 = 30.0;
const BAR: f64 = 18.0;
const OURS: &str = "#1f6f54";
const PEER: &str = "#8a8f98";

/// The picture; none of a figure without values.
pub(super) fn bars(figure: &Figure) -> Option<String> {
    let mut rows: Vec<(&str, &Side, &str)> = vec![("ours", &figure.ours, OURS)];
    rows.extend(figure.peer.iter().map(|peer| ("peer", peer, PEER)));
    let spreads: Vec<Spread> = rows
        .iter()
        .map(|(_, side, _)| Spread::of(&side.values))
        .collect::<Option<_>>()?;
    let most = spreads.iter().map(|spread| spread.max).fold(0.0, f64::max);
    let scale = if most > 0.0 {
        (WIDTH - LEFT - RIGHT) / most
    } else {
        0.0
    };
    let mut out = String::new();
    let mut y = 0.0;
    for ((name, side, colour), spread) in rows.iter().zip(&spreads) {
        row(
            &mut out,
            y,
            name,
            colour,
            *spread,
            scale,
            &values(&side.values, &figure.unit),
        );
        y += ROW;
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" height=\"{y}\" role=\"img\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<title>{}</title>\n{out}</svg>\n",
        escaped(&figure.name)
    ))
}

fn row(
    out: &mut String,
    y: f64,
    name: &str,
    colour: &str,
    spread: Spread,
    scale: f64,
    words: &str,
) {
    let middle = y + ROW / 2.0;
    let (top, text) = (middle - BAR / 2.0, middle + 4.5);
    let at = |value: f64| number_of_pixels(LEFT + value * scale);
    let (from, to, end) = (
        at(spread.min),
        at(spread.max),
        number_of_pixels(spread.median * scale),
    );
    let behind = number_of_pixels(LEFT + spread.max * scale + 8.0);
    // Writing to a String cannot fail.
    let _written = write!(
        out,
        "<text x=\"0\" y=\"{text}\">{name}</text>\n\
         <rect x=\"{LEFT}\" y=\"{top}\" width=\"{end}\" height=\"{BAR}\" fill=\"{colour}\"/>\n\
         <path d=\"M{from} {middle}H{to}M{from} {}V{}M{to} {}V{}\" stroke=\"#111\" fill=\"none\"/>\n\
         <text x=\"{behind}\" y=\"{text}\">{}</text>\n",
        middle - 5.0,
        middle + 5.0,
        middle - 5.0,
        middle + 5.0,
        escaped(words)
    );
}

fn number_of_pixels(value: f64) -> String {
    format!("{value:.1}")
}

/// Text that is no markup.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The goal of a ratio as words beside the picture.
pub(super) fn ratio(figure: &Figure) -> Option<String> {
    let found = Spread::of(&figure.ratios)?;
    Some(format!(
        "{} {} ({} to {})",
        figure.ratio_of,
        number(found.median),
        number(found.min),
        number(found.max)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bars_share_a_scale_and_words_are_no_markup() {
        let figure = Figure::new("a < b & c", "ms", "us", vec![10.0, 20.0, 30.0]).against(
            "them",
            vec![40.0, 43.0, 41.0],
            "x",
            vec![],
        );
        let drawn = bars(&figure).unwrap();
        assert!(drawn.contains("<title>a &lt; b &amp; c</title>"), "{drawn}");
        // 430 pixels are the longest value, 43.
        assert!(
            drawn.contains("width=\"200.0\"") && drawn.contains("width=\"410.0\""),
            "{drawn}"
        );
        assert!(drawn.contains("M160.0 15H360.0"), "{drawn}");
        assert_eq!(bars(&Figure::missing("x", "y".to_owned())), None);
        assert!(bars(&Figure::new("zero", "bytes", "us", vec![0.0])).is_some());
    }
}
