//! Throughput and latency against clients in flight.

use plotters::prelude::{
    ChartBuilder, Circle, Color as _, IntoSegmentedCoord as _, LineSeries, PathElement, SegmentValue,
    SeriesLabelPosition, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{RGBColor, WHITE};

use super::super::figures::{Figures, ThroughputFigures};
use super::{Area, BLUE, Drawn, INK, MESH, ORANGE, font, title};

/// Width and height in pixels.
pub(super) const SIZE: (u32, u32) = (760, 340);

/// Numbers of one kind, one for each number of clients.
struct Line<'a> {
    name: &'a str,
    color: RGBColor,
    /// Whether numbers are written above their points, or else below.
    above: bool,
    values: Vec<f64>,
}

/// Two charts side by side.
pub(super) fn draw(figures: &Figures, area: &Area<'_>) -> Drawn {
    let heading = format!("Online inferences with prepared sessions: {}", title(figures));
    let area = area.titled(&heading, font(17))?;
    let (left, right) = area.split_horizontally(SIZE.0 / 2);
    let levels = &figures.throughput;
    let line = |name, color, above, value: fn(&ThroughputFigures) -> f64| Line {
        name,
        color,
        above,
        values: levels.iter().map(value).collect(),
    };
    let throughput = [line("throughput", BLUE, true, |level| level.inferences_per_second)];
    chart(levels, &left, "inferences per second", &throughput)?;
    let latency = [
        line("p99", ORANGE, true, |level| level.p99_seconds * 1e3),
        line("p50", BLUE, false, |level| level.p50_seconds * 1e3),
    ];
    chart(levels, &right, "latency in ms", &latency)
}

fn chart(levels: &[ThroughputFigures], area: &Area<'_>, unit: &str, lines: &[Line<'_>]) -> Drawn {
    let most = lines.iter().flat_map(|line| &line.values).copied().fold(0.0, f64::max);
    let top = if most > 0.0 { most * 1.2 } else { 1.0 };
    let last = levels.len().saturating_sub(1);
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(42)
        .y_label_area_size(62)
        .build_cartesian_2d((0..last).into_segmented(), 0.0..top)?;
    let clients = |position: &SegmentValue<usize>| match position {
        SegmentValue::CenterOf(index) | SegmentValue::Exact(index) => {
            levels.get(*index).map(|level| level.clients.to_string()).unwrap_or_default()
        }
        SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(MESH)
        .axis_style(INK)
        .x_labels(levels.len())
        .x_label_formatter(&clients)
        .y_label_formatter(&|value| number(*value))
        .x_desc("clients in flight")
        .y_desc(unit)
        .label_style(font(13))
        .axis_desc_style(font(14))
        .draw()?;
    for line in lines {
        let points = || line.values.iter().enumerate().map(|(index, value)| (SegmentValue::CenterOf(index), *value));
        let color = line.color;
        let series = chart.draw_series(LineSeries::new(points(), color.stroke_width(2)))?;
        series.label(line.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        chart.draw_series(points().map(|point| Circle::new(point, 3, color.filled())))?;
        let (side, distance) = if line.above { (VPos::Bottom, -6) } else { (VPos::Top, 6) };
        let style = font(12).pos(Pos::new(HPos::Center, side));
        let plane = chart.plotting_area();
        for (point, value) in points().zip(&line.values) {
            let (x, y) = plane.map_coordinate(&point);
            area.draw(&Text::new(number(*value), relative(area, (x, y + distance)), style.clone()))?;
        }
    }
    if lines.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font(font(13))
            .border_style(MESH)
            .background_style(WHITE)
            .draw()?;
    }
    Ok(())
}

/// A place of the whole picture as a place of a part of it.
fn relative(area: &Area<'_>, (x, y): (i32, i32)) -> (i32, i32) {
    let (left, top) = area.get_base_pixel();
    (x - left, y - top)
}

/// Three digits, at least the whole ones.
fn number(value: f64) -> String {
    let decimals = match value {
        _ if value == value.round() => 0,
        _ if value >= 100.0 => 0,
        _ if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 0.5, 3.254, 12.34, 812.7, 5000.0].map(number), ["0", "0.50", "3.25", "12.3", "813", "5000"]);
    }
}
