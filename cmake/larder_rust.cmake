# larder_rust(NAME raft_engine FOLDER engine CRATE larder-raft-engine HDRS src/engine_abi.h)
# The one crate of FOLDER as a static library larder::NAME, built by cargo as its lock file says. A program links one such
# library at most: each brings Rust's standard library.
find_program(LARDER_CARGO cargo HINTS $ENV{HOME}/.cargo/bin REQUIRED)
find_program(LARDER_PROTOC protoc REQUIRED)

function(larder_rust)
  cmake_parse_arguments(A "" "NAME;FOLDER;CRATE" "" ${ARGN})
  set(folder ${CMAKE_CURRENT_SOURCE_DIR}/${A_FOLDER})
  # One for all presets: no sanitizer reaches into it, and it takes a minute to build.
  set(out ${CMAKE_SOURCE_DIR}/build/rust/${A_CRATE})
  string(REPLACE "-" "_" stem ${A_CRATE})
  set(archive ${out}/release/lib${stem}.a)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${folder}/src/*.rs)
  add_custom_command(
    OUTPUT ${archive}
    # Debian's protoc, or a build script would run one that lies in a crate.
    COMMAND ${CMAKE_COMMAND} -E env PROTOC=${LARDER_PROTOC} CARGO_TARGET_DIR=${out}
            ${LARDER_CARGO} build --quiet --release --locked --manifest-path ${folder}/Cargo.toml
    COMMAND ${CMAKE_COMMAND} -E touch ${archive}
    DEPENDS ${folder}/Cargo.toml ${folder}/Cargo.lock ${sources}
    VERBATIM)
  add_custom_target(larder_${A_NAME}_build DEPENDS ${archive})
  add_library(larder_${A_NAME} STATIC IMPORTED GLOBAL)
  set_target_properties(larder_${A_NAME} PROPERTIES IMPORTED_LOCATION ${archive})
  target_link_libraries(larder_${A_NAME} INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)
  add_dependencies(larder_${A_NAME} larder_${A_NAME}_build)
  add_library(larder::${A_NAME} ALIAS larder_${A_NAME})
endfunction()
