# What `cmake --install` puts where.

include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/broker")

install(TARGETS brokerd RUNTIME)
if(BROKER_TOOLS)
    install(TARGETS brokerctl RUNTIME)
endif()
install(TARGETS broker EXPORT brokerTargets)
install(TARGETS broker_static EXPORT brokerStaticTargets)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/libbroker/include/" TYPE INCLUDE FILES_MATCHING PATTERN "*.h")
install(FILES ${BROKER_GENERATED_HEADERS} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/broker")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/docs/guide" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/examples" DESTINATION "${CMAKE_INSTALL_DOCDIR}"
        FILES_MATCHING PATTERN "*.c" PATTERN "*.py" PATTERN "README.md" PATTERN "__pycache__" EXCLUDE)
install(FILES ${BROKER_GENERATED_REFERENCE} DESTINATION "${CMAKE_INSTALL_DOCDIR}/reference")

# Two export sets: only the static library makes its users find msgpack-c.
install(EXPORT brokerTargets NAMESPACE broker:: DESTINATION "${package_dir}")
install(EXPORT brokerStaticTargets NAMESPACE broker:: DESTINATION "${package_dir}")
configure_package_config_file("${PROJECT_SOURCE_DIR}/packaging/brokerConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/brokerConfig.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/brokerConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/brokerConfig.cmake" "${PROJECT_BINARY_DIR}/brokerConfigVersion.cmake"
        DESTINATION "${package_dir}")

# The .pc file finds its prefix from its own place, so that an installed tree may be moved.
set(pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH BROKER_PC_TO_PREFIX "${CMAKE_INSTALL_PREFIX}/${pkgconfig_dir}" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" BROKER_PC_TO_PREFIX "${BROKER_PC_TO_PREFIX}")
set(BROKER_PC_MSGPACK "${MSGPACK_MODULE_NAME}")
configure_file("${PROJECT_SOURCE_DIR}/packaging/libbroker.pc.in" "${PROJECT_BINARY_DIR}/libbroker.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/libbroker.pc" DESTINATION "${pkgconfig_dir}")
