"""A web server for tests, on a free loopback port, for answers that a good server does not give.

    server.py FOLDER [--tls] [--name HOST]

It prints its port when it listens, and ends when its standard input is closed. What it does stands in the path:
  /status/CODE?body=TEXT&after=SECONDS&type=TYPE&times=N   answers so, after N times 200
  /to/CODE?ADDRESS        a redirect
  /loop                   leads to itself
  /away/PORT/PATH         a redirect to that port of `localhost`
  /mirror                 says back what it was told: path, headers and what was sent, in several spellings
  /hang /break /cut /endless /heads /garbage   never answers; hangs up; breaks off; goes on for ever; too large a head; no HTTP
In FOLDER it leaves `requests.jsonl`, a line for each request, `connections`, their number, and with --tls `ca.pem`,
`other-ca.pem`, `server.pem` and `server.key`, as the mail server of the tests does.
"""

import argparse
import asyncio
import base64
import html
import json
import os
import pathlib
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "smtp"))
from server import certificates  # noqa: E402

REASONS = {200: "OK", 204: "No Content", 301: "Moved Permanently", 302: "Found", 404: "Not Found", 429: "Too Many Requests"}


class Server:
    def __init__(self, options):
        self.options = options
        self.connections = 0
        self.asked = {}

    def answer(self, code, body=b"", headers=(), kind="text/plain"):
        head = [f"HTTP/1.1 {code} {REASONS.get(code, 'Said')}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        return ("\r\n".join([*head, *headers]) + "\r\n\r\n").encode() + body

    async def serve(self, reader, writer):
        self.connections += 1
        (self.options.folder / "connections").write_text(str(self.connections))
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = [line.split(": ", 1) for line in head[1:] if line]
            length = next((int(v) for k, v in headers if k.lower() == "content-length"), 0)
            body = await reader.readexactly(length)
            seen = {"method": method, "target": target, "headers": headers, "body": body.decode("utf-8", "replace")}
            with open(self.options.folder / "requests.jsonl", "a") as lines:
                lines.write(json.dumps(seen) + "\n")
            await self.play(method, target, headers, body, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def play(self, method, target, headers, body, reader, writer):
        url = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(url.query))
        parts = url.path.split("/")[1:]
        if parts[0] == "status":
            self.asked[target] = self.asked.get(target, 0) + 1
            code = int(parts[1]) if self.asked[target] <= int(query.get("times", 1 << 30)) else 200
            more = [f"Retry-After: {query['after']}"] if "after" in query else []
            text = query.get("body", "").encode()
            writer.write(self.answer(code, b"" if method == "HEAD" else text, more, query.get("type", "text/plain")))
        elif parts[0] == "to":
            writer.write(self.answer(int(parts[1]), b"", [f"Location: {url.query}"]))
        elif parts[0] == "loop":
            writer.write(self.answer(302, b"", ["Location: /loop"]))
        elif parts[0] == "away":
            writer.write(self.answer(302, b"", [f"Location: http://localhost:{parts[1]}/{'/'.join(parts[2:])}"]))
        elif parts[0] == "mirror":
            texts = [target, urllib.parse.unquote(target), body.decode()] + [f"{k}: {v}" for k, v in headers]
            spell = [lambda t: base64.b64encode(t.encode()).decode(), json.dumps, html.escape]
            texts += [s(t) for t in texts for s in [*spell, lambda t: urllib.parse.quote(t, safe="")]]
            writer.write(self.answer(int(query.get("status", 200)), "\n".join(texts).encode()))
        elif parts[0] == "hang":
            await reader.read()
        elif parts[0] == "cut":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        elif parts[0] == "endless":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        elif parts[0] == "heads":
            writer.write(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 4000) for n in range(60)) + b"\r\n")
        elif parts[0] == "garbage":
            writer.write(b"220 mail.example.org ESMTP\r\n")
        await writer.drain()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--name")
    options = parser.parse_args()
    context = certificates(options.folder, options.name) if options.tls else None
    server = Server(options)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    # Those that hang are not waited for.
    os._exit(0)


asyncio.run(main())
