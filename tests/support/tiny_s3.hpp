// SPDX-License-Identifier: Apache-2.0
// As much of an S3 server as the tests of the S3 backend's own logic need. It checks no signature
// and has one bucket; what real servers say is proven against them.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/scripted_transport.hpp"

namespace test_support {

class TinyS3 {
 public:
  using Response = kvbackup::Result<kvbackup::HttpResponse>;
  /// Asked before (`done` false) and after (`done` true) a request is carried out; what it gives is
  /// the answer, nothing leaves it as it is.
  using Fault = std::function<std::optional<Response>(const SentRequest&, bool done)>;

  struct Object {
    std::string bytes;
    std::vector<kvbackup::HttpHeader> headers;
  };
  struct Upload {
    std::string path;
    std::vector<kvbackup::HttpHeader> headers;
    std::map<int, std::string> parts;
  };

  Response operator()(const SentRequest& request) {
    if (fault) {
      if (auto response = fault(request, false)) return *response;
    }
    Response response = carry_out(request);
    if (fault) {
      if (auto other = fault(request, true)) return *other;
    }
    return response;
  }
  ScriptedTransport transport() {
    return ScriptedTransport([this](const SentRequest& request) { return (*this)(request); });
  }

  Fault fault;
  std::string date = "Sun, 13 Sep 2020 12:26:40 GMT";
  std::string initiated = "2020-09-13T12:26:40.000Z";
  std::mutex mutex;
  std::map<std::string, Object> objects;  ///< by path
  std::map<std::string, Upload> uploads;  ///< by id

 private:
  static std::string parameter(const std::string& query, const std::string& name) {
    const std::size_t at = ("&" + query).find("&" + name + "=");
    if (at == std::string::npos) return {};
    const std::size_t begin = at + name.size() + 1;
    return query.substr(begin, query.find('&', begin) - begin);
  }

  Response carry_out(const SentRequest& request) {
    const auto url = kvbackup::parse_url(request.url).value();
    const std::lock_guard lock(mutex);
    const std::string id = parameter(url.query, "uploadId");
    if (url.query.starts_with("uploads=") && request.method == "GET") return list_uploads();
    if (url.query.starts_with("uploads=")) {
      const std::string made = "upload-" + std::to_string(++made_);
      uploads[made] = {url.path, request.headers, {}};
      return answer(200, "<InitiateMultipartUploadResult><UploadId>" + made +
                             "</UploadId></InitiateMultipartUploadResult>");
    }
    if (!id.empty()) return part_of(request, url, id);
    if (!parameter(url.query, "list-type").empty()) return list_objects(url);
    const auto at = objects.find(url.path);
    if (request.method == "PUT") return put(url.path, {request.body, request.headers}, request);
    if (at == objects.end()) {
      return request.method == "HEAD" ? answer(404) : s3_error(404, "NoSuchKey");
    }
    if (request.method == "DELETE") {
      objects.erase(at);
      return answer(204);
    }
    return get(request, at->second);
  }

  static Response get(const SentRequest& request, const Object& object) {
    auto headers = object.headers;
    const std::string range = request.header("Range");  // "bytes=FIRST-LAST"
    if (request.method != "HEAD" && range.starts_with("bytes=")) {
      const std::size_t first = std::stoull(range.substr(6));
      const std::size_t last = std::stoull(range.substr(range.find('-') + 1));
      if (first >= object.bytes.size()) return s3_error(416, "InvalidRange");
      const std::string bytes = object.bytes.substr(first, last - first + 1);
      headers.push_back({"Content-Range", "bytes " + std::to_string(first) + "-"});
      return answer(206, bytes, headers);
    }
    headers.push_back({"Content-Length", std::to_string(object.bytes.size())});
    return answer(200, request.method == "HEAD" ? "" : object.bytes, headers);
  }

  // All of them began at `initiated`.
  Response list_uploads() {
    std::string xml = "<ListMultipartUploadsResult>";
    for (const auto& [id, upload] : uploads) {
      xml += "<Upload><Key>" + upload.path.substr(upload.path.find('/', 1) + 1) +
             "</Key><UploadId>" + id + "</UploadId><Initiated>" + initiated +
             "</Initiated></Upload>";
    }
    return answer(200, xml + "</ListMultipartUploadsResult>", {{"Date", date}});
  }

  // All on one page. The bucket is in the path, and keys need no percent code.
  Response list_objects(const kvbackup::Url& url) {
    const std::string bucket = url.path.ends_with('/') ? url.path : url.path + '/';
    const auto prefix = kvbackup::percent_decode(parameter(url.query, "prefix")).value_or("");
    std::string xml = "<ListBucketResult><IsTruncated>false</IsTruncated>";
    for (const auto& [path, object] : objects) {
      if (!path.starts_with(bucket + prefix)) continue;
      xml += "<Contents><Key>" + path.substr(bucket.size()) + "</Key><Size>" +
             std::to_string(object.bytes.size()) + "</Size></Contents>";
    }
    return answer(200, xml + "</ListBucketResult>");
  }

  Response put(const std::string& path, Object object, const SentRequest& request) {
    if (request.header("If-None-Match") == "*" && objects.contains(path)) {
      return s3_error(412, "PreconditionFailed");
    }
    objects[path] = std::move(object);
    return answer(200, "<CompleteMultipartUploadResult/>", {{"ETag", "\"e\""}});
  }

  Response part_of(const SentRequest& request, const kvbackup::Url& url, const std::string& id) {
    const auto at = uploads.find(id);
    if (at == uploads.end()) return s3_error(404, "NoSuchUpload");
    if (request.method == "PUT") {
      const int number = std::stoi(parameter(url.query, "partNumber"));
      at->second.parts[number] = request.body;
      return answer(200, "", {{"ETag", "\"etag-" + std::to_string(number) + "\""}});
    }
    const Upload upload = at->second;
    if (request.method == "DELETE") {
      uploads.erase(at);
      return answer(204);
    }
    std::string expected = "<CompleteMultipartUpload>";
    std::string bytes;
    for (const auto& [number, part] : upload.parts) {
      expected += "<Part><PartNumber>" + std::to_string(number) + "</PartNumber><ETag>" +
                  "&quot;etag-" + std::to_string(number) + "&quot;</ETag></Part>";
      bytes += part;
    }
    expected += "</CompleteMultipartUpload>";
    if (request.body != expected) return s3_error(400, "InvalidPart");
    Response response = put(upload.path, {bytes, upload.headers}, request);
    if (response.value().status == 200) uploads.erase(id);
    return response;
  }

  int made_ = 0;
};

}  // namespace test_support
