# The build tree as a package, once libs/ is known: find_package(Larder) with Larder_DIR=<build tree> gives larder::client,
# the libraries that extensions stand on, and the functions that make one of a folder (e2e/extension/outside).
function(larder_package)
  get_property(targets GLOBAL PROPERTY LARDER_LIBRARIES)
  list(FILTER targets INCLUDE REGEX "^larder_(base|object|arena|backends|peers|transport|client)(_|$)")
  list(APPEND targets larder_backend_registrations larder_transport_registrations)
  export(TARGETS ${targets} NAMESPACE larder:: FILE ${CMAKE_BINARY_DIR}/LarderTargets.cmake)
  configure_file(${CMAKE_SOURCE_DIR}/cmake/LarderConfig.cmake.in ${CMAKE_BINARY_DIR}/LarderConfig.cmake @ONLY)
endfunction()
