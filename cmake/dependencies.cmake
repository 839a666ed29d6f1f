# Imported targets of everything that is not ours, all from Debian 13 packages (deploy/packages.build).
#
#   absl::status, absl::statusor, absl::synchronization, absl::strings, …
#                                           Debian builds it with types of its own: absl::string_view is not
#                                           std::string_view (no conversion either way), nor absl::optional std::optional
#   DNNL::dnnl                              oneDNN 3.7.2, OpenMP runtime
#   precis_openmp                           omp_set_num_threads and friends, from the runtime oneDNN itself uses
#   ONNX::onnx                              schema, checker, shape inference, protobuf classes; carries ONNX_ML, ONNX_NAMESPACE
#   protobuf::libprotobuf, protobuf::protoc
#   gRPC::grpc++, gRPC::grpc++_reflection, gRPC::grpc_cpp_plugin
#   prometheus-cpp::core, prometheus-cpp::pull
#   nlohmann_json::nlohmann_json, JPEG::JPEG, PNG::PNG, ZLIB::ZLIB, CLI11::CLI11,
#   OpenSSL::Crypto
#   GTest::gtest, GTest::gmock, GTest::gtest_main, benchmark::benchmark
#
# ONNX Runtime is never among them: it registers the same ONNX schemas as libonnx, so one process cannot hold both.

find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)  # before ONNX, whose targets name protobuf::libprotobuf
if(PRECIS_SANITIZERS MATCHES "thread")
  # Protobuf's headers lay maps out anew under ThreadSanitizer; the distribution's library has the ordinary layout.
  set_property(TARGET protobuf::libprotobuf APPEND PROPERTY INTERFACE_COMPILE_OPTIONS -U__SANITIZE_THREAD__)
endif()
find_package(absl CONFIG REQUIRED)
find_package(ONNX CONFIG REQUIRED)
find_package(dnnl CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(OpenSSL REQUIRED)  # SHA-256 of what is cached
find_package(ZLIB REQUIRED)  # beneath PNG, and in .npz files
find_package(GTest CONFIG REQUIRED)
find_package(benchmark CONFIG REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)

# Debian's gRPC has no CMake package; these targets bear the names that upstream's would. The Abseil ones are what
# gRPC's own headers use inline (as in grpc++.pc).
function(precis_import_grpc_library name)
  find_library(PRECIS_LIBRARY_${name} ${name} REQUIRED)
  add_library(gRPC::${name} SHARED IMPORTED GLOBAL)
  set_target_properties(gRPC::${name} PROPERTIES IMPORTED_LOCATION ${PRECIS_LIBRARY_${name}})
  target_link_libraries(gRPC::${name} INTERFACE ${ARGN})
endfunction()
precis_import_grpc_library(gpr absl::base absl::strings absl::synchronization absl::time)
precis_import_grpc_library(grpc gRPC::gpr absl::status absl::statusor absl::any_invocable absl::flat_hash_map)
precis_import_grpc_library(grpc++ gRPC::grpc protobuf::libprotobuf Threads::Threads)
precis_import_grpc_library(grpc++_reflection gRPC::grpc++)

find_program(PRECIS_GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
add_executable(gRPC::grpc_cpp_plugin IMPORTED GLOBAL)
set_target_properties(gRPC::grpc_cpp_plugin PROPERTIES IMPORTED_LOCATION ${PRECIS_GRPC_CPP_PLUGIN})

# oneDNN uses GCC's libgomp. Clang would bring its own OpenMP runtime, a second one in the process: under Clang (the fuzz
# preset) the pragmas are left unread and the omp_ functions, declared in Clang's own omp.h, come from libgomp.
add_library(precis_openmp INTERFACE)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  find_package(OpenMP REQUIRED COMPONENTS CXX)
  target_link_libraries(precis_openmp INTERFACE OpenMP::OpenMP_CXX)
else()
  execute_process(COMMAND g++ -print-file-name=libgomp.so OUTPUT_VARIABLE gcc_openmp OUTPUT_STRIP_TRAILING_WHITESPACE
                  COMMAND_ERROR_IS_FATAL ANY)
  target_compile_options(precis_openmp INTERFACE -Wno-source-uses-openmp)
  target_link_libraries(precis_openmp INTERFACE ${gcc_openmp})
endif()
