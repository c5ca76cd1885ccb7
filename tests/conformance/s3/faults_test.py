#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What networks and servers do to the S3 backend, on the way to Ceph's gateway. After each fault the
object (or the backup) is there and whole, or there is a clear error and nothing is; never an upload
that nobody ended."""
import pathlib
import random
import re
import subprocess
import sys
import unittest

from s3_support import PART, Proxy, Server, secrets_at_the_end, tool

from s3_servers import free_ports

load_tests = secrets_at_the_end

ONE = {"method": "PUT", "path": r"[^?]*$"}
BEGIN = {"method": "POST", "path": r".*\?uploads="}
SECOND = {"method": "PUT", "path": r".*partNumber=2&"}
END = {"method": "POST", "path": r".*\?uploadId="}
GET = {"method": "GET"}


def setUpModule():
    global RGW
    RGW = Server("rgw")


def reset(at, **more):
    return {"do": "reset", "at": at, **more}


def answer(status, body="", **headers):
    return {"do": "answer", "status": status, "body": body, "headers": headers}


def abort_uploads():
    for each in RGW.uploads():
        RGW.aws("abort-multipart-upload", "--bucket", RGW.bucket, "--key", each["Key"],
                "--upload-id", each["UploadId"])


class Proxied(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.proxy = Proxy(RGW.port)
        cls.addClassCleanup(cls.proxy.close)

    def proxied(self, rules, *words, data=b"", **environment):
        """Runs the tool by way of the proxy, and makes sure that the faults happened."""
        self.proxy.script.load(rules)
        done = tool(RGW, *words, data=data, port=self.proxy.port, **environment)
        happened = self.proxy.script.taken()
        for rule in rules:
            self.assertIn(rule["do"], happened, f"{rule} did not happen: {done.said}")
        self.proxy.script.release()
        return done


class Uploads(Proxied):
    CONTENT = random.Random(3).randbytes(2 * PART + 777)
    SMALL = CONTENT[:100_000]
    count = 0

    def put(self, content, rules, **environment):
        """Stores; gives what the tool did and whether the object is there whole."""
        Uploads.count += 1
        name = f"fault-{self.count}.sst"
        done = self.proxied(rules, "put", name, data=content, **environment)
        stored = tool(RGW, "get", name)
        if stored.returncode == 0:
            self.assertEqual(stored.stdout, content, "the object is there and not whole")
        self.assertEqual(RGW.uploads(), [], "an upload is left behind")
        return done, stored.returncode == 0

    def survives(self, content, *rules, **environment):
        done, there = self.put(content, rules, **environment)
        self.assertEqual((done.returncode, there), (0, True), done.said)
        return done

    def fails(self, content, *rules, **environment):
        done, there = self.put(content, rules, **environment)
        self.assertEqual((done.returncode, there), (1, False), done.said)
        return done

    def each(self, fault, requests=(ONE, SECOND, END)):
        for request in requests:
            with self.subTest(request=request):
                self.survives(self.SMALL if request is ONE else self.CONTENT, {**request, **fault})

    def test_reset_before_the_body(self):
        self.each(reset("before"))

    def test_reset_within_the_body(self):
        self.each(reset("body", bytes=50))

    def test_reset_after_the_body(self):
        self.each(reset("after"))

    def test_lost_answer(self):
        # a part that is sent twice is completed all the same: this server refuses a completion that
        # leaves out a part it has
        self.each({"do": "lose_answer"}, (ONE, BEGIN, SECOND, END))

    def test_busy_servers(self):
        slow = "<Error><Code>SlowDown</Code></Error>"
        self.each(answer(500))
        self.each(answer(200, slow), (END,))
        for fault in (answer(503, slow, **{"Retry-After": "1"}), answer(429, **{"Retry-After": "1"})):
            for request in (ONE, SECOND):
                done = self.survives(self.SMALL if request is ONE else self.CONTENT, {**request, **fault})
                self.assertIn("retry in 1000 ms", done.said)

    def test_a_stalled_upload(self):
        for request, content in ((ONE, self.SMALL), (SECOND, self.CONTENT)):
            done = self.survives(content, {**request, "do": "hold", "at": "answer"}, S3_IDLE_MS="1000")
            self.assertIn("stalled", done.said)

    def test_a_damaged_upload_is_sent_again(self):
        for request, content in ((ONE, self.SMALL), (SECOND, self.CONTENT)):
            self.survives(content, {**request, "do": "corrupt_request", "bytes": 70_000})

    def test_a_server_that_stays_away_is_an_error_and_leaves_nothing(self):
        for content, fault in ((self.CONTENT, {**SECOND, **reset("before")}),
                               (self.SMALL, {**ONE, **reset("body", bytes=99)}),
                               (self.CONTENT, {**END, **reset("before")})):
            done = self.fails(content, {**fault, "times": 99}, S3_ATTEMPTS="3")
            self.assertIn("unavailable", done.said)

    def test_answers_to_the_end_that_are_always_lost(self):
        self.survives(self.CONTENT, {**END, "do": "lose_answer", "times": 99}, S3_ATTEMPTS="2")

    def test_an_upload_that_somebody_aborts_is_a_clear_error(self):
        done = self.fails(self.CONTENT, {**SECOND, "do": "call", "call": abort_uploads}, S3_IN_FLIGHT="1")
        self.assertIn("NoSuchUpload", done.said)

    def test_wrong_clock(self):
        for offset in ("-7200", "7200"):
            name = f"clock{offset}"
            done = tool(RGW, "put", name, data=self.CONTENT, S3_CLOCK_OFFSET=offset)
            self.assertEqual(done.returncode, 0, done.said)
            self.assertEqual(done.said.count("warning: the clock of this machine is"), 1)
            found = tool(RGW, "list", name, S3_CLOCK_OFFSET=offset)
            self.assertEqual(found.stdout.decode(), f"{len(self.CONTENT)} {name}\n")

    def test_every_amz_header_is_signed(self):
        # this server lets an unsigned one pass, S3 does not
        self.proxied((), "put", "signed", data=self.CONTENT, S3_CHECKSUMS="1", S3_MD5="1", S3_META="x",
                     S3_STORAGE_CLASS="STANDARD_IA")
        self.assertGreater(len(self.proxy.script.heads), 3)
        for head in self.proxy.script.heads:
            text = head.decode().lower()
            signed = re.search(r"signedheaders=([^,]*),", text).group(1).split(";")
            names = re.findall(r"\r\n(host|content-md5|if-none-match|x-amz-[^:]*):", text)
            self.assertEqual(sorted(names), sorted(signed))


class Downloads(Proxied):
    def test_one_that_is_cut_or_stalls_is_made_again(self):
        tool(RGW, "put", "whole.sst", data=Uploads.CONTENT)
        for words, expected in ((("get", "whole.sst"), Uploads.CONTENT),
                                (("range", "whole.sst", "1000", "500000"), Uploads.CONTENT[1000:501000])):
            done = self.proxied(({**GET, "do": "cut_answer", "bytes": 4000}, {**GET, **reset("after")},
                                 {**GET, "do": "hold", "at": "answer"}), *words, S3_IDLE_MS="1000")
            self.assertEqual(done.stdout, expected, done.said)


class Backups(Proxied):
    """Whole backups, which prove themselves."""

    PAIRS = b"40000 pairs\n"

    def whole(self, prefix):
        done = tool(RGW, "verify", S3_PREFIX=prefix)
        self.assertEqual((done.returncode, done.stdout), (0, self.PAIRS), done.said)
        self.assertEqual(RGW.uploads(), [], "an upload is left behind")

    def test_faults_all_over_leave_a_whole_one(self):
        rules = [{**BEGIN, "do": "lose_answer"}, {**SECOND, **reset("body", bytes=1_000_000)},
                 {**SECOND, "skip": 1, **answer(503, **{"Retry-After": "1"})},
                 {**END, **reset("after")}, {**END, "skip": 1, "do": "lose_answer"},
                 {**SECOND, "skip": 1, "do": "corrupt_request", "bytes": 4_000_000},
                 {"method": "PUT", "path": ".*backupmeta", "do": "lose_answer"},
                 {**GET, "path": ".*list-type", "do": "cut_answer", "bytes": 100}]
        done = self.proxied(rules, "backup", S3_PREFIX="storm")
        self.assertEqual(done.returncode, 0, done.said)
        self.whole("storm")

    def test_an_upload_that_somebody_aborts_is_made_again(self):
        done = self.proxied([{**SECOND, "do": "call", "call": abort_uploads}], "backup", S3_PREFIX="aborted")
        self.assertEqual(done.returncode, 0, done.said)
        self.whole("aborted")

    def test_damage_on_the_way_back_is_found_and_named(self):
        self.assertEqual(tool(RGW, "backup", S3_PREFIX="damage").returncode, 0)
        # not the first read: of the end of a file more is read than is looked at
        done = self.proxied([{**GET, "path": r".*\.sst", "skip": 1, "do": "corrupt_answer", "bytes": 3}],
                            "verify", S3_PREFIX="damage")
        self.assertEqual(done.returncode, 3, done.said)
        self.assertRegex(done.stdout.decode(), r"damage: .*object .*\.sst")
        done = self.proxied([{**GET, "path": ".*backupmeta", "do": "corrupt_answer", "bytes": 200}], "verify",
                            S3_PREFIX="damage")
        self.assertEqual(done.returncode, 1, done.said)
        self.assertIn("corruption", done.said)
        self.whole("damage")

    def test_a_gateway_that_is_killed_and_comes_back_costs_nothing(self):
        gateway = Gateway()
        self.addCleanup(gateway.stop)
        self.assertEqual(tool(RGW, "list", "", port=gateway.port, S3_ATTEMPTS="60").returncode, 0)
        proxy = Proxy(gateway.port)
        self.addCleanup(proxy.close)
        proxy.script.load([{**SECOND, "skip": 1, "do": "call", "call": gateway.restart}])
        done = tool(RGW, "backup", port=proxy.port, S3_PREFIX="killed", S3_ATTEMPTS="60")
        self.assertEqual(proxy.script.unused(), [])
        self.assertEqual(done.returncode, 0, done.said)
        self.whole("killed")


class Gateway:
    """A second gateway of the same cluster, to be killed without harm to other tests."""

    def __init__(self):
        self.port = free_ports(1)
        self.start()

    def start(self):
        log = open(RGW.folder / f"log/gateway-{self.port}.out", "ab")
        with log:
            self.process = subprocess.Popen(
                ["radosgw", "-f", "-c", RGW.folder / "ceph.conf", "-n", "client.rgw",
                 f"--rgw_frontends=beast endpoint=127.0.0.1:{self.port}", "--pid_file=", "--admin_socket="],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        # so that it is ended with the others if this program is killed
        born = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        with open(RGW.folder / "pids", "a", encoding="utf-8") as pids:
            pids.write(f"{self.process.pid} {born} gateway\n")

    def restart(self):
        self.stop()
        self.start()

    def stop(self):
        self.process.kill()
        self.process.wait()


if __name__ == "__main__":
    sys.exit(unittest.main())
