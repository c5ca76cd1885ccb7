// SPDX-License-Identifier: Apache-2.0
// kvbackup backup --txn: the versions of a store in TiKV's MVCC layout.
#include <algorithm>
#include <charconv>
#include <ctime>

#include "backup_run.hpp"
#include "safe_point.hpp"

namespace program {

using namespace kvbackup;

namespace {

/// "2021-04-02 08:13:21", of the local time zone as BR takes it, or with one behind it: Z, +08:00.
std::optional<std::uint64_t> parse_moment(const std::string& text) {
  std::tm local{};
  local.tm_isdst = -1;
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%d %H:%M:%S", &local);
  if (rest == nullptr) return std::nullopt;
  std::time_t seconds = 0;
  if (*rest == '\0') {
    seconds = std::mktime(&local);
  } else {
    std::tm zone{};
    const char* const end = ::strptime(rest, "%z", &zone);
    if (end == nullptr || *end != '\0') return std::nullopt;
    seconds = ::timegm(&local) - zone.tm_gmtoff;
  }
  if (seconds < 0) return std::nullopt;
  return static_cast<std::uint64_t>(seconds);
}

Result<std::uint64_t> parse_version(const std::string& text, const char* flag) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && stop == end) return number;
  if (const auto seconds = parse_moment(text)) return tso_from_unix_ms(*seconds * 1000);
  return usage_error(std::string(flag) + ": \"" + text +
                     "\" is neither a timestamp of the oracle (a number) nor a time such as "
                     "\"2021-04-02 08:13:21\" or \"2021-04-02 08:13:21+08:00\"");
}

Result<MvccOptions> versions_of(const BackupFlags& flags) {
  if (flags.backup_ts.empty()) {
    return usage_error("--txn needs --backupts, the timestamp that the backup is taken at");
  }
  MvccOptions options;
  auto end = parse_version(flags.backup_ts, "--backupts");
  if (!end.ok()) return end.status();
  options.end_version = end.value();
  if (!flags.last_backup_ts.empty()) {
    auto start = parse_version(flags.last_backup_ts, "--lastbackupts");
    if (!start.ok()) return start.status();
    options.start_version = start.value();
  }
  if (Status status = options.validate(); !status.ok()) return status;
  return options;
}

}  // namespace

Status check_txn_flags(const BackupFlags& flags) {
  if (flags.txn) {
    if (!flags.cf.empty()) return usage_error("--cf: a transactional backup is of all of a store");
    if (flags.profile != "br") return usage_error("--txn is for --profile br");
    return {};
  }
  for (const auto& [flag, is_given] :
       {std::pair("--backupts", !flags.backup_ts.empty()),
        std::pair("--lastbackupts", !flags.last_backup_ts.empty()),
        std::pair("--gc-safe-point", flags.gc_safe_point.has_value())}) {
    if (is_given) return usage_error(std::string(flag) + " is for --txn");
  }
  return {};
}

Result<int> run_txn(const StoreUri& source, BuiltCodecs codec, BuiltBackends backend,
                    const BackupFlags& flags) {
  if (source.scheme != "rocksdb" || source.parameter("cf")) {
    return usage_error(
        "--txn takes a source rocksdb:PATH, with the column families default, write and lock in "
        "TiKV's layout");
  }
  auto options = versions_of(flags);
  if (!options.ok()) return options.status();
  NamedSafePoint host(flags.gc_safe_point.value_or(0));
  options.value().host = &host;
  options.value().cancel = &cancel_token();
  auto snapshot = MvccSnapshot<RocksdbSnapshot>::take(
      options.value(), [&source] { return RocksdbSnapshot::open(source.path); });
  if (!snapshot.ok()) return snapshot.status();
  return back_up<MvccLayout>(std::move(snapshot).value(), std::move(codec), std::move(backend),
                             flags);
}

}  // namespace program
