#!/usr/bin/env python3
"""made-up.py DIR SERVICES EACH BYTES [BASE]: a repository of npm services in DIR/repo, and a registry for it.

Everything is the same at every call, so that the work of a run on it can be counted. Half of a service's EACH packages are
those of the one before. Without BASE it serves over plain HTTP/1.1 on 127.0.0.1 until its standard input ends: it writes
DIR/override, which sends requests there, and prints `ready`. With BASE, a URL, it writes what such a server has to DIR/www,
and DIR/urls for `curl -K`.
"""

import base64
import hashlib
import json
import random
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOST = "registry.npmjs.org"
SITE = """        s{0} = pkgs.buildNpmPackage {{
          pname = "s{0}";
          version = "1";
          src = ./services/s{0};
          npmDepsHash = "";
        }};
"""
FLAKE = """{{
  outputs = {{ self, nixpkgs }}:
    let pkgs = nixpkgs.legacyPackages.x86_64-linux; in
    {{
      packages.x86_64-linux = {{
{0}      }};
    }};
}}
"""


def packages(count, total):
    """Most are small, and a few hold most of the bytes, as with real ones."""
    chance = random.Random(7)
    weights = [(chance.random() + 0.001) ** -0.8 for _ in range(count)]
    for number, weight in enumerate(weights):
        body = random.Random(number).randbytes(int(weight / sum(weights) * total) + 64)
        yield f"package-{number:05}", body


def lockfile(service, mine):
    entries = {"": {"name": f"s{service}", "version": "1.0.0"}}
    for name, body in mine:
        entries[f"node_modules/{name}"] = {
            "version": "1.0.0",
            "resolved": f"https://{HOST}/{name}/-/{name}-1.0.0.tgz",
            "integrity": "sha512-" + base64.b64encode(hashlib.sha512(body).digest()).decode(),
            "license": "MIT",
            "engines": {"node": ">=18"},
        }
    document = {"name": f"s{service}", "version": "1.0.0", "lockfileVersion": 3, "packages": entries}
    return json.dumps(document, indent=2) + "\n"


def write(repository, services, each, published):
    (repository / ".git").mkdir(parents=True)
    sites = ""
    for service in range(services):
        folder = repository / f"services/s{service}"
        folder.mkdir(parents=True)
        mine = (published[(service * each // 2 + n) % len(published)] for n in range(each))
        (folder / "package-lock.json").write_text(lockfile(service, mine))
        sites += SITE.format(service)
    (repository / "flake.nix").write_text(FLAKE.format(sites))


def main():
    folder = Path(sys.argv[1])
    services, each, total = (int(number) for number in sys.argv[2:5])
    published = list(packages((services + 1) * each // 2, total))
    write(folder / "repo", services, each, published)
    files = {f"/{name}/-/{name}-1.0.0.tgz": body for name, body in published}
    if len(sys.argv) > 5:
        store(folder, files, sys.argv[5])
    else:
        serve(folder, files)


def store(folder, files, base):
    urls = ""
    for number, (path, body) in enumerate(files.items()):
        place = folder / f"www{path}"
        place.parent.mkdir(parents=True)
        place.write_bytes(body)
        urls += f'url = "{base}{path}"\noutput = "{number}"\n'
    (folder / "urls").write_text(urls)


def serve(folder, files):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self):
            body = files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("content-length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (folder / "override").write_text(json.dumps({HOST: f"http://127.0.0.1:{server.server_port}"}))
    print("ready", flush=True)
    sys.stdin.read()


main()
