// SPDX-License-Identifier: Apache-2.0
// Which lock file a snapshot uses, whose it is, and how much of it it takes.
#include <algorithm>
#include <csignal>
#include <grp.h>
#include <set>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include "raw_env.hpp"

using namespace kvbackup;
using namespace lmdb_test;
using test_support::TempDir;

namespace {

constexpr uid_t nobody = 65534;

Pairs generation(int number) {
  Pairs pairs = numbered(400, "key", "");
  for (auto& [key, value] : pairs) value = std::to_string(number);
  return pairs;
}

/// Another process that has an environment open for writing, and writes when told to.
class Writer {
 public:
  explicit Writer(const std::string& path, unsigned flags = 0) {
    REQUIRE(pipe(orders_) == 0);
    REQUIRE(pipe(answers_) == 0);
    process_ = fork();
    REQUIRE(process_ >= 0);
    if (process_ == 0) run(path, flags);
    CHECK(answer());
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    for (const int descriptor : {orders_[0], orders_[1], answers_[0], answers_[1]}) {
      close(descriptor);
    }
  }

  /// Twenty transactions that rewrite every pair; returns when they are written.
  void rewrite() {
    CHECK(write(orders_[1], "x", 1) == 1);
    CHECK(answer());
  }

 private:
  [[noreturn]] void run(const std::string& path, unsigned flags) {
    close(orders_[1]);
    {
      RawEnv env(path, flags);
      env.put("", generation(0));
      char byte = 'x';
      for (int number = 1; write(answers_[1], &byte, 1) == 1 && read(orders_[0], &byte, 1) == 1;) {
        for (const int end = number + 20; number < end; ++number) env.put("", generation(number));
      }
    }
    _exit(0);
  }
  bool answer() {
    char byte = 0;
    return read(answers_[0], &byte, 1) == 1;
  }

  int orders_[2];
  int answers_[2];
  pid_t process_ = -1;
};

/// Whether a snapshot taken by this name holds its state while the writer goes on.
bool stays(Writer& writer, const std::string& path) {
  writer.rewrite();
  const LmdbSnapshot snapshot = opened(path);
  auto source = snapshot.scan({});
  if (!source.ok()) return false;
  const std::string value(source.value().value());
  writer.rewrite();
  std::set<std::string> seen;
  int pairs = 0;
  for (auto& s = source.value(); s.valid(); s.next(), ++pairs) seen.insert(std::string(s.value()));
  return pairs == 400 && seen == std::set<std::string>{value};
}

bool exists(const std::string& path) { return std::filesystem::exists(path); }

struct stat stat_of(const std::string& path) {
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  return info;
}
mode_t mode_of(const std::string& path) { return stat_of(path).st_mode & 07777U; }

/// Runs `body` in a child process without root's rights; whether it gave true.
template <class Body>
bool as_nobody(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    bool fine = setgroups(0, nullptr) == 0 && setresgid(nobody, nobody, nobody) == 0 &&
                setresuid(nobody, nobody, nobody) == 0;
    try {
      fine = fine && body();
    } catch (...) {
      fine = false;
    }
    _exit(fine ? 0 : 1);
  }
  int result = -1;
  return child > 0 && waitpid(child, &result, 0) == child && result == 0;
}

/// A folder that nobody can reach, for tests that only root can do.
bool can_drop_rights(const TempDir& dir) {
  if (geteuid() == 0 && as_nobody([&] { return access(dir.path().c_str(), X_OK) == 0; })) {
    return true;
  }
  WARN("skipped: it takes root to become another user, and a TMPDIR that all can reach");
  return false;
}

/// Live slots of the reader table, as LMDB itself lists them.
int readers(MDB_env* env) {
  std::string text;
  mdb_reader_list(
      env,
      [](const char* line, void* to) {
        *static_cast<std::string*>(to) += line;
        return 0;
      },
      &text);
  const auto lines = std::count(text.begin(), text.end(), '\n');
  return static_cast<int>(lines) - 1;  // the heading, or a line that there are none
}

}  // namespace

TEST_CASE("a folder's data.mdb shares the lock file of the folder's writer") {
  // one environment a name: pages kept for one reader delay the reuse that the next would see
  const std::string name =
      GENERATE("env", "env/data.mdb", "env/../env//data.mdb", "link", "data.mdb");
  TempDir dir;
  Writer writer(dir.path("env"));
  std::filesystem::create_symlink(dir.path("env/data.mdb"), dir.path("link"));
  const auto before = std::filesystem::current_path();
  if (name == "data.mdb") std::filesystem::current_path(dir.path("env"));
  CHECK(stays(writer, name == "data.mdb" ? name : dir.path(name)));
  std::filesystem::current_path(before);
  CHECK_FALSE(exists(dir.path("env/data.mdb-lock")));
  CHECK_FALSE(exists(dir.path("link-lock")));
}

TEST_CASE("a data.mdb that nothing has locked yet is opened through its folder") {
  TempDir dir;
  { RawEnv(dir.path("env")).put("", generation(0)); }
  std::filesystem::remove(dir.path("env/lock.mdb"));
  CHECK(scanned(opened(dir.path("env/data.mdb")), "default") == generation(0));
  CHECK(exists(dir.path("env/lock.mdb")));
  CHECK_FALSE(exists(dir.path("env/data.mdb-lock")));
}

TEST_CASE("a single file keeps its own lock file, data.mdb too") {
  TempDir dir;
  const std::string file = dir.path(GENERATE("data.mdb", "other.mdb"));
  const bool by_link = GENERATE(false, true);
  Writer writer(file, MDB_NOSUBDIR);
  std::filesystem::create_symlink(file, dir.path("link"));
  CHECK(stays(writer, by_link ? dir.path("link") : file));
  CHECK_FALSE(exists(dir.path("lock.mdb")));
  CHECK_FALSE(exists(dir.path("link-lock")));
}

TEST_CASE("where lock files do not tell how the writer opens the store, it is refused") {
  TempDir dir;
  { RawEnv(dir.path("env")).put("", generation(0)); }
  const std::string data = dir.path("env/data.mdb");
  test_support::write_file(data + "-lock", "");
  const auto both = LmdbSnapshot::open(data);
  CHECK(both.status().code() == StatusCode::invalid_argument);
  CHECK(both.status().object() == "lmdb:" + data);
  const std::string message(both.status().message());
  CHECK(message.find(data + "-lock") != std::string::npos);
  CHECK(message.find(dir.path("env/lock.mdb")) != std::string::npos);
  CHECK(message.find("name the environment's folder") != std::string::npos);
  CHECK(scanned(opened(dir.path("env")), "default") == generation(0));

  std::filesystem::remove(dir.path("env/lock.mdb"));
  const auto only_file = LmdbSnapshot::open(dir.path("env"));
  CHECK(only_file.status().code() == StatusCode::invalid_argument);
  CHECK(only_file.status().message().find("name that file") != std::string_view::npos);
  CHECK_FALSE(exists(dir.path("env/lock.mdb")));
  CHECK(scanned(opened(data), "default") == generation(0));

  LmdbSnapshotOptions options;
  options.lock = false;
  CHECK(scanned(opened(dir.path("env"), options), "default") == generation(0));
  CHECK_FALSE(exists(dir.path("env/lock.mdb")));
}

TEST_CASE("a lock file that a snapshot makes has the permissions of the data file") {
  const auto [data_mode, lock_mode] =
      GENERATE(table<mode_t, mode_t>({{0600, 0600}, {0660, 0660}, {0644, 0644}, {0444, 0644}}));
  const bool folder = GENERATE(true, false);
  TempDir dir;
  const std::string path = dir.path("env");
  { RawEnv(path, folder ? 0 : MDB_NOSUBDIR).put("", generation(0)); }
  const std::string data = folder ? path + "/data.mdb" : path;
  const std::string lock = folder ? path + "/lock.mdb" : path + "-lock";
  std::filesystem::remove(lock);
  REQUIRE(chmod(data.c_str(), data_mode) == 0);
  const mode_t before = umask(077);
  CHECK(scanned(opened(path), "default") == generation(0));
  umask(before);
  CHECK(mode_of(lock) == lock_mode);
  CHECK(scanned(opened(path), "default") == generation(0));
}

TEST_CASE("a file that is no environment gets no lock file, and is named") {
  TempDir dir;
  test_support::write_file(dir.path("notdb"), std::string(100'000, 'x'));
  const auto text = LmdbSnapshot::open(dir.path("notdb"));
  CHECK(text.status().code() == StatusCode::corruption);
  CHECK(text.status().message().find("data file " + dir.path("notdb") + ":") !=
        std::string_view::npos);
  std::filesystem::create_directory(dir.path("env"));
  test_support::write_file(dir.path("env/data.mdb"), "");
  const auto empty = LmdbSnapshot::open(dir.path("env"));
  CHECK(empty.status().code() == StatusCode::not_found);
  CHECK(empty.status().message().find(dir.path("env/data.mdb")) != std::string_view::npos);
  CHECK_FALSE(exists(dir.path("notdb-lock")));
  CHECK_FALSE(exists(dir.path("env/lock.mdb")));
}

TEST_CASE("a snapshot by root leaves the store to its owner") {
  TempDir dir;
  if (!can_drop_rights(dir)) return;
  const std::string env = dir.path("env");
  { RawEnv(env).put("", generation(0)); }
  const std::string lock = env + "/lock.mdb";
  std::filesystem::remove(lock);
  for (const std::string& path : {env, env + "/data.mdb"}) {
    REQUIRE(chown(path.c_str(), nobody, nobody) == 0);
  }
  REQUIRE(chmod((env + "/data.mdb").c_str(), 0640) == 0);
  CHECK(scanned(opened(env), "default") == generation(0));
  CHECK(mode_of(lock) == 0640);
  CHECK(stat_of(lock).st_uid == nobody);
  CHECK(stat_of(lock).st_gid == nobody);
  CHECK(as_nobody([&] {
    RawEnv(env).put("", generation(1));
    return LmdbSnapshot::open(env).ok();
  }));
  CHECK(scanned(opened(env), "default") == generation(1));
}

TEST_CASE("a user whose lock file would lock the owner out makes none") {
  TempDir dir;
  if (!can_drop_rights(dir)) return;
  const std::string env = dir.path("env");
  const std::string lock = env + "/lock.mdb";
  { RawEnv(env).put("", generation(0)); }
  std::filesystem::remove(lock);
  const auto refused_for = [&](const std::string& words) {
    return as_nobody([&] {
      const auto snapshot = LmdbSnapshot::open(env);
      return snapshot.status().code() == StatusCode::permission_denied &&
             snapshot.status().message().find(words) != std::string_view::npos;
    });
  };
  CHECK(refused_for("cannot create the lock file " + lock));
  REQUIRE(chmod(env.c_str(), 0777) == 0);
  CHECK(refused_for("cannot create the lock file " + lock + ": it would lock out the owner"));
  CHECK_FALSE(exists(lock));
  REQUIRE(chmod((env + "/data.mdb").c_str(), 0666) == 0);
  CHECK(as_nobody([&] { return LmdbSnapshot::open(env).ok(); }));
  CHECK(mode_of(lock) == 0666);

  REQUIRE(chown(lock.c_str(), 0, 0) == 0);
  REQUIRE(chmod(lock.c_str(), 0) == 0);
  CHECK(refused_for("cannot open the LMDB lock file " + lock));
  REQUIRE(chmod((env + "/data.mdb").c_str(), 0600) == 0);
  CHECK(refused_for("cannot open the LMDB data file " + env + "/data.mdb"));
}

TEST_CASE("a snapshot leaves half of the free reader slots to others") {
  TempDir dir;
  RawEnv env(dir.path("env"), MDB_NOTLS);
  env.put("", generation(0));
  const int held = GENERATE(0, 100, 125);
  std::vector<MDB_txn*> host(static_cast<std::size_t>(held));
  for (MDB_txn*& txn : host) must(mdb_txn_begin(env.get(), nullptr, MDB_RDONLY, &txn));
  REQUIRE(readers(env.get()) == held);
  LmdbSnapshotOptions options;
  options.workers = 200;
  {
    const auto snapshot = LmdbSnapshot::from_env(env.get(), options);
    REQUIRE(snapshot.status().to_string() == "ok");
    const int taken = std::max(1, (126 - held) / 2);
    CHECK(snapshot.value().workers() == static_cast<std::size_t>(taken));
    CHECK(readers(env.get()) == held + taken);
    MDB_txn* txn = nullptr;
    CHECK(mdb_txn_begin(env.get(), nullptr, MDB_RDONLY, &txn) ==
          (held == 125 ? MDB_READERS_FULL : MDB_SUCCESS));
    if (txn != nullptr) mdb_txn_abort(txn);
  }
  CHECK(readers(env.get()) == held);
  for (MDB_txn* const txn : host) mdb_txn_abort(txn);
}

TEST_CASE("one scan a database takes no more reader slots than there are databases") {
  TempDir dir;
  RawEnv env(dir.path("env"), MDB_NOTLS);
  const int databases = GENERATE(1, 3);
  for (int i = 0; i < databases; ++i) env.put("db" + std::to_string(i), generation(i));
  LmdbSnapshotOptions options;
  options.workers = 200;
  options.one_scan_a_database = true;
  {
    const auto snapshot = LmdbSnapshot::from_env(env.get(), options);
    REQUIRE(snapshot.status().to_string() == "ok");
    CHECK(readers(env.get()) == databases);
    CHECK(snapshot.value().workers() == static_cast<std::size_t>(databases));
  }
  options.workers = 2;
  CHECK(LmdbSnapshot::from_env(env.get(), options).value().workers() ==
        static_cast<std::size_t>(std::min(2, databases)));
}

TEST_CASE("an environment opened by its path leaves slots too, and needs none without a lock") {
  TempDir dir;
  { RawEnv(dir.path("env")).put("", generation(0)); }
  LmdbSnapshotOptions options;
  options.workers = 200;
  CHECK(opened(dir.path("env"), options).workers() == 63);
  options.lock = false;
  CHECK(opened(dir.path("env"), options).workers() == 126);
}
