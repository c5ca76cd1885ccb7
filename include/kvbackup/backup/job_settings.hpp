// SPDX-License-Identifier: Apache-2.0
// What makes two runs the same job: whatever decides the bytes of the backup, by names for people.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kvbackup/backup/layout.hpp"
#include "kvbackup/backup/options.hpp"
#include "kvbackup/backup/plan.hpp"
#include "kvbackup/base/hex.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/manifest/checkpoint.hpp"
#include "kvbackup/source/concept.hpp"
#include "kvbackup/version.hpp"

namespace kvbackup::inline v1 {

/// What tells the state that a source gives from any other of it, and from any of another store:
/// its state(), or where it has none its identity(). Empty where it cannot tell.
template <class Source>
[[nodiscard]] std::string source_state(const Source& source) {
  if constexpr (StatefulSource<Source>) {
    return source.state();
  } else if constexpr (IdentifiedSource<Source>) {
    return source.identity();
  } else {
    return {};
  }
}

namespace detail {

template <class Codec>
[[nodiscard]] std::string describe_codec(const Codec& codec) {
  std::string text(codec.name());
  if constexpr (requires { std::string(codec.parameters()); }) {
    const std::string parameters = codec.parameters();
    if (!parameters.empty()) text += ' ' + parameters;
  }
  return text;
}

[[nodiscard]] inline std::vector<CompletedRange> recorded_ranges(
    const std::vector<KeyRange>& ranges) {
  std::vector<CompletedRange> out;
  for (const KeyRange& range : ranges) {
    CompletedRange recorded;
    recorded.cf = range.cf;
    recorded.start = range.start;
    recorded.end = range.end;
    out.push_back(std::move(recorded));
  }
  return out;
}

/// The job that a run does, but for its id.
template <class Source, BlockCodec Codec, Layout LayoutT>
[[nodiscard]] CheckpointJob job_of(const Source& source, const Codec& codec, const LayoutT& layout,
                                   const BackupPlan& plan, const BackupOptions& options,
                                   std::uint64_t unix_ms) {
  CheckpointJob job;
  job.format = checkpoint_format;
  job.created_unix_ms = unix_ms;
  const auto number = [](std::uint64_t n) { return std::to_string(n); };
  // a later version may write other bytes
  job.settings["version of kvbackup"] = KVBACKUP_VERSION_STRING;
  job.settings["profile"] = layout.profile();
  job.settings["key prefix"] = to_hex(layout.key_prefix());
  job.settings["compression"] = describe_codec(codec);
  job.settings["part size"] = number(options.part_size);
  job.settings["store id"] = number(options.store_id);
  job.settings["region id"] = number(options.region_id);
  job.settings["region epoch"] = number(options.region_epoch);
  job.settings["store folder"] = options.store_folder ? "yes" : "no";
  job.settings["cluster id"] = number(options.cluster_id);
  job.settings["cluster version"] = options.cluster_version;
  if constexpr (VersionedSource<Source>) {
    job.settings["start version"] = number(source.start_version());
    job.settings["end version"] = number(source.end_version());
  }
  if constexpr (IdentifiedSource<Source>) job.settings["kind of source"] = source.kind();
  job.settings["state of the source"] = source_state(source);
  job.ranges = recorded_ranges(plan.ranges);
  job.sub_ranges = recorded_ranges(plan.sub_ranges);
  return job;
}

}  // namespace detail
}  // namespace kvbackup::inline v1
