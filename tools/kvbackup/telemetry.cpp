// SPDX-License-Identifier: Apache-2.0
#include "telemetry.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

#include "usage.hpp"

namespace program {

using namespace kvbackup;

namespace {

constexpr std::uint64_t progress_interval_ns = 5'000'000'000;

double seconds_of(std::uint64_t ns) { return static_cast<double>(ns) / 1e9; }
double seconds_of_ms(std::uint64_t ms) { return static_cast<double>(ms) / 1e3; }

/// RFC 3339 in UTC: "2021-04-14T08:00:00.123Z".
std::string rfc3339(std::uint64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  std::array<char, 32> text{};
  if (gmtime_r(&seconds, &parts) == nullptr) return "?";
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text.data() + length, text.size() - length, ".%03uZ",
                static_cast<unsigned>(unix_ms % 1000));
  return text.data();
}

/// An HTTP status where the failure has one, else the name of its code.
std::string code_label(const Status& why) {
  const int native = why.native_code();
  if (native >= 400 && native < 600) return std::to_string(native);
  return std::string(to_string(why.code()));
}

Event& add_numbers(Event& event, const JobNumbers& numbers) {
  event.add("pairs", numbers.pairs).add("logical_bytes", numbers.logical_bytes);
  event.add("stored_bytes", numbers.stored_bytes).add("files", numbers.files);
  return event.add_seconds("throttled_seconds", seconds_of(numbers.throttled_ns));
}

void complain(const char* about, const Status& status) {
  std::fprintf(stderr, "kvbackup: warning: %s: %s\n", about, printable(status.to_string()).c_str());
}

}  // namespace

Event& Event::add_seconds(std::string_view name, double seconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3f", seconds);
  return add_json(name, text.data());
}

std::string Event::line(bool json, std::uint64_t unix_ms, std::string_view command) const {
  if (!json) {
    std::string out = rfc3339(unix_ms);
    for (const std::string_view word : {level_, command, name_}) out.append(" ").append(word);
    for (const auto& [name, value] : members_) {
      out.append(" ").append(name).append("=").append(value);
    }
    return out + "\n";
  }
  JsonObject object;
  object.add("time", rfc3339(unix_ms)).add("level", level_);
  object.add("command", command).add("event", name_);
  for (const auto& [name, value] : members_) object.add_json(name, value);
  return object.text() + "\n";
}

Status Telemetry::begin(std::string command) {
  const std::lock_guard lock(mutex_);
  command_ = std::move(command);
  begun_ns_ = progress_ns_ = clock_.steady_ns();
  if (!flags_.metrics_file.empty()) {
    auto former = read_metrics(flags_.metrics_file);
    if (!former.ok()) return std::move(former).status().with_object(flags_.metrics_file);
    metrics_ = std::move(former).value();
    if (Status status = write_metrics(flags_.metrics_file, metrics_); !status.ok()) {
      return std::move(status).with_note("that is what --metrics-file names");
    }
  }
  if (!flags_.log_file.empty()) {
    // keys may stand in it
    constexpr mode_t mode = 0640;
    auto file = FileHandle::open(flags_.log_file, O_WRONLY | O_CREAT | O_APPEND, mode);
    if (!file.ok()) return std::move(file).status().with_note("that is what --log-file names");
    log_ = std::move(file).value();
  }
  Event event("info", "start");
  event.add("version", KVBACKUP_VERSION_STRING);
  event.add("pid", static_cast<std::uint64_t>(::getpid()));
  write_line(event.line(flags_.log_format == "json", clock_.unix_ms(), command_));
  return {};
}

void Telemetry::end(int exit_code) {
  const std::uint64_t now_ms = clock_.unix_ms();
  const double duration = seconds_of(clock_.steady_ns() - begun_ns_);
  {
    const std::lock_guard lock(mutex_);
    const Metrics::Labels labels{{"command", command_}};
    if (!serving_) {
      if (exit_code == done) {
        metrics_.set("last_success_timestamp_seconds", labels, seconds_of_ms(now_ms));
      }
      metrics_.set("last_run_timestamp_seconds", labels, seconds_of_ms(now_ms));
      metrics_.set("last_run_status", labels, exit_code);
      metrics_.set("duration_seconds", labels, duration);
    }
    // there from the first run on, so that the first failure is an increase
    const bool failed = damage_found_ || exit_code == damage_found;
    metrics_.add("verify_failures_total", labels, failed ? 1 : 0);
    if (exit_code == done) set_snapshot(now_ms);
    add_job_numbers();
    Event event(exit_code == done ? "info" : "error", "end");
    event.add("exit_code", static_cast<std::uint64_t>(exit_code));
    event.add_seconds("seconds", duration);
    if (const auto own = jobs_.find(command_); own != jobs_.end()) add_numbers(event, own->second);
    write_line(event.line(flags_.log_format == "json", now_ms, command_));
  }
  write_metrics_file();
}

void Telemetry::set_snapshot(std::uint64_t now_ms) {
  if (snapshot_unix_ms_ == 0) return;
  const Metrics::Labels labels{{"command", command_}};
  metrics_.set("snapshot_timestamp_seconds", labels, seconds_of_ms(snapshot_unix_ms_));
  metrics_.set("snapshot_age_seconds", labels,
               seconds_of_ms(now_ms - std::min(now_ms, snapshot_unix_ms_)));
}

void Telemetry::add_job_numbers() {
  for (const auto& [job, numbers] : jobs_) {
    const Metrics::Labels labels{{"command", job}};
    const auto count = [this, &labels](const char* family, double value) {
      metrics_.add(family, labels, value);
    };
    metrics_.add("bytes_total", {{"command", job}, {"kind", "logical"}},
                 static_cast<double>(numbers.logical_bytes));
    metrics_.add("bytes_total", {{"command", job}, {"kind", "stored"}},
                 static_cast<double>(numbers.stored_bytes));
    count("pairs_total", static_cast<double>(numbers.pairs));
    count("files_total", static_cast<double>(numbers.files));
    count("throttled_seconds_total", seconds_of(numbers.throttled_ns));
  }
}

void Telemetry::log(const Event& event) {
  const std::lock_guard lock(mutex_);
  write_line(event.line(flags_.log_format == "json", clock_.unix_ms(), command_));
}

void Telemetry::write_line(const std::string& line) {
  if (!log_.is_open() || log_failed_) return;
  const Status status = log_.write_all(line);
  log_failed_ = !status.ok();
  if (log_failed_) complain("the log ends here", status);
}

void Telemetry::on_progress(std::string_view job, const JobNumbers& numbers) {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) {
    jobs_.emplace(job, numbers);
  } else {
    found->second = numbers;
  }
  const std::uint64_t now = clock_.steady_ns();
  if (now - progress_ns_ < progress_interval_ns) return;
  progress_ns_ = now;
  Event event("info", "progress");
  event.add("job", job);
  write_line(
      add_numbers(event, numbers).line(flags_.log_format == "json", clock_.unix_ms(), command_));
}

void Telemetry::on_file(const File& file) {
  Event event("info", "file");
  event.add("name", file.name).add("cf", file.cf).add("size", file.size);
  log(event.add("pairs", file.total_kvs).add("logical_bytes", file.total_bytes));
}

void Telemetry::on_retry(std::string_view operation, const Status& why, std::uint64_t wait_ms) {
  const std::string code = code_label(why);
  Event event("warning", "retry");
  event.add("operation", operation).add("code", code);
  event.add_seconds("wait_seconds", seconds_of_ms(wait_ms));
  // no flag is known here that would allow keys
  log(event.add("message", why.to_string(KeyDisplay::redacted)));
  update([&](Metrics& metrics) {
    metrics.add("retries_total", {{"command", command_}, {"op", operation}, {"code", code}}, 1);
  });
}

void Telemetry::on_warning(std::string_view text) {
  log(Event("warning", "warning").add("message", text));
}

void Telemetry::on_failure(const Status& status, KeyDisplay keys) {
  Event event("error", "failure");
  event.add("code", to_string(status.code())).add("message", status.to_string(keys));
  if (!status.object().empty()) event.add("object", status.object());
  log(event);
}

void Telemetry::on_snapshot(std::uint64_t unix_ms) {
  const std::lock_guard lock(mutex_);
  snapshot_unix_ms_ = unix_ms;
}

void Telemetry::on_verified(bool is_damaged) {
  const std::lock_guard lock(mutex_);
  damage_found_ = damage_found_ || is_damaged;
}

void Telemetry::on_serving() {
  const std::lock_guard lock(mutex_);
  serving_ = true;
  for (const char* result : {"ok", "error"}) {
    metrics_.add("requests_total", {{"command", command_}, {"result", result}}, 0);
  }
}

void Telemetry::update(const std::function<void(Metrics&)>& change) {
  const std::lock_guard lock(mutex_);
  change(metrics_);
}

std::string Telemetry::metrics_text() {
  const std::lock_guard lock(mutex_);
  set_snapshot(clock_.unix_ms());
  return metrics_.text();
}

void Telemetry::write_metrics_file() {
  if (flags_.metrics_file.empty()) return;
  const std::lock_guard lock(mutex_);
  const Status status = write_metrics(flags_.metrics_file, metrics_);
  if (!status.ok()) complain("the metrics of this run are lost", status);
}

Telemetry& telemetry() {
  static SystemClock clock;
  static Telemetry telemetry(clock);
  return telemetry;
}

void add_telemetry_flags(CLI::App& command) {
  TelemetryFlags& flags = telemetry().flags();
  command.add_option("--log-file", flags.log_file, "Append what happens to it, a line an event")
      ->group(watch_group);
  command.add_option("--log-format", flags.log_format, "Of these lines: json or text")
      ->check(CLI::IsMember({"json", "text"}))
      ->capture_default_str()
      ->group(watch_group);
  command
      .add_option("--metrics-file", flags.metrics_file,
                  "Replace it by the metrics of this run and those before, as Prometheus has "
                  "them")
      ->group(watch_group);
}

}  // namespace program
