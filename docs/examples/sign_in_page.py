"""A login page for Consentry's signed redirect: docs/operator/sign-in.md. Python's own library only.

Run: SIGN_IN_KEY=... python3 sign_in_page.py PORT. Replace USERS by what your login knows.
"""
import base64, hashlib, hmac, html, json, os, sys, time, urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = os.environ["SIGN_IN_KEY"].encode()  # The `key` of [[sign_in.provider]].
ISSUER = "login-page"                     # Its `issuer`.
USERS = {"ada@example.com": {"password": "swordfish", "sub": "1", "name": "Ada Lovelace"}}
PAGE = """<!doctype html><html lang="en"><title>Sign in</title><h1>Sign in</h1><p>{error}</p>
<form method="post"><input type="hidden" name="request" value="{request}">
<p><label>E-mail <input name="email" value="{email}"></label>
<p><label>Password <input name="password" type="password"></label>
<p><button>Sign in</button></form></html>"""

encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
decode = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
mac = lambda signed: hmac.new(KEY, signed, hashlib.sha256).digest()

def read_request(token):
    """The claims of a request; ValueError if it is not one that Consentry has just made."""
    header, claims, signature = token.split(".")
    if not hmac.compare_digest(mac(f"{header}.{claims}".encode()), decode(signature)):
        raise ValueError("signature")
    header, claims = json.loads(decode(header)), json.loads(decode(claims))
    if header.get("alg") != "HS256" or header.get("typ") != "consentry-sign-in-request+jwt":
        raise ValueError("kind")
    if claims["aud"] != ISSUER or claims["exp"] <= time.time():
        raise ValueError("audience or time")
    return claims

def sign_return(claims):
    parts = {"alg": "HS256", "typ": "consentry-sign-in-return+jwt"}, claims
    signed = b".".join(encode(json.dumps(part).encode()) for part in parts)
    return (signed + b"." + encode(mac(signed))).decode()

class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.show(urllib.parse.urlsplit(self.path).query, submitted=False)

    def do_POST(self):
        length = min(int(self.headers["Content-Length"]), 65536)
        self.show(self.rfile.read(length).decode(), submitted=True)

    def show(self, form, submitted):
        form = dict(urllib.parse.parse_qsl(form))
        try:
            request = read_request(form.get("request", ""))
        except (ValueError, KeyError):
            return self.answer(400, "This link is over. Go back and start again.")
        email = form.get("email", request.get("login_hint", "")).lower()
        user = USERS.get(email)
        if not submitted or not user or user["password"] != form.get("password"):
            error = "That is not right." if submitted else ""
            return self.answer(200, PAGE.format(error=error, email=html.escape(email),
                                                request=html.escape(form["request"])))
        now = int(time.time())
        back = sign_return({
            "iss": ISSUER, "aud": request["iss"], "jti": request["jti"], "iat": now, "exp": now + 60,
            "sub": user["sub"], "email": email, "email_verified": True, "name": user["name"],
            "auth_time": now, "amr": ["pwd"]})
        self.send_response(303)
        self.send_header("Location", request["return_url"] + "?response=" + back)
        self.end_headers()

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(text.encode())

if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
