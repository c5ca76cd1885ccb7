// SPDX-License-Identifier: Apache-2.0
#include "metrics.hpp"

#include <string>

#include "support/catch.hpp"

using namespace kvbackup;
using program::Metrics;

TEST_CASE("each family has its help and type once, before its samples") {
  Metrics metrics;
  metrics.set("files_total", {{"command", "verify"}}, 3);
  metrics.set("files_total", {{"command", "backup"}}, 2);
  metrics.set("last_run_status", {}, 1);
  CHECK(metrics.text() ==
        "# HELP kvbackup_last_run_status Exit code of the last run: 0 done, 1 could not finish, 2 "
        "wrong usage, 3 damage found.\n"
        "# TYPE kvbackup_last_run_status gauge\n"
        "kvbackup_last_run_status 1\n"
        "# HELP kvbackup_files_total Files written or read, of all runs.\n"
        "# TYPE kvbackup_files_total counter\n"
        "kvbackup_files_total{command=\"backup\"} 2\n"
        "kvbackup_files_total{command=\"verify\"} 3\n");
  CHECK(Metrics().text().empty());
}

TEST_CASE("values are escaped as the format asks, and read back") {
  Metrics metrics;
  const std::string value = "a\\b\"c\nd}, e=\"f";
  metrics.add("retries_total", {{"op", value}, {"code", "503"}}, 1);
  const std::string text = metrics.text();
  CHECK(text.find("{op=\"a\\\\b\\\"c\\nd}, e=\\\"f\",code=\"503\"} 1\n") != std::string::npos);
  auto again = Metrics::parse(text);
  REQUIRE(again.ok());
  CHECK(again.value().text() == text);
  again.value().add("retries_total", {{"op", value}, {"code", "503"}}, 2);
  CHECK(again.value().text().find("code=\"503\"} 3\n") != std::string::npos);
}

TEST_CASE("what is not UTF-8 is written as hex") {
  Metrics metrics;
  metrics.add("retries_total", {{"op", "\xff\n"}}, 1);
  CHECK(metrics.text().find("{op=\"ff0a\"} 1\n") != std::string::npos);
}

TEST_CASE("numbers come back as they were") {
  for (const double number : {0.0, 1.0, 0.1, 1796133964.643, 9007199254740991.0, 1e20, -2.5}) {
    Metrics metrics;
    metrics.set("duration_seconds", {}, number);
    const auto again = Metrics::parse(metrics.text());
    REQUIRE(again.ok());
    CHECK(again.value().text() == metrics.text());
  }
  Metrics metrics;
  metrics.set("duration_seconds", {}, 12345678901.0);
  CHECK(metrics.text().find("duration_seconds 12345678901\n") != std::string::npos);
}

TEST_CASE("what is no metric of this program is refused, with its line") {
  for (const char* text :
       {"junk", "other_files_total 1", "kvbackup_unknown 1", "kvbackup_files_total",
        "kvbackup_files_total 1 2", "kvbackup_files_total{a=\"b\" 1",
        "kvbackup_files_total{a=\"b\"}1", "kvbackup_files_total one", "kvbackup_files_total inf",
        "kvbackup_files_total nan", "kvbackup_files_total{a=\"b\\\"} 1",
        " kvbackup_files_total 1"}) {
    CAPTURE(text);
    const auto metrics = Metrics::parse(std::string("# a comment\n\n") + text + "\n");
    REQUIRE_FALSE(metrics.ok());
    CHECK(metrics.status().code() == StatusCode::corruption);
    CHECK(metrics.status().message().starts_with("line 3 "));
  }
}

TEST_CASE("families that the program does not have are left out") {
  Metrics metrics;
  metrics.set("no_such", {}, 1);
  metrics.add("no_such", {}, 1);
  CHECK(metrics.text().empty());
}
