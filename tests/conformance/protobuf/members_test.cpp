// SPDX-License-Identifier: Apache-2.0
// Each member by its name: the row that the table calls `x` reads and writes the member `x`.
#include <map>
#include <set>
#include <type_traits>

#include <google/protobuf/descriptor.h>

#include "kinds.hpp"
#include "oracle.hpp"
#include "support/catch.hpp"

using namespace kvbackup;
using google::protobuf::FieldDescriptor;

namespace {

// The fields that were seen, by message.
std::map<std::string, std::set<std::string>>& seen() {
  static std::map<std::string, std::set<std::string>> fields;
  return fields;
}

// Gives a member a value that is not its default.
void set(std::string& member) { member = "x"; }
void set(bool& member) { member = true; }
void set(std::map<std::string, std::string>& member) { member["x"] = "y"; }
template <class T>
void set(T& member) requires(std::is_integral_v<T> || std::is_enum_v<T>) {
  member = static_cast<T>(1);
}
template <class T>
void set(std::optional<T>& member) {
  member.emplace();
}
template <class T>
void set(std::vector<T>& member) {
  member.resize(1);
}

// The one field that libprotobuf sees is called `name`.
template <class M>
void check(const M& message, const char* name) {
  const auto theirs = oracle::parse(oracle::prototype_of(MessageTraits<M>::name), encode(message));
  INFO(MessageTraits<M>::name << "." << name);
  REQUIRE(theirs != nullptr);
  std::vector<const FieldDescriptor*> fields;
  theirs->GetReflection()->ListFields(*theirs, &fields);
  REQUIRE(fields.size() == 1);
  CHECK(fields[0]->name() == name);
  CHECK(decode<M>(encode(message)).value() == message);
  seen()[std::string(MessageTraits<M>::name)].insert(name);
}

#define MEMBER(M, name)    \
  do {                     \
    M message;             \
    set(message.name);     \
    check(message, #name); \
  } while (false)
#define ALTERNATIVE(M, oneof, Type, name) \
  do {                                    \
    M message;                            \
    message.oneof.emplace<Type>();        \
    check(message, #name);                \
  } while (false)

}  // namespace

TEST_CASE("a row reads and writes the member that has its name") {
  MEMBER(File, name);
  MEMBER(File, sha256);
  MEMBER(File, start_key);
  MEMBER(File, end_key);
  MEMBER(File, start_version);
  MEMBER(File, end_version);
  MEMBER(File, crc64xor);
  MEMBER(File, total_kvs);
  MEMBER(File, total_bytes);
  MEMBER(File, cf);
  MEMBER(File, size);
  MEMBER(Schema, db);
  MEMBER(Schema, table);
  MEMBER(Schema, crc64xor);
  MEMBER(Schema, total_kvs);
  MEMBER(Schema, total_bytes);
  MEMBER(Schema, tiflash_replicas);
  MEMBER(Schema, stats);
  MEMBER(RawRange, start_key);
  MEMBER(RawRange, end_key);
  MEMBER(RawRange, cf);
  MEMBER(BackupMeta, cluster_id);
  MEMBER(BackupMeta, cluster_version);
  MEMBER(BackupMeta, files);
  MEMBER(BackupMeta, start_version);
  MEMBER(BackupMeta, end_version);
  MEMBER(BackupMeta, schemas);
  MEMBER(BackupMeta, is_raw_kv);
  MEMBER(BackupMeta, raw_ranges);
  MEMBER(BackupMeta, ddls);
  MEMBER(BackupMeta, br_version);
  MEMBER(ClusterIDError, current);
  MEMBER(ClusterIDError, request);
  MEMBER(Error, msg);
  ALTERNATIVE(Error, detail, ClusterIDError, cluster_id_error);
  ALTERNATIVE(Error, detail, KeyError, kv_error);
  ALTERNATIVE(Error, detail, RegionError, region_error);
  MEMBER(BackupRequest, cluster_id);
  MEMBER(BackupRequest, start_key);
  MEMBER(BackupRequest, end_key);
  MEMBER(BackupRequest, start_version);
  MEMBER(BackupRequest, end_version);
  MEMBER(BackupRequest, rate_limit);
  MEMBER(BackupRequest, concurrency);
  MEMBER(BackupRequest, storage_backend);
  MEMBER(BackupRequest, is_raw_kv);
  MEMBER(BackupRequest, cf);
  MEMBER(BackupRequest, compression_type);
  MEMBER(BackupRequest, compression_level);
  MEMBER(BackupResponse, error);
  MEMBER(BackupResponse, start_key);
  MEMBER(BackupResponse, end_key);
  MEMBER(BackupResponse, files);
  MEMBER(Local, path);
  MEMBER(S3, endpoint);
  MEMBER(S3, region);
  MEMBER(S3, bucket);
  MEMBER(S3, prefix);
  MEMBER(S3, storage_class);
  MEMBER(S3, sse);
  MEMBER(S3, acl);
  MEMBER(S3, access_key);
  MEMBER(S3, secret_access_key);
  MEMBER(S3, force_path_style);
  MEMBER(S3, sse_kms_key_id);
  MEMBER(GCS, endpoint);
  MEMBER(GCS, bucket);
  MEMBER(GCS, prefix);
  MEMBER(GCS, storage_class);
  MEMBER(GCS, predefined_acl);
  MEMBER(GCS, credentials_blob);
  MEMBER(Bucket, endpoint);
  MEMBER(Bucket, region);
  MEMBER(Bucket, bucket);
  MEMBER(Bucket, prefix);
  MEMBER(Bucket, storage_class);
  MEMBER(CloudDynamic, bucket);
  MEMBER(CloudDynamic, provider_name);
  MEMBER(CloudDynamic, attrs);
  ALTERNATIVE(StorageBackend, backend, Noop, noop);
  ALTERNATIVE(StorageBackend, backend, Local, local);
  ALTERNATIVE(StorageBackend, backend, S3, s3);
  ALTERNATIVE(StorageBackend, backend, GCS, gcs);
  ALTERNATIVE(StorageBackend, backend, CloudDynamic, cloud_dynamic);
  MEMBER(LockInfo, primary_lock);
  MEMBER(LockInfo, lock_version);
  MEMBER(LockInfo, key);
  MEMBER(LockInfo, lock_ttl);
  MEMBER(LockInfo, txn_size);
  MEMBER(LockInfo, lock_type);
  MEMBER(LockInfo, lock_for_update_ts);
  MEMBER(LockInfo, use_async_commit);
  MEMBER(LockInfo, min_commit_ts);
  MEMBER(LockInfo, secondaries);
  MEMBER(WriteConflict, start_ts);
  MEMBER(WriteConflict, conflict_ts);
  MEMBER(WriteConflict, key);
  MEMBER(WriteConflict, primary);
  MEMBER(WriteConflict, conflict_commit_ts);
  MEMBER(AlreadyExist, key);
  MEMBER(Deadlock, lock_ts);
  MEMBER(Deadlock, lock_key);
  MEMBER(Deadlock, deadlock_key_hash);
  MEMBER(CommitTsExpired, start_ts);
  MEMBER(CommitTsExpired, attempted_commit_ts);
  MEMBER(CommitTsExpired, key);
  MEMBER(CommitTsExpired, min_commit_ts);
  MEMBER(TxnNotFound, start_ts);
  MEMBER(TxnNotFound, primary_key);
  MEMBER(CommitTsTooLarge, commit_ts);
  MEMBER(KeyError, locked);
  MEMBER(KeyError, retryable);
  MEMBER(KeyError, abort);
  MEMBER(KeyError, conflict);
  MEMBER(KeyError, already_exist);
  MEMBER(KeyError, deadlock);
  MEMBER(KeyError, commit_ts_expired);
  MEMBER(KeyError, txn_not_found);
  MEMBER(KeyError, commit_ts_too_large);
  MEMBER(NotLeader, region_id);
  MEMBER(NotLeader, leader);
  MEMBER(StoreNotMatch, request_store_id);
  MEMBER(StoreNotMatch, actual_store_id);
  MEMBER(RegionNotFound, region_id);
  MEMBER(KeyNotInRegion, key);
  MEMBER(KeyNotInRegion, region_id);
  MEMBER(KeyNotInRegion, start_key);
  MEMBER(KeyNotInRegion, end_key);
  MEMBER(EpochNotMatch, current_regions);
  MEMBER(ServerIsBusy, reason);
  MEMBER(ServerIsBusy, backoff_ms);
  MEMBER(RaftEntryTooLarge, region_id);
  MEMBER(RaftEntryTooLarge, entry_size);
  MEMBER(ReadIndexNotReady, reason);
  MEMBER(ReadIndexNotReady, region_id);
  MEMBER(ProposalInMergingMode, region_id);
  MEMBER(RegionError, message);
  MEMBER(RegionError, not_leader);
  MEMBER(RegionError, region_not_found);
  MEMBER(RegionError, key_not_in_region);
  MEMBER(RegionError, epoch_not_match);
  MEMBER(RegionError, server_is_busy);
  MEMBER(RegionError, stale_command);
  MEMBER(RegionError, store_not_match);
  MEMBER(RegionError, raft_entry_too_large);
  MEMBER(RegionError, max_timestamp_not_synced);
  MEMBER(RegionError, read_index_not_ready);
  MEMBER(RegionError, proposal_in_merging_mode);
  MEMBER(RegionEpoch, conf_ver);
  MEMBER(RegionEpoch, version);
  MEMBER(Peer, id);
  MEMBER(Peer, store_id);
  MEMBER(Peer, role);
  MEMBER(Region, id);
  MEMBER(Region, start_key);
  MEMBER(Region, end_key);
  MEMBER(Region, region_epoch);
  MEMBER(Region, peers);
  MEMBER(Region, encryption_meta);
  MEMBER(EncryptionMeta, key_id);
  MEMBER(EncryptionMeta, iv);
  MEMBER(CompletedRange, cf);
  MEMBER(CompletedRange, start);
  MEMBER(CompletedRange, end);
  MEMBER(KvbackupTotals, files);
  MEMBER(KvbackupTotals, kvs);
  MEMBER(KvbackupTotals, bytes);
  MEMBER(KvbackupTotals, stored_bytes);
  MEMBER(KvbackupTotals, crc64xor);
  MEMBER(KvbackupInfo, format);
  MEMBER(KvbackupInfo, key_prefix);
  MEMBER(KvbackupInfo, profile);
  MEMBER(KvbackupInfo, created_unix_ms);
  MEMBER(KvbackupInfo, source_kind);
  MEMBER(KvbackupInfo, source_identity);
  MEMBER(KvbackupInfo, ranges);
  MEMBER(KvbackupInfo, totals);
  MEMBER(KvbackupInfo, file_crc32c);
  MEMBER(DestinationLock, format);
  MEMBER(DestinationLock, run_id);
  MEMBER(DestinationLock, job_id);
  MEMBER(DestinationLock, host);
  MEMBER(DestinationLock, pid);
  MEMBER(DestinationLock, process);
  MEMBER(DestinationLock, started_unix_ms);
  MEMBER(DestinationLock, renewed_unix_ms);
  MEMBER(DestinationLock, lease_ms);
  MEMBER(CheckpointJob, format);
  MEMBER(CheckpointJob, job_id);
  MEMBER(CheckpointJob, created_unix_ms);
  MEMBER(CheckpointJob, settings);
  MEMBER(CheckpointJob, ranges);
  MEMBER(CheckpointJob, sub_ranges);
  MEMBER(CheckpointParts, job_id);
  MEMBER(CheckpointParts, number);
  MEMBER(CheckpointParts, parts);
  MEMBER(CheckpointPart, sub_range);
  MEMBER(CheckpointPart, number);
  MEMBER(CheckpointPart, start);
  MEMBER(CheckpointPart, end);
  MEMBER(CheckpointPart, files);
  MEMBER(CheckpointFile, file);
  MEMBER(CheckpointFile, crc32c);
  MEMBER(CheckpointFile, proof);

  for (const oracle::Type& type : oracle::types()) {
    const auto& theirs = *type.prototype.GetDescriptor();
    if (theirs.file()->name() == "kinds.proto") continue;
    INFO(theirs.full_name());
    CHECK(seen()[theirs.full_name()].size() == static_cast<std::size_t>(theirs.field_count()));
  }
}
