# How tests are made. A test's kind is the first folder under tests/ that it lies in; it is its CTest label, and with the
# test's own name its CTest entry: tests/unit/core/ gives unit.<name>, made by the target unit_<name>.
#
#   broker_test_parts(variable sources...)
#       compiles sources that several tests of a folder share once; the variable stands for them among a test's sources
#   broker_test(name sources... [LIBS lib...] [TIMEOUT seconds] [ENVIRONMENT VAR=value...])
#       a Criterion binary; what tests of several folders use (the library test_support) is linked to it
#   broker_program_test(name sources... [LIBS lib...] [ARGS arg...] [TIMEOUT seconds] [ENVIRONMENT VAR=value...])
#       a program that fails by its exit code (77: it can't run here), for what Criterion can't hold: races, ptrace
#   broker_command_test(name COMMAND command... [TIMEOUT seconds] [ENVIRONMENT VAR=value...])
#       anything else that fails by its exit code
#   broker_campaign(name COMMAND command... [TIMEOUT seconds] [ENVIRONMENT VAR=value...])
#       a long run, registered for `ctest -C campaign` only (./dev campaign)
#   broker_variant(target [OPTIONS option...] [DEFINITIONS definition...])
#       libbroker once more as a static library, compiled with other options (appended, so they win): -O0, a mutant

# A sanitizer's report is a failure even where the exit code is 0 (Criterion does not see leaks), and so is a filter
# that matches no test (Criterion ends well then).
set(BROKER_TEST_FAILURES "(Address|Leak|Thread)Sanitizer" "Tested: 0 ")
set(BROKER_TEST_ENVIRONMENT
    "ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:handle_sigill=1:allow_addr2line=1"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1"
    "BROKERD=$<TARGET_FILE:brokerd>"
    "BROKERD_ZMQ=$<$<TARGET_EXISTS:brokerd-zmq>:$<TARGET_FILE:brokerd-zmq>>"
    "BROKERCTL=$<$<TARGET_EXISTS:brokerctl>:$<TARGET_FILE:brokerctl>>")
set(BROKER_TEST_TIMEOUT 120)

function(broker_test_kind out)
    cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY "${PROJECT_SOURCE_DIR}/tests" OUTPUT_VARIABLE folder)
    string(REGEX REPLACE "/.*" "" kind "${folder}")
    set(${out} ${kind} PARENT_SCOPE)
endfunction()

function(broker_test_properties entry label timeout environment)
    if(NOT timeout)
        set(timeout ${BROKER_TEST_TIMEOUT})
    endif()
    set_tests_properties(${entry} PROPERTIES
        LABELS "${label}"
        TIMEOUT ${timeout}
        COST ${timeout} # who may take long begins first, so that no processor is idle at the end
        SKIP_RETURN_CODE 77
        FAIL_REGULAR_EXPRESSION "${BROKER_TEST_FAILURES}"
        ENVIRONMENT "${BROKER_TEST_ENVIRONMENT};${environment}")
endfunction()

# Compilers take twice as long over tests to optimise them, and those that no one measures gain nothing by it. The library is
# compiled as the build type says.
function(broker_test_options target)
    target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
    get_target_property(libraries ${target} LINK_LIBRARIES)
    if(BROKER_SANITIZE OR "test_criterion" IN_LIST libraries)
        target_compile_options(${target} PRIVATE -O0)
    endif()
    if(BROKER_SANITIZE)
        target_compile_definitions(${target} PRIVATE IS_SANITIZED=1)
    else()
        target_compile_definitions(${target} PRIVATE IS_SANITIZED=0)
    endif()
endfunction()

function(broker_test_binary target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
    add_executable(${target} ${arg_SOURCES})
    target_link_libraries(${target} PRIVATE broker_static ${arg_LIBS})
    broker_test_options(${target})
endfunction()

macro(broker_need_criterion)
    if(NOT TARGET PkgConfig::CRITERION) # the benchmark alone does without
        pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET GLOBAL criterion)
        add_library(test_criterion OBJECT "${PROJECT_SOURCE_DIR}/tests/support/criterion.c")
        target_link_libraries(test_criterion PUBLIC PkgConfig::CRITERION)
        # What tests of several folders use; a test takes of it what it names.
        set(sources conformance/words.c crash/tracer.c crash/walker.c support/child.c support/curve.c support/folder.c
            support/instance.c support/pair.c support/shm_fixture.c unit/core/lab.c unit/objects/hand.c unit/value/random.c)
        list(TRANSFORM sources PREPEND "${PROJECT_SOURCE_DIR}/tests/")
        add_library(test_support STATIC ${sources})
        target_link_libraries(test_support PRIVATE broker_static test_criterion)
        broker_test_options(test_support)
    endif()
endmacro()

function(broker_test_parts variable)
    broker_need_criterion()
    cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY "${PROJECT_SOURCE_DIR}/tests" OUTPUT_VARIABLE folder)
    string(MAKE_C_IDENTIFIER "parts_${folder}_${variable}" target)
    add_library(${target} OBJECT ${ARGN})
    target_link_libraries(${target} PRIVATE broker_static test_criterion)
    broker_test_options(${target})
    set(${variable} "$<TARGET_OBJECTS:${target}>" PARENT_SCOPE)
endfunction()

function(broker_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "LIBS;ENVIRONMENT")
    broker_test_kind(label)
    # ThreadSanitizer aborts every Criterion binary at its start.
    if(BROKER_SANITIZE MATCHES "thread")
        return()
    endif()
    broker_need_criterion()
    broker_test_binary(${label}_${name} SOURCES ${arg_UNPARSED_ARGUMENTS} LIBS test_criterion test_support ${arg_LIBS})
    add_test(NAME ${label}.${name} COMMAND ${label}_${name} --jobs 2)
    broker_test_properties(${label}.${name} ${label} "${arg_TIMEOUT}" "${arg_ENVIRONMENT}")
endfunction()

function(broker_program_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "LIBS;ARGS;ENVIRONMENT")
    broker_test_kind(label)
    broker_test_binary(${label}_${name} SOURCES ${arg_UNPARSED_ARGUMENTS} LIBS ${arg_LIBS})
    add_test(NAME ${label}.${name} COMMAND ${label}_${name} ${arg_ARGS})
    broker_test_properties(${label}.${name} ${label} "${arg_TIMEOUT}" "${arg_ENVIRONMENT}")
endfunction()

function(broker_command_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "COMMAND;ENVIRONMENT")
    broker_test_kind(label)
    add_test(NAME ${label}.${name} COMMAND ${arg_COMMAND})
    broker_test_properties(${label}.${name} ${label} "${arg_TIMEOUT}" "${arg_ENVIRONMENT}")
endfunction()

function(broker_campaign name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "COMMAND;ENVIRONMENT")
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 3600)
    endif()
    add_test(NAME campaign.${name} COMMAND ${arg_COMMAND} CONFIGURATIONS campaign)
    broker_test_properties(campaign.${name} campaign "${arg_TIMEOUT}" "BROKER_CAMPAIGN=1;${arg_ENVIRONMENT}")
endfunction()

function(broker_variant target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "OPTIONS;DEFINITIONS")
    get_target_property(sources broker_core SOURCES)
    get_target_property(source_dir broker_core SOURCE_DIR)
    list(TRANSFORM sources PREPEND "${source_dir}/" REGEX "^[^/]")
    add_library(${target} STATIC EXCLUDE_FROM_ALL ${sources})
    add_dependencies(${target} broker_generated)
    target_compile_options(${target} PRIVATE ${arg_OPTIONS})
    target_compile_definitions(${target} PRIVATE ${arg_DEFINITIONS})
    foreach(property INCLUDE_DIRECTORIES COMPILE_DEFINITIONS COMPILE_OPTIONS)
        get_target_property(value broker_core ${property})
        if(value)
            set_property(TARGET ${target} APPEND PROPERTY ${property} "${value}")
        endif()
    endforeach()
    target_include_directories(${target} INTERFACE
        $<TARGET_PROPERTY:broker_static,INTERFACE_INCLUDE_DIRECTORIES>)
    target_link_libraries(${target} PUBLIC PkgConfig::MSGPACK Threads::Threads broker_xxhash)
endfunction()
