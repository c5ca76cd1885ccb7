# SPDX-License-Identifier: Apache-2.0
"""What the tests of the S3 backend share: the servers that the test `servers.s3.start` has started, the
program under test, the clients that judge it, and a proxy that does things wrong on the way.

S3_TOOL, AWS, RCLONE: the programs. SERVERS: the folder of the servers' scripts. S3_SERVERS: the file
that says where they run.
"""
import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, os.environ["SERVERS"])
import fault_proxy  # noqa: E402

ABOUT = json.loads(pathlib.Path(os.environ["S3_SERVERS"]).read_text())
CA = pathlib.Path(ABOUT["ca"])
PART = 5 << 20
PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
PLAIN_ENV = {name: value for name, value in os.environ.items()
             if not name.startswith("AWS_") and name not in PROXIES}
SECRETS = {"kvbackup-secret"}
OUTPUT = []  # all that the program under test ever said


class Server:
    """One of the servers, and a bucket of its own for the tests of this process."""

    def __init__(self, name):
        about = self.about = ABOUT[name]
        self.port, self.folder = about["port"], pathlib.Path(about["folder"])
        self.access, self.secret = about["S3_ACCESS_KEY"], about["S3_SECRET_KEY"]
        self.bucket = f"kvbackup-{os.getpid()}"
        self.create(self.bucket)

    def create(self, bucket):
        self.aws("create-bucket", "--bucket", bucket)

    def aws(self, *words, service="s3api", **environment):
        """awscli's answer, as JSON where there is one."""
        environment = {**PLAIN_ENV, "AWS_ACCESS_KEY_ID": self.access, "AWS_PAGER": "",
                       "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_DEFAULT_REGION": "us-east-1",
                       "AWS_EC2_METADATA_DISABLED": "true", **environment}
        done = subprocess.run([os.environ["AWS"], "--endpoint-url", f"http://127.0.0.1:{self.port}",
                               service, *words],
                              text=True, capture_output=True, env=environment, check=False, timeout=120)
        if done.returncode != 0:
            raise AssertionError(f"aws {words}: {done.stderr}")
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
        found = self.rclone("backend", "list-multipart-uploads", f"s:{self.bucket}")
        return json.loads(found)[self.bucket] or []

    def temporary_keys(self, seconds):
        """Keys of the role `kvbackup`; awscli itself would ask for no less than 15 minutes."""
        file = pathlib.Path(ABOUT["work"]) / "awscli.ini"
        file.write_text("[default]\nparameter_validation = false\n")
        keys = self.aws("assume-role", "--role-arn", "arn:aws:iam:::role/kvbackup",
                        "--role-session-name", "test", "--duration-seconds", str(seconds),
                        service="sts", AWS_CONFIG_FILE=str(file))["Credentials"]
        SECRETS.update((keys["SecretAccessKey"], keys["SessionToken"]))
        return keys


def tool(server, *words, data=b"", port=None, **environment):
    """Runs the program under test; what it said on standard error is `said`."""
    env = {**PLAIN_ENV, "S3_ENDPOINT": f"http://127.0.0.1:{port or server.port}", "S3_PATH_STYLE": "1",
           "S3_ACCESS_KEY": server.access, "S3_SECRET_KEY": server.secret, "S3_BUCKET": server.bucket,
           "AWS_EC2_METADATA_DISABLED": "true", **environment}
    done = subprocess.run([os.environ["S3_TOOL"], *words], input=data, capture_output=True, env=env,
                          check=False, timeout=300)
    done.said = done.stderr.decode()
    OUTPUT.append(done.said)
    if words[0] not in ("get", "range"):
        OUTPUT.append(done.stdout.decode())
    return done


class Proxy:
    """A proxy before a server; faults as tests/servers/fault_proxy.py has them."""

    def __init__(self, port):
        self.proxy = fault_proxy.start("127.0.0.1", port)
        self.script, self.port = self.proxy.script, self.proxy.server_address[1]

    def close(self):
        self.script.release()
        self.proxy.shutdown()
        self.proxy.server_close()


class Secrets(unittest.TestCase):
    def test_nothing_ever_showed_a_secret(self):
        said = "\n".join(OUTPUT)
        self.assertGreater(len(said), 1000)
        for secret in SECRETS:
            self.assertNotIn(secret, said)


def secrets_at_the_end(_, tests, __):
    """The load_tests of a test program: looks at what all its tests had the program say."""
    tests.addTest(Secrets("test_nothing_ever_showed_a_secret"))
    return tests
