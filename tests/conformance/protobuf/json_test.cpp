// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/util/json_util.h>
#include <rapidjson/document.h>

#include "random_message.hpp"
#include "support/catch.hpp"

using namespace kvbackup;
using namespace oracle;

TEST_CASE("JSON is valid and gives the message back, unknown fields too") {
  for (const Type& type : types()) {
    INFO(type.info.name);
    Random random(8);
    for (int round = 0; round < 100; ++round) {
      std::unique_ptr<Theirs> theirs(type.prototype.New());
      fill(*theirs, random);
      const auto ours = type.decode(serialise(*theirs) + random_unknown_field(random), nullptr);
      REQUIRE(ours != nullptr);
      const std::string json = type.to_json(ours.get());
      rapidjson::Document document;
      REQUIRE_FALSE(document.Parse(json.c_str()).HasParseError());
      std::string error;
      const auto back = type.from_json(json, &error);
      INFO(json << ": " << error);
      REQUIRE(back != nullptr);
      REQUIRE(type.equal(ours.get(), back.get()));
    }
  }
}

TEST_CASE("protobuf's own JSON is understood where it has no bytes fields") {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  for (const Type& type : types()) {
    INFO(type.info.name);
    Random random(9);
    for (int round = 0; round < 100; ++round) {
      std::unique_ptr<Theirs> theirs(type.prototype.New());
      fill(*theirs, random, {.bytes = false});
      std::string json;
      REQUIRE(google::protobuf::util::MessageToJsonString(*theirs, &json, options).ok());
      std::string error;
      const auto ours = type.from_json(json, &error);
      INFO(json << ": " << error);
      REQUIRE(ours != nullptr);
      REQUIRE(type.encode(ours.get()) == serialise(*theirs));
    }
  }
}
