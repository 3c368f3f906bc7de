//! A checker for any bundle of the Operator Lifecycle Manager (OLM), whoever's it is. Each module uses those above it only.
//!
//! | module | answers |
//! |---|---|
//! | [`files`], [`document`] | which files there are, and on which line of them a value is |
//! | [`image`], [`archive`] | what an image is made with, and what is in one that was saved to a file |
//! | [`bundle`] | what a bundle is made of |
//! | [`schema`] | whether an object keeps the schema of its kind |
//! | [`subject`], [`finding`], [`rule`] | what a rule is given and what it finds, and what a rule is |
//! | [`rules`] | which rules there are |
//! | [`check`](mod@check) | what is wrong with a bundle |
//! | [`render`] | how that is written for people, programs and CI systems |
//! | `edit`, a feature | how tests change a bundle |

pub mod archive;
pub mod bundle;
pub mod check;
pub mod document;
#[cfg(any(test, feature = "edit"))]
pub mod edit;
pub mod files;
pub mod finding;
pub mod image;
pub mod render;
pub mod rule;
pub mod rules;
pub mod schema;
pub mod subject;
#[cfg(test)]
mod tests;
