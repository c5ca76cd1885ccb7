// SPDX-License-Identifier: Apache-2.0
#include "random_message.hpp"

#include <google/protobuf/descriptor.h>

namespace oracle {

using namespace kvbackup;
using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;

std::uint64_t random_bits(Random& random) {
  const std::uint64_t wide = std::uint64_t{random()} << 32 | random();
  switch (random() % 5) {
    case 0: return random() % 4;
    case 1: return (std::uint64_t{1} << (random() % 64)) - random() % 2;
    case 2: return ~(wide >> (random() % 64));
    default: return wide >> (random() % 64);
  }
}

std::string random_text(Random& random) {
  // The empty one stands for NUL.
  static const char* const characters[] = {"a",
                                           "Z",
                                           "\"",
                                           "\\",
                                           "\n",
                                           "",
                                           "\xc3\xa9",
                                           "/",
                                           "\x7f",
                                           "\xe2\x82\xac",
                                           "\xed\x9f\xbf",
                                           "\xf0\x9f\x98\x80",
                                           "\xf4\x8f\xbf\xbf"};
  std::string text;
  for (std::size_t i = random() % 12; i > 0; --i) {
    const char* character = characters[random() % std::size(characters)];
    text += *character == '\0' ? std::string(1, '\0') : std::string(character);
  }
  return text;
}

std::string random_bytes(Random& random) {
  std::string bytes(random() % 8 == 0 ? random() % 300 : random() % 10, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

namespace {

void add_value(Theirs& message, const FieldDescriptor* field, Random& random,
               const RandomOptions& options, int depth) {
  const Reflection& r = *message.GetReflection();
  const bool many = field->is_repeated();
  const std::uint64_t bits = random_bits(random);
  const auto narrow = static_cast<std::uint32_t>(bits);
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return many ? r.AddUInt32(&message, field, narrow) : r.SetUInt32(&message, field, narrow);
    case FieldDescriptor::CPPTYPE_UINT64:
      return many ? r.AddUInt64(&message, field, bits) : r.SetUInt64(&message, field, bits);
    case FieldDescriptor::CPPTYPE_INT32: {
      const auto value = static_cast<std::int32_t>(narrow);
      return many ? r.AddInt32(&message, field, value) : r.SetInt32(&message, field, value);
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      const auto value = static_cast<std::int64_t>(bits);
      return many ? r.AddInt64(&message, field, value) : r.SetInt64(&message, field, value);
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      return many ? r.AddBool(&message, field, bits % 2 == 0)
                  : r.SetBool(&message, field, bits % 2 == 0);
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto value =
          random() % 4 == 0 ? static_cast<int>(narrow) : static_cast<int>(narrow % 4);
      return many ? r.AddEnumValue(&message, field, value) : r.SetEnumValue(&message, field, value);
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      const bool text = field->type() == FieldDescriptor::TYPE_STRING;
      if (!text && !options.bytes) return;
      std::string value = text ? random_text(random) : random_bytes(random);
      return many ? r.AddString(&message, field, std::move(value))
                  : r.SetString(&message, field, std::move(value));
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (depth > 0) {
        fill(many ? *r.AddMessage(&message, field) : *r.MutableMessage(&message, field), random,
             options, depth - 1);
      }
      return;
    default: return;
  }
}

}  // namespace

void fill(Theirs& message, Random& random, const RandomOptions& options, int depth) {
  const auto* descriptor = message.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    if (random() % 2 == 0) continue;
    const FieldDescriptor* field = descriptor->field(i);
    for (std::size_t n = field->is_repeated() ? random() % 4 : 1; n > 0; --n) {
      add_value(message, field, random, options, depth);
    }
  }
}

void fill(const MessageInfo& info, void* ours, Random& random, int depth) {
  for (const FieldInfo& row : info.fields) {
    if (random() % 2 == 0) continue;
    void* member = row.member(ours);
    if (row.shape == FieldShape::map) {
      auto& map = *static_cast<std::map<std::string, std::string>*>(member);
      for (std::size_t n = random() % 4; n > 0; --n) map[random_text(random)] = random_text(random);
      continue;
    }
    for (std::size_t n = row.shape == FieldShape::repeated ? random() % 4 : 1; n > 0; --n) {
      if (row.kind == FieldKind::message) {
        if (depth > 0) fill(row.message(), row.operations->open_object(member), random, depth - 1);
      } else if (row.kind == FieldKind::string || row.kind == FieldKind::bytes) {
        *static_cast<std::string*>(row.operations->open_object(member)) =
            row.kind == FieldKind::string ? random_text(random) : random_bytes(random);
      } else {
        row.operations->put_scalar(member, random_bits(random));
      }
    }
  }
}

std::string random_unknown_field(Random& random, int depth) {
  std::string out;
  const auto number =
      static_cast<std::uint32_t>(5000 + random() % (random() % 2 == 0 ? 10 : 500000000));
  switch (random() % (depth > 0 ? 5 : 4)) {
    case 0: append_varint_field(out, number, random_bits(random)); break;
    case 1: append_bytes_field(out, number, random_bytes(random)); break;
    case 2:
      append_tag(out, number, WireType::fixed32);
      append_le32(out, static_cast<std::uint32_t>(random()));
      break;
    case 3:
      append_tag(out, number, WireType::fixed64);
      append_le64(out, random_bits(random));
      break;
    default:
      append_tag(out, number, WireType::start_group);
      for (std::size_t n = random() % 3; n > 0; --n) out += random_unknown_field(random, depth - 1);
      append_tag(out, number, WireType::end_group);
  }
  return out;
}

}  // namespace oracle
