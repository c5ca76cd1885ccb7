# SPDX-License-Identifier: Apache-2.0
"""The HTTP of the Cloud Storage test server: bodies, answers, faults, control."""
import json
import os
import re
import signal
import urllib.parse
from http.server import BaseHTTPRequestHandler

import faults
from gcs_store import Failure, invalid

LONGEST_BODY = 256 << 20


class Broken(Exception):
    """The connection is to be reset."""


class HttpHandler(BaseHTTPRequestHandler):
    """Frames requests and answers, and does what a rule of the script says. A class made of it has
    route(), which gives (status, headers, body) or raises Failure."""

    protocol_version = "HTTP/1.1"
    server_version = "gcs_server"
    timeout = 120
    disable_nagle_algorithm = True  # else head and body are 40 ms apart

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            pass

    def serve(self):
        self.path_part, _, query = self.path.partition("?")
        self.body_left = None  # None: the body was not looked at
        self.rule = {}
        try:
            self.query = self.parse_query(query)
            if self.path_part.startswith("/control/"):
                return self.serve_control()
            self.rule = self.server.script.take(self.command, self.path)
            self.apply_before()
            status, headers, body = self.route()
        except Failure as failure:
            error = {"code": failure.status, "message": failure.message,
                     "errors": [{"domain": "global", "reason": failure.reason, "message": failure.message}]}
            status, headers = failure.status, {"Content-Type": "application/json; charset=UTF-8", **failure.headers}
            body = json.dumps({"error": error}).encode()
        except Broken:
            self.server.script.note(self.command, self.path, 0, self.rule)
            return self.break_off()
        self.server.script.note(self.command, self.path, status, self.rule)
        return self.answer(status, headers, body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = serve

    def parse_query(self, text):
        pairs = urllib.parse.parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text),
                                       encoding="utf-8", errors="strict")
        query = dict(pairs)
        if len(query) != len(pairs):
            raise invalid("A parameter is there twice")
        if not re.fullmatch(r"[\x21-\x7e]*", text):
            raise invalid("The query is not coded")
        return query

    def break_off(self):
        self.close_connection = True
        faults.reset(self.connection)

    def answer(self, status, headers, body):
        do = self.rule.get("do")
        if do == "lose_answer":
            return self.break_off()
        if do == "corrupt_answer":
            body = faults.flipped(body, len(body) // 2)
        self.drop_body()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if do == "cut_answer":
            self.wfile.write(body[:self.rule["bytes"]])
            self.close_connection = True  # by FIN, so that what was sent arrives
            return None
        if self.command != "HEAD":
            self.wfile.write(body)
        return None

    def serve_control(self):
        body = self.read_body()
        if (self.command, self.path_part) == ("GET", "/control/state"):
            done = 200, self.server.store.summary()
        else:
            done = self.server.script.control(self.command, self.path_part, body) or (404, {})
        self.answer(done[0], {"Content-Type": "application/json"}, json.dumps(done[1], ensure_ascii=False).encode())

    def apply_before(self):
        do = self.rule.get("do")
        if do == "answer":
            self.read_body()
            headers = {"Retry-After": self.rule["retry_after"]} if "retry_after" in self.rule else {}
            raise Failure(self.rule["status"], "injected", "injected fault", headers)
        if do == "hold":
            self.server.script.hold()
        elif do == "expire_tokens":
            self.server.auth.expire_all()

    def body_parts(self):
        """The body in pieces, whatever its framing."""
        length, coding = self.headers.get("Content-Length"), self.headers.get("Transfer-Encoding")
        self.body_left = 0
        if coding is not None:
            if coding.lower() != "chunked" or length is not None:
                raise invalid("The body is framed in a way that is not understood")
            while size := int(self.rfile.readline(64).split(b";")[0], 16):
                yield self.read_exactly(size)
                self.rfile.readline(4)
            self.rfile.readline(4)
            return
        if length is None:
            if self.command in ("POST", "PUT", "PATCH"):
                raise Failure(411, "required", "POST and PUT need a Content-Length")
            return
        self.body_left = int(length)
        while self.body_left:
            size = min(self.body_left, 1 << 16)
            yield self.read_exactly(size)
            self.body_left -= size

    def read_exactly(self, size):
        data = self.rfile.read(size)
        if len(data) != size:
            raise ConnectionResetError
        return data

    def read_body(self, partial=False):
        """All of it. Where a rule ends it early, what came until then if that is of use, else Broken."""
        do, data = self.rule.get("do"), bytearray()
        limit = self.rule["bytes"] if do in ("reset_body", "kill") else LONGEST_BODY
        for part in self.body_parts():
            data += part
            if len(data) > limit:
                break
        if do == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if do == "reset_body" and not partial:
            raise Broken
        if len(data) > LONGEST_BODY:
            raise Failure(413, "uploadTooLarge", "The body is too long for this server")
        return bytes(data[:limit])

    def drop_body(self):
        """What was not read would be taken for the next request."""
        unread = self.headers.get("Transfer-Encoding") or self.headers.get("Content-Length", "0") != "0"
        if self.body_left or (self.body_left is None and unread):
            self.close_connection = True
