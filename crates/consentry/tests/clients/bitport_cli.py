"""A command-line client of Bitport with the habits of the public one in Python: no redirect_uri, and
`Authorization` without a scheme, then with `token_type` as it came. See README.md beside it."""

import json
import sys
from http.client import HTTPConnection
from urllib.parse import parse_qs, urlencode, urlsplit


def show(value):
    print(json.dumps(value), flush=True)


def check(condition, message):
    if not condition:
        raise AssertionError(message)


class Bitport:
    def __init__(self, config):
        self.config = config
        self.host = urlsplit(config["base"]).netloc

    def send(self, method, path, body=None, **headers):
        """Follows no redirect: it prints addresses for other programs to fetch."""
        connection = HTTPConnection(self.host, timeout=20)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer, answer.read()

    def token(self, code, secret):
        form = {
            "client_id": self.config["client_id"],
            "client_secret": secret,
            "grant_type": "authorization_code",
            "code": code,
        }
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer, body = self.send("POST", "/v2/oauth2/access-token", urlencode(form), **kind)
        # It knows no other status, and reads what is in a 200.
        check(answer.status == 200, f"HTTP {answer.status}: {body}")
        return json.loads(body)

    def get(self, path, authorization):
        answer, body = self.send("GET", path, Authorization=authorization)
        check(answer.status == 200, f"{path}: HTTP {answer.status}: {body}")
        envelope = json.loads(body)
        check(envelope["status"] == "success", f"{path}: {envelope['errors']}")
        return envelope["data"][0]


def main():
    config = json.loads(sys.argv[1])
    bitport = Bitport(config)
    query = urlencode({"response_type": "code", "client_id": config["client_id"]})
    show({"authorize_url": f"{config['base']}/v2/oauth2/authorize?{query}"})
    code = parse_qs(urlsplit(sys.stdin.readline().strip()).query)["code"][0]

    wrong = bitport.token(code, "wrong")
    check(wrong["error"] == "invalid_parameter", f"{wrong}")
    token = bitport.token(code, config["client_secret"])
    me = bitport.get("/v2/me", token["access_token"])
    typed = f"{token['token_type']} {token['access_token']}"
    file = bitport.get("/v2/cloud", typed)["files"][0]

    answer, _ = bitport.send("GET", f"/v2/files/{file['code']}/download", Authorization=typed)
    check(answer.status == 302, f"download: HTTP {answer.status}")
    address = urlsplit(answer.headers["Location"])
    link = f"{address.path}?{address.query}"
    answer, part = bitport.send("GET", link, Range="bytes=0-15")
    check(answer.status == 206, f"link: HTTP {answer.status}")
    show(
        {
            "ok": True,
            "email": me["email"],
            "expires_in": token["expires_in"],
            "first_bytes": len(part),
            "wrong_secret": wrong["error_description"],
        }
    )


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # the caller reads every failure as the last line
        show({"ok": False, "error": f"{type(error).__name__}: {error}"})
        sys.exit(1)
