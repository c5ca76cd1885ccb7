# SPDX-License-Identifier: Apache-2.0
"""A backup to Ceph's gateway that is killed (SIGKILL) at random moments and resumed: what was finished keeps
its ETag and time, and no upload stays open. KILLS=50 for a long proof. Environment as for storage_test.py."""
import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

sys.path[0:0] = [os.environ["S3_TESTS"], os.environ["SERVERS"]]
# pylint: disable=wrong-import-position
from kills import SEED, Victim, kills
from s3_support import PLAIN_ENV, Server

PROGRAM = os.environ["KVBACKUP"]


class StorageKillTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kvbackup-resume-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.server = Server("rgw")
        self.environment = {**PLAIN_ENV, "AWS_ACCESS_KEY_ID": self.server.access,
                            "AWS_SECRET_ACCESS_KEY": self.server.secret, "AWS_EC2_METADATA_DISABLED": "true"}

    def program(self, *words):
        done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, timeout=300, check=False,
                              env=self.environment)
        self.assertEqual(done.returncode, 0, f"seed {SEED}: {words}: {done.stderr.decode()}")
        return done.stdout

    def objects(self, prefix):
        listed = self.server.aws("list-objects-v2", "--bucket", self.server.bucket, "--prefix", prefix + "/")
        return {item["Key"].removeprefix(prefix + "/"): (item["ETag"], item["LastModified"], item["Size"])
                for item in listed.get("Contents", [])}

    def files(self, prefix):
        return {name: info for name, info in self.objects(prefix).items() if name.endswith(".sst")}

    def test_killed_at_random_moments_a_backup_is_resumed(self):
        moments = random.Random(SEED)
        store = self.folder / "store"
        # parts of 12 MiB are uploads in two parts
        self.program("generate", "--sink", f"rocksdb:{store}", "--count", 60000, "--value-size", 1000)
        pairs = hashlib.sha256(self.program("convert", "--source", f"rocksdb:{store}", "--sink", "tsv:-")).digest()
        endpoint = ["--s3.endpoint", f"http://127.0.0.1:{self.server.port}"]

        def victim(prefix):
            return Victim(PROGRAM, ["--source", f"rocksdb:{store}", "-s", f"s3://{self.server.bucket}/{prefix}", *endpoint,
                                    "--file-size", 12, "--compression", "none", "--concurrency", 2,
                                    "--checkpoint-interval", 0], self.environment)

        seconds = victim("undisturbed").timed()
        reference = sorted((name.split("_")[1], info[0]) for name, info in self.files("undisturbed").items())
        seen = {"killed": 0, "resumed": 0, "kept": 0, "written": 0, "open uploads": 0}
        for number in range(kills(3)):
            prefix = f"backup{number}"
            before, uploads = {}, []
            if victim(prefix).kill_after(moments.uniform(0, seconds)):
                seen["killed"] += 1
                there = self.objects(prefix)
                before = self.files(prefix)
                uploads = self.server.uploads()
                seen["open uploads"] += len(uploads)
                if "backupmeta" in there and not any("checkpoint" in name for name in there):
                    victim(prefix).run("--resume", expected=1)
                else:
                    report = json.loads(victim(prefix).run("--resume", "--json").stdout)
                    seen["resumed"] += 1
                    seen["kept"] += report["resumed_files"]
                    seen["written"] += report["files"] - report["resumed_files"]
                    # all that was recorded is kept, and what was stored in the last moment may be built again
                    self.assertLessEqual(len(before) - report["resumed_files"], 2, f"seed {SEED}")
            self.assertEqual(self.server.uploads(), [], f"seed {SEED}")
            after = self.objects(prefix)
            changed = [name for name, info in before.items() if after.get(name) != info]
            # Ceph before 19 completes an upload over the same bytes that are there; its ETag stays
            self.assertLessEqual(len(changed), 2, f"seed {SEED}")
            self.assertEqual([after[name][0] for name in changed], [before[name][0] for name in changed], f"seed {SEED}")
            self.assertEqual(sorted(name for name in after if not name.endswith(".sst")), ["backupmeta"], f"seed {SEED}")
            self.assertEqual(sorted((name.split("_")[1], info[0]) for name, info in self.files(prefix).items()),
                             reference, f"seed {SEED}")
            url = f"s3://{self.server.bucket}/{prefix}"
            self.program("verify", "-s", url, *endpoint, "--strict")
            restored = self.program("restore", "-s", url, *endpoint, "--sink", "tsv:-")
            self.assertEqual(hashlib.sha256(restored).digest(), pairs, f"seed {SEED}")
            self.server.rclone("purge", f"s:{self.server.bucket}/{prefix}")
        print(f"seed {SEED}: {seen}", flush=True)


if __name__ == "__main__":
    unittest.main()
