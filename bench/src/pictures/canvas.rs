//! What all pictures share: colours, text, titles, and the area that they are drawn on.

use std::io;

use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::{DrawingArea, IntoDrawingArea as _, RGBColor, SVGBackend};
use plotters::style::{IntoFont as _, TextStyle, WHITE};

use crate::figures::Figures;
use crate::terminal::Failure;

/// Colours that differ for people who see red and green alike.
pub(super) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(super) const ORANGE: RGBColor = RGBColor(230, 130, 0);
pub(super) const GREEN: RGBColor = RGBColor(0, 140, 105);
pub(super) const PURPLE: RGBColor = RGBColor(170, 80, 145);
pub(super) const GREY: RGBColor = RGBColor(150, 150, 150);
pub(super) const INK: RGBColor = RGBColor(40, 40, 40);
/// Lines behind the data.
pub(super) const MESH: RGBColor = RGBColor(225, 225, 225);

/// Characters of a network's name that titles have room for.
const LONGEST_NAME: usize = 30;

/// Place and height of titles in pixels.
pub(super) const TITLE: ((i32, i32), u32) = ((14, 12), 19);

/// What drawing gives.
pub(super) type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;

/// Where something is drawn.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A picture of a width and height, as text.
pub(super) fn picture(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, Failure> {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
    let drawn = area.fill(&WHITE).and_then(|()| draw(&area)).and_then(|()| area.present());
    drawn.map_err(|error| Failure::new("cannot draw a picture", &error))?;
    drop(area);
    Ok(text)
}

/// Text of a height in pixels.
pub(super) fn font(height: u32) -> TextStyle<'static> {
    ("sans-serif", height).into_font().color(&INK)
}

/// What the figures are of.
pub(super) fn title(figures: &Figures) -> String {
    let name = figures.name();
    let mut title: String = name.strip_suffix(".onnx").unwrap_or(&name).chars().take(LONGEST_NAME).collect();
    if let Some(threads) = figures.threads {
        title += &format!(", {threads} thread{}", if threads == 1 { "" } else { "s" });
    }
    if let Some(network) = &figures.network {
        let (rate, delay) = (network.bits_per_second / 1e6, network.round_trip_seconds * 1e3);
        title += &format!(", {rate} Mbit/s, {delay} ms round trip");
    }
    title
}
