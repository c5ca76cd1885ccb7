// SPDX-License-Identifier: Apache-2.0
// Backs up a std::map into a bucket; S3 is the one backend that is compiled in. Credentials come
// from where the AWS tools look for them: AWS_ACCESS_KEY_ID, ~/.aws/credentials, the instance ...
#include <cstdio>
#include <map>
#include <string>

#include <kvbackup/kvbackup.hpp>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::puts("s3_only BUCKET PREFIX [ENDPOINT]: stores a small backup there");
    return 0;
  }
  kvbackup::S3Options options;
  options.bucket = argv[1];
  options.prefix = argv[2];
  if (argc > 3) {  // a server that is not Amazon's; few of those know buckets in host names
    options.endpoint = argv[3];
    options.force_path_style = true;
  }
  const std::map<std::string, std::string> store{{"apple", "red"}, {"banana", "yellow"}};
  auto pipeline = kvbackup::BackupPipeline(kvbackup::RangeSource(store), kvbackup::Lz4Codec{},
                                           kvbackup::FileHasher{}, kvbackup::S3Backend(options));
  const kvbackup::Result<kvbackup::BackupMeta> meta = pipeline.run();
  if (!meta.ok()) {
    std::fprintf(stderr, "%s\n", meta.status().to_string().c_str());
    return 1;
  }
  std::printf("%zu file in %s\n", meta.value().files.size(),
              kvbackup::S3Backend(options).url().c_str());
  return 0;
}
