// SPDX-License-Identifier: Apache-2.0
// kvbackup generate: a synthetic store for trials.
#include <cstdio>
#include <memory>

#include "copy.hpp"
#include "program.hpp"
#include "stores.hpp"
#include "uri.hpp"

namespace program {

using namespace kvbackup;

namespace {

struct GenerateFlags {
  CommonFlags common;
  std::string sink;
  GeneratorOptions options;
};

Status run_generate(const GenerateFlags& flags) {
  auto snapshot = GeneratorSnapshot::make(flags.options);
  if (!snapshot.ok()) return std::move(snapshot).status();
  return copy_to(flags.sink, snapshot.value(), "generate", flags.common);
}

}  // namespace

void add_generate_command(CLI::App& app, Run& run) {
  auto flags = std::make_shared<GenerateFlags>();
  CLI::App* command = app.add_subcommand("generate", "Make a synthetic store for trials");
  GeneratorOptions& options = flags->options;
  command
      ->add_option("--sink", flags->sink,
                   "Store to make: rocksdb:PATH, lmdb:PATH, leveldb:PATH, tsv:PATH, tsv:-")
      ->required();
  command->add_option("--count", options.count, "Pairs")->required();
  command->add_option("--key-size", options.key_size, "Bytes of a key")->capture_default_str();
  command->add_option("--value-size", options.value_size, "Bytes of a value")
      ->capture_default_str();
  command->add_option("--seed", options.seed, "Of the values")->capture_default_str();
  command
      ->add_option("--compressibility", options.compressibility,
                   "Share of a value that repeats, 0..1")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  add_common_flags(*command, flags->common);
  command->callback([flags, &run] {
    run = [flags] {
      const Status status = run_generate(*flags);
      return status.ok() ? done : report_failure("generate", status, flags->common);
    };
  });
}

}  // namespace program
