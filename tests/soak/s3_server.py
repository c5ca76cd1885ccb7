# SPDX-License-Identifier: Apache-2.0
"""As much of S3 as a soak needs, in memory, on loopback: it checks no signature, and any bucket is there."""
import datetime
import email.utils
import hashlib
import http.server
import threading
import urllib.parse
from xml.sax.saxutils import escape


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, status, body=b"", **headers):
        self.send_response_only(status)
        self.send_header("Date", email.utils.formatdate(usegmt=True))
        self.send_header("Content-Length", headers.pop("length", len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status, code):
        self.send(status, f"<Error><Code>{code}</Code></Error>".encode())

    def act(self):
        parts = urllib.parse.urlsplit(self.path)
        self.key = urllib.parse.unquote(parts.path).split("/", 2)[2] if parts.path.count("/") > 1 else ""
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.lock:
            self.answer()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = act

    def answer(self):
        store, uploads = self.server.objects, self.server.uploads
        if "uploads" in self.query and self.command == "POST":
            self.server.begun += 1
            upload = f"upload{self.server.begun}"
            began = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            uploads[upload] = (self.key, {}, began)
            return self.send(200, f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId>"
                                  "</InitiateMultipartUploadResult>".encode())
        if "uploads" in self.query:
            return self.send(200, ("<ListMultipartUploadsResult>" + "".join(
                f"<Upload><Key>{escape(key)}</Key><UploadId>{name}</UploadId><Initiated>{began}</Initiated></Upload>"
                for name, (key, _, began) in uploads.items()
                if key.startswith(self.query.get("prefix", ""))) + "</ListMultipartUploadsResult>").encode())
        if "uploadId" in self.query:
            return self.part(self.query["uploadId"])
        if self.command == "PUT":
            return self.put(self.body)
        if "list-type" in self.query:
            return self.listing()
        if self.key not in store:
            return self.send(404) if self.command == "HEAD" else self.fail(404, "NoSuchKey")
        if self.command == "DELETE":
            del store[self.key]
            return self.send(204)
        return self.get(store[self.key])

    def put(self, body):
        if self.headers.get("If-None-Match") == "*" and self.key in self.server.objects:
            return self.fail(412, "PreconditionFailed")
        self.server.objects[self.key] = body
        return self.send(200, b"<CompleteMultipartUploadResult/>", ETag=f'"{hashlib.md5(body).hexdigest()}"')

    def part(self, upload):
        if upload not in self.server.uploads:
            return self.fail(404, "NoSuchUpload")
        _, parts, _ = self.server.uploads[upload]
        if self.command == "PUT":
            parts[int(self.query["partNumber"])] = self.body
            return self.send(200, ETag=f'"{hashlib.md5(self.body).hexdigest()}"')
        if self.command == "DELETE":
            del self.server.uploads[upload]
            return self.send(204)
        self.put(b"".join(parts[number] for number in sorted(parts)))
        return self.server.uploads.pop(upload)

    def get(self, body):
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        if self.command == "HEAD":
            return self.send(200, ETag=etag, length=len(body))
        if "Range" not in self.headers:
            return self.send(200, body, ETag=etag)
        first, last = (int(each) for each in self.headers["Range"].removeprefix("bytes=").split("-"))
        if first >= len(body):
            return self.fail(416, "InvalidRange")
        piece = body[first:last + 1]
        return self.send(206, piece, ETag=etag, Content_Range=f"bytes {first}-{first + len(piece) - 1}/{len(body)}")

    def listing(self):
        after = self.query.get("continuation-token", "")
        names = sorted(name for name in self.server.objects
                       if name.startswith(self.query.get("prefix", "")) and name > after)
        page, more = names[:7], len(names) > 7  # so that a few objects are several pages
        text = "<ListBucketResult>" + "".join(
            f"<Contents><Key>{urllib.parse.quote(name)}</Key><Size>{len(self.server.objects[name])}</Size></Contents>"
            for name in page) + f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
        if more:
            text += f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>"
        return self.send(200, (text + "</ListBucketResult>").encode())


class Server(http.server.ThreadingHTTPServer):
    """Starts at once, on a free port; `objects` by key, `uploads` by id."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock, self.objects, self.uploads, self.begun = threading.Lock(), {}, {}, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # connections are broken on purpose

    @property
    def port(self):
        return self.server_address[1]
