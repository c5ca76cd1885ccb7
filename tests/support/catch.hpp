// SPDX-License-Identifier: Apache-2.0
// Catch2 by either of its include lines (version 2 is Debian 12's).
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
