# SPDX-License-Identifier: Apache-2.0
"""`kvbackup request` against `kvbackup serve` processes: one backup of many nodes."""
import json
import signal
import subprocess
import time
import unittest

from program_test import COULD_NOT_FINISH, DONE, PROGRAM, WRONG_USAGE, ProgramTest


class Node:
    """A `serve` process that answers for a part of the keys; it can be killed and started again."""

    def __init__(self, arguments):
        self.command = [PROGRAM, "serve", "--json", *map(str, arguments)]
        self.address = "127.0.0.1:0"
        self.process = None

    def start(self):
        self.process = subprocess.Popen([*self.command, "--listen", self.address], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        first = self.process.stdout.readline()
        if not first:
            raise AssertionError(self.process.communicate()[1])
        self.address = json.loads(first)["listening"]
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.communicate(timeout=60)


class RequestTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.backup = self.folder / "backup"
        self.backup.mkdir()
        self.prepare(20000)

    def prepare(self, count, *flags):
        """A store, and where its thirds and its thirtieths end."""
        self.count = count
        self.store = self.folder / f"store-{count}"
        self.succeed("generate", "--sink", f"lmdb:{self.store}", "--count", count, *flags)
        keys = [line.split("\t")[0] for line in
                self.succeed("convert", "--source", f"lmdb:{self.store}", "--sink", "tsv:-").stdout.splitlines()]
        self.bounds = ["", keys[count // 3], keys[2 * count // 3], ""]
        self.splits = keys[::count // 30][1:]

    def node(self, number, *arguments):
        """The node of one third of the keys, in regions of a thirtieth."""
        splits = self.folder / "splits"
        splits.write_text("".join(f"{key}\n" for key in self.splits))
        bounds = []
        if self.bounds[number]:
            bounds += ["--start", self.bounds[number]]
        if self.bounds[number + 1]:
            bounds += ["--end", self.bounds[number + 1]]
        node = Node(["--source", f"lmdb:{self.store}", "--allow-local", self.backup, "--store-id", number + 1,
                     "--split-keys", splits, *bounds, *arguments])
        self.addCleanup(node.stop)
        return node.start()

    def request(self, nodes, *arguments):
        command = ["request", "--raw", "-s", self.backup, "--compression", "lz4", *arguments]
        for node in nodes:
            command += ["--node", node.address]
        return command

    def assert_whole(self):
        result = self.succeed("verify", "-s", self.backup, "--json")
        report = json.loads(result.stdout)
        self.assertEqual(report["damages"], 0, result.stdout)
        self.assertEqual(report["total_kvs"], self.count)

    def test_three_nodes_give_one_whole_backup(self):
        nodes = [self.node(number) for number in range(3)]
        result = json.loads(self.succeed(*self.request(nodes, "--json", "--cluster-id", 0)).stdout)
        self.assertEqual(result["total_kvs"], self.count)
        self.assertEqual(result["rounds"], 1)
        self.assertEqual(result["orphans"], [])
        self.assertEqual(len(result["ranges"]), 1)
        self.assert_whole()
        # the same place is not used twice
        self.fail(COULD_NOT_FINISH, "backup meta exists", *self.request(nodes))

    def test_a_node_that_is_killed_in_mid_run_and_comes_back_leaves_no_gap(self):
        # 8 MiB a node that do not compress, at 1 MiB a second: it dies long before its end
        self.prepare(6000, "--value-size", 4096, "--compressibility", 0)
        nodes = [self.node(number) for number in range(3)]
        arguments = self.request(nodes, "--json", "--concurrency", 1, "--ratelimit", 1, "--retry-rounds", 30)
        process = subprocess.Popen([PROGRAM, *map(str, arguments)], text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        while process.poll() is None and not any(self.backup.glob("2_*.sst")):
            time.sleep(0.01)
        nodes[1].kill()
        seen = ""
        for line in process.stderr:
            seen += line
            if "again in" in line:  # what is missing is known
                break
        nodes[1].start()
        output, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, DONE, seen + errors)
        self.assertIn(nodes[1].address, seen)
        result = json.loads(output)
        self.assertGreater(result["rounds"], 1)
        self.assertEqual(result["total_kvs"], self.count)
        self.assert_whole()

    def test_a_node_that_stays_away_is_named_with_its_keys_and_nothing_is_published(self):
        nodes = [self.node(number) for number in range(3)]
        nodes[1].kill()
        result = self.fail(COULD_NOT_FINISH, nodes[1].address, *self.request(nodes, "--retry-rounds", 2))
        self.assertIn(f"[{self.bounds[1]}", result.stderr)
        self.assertIn("no backupmeta is written", result.stderr)
        self.assertFalse((self.backup / "backupmeta").exists())

    def test_nodes_of_another_cluster_end_the_run_with_both_ids(self):
        node = self.node(0, "--cluster-id", 7)
        result = self.run_program(*self.request([node], "--cluster-id", 8))
        self.assertNotEqual(result.returncode, DONE)
        self.assertIn("cluster 7, and cluster 8", result.stderr)

    def test_a_place_that_the_nodes_may_not_write_to_ends_the_run(self):
        node = self.node(0)
        other = self.folder / "other"
        other.mkdir()
        result = self.run_program("request", "--raw", "-s", other, "--node", node.address)
        self.assertNotEqual(result.returncode, DONE)
        self.assertIn(node.address, result.stderr)
        self.assertFalse((other / "backupmeta").exists())


class UsageTest(ProgramTest):
    def test_wrong_usage_is_told_before_any_node_is_asked(self):
        common = ("request", "-s", self.folder, "--node", "127.0.0.1:1")
        for text, *arguments in (
                ("--backupts", ),
                ("--raw goes without", "--raw", "--backupts", 5),
                ("--cf goes with --raw", "--cf", "write", "--backupts", 5),
                ("names one node twice", "--raw", "--node", "127.0.0.1:1"),
                ("--tls-cert", "--raw", "--tls-cert", "x", "--tls-key", "y"),
                ("--tls-ca: this is no PEM file", "--raw", "--tls-ca", self.folder / "none")):
            with self.subTest(text):
                self.fail(WRONG_USAGE, text, *common, *arguments)
        self.fail(WRONG_USAGE, "--storage: ", "request", "--raw", "-s", "azure://b/p", "--node", "127.0.0.1:1")


if __name__ == "__main__":
    unittest.main()
