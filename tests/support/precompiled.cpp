// SPDX-License-Identifier: Apache-2.0
// Nothing: a target with precompiled headers needs a source.
