// SPDX-License-Identifier: Apache-2.0
// Where to is told at run time, and folders are the one kind of storage that is compiled in: what
// is not in the list of AnyBackend costs no code, and is refused by name.
#include <cstdio>
#include <map>
#include <string>
#include <utility>

#include <kvbackup/kvbackup.hpp>

using Backend = kvbackup::AnyBackend<kvbackup::LocalBackend>;

namespace {

kvbackup::Result<Backend> open(const std::string& url) {
  const auto storage = kvbackup::parse_storage_url(url);
  if (!storage.ok()) return storage.status();
  return kvbackup::open_backend<Backend>(storage.value());
}

}  // namespace

int main(int argc, char** argv) {
  auto backend = open(argc > 1 ? argv[1] : "today");
  if (!backend.ok()) {
    std::fprintf(stderr, "%s\n", backend.status().to_string().c_str());
    return 1;
  }
  const std::map<std::string, std::string> store{{"apple", "red"}, {"banana", "yellow"}};
  auto pipeline = kvbackup::BackupPipeline(kvbackup::RangeSource(store), kvbackup::NoneCodec{},
                                           kvbackup::FileHasher{}, std::move(backend).value());
  const auto meta = pipeline.run();
  if (!meta.ok()) {
    std::fprintf(stderr, "%s\n", meta.status().to_string().c_str());
    return 1;
  }
  // S3 is not among the backends of this program
  const auto refused = open("s3://bucket/prefix");
  std::puts(refused.status().to_string().c_str());
  return refused.ok() ? 1 : 0;
}
