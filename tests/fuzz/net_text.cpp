// SPDX-License-Identifier: Apache-2.0
// The texts that object stores and files of credentials are made of: XML, JSON, URLs, times,
// profiles.
#include <rapidjson/reader.h>

#include "fuzz/fuzz_target.hpp"

using namespace kvbackup;

namespace {

constexpr auto ignore = [](std::string_view, std::string_view) { return Status(); };

void check_xml(ByteView text) {
  // all that read it scan it to its end
  const bool good = scan_xml(text, ignore).ok();
  const auto uploads = detail::read_s3_uploads(text);
  fuzz::require(good || !uploads.ok(), "a list of uploads that is no XML");
  (void)detail::read_s3_page(text);
  const auto id = detail::read_s3_element(text, "InitiateMultipartUploadResult/UploadId");
  fuzz::require(good == id.ok(), "an element of what is XML and is not");
  const auto error = detail::read_s3_error({403, {}, std::string(text)});
  fuzz::require(good || error.code.empty(), "an error read from what is no XML");

  if (!is_utf8(text)) return;
  std::string seen;
  const std::string escaped = "<a>" + xml_escape(text) + "</a>";
  fuzz::require_ok(scan_xml(escaped, [&seen](std::string_view, std::string_view found) {
    seen = found;
    return Status();
  }));
  fuzz::require(seen == text, "what was escaped reads as something else");
}

/// Whether RapidJSON reads it, and how deep it nests.
bool rapidjson_reads(ByteView text, std::size_t& deepest) {
  struct Depth : rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Depth> {
    std::size_t depth = 0;
    std::size_t most = 0;
    bool enter() {
      most = std::max(most, ++depth);
      return true;
    }
    bool StartObject() { return enter(); }
    bool StartArray() { return enter(); }
    bool EndObject(rapidjson::SizeType) { return depth-- != 0; }
    bool EndArray(rapidjson::SizeType) { return depth-- != 0; }
  } handler;
  rapidjson::MemoryStream bytes(text.data(), text.size());
  rapidjson::Reader reader;
  constexpr unsigned flags = rapidjson::kParseValidateEncodingFlag | rapidjson::kParseIterativeFlag;
  const bool good = !reader.Parse<flags>(bytes, handler).IsError();
  deepest = handler.most;
  return good;
}

void check_json(ByteView text) {
  const bool good = scan_json(text, ignore).ok();
  (void)detail::read_gcs_page(text);
  (void)detail::read_gcs_object(text);
  const auto error = detail::read_gcs_error({403, {}, std::string(text)});
  fuzz::require(good || error.message.empty(), "an error read from what is no JSON");
  const auto credentials = parse_google_credentials(text, "the option");
  if (!credentials.ok()) {
    fuzz::require(credentials.status().message().size() < 200, "an error shows credentials");
  }
  // RapidJSON ends at a zero byte and takes half a character
  std::size_t depth = 0;
  const bool odd = text.find('\0') != ByteView::npos || text.find("\\u") != ByteView::npos;
  if (!good && !odd && rapidjson_reads(text, depth)) {
    fuzz::require(depth > 15, "JSON that is not read");
  }

  if (!is_utf8(text)) return;
  std::string seen;
  std::string object = "{";
  append_json_member(object, "a", text);
  fuzz::require_ok(scan_json(object + "}", [&seen](std::string_view path, std::string_view found) {
    if (path == "a") seen = found;
    return Status();
  }));
  fuzz::require(seen == text, "what was made JSON reads as something else");
}

void check_url(ByteView text) {
  const auto url = parse_url(text);
  if (!url.ok()) return;
  const std::string spelled = url.value().to_string();
  const auto again = parse_url(spelled);
  fuzz::require_ok(again.status());
  fuzz::require(again.value().to_string() == spelled, "a URL that is put together differs");
  fuzz::require(again.value().host == url.value().host && again.value().port == url.value().port,
                "a URL that goes elsewhere once it is put together");
}

void check_time(ByteView text) {
  constexpr std::uint64_t year_10000 = 253'402'300'800'000;
  for (const auto& time : {parse_http_date(text), parse_iso_time(text)}) {
    if (!time) continue;
    fuzz::require(*time <= year_10000, "a time after the year 9999");
    fuzz::require(amz_date(*time).size() == 16, "a time that cannot be spelled");
  }
  const HttpResponse response{503, {{"Retry-After", std::string(text)}}, {}};
  (void)retry_after_ms(response, 1'600'000'000'000);
  (void)detail::kept_bytes({308, {{"Range", std::string(text)}}, {}});
  (void)detail::crc32c_header({200, {{"X-Goog-Hash", std::string(text)}}, {}});
}

void check_profile(ByteView text) {
  detail::AwsProfile profile;
  const bool found = detail::read_profile(text, "default", profile);
  fuzz::require(found || profile.empty(), "settings of another profile");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint64_t kind = input.number(1);
  const ByteView text = input.rest();
  // An element of three characters, "<a>", is a string and two views; RapidJSON's pieces are 64
  // KiB.
  const fuzz::AllocationLimit limit(256 * size + (256 << 10));
  switch (kind % 5) {
    case 0: check_xml(text); break;
    case 1: check_json(text); break;
    case 2: check_url(text); break;
    case 3: check_time(text); break;
    default: check_profile(text);
  }
  return 0;
}
