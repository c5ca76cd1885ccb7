// SPDX-License-Identifier: Apache-2.0
// kvbackup verify: proves that a backup is what was written.
#include "verify.hpp"

#include <cstdio>
#include <memory>
#include <optional>

#include "progress.hpp"
#include "storage.hpp"
#include "telemetry.hpp"

namespace program {

using namespace kvbackup;

namespace {

struct VerifyFlags {
  CommonFlags common;
  StorageFlags storage;
  bool quick = false;
  bool strict = false;
  bool br_rules = false;
  std::uint64_t concurrency = 4;
};

class VerifyDisplay final : public RestoreObserver {
 public:
  explicit VerifyDisplay(Clock& clock) : display_("Verify", "", clock) {}
  void on_progress(const RestoreProgress& progress) override {
    telemetry().on_progress("verify", numbers_of(progress));
    Progress shown;
    shown.pairs = progress.pairs;
    // files are read whole, so their bytes say how much is left
    shown.bytes = progress.stored_bytes;
    shown.stored_bytes = progress.stored_bytes;
    shown.total.bytes = progress.total_stored_bytes;
    shown.files = progress.files;
    shown.ranges = progress.files;
    shown.total_ranges = progress.total_files;
    display_.on_progress(shown);
  }

 private:
  ProgressDisplay display_;
};

std::string finding_json(const Finding& finding, const CommonFlags& flags) {
  JsonObject object;
  object.add("severity", to_string(finding.severity));
  if (!finding.object.empty()) object.add("object", finding.object);
  if (finding.range) {
    object.add("cf", finding.range->cf);
    if (!flags.redact) {
      object.add("start", to_hex(finding.range->start)).add("end", to_hex(finding.range->end));
    }
  }
  object.add("message", finding.what);
  return object.text();
}

const char* verdict(const VerifyReport& report) {
  if (report.is_damaged()) return "DAMAGED";
  if (!report.is_whole()) return "not proven: not everything could be read";
  if (report.unproven_files != 0) {
    return "content not proven: the bytes are those that were recorded, but not all files could be "
           "decoded";
  }
  if (!report.is_sealed) return "nothing wrong found (unprotected: backupmeta has no seal)";
  return report.quick ? "nothing wrong found (quick: names and sizes only)" : "whole";
}

void print_report(const VerifyReport& report, const std::string& url, double seconds,
                  const CommonFlags& flags) {
  for (const Finding& finding : report.findings) {
    std::printf("%s\n", printable(finding.to_string(flags.key_display())).c_str());
  }
  if (report.findings_left_out != 0) {
    std::printf("and %llu more findings\n",
                static_cast<unsigned long long>(report.findings_left_out));
  }
  std::printf(
      "%s: %s; files: %llu, pairs: %llu, %s read in %s; damages: %llu, unreadable: %llu, "
      "unprovable: %llu, warnings: %llu\n",
      printable(url).c_str(), verdict(report), static_cast<unsigned long long>(report.files),
      static_cast<unsigned long long>(report.pairs),
      human_bytes(static_cast<double>(report.stored_bytes)).c_str(),
      human_duration(seconds).c_str(), static_cast<unsigned long long>(report.damages),
      static_cast<unsigned long long>(report.unreadable),
      static_cast<unsigned long long>(report.unprovable),
      static_cast<unsigned long long>(report.warnings));
}

/// Without keys: no flag is known here that would allow them.
void tell(const VerifyReport& report) {
  for (const Finding& finding : report.findings) {
    Event event(finding.severity == Severity::warning ? "warning" : "error", "finding");
    event.add("severity", to_string(finding.severity)).add("object", finding.object);
    telemetry().log(event.add("message", finding.what));
  }
  telemetry().on_verified(report.is_damaged());
}

int run_verify(const VerifyFlags& flags) {
  auto backend = open_readable_storage(flags.storage);
  if (!backend.ok()) return report_failure("verify", backend.status(), flags.common);
  VerifyOptions options;
  options.quick = flags.quick;
  options.strict = flags.strict;
  options.br_rules = flags.br_rules;
  options.concurrency = flags.concurrency;
  const Verification verification = verify_storage(backend.value(), options);
  const Status& status = verification.report.status();
  if (!status.ok()) return report_failure("verify", status, flags.common);
  const VerifyReport& report = verification.report.value();
  telemetry().on_snapshot(state_unix_ms(report.end_version, report.created_unix_ms));
  const std::string url = backend.value().url();
  if (flags.common.json) {
    JsonObject root;
    root.add("command", "verify").add("storage", url);
    std::printf("%s\n", add_verification(root, verification, flags.common).text().c_str());
  } else {
    print_verification(verification, url, flags.common);
  }
  return exit_code_of(verification);
}

}  // namespace

Verification verify_storage(BuiltBackends& backend, VerifyOptions options) {
  SystemClock clock;
  ThreadExecutor threads;
  options.executor = &threads;
  options.cancel = &cancel_token();
  const std::uint64_t start = clock.steady_ns();
  std::optional<VerifyDisplay> display(std::in_place, clock);
  options.observer = &*display;
  auto report = verify_backup(backend, FileHasher{}, BuiltDecoders{}, options);
  display.reset();
  if (report.ok()) tell(report.value());
  return {std::move(report), static_cast<double>(clock.steady_ns() - start) * 1e-9};
}

ExitCode exit_code_of(const Verification& verification) {
  if (!verification.report.ok()) return could_not_finish;
  if (verification.report.value().is_damaged()) return damage_found;
  return verification.report.value().is_whole() ? done : could_not_finish;
}

JsonObject& add_verification(JsonObject& root, const Verification& verification,
                             const CommonFlags& flags) {
  if (!verification.report.ok()) {
    return root.add("whole", false)
        .add("error", verification.report.status().to_string(flags.key_display()));
  }
  const VerifyReport& report = verification.report.value();
  std::string findings;
  for (const Finding& finding : report.findings) {
    if (!findings.empty()) findings += ", ";
    findings += finding_json(finding, flags);
  }
  root.add("whole", report.is_whole()).add("protected", report.is_sealed);
  root.add("quick", report.quick).add("unproven_files", report.unproven_files);
  root.add("files", report.files).add("total_kvs", report.pairs).add("total_bytes", report.bytes);
  root.add("stored_bytes", report.stored_bytes);
  root.add("damages", report.damages).add("unreadable", report.unreadable);
  root.add("unprovable", report.unprovable).add("warnings", report.warnings);
  root.add_json("findings", "[" + findings + "]");
  return root.add("findings_left_out", report.findings_left_out)
      .add("seconds", verification.seconds);
}

void print_verification(const Verification& verification, const std::string& url,
                        const CommonFlags& flags) {
  if (verification.report.ok()) {
    print_report(verification.report.value(), url, verification.seconds, flags);
    return;
  }
  const Status& status = verification.report.status();
  std::printf("%s: not proven: %s\n", printable(url).c_str(),
              printable(status.to_string(flags.key_display())).c_str());
}

void add_verify_command(CLI::App& app, Run& run) {
  auto flags = std::make_shared<VerifyFlags>();
  CLI::App* command = app.add_subcommand("verify", "Prove that a backup is what was written");
  add_storage_flags(*command, flags->storage, "Where the backup is");
  command->add_flag("--quick", flags->quick, "Names and sizes only; no file is read");
  command->add_flag("--strict", flags->strict,
                    "Files that are not of the backup, lock files and checkpoints are damage");
  command->add_flag("--br", flags->br_rules, "What would keep BR from restoring it is damage too");
  command->add_option("--concurrency", flags->concurrency, "Files worked on at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  add_telemetry_flags(*command);
  add_common_flags(*command, flags->common);
  command->callback([flags, &run] { run = [flags] { return run_verify(*flags); }; });
}

}  // namespace program
