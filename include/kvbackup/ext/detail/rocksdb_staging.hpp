// SPDX-License-Identifier: Apache-2.0
// Writes pairs as SST files of our own into a folder, ready for RocksDB to ingest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <kvbackup/kvbackup.hpp>

namespace kvbackup::inline v1 {

namespace detail {

/// A new file, written a mebibyte at a time.
class StagedFile {
 public:
  explicit StagedFile(FileHandle file) : file_(std::move(file)) {}

  [[nodiscard]] Status append(ByteView bytes) {
    buffer_.append(bytes);
    return buffer_.size() < write_bytes ? Status() : write();
  }
  /// Everything is on the disk when it returns.
  [[nodiscard]] Status finish() {
    Status status = write();
    if (status.ok()) status = file_.sync_data();
    file_.close();
    return status;
  }

 private:
  static constexpr std::size_t write_bytes = std::size_t{1} << 20;

  [[nodiscard]] Status write() {
    Status status = file_.write_all(buffer_);
    buffer_.clear();
    return status;
  }

  FileHandle file_;
  std::string buffer_;
};

/// Pairs in rising order become files of about `file_bytes` each. Belongs to one thread.
template <BlockChecksum Checksum, BlockCodec Codec>
class TableStager {
 public:
  TableStager(Codec codec, std::uint64_t file_bytes)
      : codec_(std::move(codec)), file_bytes_(file_bytes) {}

  /// Where files go; nothing is touched before the first pair.
  void set_folder(std::string folder) { folder_ = std::move(folder); }

  /// Adds a pair; a file that is full goes to `files`.
  template <class Files>
  [[nodiscard]] Status put(ByteView key, ByteView value, Files& files) {
    if (!writer_) {
      if (Status status = begin(); !status.ok()) return status;
    }
    if (Status status = writer_->add(key, value); !status.ok()) return status;
    return writer_->file_size() < file_bytes_ ? Status() : end_file(files);
  }
  /// Completes the open file, if there is one.
  template <class Files>
  [[nodiscard]] Status end_file(Files& files) {
    if (!writer_) return {};
    auto summary = writer_->finish();
    Status status = summary.ok() ? writer_->output().finish() : std::move(summary).status();
    writer_.reset();
    if (!status.ok()) return std::move(status).with_object(path_);
    files.push_back(std::move(path_));
    return {};
  }
  void abandon() { writer_.reset(); }

 private:
  using Writer = TableWriter<Codec, Checksum, StagedFile>;

  [[nodiscard]] Status begin() {
    path_ = join_path(folder_, std::to_string(++number_) + ".sst");
    auto file = FileHandle::open(path_, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (!file.ok()) return std::move(file).status();
    writer_.emplace(TableOptions::rocksdb(), codec_, StagedFile(std::move(file).value()));
    return {};
  }

  Codec codec_;
  std::uint64_t file_bytes_;
  std::string folder_;
  std::string path_;  // of the open file
  std::uint64_t number_ = 0;
  std::optional<Writer> writer_;
};

}  // namespace detail

}  // namespace kvbackup::inline v1
