// SPDX-License-Identifier: Apache-2.0
#include "sst_store.hpp"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <system_error>

#include "program.hpp"

namespace program {

using namespace kvbackup;

namespace {

Status cannot_list(const std::string& path, const std::error_code& error) {
  return Status::error(error == std::errc::no_such_file_or_directory ? StatusCode::not_found
                                                                     : StatusCode::io_error,
                       "cannot open sst:PATH: " + error.message())
      .with_object(path)
      .with_native(error.value());
}

/// The files that `path` names, sorted.
Result<std::vector<std::string>> files_of(const std::string& path) {
  std::error_code error;
  const auto kind = std::filesystem::status(path, error);
  if (error || !std::filesystem::exists(kind)) {
    return cannot_list(path, error ? error : make_error_code(std::errc::no_such_file_or_directory));
  }
  if (!std::filesystem::is_directory(kind)) return std::vector<std::string>{path};
  std::vector<std::string> files;
  std::filesystem::directory_iterator at(path, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    const std::filesystem::path extension = at->path().extension();
    if (extension == ".sst" || extension == ".ldb") files.push_back(at->path().string());
  }
  if (error) return cannot_list(path, error);
  if (files.empty()) {
    return Status::error(StatusCode::not_found, "there is no .sst or .ldb file in this folder")
        .with_object(path);
  }
  std::sort(files.begin(), files.end());
  return files;
}

Status deletes_elsewhere(const std::string& name) {
  return Status::error(StatusCode::unsupported,
                       "this file holds deletions or operands, and what they do to pairs of other "
                       "files cannot be told; read the store itself (rocksdb:PATH, leveldb:PATH), "
                       "or one file")
      .with_object(name);
}

}  // namespace

SstEntrySource::SstEntrySource(const SstReader& reader, std::string name)
    : name_(std::move(name)), at_(reader.entries()) {
  settle();
}
void SstEntrySource::next() {
  at_.next();
  while (at_.valid() && at_.repeats_key()) at_.next();
  settle();
}
void SstEntrySource::seek(ByteView key) {
  if (!status_.ok()) return;
  at_.seek(key);
  settle();
}
void SstEntrySource::settle() {
  valid_ = at_.valid();
  if (!valid_ || at_.type() == EntryType::value) return;
  valid_ = false;
  status_ = deletes_elsewhere(name_).with_key(at_.key());
}

Result<SstSource> SstSource::open(const std::string& path) {
  auto names = files_of(path);
  if (!names.ok()) return std::move(names).status();
  std::vector<File> files;
  std::vector<SstFileSource> sources;
  const bool alone = names.value().size() == 1;
  std::string state;
  for (const std::string& name : names.value()) {
    auto file = PosixFile::open(name);
    if (!file.ok()) return std::move(file).status();
    const auto handle = FileHandle::open(name, O_RDONLY);
    if (!handle.ok()) return handle.status();
    state += handle.value().state() + '\n';
    auto reader = SstReader::open(std::move(file).value());
    if (!reader.ok()) return std::move(reader).status();
    if (alone) {
      sources.emplace_back(reader.value().source());
    } else {
      const auto tombstones = reader.value().range_tombstones();
      if (!tombstones.ok()) return tombstones.status();
      if (!tombstones.value().empty()) return deletes_elsewhere(name);
      sources.emplace_back(SstEntrySource(reader.value(), name));
    }
    files.push_back({name, std::move(reader).value()});
  }
  if (alone) {
    state.pop_back();
  } else {
    const Sha256Digest digest = PortableSha256::of(state);
    state = std::to_string(files.size()) + " files, " + to_hex(as_bytes(digest));
  }
  return SstSource(std::move(files), std::move(sources), std::move(state));
}

Status SstSource::status() const {
  Status status = merged_.status();
  if (status.code() != StatusCode::out_of_order || files_.size() < 2) return status;
  std::string names;
  for (const File& file : files_) {
    const auto found = file.reader.get(status.key());
    if (!found.ok() || !found.value().found()) continue;
    names += (names.empty() ? "" : " and ") + file.name;
  }
  return Status::error(StatusCode::out_of_order,
                       "two files hold this key, and which value is meant cannot be told; take "
                       "one of them away")
      .with_object(names)
      .with_key(status.key());
}

}  // namespace program
