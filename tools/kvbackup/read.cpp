// SPDX-License-Identifier: Apache-2.0
// kvbackup get and scan: keys and ranges out of a backup where it lies.
#include <cstdio>
#include <memory>
#include <optional>
#include <unistd.h>

#include "chain.hpp"
#include "program.hpp"

namespace program {

using namespace kvbackup;

namespace {

struct ReadFlags {
  CommonFlags common;
  ChainFlags chain;
  std::string cf{default_cf};
  std::string format = "hex";
  std::string key;
  std::string start;
  std::string end;
  std::optional<std::uint64_t> limit;
};

void print_value(const ReadFlags& flags, KeyFormat format, const std::string& key,
                 const std::string& value) {
  if (flags.common.json) {
    JsonObject root;
    root.add("command", "get").add("cf", flags.cf);
    root.add("key", to_hex(key)).add("value", to_hex(value));
    std::printf("%s\n", root.text().c_str());
    return;
  }
  const std::string text = format == KeyFormat::raw ? value : encode_key(format, value) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
}

Status run_get(const ReadFlags& flags) {
  const auto format = parse_key_format(flags.format);
  if (!format.ok()) return format.status();
  const auto key = key_of("KEY", flags.key, format.value());
  if (!key.ok()) return key.status();
  return with_backup(flags.chain, {}, [&](const auto& backup) -> Status {
    const auto value = backup.get(flags.cf, key.value());
    if (!value.ok()) return value.status();
    if (!value.value()) {
      const char* why = backup.check_held({{flags.cf, key.value(), key.value() + '\0'}}).ok()
                            ? "the backup does not have this key"
                            : "the key lies outside of what was backed up";
      return Status::error(StatusCode::not_found, why)
          .with_object(backup.url())
          .with_key(key.value());
    }
    print_value(flags, format.value(), key.value(), *value.value());
    return {};
  });
}

/// Gives `put` the pairs that the flags ask for.
template <class Source, class Put>
Status put_pairs(Source& source, const ReadFlags& flags, Put&& put) {
  constexpr std::uint64_t pairs_between_looks = 1024;
  std::uint64_t pairs = 0;
  for (; source.valid(); source.next()) {
    if (flags.limit && pairs == *flags.limit) return {};
    if (Status status = put(source.key(), source.value()); !status.ok()) return status;
    if (++pairs % pairs_between_looks != 0) continue;
    if (Status status = check_cancel(&cancel_token()); !status.ok()) return status;
  }
  return source.status();
}

/// One JSON object whose pairs are printed as they come; after a failure it has an "error" too.
template <class Source>
Status scan_to_json(Source& source, const ReadFlags& flags) {
  std::uint64_t pairs = 0;
  std::printf("{\"command\": \"scan\", \"pairs\": [");
  const Status status = put_pairs(source, flags, [&pairs](ByteView key, ByteView value) -> Status {
    std::printf("%s{\"key\": \"%s\", \"value\": \"%s\"}", pairs++ == 0 ? "" : ", ",
                to_hex(key).c_str(), to_hex(value).c_str());
    return {};
  });
  std::printf("], \"total_kvs\": %llu", static_cast<unsigned long long>(pairs));
  if (!status.ok()) {
    JsonObject error;
    error.add("code", to_string(status.code()));
    error.add("message", status.to_string(flags.common.key_display()));
    std::printf(", \"error\": %s", error.text().c_str());
  }
  std::printf("}\n");
  return status;
}

template <class Source>
Status scan_to_tsv(Source& source, const ReadFlags& flags, KeyFormat format) {
  auto sink = tsv_to_fd(STDOUT_FILENO, "standard output", format);
  const Status status = put_pairs(
      source, flags, [&sink](ByteView key, ByteView value) { return sink.put(key, value); });
  // what was read before a failure is printed all the same
  Status finished = sink.finish();
  return status.ok() ? finished : status;
}

int run_scan(const ReadFlags& flags) {
  bool json_is_begun = false;
  const Status status = [&]() -> Status {
    const auto format = parse_key_format(flags.format);
    if (!format.ok()) return format.status();
    const auto start = key_of("--start", flags.start, format.value());
    if (!start.ok()) return start.status();
    const auto end = key_of("--end", flags.end, format.value());
    if (!end.ok()) return end.status();
    const KeyRange range{flags.cf, start.value(), end.value()};
    if (range.empty()) {
      return usage_error("--start must be below --end").with_range(range.start, range.end);
    }
    return with_backup(flags.chain, {}, [&](const auto& backup) -> Status {
      auto source = backup.scan(range);
      if (!source.ok()) return source.status();
      const bool whole = range.start.empty() && range.end.empty();
      if (!whole && !backup.check_held({range}).ok()) {
        std::fprintf(stderr, "kvbackup: the key range reaches outside of what was backed up\n");
      }
      json_is_begun = flags.common.json;
      if (flags.common.json) return scan_to_json(source.value(), flags);
      return scan_to_tsv(source.value(), flags, format.value());
    });
  }();
  if (status.ok()) return done;
  CommonFlags common = flags.common;
  if (json_is_begun) common.json = false;  // the object has its error already
  return report_read_failure("scan", status, common);
}

void add_read_flags(CLI::App& command, ReadFlags& flags, const char* what_is_formatted) {
  add_chain_flags(command, flags.chain);
  command.add_option("--cf", flags.cf, "Column family")->capture_default_str();
  command.add_option("--format", flags.format, what_is_formatted)->capture_default_str();
  add_common_flags(command, flags.common);
}

}  // namespace

void add_get_command(CLI::App& app, Run& run) {
  auto flags = std::make_shared<ReadFlags>();
  CLI::App* command = app.add_subcommand("get", "Print the value of a key of a backup");
  command->add_option("key", flags->key, "The key, in --format")->required();
  add_read_flags(*command, *flags, "Of key and value: raw (nothing is added), escaped or hex");
  command->callback([flags, &run] {
    run = [flags] {
      const Status status = run_get(*flags);
      return status.ok() ? done : report_read_failure("get", status, flags->common);
    };
  });
}

void add_scan_command(CLI::App& app, Run& run) {
  auto flags = std::make_shared<ReadFlags>();
  CLI::App* command =
      app.add_subcommand("scan", "Print pairs of a backup: a line each, key TAB value");
  command->add_option("--start", flags->start, "First key, in --format (default: the first)");
  command->add_option("--end", flags->end, "End of the keys, exclusive, in --format");
  command->add_option("--limit", flags->limit, "Print at most that many pairs (default: all)");
  add_read_flags(*command, *flags, "Of keys and values: raw, escaped or hex");
  command->callback([flags, &run] { run = [flags] { return run_scan(*flags); }; });
}

}  // namespace program
