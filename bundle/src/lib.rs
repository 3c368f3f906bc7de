//! The bundle of 5-Spot for the Operator Lifecycle Manager (OLM): generated from the code and written as images. The checker
//! is [`bundle_check`]. Each module uses those above it only.
//!
//! | module | answers |
//! |---|---|
//! | `reference`, `csv` | how an image is named, and what a ClusterServiceVersion is |
//! | `base`, [`sources`] | what is written by hand, and what the bundle is derived from |
//! | `generate` | what the bundle is |
//! | [`oci`], `images` | what an image is, and which there are of a release |
//! | `catalog` | which releases are kept, and the catalog that offers them |
//! | `elf`, `sbom` | what a program is built for, and what it is compiled of |
//! | [`publish`] | what is published |
//! | [`repository`] | what is written to the repository |
//! | [`push`] | what is sent to a registry |

mod base;
mod catalog;
mod csv;
mod elf;
mod generate;
mod images;
pub mod oci;
pub mod publish;
pub mod push;
mod reference;
pub mod repository;
mod sbom;
pub mod sources;
#[cfg(test)]
mod tests;
