// SPDX-License-Identifier: Apache-2.0
// One backup of one store, compiled several times with different settings into one program.
// KVBACKUP_TEST_UNIT is this unit's function.
#include <kvbackup/kvbackup.hpp>

// A second include of either form adds nothing.
#include <kvbackup/kvbackup.hpp>

#include <map>
#include <string>

#include "backup_unit.hpp"

namespace {
class FixedClock final : public kvbackup::Clock {
 public:
  std::uint64_t unix_ms() override { return 1'700'000'000'000; }
  std::uint64_t steady_ns() override { return 0; }
  void sleep_ns(std::uint64_t /*duration*/) override {}
};
}  // namespace

UnitResult KVBACKUP_TEST_UNIT() {
  std::map<std::string, std::string> store;
  for (int i = 0; i < 5000; ++i) store["key" + std::to_string(i)] = std::string(40, 'v');

  UnitResult result;
  result.settings = "LZ4 " + std::to_string(KVBACKUP_WITH_LZ4) + ", OPENSSL " +
                    std::to_string(KVBACKUP_WITH_OPENSSL) + ", THREADS " +
                    std::to_string(KVBACKUP_WITH_THREADS) + ", POSIX " +
                    std::to_string(KVBACKUP_WITH_POSIX);
  FixedClock clock;
  kvbackup::BackupOptions options;
  options.clock = &clock;
  kvbackup::MemoryBackend memory;
  auto pipeline = kvbackup::BackupPipeline(kvbackup::RangeSource(store), kvbackup::NoneCodec{},
                                           kvbackup::FileHasher{}, memory);
  auto meta = pipeline.run(options);
  if (!meta.ok()) {
    result.error = meta.status().to_string();
    return result;
  }
  for (const kvbackup::ObjectInfo& object : memory.list("").value()) {
    result.bytes += object.name + '\n' + memory.read(object.name).value();
  }
  // The run-time choices of this unit's settings are types of its own; they must work beside the
  // other units' too.
  kvbackup::MemoryBackend other;
  auto chosen = kvbackup::BackupPipeline(kvbackup::RangeSource(store),
                                         kvbackup::BuiltCodecs(kvbackup::NoneCodec{}),
                                         kvbackup::FileHasher{}, kvbackup::BuiltBackends(other));
  auto again = chosen.run(options);
  if (!again.ok()) result.error = again.status().to_string();
  return result;
}
