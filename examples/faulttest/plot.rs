//! The plot of a run, as SVG: deliveries and posts that had to be repeated over time, with the faults as bands. It has
//! no background, and colours that are legible on a light page and on a dark one.

use std::path::Path;

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{
    Failure,
    faults::{FaultRecord, Outcome},
    history::{At, History},
};

const WIDTH: u32 = 1_000;
const HEIGHT: u32 = 460;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 985.0;

/// The panels, from top to bottom in pixels: deliveries, posts repeated.
const DELIVERIES: (f64, f64) = (34.0, 190.0);
const REPEATED: (f64, f64) = (224.0, 300.0);

/// Where the names of the faults begin, which run down.
const NAMES: f64 = 322.0;

const INK: RGBColor = RGBColor(118, 118, 118);
const BLUE: RGBColor = RGBColor(59, 130, 226);
const RED: RGBColor = RGBColor(222, 72, 72);
const BAND: RGBColor = RGBColor(214, 150, 40);

/// The narrowest band, and the distance between two names, in pixels.
const MIN_BAND: f64 = 2.0;
const NAME_STEP: f64 = 11.0;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws the plot of a run.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(path: &Path, history: &History, faults: &[FaultRecord]) -> Result<(), Failure> {
    let area = SVGBackend::new(path, (WIDTH, HEIGHT)).into_drawing_area();
    let seconds = (history.ended / 1_000 + 1) as usize;
    let time = Axis { seconds: seconds as f64 };
    draw_faults(&area, history, faults, &time)?;
    let deliveries = history.chains.iter().flat_map(|chain| &chain.rooms).flat_map(|room| &room.deliveries);
    let deliveries = per_second(deliveries.map(|delivery| delivery.at), seconds);
    let repeated = per_second(history.failed_attempts.iter().map(|attempt| attempt.at), seconds);
    draw_panel(&area, "deliveries per second", DELIVERIES, BLUE, &deliveries, &time)?;
    draw_panel(&area, "posts refused or without an answer, per second", REPEATED, RED, &repeated, &time)?;
    draw_time(&area, &time)?;
    area.present()?;
    Ok(())
}

/// The horizontal axis.
struct Axis {
    seconds: f64,
}

impl Axis {
    fn x(&self, seconds: f64) -> f64 {
        LEFT + seconds / self.seconds * (RIGHT - LEFT)
    }
}

fn per_second(times: impl Iterator<Item = At>, seconds: usize) -> Vec<u32> {
    let mut counts = vec![0; seconds];
    for at in times {
        if let Some(count) = counts.get_mut((at / 1_000) as usize) {
            *count += 1;
        }
    }
    counts
}

fn draw_panel(
    area: &Area,
    heading: &str,
    (top, bottom): (f64, f64),
    colour: RGBColor,
    values: &[u32],
    time: &Axis,
) -> Result<(), Failure> {
    let greatest = f64::from(values.iter().copied().max().unwrap_or_default().max(1));
    let y = |value: u32| bottom - f64::from(value) / greatest * (bottom - top);
    let mut outline = vec![pixel((time.x(0.0), bottom))];
    for (second, value) in values.iter().enumerate() {
        let second = second as f64;
        outline.extend([pixel((time.x(second), y(*value))), pixel((time.x(second + 1.0), y(*value)))]);
    }
    outline.push(pixel((time.x(values.len() as f64), bottom)));
    area.draw(&Polygon::new(outline.clone(), colour.mix(0.25).filled()))?;
    area.draw(&PathElement::new(outline, colour))?;
    area.draw(&PathElement::new(vec![pixel((LEFT, bottom)), pixel((RIGHT, bottom))], INK))?;
    draw_text(area, heading, (LEFT, top - 12.0), HPos::Left, 13)?;
    draw_text(area, &format!("{greatest:.0}"), (LEFT - 6.0, top), HPos::Right, 11)?;
    draw_text(area, "0", (LEFT - 6.0, bottom), HPos::Right, 11)
}

/// Draws a band for each fault, with its name below.
fn draw_faults(area: &Area, history: &History, faults: &[FaultRecord], time: &Axis) -> Result<(), Failure> {
    let seconds = |at: At| f64::from(at) / 1_000.0;
    let mut free_from = f64::MIN;
    let mut ran: Vec<_> = faults.iter().filter(|fault| fault.outcome == Outcome::Ran).collect();
    ran.sort_by_key(|fault| fault.begun);
    for fault in ran {
        let left = time.x(seconds(history.clock.at(fault.begun)));
        let right = time.x(seconds(history.clock.at(fault.ended))).max(left + MIN_BAND);
        let corners = [pixel((left, DELIVERIES.0)), pixel((right, REPEATED.1))];
        area.draw(&Rectangle::new(corners, BAND.mix(0.3).filled()))?;
        let name = ((left + right) / 2.0).max(free_from);
        free_from = name + NAME_STEP;
        let style = ("sans-serif", 10).into_font().transform(FontTransform::Rotate90).color(&INK);
        area.draw(&Text::new(fault.name, pixel((name + 5.0, NAMES)), style))?;
    }
    Ok(())
}

/// Labels about ten moments of the time axis.
fn draw_time(area: &Area, time: &Axis) -> Result<(), Failure> {
    let step = [1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0].into_iter().find(|step| time.seconds / step <= 12.0);
    let step = step.unwrap_or(3_600.0);
    let mut second = 0.0;
    while second <= time.seconds {
        let text = if step < 60.0 {
            format!("{second:.0} s")
        } else {
            format!("{:.0} min", second / 60.0)
        };
        draw_text(area, &text, (time.x(second), REPEATED.1 + 12.0), HPos::Center, 11)?;
        second += step;
    }
    Ok(())
}

fn draw_text(area: &Area, text: &str, position: (f64, f64), anchor: HPos, size: u32) -> Result<(), Failure> {
    let style = ("sans-serif", size).into_text_style(area).color(&INK).pos(Pos::new(anchor, VPos::Center));
    area.draw(&Text::new(text.to_owned(), pixel(position), style))?;
    Ok(())
}

fn pixel((x, y): (f64, f64)) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}
