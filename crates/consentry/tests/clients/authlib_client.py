"""Drives the unmodified `authlib` through our standard endpoints. See README.md beside it."""

import json
import os
import sys
from urllib.parse import parse_qs, urlsplit

# Loopback speaks http; the library wants to be told.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import authlib  # noqa: E402
from authlib.common.security import generate_token  # noqa: E402
from authlib.integrations.requests_client import OAuth2Session  # noqa: E402
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url  # noqa: E402

TIMEOUT_S = 30


def show(value):
    print(json.dumps(value), flush=True)


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def discover(issuer):
    with OAuth2Session() as anonymous:
        url = get_well_known_url(issuer, external=True)
        response = anonymous.get(url, withhold_token=True, timeout=TIMEOUT_S)
    response.raise_for_status()
    metadata = AuthorizationServerMetadata(response.json())
    metadata.validate()
    check(metadata["issuer"] == issuer, f"issuer is {metadata['issuer']}")
    check("S256" in metadata["code_challenge_methods_supported"], "metadata lacks S256")
    return metadata


def session(config, metadata, scopes):
    return OAuth2Session(
        config["client_id"],
        config.get("client_secret"),
        scope=" ".join(scopes),
        redirect_uri=config.get("redirect_uri"),
        code_challenge_method="S256",
        token_endpoint=metadata["token_endpoint"],
        default_timeout=TIMEOUT_S,
    )


def call_api(client, api):
    response = client.request(api.get("method", "GET"), api["url"], json=api.get("body"))
    try:
        body = response.json()
    except ValueError:
        body = response.text
    answer = {"status": response.status_code, "body": body}
    challenge = response.headers.get("WWW-Authenticate")
    return {**answer, "challenge": challenge} if challenge else answer


def fetch_first_token(client, metadata):
    verifier = generate_token(64)
    url, state = client.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier
    )
    show({"authorize_url": url})
    callback = sys.stdin.readline().strip()
    # Errors and RFC 9207 §2.4, which this library leaves to its user.
    parameters = parse_qs(urlsplit(callback).query)
    issuers = parameters.get("iss")
    check("error" not in parameters, f"the callback says {parameters}")
    check(issuers == [metadata["issuer"]], f"iss in the callback is {issuers}")
    return client.fetch_token(authorization_response=callback, state=state, code_verifier=verifier)


def introspect(client, metadata, token):
    if not client.client_secret:
        return None
    answer = client.introspect_token(
        metadata["introspection_endpoint"], token=token, token_type_hint="access_token"
    )
    answer.raise_for_status()
    return answer.json()["active"]


def through_the_user(config, metadata):
    client = session(config, metadata, config["scopes"])
    first = dict(fetch_first_token(client, metadata))
    calls = [call_api(client, config["api"])]

    # Without this, the library asks for the first list again, also for what the user unticked.
    client.scope = first["scope"]
    second = dict(client.refresh_token())
    check(second["access_token"] != first["access_token"], "the refresh gave the same token")
    calls.append(call_api(client, config["api"]))
    active_before = introspect(client, metadata, second["access_token"])

    answer = client.revoke_token(
        metadata["revocation_endpoint"],
        token=second["refresh_token"],
        token_type_hint="refresh_token",
    )
    check(answer.status_code == 200, f"revocation answered {answer.status_code}")
    active_after = introspect(client, metadata, second["access_token"])
    return {
        "scope": second["scope"],
        "calls": calls,
        "rotated": second["refresh_token"] != first["refresh_token"],
        "introspected": active_before
        if active_before is None
        else {"before": active_before, "after": active_after},
        "revoked": True,
        "after_revoke": call_api(client, config["api"]),
    }


def as_itself(config, metadata):
    wanted = config["client_credentials"]
    client = session(config, metadata, wanted["scopes"])
    token = client.fetch_token(grant_type="client_credentials")
    return {"scope": token["scope"], **call_api(client, wanted["api"])}


def main():
    config = json.loads(sys.argv[1])
    metadata = discover(config["issuer"])
    result = {"ok": True, "library": f"authlib {authlib.__version__}"}
    if config.get("redirect_uri"):
        result.update(through_the_user(config, metadata))
    if config.get("client_credentials"):
        result["client_credentials"] = as_itself(config, metadata)
    show(result)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # the caller reads every failure as the last line
        show({"ok": False, "error": f"{type(error).__name__}: {error}"})
        sys.exit(1)
