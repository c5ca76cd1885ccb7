// SPDX-License-Identifier: Apache-2.0
// Pairs as lines of text: key TAB value LF, both spelled in one KeyFormat.
//
// A CR before the LF is not part of the value, the LF of the last line may be missing, and a line
// has exactly one TAB. Keys strictly rise.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_format.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/source/byte_reader.hpp"
#include "kvbackup/source/concept.hpp"

namespace kvbackup::inline v1 {

/// How a TSV file is read.
struct TsvOptions {
  KeyFormat format = KeyFormat::hex;
  std::size_t longest_line = std::size_t{256} << 20;  ///< bytes; a longer line is refused
  std::string name = "TSV input";                     ///< for messages
};

/// A TSV file, read once and strictly forward. Every failure names the line, counted from 1:
/// out_of_order, corruption (no TAB, two TABs, not in the format), resource_exhausted (line too
/// long), or what the reader reports. Memory: the longest line so far, and 64 KiB.
template <ByteReader Reader>
class TsvSource {
 public:
  explicit TsvSource(Reader reader, TsvOptions options = {})
      : reader_(std::move(reader)), options_(std::move(options)) {
    next();
  }

  /// That of a reader which tells one, such as an FdReader of a file, and how it is read.
  [[nodiscard]] std::string state() const requires requires(const Reader& reader) {
    std::string(reader.state());
  }
  {
    const std::string state(reader_.state());
    if (state.empty()) return state;
    return state + ", format " + std::to_string(static_cast<int>(options_.format));
  }

  [[nodiscard]] bool valid() const noexcept { return valid_; }
  [[nodiscard]] ByteView key() const noexcept { return key_; }
  [[nodiscard]] ByteView value() const noexcept { return value_; }
  void next() {
    const bool first = !valid_;
    valid_ = false;
    if (!status_.ok()) return;
    previous_.swap(key_);
    ByteView line;
    if (!take_line(line)) return;
    if (!take_pair(line)) return;
    if (!first && !(ByteView(previous_) < ByteView(key_))) {
      const bool same = previous_ == key_;
      fail(StatusCode::out_of_order, same ? "has the same key as the line before it"
                                          : "is out of order: its key is below the one before it");
      status_ = std::move(status_).with_key(key_);
      return;
    }
    valid_ = true;
  }
  [[nodiscard]] Status status() const { return status_; }

  /// The number of the current line, from 1.
  [[nodiscard]] std::uint64_t line() const noexcept { return line_; }

 private:
  static constexpr std::size_t read_size = std::size_t{64} << 10;

  /// The next line without its end; false at the end of the file or after a failure.
  bool take_line(ByteView& line) {
    std::size_t searched = 0;
    for (;;) {
      const ByteView rest = ByteView(buffer_).substr(begin_, end_ - begin_);
      const std::size_t length = rest.find('\n', searched);
      if (length != ByteView::npos || (at_end_ && !rest.empty())) {
        ++line_;
        line = rest.substr(0, length);
        begin_ += std::min(line.size() + 1, rest.size());
        if (line.size() > options_.longest_line) return too_long();
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        return true;
      }
      if (at_end_) return false;
      // one more for the CR
      if (rest.size() > options_.longest_line && rest.size() - options_.longest_line > 1) {
        ++line_;
        return too_long();
      }
      searched = rest.size();
      if (!read_more()) return false;
    }
  }
  bool read_more() {
    if (begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    if (buffer_.size() - end_ < read_size) {
      buffer_.resize(std::max(buffer_.size() + buffer_.size() / 2, end_ + read_size));
    }
    Result<std::size_t> got = reader_.read(buffer_.data() + end_, buffer_.size() - end_);
    if (!got.ok()) {
      status_ = std::move(got).status();
      status_ = std::move(status_).with_object(options_.name);
      return false;
    }
    at_end_ = got.value() == 0;
    end_ += got.value();
    return true;
  }
  bool take_pair(ByteView line) {
    const std::size_t tab = line.find('\t');
    if (tab == ByteView::npos) {
      return fail(StatusCode::corruption, "has no TAB between a key and a value");
    }
    const ByteView value = line.substr(tab + 1);
    if (value.find('\t') != ByteView::npos) {
      return fail(StatusCode::corruption,
                  "has more than one TAB; use the format escaped or hex for bytes like these");
    }
    return decode(line.substr(0, tab), key_, "the key") && decode(value, value_, "the value");
  }
  bool decode(ByteView text, std::string& out, const char* which) {
    out.clear();
    const char* const why = detail::append_decoded(options_.format, text, out);
    if (why == nullptr) return true;
    std::string what(": ");
    what += which;
    what += ' ';
    what += why;
    return fail(StatusCode::corruption, what);
  }
  bool too_long() {
    std::string what("is longer than ");
    what += std::to_string(options_.longest_line);
    what += " bytes";
    return fail(StatusCode::resource_exhausted, what);
  }
  KVBACKUP_DETAIL_COLD bool fail(StatusCode code, std::string_view what) {
    std::string message("line ");
    message += std::to_string(line_);
    if (!what.starts_with(':')) message += ' ';
    message += what;
    status_ = Status::error(code, std::move(message)).with_object(options_.name);
    return false;
  }

  Reader reader_;
  TsvOptions options_;
  std::string buffer_;  // [begin_, end_) is read and not yet taken
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool at_end_ = false;
  bool valid_ = false;
  std::uint64_t line_ = 0;
  std::string key_;
  std::string value_;
  std::string previous_;
  Status status_;
};

static_assert(SortedSource<TsvSource<MemoryReader>>);

#if KVBACKUP_WITH_POSIX
/// A TSV file by its path; "-" is standard input, which stays open. Failures name the path.
/// A wait for more of a pipe ends when `cancel` is set.
[[nodiscard]] inline Result<TsvSource<FdReader>> open_tsv(const std::string& path,
                                                          KeyFormat format = KeyFormat::hex,
                                                          const CancelToken* cancel = nullptr) {
  TsvOptions options;
  options.format = format;
  if (path == "-") {
    options.name = "standard input";
    FdReader reader = FdReader::borrow(STDIN_FILENO, options.name);
    reader.cancel_on(cancel);
    return TsvSource<FdReader>(std::move(reader), std::move(options));
  }
  Result<FdReader> reader = FdReader::open(path);
  if (!reader.ok()) return std::move(reader).status();
  options.name = path;
  reader.value().cancel_on(cancel);
  return TsvSource<FdReader>(std::move(reader).value(), std::move(options));
}
#endif

}  // namespace kvbackup::inline v1
