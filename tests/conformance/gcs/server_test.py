# SPDX-License-Identifier: Apache-2.0
"""The Cloud Storage test server judged by rclone, and what it refuses; the proxy before it."""
import http.client
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "servers"))
from running import Server, control  # noqa: E402

BUCKET = "kvbackup-test"
OBJECTS = f"/storage/v1/b/{BUCKET}/o"
UPLOADS = "/upload" + OBJECTS
QUANTUM = 256 * 1024


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """308 is no redirect here."""

    def http_error_308(self, *_):
        return None


OPENER = urllib.request.build_opener(NoRedirect, urllib.request.ProxyHandler({}))


class ServerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="kvbackup-gcs-")))
        cls.server = cls.enterClassContext(Server("gcs_server.py", "--data", cls.folder / "data", "--page-limit", 3))
        cls.proxy = cls.enterClassContext(Server("fault_proxy.py", "--to", f"127.0.0.1:{cls.server.port}"))
        cls.token = cls.metadata_token()

    @classmethod
    def metadata_token(cls):
        path = "/computeMetadata/v1/instance/service-accounts/default/token"
        request = urllib.request.Request(cls.server.url + path, headers={"Metadata-Flavor": "Google"})
        return json.load(OPENER.open(request))["access_token"]

    def setUp(self):
        self.script()

    def script(self, *rules, proxy=()):
        control(self.server.port, "script", rules)
        control(self.proxy.ports[1], "script", proxy)

    def call(self, method, path, body=None, headers=None, base=None, token=True):
        """(status, headers, body)"""
        url = path if path.startswith("http") else (base or self.server.url) + path
        request = urllib.request.Request(url, body, headers or {}, method=method)
        if token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with OPENER.open(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def put(self, name, data, **query):
        query = urllib.parse.urlencode({"uploadType": "media", "name": name, **query})
        return self.call("POST", f"{UPLOADS}?{query}", data, {"Content-Type": "text/plain"})

    def begin(self, name, headers=None, base=None, **query):
        query = urllib.parse.urlencode({"uploadType": "resumable", **query})
        body = json.dumps({"name": name}).encode()
        status, answer, _ = self.call("POST", f"{UPLOADS}?{query}", body,
                                      {"Content-Type": "application/json", **(headers or {})}, base)
        self.assertEqual(status, 200)
        return answer["Location"]

    def chunk(self, session, span, data=b""):
        """(status, Range) of a chunk."""
        status, headers, _ = self.call("PUT", session, data, {"Content-Range": f"bytes {span}"})
        return status, headers.get("Range")

    def stat(self, name):
        status, _, body = self.call("GET", f"{OBJECTS}/{urllib.parse.quote(name, safe='')}")
        return json.loads(body) if status == 200 else None


class RcloneTest(ServerTest):
    """rclone speaks to it as to Cloud Storage: tokens by RS256, multipart and resumable uploads."""

    def rclone(self, *arguments):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "RCLONE_CONFIG": "/dev/null",
                       "RCLONE_CONFIG_G_TYPE": "google cloud storage",
                       "RCLONE_CONFIG_G_SERVICE_ACCOUNT_FILE": str(self.folder / "data" / "key.json"),
                       "RCLONE_CONFIG_G_ENDPOINT": f"{self.server.url}/storage/v1/"}
        return subprocess.run(["rclone", "--retries", "1", *map(str, arguments)], env=environment, check=True,
                              capture_output=True, timeout=120).stdout

    def test_what_rclone_stores_it_finds_reads_and_removes(self):
        names = ["empty", "small", "d x/a+b %20\u00e9\"q.txt", "d x/z", "large"]
        source = self.folder / "source"
        for name in names:
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            size = {"empty": 0, "large": 20_000_001}.get(name, 1000)
            path.write_bytes(random.Random(name).randbytes(size))
        place = f"G:{BUCKET}/by rclone"
        self.rclone("copy", source, place, "--gcs-object-acl", "publicRead")
        self.rclone("check", source, place)  # by MD5
        self.rclone("check", "--download", source, place)
        self.assertEqual(sorted(self.rclone("lsf", "-R", "--files-only", place).decode().splitlines()), sorted(names))
        self.assertEqual(self.call("GET", f"{OBJECTS}/by%20rclone%2Fsmall?alt=media", token=False)[2],
                         (source / "small").read_bytes())
        self.rclone("deletefile", f"{place}/large")
        self.assertIsNone(self.stat("by rclone/large"))
        log = control(self.server.port, "log")["requests"]
        for kind in ("POST /token", "uploadType=multipart", "uploadType=resumable", "pageToken", "DELETE"):
            self.assertTrue(any(kind in f"{method} {target}" for method, target, *_ in log), kind)

    def test_a_range_of_an_object_is_what_rclone_reads(self):
        data = random.Random(1).randbytes(100_000)
        self.put("range", data)
        self.assertEqual(self.rclone("cat", "--offset", "50", "--count", "7", f"G:{BUCKET}/range"), data[50:57])


class StrictnessTest(ServerTest):
    def refuse(self, status, answer):
        self.assertEqual(answer[0], status, answer[2])

    def test_a_resumable_upload_goes_by_whole_quanta_and_in_order(self):
        session = self.begin("resumable")
        data = random.Random(2).randbytes(3 * QUANTUM + 5)
        self.assertEqual(self.chunk(session, "*/*"), (308, None))
        self.assertEqual(self.chunk(session, f"0-{QUANTUM - 1}/*", data[:QUANTUM]), (308, f"bytes=0-{QUANTUM - 1}"))
        self.assertEqual(self.chunk(session, f"{QUANTUM}-{QUANTUM + 9}/*", data[:10])[0], 400)
        self.assertEqual(self.chunk(session, f"{2 * QUANTUM}-{3 * QUANTUM - 1}/*", data[:QUANTUM])[0], 400)
        self.assertEqual(self.chunk(session, f"{QUANTUM}-{2 * QUANTUM - 1}/*", data[:9])[0], 400)
        self.assertEqual(self.chunk(session, f"{QUANTUM}-{2 * QUANTUM - 1}/{QUANTUM}", data[:QUANTUM])[0], 400)
        self.assertEqual(self.chunk(session, "0-5", data[:6])[0], 400)
        self.assertIsNone(self.stat("resumable"))
        # what is there already is taken, and ignored
        self.assertEqual(self.chunk(session, f"0-{2 * QUANTUM - 1}/*", data[:2 * QUANTUM]),
                         (308, f"bytes=0-{2 * QUANTUM - 1}"))
        rest = data[2 * QUANTUM:]
        self.assertEqual(self.chunk(session, f"{2 * QUANTUM}-{len(data) - 1}/{len(data)}", rest)[0], 200)
        self.assertEqual(self.chunk(session, "*/*")[0], 200)
        self.assertEqual(self.call("GET", f"{OBJECTS}/resumable?alt=media")[2], data)

    def test_a_session_may_be_cancelled_lost_unknown_or_of_another_size(self):
        session = self.begin("cancelled")
        self.refuse(499, self.call("DELETE", session))
        self.assertEqual(self.chunk(session, "*/*")[0], 499)
        self.assertEqual(self.chunk(session[:-3], "*/*")[0], 404)
        session = self.begin("lost")
        self.script({"do": "lose_session"})
        self.assertEqual(self.chunk(session, "*/*")[0], 410)
        self.assertEqual(self.chunk(session, "*/*")[0], 410)
        session = self.begin("sized", {"X-Upload-Content-Length": "5"})
        self.assertEqual(self.chunk(session, "0-3/4", b"1234")[0], 400)
        self.assertEqual(self.chunk(session, "0-4/5", b"12345")[0], 200)

    def test_multipart_bodies_must_be_framed_and_agree_with_their_metadata(self):
        def post(body, kind="multipart/related; boundary=b", query=""):
            return self.call("POST", f"{UPLOADS}?uploadType=multipart{query}", body.encode(), {"Content-Type": kind})
        good = ('--b\r\nContent-Type: application/json\r\n\r\n{"name":"m","md5Hash":"ISMvKXpXpadDiUoOSoAfww=="}\r\n'
                '--b\r\nContent-Type: text/plain\r\n\r\nadmin\r\n--b--')
        self.assertEqual(post(good)[0], 200)
        for wrong in (good[:-2], good.replace("ISM", "ISN"), good.replace('"name":"m"', '"nome":"m"'),
                      good.replace("application/json", "text/plain"), good.replace("\r\n\r\nadmin", "admin"),
                      good.replace("admin", "x\r\n--b\r\ny"), "x" + good, good.replace('{"name"', '{"name')):
            self.refuse(400, post(wrong))
        self.refuse(400, post(good, "multipart/related"))
        self.refuse(400, post(good, "application/json"))
        self.refuse(400, post(good, query="&name=other"))

    def test_names_parameters_classes_and_acls_are_checked(self):
        self.refuse(404, self.call("GET", f"{OBJECTS}/none"))
        self.refuse(400, self.call("GET", f"{OBJECTS}/a/b"))
        self.refuse(400, self.call("GET", f"{OBJECTS}/%FF"))
        self.refuse(400, self.call("GET", f"{OBJECTS}/a?versoin=1"))
        self.refuse(400, self.call("GET", f"{OBJECTS}?maxResults=0"))
        self.refuse(400, self.put("x" * 1025, b""))
        self.refuse(400, self.put("a\nb", b""))
        self.refuse(400, self.put("acl", b"", predefinedAcl="public-read"))
        self.refuse(404, self.call("GET", OBJECTS.replace(BUCKET, "other")))
        body = json.dumps({"name": "class", "storageClass": "STANDARD_IA"}).encode()
        self.refuse(400, self.call("POST", f"{UPLOADS}?uploadType=resumable", body, {"Content-Type": "application/json"}))

    def test_generations_guard_writes_and_removals(self):
        self.assertEqual(self.put("guarded", b"one", ifGenerationMatch=0)[0], 200)
        self.refuse(412, self.put("guarded", b"two", ifGenerationMatch=0))
        generation = self.stat("guarded")["generation"]
        self.assertEqual(self.put("guarded", b"two", ifGenerationMatch=generation)[0], 200)
        self.refuse(412, self.call("DELETE", f"{OBJECTS}/guarded?ifGenerationMatch={generation}"))
        session = self.begin("race", ifGenerationMatch=0)
        self.put("race", b"first")
        self.assertEqual(self.chunk(session, "0-0/1", b"x")[0], 412)

    def test_tokens_are_needed_and_end(self):
        self.refuse(401, self.call("GET", OBJECTS, token=False))
        self.script({"do": "expire_tokens"})
        self.refuse(401, self.call("GET", OBJECTS))
        type(self).token = self.metadata_token()
        self.assertEqual(self.call("GET", OBJECTS)[0], 200)
        self.refuse(403, self.call("GET", "/computeMetadata/v1/instance/service-accounts/default/token", token=False))
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        grant = urllib.parse.quote("urn:ietf:params:oauth:grant-type:jwt-bearer")
        for assertion in ("", "e30.e30.e30", "a.b"):
            status, _, body = self.call("POST", "/token", f"grant_type={grant}&assertion={assertion}".encode(), form,
                                        token=False)
            self.assertEqual(status, 400, body)

    def test_ranges_end_where_the_object_does(self):
        self.put("ranges", b"0123456789")
        def read(span):
            status, headers, body = self.call("GET", f"{OBJECTS}/ranges?alt=media", None, {"Range": f"bytes={span}"})
            return status, headers.get("Content-Range"), body
        self.assertEqual(read("2-4"), (206, "bytes 2-4/10", b"234"))
        self.assertEqual(read("8-99"), (206, "bytes 8-9/10", b"89"))
        self.assertEqual(read("-3"), (206, "bytes 7-9/10", b"789"))
        self.assertEqual(read("10-12")[0], 416)

    def test_a_killed_server_knows_what_it_answered_for(self):
        with Server("gcs_server.py", "--data", self.folder / "killed", again=True) as server:
            self.addCleanup(setattr, type(self), "server", self.server)
            type(self).server = server
            self.addCleanup(setattr, type(self), "token", self.token)
            type(self).token = self.metadata_token()
            session = self.begin("killed")
            self.assertEqual(self.chunk(session, f"0-{QUANTUM - 1}/*", b"k" * QUANTUM)[0], 308)
            self.script({"do": "kill", "bytes": 10})
            with self.assertRaises(OSError):
                self.chunk(session, f"{QUANTUM}-{2 * QUANTUM - 1}/*", b"k" * QUANTUM)
            while True:
                try:
                    type(self).token = self.metadata_token()
                    break
                except OSError:
                    pass  # it is on its way
            self.assertEqual(self.chunk(session, "*/*"), (308, f"bytes=0-{QUANTUM - 1}"))


class ProxyTest(ServerTest):
    DATA = random.Random(3).randbytes(300_000)

    def get(self, name="proxied"):
        return self.call("GET", f"{OBJECTS}/{name}?alt=media", base=self.proxy.url)

    def setUp(self):
        super().setUp()
        self.put("proxied", self.DATA)

    def test_without_a_rule_bytes_pass(self):
        self.assertEqual(self.get()[2], self.DATA)
        session = self.begin("via proxy", base=self.proxy.url)
        self.assertTrue(session.startswith(self.proxy.url))
        self.assertEqual(self.chunk(session, f"0-{len(self.DATA) - 1}/{len(self.DATA)}", self.DATA)[0], 200)
        self.assertEqual(self.get("via%20proxy")[2], self.DATA)
        self.assertEqual([status for *_, status, do in control(self.proxy.ports[1], "log")["requests"]], [200] * 4)

    def test_answers_are_cut_damaged_and_replaced(self):
        self.script(proxy=[{"do": "cut_answer", "bytes": 1000}, {"do": "corrupt_answer", "bytes": 70_000},
                           {"do": "answer", "status": 429, "headers": {"Retry-After": "7"}, "body": "slow"}])
        with self.assertRaises(http.client.IncompleteRead):
            self.get()
        damaged = self.get()[2]
        self.assertEqual([i for i in range(len(damaged)) if damaged[i] != self.DATA[i]], [70_000])
        status, headers, body = self.get()
        self.assertEqual((status, headers["Retry-After"], body), (429, "7", b"slow"))

    def test_resets_leave_a_request_undone_or_done(self):
        query = f"{UPLOADS}?uploadType=media&name="
        for at in ("before", "body", "after"):
            self.script(proxy=[{"do": "reset", "at": at, "bytes": 100_000}])
            with self.assertRaises(OSError):
                self.call("POST", query + at, self.DATA, {"Content-Type": "x/y"}, base=self.proxy.url)
        self.script(proxy=[{"do": "lose_answer"}])
        with self.assertRaises(OSError):
            self.call("POST", query + "lost", self.DATA, {"Content-Type": "x/y"}, base=self.proxy.url)
        for name, expected in {"before": False, "body": False, "lost": True}.items():
            self.assertEqual(self.stat(name) is not None, expected, name)

    def test_what_is_held_moves_when_it_is_released(self):
        for at in ("before", "body", "answer"):
            self.script(proxy=[{"do": "hold", "at": at, "bytes": 5}])
            with subprocess.Popen(["curl", "-sS", "-X", "POST", "--data-binary", "0123456789",
                                   "-H", f"Authorization: Bearer {self.token}", "-H", "Content-Type: x/y",
                                   f"{self.proxy.url}{UPLOADS}?uploadType=media&name=held-{at}"],
                                  stdout=subprocess.PIPE) as client:
                control(self.proxy.ports[1], "wait", {"held": 1})
                self.assertIsNone(client.poll())
                if at != "answer":
                    self.assertIsNone(self.stat(f"held-{at}"))
                control(self.proxy.ports[1], "release", {})
                self.assertEqual(json.load(client.stdout)["size"], "10")

    def test_a_damaged_upload_has_another_hash(self):
        self.script(proxy=[{"do": "corrupt_request", "bytes": 12}])
        self.call("POST", f"{UPLOADS}?uploadType=media&name=damaged", self.DATA, {"Content-Type": "x/y"},
                  base=self.proxy.url)
        self.assertNotEqual(self.stat("damaged")["md5Hash"], self.stat("proxied")["md5Hash"])


if __name__ == "__main__":
    unittest.main()
