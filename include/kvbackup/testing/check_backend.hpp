// SPDX-License-Identifier: Apache-2.0
// The conformance kit for ObjectBackend: run it over a backend before a backup trusts it.
//
// It needs no threads and no test framework. What it cannot see is left to the backend's own tests:
// that a constructor touches nothing, that commit is durable, that two threads may race for a name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/violation.hpp>

namespace kvbackup::inline v1::testing {

namespace backend_law {
// The laws, as they stand in Violation::law.
inline constexpr const char* empty_at_first = "a new backend holds no objects";
inline constexpr const char* invisible = "nothing is visible before commit";
inline constexpr const char* whole = "commit makes the object readable as it was appended";
inline constexpr const char* info = "commit gives the object's name and size";
inline constexpr const char* destroyed = "a destroyed writer leaves nothing";
inline constexpr const char* abandoned = "an abandoned writer leaves nothing";
inline constexpr const char* moved = "a moved writer carries its object on";
inline constexpr const char* ended = "a writer that has ended refuses to go on";
inline constexpr const char* if_absent = "if_absent never replaces an object";
inline constexpr const char* replaces = "without if_absent the newer object replaces the older";
inline constexpr const char* names = "names that could leave the backend are refused";
inline constexpr const char* nested = "a name may have slashes";
inline constexpr const char* chunks = "how an object is cut into appends does not show";
inline constexpr const char* copies = "append keeps no view of the bytes it was given";
inline constexpr const char* apart = "writers of different objects do not mix";
inline constexpr const char* lists = "list gives the names with a prefix, sorted, with their sizes";
inline constexpr const char* proof = "commit and list give one proof, and other bytes another one";
inline constexpr const char* unfinished = "what was ended is not listed as unfinished";
inline constexpr const char* ranges = "read_range gives exactly the bytes asked for, or an error";
inline constexpr const char* missing = "what is not there is not_found";
inline constexpr const char* removes = "remove takes one object away and no other";
}  // namespace backend_law

namespace detail {

/// Runs the laws, each on a fresh backend of type B.
template <class Make, ObjectBackend B>
class BackendCheck {
 public:
  explicit BackendCheck(Make& make) : make_(make) {}

  Violations run() {
    check_commit(backend_law::whole, "object.sst", "some bytes");
    check_commit(backend_law::whole, "empty.sst", "");
    check_commit(backend_law::nested, "folder/sub-folder/object.sst", "some bytes");
    check_commit(backend_law::whole, "with space,%25 and \xc3\xa9.sst", "some bytes");
    check_unfinished();
    check_moved();
    check_ended();
    check_names();
    check_chunks();
    check_copies();
    check_apart();
    if constexpr (ReadableBackend<B>) {
      if (keeps_objects(make_())) check_readable();
    }
    return std::move(found_);
  }

 private:
  using Writer = WriterOf<B>;

  void expect(bool kept, const char* law, std::string detail) {
    if (!kept) add_violation(found_, law, std::move(detail));
  }
  /// Whether `status` is ok; notes it if not.
  bool succeeds(const Status& status, const char* law, const char* what) {
    expect(status.ok(), law, std::string(what) + " failed: " + status.to_string());
    return status.ok();
  }
  void fails(const Status& status, StatusCode code, const char* law, const std::string& what) {
    std::string expected(kvbackup::to_string(code));
    expect(status.code() == code, law, what + " gave " + status.to_string() + ", not " + expected);
  }

  /// A writer of `name`, or nothing and a violation of `law`.
  std::optional<Writer> create(B& backend, std::string_view name, const char* law,
                               bool if_absent = true) {
    auto writer = backend.create(name, CreateOptions{.size_hint = {}, .if_absent = if_absent});
    if (!succeeds(writer.status(), law, "create")) return std::nullopt;
    return std::move(writer).value();
  }
  Status put(B& backend, std::string_view name, ByteView bytes, bool if_absent = true) {
    auto writer = backend.create(name, CreateOptions{.size_hint = {}, .if_absent = if_absent});
    if (!writer.ok()) return std::move(writer).status();
    if (Status status = writer.value().append(bytes); !status.ok()) return status;
    return writer.value().commit().status();
  }
  bool commits(Writer& writer, const char* law, std::string_view name, std::uint64_t size) {
    const Result<ObjectInfo> done = writer.commit();
    if (!succeeds(done.status(), law, "commit")) return false;
    expect(done.value().name == name && done.value().size == size, backend_law::info,
           "commit of " + std::to_string(size) + " bytes gave \"" + done.value().name + "\" with " +
               std::to_string(done.value().size) + " bytes");
    return true;
  }

  /// `name` holds exactly `bytes`, as far as this backend lets that be seen.
  void holds(B& backend, std::string_view name, ByteView bytes, const char* law) {
    if constexpr (ReadableBackend<B>) {
      if (!keeps_objects(backend)) return;
      const Result<std::string> read = backend.read(name);
      if (!succeeds(read.status(), law, "read")) return;
      expect(read.value() == bytes, law,
             "of " + std::to_string(bytes.size()) + " bytes written, read gave " +
                 std::to_string(read.value().size()) + ", not the same");
      const Result<bool> exists = backend.exists(name);
      expect(exists.ok() && exists.value(), law, "exists does not find it");
      const auto listed = backend.list(name);
      // of the names with this prefix it is the first
      expect(listed.ok() && !listed.value().empty() && listed.value()[0].name == name &&
                 listed.value()[0].size == bytes.size(),
             law, "list does not show it with its size");
    }
  }
  /// No object at all.
  void holds_nothing(B& backend, std::string_view name, const char* law, const char* when) {
    if constexpr (ReadableBackend<B>) {
      const Result<bool> exists = backend.exists(name);
      expect(exists.ok() && !exists.value(), law, std::string("exists finds an object ") + when);
      const auto listed = backend.list({});
      expect(listed.ok() && listed.value().empty(), law, std::string("list is not empty ") + when);
      if (!keeps_objects(backend)) return;
      fails(backend.read(name).status(), StatusCode::not_found, law, std::string("read ") + when);
    }
  }

  void check_commit(const char* law, std::string_view name, ByteView bytes) {
    B backend = make_();
    holds_nothing(backend, name, backend_law::empty_at_first, "before anything was written");
    auto writer = create(backend, name, law);
    if (!writer) return;
    holds_nothing(backend, name, backend_law::invisible, "after create");
    if (!succeeds(writer->append(bytes), law, "append")) return;
    holds_nothing(backend, name, backend_law::invisible, "after append");
    if (!commits(*writer, law, name, bytes.size())) return;
    holds(backend, name, bytes, law);
    writer.reset();
    holds(backend, name, bytes, law);
  }

  void check_unfinished() {
    // larger than any buffer, so that bytes have left the process
    const std::string bytes(3u << 20, 'u');
    B backend = make_();
    {
      const char* law = backend_law::destroyed;
      auto writer = create(backend, "object.sst", law);
      if (!writer || !succeeds(writer->append(bytes), law, "append")) return;
    }
    holds_nothing(backend, "object.sst", backend_law::destroyed, "after the writer's destruction");
    {
      const char* law = backend_law::abandoned;
      auto writer = create(backend, "object.sst", law);
      if (!writer || !succeeds(writer->append(bytes), law, "append")) return;
      writer->abandon();
      holds_nothing(backend, "object.sst", law, "after abandon");
      writer->abandon();
    }
    holds_nothing(backend, "object.sst", backend_law::abandoned, "after abandon and destruction");
    succeeds(put(backend, "object.sst", "anew"), backend_law::abandoned, "creating it anew");
    holds(backend, "object.sst", "anew", backend_law::abandoned);
  }

  void check_moved() {
    const char* law = backend_law::moved;
    B backend = make_();
    auto first = create(backend, "object.sst", law);
    if (!first || !succeeds(first->append("one "), law, "append")) return;
    std::optional<Writer> second(std::move(*first));
    first.reset();
    if (!succeeds(second->append("two"), law, "append after the move")) return;
    if (auto other = create(backend, "other.sst", law)) {
      // what the target of a move assignment was writing is abandoned
      *other = std::move(*second);
      second.reset();
      if (commits(*other, law, "object.sst", 7)) holds(backend, "object.sst", "one two", law);
    }
    if constexpr (ReadableBackend<B>) {
      const Result<bool> exists = backend.exists("other.sst");
      expect(exists.ok() && !exists.value(), law, "the writer that was assigned to left an object");
    }
  }

  void refuses(Writer& writer, const char* when) {
    expect(!writer.append("more").ok(), backend_law::ended,
           std::string("append succeeded ") + when);
    expect(!writer.commit().ok(), backend_law::ended, std::string("commit succeeded ") + when);
  }

  void check_ended() {
    const char* law = backend_law::ended;
    B backend = make_();
    auto writer = create(backend, "object.sst", law);
    if (!writer || !succeeds(writer->append("bytes"), law, "append")) return;
    if (!commits(*writer, law, "object.sst", 5)) return;
    refuses(*writer, "after commit");
    writer->abandon();
    holds(backend, "object.sst", "bytes", law);
    auto other = create(backend, "other.sst", law);
    if (!other) return;
    other->abandon();
    refuses(*other, "after abandon");
  }

  void check_names() {
    B backend = make_();
    const std::string bad[] = {"",     "/",         "/object",
                               "..",   "../object", "a/../object",
                               "a//b", "a/",        "a/./b",
                               ".",    "a\\b",      std::string(1, '\0'),
                               "a\nb", "a/..",      std::string(1025, 'a')};
    for (const std::string& name : bad) {
      const std::string shown = "the name with the hex bytes " + to_hex(name.substr(0, 32));
      fails(backend.create(name, CreateOptions{}).status(), StatusCode::invalid_argument,
            backend_law::names, "create of " + shown);
      if constexpr (ReadableBackend<B>) {
        fails(backend.read(name).status(), StatusCode::invalid_argument, backend_law::names,
              "read of " + shown);
        fails(backend.exists(name).status(), StatusCode::invalid_argument, backend_law::names,
              "exists of " + shown);
        fails(backend.remove(name), StatusCode::invalid_argument, backend_law::names,
              "remove of " + shown);
      }
    }
  }

  /// Bytes without a period that a chunk could share.
  static std::string noise(std::size_t size) {
    std::string bytes(size, '\0');
    std::uint32_t state = 1;
    for (char& c : bytes) {
      state = state * 1664525 + 1013904223;
      c = static_cast<char>(state >> 24);
    }
    return bytes;
  }

  void check_chunks() {
    // beyond the 5 MiB at which S3 cuts an object into parts
    const std::string bytes = noise((6u << 20) + 1);
    const std::size_t sizes[] = {1, 0, 7, 4095, 65536, 65537, 262143, 262144, 300001, 1048577};
    B backend = make_();
    auto writer = create(backend, "large.sst", backend_law::chunks);
    if (!writer) return;
    ByteView rest = bytes;
    for (std::size_t i = 0; !rest.empty(); ++i) {
      const ByteView chunk = rest.substr(0, sizes[i % std::size(sizes)]);
      if (!succeeds(writer->append(chunk), backend_law::chunks, "append")) return;
      rest.remove_prefix(chunk.size());
    }
    if (commits(*writer, backend_law::chunks, "large.sst", bytes.size())) {
      holds(backend, "large.sst", bytes, backend_law::chunks);
    }
  }

  void check_copies() {
    B backend = make_();
    auto writer = create(backend, "object.sst", backend_law::copies);
    if (!writer) return;
    std::string bytes;
    for (const char c : {'a', 'b', 'c'}) {
      bytes.assign(1000, c);
      if (!succeeds(writer->append(bytes), backend_law::copies, "append")) return;
    }
    bytes.assign(1000, 'x');
    if (!commits(*writer, backend_law::copies, "object.sst", 3000)) return;
    const std::string expected =
        std::string(1000, 'a') + std::string(1000, 'b') + std::string(1000, 'c');
    holds(backend, "object.sst", expected, backend_law::copies);
  }

  void check_apart() {
    const char* law = backend_law::apart;
    B backend = make_();
    auto a = create(backend, "a.sst", law);
    auto b = create(backend, "b.sst", law);
    auto c = create(backend, "c.sst", law);
    if (!a || !b || !c) return;
    for (int i = 0; i < 3; ++i) {
      if (!succeeds(a->append("a"), law, "append") || !succeeds(b->append("bb"), law, "append") ||
          !succeeds(c->append("c"), law, "append")) {
        return;
      }
    }
    c->abandon();
    if (commits(*b, law, "b.sst", 6) && commits(*a, law, "a.sst", 3)) {
      holds(backend, "a.sst", "aaa", law);
      holds(backend, "b.sst", "bbbbbb", law);
    }
  }

  void check_readable() {
    check_if_absent();
    check_replace();
    check_list();
    check_proof();
    if constexpr (UnfinishedBackend<B>) check_nothing_unfinished();
    check_ranges();
    check_missing();
    check_remove();
  }

  void check_if_absent() {
    const char* law = backend_law::if_absent;
    B backend = make_();
    if (!succeeds(put(backend, "object.sst", "old"), law, "the first commit")) return;
    fails(put(backend, "object.sst", "newer"), StatusCode::already_exists, law,
          "the second commit");
    holds(backend, "object.sst", "old", law);
    // both begin while the name is free; commit decides
    auto first = create(backend, "race.sst", law);
    auto second = create(backend, "race.sst", law);
    if (!first || !second) return;
    if (!succeeds(first->append("one"), law, "append")) return;
    if (!succeeds(second->append("two"), law, "append")) return;
    if (!commits(*second, law, "race.sst", 3)) return;
    fails(first->commit().status(), StatusCode::already_exists, law, "commit of the slower writer");
    refuses(*first, "after a failed commit");
    first->abandon();
    first.reset();
    holds(backend, "race.sst", "two", law);
  }

  void check_replace() {
    const char* law = backend_law::replaces;
    B backend = make_();
    if (!succeeds(put(backend, "object.sst", "old bytes", false), law, "the first commit")) return;
    auto writer = create(backend, "object.sst", law, false);
    if (!writer || !succeeds(writer->append("new"), law, "append")) return;
    holds(backend, "object.sst", "old bytes", backend_law::invisible);
    if (commits(*writer, law, "object.sst", 3)) holds(backend, "object.sst", "new", law);
  }

  /// The proof of the bytes that it commits under one name; nothing after a violation.
  std::optional<std::string> proof_of(B& backend, ByteView bytes) {
    const char* law = backend_law::proof;
    auto writer = create(backend, "object.sst", law, false);
    if (!writer || !succeeds(writer->append(bytes), law, "append")) return std::nullopt;
    const auto done = writer->commit();
    if (!succeeds(done.status(), law, "commit")) return std::nullopt;
    const auto listed = backend.list("object.sst");
    const bool same = listed.ok() && listed.value().size() == 1 &&
                      listed.value()[0].proof == done.value().proof;
    expect(same, law, "list does not give the proof that commit gave");
    return done.value().proof;
  }

  void check_proof() {
    B backend = make_();
    const auto one = proof_of(backend, "some bytes");
    const auto other = proof_of(backend, "otherbytes");
    if (!one || !other) return;
    expect(one->empty() == other->empty() && (one->empty() || *one != *other), backend_law::proof,
           "other bytes of the same name and size got the same proof");
  }

  void check_nothing_unfinished() {
    const char* law = backend_law::unfinished;
    const std::string bytes(3u << 20, 'u');
    B backend = make_();
    {
      auto destroyed = create(backend, "destroyed.sst", law);
      auto abandoned = create(backend, "abandoned.sst", law);
      if (!destroyed || !abandoned) return;
      if (!succeeds(destroyed->append(bytes), law, "append")) return;
      if (!succeeds(abandoned->append(bytes), law, "append")) return;
      abandoned->abandon();
    }
    if (!succeeds(put(backend, "committed.sst", bytes), law, "commit")) return;
    const auto found = backend.list_unfinished("");
    if (!succeeds(found.status(), law, "list_unfinished")) return;
    expect(found.value().empty(), law, "list_unfinished gives " +
                                           std::to_string(found.value().size()) +
                                           " objects of writers that have ended");
    succeeds(backend.end_unfinished({.name = "gone.sst", .id = ".gone.sst.tmp0123456789abcdef"}),
             law, "end_unfinished of what is gone");
  }

  void check_list() {
    const char* law = backend_law::lists;
    B backend = make_();
    for (const char* name :
         {"b.sst", "a/z.sst", "a.sst", "a/b/c.sst", "ab.sst", "B.sst", "\xc3\xa9"}) {
      if (!succeeds(put(backend, name, name), law, "commit")) return;
    }
    const auto expect_list = [&](const char* prefix, const std::vector<std::string>& names) {
      const auto listed = backend.list(prefix);
      if (!succeeds(listed.status(), law, "list")) return;
      std::string got;
      bool same = listed.value().size() == names.size();
      for (std::size_t i = 0; i < listed.value().size(); ++i) {
        const ObjectInfo& object = listed.value()[i];
        got += (i == 0 ? "" : ", ") + object.name;
        same = same && object.name == names[i] && object.size == names[i].size();
      }
      expect(same, law, std::string("list(\"") + prefix + "\") gave " + got);
    };
    expect_list("", {"B.sst", "a.sst", "a/b/c.sst", "a/z.sst", "ab.sst", "b.sst", "\xc3\xa9"});
    expect_list("a", {"a.sst", "a/b/c.sst", "a/z.sst", "ab.sst"});
    expect_list("a/", {"a/b/c.sst", "a/z.sst"});
    expect_list("a/b", {"a/b/c.sst"});
    expect_list("a/b/c.sst", {"a/b/c.sst"});
    expect_list("c", {});
    expect_list("a/b/c.sst/", {});
  }

  void check_ranges() {
    const char* law = backend_law::ranges;
    B backend = make_();
    const std::string bytes = noise(100000);
    if (!succeeds(put(backend, "object.sst", bytes), law, "commit")) return;
    const std::uint64_t size = bytes.size();
    const std::uint64_t good[][2] = {{0, 0},        {0, 1},    {0, size},    {1, size - 1},
                                     {size - 1, 1}, {size, 0}, {4095, 65537}};
    for (const auto& [offset, length] : good) {
      const auto got = backend.read_range("object.sst", offset, length);
      if (!succeeds(got.status(), law, "read_range")) continue;
      expect(got.value() == ByteView(bytes).substr(offset, length), law,
             "offset " + std::to_string(offset) + ", length " + std::to_string(length) + " gave " +
                 std::to_string(got.value().size()) + " bytes, not the same");
    }
    constexpr auto most = ~std::uint64_t{0};
    const std::uint64_t bad[][2] = {{0, size + 1}, {size, 1},    {size + 1, 0}, {1, size},
                                    {most, 1},     {most, most}, {1, most}};
    for (const auto& [offset, length] : bad) {
      expect(!backend.read_range("object.sst", offset, length).ok(), law,
             "offset " + std::to_string(offset) + ", length " + std::to_string(length) + " of " +
                 std::to_string(size) + " bytes is no error");
    }
  }

  void check_missing() {
    const char* law = backend_law::missing;
    B backend = make_();
    if (!succeeds(put(backend, "folder/object.sst", "bytes"), law, "commit")) return;
    for (const char* name :
         {"object.sst", "folder", "folder/other.sst", "folder/object.sst/x", "other/object.sst"}) {
      fails(backend.read(name).status(), StatusCode::not_found, law, "read");
      fails(backend.read_range(name, 0, 0).status(), StatusCode::not_found, law, "read_range");
      fails(backend.remove(name), StatusCode::not_found, law, "remove");
      const Result<bool> exists = backend.exists(name);
      expect(exists.ok() && !exists.value(), law, std::string("exists finds ") + name);
    }
    holds(backend, "folder/object.sst", "bytes", law);
  }

  void check_remove() {
    const char* law = backend_law::removes;
    B backend = make_();
    for (const char* name : {"a", "a.sst", "ab"}) {
      if (!succeeds(put(backend, name, name), law, "commit")) return;
    }
    if (!succeeds(backend.remove("a"), law, "remove")) return;
    const Result<bool> exists = backend.exists("a");
    expect(exists.ok() && !exists.value(), law, "the object is still there");
    holds(backend, "a.sst", "a.sst", law);
    holds(backend, "ab", "ab", law);
    fails(backend.remove("a"), StatusCode::not_found, backend_law::missing, "a second remove");
    succeeds(put(backend, "a", "again"), law, "creating it again");
    holds(backend, "a", "again", law);
  }

  Make& make_;
  Violations found_;
};

}  // namespace detail

/// The laws of ObjectBackend that the backends given by `make()` break; empty means none.
///
/// Each call of make() gives an empty backend that shares nothing with the others. Laws that need
/// the readable refinement, or a backend that keeps its objects, are left out for others.
template <class Make>
requires ObjectBackend<std::remove_cvref_t<std::invoke_result_t<Make&>>>
[[nodiscard]] Violations check_backend(Make make) {
  return detail::BackendCheck<Make, std::remove_cvref_t<std::invoke_result_t<Make&>>>(make).run();
}

}  // namespace kvbackup::inline v1::testing
