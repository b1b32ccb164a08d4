"""Follows a gatecast URL with the Python library "websocket-client".

Usage: python3 websocket_client.py URL
Prints "open EXTENSIONS", "text MESSAGE" and "close CODE", one a line.
SIGTERM closes the connection, after the message that comes next.
"""
import signal
import sys

import websocket

stopping = []


def say(verb, words):
    print(verb, words, flush=True)


def on_open(app):
    say("open", "")
    app.send("hello from websocket-client")


def on_message(app, message):
    say("text", message)
    if stopping:
        app.close()


def main(url):
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    sys.stdout.reconfigure(encoding="utf-8")
    app = websocket.WebSocketApp(
        url,
        on_open=on_open,
        on_message=on_message,
        on_close=lambda app, code, reason: say("close", code),
        on_error=lambda app, error: print(error, file=sys.stderr),
    )
    app.run_forever()


main(sys.argv[1])
