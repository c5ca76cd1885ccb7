# SPDX-License-Identifier: Apache-2.0
# Links SOURCE's two meanings of one class with the flags of linked_units: that must fail.
file(MAKE_DIRECTORY "${FOLDER}")
foreach(unit first second)
  set(define "")
  if(unit STREQUAL "second")
    set(define -DKVBACKUP_TEST_SECOND)
  endif()
  execute_process(COMMAND "${CXX}" -O1 -flto -c ${define} "${SOURCE}" -o "${FOLDER}/${unit}.o"
                  COMMAND_ERROR_IS_FATAL ANY)
endforeach()
execute_process(COMMAND "${CXX}" -O1 -flto -Werror=odr "${FOLDER}/first.o" "${FOLDER}/second.o"
                        -o "${FOLDER}/program"
                RESULT_VARIABLE result ERROR_VARIABLE said)
if(result EQUAL 0 OR NOT said MATCHES "-Werror=odr")
  message(FATAL_ERROR "the link of a changed class was not refused: ${said}")
endif()
