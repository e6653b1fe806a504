# The language, the warnings and the sanitizers that everything in the tree is compiled with.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion)
if(BROKER_WERROR)
    add_compile_options(-Werror)
endif()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

if(BROKER_SANITIZE)
    # Without -fno-sanitize-recover an undefined operation is reported and the test passes. Where it may kill the process
    # by SIGILL, of which AddressSanitizer shows the place, programs need no tables that describe all such operations.
    add_compile_options(-fsanitize=${BROKER_SANITIZE} -fno-sanitize-recover=all -fsanitize-undefined-trap-on-error
        -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${BROKER_SANITIZE})
    # The tests start thousands of processes, and the sanitizers' tables are full of addresses to be relocated.
    add_link_options($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-no-pie>)
else()
    add_link_options(LINKER:-z,relro,-z,now)
endif()

# A build with tests links more than a hundred programs, and half of its time goes to the default linker.
if(BROKER_TESTS)
    include(CheckLinkerFlag)
    set(linkers gold lld)
    if(CMAKE_C_COMPILER_ID MATCHES "Clang")
        list(REVERSE linkers) # gold complains of its AddressSanitizer
    endif()
    foreach(linker IN LISTS linkers)
        check_linker_flag(C -fuse-ld=${linker} BROKER_HAS_${linker})
        if(BROKER_HAS_${linker})
            add_link_options(-fuse-ld=${linker})
            break()
        endif()
    endforeach()
endif()
