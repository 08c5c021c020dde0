"""A small OpenAI-compatible server: a random transformer in torch on the GPU, SLOTS answers at once (continuous
batching), greedy. Nothing but torch and the standard library.

usage: torch_server.py PORT [DEVICE [LAYERS WIDTH FEED_FORWARD HEADS KV_HEADS]]
"""

import json
import queue
import sys
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch
import torch.nn.functional as F

DEVICE = sys.argv[2] if len(sys.argv) > 2 else "cuda"
LAYERS, WIDTH, FEED, HEADS, KV = [int(a) for a in sys.argv[3:]] or (16, 2048, 5632, 16, 8)
D, SLOTS, CONTEXT, VOCAB = WIDTH // HEADS, 8, 1024, 4096
DTYPE = torch.bfloat16 if DEVICE == "cuda" else torch.float32
COUNT = {"prompt_tokens_total": 0, "tokens_predicted_total": 0, "requests_processing": 0, "requests_deferred": 0, "requests_cancelled_total": 0}


def word(token):
    c, v = "bdfgklmnprstvzjh", "aeio"
    return " " + c[token >> 8 & 15] + v[token >> 6 & 3] + c[token >> 2 & 15] + v[token & 3]


class Model:
    def __init__(self):
        torch.manual_seed(1)
        w = lambda rows, columns: (torch.randn(rows, columns, device=DEVICE) / columns**0.5).to(DTYPE)
        self.embed, self.head = torch.randn(VOCAB, WIDTH, device=DEVICE).to(DTYPE), w(VOCAB, WIDTH)
        self.layers = [
            (w((HEADS + 2 * KV) * D, WIDTH), w(WIDTH, HEADS * D), w(2 * FEED, WIDTH), w(WIDTH, FEED)) for _ in range(LAYERS)
        ]
        self.k = torch.zeros(LAYERS, SLOTS, KV, CONTEXT, D, device=DEVICE, dtype=DTYPE)
        self.v = torch.zeros_like(self.k)
        turn = torch.outer(torch.arange(CONTEXT).float(), 10000.0 ** (-torch.arange(0, D, 2).float() / D)).to(DEVICE)
        self.cos, self.sin = turn.cos().to(DTYPE), turn.sin().to(DTYPE)
        self.rows, self.places = torch.arange(SLOTS, device=DEVICE), torch.arange(CONTEXT, device=DEVICE)
        # What a step reads and writes, at fixed addresses.
        self.tokens = torch.zeros(SLOTS, dtype=torch.long, device=DEVICE)
        self.at = torch.zeros(SLOTS, dtype=torch.long, device=DEVICE)
        self.graph, self.next = None, None

    def turned(self, x, at):
        """x: [N, heads, D], at: [N]."""
        a, b = x.chunk(2, -1)
        cos, sin = self.cos[at].unsqueeze(1), self.sin[at].unsqueeze(1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)

    def forward(self, tokens, at, attend):
        """[N] tokens at [N] places; attend(layer, q, k, v) keeps and looks up. The next token of each."""
        norm = lambda x: F.layer_norm(x, (WIDTH,))
        x = self.embed[tokens]
        for layer, (qkv, out, up, down) in enumerate(self.layers):
            q, k, v = (norm(x) @ qkv.t()).view(-1, HEADS + 2 * KV, D).split([HEADS, KV, KV], 1)
            x = x + attend(layer, self.turned(q, at), self.turned(k, at), v).reshape(-1, HEADS * D) @ out.t()
            gate, value = (norm(x) @ up.t()).chunk(2, -1)
            x = x + (F.silu(gate) * value) @ down.t()
        return (norm(x) @ self.head.t()).argmax(-1)

    def prefill(self, slot, ids):
        n = len(ids)
        hidden = torch.ones(n, n, dtype=torch.bool, device=DEVICE).triu(1)

        def attend(layer, q, k, v):
            q, k, v = q.view(n, KV, -1, D).permute(1, 2, 0, 3), k.transpose(0, 1), v.transpose(0, 1)
            self.k[layer, slot, :, :n], self.v[layer, slot, :, :n] = k, v
            score = (q @ k.unsqueeze(1).transpose(-1, -2)).float() / D**0.5
            weight = score.masked_fill(hidden, -1e9).softmax(-1).to(DTYPE)
            return (weight @ v.unsqueeze(1)).permute(2, 0, 1, 3)

        return self.forward(torch.tensor(ids, device=DEVICE), self.places[:n], attend)[-1].item()

    def step(self):
        hidden = self.places > self.at.unsqueeze(1)

        def attend(layer, q, k, v):
            self.k[layer][self.rows, :, self.at], self.v[layer][self.rows, :, self.at] = k, v
            score = (q.view(SLOTS, KV, -1, D) @ self.k[layer].transpose(-1, -2)).float() / D**0.5
            weight = score.masked_fill(hidden[:, None, None], -1e9).softmax(-1).to(DTYPE)
            return weight @ self.v[layer]

        return self.forward(self.tokens, self.at, attend)

    def capture(self):
        """Records the step as a CUDA graph: without, it is many small launches."""
        if DEVICE != "cuda":
            return
        try:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):
                    self.step()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.next = self.step()
            self.graph = graph
            print("steps run as a CUDA graph", flush=True)
        except Exception as error:  # then without
            print(f"no CUDA graph: {error}", flush=True)

    def decode(self, tokens, at):
        self.tokens.copy_(torch.tensor(tokens))
        self.at.copy_(torch.tensor(at))
        if self.graph is None:
            return self.step().tolist()
        self.graph.replay()
        return self.next.tolist()


class Ask:
    def __init__(self, ids, limit):
        self.ids, self.limit, self.gone, self.out = ids, limit, False, queue.SimpleQueue()


WAITING = queue.SimpleQueue()


@torch.no_grad()
def serve(model):
    slots, tokens, at = [None] * SLOTS, [0] * SLOTS, [0] * SLOTS

    def give(slot, token):
        ask = slots[slot]
        tokens[slot] = token
        ask.limit -= 1
        ask.out.put(token)
        COUNT["tokens_predicted_total"] += 1
        COUNT["requests_cancelled_total"] += ask.gone
        if ask.limit <= 0 or ask.gone:
            ask.out.put(None)
            slots[slot], at[slot] = None, 0

    while True:
        for slot in range(SLOTS):
            if slots[slot] is None and (not WAITING.empty() or not any(slots)):
                COUNT["requests_processing"] = sum(s is not None for s in slots)
                slots[slot] = ask = WAITING.get()
                at[slot] = len(ask.ids)
                COUNT["prompt_tokens_total"] += len(ask.ids)
                give(slot, model.prefill(slot, ask.ids))
        COUNT["requests_processing"], COUNT["requests_deferred"] = sum(s is not None for s in slots), WAITING.qsize()
        if any(slots):
            answer = model.decode(tokens, at)
            for slot in range(SLOTS):
                if slots[slot] is not None:
                    at[slot] += 1
                    give(slot, answer[slot])


class Handler(BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

    def log_message(self, *_):
        pass

    def whole(self, kind, body):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/metrics":
            kind = lambda name: "counter" if name.endswith("_total") else "gauge"
            lines = [f"# TYPE torch:{name} {kind(name)}\ntorch:{name} {value}\n" for name, value in COUNT.items()]
            self.whole("text/plain; version=0.0.4", "".join(lines).encode())
        else:
            self.whole("application/json", b'{"status":"ok"}')

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        text = " ".join(str(message["content"]) for message in asked["messages"])
        limit = max(1, min(asked.get("max_tokens") or 64, CONTEXT // 2))
        ids = [zlib.crc32(w.encode()) % VOCAB for w in text.split()][: CONTEXT - limit - 1] or [0]
        ask, sent = Ask(ids, limit), 0
        WAITING.put(ask)
        usage = {"prompt_tokens": len(ids), "completion_tokens": limit, "total_tokens": len(ids) + limit}
        head = {"id": f"chatcmpl-{id(ask)}", "created": int(time.time()), "model": asked.get("model", "random")}
        if not asked.get("stream"):
            content = "".join(word(token) for token in iter(ask.out.get, None))
            choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "length"}
            return self.whole("application/json", json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage}).encode())
        chunk = {**head, "object": "chat.completion.chunk"}

        def event(data):
            line = f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))

        def delta(content, finish=None):
            event({**chunk, "choices": [{"index": 0, "delta": content, "finish_reason": finish}]})

        try:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for token in iter(ask.out.get, None):
                delta({"content": word(token)} if sent else {"role": "assistant", "content": word(token)})
                sent += 1
            delta({}, "length")
            if (asked.get("stream_options") or {}).get("include_usage"):
                event({**chunk, "choices": [], "usage": usage})
            event("[DONE]")
            self.wfile.write(b"0\r\n\r\n")
        except OSError:  # the client has gone
            ask.gone, self.close_connection = True, True


class Server(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 256

    def handle_error(self, *_):
        pass


def main():
    sys.setswitchinterval(0.0005)
    began = time.monotonic()
    with torch.no_grad():
        model = Model()
        model.prefill(0, [1] * 100)
        model.capture()
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else DEVICE
    count = sum(w.numel() for layer in model.layers for w in layer) + 2 * model.head.numel()
    print(f"{count / 1e9:.2f} billion parameters on {name}, torch {torch.__version__}, ready after {time.monotonic() - began:.1f} s", flush=True)

    def scheduler():
        try:
            serve(model)
        except BaseException:
            import os
            import traceback

            traceback.print_exc()
            os._exit(1)

    threading.Thread(target=scheduler, daemon=True).start()
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
