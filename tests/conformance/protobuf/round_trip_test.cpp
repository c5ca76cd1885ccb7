// SPDX-License-Identifier: Apache-2.0
// Random messages of every type, from them to us and from us to them.
#include "random_message.hpp"
#include "support/catch.hpp"

using namespace kvbackup;
using namespace oracle;

TEST_CASE("what libprotobuf writes is read as the same values and written as the same bytes") {
  for (const Type& type : types()) {
    INFO(type.info.name);
    Random random(1);
    for (int round = 0; round < 300; ++round) {
      std::unique_ptr<Theirs> theirs(type.prototype.New());
      fill(*theirs, random);
      const std::string bytes = serialise(*theirs);
      const auto ours = type.decode(bytes, nullptr);
      REQUIRE(ours != nullptr);
      REQUIRE(difference(type.info, ours.get(), *theirs) == std::nullopt);
      REQUIRE(type.encode(ours.get()) == bytes);
    }
  }
}

TEST_CASE("what we write is read by libprotobuf as the same values and written as the same bytes") {
  for (const Type& type : types()) {
    INFO(type.info.name);
    Random random(2);
    for (int round = 0; round < 300; ++round) {
      const auto ours = type.decode("", nullptr);
      fill(type.info, ours.get(), random);
      const std::string bytes = type.encode(ours.get());
      const auto theirs = parse(type.prototype, bytes);
      REQUIRE(theirs != nullptr);
      REQUIRE(difference(type.info, ours.get(), *theirs) == std::nullopt);
      REQUIRE(serialise(*theirs) == bytes);
    }
  }
}

TEST_CASE("unknown fields stay behind the known ones, in the order they came") {
  for (const Type& type : types()) {
    INFO(type.info.name);
    Random random(3);
    for (int round = 0; round < 100; ++round) {
      std::unique_ptr<Theirs> theirs(type.prototype.New());
      fill(*theirs, random);
      const std::string known = serialise(*theirs);
      const std::string first = random_unknown_field(random);
      const std::string last = random_unknown_field(random);
      const auto ours = type.decode(first + known + last, nullptr);
      REQUIRE(ours != nullptr);
      REQUIRE(type.info.unknown_fields(ours.get()) == first + last);
      REQUIRE(type.encode(ours.get()) == known + first + last);
      REQUIRE(serialise(*parse(type.prototype, first + known + last)) == known + first + last);
    }
  }
}

TEST_CASE("two messages one behind the other merge as libprotobuf merges them") {
  for (const Type& type : types()) {
    INFO(type.info.name);
    Random random(4);
    for (int round = 0; round < 200; ++round) {
      std::string bytes;
      for (int i = 0; i < 3; ++i) {
        std::unique_ptr<Theirs> theirs(type.prototype.New());
        fill(*theirs, random);
        bytes += serialise(*theirs);
      }
      const auto ours = type.decode(bytes, nullptr);
      const auto theirs = parse(type.prototype, bytes);
      REQUIRE(ours != nullptr);
      REQUIRE(theirs != nullptr);
      REQUIRE(type.encode(ours.get()) == serialise(*theirs));
    }
  }
}
