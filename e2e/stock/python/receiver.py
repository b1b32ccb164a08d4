"""Receives webhooks with Python's own http.server and checks them with its hmac.

Usage: python3 receiver.py ADDRESS
Prints "listening PORT", and then "message WEBHOOK-ID BODY" for what was accepted
and "refused REASON" for the rest. Each line on its standard input is the secret
from now on; "knows" says that it is.
"""
import base64
import hashlib
import hmac
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

key = b""
printing = threading.Lock()


def say(*words):
    with printing:
        print(*words, flush=True)


def check(headers, body):
    """Returns what is wrong with a request, or an empty string."""
    message, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(timestamp)) > 300:
        return "the timestamp is too far away"
    content = f"{message}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    for signature in headers["webhook-signature"].split(" "):
        version, _, value = signature.partition(",")
        if version == "v1" and hmac.compare_digest(value, expected):
            return ""
    return "no signature fits"


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        wrong = check(self.headers, body)
        if wrong:
            say("refused", wrong)
        else:
            json.loads(body)
            say("message", self.headers["webhook-id"], body.decode())
        self.send_response(401 if wrong else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, form, *args):
        pass  # standard error is for what is wrong


sys.stdout.reconfigure(encoding="utf-8")
server = ThreadingHTTPServer((sys.argv[1], 0), Receiver)
server.daemon_threads = True
say("listening", server.server_port)
threading.Thread(target=server.serve_forever, daemon=True).start()
for line in sys.stdin:
    key = base64.b64decode(line.strip().removeprefix("whsec_"))
    say("knows")
