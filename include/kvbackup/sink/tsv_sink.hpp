// SPDX-License-Identifier: Apache-2.0
// Pairs as lines of text: key TAB value LF, both spelled in one KeyFormat. What it writes,
// TsvSource reads back.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/key_format.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/sink/byte_writer.hpp"
#include "kvbackup/sink/concept.hpp"

namespace kvbackup::inline v1 {

/// Writes lines through a ByteWriter, 64 KiB at a time. Keys must strictly rise (out_of_order). The
/// raw format cannot hold a TAB or LF, nor a value that ends in CR: such a pair is unsupported.
template <ByteWriter Writer>
class TsvSink {
 public:
  explicit TsvSink(Writer writer, KeyFormat format = KeyFormat::hex)
      : writer_(std::move(writer)), format_(format) {}

  [[nodiscard]] Status put(ByteView key, ByteView value) {
    if (!status_.ok()) return status_;
    if (any_ && !(ByteView(last_key_) < key)) return fail_order(key);
    if (format_ == KeyFormat::raw && !fits_raw(key, value)) return fail_raw(key);
    any_ = true;
    last_key_.assign(key);
    append_key_text(buffer_, format_, key);
    buffer_.push_back('\t');
    append_key_text(buffer_, format_, value);
    buffer_.push_back('\n');
    if (buffer_.size() >= flush_size) flush();
    return status_;
  }
  [[nodiscard]] Status finish() {
    if (!status_.ok()) return status_;
    flush();
    if (status_.ok()) status_ = writer_.finish();
    if (!status_.ok()) return status_;
    closed_ = true;
    status_ = detail::sink_is_closed();
    return {};
  }
  void abandon() {
    if (closed_) return;
    closed_ = true;
    if (status_.ok()) status_ = detail::sink_is_closed();
    buffer_.clear();
    writer_.abandon();
  }

 private:
  static constexpr std::size_t flush_size = std::size_t{64} << 10;

  [[nodiscard]] static bool fits_raw(ByteView key, ByteView value) {
    return key.find_first_of("\t\n") == ByteView::npos &&
           value.find_first_of("\t\n") == ByteView::npos && (value.empty() || value.back() != '\r');
  }
  void flush() {
    status_ = writer_.append(buffer_);
    buffer_.clear();
  }
  KVBACKUP_DETAIL_COLD Status fail_order(ByteView key) {
    status_ = Status::error(StatusCode::out_of_order,
                            "cannot write the pair: its key is not above the one before it")
                  .with_key(key);
    return status_;
  }
  KVBACKUP_DETAIL_COLD Status fail_raw(ByteView key) {
    status_ = Status::error(StatusCode::unsupported,
                            "cannot write the pair as raw text: it has a TAB or a newline, or its "
                            "value ends in CR; use the format escaped or hex")
                  .with_key(key);
    return status_;
  }

  Writer writer_;
  KeyFormat format_;
  bool any_ = false;
  bool closed_ = false;
  std::string last_key_;
  std::string buffer_;
  Status status_;
};

static_assert(Sink<TsvSink<StringWriter>>);

#if KVBACKUP_WITH_POSIX
/// A TSV file at `path`, seen only once it is whole. already_exists unless `replace`.
[[nodiscard]] inline Result<TsvSink<FileWriter>> create_tsv(const std::string& path,
                                                            KeyFormat format = KeyFormat::hex,
                                                            bool replace = false) {
  Result<FileWriter> writer = FileWriter::create(path, replace);
  if (!writer.ok()) return std::move(writer).status();
  return TsvSink<FileWriter>(std::move(writer).value(), format);
}
/// TSV on a descriptor that stays open, such as standard output.
[[nodiscard]] inline TsvSink<FdWriter> tsv_to_fd(int fd, std::string name,
                                                 KeyFormat format = KeyFormat::hex) {
  return TsvSink<FdWriter>(FdWriter(fd, std::move(name)), format);
}
#endif

}  // namespace kvbackup::inline v1
