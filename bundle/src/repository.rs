//! What is written to the repository: the bundle and its catalog, releases to keep, and the digest of the operator's image.

use std::{fs, path::Path};

use bundle_check::files::FileError;

use crate::{
    catalog::{CATALOG, Imaged, catalog, earlier, frozen},
    generate::FOLDERS,
    publish::{PublishError, operator},
    sources::Sources,
};

/// Writes the bundle from its sources, and the catalog that offers it.
pub fn generate(root: &Path) -> Result<(), PublishError> {
    let sources = Sources::read(root)?;
    let before = earlier(root, &sources.version)?;
    let this = Imaged::this(&sources)?.release;
    let catalog = catalog(&sources, &before, &this)?;
    let mut files = this.bundle.files;
    files.insert(CATALOG, catalog);
    Ok(files.write(&root.join("bundle"), &FOLDERS)?)
}

/// Keeps this version as a release that later ones upgrade from; gives the reference of its image.
pub fn freeze(root: &Path) -> Result<String, PublishError> {
    let release = Imaged::this(&Sources::read(root)?)?.release;
    frozen(&release).write(&root.join("bundle"), &[])?;
    Ok(release.image.to_string())
}

/// Writes the digest of the operator's image where the bundle takes it from; gives the digest.
pub fn pin(root: &Path, binary: &Path) -> Result<String, PublishError> {
    let sources = Sources::read(root)?;
    let digest = operator(&sources, binary)?.digest().to_owned();
    let path = root.join("bundle/base/release.yaml");
    let failed = |action| FileError::of(action, &path);
    let text = fs::read_to_string(&path).map_err(failed("read"))?;
    // As text, so that the comments stay.
    let pinned = text.replace(&sources.base.release.operator_image.digest, &digest);
    fs::write(&path, pinned).map_err(failed("write"))?;
    Ok(digest)
}
