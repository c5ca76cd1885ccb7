// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "telemetry.hpp"

namespace program {

using kvbackup::Status;
using kvbackup::StatusCode;

kvbackup::Status usage_error(std::string message) {
  return Status::error(StatusCode::invalid_argument, std::move(message));
}

kvbackup::Result<std::uint64_t> mib(std::uint64_t count, const char* flag) {
  constexpr std::uint64_t most = UINT64_MAX >> 20;
  if (count > most) return usage_error(std::string(flag) + " is too large");
  return count << 20;
}

kvbackup::Result<std::string> pem_file(const char* flag, const std::string& path) {
  auto text = kvbackup::process_environment().file(path);
  if (text.ok() && text.value().find("-----BEGIN ") != std::string::npos) return text;
  return usage_error(std::string(flag) + ": this is no PEM file that can be read")
      .with_object(path);
}

kvbackup::Result<std::string> key_of(const char* flag, std::string_view text,
                                     kvbackup::KeyFormat format) {
  auto key = kvbackup::decode_key(format, text);
  if (key.ok()) return key;
  return usage_error(std::string(flag) + ": " + std::string(key.status().message()));
}

int report_failure(std::string_view command, const Status& status, const CommonFlags& flags) {
  std::fprintf(stderr, "kvbackup %s: %s\n", printable(command).c_str(),
               printable(status.to_string(flags.key_display())).c_str());
  telemetry().on_failure(status, flags.key_display());
  if (flags.json) print_json_error(command, status, flags);
  return status.code() == StatusCode::invalid_argument ? wrong_usage : could_not_finish;
}

int report_read_failure(std::string_view command, const Status& status, const CommonFlags& flags) {
  const int code = report_failure(command, status, flags);
  return status.code() == StatusCode::corruption ? damage_found : code;
}

void print_json_error(std::string_view command, const Status& status, const CommonFlags& flags) {
  JsonObject error;
  error.add("code", kvbackup::to_string(status.code()));
  error.add("message", status.to_string(flags.key_display()));
  if (!status.object().empty()) error.add("object", status.object());
  if (status.native_code() != 0) {
    error.add_json("native_code", std::to_string(status.native_code()));
  }
  error.add("retryable", status.retryable());
  JsonObject root;
  root.add("command", command).add_json("error", error.text());
  std::printf("%s\n", root.text().c_str());
}

std::string printable(std::string_view text) {
  if (kvbackup::is_utf8(text) && std::none_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
      })) {
    return std::string(text);
  }
  return kvbackup::encode_key(kvbackup::KeyFormat::escaped, text);
}

std::string json_string(std::string_view text) {
  // JSON is UTF-8; names of files and databases need not be
  const std::string escaped = kvbackup::is_utf8(text) ? std::string(text) : printable(text);
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  writer.String(escaped.data(), static_cast<rapidjson::SizeType>(escaped.size()));
  return {buffer.GetString(), buffer.GetSize()};
}

JsonObject& JsonObject::add(std::string_view name, std::string_view text) {
  return add_json(name, json_string(text));
}
JsonObject& JsonObject::add(std::string_view name, std::uint64_t number) {
  return add_json(name, std::to_string(number));
}
JsonObject& JsonObject::add(std::string_view name, double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", number);
  return add_json(name, text.data());
}
JsonObject& JsonObject::add_json(std::string_view name, std::string_view json) {
  if (!members_.empty()) members_ += ", ";
  members_ += json_string(name);
  members_ += ": ";
  members_ += json;
  return *this;
}

std::string human_bytes(double bytes) {
  static constexpr std::array units{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < units.size()) {
    bytes /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.2f %s", bytes, units[unit]);
  return text.data();
}

std::string human_duration(double seconds) {
  std::array<char, 32> text{};
  if (seconds < 1) {
    std::snprintf(text.data(), text.size(), "%.0fms", seconds * 1000);
  } else if (seconds < 60) {
    std::snprintf(text.data(), text.size(), "%.2fs", seconds);
  } else {
    const auto whole = static_cast<unsigned long long>(seconds);
    std::snprintf(text.data(), text.size(), "%llum%02llus", whole / 60, whole % 60);
  }
  return text.data();
}

std::string utc(std::uint64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  std::array<char, 32> text{"?"};
  if (gmtime_r(&seconds, &parts) != nullptr) {
    std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  }
  return text.data();
}

void add_common_flags(CLI::App& command, CommonFlags& flags) {
  command.add_flag("--json", flags.json, "Print one JSON object on standard output");
  command.add_flag("--redact", flags.redact, "Hide keys in messages and output");
}

}  // namespace program
