# SPDX-License-Identifier: Apache-2.0
"""An instance in a process of its own, for what a test does to processes: gateway_instance.py PORT MANNER FILE

MANNER: `late` answers after 5 ms. `close`, `rude` and `liar` answer at once, then close the connection: as the answer
says; although it does not say so; when the next request comes. Each POST is a line of FILE before it is answered.
Says "ready" on standard output.
"""

import asyncio
import os
import sys


async def serve(reader, writer, manner, file):
    said = "Connection: close\r\n" if manner == "close" else ""
    n_answered = 0
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if manner == "liar" and n_answered > 0:
                break
            if head.startswith(b"POST"):
                body = await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
                os.write(file, body + b"\n")
            if manner == "late":
                await asyncio.sleep(0.005)
            writer.write(f"HTTP/1.1 200 OK\r\n{said}Content-Length: 2\r\n\r\nok".encode())
            n_answered += 1
            if manner in ("close", "rude"):
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


async def main(port, manner, path):
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    server = await asyncio.start_server(lambda reader, writer: serve(reader, writer, manner, file), "127.0.0.1",
                                        int(port), backlog=512)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
