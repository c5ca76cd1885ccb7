// SPDX-License-Identifier: Apache-2.0
// kvbackup restore: a backup back into a store.
#include <cstdio>
#include <memory>
#include <optional>

#include "program.hpp"
#include "restore_target.hpp"
#include "telemetry.hpp"
#include "uri.hpp"

namespace program {

using namespace kvbackup;

namespace {

Result<std::vector<KeyRange>> held_ranges(const Backup<>& backup) { return backup.ranges(); }
Result<std::vector<KeyRange>> held_ranges(const TxnBackup<>& backup) {
  return backup.user_ranges();
}

/// The ranges that --start, --end and --cf ask for; none where they ask for everything.
template <class AnyBackup>
Result<std::vector<KeyRange>> asked_ranges(const AnyBackup& backup, const RestoreFlags& flags,
                                           KeyFormat format) {
  if (flags.start.empty() && flags.end.empty() && flags.cf.empty()) return std::vector<KeyRange>{};
  auto start = key_of("--start", flags.start, format);
  if (!start.ok()) return start.status();
  auto end = key_of("--end", flags.end, format);
  if (!end.ok()) return end.status();
  KeyRange range{flags.cf, std::move(start).value(), std::move(end).value()};
  if (range.cf.empty()) {
    const auto held = held_ranges(backup);
    if (!held.ok()) return held.status();
    for (const KeyRange& each : held.value()) {
      if (range.cf.empty()) range.cf = each.cf;
      if (range.cf == each.cf) continue;
      return usage_error(
          "the backup has several column families; name one with --cf where a key range is given");
    }
  }
  if (range.empty()) {
    return usage_error("--start must be below --end").with_range(range.start, range.end);
  }
  return std::vector<KeyRange>{std::move(range)};
}

Result<std::optional<PrefixRewrite>> asked_rewrite(const RestoreFlags& flags, KeyFormat format) {
  if (!flags.rewrite_prefix) return std::optional<PrefixRewrite>();
  const std::string_view text = *flags.rewrite_prefix;
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || text.find('=', equals + 1) != std::string_view::npos) {
    return usage_error(
        "--rewrite-prefix is OLD=NEW, each in --format; write a key with '=' in it as hex");
  }
  auto from = key_of("--rewrite-prefix", text.substr(0, equals), format);
  if (!from.ok()) return from.status();
  auto to = key_of("--rewrite-prefix", text.substr(equals + 1), format);
  if (!to.ok()) return to.status();
  return std::optional(PrefixRewrite{std::move(from).value(), std::move(to).value()});
}

template <class AnyBackup>
Result<RestoreOptions> options_of(const AnyBackup& backup, const RestoreFlags& flags) {
  const auto format = parse_key_format(flags.format);
  if (!format.ok()) return format.status();
  auto ranges = asked_ranges(backup, flags, format.value());
  if (!ranges.ok()) return ranges.status();
  auto rewrite = asked_rewrite(flags, format.value());
  if (!rewrite.ok()) return rewrite.status();
  const auto rate_limit = mib(flags.rate_limit_mib, "--ratelimit");
  if (!rate_limit.ok()) return rate_limit.status();
  RestoreOptions options;
  options.ranges = std::move(ranges).value();
  options.rewrite_prefix = std::move(rewrite).value();
  options.rate_limit = rate_limit.value();
  options.concurrency = flags.concurrency;
  options.cancel = &cancel_token();
  return options;
}

/// What --layout asks for.
Result<TxnReadOptions> read_options(const RestoreFlags& flags, const StoreUri& sink) {
  TxnReadOptions options;
  if (flags.layout == "flat") return options;
  if (sink.scheme != "rocksdb") {
    return usage_error("--layout " + flags.layout +
                       " makes column families of TiKV's, which only rocksdb: has");
  }
  options.view = TxnView::tikv;
  if (flags.layout == "mvcc") options.key_prefix.clear();
  return options;
}

int run_restore(const RestoreFlags& flags) {
  int code = done;
  const Status status = [&]() -> Status {
    if (flags.merge && flags.replace) {
      return usage_error("--merge and --replace exclude each other");
    }
    const auto sink = parse_store_uri(flags.sink);
    if (!sink.ok()) return sink.status();
    const auto read = read_options(flags, sink.value());
    if (!read.ok()) return read.status();
    return with_backup(flags.chain, read.value(), [&](const auto& backup) -> Status {
      constexpr bool is_txn = requires { backup.view(); };
      if (!is_txn && flags.layout != "flat") {
        return usage_error("--layout " + flags.layout +
                           " is for transactional backups, and this is a raw one");
      }
      auto options = options_of(backup, flags);
      if (!options.ok()) return options.status();
      code = flags.dry_run ? show_restore(backup, sink.value(), options.value(), flags)
                           : restore_to(backup, sink.value(), options.value(), flags);
      return {};
    });
  }();
  return status.ok() ? code : report_read_failure("restore", status, flags.common);
}

}  // namespace

void add_restore_command(CLI::App& app, Run& run) {
  auto flags = std::make_shared<RestoreFlags>();
  CLI::App* command = app.add_subcommand("restore", "Put a backup back into a store");
  add_chain_flags(*command, flags->chain);
  command
      ->add_option(
          "--sink", flags->sink,
          "Store to make: rocksdb:PATH?cf=NAME, lmdb:PATH?db=NAME, leveldb:PATH, tsv:PATH, tsv:-")
      ->required();
  command->add_option("--start", flags->start, "First key, in --format (default: the first)");
  command->add_option("--end", flags->end, "End of the keys, exclusive, in --format");
  command
      ->add_option("--format", flags->format,
                   "Of --start, --end and --rewrite-prefix: raw, escaped or hex")
      ->capture_default_str();
  command->add_option("--cf", flags->cf, "Column family to restore (default: all)");
  command->add_option("--rewrite-prefix", flags->rewrite_prefix,
                      "OLD=NEW: restore only keys that begin with OLD, with NEW in its place");
  command
      ->add_option("--layout", flags->layout,
                   "Of a transactional backup, to rocksdb: flat = the newest value of each key, "
                   "tikv = the records of a TiKV store, mvcc = the same without its prefix 'z'")
      ->check(CLI::IsMember({"flat", "tikv", "mvcc"}))
      ->capture_default_str();
  command->add_flag("--replace", flags->replace,
                    "Of a store that is there: remove what it has in the restored ranges");
  command->add_flag("--merge", flags->merge, "Put pairs into a store that is there");
  command->add_option("--ratelimit", flags->rate_limit_mib,
                      "MiB of pairs a second, whole run (default 0: no limit)");
  command->add_option("--concurrency", flags->concurrency, "Files worked on at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_flag("--dry-run", flags->dry_run,
                    "Say what would be restored, and how many keys the store has; write nothing");
  command->add_flag("--no-read-back", flags->no_read_back,
                    "Do not read the store at the end to prove what it holds");
  add_telemetry_flags(*command);
  add_common_flags(*command, flags->common);
  command->callback([flags, &run] { run = [flags] { return run_restore(*flags); }; });
}

}  // namespace program
