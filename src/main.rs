//! Parses, calls the operator, and turns the outcome into an exit code: 0 for an orderly end, 1 for a failure, 2 for
//! a bad setting.

use std::{convert::Infallible, error::Error, io::Write, process::ExitCode};

use clap::Parser;
use five_spot::{
    args::{Args, Command, Config},
    errors::Chain,
    manifest, operator, telemetry,
};

fn main() -> ExitCode {
    let args = Args::parse();
    match args.asked() {
        Command::Crd => report(print(manifest::crd_yaml()), 1),
        Command::Rbac => report(print(Ok::<_, Infallible>(manifest::rbac_yaml())), 1),
        Command::Fence => match args.lease() {
            Ok(lease) => report(print(Ok::<_, Infallible>(manifest::fence_yaml(&lease))), 1),
            Err(invalid) => report(Err(invalid.into()), 2),
        },
        Command::FlowSchema => match args.lease() {
            Ok(lease) => {
                let schema = manifest::flow_schema_yaml(lease.namespace());
                report(print(Ok::<_, Infallible>(schema)), 1)
            }
            Err(invalid) => report(Err(invalid.into()), 2),
        },
        Command::Reference => report(
            print(Ok::<_, Infallible>(manifest::reference_markdown())),
            1,
        ),
        Command::Metrics => report(print(operator::metrics_table()), 1),
        Command::Run => match args.into_config() {
            Ok(config) => report(run(config), 1),
            Err(invalid) => report(Err(invalid.into()), 2),
        },
    }
}

fn print<E: Error + 'static>(text: Result<String, E>) -> Result<(), Box<dyn Error>> {
    std::io::stdout().write_all(text?.as_bytes())?;
    Ok(())
}

fn run(config: Config) -> Result<(), Box<dyn Error>> {
    #[cfg(feature = "mutants")]
    five_spot::args::break_a_rule();
    telemetry::init(&config.log_filter, config.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(operator::run(config));
    // Not a drop, which would wait for tasks that do not stop: by now they must not be waited for.
    runtime.shutdown_background();
    Ok(outcome?)
}

fn report(outcome: Result<(), Box<dyn Error>>, code: u8) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is all there is; when even that is closed, the exit code still tells.
            let _ = writeln!(std::io::stderr(), "five-spot: {}", Chain(error.as_ref()));
            ExitCode::from(code)
        }
    }
}
