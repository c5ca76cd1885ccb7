#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A strict Cloud Storage for tests: the JSON API, the OAuth token endpoint, the metadata server.

    gcs_server.py --data FOLDER [--port N] [--bucket NAME]... [--token-lifetime S] [--page-limit N]

Serves the loopback interface and prints its port when it is ready. FOLDER holds the objects, and
key.json: the key file of the service account it knows. Started again with the same folder and port,
it goes on where it was killed. Stricter than Cloud Storage where that finds a client's mistake: it
refuses names that are not coded, unknown parameters and members, wrong content types.

Faults (faults.py): {"do": "answer", "status", "retry_after", "body"} instead of processing;
{"do": "reset_body", "bytes"} after so many bytes of the body, of which a session keeps whole 256 KiB;
"lose_answer" after processing; "lose_session"; {"do": "keep_less", "bytes"} of a chunk;
"corrupt_stored"; "corrupt_answer"; {"do": "cut_answer", "bytes"}; "expire_tokens"; "hold";
{"do": "kill", "bytes"}: the process ends by SIGKILL after so many bytes of the body.
GET /control/state: {"open_sessions": N, "objects": [...]}.
"""
import argparse
import base64
import email.parser
import json
import pathlib
import re
import sys
import urllib.parse
from http.server import ThreadingHTTPServer

import faults
from gcs_auth import Auth, Refused, SCOPE_ROOT, make_key
from gcs_http import Broken, HttpHandler
from gcs_store import QUANTUM, Failure, Store, check_name, invalid

OBJECTS = "/storage/v1/b/([^/]+)/o"
# what stands in a path segment without being coded (RFC 3986, 3.3)
SEGMENT = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})+")
CONDITIONS = {"ifGenerationMatch", "generation"}
STANDARD_PARAMETERS = {"alt", "prettyPrint", "fields", "projection", "userProject", "quotaUser", "key"}
UPLOAD_PARAMETERS = STANDARD_PARAMETERS | {"uploadType", "name", "predefinedAcl", "ifGenerationMatch"}
LIST_PARAMETERS = STANDARD_PARAMETERS | {"prefix", "delimiter", "maxResults", "pageToken", "versions",
                                         "includeTrailingDelimiter"}


class Handler(HttpHandler):
    def route(self):
        if self.path_part == "/token":
            return self.token()
        if self.path_part == "/computeMetadata/v1/instance/service-accounts/default/token":
            return self.metadata_token()
        if match := re.fullmatch("/upload" + OBJECTS, self.path_part):
            return self.upload(self.decoded(match[1]))
        if match := re.fullmatch("(?:/download)?" + OBJECTS + "/(.*)", self.path_part):
            return self.object(self.decoded(match[1]), self.decoded(match[2]))
        if match := re.fullmatch(OBJECTS, self.path_part):
            return self.listing(self.decoded(match[1]))
        raise Failure(404, "notFound", "No such call")

    def decoded(self, segment):
        if not SEGMENT.fullmatch(segment):
            raise invalid("A name in the path is not coded")
        try:
            return urllib.parse.unquote(segment, errors="strict")
        except UnicodeDecodeError as error:
            raise invalid("A name in the path is not UTF-8") from error

    def allow_parameters(self, known):
        if unknown := set(self.query) - known:
            raise invalid(f"Unknown parameters: {sorted(unknown)}")
        return {name: self.query[name] for name in CONDITIONS & set(self.query)}

    def authorize(self, writes):
        refused = self.server.auth.allows(self.headers.get("Authorization"), writes)
        if refused == 401:
            raise Failure(401, "authError", "Invalid Credentials")
        if refused:
            raise Failure(403, "insufficientPermissions", "Insufficient Permission")

    def json(self, item, status=200):
        shown = {name: value for name, value in item.items() if name not in ("file", "predefinedAcl")}
        if item.get("kind") == "storage#object":
            quoted = urllib.parse.quote(item["name"], safe="")
            root = f"http://{self.headers['Host']}"
            shown["selfLink"] = f"{root}/storage/v1/b/{item['bucket']}/o/{quoted}"
            shown["mediaLink"] = f"{root}/download/storage/v1/b/{item['bucket']}/o/{quoted}" \
                                 f"?generation={item['generation']}&alt=media"
        return status, {"Content-Type": "application/json; charset=UTF-8"}, json.dumps(shown).encode()

    def token(self):
        if self.command != "POST" or self.headers.get_content_type() != "application/x-www-form-urlencoded":
            raise invalid("The token endpoint takes a POST of a form")
        form = urllib.parse.parse_qs(self.read_body().decode("ascii"), strict_parsing=True)
        try:
            answer, status = self.server.auth.exchange(form, self.server.token_uri), 200
        except Refused as refused:
            answer, status = {"error": refused.args[0], "error_description": refused.args[1]}, 400
        return status, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(answer).encode()

    def metadata_token(self):
        if self.command != "GET" or self.headers.get("Metadata-Flavor") != "Google":
            raise Failure(403, "forbidden", "Missing Metadata-Flavor:Google header.")
        if self.headers.get("X-Forwarded-For"):
            raise Failure(403, "forbidden", "Requests by way of a proxy are refused")
        answer = self.server.auth.issue([SCOPE_ROOT + "cloud-platform"])
        return 200, {"Content-Type": "application/json", "Metadata-Flavor": "Google"}, json.dumps(answer).encode()

    def listing(self, bucket):
        if self.command != "GET":
            raise Failure(405, "methodNotAllowed", "Objects are listed by GET")
        self.authorize(writes=False)
        self.allow_parameters(LIST_PARAMETERS)
        limit = self.query.get("maxResults", "1000")
        if not re.fullmatch("[1-9][0-9]{0,8}", limit):
            raise invalid("Invalid value for maxResults")
        after = None
        if token := self.query.get("pageToken"):
            try:
                after = base64.urlsafe_b64decode(token.encode()).decode()
            except ValueError as error:
                raise invalid("Invalid pageToken") from error
        items, prefixes, last = self.server.store.page(
            bucket, self.query.get("prefix", ""), self.query.get("delimiter", ""), after,
            min(int(limit), self.server.page_limit))
        answer = {"kind": "storage#objects"}
        if last is not None:
            answer["nextPageToken"] = base64.urlsafe_b64encode(last.encode()).decode()
        if prefixes:
            answer["prefixes"] = prefixes
        if items:
            answer["items"] = [json.loads(self.json(item)[2]) for item in items]
        return self.json(answer)

    def object(self, bucket, name):
        check_name(name)
        conditions = self.allow_parameters(STANDARD_PARAMETERS | CONDITIONS)
        if self.command == "DELETE":
            self.authorize(writes=True)
            self.server.store.remove(bucket, name, conditions)
            return 204, {}, b""
        if self.command != "GET":
            raise Failure(405, "methodNotAllowed", "Objects are read by GET and removed by DELETE")
        if self.headers.get("Authorization") is not None:
            self.authorize(writes=False)
            item = self.server.store.stat(bucket, name, conditions)
        else:
            item = self.server.store.stat(bucket, name, conditions)
            if item["predefinedAcl"] != "publicRead":
                self.authorize(writes=False)
        if self.query.get("alt", "json") == "json":
            return self.json(item)
        if self.query["alt"] != "media":
            raise invalid("alt is json or media")
        return self.media(item)

    def media(self, item):
        data = self.server.store.content(item)
        headers = {"Content-Type": item["contentType"], "X-Goog-Generation": item["generation"],
                   "X-Goog-Hash": f"crc32c={item['crc32c']},md5={item['md5Hash']}",
                   "X-Goog-Stored-Content-Length": item["size"], "X-Goog-Storage-Class": item["storageClass"]}
        match = re.fullmatch(r"bytes=(\d+)-(\d*)|bytes=-(\d+)", self.headers.get("Range", ""))
        if not match:
            return 200, headers, data
        if match[3]:
            first, last = max(0, len(data) - int(match[3])), len(data) - 1
        else:
            first, last = int(match[1]), min(int(match[2] or len(data) - 1), len(data) - 1)
        if first > last:
            raise Failure(416, "requestedRangeNotSatisfiable", "Request range not satisfiable")
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return 206, headers, data[first:last + 1]

    def upload(self, bucket):
        self.allow_parameters(UPLOAD_PARAMETERS | {"upload_id"})
        if "upload_id" in self.query:
            return self.session(self.query["upload_id"])
        self.authorize(writes=True)
        if self.command != "POST":
            raise Failure(405, "methodNotAllowed", "Uploads begin by POST")
        kind = self.query.get("uploadType")
        if kind == "resumable":
            return self.begin_session(bucket)
        if kind == "media":
            metadata, data = {}, self.stored(self.read_body())
            if self.headers.get("Content-Type"):
                metadata["contentType"] = self.headers["Content-Type"]
        elif kind == "multipart":
            metadata, data = self.parse_related(self.read_body())
        else:
            raise invalid("Invalid upload type")
        return self.json(self.server.store.insert(self.begin(bucket, metadata), data))

    def stored(self, data):
        return faults.flipped(data, -1) if self.rule.get("do") == "corrupt_stored" else data

    def begin(self, bucket, metadata):
        if metadata.setdefault("name", self.query.get("name")) != self.query.get("name", metadata["name"]):
            raise invalid("The name in the query is another than that of the metadata")
        conditions = {name: self.query[name] for name in CONDITIONS & set(self.query)}
        return self.server.store.begin(bucket, metadata, conditions, self.query.get("predefinedAcl"))

    @staticmethod
    def metadata_of(text):
        try:
            metadata = json.loads(text.decode("utf-8"))
        except ValueError as error:
            raise Failure(400, "parseError", "Parse Error") from error
        if not isinstance(metadata, dict):
            raise Failure(400, "parseError", "The metadata is no JSON object")
        return metadata

    def parse_related(self, body):
        """The two parts of a multipart/related body (RFC 2387): metadata and content."""
        boundary = self.headers.get_param("boundary")
        if self.headers.get_content_type() != "multipart/related" or not boundary:
            raise invalid("The content type is not multipart/related with a boundary")
        mark = b"--" + boundary.encode()
        head = mark + b"\r\n"
        if not body.startswith(head):
            raise invalid("Malformed multipart body: no boundary at its beginning")
        end = body.rfind(b"\r\n" + mark + b"--")
        middle = body.find(b"\r\n" + mark + b"\r\n")
        if end < 0 or not 0 <= middle < end or body[end + len(mark) + 4:].strip():
            raise invalid("Malformed multipart body: two parts and an end are needed")
        if body[middle + 2:end].count(b"\r\n" + mark):
            raise invalid("Malformed multipart body: the boundary stands in the content")
        types, parts = [], []
        for part in (body[len(head):middle], body[middle + len(head) + 2:end]):
            # with a line before it, an empty header is one like the others
            fields, separator, content = (b"\r\n" + part).partition(b"\r\n\r\n")
            if not separator:
                raise invalid("Malformed multipart body: a part has no header")
            types.append(email.parser.HeaderParser().parsestr(fields.decode("ascii").lstrip()))
            parts.append(content)
        if types[0].get_content_type() != "application/json":
            raise invalid("The first part is not application/json")
        metadata, kind = self.metadata_of(parts[0]), types[1].get("Content-Type")
        if kind is not None and metadata.setdefault("contentType", kind) != kind:
            raise invalid("The content type of the part is another than that of the metadata")
        return metadata, self.stored(parts[1])

    # Resumable uploads
    def begin_session(self, bucket):
        body = self.read_body()
        if body and self.headers.get_content_type() != "application/json":
            raise invalid("The metadata of a resumable upload is application/json")
        metadata = self.metadata_of(body) if body else {}
        if kind := self.headers.get("X-Upload-Content-Type"):
            metadata.setdefault("contentType", kind)
        size = self.headers.get("X-Upload-Content-Length")
        if size is not None and not re.fullmatch(r"\d{1,15}", size):
            raise invalid("Invalid X-Upload-Content-Length")
        session = self.server.store.open_session(self.begin(bucket, metadata), None if size is None else int(size))
        location = f"http://{self.headers['Host']}{self.path}&upload_id={session}"
        return 200, {"Location": location, "X-GUploader-UploadID": session}, b""

    def session(self, session):
        if self.headers.get("Authorization") is not None:  # the URL alone is enough
            self.authorize(writes=True)
        if self.rule.get("do") == "lose_session":
            self.server.store.end_session(session, "gone")
        if self.command == "DELETE":
            self.server.store.end_session(session, "cancelled")
            raise Failure(499, "cancelled", "The upload was cancelled")
        if self.command not in ("PUT", "POST"):  # Go's client uses POST
            raise Failure(405, "methodNotAllowed", "Chunks are sent by PUT")
        self.server.store.session(session)
        data = self.read_body(partial=True)
        found = self.server.store.session(session)  # it may have ended meanwhile
        found["used"] = True
        if found["done"] is not None:
            return self.json(found["done"])
        match = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", self.headers.get("Content-Range", ""))
        if not match:
            raise invalid("Invalid or missing Content-Range")
        total = None if match[3] == "*" else int(match[3])
        if found["size"] is not None and total not in (None, found["size"]):
            raise invalid("The total is another than X-Upload-Content-Length said")
        if total is not None:
            if total < found["kept"]:
                raise invalid("The total is less than what was stored")
        if match[1] is not None:
            self.keep(session, found, int(match[1]), int(match[2]), total, data)
        elif data:
            raise invalid("A status query has no body")
        found["size"] = found["size"] if total is None else total
        if found["kept"] == total:
            return self.json(self.server.store.finish(session))
        headers = {"X-GUploader-UploadID": session}
        if found["kept"]:
            headers["Range"] = f"bytes=0-{found['kept'] - 1}"
        if self.headers.get("X-GUploader-No-308") == "yes":  # Go's client, which has trouble with it
            return 200, {**headers, "X-HTTP-Status-Code-Override": "308"}, b""
        return 308, headers, b""

    def keep(self, session, found, first, last, total, data):
        cut = self.rule.get("do") == "reset_body"
        if not cut and len(data) != last - first + 1:
            raise invalid("The body has another length than Content-Range says")
        if first > found["kept"]:
            raise invalid(f"According to the Content-Range header, the upload offset is {first} byte(s), which "
                          f"exceeds already uploaded size of {found['kept']} byte(s).")
        if total is not None and last >= total:
            raise invalid("The range ends behind the total")
        if (total is None or last + 1 < total) and (last + 1 - first) % QUANTUM:
            raise invalid("A chunk that is not the last has to be a multiple of 256 KiB")
        if cut or self.rule.get("do") == "keep_less":
            data = data[:min(len(data), self.rule["bytes"]) // QUANTUM * QUANTUM]
        if first + len(data) > found["kept"]:
            self.server.store.keep(session, first, self.stored(data))
        if cut:
            raise Broken


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(*_)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--bucket", action="append", default=[])
    parser.add_argument("--token-lifetime", type=int, default=3599)
    parser.add_argument("--page-limit", type=int, default=1000)
    options = parser.parse_args()
    options.data.mkdir(parents=True, exist_ok=True)
    pem = options.data / "key.pem"
    if not pem.exists():
        pem.write_text(make_key())
    server = Server(("127.0.0.1", options.port), Handler)
    port = server.server_address[1]
    server.script = faults.Script()
    server.page_limit = options.page_limit
    server.token_uri = f"http://127.0.0.1:{port}/token"
    server.auth = Auth(options.token_lifetime, pem.read_text())
    server.store = Store(options.data, options.bucket or ["kvbackup-test"])
    (options.data / "key.json").write_text(json.dumps(server.auth.key_file(server.token_uri), indent=1))
    print(port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
