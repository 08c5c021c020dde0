#!/usr/bin/env python3
"""Firedrill's load against its peers: rounds in turn on one machine, medians.
Where the machine is busy with other things, the CPU time of a request says more
than the rate: it is the client's alone, start and report included.

    cargo build --release --bin firedrill --example bench-server --example bench-goose
    benches/peers/setup                  # aiperf and guidellm
    benches/load/compare.py [--rounds 5] [--seconds 5] [plain] [chat] [sse] [burst] [open] [streams] [long]

plain   a POST of 130 bytes, answered with 95: the `http` endpoint, which looks at the status
chat    the same bytes as a chat completion: each prompt drawn, each answer parsed
sse     a stream of 32 tokens, each written by itself, each parsed and timed; and whole latencies beside wrk's
burst   the same in one write
open    an open loop at 10,000/s against its own schedule
streams 10,000 streams at once, a token a second each
long    10 million requests: memory, journal, time of the report

Peers that are not installed (wrk, oha, k6, aiperf, guidellm) are left out, and said so. They are looked for in PATH and
in ~/.cache/firedrill/peers. The CPU time of aiperf and guidellm has seconds of start in it: their rates say more.
"""

import argparse, json, os, pathlib, re, shutil, statistics, subprocess, tempfile, time

ADDRESS = "127.0.0.1:18999"
BODY = '{"model":"demo","temperature":0,"messages":[{"role":"user","content":"users-1-1 a b c d e f g"}],"max_tokens":1,"ignore_eos":true}'
root = pathlib.Path(__file__).resolve().parents[2]
peers_folder = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "firedrill/peers"
target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target")) / "release"


def program(name):
    """Where a peer is; None, and a word about it, where it is not installed."""
    found = (shutil.which(name, path=folder) for folder in (None, peers_folder / name / "bin", peers_folder / "bin"))
    return next(filter(None, found), None) or print(f"{name} is not installed: left out")


def chat(path, stream, tokens):
    return f"""endpoint: {{ openai-chat: {{ model: demo, stream: {str(stream).lower()}, path: /{path} }} }}
    prompts: {{ synthetic: {{ input-tokens: 8, output-tokens: {tokens} }} }}"""


def plain(path):
    return f"endpoint: {{ http: {{ path: /{path}, method: POST, body: {BODY} }} }}"


def firedrill(endpoint, load, seconds, folder, timeout="30s"):
    """Runs a load; its verdict.json, CPU seconds and peak memory (KiB) of the process, and its folder."""
    scenario = folder / "bench.yaml"
    scenario.write_text(f"""version: 1
name: bench
target: {{ url: "http://{ADDRESS}" }}
workloads:
  work:
    {endpoint}
    timeout: {timeout}
load:
  - {{ name: users, workload: work, {load} }}
phases: {{ load: {seconds}s }}
slos:
  - {{ availability: ">= 99%" }}
""")
    command = [target / "firedrill", "run", scenario, "--ui", "none", "--runs", folder / "runs"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    lines = out.strip().splitlines()
    if not lines:
        raise SystemExit(f"firedrill: {status}: {err}")
    run = pathlib.Path(lines[-1])
    verdict = json.loads((run / "verdict.json").read_text())
    return verdict, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, run


def measured(command, **more):
    """The command's standard output, and its CPU seconds with those of its children."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **more)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command[0]}: ended with {status}")
    return out, usage.ru_utime + usage.ru_stime


# Each of these gives requests and CPU seconds.

def of_firedrill(endpoint, users, seconds, folder):
    verdict, cpu, _, _ = firedrill(endpoint, f"closed: {{ users: {users} }}", seconds, folder)
    failed = {k: v for k, v in verdict["outcomes"].items() if k != "ok"}
    if failed:
        print("  firedrill: not ok:", failed)
    return verdict["latency"]["all"]["requests"], cpu


def of_wrk(path, users, seconds, folder):
    script = folder / "post.lua"
    script.write_text(f"wrk.method='POST'\nwrk.headers['content-type']='application/json'\nwrk.body=[[{BODY}]]\n")
    out, cpu = measured([program("wrk"), "-t2", f"-c{users}", f"-d{seconds}s", "-s", script, f"http://{ADDRESS}/{path}"])
    return int(re.search(r"(\d+) requests in", out)[1]), cpu


def of_oha(path, users, seconds, _):
    out, cpu = measured([program("oha"), "--no-tui", "--output-format", "json", "-c", str(users), "-z", f"{seconds}s", "-m", "POST",
                         "-T", "application/json", "-d", BODY, f"http://{ADDRESS}/{path}"])
    return json.loads(out)["summary"]["requestsPerSec"] * seconds, cpu


def of_k6(path, users, seconds, folder):
    script = folder / "post.js"
    script.write_text(f"""import http from 'k6/http';
export const options = {{ vus: {users}, duration: '{seconds}s' }};
export default function () {{ http.post('http://{ADDRESS}/{path}', {json.dumps(BODY)}, {{ headers: {{ 'content-type': 'application/json' }} }}); }}
""")
    out = folder / "k6.json"
    _, cpu = measured([program("k6"), "run", "--quiet", "--summary-export", out, script])
    return json.loads(out.read_text())["metrics"]["http_reqs"]["count"], cpu


def of_goose(path, users, seconds, _):
    out, cpu = measured([target / "examples/bench-goose", f"http://{ADDRESS}", str(seconds)])
    return float(out.split()[-1]) * seconds, cpu


# Without a model hub: a tokenizer of our own. Their rates are what they say of the time that they measured.

def of_aiperf(path, users, seconds, folder):
    folder = pathlib.Path(tempfile.mkdtemp(dir=folder))
    _, cpu = measured([program("aiperf"), "profile", "--model", "demo", "--url", f"http://{ADDRESS}", "--custom-endpoint", f"/{path}",
                       "--endpoint-type", "chat", "--streaming", "--tokenizer", peers_folder / "tokenizer", "--isl", "8", "--osl", "32",
                       "--concurrency", str(users), "--benchmark-duration", str(seconds), "--use-server-token-count", "--ui", "none",
                       "--no-server-metrics", "--no-gpu-telemetry", "--artifact-dir", folder], cwd=folder)
    return json.loads((folder / "profile_export_aiperf.json").read_text())["request_throughput"]["avg"] * seconds, cpu


def of_guidellm(path, users, seconds, folder):
    out = pathlib.Path(tempfile.mkdtemp(dir=folder)) / "out.json"
    _, cpu = measured([program("guidellm"), "run", "--profile", f"kind=concurrent,streams={users}",
                       "--backend", f"kind=openai_http,target=http://{ADDRESS}/{path},model=demo,request_format=/v1/chat/completions",
                       "--constraint", f"kind=max_duration,seconds={seconds}", "--data", "kind=synthetic_text,prompt_tokens=8,output_tokens=32",
                       "--tokenizer", f"kind=hf_auto,model={peers_folder / 'tokenizer'}", "--output", f"kind=json,path={out}",
                       "--disable-progress"], cwd=folder, env={**os.environ, "USE_TORCH": "0"})
    return json.loads(out.read_text())["benchmarks"][0]["metrics"]["requests_per_second"]["successful"]["mean"] * seconds, cpu


def compare(name, endpoint, path, users, peers, rounds, seconds, folder):
    rounds_of = {peer: [] for peer in ["firedrill", *peers]}
    for _ in range(rounds):
        rounds_of["firedrill"].append(of_firedrill(endpoint, users, seconds, folder))
        for peer, measure in peers.items():
            rounds_of[peer].append(measure(path, users, seconds, folder))
    rate = {peer: statistics.median(n / seconds for n, _ in all) for peer, all in rounds_of.items()}
    cost = {peer: statistics.median(1e6 * cpu / n for n, cpu in all) for peer, all in rounds_of.items()}
    print(f"{name}: {rounds} rounds of {seconds} s, {users} connections")
    print("  client      requests/s  firedrill is   CPU a request  firedrill is   (requests/s of each round)")
    for peer, all in rounds_of.items():
        spread = " ".join(f"{n / seconds:.0f}" for n, _ in all)
        print(f"  {peer:10} {rate[peer]:11.0f} {rate['firedrill'] / rate[peer]:12.2f}x {cost[peer]:13.1f} us"
              f" {cost['firedrill'] / cost[peer]:11.2f}x   ({spread})")


def latencies(rounds, seconds, folder):
    """From sent to the end of the answer, as both clients say it (ms), and the first token's."""
    rows = []
    for _ in range(rounds):
        verdict, *_ = firedrill(chat("sse", True, 32), "closed: { users: 32 }", seconds, folder)
        quantiles = verdict["latency"]["all"]["quantiles"]
        ours = [quantiles[name]["successes"]["p50"] for name in ("service_ttft", "service_e2e")]
        out, _ = measured([program("wrk"), "-t2", "-c32", f"-d{seconds}s", "--latency", "-s", folder / "post.lua", f"http://{ADDRESS}/sse"])
        amount, unit = re.search(r"50%\s+([0-9.]+)(us|ms|s)", out).groups()
        rows.append((*ours, float(amount) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]))
    ttft, whole, wrk = (statistics.median(column) for column in zip(*rows))
    print(f"sse, p50 of latencies: firedrill's TTFT {ttft:.2f} ms, whole {whole:.2f} ms; wrk's whole {wrk:.2f} ms")


def streams(number, folder):
    """So many at once: they come over 20 s, and each takes 30."""
    def run(each_second):
        load = f"arrivals: {{ constant: {{ rate: {each_second}/s }} }}, users: {20 * each_second + 1}"
        return firedrill(chat("slow", True, 30), load, 20, folder, "60s")
    few, many = run(1), run(number // 20)
    each = (many[2] - few[2]) / (number - 20)
    latency = many[0]["latency"]["all"]["quantiles"]
    print(f"{number} streams of 1 token/s: {each:.1f} KiB each, peak {many[2] / 1024:.0f} MiB, {many[1]:.1f} s CPU")
    print("  ITL (ms):", json.dumps(latency["itl"]["successes"]), "outcomes:", many[0]["outcomes"])


def long(requests, folder):
    load = f"closed: {{ users: 64, requests: {requests} }}"
    verdict, cpu, peak, run = firedrill(plain("json"), load, 600, folder)
    size = sum((run / name).stat().st_size for name in ("events.jsonl", "intervals.jsonl"))
    begun = time.monotonic()
    subprocess.run([target / "firedrill", "report", run], stdout=subprocess.DEVNULL, check=True)
    took = time.monotonic() - begun
    print(f"{verdict['outcomes']}: peak {peak / 1024:.0f} MiB, {1e6 * cpu / requests:.1f} us CPU a request,"
          f" journal {size / 2**20:.1f} MiB, report in {took:.2f} s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("what", nargs="*", default=["plain", "chat", "sse", "burst", "open", "streams", "long"])
    args = parser.parse_args()
    server = subprocess.Popen([target / "examples/bench-server", ADDRESS])
    try:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            time.sleep(0.5)
            installed = lambda **peers: {name: measure for name, measure in peers.items() if program(name)}
            wrk = installed(wrk=of_wrk)
            rounds, seconds = args.rounds, args.seconds
            if "plain" in args.what or "chat" in args.what:
                peers = wrk | installed(oha=of_oha, k6=of_k6)
                peers |= {"goose": of_goose} if (target / "examples/bench-goose").exists() else {}
            if "plain" in args.what:
                compare("plain", plain("json"), "json", 64, peers, rounds, seconds, folder)
            if "chat" in args.what:
                compare("chat", chat("json", False, 1), "json", 64, peers, rounds, seconds, folder)
            for path in ["sse", "burst"]:
                if path in args.what:
                    parsing = installed(aiperf=of_aiperf, guidellm=of_guidellm) if path == "sse" else {}
                    compare(path, chat(path, True, 32), path, 32, wrk | parsing, rounds, seconds, folder)
            if "sse" in args.what and wrk:
                latencies(rounds, seconds, folder)
            if "open" in args.what:
                load = "arrivals: { constant: { rate: 10000/s } }"
                verdict, cpu, peak, _ = firedrill(plain("json"), load, seconds, folder)
                print("open loop at 10000/s:", json.dumps(verdict["generator"]), f"{cpu:.1f} s CPU, {peak / 1024:.0f} MiB")
            if "streams" in args.what:
                streams(args.streams, folder)
            if "long" in args.what:
                long(args.requests, folder)
    finally:
        server.terminate()
        server.wait()


main()
