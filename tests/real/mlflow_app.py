"""mlflow_app.py PORT REGISTRY MODEL GUARD: answers as the version that the alias
`champion` of the model points to; versions with the tag `bad` answer 500.

GUARD: `on` turns the alias back after some bad answers, `wrong` turns it to a
version that nobody asked for, `off` does nothing. The model and three versions
are registered first.
"""
import json
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, REGISTRY, MODEL, GUARD = int(sys.argv[1]), *sys.argv[2:5]
BAD_ANSWERS = 20
ALIAS = "champion"
state = {"version": None, "before": None, "bad": set(), "errors": 0}


def call(method, path, **fields):
    url = f"{REGISTRY}/api/2.0/mlflow/{path}"
    body = None
    if method == "GET":
        url += "?" + urllib.parse.urlencode(fields)
    else:
        body = json.dumps(fields).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def turn(version):
    call("POST", "registered-models/alias", name=MODEL, alias=ALIAS, version=version)


def register():
    call("POST", "registered-models/create", name=MODEL)
    for version, bad in (("1", False), ("2", True), ("3", False)):
        tags = [{"key": "bad", "value": "yes"}] if bad else []
        call("POST", "model-versions/create", name=MODEL, source=f"s3://models/{MODEL}/{version}", tags=tags)
        if bad:
            state["bad"].add(version)
    turn("1")


def follow():
    while True:
        now = call("GET", "registered-models/alias", name=MODEL, alias=ALIAS)["model_version"]["version"]
        if now != state["version"]:
            state.update(before=state["version"], version=now, errors=0)
        if state["errors"] >= BAD_ANSWERS and GUARD != "off":
            turn(state["before"] if GUARD == "on" else "3")
        time.sleep(0.5)


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        version = state["version"]
        bad = version in state["bad"]
        ready = version is not None
        if self.path == "/healthz":
            status = 200 if ready else 503
        else:
            status = 500 if bad else 200
            state["errors"] += bad
        body = b"{}"
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("x-model-version", str(version))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


register()
threading.Thread(target=follow, daemon=True).start()
ThreadingHTTPServer(("127.0.0.1", PORT), Answer).serve_forever()
