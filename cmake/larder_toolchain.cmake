# Compiler, linker and cache settings shared by every target.
set(LARDER_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")
option(LARDER_COVERAGE "Instrument for line coverage" OFF)

find_program(LARDER_CCACHE ccache)
if(LARDER_CCACHE)
  # Another clone has another path: let both share one cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${LARDER_CCACHE})
endif()
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)

find_program(LARDER_MOLD mold)
if(LARDER_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Werror -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Wthread-safety)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g0")
endif()
if(LARDER_SANITIZE)
  add_compile_options(-O1 -g1 -fno-omit-frame-pointer -fsanitize=${LARDER_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${LARDER_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized)  # GCC's own instrumentation sets it off (its manual says so)
  endif()
endif()
# The environment of tests with gRPC or RocksDB in them; all others run without suppressions.
set(LARDER_GRPC_ENVIRONMENT "")
if(LARDER_SANITIZE STREQUAL "thread")
  set(LARDER_GRPC_ENVIRONMENT
    "TSAN_OPTIONS=ignore_noninstrumented_modules=1 history_size=7 suppressions=${CMAKE_SOURCE_DIR}/scripts/lib/tsan.supp")
endif()
# Of tests that measure from outside what a program holds, a list of one: what was freed is to go soon.
set(LARDER_MEASURED_ENVIRONMENT "${LARDER_GRPC_ENVIRONMENT}")
if(LARDER_SANITIZE MATCHES "address")
  set(LARDER_MEASURED_ENVIRONMENT "ASAN_OPTIONS=quarantine_size_mb=16")
endif()
if(LARDER_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)  # the fuzzer sees which code an input reaches
endif()
if(LARDER_COVERAGE)
  add_compile_options(--coverage -fprofile-update=atomic)
  add_link_options(--coverage)
endif()

# A library's packages must be known where it is linked, not only in its own folder.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(fmt REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(PkgConfig REQUIRED)
find_library(LARDER_ISAL isal REQUIRED)
if(LARDER_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
