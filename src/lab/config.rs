//! What the lab is made of: sizes, models, and which mitigation has which
//! defect. Pure data: scenarios embed it, the lab's processes read it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Rate, Span, Version};

/// The whole lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct LabConfig {
    /// How many replicas serve the model.
    pub replicas: u16,
    /// The simulated model and accelerator of the replicas.
    pub model: ModelPreset,
    /// The smaller model that the gateway falls back to.
    pub fallback_model: ModelPreset,
    /// The version that serves at the start.
    pub version: Version,
    /// Time from a pod's start until it is warm (image, weights, warm-up).
    pub cold_start: Span,
    /// Share of requests (0–1) that a healthy replica answers with 500.
    pub error_rate: f64,
    /// Replicas of a second zone, which serve while none of the first can.
    pub standby: u16,
    /// Replicas that autoscaling may make of them. None: there is no autoscaling.
    pub max_replicas: Option<u16>,
    /// The gateway's and the controller's mitigations.
    pub gateway: GatewayConfig,
    /// The port of the gateway; none takes a free one.
    pub port: Option<u16>,
}

impl Default for LabConfig {
    fn default() -> Self {
        Self {
            replicas: 3,
            model: ModelPreset::Llama8bH100,
            fallback_model: ModelPreset::Llama3bL40s,
            version: Version::from("v1"),
            cold_start: Span::secs(4),
            error_rate: 0.0,
            standby: 0,
            max_replicas: None,
            gateway: GatewayConfig::default(),
            port: None,
        }
    }
}

/// A simulated model on an accelerator, with the timings that llm-d publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModelPreset {
    /// 8B on one H100: 30 ms + 250 µs a prompt token, ITL 12 ± 2 ms.
    #[serde(rename = "llama-8b-h100")]
    Llama8bH100,
    /// 70B on eight H100: 80 ms + 500 µs a prompt token, ITL 25 ± 4 ms.
    #[serde(rename = "llama-70b-h100x8")]
    Llama70bH100x8,
    /// 3B on one L40S: 20 ms + 350 µs a prompt token, ITL 15 ± 2 ms.
    #[serde(rename = "llama-3b-l40s")]
    Llama3bL40s,
}

/// The mitigations, each `on`, `off`, or on with a defect found in life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// A circuit breaker per replica.
    pub breaker: BreakerMode,
    /// The response cache.
    pub cache: CacheMode,
    /// Answers from a smaller model when no replica can.
    pub fallback: FallbackMode,
    /// 429 with `Retry-After` past the limit of requests in flight.
    pub shedding: SheddingMode,
    /// Retries on another replica, within a budget.
    pub retries: RetryMode,
    /// Canary analysis and rollback by the controller.
    pub rollback: RollbackMode,
    /// Replacement of dead pods by the controller.
    pub pods: PodMode,
    /// Traffic for ready pods only.
    pub probes: ProbeMode,
    /// More replicas while there is more to do.
    pub autoscaling: AutoscalingMode,
    /// The second zone in place of the first.
    pub failover: FailoverMode,
    /// Requests in flight for each replica that autoscaling aims at.
    pub replica_target: u32,
    /// Requests in flight past which the gateway sheds.
    pub max_in_flight: u32,
    /// How long the gateway waits for a replica's first byte.
    pub upstream_timeout: Span,
    /// How long an open breaker waits before it probes.
    pub breaker_open_for: Span,
    /// How long a cached answer is fresh.
    pub cache_ttl: Span,
    /// Time between two steps of a canary, each followed by an analysis.
    pub canary_interval: Span,
    /// A ceiling on the rate of requests, none for no ceiling.
    pub rate_limit: Option<Rate>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            breaker: BreakerMode::On,
            cache: CacheMode::On,
            fallback: FallbackMode::On,
            shedding: SheddingMode::On,
            retries: RetryMode::On,
            rollback: RollbackMode::On,
            pods: PodMode::On,
            probes: ProbeMode::On,
            autoscaling: AutoscalingMode::On,
            failover: FailoverMode::On,
            replica_target: 8,
            max_in_flight: 96,
            upstream_timeout: Span::secs(1),
            breaker_open_for: Span::secs(3),
            cache_ttl: Span::secs(20),
            canary_interval: Span::secs(2),
            rate_limit: None,
        }
    }
}

macro_rules! modes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name {
            /// Works as it should.
            On,
            /// Is absent.
            Off,
            $($(#[$vdoc])* $variant),+
        }

        impl $name {
            /// Every mode.
            pub const ALL: &[Self] = &[Self::On, Self::Off, $(Self::$variant),+];
        }
    };
}

modes!(
    /// The circuit breaker.
    BreakerMode {
        /// Counts failures, stays closed.
        NeverOpens,
        /// Opens some 10 s after it should.
        OpensLate,
        /// Opens, and never probes again.
        NeverCloses,
        /// Opens at the first failed request.
        OpensForOne,
        /// Says that it is open, and still sends.
        Leaks,
        /// Lets everything through once it is half-open.
        Floods,
        /// Lets what it rejects wait for that.
        SlowRejections,
    }
);
modes!(
    /// The response cache.
    CacheMode {
        /// Now and then serves the answer to another prompt.
        WrongAnswer,
        /// Takes requests for the same that differ in their parameters.
        IgnoresParameters,
        /// After a rollback still serves what the withdrawn version said.
        StaleAfterRollback,
        /// Sends every concurrent miss of one key upstream.
        Stampede,
        /// Keeps what it has for as long as it has room.
        NeverExpires,
        /// Takes as long for a hit as for a miss.
        SlowHits,
        /// Goes on to serve what has expired, and says so.
        ServesStale,
    }
);
modes!(
    /// The fallback.
    FallbackMode {
        /// Takes seconds.
        Slow,
        /// Answers nonsense.
        Garbage,
        /// Is another model than it should be.
        WrongModel,
    }
);
modes!(
    /// Load shedding.
    SheddingMode {
        /// Queues first, and rejects after seconds.
        Slow,
        /// Answers 500 instead of 429 with `Retry-After`.
        Unmarked,
    }
);
modes!(
    /// Retries.
    RetryMode {
        /// No budget and many attempts.
        Storm,
        /// Once an attempt failed, sends every request twice, for good.
        NeverSettles,
    }
);
modes!(
    /// Canary rollback.
    RollbackMode {
        /// Tens of seconds late.
        Late,
        /// Looks at errors, and at nothing else.
        ErrorsOnly,
        /// Takes back what is as good as the stable version.
        Hasty,
        /// Gives a new version all of the traffic before it is looked at.
        AllAtOnce,
        /// To a version that was not the stable one.
        WrongVersion,
        /// Says done while the bad version still serves.
        SaysDone,
    }
);
modes!(
    /// Replacement of dead pods.
    PodMode {
        /// Says ready before the model is warm.
        ReadyBeforeWarm,
    }
);
modes!(
    /// What readiness probes are good for.
    ProbeMode {
        /// Takes some 10 s to take a pod out that is not ready any more.
        Late,
    }
);
modes!(
    /// Autoscaling.
    AutoscalingMode {
        /// Takes some 20 s to make up its mind.
        Late,
        /// Never takes a replica away again.
        NeverIn,
    }
);
modes!(
    /// Failover to the second zone.
    FailoverMode {
        /// Stays there.
        NeverBack,
    }
);

/// What is wrong with a version that is rolled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VersionDefect {
    /// Nothing.
    #[default]
    None,
    /// Its steps take several times as long.
    Slow,
    /// It answers part of the requests with 500.
    Errors,
    /// It ends streams in the middle, without a finish reason.
    Truncates,
    /// It answers golden prompts wrongly.
    WrongAnswers,
    /// Its tokens come slowly, once they come.
    Throttled,
    /// It never gives back the memory of a part of its requests.
    Leaks,
    /// Its answers are much shorter.
    Short,
    /// Its classifiers say one class much more often.
    Skewed,
    /// It ends before it is ready, again and again.
    Crashes,
    /// It is never ready.
    NeverReady,
}

impl VersionDefect {
    /// Every defect.
    pub const ALL: &[Self] = &[
        Self::None,
        Self::Slow,
        Self::Errors,
        Self::Truncates,
        Self::WrongAnswers,
        Self::Throttled,
        Self::Leaks,
        Self::Short,
        Self::Skewed,
        Self::Crashes,
        Self::NeverReady,
    ];
}
