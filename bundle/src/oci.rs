//! Images without an engine: the same content gives the same digest.

mod archive;
mod image;
#[cfg(test)]
mod tests;

pub use archive::archive;
pub use image::{ContainerSettings, Entry, Image, ImageOptions, artifact};
