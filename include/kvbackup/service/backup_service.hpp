// SPDX-License-Identifier: Apache-2.0
// BackupService: a BackupRequest in, a stream of BackupResponses out, for any store of this
// process.
//
// What is the host's stands behind the BackupHost contract:
//
// clang-format off
// | expression                | result                | meaning
// |---------------------------|-----------------------|------------------------------------------
// | h.snapshot()              | Result<S>, a Snapshot | one state of the store, for a raw request
// | h.open_storage(storage,   | Result<B>, an         | where the files go; whether a client may
// |                cancel)    | ObjectBackend         | name that storage is decided here. The
// |                           |                       | token outlives the backend
// | h.mvcc_options()          | MvccOptions           | optional: snapshot() may be of a store in
// |                           |                       | TiKV's MVCC layout, so transactional
// |                           |                       | requests are taken. Versions are set from
// |                           |                       | the request
// clang-format on
//
// All are called from several threads at once. A node writes files and no backupmeta: that is the
// work of whoever asked all nodes.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/backup/layout.hpp"
#include "kvbackup/backup/mvcc_layout.hpp"
#include "kvbackup/backup/options.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/executor.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/proto/backup_service.hpp"
#include "kvbackup/service/compression.hpp"
#include "kvbackup/service/concept.hpp"
#include "kvbackup/service/detail/request_run.hpp"
#include "kvbackup/service/errors.hpp"
#include "kvbackup/service/regions.hpp"
#include "kvbackup/source/concept.hpp"
#include "kvbackup/source/mvcc_options.hpp"
#include "kvbackup/source/mvcc_snapshot.hpp"

namespace kvbackup::inline v1 {

template <class H>
concept BackupHost = requires(H& host, const StorageBackend& storage, const CancelToken* cancel) {
  { host.snapshot().ok() } -> std::same_as<bool>;
  requires Snapshot<typename decltype(host.snapshot())::value_type>;
  { host.open_storage(storage, cancel).ok() } -> std::same_as<bool>;
  requires ObjectBackend<typename decltype(host.open_storage(storage, cancel))::value_type>;
};

template <class H>
concept TransactionalHost = BackupHost<H> && requires(H& host) {
  { host.mvcc_options() } -> std::same_as<MvccOptions>;
};

struct BackupServiceOptions {
  /// A request for another cluster is refused; 0 takes every request, as TiKV does.
  std::uint64_t cluster_id = 0;
  std::uint64_t store_id = 1;  ///< stands in the names of files
  /// A part is closed, and answered, once the keys and values in it are that many bytes.
  std::uint64_t part_size = default_part_size;
  /// Requests worked on at once; the next one is told that the server is busy. With what a worker
  /// holds (see BackupPipeline) and `max_concurrency` this bounds the memory of the service.
  std::size_t max_requests = 8;
  /// Workers of one request: what it asks for, but no more than that, which is also what a request
  /// that asks for nothing gets.
  std::size_t max_concurrency = 4;
  std::uint32_t part_retries = 3;  ///< see BackupOptions
  std::string address = "this process";
};

/// Models BackupNode. `Codecs` is an AnyCodec of what a request may ask for, `Hash` a prototype.
/// backup() may be called from several threads at once.
///
/// What is wrong with the whole request is a Status: invalid_argument for a range, compression or
/// versions that can never work, not_found for an unknown column family. A wrong cluster, storage
/// that cannot be opened and too many requests are one response with an error, as BR expects them.
template <BackupHost Host, class Codecs, Hasher Hash, RegionLayout Regions = FixedRegions>
class BackupService {
 public:
  /// `clock` and `executor` are borrowed. Without an executor each request has one worker, the
  /// thread that calls.
  BackupService(Host host, Codecs /*set*/, Hash hash, Clock& clock, Executor* executor,
                BackupServiceOptions options = {}, Regions regions = {})
      : host_(std::move(host)),
        hash_(std::move(hash)),
        clock_(clock),
        executor_(executor),
        options_(std::move(options)),
        regions_(std::move(regions)) {}

  [[nodiscard]] std::string_view address() const { return options_.address; }

  Status backup(const BackupRequest& request, RespondRef respond, const CancelToken* cancel) {
    if (Status status = check_cancel(cancel); !status.ok()) return status;
    const Slot slot(running_);
    if (slot.number > options_.max_requests) {
      constexpr std::uint64_t backoff_ms = 1000;  // BR's own wait after a region error
      return respond(whole(
          request, server_is_busy("the node works on " + std::to_string(options_.max_requests) +
                                      " requests already",
                                  backoff_ms)));
    }
    if (options_.cluster_id != 0 && request.cluster_id != options_.cluster_id) {
      return respond(whole(request, wrong_cluster(options_.cluster_id, request.cluster_id)));
    }
    return check_and_run(request, respond, cancel);
  }

 private:
  /// One of the requests that are worked on.
  struct Slot {
    explicit Slot(std::atomic<std::size_t>& count)
        : running(count), number(count.fetch_add(1, std::memory_order_relaxed) + 1) {}
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    ~Slot() { running.fetch_sub(1, std::memory_order_relaxed); }
    std::atomic<std::size_t>& running;
    std::size_t number;
  };

  Status check_and_run(const BackupRequest& request, RespondRef respond,
                       const CancelToken* cancel) {
    KeyRange range{request.is_raw_kv && !request.cf.empty() ? request.cf : std::string(default_cf),
                   request.start_key, request.end_key};
    if (range.empty()) {
      return Status::error(StatusCode::invalid_argument,
                           "the start of the requested range must be below its end")
          .with_range(range.start, range.end);
    }
    auto codec = codec_for<Codecs>(request.compression_type, request.compression_level);
    if (!codec.ok()) return std::move(codec).status();
    if (!request.is_raw_kv) {
      return run_transactional(request, range, std::move(codec).value(), respond, cancel);
    }
    auto snapshot = host_.snapshot();
    if (!snapshot.ok()) return respond(whole(request, store_error_of(snapshot.status())));
    if (Status status = check_cf(snapshot.value(), range); !status.ok()) return status;
    return open_and_run(request, range, snapshot.value(), RawLayout{}, std::move(codec).value(),
                        respond, cancel);
  }

  Status run_transactional(const BackupRequest& request, const KeyRange& range, Codecs codec,
                           RespondRef respond, const CancelToken* cancel) {
    if constexpr (TransactionalHost<Host>) {
      MvccOptions options = host_.mvcc_options();
      options.start_version = request.start_version;
      options.end_version = request.end_version;
      options.cancel = cancel;
      if (Status status = options.validate(); !status.ok()) return status;
      using Inner = typename decltype(host_.snapshot())::value_type;
      auto snapshot = MvccSnapshot<Inner>::take(options, [this] { return host_.snapshot(); });
      if (!snapshot.ok()) return respond(whole(request, store_error_of(snapshot.status())));
      return open_and_run(request, range, snapshot.value(), MvccLayout{}, std::move(codec), respond,
                          cancel);
    } else {
      return Status::error(StatusCode::unsupported,
                           "this node has no transactional store; ask with is_raw_kv");
    }
  }

  template <Snapshot S>
  static Status check_cf(const S& snapshot, const KeyRange& range) {
    const auto scan = snapshot.scan(range);
    if (scan.ok() || scan.status().code() != StatusCode::not_found) return {};
    return Status::error(StatusCode::not_found, "InvalidCf { cf: " + detail::rust_string(range.cf) +
                                                    " }: " + std::string(scan.status().message()));
  }

  template <Snapshot S, Layout LayoutT>
  Status open_and_run(const BackupRequest& request, const KeyRange& range, const S& snapshot,
                      LayoutT layout, Codecs codec, RespondRef respond, const CancelToken* cancel) {
    if (!request.storage_backend ||
        std::holds_alternative<std::monostate>(request.storage_backend->backend)) {
      const Status unset =
          Status::error(StatusCode::not_found, "bad storage backend: the request names no storage");
      return respond(whole(request, error_of(unset)));
    }
    detail::Answers answers(respond, cancel);
    auto backend = host_.open_storage(*request.storage_backend, &answers.cancel());
    if (!backend.ok()) return respond(whole(request, error_of(backend.status())));
    using Backend = typename decltype(backend)::value_type;
    const std::size_t asked = request.concurrency;
    const detail::RequestSettings settings{
        .store_id = options_.store_id,
        .part_size = std::max<std::uint64_t>(options_.part_size, 1),
        .part_retries = options_.part_retries,
        .workers =
            asked == 0 ? options_.max_concurrency : std::min(asked, options_.max_concurrency),
        .clock = &clock_,
        .executor = executor_};
    detail::RequestRun<S, LayoutT, Codecs, Hash, Backend, Regions> run(
        request, settings, snapshot, std::move(layout), std::move(codec), hash_,
        std::move(backend).value(), regions_, answers);
    return run.run(range);
  }

  /// An answer about all of the request.
  static BackupResponse whole(const BackupRequest& request, Error error) {
    BackupResponse response;
    response.start_key = request.start_key;
    response.end_key = request.end_key;
    response.error = std::move(error);
    return response;
  }

  Host host_;
  Hash hash_;
  Clock& clock_;
  Executor* executor_;
  BackupServiceOptions options_;
  Regions regions_;
  std::atomic<std::size_t> running_{0};
};

}  // namespace kvbackup::inline v1
