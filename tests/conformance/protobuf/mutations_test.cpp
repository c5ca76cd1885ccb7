// SPDX-License-Identifier: Apache-2.0
// Damaged bytes: both sides accept or refuse them, and mean the same where they accept.
#include "random_message.hpp"
#include "support/catch.hpp"

using namespace kvbackup;
using namespace oracle;

namespace {

std::string random_message(const Type& type, Random& random) {
  std::unique_ptr<Theirs> theirs(type.prototype.New());
  fill(*theirs, random, {}, 2);
  std::string bytes = serialise(*theirs);
  if (random() % 4 == 0) bytes += random_unknown_field(random);
  return bytes;
}

// Bytes that mean something to the format.
char telling_byte(Random& random) {
  static constexpr unsigned char bytes[] = {0x00, 0x01, 0x07, 0x08, 0x0a, 0x0b, 0x0c, 0x0d, 0x12,
                                            0x1a, 0x22, 0x2a, 0x7f, 0x80, 0x81, 0xc0, 0xed, 0xff};
  return static_cast<char>(random() % 3 == 0 ? random() : bytes[random() % std::size(bytes)]);
}

void mutate(std::string& bytes, const std::string& other, Random& random) {
  const std::size_t at = bytes.empty() ? 0 : random() % bytes.size();
  switch (random() % 8) {
    case 0: bytes.resize(at); break;
    case 1: bytes.insert(at, 1, telling_byte(random)); break;
    case 2: bytes.erase(at, 1 + random() % 3); break;
    case 3: bytes.insert(at, other, 0, random() % 20); break;
    case 4: bytes.insert(at, random_unknown_field(random)); break;
    case 5: bytes.insert(at, std::string(random() % 12, '\x80')); break;
    case 6:
      if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
      break;
    default:
      if (!bytes.empty()) bytes[at] = telling_byte(random);
  }
}

// Whether the bytes were accepted, by both.
bool compare(const Type& type, const std::string& bytes) {
  std::string error;
  const auto ours = type.decode(bytes, &error);
  const auto theirs = parse(type.prototype, bytes);
  if ((ours != nullptr) != (theirs != nullptr) ||
      (ours && type.encode(ours.get()) != serialise(*theirs))) {
    INFO(type.info.name << " from " << to_hex(bytes) << ": " << error);
    CHECK((ours != nullptr) == (theirs != nullptr));
    if (ours && theirs) CHECK(to_hex(type.encode(ours.get())) == to_hex(serialise(*theirs)));
    FAIL("libprotobuf sees something else");
  }
  return ours != nullptr;
}

}  // namespace

TEST_CASE("damaged bytes are refused or understood as libprotobuf does") {
  silence();
  std::size_t tried = 0;
  std::size_t accepted = 0;
  Random random(5);
  for (const Type& type : types()) {
    for (int round = 0; round < 500; ++round) {
      const std::string other = random_message(type, random);
      std::string bytes = random_message(type, random);
      for (int step = 0; step < 12; ++step) {
        // Mutations add up, and start again where the bytes have grown out of hand.
        if (bytes.size() > 2000) bytes = other;
        mutate(bytes, other, random);
        accepted += compare(type, bytes) ? 1 : 0;
        ++tried;
      }
    }
  }
  CHECK(tried >= 200'000);
  // Neither side of the comparison may be empty.
  CHECK(accepted > tried / 10);
  CHECK(accepted < tried * 9 / 10);
}

TEST_CASE("bytes cut off anywhere are refused or understood as libprotobuf does") {
  silence();
  Random random(6);
  for (const Type& type : types()) {
    const std::string bytes = random_message(type, random) + random_message(type, random);
    for (std::size_t size = 0; size <= bytes.size(); ++size) compare(type, bytes.substr(0, size));
  }
}

TEST_CASE("nesting is refused at the depth at which libprotobuf refuses it") {
  silence();
  const Type* node = nullptr;
  for (const Type& type : types()) {
    if (type.info.name == "kinds.Node") node = &type;
  }
  REQUIRE(node != nullptr);
  std::string bytes;
  for (std::size_t levels = 1; levels <= wire_depth_limit + 3; ++levels) {
    std::string outer;
    append_bytes_field(outer, 1, bytes);
    bytes = outer;
    CHECK(compare(*node, bytes) == (levels <= wire_depth_limit));
  }
  for (const std::size_t around : {0u, 1u, 60u, 99u, 100u}) {
    for (std::size_t groups = 1; groups <= wire_depth_limit + 3; ++groups) {
      std::string nested;
      for (std::size_t i = 0; i < groups; ++i) append_tag(nested, 9, WireType::start_group);
      for (std::size_t i = 0; i < groups; ++i) append_tag(nested, 9, WireType::end_group);
      for (std::size_t i = 0; i < around; ++i) {
        std::string outer;
        append_bytes_field(outer, 1, nested);
        nested = outer;
      }
      CHECK(compare(*node, nested) == (groups + around <= wire_depth_limit));
    }
  }
}

TEST_CASE("odd spellings of tags, lengths and varints mean what they mean to libprotobuf") {
  silence();
  Random random(7);
  std::size_t accepted = 0;
  for (const Type& type : types()) {
    for (int round = 0; round < 300; ++round) {
      std::string bytes;
      for (std::size_t n = 1 + random() % 3; n > 0; --n) {
        const std::uint64_t number = random() % 4 == 0 ? random() % 32 : 1 + random() % 12;
        // A tag, a length and a value, each drawn out by bytes that add nothing.
        const auto put = [&](std::uint64_t value, std::size_t longest) {
          const std::size_t size = varint_size(value);
          const std::size_t more = random() % (longest - std::min(longest, size) + 2);
          append_varint(bytes, value);
          if (more == 0) return;
          bytes.back() = static_cast<char>(bytes.back() | '\x80');
          bytes.append(more - 1, '\x80');
          bytes.push_back(random() % 8 == 0 ? '\x7e' : '\0');
        };
        const std::uint64_t wire_type = random() % 2 == 0 ? 0 : 2;
        put(number << 3 | wire_type, 5);
        const std::uint64_t value = random_bits(random);
        if (wire_type == 0) {
          put(value, 10);
        } else {
          const std::string text = random_text(random);
          put(text.size(), 5);
          bytes += text;
        }
      }
      accepted += compare(type, bytes) ? 1 : 0;
    }
  }
  CHECK(accepted > 1000);
}
