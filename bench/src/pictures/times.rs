//! Time by phase and kind: one stacked bar for each phase, each on its own scale.

use plotters::prelude::{ChartBuilder, Color as _, PathElement, Rectangle, Text};
use plotters::style::{RGBAColor, RGBColor, WHITE};

use super::canvas::{Area, BLUE, Drawn, GREEN, GREY, INK, MESH, ORANGE, PURPLE, TITLE, font, title};
use crate::figures::{Figures, KindFigures, PhaseFigures, TimeFigures};

const WIDTH: u32 = 760;
const HEADING: u32 = 92;
const BAR: u32 = 104;

/// Kinds of work, with their colours.
const KINDS: [(&str, RGBColor); 4] = [("HE", BLUE), ("OT", ORANGE), ("linear", GREEN), ("activation", PURPLE)];

/// Opacity of what the client computes, and of what the server does.
const OPACITY: [f64; 2] = [1.0, 0.45];

/// A part of a bar.
struct Part {
    seconds: f64,
    color: RGBAColor,
}

/// Width and height in pixels.
pub(super) fn size(figures: &Figures) -> (u32, u32) {
    (WIDTH, HEADING + BAR * figures.phases().len() as u32)
}

/// The bars, below what their colours mean.
pub(super) fn draw(figures: &Figures, area: &Area<'_>) -> Drawn {
    let (heading, bars) = area.split_vertically(HEADING);
    let text = format!("Time by kind of work: {}", title(figures));
    let (place, height) = TITLE;
    heading.draw(&Text::new(text, place, font(height)))?;
    let phases = figures.phases();
    let reported = phases.iter().all(|(_, phase)| phase.time_by_kind.server.is_some());
    legend(&heading, reported)?;
    for ((name, phase), area) in phases.iter().zip(bars.split_evenly((phases.len(), 1))) {
        bar(name, phase, &area)?;
    }
    Ok(())
}

/// What the colours mean: a line for each party; then what neither computes.
fn legend(area: &Area<'_>, server_reported: bool) -> Drawn {
    let style = font(16);
    for (row, (party, opacity)) in ["client", "server"].into_iter().zip(OPACITY).enumerate() {
        let y = 40 + 22 * row as i32;
        area.draw(&Text::new(party, (14, y), style.clone()))?;
        for (column, (kind, color)) in KINDS.into_iter().enumerate() {
            let x = 80 + 92 * column as i32;
            area.draw(&Rectangle::new([(x, y), (x + 13, y + 13)], color.mix(opacity).filled()))?;
            area.draw(&Text::new(kind, (x + 19, y), style.clone()))?;
        }
    }
    let rest = if server_reported { "neither: network, system, messages" } else { "server, network, system, messages" };
    area.draw(&Rectangle::new([(460, 40), (473, 53)], GREY.filled()))?;
    area.draw(&Text::new(rest, (479, 40), style.clone()))?;
    area.draw(&PathElement::new([(466, 60), (466, 77)], INK.stroke_width(2)))?;
    area.draw(&Text::new("elapsed", (479, 62), style))
}

fn bar(name: &str, phase: &PhaseFigures, area: &Area<'_>) -> Drawn {
    let times = &phase.time_by_kind;
    let parts = parts(times);
    let elapsed = times.elapsed * 1e3;
    let length = parts.iter().map(|part| part.seconds * 1e3).sum::<f64>().max(elapsed);
    let mut caption = format!("{name}: {elapsed:.1} ms");
    if let Some(overlap) = times.overlap.filter(|overlap| *overlap > 0.01 * times.elapsed) {
        caption += &format!(", both parties computing for at least {:.1} ms of it", overlap * 1e3);
    }
    let mut chart = ChartBuilder::on(area)
        .margin_left(28)
        .margin_right(28)
        .caption(caption, font(17))
        .x_label_area_size(24)
        .margin_bottom(14)
        .build_cartesian_2d(0.0..length.max(1e-6) * 1.02, 0.0..1.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(WHITE)
        .max_light_lines(1)
        .bold_line_style(MESH)
        .axis_style(INK)
        .x_labels(8)
        .x_label_formatter(&|milliseconds| format!("{} ms", short(*milliseconds)))
        .label_style(font(15))
        .draw()?;
    let mut start = 0.0;
    chart.draw_series(parts.iter().map(|part| {
        let end = start + part.seconds * 1e3;
        let rectangle = Rectangle::new([(start, 0.15), (end, 0.85)], part.color.filled());
        start = end;
        rectangle
    }))?;
    let line = PathElement::new([(elapsed, 0.0), (elapsed, 1.0)], INK.stroke_width(2));
    chart.draw_series([line]).map(drop)
}

/// What a bar is made of, from left to right; nothing that takes no time.
fn parts(times: &TimeFigures) -> Vec<Part> {
    let computed = |kinds: KindFigures, opacity: f64| {
        let seconds = [kinds.he, kinds.ot, kinds.linear, kinds.activation];
        seconds.into_iter().zip(KINDS).map(move |(seconds, (_, color))| Part { seconds, color: color.mix(opacity) })
    };
    let rest = times.wire.unwrap_or_else(|| (times.elapsed - times.client.total()).max(0.0));
    computed(times.client, OPACITY[0])
        .chain(computed(times.server.unwrap_or_default(), OPACITY[1]))
        .chain([Part { seconds: rest, color: GREY.to_rgba() }])
        .filter(|part| part.seconds > 0.0)
        .collect()
}

/// At most three decimals, and none that say nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_the_time() {
        let client = KindFigures { he: 0.25, ot: 0.25, ..Default::default() };
        let times = TimeFigures { elapsed: 1.0, client, server: None, wire: None, overlap: None };
        let seconds = |times: &TimeFigures| parts(times).iter().map(|part| part.seconds).collect::<Vec<_>>();
        assert_eq!(seconds(&times), [0.25, 0.25, 0.5]);
        let server = Some(KindFigures { linear: 0.125, ..Default::default() });
        let times = TimeFigures { server, wire: Some(0.375), overlap: Some(0.0), ..times };
        assert_eq!(seconds(&times), [0.25, 0.25, 0.125, 0.375]);
    }

    #[test]
    fn labels_have_no_needless_digits() {
        assert_eq!([0.0, 0.5, 0.30000000000000004, 120.0, 1.0 / 3.0].map(short), ["0", "0.5", "0.3", "120", "0.333"]);
    }
}
