"""Follows a gatecast URL with the asyncio Python library "websockets".

Usage: python3 websockets_client.py URL
Prints "open EXTENSIONS", "text MESSAGE" and "close CODE", one a line.
SIGTERM closes the connection.
"""
import asyncio
import contextlib
import json
import signal
import sys

import websockets


def say(verb, words):
    print(verb, words, flush=True)


async def follow(url):
    # Whoever started this knows how long to wait.
    async with websockets.connect(url, open_timeout=None) as socket:
        say("open", ",".join(extension.name for extension in socket.extensions))
        closing = []  # asyncio itself holds tasks only weakly
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGTERM, lambda: closing.append(asyncio.create_task(socket.close())))
        with contextlib.suppress(websockets.ConnectionClosed):
            await socket.send(json.dumps({"app_key": "x", "timestamp": "1", "sign": "y"}))
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in socket:  # also what came before a close
                say("text", message)
    say("close", socket.close_code)


sys.stdout.reconfigure(encoding="utf-8")
asyncio.run(follow(sys.argv[1]))
