"""Receives webhooks with nothing but Python. The function is the one of docs/developer/webhooks.md."""
import base64
import hashlib
import hmac
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer


def verified(secret: str, headers, body: bytes) -> dict:
    """The message, if it is from the provider and new. ValueError otherwise."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    message_id, sent_at = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(sent_at)) > 300:
        raise ValueError("too old: somebody may have recorded it")
    content = f"{message_id}.{sent_at}.".encode() + body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    for signature in headers["webhook-signature"].split():
        version, _, value = signature.partition(",")
        if version == "v1" and hmac.compare_digest(value, expected):
            return json.loads(body)
    raise ValueError("not signed with this secret")


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            told = {"ok": verified(SECRET, self.headers, body), "id": self.headers["webhook-id"]}
        except ValueError as error:
            told = {"error": str(error)}
        self.send_response(204 if "ok" in told else 400)
        self.end_headers()
        print(json.dumps(told), flush=True)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
print(json.dumps({"port": server.server_port}), flush=True)
SECRET = sys.stdin.readline().strip()
server.serve_forever()
