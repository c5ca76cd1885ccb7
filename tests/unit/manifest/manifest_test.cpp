// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

namespace {

BackupMeta some_meta() {
  BackupMeta meta;
  meta.br_version = "kvbackup 9.9.9";
  meta.is_raw_kv = true;
  meta.ddls = "null";
  for (int i = 0; i < 3; ++i) {
    File file;
    file.name = std::to_string(i) + ".sst";
    file.sha256 = std::string(32, static_cast<char>('a' + i));
    file.total_kvs = 10;
    meta.files.push_back(std::move(file));
  }
  return meta;
}

KvbackupInfo some_info() {
  KvbackupInfo info;
  info.format = kvbackup_info_format;
  info.key_prefix = "z";
  info.profile = "br";
  info.file_crc32c = {1, 2, 0xffffffff};
  info.totals.emplace();
  info.totals->files = 3;
  return info;
}

// What a field of bytes looks like: tag, length, bytes.
std::string bytes_field(std::uint64_t number, ByteView bytes) {
  std::string out;
  append_varint(out, number << 3 | 2);
  append_length_prefixed(out, bytes);
  return out;
}

Status decode_status(const std::string& bytes) { return decode_manifest(bytes).status(); }

}  // namespace

TEST_CASE("a manifest says after a round trip what it said before") {
  const auto manifest = decode_manifest(encode_manifest(some_meta(), some_info()));
  REQUIRE(manifest.ok());
  CHECK(manifest.value().is_sealed);
  CHECK(encode(manifest.value().meta) == encode(some_meta()));
  REQUIRE(manifest.value().info);
  CHECK(encode(*manifest.value().info) == encode(some_info()));
  CHECK(encode_manifest(manifest.value().meta, *manifest.value().info) ==
        encode_manifest(some_meta(), some_info()));
}

TEST_CASE("the seal is the SHA-256 of every byte before it, and stands last") {
  const std::string bytes = encode_manifest(some_meta(), some_info());
  const std::string before = bytes.substr(0, bytes.size() - 36);
  CHECK(bytes == before + bytes_field(100002, as_bytes(PortableSha256::of(before))));
}

TEST_CASE("a reader that knows only BR's message reads the same backup") {
  const auto meta = decode<BackupMeta>(encode_manifest(some_meta(), some_info()));
  REQUIRE(meta.ok());
  CHECK(meta.value().files.size() == 3);
  CHECK(meta.value().br_version == "kvbackup 9.9.9");
}

TEST_CASE("any flipped bit and any truncation of a manifest is found") {
  const std::string bytes = encode_manifest(some_meta(), some_info());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK(decode_status(bytes.substr(0, size)).code() == StatusCode::corruption);
  }
  std::size_t survivors = 0;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    if (decode_status(damaged).ok()) ++survivors;
  }
  CHECK(survivors == 0);
}

TEST_CASE("a seal that is missing, moved, repeated or followed by something is damage") {
  const std::string bytes = encode_manifest(some_meta(), some_info());
  const std::string body = bytes.substr(0, bytes.size() - 36);
  const std::string seal = bytes.substr(bytes.size() - 36);
  CHECK(decode_status(body).code() == StatusCode::corruption);
  CHECK(decode_status(seal + body).code() == StatusCode::corruption);
  CHECK(decode_status(bytes + seal).code() == StatusCode::corruption);
  CHECK(decode_status(bytes + bytes_field(100003, "x")).code() == StatusCode::corruption);
  // a second seal that is right for what stands before it
  const std::string twice = bytes + bytes_field(100002, as_bytes(PortableSha256::of(bytes)));
  CHECK(decode_status(twice).code() == StatusCode::corruption);
}

TEST_CASE("a sealed manifest without our own field, or with two of them, is damage") {
  const auto sealed = [](std::string body) {
    const Sha256Digest digest = PortableSha256::of(body);
    return body + bytes_field(100002, as_bytes(digest));
  };
  const std::string meta = encode(some_meta());
  const std::string info = bytes_field(100001, encode(some_info()));
  CHECK(decode_status(sealed(meta + info)).ok());
  CHECK(decode_status(sealed(meta)).code() == StatusCode::corruption);
  CHECK(decode_status(sealed(meta + info + info)).code() == StatusCode::corruption);
}

TEST_CASE("a backupmeta of BR's own is read without protection, an unsealed one of ours is not") {
  BackupMeta meta = some_meta();
  meta.br_version = "BR\nRelease Version: v5.0.0-master\n";
  const auto manifest = decode_manifest(encode(meta));
  REQUIRE(manifest.ok());
  CHECK_FALSE(manifest.value().is_sealed);
  CHECK_FALSE(manifest.value().info);
  meta.br_version = "kvbackup 0.1.0";
  CHECK(decode_status(encode(meta)).code() == StatusCode::corruption);
  meta.br_version.clear();
  CHECK(decode_status(encode(meta)).code() == StatusCode::corruption);
}

TEST_CASE("a list of checksums that does not fit the list of files is damage") {
  KvbackupInfo info = some_info();
  info.file_crc32c.pop_back();
  CHECK(decode_status(encode_manifest(some_meta(), info)).code() == StatusCode::corruption);
}

TEST_CASE("a format of a later version is refused by its number") {
  KvbackupInfo info = some_info();
  info.format = 2;
  const Status status = decode_status(encode_manifest(some_meta(), info));
  CHECK(status.code() == StatusCode::unsupported);
  CHECK(status.to_string().find("2") != std::string::npos);
}

TEST_CASE("a folder without backupmeta holds no backup") {
  MemoryBackend backend;
  const auto manifest = read_manifest(backend);
  REQUIRE_FALSE(manifest.ok());
  CHECK(manifest.status().code() == StatusCode::not_found);
  CHECK(manifest.status().to_string().find("no backup") != std::string::npos);
}

TEST_CASE("a backupmeta that is too large to be one is not read") {
  struct Huge {
    [[nodiscard]] Result<std::vector<ObjectInfo>> list(std::string_view) {
      return std::vector<ObjectInfo>{{.name = "backupmeta", .size = max_backupmeta_size + 1}};
    }
    [[nodiscard]] Result<std::string> read(std::string_view) {
      FAIL("it was read");
      return std::string();
    }
    [[nodiscard]] std::string url() const { return "huge://"; }
  } huge;
  const auto manifest = read_manifest(huge);
  REQUIRE_FALSE(manifest.ok());
  CHECK(manifest.status().code() == StatusCode::resource_exhausted);
}

TEST_CASE("a backup of BR's meta version 2 is not taken for an empty one") {
  BackupMeta meta = some_meta();
  meta.br_version = "BR\nRelease Version: v7.5.0\n";
  const auto manifest = decode_manifest(encode(meta) + bytes_field(13, ""));
  REQUIRE(manifest.ok());
  CHECK(manifest.value().needs_meta_objects());
}

TEST_CASE("lists of more entries than the bytes can spell are refused before they are made") {
  const std::string version = bytes_field(11, "BR");
  const auto many = [](std::uint64_t field, ByteView entry) {
    std::string out;
    for (int i = 0; i < 100'000; ++i) out += bytes_field(field, entry);
    return out;
  };
  const auto refused = [](const std::string& bytes) {
    const Status status = decode_status(bytes);
    CHECK(status.to_string().find("more entries") != std::string::npos);
    return status.code() == StatusCode::corruption;
  };
  CHECK(refused(many(4, "") + version));                          // files
  CHECK(refused(many(4, bytes_field(1, "name.sst")) + version));  // without a SHA-256
  CHECK(refused(many(7, "") + version));                          // schemas
  CHECK(refused(many(9, bytes_field(3, "d")) + version));         // raw ranges
  CHECK(refused(version + bytes_field(13, many(2, ""))));         // the root of BR's trees
  KvbackupInfo info = some_info();
  info.ranges.resize(100'000);
  CHECK(refused(encode_manifest(some_meta(), info)));
  // the shortest that are written
  CHECK(decode_status(many(9, bytes_field(1, "k") + bytes_field(3, "default")) + version).ok());
  CHECK(decode_status(many(4, bytes_field(1, "1.sst") + bytes_field(2, std::string(32, 's'))) +
                      version)
            .ok());
}

TEST_CASE("an object of BR's trees cannot list more than its bytes can spell either") {
  MemoryBackend backend;
  const auto put = [&backend](std::string_view name, ByteView bytes) {
    auto writer = backend.create(name);
    REQUIRE(writer.ok());
    REQUIRE(writer.value().append(bytes).ok());
    REQUIRE(writer.value().commit().ok());
  };
  std::string node;
  for (int i = 0; i < 100'000; ++i) node += bytes_field(2, "");
  put("backupmeta.datafile.1", node);
  BackupMetaIndex index;
  index.file_index.emplace();
  index.file_index->meta_files.emplace_back();
  index.file_index->meta_files[0].name = "backupmeta.datafile.1";
  index.file_index->meta_files[0].sha256 = as_bytes(PortableSha256::of(node));
  put("backupmeta", bytes_field(11, "BR") + encode(index));
  const Status status = read_manifest(backend).status();
  CHECK(status.code() == StatusCode::corruption);
  CHECK(status.object() == "backupmeta.datafile.1");
  CHECK(status.to_string().find("more entries") != std::string::npos);
}
