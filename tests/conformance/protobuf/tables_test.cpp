// SPDX-License-Identifier: Apache-2.0
// The tables against protoc's descriptors.
#include <set>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include "oracle.hpp"
#include "support/catch.hpp"

using namespace kvbackup;
using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

namespace {

constexpr const char* schema_files[] = {"backup.proto",   "encryptionpb.proto", "errorpb.proto",
                                        "kvbackup.proto", "kvrpcpb.proto",      "metapb.proto",
                                        "kinds.proto"};

const FileDescriptor& file(const char* name) {
  const FileDescriptor* found = DescriptorPool::generated_pool()->FindFileByName(name);
  INFO(name);
  REQUIRE(found != nullptr);
  return *found;
}

FieldDescriptor::Type their_type(FieldKind kind) {
  switch (kind) {
    case FieldKind::uint32: return FieldDescriptor::TYPE_UINT32;
    case FieldKind::uint64: return FieldDescriptor::TYPE_UINT64;
    case FieldKind::int32: return FieldDescriptor::TYPE_INT32;
    case FieldKind::int64: return FieldDescriptor::TYPE_INT64;
    case FieldKind::boolean: return FieldDescriptor::TYPE_BOOL;
    case FieldKind::enumeration: return FieldDescriptor::TYPE_ENUM;
    case FieldKind::string: return FieldDescriptor::TYPE_STRING;
    case FieldKind::bytes: return FieldDescriptor::TYPE_BYTES;
    case FieldKind::message: return FieldDescriptor::TYPE_MESSAGE;
  }
  return FieldDescriptor::TYPE_GROUP;
}

void check_map(const FieldDescriptor& field) {
  REQUIRE(field.is_map());
  CHECK(field.message_type()->map_key()->type() == FieldDescriptor::TYPE_STRING);
  CHECK(field.message_type()->map_value()->type() == FieldDescriptor::TYPE_STRING);
}

void check_enum(const EnumInfo& info, const EnumDescriptor& theirs) {
  CHECK(info.name == theirs.full_name());
  REQUIRE(info.values.size() == static_cast<std::size_t>(theirs.value_count()));
  for (int i = 0; i < theirs.value_count(); ++i) {
    CHECK(info.values[static_cast<std::size_t>(i)].name == theirs.value(i)->name());
    CHECK(info.values[static_cast<std::size_t>(i)].number == theirs.value(i)->number());
  }
}

void check_field(const FieldInfo& row, const FieldDescriptor& field) {
  INFO(field.full_name());
  CHECK(row.name == field.name());
  if (row.shape == FieldShape::map) return check_map(field);
  CHECK_FALSE(field.is_map());
  CHECK(their_type(row.kind) == field.type());
  CHECK((row.shape == FieldShape::repeated) == field.is_repeated());
  CHECK((row.shape == FieldShape::oneof) == (field.real_containing_oneof() != nullptr));
  CHECK((row.message != nullptr) == (field.message_type() != nullptr));
  CHECK((row.enumeration != nullptr) == (field.enum_type() != nullptr));
  if (row.message != nullptr) CHECK(row.message().name == field.message_type()->full_name());
  if (row.enumeration != nullptr) check_enum(row.enumeration(), *field.enum_type());
}

}  // namespace

TEST_CASE("every message of the schema has a table") {
  std::set<std::string> ours;
  for (const oracle::Type& type : oracle::types()) ours.emplace(type.info.name);
  std::set<std::string> theirs;
  for (const char* name : schema_files) {
    for (int i = 0; i < file(name).message_type_count(); ++i) {
      const Descriptor* message = file(name).message_type(i);
      theirs.insert(message->full_name());
      for (int k = 0; k < message->nested_type_count(); ++k) {
        CHECK(message->nested_type(k)->options().map_entry());
      }
    }
  }
  CHECK(ours == theirs);
}

TEST_CASE("every field of the schema has its row, with its number, name and type") {
  for (const oracle::Type& type : oracle::types()) {
    const Descriptor& theirs = *type.prototype.GetDescriptor();
    INFO(theirs.full_name());
    REQUIRE(type.info.fields.size() == static_cast<std::size_t>(theirs.field_count()));
    for (const FieldInfo& row : type.info.fields) {
      const FieldDescriptor* field = theirs.FindFieldByNumber(static_cast<int>(row.number));
      REQUIRE(field != nullptr);
      check_field(row, *field);
    }
  }
}

TEST_CASE("every enum of the schema is reached by a table") {
  std::set<std::string> ours;
  for (const oracle::Type& type : oracle::types()) {
    for (const FieldInfo& row : type.info.fields) {
      if (row.enumeration != nullptr) ours.emplace(row.enumeration().name);
    }
  }
  std::set<std::string> theirs;
  for (const char* name : schema_files) {
    for (int i = 0; i < file(name).enum_type_count(); ++i) {
      theirs.insert(file(name).enum_type(i)->full_name());
    }
  }
  CHECK(ours == theirs);
}

TEST_CASE("the schema keeps what BR and TiKV rely on") {
  const FileDescriptor& backup = file("backup.proto");
  CHECK(backup.package() == "backup");
  CHECK(backup.options().java_package() == "org.tikv.kvproto");
  const auto* service = backup.FindServiceByName("Backup");
  REQUIRE(service != nullptr);
  const auto* method = service->FindMethodByName("backup");
  REQUIRE(method != nullptr);
  CHECK(method->full_name() == "backup.Backup.backup");
  CHECK(method->input_type()->full_name() == "backup.BackupRequest");
  CHECK(method->output_type()->full_name() == "backup.BackupResponse");
  CHECK_FALSE(method->client_streaming());
  CHECK(method->server_streaming());
  CHECK(backup.FindMessageTypeByName("BackupMeta")->IsReservedNumber(3));
  CHECK(backup.FindMessageTypeByName("BackupMeta")->IsReservedName("path"));
  CHECK(backup.FindMessageTypeByName("BackupRequest")->IsReservedNumber(6));
  CHECK(backup.FindMessageTypeByName("BackupRequest")->IsReservedName("path"));
}
