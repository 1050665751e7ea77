//! The plots: bars that compare the servers, each with its spread, as SVG for light and for dark pages.

use std::path::Path;

use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{
    Failure,
    table::{Measure, Series, Spread},
};

const COLUMNS: usize = 2;
const PANEL_WIDTH: usize = 450;
const BAR_STEP: usize = 20;
const BAR_HEIGHT: usize = 12;
/// The space of a panel for its heading, and below its bars.
const HEADING_HEIGHT: usize = 34;
const GAP: usize = 16;
/// Where bars begin within a panel, and how long the longest is.
const NAMES_WIDTH: usize = 150;
const BAR_LENGTH: f64 = 225.0;

const OURS: RGBColor = RGBColor(30, 110, 190);

/// The colours of a page.
#[derive(Clone, Copy)]
pub struct Theme {
    background: RGBColor,
    text: RGBColor,
    others: RGBColor,
}

pub const LIGHT: Theme = Theme {
    background: RGBColor(255, 255, 255),
    text: RGBColor(30, 30, 30),
    others: RGBColor(175, 175, 175),
};

pub const DARK: Theme = Theme {
    background: RGBColor(13, 17, 23),
    text: RGBColor(230, 237, 243),
    others: RGBColor(110, 118, 129),
};

/// A measure of one workload, under a heading.
pub struct Panel<'a> {
    pub heading: &'a str,
    pub series: &'a Series,
    pub measure: Measure,
}

struct Bar<'a> {
    subject: &'a str,
    spread: Spread,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Draws the panels in two columns.
pub fn draw(path: &Path, panels: &[Panel], theme: Theme) -> Result<(), Failure> {
    let bars: Vec<Vec<Bar>> = panels.iter().map(bars_of).collect();
    let most = bars.iter().map(Vec::len).max().unwrap_or_default();
    let height = HEADING_HEIGHT + most * BAR_STEP + GAP;
    let size = (COLUMNS * PANEL_WIDTH, panels.len().div_ceil(COLUMNS) * height);
    let area = SVGBackend::new(path, (u32::try_from(size.0)?, u32::try_from(size.1)?)).into_drawing_area();
    area.fill(&theme.background)?;
    for (number, (panel, bars)) in panels.iter().zip(&bars).enumerate() {
        let (left, top) = (number % COLUMNS * PANEL_WIDTH, number / COLUMNS * height);
        draw_text(&area, theme, panel.heading, (left + GAP, top + HEADING_HEIGHT / 2), (HPos::Left, 15))?;
        draw_bars(&area, theme, bars, (left, top + HEADING_HEIGHT))?;
    }
    area.present()?;
    Ok(())
}

fn bars_of<'a>(panel: &Panel<'a>) -> Vec<Bar<'a>> {
    let subjects = panel.series.subjects().into_iter();
    subjects
        .filter_map(|subject| Some(Bar { subject, spread: panel.series.spread(subject, panel.measure)? }))
        .collect()
}

fn draw_bars(area: &Area, theme: Theme, bars: &[Bar], (left, top): (usize, usize)) -> Result<(), Failure> {
    let greatest = bars.iter().map(|bar| bar.spread.most).fold(f64::MIN_POSITIVE, f64::max);
    let begin = left + NAMES_WIDTH;
    let end = |value: f64| begin + (value / greatest * BAR_LENGTH).round() as usize;
    for (number, Bar { subject, spread }) in bars.iter().enumerate() {
        let top = top + number * BAR_STEP;
        let middle = top + BAR_HEIGHT / 2;
        let colour = if subject.starts_with("tiny-chat") { OURS } else { theme.others };
        let corners = [pixel((begin, top)), pixel((end(spread.median), top + BAR_HEIGHT))];
        area.draw(&Rectangle::new(corners, colour.filled()))?;
        let whisker = [pixel((end(spread.least), middle)), pixel((end(spread.most), middle))];
        area.draw(&PathElement::new(whisker.to_vec(), theme.text))?;
        draw_text(area, theme, subject, (begin - 6, middle), (HPos::Right, 11))?;
        draw_text(area, theme, &short(spread.median), (end(spread.most) + 6, middle), (HPos::Left, 11))?;
    }
    Ok(())
}

fn draw_text(
    area: &Area,
    theme: Theme,
    text: &str,
    position: (usize, usize),
    (anchor, size): (HPos, u32),
) -> Result<(), Failure> {
    let style = ("sans-serif", size).into_text_style(area).color(&theme.text).pos(Pos::new(anchor, VPos::Center));
    area.draw(&Text::new(text.to_owned(), pixel(position), style))?;
    Ok(())
}

fn pixel((x, y): (usize, usize)) -> (i32, i32) {
    (i32::try_from(x).unwrap_or(i32::MAX), i32::try_from(y).unwrap_or(i32::MAX))
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
