//! `bundle`: the command line. Exit codes: 0 for success, 1 when something was found or failed, 2 for bad input.

use std::{io::Write, path::PathBuf, process::ExitCode};

use anyhow::Context;
use bundle_check::{
    bundle::{Bundle, BundleError},
    check::check,
    document::Document,
    finding::Level,
    render::{Format, render, rules_table},
};
use clap::{Parser, Subcommand};
use five_spot::errors::Chain;
use five_spot_bundle::{
    publish,
    push::{PushError, Pusher, RegistryAuth, Target},
    repository,
};

/// Something was found, or failed.
const FOUND: u8 = 1;
/// Bad input.
const USAGE: u8 = 2;

#[derive(Debug, Parser)]
#[command(name = "bundle", about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the bundle from its sources
    Generate {
        /// Root of the repository
        #[arg(long, default_value = ".")]
        root: PathBuf,
    },
    /// Keep this version as a release that later ones upgrade from
    Freeze {
        /// Root of the repository
        #[arg(long, default_value = ".")]
        root: PathBuf,
    },
    /// Write the digest of the operator's image to bundle/base/release.yaml
    Pin(BinaryArgs),
    /// Write the images of operator, bundle and catalog as archives: OCI layout and docker archive in one
    Images {
        #[command(flatten)]
        binary: BinaryArgs,
        /// Folder to write them to
        #[arg(long, default_value = "target/bundle")]
        output: PathBuf,
        /// Name the operator of the binary in place of the pinned one, and write the kept releases too, to try an upgrade
        #[arg(long)]
        as_built: bool,
    },
    /// Push the images and their bills of materials to a registry
    Push(PushArgs),
    /// Check any bundle: a folder, or an image as a tar archive
    Check(CheckArgs),
    /// Print the rules of the checker as a table in Markdown
    Rules,
}

#[derive(Debug, clap::Args)]
struct BinaryArgs {
    /// Root of the repository
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// The operator: a static binary for Linux
    #[arg(long, default_value = "target/image/five-spot")]
    binary: PathBuf,
}

#[derive(Debug, clap::Args)]
struct PushArgs {
    /// Registry, such as ghcr.io or localhost:5000, in place of that in the images' names
    registry: String,
    #[command(flatten)]
    binary: BinaryArgs,
    /// Speak HTTP without TLS
    #[arg(long)]
    plain_http: bool,
    /// Name to log in with; anonymous without
    #[arg(long, env = "REGISTRY_USERNAME", requires = "password")]
    username: Option<String>,
    /// Password to log in with
    #[arg(long, env = "REGISTRY_PASSWORD", hide_env_values = true)]
    password: Option<String>,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Folder with manifests/ and metadata/, or archive of the bundle's image
    bundle: PathBuf,
    /// The release before, likewise; upgrades to this one are not checked without
    #[arg(long, value_name = "BUNDLE")]
    previous: Option<PathBuf>,
    /// File-based catalog that will offer it; its entries are not checked without
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// How findings are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Fail on warnings too, and on rules that were not checked
    #[arg(long)]
    strict: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // Nobody to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "bundle: {}", Chain(error.as_ref()));
            let usage = error.is::<BundleError>();
            ExitCode::from(if usage { USAGE } else { FOUND })
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Generate { root } => {
            repository::generate(&root)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Freeze { root } => {
            print(&format!("{}\n", repository::freeze(&root)?)).map(|()| ExitCode::SUCCESS)
        }
        Command::Pin(BinaryArgs { root, binary }) => {
            print(&format!("{}\n", repository::pin(&root, &binary)?)).map(|()| ExitCode::SUCCESS)
        }
        Command::Images {
            binary: BinaryArgs { root, binary },
            output,
            as_built,
        } => {
            let images = if as_built {
                publish::as_built(&root, &binary)?
            } else {
                let images = publish::all(&root, &binary)?;
                publish::write_boms(&images, &publish::boms(&root, &images)?, &output)?;
                images
            };
            for (named, path) in images.iter().zip(publish::write(&images, &output)?) {
                let (repository, digest) = (&named.repository, named.image.digest());
                print(&format!("{}: {repository}@{digest}\n", path.display()))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Push(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::Rules => print(&rules_table().to_string()).map(|()| ExitCode::SUCCESS),
    }
}

impl PushArgs {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let BinaryArgs { root, binary } = &self.binary;
        let images = publish::all(root, binary)?;
        let boms = publish::boms(root, &images)?;
        let auth = match (&self.username, &self.password) {
            (Some(name), Some(password)) => RegistryAuth::Basic(name.clone(), password.clone()),
            _ => RegistryAuth::Anonymous,
        };
        let pusher = Pusher::new(Target {
            registry: self.registry.clone(),
            is_plain_http: self.plain_http,
            auth,
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        for (named, bom) in images.iter().zip(boms) {
            let artifact = publish::bom_artifact(bom, root, &named.image)?;
            let reference = runtime.block_on(async {
                let reference = pusher.push(named).await?;
                pusher.attach(named, &artifact).await?;
                Ok::<_, PushError>(reference)
            })?;
            print(&format!("{reference}\n"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl CheckArgs {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let bundle = Bundle::read(&self.bundle)?;
        let previous = self.previous.as_deref().map(Bundle::read).transpose()?;
        let catalog = self.catalog.as_deref().map(|path| {
            let text = std::fs::read(path)
                .with_context(|| format!("failed to read {}", path.display()))?;
            anyhow::Ok(Document::parse(&path.display().to_string(), &text)?)
        });
        let report = check(&bundle, previous.as_ref(), catalog.transpose()?.as_deref());
        let subject = self.bundle.display().to_string();
        print(&render(&report, &subject, self.format)?)?;
        let errors = report.count(Level::Error);
        let is_strictly_bad = !report.findings.is_empty() || !report.not_checked.is_empty();
        let is_bad = errors > 0 || self.strict && is_strictly_bad;
        Ok(ExitCode::from(if is_bad { FOUND } else { 0 }))
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
