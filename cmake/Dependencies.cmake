# SPDX-License-Identifier: Apache-2.0
# Every library comes from the distribution. Each is one interface target, pr_dep_NAME.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(pr_dependency name module)
    pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${module})
    add_library(pr_dep_${name} INTERFACE)
    target_link_libraries(pr_dep_${name} INTERFACE PkgConfig::${name})
endfunction()

pr_dependency(pcap libpcap)
pr_dependency(sodium libsodium)
pr_dependency(zstd libzstd)
pr_dependency(xxhash libxxhash)
pr_dependency(jansson jansson)
pr_dependency(uv libuv)
pr_dependency(tls libssl)
target_link_libraries(pr_dep_tls INTERFACE crypto)
pr_dependency(inih inih)
pr_dependency(zlib zlib)

# Debian packages wslay without a file for pkg-config.
find_library(wslay_LIBRARY wslay REQUIRED)
find_path(wslay_INCLUDE wslay/wslay.h REQUIRED)
add_library(pr_dep_wslay INTERFACE)
target_link_libraries(pr_dep_wslay INTERFACE ${wslay_LIBRARY})

# Debian 13 has llhttp as a library; Debian 12 has its C sources in the package node-llhttp.
pkg_check_modules(llhttp IMPORTED_TARGET libllhttp)
add_library(pr_dep_llhttp INTERFACE)
if(llhttp_FOUND)
    target_link_libraries(pr_dep_llhttp INTERFACE PkgConfig::llhttp)
elseif(EXISTS /usr/share/llhttp/llhttp.c)
    add_library(pr_llhttp STATIC /usr/share/llhttp/api.c /usr/share/llhttp/http.c
                /usr/share/llhttp/llhttp.c)
    target_include_directories(pr_llhttp SYSTEM PUBLIC /usr/share/include/llhttp)
    target_compile_options(pr_llhttp PRIVATE -w)
    target_compile_definitions(pr_llhttp PUBLIC LLHTTP_STRICT_MODE=1) # from version 9 on always
    target_link_libraries(pr_dep_llhttp INTERFACE pr_llhttp)
else()
    message(FATAL_ERROR "no llhttp: install libllhttp-dev (Debian 13) or node-llhttp (Debian 12)")
endif()

# SQLCipher and sqlite3 export the same symbols: link one, never both. SQLCipher before 4.6 is too old for our files.
if(PR_SQLCIPHER)
    pr_dependency(sqlite "sqlcipher>=3.45")
    target_compile_definitions(pr_flags INTERFACE PR_SQLCIPHER=1)
    target_compile_definitions(pr_dep_sqlite INTERFACE SQLITE_HAS_CODEC=1)
else()
    pr_dependency(sqlite "sqlite3>=3.40")
    target_compile_definitions(pr_flags INTERFACE PR_SQLCIPHER=0)
endif()
