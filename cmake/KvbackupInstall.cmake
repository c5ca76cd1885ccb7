# SPDX-License-Identifier: Apache-2.0
# Headers, package config and pkg-config files. All of it is the same for every machine, so it goes
# to share/. `cmake --install DIR --component kvbackup_headers` leaves the program out.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(kvbackup_cmake_dir ${CMAKE_INSTALL_DATADIR}/cmake/kvbackup)

if(KVBACKUP_SINGLE_HEADER)
  install(FILES "${PROJECT_SOURCE_DIR}/single_include/kvbackup/kvbackup.hpp"
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/kvbackup COMPONENT kvbackup_headers)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/kvbackup/ext"
                    "${PROJECT_SOURCE_DIR}/include/kvbackup/testing"
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/kvbackup COMPONENT kvbackup_headers
          FILES_MATCHING PATTERN "*.hpp")
else()
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/kvbackup"
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT kvbackup_headers
          FILES_MATCHING PATTERN "*.hpp")
endif()

install(TARGETS kvbackup EXPORT kvbackupTargets)
install(EXPORT kvbackupTargets NAMESPACE kvbackup:: DESTINATION ${kvbackup_cmake_dir}
        COMPONENT kvbackup_headers)
configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/kvbackupConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/package/kvbackupConfig.cmake"
  INSTALL_DESTINATION ${kvbackup_cmake_dir} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may break the API.
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/package/kvbackupConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/package/kvbackupConfig.cmake"
              "${PROJECT_BINARY_DIR}/package/kvbackupConfigVersion.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/KvbackupComponents.cmake"
        DESTINATION ${kvbackup_cmake_dir} COMPONENT kvbackup_headers)

# kvbackup.pc gives the headers, kvbackup-<component>.pc adds one macro and one library.
function(kvbackup_install_pc name description requires cflags libs)
  set(pc_name ${name})
  set(pc_description "${description}")
  set(pc_requires "${requires}")
  set(pc_cflags "${cflags}")
  set(pc_libs "${libs}")
  # ${pcfiledir} makes the file work wherever the prefix is moved to.
  file(RELATIVE_PATH pc_prefix "/prefix/${CMAKE_INSTALL_DATADIR}/pkgconfig" "/prefix")
  string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
  configure_file("${PROJECT_SOURCE_DIR}/cmake/kvbackup.pc.in"
                 "${PROJECT_BINARY_DIR}/package/${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/package/${name}.pc"
          DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig COMPONENT kvbackup_headers)
endfunction()

kvbackup_install_pc(kvbackup "${PROJECT_DESCRIPTION}" ""
  "-I\${prefix}/${CMAKE_INSTALL_INCLUDEDIR} -pthread" "-pthread")
set(all_modules kvbackup)
foreach(name IN LISTS kvbackup_component_names)
  cmake_parse_arguments(need "" "library;module" "" ${kvbackup_${name}_needs})
  string(TOUPPER ${name} upper)
  set(requires kvbackup)
  set(libs "")
  if(need_module)
    string(APPEND requires ", ${need_module}")
  else()
    set(libs "-l${need_library}")
  endif()
  kvbackup_install_pc(kvbackup-${name} "kvbackup with ${name}" "${requires}"
    "-DKVBACKUP_WITH_${upper}=1" "${libs}")
  list(APPEND all_modules kvbackup-${name})
endforeach()
list(JOIN all_modules ", " all_modules)
kvbackup_install_pc(kvbackup-all "kvbackup with every component" "${all_modules}" "" "")
