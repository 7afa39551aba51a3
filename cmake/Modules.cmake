include(GoogleTest)

# rbee_module(NAME [THREADS] [MERGE] [DEPENDS target...] [TEST_DEPENDS target...]): builds the .cpp files of the current folder
# as the static library rbee_NAME, and its *_test.cpp files as the test program NAME_test. Files are found, not listed,
# so that adding one touches no shared line. THREADS: the tests run under the thread sanitizer too.
# MERGE: the sources are compiled several at a time, where reading their headers takes longer than compiling what they
# say (a quarter of the time, for app). Names of one file, those of unnamed namespaces too, must then be unlike the
# others'; a file that cannot have that sets SKIP_UNITY_BUILD_INCLUSION.
function(rbee_module name)
  cmake_parse_arguments(ARG "THREADS;MERGE" "" "DEPENDS;TEST_DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|bench|fuzz)\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  if(sources)
    add_library(rbee_${name} STATIC ${sources})
    target_link_libraries(rbee_${name} PUBLIC rbee_options ${ARG_DEPENDS})
    if(ARG_MERGE AND RBEE_MERGE)
      set_target_properties(rbee_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 6)
    endif()
  else()
    add_library(rbee_${name} INTERFACE)
    target_link_libraries(rbee_${name} INTERFACE rbee_options ${ARG_DEPENDS})
  endif()
  if(tests AND RBEE_TESTS)
    find_package(GTest REQUIRED)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE rbee_${name} ${ARG_TEST_DEPENDS} GTest::gmock GTest::gtest_main)
    target_compile_definitions(${name}_test PRIVATE RBEE_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data")
    # Most of a test's compile time is the test framework, and optimising what runs once.
    target_precompile_headers(${name}_test PRIVATE <gmock/gmock.h> <gtest/gtest.h>)
    target_compile_options(${name}_test PRIVATE $<$<CONFIG:Release>:-O0>)
    set(label unit)
    if(ARG_THREADS)
      set(label unit-threads)  # one word that both -L unit and -L threads match: a list does not get through
      set_property(GLOBAL APPEND PROPERTY RBEE_THREAD_TESTS ${name}_test)
    endif()
    gtest_discover_tests(${name}_test DISCOVERY_TIMEOUT 60 PROPERTIES LABELS ${label} TIMEOUT 300)
  endif()
endfunction()
