# SPDX-License-Identifier: Apache-2.0
set_tests_properties(unit.service PROPERTIES LABELS threads)
