// SPDX-License-Identifier: Apache-2.0
// coordinator_bound: a backup of 10,000 regions and 100,000 files from three nodes, a tenth of it
// missing at first, holds the peak of the heap below 200 MiB, and prints the CPU
// time of its bookkeeping.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "counted_heap.hpp"

namespace {

using namespace kvbackup;

constexpr std::size_t region_count = 10'000;
constexpr std::size_t parts_a_region = 10;
constexpr std::size_t parts = region_count * parts_a_region;
constexpr std::size_t node_count = 3;

// as long as TiDB's
std::string key_of(std::size_t number) {
  if (number == 0 || number == parts) return {};
  std::string key = table_key_prefix(54, "_r");
  append_be64(key, number);
  return key;
}

std::size_t part_of(const std::string& key, std::size_t otherwise) {
  return key.empty() ? otherwise : load_be64(key.data() + key.size() - 8);
}

/// Has the files it speaks of nowhere: its storage lists what it is told.
struct Storage {
  std::vector<ObjectInfo> objects;
  std::string manifest;

  struct Writer {
    Storage* storage;
    Status append(ByteView bytes) {
      storage->manifest.assign(bytes);
      return {};
    }
    Result<ObjectInfo> commit() { return ObjectInfo{}; }
    void abandon() {}
  };
  Result<Writer> create(std::string_view, CreateOptions = {}) { return Writer{this}; }
  [[nodiscard]] static std::string url() { return "listed://"; }
  Result<std::string> read(std::string_view) { return std::string(); }
  Result<std::string> read_range(std::string_view, std::uint64_t, std::uint64_t) {
    return std::string();
  }
  Result<std::vector<ObjectInfo>> list(std::string_view) { return objects; }
  Result<bool> exists(std::string_view) { return false; }
  Status remove(std::string_view) { return {}; }
};

std::string name_of(std::size_t part) {
  return sst_file_name({.store_id = 1 + part / parts_a_region % node_count,
                        .region_id = 1 + part / parts_a_region,
                        .epoch = 5,
                        .unix_ms = 1'600'000'000'000,
                        .is_raw_kv = false},
                       key_of(part), "write");
}

/// Leads every third region. Answers for a part at a time, as TiKV 5.4 and later; at first it
/// leaves every tenth region out. Its answers are made as a decoder makes them.
struct Node {
  std::size_t number;
  std::string name;
  bool is_first_time = true;

  Status backup(const BackupRequest& request, RespondRef respond, const CancelToken*) {
    const bool leaves_out = is_first_time;
    is_first_time = false;
    const std::size_t first = part_of(request.start_key, 0) / parts_a_region;
    const std::size_t end = part_of(request.end_key, parts) / parts_a_region;
    for (std::size_t region = first; region < end; ++region) {
      if (region % node_count != number || (leaves_out && region % 10 == 0)) continue;
      for (std::size_t i = 0; i < parts_a_region; ++i) {
        Status status = answer(request, region * parts_a_region + i, respond);
        if (!status.ok()) return status;
      }
    }
    return {};
  }
  [[nodiscard]] std::string_view address() const { return name; }

  static Status answer(const BackupRequest& request, std::size_t part, RespondRef respond) {
    BackupResponse response;
    response.start_key = key_of(part);
    response.end_key = key_of(part + 1);
    File file;
    file.name = name_of(part);
    file.sha256 = std::string(32, 's');
    file.start_key = response.start_key;
    file.end_key = response.end_key;
    file.end_version = request.end_version;
    file.crc64xor = part;
    file.total_kvs = 1'000'000;
    file.total_bytes = 144 << 20;
    file.cf = "write";
    file.size = 40 << 20;
    response.files.push_back(std::move(file));
    auto decoded = decode<BackupResponse>(encode(response));
    return respond(std::move(decoded).value());
  }
};

struct NoRandom final : RandomSource {
  std::uint64_t next() override { return 0; }
};

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

int main() {
  Storage storage;
  for (std::size_t part = 0; part < parts; ++part) {
    storage.objects.push_back({name_of(part), 40 << 20});
  }
  std::sort(storage.objects.begin(), storage.objects.end(),
            [](const ObjectInfo& a, const ObjectInfo& b) { return a.name < b.name; });
  std::vector<Node> nodes{{0, "a"}, {1, "b"}, {2, "c"}};
  const std::vector<NodeRef> refs{NodeRef(nodes[0]), NodeRef(nodes[1]), NodeRef(nodes[2])};
  SystemClock clock;
  NoRandom random;
  CoordinatorOptions options;
  options.request.end_version = 9;
  options.clock = &clock;
  options.random = &random;
  const std::size_t before = heap::live.load();
  heap::peak = before;
  const double began = cpu_seconds();
  const auto result = coordinate_backup(refs, storage, options);
  const double seconds = cpu_seconds() - began;
  const std::size_t grown = heap::peak.load() - before;
  if (!result.ok()) {
    std::printf("%s\n", result.status().to_string().c_str());
    return 1;
  }
  std::printf(
      "%zu files in %llu rounds: peak of the heap %.1f MiB, CPU %.2f s (the nodes' part "
      "included), backupmeta %.1f MiB\n",
      result.value().meta.files.size(), static_cast<unsigned long long>(result.value().rounds),
      static_cast<double>(grown) / (1 << 20), seconds,
      static_cast<double>(storage.manifest.size()) / (1 << 20));
  constexpr std::size_t limit = 200u << 20;
  const bool complete = result.value().meta.files.size() == parts && result.value().rounds == 2 &&
                        result.value().orphans.empty();
  return complete && grown < limit ? 0 : 1;
}
