"""Drives WhiteBIT's published SDK, unmodified but for its base URL. See README.md beside it."""

import json
import sys
import time
from importlib.metadata import version
from urllib.parse import parse_qs, urlencode, urlsplit

from whitebit import WhitebitApi
from whitebit.environment import WhitebitApiEnvironment

STATE = "a-state"
# One refresh a second, says the provider.
BETWEEN_REFRESHES_S = 1.1


def show(value):
    print(json.dumps(value), flush=True)


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def refusal(call):
    """The name of the exception that the SDK raises."""
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return None


def code_of(callback):
    parameters = parse_qs(urlsplit(callback).query)
    check(parameters.get("state") == [STATE], f"the callback says {parameters}")
    return parameters["code"][0]


def main():
    config = json.loads(sys.argv[1])
    base, token = config["base"], [""]
    environment = WhitebitApiEnvironment(base=base, production=base, eu=base)
    # It sends its bearer token to every address, also where there is none yet.
    sdk = WhitebitApi(environment=environment, txc_apikey="none", token=lambda: token[0] or "none")
    app = {name: config[name] for name in ("client_id", "client_secret")}

    page = sdk.authentication.with_raw_response.o_auth20authorization(
        client_id=config["client_id"], state=STATE
    )
    query = urlencode({"clientId": config["client_id"], "state": STATE})
    show({"authorize_url": f"{base}/auth/login?{query}"})
    code = code_of(sys.stdin.readline().strip())

    wrong_code = refusal(lambda: sdk.authentication.get_access_token(**app, code="nonsense"))
    missing_field = refusal(lambda: sdk.authentication.get_access_token(**app, code=""))
    first = sdk.authentication.get_access_token(**app, code=code).data
    token[0] = first.access_token
    account = sdk.account_endpoints
    reads = {
        "spot": account.get_spot_account_balance(request={}),
        "main": account.get_main_account_balance(request={"key": "value"}),
        "transactions": account.get_account_transactions(request={"limit": 10, "offset": 0}),
        "converts": account.get_currency_conversions(request={"limit": 10, "offset": 0}),
        "orders": account.get_orders_history(request={"limit": 10, "offset": 0}),
        "deals": account.get_executed_deals(request={"limit": 10, "offset": 0}),
    }

    second = sdk.authentication.refresh_token(**app, token=first.refresh_token).data
    token[0] = second.access_token
    after = sdk.account_endpoints.get_spot_account_balance(request={})
    time.sleep(BETWEEN_REFRESHES_S)
    wrong = refusal(lambda: sdk.authentication.refresh_token(**app, token="nonsense"))
    show(
        {
            "ok": True,
            "library": f"whitebit-python-sdk {version('whitebit-python-sdk')}",
            "authorize_page": page._response.status_code,
            "expires_in": [first.expires_in, second.expires_in],
            "token_type": second.token_type,
            "scope": second.scope,
            "rotated": second.refresh_token != first.refresh_token,
            "reads": {**reads, "spot_after_refresh": after},
            "wrong_code": wrong_code,
            "missing_field": missing_field,
            "wrong_refresh_token": wrong,
        }
    )


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # the caller reads every failure as the last line
        show({"ok": False, "error": f"{type(error).__name__}: {error}"})
        sys.exit(1)
