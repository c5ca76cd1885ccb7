// SPDX-License-Identifier: Apache-2.0
// The flags that name a backup, and with a transactional one the incremental ones that follow it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "program.hpp"
#include "storage.hpp"

namespace program {

struct ChainFlags {
  std::vector<std::string> urls;
  StorageFlags storage;  ///< of all of them; its url is not used
  std::optional<std::uint64_t> to_version;
};

/// Adds -s, which may be repeated, and --to-version.
inline void add_chain_flags(CLI::App& command, ChainFlags& flags) {
  command
      .add_option("-s,--storage", flags.urls,
                  std::string("Where the backup is") + storage_url_help +
                      "; after a full one, again for each incremental one that follows it, in "
                      "their order")
      ->required()
      ->allow_extra_args(false);
  add_bucket_flags(command, flags.storage);
  command.add_option("--to-version", flags.to_version,
                     "Leave out the backups after the one that ends with this version");
}

/// Opens what the flags name and gives it to `use`: a Backup<>, or a TxnBackup<> in the view of
/// `options`. `use` gives a Status.
template <class Use>
kvbackup::Status with_backup(const ChainFlags& flags, kvbackup::TxnReadOptions options, Use&& use) {
  using kvbackup::Backup;
  std::vector<Backup<>> backups;
  StorageFlags storage = flags.storage;
  for (const std::string& url : flags.urls) {
    storage.url = url;
    auto backend = open_readable_storage(storage);
    if (!backend.ok()) return std::move(backend).status();
    auto backup = Backup<>::open(std::move(backend).value());
    if (!backup.ok()) return std::move(backup).status();
    backups.push_back(std::move(backup).value());
  }
  const bool is_alone = backups.size() == 1 && !flags.to_version;
  if (is_alone && backups.front().meta().is_raw_kv) return use(backups.front());
  options.to_version = flags.to_version;
  auto chain = kvbackup::TxnBackup<>::open(std::move(backups), std::move(options));
  if (!chain.ok()) return std::move(chain).status();
  return use(chain.value());
}

}  // namespace program
