// SPDX-License-Identifier: Apache-2.0
// kvbackup check: whether a backup could be written to a storage and read again.
#include <array>
#include <cstdio>
#include <memory>
#include <optional>

#include "program.hpp"
#include "storage.hpp"

namespace program {

using namespace kvbackup;

namespace {

struct CheckFlags {
  CommonFlags common;
  StorageFlags storage;
};

enum class StepState : std::uint8_t { good, failed, skipped };

struct Step {
  const char* name;
  StepState state = StepState::skipped;
  std::string message = {};  ///< why it failed or was not tried
};

/// Does to one small object all that a backup and a restore do to theirs. A step that fails does
/// not end the check: every right that is missing shows in one run.
class Probe {
 public:
  explicit Probe(BuiltBackends& backend) : backend_(backend) {
    std::array<char, 17> number{};
    std::snprintf(number.data(), number.size(), "%016llx",
                  static_cast<unsigned long long>(process_random().next()));
    name_ += number.data();
  }

  std::vector<Step> run() {
    const StatusCode created = step("create", [this] { return create(); });
    const bool is_there = created == StatusCode::ok;
    const auto tried_if = [this](bool may, const char* name, auto act) {
      if (may) {
        (void)step(name, act);
      } else {
        steps_.push_back({name, StepState::skipped, {}});
      }
    };
    const auto if_there = [&](const char* name, auto act) { tried_if(is_there, name, act); };
    if_there("keep what is there", [this] { return create_again(); });
    // of what refuses one right, others are asked for; what does not answer is asked once
    tried_if(is_there || created == StatusCode::permission_denied, "list",
             [this, is_there] { return list(is_there); });
    if_there("read a range", [this] { return read_range(); });
    if_there("remove", [this] { return backend_.remove(name_); });
    if (is_there && steps_.back().state == StepState::failed) {
      steps_.back().message += "; the object " + name_ + " is left there";
    }
    return std::move(steps_);
  }

 private:
  template <class Act>
  StatusCode step(const char* name, Act act) {
    const Status status = act();
    steps_.push_back({name, status.ok() ? StepState::good : StepState::failed,
                      status.ok() ? std::string() : status.to_string()});
    return status.code();
  }

  Status create() {
    auto writer = backend_.create(name_, {.size_hint = content_.size(), .if_absent = true});
    if (!writer.ok()) return std::move(writer).status();
    if (Status status = writer.value().append(content_); !status.ok()) return status;
    return writer.value().commit().status();
  }

  /// backupmeta is written so that it never replaces that of another run.
  Status create_again() {
    const Status status = create();
    if (status.code() == StatusCode::already_exists) return {};
    if (!status.ok()) return status;
    return Status::error(StatusCode::unsupported,
                         "the storage let an object be overwritten that must not be; for S3 try "
                         "--s3.if-absent checked")
        .with_object(name_);
  }

  Status list(bool is_there) {
    const auto listed = backend_.list(name_);
    if (!listed.ok()) return listed.status();
    const std::vector<ObjectInfo> expected = {{.name = name_, .size = content_.size()}};
    if (!is_there || listed.value() == expected) return {};
    return Status::error(StatusCode::corruption, "the list lacks an object that was just created")
        .with_object(name_);
  }

  Status read_range() {
    const auto bytes = backend_.read_range(name_, 3, 5);
    if (!bytes.ok()) return bytes.status();
    if (bytes.value() == content_.substr(3, 5)) return {};
    return Status::error(StatusCode::corruption, "what was read is not what was written")
        .with_object(name_);
  }

  BuiltBackends& backend_;
  std::string name_ = "kvbackup-check-";
  const std::string content_ = "0123456789 written by kvbackup check; it may be removed";
  std::vector<Step> steps_;
};

const char* to_string(StepState state) {
  switch (state) {
    case StepState::good: return "ok";
    case StepState::failed: return "failed";
    case StepState::skipped: break;
  }
  return "not tried";
}

void print_steps(const std::vector<Step>& steps, const std::optional<bool>& has_backup,
                 const std::string& url, const CommonFlags& flags) {
  if (flags.json) {
    std::string list;
    bool all = true;
    for (const Step& step : steps) {
      JsonObject object;
      object.add("step", step.name).add("state", to_string(step.state));
      if (!step.message.empty()) object.add("message", step.message);
      list += (list.empty() ? "" : ", ") + object.text();
      all = all && step.state == StepState::good;
    }
    JsonObject root;
    root.add("command", "check").add("storage", url).add("usable", all);
    if (has_backup) root.add("has_backup", *has_backup);
    root.add_json("steps", "[" + list + "]");
    std::printf("%s\n", root.text().c_str());
    return;
  }
  std::printf("%s\n", printable(url).c_str());
  for (const Step& step : steps) {
    std::printf("  %-20s %s%s%s\n", step.name, to_string(step.state),
                step.message.empty() ? "" : ": ", printable(step.message).c_str());
  }
  if (has_backup && *has_backup) {
    std::printf("  there is a backup already: a new one needs another place\n");
  }
}

int run_check(const CheckFlags& flags) {
  auto backend = open_readable_storage(flags.storage);
  if (!backend.ok()) return report_failure("check", backend.status(), flags.common);
  const std::vector<Step> steps = Probe(backend.value()).run();
  const auto exists = backend.value().exists(backupmeta_name);
  std::optional<bool> has_backup;
  if (exists.ok()) has_backup = exists.value();
  print_steps(steps, has_backup, backend.value().url(), flags.common);
  for (const Step& step : steps) {
    if (step.state != StepState::good) return could_not_finish;
  }
  return done;
}

}  // namespace

void add_check_command(CLI::App& app, Run& run) {
  auto flags = std::make_shared<CheckFlags>();
  CLI::App* command = app.add_subcommand(
      "check", "Try with a small object whether a backup could be written and read");
  add_storage_flags(*command, flags->storage, "Where to try");
  add_common_flags(*command, flags->common);
  command->callback([flags, &run] { run = [flags] { return run_check(*flags); }; });
}

}  // namespace program
