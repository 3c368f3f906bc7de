//! The rules, by the part of a bundle that they are about.

mod access;
mod availability;
mod catalog;
mod csv;
mod examples;
mod format;
mod images;
mod install;
mod kinds;
mod metadata;
mod pods;
mod upgrade;

use crate::rule::Rule;

/// All rules, in the order of their documentation.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [
        format::RULES,
        metadata::RULES,
        csv::RULES,
        kinds::RULES,
        examples::RULES,
        images::RULES,
        availability::RULES,
        access::RULES,
        pods::RULES,
        install::RULES,
        upgrade::RULES,
        catalog::RULES,
    ]
    .into_iter()
    .flatten()
}
