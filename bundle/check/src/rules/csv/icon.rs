//! The icon.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{finding::Findings, subject::Subject};

pub(in crate::rules) fn icon(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let icons = csv.items("/spec/icon");
    let [icon] = icons.as_slice() else {
        let count = icons.len();
        let message = format!("spec.icon has {count} entries: must be exactly one");
        findings.at(&csv.at("/spec/icon"), message);
        return;
    };
    let encoded: String = icon.text("/base64data").split_whitespace().collect();
    let Ok(picture) = BASE64_STANDARD.decode(encoded) else {
        let message = "spec.icon[0].base64data is not base64";
        findings.at(&icon.at("/base64data"), message);
        return;
    };
    let mediatype = icon.text("/mediatype");
    if let Err(reason) = is_what_it_says(&picture, mediatype) {
        let message = format!("spec.icon[0].mediatype is {mediatype:?}: {reason}");
        findings.at(&icon.at("/mediatype"), message);
    }
}

fn is_what_it_says(picture: &[u8], mediatype: &str) -> Result<(), String> {
    let begins = |start: &[u8]| {
        if picture.starts_with(start) {
            Ok(())
        } else {
            Err("the picture is not of this type".to_owned())
        }
    };
    match mediatype {
        "image/svg+xml" => well_formed_svg(picture),
        "image/png" => begins(b"\x89PNG\r\n\x1a\n"),
        "image/jpeg" => begins(b"\xff\xd8\xff"),
        "image/gif" => begins(b"GIF8"),
        _ => Err("must be image/svg+xml, image/png, image/jpeg or image/gif".to_owned()),
    }
}

fn well_formed_svg(picture: &[u8]) -> Result<(), String> {
    let text =
        std::str::from_utf8(picture).map_err(|error| format!("the SVG is not UTF-8 ({error})"))?;
    let options = roxmltree::ParsingOptions {
        // Drawing programs write one.
        allow_dtd: true,
        ..roxmltree::ParsingOptions::default()
    };
    let document = roxmltree::Document::parse_with_options(text, options)
        .map_err(|error| format!("the SVG is not well-formed ({error})"))?;
    let root = document.root_element().tag_name();
    if root.name() == "svg" && root.namespace() == Some("http://www.w3.org/2000/svg") {
        Ok(())
    } else {
        Err("the root of the SVG is not an svg element".to_owned())
    }
}
