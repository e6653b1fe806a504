# What the build takes from the system. packaging/install-deps installs all of it.

find_package(PkgConfig REQUIRED)
find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)

# From version 6 on the C library is called msgpack-c.
pkg_search_module(MSGPACK REQUIRED IMPORTED_TARGET msgpack-c msgpack)
# The checked walk over values instantiates the library's parser template, which no document promises.
find_path(BROKER_MSGPACK_TEMPLATE msgpack/unpack_template.h
          HINTS ${MSGPACK_INCLUDE_DIRS} REQUIRED)
mark_as_advanced(BROKER_MSGPACK_TEMPLATE)

pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
# To build libbroker its header is enough: the library is loaded when an address asks for it.
pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq>=4.3.3)
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
if(BROKER_ZMQ)
    pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
endif()
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
if(BROKER_TOOLS)
    pkg_check_modules(JSONC REQUIRED IMPORTED_TARGET json-c)
    pkg_check_modules(LIBEDIT REQUIRED IMPORTED_TARGET libedit)
    pkg_check_modules(NCURSES REQUIRED IMPORTED_TARGET ncursesw)
    pkg_check_modules(SMARTCOLS REQUIRED IMPORTED_TARGET smartcols)
endif()

# xxHash is compiled in (XXH_INLINE_ALL): its headers are needed, its library is not.
add_library(broker_xxhash INTERFACE)
target_include_directories(broker_xxhash SYSTEM INTERFACE ${XXHASH_INCLUDE_DIRS})

# Without it there are no man pages.
find_program(SCDOC scdoc)
mark_as_advanced(SCDOC)
