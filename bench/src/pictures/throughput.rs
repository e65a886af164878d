//! Throughput and latency against clients in flight.

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::{
    ChartBuilder, Circle, Color as _, IntoLogRange as _, IntoSegmentedCoord as _, LineSeries, PathElement, Ranged,
    SegmentValue, SeriesLabelPosition, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{RGBColor, WHITE};

use super::canvas::{Area, BLUE, Drawn, INK, MESH, ORANGE, TITLE, font, title};
use crate::figures::{Figures, ThroughputFigures};

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
    let (place, height) = TITLE;
    area.draw(&Text::new(format!("Online inferences: {}", title(figures)), place, font(height)))?;
    charts(&figures.throughput, &area.margin(36, 0, 0, 0))
}

fn charts(levels: &[ThroughputFigures], area: &Area<'_>) -> Drawn {
    let (left, right) = area.split_horizontally(SIZE.0 / 2);
    let line = |name, color, above, value: fn(&ThroughputFigures) -> f64| Line {
        name,
        color,
        above,
        values: levels.iter().map(value).collect(),
    };
    let throughput = [line("throughput", BLUE, true, |level| level.inferences_per_second)];
    chart(levels, &left, "inferences per second", 0.0..1.2 * highest(&throughput), &throughput)?;
    let latency = [
        line("p99", ORANGE, true, |level| level.p99_seconds * 1e3),
        line("p50", BLUE, false, |level| level.p50_seconds * 1e3),
    ];
    // From the fastest to the slowest there may be three orders of magnitude.
    let lowest = latency[1].values.iter().copied().fold(highest(&latency), f64::min).max(1e-6);
    chart(levels, &right, "latency in ms", (0.5 * lowest..3.0 * highest(&latency)).log_scale(), &latency)
}

/// The largest of all numbers, and more than 0.
fn highest(lines: &[Line<'_>]) -> f64 {
    lines.iter().flat_map(|line| &line.values).copied().fold(1e-6, f64::max)
}

fn chart<Range>(levels: &[ThroughputFigures], area: &Area<'_>, unit: &str, range: Range, lines: &[Line<'_>]) -> Drawn
where
    Range: AsRangedCoord<Value = f64>,
    Range::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let last = levels.len().saturating_sub(1);
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(42)
        .y_label_area_size(62)
        .build_cartesian_2d((0..last).into_segmented(), range)?;
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
        .max_light_lines(1)
        .bold_line_style(MESH)
        .axis_style(INK)
        .x_labels(levels.len())
        .x_label_formatter(&clients)
        .y_labels(8)
        .y_label_formatter(&|value| number(*value))
        .x_desc("clients in flight")
        .y_desc(unit)
        .label_style(font(16))
        .axis_desc_style(font(17))
        .draw()?;
    for line in lines {
        let points = || line.values.iter().enumerate().map(|(index, value)| (SegmentValue::CenterOf(index), *value));
        let color = line.color;
        let series = chart.draw_series(LineSeries::new(points(), color.stroke_width(2)))?;
        series.label(line.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        chart.draw_series(points().map(|point| Circle::new(point, 3, color.filled())))?;
        let (side, distance) = if line.above { (VPos::Bottom, -6) } else { (VPos::Top, 6) };
        let style = font(15).pos(Pos::new(HPos::Center, side));
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
            .label_font(font(16))
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
    use crate::figures::ProcessorFigures;
    use crate::pictures::canvas::picture;

    /// Levels of this many clients, with times that may be too short to be measured.
    fn levels(clients: &[u32], seconds: f64) -> Vec<ThroughputFigures> {
        let level = |clients: &u32| ThroughputFigures {
            clients: *clients,
            inferences: 4,
            rounds: 1,
            seconds,
            inferences_per_second: seconds,
            p50_seconds: seconds,
            p99_seconds: 10.0 * seconds,
            processor_seconds: ProcessorFigures { client: None, server: None },
        };
        clients.iter().map(level).collect()
    }

    #[test]
    fn any_levels_can_be_drawn() {
        let many: Vec<u32> = (1..=40).collect();
        for clients in [&[1][..], &[64, 8], &many] {
            for seconds in [0.0, 1e-6, 0.25, 5000.0] {
                let levels = levels(clients, seconds);
                let draw = || picture(SIZE, |area| charts(&levels, area)).unwrap();
                let text = draw();
                assert!(text.contains("clients in flight") && !text.contains("NaN"), "{text}");
                assert_eq!(text, draw());
            }
        }
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 0.5, 3.254, 12.34, 812.7, 5000.0].map(number), ["0", "0.50", "3.25", "12.3", "813", "5000"]);
    }
}
