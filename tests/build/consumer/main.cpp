// SPDX-License-Identifier: Apache-2.0
// A foreign program: backs up a map and prints with which libraries.
#include <kvbackup/kvbackup.hpp>

#include <cstdio>
#include <map>
#include <string>

int main() {
  const std::map<std::string, std::string> store{{"apple", "red"}, {"fig", ""}};
#if KVBACKUP_WITH_LZ4
  const kvbackup::Lz4Codec codec;
#else
  const kvbackup::NoneCodec codec;
#endif
  auto pipeline = kvbackup::BackupPipeline(kvbackup::RangeSource(store), codec,
                                           kvbackup::FileHasher{}, kvbackup::NoopBackend{});
  const auto meta = pipeline.run();
  if (!meta.ok()) {
    std::fprintf(stderr, "%s\n", meta.status().to_string().c_str());
    return 1;
  }
  std::printf("%zu file, lz4 %d, openssl %d, rapidjson %d, lmdb %d\n", meta.value().files.size(),
              KVBACKUP_WITH_LZ4, KVBACKUP_WITH_OPENSSL, KVBACKUP_WITH_RAPIDJSON, KVBACKUP_WITH_LMDB);
  return 0;
}
