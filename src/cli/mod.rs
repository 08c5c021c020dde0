//! Commands and exit codes.

mod after;
mod args;
mod exit;
mod inspect;

use std::{fmt::Display, io::IsTerminal, process::ExitCode, time::Duration};

use clap::{CommandFactory, Parser};

use self::{
    args::{Cli, Command},
    exit::Exit,
};
use crate::{
    chaos::{
        self,
        proxy::alone::{Alone, AloneLink},
    },
    lab,
    run::{self, RunError},
    scenario::{
        model::Target,
        stress::{CpuStress, MemoryStress, Stressors},
    },
    stress,
};

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let wrong = error.use_stderr();
            // Nothing can be said where the terminal is gone.
            let _ = error.print();
            return if wrong { Exit::Usage } else { Exit::Pass }.into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: start the runtime: {error}");
            return Exit::Internal.into();
        }
    };
    let exit = runtime.block_on(dispatch(cli.command));
    runtime.shutdown_background();
    exit.into()
}

async fn dispatch(command: Command) -> Exit {
    match command {
        Command::Run(args) => drill(args).await,
        Command::Plan(args) => inspect::plan(&args).await,
        Command::Validate(args) => inspect::validate(&args),
        Command::Schema => inspect::schema(),
        Command::Init { path } => inspect::init(&path),
        Command::Report { run, out, format } => after::report(&run, out.as_deref(), &format),
        Command::Explain { run, check } => after::explain(&run, check.as_deref()),
        Command::Recover { leftovers: true, namespace, .. } => after::clear(namespace).await,
        Command::Recover { run, runs, .. } => after::recover(run, &runs).await,
        Command::Rbac(args) => inspect::rbac(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "firedrill", &mut std::io::stdout());
            Exit::Pass
        }
        Command::Lab(args) if args.kubernetes => lab_on_cluster(args).await,
        Command::Lab(args) => lab_alone(args).await,
        Command::LabReplica(args) if args.in_pod => process(lab::replica::serve_in_pod().await),
        Command::LabReplica(_) => process(lab::replica::serve().await),
        Command::LabGateway(args) if args.in_pod => process(lab::gateway::serve_in_pod().await),
        Command::LabGateway(_) => process(lab::gateway::serve().await),
        Command::LabController => process(lab::controller::serve().await),
        Command::Proxy(args) => {
            let args::Proxy { listen, upstream, mut links, admin, token, name } = args;
            if let (Some(listen), Some(upstream)) = (listen, upstream) {
                links.insert(0, AloneLink { name, listen, upstream });
            }
            process(chaos::proxy::alone::run(&Alone { links, admin, token }).await)
        }
        Command::Stress(args) => {
            let cpu = (args.cpu_workers > 0)
                .then_some(CpuStress { workers: args.cpu_workers, load: args.cpu_load });
            let memory =
                (args.memory_bytes > 0).then_some(MemoryStress { workers: 1, bytes: args.memory_bytes });
            let (stressors, lasting) = (Stressors { cpu, memory }, Duration::from_millis(args.for_ms));
            process(stress::run(stress::Wanted { stressors, lasting, listen: args.listen }).await)
        }
        Command::ProxyProcess => process(chaos::proxy::serve().await),
    }
}

/// `firedrill run`
async fn drill(args: args::Run) -> Exit {
    let (loaded, plan) = match inspect::resolve(&args.scenario) {
        Ok(resolved) => resolved,
        Err(exit) => return exit,
    };
    if !loaded.missing.is_empty() {
        eprintln!("{}", loaded.missing.render(std::io::stderr().is_terminal()));
        return Exit::Usage;
    }
    let options = run::Options {
        scenario: args.scenario.scenario,
        files: loaded.files,
        runs: args.runs,
        requests_log: args.requests_log,
        ui: args.ui,
        yes: args.yes,
    };
    match run::drill(plan, options).await {
        Ok(drilled) => {
            eprint!("{}", drilled.summary);
            println!("{}", drilled.folder.path().display());
            match drilled.left_behind.as_slice() {
                [] => Exit::from(drilled.verdict.verdict),
                left => {
                    for (fault, why) in left {
                        eprintln!("error: {fault} was left behind: {why}");
                    }
                    eprintln!("try: firedrill recover {}", drilled.folder.path().display());
                    Exit::ChaosLeft
                }
            }
        }
        Err(error) => {
            eprintln!("error: {error}");
            match error {
                RunError::Preflight(_)
                | RunError::NoFolder(_)
                | RunError::RequestsLog { .. }
                | RunError::Url { .. } => Exit::Usage,
                RunError::LeftAtOnce(_) | RunError::SetUpLeft { .. } => Exit::ChaosLeft,
                RunError::Folder(_)
                | RunError::Wal(_)
                | RunError::Driver(_)
                | RunError::Report(_)
                | RunError::Interrupts(_)
                | RunError::Format(_)
                | RunError::Executable(_) => Exit::Internal,
            }
        }
    }
}

/// `firedrill lab`
async fn lab_alone(args: args::Lab) -> Exit {
    let mut config = match &args.scenario {
        None => lab::config::LabConfig::default(),
        Some(path) => {
            let scenario = args::Scenario {
                scenario: path.clone(),
                seed: None,
                set: Vec::new(),
                target: Some("lab".to_owned()),
            };
            match inspect::resolve(&scenario) {
                Ok((loaded, _)) => match loaded.scenario.target {
                    Target::Lab(config) => config,
                    Target::Url(_) | Target::Kubernetes(_) => lab::config::LabConfig::default(),
                },
                Err(exit) => return exit,
            }
        }
    };
    config.replicas = args.replicas.unwrap_or(config.replicas);
    config.port = args.port.or(config.port);
    process(lab::standalone::run(&config, args.seed).await)
}

/// `firedrill lab --kubernetes`
async fn lab_on_cluster(args: args::Lab) -> Exit {
    let args::OnCluster { namespace, image, context, delete } = args.on_cluster;
    let wanted = lab::kubernetes::Wanted { namespace, image, replicas: args.replicas };
    let done = if delete {
        lab::kubernetes::delete(context, &wanted).await
    } else {
        lab::kubernetes::deploy(context, &wanted).await
    };
    match done {
        Err(error) if error.is_usage() => {
            eprintln!("error: {error}");
            Exit::Usage
        }
        done => process(done),
    }
}

fn process<E: Display>(done: Result<(), E>) -> Exit {
    match done {
        Ok(()) => Exit::Pass,
        Err(error) => {
            eprintln!("error: {error}");
            Exit::Internal
        }
    }
}
