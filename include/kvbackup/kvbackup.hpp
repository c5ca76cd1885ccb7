// SPDX-License-Identifier: Apache-2.0
// kvbackup: backs up any sorted key-value store in the format of TiKV's BR.
//
// The umbrella: every room but ext/ and testing/, which are included by name.
#pragma once

#include "kvbackup/backend/concept.hpp"
#include "kvbackup/base/bytes.hpp"
#include "kvbackup/base/cancel.hpp"
#include "kvbackup/base/clock.hpp"
#include "kvbackup/base/coding.hpp"
#include "kvbackup/base/executor.hpp"
#include "kvbackup/base/function_ref.hpp"
#include "kvbackup/base/hex.hpp"
#include "kvbackup/base/key_range.hpp"
#include "kvbackup/base/percent.hpp"
#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/base/sync.hpp"
#include "kvbackup/codec/concept.hpp"
#include "kvbackup/config.hpp"
#include "kvbackup/hash/concept.hpp"
#include "kvbackup/sink/concept.hpp"
#include "kvbackup/source/concept.hpp"
#include "kvbackup/sst/concept.hpp"
#include "kvbackup/version.hpp"
