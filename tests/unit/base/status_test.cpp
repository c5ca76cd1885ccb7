// SPDX-License-Identifier: Apache-2.0
#include <kvbackup/kvbackup.hpp>

#include "support/catch.hpp"

using namespace kvbackup;

TEST_CASE("a status is ok until it is made a failure") {
  Status status;
  CHECK(status.ok());
  CHECK(status.to_string() == "ok");
  CHECK(std::move(status).with_object("x").ok());
  CHECK(sizeof(Status) == sizeof(void*));
}

TEST_CASE("a failure shows its object and its keys, and hides keys when asked") {
  const Status status = Status::error(StatusCode::io_error, "cannot read the block")
                            .with_object("1_1_1.sst")
                            .with_range("k1", std::string(100, 'x'))
                            .with_native(5);
  CHECK(status.native_code() == 5);
  CHECK(status.to_string(KeyDisplay::redacted) ==
        "io_error: cannot read the block: object 1_1_1.sst, key range [?, ?)");
  const std::string shown = status.to_string();
  CHECK(shown.find("[6b31, 7878") != std::string::npos);
  CHECK(shown.find(std::string(128, '7')) == std::string::npos);
  CHECK(shown.substr(shown.size() - 4) == "...)");
}

TEST_CASE("what is nearer to the failure wins") {
  const Status status =
      Status::error(StatusCode::corruption, "bad").with_object("inner").with_key("a");
  const Status outer = Status(status).with_object("outer").with_key("b");
  CHECK(outer.object() == "inner");
  CHECK(outer.key() == "a");
}

TEST_CASE("a note stands behind the message and changes nothing else") {
  const Status status = Status::error(StatusCode::unavailable, "gone").with_key("a").as_retryable();
  const Status noted = Status(status).with_note("start anew");
  CHECK(noted.to_string() == "unavailable: gone; start anew: key 61");
  CHECK(noted.retryable());
  CHECK(Status().with_note("nothing").ok());
}
