//! The plot: bars that compare the servers, each with its spread, as SVG.

use std::path::Path;

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{
    Failure,
    table::{Measure, Series, Spread},
};

const WIDTH: u32 = 900;
const HEIGHT: u32 = 300;
const MARGIN: f64 = 40.0;
/// The y coordinate on which the bars stand.
const BASELINE: f64 = 250.0;
/// The height of the tallest bar.
const MAX_BAR_HEIGHT: f64 = 175.0;

const COLOURS: [RGBColor; 4] =
    [RGBColor(150, 150, 150), RGBColor(30, 110, 190), RGBColor(210, 130, 40), RGBColor(90, 150, 90)];

/// A measure of one workload, under a heading.
pub struct Panel<'a> {
    pub heading: &'a str,
    pub series: &'a Series,
    pub measure: Measure,
}

struct Bar<'a> {
    subject: &'a str,
    spread: Spread,
    colour: RGBColor,
}

/// Draws the panels side by side. A server has the same colour in all of them.
pub fn draw(path: &Path, panels: &[Panel]) -> Result<(), Failure> {
    let area = SVGBackend::new(path, (WIDTH, HEIGHT)).into_drawing_area();
    area.fill(&WHITE)?;
    let width = (f64::from(WIDTH) - MARGIN) / panels.len().max(1) as f64;
    for (number, panel) in panels.iter().enumerate() {
        let left = MARGIN / 2.0 + number as f64 * width;
        draw_text(&area, panel.heading, (left + width / 2.0, 25.0), 15)?;
        draw_bars(&area, &bars_of(panel), left, width)?;
    }
    area.present()?;
    Ok(())
}

fn bars_of<'a>(panel: &Panel<'a>) -> Vec<Bar<'a>> {
    let subjects = panel.series.subjects().into_iter().zip(COLOURS);
    subjects
        .filter_map(|(subject, colour)| {
            Some(Bar { subject, spread: panel.series.spread(subject, panel.measure)?, colour })
        })
        .collect()
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw_bars(area: &Area, bars: &[Bar], left: f64, width: f64) -> Result<(), Failure> {
    let greatest = bars.iter().map(|bar| bar.spread.most).fold(f64::MIN_POSITIVE, f64::max);
    let step = width / (bars.len().max(1) as f64 + 0.5);
    let height = |value: f64| BASELINE - value / greatest * MAX_BAR_HEIGHT;
    for (number, Bar { subject, spread, colour }) in bars.iter().enumerate() {
        let middle = left + (number as f64 + 0.75) * step;
        let (from, to) = (middle - step * 0.35, middle + step * 0.35);
        let corners = [pixel((from, height(spread.median))), pixel((to, BASELINE))];
        area.draw(&Rectangle::new(corners, colour.filled()))?;
        let whisker = [pixel((middle, height(spread.least))), pixel((middle, height(spread.most)))];
        area.draw(&PathElement::new(whisker.to_vec(), BLACK))?;
        draw_text(area, &short(spread.median), (middle, height(spread.most) - 10.0), 12)?;
        draw_text(area, subject, (middle, BASELINE + 15.0), 11)?;
    }
    Ok(())
}

fn draw_text(area: &Area, text: &str, position: (f64, f64), size: u32) -> Result<(), Failure> {
    let style = ("sans-serif", size).into_text_style(area).pos(Pos::new(HPos::Center, VPos::Center));
    area.draw(&Text::new(text.to_owned(), pixel(position), style))?;
    Ok(())
}

fn pixel((x, y): (f64, f64)) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

/// Formats a number with about three digits.
fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{:.2} M", value / 1e6),
        1e4.. => format!("{:.0} k", value / 1e3),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
