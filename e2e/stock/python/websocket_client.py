"""Follows a gatecast URL with the Python library "websocket-client".

Usage: python3 websocket_client.py URL
Prints "open EXTENSIONS", "text MESSAGE" and "close CODE", one a line.
"""
import sys

import websocket


def say(verb, words):
    print(verb, words, flush=True)


def on_open(app):
    say("open", "")
    app.send("hello from websocket-client")


def main(url):
    sys.stdout.reconfigure(encoding="utf-8")
    app = websocket.WebSocketApp(
        url,
        on_open=on_open,
        on_message=lambda app, message: say("text", message),
        on_close=lambda app, code, reason: say("close", code),
        on_error=lambda app, error: print(error, file=sys.stderr),
    )
    app.run_forever()


main(sys.argv[1])
