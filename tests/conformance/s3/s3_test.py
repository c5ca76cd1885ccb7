#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The S3 backend against Ceph's gateway and OpenStack Swift's s3api, which this starts on loopback:
the conformance kit, what independent clients find, and faults on the way.

S3_TOOL, AWS, RCLONE, SERVERS: the program under test, the clients, the folder of the start scripts.
"""
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from fault_proxy import FaultProxy, Rule

SERVERS = pathlib.Path(os.environ["SERVERS"])
BUCKET = "kvbackup-test"
SECRETS = {"kvbackup-secret"}
PART = 5 << 20
PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
PLAIN_ENV = {name: value for name, value in os.environ.items()
             if not name.startswith("AWS_") and name not in PROXIES}


def free_ports(count):
    """The first of `count` ports in a row that nobody listens on."""
    while True:
        base = random.randrange(20000, 32000)
        held = []
        try:
            for port in range(base, base + count):
                held.append(socket.create_server(("127.0.0.1", port)))
            return base
        except OSError:
            continue
        finally:
            for each in held:
                each.close()


class Server:
    def __init__(self, script, folder, ports, **environment):
        self.folder, self.port = folder, free_ports(ports)
        done = subprocess.run([SERVERS / script, folder, str(self.port)], text=True, check=False,
                              capture_output=True, env={**PLAIN_ENV, **environment}, timeout=300)
        if done.returncode != 0:
            raise RuntimeError(f"{script}: {done.stdout}{done.stderr}")
        self.about = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        self.access, self.secret = self.about["S3_ACCESS_KEY"], self.about["S3_SECRET_KEY"]

    def stop(self):
        subprocess.run([SERVERS / "stop-server.sh", self.folder], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def aws(self, *words, check=True, text=True):
        """awscli's answer to `s3api words`, as JSON where there is one."""
        environment = {**PLAIN_ENV, "AWS_ACCESS_KEY_ID": self.access, "AWS_PAGER": "",
                       "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_DEFAULT_REGION": "us-east-1",
                       "AWS_EC2_METADATA_DISABLED": "true"}
        done = subprocess.run([os.environ["AWS"], "--endpoint-url", f"http://127.0.0.1:{self.port}",
                               "s3api", *words], text=text, capture_output=True, env=environment,
                              check=False, timeout=120)
        if check and done.returncode != 0:
            raise AssertionError(f"aws {words}: {done.stderr}")
        if not check:
            return done
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def rclone(self, *words, data=None):
        environment = {**PLAIN_ENV, "RCLONE_CONFIG_S_TYPE": "s3", "RCLONE_CONFIG_S_PROVIDER": "Ceph",
                       "RCLONE_CONFIG_S_ACCESS_KEY_ID": self.access,
                       "RCLONE_CONFIG_S_SECRET_ACCESS_KEY": self.secret,
                       "RCLONE_CONFIG_S_REGION": "us-east-1", "RCLONE_CONFIG": "/dev/null",
                       "RCLONE_CONFIG_S_ENDPOINT": f"http://127.0.0.1:{self.port}",
                       "RCLONE_CONFIG_S_FORCE_PATH_STYLE": "true"}
        return subprocess.run([os.environ["RCLONE"], *words], input=data, capture_output=True,
                              env=environment, check=True, timeout=300).stdout

    def uploads(self):
        """The uploads that are neither completed nor aborted; rclone starts faster than awscli."""
        found = self.rclone("backend", "list-multipart-uploads", f"s:{BUCKET}")
        return json.loads(found)[BUCKET] or []


OUTPUT = []  # all that the tool ever said


def tool(server, *words, data=b"", **environment):
    env = {**PLAIN_ENV, "S3_ENDPOINT": f"http://127.0.0.1:{server.port}", "S3_PATH_STYLE": "1",
           "S3_ACCESS_KEY": server.access, "S3_SECRET_KEY": server.secret, "S3_BUCKET": BUCKET,
           "AWS_EC2_METADATA_DISABLED": "true", **environment}
    done = subprocess.run([os.environ["S3_TOOL"], *words], input=data, capture_output=True, env=env,
                          check=False, timeout=300)
    done.said = done.stderr.decode()
    OUTPUT.append(done.said)
    if words[0] not in ("get", "range"):
        OUTPUT.append(done.stdout.decode())
    return done


def setUpModule():
    global FOLDER, CA, RGW, SWIFT
    FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="kvbackup_s3_"))
    CA = FOLDER / "ca"
    subprocess.run([SERVERS / "make-test-ca.sh", CA], check=True, stdout=subprocess.DEVNULL)
    # also when the second server does not start, or a bucket cannot be made
    unittest.addModuleCleanup(shutil.rmtree, FOLDER, ignore_errors=True)
    RGW = Server("start-ceph-rgw.sh", FOLDER / "rgw", 10, RGW_TLS_CERT=str(CA / "server-both.pem"),
                 RGW_STS="1")
    unittest.addModuleCleanup(RGW.stop)
    SWIFT = Server("start-swift-s3.sh", FOLDER / "swift", 4)
    unittest.addModuleCleanup(SWIFT.stop)
    for server in (RGW, SWIFT):
        server.aws("create-bucket", "--bucket", BUCKET)


class Kit(unittest.TestCase):
    def keeps_the_laws(self, server, **environment):
        done = tool(server, "kit", **environment)
        self.assertEqual(done.returncode, 0, done.said)

    def test_ceph_path_style(self):
        self.keeps_the_laws(RGW)

    def test_ceph_virtual_host_style(self):
        self.keeps_the_laws(RGW, S3_ENDPOINT=RGW.about["S3_ENDPOINT_VHOST"], S3_PATH_STYLE="0")

    def test_ceph_https_virtual_host_style(self):
        self.keeps_the_laws(RGW, S3_ENDPOINT=RGW.about["S3_ENDPOINT_TLS"], S3_PATH_STYLE="0",
                            S3_CA=str(CA / "ca.pem"))

    def test_ceph_https_path_style_with_checksums(self):
        self.keeps_the_laws(RGW, S3_ENDPOINT=f"https://127.0.0.1:{RGW.port + 9}", S3_CHECKSUMS="1",
                            S3_CA=str(CA / "ca.pem"), S3_MD5="1")

    def test_swift_path_style(self):
        self.keeps_the_laws(SWIFT, S3_IF_ABSENT="checked")

    def test_swift_virtual_host_style(self):
        self.keeps_the_laws(SWIFT, S3_IF_ABSENT="checked", S3_PATH_STYLE="0",
                            S3_ENDPOINT=SWIFT.about["S3_ENDPOINT_VHOST"])

    def test_swift_corrects_the_region(self):
        done = tool(SWIFT, "list", "", S3_REGION="eu-nowhere-1")
        self.assertEqual(done.returncode, 0, done.said)

    def test_a_server_without_conditions_is_refused_by_name(self):
        done = tool(SWIFT, "put", "conditional", data=b"x")
        self.assertEqual(done.returncode, 1)
        self.assertIn("unsupported: the server has no conditional writes", done.said)

    def test_an_unknown_authority_is_refused(self):
        done = tool(RGW, "list", "", S3_ENDPOINT=f"https://127.0.0.1:{RGW.port + 9}",
                    S3_CA=str(CA / "self.pem"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("permission_denied", done.said)


class Clients(unittest.TestCase):
    """What awscli and rclone find of what we wrote, and we of what they wrote."""

    NAMES = ["plain.sst", "with space.sst", "100%25.sst", "a+b.sst", "\u00e9\u4e2d.sst", "q'\"u&<>.sst",
             "deep/er/est.sst", "?#[]@!$.sst"]

    def test_names_and_prefixes(self):
        for server, absent in ((RGW, ""), (SWIFT, "checked")):
            bucket = "kvbackup-names"
            server.aws("create-bucket", "--bucket", bucket)
            expected = {}
            for prefix in ("", "pre", "pre/fix", "/lead", "trail/", "dou//ble", "sp ace+%25"):
                for name in self.NAMES if prefix in ("", "sp ace+%25") else self.NAMES[:2]:
                    content = f"{prefix} {name}".encode()
                    key = f"{prefix}/{name}" if prefix else name
                    expected[key] = len(content)
                    where = {"S3_PREFIX": prefix, "S3_BUCKET": bucket, "S3_IF_ABSENT": absent}
                    with self.subTest(port=server.port, key=key):
                        done = tool(server, "put", name, data=content, **where)
                        self.assertEqual(done.returncode, 0, done.said)
                        self.assertEqual(tool(server, "get", name, **where).stdout, content)
                        listed = tool(server, "list", name, **where).stdout.decode()
                        self.assertEqual(listed, f"{len(content)} {name}\n")
            found = server.aws("list-objects-v2", "--bucket", bucket)["Contents"]
            self.assertEqual({each["Key"]: each["Size"] for each in found}, expected)
            target = FOLDER / "got"
            server.aws("get-object", "--bucket", bucket, "--key", "sp ace+%25/a+b.sst", str(target))
            self.assertEqual(target.read_bytes(), b"sp ace+%25 a+b.sst")

    def test_large_objects_byte_for_byte(self):
        content = random.Random(1).randbytes(3 * PART + 12345)
        for server, absent in ((RGW, ""), (SWIFT, "checked")):
            done = tool(server, "put", "large.sst", data=content, S3_IF_ABSENT=absent)
            self.assertEqual(done.returncode, 0, done.said)
            self.assertEqual(server.rclone("cat", f"s:{BUCKET}/large.sst"), content)
            server.rclone("rcat", f"s:{BUCKET}/theirs.sst", data=content)
            self.assertEqual(tool(server, "get", "theirs.sst").stdout, content)
            part = tool(server, "range", "theirs.sst", str(PART - 1), "4")
            self.assertEqual(part.stdout, content[PART - 1:PART + 3])

    def test_storage_class_acl_kms_and_metadata(self):
        for name, size in (("small", 100), ("large", 2 * PART)):
            done = tool(RGW, "put", f"marked-{name}", data=b"x" * size, S3_STORAGE_CLASS="STANDARD_IA",
                        S3_ACL="public-read", S3_SSE="aws:kms", S3_KMS_KEY="testkey", S3_META="note")
            self.assertEqual(done.returncode, 0, done.said)
            head = RGW.aws("head-object", "--bucket", BUCKET, "--key", f"marked-{name}")
            self.assertEqual(head["StorageClass"], "STANDARD_IA")
            self.assertEqual(head["ServerSideEncryption"], "aws:kms")
            self.assertEqual(head["SSEKMSKeyId"], "testkey")
            self.assertEqual(head["Metadata"]["test-note"], "note")
            grants = RGW.aws("get-object-acl", "--bucket", BUCKET, "--key", f"marked-{name}")["Grants"]
            self.assertTrue(any("AllUsers" in g["Grantee"].get("URI", "") for g in grants))

    def test_wrong_options_are_named(self):
        done = tool(RGW, "put", "x", data=b"x", S3_STORAGE_CLASS="NO_SUCH")
        self.assertIn("storage_class", done.said)
        done = tool(RGW, "list", "", S3_SECRET_KEY="wrong-secret-of-a-user")
        SECRETS.add("wrong-secret-of-a-user")
        self.assertIn("permission_denied", done.said)
        done = tool(RGW, "list", "", S3_BUCKET="no-such-bucket")
        self.assertIn("no such bucket", done.said)

    def test_more_objects_than_a_page(self):
        folder = FOLDER / "many"
        folder.mkdir()
        for i in range(1203):
            (folder / f"{i:04}.sst").write_bytes(b"x")
        RGW.rclone("copy", str(folder), f"s:{BUCKET}/many", "--transfers", "16")
        lines = tool(RGW, "list", "", S3_PREFIX="many").stdout.decode().splitlines()
        self.assertEqual(lines, [f"1 {i:04}.sst" for i in range(1203)])

    def test_memory_of_an_upload_is_bounded(self):
        content = random.Random(2).randbytes(96 << 20)
        empty = tool(RGW, "put", "empty", data=b"")
        done = tool(RGW, "put", "memory", data=content, S3_IN_FLIGHT="3")
        self.assertEqual(done.returncode, 0, done.said)
        peaks = [int(re.search(r"peak_kib (\d+)", each.said).group(1)) for each in (empty, done)]
        self.assertLess(peaks[1] - peaks[0], (3 * PART >> 10) + (16 << 10))


class Credentials(unittest.TestCase):
    def test_environment_files_and_session_token(self):
        given = {"S3_ACCESS_KEY": "", "S3_SECRET_KEY": ""}
        done = tool(RGW, "list", "", **given, AWS_ACCESS_KEY_ID=RGW.access,
                    AWS_SECRET_ACCESS_KEY=RGW.secret)
        self.assertEqual(done.returncode, 0, done.said)
        file = FOLDER / "credentials"
        file.write_text(f"[p]\naws_access_key_id = {RGW.access}\naws_secret_access_key = {RGW.secret}\n")
        done = tool(RGW, "list", "", **given, AWS_PROFILE="p", AWS_SHARED_CREDENTIALS_FILE=str(file))
        self.assertEqual(done.returncode, 0, done.said)
        done = tool(RGW, "list", "", **given, HOME="/nonexistent")
        self.assertIn("there are no S3 credentials", done.said)

    def test_temporary_keys_need_their_token(self):
        environment = {**PLAIN_ENV, "AWS_ACCESS_KEY_ID": RGW.access, "AWS_PAGER": "",
                       "AWS_SECRET_ACCESS_KEY": RGW.secret, "AWS_DEFAULT_REGION": "us-east-1"}
        answer = subprocess.run(
            [os.environ["AWS"], "--endpoint-url", f"http://127.0.0.1:{RGW.port}", "sts", "assume-role",
             "--role-arn", "arn:aws:iam:::role/kvbackup", "--role-session-name", "test"],
            env=environment, capture_output=True, check=True, timeout=60)
        keys = json.loads(answer.stdout)["Credentials"]
        SECRETS.update((keys["SecretAccessKey"], keys["SessionToken"]))
        given = {"S3_ACCESS_KEY": keys["AccessKeyId"], "S3_SECRET_KEY": keys["SecretAccessKey"]}
        done = tool(RGW, "list", "", **given, S3_TOKEN=keys["SessionToken"])
        self.assertEqual(done.returncode, 0, done.said)
        self.assertEqual(tool(RGW, "list", "", **given).returncode, 1)


class Faults(unittest.TestCase):
    """After each: the object is there and whole, or there is a clear error and nothing is."""

    @classmethod
    def setUpClass(cls):
        cls.proxy = FaultProxy(RGW.port)
        cls.addClassCleanup(cls.proxy.close)
        cls.content = random.Random(3).randbytes(2 * PART + 777)
        cls.small = cls.content[:100_000]
        cls.count = 0

    def put(self, content, *rules, **environment):
        """Stores through the proxy; gives what the tool did and whether the object is there whole."""
        Faults.count += 1
        name = f"fault-{self.count}.sst"
        self.proxy.set_rules(*rules)
        done = tool(RGW, "put", name, data=content,
                    S3_ENDPOINT=f"http://127.0.0.1:{self.proxy.port}", **environment)
        for rule in rules:
            self.assertGreater(rule.fired, 0, "the fault did not happen")
        self.proxy.set_rules()
        stored = tool(RGW, "get", name)
        if stored.returncode == 0:
            self.assertEqual(stored.stdout, content, "the object is there and not whole")
        self.assertEqual(RGW.uploads(), [], "an upload is left behind")
        return done, stored.returncode == 0

    def survives(self, content, *rules, **environment):
        done, there = self.put(content, *rules, **environment)
        self.assertEqual((done.returncode, there), (0, True), done.said)
        return done

    def fails(self, content, *rules, **environment):
        done, there = self.put(content, *rules, **environment)
        self.assertEqual((done.returncode, there), (1, False), done.said)
        return done

    KINDS = {"one request": r"^PUT [^?]*$", "a part": r"partNumber=2&", "the beginning": r"^POST .*\?uploads=",
             "the end": r"^POST .*\?uploadId="}

    def each(self, action, kinds=("one request", "a part", "the end")):
        for kind in kinds:
            with self.subTest(kind=kind):
                content = self.small if kind == "one request" else self.content
                self.survives(content, Rule(self.KINDS[kind], action))

    def test_reset_before_the_body(self):
        self.each("reset_before")

    def test_reset_within_the_body(self):
        self.each("reset_within")

    def test_reset_after_the_body(self):
        self.each("reset_after")

    def test_lost_answer(self):
        self.each("lose_answer", ("one request", "the beginning", "a part", "the end"))

    def test_busy_servers(self):
        slow = "<Error><Code>SlowDown</Code></Error>"
        for action in (("status", 500, "", ""), ("status", 503, slow, "Retry-After: 1\r\n"),
                       ("status", 429, "", "Retry-After: 0\r\n"), ("status", 200, slow, "")):
            kinds = ("the end",) if action[1] == 200 else ("one request", "a part", "the end")
            with self.subTest(status=action[1]):
                self.each(action, kinds)

    def test_stalled_transfer(self):
        for kind in ("one request", "a part"):
            content = self.small if kind == "one request" else self.content
            done = self.survives(content, Rule(self.KINDS[kind], "stall"), S3_IDLE_MS="1000")
            self.assertIn("stalled", done.said)

    def test_a_server_that_stays_away_is_an_error_and_leaves_nothing(self):
        done = self.fails(self.content, Rule(self.KINDS["a part"], "reset_before", times=99),
                          S3_ATTEMPTS="3")
        self.assertIn("unavailable", done.said)
        self.fails(self.small, Rule(self.KINDS["one request"], "reset_within", times=99),
                   S3_ATTEMPTS="3")
        self.fails(self.content, Rule(self.KINDS["the end"], "reset_before", times=99),
                   S3_ATTEMPTS="3")

    def test_answers_to_the_end_that_are_always_lost(self):
        self.survives(self.content, Rule(self.KINDS["the end"], "lose_answer", times=99),
                      S3_ATTEMPTS="2")

    def test_an_upload_that_somebody_aborts_is_a_clear_error(self):
        def abort():
            for each in RGW.uploads():
                RGW.aws("abort-multipart-upload", "--bucket", BUCKET, "--key", each["Key"],
                        "--upload-id", each["UploadId"])
        done = self.fails(self.content, Rule(self.KINDS["a part"], abort), S3_IN_FLIGHT="1")
        self.assertIn("NoSuchUpload", done.said)

    def test_a_gateway_that_is_killed_and_comes_back(self):
        def restart():
            lines = [line.split() for line in (RGW.folder / "pids").read_text().splitlines()]
            pid = next(int(words[0]) for words in lines if words[2] == "rgw")
            os.kill(pid, signal.SIGKILL)
            with open(RGW.folder / "log/rgw2.out", "wb") as log:
                process = subprocess.Popen(
                    ["radosgw", "-f", "-c", RGW.folder / "ceph.conf", "-n", "client.rgw"],
                    stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            born = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
            with open(RGW.folder / "pids", "a", encoding="utf-8") as pids:
                pids.write(f"{process.pid} {born} rgw2\n")
            for _ in range(300):
                try:
                    socket.create_connection(("127.0.0.1", RGW.port)).close()
                    return
                except OSError:
                    time.sleep(0.2)  # a process that starts tells nobody when it listens
        self.survives(self.content, Rule(self.KINDS["a part"], restart), S3_ATTEMPTS="12")

    def test_truncated_download(self):
        tool(RGW, "put", "whole.sst", data=self.content)
        for words, expected in ((("get", "whole.sst"), self.content),
                                (("range", "whole.sst", "1000", "500000"), self.content[1000:501000])):
            self.proxy.set_rules(Rule("^GET ", "truncate"), Rule("^GET ", "reset_after"))
            done = tool(RGW, *words, S3_ENDPOINT=f"http://127.0.0.1:{self.proxy.port}")
            self.assertEqual(done.stdout, expected, done.said)

    def test_wrong_clock(self):
        for offset in ("-7200", "7200"):
            name = f"clock{offset}"
            done = tool(RGW, "put", name, data=self.content, S3_CLOCK_OFFSET=offset)
            self.assertEqual(done.returncode, 0, done.said)
            self.assertIn("warning: the clock of this machine is", done.said)
            found = tool(RGW, "list", name, S3_CLOCK_OFFSET=offset)
            self.assertEqual(found.stdout.decode(), f"{len(self.content)} {name}\n")

    def test_every_amz_header_is_signed(self):
        # RGW lets an unsigned one pass, S3 does not
        self.survives(self.small, Rule("^PUT ", lambda: None), S3_STORAGE_CLASS="STANDARD_IA",
                      S3_META="x", S3_CHECKSUMS="1")
        self.proxy.set_rules()
        tool(RGW, "put", "signed", data=self.content, S3_CHECKSUMS="1", S3_MD5="1", S3_META="x",
             S3_ENDPOINT=f"http://127.0.0.1:{self.proxy.port}")
        self.assertGreater(len(self.proxy.heads), 3)
        for head in self.proxy.heads:
            text = head.decode().lower()
            signed = re.search(r"signedheaders=([^,]*),", text).group(1).split(";")
            names = re.findall(r"\r\n(host|content-md5|if-none-match|x-amz-[^:]*):", text)
            self.assertEqual(sorted(names), sorted(signed))


class Zecrets(unittest.TestCase):  # the last, by its name
    def test_nothing_ever_showed_a_secret(self):
        said = "\n".join(OUTPUT)
        self.assertGreater(len(said), 1000)
        for secret in SECRETS:
            self.assertNotIn(secret, said)


if __name__ == "__main__":
    unittest.main()
