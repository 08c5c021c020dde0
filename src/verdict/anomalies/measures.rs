//! What is looked at, and how much of a difference matters in it.

/// A kind of series.
#[derive(Debug, PartialEq)]
pub(super) struct Measure {
    /// Its name for people.
    pub(super) name: &'static str,
    /// `ms`, `ratio`, `/s`, `count`.
    pub(super) unit: &'static str,
    pub(super) worse: Worse,
    pub(super) scale: Scale,
    /// The least spread that it is taken to have, on its scale.
    pub(super) floor: f64,
    /// The least difference of a spike, on its scale.
    pub(super) spike: f64,
    /// The least difference of a shift, on its scale.
    pub(super) shift: f64,
    /// The least difference of either, in its unit.
    pub(super) least: f64,
    /// Its place where several show the same: users first.
    pub(super) order: u8,
}

/// Which way it gets worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worse {
    Up,
    Down,
}

/// What differences in it mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// A factor: twice as long is as far from usual for any latency. The scale
    /// is the natural logarithm.
    Factor,
    /// A share of the baseline's median.
    Share,
    /// The difference itself.
    Plain,
}

impl Measure {
    /// Its name with who says so.
    pub(super) fn at(&self, source: Option<&str>) -> String {
        source.map_or_else(|| self.name.to_owned(), |source| format!("{} at {source}", self.name))
    }

    /// A figure on its scale, turned so that more is worse. `usual` is the
    /// baseline's median. None: it has none there.
    pub(super) fn x(&self, figure: f64, usual: f64) -> Option<f64> {
        let x = match self.scale {
            Scale::Factor => figure.ln(),
            Scale::Share => figure / usual,
            Scale::Plain => figure,
        };
        let x = match self.worse {
            Worse::Up => x,
            Worse::Down => -x,
        };
        // Beyond this no difference is exact, and none is real.
        (x.abs() < 1e15).then_some(x)
    }
}

/// Twice as long, and half as long again.
const TWICE: f64 = std::f64::consts::LN_2;
const HALF_AGAIN: f64 = 0.405;

const fn latency(name: &'static str, least: f64, order: u8) -> Measure {
    Measure {
        name,
        unit: "ms",
        worse: Worse::Up,
        scale: Scale::Factor,
        floor: 0.1,
        spike: TWICE,
        shift: HALF_AGAIN,
        least,
        order,
    }
}

const fn tokens(name: &'static str, unit: &'static str) -> Measure {
    Measure {
        name,
        unit,
        worse: Worse::Down,
        scale: Scale::Share,
        floor: 0.05,
        spike: 0.3,
        shift: 0.2,
        least: 0.0,
        order: 4,
    }
}

pub(super) static AVAILABILITY: Measure = Measure {
    name: "availability",
    unit: "ratio",
    worse: Worse::Down,
    scale: Scale::Plain,
    floor: 0.005,
    spike: 0.1,
    shift: 0.03,
    least: 0.0,
    order: 0,
};
pub(super) static TTFT_P95: Measure = latency("TTFT p95", 5.0, 1);
pub(super) static E2E_P95: Measure = latency("E2E p95", 5.0, 2);
pub(super) static ITL_P95: Measure = latency("ITL p95", 2.0, 3);
/// Where the load does not depend on the answers: then it is the load's own
/// ups and downs that are divided out.
pub(super) static TOKENS_EACH: Measure = tokens("tokens per request", "count");
/// Where it does.
pub(super) static TOKENS: Measure = tokens("tokens/s", "/s");
pub(super) static TTFT_P50: Measure = latency("TTFT p50", 5.0, 5);
pub(super) static E2E_P50: Measure = latency("E2E p50", 5.0, 6);

static WAITING: Measure = Measure {
    name: "requests waiting",
    unit: "count",
    worse: Worse::Up,
    scale: Scale::Plain,
    floor: 1.0,
    spike: 8.0,
    shift: 4.0,
    least: 0.0,
    order: 7,
};
static KV_CACHE: Measure = Measure {
    name: "KV cache in use",
    unit: "ratio",
    worse: Worse::Up,
    scale: Scale::Plain,
    floor: 0.03,
    spike: 0.3,
    shift: 0.2,
    least: 0.0,
    order: 8,
};
/// Idle cards, while there is as much to do, are the finding.
static GPU: Measure = Measure {
    name: "GPU use",
    unit: "ratio",
    worse: Worse::Down,
    scale: Scale::Plain,
    floor: 0.05,
    spike: 0.4,
    shift: 0.3,
    least: 0.0,
    order: 9,
};

/// A gauge of inference servers or of cards, as they name it themselves.
pub(super) struct Gauge {
    pub(super) metric: &'static str,
    pub(super) measure: &'static Measure,
    /// What its figures are multiplied with, to be in the measure's unit.
    pub(super) times: f64,
}

const fn gauge(metric: &'static str, measure: &'static Measure, times: f64) -> Gauge {
    Gauge { metric, measure, times }
}

/// The gauges that are looked at: of vLLM (now and before 0.10), SGLang,
/// TGI, Triton and NVIDIA's DCGM exporter.
pub(super) static GAUGES: [Gauge; 9] = [
    gauge("vllm:num_requests_waiting", &WAITING, 1.0),
    gauge("sglang:num_queue_reqs", &WAITING, 1.0),
    gauge("tgi_queue_size", &WAITING, 1.0),
    gauge("nv_inference_pending_request_count", &WAITING, 1.0),
    gauge("vllm:kv_cache_usage_perc", &KV_CACHE, 1.0),
    gauge("vllm:gpu_cache_usage_perc", &KV_CACHE, 1.0),
    gauge("sglang:token_usage", &KV_CACHE, 1.0),
    gauge("nv_gpu_utilization", &GPU, 1.0),
    gauge("DCGM_FI_DEV_GPU_UTIL", &GPU, 0.01),
];
