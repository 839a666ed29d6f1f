# Functions for the targets there are many of. Libraries and programs are plain add_library and add_executable, with their
# sources listed.

# precis_add_test(NAME SOURCES file… [LINK target…] [ARGS argument…] [LABELS label…] [TIMEOUT seconds] [SERIAL])
#
# One GoogleTest binary and one ctest entry of the same name. GoogleTest's main and gmock are linked. SERIAL keeps other
# tests from running beside it (measurements, tests that use every core).
function(precis_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT" "SOURCES;LINK;ARGS;LABELS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "precis_add_test(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 600)
  endif()
  if(PRECIS_SANITIZERS)
    math(EXPR arg_TIMEOUT "4 * ${arg_TIMEOUT}")
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK} GTest::gmock GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}" SKIP_RETURN_CODE 77)
  if(arg_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

# precis_add_fuzzer(NAME SOURCES file… CORPUS directory [LINK target…])
#
# A libFuzzer target (LLVMFuzzerTestOneInput). The fuzz preset runs it for PRECIS_FUZZ_SECONDS; every other preset replays
# the corpus, so that a crash once found stays fixed. Without sanitizers there is also the test NAME_search, which builds the
# target with the fuzz preset, in a folder of this build, and runs it there: an ordinary test run searches too.
set(PRECIS_FUZZ_SECONDS 60 CACHE STRING "How long a fuzz target runs under ctest in the fuzz preset")
find_program(PRECIS_CLANG clang++)
function(precis_add_fuzzer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "CORPUS" "SOURCES;LINK")
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK})
  if(PRECIS_SANITIZERS MATCHES "fuzzer-no-link")
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set(scratch ${CMAKE_CURRENT_BINARY_DIR}/${name}_corpus)
    file(MAKE_DIRECTORY ${scratch})  # what libFuzzer finds goes here, not into the repository's corpus
    add_test(NAME ${name}
             COMMAND ${name} -max_total_time=${PRECIS_FUZZ_SECONDS} -timeout=10 -rss_limit_mb=4096
                     ${scratch} ${arg_CORPUS})
    set_tests_properties(${name} PROPERTIES LABELS fuzz)
  else()
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    add_test(NAME ${name} COMMAND ${name} ${arg_CORPUS})
    set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 120)
    if(NOT PRECIS_SANITIZERS AND PRECIS_CLANG)
      add_test(NAME ${name}_search
               COMMAND ${PROJECT_SOURCE_DIR}/tests/fuzz/search ${name} ${PROJECT_BINARY_DIR}/fuzz
               WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
      set_tests_properties(${name}_search PROPERTIES LABELS fuzz TIMEOUT 1800)
    endif()
  endif()
endfunction()
