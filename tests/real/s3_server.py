"""moto's S3 server behind rules that a test can change while it runs.

s3_server.py RULES LOG PORT: RULES is a JSON file, read at each request: {"latency": seconds, "fail": [{"method", "contains",
"times", "status"}], "slow": [{"contains", "latency"}], "bearer": token}. What a rule fails is answered as S3 answers: with a text that quotes the request's headers. LOG gets a line
for each request. Who signs nothing may read, as if the bucket were public. With "bearer" nobody signs, as at Google's XML interface,
which is this one but for that: who shows the token may write.
"""

import json
import logging
import sys
import threading
import time

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

rules_file, log_file, port = sys.argv[1:4]
logging.getLogger("werkzeug").setLevel(logging.ERROR)
app = DomainDispatcherApplication(create_backend_app)
lock = threading.Lock()
READER = "AWS4-HMAC-SHA256 Credential=reader/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
failed = {}


def rule_for(rules, request):
    for rule in rules.get("fail", []):
        if rule["method"] == request[0] and rule["contains"] in request[1]:
            key = json.dumps(rule)
            with lock:
                failed[key] = failed.get(key, 0) + 1
                if failed[key] <= rule["times"]:
                    return rule
    return None


def ruled(environ, start_response):
    with open(rules_file) as file:
        rules = json.load(file)
    request = (environ["REQUEST_METHOD"], environ["PATH_INFO"] + "?" + environ["QUERY_STRING"])
    with lock, open(log_file, "a") as file:
        file.write(" ".join(request) + "\n")
    slow = [rule["latency"] for rule in rules.get("slow", []) if rule["contains"] in request[1]]
    time.sleep(rules.get("latency", 0) + sum(slow))
    rule = rule_for(rules, request)
    if "bearer" in rules:
        shown = environ.pop("HTTP_AUTHORIZATION", None)
        if shown != "Bearer " + rules["bearer"] and (shown or request[0] not in ("GET", "HEAD")):
            environ["HTTP_AUTHORIZATION"] = str(shown)
            rule = {"status": 401}
    if rule is None:
        environ.setdefault("HTTP_AUTHORIZATION", READER)
        return app(environ, start_response)
    # A body that nobody reads breaks the connection before the answer.
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    quoted = "".join(f"<H>{key}: {value}</H>" for key, value in environ.items() if key.startswith("HTTP_"))
    body = f"<Error><Code>SignatureDoesNotMatch</Code>{quoted}</Error>".encode()
    start_response(f"{rule['status']} Refused", [("content-type", "application/xml"), ("content-length", str(len(body)))])
    return [body]


run_simple("127.0.0.1", int(port), ruled, threaded=True)
