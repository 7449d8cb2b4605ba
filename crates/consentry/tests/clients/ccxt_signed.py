"""Drives ccxt's WhiteBIT client, unmodified but for its base URL, with a partner key. See README.md."""

import json
import sys

import ccxt

MARKET = "BTC/USDT"


def refusal(call):
    """The name of the exception that the library raises."""
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return None


def client(config, **more):
    exchange = ccxt.whitebit({"apiKey": config["key"], "secret": config["secret"], **more})
    for version in exchange.urls["api"].values():
        for kind, url in version.items():
            version[kind] = url.replace("https://whitebit.com", config["base"])
    return exchange


def main():
    config = json.loads(sys.argv[1])
    exchange = client(config)
    exchange.load_markets()
    balance = exchange.fetch_balance()
    placed = exchange.create_order(MARKET, "limit", "buy", 0.01, 20000)
    edited = exchange.edit_order(placed["id"], MARKET, "limit", "buy", 0.01, 19000)
    opened = exchange.fetch_open_orders(MARKET)
    exchange.cancel_order(opened[0]["id"], MARKET)
    after_cancel = exchange.fetch_open_orders(MARKET)
    in_window = client(config, options={"nonceWindow": True}).fetch_open_orders(MARKET)
    stranger = client({**config, "secret": "wrong"})
    stranger.load_markets()
    print(
        json.dumps(
            {
                "ok": True,
                "library": f"ccxt {ccxt.__version__}",
                "free_usdt": balance["USDT"]["free"],
                "placed": {"id": placed["id"], "status": placed["status"]},
                "edited": {"price": edited["price"]},
                "open": len(opened),
                "after_cancel": len(after_cancel),
                "window": len(in_window),
                "refused": {
                    "transfer": refusal(lambda: exchange.transfer("USDT", 1, "spot", "main")),
                    "wrong_secret": refusal(stranger.fetch_balance),
                },
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
