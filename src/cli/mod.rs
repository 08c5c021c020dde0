//! Commands and exit codes.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{chaos, lab};

/// Fire drills for inference services.
#[derive(Debug, Parser)]
#[command(name = "firedrill", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The lab's replica process.
    #[command(hide = true)]
    LabReplica,
    /// The lab's gateway process.
    #[command(hide = true)]
    LabGateway,
    /// The lab's controller process.
    #[command(hide = true)]
    LabController,
    /// The fault proxy's process.
    #[command(hide = true)]
    Proxy,
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: start the runtime: {error}");
            return ExitCode::from(70);
        }
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::LabReplica => lab::replica::serve().await,
            Command::LabGateway => lab::gateway::serve().await,
            Command::LabController => lab::controller::serve().await,
            Command::Proxy => chaos::proxy::serve().await,
        }
    });
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(70)
        }
    }
}
