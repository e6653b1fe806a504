# The man pages: those of packaging/man, and those that tools/generate/man.py makes of the schema, the protocol, the
# example configuration and brokerctl's own help. scdoc refuses what is no page.

set(man_headers "${PROJECT_SOURCE_DIR}/libbroker/include/broker.h" "${PROJECT_SOURCE_DIR}/libbroker/include/broker/value.h")
set(man "${Python3_EXECUTABLE}" -B "${PROJECT_SOURCE_DIR}/tools/generate/man.py" --schemas "${PROJECT_SOURCE_DIR}/schemas"
    --header ${man_headers})
set(man_dir "${PROJECT_BINARY_DIR}/man")

execute_process(COMMAND ${man} --list OUTPUT_VARIABLE man_pages OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${man} --list --aliases OUTPUT_VARIABLE man_aliases OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" man_pages "${man_pages}")
string(REPLACE "\n" ";" man_aliases "${man_aliases}")
file(GLOB man_written RELATIVE "${PROJECT_SOURCE_DIR}/packaging/man" CONFIGURE_DEPENDS
     "${PROJECT_SOURCE_DIR}/packaging/man/*.scd")
list(TRANSFORM man_written REPLACE "\\.scd$" "")
list(APPEND man_pages ${man_written})

list(TRANSFORM man_pages PREPEND "${man_dir}/" OUTPUT_VARIABLE man_files)
list(TRANSFORM man_aliases PREPEND "${man_dir}/" OUTPUT_VARIABLE man_alias_files)
list(TRANSFORM man_files APPEND ".scd" OUTPUT_VARIABLE man_sources)
list(TRANSFORM man_written PREPEND "${PROJECT_SOURCE_DIR}/packaging/man/")
list(TRANSFORM man_written APPEND ".scd")

add_custom_command(
    OUTPUT "${man_dir}/sources.stamp"
    BYPRODUCTS ${man_sources} ${man_alias_files}
    COMMAND ${man} --config "${PROJECT_SOURCE_DIR}/packaging/brokerd.conf" --pages "${PROJECT_SOURCE_DIR}/packaging/man"
            --brokerctl "$<TARGET_FILE:brokerctl>" --out "${man_dir}"
    COMMAND "${CMAKE_COMMAND}" -E touch "${man_dir}/sources.stamp"
    DEPENDS ${generator_inputs} ${man_written} brokerctl "${PROJECT_SOURCE_DIR}/schemas/protocol.md"
            "${PROJECT_SOURCE_DIR}/packaging/brokerd.conf" ${man_headers}
    COMMENT "Generating the sources of the man pages"
    VERBATIM)
foreach(page IN LISTS man_pages)
    string(REGEX REPLACE ".*\\." "" section "${page}")
    add_custom_command(OUTPUT "${man_dir}/${page}"
        COMMAND "${SCDOC}" < "${page}.scd" > "${page}"
        DEPENDS "${man_dir}/sources.stamp"
        WORKING_DIRECTORY "${man_dir}"
        VERBATIM)
    install(FILES "${man_dir}/${page}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}")
endforeach()
install(FILES ${man_alias_files} DESTINATION "${CMAKE_INSTALL_MANDIR}/man3")
add_custom_target(broker_man ALL DEPENDS ${man_files})
