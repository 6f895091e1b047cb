# Found once, here: Debian's package of gRPC cannot be found in a second folder.
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_program(LARDER_GRPC_PLUGIN grpc_cpp_plugin REQUIRED)

# larder_proto(NAME agent_proto PROTO larder/agent/v1/agent.proto [ROOT dir]): messages and gRPC stubs of one file below
# ROOT (default proto/; a test's own protos lie beside it).
function(larder_proto)
  cmake_parse_arguments(A "" "NAME;PROTO;ROOT" "" ${ARGN})
  if(NOT A_ROOT)
    set(A_ROOT ${CMAKE_SOURCE_DIR}/proto)
  endif()
  string(REGEX REPLACE "\\.proto$" "" stem ${A_PROTO})
  set(out ${CMAKE_BINARY_DIR}/generated)
  file(MAKE_DIRECTORY ${out})
  set(files ${out}/${stem}.pb.cc ${out}/${stem}.pb.h ${out}/${stem}.grpc.pb.cc ${out}/${stem}.grpc.pb.h)
  add_custom_command(
    OUTPUT ${files}
    COMMAND protobuf::protoc -I ${A_ROOT} --cpp_out=${out} --grpc_out=${out}
            --plugin=protoc-gen-grpc=${LARDER_GRPC_PLUGIN} ${A_PROTO}
    DEPENDS ${A_ROOT}/${A_PROTO}
    VERBATIM)
  add_library(larder_${A_NAME} STATIC ${files})
  add_library(larder::${A_NAME} ALIAS larder_${A_NAME})
  target_include_directories(larder_${A_NAME} SYSTEM PUBLIC ${out})
  target_link_libraries(larder_${A_NAME} PUBLIC gRPC::grpc++ protobuf::libprotobuf)
  target_compile_options(larder_${A_NAME} PRIVATE -w)
endfunction()
