# SPDX-License-Identifier: Apache-2.0
"""The program on object storage: Ceph's gateway and the Cloud Storage test server, which this starts on
loopback. awscli and rclone judge what lies there; no output may hold a secret.

KVBACKUP, EXAMPLE, AWS, RCLONE, SERVERS, S3_TESTS: the program and the S3 example, the clients, the
folders of the servers and of the S3 tests.
"""
import json
import os
import pathlib
import pty
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.parse

sys.path[0:0] = [os.environ["S3_TESTS"], os.environ["SERVERS"]]
# pylint: disable=wrong-import-position
from running import Server as LocalServer
from s3_support import PLAIN_ENV, Server as S3Server

PROGRAM = os.environ["KVBACKUP"]
SERVERS = pathlib.Path(os.environ["SERVERS"])
BUCKET = "kvbackup-test"
DONE, COULD_NOT_FINISH, WRONG_USAGE, DAMAGE_FOUND = 0, 1, 2, 3
SECRETS = {"a-wrong-secret-of-a-user"}
OUTPUT = []  # all that the program ever said


def setUpModule():
    global FOLDER, RGW, GCS, KEY, STORE, PAIRS
    FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="kvbackup_storage_"))
    unittest.addModuleCleanup(shutil.rmtree, FOLDER, ignore_errors=True)
    RGW = S3Server("rgw")
    RGW.create(BUCKET)
    GCS = LocalServer("gcs_server.py", "--data", FOLDER / "gcs", "--page-limit", 5)
    unittest.addModuleCleanup(GCS.__exit__)
    KEY = FOLDER / "gcs" / "key.json"
    SECRETS.add(RGW.secret)
    SECRETS.update(line for line in json.loads(KEY.read_text())["private_key"].splitlines() if len(line) > 40)
    STORE, PAIRS = FOLDER / "store", FOLDER / "pairs.tsv"
    run("generate", "--sink", f"lmdb:{STORE}", "--count", 20000, check=True)
    run("convert", "--source", f"lmdb:{STORE}", "--sink", f"tsv:{PAIRS}", check=True)


def run(*words, check=False, **environment):
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, check=False, timeout=300,
                          env={**PLAIN_ENV, "AWS_EC2_METADATA_DISABLED": "true", **environment})
    done.out, done.said = done.stdout.decode(), done.stderr.decode()
    OUTPUT.extend((done.out, done.said))
    if check and done.returncode != 0:
        raise AssertionError(f"{words}: {done.said}{done.out}")
    return done


class Place:
    """A prefix of a bucket: its URL, and the flags and environment that lead to it."""

    def __init__(self, scheme, prefix):
        self.prefix, self.is_s3 = prefix, scheme == "s3"
        # a '+' stands for itself, as in BR
        self.url = f"{scheme}://{BUCKET}/{urllib.parse.quote(prefix, safe='/+')}"
        if self.is_s3:
            self.flags = ("--s3.endpoint", f"http://127.0.0.1:{RGW.port}")
            self.environment = {"AWS_ACCESS_KEY_ID": RGW.access, "AWS_SECRET_ACCESS_KEY": RGW.secret}
        else:
            self.flags = ("--gcs.endpoint", GCS.url, "--gcs.credentials-file", KEY)
            self.environment = {}

    def run(self, command, *words, **settings):
        return run(command, "-s", self.url, *self.flags, *words, **{**self.environment, **settings})

    def rclone(self, *words):
        """`words` with "@" for this place, by rclone."""
        remote = f"r:{BUCKET}/{self.prefix}"
        words = [remote if word == "@" else str(word) for word in words]
        if self.is_s3:
            settings = {"TYPE": "s3", "PROVIDER": "Ceph", "ACCESS_KEY_ID": RGW.access, "REGION": "us-east-1",
                        "SECRET_ACCESS_KEY": RGW.secret, "ENDPOINT": f"http://127.0.0.1:{RGW.port}"}
        else:
            settings = {"TYPE": "google cloud storage", "SERVICE_ACCOUNT_FILE": str(KEY),
                        "ENDPOINT": f"{GCS.url}/storage/v1/"}
        environment = {**PLAIN_ENV, "RCLONE_CONFIG": "/dev/null",
                       **{f"RCLONE_CONFIG_R_{name}": value for name, value in settings.items()}}
        done = subprocess.run([os.environ["RCLONE"], "--quiet", "--retries", "1", *words], check=False,
                              capture_output=True, env=environment, timeout=300)
        if done.returncode != 0:
            raise AssertionError(f"rclone {words}: {done.stderr.decode()}")
        return done.stdout


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kvbackup-storage-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def succeed(self, place, command, *words, **environment):
        done = place.run(command, *words, **environment)
        self.assertEqual(done.returncode, DONE, done.said + done.out)
        return done

    def back_up(self, place, *words):
        return self.succeed(place, "backup", "--source", f"lmdb:{STORE}", "--file-size", 1, *words)


class WholeWay(Case):
    """A store to a bucket and back, as an operator does it."""

    def whole_way(self, place):
        done = self.back_up(place, "--verify-after", "--json")
        result = json.loads(done.out)
        self.assertTrue(result["verification"]["whole"])
        self.assertTrue(result["verification"]["protected"])
        self.assertEqual(result["verification"]["total_kvs"], 20000)
        self.assertGreater(result["files"], 1)
        self.assertTrue(result["storage"].startswith(place.url.replace("+", "%2B")))

        verified = json.loads(self.succeed(place, "verify", "--json").out)
        self.assertEqual((verified["whole"], verified["warnings"]), (True, 0))
        quick = json.loads(self.succeed(place, "verify", "--quick", "--strict", "--json").out)
        self.assertEqual(quick["files"], result["files"])
        inspected = json.loads(self.succeed(place, "inspect", "--files", "--json").out)
        self.assertEqual(len(inspected["tables"]), result["files"])

        lines = PAIRS.read_text().splitlines()
        key, value = lines[12345].split("\t")
        self.assertEqual(self.succeed(place, "get", key).out.strip(), value)
        self.assertEqual(place.run("get", "00").returncode, COULD_NOT_FINISH)
        self.assertEqual(self.succeed(place, "scan").out, PAIRS.read_text())
        start, end = (lines[i].split("\t")[0] for i in (700, 900))
        some = self.succeed(place, "scan", "--start", start, "--end", end, "--limit", 50)
        self.assertEqual(some.out.splitlines(), lines[700:750])

        restored = self.folder / "restored"
        self.succeed(place, "restore", "--sink", f"lmdb:{restored}")
        tsv = self.folder / "restored.tsv"
        run("convert", "--source", f"lmdb:{restored}", "--sink", f"tsv:{tsv}", check=True)
        self.assertEqual(tsv.read_bytes(), PAIRS.read_bytes())

        again = place.run("backup", "--source", f"lmdb:{STORE}", "--file-size", 1)
        self.assertEqual(again.returncode, COULD_NOT_FINISH)
        self.assertIn("the destination already holds a backup", again.said)

    def and_others(self, place):
        """rclone brings the backup down, and another one up."""
        down = self.folder / "down"
        place.rclone("copy", "@", down)
        run("verify", "-s", down, "--strict", check=True)
        up = Place("s3" if place.is_s3 else "gcs", f"{place.prefix}-theirs")
        up.rclone("copy", down, "@")
        self.succeed(up, "verify", "--strict")

    def test_s3(self):
        place = Place("s3", "way/one day+\u00e9")
        self.whole_way(place)
        self.and_others(place)

    def test_gcs(self):
        place = Place("gcs", "way/one")
        self.whole_way(place)
        self.and_others(place)
        # without a key file: the account of the machine
        run("verify", "-s", f"{place.url}?endpoint={GCS.url}", check=True,
            GCE_METADATA_HOST=f"127.0.0.1:{GCS.port}", HOME=self.folder)

    def cleaned(self, place, *words):
        report = json.loads(self.succeed(place, "clean", "--json", *words).out)
        return sorted((item["kind"], item["name"]) for item in report["items"])

    def test_what_dead_runs_left_is_cleaned_and_a_backup_deleted(self):
        for scheme in ("s3", "gcs"):
            place = Place(scheme, f"left/{scheme}")
            self.back_up(place)
            left = self.folder / scheme
            left.mkdir()
            for name in ("8_1_1_default.sst", "kvbackup.checkpoint.0123456789abcdef.1", "notes.txt"):
                (left / name).write_bytes(b"x")
            place.rclone("copy", left, "@")
            expected = [("checkpoint", "kvbackup.checkpoint.0123456789abcdef.1"), ("file", "8_1_1_default.sst")]
            if place.is_s3:
                for name in ("8_2_1_default.sst", "notes.bin"):
                    RGW.aws("create-multipart-upload", "--bucket", BUCKET, "--key", f"{place.prefix}/{name}")
                expected.append(("unfinished", "8_2_1_default.sst"))
            self.assertEqual(self.cleaned(place), expected)
            self.assertEqual(self.cleaned(place, "--yes"), expected)
            self.assertEqual(self.cleaned(place), [])
            self.succeed(place, "verify")
            if place.is_s3:
                uploads = RGW.aws("list-multipart-uploads", "--bucket", BUCKET, "--prefix", place.prefix)["Uploads"]
                self.assertEqual([each["Key"] for each in uploads], [f"{place.prefix}/notes.bin"])
            self.succeed(place, "delete")
            self.assertEqual(place.rclone("lsf", "@").split(), [b"notes.txt"])

    def test_a_list_shows_every_backup_below(self):
        for scheme in ("s3", "gs"):
            for name in ("list/a", "list/b/c"):
                self.back_up(Place(scheme, name))
            found = json.loads(self.succeed(Place(scheme, "list/"), "list", "--json").out)
            self.assertEqual([row["folder"] for row in found["backups"]], ["a", "b/c"])

    def test_the_whole_bucket_and_options_in_the_url(self):
        RGW.aws("create-bucket", "--bucket", "kvbackup-whole")
        secret = urllib.parse.quote(RGW.secret, safe="")
        url = (f"s3://kvbackup-whole?endpoint=http://127.0.0.1:{RGW.port}&access-key={RGW.access}"
               f"&secret-access-key={secret}")
        done = run("backup", "-s", url, "--source", f"lmdb:{STORE}", "--s3.endpoint", "http://nowhere",
                   "--store-folder", "--file-size", 1, "--verify-after", "--json", check=True)
        self.assertEqual(json.loads(done.out)["storage"],
                         f"s3://kvbackup-whole?endpoint=http://127.0.0.1:{RGW.port}")
        keys = {each["Key"] for each in RGW.aws("list-objects-v2", "--bucket", "kvbackup-whole")["Contents"]}
        self.assertIn("backupmeta", keys)
        self.assertGreater(len(keys), 2)
        self.assertTrue(all(key.startswith("1/") for key in keys - {"backupmeta"}), keys)
        run("verify", "-s", url, "--strict", check=True)
        self.assertEqual(run("scan", "-s", url, check=True).out, PAIRS.read_text())


class Marks(Case):
    def test_what_was_asked_for_arrives_at_s3(self):
        place = Place("s3", "marks")
        self.back_up(place, "--s3.storage-class", "STANDARD_IA", "--s3.acl", "public-read", "--s3.sse", "aws:kms",
                     "--s3.sse-kms-key-id", "testkey", "--s3.region", "us-east-1", "--s3.provider", "ceph")
        names = [each["Key"] for each in
                 RGW.aws("list-objects-v2", "--bucket", BUCKET, "--prefix", "marks/")["Contents"]]
        self.assertIn("marks/backupmeta", names)
        for name in (names[0], "marks/backupmeta"):
            head = RGW.aws("head-object", "--bucket", BUCKET, "--key", name)
            self.assertEqual((head["StorageClass"], head["ServerSideEncryption"], head["SSEKMSKeyId"]),
                             ("STANDARD_IA", "aws:kms", "testkey"))
            self.assertIn("kvbackup-id", head["Metadata"])
            grants = RGW.aws("get-object-acl", "--bucket", BUCKET, "--key", name)["Grants"]
            self.assertTrue(any("AllUsers" in grant["Grantee"].get("URI", "") for grant in grants))
        self.succeed(place, "verify")

    def test_what_was_asked_for_arrives_at_gcs(self):
        place = Place("gcs", "marks")
        self.back_up(place, "--gcs.storage-class", "NEARLINE", "--gcs.predefined-acl", "bucketOwnerRead")
        index = json.loads((FOLDER / "gcs" / "index.json").read_text())  # where the server keeps it
        items = {name: item for name, item in index["objects"][BUCKET].items() if name.startswith("marks/")}
        self.assertIn("marks/backupmeta", items)
        for item in items.values():
            self.assertEqual((item["storageClass"], item["predefinedAcl"]), ("NEARLINE", "bucketOwnerRead"))
        done = place.run("backup", "--source", f"lmdb:{STORE}", "--gcs.storage-class", "NO_SUCH")
        self.assertIn("storage_class", done.said)


class Preflight(Case):
    STEPS = ["create", "keep what is there", "list", "read a range", "remove"]

    def states(self, done):
        result = json.loads(done.out)
        self.assertEqual([step["step"] for step in result["steps"]], self.STEPS)
        return {step["step"]: (step["state"], step.get("message", "")) for step in result["steps"]}

    def test_a_usable_place_is_left_as_it_was(self):
        for place in (Place("s3", "check"), Place("gcs", "check")):
            done = self.succeed(place, "check", "--json")
            self.assertEqual({state for state, _ in self.states(done).values()}, {"ok"})
            self.assertFalse(json.loads(done.out)["has_backup"])
            self.assertEqual(place.rclone("lsf", "-R", f"r:{BUCKET}").decode().count("kvbackup-check"), 0)
            self.assertIn("create", self.succeed(place, "check").out)
        done = run("check", "-s", self.folder / "new", check=True)
        self.assertEqual(list((self.folder / "new").iterdir()), [])

    def test_a_missing_right_is_named(self):
        bucket = "kvbackup-rights"
        RGW.aws("create-bucket", "--bucket", bucket)
        place = Place("s3", "check")
        place.url = f"s3://{bucket}/check"
        for right, step in (("PutObject", "create"), ("ListBucket", "list"), ("GetObject", "read a range"),
                            ("DeleteObject", "remove")):
            resource = f"arn:aws:s3:::{bucket}" + ("" if right == "ListBucket" else "/*")
            policy = {"Version": "2012-10-17", "Statement": [
                {"Effect": "Deny", "Principal": "*", "Action": f"s3:{right}", "Resource": resource}]}
            RGW.aws("put-bucket-policy", "--bucket", bucket, "--policy", json.dumps(policy))
            with self.subTest(right=right):
                done = place.run("check", "--json")
                self.assertEqual(done.returncode, COULD_NOT_FINISH)
                state, message = self.states(done)[step]
                self.assertEqual(state, "failed", done.out)
                self.assertIn(f"the credentials need the right s3:{right}", message)
                self.assertFalse(json.loads(done.out)["usable"])
        RGW.aws("delete-bucket-policy", "--bucket", bucket)
        self.succeed(place, "check")

    def test_keys_of_somebody_else_lack_rights_that_are_named(self):
        place = Place("s3", "check")
        other = {"AWS_ACCESS_KEY_ID": RGW.about["S3_ACCESS_KEY2"],
                 "AWS_SECRET_ACCESS_KEY": RGW.about["S3_SECRET_KEY2"]}
        SECRETS.add(RGW.about["S3_SECRET_KEY2"])
        states = self.states(place.run("check", "--json", **other))
        self.assertIn("s3:PutObject", states["create"][1])
        self.assertIn("s3:ListBucket", states["list"][1])
        self.assertEqual(states["remove"][0], "not tried")


class Example(Case):
    def test_the_s3_example_stores_a_backup(self):
        done = subprocess.run([os.environ["EXAMPLE"], BUCKET, "example", f"http://127.0.0.1:{RGW.port}"],
                              env={**PLAIN_ENV, **Place("s3", "").environment}, capture_output=True,
                              check=False, timeout=120)
        OUTPUT.extend((done.stdout.decode(), done.stderr.decode()))
        self.assertEqual(done.returncode, 0, done.stderr)
        place = Place("s3", "example")
        self.succeed(place, "verify", "--strict")
        self.assertEqual(self.succeed(place, "get", "--format", "escaped", "apple").out, "red\n")


class Zecrets(Case):  # the last, by its name
    def test_failing_runs_say_why(self):
        place = Place("s3", "secrets")
        wrong = {"AWS_SECRET_ACCESS_KEY": "a-wrong-secret-of-a-user"}
        url = (f"{place.url}?endpoint=http://127.0.0.1:{RGW.port}&access-key={RGW.access}&"
               "secret-access-key=a-wrong-secret-of-a-user")
        for command in (["backup", "--source", f"lmdb:{STORE}"], ["verify"], ["inspect"], ["list"], ["scan"],
                        ["get", "00"], ["restore", "--sink", f"tsv:{self.folder / 'x'}"], ["check"]):
            for flags in ([], ["--json"]):
                self.assertEqual(place.run(*command, *flags, **wrong).returncode, COULD_NOT_FINISH)
                done = run(command[0], "-s", url, *command[1:], *flags)
                self.assertEqual(done.returncode, COULD_NOT_FINISH, done.said)
                self.assertIn("s3://", done.said + done.out)
        for odd in (url + "&bad-key=a-wrong-secret-of-a-user", url + "&force-path-style=perhaps",
                    url.replace("access-key=", "acess-key=", 1), url + "#a-wrong-secret-of-a-user",
                    f"s3://{RGW.access}:a-wrong-secret-of-a-user@{BUCKET}/x"):
            self.assertEqual(run("verify", "-s", odd, "--json").returncode, WRONG_USAGE)
        # a key that the account does not have: the token endpoint refuses it
        key = json.loads(KEY.read_text())
        key["client_email"] = "nobody@example.com"
        other = self.folder / "other.json"
        other.write_text(json.dumps(key))
        done = run("verify", "-s", f"gcs://{BUCKET}/x?endpoint={GCS.url}&credentials-file={other}", "--json")
        self.assertEqual(done.returncode, COULD_NOT_FINISH, done.said)
        self.assertIn("permission_denied", done.said)

    def test_progress_on_a_terminal_and_what_is_stored(self):
        place = Place("s3", "progress")
        ours, theirs = pty.openpty()
        shown = []

        def listen():
            try:
                while data := os.read(ours, 65536):
                    shown.append(data)
            except OSError:
                pass  # how a terminal ends that nobody writes to

        reader = threading.Thread(target=listen)
        reader.start()
        done = subprocess.run([PROGRAM, "backup", "--source", f"lmdb:{STORE}", "-s", place.url, *place.flags],
                              stderr=theirs, stdout=theirs, check=False, timeout=300,
                              env={**PLAIN_ENV, **place.environment})
        os.close(theirs)
        reader.join()
        os.close(ours)
        text = b"".join(shown).decode()
        self.assertEqual(done.returncode, DONE, text)
        self.assertIn("Full backup", text)
        OUTPUT.append(text)
        OUTPUT.append(place.rclone("cat", f"r:{BUCKET}/progress/backupmeta").decode("latin-1"))

    def test_zz_nothing_ever_showed_a_secret(self):
        said = "\n".join(OUTPUT)
        self.assertGreater(len(said), 10000)
        for secret in SECRETS:
            self.assertNotIn(secret, said)
            self.assertNotIn(urllib.parse.quote(secret, safe=""), said)


if __name__ == "__main__":
    unittest.main()
