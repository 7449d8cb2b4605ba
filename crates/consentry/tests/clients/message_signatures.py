"""Signs calls by HTTP Message Signatures (RFC 9421) with a partner key, written from the RFC and from
docs/developer/signed-requests.md with the standard library alone. See README.md beside it."""

import base64
import hashlib
import hmac
import http.client
import json
import secrets
import sys
import time
from urllib.parse import urlsplit

COVERED = ["@method", "@authority", "@path", "@query", "content-digest", "content-type"]


def sign(secret, key, request, covered, created, nonce):
    """The headers that RFC 9421 §3.1 and RFC 9530 §2 add to a request."""
    digest = base64.b64encode(hashlib.sha256(request["body"]).digest()).decode()
    values = {
        "@method": request["method"],
        "@authority": request["authority"].lower(),
        "@path": request["path"],
        "@query": f"?{request['query']}",
        "content-digest": f"sha-256=:{digest}:",
        "content-type": "application/json",
    }
    names = " ".join(f'"{name}"' for name in covered)
    params = f'({names});created={created};keyid="{key}";alg="hmac-sha256";nonce="{nonce}"'
    lines = [f'"{name}": {values[name]}' for name in covered]
    base = "\n".join([*lines, f'"@signature-params": {params}'])
    mac = hmac.new(secret.encode(), base.encode(), hashlib.sha256).digest()
    return {
        "Content-Type": values["content-type"],
        "Content-Digest": values["content-digest"],
        "Signature-Input": f"sig={params}",
        "Signature": f"sig=:{base64.b64encode(mac).decode()}:",
    }


class Client:
    def __init__(self, config):
        self.config = config
        self.authority = urlsplit(config["base"]).netloc

    def call(self, path, body, *, sent=None, query="", covered=COVERED, age=0, nonce=None, to=None):
        body = json.dumps(body).encode()
        request = {
            "method": "POST",
            "authority": self.authority,
            "path": path,
            "query": query,
            "body": body,
        }
        nonce = nonce or secrets.token_hex(16)
        created = int(time.time()) - age
        secret, key = self.config["secret"], self.config["key"]
        headers = sign(secret, key, request, covered, created, nonce)
        connection = http.client.HTTPConnection(self.authority)
        target = (to or path) + (f"?{query}" if query else "")
        connection.request("POST", target, sent or body, {**headers, "Host": self.authority})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return [answer.status, json.loads(text) if text else None]


def main():
    client = Client(json.loads(sys.argv[1]))
    market = {"market": "BTC_USDT"}
    order = {**market, "side": "buy", "amount": "0.01", "price": "20000"}
    new = "/api/v4/order/new"
    placed = client.call(new, order, nonce="first", query="from=python")
    found = {
        "placed": placed,
        "replayed": client.call(new, order, nonce="first", query="from=python"),
        "altered": client.call(new, order, sent=json.dumps({**order, "amount": "9"}).encode()),
        "uncovered": client.call(new, order, covered=COVERED[:4]),
        "old": client.call(new, order, age=120),
        "wrong_path": client.call(new, order, to="/api/v4/order/market"),
        "open": len(client.call("/api/v4/orders", market)[1]),
        "cancelled": client.call(
            "/api/v4/order/cancel", {**market, "orderId": placed[1]["orderId"]}
        ),
        "transfer": client.call(
            "/api/v4/main-account/transfer",
            {"ticker": "USDT", "amount": "1", "from": "spot", "to": "main"},
        ),
    }
    print(json.dumps({"ok": True, **found}), flush=True)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # the caller reads every failure as the last line
        print(json.dumps({"ok": False, "error": f"{type(error).__name__}: {error}"}), flush=True)
        sys.exit(1)
