//! The figures as pictures: scalable vector graphics on white, whose content depends on the figures alone.

mod throughput;
mod times;

use std::fs;
use std::io;
use std::path::Path;

use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::{DrawingArea, IntoDrawingArea as _, RGBColor, SVGBackend};
use plotters::style::{IntoFont as _, TextStyle, WHITE};

use crate::figures::Figures;
use crate::terminal::Failure;

/// Colours that differ for people who see red and green alike.
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(230, 130, 0);
const GREEN: RGBColor = RGBColor(0, 140, 105);
const PURPLE: RGBColor = RGBColor(170, 80, 145);
const GREY: RGBColor = RGBColor(150, 150, 150);
const INK: RGBColor = RGBColor(40, 40, 40);
/// Lines behind the data.
const MESH: RGBColor = RGBColor(225, 225, 225);

/// Characters of a network's name that titles have room for.
const LONGEST_NAME: usize = 30;

/// Place and height of titles in pixels.
const TITLE: ((i32, i32), u32) = ((14, 12), 19);

/// What drawing gives.
type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;

/// Where something is drawn.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Makes the folder, so that nobody waits for figures that cannot be written.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))
}

fn cannot_write(folder: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write pictures to {}", folder.display()), error)
}

/// Writes `throughput.svg`, if that was measured, and `time-by-kind.svg` into the folder.
pub(crate) fn write(figures: &Figures, folder: &Path) -> Result<(), Failure> {
    let mut pictures = vec![("time-by-kind.svg", picture(times::size(figures), |area| times::draw(figures, area))?)];
    if !figures.throughput.is_empty() {
        pictures.push(("throughput.svg", picture(throughput::SIZE, |area| throughput::draw(figures, area))?));
    }
    for (name, picture) in pictures {
        fs::write(folder.join(name), picture).map_err(|error| cannot_write(folder, &error))?;
    }
    Ok(())
}

/// A picture of a width and height, as text.
fn picture(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, Failure> {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
    let drawn = area.fill(&WHITE).and_then(|()| draw(&area)).and_then(|()| area.present());
    drawn.map_err(|error| Failure::new("cannot draw a picture", &error))?;
    drop(area);
    Ok(text)
}

/// Text of a height in pixels.
fn font(height: u32) -> TextStyle<'static> {
    ("sans-serif", height).into_font().color(&INK)
}

/// What the figures are of.
fn title(figures: &Figures) -> String {
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
