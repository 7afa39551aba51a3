# One place for warnings, sanitizers and numeric flags; every target links rbee_options.
add_library(rbee_options INTERFACE)
target_include_directories(rbee_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(rbee_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror
  # Results must not depend on the compiler fusing a*b+c behind our back: fused operations are written out.
  -ffp-contract=off)
if(RBEE_SANITIZE)
  target_compile_options(rbee_options INTERFACE
    -fsanitize=${RBEE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(rbee_options INTERFACE -fsanitize=${RBEE_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 reports false positives in the first two once sanitizers change its inlining. The third says that fences
    # are not understood, which Asio has; it does not rely on them alone.
    target_compile_options(rbee_options INTERFACE -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-tsan)
  endif()
endif()
if(RBEE_FUZZ)
  target_compile_options(rbee_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
find_package(Threads REQUIRED)
target_link_libraries(rbee_options INTERFACE Threads::Threads)
