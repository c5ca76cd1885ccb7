// SPDX-License-Identifier: Apache-2.0
#include "metrics.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>

namespace program {

using namespace kvbackup;

namespace {

struct Family {
  std::string_view name;
  std::string_view type;
  std::string_view help;
};

constexpr std::string_view name_prefix = "kvbackup_";

constexpr std::array<Family, 13> families{{
    {"last_success_timestamp_seconds", "gauge",
     "When a run last succeeded, in seconds since 1970; a failed run leaves it as it was."},
    {"last_run_timestamp_seconds", "gauge",
     "When the last run ended, in seconds since 1970, whatever came of it."},
    {"last_run_status", "gauge",
     "Exit code of the last run: 0 done, 1 could not finish, 2 wrong usage, 3 damage found."},
    {"duration_seconds", "gauge", "How long the last run took."},
    {"bytes_total", "counter",
     "Bytes of all runs: logical = keys and values, stored = of files written or read."},
    {"pairs_total", "counter", "Keys with their values, of all runs."},
    {"files_total", "counter", "Files written or read, of all runs."},
    {"retries_total", "counter",
     "Requests that were sent again and parts that were built again, by what could not be done and "
     "why."},
    {"throttled_seconds_total", "counter",
     "Time that all workers together waited for the rate limits."},
    {"verify_failures_total", "counter", "Runs that found damage in a backup."},
    {"snapshot_age_seconds", "gauge",
     "Age of the state that the last successful run backed up, or of the backup that it read, when "
     "the run ended; of serve: of the state that it read last, now."},
    {"snapshot_timestamp_seconds", "gauge", "Of what time that state is, in seconds since 1970."},
    {"requests_total", "counter", "Requests that serve has answered, by result."},
}};

const Family* family_of(std::string_view name) {
  const auto found = std::find_if(families.begin(), families.end(),
                                  [name](const Family& family) { return family.name == name; });
  return found == families.end() ? nullptr : &*found;
}

void append_escaped(std::string& out, std::string_view value) {
  for (const char c : value) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
}

std::string rendered(const Metrics::Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    out += out.empty() ? '{' : ',';
    out.append(name).append("=\"");
    // the format is UTF-8
    append_escaped(out, is_utf8(value) ? std::string(value) : to_hex(value));
    out += '"';
  }
  if (!out.empty()) out += '}';
  return out;
}

std::string number(double value) {
  constexpr double exact = 9007199254740992;  // 2^53
  std::array<char, 32> text{};
  const bool whole = std::floor(value) == value && std::fabs(value) < exact;
  const auto end = whole ? std::to_chars(text.data(), text.data() + text.size(),
                                         static_cast<std::int64_t>(value))
                         : std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), end.ptr};
}

/// The length of the labels that `text` begins with, braces included; nothing if they do not end.
std::optional<std::size_t> labels_length(std::string_view text) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[i] == '}') {
      return i + 1;
    }
  }
  return std::nullopt;
}

struct Sample {
  std::string_view name;
  std::string_view labels;
  double value = 0;
};

std::optional<Sample> parse_sample(std::string_view line) {
  Sample sample;
  sample.name = line.substr(0, line.find_first_of("{ "));
  line.remove_prefix(sample.name.size());
  if (line.starts_with('{')) {
    const auto length = labels_length(line);
    if (!length) return std::nullopt;
    sample.labels = line.substr(0, *length);
    line.remove_prefix(*length);
  }
  if (!line.starts_with(' ')) return std::nullopt;
  line.remove_prefix(1);
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), sample.value);
  if (error != std::errc() || end != line.data() + line.size()) return std::nullopt;
  if (!std::isfinite(sample.value)) return std::nullopt;
  return sample;
}

}  // namespace

std::map<std::string, double>* Metrics::samples_of(std::string_view family) {
  const Family* known = family_of(family);
  return known == nullptr ? nullptr : &samples_[known->name];
}

void Metrics::set(std::string_view family, const Labels& labels, double value) {
  if (auto* samples = samples_of(family)) (*samples)[rendered(labels)] = value;
}

void Metrics::add(std::string_view family, const Labels& labels, double value) {
  if (auto* samples = samples_of(family)) (*samples)[rendered(labels)] += value;
}

std::string Metrics::text() const {
  std::string out;
  for (const Family& family : families) {
    const auto found = samples_.find(family.name);
    if (found == samples_.end()) continue;
    const std::string name = std::string(name_prefix) + std::string(family.name);
    out.append("# HELP ").append(name).append(" ").append(family.help).append("\n");
    out.append("# TYPE ").append(name).append(" ").append(family.type).append("\n");
    for (const auto& [labels, value] : found->second) {
      out.append(name).append(labels).append(" ").append(number(value)).append("\n");
    }
  }
  return out;
}

Result<Metrics> Metrics::parse(std::string_view text) {
  Metrics metrics;
  std::size_t line_number = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    ++line_number;
    if (line.empty() || line.starts_with('#')) continue;
    const auto sample = parse_sample(line);
    const bool ours = sample && sample->name.starts_with(name_prefix);
    auto* samples = ours ? metrics.samples_of(sample->name.substr(name_prefix.size())) : nullptr;
    if (samples == nullptr) {
      return Status::error(StatusCode::corruption,
                           "line " + std::to_string(line_number) +
                               " is no metric of this program, so the file is left as it is; name "
                               "another one, or remove it");
    }
    (*samples)[std::string(sample->labels)] = sample->value;
  }
  return metrics;
}

Result<Metrics> read_metrics(const std::string& path) {
  auto text = process_environment().file(path);
  if (!text.ok()) {
    if (text.status().code() == StatusCode::not_found) return Metrics();
    return std::move(text).status();
  }
  auto metrics = Metrics::parse(text.value());
  if (!metrics.ok()) return std::move(metrics).status().with_object(path);
  return metrics;
}

Status write_metrics(const std::string& path, const Metrics& metrics) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : path.substr(0, slash);
  // what replaces an object of a backup whole replaces any file so
  LocalBackend backend(folder);
  auto file = backend.create(slash == std::string::npos ? path : path.substr(slash + 1),
                             {.size_hint = std::nullopt, .if_absent = false});
  if (!file.ok()) return std::move(file).status();
  if (Status status = file.value().append(metrics.text()); !status.ok()) return status;
  return file.value().commit().status();
}

}  // namespace program
