// SPDX-License-Identifier: Apache-2.0
// Shows how far a run is: a bar on a terminal, otherwise a line every few seconds; all on stderr.
// telemetry() is told of files and rebuilt parts.
#pragma once

#include <cstdint>
#include <string>

#include <kvbackup/kvbackup.hpp>

namespace program {

class ProgressDisplay final : public kvbackup::Observer {
 public:
  /// `title` stands at the front of every line: "Full backup". Where `job` is not empty,
  /// telemetry() is told the progress of it.
  ProgressDisplay(std::string title, std::string job, kvbackup::Clock& clock);
  /// Ends the bar's line.
  ~ProgressDisplay() override;
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  void on_progress(const kvbackup::Progress& progress) override;
  void on_file(const kvbackup::File& file) override;
  void on_rebuild(const kvbackup::Status& lost) override;
  void on_note(const std::string& note) override;

 private:
  void draw_bar(const kvbackup::Progress& progress, double seconds);
  void log_line(const kvbackup::Progress& progress, double seconds);

  std::string title_;
  std::string job_;
  kvbackup::Clock& clock_;
  bool terminal_;
  bool drawn_ = false;
  std::uint64_t start_ns_;
  std::uint64_t last_ns_;
};

/// The share done, 0..1, as far as the source could tell how much there is; negative if not.
[[nodiscard]] double fraction_done(const kvbackup::Progress& progress);

}  // namespace program
