// SPDX-License-Identifier: Apache-2.0
// The smallest programs around one choice of policies each: embedded_size.py --table measures them.
#include <kvbackup/kvbackup.hpp>

using namespace kvbackup;

#if POLICIES_TABLE
struct Nowhere {
  Status append(ByteView) { return {}; }
};
int main(int count, char** words) {
  TableWriter<NoneCodec, Crc32cChecksum, Nowhere> table(TableOptions::br_default_cf(), NoneCodec{},
                                                        Nowhere{});
  for (int i = 0; i < count; ++i) {
    if (!table.add(words[i], words[i]).ok()) return 1;
  }
  return table.finish().ok() ? 0 : 1;
}
#elif POLICIES_READ
int main(int, char** words) {
  const auto backup = Backup<LocalBackend>::open(LocalBackend(words[1]));
  if (!backup.ok() || !backup.value().verify().ok()) return 1;
  return backup.value().get("default", words[2]).ok() ? 0 : 1;
}
#else
class Words {
 public:
  Words(int count, char** words) : left_(count), word_(words) {}
  bool valid() const { return left_ > 0; }
  ByteView key() const { return *word_; }
  ByteView value() const { return *word_; }
  void next() {
    --left_;
    ++word_;
  }
  Status status() const { return {}; }

 private:
  int left_;
  char** word_;
};
#if POLICIES_PIPELINE
using Codec = NoneCodec;
NoopBackend backend() { return {}; }
#else
#if POLICIES_LZ4
using Codec = Lz4Codec;
#else
using Codec = NoneCodec;
#endif
LocalBackend backend() { return LocalBackend("here"); }
#endif
int main(int count, char** words) {
  BackupPipeline pipeline(Words(count, words), Codec{}, BasicFileHasher<PortableSha256>{},
                          backend(), PlainLayout{});
  return pipeline.run().ok() ? 0 : 1;
}
#endif
