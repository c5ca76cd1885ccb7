// SPDX-License-Identifier: Apache-2.0
// Copies every pair of a source into the new store that a sink URI names.
#pragma once

#include <cstdio>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <kvbackup/ext/leveldb.hpp>
#include <kvbackup/ext/lmdb.hpp>
#include <kvbackup/ext/rocksdb.hpp>
#include <kvbackup/kvbackup.hpp>

#include "program.hpp"
#include "progress.hpp"
#include "stores.hpp"
#include "uri.hpp"

namespace program {

/// Counts what is copied and shows it; looks at the cancel token now and then.
class CopyProgress {
 public:
  explicit CopyProgress(std::string title) : display_(std::move(title), "", clock_) {}

  kvbackup::Status add(std::size_t bytes) {
    progress_.pairs += 1;
    progress_.bytes += bytes;
    constexpr std::uint64_t pairs_between_looks = 1024;
    if (progress_.pairs % pairs_between_looks != 0) return {};
    display_.on_progress(progress_);
    return kvbackup::check_cancel(&cancel_token());
  }
  kvbackup::Progress& progress() { return progress_; }

 private:
  kvbackup::SystemClock clock_;
  ProgressDisplay display_;
  kvbackup::Progress progress_;
};

/// Puts what `source` has left into `sink`.
template <kvbackup::SortedSource Source, kvbackup::Sink Sink>
kvbackup::Status copy_pairs(Source& source, Sink& sink, CopyProgress& progress) {
  for (; source.valid(); source.next()) {
    const kvbackup::ByteView key = source.key();
    const kvbackup::ByteView value = source.value();
    if (kvbackup::Status status = sink.put(key, value); !status.ok()) return status;
    kvbackup::Status status = progress.add(key.size() + value.size());
    if (!status.ok()) return status;
  }
  return source.status();
}

/// What all ranges together hold, where the source can tell.
template <class Source>
kvbackup::SizeEstimate total_of(const Source& source,
                                const std::vector<kvbackup::KeyRange>& ranges) {
  kvbackup::SizeEstimate total{.pairs = 0, .bytes = std::nullopt};
  for (const kvbackup::KeyRange& range : ranges) {
    const auto pairs = source.estimate(range).pairs;
    if (!pairs) return {};
    *total.pairs += *pairs;
  }
  return total;
}

/// Puts every column family of `source` into `sink`; one that has no use(cf) takes a single one.
template <class Source, kvbackup::Sink Sink>
kvbackup::Status copy_all(Source& source, Sink& sink, CopyProgress& progress) {
  if constexpr (kvbackup::EnumerableSnapshot<Source>) {
    auto ranges = source.ranges();
    if (!ranges.ok()) return std::move(ranges).status();
    constexpr bool has_databases = requires { sink.use(std::string_view()); };
    if (!has_databases && ranges.value().size() > 1) {
      return usage_error("the source has " + std::to_string(ranges.value().size()) +
                         " databases and the sink holds one; name one with ?db=");
    }
    for (const kvbackup::KeyRange& range : ranges.value()) {
      if (progress.progress().total_ranges == 0) {
        progress.progress().total = total_of(source, ranges.value());
      }
      progress.progress().total_ranges = ranges.value().size();
      if constexpr (has_databases) {
        // a single database goes where the sink's URI says
        const std::string_view cf = ranges.value().size() > 1 ? range.cf : kvbackup::default_cf;
        if (kvbackup::Status status = sink.use(cf); !status.ok()) return status;
      }
      auto scan = source.scan(range);
      if (!scan.ok()) return std::move(scan).status();
      kvbackup::Status status = copy_pairs(scan.value(), sink, progress);
      if (!status.ok()) return status;
      progress.progress().ranges += 1;
    }
    return {};
  } else {
    return copy_pairs(source, sink, progress);
  }
}

template <class Source, class Sink>
kvbackup::Status copy_and_report(Source& source, kvbackup::Result<Sink> sink,
                                 const std::string& sink_uri, std::string_view command,
                                 const CommonFlags& flags) {
  if (!sink.ok()) return std::move(sink).status();
  kvbackup::SystemClock clock;
  const std::uint64_t start = clock.steady_ns();
  kvbackup::Progress done;
  {
    CopyProgress progress{std::string(command)};
    kvbackup::Status status = copy_all(source, sink.value(), progress);
    if (status.ok()) status = sink.value().finish();
    if (!status.ok()) return status;
    done = progress.progress();
  }
  const double seconds = static_cast<double>(clock.steady_ns() - start) * 1e-9;
  // with tsv:- the pairs themselves are the result
  const bool stdout_is_taken = sink_uri == "tsv:-" || sink_uri.starts_with("tsv:-?");
  if (flags.json && !stdout_is_taken) {
    JsonObject root;
    root.add("command", command).add("sink", sink_uri);
    root.add("total_kvs", done.pairs).add("total_bytes", done.bytes).add("seconds", seconds);
    std::printf("%s\n", root.text().c_str());
  } else {
    std::fprintf(stdout_is_taken ? stderr : stdout, "%.*s: %llu pairs, %s, in %s to %s\n",
                 static_cast<int>(command.size()), command.data(),
                 static_cast<unsigned long long>(done.pairs),
                 human_bytes(static_cast<double>(done.bytes)).c_str(),
                 human_duration(seconds).c_str(), sink_uri.c_str());
  }
  return {};
}

/// Copies `source` to what `sink_uri` names and prints a line about it (JSON with --json).
template <class Source>
kvbackup::Status copy_to(const std::string& sink_uri, Source& source, std::string_view command,
                         const CommonFlags& flags) {
  const auto uri = parse_store_uri(sink_uri);
  if (!uri.ok()) return uri.status();
  if constexpr (kvbackup::EnumerableSnapshot<Source>) {
    if (uri.value().parameter("cf") || uri.value().parameter("db")) {
      const auto ranges = source.ranges();
      if (!ranges.ok()) return ranges.status();
      if (ranges.value().size() > 1) {
        return usage_error("the source has " + std::to_string(ranges.value().size()) +
                           " databases and the sink's URI names one; name one of the source too");
      }
    }
  }
  if (uri.value().scheme == "lmdb") {
    kvbackup::LmdbSinkOptions options;
    options.db = uri.value().parameter("db").value_or("");
    return copy_and_report(source, kvbackup::LmdbSink::open(uri.value().path, options), sink_uri,
                           command, flags);
  }
  if (uri.value().scheme == "rocksdb") {
    using LoadSink = kvbackup::BasicRocksdbSink<kvbackup::Xxh3Checksum, kvbackup::Lz4Codec>;
    kvbackup::RocksdbSinkOptions options;
    options.cf = uri.value().parameter("cf").value_or(std::string(kvbackup::default_cf));
    return copy_and_report(source, LoadSink::open(uri.value().path, options), sink_uri, command,
                           flags);
  }
  if (uri.value().scheme == "leveldb") {
    return copy_and_report(source, kvbackup::LeveldbSink::open(uri.value().path), sink_uri, command,
                           flags);
  }
  if (uri.value().scheme == "sst") {
    return usage_error("sst: is a source; to write SST files, back the store up");
  }
  const auto format = tsv_format(uri.value());
  if (!format.ok()) return format.status();
  if (uri.value().path == "-") {
    using StdoutSink = decltype(kvbackup::tsv_to_fd(STDOUT_FILENO, "", format.value()));
    return copy_and_report(source,
                           kvbackup::Result<StdoutSink>(kvbackup::tsv_to_fd(
                               STDOUT_FILENO, "standard output", format.value())),
                           sink_uri, command, flags);
  }
  return copy_and_report(source, kvbackup::create_tsv(uri.value().path, format.value()), sink_uri,
                         command, flags);
}

}  // namespace program
