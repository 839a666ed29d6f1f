# Language, warnings and sanitizers, for every target of this project.
#
# The baseline is plain x86-64: one binary runs everywhere. A kernel that uses AVX2 or AVX-512 carries
# __attribute__((target(...))) on the function and is chosen at run time; no target sets -march.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)

# Debug information names sources relative to the checkout: the same compile anywhere is the same ccache entry.
add_compile_options(-fdebug-prefix-map=${PROJECT_SOURCE_DIR}=.)

set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g -D_GLIBCXX_ASSERTIONS")

set(PRECIS_SANITIZERS "" CACHE STRING "Argument of -fsanitize, such as address,undefined; empty for none")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_compile_options(-Wall -Wextra -Werror -Wshadow -Wextra-semi -Wnon-virtual-dtor -Woverloaded-virtual
                    -Wimplicit-fallthrough -Wvla)
add_link_options(-Wl,--as-needed)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Wthread-safety -Wno-unknown-warning-option)  # checks ABSL_GUARDED_BY
endif()

if(PRECIS_SANITIZERS)
  # NDEBUG_SANITIZER: Abseil's hash tables change their layout under a sanitizer unless told not to, and the distribution's
  # libabsl was built without one.
  add_compile_options(-fsanitize=${PRECIS_SANITIZERS} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1
                      -DNDEBUG_SANITIZER)
  add_link_options(-fsanitize=${PRECIS_SANITIZERS})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC's flow-based warnings are known to be wrong on instrumented code; the other presets keep them.
    add_compile_options(-Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds -Wno-tsan)
  endif()
endif()
if(PRECIS_SANITIZERS MATCHES "undefined" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # With these three on, GCC no longer takes a function's address for a constant (its bug 71962) and rejects Abseil's hash
  # tables. A null dereference still ends the program: AddressSanitizer reports the fault.
  add_compile_options(-fno-sanitize=null,nonnull-attribute,returns-nonnull-attribute)
endif()
