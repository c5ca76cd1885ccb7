// SPDX-License-Identifier: Apache-2.0
// kvbackup clean: what dead runs left.
#include <cstdio>
#include <memory>

#include "program.hpp"
#include "storage.hpp"

namespace program {

using namespace kvbackup;

namespace {

struct CleanFlags {
  CommonFlags common;
  StorageFlags storage;
  bool yes = false;
  bool despite_br_lock = false;
};

/// Cloud Storage neither lists unfinished uploads nor keeps them for long.
bool hides_unfinished(const std::string& url) {
  return url.starts_with("gcs://") || url.starts_with("gs://");
}

std::string leftover_json(const Leftover& leftover) {
  JsonObject object;
  object.add("kind", to_string(leftover.kind)).add("name", leftover.name);
  if (!leftover.id.empty()) object.add("id", leftover.id);
  if (leftover.kind != LeftoverKind::unfinished) object.add("size", leftover.size);
  object.add("removed", leftover.removed);
  return object.text();
}

void print_report(const CleanReport& report, const std::string& url, const CleanFlags& flags) {
  if (flags.common.json) {
    std::string items;
    for (const Leftover& each : report.leftovers) {
      items += (items.empty() ? "" : ", ") + leftover_json(each);
    }
    JsonObject root;
    root.add("command", "clean").add("storage", url).add("has_backup", report.has_backup);
    if (!report.held.empty()) root.add("held", report.held);
    root.add("lists_unfinished", !hides_unfinished(url)).add_json("items", "[" + items + "]");
    std::printf("%s\n", root.text().c_str());
    return;
  }
  for (const Leftover& each : report.leftovers) {
    std::printf("%-8s %-10s %10s  %s\n", each.removed ? "removed" : "found",
                std::string(to_string(each.kind)).c_str(),
                each.kind == LeftoverKind::unfinished
                    ? "?"
                    : human_bytes(static_cast<double>(each.size)).c_str(),
                printable(each.id.empty() ? each.name : each.name + " (" + each.id + ")").c_str());
  }
  std::printf("%s: %zu leftovers%s\n", printable(url).c_str(), report.leftovers.size(),
              report.leftovers.empty() || flags.yes ? "" : "; --yes removes them");
  if (hides_unfinished(url)) {
    std::printf("Cloud Storage does not list unfinished uploads; it ends them after a week\n");
  }
}

int run_clean(const CleanFlags& flags) {
  auto backend = open_readable_storage(flags.storage);
  if (!backend.ok()) return report_failure("clean", backend.status(), flags.common);
  SystemClock clock;
  CleanOptions options;
  options.remove = flags.yes;
  options.despite_br_lock = flags.despite_br_lock;
  options.clock = &clock;
  options.cancel = &cancel_token();
  const auto report = clean_destination(backend.value(), options);
  if (!report.ok()) return report_read_failure("clean", report.status(), flags.common);
  print_report(report.value(), backend.value().url(), flags);
  if (report.value().held.empty()) return done;
  std::fprintf(stderr, "kvbackup clean: nothing %s removed: %s\n", flags.yes ? "was" : "would be",
               printable(report.value().held).c_str());
  return flags.yes ? could_not_finish : done;
}

}  // namespace

void add_clean_command(CLI::App& app, Run& run) {
  auto flags = std::make_shared<CleanFlags>();
  CLI::App* command = app.add_subcommand("clean", "Show or remove what dead runs left");
  add_storage_flags(*command, flags->storage, "Where they wrote to");
  command->add_flag("--yes", flags->yes, "Remove it; an unfinished backup cannot be resumed then");
  command->add_flag(
      "--despite-br-lock", flags->despite_br_lock,
      "Also where BR's backup.lock lies without a backup: its run has ended for sure");
  add_common_flags(*command, flags->common);
  command->callback([flags, &run] { run = [flags] { return run_clean(*flags); }; });
}

}  // namespace program
