//! The icon.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::super::{Findings, Subject};

pub(in crate::check) fn icon(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let count = csv.list("/spec/icon").len();
    if count != 1 {
        findings.at(
            csv,
            "/spec/icon",
            format!("spec.icon has {count} entries: must be exactly one"),
        );
        return;
    }
    let text = |field: &str| {
        csv.text(&format!("/spec/icon/0/{field}"))
            .unwrap_or_default()
    };
    let encoded: String = text("base64data").split_whitespace().collect();
    let Ok(picture) = BASE64_STANDARD.decode(encoded) else {
        findings.at(
            csv,
            "/spec/icon/0/base64data",
            "spec.icon[0].base64data is not base64",
        );
        return;
    };
    let mediatype = text("mediatype");
    if let Err(reason) = is_what_it_says(&picture, mediatype) {
        let message = format!("spec.icon[0].mediatype is {mediatype:?}: {reason}");
        findings.at(csv, "/spec/icon/0/mediatype", message);
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
        Err("the root of the SVG is no svg element".to_owned())
    }
}
