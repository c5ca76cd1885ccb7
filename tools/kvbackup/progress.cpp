// SPDX-License-Identifier: Apache-2.0
#include "progress.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <unistd.h>

#include "program.hpp"
#include "telemetry.hpp"

namespace program {

namespace {
constexpr std::uint64_t bar_interval_ns = 100'000'000;
constexpr std::uint64_t log_interval_ns = 5'000'000'000;
constexpr std::size_t bar_width = 30;

// BR's bar: "<-----/.......>"
std::string bar(double fraction) {
  const auto filled = static_cast<std::size_t>(fraction * static_cast<double>(bar_width));
  std::string out = "<" + std::string(filled, '-');
  if (filled < bar_width) out += "/" + std::string(bar_width - filled - 1, '.');
  return out + ">";
}

std::string rate(const kvbackup::Progress& progress, double seconds) {
  if (seconds <= 0) return "";
  return human_bytes(static_cast<double>(progress.bytes) / seconds) + "/s";
}

std::string percent(double fraction) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%.2f%%", fraction * 100);
  return text.data();
}
}  // namespace

double fraction_done(const kvbackup::Progress& progress) {
  const auto share = [](std::uint64_t done, std::uint64_t total) {
    return total == 0 ? 1.0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  };
  // of the two, stores count pairs and guess bytes
  if (progress.total.pairs) return share(progress.pairs, *progress.total.pairs);
  if (progress.total.bytes) return share(progress.bytes, *progress.total.bytes);
  if (progress.total_ranges > 1) return share(progress.ranges, progress.total_ranges);
  return -1;
}

ProgressDisplay::ProgressDisplay(std::string title, std::string job, kvbackup::Clock& clock)
    : title_(std::move(title)),
      job_(std::move(job)),
      clock_(clock),
      terminal_(::isatty(STDERR_FILENO) == 1),
      start_ns_(clock.steady_ns()),
      last_ns_(start_ns_) {}

ProgressDisplay::~ProgressDisplay() {
  if (drawn_) std::fputs("\n", stderr);
}

void ProgressDisplay::on_progress(const kvbackup::Progress& progress) {
  if (!job_.empty()) telemetry().on_progress(job_, numbers_of(progress));
  const std::uint64_t now = clock_.steady_ns();
  const bool last = progress.total_ranges > 0 && progress.ranges == progress.total_ranges;
  const std::uint64_t interval = terminal_ ? bar_interval_ns : log_interval_ns;
  if (now - last_ns_ < interval && !(terminal_ && last)) return;
  last_ns_ = now;
  const double seconds = static_cast<double>(now - start_ns_) * 1e-9;
  if (terminal_) {
    draw_bar(progress, seconds);
  } else {
    log_line(progress, seconds);
  }
}

void ProgressDisplay::on_file(const kvbackup::File& file) { telemetry().on_file(file); }

// Without keys: no flag is known here that would allow them.
void ProgressDisplay::on_rebuild(const kvbackup::Status& lost) {
  std::fprintf(stderr, "%s%s: a part is built again: %s\n", drawn_ ? "\r\033[K" : "",
               title_.c_str(), printable(lost.to_string(kvbackup::KeyDisplay::redacted)).c_str());
  drawn_ = false;
  telemetry().on_retry("write a part", lost, 0);
}

void ProgressDisplay::on_note(const std::string& note) {
  std::fprintf(stderr, "%s%s: %s\n", drawn_ ? "\r\033[K" : "", title_.c_str(),
               printable(note).c_str());
  drawn_ = false;
}

void ProgressDisplay::draw_bar(const kvbackup::Progress& progress, double seconds) {
  const bool last = progress.total_ranges > 0 && progress.ranges == progress.total_ranges;
  const double fraction = last ? 1 : fraction_done(progress);
  std::string line = title_ + " ";
  if (fraction >= 0) {
    line += bar(fraction) + " " + percent(fraction);
    if (fraction > 0 && fraction < 1) {
      line += "  " + human_duration(seconds * (1 - fraction) / fraction) + " left";
    }
  } else {
    line += std::to_string(progress.pairs) + " pairs";
  }
  line += "  " + human_bytes(static_cast<double>(progress.bytes)) + "  " + rate(progress, seconds);
  // \033[K clears what a longer line before left behind
  std::fprintf(stderr, "\r%s\033[K", line.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressDisplay::log_line(const kvbackup::Progress& progress, double seconds) {
  const double fraction = fraction_done(progress);
  std::fprintf(stderr, "%s: %s%llu pairs, %s read, %s stored, %llu files, %s\n", title_.c_str(),
               fraction >= 0 ? (percent(fraction) + ", ").c_str() : "",
               static_cast<unsigned long long>(progress.pairs),
               human_bytes(static_cast<double>(progress.bytes)).c_str(),
               human_bytes(static_cast<double>(progress.stored_bytes)).c_str(),
               static_cast<unsigned long long>(progress.files), rate(progress, seconds).c_str());
}

}  // namespace program
