# SPDX-License-Identifier: Apache-2.0
"""A backup through `kvbackup serve` by the gRPC client of Node.js."""
import json
import os
import pathlib
import subprocess
import unittest

from serve_support import PAIRS, ServeTest, backup_pb2, raw_request

HERE = pathlib.Path(__file__).resolve().parent


class NodeTest(ServeTest):
    def test_node_backs_a_store_up_with_the_schema_loaded_at_run_time(self):
        with self.serve("--split-keys", self.split_keys(b"\x80"), "--file-size", 1) as server:
            said = subprocess.run(["node", HERE / "node_client.js", server.address,
                                   os.environ["KVBACKUP_PROTO"], str(self.backup)],
                                  text=True, capture_output=True, timeout=120, check=False)
        self.assertEqual(said.returncode, 0, said.stderr)
        answer = json.loads(said.stdout)
        self.assertEqual(answer["health"], "SERVING")
        responses = []
        for each in answer["responses"]:
            response = backup_pb2.BackupResponse(start_key=bytes.fromhex(each["start_key"]),
                                                 end_key=bytes.fromhex(each["end_key"]))
            for file in each["files"]:
                response.files.add(
                    name=file["name"], sha256=bytes.fromhex(file["sha256"]), size=int(file["size"]),
                    start_key=bytes.fromhex(file["start_key"]), end_key=bytes.fromhex(file["end_key"]),
                    cf=file["cf"], total_kvs=int(file["total_kvs"]), total_bytes=int(file["total_bytes"]),
                    crc64xor=int(file["crc64xor"]))
            responses.append(response)
        responses.sort(key=lambda r: r.start_key)
        self.assertGreater(len(responses), 2)
        self.assertEqual(self.check_files(responses, b"", b""), PAIRS)
        # what another client reads of the same store is the same
        with self.serve("--split-keys", self.split_keys(b"\x80"), "--file-size", 1) as server:
            other = self.folder / "other"
            again = server.ask(raw_request(other, compression_type=backup_pb2.LZ4))
        self.assertEqual([(f.crc64xor, f.sha256) for r in again for f in r.files],
                         [(f.crc64xor, f.sha256) for r in responses for f in r.files])


if __name__ == "__main__":
    unittest.main()
