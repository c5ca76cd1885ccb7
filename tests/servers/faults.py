# SPDX-License-Identifier: Apache-2.0
"""Scripted faults for the servers of this folder, and the HTTP calls that control them.

A script is a JSON array of rules. A rule matches requests by `method` and `path` (regular
expressions that must match from the beginning; both default to everything), lets the first `skip` of
them pass (0), and applies to the next `times` (1). The first rule that applies says what happens: its
member `do` and whatever else that action takes. The servers say which actions they know.

    POST /control/script   the rules; forgets the earlier ones and the log
    POST /control/wait     {"held": N}: answers when N requests are held
    POST /control/release  lets every held request go on, those to come too
    GET  /control/log      {"requests": [[method, target, status, do]...], "unused": [rule...]}
"""
import json
import os
import re
import socket
import struct
import threading

WAIT_SECONDS = 60  # far beyond what a sound test needs: only a broken one gets there


class Script:
    """The rules and the log of one server; `heads` are those of the requests it saw, where it keeps
    them."""

    def __init__(self):
        self.heads = []
        self._changed = threading.Condition()
        self._rules = []
        self._log = []
        self._taken = []
        self._held = 0
        self._released = False

    def load(self, rules):
        with self._changed:
            self._rules = [dict(rule, skip=rule.get("skip", 0), times=rule.get("times", 1))
                           for rule in rules]
            self._log = []
            self._taken = []
            self.heads = []
            self._held = 0
            self._released = False
            self._changed.notify_all()

    def take(self, method, target):
        """The rule that applies to this request, or {}."""
        with self._changed:
            for rule in self._rules:
                if not re.match(rule.get("method", ""), method) or not re.match(rule.get("path", ""), target):
                    continue
                if rule["skip"] > 0:
                    rule["skip"] -= 1
                elif rule["times"] > 0:
                    rule["times"] -= 1
                    self._taken.append(rule.get("do"))
                    return rule
        return {}

    def note(self, method, target, status, rule):
        with self._changed:
            self._log.append([method, target, status, rule.get("do")])

    def unused(self):
        """The rules that have not happened as often as they should."""
        with self._changed:
            return [rule for rule in self._rules if rule["times"] > 0]

    def taken(self):
        """What the rules have begun to do, in order."""
        with self._changed:
            return list(self._taken)

    def release(self):
        with self._changed:
            self._released = True
            self._changed.notify_all()

    def hold(self):
        """Blocks until somebody releases."""
        with self._changed:
            self._held += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._released, WAIT_SECONDS)
            self._held -= 1

    def control(self, method, path, body):
        """(status, JSON) of a request below /control/, or None if it is none of these."""
        call = (method, path)
        if call == ("POST", "/control/script"):
            self.load(json.loads(body))
            return 200, {}
        if call == ("POST", "/control/release"):
            self.release()
            return 200, {}
        if call == ("POST", "/control/wait"):
            number = json.loads(body)["held"]
            with self._changed:
                met = self._changed.wait_for(lambda: self._held >= number, WAIT_SECONDS)
            return (200 if met else 504), {}
        if call == ("GET", "/control/log"):
            unused = self.unused()
            with self._changed:
                return 200, {"requests": self._log, "unused": unused}
        return None


def reset(connection):
    """Ends a TCP connection by RST: what a crashed peer looks like. At once, files made of it or not."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass  # the peer was faster
    if connection.fileno() >= 0:
        os.close(connection.detach())


def flipped(data, at):
    """`data` with one bit changed at the offset `at`, from the end if negative."""
    changed = bytearray(data)
    if changed:
        changed[at % len(changed)] ^= 1
    return bytes(changed)
