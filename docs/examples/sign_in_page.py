"""A login page for Consentry's signed redirect (docs/operator/sign-in.md), without packages.
Run: SIGN_IN_KEY=... python3 sign_in_page.py PORT. Put your own login in the place of USERS."""
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
    """The claims of a request; an error if it is not one that Consentry has just made."""
    header, claims, signature = token.split(".")
    if not hmac.compare_digest(mac(f"{header}.{claims}".encode()), decode(signature)):
        raise ValueError("signature")
    header, claims = json.loads(decode(header)), json.loads(decode(claims))
    if (header["alg"], header["typ"]) != ("HS256", "consentry-sign-in-request+jwt"):
        raise ValueError("kind")
    if claims["aud"] != ISSUER or claims["exp"] <= time.time():
        raise ValueError("audience or time")
    return claims

def sign_return(claims):
    parts = {"alg": "HS256", "typ": "consentry-sign-in-return+jwt"}, claims
    signed = b".".join(encode(json.dumps(part).encode()) for part in parts)
    return (signed + b"." + encode(mac(signed))).decode()

class Page(BaseHTTPRequestHandler):
    def do_GET(self, form=None):
        query = urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query)
        form = form or dict(query, password="")
        try:
            request = read_request(form.get("request", ""))
        except (ValueError, KeyError):
            return self.answer(400, "This link is over. Go back and start again.")
        email, now = form.get("email", request.get("login_hint", "")).lower(), int(time.time())
        user = USERS.get(email)
        if not user or user["password"] != form.get("password"):
            error = "That is not right." if form.get("password") else ""
            return self.answer(200, PAGE.format(error=error, email=html.escape(email),
                                                request=html.escape(form["request"])))
        back = sign_return({"iss": ISSUER, "aud": request["iss"], "jti": request["jti"],
                            "iat": now, "exp": now + 60, "sub": user["sub"], "name": user["name"],
                            "email": email, "email_verified": True, "auth_time": now})
        self.answer(303, "", request["return_url"] + "?response=" + back)

    def do_POST(self):
        body = self.rfile.read(min(int(self.headers["Content-Length"]), 65536)).decode()
        self.do_GET(dict(urllib.parse.parse_qsl(body)))

    def answer(self, status, text, location=None):
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(text.encode())

if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
