# SPDX-License-Identifier: Apache-2.0
# Object stores for tests: a test labelled `servers` that requires the fixture s3_servers finds in
# ${KVBACKUP_S3_SERVERS}/servers.json where Ceph's gateway and OpenStack Swift run. They are started
# once for all of them and ended after the last, whatever came of it.
find_package(Python3 COMPONENTS Interpreter REQUIRED)
# Debian's own awscli before one that another Python brought
find_program(AWS_CLI aws PATHS /usr/bin NO_DEFAULT_PATH)
find_program(AWS_CLI aws)
find_program(RCLONE rclone)
find_program(RADOSGW radosgw)
find_program(SWIFT_PROXY swift-proxy-server)
if(NOT AWS_CLI OR NOT RCLONE OR NOT RADOSGW OR NOT SWIFT_PROXY)
  message(FATAL_ERROR "KVBACKUP_TEST_SERVERS needs the packages that scripts/deps.sh --servers installs")
endif()
set(KVBACKUP_S3_SERVERS "${CMAKE_CURRENT_BINARY_DIR}/servers")
foreach(step start stop)
  add_test(NAME servers.s3_${step}
           COMMAND Python3::Interpreter "${CMAKE_CURRENT_LIST_DIR}/s3_servers.py" ${step} "${KVBACKUP_S3_SERVERS}")
  set_tests_properties(servers.s3_${step} PROPERTIES LABELS servers TIMEOUT 400)
endforeach()
set_tests_properties(servers.s3_start PROPERTIES FIXTURES_SETUP s3_servers COST 1000)
set_tests_properties(servers.s3_stop PROPERTIES FIXTURES_CLEANUP s3_servers)
