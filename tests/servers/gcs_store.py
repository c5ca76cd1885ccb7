# SPDX-License-Identifier: Apache-2.0
"""What the Cloud Storage test server keeps: objects and resumable sessions, in files of a folder, so
that a server that was killed and started again knows what it had answered for."""
import base64
import hashlib
import json
import os
import pathlib
import secrets
import threading
import time

from crc32c import crc32c

QUANTUM = 256 * 1024  # chunks of a resumable upload, but for the last, are multiples of this
STORAGE_CLASSES = {"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE", "MULTI_REGIONAL", "REGIONAL",
                   "DURABLE_REDUCED_AVAILABILITY"}
PREDEFINED_ACLS = {"authenticatedRead", "bucketOwnerFullControl", "bucketOwnerRead", "private",
                   "projectPrivate", "publicRead"}
WRITABLE = {"name", "bucket", "contentType", "storageClass", "md5Hash", "crc32c", "metadata", "cacheControl",
            "contentEncoding", "contentLanguage", "contentDisposition", "customTime"}


class Failure(Exception):
    """An answer other than success."""

    def __init__(self, status, reason, message, headers=None):
        super().__init__(message)
        self.status, self.reason, self.message, self.headers = status, reason, message, headers or {}


def invalid(message):
    return Failure(400, "invalid", message)


def condition_not_met():
    return Failure(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")


def check_name(name):
    if not isinstance(name, str) or not 1 <= len(name.encode("utf-8", "surrogatepass")) <= 1024:
        raise invalid("Invalid object name: 1 to 1024 bytes are needed")
    if name in (".", "..") or set("\r\n") & set(name) or name.startswith(".well-known/acme-challenge/"):
        raise invalid(f"Invalid object name: {name!r}")


class Store:
    def __init__(self, folder, buckets):
        self._folder = pathlib.Path(folder)
        self._lock = threading.RLock()
        self._index = self._folder / "index.json"
        if self._index.exists():
            self._state = json.loads(self._index.read_text())
        else:
            self._state = {"generation": 1_600_000_000_000_000, "objects": {b: {} for b in buckets}, "sessions": {}}

    # What follows is called with the lock held.
    def _save(self):
        temporary = self._index.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._state))
        os.replace(temporary, self._index)

    def _bucket(self, bucket):
        if bucket not in self._state["objects"]:
            raise Failure(404, "notFound", "The specified bucket does not exist.")
        return self._state["objects"][bucket]

    def _check_conditions(self, bucket, name, conditions):
        there = self._bucket(bucket).get(name)
        current = 0 if there is None else int(there["generation"])
        if "ifGenerationMatch" in conditions and int(conditions["ifGenerationMatch"]) != current:
            raise condition_not_met()
        if "generation" in conditions and int(conditions["generation"]) != current:
            raise Failure(404, "notFound", f"No such object: {bucket}/{name}")
        return there

    def _insert(self, upload, path):
        """Makes the content at `path` an object; `upload` is what begin() made."""
        data = path.read_bytes()
        wanted, bucket, name = upload["metadata"], upload["bucket"], upload["metadata"]["name"]
        self._check_conditions(bucket, name, upload["conditions"])
        hashes = {"crc32c": base64.b64encode(crc32c(data).to_bytes(4, "big")).decode(),
                  "md5Hash": base64.b64encode(hashlib.md5(data).digest()).decode()}
        for kind, value in hashes.items():
            if wanted.get(kind, value) != value:
                raise invalid(f"Provided {kind} hash {wanted[kind]!r} doesn't match calculated hash {value!r}.")
        self._state["generation"] += 1
        generation = str(self._state["generation"])
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        old = self._bucket(bucket).get(name)
        item = {"kind": "storage#object", "id": f"{bucket}/{name}/{generation}", "name": name, "bucket": bucket,
                "generation": generation, "metageneration": "1", "contentType": "application/octet-stream",
                "storageClass": "STANDARD", "timeCreated": now, "updated": now, **wanted, **hashes,
                "size": str(len(data)), "etag": secrets.token_hex(8), "file": path.name,
                "predefinedAcl": upload["acl"] or "projectPrivate"}
        self._bucket(bucket)[name] = item
        self._save()
        if old is not None:
            (self._folder / old["file"]).unlink()
        return item

    # What the server calls.
    def begin(self, bucket, metadata, conditions, acl):
        """Checks everything that is known before the content is."""
        unknown = set(metadata) - WRITABLE
        if unknown:
            raise invalid(f"Unknown or read-only members of the object: {sorted(unknown)}")
        check_name(metadata.get("name"))
        if metadata.get("bucket", bucket) != bucket:
            raise invalid("The bucket of the object is another than that of the request")
        if metadata.get("storageClass", "STANDARD") not in STORAGE_CLASSES:
            raise invalid("Invalid argument: storageClass")
        if acl and acl not in PREDEFINED_ACLS:
            raise invalid(f"Invalid predefined ACL: {acl}")
        with self._lock:
            self._bucket(bucket)
        return {"bucket": bucket, "metadata": metadata, "conditions": conditions, "acl": acl}

    def insert(self, upload, data):
        path = self._folder / f"object-{secrets.token_hex(8)}"
        path.write_bytes(data)
        with self._lock:
            return self._insert(upload, path)

    def open_session(self, upload, size):
        """The id of a new resumable session; `size` if it was said beforehand, else None."""
        session = secrets.token_urlsafe(60)
        with self._lock:
            self._check_conditions(upload["bucket"], upload["metadata"]["name"], upload["conditions"])
            name = f"session-{secrets.token_hex(8)}"
            (self._folder / name).write_bytes(b"")
            self._state["sessions"][session] = {"upload": upload, "file": name, "kept": 0, "size": size, "done": None}
            self._save()
        return session

    def session(self, session):
        with self._lock:
            found = self._state["sessions"].get(session)
        if found is None:
            raise Failure(404, "notFound", "No such upload")
        if found["done"] == "gone":
            raise Failure(410, "gone", "The upload session is gone; start the upload again")
        if found["done"] == "cancelled":
            raise Failure(499, "cancelled", "The upload was cancelled")
        return found

    def end_session(self, session, how):
        """`how` is "cancelled" or "gone"."""
        found = self.session(session)
        with self._lock:
            if found["done"] is None:
                (self._folder / found["file"]).unlink(missing_ok=True)
            found["done"] = how
            self._save()

    def keep(self, session, offset, data):
        """Adds to a session what of `data`, which begins at `offset`, it has not yet."""
        found = self.session(session)
        with self._lock:
            fresh = data[found["kept"] - offset:]
            with open(self._folder / found["file"], "r+b") as file:
                file.truncate(found["kept"])  # what a killed server wrote and did not answer for
                file.seek(found["kept"])
                file.write(fresh)
            found["kept"] += len(fresh)
            self._save()

    def finish(self, session):
        found = self.session(session)
        with self._lock:
            if found["done"] is None:
                item = self._insert(found["upload"], self._folder / found["file"])
                found["done"] = item
                self._save()
            return found["done"]

    def stat(self, bucket, name, conditions):
        with self._lock:
            item = self._check_conditions(bucket, name, conditions)
        if item is None:
            raise Failure(404, "notFound", f"No such object: {bucket}/{name}")
        return item

    def content(self, item):
        return (self._folder / item["file"]).read_bytes()

    def remove(self, bucket, name, conditions):
        with self._lock:
            item = self.stat(bucket, name, conditions)
            del self._bucket(bucket)[name]
            self._save()
            (self._folder / item["file"]).unlink()

    def page(self, bucket, prefix, delimiter, after, limit):
        """(items, prefixes, name the next page begins after or None), in the order of UTF-8 bytes."""
        items, prefixes, last = [], [], None
        with self._lock:
            objects = sorted(self._bucket(bucket).items(), key=lambda pair: pair[0].encode())
        for name, item in objects:
            if not name.startswith(prefix):
                continue
            cut = name.find(delimiter, len(prefix)) if delimiter else -1
            entry = name if cut < 0 else name[:cut + len(delimiter)]
            if after is not None and entry.encode() <= after.encode() or entry == last and cut >= 0:
                continue
            if len(items) + len(prefixes) == limit:
                return items, prefixes, last
            if cut < 0:
                items.append(item)
            else:
                prefixes.append(entry)
            last = entry
        return items, prefixes, None

    def summary(self):
        with self._lock:
            # one that was never used may be one whose URL was lost on its way
            used = [s for s in self._state["sessions"].values() if s["done"] is None and s.get("used")]
            return {"open_sessions": len(used),
                    "objects": [item for bucket in self._state["objects"].values() for item in bucket.values()]}
