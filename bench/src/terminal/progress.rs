//! A progress bar on standard error, if that is a terminal and the work is long.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Steps that are counted.
#[derive(Clone)]
pub struct Progress(ProgressBar);

impl Progress {
    /// The number of all steps.
    pub fn new(steps: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
        if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{msg:>9} [{bar:40}] {percent:>3} % {eta}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
            bar.enable_steady_tick(Duration::from_millis(200));
        } else {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self(bar)
    }

    /// Names what is being done.
    pub fn phase(&self, name: &'static str) {
        self.0.set_message(name);
    }

    /// One step was done.
    pub fn step(&self) {
        self.0.inc(1);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
