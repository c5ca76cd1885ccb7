#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The S3 backend against Ceph's gateway and OpenStack Swift's s3api: the conformance kit, what
independent clients find of what it wrote and it of what they wrote, credentials."""
import http.server
import json
import pathlib
import random
import re
import tempfile
import threading
import time
import unittest

from s3_support import CA, PART, SECRETS, Server, secrets_at_the_end, tool

load_tests = secrets_at_the_end


def setUpModule():
    global FOLDER, RGW, SWIFT
    folder = tempfile.TemporaryDirectory(prefix="kvbackup_s3_")
    unittest.addModuleCleanup(folder.cleanup)
    FOLDER = pathlib.Path(folder.name)
    RGW, SWIFT = Server("rgw"), Server("swift")


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
            bucket = server.bucket + "-names"
            server.create(bucket)
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
            self.assertEqual(server.rclone("cat", f"s:{server.bucket}/large.sst"), content)
            server.rclone("rcat", f"s:{server.bucket}/theirs.sst", data=content)
            self.assertEqual(tool(server, "get", "theirs.sst").stdout, content)
            part = tool(server, "range", "theirs.sst", str(PART - 1), "4")
            self.assertEqual(part.stdout, content[PART - 1:PART + 3])

    def test_storage_class_acl_kms_and_metadata(self):
        for name, size in (("small", 100), ("large", 2 * PART)):
            done = tool(RGW, "put", f"marked-{name}", data=b"x" * size, S3_STORAGE_CLASS="STANDARD_IA",
                        S3_ACL="public-read", S3_SSE="aws:kms", S3_KMS_KEY="testkey", S3_META="note")
            self.assertEqual(done.returncode, 0, done.said)
            head = RGW.aws("head-object", "--bucket", RGW.bucket, "--key", f"marked-{name}")
            self.assertEqual(head["StorageClass"], "STANDARD_IA")
            self.assertEqual(head["ServerSideEncryption"], "aws:kms")
            self.assertEqual(head["SSEKMSKeyId"], "testkey")
            self.assertEqual(head["Metadata"]["test-note"], "note")
            grants = RGW.aws("get-object-acl", "--bucket", RGW.bucket, "--key", f"marked-{name}")["Grants"]
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
        RGW.rclone("copy", str(folder), f"s:{RGW.bucket}/many", "--transfers", "16")
        lines = tool(RGW, "list", "", S3_PREFIX="many").stdout.decode().splitlines()
        self.assertEqual(lines, [f"1 {i:04}.sst" for i in range(1203)])

    def test_memory_of_an_upload_is_bounded(self):
        content = random.Random(2).randbytes(96 << 20)
        empty = tool(RGW, "put", "empty", data=b"")
        done = tool(RGW, "put", "memory", data=content, S3_IN_FLIGHT="3")
        self.assertEqual(done.returncode, 0, done.said)
        peaks = [int(re.search(r"peak_kib (\d+)", each.said).group(1)) for each in (empty, done)]
        self.assertLess(peaks[1] - peaks[0], (3 * PART >> 10) + (16 << 10))


class Container(http.server.BaseHTTPRequestHandler):
    """The credential endpoint of a container; `server.answers` are the keys it gives, the last for ever."""

    def do_GET(self):
        keys = self.server.answers[0] if len(self.server.answers) == 1 else self.server.answers.pop(0)
        self.server.asked += 1
        # as the endpoint of ECS has it; it says that they are good for long
        body = json.dumps({"AccessKeyId": keys["AccessKeyId"], "SecretAccessKey": keys["SecretAccessKey"],
                           "Token": keys["SessionToken"], "Expiration": "2099-01-01T00:00:00Z"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Credentials(unittest.TestCase):
    NONE = {"S3_ACCESS_KEY": "", "S3_SECRET_KEY": ""}

    def test_environment_and_files(self):
        done = tool(RGW, "list", "", **self.NONE, AWS_ACCESS_KEY_ID=RGW.access,
                    AWS_SECRET_ACCESS_KEY=RGW.secret)
        self.assertEqual(done.returncode, 0, done.said)
        file = FOLDER / "credentials"
        file.write_text(f"[p]\naws_access_key_id = {RGW.access}\naws_secret_access_key = {RGW.secret}\n")
        done = tool(RGW, "list", "", **self.NONE, AWS_PROFILE="p", AWS_SHARED_CREDENTIALS_FILE=str(file))
        self.assertEqual(done.returncode, 0, done.said)
        done = tool(RGW, "list", "", **self.NONE, HOME="/nonexistent")
        self.assertIn("there are no S3 credentials", done.said)

    def test_temporary_keys_need_their_token(self):
        keys = RGW.temporary_keys(900)
        given = {"S3_ACCESS_KEY": keys["AccessKeyId"], "S3_SECRET_KEY": keys["SecretAccessKey"]}
        done = tool(RGW, "list", "", **given, S3_TOKEN=keys["SessionToken"])
        self.assertEqual(done.returncode, 0, done.said)
        self.assertEqual(tool(RGW, "list", "", **given).returncode, 1)

    def test_expired_keys_are_renewed_where_they_come_from(self):
        expired = RGW.temporary_keys(1)
        given = {"S3_ACCESS_KEY": expired["AccessKeyId"], "S3_SECRET_KEY": expired["SecretAccessKey"],
                 "S3_TOKEN": expired["SessionToken"]}
        # until the server says so
        deadline = time.monotonic() + 120
        while (done := tool(RGW, "list", "", **given)).returncode == 0:
            self.assertLess(time.monotonic(), deadline)
        self.assertIn("permission_denied", done.said)
        done = tool(RGW, "put", "expired", data=b"x", **given)
        self.assertEqual(done.returncode, 1)
        self.assertIn("permission_denied", done.said)

        endpoint = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Container)
        self.addCleanup(endpoint.server_close)
        self.addCleanup(endpoint.shutdown)
        endpoint.answers, endpoint.asked = [expired, RGW.temporary_keys(900)], 0
        threading.Thread(target=endpoint.serve_forever, daemon=True).start()
        content = random.Random(4).randbytes(2 * PART + 1)
        done = tool(RGW, "put", "renewed", data=content, **self.NONE, HOME="/nonexistent",
                    AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://127.0.0.1:{endpoint.server_address[1]}/keys")
        self.assertEqual(done.returncode, 0, done.said)
        self.assertEqual(endpoint.asked, 2)
        self.assertEqual(tool(RGW, "get", "renewed").stdout, content)


if __name__ == "__main__":
    unittest.main()
