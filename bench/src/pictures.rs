//! The figures as pictures: scalable vector graphics on white, whose content depends on the figures alone.

mod canvas;
mod throughput;
mod times;

use std::fs;
use std::io;
use std::path::Path;

use crate::figures::Figures;
use crate::terminal::Failure;
use canvas::picture;

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
