//! The command line, as types.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    chaos::{kubernetes::Account, proxy::alone::AloneLink},
    report::Format,
    run::ui::UiMode,
};

/// Fire drills for inference services: load, faults and reactions, judged on
/// one clock.
#[derive(Debug, Parser)]
#[command(name = "firedrill", version, after_help = EXIT_CODES)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 pass · 1 fail · 2 usage or invalid scenario, nothing started · 3 inconclusive ·
4 aborted, faults recovered · 5 a fault could not be taken back · 70 internal error";

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a drill; the last line on standard output is the run's folder
    Run(Run),
    /// Print what a run would do, and to whom; touches nothing
    Plan(Scenario),
    /// Report all errors of a scenario and of its manifests
    Validate(Scenario),
    /// Print the JSON Schema of scenarios, for editors
    Schema,
    /// Write a starter scenario
    Init {
        /// Where to; an existing file is left alone
        #[arg(default_value = "scenario.yaml")]
        path: PathBuf,
    },
    /// Render a run's report again, from its journal
    Report {
        /// The run's folder
        run: PathBuf,
        /// Where to write it (the run's folder, unless given)
        #[arg(long)]
        out: Option<PathBuf>,
        /// In which formats (all, unless given)
        #[arg(long, value_enum, value_delimiter = ',')]
        format: Vec<Format>,
    },
    /// Print the chain of evidence of one check: samples, intervals, signals, lines of the journal
    Explain {
        /// The run's folder
        run: PathBuf,
        /// The check's id (all ids, unless given)
        check: Option<String>,
    },
    /// Report what a dead harness left behind, and finish it
    Recover {
        /// The run's folder (the newest, unless given)
        run: Option<PathBuf>,
        /// Take back what any run left on the cluster of the kubeconfig in force, found by its labels
        #[arg(long, conflicts_with = "run")]
        leftovers: bool,
        /// With --leftovers: only in these namespaces, and on nodes
        #[arg(long, requires = "leftovers")]
        namespace: Vec<String>,
        /// Where runs are kept
        #[arg(long, default_value = "runs", env = "FIREDRILL_RUNS")]
        runs: PathBuf,
    },
    /// Print the least that an account must be allowed on the scenario's cluster, for `kubectl apply -f -`
    Rbac(Rbac),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Start the built-in target alone, for other tools to try
    Lab(Lab),
    /// The lab's replica process
    #[command(hide = true)]
    LabReplica(LabProcess),
    /// The lab's gateway process
    #[command(hide = true)]
    LabGateway(LabProcess),
    /// The lab's controller process
    #[command(hide = true)]
    LabController,
    /// Start the fault proxy alone, before anything that speaks TCP
    Proxy(Proxy),
    /// Use up CPU and memory for a time (in a pod)
    #[command(hide = true)]
    Stress(Stress),
    /// The fault proxy's process
    #[command(hide = true)]
    ProxyProcess,
}

/// `firedrill proxy`
#[derive(Debug, Args)]
pub(super) struct Proxy {
    /// Where clients connect to
    #[arg(long, value_name = "ADDRESS:PORT", requires = "upstream")]
    pub(super) listen: Option<SocketAddr>,
    /// The service that it leads to
    #[arg(long, value_name = "HOST:PORT", requires = "listen")]
    pub(super) upstream: Option<String>,
    /// Another link, or several
    #[arg(long = "link", value_name = "NAME=ADDRESS:PORT=HOST:PORT", required_unless_present = "listen")]
    pub(super) links: Vec<AloneLink>,
    /// Where faults are asked for: `proxy:` of a target
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub(super) admin: SocketAddr,
    /// Whoever asks for faults must know it: header `x-firedrill-token`
    #[arg(long, env = "FIREDRILL_PROXY_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    /// Name of the first link, for selectors (also its label `app`)
    #[arg(long, default_value = "target")]
    pub(super) name: String,
}

/// `firedrill stress`
#[derive(Debug, Args)]
pub(super) struct Stress {
    /// Threads that compute
    #[arg(long, default_value_t = 0)]
    pub(super) cpu_workers: u16,
    /// How busy each is, in per cent
    #[arg(long, default_value_t = 100)]
    pub(super) cpu_load: u8,
    /// Bytes to hold
    #[arg(long, default_value_t = 0)]
    pub(super) memory_bytes: u64,
    /// For how long, in milliseconds
    #[arg(long)]
    pub(super) for_ms: u64,
    /// Where it tells how much it did
    #[arg(long)]
    pub(super) listen: SocketAddr,
}

/// Where a process of the lab runs.
#[derive(Debug, Args)]
pub(super) struct LabProcess {
    /// In a pod: configured by its environment, ended by SIGTERM
    #[arg(long)]
    pub(super) in_pod: bool,
}

/// Which scenario.
#[derive(Debug, Args)]
pub(super) struct Scenario {
    /// The scenario file
    pub(super) scenario: PathBuf,
    /// The seed, over the scenario's
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Set a value of the scenario: target.lab.replicas=5
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(super) set: Vec<String>,
    /// Drill this instead of the scenario's target: lab, a URL, or `kubernetes:NAMESPACE/SERVICE[:PORT]`
    #[arg(long)]
    pub(super) target: Option<String>,
}

/// How to run.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) scenario: Scenario,
    /// Where runs are kept
    #[arg(long, default_value = "runs", env = "FIREDRILL_RUNS")]
    pub(super) runs: PathBuf,
    /// Write a line of JSON for every request here: its times in µs, and how it ended
    #[arg(long, value_name = "FILE")]
    pub(super) requests_log: Option<PathBuf>,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value_t)]
    pub(super) ui: UiMode,
    /// Don't ask before breaking things on a cluster that is not on this machine
    #[arg(long)]
    pub(super) yes: bool,
}

/// For whom.
#[derive(Debug, Args)]
pub(super) struct Rbac {
    #[command(flatten)]
    pub(super) scenario: Scenario,
    /// The account that drills (`firedrill` in the target's namespace, unless given)
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(super) service_account: Option<Account>,
}

/// Which lab.
#[derive(Debug, Args)]
pub(super) struct Lab {
    /// Take the lab of this scenario
    #[arg(long)]
    pub(super) scenario: Option<PathBuf>,
    /// How many replicas
    #[arg(long)]
    pub(super) replicas: Option<u16>,
    /// The gateway's port (a free one, unless given)
    #[arg(long)]
    pub(super) port: Option<u16>,
    /// The seed of its randomness
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// As Deployments and Services on the kubeconfig's cluster
    #[arg(long, conflicts_with_all = ["scenario", "port", "seed"])]
    pub(super) kubernetes: bool,
    #[command(flatten)]
    pub(super) on_cluster: OnCluster,
}

/// Where on a cluster.
#[derive(Debug, Args)]
pub(super) struct OnCluster {
    /// The namespace, made if there is none
    #[arg(long, default_value = "default", requires = "kubernetes")]
    pub(super) namespace: String,
    /// An image of this program that the cluster has or can pull
    #[arg(long, requires = "kubernetes")]
    pub(super) image: Option<String>,
    /// A context of the kubeconfig (its current one, unless given)
    #[arg(long, requires = "kubernetes")]
    pub(super) context: Option<String>,
    /// Take it all away again
    #[arg(long, requires = "kubernetes", conflicts_with_all = ["image", "replicas"])]
    pub(super) delete: bool,
}
