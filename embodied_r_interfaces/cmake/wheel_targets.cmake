# The Python index carries ROS as wheels whose generator targets name include folders of the machine that built them, and CMake
# refuses an imported target with a folder that does not exist. An installation from apt names existing folders and is left alone.
get_property(imported_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
foreach(imported_target IN LISTS imported_targets)
  if(imported_target MATCHES "__rosidl_generator_py$")
    get_target_property(include_folders ${imported_target} INTERFACE_INCLUDE_DIRECTORIES)
    foreach(include_folder IN LISTS include_folders)
      if(IS_ABSOLUTE "${include_folder}" AND NOT EXISTS "${include_folder}")
        set_target_properties(${imported_target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "")
        break()
      endif()
    endforeach()
  endif()
endforeach()
