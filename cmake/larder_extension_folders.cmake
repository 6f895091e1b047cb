# Extension points that grow by one folder (docs/HACKING.md): every folder below libs/backends and libs/transport that
# has a CMakeLists.txt is built, and one RegisterAll() per kind is generated that calls each one's Register().

set(LARDER_CMAKE_DIR ${CMAKE_CURRENT_LIST_DIR})

# larder_extension_folders(KIND backend NAMESPACE backends REGISTRY larder::object::BackendRegistry
#                          HEADER larder/object/registries.h ROOTS dir…)
# Makes larder::KIND_registrations with `void larder::NAMESPACE::RegisterAll(REGISTRY&)`.
#
# larder_extension_folders(KIND more_backends EXTENDS backend ROOTS dir…)
# Makes an object library with the same function for the folders of `backend` and of ROOTS. An executable that links it
# calls this one: the linker takes a member of a static library only for what no object file has.
function(larder_extension_folders)
  cmake_parse_arguments(A "" "KIND;EXTENDS;NAMESPACE;REGISTRY;HEADER" "ROOTS" ${ARGN})
  set(type STATIC)
  if(A_EXTENDS)
    set(type OBJECT)
    foreach(part NAMESPACE REGISTRY HEADER ROOTS)
      get_target_property(extended larder_${A_EXTENDS}_registrations LARDER_${part})
      list(PREPEND A_${part} ${extended})
    endforeach()
  endif()
  set(declarations "")
  set(calls "")
  set(libraries "")
  set(names "")
  foreach(root IN LISTS A_ROOTS)
    file(GLOB lists CONFIGURE_DEPENDS ${root}/*/CMakeLists.txt)
    foreach(list IN LISTS lists)
      get_filename_component(folder ${list} DIRECTORY)
      get_filename_component(name ${folder} NAME)
      if(name IN_LIST names)
        message(FATAL_ERROR "two ${A_KIND} folders are named ${name}: ${folder} is the second")
      endif()
      list(APPEND names ${name})
      if(NOT TARGET larder::${A_NAMESPACE}_${name})
        add_subdirectory(${folder} ${CMAKE_BINARY_DIR}/extensions/${A_KIND}/${name})
      endif()
      string(APPEND declarations "namespace larder::${A_NAMESPACE}::${name} {\nvoid Register(${A_REGISTRY}& registry);\n}\n")
      string(APPEND calls "  ${name}::Register(registry);\n")
      list(APPEND libraries larder::${A_NAMESPACE}_${name})
    endforeach()
  endforeach()
  set(LARDER_EXT_HEADER ${A_HEADER})
  set(LARDER_EXT_NAMESPACE ${A_NAMESPACE})
  set(LARDER_EXT_REGISTRY ${A_REGISTRY})
  set(LARDER_EXT_DECLARATIONS ${declarations})
  set(LARDER_EXT_CALLS ${calls})
  set(out ${CMAKE_BINARY_DIR}/generated/registrations/${A_KIND})
  configure_file(${LARDER_CMAKE_DIR}/register_all.h.in ${out}/include/larder/${A_NAMESPACE}/register_all.h @ONLY)
  configure_file(${LARDER_CMAKE_DIR}/register_all.cpp.in ${out}/register_all.cpp @ONLY)
  add_library(larder_${A_KIND}_registrations ${type} ${out}/register_all.cpp)
  target_include_directories(larder_${A_KIND}_registrations PUBLIC ${out}/include)
  target_link_libraries(larder_${A_KIND}_registrations PUBLIC larder::object PRIVATE ${libraries})
  set_target_properties(larder_${A_KIND}_registrations PROPERTIES EXPORT_NAME ${A_KIND}_registrations
    LARDER_NAMESPACE "${A_NAMESPACE}" LARDER_REGISTRY "${A_REGISTRY}" LARDER_HEADER "${A_HEADER}"
    LARDER_ROOTS "${A_ROOTS}")
  add_library(larder::${A_KIND}_registrations ALIAS larder_${A_KIND}_registrations)
endfunction()
