//! The bundle of 5-Spot for the Operator Lifecycle Manager (OLM): generated from the code, checked, and written as images.
//!
//! | module | answers |
//! |---|---|
//! | [`sources`], [`base`] | what the bundle is derived from, and what is written by hand |
//! | [`csv`] | what a ClusterServiceVersion is |
//! | [`generate`] | what the bundle is |
//! | [`files`] | which files that makes, and whether the committed ones are those |
//! | [`reference`] | how an image is named |

pub mod base;
pub mod csv;
pub mod files;
pub mod generate;
pub mod reference;
pub mod sources;
