# SPDX-License-Identifier: Apache-2.0
"""The log and the metrics of a run, judged by Python's json and Prometheus' own parser."""
import datetime
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:  # python3-prometheus-client, of the system's Python
    text_string_to_metric_families = None

PROGRAM = os.environ["KVBACKUP"]
DONE, COULD_NOT_FINISH, WRONG_USAGE, DAMAGE_FOUND = 0, 1, 2, 3
SAMPLE = re.compile(r'^(kvbackup_\w+)((?:\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})?) (-?[0-9.e+-]+)$')


def samples(text):
    """{name and labels: value}, by a reader of our own and, if it is there, by Prometheus'."""
    found, types, helped = {}, {}, set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped.add(line.split()[2])
        elif line.startswith("# TYPE "):
            types[line.split()[2]] = line.split()[3]
        else:
            name, labels, value = SAMPLE.match(line).groups()
            assert name in types and name in helped, line
            assert (types[name] == "counter") == name.endswith("_total"), line
            assert name + labels not in found, line
            found[name + labels] = float(value)
    if text_string_to_metric_families:
        theirs = {}
        for family in text_string_to_metric_families(text):
            assert family.documentation, family
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
                theirs[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
        assert theirs == found, (theirs, found)
    return found


class TelemetryTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kvbackup-telemetry-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.store, self.backup = self.folder / "pairs.tsv", self.folder / "backup"
        self.store.write_text("".join(f"{i:08x}\t{'61' * 90}\n" for i in range(20000)))
        self.metrics, self.log = self.folder / "kvbackup.prom", self.folder / "log"

    def run_program(self, code, *arguments):
        result = subprocess.run([PROGRAM, *map(str, arguments)], text=True, capture_output=True, timeout=120,
                                check=False)
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def watched(self, code, *arguments):
        return self.run_program(code, *arguments, "--log-file", self.log, "--metrics-file", self.metrics)

    def back_up(self, code=DONE, *flags):
        return self.watched(code, "backup", "--source", f"tsv:{self.store}", "-s", self.backup, *flags)

    def found(self):
        return samples(self.metrics.read_text())

    def events(self):
        events = [json.loads(line) for line in self.log.read_text().splitlines()]
        for event in events:
            self.assertEqual(list(event)[:4], ["time", "level", "command", "event"])
            datetime.datetime.strptime(event["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
            self.assertIn(event["level"], ("info", "warning", "error"))
        return events


class MetricsTest(TelemetryTest):
    def test_a_backup_counts_what_it_read_and_stored(self):
        summary = json.loads(self.back_up(DONE, "--json", "--file-size", 1).stdout)
        found = self.found()
        label = '{command="backup"}'
        self.assertEqual(found["kvbackup_last_run_status" + label], DONE)
        self.assertEqual(found["kvbackup_last_run_timestamp_seconds" + label],
                         found["kvbackup_last_success_timestamp_seconds" + label])
        self.assertEqual(found['kvbackup_bytes_total{command="backup",kind="logical"}'], summary["total_bytes"])
        stored = sum(path.stat().st_size for path in self.backup.glob("*.sst"))
        self.assertEqual(found['kvbackup_bytes_total{command="backup",kind="stored"}'], stored)
        self.assertEqual(found["kvbackup_files_total" + label], len(list(self.backup.glob("*.sst"))))
        self.assertEqual(found["kvbackup_pairs_total" + label], 20000)
        self.assertEqual(found["kvbackup_verify_failures_total" + label], 0)
        self.assertEqual(found["kvbackup_throttled_seconds_total" + label], 0)
        for name in ("duration_seconds", "snapshot_age_seconds"):
            self.assertGreaterEqual(found[f"kvbackup_{name}{label}"], 0)
        created = json.loads(self.run_program(DONE, "inspect", "-s", self.backup, "--json").stdout)
        begun = int(created["info"]["created_unix_ms"]) / 1000
        self.assertAlmostEqual(found["kvbackup_snapshot_timestamp_seconds" + label], begun, delta=60)

    def test_the_last_success_survives_a_failure_and_counters_go_on(self):
        self.back_up()
        before = self.found()
        self.back_up(COULD_NOT_FINISH)  # it is there
        after = self.found()
        label = '{command="backup"}'
        self.assertEqual(after["kvbackup_last_run_status" + label], COULD_NOT_FINISH)
        for name in ("last_success_timestamp_seconds", "snapshot_timestamp_seconds", "files_total"):
            self.assertEqual(after[f"kvbackup_{name}{label}"], before[f"kvbackup_{name}{label}"])
        self.backup = self.folder / "second"
        self.back_up()
        again = self.found()
        self.assertEqual(again["kvbackup_pairs_total" + label], 2 * before["kvbackup_pairs_total" + label])
        self.assertGreater(again["kvbackup_last_success_timestamp_seconds" + label],
                           before["kvbackup_last_success_timestamp_seconds" + label])

    def test_commands_that_share_a_file_keep_one_anothers_metrics(self):
        self.back_up()
        self.watched(DONE, "verify", "-s", self.backup)
        self.watched(DONE, "restore", "-s", self.backup, "--sink", f"tsv:{self.folder / 'copy.tsv'}")
        found = self.found()
        for command in ("backup", "verify", "restore"):
            self.assertEqual(found[f'kvbackup_last_run_status{{command="{command}"}}'], DONE)
            self.assertEqual(found[f'kvbackup_pairs_total{{command="{command}"}}'], 20000)
            self.assertIn(f'kvbackup_snapshot_age_seconds{{command="{command}"}}', found)

    def test_damage_is_counted_by_every_command_that_finds_it(self):
        self.back_up()
        file, = self.backup.glob("*.sst")
        damaged = bytearray(file.read_bytes())
        damaged[1000] ^= 1
        file.write_bytes(damaged)
        self.watched(DAMAGE_FOUND, "verify", "-s", self.backup)
        self.watched(DAMAGE_FOUND, "verify", "-s", self.backup)
        self.watched(DAMAGE_FOUND, "restore", "-s", self.backup, "--sink", f"tsv:{self.folder / 'copy.tsv'}")
        found = self.found()
        self.assertEqual(found['kvbackup_verify_failures_total{command="verify"}'], 2)
        self.assertEqual(found['kvbackup_verify_failures_total{command="restore"}'], 1)
        self.assertEqual(found['kvbackup_verify_failures_total{command="backup"}'], 0)
        self.assertEqual(found['kvbackup_last_run_status{command="verify"}'], DAMAGE_FOUND)
        self.assertNotIn('kvbackup_last_success_timestamp_seconds{command="verify"}', found)
        findings = [event for event in self.events() if event["event"] == "finding"]
        self.assertEqual(findings[0]["object"], file.name)
        self.assertEqual(findings[0]["severity"], "damage")

    def test_a_verification_behind_a_backup_counts_as_its_own(self):
        self.back_up(DONE, "--verify-after")
        found = self.found()
        self.assertEqual(found['kvbackup_pairs_total{command="verify"}'], 20000)
        self.assertEqual(found['kvbackup_pairs_total{command="backup"}'], 20000)

    def test_the_wait_for_a_rate_limit_is_counted(self):
        self.back_up(DONE, "--read-ratelimit", 4)
        self.assertGreater(self.found()['kvbackup_throttled_seconds_total{command="backup"}'], 0)

    def test_a_request_that_is_sent_again_is_counted_by_what_and_why(self):
        # a server that is not there: nothing listens at a port that was just given back
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = subprocess.Popen(
            [PROGRAM, "verify", "-s", f"s3://bucket/x?endpoint=http://127.0.0.1:{port}&access-key=a&secret-access-key=b",
             "--log-file", self.log, "--metrics-file", self.metrics], stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        line = process.stderr.readline()  # "again in ..."
        process.terminate()
        process.communicate(timeout=60)
        self.assertIn("again in", line)
        found = self.found()
        counted, = [name for name in found if name.startswith("kvbackup_retries_total")]
        self.assertRegex(counted, r'\{command="verify",op="[a-z ]+",code="unavailable"\}')
        self.assertGreaterEqual(found[counted], 1)
        retry = next(event for event in self.events() if event["event"] == "retry")
        self.assertIn(f'op="{retry["operation"]}"', counted)

    def test_a_file_of_something_else_is_left_as_it_is(self):
        for text in ("important\n", "other_metric 1\n", 'kvbackup_files_total{command="backup 1\n',
                     "kvbackup_files_total nan\n"):
            self.metrics.write_text(text)
            self.assertIn("is no metric of this program", self.back_up(COULD_NOT_FINISH).stderr)
            self.assertEqual(self.metrics.read_text(), text)
            self.assertFalse(self.backup.exists())

    def test_what_cannot_be_written_is_found_out_before_the_work(self):
        (self.folder / "file").write_text("")
        for flag in ("--metrics-file", "--log-file"):
            path = self.folder / "file/x"  # below what is no folder
            result = self.run_program(WRONG_USAGE, "backup", "--source", f"tsv:{self.store}", "-s", self.backup,
                                      flag, path)
            self.assertIn(f"object {path}", result.stderr)
            self.assertFalse(self.backup.exists())

    def test_a_reader_never_sees_a_part_of_a_file(self):
        self.back_up()
        self.assertEqual([path.name for path in self.folder.glob("*prom*")], ["kvbackup.prom"])
        with self.metrics.open() as reader:  # who opened the former file still has all of it
            before = reader.read()
            self.back_up(COULD_NOT_FINISH)
            reader.seek(0)
            self.assertEqual(reader.read(), before)
        self.assertNotEqual(self.metrics.read_text(), before)


class LogTest(TelemetryTest):
    def test_a_run_is_a_line_an_event(self):
        self.back_up(DONE, "--file-size", 1)
        events = self.events()
        self.assertEqual([events[0]["event"], events[-1]["event"]], ["start", "end"])
        files = [event for event in events if event["event"] == "file"]
        self.assertEqual({event["name"] for event in files}, {path.name for path in self.backup.glob("*.sst")})
        self.assertEqual(sum(event["pairs"] for event in files), events[-1]["pairs"])
        self.assertEqual(events[-1]["exit_code"], DONE)

    def test_a_failure_says_why_and_the_log_is_appended_to(self):
        self.back_up()
        self.back_up(COULD_NOT_FINISH)
        events = self.events()
        self.assertEqual([event["event"] for event in events].count("start"), 2)
        failure, end = events[-2:]
        self.assertEqual((failure["event"], failure["level"], failure["code"]), ("failure", "error", "already_exists"))
        self.assertEqual((end["level"], end["exit_code"]), ("error", COULD_NOT_FINISH))

    def test_redacted_logs_hold_no_key(self):
        self.store.write_text("6b6579\t61\n6b6579\t61\n")
        self.back_up(COULD_NOT_FINISH, "--redact")
        self.assertNotIn("6b6579", self.log.read_text())
        self.log.unlink()
        self.back_up(COULD_NOT_FINISH)
        self.assertIn("6b6579", self.log.read_text())

    def test_text(self):
        self.back_up(DONE, "--log-format", "text")
        for line in self.log.read_text().splitlines():
            self.assertRegex(line, r'^\d{4}-\d\d-\d\dT[\d:.]+Z (info|error) backup \w+( \w+=("([^"\\]|\\.)*"|[\d.]+))*$')

    def test_other_formats_are_wrong_usage(self):
        self.back_up(WRONG_USAGE, "--log-format", "xml")


class ServeTest(TelemetryTest):
    def serve(self, *flags):
        store = self.folder / "store"
        if not store.exists():
            self.run_program(DONE, "generate", "--sink", f"lmdb:{store}", "--count", 10)
        process = subprocess.Popen([PROGRAM, "serve", "--source", f"lmdb:{store}", "--listen", "127.0.0.1:0", *flags],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.terminate)
        line = process.stdout.readline()
        if not line and "not built into" in process.stderr.read():
            self.skipTest("this program has no gRPC")
        return process, line

    def listening(self):
        process, line = self.serve("--metrics-listen", "0")
        url = re.match(r"Metrics on (http://127\.0\.0\.1:\d+/metrics)\n", line)[1]
        return process, url

    def test_metrics_over_http(self):
        process, url = self.listening()
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30) as answer:
            self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
            found = samples(answer.read().decode())
        self.assertEqual(found['kvbackup_requests_total{command="serve",result="ok"}'], 0)
        self.assertGreaterEqual(found['kvbackup_snapshot_age_seconds{command="serve"}'], 0)
        process.terminate()
        self.assertEqual(process.wait(timeout=30), DONE)

    def ask(self, url, request):
        host, port = url.split("/")[2].split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(request)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        return answer

    def test_what_is_no_request_for_metrics_is_refused_and_the_next_one_is_answered(self):
        _, url = self.listening()
        for request, status in ((b"GET / HTTP/1.1\r\n\r\n", b"404"), (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
                                (b"nonsense\r\n\r\n", b"400"), (b"GET /metrics HTTP/1.0\r\n\r\n", b"200"),
                                (b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"200")):
            self.assertEqual(self.ask(url, request).split()[1], status)
        try:
            answer = self.ask(url, b"GET /metrics HTTP/1.1\r\nx: " + b"y" * 20000)
        except ConnectionError:
            answer = b""
        self.assertEqual(answer, b"")
        self.assertIn(b" 200 ", self.ask(url, b"GET /metrics?x=1 HTTP/1.1\r\n\r\n"))

    def test_addresses_that_are_none_are_wrong_usage(self):
        for address in ("x", "127.0.0.1:", "::1:80", "127.0.0.1:123456", "host.invalid:1"):
            process, line = self.serve("--metrics-listen", address)
            self.assertEqual((process.wait(timeout=60), line), (WRONG_USAGE, ""), address)


if __name__ == "__main__":
    unittest.main()
