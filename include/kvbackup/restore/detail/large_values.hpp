// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "kvbackup/proto/backup.hpp"
#include "kvbackup/restore/detail/coverage.hpp"
#include "kvbackup/restore/detail/version_record.hpp"
#include "kvbackup/restore/file_index.hpp"
#include "kvbackup/restore/pair_sums.hpp"

namespace kvbackup::inline v1::detail {

/// A write file whose records name other large values than the default file of its part holds.
struct UnpairedFile {
  std::size_t file = 0;  ///< its place in the list
  PairSums named;
  PairSums held;
};

/// `large_values` are FileCheck::large_values() of each file; a part with one that is not known is
/// passed over.
[[nodiscard]] inline std::vector<UnpairedFile> find_unpaired(
    const std::vector<File>& files, const std::vector<std::optional<PairSums>>& large_values) {
  std::map<std::string_view, std::size_t> defaults;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (cf_of(files[i]) != write_cf) defaults.emplace(stem_of(files[i].name), i);
  }
  std::vector<UnpairedFile> out;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (cf_of(files[i]) != write_cf || !large_values[i]) continue;
    const auto other = defaults.find(stem_of(files[i].name));
    const auto held = other == defaults.end() ? PairSums() : large_values[other->second];
    if (held && *held != *large_values[i]) out.push_back({i, *large_values[i], *held});
  }
  return out;
}

}  // namespace kvbackup::inline v1::detail
