// SPDX-License-Identifier: Apache-2.0
// Backs up a std::map into a folder, in the format of TiKV's BR.
#include <cstdio>
#include <map>
#include <string>

#include <kvbackup/kvbackup.hpp>

int main() {
  std::map<std::string, std::string> store{{"apple", "red"}, {"banana", "yellow"}, {"fig", ""}};
  auto pipeline = kvbackup::BackupPipeline(kvbackup::RangeSource(store), kvbackup::Lz4Codec{},
                                           kvbackup::FileHasher{}, kvbackup::LocalBackend("today"));
  kvbackup::Result<kvbackup::BackupMeta> meta = pipeline.run();
  if (!meta.ok()) {
    std::fprintf(stderr, "%s\n", meta.status().to_string().c_str());
    return 1;
  }
  for (const kvbackup::File& file : meta.value().files) std::puts(file.name.c_str());
}
