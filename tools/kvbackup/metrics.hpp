// SPDX-License-Identifier: Apache-2.0
// The numbers that a monitoring system collects of this program, in Prometheus' text form.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>

namespace program {

/// Samples of the families that this program knows, by their labels. A value: copy it to render it
/// elsewhere.
class Metrics {
 public:
  /// Names and values, in the order in which they are written. Names are fixed texts of this
  /// program; a value may hold anything.
  using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

  /// `family` without "kvbackup_": one of the table in metrics.cpp; others are left out.
  void set(std::string_view family, const Labels& labels, double value);
  /// Adds to what is there, or to 0.
  void add(std::string_view family, const Labels& labels, double value);

  /// All samples with their HELP and TYPE lines, by family and labels: text format 0.0.4.
  [[nodiscard]] std::string text() const;
  /// What text() gave. Errors: corruption if it holds anything but such samples and comments.
  [[nodiscard]] static kvbackup::Result<Metrics> parse(std::string_view text);

 private:
  std::map<std::string, double>* samples_of(std::string_view family);

  // family -> rendered labels ("" or "{a=\"b\"}") -> value
  std::map<std::string_view, std::map<std::string, double>> samples_;
};

/// Samples of a file that text() was written to; none if there is no such file. Errors: corruption
/// if it holds anything else, io_error.
[[nodiscard]] kvbackup::Result<Metrics> read_metrics(const std::string& path);
/// Replaces the file by one with `metrics`: a reader sees the former text or this one, whole.
[[nodiscard]] kvbackup::Status write_metrics(const std::string& path, const Metrics& metrics);

}  // namespace program
