// SPDX-License-Identifier: Apache-2.0
// What a run tells those who watch it: a log of events, and metrics. There is one of it, as there
// is one run in a process; commands and the seams of the library report to it, whether or not
// anybody asked for a file.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

#include "metrics.hpp"
#include "program.hpp"

namespace program {

/// --log-file, --log-format, --metrics-file.
struct TelemetryFlags {
  std::string log_file;
  std::string log_format = "json";
  std::string metrics_file;
};

/// One line of the log. Members are added in their order.
class Event {
 public:
  /// `level` is info, warning or error; `name` one of docs/operations.md's.
  Event(std::string_view level, std::string_view name) : level_(level), name_(name) {}
  Event& add(std::string_view name, std::string_view text) {
    return add_json(name, json_string(text));
  }
  Event& add(std::string_view name, const char* text) { return add(name, std::string_view(text)); }
  Event& add(std::string_view name, std::uint64_t number) {
    return add_json(name, std::to_string(number));
  }
  Event& add_seconds(std::string_view name, double seconds);

  /// "json": one object. "text": time, level, command, event, and name=value as JSON has the value.
  [[nodiscard]] std::string line(bool json, std::uint64_t unix_ms, std::string_view command) const;

 private:
  Event& add_json(std::string_view name, std::string json) {
    members_.emplace_back(name, std::move(json));
    return *this;
  }

  std::string_view level_;
  std::string_view name_;
  std::vector<std::pair<std::string_view, std::string>> members_;
};

/// What a job has done so far.
struct JobNumbers {
  std::uint64_t pairs = 0;
  std::uint64_t logical_bytes = 0;
  std::uint64_t stored_bytes = 0;
  std::uint64_t files = 0;
  std::uint64_t throttled_ns = 0;
};

/// Of a backup's progress, or a restore's or verification's.
template <class AnyProgress>
[[nodiscard]] JobNumbers numbers_of(const AnyProgress& progress) {
  return {.pairs = progress.pairs,
          .logical_bytes = progress.bytes,
          .stored_bytes = progress.stored_bytes,
          .files = progress.files,
          .throttled_ns = progress.throttled_ns};
}

/// Of what time the state of a backup is: of its version, where it has one, else of when it was
/// begun; 0 where neither is known.
[[nodiscard]] inline std::uint64_t state_unix_ms(std::uint64_t end_version,
                                                 std::uint64_t created_unix_ms) {
  return end_version != 0 ? kvbackup::unix_ms_of_tso(end_version) : created_unix_ms;
}

/// Thread-safe from begin() on. Its files' failures are said on standard error and change nothing
/// else.
class Telemetry {
 public:
  explicit Telemetry(kvbackup::Clock& clock) : clock_(clock) {}

  [[nodiscard]] TelemetryFlags& flags() { return flags_; }

  /// Opens the log, and reads and rewrites the metrics: what cannot be written is found out now.
  [[nodiscard]] kvbackup::Status begin(std::string command);
  /// The last event and the metrics of the run.
  void end(int exit_code);

  void log(const Event& event);
  /// Of a job that may be one of several of a command: backup --verify-after verifies, too. Numbers
  /// only grow; every few seconds they are an event.
  void on_progress(std::string_view job, const JobNumbers& numbers);
  void on_file(const kvbackup::File& file);
  /// `operation` completes "cannot ...".
  void on_retry(std::string_view operation, const kvbackup::Status& why, std::uint64_t wait_ms);
  void on_warning(std::string_view text);
  /// What ended the run; printed elsewhere.
  void on_failure(const kvbackup::Status& status, kvbackup::KeyDisplay keys);
  /// Of what time the state is that is backed up, or that the backup holds.
  void on_snapshot(std::uint64_t unix_ms);
  void on_verified(bool is_damaged);
  /// The run answers requests: success, status and age are theirs, and counted by update().
  void on_serving();

  /// Changes the metrics directly: serve's.
  void update(const std::function<void(Metrics&)>& change);
  /// As of now.
  [[nodiscard]] std::string metrics_text();
  /// Writes the metrics' file, if one was asked for.
  void write_metrics_file();

 private:
  void write_line(const std::string& line);  // under mutex_
  void add_job_numbers();                    // under mutex_
  void set_snapshot(std::uint64_t now_ms);   // under mutex_

  kvbackup::Clock& clock_;
  TelemetryFlags flags_;
  std::string command_;
  std::uint64_t begun_ns_ = 0;
  std::mutex mutex_;
  // under mutex_:
  kvbackup::FileHandle log_;
  bool log_failed_ = false;
  Metrics metrics_;
  std::map<std::string, JobNumbers, std::less<>> jobs_;
  std::uint64_t snapshot_unix_ms_ = 0;
  std::uint64_t progress_ns_ = 0;
  bool damage_found_ = false;
  bool serving_ = false;
};

[[nodiscard]] Telemetry& telemetry();
/// Adds --log-file, --log-format and --metrics-file.
void add_telemetry_flags(CLI::App& command);

}  // namespace program
