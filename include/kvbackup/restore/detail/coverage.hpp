// SPDX-License-Identifier: Apache-2.0
// Whether the files of a backup tile the ranges that it says it holds.
#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/manifest/manifest.hpp"
#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/file_index.hpp"
#include "kvbackup/restore/verify_report.hpp"

namespace kvbackup::inline v1::detail {

/// Files that answer for the same keys: one file of a raw backup; the default and the write file of
/// a transactional one, which share the stem of their names.
struct Part {
  const File* file;  ///< the first of them
};

/// "1_2_1_default.sst" without "_default.sst".
[[nodiscard]] inline std::string_view stem_of(std::string_view name) {
  return name.substr(0, name.rfind('_'));
}

/// Judges the files of a backup against its ranges, cf by cf (all cfs of a transactional backup
/// together), and reports what it finds.
class CoverageCheck {
 public:
  CoverageCheck(const Manifest& manifest, VerifyReport& report)
      : manifest_(manifest),
        report_(report),
        severity_(manifest.info ? Severity::damage : Severity::unprovable) {}

  void run() {
    collect_parts();
    collect_ranges();
    for (auto& [cf, parts] : parts_) {
      std::stable_sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
        return a.file->start_key < b.file->start_key;
      });
      check_overlaps(cf, parts);
      if (ranges_known_) check_inside(cf, parts);
    }
    if (!ranges_known_) {
      if (!parts_.empty()) {
        report_.add({Severity::unprovable, "", std::nullopt,
                     "coverage cannot be proven: backupmeta does not say which key ranges were "
                     "completed"});
      }
      return;
    }
    for (const auto& [cf, ranges] : ranges_) {
      for (const KeyRange& range : ranges) check_tiled(range, parts_[cf]);
    }
  }

 private:
  void collect_parts() {
    std::map<std::string_view, const File*> stems;
    for (const File& file : manifest_.meta.files) {
      if (is_inverted(file)) {
        report_.add({Severity::damage, file.name,
                     KeyRange{std::string(cf_of(file)), file.start_key, file.end_key},
                     "its key range is empty: the start is not below the end"});
        continue;
      }
      if (manifest_.meta.is_raw_kv) {
        parts_[std::string(cf_of(file))].push_back({&file});
        continue;
      }
      const auto [at, is_new] = stems.emplace(stem_of(file.name), &file);
      if (is_new) {
        parts_[std::string()].push_back({&file});
      } else if (at->second->start_key != file.start_key || at->second->end_key != file.end_key) {
        report_.add(
            {Severity::damage, file.name,
             KeyRange{std::string(cf_of(file)), file.start_key, file.end_key},
             "it is of one part with " + at->second->name + ", and answers for another key range"});
      }
    }
  }

  void collect_ranges() {
    const bool raw = manifest_.meta.is_raw_kv;
    if (manifest_.info) {
      ranges_known_ = true;
      for (const CompletedRange& range : manifest_.info->ranges) {
        ranges_[raw ? range.cf : std::string()].push_back({range.cf, range.start, range.end});
      }
    } else if (raw && !manifest_.meta.raw_ranges.empty()) {
      ranges_known_ = true;
      for (const RawRange& range : manifest_.meta.raw_ranges) {
        const std::string cf(range.cf.empty() ? default_cf : std::string_view(range.cf));
        ranges_[cf].push_back({cf, range.start_key, range.end_key});
      }
    }
    // the ranges of a transactional backup may be recorded once for each cf
    for (auto& [cf, ranges] : ranges_) {
      std::sort(ranges.begin(), ranges.end(), [](const KeyRange& a, const KeyRange& b) {
        return std::tie(a.start, a.end) < std::tie(b.start, b.end);
      });
      ranges.erase(std::unique(ranges.begin(), ranges.end(),
                               [](const KeyRange& a, const KeyRange& b) {
                                 return a.start == b.start && a.end == b.end;
                               }),
                   ranges.end());
    }
  }

  void check_overlaps(const std::string& cf, const std::vector<Part>& parts) {
    const Part* furthest = nullptr;
    for (const Part& part : parts) {
      if (furthest != nullptr && begins_before(part.file->start_key, furthest->file->end_key)) {
        const ByteView end = ends_within(part.file->end_key, furthest->file->end_key)
                                 ? part.file->end_key
                                 : furthest->file->end_key;
        report_.add({severity_, part.file->name,
                     KeyRange{cf, part.file->start_key, std::string(end)},
                     "it overlaps " + furthest->file->name +
                         (manifest_.info ? ": both hold these keys"
                                         : ": which of them is right cannot be proven")});
      }
      if (furthest == nullptr || !ends_within(part.file->end_key, furthest->file->end_key)) {
        furthest = &part;
      }
    }
  }

  // Every part lies in one range.
  void check_inside(const std::string& cf, const std::vector<Part>& parts) {
    const auto found = ranges_.find(cf);
    for (const Part& part : parts) {
      const File& file = *part.file;
      bool inside = false;
      if (found != ranges_.end()) {
        const auto after = std::partition_point(
            found->second.begin(), found->second.end(),
            [&file](const KeyRange& range) { return range.start <= file.start_key; });
        inside = after != found->second.begin() && ends_within(file.end_key, std::prev(after)->end);
      }
      if (inside) continue;
      report_.add({severity_, file.name, KeyRange{cf, file.start_key, file.end_key},
                   "it answers for keys outside of the ranges that backupmeta says it holds"});
    }
  }

  // A range has no file at all, which is one without data, or its parts follow one another from its
  // start to its end.
  void check_tiled(const KeyRange& range, const std::vector<Part>& parts) {
    const std::string* covered_to = &range.start;
    bool covered = false;  // to the last key there is
    bool any = false;
    auto part = std::partition_point(parts.begin(), parts.end(), [&range](const Part& each) {
      return each.file->start_key < range.start;
    });
    if (part != parts.begin()) --part;
    for (; part != parts.end() && begins_before(part->file->start_key, range.end); ++part) {
      const File& file = *part->file;
      if (!begins_before(range.start, file.end_key)) continue;
      any = true;
      if (covered) continue;
      if (file.start_key > *covered_to) report_.add(gap(range, *covered_to, file.start_key));
      covered = file.end_key.empty();
      if (!covered && file.end_key > *covered_to) covered_to = &file.end_key;
    }
    if (any && !covered && begins_before(*covered_to, range.end)) {
      report_.add(gap(range, *covered_to, range.end));
    }
  }

  [[nodiscard]] Finding gap(const KeyRange& range, ByteView start, ByteView end) const {
    return {severity_, "", KeyRange{range.cf, std::string(start), std::string(end)},
            manifest_.info ? "no file holds these keys, which backupmeta says were backed up"
                           : "no file holds these keys: that there were none cannot be proven"};
  }

  const Manifest& manifest_;
  VerifyReport& report_;
  Severity severity_;
  bool ranges_known_ = false;
  std::map<std::string, std::vector<Part>> parts_;
  std::map<std::string, std::vector<KeyRange>> ranges_;
};

}  // namespace kvbackup::inline v1::detail
