#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A proxy that does to HTTP/1.1 what networks do to it.

    fault_proxy.py --to HOST:PORT

Listens on two ports of the loopback interface and prints both when it is ready: the one that stands
for the server, and one that takes the calls of faults.py. Without a rule every byte is passed on as it
came, so that signatures stay valid. Rules:

    {"do": "reset", "at": "before"}              by RST, with nothing passed on
    {"do": "reset", "at": "body", "bytes": N}    to both sides, after N bytes of the request's body
    {"do": "reset", "at": "after"}               once the whole request is passed on
    {"do": "lose_answer"}                        reset instead of the answer, which has arrived
    {"do": "hold", "at": "before"|"body"|"answer", "bytes": N}   nothing moves until it is released
    {"do": "corrupt_request", "bytes": N}        a bit of the body's byte N changes
    {"do": "corrupt_answer", "bytes": N}         the same of the answer's body
    {"do": "cut_answer", "bytes": N}             its body ends after N bytes, by FIN
    {"do": "answer", "status": S, "headers": {}, "body": TEXT}   instead of passing the request on

A Python program may have one in itself instead, by start(), and then also the rule

    {"do": "call", "call": FUNCTION}             runs it, and passes the request on
"""
import argparse
import http.client
import http.server
import json
import socket
import socketserver
import threading

import faults

PIECE = 64 * 1024


class Ended(Exception):
    """A side has closed its connection, or a rule did."""


class Message:
    """One request or answer on its way, read from `file`."""

    def __init__(self, file):
        self.file = file
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            line = file.readline(PIECE)
            if not line:
                raise Ended
            self.head += line
        self.first = self.head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        fields = (line.partition(b":") for line in self.head.split(b"\r\n")[1:])
        self.headers = {name.lower().decode("latin-1"): value.strip().decode("latin-1") for name, _, value in fields}

    def body(self, until_close):
        """Pieces as (bytes, whether they are content and not framing)."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while True:
                line = self.file.readline(PIECE)
                yield line, False
                size = int(line.split(b";")[0] or b"0", 16)
                yield from self.content(size)
                yield self.file.readline(PIECE), False
                if size == 0:
                    return
        elif "content-length" in self.headers:
            yield from self.content(int(self.headers["content-length"]))
        elif until_close:
            while data := self.file.read1(PIECE):
                yield data, True

    def content(self, size):
        while size:
            data = self.file.read1(min(size, PIECE))
            if not data:
                raise Ended
            size -= len(data)
            yield data, True


def cut_at(pieces, at):
    """The same pieces, one of them cut so that a piece of content begins at the offset `at`; with
    each, whether it is that one."""
    offset = 0
    for data, is_content in pieces:
        if is_content and offset < at < offset + len(data):
            yield data[:at - offset], False
            data, offset = data[at - offset:], at
        yield data, is_content and offset == at
        offset += len(data) if is_content else 0


class Passage(socketserver.BaseRequestHandler):
    """One client's connection, and the one to the server that it needs."""

    def handle(self):
        self.client, self.server_side = self.request, None
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = self.client.makefile("rb")
        try:
            while self.exchange(Message(reader)):
                pass
        except (Ended, OSError):
            pass
        if self.server_side is not None:
            self.server_side.close()

    def exchange(self, request):
        """Whether the connection goes on."""
        script = self.server.script
        method, target = request.first[0], request.first[1]
        script.heads.append(request.head)
        rule = script.take(method, target)
        do, at = rule.get("do"), rule.get("at")
        try:
            status, goes_on = self.pass_through(request, rule, do, at)
        except BaseException:
            script.note(method, target, 0, rule)
            raise
        script.note(method, target, status, rule)
        return goes_on

    def pass_through(self, request, rule, do, at):
        if request.headers.get("expect", "").lower() == "100-continue" and do != "answer":
            self.client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if (do, at) == ("reset", "before"):
            self.reset_client()
        if (do, at) == ("hold", "before"):
            self.server.script.hold()
        if do == "call":
            rule["call"]()
        if do == "answer":
            return self.answer_instead(request, rule)
        self.send_request(request, rule, do, at)
        if (do, at) == ("reset", "after"):
            faults.reset(self.client)
        answer = self.read_answer()
        pieces = list(answer.body(True)) if do == "lose_answer" else answer.body(True)
        if request.first[0] == "HEAD" or answer.first[1] in ("204", "304"):
            pieces = ()
        if do == "lose_answer":
            self.reset_client()
        if (do, at) == ("hold", "answer"):
            self.server.script.hold()
        self.client.sendall(answer.head)
        for data, marked in cut_at(pieces, rule.get("bytes", 0)):
            if marked and do == "cut_answer":
                self.client.shutdown(socket.SHUT_RDWR)
                raise Ended
            if marked and do == "corrupt_answer":
                data = faults.flipped(data, 0)
            self.client.sendall(data)
        closes = "close" in (request.headers.get("connection", "").lower(), answer.headers.get("connection", "").lower())
        framed = {"content-length", "transfer-encoding"} & set(answer.headers) or pieces == ()
        return int(answer.first[1]), bool(framed) and not closes

    def send_request(self, request, rule, do, at):
        try:
            self.connect()
            self.server_side.sendall(request.head)
        except OSError as error:  # as a client without a proxy would see it
            self.server_side = None
            faults.reset(self.client)
            raise Ended from error
        for data, marked in cut_at(request.body(False), rule.get("bytes", 0)):
            if marked and (do, at) == ("reset", "body"):
                faults.reset(self.server_side)
                self.reset_client()
            if marked and (do, at) == ("hold", "body"):
                self.server.script.hold()
            if marked and do == "corrupt_request":
                data = faults.flipped(data, 0)
            try:
                self.server_side.sendall(data)
            except OSError:
                return  # it may have answered before it had read all

    def connect(self):
        if self.server_side is None:
            self.server_side = socket.create_connection(self.server.target)
            self.server_side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.answers = self.server_side.makefile("rb")

    def read_answer(self):
        try:
            while True:
                answer = Message(self.answers)
                if not answer.first[1].startswith("1"):  # an interim answer was given already
                    return answer
        except (Ended, OSError) as error:
            faults.reset(self.client)
            raise Ended from error

    def answer_instead(self, request, rule):
        expects = request.headers.get("expect", "").lower() == "100-continue"
        if not expects:
            for _ in request.body(False):
                pass
        status, body = rule["status"], rule.get("body", "").encode()
        head = [f"HTTP/1.1 {status} {http.client.responses.get(status, 'Injected')}",
                f"Content-Length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in rule.get("headers", {}).items()]
        head += ["Connection: close"] * expects
        self.client.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + (b"" if request.first[0] == "HEAD" else body))
        return status, not expects

    def reset_client(self):
        faults.reset(self.client)
        raise Ended


class Control(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, answer = self.server.script.control(self.command, self.path, body) or (404, {})
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = serve

    def log_message(self, *_):
        pass


class Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


def start(host, port):
    """A proxy to that server, at work; `server_address` and `script` are for its user."""
    proxy = Proxy(("127.0.0.1", 0), Passage)
    proxy.target, proxy.script = (host, port), faults.Script()
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    return proxy


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", required=True)
    host, _, port = parser.parse_args().to.rpartition(":")
    proxy = start(host, int(port))
    control = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Control)
    control.script = proxy.script
    print(proxy.server_address[1], control.server_address[1], flush=True)
    control.serve_forever()


if __name__ == "__main__":
    main()
