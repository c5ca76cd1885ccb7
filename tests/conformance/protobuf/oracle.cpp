// SPDX-License-Identifier: Apache-2.0
#include "oracle.hpp"

#include <map>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include "kinds.hpp"
#include "support/catch.hpp"

namespace oracle {

using namespace kvbackup;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::MessageFactory;
using google::protobuf::Reflection;

namespace {

using StringMap = std::map<std::string, std::string>;

template <class M>
std::shared_ptr<void> unwrap(Result<M> result, std::string* error) {
  if (result.ok()) return std::make_shared<M>(std::move(result).value());
  if (error != nullptr) *error = result.status().to_string();
  return nullptr;
}

template <class M>
Type type() {
  return {
      message_info<M>(),
      prototype_of(MessageTraits<M>::name),
      [](std::string_view bytes, std::string* error) { return unwrap(decode<M>(bytes), error); },
      [](const void* ours) { return encode(*static_cast<const M*>(ours)); },
      [](const void* ours) { return to_json(*static_cast<const M*>(ours)).value(); },
      [](std::string_view json, std::string* error) { return unwrap(from_json<M>(json), error); },
      [](const void* a, const void* b) {
        return *static_cast<const M*>(a) == *static_cast<const M*>(b);
      }};
}

template <class... Ms>
std::vector<Type> types_of() {
  return {type<Ms>()...};
}

std::string value_text(const FieldInfo& row, const void* member, std::size_t index) {
  if (row.kind < FieldKind::string) {
    return std::to_string(static_cast<std::int64_t>(row.operations->scalar(member, index)));
  }
  return *static_cast<const std::string*>(row.operations->object(member, index));
}

template <class T>
std::string bits_text(T value) {
  return std::to_string(static_cast<std::int64_t>(value));
}

// The value at `index` of a repeated field, or the singular one at -1.
std::string value_text(const Theirs& theirs, const FieldDescriptor* field, int index) {
  const Reflection& r = *theirs.GetReflection();
  const bool one = index < 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return bits_text(one ? r.GetUInt32(theirs, field)
                           : r.GetRepeatedUInt32(theirs, field, index));
    case FieldDescriptor::CPPTYPE_UINT64:
      return bits_text(one ? r.GetUInt64(theirs, field)
                           : r.GetRepeatedUInt64(theirs, field, index));
    case FieldDescriptor::CPPTYPE_INT32:
      return bits_text(one ? r.GetInt32(theirs, field) : r.GetRepeatedInt32(theirs, field, index));
    case FieldDescriptor::CPPTYPE_INT64:
      return bits_text(one ? r.GetInt64(theirs, field) : r.GetRepeatedInt64(theirs, field, index));
    case FieldDescriptor::CPPTYPE_BOOL:
      return bits_text(one ? r.GetBool(theirs, field) : r.GetRepeatedBool(theirs, field, index));
    case FieldDescriptor::CPPTYPE_ENUM:
      return bits_text(one ? r.GetEnumValue(theirs, field)
                           : r.GetRepeatedEnumValue(theirs, field, index));
    case FieldDescriptor::CPPTYPE_STRING:
      return one ? r.GetString(theirs, field) : r.GetRepeatedString(theirs, field, index);
    default: return "a type that the schema does not use";
  }
}

std::size_t count_of(const Theirs& theirs, const FieldDescriptor* field) {
  const Reflection& r = *theirs.GetReflection();
  if (field->is_repeated()) return static_cast<std::size_t>(r.FieldSize(theirs, field));
  return r.HasField(theirs, field) ? 1 : 0;
}

bool same_map(const StringMap& ours, const Theirs& theirs, const FieldDescriptor* field) {
  StringMap map;
  for (int i = 0; i < theirs.GetReflection()->FieldSize(theirs, field); ++i) {
    const Theirs& entry = theirs.GetReflection()->GetRepeatedMessage(theirs, field, i);
    map[value_text(entry, entry.GetDescriptor()->FindFieldByNumber(1), -1)] =
        value_text(entry, entry.GetDescriptor()->FindFieldByNumber(2), -1);
  }
  return ours == map;
}

}  // namespace

const std::vector<Type>& types() {
  static const std::vector<Type> all =
      types_of<File, Schema, RawRange, BackupMeta, ClusterIDError, Error, BackupRequest,
               BackupResponse, StorageBackend, Noop, Local, S3, GCS, Bucket, CloudDynamic, LockInfo,
               KeyError, WriteConflict, AlreadyExist, Deadlock, CommitTsExpired, TxnNotFound,
               CommitTsTooLarge, NotLeader, StoreNotMatch, RegionNotFound, KeyNotInRegion,
               EpochNotMatch, ServerIsBusy, StaleCommand, RaftEntryTooLarge, MaxTimestampNotSynced,
               ReadIndexNotReady, ProposalInMergingMode, RegionError, RegionEpoch, Region, Peer,
               EncryptionMeta, KvbackupInfo, CompletedRange, KvbackupTotals, DestinationLock,
               CheckpointJob, CheckpointParts, CheckpointPart, CheckpointFile, kinds_test::Node,
               kinds_test::Empty, kinds_test::Kinds>();
  return all;
}

const Theirs& prototype_of(std::string_view name) {
  const auto* descriptor =
      DescriptorPool::generated_pool()->FindMessageTypeByName(std::string(name));
  INFO("the message " << name);
  REQUIRE(descriptor != nullptr);
  return *MessageFactory::generated_factory()->GetPrototype(descriptor);
}

std::unique_ptr<Theirs> parse(const Theirs& prototype, std::string_view bytes) {
  std::unique_ptr<Theirs> message(prototype.New());
  if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return nullptr;
  return message;
}

std::string serialise(const Theirs& message) {
  std::string out;
  {
    google::protobuf::io::StringOutputStream stream(&out);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeWithCachedSizes((static_cast<void>(message.ByteSizeLong()), &coded));
  }
  return out;
}

std::optional<std::string> difference(const MessageInfo& info, void* ours, const Theirs& theirs) {
  for (const FieldInfo& row : info.fields) {
    const std::string name(row.name);
    const auto* field = theirs.GetDescriptor()->FindFieldByName(name);
    if (field == nullptr) return name;
    void* member = row.member(ours);
    if (row.shape == FieldShape::map) {
      if (!same_map(*static_cast<const StringMap*>(member), theirs, field)) return name;
      continue;
    }
    const std::size_t count = row.operations->count(member);
    if (count != count_of(theirs, field)) return name + ": how many";
    for (std::size_t i = 0; i < count; ++i) {
      const int index = field->is_repeated() ? static_cast<int>(i) : -1;
      if (row.kind == FieldKind::message) {
        const Reflection& r = *theirs.GetReflection();
        const Theirs& inner =
            index < 0 ? r.GetMessage(theirs, field) : r.GetRepeatedMessage(theirs, field, index);
        void* object = const_cast<void*>(row.operations->object(member, i));
        if (auto path = difference(row.message(), object, inner)) return name + "." + *path;
      } else if (value_text(row, member, i) != value_text(theirs, field, index)) {
        return name;
      }
    }
  }
  return std::nullopt;
}

void silence() { google::protobuf::SetLogHandler(nullptr); }

}  // namespace oracle
