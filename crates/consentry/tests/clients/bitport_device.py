"""A command-line client of Bitport that has no browser, with the habits of the public ones: a code
of /get-access, `Authorization` without a scheme, and any 200 without a token means that the code
was wrong. See README.md beside it."""

import json
import sys
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit


def show(value):
    print(json.dumps(value), flush=True)


class Bitport:
    def __init__(self, base):
        self.host = urlsplit(base).netloc
        self.token = None

    def send(self, method, path, body=None):
        headers = {}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if self.token is not None:
            headers["Authorization"] = self.token
        connection = HTTPConnection(self.host, timeout=20)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer, answer.read()

    def auth(self, client_id, client_secret, code):
        form = {
            "client_id": client_id,
            "client_secret": client_secret,
            "grant_type": "code",
            "code": code,
        }
        answer, body = self.send("POST", "/v2/oauth2/access-token", urlencode(form))
        if answer.status != 200:
            raise RuntimeError(f"access-token: HTTP {answer.status}: {body}")
        found = json.loads(body)
        if "access_token" not in found:
            return False
        self.token = found["access_token"]
        return True

    def data(self, path, method="GET", form=None):
        answer, body = self.send(method, path, form)
        if answer.status == 401:
            raise PermissionError(json.loads(body)["errors"][0]["message"])
        envelope = json.loads(body)
        if envelope["status"] != "success":
            raise RuntimeError(f"{path}: {envelope['errors']}")
        return envelope["data"]

    def link(self, path):
        """Where the content is, for other programs: no token is needed there."""
        answer, _ = self.send("GET", path)
        if answer.status != 302:
            raise RuntimeError(f"{path}: HTTP {answer.status}")
        location = urlsplit(answer.headers["Location"])
        return f"{location.path}?{location.query}"

    def transfer(self, torrent):
        """Fetch something, see it in the list, and give it up."""
        self.data("/v2/transfers", "POST", urlencode({"torrent": torrent}))
        newest = self.data("/v2/transfers")[0]
        self.data(f"/v2/transfers/{newest['token']}", "DELETE")
        left = [each["token"] for each in self.data("/v2/transfers")]
        return newest["token"] not in left

    def has_files(self, folder):
        return bool(self.data(f"/v2/cloud/{folder}")[0]["files"])

    def delete_file(self, folder):
        """A file of the folder goes, and only it."""
        before = [file["code"] for file in self.data(f"/v2/cloud/{folder}")[0]["files"]]
        self.data(f"/v2/files/{before[0]}", "DELETE")
        after = [file["code"] for file in self.data(f"/v2/cloud/{folder}")[0]["files"]]
        return after == before[1:]

    def list(self, code=None, depth=0):
        """Every file below a folder."""
        folder = self.data("/v2/cloud" if code is None else f"/v2/cloud/{code}")[0]
        names = [file["name"] for file in folder["files"]]
        for inner in folder["folders"] if depth < 3 else []:
            names += self.list(inner["code"], depth + 1)
        return names


def main():
    config = json.loads(sys.argv[1])
    bitport = Bitport(config["base"])
    show({"open": f"{config['base']}/get-access?client_id={config['client_id']}"})
    code = sys.stdin.readline().strip()
    credentials = (config["client_id"], config["client_secret"])
    # Somebody mistypes once.
    mistyped = bitport.auth(*credentials, "BBBB-BBBB")
    signed_in = bitport.auth(*credentials, code)
    if mistyped or not signed_in:
        raise RuntimeError(f"mistyped: {mistyped}, signed in: {signed_in}")
    me = bitport.data("/v2/me")[0]
    files = bitport.list()
    root = bitport.data("/v2/cloud")[0]
    anybody = Bitport(config["base"])
    link = bitport.link(f"/v2/files/{root['files'][0]['code']}/download")
    downloaded, content = anybody.send("GET", link)
    folder = next(each["code"] for each in root["folders"] if bitport.has_files(each["code"]))
    zipped, archive = anybody.send("GET", bitport.link(f"/v2/cloud/{folder}/download-as-zip"))
    magnet = "magnet:?xt=urn:btih:3333333333333333333333333333333333333333&dn=Field+guide"
    show(
        {
            "ok": True,
            "plan": me["plan_name"],
            "files": files,
            "downloaded": [downloaded.status, len(content)],
            "zipped": [zipped.status, archive[:2].decode()],
            "transferred_and_given_up": bitport.transfer(magnet),
            "deleted": bitport.delete_file(folder),
        }
    )
    sys.stdin.readline()
    try:
        bitport.data("/v2/me")
        show({"ok": False, "error": "still in"})
    except PermissionError as error:
        show({"ok": True, "refused": str(error)})


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # the caller reads every failure as the last line
        show({"ok": False, "error": f"{type(error).__name__}: {error}"})
        sys.exit(1)
