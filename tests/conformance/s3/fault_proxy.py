# SPDX-License-Identifier: Apache-2.0
"""A reverse proxy on loopback that hands requests on unchanged and, where a rule says so, does them
wrong. The Host header is handed on too, so signatures stay valid."""
import re
import socket
import struct
import threading

CRLF2 = b"\r\n\r\n"


class Rule:
    """Does `action` to the next `times` requests whose "METHOD /path?query" matches `pattern`.

    actions: reset_before, reset_within, reset_after (the body; nothing is handed on), lose_answer,
    truncate, corrupt (the answer's body), stall, or ("status", code, body, headers), or a callable
    that is run before the request is handed on.
    """

    def __init__(self, pattern, action, times=1, skip=0):
        self.pattern, self.action, self.times, self.skip = re.compile(pattern), action, times, skip
        self.fired = 0


class Gone(Exception):
    """The peer has closed its connection."""


class Stream:
    def __init__(self, sock):
        self.sock, self.pending = sock, b""

    def more(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise Gone()
        self.pending += data

    def head(self):
        while CRLF2 not in self.pending:
            self.more()
        end = self.pending.index(CRLF2) + 4
        head, self.pending = self.pending[:end], self.pending[end:]
        return head

    def exactly(self, size):
        while len(self.pending) < size:
            self.more()
        data, self.pending = self.pending[:size], self.pending[size:]
        return data

    def line(self):
        while b"\r\n" not in self.pending:
            self.more()
        return self.exactly(self.pending.index(b"\r\n") + 2)

    def body(self, head, has_body=True):
        if not has_body:
            return b""
        if re.search(rb"(?i)\r\ntransfer-encoding: *chunked\r\n", head):
            data = b""
            while True:
                line = self.line()
                data += line
                size = int(line.split(b";")[0], 16)
                data += self.exactly(size + 2)
                if size == 0:
                    return data
        found = re.search(rb"(?i)\r\ncontent-length: *(\d+)\r\n", head)
        return self.exactly(int(found.group(1))) if found else b""


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class FaultProxy:
    def __init__(self, upstream_port):
        self.upstream_port = upstream_port
        self.rules, self.seen, self.lock = [], [], threading.Lock()
        self.heads = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def set_rules(self, *rules):
        with self.lock:
            self.rules, self.seen, self.heads = list(rules), [], []

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def rule_for(self, line):
        with self.lock:
            self.seen.append(line)
            for rule in self.rules:
                if rule.fired < rule.times and rule.pattern.search(line):
                    if rule.skip > 0:
                        rule.skip -= 1
                        continue
                    rule.fired += 1
                    return rule.action
        return None

    def serve(self, client):
        stream, upstream = Stream(client), None
        try:
            while True:
                head = stream.head()
                line = head.split(b" HTTP/1.1\r\n")[0].decode()
                with self.lock:
                    self.heads.append(head)
                action = self.rule_for(line)
                if action == "reset_before":
                    return reset(client)
                if action == "reset_within":
                    size = re.search(rb"(?i)\r\ncontent-length: *(\d+)\r\n", head)
                    stream.exactly(int(size.group(1)) // 2)
                    return reset(client)
                body = stream.body(head)
                if action == "reset_after":
                    return reset(client)
                if action == "stall":
                    while True:
                        stream.more()
                if isinstance(action, tuple):
                    _, code, text, headers = action
                    client.sendall(f"HTTP/1.1 {code} X\r\nContent-Length: {len(text)}\r\n{headers}\r\n"
                                   f"{text}".encode())
                    continue
                if callable(action):
                    action()
                if upstream is None:
                    upstream = Stream(socket.create_connection(("127.0.0.1", self.upstream_port)))
                upstream.sock.sendall(head + body)
                answer = upstream.head()
                while answer.startswith(b"HTTP/1.1 100"):
                    answer = upstream.head()
                status = int(answer.split(b" ")[1])
                has_body = not line.startswith("HEAD ") and status not in (204, 304)
                content = upstream.body(answer, has_body)
                if action == "lose_answer":
                    return reset(client)
                if action == "truncate":
                    client.sendall(answer + content[:len(content) // 2])
                    return client.close()
                if action == "corrupt":
                    content = bytes([content[0] ^ 1]) + content[1:]
                client.sendall(answer + content)
        except (Gone, OSError):
            client.close()
        finally:
            if upstream is not None:
                upstream.sock.close()
