// SPDX-License-Identifier: Apache-2.0
// sst:PATH as a source: one SST file, or a folder of them merged in key order.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <kvbackup/kvbackup.hpp>

namespace program {

using SstReader = kvbackup::TableReader<kvbackup::PosixFile, kvbackup::BuiltDecoders>;

/// The pairs of one file beside others: each key's newest version. A deletion or the like could
/// concern a pair of another file, so it is an error.
class SstEntrySource {
 public:
  SstEntrySource(const SstReader& reader, std::string name);

  [[nodiscard]] bool valid() const { return valid_; }
  [[nodiscard]] kvbackup::ByteView key() const { return at_.key(); }
  [[nodiscard]] kvbackup::ByteView value() const { return at_.value(); }
  void next();
  void seek(kvbackup::ByteView key);
  [[nodiscard]] kvbackup::Status status() const { return status_.ok() ? at_.status() : status_; }

 private:
  void settle();

  std::string name_;
  decltype(std::declval<const SstReader&>().entries()) at_;
  bool valid_ = false;
  kvbackup::Status status_;
};

/// One file of several, or the only one.
class SstFileSource {
 public:
  using Alone = decltype(std::declval<const SstReader&>().source());
  explicit SstFileSource(Alone source) : source_(std::move(source)) {}
  explicit SstFileSource(SstEntrySource source) : source_(std::move(source)) {}

  [[nodiscard]] bool valid() const {
    return std::visit([](const auto& source) { return source.valid(); }, source_);
  }
  [[nodiscard]] kvbackup::ByteView key() const {
    return std::visit([](const auto& source) { return source.key(); }, source_);
  }
  [[nodiscard]] kvbackup::ByteView value() const {
    return std::visit([](const auto& source) { return source.value(); }, source_);
  }
  void next() {
    std::visit([](auto& source) { source.next(); }, source_);
  }
  void seek(kvbackup::ByteView key) {
    std::visit([key](auto& source) { source.seek(key); }, source_);
  }
  [[nodiscard]] kvbackup::Status status() const {
    return std::visit([](const auto& source) { return source.status(); }, source_);
  }

 private:
  std::variant<Alone, SstEntrySource> source_;
};

/// All files of an sst: URI, a SeekableSource.
class SstSource {
 public:
  /// `path` is a file, or a folder whose *.sst and *.ldb are taken.
  [[nodiscard]] static kvbackup::Result<SstSource> open(const std::string& path);

  [[nodiscard]] bool valid() const { return merged_.valid(); }
  [[nodiscard]] kvbackup::ByteView key() const { return merged_.key(); }
  [[nodiscard]] kvbackup::ByteView value() const { return merged_.value(); }
  void next() { merged_.next(); }
  void seek(kvbackup::ByteView key) { merged_.seek(key); }
  /// That of all files: none was changed, added or taken away.
  [[nodiscard]] std::string state() const { return state_; }
  /// A key that two files hold is an error that names both.
  [[nodiscard]] kvbackup::Status status() const;

 private:
  struct File {
    std::string name;
    SstReader reader;
  };
  SstSource(std::vector<File> files, std::vector<SstFileSource> sources, std::string state)
      : files_(std::move(files)), merged_(std::move(sources)), state_(std::move(state)) {}

  std::vector<File> files_;
  kvbackup::MergingSource<SstFileSource> merged_;
  std::string state_;
};
static_assert(kvbackup::SeekableSource<SstSource>);

}  // namespace program
