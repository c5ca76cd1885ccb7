// SPDX-License-Identifier: Apache-2.0
// Schemas of TiDB's tables as a file of JSON, for backups that are asked for by hand. Built with
// KVBACKUP_WITH_RAPIDJSON.
//
//   {"schemas": [{"db": DBInfo, "table": TableInfo, "stats": JSON, "tiflash_replicas": N,
//                 "crc64xor": N, "total_kvs": N, "total_bytes": N}, ...],
//    "ddls": [...]}
//
// db, table, stats and ddls are what TiDB's status port gives, or the same as a string of hex
// digits, as `br debug decode` of BR 5.1 and to_json() spell bytes. All but db and table may be
// left out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/proto/backup.hpp"

#if KVBACKUP_WITH_RAPIDJSON
#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace kvbackup::inline v1 {

/// The longest text of schemas that is read, in bytes: TiDB's largest known sets of tables have
/// some 10 KiB of JSON a table and thousands of tables.
inline constexpr std::size_t max_schemas_size = 64u << 20;

/// What a backup says of tables.
struct SchemaSet {
  std::vector<Schema> schemas;
  std::string ddls;  ///< a JSON array; empty where none is given
};

namespace detail {

/// How deep the brackets of `text` nest, strings left out. RapidJSON writes by recursion.
[[nodiscard]] inline std::size_t json_depth(std::string_view text) {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

class SchemaFileReader {
 public:
  using Value = rapidjson::Value;

  [[nodiscard]] Result<SchemaSet> read(std::string_view text) {
    constexpr std::size_t deepest = 64;
    if (text.size() > max_schemas_size) return bad("it has more than 64 MiB");
    if (json_depth(text) > deepest) return bad("it nests too deeply");
    rapidjson::Document document;
    document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag |
                   rapidjson::kParseFullPrecisionFlag>(text.data(), text.size());
    if (document.HasParseError()) {
      return bad("at byte " + std::to_string(document.GetErrorOffset()) + ": " +
                 rapidjson::GetParseError_En(document.GetParseError()));
    }
    const Value& root = document;
    if (!root.IsObject()) return bad("it is no object");
    SchemaSet set;
    for (const auto& member : root.GetObject()) {
      const std::string_view name = view(member.name);
      Status status;
      if (name == "schemas") {
        status = read_schemas(member.value, set.schemas);
      } else if (name == "ddls") {
        status = read_text(member.value, "ddls", set.ddls);
      } else {
        status = bad("there is no member " + shown(name) + "; there are schemas and ddls");
      }
      if (!status.ok()) return status;
    }
    return set;
  }

 private:
  static Status bad(std::string why) {
    return Status::error(StatusCode::invalid_argument,
                         "the schemas cannot be read: " + std::move(why));
  }
  static std::string_view view(const Value& json) {
    return {json.GetString(), json.GetStringLength()};
  }
  static std::string shown(std::string_view name) {
    return "\"" + std::string(name.substr(0, 64)) + "\"";
  }

  static Status read_schemas(const Value& json, std::vector<Schema>& out) {
    if (!json.IsArray()) return bad("schemas is no array");
    for (const Value& element : json.GetArray()) {
      const std::string where = "schemas[" + std::to_string(out.size()) + "]";
      if (!element.IsObject()) return bad(where + " is no object");
      Schema schema;
      for (const auto& member : element.GetObject()) {
        Status status = read_member(view(member.name), member.value, where, schema);
        if (!status.ok()) return status;
      }
      if (schema.db.empty() || schema.table.empty()) return bad(where + " lacks db or table");
      out.push_back(std::move(schema));
    }
    return {};
  }

  static Status read_member(std::string_view name, const Value& json, const std::string& where,
                            Schema& schema) {
    const std::string at = where + "." + std::string(name.substr(0, 64));
    if (name == "db") return read_text(json, at, schema.db);
    if (name == "table") return read_text(json, at, schema.table);
    if (name == "stats") return read_text(json, at, schema.stats);
    if (name == "crc64xor") return read_number(json, at, schema.crc64xor);
    if (name == "total_kvs") return read_number(json, at, schema.total_kvs);
    if (name == "total_bytes") return read_number(json, at, schema.total_bytes);
    if (name != "tiflash_replicas") return bad(at + ": there is no such member");
    if (!json.IsUint()) return bad(at + " is no number of 32 bits");
    schema.tiflash_replicas = json.GetUint();
    return {};
  }

  static Status read_number(const Value& json, const std::string& at, std::uint64_t& out) {
    if (!json.IsUint64()) return bad(at + " is no number of 64 bits");
    out = json.GetUint64();
    return {};
  }

  /// JSON as it is, or its bytes in hex.
  static Status read_text(const Value& json, const std::string& at, std::string& out) {
    if (json.IsNull()) return {};
    if (json.IsString()) {
      auto bytes = from_hex(view(json));
      if (!bytes) return bad(at + " is a string, and not of hex digits");
      out = *std::move(bytes);
      return {};
    }
    if (!json.IsObject() && !json.IsArray()) return bad(at + " is neither JSON nor hex");
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    if (!json.Accept(writer)) return bad(at + " cannot be written as JSON");
    out.assign(buffer.GetString(), buffer.GetSize());
    return {};
  }
};

}  // namespace detail

/// Reads schemas; what the database and the table are is not looked into. Errors: invalid_argument,
/// naming the member.
[[nodiscard]] inline Result<SchemaSet> read_schemas(std::string_view json) {
  return detail::SchemaFileReader().read(json);
}

}  // namespace kvbackup::inline v1

#endif  // KVBACKUP_WITH_RAPIDJSON
