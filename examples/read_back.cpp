// SPDX-License-Identifier: Apache-2.0
// Reads a backup back: proves it, looks a key up where it lies, restores it into another container.
#include <cstdio>
#include <map>
#include <string>

#include <kvbackup/kvbackup.hpp>

namespace {

int failed(const kvbackup::Status& status) {
  std::fprintf(stderr, "%s\n", status.to_string().c_str());
  return 1;
}

}  // namespace

int main() {
  const std::map<std::string, std::string> store{{"apple", "red"}, {"banana", "yellow"}};
  auto pipeline = kvbackup::BackupPipeline(kvbackup::RangeSource(store), kvbackup::Lz4Codec{},
                                           kvbackup::FileHasher{}, kvbackup::LocalBackend("today"));
  if (const auto meta = pipeline.run(); !meta.ok()) return failed(meta.status());

  const auto backup =
      kvbackup::Backup<kvbackup::LocalBackend>::open(kvbackup::LocalBackend("today"));
  if (!backup.ok()) return failed(backup.status());

  const auto report = backup.value().verify();
  if (!report.ok()) return failed(report.status());
  for (const kvbackup::Finding& finding : report.value().findings) {
    std::printf("%s: %s\n", finding.object.c_str(), finding.what.c_str());
  }

  const auto apple = backup.value().get("default", "apple");
  if (!apple.ok()) return failed(apple.status());
  std::printf("apple is %s\n", apple.value().value_or("unknown").c_str());

  std::map<std::string, std::string> copy;
  const auto restored = kvbackup::restore(
      backup.value(),
      [&copy](kvbackup::ByteView key, kvbackup::ByteView value) { copy.emplace(key, value); });
  if (!restored.ok()) return failed(restored.status());
  return report.value().is_whole() && copy == store ? 0 : 1;
}
