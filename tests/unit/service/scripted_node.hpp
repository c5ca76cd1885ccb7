// SPDX-License-Identifier: Apache-2.0
// Nodes that do what a test tells them, and what most tests of the coordinator begin with.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "support/fixed_clock.hpp"
#include "support/net_seams.hpp"

namespace test_support {

using namespace kvbackup;

/// A BackupNode that is one function. Calls may come from several threads.
class ScriptedNode {
 public:
  using Answer = std::function<Status(const BackupRequest&, RespondRef)>;

  ScriptedNode(std::string address, Answer answer)
      : address_(std::move(address)), answer_(std::move(answer)) {}

  Status backup(const BackupRequest& request, RespondRef respond, const CancelToken* cancel) {
    ++calls_;
    if (Status status = check_cancel(cancel); !status.ok()) return status;
    return answer_(request, respond);
  }
  [[nodiscard]] std::string_view address() const { return address_; }
  [[nodiscard]] int calls() const { return calls_; }

 private:
  std::string address_;
  Answer answer_;
  std::atomic<int> calls_{0};
};

/// Raw regions of a store, each backed up by a pipeline of its own into `storage`: real files.
class RegionNode {
 public:
  RegionNode(std::string address, std::uint64_t store_id, std::map<std::string, std::string> store,
             std::vector<KeyRange> regions, MemoryBackend storage)
      : address_(std::move(address)),
        store_id_(store_id),
        store_(std::move(store)),
        regions_(std::move(regions)),
        storage_(std::move(storage)) {}

  /// Decides, before each region clip, what happens instead of an answer: nothing, a response with
  /// an error (ok() and has an error), or the end of the stream (a failure).
  std::function<Result<BackupResponse>(std::uint64_t clip, const KeyRange& keys)> fault;

  Status backup(const BackupRequest& request, RespondRef respond, const CancelToken* cancel) {
    const KeyRange asked{request.cf, request.start_key, request.end_key};
    for (const KeyRange& region : regions_) {
      const auto clip = intersection(asked, region);
      if (!clip) continue;
      if (Status status = check_cancel(cancel); !status.ok()) return status;
      const std::uint64_t number = ++clips_;
      if (fault) {
        auto happens = fault(number, *clip);
        if (!happens.ok()) return std::move(happens).status();
        if (happens.value().error) {
          if (Status status = respond(std::move(happens).value()); !status.ok()) return status;
          continue;
        }
      }
      auto answer = back_up(*clip, number);
      if (!answer.ok()) return std::move(answer).status();
      if (Status status = respond(std::move(answer).value()); !status.ok()) return status;
    }
    return {};
  }
  [[nodiscard]] std::string_view address() const { return address_; }

 private:
  Result<BackupResponse> back_up(const KeyRange& clip, std::uint64_t number) {
    MemoryBackend own;
    FixedClock clock(1'600'000'000'000 + number);
    BackupOptions options;
    options.ranges = {clip};
    options.store_id = store_id_;
    options.region_epoch = number;
    options.part_size = 4'000;
    options.clock = &clock;
    auto pipeline = BackupPipeline(RangeSource(store_), NoneCodec{}, FileHasher{}, own);
    auto meta = pipeline.run(options);
    if (!meta.ok()) return std::move(meta).status();
    BackupResponse response;
    response.start_key = clip.start;
    response.end_key = clip.end;
    for (File& file : meta.value().files) {
      auto writer = storage_.create(file.name, {});
      if (!writer.ok()) return std::move(writer).status();
      if (Status status = writer.value().append(own.read(file.name).value()); !status.ok()) {
        return status;
      }
      auto stored = writer.value().commit();
      if (!stored.ok()) return std::move(stored).status();
      response.files.push_back(std::move(file));
    }
    return response;
  }

  std::string address_;
  std::uint64_t store_id_;
  std::map<std::string, std::string> store_;
  std::vector<KeyRange> regions_;
  MemoryBackend storage_;
  std::atomic<std::uint64_t> clips_{0};
};

/// Keeps what it is told, and notices two calls at once.
class RunRecorder final : public CoordinatorObserver {
 public:
  void on_progress(const CoordinatorProgress& progress) override {
    const Guard guard(*this);
    last = progress;
  }
  void on_trouble(const Status& why) override {
    const Guard guard(*this);
    troubles.push_back(why.to_string());
  }
  void on_orphan(const File& file) override {
    const Guard guard(*this);
    orphans.push_back(file.name);
  }
  void on_retry(const Status& why, std::uint64_t wait_ms) override {
    const Guard guard(*this);
    reasons.push_back(why.to_string());
    waits.push_back(wait_ms);
  }
  void on_gap(const KeyRange& keys, const Status& why) override {
    const Guard guard(*this);
    gaps.push_back(keys);
    gap_reasons.push_back(why.to_string());
  }

  CoordinatorProgress last;
  std::vector<std::string> troubles;
  std::vector<std::string> orphans;
  std::vector<std::string> reasons;
  std::vector<std::uint64_t> waits;
  std::vector<KeyRange> gaps;
  std::vector<std::string> gap_reasons;
  std::atomic<bool> overlapped{false};

 private:
  struct Guard {
    explicit Guard(RunRecorder& r) : recorder(r) {
      if (recorder.inside_.fetch_add(1) != 0) recorder.overlapped = true;
    }
    ~Guard() { recorder.inside_.fetch_sub(1); }
    RunRecorder& recorder;
  };
  std::atomic<int> inside_{0};
};

/// The seams of a run, and options that use them.
struct Bench {
  FixedClock clock;
  FixedRandom random{12'345};
  RunRecorder recorder;
  MemoryBackend storage;
  CoordinatorOptions options;

  explicit Bench(bool raw = true) {
    options.request.is_raw_kv = raw;
    options.request.cf = raw ? "default" : "";
    options.request.start_version = 0;
    options.request.end_version = raw ? 0 : 400;
    options.clock = &clock;
    options.random = &random;
    options.observer = &recorder;
  }

  template <class... Nodes>
  Result<CoordinatorResult> run(Nodes&... nodes) {
    const std::vector<NodeRef> refs{NodeRef(nodes)...};
    return coordinate_backup(refs, storage, options);
  }
  void put(std::string_view name, std::string_view bytes) {
    auto writer = storage.create(name, {.size_hint = {}, .if_absent = false});
    (void)writer.value().append(bytes);
    (void)writer.value().commit();
  }
  bool has(std::string_view name) { return storage.exists(name).value(); }
};

/// An answer for [start, end) with one file, which `bench` then stores.
inline BackupResponse answer_of(Bench& bench, std::string start, std::string end,
                                std::string name) {
  BackupResponse response;
  response.start_key = start;
  response.end_key = end;
  File file;
  file.name = std::move(name);
  file.sha256 = std::string(32, 's');
  file.start_key = std::move(start);
  file.end_key = std::move(end);
  file.start_version = bench.options.request.start_version;
  file.end_version = bench.options.request.end_version;
  file.crc64xor = 5;
  file.total_kvs = 1;
  file.total_bytes = 10;
  file.cf = bench.options.request.is_raw_kv ? "default" : "write";
  file.size = 4;
  bench.put(file.name, "file");
  response.files.push_back(std::move(file));
  return response;
}

inline BackupResponse error_response(std::string start, std::string end, Error error) {
  BackupResponse response;
  response.start_key = std::move(start);
  response.end_key = std::move(end);
  response.error = std::move(error);
  return response;
}
inline Error message_error(std::string text) {
  Error error;
  error.msg = std::move(text);
  return error;
}
inline Error busy_error() {
  Error error;
  RegionError region;
  region.message = "region 7 is busy";
  region.server_is_busy.emplace();
  error.detail = std::move(region);
  return error;
}
inline Error lock_error(std::string key, std::uint64_t version) {
  Error error;
  KeyError locked;
  locked.locked.emplace();
  locked.locked->key = std::move(key);
  locked.locked->lock_version = version;
  error.detail = std::move(locked);
  return error;
}

}  // namespace test_support
