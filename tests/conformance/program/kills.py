# SPDX-License-Identifier: Apache-2.0
"""Kills `kvbackup backup` at random moments and resumes it, for tests of what that leaves.

KILLS is how often, KILL_SEED what the moments are drawn from; a failure names it.
"""
import hashlib
import os
import random
import signal
import subprocess
import time

SEED = int(os.environ.get("KILL_SEED", random.randrange(1 << 32)))


def kills(otherwise):
    return int(os.environ.get("KILLS", otherwise))


class Victim:
    """A backup of one source to one storage URL; `environment` is that of the program."""

    def __init__(self, program, arguments, environment=None):
        self.command = [program, "backup", *map(str, arguments)]
        self.environment = environment

    def run(self, *flags, expected=0):
        done = subprocess.run([*self.command, *flags], text=True, capture_output=True, timeout=300, check=False,
                              env=self.environment)
        if done.returncode != expected:
            raise AssertionError(f"seed {SEED}: {flags}: exit code {done.returncode}: {done.stderr}")
        return done

    def timed(self):
        """Seconds that it takes undisturbed."""
        begun = time.monotonic()
        self.run()
        return time.monotonic() - begun

    def kill_after(self, seconds, *flags):
        """Whether it was killed before it ended by itself."""
        with subprocess.Popen([*self.command, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env=self.environment) as process:
            try:
                _, said = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                return True
        if process.returncode != 0:
            raise AssertionError(f"seed {SEED}: {flags}: exit code {process.returncode}: {said}")
        return False

    def kill_when(self, condition, *flags):
        """Kills it as soon as `condition` holds, which has to be before it ends by itself."""
        with subprocess.Popen([*self.command, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env=self.environment) as process:
            while process.poll() is None and not condition():
                try:
                    process.wait(0.02)
                except subprocess.TimeoutExpired:
                    pass
            process.kill()
            _, said = process.communicate()
        if not condition() or process.returncode != -signal.SIGKILL:
            raise AssertionError(f"{flags}: it ended before it was killed: {process.returncode}: {said}")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
