# How everything is compiled: the standard, the warnings, ccache and the sanitizers.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# Designated initializers name what differs from the default; the rest is meant to be left out.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual
                    -Wno-missing-field-initializers -Werror)

# IMAGEBUILD_SANITIZE: "address,undefined" or "thread" (the presets asan and tsan set it).
set(IMAGEBUILD_SANITIZE "" CACHE STRING "Sanitizers that everything but the static programs is compiled with")
if(IMAGEBUILD_SANITIZE)
  # In instrumented code g++ 12 sees copies beyond the end of strings where there are none, and values that nobody set
  # in empty std::optionals.
  set(WRONG_WARNINGS -Wno-array-bounds -Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread)
  add_compile_options(-fsanitize=${IMAGEBUILD_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
                      "$<$<CXX_COMPILER_ID:GNU>:${WRONG_WARNINGS}>")
  add_link_options(-fsanitize=${IMAGEBUILD_SANITIZE})
endif()
