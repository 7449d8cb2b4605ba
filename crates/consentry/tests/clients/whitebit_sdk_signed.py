"""Drives WhiteBIT's published SDK with a partner key. The SDK builds the requests and reads the
answers; it leaves signing to the HTTP client that it is given. See README.md beside it."""

import base64
import hashlib
import hmac
import json
import sys
import time
from importlib.metadata import version

import httpx
from whitebit import WhitebitApi
from whitebit.core.api_error import ApiError
from whitebit.environment import WhitebitApiEnvironment

MARKET = "BTC_USDT"


class Signed(httpx.Auth):
    """X-TXC-PAYLOAD and X-TXC-SIGNATURE, as the documentation's samples make them."""

    requires_request_body = True

    def __init__(self, secret):
        self.secret = secret.encode()

    def auth_flow(self, request):
        payload = base64.b64encode(request.content)
        signature = hmac.new(self.secret, payload, hashlib.sha512).hexdigest()
        request.headers["X-TXC-PAYLOAD"] = payload.decode()
        request.headers["X-TXC-SIGNATURE"] = signature
        yield request


def id_of(order):
    """Its model has another name for it than the answers, and keeps what it does not know."""
    return order.order_id or order.model_extra["orderId"]


def refusal(call):
    try:
        call()
    except ApiError as error:
        return [error.status_code, error.body["message"]]
    return None


def main():
    config = json.loads(sys.argv[1])
    base, last = config["base"], [0]

    def nonce():
        last[0] = max(last[0] + 1, time.time_ns() // 1_000_000)
        return str(last[0])

    sdk = WhitebitApi(
        environment=WhitebitApiEnvironment(base=base, production=base, eu=base),
        txc_apikey=config["key"],
        # It sends one to every address.
        token="none",
        httpx_client=httpx.Client(auth=Signed(config["secret"])),
    )
    spot = sdk.spot_trading
    order = {"market": MARKET, "side": "buy", "amount": "0.01", "price": "20000"}

    def place(number):
        return spot.create_limit_order(**order, request="/api/v4/order/new", nonce=number)

    def list_open():
        return spot.get_active_orders(market=MARKET, request="/api/v4/orders", nonce=nonce())

    used = nonce()
    placed = place(used)
    replayed = refusal(lambda: place(used))
    modified = spot.modify_order(
        market=MARKET,
        order_id=id_of(placed),
        price="19000",
        request="/api/v4/order/modify",
        nonce=nonce(),
    )
    opened = list_open()
    spot.cancel_order(
        market=MARKET,
        order_id=id_of(opened[0]),
        request="/api/v4/order/cancel",
        nonce=nonce(),
    )
    transfer = refusal(
        lambda: sdk.transfer.between_balances(
            ticker="USDT",
            amount="1",
            from_="spot",
            to="main",
            request="/api/v4/main-account/transfer",
            nonce=nonce(),
        )
    )
    print(
        json.dumps(
            {
                "ok": True,
                "library": f"whitebit-python-sdk {version('whitebit-python-sdk')}",
                "modified_price": modified.price,
                "open": len(opened),
                "after_cancel": len(list_open()),
                "replayed": replayed,
                "transfer": transfer,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # the caller reads every failure as the last line
        print(json.dumps({"ok": False, "error": f"{type(error).__name__}: {error}"}), flush=True)
        sys.exit(1)
