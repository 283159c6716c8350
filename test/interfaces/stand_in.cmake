# All that a stand-in for a message package does after project(): its messages and actions are those in msg/ and action/.
# DEPENDENCIES names the message packages that they use.
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
foreach(dependency IN LISTS DEPENDENCIES)
  find_package(${dependency} REQUIRED)
endforeach()

file(GLOB interfaces RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS msg/*.msg action/*.action)
rosidl_generate_interfaces(${PROJECT_NAME} ${interfaces} DEPENDENCIES ${DEPENDENCIES})
include(${CMAKE_CURRENT_LIST_DIR}/../../embodied_r_interfaces/cmake/wheel_targets.cmake)

ament_export_dependencies(rosidl_default_runtime)
ament_package()
