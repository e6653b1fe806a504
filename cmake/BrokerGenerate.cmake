# Runs the schema generator at build time.
#
# The generator itself says what it writes (--list), so the names stand in one place. This file sorts them:
#   BROKER_GENERATED_SOURCES         .c files of libbroker
#   BROKER_GENERATED_HEADERS         public headers, to be installed
#   BROKER_GENERATED_REFERENCE       pages of the reference
#   BROKER_GENERATED_CTL_TABLE       brokerctl's commands (compiled by tools/brokerctl)
#   BROKER_VERSION_SCRIPT            the exported symbols of libbroker.so
# Whoever compiles one of them depends on the target broker_generated.

set(BROKER_GENERATED_DIR "${PROJECT_BINARY_DIR}/generated")
set(generator "${PROJECT_SOURCE_DIR}/tools/generate/generate.py")
set(generate "${Python3_EXECUTABLE}" -B "${generator}" --schemas "${PROJECT_SOURCE_DIR}/schemas")

file(GLOB generator_inputs CONFIGURE_DEPENDS
     "${PROJECT_SOURCE_DIR}/schemas/*.json" "${PROJECT_SOURCE_DIR}/tools/generate/*.py")
set_property(DIRECTORY "${PROJECT_SOURCE_DIR}" APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${generator_inputs})

execute_process(COMMAND ${generate} --list
                OUTPUT_VARIABLE generated_names OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "[ \n]+" ";" generated_names "${generated_names}")
list(TRANSFORM generated_names PREPEND "${BROKER_GENERATED_DIR}/" OUTPUT_VARIABLE generated_files)

# The generator leaves files that would not change as they are, so that only what changed is compiled again: hence the
# stamp, and the files as by-products.
set(stamp "${PROJECT_BINARY_DIR}/generated.stamp")
add_custom_command(
    OUTPUT "${stamp}"
    BYPRODUCTS ${generated_files}
    COMMAND ${generate} --out "${BROKER_GENERATED_DIR}"
    COMMAND "${CMAKE_COMMAND}" -E touch "${stamp}"
    DEPENDS ${generator_inputs}
    COMMENT "Generating from schemas/"
    VERBATIM)
add_custom_target(broker_generated DEPENDS "${stamp}")

set(BROKER_VERSION_SCRIPT "${BROKER_GENERATED_DIR}/libbroker.map")
set(BROKER_GENERATED_CTL_TABLE "${BROKER_GENERATED_DIR}/ctl_table.c")
set(BROKER_GENERATED_SOURCES ${generated_files})
list(FILTER BROKER_GENERATED_SOURCES INCLUDE REGEX "\\.c$")
list(REMOVE_ITEM BROKER_GENERATED_SOURCES "${BROKER_GENERATED_CTL_TABLE}")
set(BROKER_GENERATED_HEADERS ${generated_files})
list(FILTER BROKER_GENERATED_HEADERS INCLUDE REGEX "/generated/include/broker/[^/]*\\.h$")
set(BROKER_GENERATED_REFERENCE ${generated_files})
list(FILTER BROKER_GENERATED_REFERENCE INCLUDE REGEX "/generated/reference/")
