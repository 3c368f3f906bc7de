//! The bundle of 5-Spot for the Operator Lifecycle Manager (OLM): generated from the code, checked, and written as images.
//!
//! | module | answers |
//! |---|---|
//! | [`sources`], [`base`] | what the bundle is derived from, and what is written by hand |
//! | [`csv`] | what a ClusterServiceVersion is |
//! | [`generate`] | what the bundle is |
//! | [`files`], [`document`] | which files that makes, and where in them something is said |
//! | [`bundle`] | what any bundle is made of |
//! | [`check`], [`schema`] | whether it is a good one |
//! | [`render`] | who gets to read that, and how |
//! | [`oci`], [`reference`](mod@reference) | what an image is, and how it is named |
//! | [`images`], [`catalog`] | the images of a release, and the catalog that offers it |
//! | [`publish`], [`sbom`], [`elf`], [`push`] | what is published, what is in it and what it is built for, and where it goes |

pub mod base;
pub mod bundle;
pub mod catalog;
pub mod check;
pub mod csv;
pub mod document;
pub mod elf;
pub mod files;
pub mod generate;
pub mod images;
pub mod oci;
pub mod publish;
pub mod push;
pub mod reference;
pub mod render;
pub mod sbom;
pub mod schema;
pub mod sources;
