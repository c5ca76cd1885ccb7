// SPDX-License-Identifier: Apache-2.0
// kvbackup convert: copies one kind of store into another.
#include <memory>

#include "copy.hpp"
#include "program.hpp"
#include "stores.hpp"
#include "uri.hpp"

namespace program {

using namespace kvbackup;

namespace {

struct ConvertFlags {
  CommonFlags common;
  std::string source;
  std::string sink;
};

Status run_convert(const ConvertFlags& flags) {
  const auto uri = parse_store_uri(flags.source);
  if (!uri.ok()) return uri.status();
  return with_source(uri.value(), 1, [&flags](auto source) {
    return copy_to(flags.sink, source, "convert", flags.common);
  });
}

}  // namespace

void add_convert_command(CLI::App& app, Run& run) {
  auto flags = std::make_shared<ConvertFlags>();
  CLI::App* command = app.add_subcommand("convert", "Copy one kind of store into another");
  command
      ->add_option("--source", flags->source,
                   "Store to read: rocksdb:PATH?cf=NAME, lmdb:PATH?db=NAME, leveldb:PATH, "
                   "sst:PATH, tsv:PATH")
      ->required();
  command
      ->add_option(
          "--sink", flags->sink,
          "Store to make: rocksdb:PATH?cf=NAME, lmdb:PATH?db=NAME, leveldb:PATH, tsv:PATH, tsv:-")
      ->required();
  add_common_flags(*command, flags->common);
  command->callback([flags, &run] {
    run = [flags] {
      const Status status = run_convert(*flags);
      return status.ok() ? done : report_failure("convert", status, flags->common);
    };
  });
}

}  // namespace program
