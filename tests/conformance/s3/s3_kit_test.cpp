// SPDX-License-Identifier: Apache-2.0
// The S3 backend under the conformance kit, against the server that the environment names.
#include <string>

#include <kvbackup/kvbackup.hpp>
#include <kvbackup/testing/check_backend.hpp>

#include "conformance/s3/s3_server.hpp"
#include "support/catch.hpp"

using namespace kvbackup;
using test_support::server_backend;
using test_support::server_options;

TEST_CASE("the S3 backend keeps the laws of the contract", "[kit]") {
  CHECK(testing::to_string(testing::check_backend([] { return server_backend(); })) == "");
}
