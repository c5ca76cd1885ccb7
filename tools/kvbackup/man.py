#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The manual page of the program, from what the program says of itself.

    man.py KVBACKUP > docs/kvbackup.1

A test compares the committed page with what this prints.
"""
import re
import subprocess
import sys

HEAD = r"""\" SPDX-License-Identifier: Apache-2.0
.\" Written by tools/kvbackup/man.py; change that, or the help of the program.
.TH KVBACKUP 1 "" "kvbackup @VERSION@" "User Commands"
.SH NAME
kvbackup \- back up, prove and restore sorted key\-value stores in the format of TiKV's BR
.SH SYNOPSIS
.B kvbackup
.I COMMAND
.RI [ FLAGS ]
.br
.B kvbackup
.I COMMAND
.B \-\-help
.SH DESCRIPTION
A backup is a folder, or the objects below a prefix of a bucket, of SST files and one file
.BR backupmeta ,
which is written last: without it there is no backup.
Results go to standard output, everything else to standard error.
On SIGINT and SIGTERM a run ends cleanly: no half\-written object, no
.BR backupmeta ,
no half\-restored store.
.SH COMMANDS
"""

TAIL = r""".SH STORES
.TP
.BI rocksdb: PATH ?cf= NAME
A RocksDB store; without
.B cf
every column family. It may be in use: it is read as a secondary.
.TP
.BI lmdb: PATH ?db= NAME
An LMDB environment; without
.B db
every database.
.TP
.BI leveldb: PATH
A LevelDB store that no process holds.
.TP
.BI sst: PATH
An SST file, or a folder of them; a source only.
.TP
.BI tsv: PATH ?format= FORMAT
A line a pair: key, TAB, value, each
.BR hex ,
.B escaped
or
.BR raw .
.B tsv:\-
is standard input or output.
.SH STORAGE
A path,
.BR local:///path ,
.BR s3://bucket/prefix ,
.B gcs://bucket/prefix
(both with BR's options as
.BR ?KEY=VALUE&... ),
or
.BR noop:// ,
which keeps nothing.
.SH EXIT STATUS
.TP
.B 0
done
.TP
.B 1
could not finish
.TP
.B 2
wrong usage
.TP
.B 3
damage found
.SH ENVIRONMENT
.TP
.BR AWS_ACCESS_KEY_ID ", " AWS_SECRET_ACCESS_KEY ", " AWS_SESSION_TOKEN
Keys of S3; without them a profile
.RB ( AWS_PROFILE ),
a web identity, the container's or the instance's.
.TP
.BR AWS_REGION ", " AWS_DEFAULT_REGION
Region of S3.
.TP
.B GOOGLE_APPLICATION_CREDENTIALS
Key file of Cloud Storage.
.TP
.BR http_proxy ", " https_proxy ", " no_proxy
Proxies, as libcurl takes them.
.SH EXAMPLES
.nf
kvbackup backup \-\-source rocksdb:/var/lib/store \-s /backups/monday \-\-verify\-after
kvbackup verify \-s /backups/monday
kvbackup restore \-s /backups/monday \-\-sink rocksdb:/var/lib/copy
.fi
.SH SEE ALSO
.BR sst_dump (1),
.BR ldb (1),
.BR mdb_dump (1)
"""


def said_by(program, *arguments):
    return subprocess.run([program, *arguments], text=True, capture_output=True, timeout=60, check=True).stdout


def commands_of(program):
    """Name and description of every command."""
    return re.findall(r"^  ([a-z]+) +(.+)$", said_by(program, "--help"), re.M)


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


def flags_of(program, command):
    """Heading (or "") and a list of (names, description) for every group of flags of a command."""
    groups = [["", []]]
    body = said_by(program, command, "--help-all").split("\n\n", 2)[2]
    for line in body.splitlines():
        flag = re.match(r"^  (\S.*?)(?:  +(\S.*))?$", line)
        if line.startswith("   "):
            groups[-1][1][-1][1] += " " + line.strip()
        elif flag:
            groups[-1][1].append([flag[1], flag[2] or ""])
        elif line:
            groups.append([line.rstrip(":"), []])
    return groups


def page(program):
    version = said_by(program, "--version").split()[1]
    out = HEAD.replace("@VERSION@", version)
    for command, description in commands_of(program):
        out += f".SS {command}\n{roff(description)}.\n"
        for heading, flags in flags_of(program, command):
            if heading:
                out += f".PP\n{roff(heading)}:\n"
            for names, text in flags:
                out += f".TP\n.B {roff(names)}\n{roff(text.strip())}.\n"
    return "." + out + TAIL


if __name__ == "__main__":
    sys.stdout.write(page(sys.argv[1]))
