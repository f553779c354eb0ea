# A room is a folder of lib/ with one job; it may include only the rooms it names.
# add_room(NAME [DEPS room...] [LIBRARIES third-party...]) makes the target imagebuild::NAME.
function(add_room name)
  cmake_parse_arguments(ROOM "" "" "DEPS;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/lib/${name}/*.cc ${CMAKE_SOURCE_DIR}/lib/${name}/*/*.cc)
  list(TRANSFORM ROOM_DEPS PREPEND imagebuild::)
  add_library(imagebuild_${name} STATIC ${sources})
  add_library(imagebuild::${name} ALIAS imagebuild_${name})
  target_include_directories(imagebuild_${name} PUBLIC ${CMAKE_SOURCE_DIR}/lib)
  target_link_libraries(imagebuild_${name} PUBLIC ${ROOM_DEPS} PRIVATE ${ROOM_LIBRARIES})
endfunction()
