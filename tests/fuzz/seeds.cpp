// SPDX-License-Identifier: Apache-2.0
// fuzz_seeds FOLDER: writes FOLDER/<target>/<name>, what the fuzzer begins with, made by this
// library, RocksDB and LevelDB.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <lz4.h>
#include <map>
#include <vector>
#include <zdict.h>
#include <zstd.h>

#include <kvbackup/kvbackup.hpp>

#include "fuzz/bombs.hpp"
#include "fuzz/foreign_tables.hpp"
#include "support/fixed_clock.hpp"

using namespace kvbackup;

namespace {

std::filesystem::path top;

void put(const std::string& target, const std::string& name, ByteView bytes) {
  std::filesystem::create_directories(top / target);
  std::ofstream file(top / target / name, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) {
    std::cerr << "fuzz_seeds: cannot write " << (top / target / name) << '\n';
    std::exit(1);
  }
}

template <class T>
T must(Result<T> result) {
  if (result.ok()) return std::move(result).value();
  std::cerr << "fuzz_seeds: " << result.status().to_string() << '\n';
  std::exit(1);
}
void must(const Status& status) {
  if (status.ok()) return;
  std::cerr << "fuzz_seeds: " << status.to_string() << '\n';
  std::exit(1);
}

using Model = std::map<std::string, std::string>;

Model small_model(std::size_t pairs) {
  Model model;
  for (std::size_t i = 0; i < pairs; ++i) {
    model.emplace("key/" + std::to_string(1000 + 7 * i), std::string(i % 40, 'v'));
  }
  return model;
}

struct StringOutput {
  std::string* bytes;
  Status append(ByteView more) {
    bytes->append(more);
    return {};
  }
};

template <class Checksum, class Codec>
std::string table_of(const Model& model, const TableOptions& options, const Codec& codec) {
  std::string file;
  TableWriter<Codec, Checksum, StringOutput> writer(options, codec, StringOutput{&file});
  for (const auto& [key, value] : model) must(writer.add(key, value));
  must(writer.finish().status());
  return file;
}

// Without checksums a fuzzer's changes get as far as the parsers.
template <class Codec>
void put_tables(const char* codec_name, const Codec& codec) {
  for (const std::uint32_t version : {2u, 5u}) {
    for (const bool partitioned : {false, true}) {
      TableOptions options;
      options.format_version = version;
      options.block_size = 128;
      options.block_restart_interval = 4;
      options.metadata_block_size = 64;
      options.filter = version == 5 ? FilterKind::fast_local_bloom : FilterKind::legacy_bloom;
      options.index_type = partitioned ? IndexType::two_level : IndexType::binary_search;
      options.partition_filters = partitioned;
      std::string name = std::string("ours_") + codec_name + "_v" + std::to_string(version) +
                         (partitioned ? "_partitioned" : "");
      const Model model = small_model(partitioned ? 60 : 20);
      put("table", name, table_of<NoneChecksum>(model, options, codec));
      put("table", name + "_crc32c", table_of<Crc32cChecksum>(model, options, codec));
    }
  }
}

struct Backed {
  MemoryBackend backend;
  BackupMeta meta;
};
template <class Codec>
Backed back_up(const Model& model, const Codec& codec, std::uint64_t part_size) {
  test_support::FixedClock clock;
  Backed out;
  auto pipeline = BackupPipeline(RangeSnapshot(model), codec, FileHasher{}, out.backend);
  BackupOptions options;
  options.clock = &clock;
  options.part_size = part_size;
  out.meta = must(pipeline.run(options));
  return out;
}

// As the target `backup` takes it.
std::string archive_of(const MemoryBackend& backend, int mending) {
  std::string archive(1, static_cast<char>(mending));
  for (const ObjectInfo& object : must(backend.list(""))) {
    const std::string content = must(backend.read(object.name));
    archive.push_back(static_cast<char>(object.name.size()));
    archive += object.name;
    std::string length;
    append_le32(length, static_cast<std::uint32_t>(content.size()));
    archive.append(length, 0, 3);
    archive += content;
  }
  return archive;
}

void put_backups() {
  const auto put_backup = [](const std::string& name, const MemoryBackend& backend) {
    for (const int mending : {0, 1, 2, 3, 7, 15}) {
      put("backup", name + "_" + std::to_string(mending), archive_of(backend, mending));
    }
  };
  put_backup("small", back_up(small_model(3), NoneCodec{}, default_part_size).backend);
  put_backup("parts", back_up(small_model(20), Lz4Codec{}, 200).backend);
  put_backup("zstd", back_up(small_model(10), ZstdCodec{}, default_part_size).backend);

  // BR's own: without a seal, and in its meta version 2.
  Backed backed = back_up(small_model(6), NoneCodec{}, 60);
  backed.meta.br_version = "BR v5.0.0";
  const auto put_meta = [&backed](ByteView bytes) {
    auto writer = must(backed.backend.create("backupmeta", {.size_hint = {}, .if_absent = false}));
    must(writer.append(bytes));
    must(writer.commit().status());
  };
  put_meta(encode(backed.meta));
  put_backup("of_br", backed.backend);
  MetaFile leaf;
  leaf.data_files = std::exchange(backed.meta.files, {});
  const std::string leaf_bytes = encode(leaf);
  auto writer = must(backed.backend.create("backupmeta.datafile.000000001"));
  must(writer.append(leaf_bytes));
  must(writer.commit().status());
  BackupMetaIndex index;
  index.version = 1;
  File& entry = index.file_index.emplace().meta_files.emplace_back();
  entry.name = "backupmeta.datafile.000000001";
  entry.size = leaf_bytes.size();
  entry.sha256 = std::string(as_bytes(PortableSha256::of(leaf_bytes)));
  put_meta(encode(backed.meta) + encode(index));
  put("backup", "of_br_v2", archive_of(backed.backend, 0));
}

template <Message M>
void put_message(const std::string& name, const M& message) {
  put("wire", name, encode(message));
  put("json", name, must(to_json(message)));
}

void put_messages() {
  const Backed small = back_up(small_model(30), NoneCodec{}, 200);
  put("wire", "backupmeta", must(small.backend.read("backupmeta")));
  put_message("meta", small.meta);
  put_message("info", *must(decode_manifest(must(small.backend.read("backupmeta")))).info);
  BackupRequest request;
  request.start_key = "a";
  request.end_key = std::string("b\0\xff", 3);
  request.is_raw_kv = true;
  request.cf = "default";
  request.storage_backend.emplace();
  request.storage_backend->backend.emplace<S3>().bucket = "bucket";
  put_message("request", request);
  BackupResponse response;
  response.files = small.meta.files;
  response.error.emplace().msg = "no";
  put_message("response", response);
  StorageBackend dynamic;
  auto& cloud = dynamic.backend.emplace<CloudDynamic>();
  cloud.provider_name = "p";
  cloud.attrs["k"] = "v";
  cloud.bucket.emplace().prefix = "x/y";
  put_message("cloud", dynamic);
  put("wire", "groups", ByteView("\xa3\x06\x08\x01\xab\x06\xac\x06\xa4\x06", 10));
}

template <class Codec>
void put_block(const std::string& target, const std::string& name, const Codec& codec,
               ByteView plain) {
  std::string compressed(codec.bound(plain.size()), '\0');
  const auto size = codec.compressor().compress(plain, compressed);
  std::string seed;
  append_le32(seed, static_cast<std::uint32_t>(plain.size()));
  seed.resize(3);
  put(target, name, seed.append(compressed, 0, size.value_or(0)));
}

// As the targets take a block with a dictionary.
std::string primed_block(ByteView dictionary, std::size_t plain_size, ByteView compressed) {
  std::string seed;
  append_le32(seed, static_cast<std::uint32_t>(plain_size) | 1u << 23);
  seed.resize(3);
  seed.push_back(static_cast<char>(dictionary.size()));
  seed.push_back(static_cast<char>(dictionary.size() >> 8));
  return seed.append(dictionary).append(compressed);
}

void put_primed_blocks(const std::string& rows) {
  const std::string dictionary = rows.substr(0, 300);
  std::string out(ZSTD_compressBound(rows.size()), '\0');
  LZ4_stream_t* const stream = LZ4_createStream();
  LZ4_loadDict(stream, dictionary.data(), static_cast<int>(dictionary.size()));
  const int lz4 =
      LZ4_compress_fast_continue(stream, rows.data(), out.data(), static_cast<int>(rows.size()),
                                 static_cast<int>(out.size()), 1);
  LZ4_freeStream(stream);
  put("decompress_lz4", "dictionary",
      primed_block(dictionary, rows.size(),
                   ByteView(out).substr(0, static_cast<std::size_t>(lz4))));

  // a trained one begins with tables, a raw one is bytes only
  std::string samples;
  std::vector<std::size_t> sizes;
  for (int i = 0; i < 200; ++i) {
    const std::string sample =
        std::to_string(i * 7919) + rows.substr(static_cast<std::size_t>(i), 40);
    samples += sample;
    sizes.push_back(sample.size());
  }
  std::string trained(1024, '\0');
  const std::size_t size = ZDICT_trainFromBuffer(trained.data(), trained.size(), samples.data(),
                                                 sizes.data(), static_cast<unsigned>(sizes.size()));
  trained.resize(ZDICT_isError(size) != 0 ? 0 : size);
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  for (const std::string& given : {dictionary, trained}) {
    const std::size_t zstd = ZSTD_compress_usingDict(context, out.data(), out.size(), rows.data(),
                                                     rows.size(), given.data(), given.size(), 3);
    put("decompress_zstd", given == trained ? "trained" : "dictionary",
        primed_block(given, rows.size(), ByteView(out).substr(0, zstd)));
  }
  ZSTD_freeCCtx(context);
}

void put_blocks() {
  std::string rows;
  for (const auto& [key, value] : small_model(40)) rows += key + value;
  put_primed_blocks(rows);
  std::string noise;
  for (std::uint32_t i = 0, x = 1; i < 100; ++i)
    noise.push_back(static_cast<char>((x *= 69069) >> 24));
  const std::map<std::string, std::string> plains = {
      {"empty", ""}, {"rows", rows}, {"noise", noise}, {"zeros", std::string(5000, '\0')}};
  for (const auto& [name, plain] : plains) {
    for (const bool exact : {false, true}) {
      const std::string full = name + (exact ? "_exact" : "");
      put_block("decompress_lz4", full, Lz4Codec{.exact = exact}, plain);
      put_block("decompress_zstd", full, ZstdCodec{.level = 3, .exact = exact}, plain);
    }
    put_block("decompress_zstd", name + "_19", ZstdCodec{.level = 19, .exact = true}, plain);
    put_block("decompress_snappy", name, SnappyCodec{}, plain);
  }
}

void put_net_texts() {
  auto text = [n = 0](char kind, const std::string& bytes) mutable {
    put("net_text", "text" + std::to_string(n++), std::string(1, kind) + bytes);
  };
  text(0,
       "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\"><IsTruncated>true</IsTruncated>"
       "<Contents><Key>p%2Fa+b</Key><Size>12</Size></Contents><EncodingType>url</EncodingType>"
       "<NextContinuationToken>t&#x41;&amp;</NextContinuationToken></ListBucketResult>");
  text(0,
       "<ListMultipartUploadsResult><Upload><Key>k</Key><UploadId>i</UploadId><Initiated>"
       "2020-09-13T12:26:40.000Z</Initiated></Upload></ListMultipartUploadsResult>");
  text(0,
       "<InitiateMultipartUploadResult><!-- c --><UploadId><![CDATA[u]]></UploadId>"
       "</InitiateMultipartUploadResult>");
  text(0, "<Error><Code>SlowDown</Code><Message>m</Message><Region>eu-1</Region></Error>");
  text(1, R"({"items":[{"name":"a","size":"12","crc32c":"AAAAAA==","generation":"7","metadata":)"
          R"({"kvbackup-id":"i"}}],"nextPageToken":"t"})");
  text(1, R"({"error":{"code":403,"message":"no","errors":[{"reason":"rateLimitExceeded"}]}})");
  text(1, R"({"type":"service_account","client_email":"a@b","private_key":"-----BEGIN\n",)"
          R"("token_uri":"https://h/token","x":[1.5e3,true,null,"\ud83d\ude00"]})");
  for (const char* url : {"https://a.b:9000/p/q?x=1&y", "http://[::1]:80/", "http://127.0.0.1"}) {
    text(2, url);
  }
  for (const char* time : {"Fri, 24 May 2013 00:00:00 GMT", "2013-05-24T00:00:00.123Z", "120",
                           "bytes=0-262143", "md5=x,crc32c=AAAAAA=="}) {
    text(3, time);
  }
  text(4, "# c\n[default]\naws_access_key_id = a\n\n[profile p]\nregion=eu-1\n s3 =\n  x = y\n");
}

/// What the target `cloud` takes for an answer: a row of its table of statuses, values of its
/// headers in their order (null: it has none), a body.
std::string hostile_answer(char status, std::vector<const char*> headers, std::string_view body) {
  std::string out(1, status);
  char named = 0;
  std::string values;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    if (headers[i] == nullptr) continue;
    named = static_cast<char>(named | 1 << i);
    const std::string_view value = headers[i];
    values += static_cast<char>(value.size());
    values += value;
  }
  out += named;
  out += values;
  out += static_cast<char>(body.size() & 255);
  out += static_cast<char>(body.size() >> 8);
  out += body;
  return out;
}

void put_clouds() {
  constexpr char ok = 0, partial = 3, gone_on = 6, bad = 8, refused = 10, missing = 11, exists = 13,
                 busy = 14, lost = 15;
  constexpr const char* none = nullptr;
  auto put_cloud = [n = 0](char what, char flags, const std::string& answers) mutable {
    put("cloud", "answers" + std::to_string(n++), std::string{what, flags} + answers);
  };
  const std::string keys = hostile_answer(
      ok, {},
      R"({"AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2021-01-01T00:00:00Z"})");
  const std::string page = hostile_answer(
      ok, {},
      "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>p/a</Key><Size>1</Size>"
      "</Contents></ListBucketResult>");
  put_cloud(0, 2, keys + page);
  put_cloud(0, 3,
            hostile_answer(bad, {}, "<Error><Code>X</Code><Region>eu-1</Region></Error>") + page);
  put_cloud(1, 2,
            keys + hostile_answer(refused, {}, "<Error><Code>ExpiredToken</Code></Error>") + keys +
                hostile_answer(ok, {}, "bytes"));
  put_cloud(2, 3, hostile_answer(partial, {none, none, "bytes 3-7/9"}, "defgh"));
  put_cloud(
      3, 3,
      hostile_answer(refused, {none, none, none, none, none, "Sun, 13 Sep 2020 16:26:40 GMT"}, "") +
          hostile_answer(ok, {none, none, none, none, "5"}, ""));
  put_cloud(4, 3, hostile_answer(busy, {}, "") + hostile_answer(missing, {}, ""));
  put_cloud(
      5, 3,
      hostile_answer(lost, {}, "") + hostile_answer(exists, {}, "") + hostile_answer(ok, {}, ""));
  const std::string token =
      hostile_answer(ok, {}, R"({"access_token":"t","expires_in":3600,"token_type":"Bearer"})");
  put_cloud(
      0, 0,
      token +
          hostile_answer(ok, {}, R"({"items":[{"name":"p/a","size":"1"}],"nextPageToken":"t"})") +
          hostile_answer(ok, {}, "{}"));
  put_cloud(1, 1,
            hostile_answer(ok, {none, none, none, none, none, none, "crc32c=AAAAAA=="}, "bytes"));
  put_cloud(5, 5,
            hostile_answer(ok, {none, "https://storage.googleapis.com/s?upload_id=u"}, "") +
                hostile_answer(gone_on, {"bytes=0-262143"}, "") + hostile_answer(busy, {}, "") +
                hostile_answer(gone_on, {"bytes=0-262143"}, "") +
                hostile_answer(ok, {}, R"({"name":"p/a","size":"300000","generation":"1"})"));
  put_cloud(5, 1, hostile_answer(ok, {}, R"({"name":"p/a","size":"1000","generation":"1"})"));
}

void put_texts() {
  std::size_t n = 0;
  for (const char* url :
       {"local:///a/b%20c", "file:///x?y#z", "noop://", "/plain/path", "relative",
        "s3://bucket/p?access-key=AAAA&secret-access-key=BBBBBBBB&endpoint=http://127.0.0.1:9000",
        "gcs://bucket/prefix?credentials-file=/x", "azure://c/p", "LOCAL:///x", "local://",
        "local:x", "ftp://h/x", "local:///%zz", "s3:bucket"}) {
    put("storage_url", "url" + std::to_string(n++), url);
  }
  std::string lines;
  for (const auto& [key, value] : small_model(20))
    lines += to_hex(key) + '\t' + to_hex(value) + '\n';
  put("tsv", "hex", std::string("\x02", 1) + lines);
  put("tsv", "escaped",
      "\x01"
      "a\\x00\t\\377\\n\\\"\r\nb\tc\nd\\\\\t");
  put("tsv", "raw", ByteView("\0a\tb\nb\tc\r\nc\t\n", 14));
  put("tsv", "no_tab", ByteView("\0a\nb", 4));
  put("key_text", "escaped", "a\\x00\\377\\a\\b\\f\\n\\r\\t\\v\\\\\\'\\\"");
  put("key_text", "hex", "00ffAb09");
  put("key_text", "percent", "a%20b%2F%ff~");
}

/// The first byte chooses between keys, write records and lock records.
void put_mvcc() {
  put("mvcc", "key", std::string(1, '\0') + mvcc_key("user key", 20));
  MvccWrite write;
  write.start_ts = 300;
  write.short_value = "value";
  write.has_overlapped_rollback = true;
  write.gc_fence = 400;
  put("mvcc", "write", "\x01" + encode_mvcc_write(write) + "l");
  MvccLock lock;
  lock.primary = "primary";
  lock.ts = 300;
  lock.ttl = 3000;
  lock.short_value = "value";
  lock.for_update_ts = 301;
  lock.txn_size = 2;
  lock.min_commit_ts = 302;
  lock.use_async_commit = true;
  lock.secondaries = {"a", ""};
  lock.rollback_ts = {1, 2};
  put("mvcc", "lock", "\x02" + encode_mvcc_lock(lock));
}

/// What a node is asked; see service.cpp.
void put_requests() {
  BackupRequest request;
  request.is_raw_kv = true;
  request.start_key = "user/2";
  request.end_key = "user/8";
  request.concurrency = 4;
  request.compression_type = CompressionType::zstd;
  request.compression_level = -3;
  put("service", "raw", "\x33" + encode(request));
  request.compression_type = CompressionType::lz4;
  request.rate_limit = 1000;
  request.cluster_id = 7;
  put("service", "rate", "\x0b" + encode(request));
  request.cf = "write";
  put("service", "cf", "\x01" + encode(request));
  request.is_raw_kv = false;
  request.start_version = 3;
  request.end_version = 9;
  put("service", "txn", "\x01" + encode(request));
}

/// What a run keeps in its destination; see checkpoint.cpp and lock.cpp.
void put_run_objects() {
  CheckpointJob job;
  job.format = checkpoint_format;
  job.job_id = "0123456789abcdef";
  job.created_unix_ms = 1'600'000'000'000;
  job.settings = {{"codec", "lz4"}, {"part_size", "100"}};
  job.ranges.push_back({.cf = "default", .start = "a", .end = "z", .unknown_fields = {}});
  job.sub_ranges.push_back({.cf = "default", .start = "a", .end = "z", .unknown_fields = {}});
  put("checkpoint", "job_sealed", std::string(1, '\0') + encode_checkpoint(job));
  put("checkpoint", "job", "\x02" + encode(job));
  CheckpointParts parts;
  parts.job_id = job.job_id;
  parts.number = 2;
  CheckpointPart part;
  part.start = "a";
  part.end = "c";
  CheckpointFile file;
  file.file.emplace();
  file.file->name = "1_1_1_default.sst";
  file.file->sha256 = std::string(32, 's');
  file.file->start_key = "a";
  file.file->end_key = "c";
  file.proof = "etag";
  part.files = {file};
  parts.parts = {part, part};
  put("checkpoint", "parts_sealed", "\x01" + encode_checkpoint(parts));
  put("checkpoint", "parts", "\x03" + encode(parts));

  DestinationLock lock;
  lock.format = lock_format;
  lock.run_id = lock.job_id = job.job_id;
  lock.host = "host";
  lock.pid = 12;
  lock.process = "boot/pid/1";
  lock.started_unix_ms = lock.renewed_unix_ms = 1'600'000'000'000;
  lock.lease_ms = lock_lease_ms;
  const std::string times(24, '\x01');
  put("lock", "sealed", "\x06" + times + encode_lock(lock));
  put("lock", "unsealed", "\x07" + times + encode(lock));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: fuzz_seeds FOLDER\n";
    return 2;
  }
  top = argv[1];
  put_messages();
  put_blocks();
  put_texts();
  put_mvcc();
  put_requests();
  put_run_objects();
  put_net_texts();
  put_clouds();
  put_backups();
  put_tables("none", NoneCodec{});
  put_tables("lz4", Lz4Codec{});
  put_tables("snappy", SnappyCodec{});
  put_tables("zstd", ZstdCodec{});
  for (const auto& [name, bytes] : fuzz::table_bombs()) put("table", "bomb_" + name, bytes);
  put("backup", "bomb_meta_tree", archive_of(fuzz::meta_tree_bomb(), 0));
  for (const auto& [name, bytes] : fuzz::foreign_tables()) put("table", name, bytes);
  return 0;
}
